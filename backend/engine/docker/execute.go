package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/volume"

	"lab-workspace-manager/backend/workspace"
)

const (
	// lastWord is how long a call that must not be broken off is waited for after its step was called off. Docker needs a
	// fraction of a second, unless it hangs.
	lastWord = 15 * time.Second
	// nameRace is how long a name may still be taken after its container was removed: Docker frees it a moment late
	// (moby issue 37698).
	nameRace      = 3 * time.Second
	nameRacePause = 50 * time.Millisecond
)

// Execute carries out one step.
func (e *Engine) Execute(ctx context.Context, step workspace.Step, progress func(workspace.Progress)) (*workspace.Observed, error) {
	d := e.inLab(step.Deployment)
	switch step.Kind {
	case workspace.StepStorage, workspace.StepCreate, workspace.StepStart, workspace.StepResize:
		// Docker goes on with what it was asked for when the asker hangs up, and what it makes then would be nobody's: a
		// second network of the same name, the container of a workspace that is deleted already (both seen), limits that
		// were taken back.
		var carriedOut context.CancelFunc
		ctx, carriedOut = carryThrough(ctx, lastWord)
		defer carriedOut()
	}
	switch step.Kind {
	case workspace.StepImage:
		return nil, e.acquire(ctx, d.Image, d.Pull, progress)
	case workspace.StepStorage:
		if err := e.haveVolume(ctx, d); err != nil {
			return nil, err
		}
		return nil, e.refuseBesideRenamed(ctx, d)
	case workspace.StepCreate:
		return e.create(ctx, d)
	case workspace.StepStart:
		return e.start(ctx, d)
	case workspace.StepAnswers:
		return nil, e.waitForAnswer(ctx, d)
	case workspace.StepResize:
		return e.resize(ctx, d)
	case workspace.StepResume:
		return e.resume(ctx, d)
	case workspace.StepStop:
		return e.stop(ctx, d)
	case workspace.StepRemove:
		return nil, e.removeByName(ctx, d)
	case workspace.StepRemoveStorage:
		return nil, e.removeStorage(ctx, d)
	case workspace.StepRelease:
		return nil, e.release(ctx, d)
	}
	return nil, workspace.Errorf(workspace.CodeInternal, "Docker does not know the step %q.", step.Kind)
}

// carryThrough returns a context that has the deadline of ctx and ends only some time after it was cancelled.
func carryThrough(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	deadline, set := ctx.Deadline()
	if !set {
		deadline = time.Now().Add(time.Hour)
	}
	through, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	stop := context.AfterFunc(ctx, func() {
		if context.Cause(ctx) == context.DeadlineExceeded {
			return // of which through knows itself
		}
		time.AfterFunc(grace, cancel) // nothing to stop: to cancel what has ended does nothing
	})
	return through, func() { stop(); cancel() }
}

// haveVolume makes the volume unless it is there, and refuses one that holds the files of another workspace, unless it
// was asked for.
func (e *Engine) haveVolume(ctx context.Context, d workspace.Deployment) error {
	if d.VolumeAdopted {
		found, err := e.client.VolumeInspect(ctx, d.Volume)
		if err == nil && found.Labels[labelInstance] != e.instance {
			return workspace.Errorf(workspace.CodeConflict, "The volume %s is not ours.", d.Volume)
		}
		return e.translate(err, "find the volume "+d.Volume)
	}
	if d.HasFiles { // Docker would make an empty one without a word
		if _, err := e.client.VolumeInspect(ctx, d.Volume); err != nil {
			return e.translate(err, "find the volume "+d.Volume)
		}
	}
	made, err := e.client.VolumeCreate(ctx, volume.CreateOptions{
		Name: d.Volume, Driver: "local", Labels: e.volumeLabels(d, time.Now()), DriverOpts: e.volumeOptions(ctx, d),
	})
	if err != nil {
		return e.translate(err, "make the volume "+d.Volume)
	}
	if made.Labels[labelInstance] != e.instance || made.Labels[labelUID] != d.UID {
		return &workspace.Error{
			Code: workspace.CodeConflict, Message: fmt.Sprintf("There is a volume %s with files of something else. It was left alone.", d.Volume),
			Hint: "Delete this workspace, and create it with another name.",
		}
	}
	return nil
}

