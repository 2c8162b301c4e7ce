package mllab

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// Execute carries out one step.
//
//	image           nothing: the lab pulls it when it starts a container
//	storage         the service is there as it should be; one that runs and differs is started anew by the lab
//	create          a container of an earlier attempt makes way for the next one
//	start, answers  as everywhere
//	stop, remove    the lab stops and removes at once; the log is read before
//	remove-storage  the volume is gone; for that the lab needs a container, so a stopped workspace is started once more, of
//	                another image if need be
//	release         the service is deleted
//
// The lab does to the end what it was asked for, also when nobody waits for its answer any more; whoever asks again asks
// first what is.
func (e *Engine) Execute(ctx context.Context, step workspace.Step, progress func(workspace.Progress)) (*workspace.Observed, error) {
	observed, err := e.carryOut(ctx, step, progress)
	return observed, contaxy.ForNobody(err)
}

func (e *Engine) carryOut(ctx context.Context, step workspace.Step, progress func(workspace.Progress)) (*workspace.Observed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := step.Deployment
	if step.Kind == workspace.StepAnswers {
		return nil, e.waitForAnswer(ctx, d, progress)
	}
	done := e.begin(d.ID)
	defer done()
	if step.Kind != workspace.StepStart { // which joins one that is under way
		if err := e.land(ctx, d.ID); err != nil {
			return nil, err
		}
	}
	switch step.Kind {
	case workspace.StepImage:
		return nil, nil
	case workspace.StepStorage:
		return e.after(d.ID, e.define(ctx, d, progress))
	case workspace.StepCreate:
		return e.after(d.ID, e.makeWay(ctx, d))
	case workspace.StepStart:
		progress(workspace.Progress{Detail: "ML Lab starts it; an image that it does not have yet takes minutes"})
		return e.after(d.ID, e.start(ctx, d))
	case workspace.StepResize, workspace.StepResume:
		return e.after(d.ID, nil)
	case workspace.StepStop:
		return e.after(d.ID, e.stop(ctx, d))
	case workspace.StepRemove:
		return nil, e.remove(ctx, d)
	case workspace.StepRemoveStorage:
		return nil, e.removeStorage(ctx, d)
	case workspace.StepRelease:
		return nil, e.release(ctx, d)
	}
	return nil, workspace.Errorf(workspace.CodeInternal, "ML Lab knows no step %q.", step.Kind)
}

// begin says that a step is under way, so that looks meanwhile say nothing.
func (e *Engine) begin(id workspace.ID) (end func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy[id]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		now := time.Now()
		e.changed[id] = now
		if e.busy[id]--; e.busy[id] == 0 {
			delete(e.busy, id)
		}
		maps.DeleteFunc(e.changed, func(_ workspace.ID, at time.Time) bool { return now.Sub(at) > 2*lookTimeout })
	}
}

// after returns what is of a service after something was done to it.
func (e *Engine) after(id workspace.ID, err error) (*workspace.Observed, error) {
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[id]; h != nil && h.observed != nil {
		observed := *h.observed
		return &observed, nil
	}
	return nil, nil
}

// fetch asks the lab for a service as it is now, and takes it up. CodeNotFound when there is none, which is noted, too.
func (e *Engine) fetch(ctx context.Context, d workspace.Deployment) (contaxy.Service, error) {
	var service contaxy.Service
	err := e.tokens.As(d.Owner, func(token string) (err error) {
		service, err = e.lab.Service(ctx, token, string(d.Owner), string(d.ID))
		return err
	})
	if e.base == "" && e.isBelowPath() { // nobody has said where browsers reach it, so what there is of that is not corrected
		service.Addresses = nil
	}
	if err == nil && !isWorkspace(service) {
		return service, workspace.Errorf(workspace.CodeConflict, "ML Lab has a service %q that is no workspace.", service.DisplayName)
	}
	return service, err
}

