package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// AdminUser is what one user has.
type AdminUser struct {
	User        string   `json:"user"`
	Groups      []string `json:"groups" nullable:"false"`
	Workspaces  int      `json:"workspaces"`
	Running     int64    `json:"running"`
	CPUs        float64  `json:"cpus" doc:"Held by limits."`
	Memory      int64    `json:"memory" doc:"MB held by limits."`
	GPUs        int64    `json:"gpus"`
	Storage     int64    `json:"storage" doc:"MB that volumes may hold."`
	StorageUsed int64    `json:"storage_used" doc:"MB that volumes held when last measured."`
	Quota       AdminSum `json:"quota"`
}

// AdminSum is a quota; 0 is no bound.
type AdminSum struct {
	Workspaces int64   `json:"workspaces"`
	Running    int64   `json:"running"`
	CPUs       float64 `json:"cpus"`
	Memory     int64   `json:"memory" doc:"MB"`
	Storage    int64   `json:"storage" doc:"MB"`
	GPUs       int64   `json:"gpus"`
	OnExceed   string  `json:"on_exceed" enum:"queue,refuse,"`
}

// GPU is a device and who holds it.
type GPU struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Memory  int64       `json:"memory" doc:"MB, 0 = not known."`
	Holders []GPUHolder `json:"holders" nullable:"false"`
}

// GPUHolder is a workspace that holds a device.
type GPUHolder struct {
	User      string    `json:"user"`
	ID        string    `json:"id"`
	Workspace string    `json:"workspace" doc:"Its name."`
	Since     time.Time `json:"since"`
}

// Overview is what an administrator sees of everybody.
type Overview struct {
	Users      []AdminUser `json:"users" nullable:"false"`
	Workspaces []Workspace `json:"workspaces" nullable:"false"`
	Host       []QuotaLine `json:"host" nullable:"false" doc:"What the machine gives out, and what is taken."`
	GPUs       []GPU       `json:"gpus" nullable:"false"`
}

// AuditEntry is one thing that somebody did to what is another's.
type AuditEntry struct {
	At        time.Time `json:"at"`
	Admin     string    `json:"admin"`
	Action    string    `json:"action" enum:"stop,resize,create,update,delete,start,restart,keep,extend,open,delete-volume"`
	User      string    `json:"user" doc:"Owner of the workspace."`
	ID        string    `json:"id"`
	Workspace string    `json:"workspace" doc:"Its name, as it was; empty when it was none yet."`
	Detail    string    `json:"detail"`
}

// Setting is one value of the configuration in force.
type Setting struct {
	Key    string `json:"key" example:"limits.memory.max"`
	Value  string `json:"value" doc:"As TOML."`
	Origin string `json:"origin" doc:"The file and line, the environment variable, or default."`
}

// ConfigChange is one key that a reload changed.
type ConfigChange struct {
	Key    string `json:"key"`
	Before string `json:"before"`
	After  string `json:"after"`
	Live   bool   `json:"live" doc:"Whether it acts already; otherwise it does from the next start of the program on."`
}

// ConfigStatus is how the configuration is.
type ConfigStatus struct {
	File     string         `json:"file" doc:"Empty when there is none."`
	Problem  string         `json:"problem" doc:"Why the file as it is now is not in force; the one before it is."`
	LoadedAt *time.Time     `json:"loaded_at" doc:"When what is in force was read; null = when the program started."`
	Changes  []ConfigChange `json:"changes" nullable:"false" doc:"What the last reload changed."`
}

// Overview shows who has what.
func (p *Presenter) Overview(caller manager.Caller) (Overview, error) {
	found, err := p.Manager.Overview(caller)
	if err != nil {
		return Overview{}, err
	}
	shown := Overview{Users: make([]AdminUser, len(found.Owners)), Workspaces: make([]Workspace, len(found.Workspaces)), Host: linesOf(found.Host), GPUs: make([]GPU, len(found.GPUs))}
	for i, o := range found.Owners {
		shown.Users[i] = AdminUser{
			User: string(o.Owner), Groups: orEmpty(o.Groups), Workspaces: o.Exists, Running: o.Reserved.Running,
			CPUs: amountOf(quota.ResourceCPUs, o.Reserved.NanoCPUs), Memory: o.Reserved.MemoryMB, GPUs: o.Reserved.GPUs,
			Storage: o.StorageMB, StorageUsed: o.UsedStorageMB,
			Quota: AdminSum{
				Workspaces: o.Quota.Workspaces, Running: o.Quota.Running, CPUs: o.Quota.CPUs, Memory: o.Quota.MemoryMB,
				Storage: o.Quota.StorageMB, GPUs: o.Quota.GPUs, OnExceed: string(o.Quota.OnExceed),
			},
		}
	}
	for i, view := range found.Workspaces {
		shown.Workspaces[i] = p.Workspace(view)
	}
	for i, hold := range found.GPUs {
		shown.GPUs[i] = GPU{ID: hold.Device.ID, Name: hold.Device.Name, Memory: hold.Device.MemoryMB, Holders: make([]GPUHolder, len(hold.Holders))}
		for j, h := range hold.Holders {
			shown.GPUs[i].Holders[j] = GPUHolder{User: string(h.Owner), ID: string(h.ID), Workspace: h.Workspace, Since: h.Lease.Since}
		}
	}
	return shown, nil
}

