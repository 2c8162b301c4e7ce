package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"lab-workspace-manager/backend/workspace"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func (s *service) registerSelf(api huma.API) {
	me := operation("get-me", http.MethodGet, "/users/me", "Who am I", "Users", http.StatusOK)
	huma.Register(api, me, func(ctx context.Context, _ *struct{}) (*struct{ Body User }, error) {
		caller := adminOf(ctx)
		name, err := s.nameOf(ctx, caller.User)
		return answer(ctx, s, User{ID: string(caller.User), Name: name, Admin: caller.Admin}, err)
	})
	person := operation("get-user", http.MethodGet, "/users/{user_id}", "What people call a user", "Users", http.StatusOK)
	person.Description = "For who may act for the user: themselves, and in an ML Lab an administrator."
	huma.Register(api, person, func(ctx context.Context, in *struct{ OwnerPath }) (*struct{ Body Person }, error) {
		if _, err := s.Presenter.Manager.List(callerOf(ctx), in.owner()); err != nil {
			return nil, s.fail(ctx, err)
		}
		name, err := s.nameOf(ctx, in.owner())
		return answer(ctx, s, Person{ID: in.UserID, Name: name}, err)
	})
}

// nameOf is what people call a user.
func (s *service) nameOf(ctx context.Context, owner workspace.Owner) (string, error) {
	if s.Name == nil {
		return string(owner), nil
	}
	name, err := s.Name(requestOf(ctx), owner)
	return orElse(name, string(owner)), err
}

func (s *service) registerHost(api huma.API) {
	const tag = "Host"
	config := operation("get-config", http.MethodGet, "/config", "What a create dialog needs, in upstream's form", tag, http.StatusOK)
	huma.Register(api, config, func(ctx context.Context, _ *struct{}) (*struct{ Body Config }, error) {
		return &struct{ Body Config }{s.Presenter.Config(callerOf(ctx).User)}, nil
	})
	host := ofUser(operation("get-host", http.MethodGet, "/host", "The engine, its machine, and the limits of one workspace", tag, http.StatusOK))
	huma.Register(api, host, func(ctx context.Context, in *struct{ OfUser }) (*struct{ Body Host }, error) {
		owner, err := in.owner(ctx, s)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body Host }{s.Presenter.Host(adminOf(ctx), owner)}, nil
	})
	images := operation("list-images", http.MethodGet, "/images", "The images that are offered", tag, http.StatusOK)
	huma.Register(api, images, func(ctx context.Context, _ *struct{}) (*struct{ Body []Image }, error) {
		list, err := s.Presenter.Images(ctx)
		return answer(ctx, s, list, err)
	})
}

// VolumePath is the part of a path that names a volume.
type VolumePath struct {
	OwnerPath
	Name string `path:"name" maxLength:"255" doc:"Name of the volume."`
}

func (s *service) registerVolumes(api huma.API) {
	const tag, path = "Volumes", volumesPath
	list := operation("list-volumes", http.MethodGet, path, "List volumes, those of deleted workspaces among them", tag, http.StatusOK)
	huma.Register(api, list, func(ctx context.Context, in *struct{ OwnerPath }) (*struct{ Body []Volume }, error) {
		volumes, err := s.Presenter.Volumes(callerOf(ctx), in.owner())
		return answer(ctx, s, volumes, err)
	})
	remove := operation("delete-volume", http.MethodDelete, path+"/{name}", "Delete a kept volume and the files in it for good", tag, http.StatusNoContent)
	huma.Register(api, remove, func(ctx context.Context, in *struct{ VolumePath }) (*struct{}, error) {
		return nil, s.fail(ctx, s.Presenter.Manager.DeleteVolume(ctx, callerOf(ctx), in.owner(), in.Name))
	})
	usage := operation("measure-volume", http.MethodGet, path+"/{name}:usage", "Measure a volume", tag, http.StatusOK)
	usage.Description = "Walks all its files, which can take seconds."
	huma.Register(api, usage, func(ctx context.Context, in *struct{ VolumePath }) (*struct{ Body Usage }, error) {
		measured, err := s.Presenter.Manager.VolumeUsage(ctx, callerOf(ctx), in.owner(), in.Name)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body Usage }{UsageOf(measured)}, nil
	})
	own := operation("measure-workspace", http.MethodGet, workspacesPath+"/{workspace_id}:usage", "Measure the files of a workspace", tag, http.StatusOK)
	own.Description = "Walks all its files, which can take seconds."
	huma.Register(api, own, func(ctx context.Context, in *struct{ WorkspacePath }) (*struct{ Body Usage }, error) {
		measured, err := s.Presenter.Manager.Usage(ctx, callerOf(ctx), in.owner(), in.id())
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body Usage }{UsageOf(measured)}, nil
	})
}