// took notes what a call has told of a service. made says that its container is the one of the deployment.
func (e *Engine) took(d workspace.Deployment, service contaxy.Service, made bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h, known := e.services[d.ID]
	if !known {
		h = &held{owner: d.Owner}
		e.services[d.ID] = h
	}
	h.service = service
	e.inUse(d.ID, h, !known)
	if made {
		h.mark = markOf(service.InternalID, d)
		if service.InternalID == "" {
			h.mark.handle = string(d.ID)
		}
		h.log, h.cleared = nil, false
	}
	h.observed = e.observe(d.ID, h)
}

// define has the lab keep the workspace as it should be.
func (e *Engine) define(ctx context.Context, d workspace.Deployment, progress func(workspace.Progress)) error {
	service, err := e.fetch(ctx, d)
	if workspace.CodeOf(err) == workspace.CodeNotFound && e.isRewritten(d.ID) {
		service, err = e.writeAgain(ctx, d)
	}
	switch {
	case workspace.CodeOf(err) == workspace.CodeNotFound && d.Kept:
		// Whoever may delete it need not be who may make one, with a token of its owner in it.
		return workspace.Errorf(workspace.CodeNotFound, "It was deleted in ML Lab.")
	case workspace.CodeOf(err) == workspace.CodeNotFound:
		if err := e.mayHave(d); err != nil {
			return err
		}
		return e.deploy(ctx, d)
	case err != nil:
		return err
	case !differs(service, d, e.base):
		e.took(d, e.asListed(service), false)
		return nil
	}
	if service.Status != contaxy.StatusStopped {
		progress(workspace.Progress{Detail: "ML Lab starts it anew with what was changed; an image that it does not have yet takes minutes"})
	}
	update := updateOf(service, d, e.base)
	failure := e.tokens.As(d.Owner, func(token string) error {
		_, err := e.lab.Update(ctx, token, string(d.Owner), string(d.ID), update)
		return err
	})
	if failure != nil && workspace.CodeOf(failure) != workspace.CodeInternal {
		return failure
	}
	if service, err = e.fetch(ctx, d); err != nil { // an update answers before the container has a time of start
		return err
	}
	// What the lab could not start, it has written down and stopped all the same: why is said by the start that follows.
	if failure != nil && (differs(service, d, e.base) || service.Status != contaxy.StatusStopped) {
		return whyNotStarted(d, failure)
	}
	e.took(d, service, service.Status != contaxy.StatusStopped)
	return nil
}

// deploy has the lab write a workspace down, stopped, with the token for the programs of its owner.
func (e *Engine) deploy(ctx context.Context, d workspace.Deployment) error {
	token, err := e.tokens.ProgramToken(ctx, d.Owner)
	if err != nil {
		return err
	}
	input := inputOf(d, e.nameFor(d), e.base)
	input.Parameters = parametersOf(d, token)
	service, err := e.deployAs(ctx, d, input)
	if err != nil {
		return err
	}
	e.took(d, service, false)
	return nil
}

// deployAs has the lab make the service of a workspace.
func (e *Engine) deployAs(ctx context.Context, d workspace.Deployment, input contaxy.ServiceInput) (contaxy.Service, error) {
	return e.make(ctx, d, func(caller string) (contaxy.Service, error) { return e.lab.Deploy(ctx, caller, string(d.Owner), input) })
}

// make has the lab make a service, which must be that of a workspace.
func (e *Engine) make(ctx context.Context, d workspace.Deployment, call func(caller string) (contaxy.Service, error)) (service contaxy.Service, err error) {
	err = e.tokens.As(d.Owner, func(caller string) (err error) {
		service, err = call(caller)
		return err
	})
	if err != nil {
		return service, err
	}
	if service.ID != string(d.ID) {
		err := e.tokens.As(d.Owner, func(caller string) error {
			return e.lab.Delete(ctx, caller, string(d.Owner), service.ID, false)
		})
		e.log.Error("ML Lab has given a service another id than expected", "expected", d.ID, "given", service.ID, "removed", err == nil)
		return service, workspace.Errorf(workspace.CodeInternal, "ML Lab would call the workspace %q, which is not how this version of the workspace manager knows it.", service.ID)
	}
	return service, nil
}

