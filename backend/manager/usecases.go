package manager

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Caller is on whose behalf something is asked. Who that is was found out by an adapter.
type Caller struct {
	User  workspace.Owner
	Admin bool
	// For is an owner for whom they may act besides themselves, because somebody who decides that has said so; "" = nobody.
	For workspace.Owner
}

func (c Caller) mayActFor(owner workspace.Owner) error {
	if c.Admin || (owner != "" && (c.User == owner || c.For == owner)) {
		return nil
	}
	return workspace.Errorf(workspace.CodeForbidden, "You may only see and change your own workspaces.")
}

// CreateRequest is what can be said of a new workspace; zero values and nil pointers mean the default.
type CreateRequest struct {
	DisplayName       *string
	Image             *string
	Profile           string
	CPUs              *float64
	MemoryMB          *int64
	ShmMB             *int64 // 0 = what goes with the memory
	Processes         *int64
	GPUs              *int64
	Port              *int // where the IDE listens; 0 = where its profile says
	VolumeMB          *int64
	ContainerMB       *int64
	IdleTimeout       *time.Duration
	ClearVolumeOnStop bool
	Stopped           bool   // create it without starting it
	Volume            string // a kept volume to use; "" = a new one
	// CreatedAt is when it was made first, of one that was deleted and is made again; nil = now. What is more than the limits
	// allow by now is then lowered, and what may not run by now comes back stopped.
	CreatedAt *time.Time
}

// UpdateRequest is what can be changed; nil means unchanged.
type UpdateRequest struct {
	DisplayName       *string
	Image             *string
	Profile           *string
	CPUs              *float64
	MemoryMB          *int64
	ShmMB             *int64 // 0 = what goes with the memory
	Processes         *int64
	GPUs              *int64
	Port              *int // where the IDE listens; 0 = where its profile says
	VolumeMB          *int64
	ContainerMB       *int64
	IdleTimeout       *time.Duration
	ClearVolumeOnStop *bool
	// Volume may repeat the name of its volume; another one is refused.
	Volume string
}

// DefaultDisplayName is the name of a workspace that was given none (upstream's default).
const DefaultDisplayName = "Default Workspace"

// deleteTimeout bounds how long Delete and Stop wait until it is done; the work itself goes on.
const deleteTimeout = 2 * time.Minute

// List returns the owner's workspaces, sorted by creation. It reads memory only.
func (m *Manager) List(caller Caller, owner workspace.Owner) ([]*workspace.Workspace, error) {
	if err := caller.mayActFor(owner); err != nil {
		return nil, err
	}
	return m.board.list(owner), nil
}

// Get returns one workspace. It reads memory only.
func (m *Manager) Get(caller Caller, owner workspace.Owner, id workspace.ID) (*workspace.Workspace, error) {
	if err := caller.mayActFor(owner); err != nil {
		return nil, err
	}
	view, there := m.board.get(id)
	if !there || view.Record.Owner != owner {
		return nil, notFound(id)
	}
	return view, nil
}

func notFound(id workspace.ID) error {
	return workspace.Errorf(workspace.CodeNotFound, "There is no workspace %q.", clip(string(id)))
}

// clip bounds what of the input comes back in a sentence.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// Create stores a new workspace, which then starts unless it was asked to be stopped. It returns at once, but where the engine
// keeps what should be: then when that knows it, since nobody else would after a restart.
// CodeInvalid for a field that breaks a rule or a limit, CodeConflict for a name or a volume that is taken,
// CodeUnavailable while the engine does not answer.
func (m *Manager) Create(ctx context.Context, caller Caller, owner workspace.Owner, request CreateRequest) (*workspace.Workspace, error) {
	e, view, err := m.create(ctx, caller, owner, request)
	if err != nil || !m.can.Keeps {
		return view, err
	}
	return m.whenTold(ctx, e)
}

