package docker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/volume"

	"lab-workspace-manager/backend/workspace"
)

const (
	// sizeOption is how storage drivers and the local volume driver are told a size.
	sizeOption = "size"
	// trialBytes is the size that is tried: none is too small for it, and nothing is written.
	trialBytes = 64 << 30
	// trialPatience bounds a trial: two calls of some tens of milliseconds each.
	trialPatience = 10 * time.Second
	// helperAge is how old a helper that has ended is before it counts as left behind by a manager that is no more.
	helperAge = time.Minute
)

// daemon is what is known of the daemon that answers, until another one does.
type daemon struct {
	id        string // tells it from others, see identify; "" = not met yet
	driver    string // of its storage
	snapshots bool   // containers are snapshots of containerd
	enforces  workspace.Enforcement
	copies    bool // it has refused to bind a file of this machine
}

// identify says which daemon answers. One that keeps its things elsewhere or otherwise than before is another one: a
// machine keeps the id when its Docker is set up anew.
func identify(info system.Info) daemon {
	return daemon{
		id:     info.ID + " " + info.Driver + " " + info.DockerRootDir,
		driver: info.Driver,
		snapshots: slices.ContainsFunc(info.DriverStatus, func(status [2]string) bool {
			return status[0] == "driver-type" && status[1] == "io.containerd.snapshotter.v1"
		}),
	}
}

// meet notes which daemon answers now. Of another one than before nothing is known yet.
func (e *Engine) meet(answers daemon) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.daemon.id != answers.id {
		e.daemon = answers
	}
}

// met returns the daemon, and asks it who it is if nobody has done so yet.
func (e *Engine) met(ctx context.Context) (daemon, error) {
	if known := e.knownDaemon(); known.id != "" {
		return known, nil
	}
	info, err := e.client.Info(ctx)
	if err != nil {
		return daemon{}, err
	}
	e.meet(identify(info))
	return e.knownDaemon(), nil
}

func (e *Engine) knownDaemon() daemon {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.daemon
}

// enforcement says what the daemon holds. It tries the first time, and again as long as there was no image to try with;
// whoever creates a container names one that is here. A daemon that does not answer leaves it untried.
func (e *Engine) enforcement(ctx context.Context, candidate string) daemon {
	if known := e.knownDaemon(); known.enforces.Tried {
		return known
	}
	e.trying.Lock()
	defer e.trying.Unlock()
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	known, err := e.met(ctx)
	if err != nil || known.enforces.Tried {
		return known
	}
	tried, err := e.trySizes(ctx, known, candidate)
	if err != nil {
		e.log.Debug("which sizes Docker holds could not be tried", "error", err)
		return known
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.daemon.id == known.id {
		e.daemon.enforces = tried
	}
	known.enforces = tried
	return known
}

func (e *Engine) trySizes(ctx context.Context, answers daemon, candidate string) (tried workspace.Enforcement, err error) {
	if candidate == "" {
		if candidate, err = e.anyImage(ctx); err != nil {
			return tried, err
		}
	}
	if err := e.sweepHelpers(ctx); err != nil {
		return tried, err
	}
	if tried.VolumeSize, err = e.tryVolumeSize(ctx); err != nil {
		return workspace.Enforcement{}, err
	}
	// Snapshots take the option and do not hold it (seen in the daemon's source, 28.5), so nothing can be learnt by trying.
	if !answers.snapshots {
		if tried.ContainerSize, err = e.tryContainerSize(ctx, candidate); err != nil {
			return workspace.Enforcement{}, err
		}
	}
	tried.Tried = true
	return tried, nil
}

var errNoImage = errors.New("there is no image here to try with")

// anyImage is some image that is here. Those that are likely to be are asked for by name first: a list of them all takes Docker
// 20.10 a fifth of a second with twenty images, at every start (measured).
func (e *Engine) anyImage(ctx context.Context) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(e.builds)) {
		found, err := e.client.ImageInspect(ctx, name)
		if err == nil {
			return found.ID, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", err
		}
	}
	images, err := e.client.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return "", err
	}
	if len(images) == 0 {
		return "", errNoImage
	}
	return images[0].ID, nil
}

