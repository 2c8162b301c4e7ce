package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"lab-workspace-manager/backend/workspace"
)

const (
	workspacesPath = "/users/{user_id}/workspace"
	volumesPath    = "/users/{user_id}/volumes"
)

// OwnerPath is the part of a path that says whose workspaces are meant. It is exported because huma reads no parameters
// from unexported types that are embedded.
type OwnerPath struct {
	UserID string `path:"user_id" maxLength:"100" doc:"Id of the owner." example:"ada0"`
}

func (p OwnerPath) owner() workspace.Owner { return workspace.Owner(p.UserID) }

// WorkspacePath is the part of a path that names a workspace.
type WorkspacePath struct {
	OwnerPath
	WorkspaceID string `path:"workspace_id" maxLength:"200" doc:"Id of the workspace."`
}

func (p WorkspacePath) id() workspace.ID { return workspace.ID(p.WorkspaceID) }

type workspaceOutput struct{ Body Workspace }

func operation(id, method, path, summary, tag string, status int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag},
		DefaultStatus: status, MaxBodyBytes: maxBody,
	}
}

func (s *service) registerWorkspaces(api huma.API) {
	const tag = "Workspaces"
	create := makes(operation("create-workspace", http.MethodPost, workspacesPath, "Create a workspace", tag, http.StatusOK))
	create.Description = "Answers at once with status `pending`; follow `/events` or ask again until it is `running`."
	huma.Register(api, create, func(ctx context.Context, in *struct {
		OwnerPath
		Body WorkspaceInput
	}) (*workspaceOutput, error) {
		view, err := s.Presenter.Manager.Create(ctx, callerOf(ctx), in.owner(), in.Body.Request())
		return s.show(ctx, view, err)
	})

	list := operation("list-workspaces", http.MethodGet, workspacesPath, "List workspaces, sorted by creation", tag, http.StatusOK)
	list.Responses = map[string]*huma.Response{"200": {
		Description: "The owner's workspaces.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: schemaOf[Workspace](api)}}},
	}}
	huma.Register(api, list, func(ctx context.Context, in *struct{ OwnerPath }) (*huma.StreamResponse, error) {
		views, err := s.Presenter.Manager.List(callerOf(ctx), in.owner())
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &huma.StreamResponse{Body: func(out huma.Context) {
			parts := s.cache.parts(in.owner(), views, s.Presenter.Workspace)
			out.SetHeader("Content-Type", "application/json")
			out.SetHeader("Content-Length", strconv.Itoa(lengthOfList(parts)))
			writeList(out.BodyWriter(), parts)
		}}, nil
	})

	get := operation("get-workspace", http.MethodGet, workspacesPath+"/{workspace_id}", "Get a workspace", tag, http.StatusOK)
	huma.Register(api, get, func(ctx context.Context, in *struct{ WorkspacePath }) (*workspaceOutput, error) {
		view, err := s.Presenter.Manager.Get(callerOf(ctx), in.owner(), in.id())
		return s.show(ctx, view, err)
	})

	update := operation("update-workspace", http.MethodPatch, workspacesPath+"/{workspace_id}", "Change a workspace", tag, http.StatusOK)
	update.Description = "Only the fields that are sent change. CPUs, memory and the name apply live; an image takes effect by an immediate restart."
	huma.Register(api, update, func(ctx context.Context, in *struct {
		WorkspacePath
		Body WorkspaceUpdate
	}) (*workspaceOutput, error) {
		view, err := s.Presenter.Manager.Update(ctx, callerOf(ctx), in.owner(), in.id(), in.Body.Request())
		return s.show(ctx, view, err)
	})

	remove := operation("delete-workspace", http.MethodDelete, workspacesPath+"/{workspace_id}", "Delete a workspace", tag, http.StatusNoContent)
	remove.Description = "Answers when it is gone. Its files are kept in their volume unless `delete_volumes` is true. Asked once more without, it is deleted without files that could not be."
	huma.Register(api, remove, func(ctx context.Context, in *struct {
		WorkspacePath
		DeleteVolumes string `query:"delete_volumes" maxLength:"10" doc:"Whether the files go too: true or false, in any of Python's spellings." example:"false"`
	}) (*struct{}, error) {
		deleteVolumes, ok := parseBool(in.DeleteVolumes)
		if !ok {
			return nil, s.fail(ctx, workspace.Invalid(inQuery+"delete_volumes", "delete_volumes is %q; it can be true or false.", in.DeleteVolumes))
		}
		return nil, s.fail(ctx, s.Presenter.Manager.Delete(ctx, callerOf(ctx), in.owner(), in.id(), deleteVolumes))
	})

	s.registerVerb(api, "start", "Start a workspace that is stopped or has ended", "400 when it runs or starts already.", s.Presenter.start)
	s.registerVerb(api, "stop", "Stop a workspace, or call its start off", "Idempotent; answers when its container is gone. Its files stay.", s.Presenter.stop)
	s.registerVerb(api, "restart", "Restart a workspace", "Replaces its container; its files stay.", s.Presenter.restart)
	s.registerVerb(api, "keep", "Take a deletion back", "Only while its files cannot be deleted. It is stopped then.", s.Presenter.keep)
	s.registerOpen(api)
}

func (p *Presenter) start(ctx context.Context, in WorkspacePath) error {
	return p.Manager.Start(ctx, callerOf(ctx), in.owner(), in.id())
}