// maxAuditShown bounds one answer.
const maxAuditShown = 500

// Audit shows what administrators did.
func (p *Presenter) Audit(ctx context.Context, caller manager.Caller) ([]AuditEntry, error) {
	entries, err := p.Manager.Audit(ctx, caller, maxAuditShown)
	if err != nil {
		return nil, err
	}
	shown := make([]AuditEntry, len(entries))
	for i, e := range entries {
		shown[i] = AuditEntry{At: e.At, Admin: string(e.Actor), Action: e.Action, User: string(e.Owner), ID: string(e.ID), Workspace: e.Name, Detail: e.Detail}
	}
	return shown, nil
}

// Settings shows the configuration in force. CodeForbidden unless the caller is an administrator.
func (p *Presenter) Settings(caller manager.Caller) ([]Setting, error) {
	if !caller.Admin {
		return nil, workspace.Errorf(workspace.CodeForbidden, "Only an administrator may see the configuration.")
	}
	if p.Configuration == nil {
		return []Setting{}, nil
	}
	return p.Configuration.Settings(), nil
}

// Configuration knows the file.
type Configuration interface {
	// Settings lists every value in force with where it came from.
	Settings() []Setting
	// Status tells how the last reload went.
	Status() ConfigStatus
}

// ReasonInput is why an administrator does something.
type ReasonInput struct {
	_      struct{} `additionalProperties:"true"`
	Reason string   `json:"reason,omitempty" maxLength:"2000" doc:"Shown to the owner of the workspace; may be empty."`
}

// AdminPath names anybody's workspace.
type AdminPath struct {
	WorkspaceID string `path:"workspace_id" maxLength:"200" doc:"Id of the workspace."`
}

func (p AdminPath) id() workspace.ID { return workspace.ID(p.WorkspaceID) }

func (s *service) registerAdmin(api huma.API) {
	const tag, path = "Administration", "/admin"
	overview := operation("admin-overview", http.MethodGet, path+"/overview", "Who has what", tag, http.StatusOK)
	huma.Register(api, overview, func(ctx context.Context, _ *struct{}) (*struct{ Body Overview }, error) {
		shown, err := s.Presenter.Overview(adminOf(ctx))
		return answer(ctx, s, shown, err)
	})
	audit := operation("admin-audit", http.MethodGet, path+"/audit", "What administrators did, the newest first", tag, http.StatusOK)
	huma.Register(api, audit, func(ctx context.Context, _ *struct{}) (*struct{ Body []AuditEntry }, error) {
		entries, err := s.Presenter.Audit(ctx, adminOf(ctx))
		return answer(ctx, s, entries, err)
	})
	settings := operation("admin-config", http.MethodGet, path+"/config", "The configuration in force, with its sources", tag, http.StatusOK)
	huma.Register(api, settings, func(ctx context.Context, _ *struct{}) (*struct{ Body []Setting }, error) {
		list, err := s.Presenter.Settings(adminOf(ctx))
		return answer(ctx, s, list, err)
	})
	stop := operation("admin-stop", http.MethodPost, path+"/workspaces/{workspace_id}:stop", "Stop anybody's workspace", tag, http.StatusNoContent)
	stop.Description = "It is written down who did, and the owner reads the reason. The files stay."
	huma.Register(api, stop, func(ctx context.Context, in *struct {
		AdminPath
		Body *ReasonInput `required:"false"`
	}) (*struct{}, error) {
		reason := ""
		if in.Body != nil {
			reason = in.Body.Reason
		}
		return nil, s.fail(ctx, s.Presenter.Manager.AdminStop(ctx, adminOf(ctx), in.id(), reason))
	})
	check := operation("admin-check", http.MethodPost, path+"/workspaces/{workspace_id}:check", "Say whether a change of anybody's workspace would fit", tag, http.StatusOK)
	check.Description = "Takes what changing its limits takes, and changes nothing. The quota is that of its owner."
	huma.Register(api, check, func(ctx context.Context, in *struct {
		AdminPath
		Body WorkspaceUpdate
	}) (*struct{ Body Check }, error) {
		checked, err := s.Presenter.AdminCheck(ctx, adminOf(ctx), in.id(), in.Body)
		return answer(ctx, s, checked, err)
	})
	resize := operation("admin-resize", http.MethodPatch, path+"/workspaces/{workspace_id}", "Change the limits of anybody's workspace", tag, http.StatusOK)
	resize.Description = "Compute, storage and idle timeout only. It is written down who did."
	huma.Register(api, resize, func(ctx context.Context, in *struct {
		AdminPath
		Body WorkspaceUpdate
	}) (*workspaceOutput, error) {
		view, err := s.Presenter.Manager.AdminUpdate(ctx, adminOf(ctx), in.id(), in.Body.Request())
		return s.show(ctx, view, err)
	})
}