// nameFor is the name under which the lab shall have the service of a workspace: the one that it had before, which may be none
// of its display name, else one that gives its id.
func (e *Engine) nameFor(d workspace.Deployment) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cmp.Or(e.names[d.ID], labNameOf(d))
}

// makeWay ends the container of an earlier attempt by starting the next one in its place: a stop would clear the files of
// who has them cleared at every stop.
func (e *Engine) makeWay(ctx context.Context, d workspace.Deployment) error {
	service, err := e.fetch(ctx, d)
	if err != nil {
		return err
	}
	service = e.asListed(service)
	if service.Status == contaxy.StatusStopped {
		e.took(d, service, false)
		e.mu.Lock()
		defer e.mu.Unlock()
		h := e.services[d.ID]
		h.observed = &workspace.Observed{
			ID: d.ID, Owner: d.Owner, UID: d.UID, Attempt: d.Attempt, Fingerprint: d.Fingerprint, Profile: d.Profile, DisplayName: d.DisplayName,
			Handle: string(d.ID) + "#" + time.Now().Format(time.RFC3339Nano), State: workspace.ContainerCreated, Image: d.Image, Volume: d.Volume,
		}
		if was := h.created; was != nil && was.Attempt == d.Attempt && was.UID == d.UID && was.Image == d.Image && was.Fingerprint == d.Fingerprint {
			h.observed = was // the same one
		}
		h.created = h.observed
		return nil
	}
	if e.isOf(service, d) {
		e.took(d, service, false)
		return nil
	}
	return e.act(ctx, d, contaxy.ActionRestart)
}

// asListed is a service as the lab lists it. Asked for this one, the lab finds also a container that has another name, and says
// that it runs; but nobody reaches it.
func (e *Engine) asListed(service contaxy.Service) contaxy.Service {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[workspace.ID(service.ID)]; h != nil && h.renamed != "" {
		service.Status, service.InternalID = contaxy.StatusStopped, ""
	}
	return service
}

// isOf reports whether the container of a service was made for a deployment.
func (e *Engine) isOf(service contaxy.Service, d workspace.Deployment) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.services[d.ID]
	handle := service.InternalID
	if handle == "" {
		handle = string(d.ID)
	}
	return h != nil && h.mark == markOf(handle, d)
}

// start has the container run.
func (e *Engine) start(ctx context.Context, d workspace.Deployment) error {
	service, err := e.fetch(ctx, d)
	if err != nil {
		return err
	}
	switch state, _ := stateOf(service.Status); {
	case service.Status == contaxy.StatusStopped:
		return e.act(ctx, d, contaxy.ActionStart)
	case state == workspace.ContainerExited, e.asListed(service).Status == contaxy.StatusStopped:
		return e.act(ctx, d, contaxy.ActionRestart)
	}
	e.took(d, service, true) // one of an earlier attempt has made way, so this is the one that an earlier try has started
	return nil
}

// flight is a start that the lab is about to make. It goes on when nobody waits for it any more, and whatever comes next has
// to wait for its end: else a container would appear of what was stopped or deleted meanwhile.
type flight struct {
	done chan struct{}
	err  error
}

// flightsEnd bounds a start, and with it the pull of an image.
const flightsEnd = 30 * time.Minute

