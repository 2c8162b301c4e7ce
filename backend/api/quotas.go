package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Amount is one resource of a user: what is really used, what may be, and the bound.
type Amount struct {
	Used     *float64 `json:"used" doc:"What is really used, as last measured; null when it is not known."`
	Reserved float64  `json:"reserved" doc:"The sum of the limits that are held."`
	Quota    *float64 `json:"quota" doc:"The user's own bound; null = none."`
	Total    *float64 `json:"total" doc:"What there is for everybody; null = not known or not bounded."`
	Unit     string   `json:"unit" enum:"CPUs,MB,"`
}

// QuotaLine is one bound that concerns a user.
type QuotaLine struct {
	Scope    string   `json:"scope" enum:"user,group,host"`
	Group    string   `json:"group" doc:"Name of the group."`
	Resource string   `json:"resource" enum:"workspaces,running,cpus,memory,storage,gpus"`
	Bound    *float64 `json:"bound" doc:"null = none."`
	Taken    float64  `json:"taken"`
	Unit     string   `json:"unit" enum:"CPUs,MB,"`
}

// Quota is what a user may have, and what is taken.
type Quota struct {
	User       string      `json:"user"`
	Groups     []string    `json:"groups" nullable:"false"`
	CPUs       Amount      `json:"cpus"`
	Memory     Amount      `json:"memory"`
	GPUs       Amount      `json:"gpus"`
	Storage    Amount      `json:"storage"`
	Workspaces Amount      `json:"workspaces"`
	Running    Amount      `json:"running"`
	Waiting    int         `json:"waiting" doc:"Starts that wait within the quotas."`
	Lines      []QuotaLine `json:"lines" nullable:"false" doc:"Every bound that concerns the user, those of groups and of the machine among them."`
}

// Check says what would become of a request.
type Check struct {
	Verdict  string `json:"verdict" enum:"fits,waits,refused"`
	Position int    `json:"position" doc:"Place in the queue, 1 = next, when it waits."`
	Short    string `json:"short" doc:"Why not, in a few words; empty when it fits." example:"over your quota by 2 GB of memory"`
	Reason   string `json:"reason" doc:"Why not, with the numbers and what would make it fit."`
}

// Proposal is what an image was found to be.
type Proposal struct {
	Profile string `json:"profile" doc:"Empty: not known before the image is here."`
	Port    int    `json:"port" doc:"Where its IDE listens; 0 = where the profile says."`
	Why     string `json:"why" doc:"One sentence for people."`
	Sure    bool   `json:"sure"`
}

// Profile is a kind of image.
type Profile struct {
	Name  string `json:"name" example:"jupyter-docker-stacks"`
	Title string `json:"title" example:"JupyterLab"`
	Port  int    `json:"port"`
	Note  string `json:"note" doc:"What people should know before they use it; may be empty."`
}

// Use is what a running workspace uses now.
type Use struct {
	ID     string   `json:"id"`
	CPUs   *float64 `json:"cpus" doc:"Over the last moments; null until two looks were taken."`
	Memory float64  `json:"memory" doc:"MB, without caches of files."`
}

// amountOf turns a count of a resource into what people count in.
func amountOf(resource quota.Resource, n int64) float64 {
	if resource == quota.ResourceCPUs {
		return float64(n) / 1e9
	}
	return float64(n)
}

func unitOf(resource quota.Resource) string {
	switch resource {
	case quota.ResourceCPUs:
		return "CPUs"
	case quota.ResourceMemory, quota.ResourceStorage:
		return "MB"
	}
	return ""
}

func linesOf(lines []quota.Line) []QuotaLine {
	shown := make([]QuotaLine, len(lines))
	for i, line := range lines {
		shown[i] = QuotaLine{
			Scope: string(line.Scope), Group: line.Group, Resource: string(line.Resource),
			Taken: amountOf(line.Resource, line.Taken), Unit: unitOf(line.Resource),
		}
		if line.Bound >= 0 {
			bound := amountOf(line.Resource, line.Bound)
			shown[i].Bound = &bound
		}
	}
	return shown
}