// create makes the entry of a new workspace, and returns what is shown of it at first.
func (m *Manager) create(ctx context.Context, caller Caller, owner workspace.Owner, request CreateRequest) (*entry, *workspace.Workspace, error) {
	if err := caller.mayActFor(owner); err != nil {
		return nil, nil, err
	}
	request.Profile = m.proposeFor(ctx, request.Profile, request.Image, &request.Port)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuseWithoutEngine(); err != nil {
		return nil, nil, err
	}
	spec, told, err := m.newSpec(owner, request)
	if err != nil {
		return nil, nil, err
	}
	if err := m.refuseTakenName(owner, spec.DisplayName, ""); err != nil {
		return nil, nil, err
	}
	now := m.Now()
	record := workspace.Record{
		UID: m.NewUID(), Owner: owner, Spec: spec, Desired: workspace.DesiredRunning, Attempt: 1,
		CreatedAt: now, UpdatedAt: now, DesiredAt: now, Notice: told,
	}
	if request.Stopped {
		record.Desired = workspace.DesiredStopped
	}
	if request.CreatedAt != nil {
		if request.CreatedAt.After(now) {
			return nil, nil, workspace.Invalid("created_at", "created_at is in the future. Leave it out for a new workspace.")
		}
		record.CreatedAt = *request.CreatedAt
	}
	if err := m.nameIt(&record, request.Volume); err != nil {
		return nil, nil, err
	}
	d := m.admission(record, nil, true, !request.Stopped)
	if d.Verdict == quota.Refused && request.CreatedAt != nil && !request.Stopped {
		if atRest := m.admission(record, nil, true, false); atRest.Verdict == quota.Admitted {
			record.Desired, record.NoticeCode = workspace.DesiredStopped, workspace.ReasonOverQuota
			record.Notice = strings.TrimSpace("It is back, but may not run now. " + d.Reason + " " + told)
			d = atRest
		}
	}
	if err := m.obey(&record, nil, d); err != nil {
		return nil, nil, err
	}
	if err := m.Store.PutRecord(ctx, record); err != nil {
		return nil, nil, err
	}
	e := &entry{record: record}
	m.insert(e)
	m.reconsider(e)
	if request.Volume != "" {
		m.board.announce(EventVolumes, owner)
	}
	return e, e.published, nil
}

// nameIt chooses the id and the volume of a new workspace: the kept volume that was asked for, else one that does not exist, so
// that files of a deleted workspace never appear in a new one unasked. The caller holds the lock.
func (m *Manager) nameIt(record *workspace.Record, asked string) error {
	if asked != "" {
		if _, err := m.keptVolume(record.Owner, asked); err != nil {
			return err
		}
		if m.deleting[asked] {
			return workspace.Errorf(workspace.CodeConflict, "The volume %q is being deleted.", asked)
		}
		record.Volume, record.VolumeAdopted = asked, true
	}
	if m.can.Keeps && asked != "" {
		record.ID = idOfVolume(record.Owner, asked)
		return nil
	}
	record.ID = m.newID(record.Owner, record.Spec.DisplayName)
	if asked == "" {
		record.Volume = m.newVolume(record.Owner, record.ID)
	}
	return nil
}

// ownVolume is how the volume of a workspace is called that has its own.
func ownVolume(owner workspace.Owner, id workspace.ID) string {
	return fmt.Sprintf("%s-%s-vol", owner, id)
}

// idOfVolume is the only workspace that can have a volume where the engine names volumes after workspaces.
func idOfVolume(owner workspace.Owner, volume string) workspace.ID {
	return workspace.ID(strings.TrimSuffix(strings.TrimPrefix(volume, string(owner)+"-"), "-vol"))
}

// newID names a new workspace. The caller holds the lock.
func (m *Manager) newID(owner workspace.Owner, displayName string) workspace.ID {
	taken := func(id workspace.ID) bool {
		_, taken := m.entries[id]
		if _, kept := m.volumes[ownVolume(owner, id)]; kept && m.can.Keeps { // it would have those files
			return true
		}
		return taken
	}
	if namespace := m.engine.host.Namespace; namespace != "" {
		return workspace.NewLabID(namespace, owner, displayName, taken)
	}
	return workspace.NewID(m.Namespace, owner, displayName, taken)
}