// fly asks the lab for an action that makes a container, or joins the one that is under way, and waits for its end.
func (e *Engine) fly(ctx context.Context, d workspace.Deployment, action string) error {
	e.mu.Lock()
	f := e.flights[d.ID]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		e.flights[d.ID] = f
		go func() {
			flying, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightsEnd)
			defer cancel()
			f.err = e.tokens.As(d.Owner, func(token string) error { return e.lab.Act(flying, token, string(d.Owner), string(d.ID), action) })
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.flights, d.ID)
			e.changed[d.ID] = time.Now()
			close(f.done)
		}()
	}
	e.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// land waits until no start of a workspace is under way.
func (e *Engine) land(ctx context.Context, id workspace.ID) error {
	e.mu.Lock()
	f := e.flights[id]
	e.mu.Unlock()
	if f == nil {
		return nil
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// act executes an action that makes a container, and takes up what came of it. A front before the lab gives up after ten
// minutes; the lab does not.
func (e *Engine) act(ctx context.Context, d workspace.Deployment, action string) error {
	err := e.fly(ctx, d, action)
	if err != nil && workspace.CodeOf(err) == workspace.CodeInvalid {
		// Somebody else was quicker: what counts is what is.
		if service, again := e.fetch(ctx, d); again == nil && service.Status == contaxy.StatusRunning {
			e.took(d, service, true)
			return nil
		}
		return workspace.Errorf(workspace.CodeWrongState, "ML Lab refuses to start it: %s", workspace.MessageOf(err))
	}
	if err != nil {
		return whyNotStarted(d, err)
	}
	service, err := e.fetch(ctx, d)
	if err != nil {
		return err
	}
	e.mu.Lock()
	if h := e.services[d.ID]; h != nil {
		h.renamed = "" // this one was made by the lab just now
	}
	e.mu.Unlock()
	e.took(d, service, true)
	return nil
}

// whyNotStarted says what to make of a start that the lab answers with nothing but an error inside of it, as it does when an
// image cannot be pulled, or asks for more than its machine has.
func whyNotStarted(d workspace.Deployment, err error) error {
	if workspace.CodeOf(err) != workspace.CodeInternal {
		return err
	}
	return &workspace.Error{
		Code: workspace.CodeInternal, Err: err,
		Message: "ML Lab could not start it and does not say why. Most often it cannot pull the image " + d.Image + ".",
		Hint:    "Try it with another image, or ask who runs the lab: its log says more.",
	}
}

// keptLines is how much of the log outlives a container.
const keptLines = 500

// stop ends a container. The lab removes it with that, so its log is read before.
func (e *Engine) stop(ctx context.Context, d workspace.Deployment) error {
	service, err := e.fetch(ctx, d)
	switch {
	case workspace.CodeOf(err) == workspace.CodeNotFound && e.isRewritten(d.ID):
		return e.endByRewrite(ctx, d, nil)
	case workspace.CodeOf(err) == workspace.CodeNotFound, err == nil && service.Status == contaxy.StatusStopped:
		e.ended(d, service, nil)
		return nil
	case err != nil:
		return err
	}
	text := e.lastWords(ctx, d)
	if service.ClearVolumeOnStop && !d.DeletesVolume {
		return e.stopKeeping(ctx, d, text)
	}
	err = e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Act(ctx, token, string(d.Owner), string(d.ID), contaxy.ActionStop)
	})
	if err != nil && workspace.CodeOf(err) != workspace.CodeInvalid { // it was stopped meanwhile
		return err
	}
	cleared := err == nil && service.ClearVolumeOnStop
	service.Status, service.InternalID = contaxy.StatusStopped, ""
	e.ended(d, service, text)
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[d.ID]; h != nil {
		h.cleared = cleared
	}
	return nil
}

// lastWords reads the end of a log. Losing it is not worth failing for.
func (e *Engine) lastWords(ctx context.Context, d workspace.Deployment) []byte {
	var text string
	err := e.tokens.As(d.Owner, func(token string) (err error) {
		text, err = e.lab.Logs(ctx, token, string(d.Owner), string(d.ID), keptLines, time.Time{})
		return err
	})
	if err != nil {
		e.log.Warn("the log of a workspace that is stopped could not be read", "id", d.ID, "error", err)
	}
	return []byte(text)
}

