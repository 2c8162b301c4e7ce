package docker

import (
	"context"

	"github.com/docker/docker/api/types/volume"

	"lab-workspace-manager/backend/workspace"
)

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