// create makes the container, or takes the one that an earlier try made.
func (e *Engine) create(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	deadline := time.Now().Add(nameRace)
	for {
		observed, err := e.tryCreate(ctx, d)
		if workspace.CodeOf(err) != workspace.CodeConflict || time.Now().After(deadline) {
			return observed, err
		}
		if there, lookErr := e.inspect(ctx, string(d.ID)); lookErr == nil {
			if there.UID == d.UID && there.Attempt == d.Attempt && there.Fingerprint == d.Fingerprint {
				return &there, nil
			}
			// Ours and older: a try that was interrupted left it.
			if err := e.removeByHandle(ctx, there.Handle); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(nameRacePause):
		}
	}
}

func (e *Engine) tryCreate(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	defer e.join(d.Owner)()
	owned, err := e.networkFor(ctx, d.Owner)
	if err != nil {
		return nil, err
	}
	size, err := e.containerSize(ctx, d)
	if err != nil {
		return nil, err
	}
	image, err := e.InspectImage(ctx, d.Image)
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil, imageMissing(d.Image)
	}
	if err != nil {
		return nil, err
	}
	bundle := e.bundleFor()
	given := surroundings{
		labels: e.containerLabels(d), network: owned, rotateLogs: e.rotatesLogs(), sizeBytes: size,
		env: trustEnvironment(bundle != "", e.proxies, d.Env), ownInit: bringsInit(image.Entrypoint, image.Command, d.Args),
	}
	if e.lab == nil {
		given.secret = newSecret()
	} else if given.lab, err = e.lab.Environment(ctx, d); err != nil {
		return nil, err
	}
	made, bound, err := e.createBound(ctx, d, given, bundle)
	if err != nil {
		e.tellRemoved(ctx, d, given.lab)
		switch {
		case errdefs.IsNotFound(err) && containsAny(err.Error(), "No such image"):
			return nil, imageMissing(d.Image)
		case isNetworkMissing(err):
			e.forgetNetwork(d.Owner)
		}
		return nil, e.translate(err, "make the container")
	}
	err = e.letWrite(ctx, made, image, d)
	if err == nil && bundle != "" && !bound {
		err = e.copyBundle(ctx, made, bundle)
	}
	if err != nil {
		// The next try would take this one for complete.
		err = errors.Join(err, e.removeByHandle(ctx, made))
		e.tellRemoved(ctx, d, given.lab)
		return nil, err
	}
	observed := &workspace.Observed{
		ID: d.ID, Owner: d.Owner, UID: d.UID, Attempt: d.Attempt, Fingerprint: d.Fingerprint, Profile: d.Profile, DisplayName: d.DisplayName,
		Handle: made, State: workspace.ContainerCreated, Image: d.Image, Compute: d.Compute, Volume: d.Volume, Secret: given.secret,
		Devices: devicesIn(deviceRequests(d.GPUs)),
	}
	if size > 0 {
		observed.ContainerMB = d.Storage.ContainerMB
	}
	return observed, nil
}

// createBound makes a container with the bundle of certificates bound into it, unless the daemon does not see that file;
// that is remembered. "" = none.
func (e *Engine) createBound(ctx context.Context, d workspace.Deployment, given surroundings, bundle string) (handle string, bound bool, err error) {
	if bundle != "" && !e.copiesBundle() {
		given.bundle = bundle
	}
	spec := specOf(d, given)
	made, err := e.client.ContainerCreate(ctx, spec.config, spec.host, spec.network, nil, string(d.ID))
	if given.bundle != "" && isBindRefused(err) {
		e.rememberToCopy()
		given.bundle = ""
		spec = specOf(d, given)
		made, err = e.client.ContainerCreate(ctx, spec.config, spec.host, spec.network, nil, string(d.ID))
	}
	return made.ID, given.bundle != "", err
}

// rotatesLogs reports whether the daemon writes logs in a form that we know how to bound.
func (e *Engine) rotatesLogs() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.logDrive == "json-file"
}

func imageMissing(image string) error {
	return &workspace.Error{
		Code:    workspace.CodeImageMissing,
		Message: "There is no image " + image + ", neither here nor in its registry.",
		Hint:    "Check the name and its tag.",
	}
}

func gpuRefused(err error) error {
	return &workspace.Error{
		Code:    workspace.CodeInvalid,
		Message: "Docker cannot give its GPUs to containers: " + plain(err) + ".",
		Hint:    "Have an administrator install the NVIDIA Container Toolkit and run: nvidia-ctk runtime configure",
		Err:     err,
	}
}