// newSpec is the spec of a new workspace; told says what of one that is made again was lowered. The caller holds the lock.
func (m *Manager) newSpec(owner workspace.Owner, request CreateRequest) (spec workspace.Spec, told string, err error) {
	spec = workspace.Spec{DisplayName: DefaultDisplayName, ClearVolumeOnStop: request.ClearVolumeOnStop}
	if catalog := m.settings.Load().Catalog; len(catalog) > 0 {
		spec.Image = catalog[0].Image
	}
	assign(&spec.DisplayName, request.DisplayName)
	assign(&spec.Image, request.Image)
	if spec.Profile, err = m.profileFor(request.Profile, spec.Image); err != nil {
		return spec, "", err
	}
	limits := m.LimitsFor(owner, spec.Profile)
	spec.IdleTimeout, spec.Compute.GPUs = limits.IdleTimeout.Default, limits.GPUs.Default
	assign(&spec.Compute.CPUs, request.CPUs)
	assign(&spec.Compute.MemoryMB, request.MemoryMB)
	assign(&spec.AskedShmMB, request.ShmMB)
	assign(&spec.Compute.Processes, request.Processes)
	assign(&spec.Compute.GPUs, request.GPUs)
	assign(&spec.Port, request.Port)
	assign(&spec.Storage.VolumeMB, request.VolumeMB)
	assign(&spec.Storage.ContainerMB, request.ContainerMB)
	assign(&spec.IdleTimeout, request.IdleTimeout)
	if err := refuseZero(spec, request.CPUs, request.MemoryMB); err != nil {
		return spec, "", err
	}
	spec = limits.Complete(spec)
	if request.CreatedAt != nil {
		spec, told = limits.MeetAgain(spec)
	}
	if kept := m.volumes[request.Volume]; kept.Owner == owner {
		if held := heldTo(kept); request.VolumeMB == nil && held > 0 {
			spec.Storage.VolumeMB = min(spec.Storage.VolumeMB, held)
		}
		if err := refuseMoreThanMade(kept, spec.Storage.VolumeMB); err != nil {
			return spec, "", err
		}
	}
	return spec, told, m.checkSpec(owner, spec, nil)
}

// heldTo is the size to which the engine holds a volume, in MB; 0 = to none, or to one that nobody knows.
func heldTo(volume workspace.Volume) int64 {
	if !volume.Enforced {
		return 0
	}
	return volume.SizeMB
}

// refuseMoreThanMade refuses a size that is more than what a volume was made for, where the engine holds it to that: no
// engine changes a volume that is there. Less is no matter, the manager watches over that.
func refuseMoreThanMade(volume workspace.Volume, sizeMB int64) error {
	held := heldTo(volume)
	if held == 0 || sizeMB <= held {
		return nil
	}
	refused := workspace.Invalid("storage.volume_size", "This volume was made for %s, and the engine cannot enlarge it.", quota.FormatMB(held))
	refused.Hint = "Create a workspace with a larger volume, and copy the files there."
	return refused
}

