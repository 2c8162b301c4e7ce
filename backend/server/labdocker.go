package server

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/engine/docker"
	"lab-workspace-manager/backend/workspace"
)

// dockerLab shows a lab to the Docker engine that runs its users' workspaces: it acts for them there with the tokens by which
// they have come. It is safe for concurrent use.
type dockerLab struct {
	client *contaxy.Client
	host   string
	base   string
	log    *slog.Logger

	// variable reads a variable of a workspace that runs: who was started anew has no token of an owner's, but their
	// workspaces have.
	variable func(ctx context.Context, id workspace.ID, name string) (string, error)

	owners *contaxy.Owners
}

var _ docker.Lab = (*dockerLab)(nil)

func newDockerLab(client *contaxy.Client, base string, log *slog.Logger) (*dockerLab, error) {
	endpoint, err := url.Parse(client.Endpoint())
	if err != nil {
		return nil, err
	}
	return &dockerLab{client: client, host: endpoint.Hostname(), base: base, log: log, owners: contaxy.NewOwners(client)}, nil
}

// aboveDocker is the lab whose users' workspaces Docker runs; nil where there is none.
func (l *lab) aboveDocker() *dockerLab {
	if l == nil {
		return nil
	}
	return l.docker
}

// forDocker is that lab as the Docker engine needs it.
func (l *lab) forDocker() docker.Lab {
	if above := l.aboveDocker(); above != nil {
		return above
	}
	return nil
}

// Variables of workspaces. Those of CONTAXY_ are what ML Lab gives every service, the others what upstream's manager adds.
const (
	variableProgramToken = "LAB_API_TOKEN"     // with which programs call the lab
	variableAccessToken  = "CONTAXY_API_TOKEN" // with which they call their own workspace through the lab
)

// beside is how long a call to the lab may take of which nobody waits for the answer.
const beside = 10 * time.Second

// as calls the lab on behalf of an owner. Nobody waits for it who could log in.
func (l *dockerLab) as(owner workspace.Owner, call func(token string) error) error {
	return contaxy.ForNobody(l.owners.As(owner, call))
}

func (l *dockerLab) Namespace(ctx context.Context) (string, error) {
	info, err := l.client.Info(ctx)
	return info.Namespace, err
}

func (l *dockerLab) Host() string    { return l.host }
func (l *dockerLab) BaseURL() string { return l.base }

// Environment is what ML Lab itself and upstream's manager would tell a workspace (contaxy: get_default_environment_variables).
func (l *dockerLab) Environment(ctx context.Context, d workspace.Deployment) (map[string]string, error) {
	program, err := l.owners.ProgramToken(ctx, d.Owner)
	if err != nil {
		return nil, contaxy.ForNobody(err)
	}
	access, err := l.client.ServiceToken(ctx, program, string(d.Owner), string(d.ID))
	if err != nil {
		return nil, err
	}
	variables := map[string]string{
		"CONTAXY_DEPLOYMENT_NAME": string(d.ID),
		"CONTAXY_BASE_URL":        l.base,
		"CONTAXY_API_ENDPOINT":    l.client.Endpoint(),
		"CONTAXY_SERVICE_URL":     d.AccessPath,
		variableAccessToken:       access,

		"WORKSPACE_BASE_URL":  d.AccessPath,
		"SSH_JUMPHOST_TARGET": string(d.ID),
		"SELF_ACCESS_TOKEN":   access,
		"LAB_API_ENDPOINT":    l.client.Endpoint(),
		variableProgramToken:  program,
	}
	if d.Storage.VolumeMB > 0 {
		variables["CONTAXY_MAX_VOLUME_SIZE_MB"] = strconv.FormatInt(d.Storage.VolumeMB, 10)
	}
	return variables, nil
}

// Answers has the lab list the owner's services: it takes up what it finds then, and lets nobody through to what it does not
// know.
func (l *dockerLab) Answers(ctx context.Context, d workspace.Deployment) error {
	err := l.as(d.Owner, func(token string) error {
		_, err := l.client.Services(ctx, token, string(d.Owner))
		return err
	})
	if errors.Is(err, contaxy.ErrNobodyHere) {
		return nil // its container was made when somebody was here, and the lab has heard of it then
	}
	return err
}