func (p *Presenter) stop(ctx context.Context, in WorkspacePath) error {
	return p.Manager.Stop(ctx, callerOf(ctx), in.owner(), in.id())
}

func (p *Presenter) restart(ctx context.Context, in WorkspacePath) error {
	return p.Manager.Restart(ctx, callerOf(ctx), in.owner(), in.id())
}

func (p *Presenter) keep(ctx context.Context, in WorkspacePath) error {
	return p.Manager.Keep(ctx, callerOf(ctx), in.owner(), in.id())
}

func (s *service) registerVerb(api huma.API, verb, summary, description string, do func(context.Context, WorkspacePath) error) {
	op := operation(verb+"-workspace", http.MethodPost, workspacesPath+"/{workspace_id}:"+verb, summary, "Workspaces", http.StatusNoContent)
	op.Description = description
	huma.Register(api, op, func(ctx context.Context, in *struct{ WorkspacePath }) (*struct{}, error) {
		return nil, s.fail(ctx, do(ctx, in.WorkspacePath))
	})
}

// OpenInput says how the workspace shall be addressed.
type OpenInput struct {
	_       struct{} `additionalProperties:"true"`
	Address string   `json:"address,omitempty" enum:"host,loopback," doc:"host = a host of its own below localhost, where names resolve; loopback = a path on this address; empty = the server chooses."`
}

func (s *service) registerOpen(api huma.API) {
	op := operation("open-workspace", http.MethodPost, workspacesPath+"/{workspace_id}:open", "Make a one-time address that leads into the IDE", "Workspaces", http.StatusOK)
	op.Description = "The address works once, for a minute, in any client that follows redirects and keeps cookies."
	huma.Register(api, op, func(ctx context.Context, in *struct {
		WorkspacePath
		Body *OpenInput `required:"false"`
	}) (*struct{ Body Link }, error) {
		view, err := s.Presenter.Manager.Get(callerOf(ctx), in.owner(), in.id())
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		address := ""
		if in.Body != nil {
			address = in.Body.Address
		}
		link, err := s.Open(requestOf(ctx), view, address)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body Link }{link}, nil
	})
}

type requestKey struct{}

// requestOf returns the HTTP request of an operation.
func requestOf(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

func withRequest(ctx huma.Context) huma.Context {
	r, _ := humachi.Unwrap(ctx)
	return huma.WithValue(ctx, requestKey{}, r)
}

func (s *service) show(ctx context.Context, view *workspace.Workspace, err error) (*workspaceOutput, error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &workspaceOutput{Body: s.Presenter.Workspace(view)}, nil
}

func schemaOf[T any](api huma.API) *huma.Schema {
	return huma.SchemaFromType(api.OpenAPI().Components.Schemas, typeOf[T]())
}

// listCache keeps the JSON of each workspace until it changes, so that a list of a thousand is a copy and no encoding.
type listCache struct {
	mu      sync.Mutex
	encoded map[workspace.Owner]map[workspace.ID]encodedWorkspace
}

type encodedWorkspace struct {
	version uint64
	json    []byte
}

// lengthOfList is the number of bytes that writeList writes.
func lengthOfList(parts [][]byte) int {
	length := len("[]") + max(len(parts)-1, 0)
	for _, part := range parts {
		length += len(part)
	}
	return length
}

// listBuffers are what lists are written through. Put together in memory, the lists of a few who poll were most of what the
// program used (a list of 200 is 250 kB).
var listBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 32<<10) }}

// writeList writes a JSON list of what is JSON already. Its errors say that the client is gone, and nobody is left to tell.
func writeList(w io.Writer, parts [][]byte) {
	buffer := listBuffers.Get().(*bufio.Writer)
	defer listBuffers.Put(buffer)
	buffer.Reset(w)
	_ = buffer.WriteByte('[')
	for i, part := range parts {
		if i > 0 {
			_ = buffer.WriteByte(',')
		}
		_, _ = buffer.Write(part)
	}
	_ = buffer.WriteByte(']')
	_ = buffer.Flush()
	buffer.Reset(nil) // it must not hold on to the connection
}

// parts returns the workspaces of a list as JSON. Writing them is the caller's: a client that does not read must hold nobody
// else up.
func (c *listCache) parts(owner workspace.Owner, views []*workspace.Workspace, show func(*workspace.Workspace) Workspace) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.encoded == nil {
		c.encoded = map[workspace.Owner]map[workspace.ID]encodedWorkspace{}
	}
	known := c.encoded[owner]
	if known == nil || len(known) > len(views) { // some were deleted
		known = make(map[workspace.ID]encodedWorkspace, len(views))
		for _, view := range views {
			if still, there := c.encoded[owner][view.Record.ID]; there {
				known[view.Record.ID] = still
			}
		}
		c.encoded[owner] = known
	}
	if len(views) == 0 {
		delete(c.encoded, owner)
	}
	parts := make([][]byte, 0, len(views))
	for _, view := range views {
		one := known[view.Record.ID]
		if one.version != view.Version {
			text, err := json.Marshal(show(view))
			if err != nil {
				continue // every field is a plain value; there is nothing that cannot be encoded
			}
			one = encodedWorkspace{version: view.Version, json: text}
			known[view.Record.ID] = one
		}
		parts = append(parts, one.json)
	}
	return parts
}