// Quota shows what a user may have.
func (p *Presenter) Quota(caller manager.Caller, owner workspace.Owner) (Quota, error) {
	report, err := p.Manager.Quota(caller, owner)
	if err != nil {
		return Quota{}, err
	}
	host := p.Manager.Engine().Host
	shown := Quota{User: string(owner), Groups: orEmpty(report.Groups), Waiting: report.Waiting, Lines: linesOf(report.Lines)}
	amounts := map[quota.Resource]*Amount{
		quota.ResourceCPUs: &shown.CPUs, quota.ResourceMemory: &shown.Memory, quota.ResourceGPUs: &shown.GPUs,
		quota.ResourceStorage: &shown.Storage, quota.ResourceWorkspaces: &shown.Workspaces, quota.ResourceRunning: &shown.Running,
	}
	for resource, amount := range amounts {
		amount.Unit = unitOf(resource)
	}
	for i, line := range report.Lines {
		switch amount := amounts[line.Resource]; line.Scope {
		case quota.ScopeUser:
			amount.Quota, amount.Reserved = shown.Lines[i].Bound, shown.Lines[i].Taken
		case quota.ScopeHost:
			amount.Total = shown.Lines[i].Bound
		}
	}
	can := p.Manager.Capabilities()
	if can.Stats {
		shown.CPUs.Used, shown.Memory.Used = &report.UsedCPUs, number(report.UsedMemoryMB)
	}
	if can.Measures {
		shown.Storage.Used = number(report.StorageMB)
	}
	shown.Storage.Reserved = float64(report.ReservedStorage)
	if shown.CPUs.Total == nil && host.CPUs > 0 {
		shown.CPUs.Total = number(int64(host.CPUs))
	}
	if shown.Memory.Total == nil && host.MemoryMB > 0 {
		shown.Memory.Total = number(host.MemoryMB)
	}
	return shown, nil
}

func number(n int64) *float64 {
	value := float64(n)
	return &value
}

// checkOf shows a decision.
func checkOf(d quota.Decision) Check {
	verdict := map[quota.Verdict]string{quota.Admitted: "fits", quota.Queued: "waits", quota.Refused: "refused"}[d.Verdict]
	return Check{Verdict: verdict, Position: d.Position, Short: d.Short, Reason: d.Reason}
}

// Check says what would become of a new workspace.
func (p *Presenter) Check(ctx context.Context, caller manager.Caller, owner workspace.Owner, input WorkspaceInput) (Check, error) {
	decision, err := p.Manager.Check(ctx, caller, owner, input.Request())
	return checkOf(decision), err
}

// CheckUpdate says what would become of a change.
func (p *Presenter) CheckUpdate(ctx context.Context, caller manager.Caller, owner workspace.Owner, id workspace.ID, update WorkspaceUpdate) (Check, error) {
	decision, err := p.Manager.CheckUpdate(ctx, caller, owner, id, update.Request())
	return checkOf(decision), err
}

// AdminCheck says what would become of an administrator's change of anybody's workspace.
func (p *Presenter) AdminCheck(ctx context.Context, caller manager.Caller, id workspace.ID, update WorkspaceUpdate) (Check, error) {
	decision, err := p.Manager.AdminCheck(ctx, caller, id, update.Request())
	return checkOf(decision), err
}

// Detect says what an image seems to be.
func (p *Presenter) Detect(ctx context.Context, image string) (Proposal, error) {
	found, err := p.Manager.Detect(ctx, image)
	return Proposal(found), err
}

// Profiles lists the kinds of image there are.
func (p *Presenter) Profiles() []Profile {
	known := p.Manager.Settings().Profiles
	shown := make([]Profile, len(known))
	for i, one := range known {
		shown[i] = profileOf(one)
	}
	return shown
}

func profileOf(p profile.Profile) Profile {
	return Profile{Name: p.Name, Title: p.Title, Port: p.Port, Note: p.Note}
}

func usesOf(uses []manager.Use) []Use {
	shown := make([]Use, len(uses))
	for i, use := range uses {
		shown[i] = Use{ID: string(use.ID), Memory: float64(use.MemoryBytes) / (1 << 20)}
		if use.CPUs >= 0 {
			cpus := use.CPUs
			shown[i].CPUs = &cpus
		}
	}
	return shown
}

// Vote is one piece of evidence on whether a workspace is in use.
type Vote struct {
	Kind   string     `json:"kind" example:"kernel"`
	Active bool       `json:"active" doc:"In use right now."`
	At     *time.Time `json:"at" doc:"When it was seen."`
	Until  *time.Time `json:"until" doc:"Until when it is not stopped, whatever else is known."`
	Reason string     `json:"reason" doc:"The beginning of a sentence for people." example:"a cell of thesis.ipynb runs"`
}

// Activity is what speaks for the use of a workspace, and what follows.
type Activity struct {
	InUse   bool       `json:"in_use"`
	Since   *time.Time `json:"since" doc:"Since when nobody has used it."`
	StopsAt *time.Time `json:"stops_at" doc:"When it will be stopped if nobody uses it; null = never, as things are."`
	Reason  string     `json:"reason"`
	Votes   []Vote     `json:"votes" nullable:"false" doc:"The strongest first."`
}

// Activity shows what speaks for the use of a workspace.
func (p *Presenter) Activity(caller manager.Caller, owner workspace.Owner, id workspace.ID) (Activity, error) {
	verdict, err := p.Manager.InUse(caller, owner, id)
	if err != nil {
		return Activity{}, err
	}
	shown := Activity{InUse: verdict.InUse, Since: timeOrNil(verdict.IdleSince), StopsAt: timeOrNil(verdict.StopsAt), Reason: verdict.Reason, Votes: make([]Vote, len(verdict.Votes))}
	for i, vote := range verdict.Votes {
		shown.Votes[i] = Vote{Kind: vote.Kind, Active: vote.Active, At: timeOrNil(vote.At), Until: timeOrNil(vote.Until), Reason: vote.Reason}
	}
	return shown, nil
}

