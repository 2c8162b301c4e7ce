package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/auth"
	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/engine/mllab"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
)

// lab is what there is besides, where this program is an extension of an ML Lab.
type lab struct {
	client *contaxy.Client
	auth   *auth.Lab
	engine *mllab.Engine // nil where Docker runs the workspaces
	docker *dockerLab    // nil where the lab does
	base   string        // path below which browsers reach the lab
	log    *slog.Logger
}

// startsThroughLab is how many starts go on at once where the lab makes them: a start can wait for the pull of an image, and
// nobody else shall wait with it. It is below the number of requests that the lab itself works on at once (40).
const startsThroughLab = 30

func newLab(options Options) (*lab, error) {
	settings := options.Loaded.Config.MLLab
	client, err := contaxy.New(settings.Endpoint)
	if err != nil {
		return nil, workspace.Errorf(workspace.CodeInvalid, "mllab.endpoint cannot be used: %w", err)
	}
	l := &lab{client: client, base: settings.BaseURL, log: options.Log}
	l.auth, err = auth.NewLab(auth.LabOptions{Verify: client.Verify, Log: options.Log})
	if err != nil {
		return nil, err
	}
	if drives, _ := options.Loaded.Config.Drives(); drives == config.EngineMLLab {
		l.engine = mllab.New(mllab.Options{Lab: client, BaseURL: settings.BaseURL, Log: options.Log})
		return l, nil
	}
	l.docker, err = newDockerLab(client, settings.BaseURL, options.Log)
	return l, err
}

// keepsNothing reports whether the lab keeps all that must outlive this program, so that no state folder is needed.
func (l *lab) keepsNothing() bool { return l != nil && l.engine != nil }

// temporaryFolders are for a program of which nothing must outlive it.
func temporaryFolders(folders config.Folders) (config.Folders, error) {
	state, err := os.MkdirTemp("", "lab-workspace-manager-")
	if err != nil {
		return folders, stateError(os.TempDir(), err)
	}
	folders.State = state
	return folders, nil
}

// The permissions that ML Lab itself asks for where services of a project are listed, changed, or belong to everybody.
func servicesOf(owner workspace.Owner, level string) string {
	return fmt.Sprintf("projects/%s/services#%s", owner, level)
}

const everything = "*#" + contaxy.Admin

// caller finds out who asks and whether the lab lets them, and tells the engine that somebody is here for whom it may act.
func (l *lab) caller(r *http.Request, wanted api.Wanted) (manager.Caller, error) {
	token, err := l.auth.TokenOf(r)
	if err != nil {
		return manager.Caller{}, err
	}
	level := contaxy.Read
	if wanted.Write {
		level = contaxy.Write
	}
	ctx := r.Context()
	owner, user := wanted.Owner, workspace.Owner("")
	if owner == "" {
		if owner, err = l.auth.Holder(ctx, token, ""); err != nil {
			return manager.Caller{}, err
		}
	}
	if !owner.Valid() {
		return manager.Caller{}, workspace.Errorf(workspace.CodeForbidden, "There is no user of that id whose workspaces you may see.")
	}
	if user, err = l.auth.Holder(ctx, token, servicesOf(owner, level)); err != nil {
		return manager.Caller{}, err
	}
	if wanted.Makes {
		if err := l.mayGiveTokenOf(ctx, owner, token); err != nil {
			return manager.Caller{}, err
		}
	}
	caller := manager.Caller{User: user, For: owner}
	if wanted.Owner == "" {
		_, err := l.auth.Holder(ctx, token, everything)
		caller.Admin = err == nil
	}
	if l.engine == nil {
		if wanted.Write || user == owner {
			l.docker.owners.Came(owner, token, true)
		}
		return caller, nil
	}
	if err := l.engine.Visit(ctx, owner, token, wanted.Write); err != nil {
		return manager.Caller{}, err
	}
	of := l.engine.OwnerOf(wanted.Workspace)
	whose := owner
	if of != "" && caller.Admin {
		// The lab lets them act for everybody, who need not be here themselves.
		if err := l.engine.Visit(ctx, of, token, wanted.Write); err != nil {
			return manager.Caller{}, err
		}
		whose = of
	}
	if wanted.Now {
		l.engine.Fresh(ctx, whose, mustLook(wanted, of == whose))
	}
	if l.engine.IsOther(owner, wanted.Workspace) {
		return manager.Caller{}, workspace.Errorf(workspace.CodeWrongState, "The service with id %s is not a workspace!", wanted.Workspace)
	}
	return caller, nil
}

// mustLook reports whether the lab has to be asked what is before this is answered: for who changes something, and for who names
// a workspace that is not known here, which somebody may have made in the lab just now. Who asks again and again for one that is
// known costs the lab no more than who lists.
func mustLook(wanted api.Wanted, known bool) bool {
	return wanted.Write || (wanted.Workspace != "" && !known)
}

// mayGiveTokenOf refuses who may not have the token for an owner's programs from the lab, which goes into what is made here:
// somebody with whom the owner shares their project would have all that the owner may do, out of a workspace of their own
// making. Whoever restarts or changes what is there gives it nothing that it has not already.
func (l *lab) mayGiveTokenOf(ctx context.Context, owner workspace.Owner, token string) error {
	_, err := l.auth.Holder(ctx, token, fmt.Sprintf("users/%s#%s", owner, contaxy.Write))
	if workspace.CodeOf(err) == workspace.CodeForbidden {
		return &workspace.Error{
			Code: workspace.CodeForbidden, Err: err,
			Message: "A workspace holds a token of its owner, with which its programs act for them in ML Lab, and you may not give that away. Nothing was created.",
			Hint:    "Ask its owner to create it, or create it among your own workspaces.",
		}
	}
	if err != nil {
		return err
	}
	// Who may do everything would be given a token of nobody.
	if _, err := l.client.UserName(ctx, token, string(owner)); workspace.CodeOf(err) == workspace.CodeNotFound {
		return noUser()
	}
	return nil
}

func noUser() error {
	return workspace.Errorf(workspace.CodeNotFound, "ML Lab has no user of that id.")
}

// nameTimeout bounds how long an answer waits for what is only said beside it.
const nameTimeout = 2 * time.Second

// nameOfGone stands for the name of who is no user any more, and has left workspaces.
const nameOfGone = "a user who was deleted in ML Lab"

// nameOf is what the lab calls a user; "" when it does not say. CodeNotFound when it has no such user, nor anything of them.
func (l *lab) nameOf(r *http.Request, owner workspace.Owner) (string, error) {
	token, err := l.auth.TokenOf(r)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.Context(), nameTimeout)
	defer cancel()
	name, err := l.client.UserName(ctx, token, string(owner))
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		if l.engine != nil && l.engine.Knows(owner) { // somebody has to see, and delete, what runs on
			return nameOfGone, nil
		}
		return "", noUser()
	}
	if err != nil { // nobody needs it
		l.log.DebugContext(ctx, "the lab does not say what a user is called", "user", owner, "cause", err)
	}
	return name, nil
}

// link is where the lab's own proxy serves a workspace, for a browser that has come through the lab.
func (l *lab) link(_ context.Context, accessPath string) api.Link {
	return api.Link{URL: l.base + accessPath + "/", ExpiresAt: time.Now().Add(24 * time.Hour)}
}

func (l *lab) close(folders config.Folders) error {
	if l == nil {
		return nil
	}
	l.client.Close()
	if l.keepsNothing() {
		return errors.Join(os.RemoveAll(folders.State))
	}
	return nil
}
