package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
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
	if err == nil || workspace.CodeOf(err) == workspace.CodeNotFound {
		return nil
	}
	if users, lookErr := e.usersOf(ctx, d.Volume, true); lookErr == nil && len(users) > 0 {
		return &workspace.Error{
			Code: workspace.CodeConflict, Message: fmt.Sprintf("Its files cannot be deleted: the container %s has them.", users[0].name),
			Hint: "`docker rm -f " + users[0].name + "` removes that, and this goes on by itself.", Err: err,
		}
	}
	return err
}

// volumeUser is a container that has a volume.
type volumeUser struct{ name, uid string }

// usersOf lists the containers that have a volume: those that run, or all.
func (e *Engine) usersOf(ctx context.Context, name string, all bool) ([]volumeUser, error) {
	found, err := e.client.ContainerList(ctx, container.ListOptions{All: all, Filters: filters.NewArgs(filters.Arg("volume", name))})
	if err != nil {
		return nil, e.translate(err, "list the containers with the volume "+name)
	}
	users := make([]volumeUser, 0, len(found))
	for _, one := range found {
		if len(one.Names) > 0 {
			users = append(users, volumeUser{strings.TrimPrefix(one.Names[0], "/"), one.Labels[labelUID]})
		}
	}
	return users, nil
}

// refuseBesideRenamed refuses a start while the container of a workspace runs on under another name, which somebody has given it:
// two IDEs would write the same files. Containers of people's own may have them, too.
func (e *Engine) refuseBesideRenamed(ctx context.Context, d workspace.Deployment) error {
	users, err := e.usersOf(ctx, d.Volume, false)
	if err != nil {
		return err
	}
	for _, user := range users {
		if user.uid == d.UID && user.name != string(d.ID) {
			return &workspace.Error{
				Code:    workspace.CodeConflict,
				Message: fmt.Sprintf("Its last container runs on under the name %s, which somebody has given it with Docker, and writes the same files.", user.name),
				Hint:    "`docker stop " + user.name + "`, then start it here.",
			}
		}
	}
	return nil
}