// tryContainerSize reports whether a container can be made with a size. It is never started.
func (e *Engine) tryContainerSize(ctx context.Context, candidate string) (held bool, err error) {
	made, err := e.client.ContainerCreate(ctx,
		&container.Config{Image: candidate, Cmd: []string{"true"}, Labels: map[string]string{labelHelper: e.instance}, NetworkDisabled: true},
		&container.HostConfig{StorageOpt: map[string]string{sizeOption: strconv.FormatInt(trialBytes, 10)}},
		&network.NetworkingConfig{}, nil, "")
	switch {
	case err == nil:
		return true, e.removeByHandle(ctx, made.ID)
	case errdefs.IsNotFound(err): // the image went away meanwhile
		return false, errNoImage
	}
	return false, onlyRefused(ctx, err)
}

// tryVolumeSize reports whether a volume can be made with a size.
func (e *Engine) tryVolumeSize(ctx context.Context) (held bool, err error) {
	made, err := e.client.VolumeCreate(ctx, volume.CreateOptions{
		Name: e.namespaceNow() + "-size-trial", Driver: "local", Labels: map[string]string{labelHelper: e.instance},
		DriverOpts: map[string]string{sizeOption: strconv.FormatInt(trialBytes, 10)},
	})
	if err != nil {
		return false, onlyRefused(ctx, err)
	}
	return made.Options[sizeOption] != "", e.client.VolumeRemove(ctx, made.Name, true)
}

// onlyRefused lets pass only what says nothing about sizes: the daemon went away, or took too long.
func onlyRefused(ctx context.Context, err error) error {
	if ctx.Err() != nil || isHangUp(err) || errdefs.IsUnavailable(err) {
		return err
	}
	return nil
}

// sweepHelpers removes the helpers that a manager left behind when it was killed while they worked.
func (e *Engine) sweepHelpers(ctx context.Context) error {
	left, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("label", labelHelper+"="+e.instance),
		filters.Arg("status", container.StateCreated), filters.Arg("status", container.StateExited), filters.Arg("status", container.StateDead),
	)})
	if err != nil {
		return err
	}
	for _, helper := range left {
		if time.Since(time.Unix(helper.Created, 0)) > helperAge {
			if err := e.removeByHandle(ctx, helper.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// sizeToAsk is the size in bytes of which a storage driver is told, so that mb remain for what the container writes.
// btrfs alone counts the files of the image as well.
func sizeToAsk(driver string, mb, imageBytes int64) int64 {
	if driver == "btrfs" {
		return mb*mebibyte + imageBytes
	}
	return mb * mebibyte
}

// containerSize is the size in bytes to which Docker shall hold a deployment's container; 0 where it holds none.
func (e *Engine) containerSize(ctx context.Context, d workspace.Deployment) (int64, error) {
	if d.Storage.ContainerMB <= 0 {
		return 0, nil
	}
	known := e.enforcement(ctx, d.Image)
	if !known.enforces.ContainerSize {
		return 0, nil
	}
	if known.driver != "btrfs" {
		return sizeToAsk(known.driver, d.Storage.ContainerMB, 0), nil
	}
	found, err := e.client.ImageInspect(ctx, d.Image)
	if errdefs.IsNotFound(err) {
		return 0, imageMissing(d.Image)
	}
	if err != nil {
		return 0, e.translate(err, "look at the image "+d.Image)
	}
	return sizeToAsk(known.driver, d.Storage.ContainerMB, found.Size), nil
}

// volumeOptions hold a deployment's volume to its size where Docker can.
func (e *Engine) volumeOptions(ctx context.Context, d workspace.Deployment) map[string]string {
	if d.Storage.VolumeMB <= 0 || !e.enforcement(ctx, d.Image).enforces.VolumeSize {
		return nil
	}
	return map[string]string{sizeOption: strconv.FormatInt(d.Storage.VolumeMB*mebibyte, 10)}
}
