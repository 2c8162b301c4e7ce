package manager

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Overview is what an administrator sees of everybody.
type Overview struct {
	Workspaces []*workspace.Workspace // sorted by owner and creation
	Owners     []OwnerOverview        // sorted by owner
	Host       []quota.Line
	GPUs       []GPUHold
}

// OwnerOverview is what one user has.
type OwnerOverview struct {
	Owner    workspace.Owner
	Groups   []string
	Exists   int
	Reserved quota.Amounts
	Quota    quota.Sums
	// StorageMB is what the volumes may hold, UsedStorageMB what they held when they were last measured.
	StorageMB     int64
	UsedStorageMB int64
}

// Overview tells who has what. CodeForbidden unless the caller is an administrator.
func (m *Manager) Overview(caller Caller) (Overview, error) {
	if err := caller.mayAdminister(); err != nil {
		return Overview{}, err
	}
	overview := Overview{GPUs: m.GPUs()}
	m.mu.Lock()
	defer m.mu.Unlock()
	policy := m.settings.Load().Policy
	owners := map[workspace.Owner]*OwnerOverview{}
	for _, e := range m.entries {
		overview.Workspaces = append(overview.Workspaces, e.published)
		o := owners[e.record.Owner]
		if o == nil {
			o = &OwnerOverview{Owner: e.record.Owner, Groups: policy.GroupsOf(e.record.Owner), Quota: policy.SumsFor(e.record.Owner)}
			owners[e.record.Owner] = o
		}
		o.Exists++
		o.Reserved = o.Reserved.Plus(e.held())
		o.StorageMB += e.record.Spec.Storage.VolumeMB
		o.UsedStorageMB += megabytes(e.use.volume.Bytes)
	}
	slices.SortFunc(overview.Workspaces, func(a, b *workspace.Workspace) int {
		if a.Record.Owner != b.Record.Owner {
			return strings.Compare(string(a.Record.Owner), string(b.Record.Owner))
		}
		return a.Record.CreatedAt.Compare(b.Record.CreatedAt)
	})
	for _, o := range owners {
		overview.Owners = append(overview.Owners, *o)
	}
	slices.SortFunc(overview.Owners, func(a, b OwnerOverview) int { return strings.Compare(string(a.Owner), string(b.Owner)) })
	for _, line := range m.books().Report(caller.User) {
		if line.Scope == quota.ScopeHost {
			overview.Host = append(overview.Host, line)
		}
	}
	return overview, nil
}

// AdminStop stops anybody's workspace, and writes down who did. Its owner reads the reason. CodeForbidden unless the
// caller is an administrator.
func (m *Manager) AdminStop(ctx context.Context, caller Caller, id workspace.ID, reason string) error {
	view, err := m.administered(caller, id)
	if err != nil {
		return err
	}
	reason = strings.TrimSpace(reason)
	if err := checkReason(reason); err != nil {
		return err
	}
	notice := fmt.Sprintf("Stopped by the administrator %s.", caller.User)
	if reason != "" {
		notice = fmt.Sprintf("Stopped by the administrator %s: %s", caller.User, reason)
	}
	if err := m.audit(ctx, caller, "stop", view, reason); err != nil {
		return err
	}
	return m.stopBecause(ctx, Caller{User: view.Record.Owner}, view.Record.Owner, id, workspace.ReasonAdmin, notice)
}

// AdminUpdate changes the limits of anybody's workspace, and writes down who did. CodeForbidden unless the caller is an
// administrator.
func (m *Manager) AdminUpdate(ctx context.Context, caller Caller, id workspace.ID, request UpdateRequest) (*workspace.Workspace, error) {
	view, err := m.administered(caller, id)
	if err != nil {
		return nil, err
	}
	resize := resizeOnly(request)
	if err := m.audit(ctx, caller, "resize", view, describeResize(resize)); err != nil {
		return nil, err
	}
	return m.Update(ctx, Caller{User: view.Record.Owner}, view.Record.Owner, id, resize)
}

// AdminCheck is CheckUpdate for AdminUpdate. CodeForbidden unless the caller is an administrator.
func (m *Manager) AdminCheck(ctx context.Context, caller Caller, id workspace.ID, request UpdateRequest) (quota.Decision, error) {
	view, err := m.administered(caller, id)
	if err != nil {
		return quota.Decision{}, err
	}
	return m.CheckUpdate(ctx, Caller{User: view.Record.Owner}, view.Record.Owner, id, resizeOnly(request))
}

// resizeOnly leaves out what is no administrator's: what the workspace is stays its owner's business.
func resizeOnly(request UpdateRequest) UpdateRequest {
	return UpdateRequest{
		CPUs: request.CPUs, MemoryMB: request.MemoryMB, ShmMB: request.ShmMB, Processes: request.Processes, GPUs: request.GPUs,
		VolumeMB: request.VolumeMB, ContainerMB: request.ContainerMB, IdleTimeout: request.IdleTimeout,
	}
}