func assign[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// refuseZero refuses a zero that was said: for Docker it would mean no limit at all.
func refuseZero(spec workspace.Spec, cpus *float64, memory *int64) error {
	if cpus != nil && spec.Compute.CPUs == 0 {
		return workspace.Invalid("compute.cpus", "0 CPUs would mean no limit. Say how many it may use.")
	}
	if memory != nil && spec.Compute.MemoryMB == 0 {
		return workspace.Invalid("compute.memory", "0 MB of memory would mean no limit. Say how much it may use.")
	}
	return nil
}

// checkSpec refuses a spec that breaks a rule or a limit; before is the one in force, nil at creation.
func (m *Manager) checkSpec(owner workspace.Owner, spec workspace.Spec, before *workspace.Spec) error {
	if err := workspace.CheckDisplayName(spec.DisplayName); err != nil {
		return err
	}
	if before == nil || before.Image != spec.Image {
		if err := checkImage(spec.Image); err != nil {
			return err
		}
		if err := m.checkAllowed(spec.Image); err != nil {
			return err
		}
	}
	if err := workspace.CheckIdleTimeout(spec.IdleTimeout); err != nil {
		return err
	}
	if spec.Port < 0 || spec.Port > math.MaxUint16 {
		return workspace.Invalid("port", "%d is no port. Use 1 to %d, or 0 for the one of the image profile.", spec.Port, math.MaxUint16)
	}
	return m.LimitsFor(owner, spec.Profile).Check(spec, before)
}

func checkImage(image string) error {
	if len(image) > workspace.MaxImageLength {
		return workspace.Invalid("container_image", "The name of the image has %d characters; %d are allowed.", len(image), workspace.MaxImageLength)
	}
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		return workspace.Invalid("container_image", "%q is no name of an image. It looks like name:tag or registry/name:tag, in lower case.", clip(image))
	}
	return nil
}

// refuseTakenName refuses a display name that another workspace of the owner has. The caller holds the lock.
func (m *Manager) refuseTakenName(owner workspace.Owner, name string, but workspace.ID) error {
	for _, other := range m.board.list(owner) {
		if other.Record.ID != but && strings.TrimSpace(other.Record.Spec.DisplayName) == strings.TrimSpace(name) {
			taken := workspace.Errorf(workspace.CodeConflict, "A workspace with the name %s already exists for user %s!", name, owner)
			taken.Field = "display_name"
			return taken
		}
	}
	return nil
}

// newVolume names a volume that does not exist. The caller holds the lock.
func (m *Manager) newVolume(owner workspace.Owner, id workspace.ID) string {
	base := ownVolume(owner, id)
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		if _, taken := m.volumes[name]; !taken && m.userOf(name) == "" {
			return name
		}
	}
}

// refuseWithoutEngine refuses changes while the engine does not answer. The caller holds the lock.
func (m *Manager) refuseWithoutEngine() error {
	if m.engine.up {
		return nil
	}
	return &workspace.Error{Code: workspace.CodeUnavailable, Message: "Nothing can be changed now. " + m.engine.reason, Hint: m.engine.hint}
}

// change is the one way to change what should be: it checks who asks, lets decide change a copy of the record, writes
// the copy to the store and only then to memory, and redirects the reconciler.
func (m *Manager) change(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, decide func(e *entry, record *workspace.Record) error) (*entry, error) {
	if err := caller.mayActFor(owner); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, there := m.entries[id]
	if !there || e.record.Owner != owner {
		return nil, notFound(id)
	}
	if err := m.refuseWithoutEngine(); err != nil {
		return nil, err
	}
	record := e.record
	if err := decide(e, &record); err != nil {
		return e, err
	}
	if record == e.record {
		return e, nil
	}
	now := m.Now()
	record.UpdatedAt = now
	if record.Desired != e.record.Desired || record.Attempt != e.record.Attempt {
		record.DesiredAt = now
	}
	if err := m.Store.PutRecord(ctx, record); err != nil {
		return nil, err
	}
	if record.Spec.IdleTimeout != e.record.Spec.IdleTimeout {
		e.probeDue = time.Time{}
		m.idleSoon.ring()
	}
	e.record, e.refused = record, nil
	m.redirect(e)
	return e, nil
}

func refuseDeleted(record *workspace.Record) error {
	if record.Desired == workspace.DesiredDeleted {
		return workspace.Errorf(workspace.CodeWrongState, "The workspace %q is being deleted.", record.Spec.DisplayName)
	}
	return nil
}