func (e *Engine) start(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	err := e.client.ContainerStart(ctx, string(d.ID), container.StartOptions{})
	if isNetworkMissing(err) || isBindRefused(err) {
		e.forgetNetwork(d.Owner) // it was removed after the container was made for it
		if isBindRefused(err) {  // some say so only now
			e.rememberToCopy()
		}
		if _, netErr := e.networkFor(ctx, d.Owner); netErr != nil {
			return nil, netErr
		}
		if removeErr := e.removeByName(ctx, d); removeErr != nil {
			return nil, removeErr
		}
		if _, createErr := e.create(ctx, d); createErr != nil {
			return nil, createErr
		}
		err = e.client.ContainerStart(ctx, string(d.ID), container.StartOptions{})
	}
	if isGPURefused(err) {
		return nil, gpuRefused(err)
	}
	if err != nil {
		return nil, e.translate(err, "start the container")
	}
	return e.observedNow(ctx, d)
}

// observedNow looks at the workspace's container after a step.
func (e *Engine) observedNow(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	observed, err := e.inspect(ctx, string(d.ID))
	if err != nil {
		return nil, err
	}
	return &observed, nil
}

func (e *Engine) resize(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	there, err := e.inspect(ctx, string(d.ID))
	if err != nil {
		return nil, err
	}
	if _, err := e.client.ContainerUpdate(ctx, there.Handle, container.UpdateConfig{Resources: liveResources(d.Compute)}); err != nil {
		return nil, e.translate(err, "change the limits")
	}
	return e.observedNow(ctx, d)
}

func (e *Engine) resume(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	there, err := e.inspect(ctx, string(d.ID))
	if err != nil {
		return nil, err
	}
	if there.State != workspace.ContainerPaused {
		return &there, nil
	}
	if err := e.client.ContainerUnpause(ctx, there.Handle); err != nil {
		return nil, e.translate(err, "wake the container")
	}
	return e.observedNow(ctx, d)
}

// stop ends the container by SIGTERM and, after its grace, SIGKILL. It keeps it for its logs.
func (e *Engine) stop(ctx context.Context, d workspace.Deployment) (*workspace.Observed, error) {
	there, err := e.inspect(ctx, string(d.ID))
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if there.State == workspace.ContainerPaused {
		// A frozen container cannot hear SIGTERM.
		if err := e.client.ContainerUnpause(ctx, there.Handle); err != nil {
			return nil, e.translate(err, "wake the container")
		}
	}
	grace := int(d.StopGrace.Seconds())
	if err := e.client.ContainerStop(ctx, there.Handle, container.StopOptions{Timeout: &grace}); err != nil && !errdefs.IsNotFound(err) {
		return nil, e.translate(err, "stop the container")
	}
	observed, err := e.observedNow(ctx, d)
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil, nil
	}
	return observed, err
}

func (e *Engine) removeByName(ctx context.Context, d workspace.Deployment) error {
	there, err := e.find(ctx, string(d.ID))
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.removeByHandle(ctx, there.ID); err != nil {
		return err
	}
	e.tellRemoved(ctx, d, variablesOf(there.Config.Env))
	return nil
}

// tellRemoved tells the lab, where there is one, that a container is not there any more, or was never made.
func (e *Engine) tellRemoved(ctx context.Context, d workspace.Deployment, variables map[string]string) {
	if e.lab != nil {
		e.lab.Removed(ctx, d, variables)
	}
}

// release gives back what a workspace that is no more had in common with others.
func (e *Engine) release(ctx context.Context, d workspace.Deployment) error {
	if e.lab != nil {
		e.lab.Released(ctx, d, func(labels map[string]string) bool { return labels[labelInstance] == e.instance })
	}
	return e.releaseNetwork(ctx, d.Owner)
}

// removeByHandle removes a container. Volumes stay: only anonymous ones of the image go with it, and ours have names.
func (e *Engine) removeByHandle(ctx context.Context, handle string) error {
	deadline := time.Now().Add(nameRace)
	for {
		err := e.client.ContainerRemove(ctx, handle, container.RemoveOptions{Force: true, RemoveVolumes: true})
		switch {
		case err == nil, errdefs.IsNotFound(err):
			return nil
		case errdefs.IsConflict(err) && time.Now().Before(deadline): // somebody else removes it just now
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(nameRacePause):
			}
		default:
			return e.translate(err, "remove the container")
		}
	}
}