// ended notes that a service has no container any more. Until the manager has it removed, it has ended.
func (e *Engine) ended(d workspace.Deployment, service contaxy.Service, text []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.services[d.ID]
	if h == nil {
		return
	}
	if service.ID != "" {
		h.service = service
	}
	if text != nil {
		h.log = text
	}
	if h.observed != nil {
		ended := *h.observed
		ended.State, ended.FinishedAt, ended.Endpoint = workspace.ContainerExited, time.Now(), ""
		h.observed = &ended
	}
}

// remove has no container there. A stop has removed it already; one that has ended by itself is removed by a stop.
func (e *Engine) remove(ctx context.Context, d workspace.Deployment) error {
	if err := e.stop(ctx, d); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[d.ID]; h != nil {
		h.observed, h.log, h.created = nil, nil, nil
	}
	return nil
}

// removeStorage has the volume gone. The lab deletes a volume only together with a container that has it mounted, so a
// workspace without one gets it once more. What that is for is written down in the lab before: after a restart of this program
// it goes on.
func (e *Engine) removeStorage(ctx context.Context, d workspace.Deployment) error {
	e.mu.Lock()
	h := e.services[d.ID]
	cleared := h != nil && h.cleared
	if h != nil {
		h.cleared = false
	}
	e.mu.Unlock()
	if cleared {
		e.emptied(d.ID)
		return nil
	}
	service, err := e.fetch(ctx, d)
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if service.Status == contaxy.StatusStopped {
		if err := e.haveContainer(ctx, d, service); err != nil {
			return err
		}
	}
	if !d.Deleted { // the lab clears, with its own stop, and keeps the rest
		return e.clearByStop(ctx, d)
	}
	err = e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Delete(ctx, token, string(d.Owner), string(d.ID), true)
	})
	if err != nil && workspace.CodeOf(err) != workspace.CodeNotFound {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropVolume(d.Owner, d.ID)
	e.dropRewrite(d.Owner, d.ID)
	delete(e.services, d.ID)
	return nil
}

// clearByStop ends a container with its files. What was changed for that in the lab is changed back when it is told next what
// the workspace should be.
func (e *Engine) clearByStop(ctx context.Context, d workspace.Deployment) error {
	service, err := e.fetch(ctx, d)
	if err != nil {
		return err
	}
	if !service.ClearVolumeOnStop {
		clears := true
		if err := e.patch(ctx, d, contaxy.ServicePatch{ClearVolumeOnStop: &clears}); err != nil {
			return err
		}
	}
	err = e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Act(ctx, token, string(d.Owner), string(d.ID), contaxy.ActionStop)
	})
	if err != nil {
		return err
	}
	service, err = e.fetch(ctx, d)
	if err != nil {
		return err
	}
	e.took(d, service, false)
	e.emptied(d.ID)
	return nil
}

// emptied notes that a workspace has no volume any more.
func (e *Engine) emptied(id workspace.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[id]; h != nil {
		h.files = false
		e.dropVolume(h.owner, id)
	}
}

func (e *Engine) patch(ctx context.Context, d workspace.Deployment, patch contaxy.ServicePatch) error {
	return e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Patch(ctx, token, string(d.Owner), string(d.ID), patch)
	})
}