// startAnew asks for a new attempt. At a start the size of /dev/shm follows the memory, limits that were lowered are met,
// and the quotas are asked: the attempt may have to wait. The caller holds the lock.
func (m *Manager) startAnew(e *entry, record *workspace.Record) error {
	limits := m.LimitsFor(record.Owner, record.Spec.Profile)
	met, told := limits.Meet(record.Spec)
	met.Compute.ShmMB = limits.ShmFor(met)
	record.Spec = met
	running := isAdmitted(*record)
	wasFull := record.NoticeCode == workspace.ReasonStorageFull
	record.Desired, record.DeleteVolume = workspace.DesiredRunning, false
	if _, there := m.volumes[record.Volume]; !there && record.Spec.ClearVolumeOnStop {
		record.VolumeAdopted = false // what was adopted has been cleared, so there is nothing left to insist on
	}
	record.Attempt++
	record.Outcome, record.Notice, record.NoticeCode = nil, told, ""
	if m.filesGone(e) { // who starts it has read that
		record.Cleared, record.VolumeAdopted = true, false
		record.Notice = strings.TrimSpace("It has begun anew, without its files: the volume " + record.Volume + " had been removed outside. " + told)
		record.NoticeCode = workspace.ReasonFilesGone
	}
	record.GraceUntil, record.KeepUntil = time.Time{}, time.Time{}
	if wasFull || e.full() {
		record.GraceUntil = m.Now().Add(m.settings.Load().FullGrace)
		m.measureNow.ring()
	}
	d := m.admission(*record, e, false, true)
	if d.Verdict == quota.Queued && running { // it is not ended for a place in the queue
		d.Verdict = quota.Refused
	}
	return m.obey(record, e.observed, d)
}

// Start starts a workspace that is stopped or has ended. CodeWrongState when it runs or starts already (ML Lab's rule).
func (m *Manager) Start(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID) error {
	_, err := m.change(ctx, caller, owner, id, func(e *entry, record *workspace.Record) error {
		if err := refuseDeleted(record); err != nil {
			return err
		}
		if record.Desired == workspace.DesiredRunning && record.Outcome == nil {
			return workspace.Errorf(workspace.CodeWrongState, "The workspace %q is running or starting already. Only one that is stopped can be started.", record.Spec.DisplayName)
		}
		return m.startAnew(e, record)
	})
	return err
}

// Restart replaces the container of a workspace, or starts it if it does not run. Its files stay.
func (m *Manager) Restart(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID) error {
	_, err := m.change(ctx, caller, owner, id, func(e *entry, record *workspace.Record) error {
		if err := refuseDeleted(record); err != nil {
			return err
		}
		return m.startAnew(e, record)
	})
	return err
}

// Stop ends a workspace, or calls its start off, and returns when its container is gone. It is idempotent.
func (m *Manager) Stop(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID) error {
	return m.stopBecause(ctx, caller, owner, id, "", "")
}

