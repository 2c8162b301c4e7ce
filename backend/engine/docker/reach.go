package docker

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"lab-workspace-manager/backend/workspace"
)

// way is how the manager reaches the workspaces in a network.
type way int

const (
	byAddress way = iota // its bridge is an interface of this machine
	byJoining            // likewise, after our own container has joined it
	byPort               // through a port of 127.0.0.1: the bridge is an interface of a virtual or another machine
)

// wayOf decides how workspaces are reached: as was said, or by what there is.
func wayOf(reach string, self ownContainer, bridgeIsHere bool) way {
	switch {
	case reach == ReachPort:
		return byPort
	case self.joins():
		return byJoining
	case reach == ReachAddress || bridgeIsHere:
		return byAddress
	}
	return byPort
}

func (e *Engine) wayTo(found network.Inspect) way {
	return wayOf(e.reach, e.selfNow(), bridgeIsHere(found))
}

func (e *Engine) selfNow() ownContainer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.self
}

// bridgeIsHere reports whether the network's gateway is an address of this machine.
func bridgeIsHere(found network.Inspect) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, config := range found.IPAM.Config {
		if slices.ContainsFunc(addresses, func(address net.Addr) bool {
			own, ok := address.(*net.IPNet)
			return ok && own.IP.String() == config.Gateway
		}) {
			return true
		}
	}
	return false
}

// guest is a container that is in the network of an owner, and no workspace.
type guest struct {
	found container.InspectResponse
	alias string // by which it is known there besides its name; "" = by none
}

// guests are who has to be in every owner's network: our own container where the manager reaches workspaces by joining, and
// the lab's, which takes visitors to them.
func (e *Engine) guests(ctx context.Context, way way) ([]guest, error) {
	var guests []guest
	if way == byJoining {
		self, err := e.client.ContainerInspect(ctx, e.selfNow().id)
		if err != nil {
			return nil, e.translate(err, "look at our own container")
		}
		guests = append(guests, guest{found: self})
	}
	if e.lab == nil {
		return guests, nil
	}
	found, err := e.inspectLab(ctx)
	if err != nil {
		return nil, err
	}
	lab := guest{found: found}
	if host := e.lab.Host(); net.ParseIP(host) == nil {
		lab.alias = host
	}
	return append(guests, lab), nil
}

// inspectLab looks at the container of the lab, which may be another one than last time.
func (e *Engine) inspectLab(ctx context.Context) (container.InspectResponse, error) {
	e.mu.Lock()
	id := e.labContainer
	e.mu.Unlock()
	if id != "" {
		found, err := e.client.ContainerInspect(ctx, id)
		if err == nil || !errdefs.IsNotFound(err) {
			return found, e.translate(err, "look at the lab's container")
		}
	}
	id, err := e.findLab(ctx)
	if err != nil {
		return container.InspectResponse{}, err
	}
	e.mu.Lock()
	e.labContainer = id
	e.mu.Unlock()
	found, err := e.client.ContainerInspect(ctx, id)
	return found, e.translate(err, "look at the lab's container")
}

// letIn connects the guests with an owner's network.
func (e *Engine) letIn(ctx context.Context, found network.Inspect, way way) error {
	if way == byPort && e.selfNow().joins() {
		return &workspace.Error{
			Code: workspace.CodeInvalid, Message: "This program runs in a container, from which 127.0.0.1 of the machine cannot be reached, and docker.reach is \"port\".",
			Hint: `Set docker.reach to "auto".`,
		}
	}
	guests, err := e.guests(ctx, way)
	if err != nil {
		return err
	}
	for _, one := range guests {
		if isIn(one.found, found.ID) {
			continue
		}
		// Not as the way out: connections of the container to elsewhere would end.
		settings := &network.EndpointSettings{GwPriority: -1}
		if one.alias != "" {
			settings.Aliases = []string{one.alias}
		}
		if err := e.client.NetworkConnect(ctx, found.ID, one.found.ID, settings); err != nil && !isThereAlready(err) {
			return e.translate(err, "connect "+strings.TrimPrefix(one.found.Name, "/")+" with the owner's network")
		}
	}
	return nil
}

func isIn(there container.InspectResponse, networkID string) bool {
	if there.NetworkSettings == nil {
		return false
	}
	for _, joined := range there.NetworkSettings.Networks {
		if joined != nil && joined.NetworkID == networkID {
			return true
		}
	}
	return false
}

// isThereAlready reports that somebody else was quicker to connect a container.
func isThereAlready(err error) bool {
	return errdefs.IsPermissionDenied(err) && containsAny(err.Error(), "already exists in network")
}

// showOut disconnects the guests from an owner's network, unless there is anybody else in it. One that is stopped could not
// be started again without the network, so the networks of containers are asked for, and not the containers of the network.
func (e *Engine) showOut(ctx context.Context, found network.Inspect) (empty bool, err error) {
	guests, err := e.guests(ctx, e.wayTo(found))
	if err != nil {
		return false, err
	}
	if len(guests) == 0 {
		return true, nil // Docker removes no network with others in it
	}
	// One that never ran knows the network by its name only.
	inIt := filters.NewArgs(filters.Arg("network", found.ID), filters.Arg("network", found.Name))
	there, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: inIt})
	if err != nil {
		return false, e.translate(err, "list who is in the owner's network")
	}
	for _, one := range there {
		if !slices.ContainsFunc(guests, func(g guest) bool { return g.found.ID == one.ID }) {
			return false, nil
		}
	}
	for _, one := range there {
		if err := e.client.NetworkDisconnect(ctx, found.ID, one.ID, true); err != nil && !errdefs.IsNotFound(err) {
			return false, e.translate(err, "disconnect a container from the owner's network")
		}
	}
	return true, nil
}