// Removed revokes the token that only this container had. The other one is all the owner's workspaces'.
func (l *dockerLab) Removed(ctx context.Context, d workspace.Deployment, variables map[string]string) {
	token := variables[variableAccessToken]
	if token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beside)
	defer cancel()
	if err := l.client.Revoke(ctx, token); err != nil {
		l.log.WarnContext(ctx, "the token of a container that was removed could not be revoked", "id", d.ID, "error", err)
	}
}

// Released has the lab forget the service that a workspace was.
func (l *dockerLab) Released(ctx context.Context, d workspace.Deployment, ours func(labels map[string]string) bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beside)
	defer cancel()
	err := l.as(d.Owner, func(token string) error {
		service, err := l.client.Service(ctx, token, string(d.Owner), string(d.ID))
		if err != nil || !ours(service.Metadata) {
			return err
		}
		return l.client.Delete(ctx, token, string(d.Owner), string(d.ID), false)
	})
	if err != nil && workspace.CodeOf(err) != workspace.CodeNotFound { // it has never listed it
		l.log.WarnContext(ctx, "the lab still lists a workspace that was deleted, as stopped", "id", d.ID, "error", err)
	}
}

// visitsEvery is how often the lab is asked who has visited the workspaces. Of somebody who stays in one it takes note every
// 15 minutes.
const visitsEvery = time.Minute

// followVisits notes when somebody was last in a workspace that ends when nobody uses it: visitors come past us, through the
// lab's proxy. It goes on until ctx ends.
func (s *Server) followVisits(ctx context.Context) {
	for {
		if overview, err := s.Manager.Overview(s.Owner()); err == nil {
			for owner, running := range endWhenUnused(overview.Workspaces) {
				for uid, at := range s.lab.docker.visits(ctx, owner, running) {
					s.activity.Touch(uid, at)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(visitsEvery):
		}
	}
}

// endWhenUnused picks the workspaces that run and have an idle timeout: their UIDs by owner and id.
func endWhenUnused(all []*workspace.Workspace) map[workspace.Owner]map[workspace.ID]string {
	picked := map[workspace.Owner]map[workspace.ID]string{}
	for _, view := range all {
		record := view.Record
		if view.Status != workspace.StatusRunning || record.Spec.IdleTimeout == 0 {
			continue
		}
		if picked[record.Owner] == nil {
			picked[record.Owner] = map[workspace.ID]string{}
		}
		picked[record.Owner][record.ID] = record.UID
	}
	return picked
}

// visits asks the lab when somebody was last in an owner's workspaces. It returns what it knows, by their UIDs.
func (l *dockerLab) visits(ctx context.Context, owner workspace.Owner, uids map[workspace.ID]string) map[string]time.Time {
	ctx, cancel := context.WithTimeout(ctx, beside)
	defer cancel()
	l.recall(ctx, owner, uids)
	var services []contaxy.Service
	err := l.as(owner, func(token string) (err error) {
		services, err = l.client.Services(ctx, token, string(owner))
		return err
	})
	if err != nil {
		l.log.DebugContext(ctx, "the lab does not say when workspaces were visited", "owner", owner, "error", err)
		return nil
	}
	visits := map[string]time.Time{}
	for _, service := range services {
		if uid := uids[workspace.ID(service.ID)]; uid != "" && !service.LastAccess.IsZero() {
			visits[uid] = service.LastAccess.Time
		}
	}
	return visits
}

// recall takes the token of an owner's programs from one of their workspaces, unless there is one already.
func (l *dockerLab) recall(ctx context.Context, owner workspace.Owner, running map[workspace.ID]string) {
	if l.owners.HasProgram(owner) || l.variable == nil {
		return
	}
	for id := range running {
		if token, err := l.variable(ctx, id, variableProgramToken); err == nil && token != "" {
			l.owners.Knows(owner, token)
			return
		}
	}
}
