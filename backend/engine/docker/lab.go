package docker

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"lab-workspace-manager/backend/workspace"
)

// Lab is the ML Lab beside which workspaces run, on the same daemon. It lists them as services of its own, by the names and
// labels that it would have given them, and its proxy leads to them. All methods are safe for concurrent use.
type Lab interface {
	// Namespace is the first part of all of the lab's names. CodeUnavailable while the lab does not say.
	Namespace(ctx context.Context) (string, error)
	// Host is the name or address by which containers reach the lab.
	Host() string
	// BaseURL is the path below which browsers reach the lab, and so the workspaces; "" = at the root.
	BaseURL() string
	// Environment is what programs in a workspace are told of the lab. There are tokens in it.
	Environment(ctx context.Context, d workspace.Deployment) (map[string]string, error)
	// Answers hears of a workspace that answers from now on: before the lab knows it, its proxy leads nobody there.
	Answers(ctx context.Context, d workspace.Deployment) error
	// Removed hears that the container of a workspace was removed, and which variables that had.
	Removed(ctx context.Context, d workspace.Deployment, variables map[string]string)
	// Released hears that a workspace is no more. ours tells by the labels of a service whether that was the workspace: the lab
	// may have made another one of the same name.
	Released(ctx context.Context, d workspace.Deployment, ours func(labels map[string]string) bool)
}

// inLab is a deployment as browsers reach it where the lab is below a path: its IDE has to know that.
func (e *Engine) inLab(d workspace.Deployment) workspace.Deployment {
	if e.lab == nil || e.lab.BaseURL() == "" {
		return d
	}
	path := e.lab.BaseURL() + d.AccessPath
	d.Env, d.Args = maps.Clone(d.Env), slices.Clone(d.Args)
	for name, value := range d.Env {
		d.Env[name] = strings.ReplaceAll(value, d.AccessPath, path)
	}
	for i, arg := range d.Args {
		d.Args[i] = strings.ReplaceAll(arg, d.AccessPath, path)
	}
	d.AccessPath = path
	return d
}

// namespaceNow is the first part of all names. Beside a lab it is the lab's, and known once Host was asked for.
func (e *Engine) namespaceNow() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.namespace
}

// settleIn finds out where this program is: in which container of the daemon, and beside which lab; and sees to it that the
// workspaces which run can be reached.
func (e *Engine) settleIn(ctx context.Context) error {
	self, err := e.findSelf(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.self = self
	e.mu.Unlock()
	if e.lab != nil {
		namespace, err := e.lab.Namespace(ctx)
		if err != nil {
			return err
		}
		id, err := e.findLab(ctx)
		if err != nil {
			return err
		}
		missed := missedBy(namespace, self.namespace)
		e.mu.Lock()
		if missed != "" && e.missed != missed {
			e.log.Warn(missed)
		}
		e.missed = missed
		e.namespace, e.labContainer = namespace, id
		e.mu.Unlock()
	}
	if e.lab == nil && !self.joins() {
		return nil
	}
	return e.rejoin(ctx)
}

// missedBy says that a lab does not find this program, since the labels of its container are of another one; "" when they are
// not.
func missedBy(labs, own string) string {
	if own == "" || own == labs {
		return ""
	}
	return fmt.Sprintf("This program was started for an ML Lab with the namespace %q, and this one's is %q: it does not list this page, nor lead to it. "+
		"Start it with LAB_NAMESPACE=%s.", own, labs, labs)
}

// rejoin connects the guests with the networks of owners whose workspaces run: a container that was made anew, as for a newer
// image, is in none of them.
func (e *Engine) rejoin(ctx context.Context) error {
	running, err := e.client.ContainerList(ctx, container.ListOptions{Filters: e.ours()})
	if err != nil {
		return e.translate(err, "list containers")
	}
	seen := map[workspace.Owner]bool{}
	for _, found := range running {
		owner := workspace.Owner(found.Labels[labelOwner])
		if !owner.Valid() || seen[owner] {
			continue
		}
		seen[owner] = true
		if _, err := e.networkFor(ctx, owner); err != nil {
			if ctx.Err() != nil {
				return ctx.Err() // the next look goes on from here
			}
			e.log.Warn("the workspaces of somebody cannot be reached", "owner", owner, "error", err)
		}
	}
	return nil
}

// findLab finds the container that containers reach as the lab: it takes visitors to workspaces.
func (e *Engine) findLab(ctx context.Context) (id string, err error) {
	host := e.lab.Host()
	addresses, lookErr := net.DefaultResolver.LookupHost(ctx, host)
	there, err := e.client.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return "", e.translate(err, "list containers")
	}
	if id := labAmong(there, host, addresses); id != "" {
		return id, nil
	}
	if lookErr != nil {
		return "", &workspace.Error{
			Code: workspace.CodeUnavailable, Message: "Nothing is called " + host + " in the networks of this container, so ML Lab is not there.",
			Hint: "CONTAXY_API_ENDPOINT must name the lab's backend, and both be in one network. Everything comes back by itself when the lab does.", Err: lookErr,
		}
	}
	return "", &workspace.Error{
		Code:    workspace.CodeInvalid,
		Message: "ML Lab (" + host + ") is no container of this Docker, so its proxy leads to no workspace here.",
		Hint:    `Leave engine at "auto" where the lab is on another machine or on Kubernetes: then the lab itself runs the workspaces.`,
	}
}

// labAmong picks the container that has one of the addresses, or else the name; "" = none of them.
func labAmong(there []container.Summary, host string, addresses []string) (id string) {
	for _, found := range there {
		if found.NetworkSettings == nil {
			continue
		}
		for _, joined := range found.NetworkSettings.Networks {
			if joined != nil && joined.IPAddress != "" && slices.Contains(addresses, joined.IPAddress) {
				return found.ID
			}
		}
	}
	for _, found := range there {
		if slices.Contains(found.Names, "/"+host) {
			return found.ID
		}
	}
	return ""
}

// variablesOf reads an environment: "NAME=value".
func variablesOf(env []string) map[string]string {
	variables := make(map[string]string, len(env))
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	return variables
}

// Variable returns what a variable of a workspace's container is set to. CodeNotFound without such a container.
func (e *Engine) Variable(ctx context.Context, id workspace.ID, name string) (string, error) {
	found, err := e.find(ctx, string(id))
	if err != nil {
		return "", err
	}
	return variablesOf(found.Config.Env)[name], nil
}