// stopBecause is Stop with a reason that is shown then; "" where the owner asked.
func (m *Manager) stopBecause(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, code, notice string) error {
	e, err := m.change(ctx, caller, owner, id, func(_ *entry, record *workspace.Record) error {
		if err := refuseDeleted(record); err != nil {
			return err
		}
		if record.Desired != workspace.DesiredStopped {
			stopRecord(record, code, notice)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.waitFor(ctx, e, func(e *entry) bool {
		return e.removed || e.record.Desired != workspace.DesiredStopped || (e.observed == nil && !e.working)
	})
}

// stopRecord asks for the end of a workspace; notice says why, where it was not its owner who asked.
func stopRecord(record *workspace.Record, code, notice string) {
	// What waited has not run, so there is nothing to clear. A stop for being full or by an administrator never clears.
	clears := code == "" || code == workspace.ReasonIdle
	record.DeleteVolume = clears && record.Spec.ClearVolumeOnStop && record.QueuedAt.IsZero()
	record.Desired, record.Outcome, record.Notice, record.NoticeCode = workspace.DesiredStopped, nil, notice, code
	record.QueuedAt, record.AskedSince, record.GraceUntil, record.KeepUntil = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

// Delete removes a workspace and, only if asked, its files, and returns when it is gone. Without deleteVolume the volume
// is kept and listed; also when a deletion with files was asked for before, and these could not be deleted.
func (m *Manager) Delete(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, deleteVolume bool) error {
	e, err := m.change(ctx, caller, owner, id, func(e *entry, record *workspace.Record) error {
		record.Desired, record.QueuedAt = workspace.DesiredDeleted, time.Time{}
		record.DeleteVolume = deleteVolume || (record.DeleteVolume && !e.keepsFiles())
		return nil
	})
	if err != nil {
		return err
	}
	return m.waitFor(ctx, e, func(e *entry) bool { return e.removed })
}

// Keep takes a deletion back whose files could not be deleted. The workspace is stopped then. CodeWrongState when it is not
// being deleted, or too far gone.
func (m *Manager) Keep(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID) error {
	_, err := m.change(ctx, caller, owner, id, func(e *entry, record *workspace.Record) error {
		switch {
		case record.Desired != workspace.DesiredDeleted:
			return workspace.Errorf(workspace.CodeWrongState, "The workspace %q is not being deleted.", record.Spec.DisplayName)
		case !e.keepsFiles():
			return workspace.Errorf(workspace.CodeWrongState, "The workspace %q is being deleted right now, which cannot be taken back.", record.Spec.DisplayName)
		}
		stopRecord(record, "", "Its deletion was taken back.")
		record.DeleteVolume = false
		e.failing, e.failingAt = "", ""
		if e.told != "" {
			e.told = toldOtherwise
		}
		return nil
	})
	return err
}

func (m *Manager) waitFor(ctx context.Context, e *entry, until func(*entry) bool) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	m.mu.Lock()
	w := e.await(until)
	m.mu.Unlock()
	select {
	case <-w.met:
		return nil
	case <-ctx.Done():
		m.mu.Lock()
		e.waiters = slices.DeleteFunc(e.waiters, func(other *waiter) bool { return other == w })
		m.mu.Unlock()
		return workspace.Errorf(workspace.CodeTimeout, "It takes longer than expected and goes on in the background.")
	}
}

// Update changes a workspace: CPUs and memory at once, the name at once, the image by an immediate restart if it runs.
func (m *Manager) Update(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, request UpdateRequest) (*workspace.Workspace, error) {
	m.proposeForUpdate(ctx, id, &request)
	if err := m.refuseLessThanUsed(ctx, caller, owner, id, request.MemoryMB); err != nil {
		return nil, err
	}
	e, err := m.change(ctx, caller, owner, id, func(e *entry, record *workspace.Record) error {
		if err := refuseDeleted(record); err != nil {
			return err
		}
		if request.Volume != "" && request.Volume != record.Volume {
			return workspace.Invalid("storage.volume", "A workspace keeps its volume, here %s. To use another one, create a new workspace with it.", record.Volume)
		}
		before := record.Spec
		after, err := m.updatedSpec(*record, request)
		if err != nil {
			return err
		}
		if err := e.refuseLessThanStored(before, after); err != nil {
			return err
		}
		if after.DisplayName != before.DisplayName {
			if !m.can.Renames {
				return workspace.Errorf(workspace.CodeWrongState, "The display name cannot be updated: ML Lab keeps the name that a workspace was created with.")
			}
			if err := m.refuseTakenName(owner, after.DisplayName, id); err != nil {
				return err
			}
		}
		replaces := !m.can.Keeps && (after.Image != before.Image || after.Profile != before.Profile)
		if replaces && record.Desired == workspace.DesiredRunning && record.Outcome == nil {
			if record.Previous == nil {
				record.Previous = &workspace.PreviousImage{Image: before.Image, Profile: before.Profile, Attempt: record.Attempt}
			}
			record.Attempt++ // the end of the present container is wanted, and says nothing of the next one
		}
		record.Spec = after
		record.Notice, record.NoticeCode = "", ""
		waits := !record.QueuedAt.IsZero()
		d := m.admission(*record, e, false, waits)
		if waits {
			return m.obey(record, e.observed, d)
		}
		if d.Verdict == quota.Refused {
			return overQuota(d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.can.Keeps && m.runs(e) { // it is started anew by the change, which takes its time
		return m.whenBegun(ctx, e)
	}
	if m.can.Keeps {
		return m.whenTold(ctx, e)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.published, nil
}

// refuseLessThanStored refuses a volume that is smaller than what was measured in it.
func (e *entry) refuseLessThanStored(before, after workspace.Spec) error {
	used := megabytes(e.use.volume.Bytes)
	if after.Storage.VolumeMB >= before.Storage.VolumeMB || used <= after.Storage.VolumeMB {
		return nil
	}
	refused := workspace.Errorf(workspace.CodeConflict, "Its files take %s, so its volume cannot be lowered to %s.",
		quota.FormatMB(used), quota.FormatMB(after.Storage.VolumeMB))
	refused.Field, refused.Hint = "storage.volume_size", "Delete files first."
	return refused
}

// refuseLessThanUsed refuses a memory limit below what a running workspace uses now: the kernel would kill something in
// it, or refuse. nil asks for nothing, and what is no limit at all is refused as such elsewhere.
func (m *Manager) refuseLessThanUsed(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, asked *int64) error {
	if asked == nil || *asked < quota.MinMemoryMB {
		return nil
	}
	memoryMB := *asked
	view, err := m.Get(caller, owner, id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	handle := ""
	if e := m.entries[id]; e != nil && e.observed != nil && alive(e.observed) && memoryMB < e.observed.Compute.MemoryMB {
		handle = e.observed.Handle
	}
	m.mu.Unlock()
	if handle == "" {
		return nil
	}
	stats, err := m.Options.Engine.Stats(ctx, []string{handle})
	if err != nil || len(stats) == 0 {
		return err // one that has ended meanwhile uses nothing
	}
	if used := megabytes(stats[0].MemoryBytes); used > memoryMB {
		refused := workspace.Errorf(workspace.CodeConflict, "%q uses %s of memory now, so it cannot be lowered to %s while it runs.",
			view.Record.Spec.DisplayName, quota.FormatMB(used), quota.FormatMB(memoryMB))
		refused.Field, refused.Hint = "compute.memory", "Close notebooks or stop it first."
		return refused
	}
	return nil
}

// updatedSpec is the spec of a record as a request would have it. The caller holds the lock.
func (m *Manager) updatedSpec(record workspace.Record, request UpdateRequest) (workspace.Spec, error) {
	spec, before, owner := record.Spec, record.Spec, record.Owner
	assign(&spec.DisplayName, request.DisplayName)
	assign(&spec.Image, request.Image)
	assign(&spec.Compute.CPUs, request.CPUs)
	assign(&spec.Compute.MemoryMB, request.MemoryMB)
	assign(&spec.AskedShmMB, request.ShmMB)
	assign(&spec.Compute.Processes, request.Processes)
	assign(&spec.Compute.GPUs, request.GPUs)
	assign(&spec.Port, request.Port)
	assign(&spec.Storage.VolumeMB, request.VolumeMB)
	assign(&spec.Storage.ContainerMB, request.ContainerMB)
	assign(&spec.IdleTimeout, request.IdleTimeout)
	assign(&spec.ClearVolumeOnStop, request.ClearVolumeOnStop)
	if err := refuseZero(spec, request.CPUs, request.MemoryMB); err != nil {
		return spec, err
	}
	if request.Profile != nil || spec.Image != before.Image {
		asked := ""
		assign(&asked, request.Profile)
		var err error
		if spec.Profile, err = m.profileFor(asked, spec.Image); err != nil {
			return spec, err
		}
	}
	limits := m.LimitsFor(owner, spec.Profile)
	if request.ClearVolumeOnStop != nil && limits.AlwaysClearVolumeOnStop {
		spec.ClearVolumeOnStop = true // not unasked: a rename must not cost the files of who was there before the rule
	}
	if spec.Compute.MemoryMB != before.Compute.MemoryMB || spec.AskedShmMB != before.AskedShmMB {
		spec.Compute.ShmMB = limits.ShmFor(spec)
	}
	if spec.Profile != before.Profile {
		if err := limits.Check(spec, nil); err != nil { // other limits hold for it
			return spec, err
		}
	}
	if spec.Storage.VolumeMB != before.Storage.VolumeMB {
		if err := refuseMoreThanMade(m.volumes[record.Volume], spec.Storage.VolumeMB); err != nil {
			return spec, err
		}
	}
	return spec, m.checkSpec(owner, spec, &before)
}

// Logs writes the last lines of a workspace's container and, with follow, what comes. Without a container it writes what
// was kept of the last one.
func (m *Manager) Logs(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, lines int, follow bool, w io.Writer) error {
	if _, err := m.Get(caller, owner, id); err != nil {
		return err
	}
	if m.hasContainer(id) {
		err := m.Options.Engine.Logs(ctx, id, lines, follow, w)
		switch workspace.CodeOf(err) {
		case workspace.CodeNotFound, workspace.CodeConflict: // gone, or about to go
		default:
			return err
		}
	}
	text, err := m.Store.Log(ctx, id)
	if err != nil {
		return err
	}
	if lines > 0 && len(text) > 0 {
		text = []byte(strings.Join(lastLines(text, lines), "\n") + "\n")
	}
	_, err = w.Write(text)
	return err
}

func (m *Manager) hasContainer(id workspace.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, there := m.entries[id]
	return there && e.observed != nil
}

// Route is how a workspace's IDE is reached, for the access proxy. It carries the IDE's secret and stays inside.
type Route struct {
	Workspace         *workspace.Workspace
	Endpoint          string // "" while it cannot be reached
	AccessPath        string
	SecretHeaderName  string
	SecretHeaderValue string
	Headers           map[string]string // sent with every request; never written after the route was made
	// What pages of it do by themselves, see profile.Activity; never written after the route was made.
	Polls      []string
	QuietFrame int
	Typed      []string
}

func sameRoute(a, b Route) bool {
	return a.Workspace == b.Workspace && a.Endpoint == b.Endpoint && a.AccessPath == b.AccessPath &&
		a.SecretHeaderName == b.SecretHeaderName && a.SecretHeaderValue == b.SecretHeaderValue && maps.Equal(a.Headers, b.Headers)
}

// Route finds out how to reach a workspace. It is asked for every request to a workspace, so it waits for nothing, and it
// does not check who asks: the caller has done so.
func (m *Manager) Route(id workspace.ID) (Route, error) {
	route, there := m.board.route(id)
	if !there {
		return Route{}, notFound(id)
	}
	return route, nil
}

// routeTo computes the route to a workspace as it is shown. The caller holds the lock.
func (m *Manager) routeTo(e *entry, view *workspace.Workspace) Route {
	prof := m.profileOf(e.record.Spec)
	route := Route{Workspace: view, AccessPath: prof.AccessPath(e.record.Owner, e.record.ID)}
	// While the engine is away its containers usually go on: who works in one is not thrown out.
	away := view.Status == workspace.StatusUnknown && e.isReady()
	if view.Status == workspace.StatusRunning || away {
		route.Endpoint = e.observed.Endpoint
		route.Polls, route.QuietFrame, route.Typed = prof.Activity.Polls, prof.Activity.QuietFrame, prof.Activity.Typed
		route.Headers = prof.RequestHeaders(e.record.Owner, e.record.ID)
		if prof.SecretHeaderName != "" {
			route.SecretHeaderName = prof.SecretHeaderName
			route.SecretHeaderValue = prof.SecretValue(e.record.Owner, e.record.ID, e.observed.Secret)
		}
	}
	return route
}

// AccessPath is the path under which a workspace is reached.
func (m *Manager) AccessPath(view *workspace.Workspace) string {
	return m.profileOf(view.Record.Spec).AccessPath(view.Record.Owner, view.Record.ID)
}