// haveContainer makes a container of a stopped workspace, only to be removed with the volume: of the image of the workspace,
// and where the lab cannot start that, because it is gone, of another one that surely is there.
func (e *Engine) haveContainer(ctx context.Context, d workspace.Deployment, service contaxy.Service) error {
	removal, clears := string(workspace.RemovalOfAll), true
	first := contaxy.ServicePatch{Metadata: map[string]*string{metaRemoval: &removal}}
	if !d.Deleted {
		removal, first.ClearVolumeOnStop = string(workspace.RemovalOfFiles), &clears
	}
	if err := e.patch(ctx, d, first); err != nil {
		return err
	}
	failed := e.startOnce(ctx, d)
	if !isNoStart(failed) {
		return failed
	}
	own := cmp.Or(service.Metadata[metaImage], service.ContainerImage)
	for _, image := range e.imagesThere(ctx, d.Owner) {
		if image == service.ContainerImage {
			continue
		}
		borrowed := contaxy.ServicePatch{ContainerImage: image, Args: helpersArgs, Metadata: map[string]*string{metaImage: &own}}
		if args := argsByHand(service); args != nil {
			saved := jsonOf(args)
			borrowed.Metadata[metaArgs] = &saved
		}
		err := e.patch(ctx, d, borrowed)
		if err == nil {
			err = e.startOnce(ctx, d)
		}
		if !isNoStart(err) {
			return err
		}
	}
	why := "ML Lab starts none: " + workspace.MessageOf(failed)
	if workspace.CodeOf(failed) == workspace.CodeInternal { // it does not say more to anybody
		why = fmt.Sprintf("ML Lab cannot start one. The image %s may be gone.", own)
	}
	return &workspace.Error{
		Code: workspace.CodeOf(failed), Err: failed,
		Message: "Its files are not deleted yet. That takes a container of it, and " + why,
		Hint:    "It is tried again by and by, with the images of workspaces that run, too. It can also be deleted without its files, or kept.",
	}
}

// helpersArgs have an image end soon that is started in place of another, if it takes arguments as ours does. Others are ended
// with their volume.
var helpersArgs = []string{"--version"}

// isNoStart reports whether the lab has tried to start something and could not.
func isNoStart(err error) bool {
	code := workspace.CodeOf(err)
	return code == workspace.CodeInternal || code == workspace.CodeInvalid
}

// startOnce has the lab make a container. One that was made and does not run will do.
func (e *Engine) startOnce(ctx context.Context, d workspace.Deployment) error {
	err := e.fly(ctx, d, contaxy.ActionStart)
	if isNoStart(err) {
		if service, again := e.fetch(ctx, d); again == nil && service.Status != contaxy.StatusStopped {
			return nil
		}
	}
	return err
}

// imagesThere are images that the lab's machine surely has, since containers of them run: those of the owner's other
// workspaces, and of the lab's extensions, as this program usually is.
func (e *Engine) imagesThere(ctx context.Context, who workspace.Owner) (images []string) {
	e.mu.Lock()
	for _, h := range e.services {
		if h.owner == who && h.service.Status == contaxy.StatusRunning {
			images = append(images, h.service.ContainerImage)
		}
	}
	e.mu.Unlock()
	var extensions []contaxy.Extension
	err := e.tokens.As(who, func(token string) (err error) {
		extensions, err = e.lab.Extensions(ctx, token, contaxy.GlobalProject)
		return err
	})
	if err != nil {
		e.log.Warn("the lab does not tell of its extensions, whose images may serve", "error", err)
	}
	for _, extension := range extensions {
		if extension.Status == contaxy.StatusRunning {
			images = append(images, extension.ContainerImage)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// release deletes the service. Files that it has had in use stay, and are written down before.
func (e *Engine) release(ctx context.Context, d workspace.Deployment) error {
	e.mu.Lock()
	h := e.services[d.ID]
	kept := h != nil && e.keepVolume(d.ID, h)
	e.mu.Unlock()
	if kept {
		e.waitUntilWritten(ctx, volumePatience, d.Owner)
	}
	err := e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Delete(ctx, token, string(d.Owner), string(d.ID), false)
	})
	if err != nil && workspace.CodeOf(err) != workspace.CodeNotFound {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropMemory(d.Owner, d.ID)
	e.dropRewrite(d.Owner, d.ID)
	delete(e.services, d.ID)
	return nil
}