func describeResize(r UpdateRequest) string {
	var parts []string
	say := func(name string, said bool, value func() string) {
		if said {
			parts = append(parts, name+" "+value())
		}
	}
	say("CPUs", r.CPUs != nil, func() string { return fmt.Sprint(*r.CPUs) })
	for _, size := range []struct {
		name string
		mb   *int64
	}{{"memory", r.MemoryMB}, {"shared memory", r.ShmMB}, {"volume", r.VolumeMB}, {"container", r.ContainerMB}} {
		say(size.name, size.mb != nil, func() string { return quota.FormatMB(*size.mb) })
	}
	say("processes", r.Processes != nil, func() string { return fmt.Sprint(*r.Processes) })
	say("GPUs", r.GPUs != nil, func() string { return fmt.Sprint(*r.GPUs) })
	say("idle timeout", r.IdleTimeout != nil, func() string { return r.IdleTimeout.String() })
	return strings.Join(parts, ", ")
}

// maxReason is how many characters an administrator's reason may have.
const maxReason = 300

func checkReason(reason string) error {
	if len([]rune(reason)) > maxReason {
		return workspace.Invalid("reason", "The reason has %d characters; %d are allowed.", len([]rune(reason)), maxReason)
	}
	if reason == "" {
		return nil
	}
	if err := workspace.CheckText(reason); err != nil {
		return workspace.Invalid("reason", "The reason %s.", err)
	}
	return nil
}

func (m *Manager) administered(caller Caller, id workspace.ID) (*workspace.Workspace, error) {
	if err := caller.mayAdminister(); err != nil {
		return nil, err
	}
	view, there := m.board.get(id)
	if !there {
		return nil, notFound(id)
	}
	return view, nil
}

// audit writes down what somebody is about to do to what is another's; what cannot be written down is not done.
func (m *Manager) audit(ctx context.Context, caller Caller, action string, view *workspace.Workspace, detail string) error {
	m.Log.Info("somebody acts for another", "who", caller.User, "action", action, "id", view.Record.ID, "owner", view.Record.Owner, "detail", detail)
	return m.Store.AddAudit(ctx, workspace.AuditEntry{
		At: m.Now(), Actor: caller.User, Action: action, Owner: view.Record.Owner, ID: view.Record.ID, Name: view.Record.Spec.DisplayName, Detail: detail,
	})
}

// ActsFor writes down that somebody is about to do something for another owner, who has let them or whom they administer. id is
// the workspace; "" = none that there is. What cannot be written down is not to be done.
func (m *Manager) ActsFor(ctx context.Context, caller Caller, action string, id workspace.ID) error {
	view, there := m.board.get(id)
	if !there {
		view = &workspace.Workspace{Record: workspace.Record{ID: id, Owner: caller.For}}
	}
	return m.audit(ctx, caller, action, view, "")
}

// Audit returns what administrators did last, the newest first. CodeForbidden unless the caller is an administrator.
func (m *Manager) Audit(ctx context.Context, caller Caller, most int) ([]workspace.AuditEntry, error) {
	if err := caller.mayAdminister(); err != nil {
		return nil, err
	}
	return m.Store.Audit(ctx, most)
}

// mayAdminister refuses who is no administrator.
func (c Caller) mayAdminister() error {
	if c.Admin {
		return nil
	}
	return workspace.Errorf(workspace.CodeForbidden, "Only an administrator may do this.")
}

// extendAtMost bounds how far ahead an owner can ask not to be stopped for being unused.
const extendAtMost = 7 * 24 * time.Hour

// Extend keeps a workspace from being stopped for being unused for a while from now, whatever happens in it. CodeInvalid
// for a time that is not positive or longer than a week, CodeWrongState when it does not run or has no idle timeout.
func (m *Manager) Extend(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, by time.Duration) (*workspace.Workspace, error) {
	e, err := m.change(ctx, caller, owner, id, func(_ *entry, record *workspace.Record) error {
		if by == 0 {
			by = min(record.Spec.IdleTimeout, extendAtMost)
		}
		switch {
		case by < 0 || by > extendAtMost:
			return workspace.Invalid("seconds", "It can be kept for up to 7 days more, not for %s.", by)
		case record.Spec.IdleTimeout == 0:
			return workspace.Errorf(workspace.CodeWrongState, "The workspace %q is never stopped for being unused: it has no idle timeout.", record.Spec.DisplayName)
		case !wantsToRun(*record):
			return workspace.Errorf(workspace.CodeWrongState, "The workspace %q does not run.", record.Spec.DisplayName)
		}
		record.KeepUntil = m.Now().Add(by)
		m.idleSoon.ring()
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.published, nil
}
