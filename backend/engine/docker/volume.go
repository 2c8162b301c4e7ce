package docker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/pkg/stdcopy"

	"lab-workspace-manager/backend/workspace"
)

// measureTimeout bounds a walk over a volume: about a million files.
const measureTimeout = time.Minute

// RemoveVolume removes a volume of this instance and the files in it.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	if _, err := e.ourVolume(ctx, name); err != nil {
		return err
	}
	return e.translate(e.client.VolumeRemove(ctx, name, false), "remove the volume "+name)
}

// ourVolume finds a volume of this instance.
func (e *Engine) ourVolume(ctx context.Context, name string) (volume.Volume, error) {
	found, err := e.client.VolumeInspect(ctx, name)
	if err != nil {
		return volume.Volume{}, e.translate(err, "find the volume "+name)
	}
	if found.Labels[labelInstance] != e.instance {
		return volume.Volume{}, workspace.Errorf(workspace.CodeNotFound, "The volume %s is not ours.", name)
	}
	return found, nil
}

// removeStorage removes the volume of a workspace, unless it holds the files of another one.
func (e *Engine) removeStorage(ctx context.Context, d workspace.Deployment) error {
	found, err := e.ourVolume(ctx, d.Volume)
	if err == nil && (d.VolumeAdopted || found.Labels[labelUID] == d.UID) {
		err = e.translate(e.client.VolumeRemove(ctx, d.Volume, false), "remove the volume "+d.Volume)
	}
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil
	}
	return err
}

// MeasureVolume walks a volume: in its folder where that can be read, else from a helper container.
func (e *Engine) MeasureVolume(ctx context.Context, name string, helpers []string) (workspace.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	found, err := e.ourVolume(ctx, name)
	if err != nil {
		return workspace.Usage{}, err
	}
	usage, err := walk(ctx, found.Mountpoint)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		usage, err = e.measureWithHelpers(ctx, name, helpers)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = workspace.Errorf(workspace.CodeUnavailable, "The volume has too many files to measure within %s.", measureTimeout)
	}
	usage.MeasuredAt = time.Now()
	return usage, err
}

// Measure counts the files of places.
func (e *Engine) Measure(ctx context.Context, places []workspace.Place, how workspace.Measuring) ([]workspace.Measurement, error) {
	measured := make([]workspace.Measurement, len(places))
	for i, place := range places {
		measured[i].Usage, measured[i].Err = e.MeasureVolume(ctx, place.Volume, how.Helpers)
	}
	return measured, nil
}

// walk counts files, their sizes and the newest change below a folder. What vanishes meanwhile does not count.
func walk(ctx context.Context, folder string) (workspace.Usage, error) {
	var usage workspace.Usage
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if path != folder && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			usage.Files++
			usage.Bytes += info.Size()
			if info.ModTime().After(usage.ChangedAt) {
				usage.ChangedAt = info.ModTime()
			}
		}
		return nil
	})
	return usage, err
}

// errNoHelper says that an image is not here, or has no find that can do this.
var errNoHelper = errors.New("the image cannot measure volumes")

func (e *Engine) measureWithHelpers(ctx context.Context, name string, helpers []string) (workspace.Usage, error) {
	for _, image := range helpers {
		usage, err := e.measureInside(ctx, name, image)
		if !errors.Is(err, errNoHelper) {
			return usage, err
		}
	}
	return workspace.Usage{}, workspace.Errorf(workspace.CodeUnavailable, "The volume cannot be measured: there is no image here to look with.")
}

// measureInside walks a volume from a helper container that can do nothing but read it.
func (e *Engine) measureInside(ctx context.Context, name, image string) (workspace.Usage, error) {
	made, err := e.client.ContainerCreate(ctx,
		&container.Config{
			Image: image, User: "0:0", Labels: map[string]string{labelHelper: e.instance}, NetworkDisabled: true,
			Entrypoint: []string{"find", "/volume", "-ignore_readdir_race", "-xdev", "-type", "f", "-printf", "%s %T@\\n"},
		},
		&container.HostConfig{
			CapDrop: []string{"ALL"}, CapAdd: []string{"DAC_READ_SEARCH"}, SecurityOpt: []string{"no-new-privileges"},
			Mounts:    []mount.Mount{{Type: mount.TypeVolume, Source: name, Target: "/volume", ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}},
			Resources: container.Resources{NanoCPUs: 250_000_000, Memory: 256 * mebibyte, MemorySwap: 256 * mebibyte},
		}, &network.NetworkingConfig{}, nil, "")
	if err != nil {
		if errdefs.IsNotFound(err) {
			return workspace.Usage{}, errNoHelper
		}
		return workspace.Usage{}, e.translate(err, "measure the volume")
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := e.removeByHandle(cleanup, made.ID); err != nil {
			e.log.Warn("helper container left behind", "container", made.ID, "error", err)
		}
	}()
	waiting, failed := e.client.ContainerWait(ctx, made.ID, container.WaitConditionNextExit)
	if err := e.client.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		if errdefs.IsInvalidArgument(err) || errdefs.IsNotFound(err) { // no such program in the image
			return workspace.Usage{}, errNoHelper
		}
		return workspace.Usage{}, e.translate(err, "measure the volume")
	}
	select {
	case ended := <-waiting:
		if ended.StatusCode != 0 { // what it has counted may be a part
			return workspace.Usage{}, errNoHelper
		}
	case err := <-failed:
		return workspace.Usage{}, e.translate(err, "measure the volume")
	}
	stream, err := e.client.ContainerLogs(ctx, made.ID, container.LogsOptions{ShowStdout: true})
	if err != nil {
		return workspace.Usage{}, e.translate(err, "measure the volume")
	}
	defer func() { _ = stream.Close() }()
	var text bytes.Buffer
	if _, err := stdcopy.StdCopy(&text, nil, stream); err != nil {
		return workspace.Usage{}, e.translate(err, "measure the volume")
	}
	return sumUp(&text), nil
}

// sumUp adds up lines of "size seconds.fraction", as find prints them.
func sumUp(text *bytes.Buffer) workspace.Usage {
	var usage workspace.Usage
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		size, changed, _ := strings.Cut(lines.Text(), " ")
		bytes, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			continue
		}
		usage.Files++
		usage.Bytes += bytes
		if seconds, err := strconv.ParseFloat(changed, 64); err == nil {
			if at := time.Unix(int64(seconds), 0); at.After(usage.ChangedAt) {
				usage.ChangedAt = at
			}
		}
	}
	return usage
}