// ExtendInput says for how long a workspace shall be kept from being stopped for being unused.
type ExtendInput struct {
	_       struct{}     `additionalProperties:"true"`
	Seconds MaybeSeconds `json:"seconds,omitempty" doc:"From now; its idle timeout once more when left out."`
}

// Duration is the time that was asked for, 0 when none was.
func (in *ExtendInput) Duration() time.Duration {
	if in == nil || !in.Seconds.Said {
		return 0
	}
	return in.Seconds.Value.Duration()
}

func (s *service) registerQuotas(api huma.API) {
	const tag = "Limits and quotas"
	quotas := ofUser(operation("get-quota", http.MethodGet, "/quota", "What you may have, and what is taken", tag, http.StatusOK))
	huma.Register(api, quotas, func(ctx context.Context, in *struct{ OfUser }) (*struct{ Body Quota }, error) {
		owner, err := in.owner(ctx, s)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		shown, err := s.Presenter.Quota(callerOf(ctx), owner)
		return answer(ctx, s, shown, err)
	})
	limits := ofUser(operation("get-limits", http.MethodGet, "/limits", "The limits of one workspace of yours, and who holds them", tag, http.StatusOK))
	limits.Description = "`enforced`: the kernel or the engine holds it. `watched`: it is measured, and what exceeds it is stopped with the reason. `engine`: the engine holds it as far as it does that, and does not tell."
	huma.Register(api, limits, func(ctx context.Context, in *struct {
		OfUser
		Profile string `query:"profile" maxLength:"100" doc:"Image profile, for which other limits may hold."`
	}) (*struct{ Body Limits }, error) {
		owner, err := in.owner(ctx, s)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body Limits }{s.Presenter.Limits(owner, in.Profile)}, nil
	})
	profiles := operation("list-profiles", http.MethodGet, "/profiles", "The kinds of image there are", tag, http.StatusOK)
	huma.Register(api, profiles, func(context.Context, *struct{}) (*struct{ Body []Profile }, error) {
		return &struct{ Body []Profile }{s.Presenter.Profiles()}, nil
	})
	detect := operation("detect-image", http.MethodGet, "/images:detect", "Say what kind of image it seems to be, and why", tag, http.StatusOK)
	huma.Register(api, detect, func(ctx context.Context, in *struct {
		Image string `query:"image" required:"true" maxLength:"2000" doc:"Name of the image."`
	}) (*struct{ Body Proposal }, error) {
		proposal, err := s.Presenter.Detect(ctx, in.Image)
		return answer(ctx, s, proposal, err)
	})
	check := operation("check-workspace", http.MethodPost, workspacesPath+":check", "Say whether a new workspace would fit", tag, http.StatusOK)
	check.Description = "Takes what creating one takes, and changes nothing. 422 when a field breaks a limit."
	huma.Register(api, check, func(ctx context.Context, in *struct {
		OwnerPath
		Body WorkspaceInput
	}) (*struct{ Body Check }, error) {
		checked, err := s.Presenter.Check(ctx, callerOf(ctx), in.owner(), in.Body)
		return answer(ctx, s, checked, err)
	})
	checkUpdate := operation("check-update", http.MethodPost, workspacesPath+"/{workspace_id}:check", "Say whether a change would fit", tag, http.StatusOK)
	checkUpdate.Description = "Takes what changing one takes, and changes nothing. A workspace that does not run is asked about its next start. 422 when a field breaks a limit, 409 when it is less than what is in use."
	huma.Register(api, checkUpdate, func(ctx context.Context, in *struct {
		WorkspacePath
		Body WorkspaceUpdate
	}) (*struct{ Body Check }, error) {
		checked, err := s.Presenter.CheckUpdate(ctx, callerOf(ctx), in.owner(), in.id(), in.Body)
		return answer(ctx, s, checked, err)
	})
	inUse := operation("get-activity", http.MethodGet, workspacesPath+"/{workspace_id}:activity", "Say whether a workspace is in use, and what speaks for it", tag, http.StatusOK)
	huma.Register(api, inUse, func(ctx context.Context, in *struct{ WorkspacePath }) (*struct{ Body Activity }, error) {
		shown, err := s.Presenter.Activity(callerOf(ctx), in.owner(), in.id())
		return answer(ctx, s, shown, err)
	})
	extend := operation("extend-workspace", http.MethodPost, workspacesPath+"/{workspace_id}:extend", "Keep a workspace from being stopped for being unused", tag, http.StatusOK)
	huma.Register(api, extend, func(ctx context.Context, in *struct {
		WorkspacePath
		Body *ExtendInput `required:"false"`
	}) (*workspaceOutput, error) {
		view, err := s.Presenter.Manager.Extend(ctx, callerOf(ctx), in.owner(), in.id(), in.Body.Duration())
		return s.show(ctx, view, err)
	})
}
