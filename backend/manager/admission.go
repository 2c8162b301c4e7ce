package manager

import (
	"cmp"
	"context"
	"slices"
	"time"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// held is what a workspace takes of the machine: what it was admitted to, what a container of it may use as long as it
// lives, and what is being made, started or raised just now, which Docker goes on with whatever is wanted meanwhile. GPUs are
// those of its lease.
func (e *entry) held() quota.Amounts {
	var amounts quota.Amounts
	if isAdmitted(e.record) {
		amounts = quota.AmountsOf(e.record.Spec.Compute)
	}
	// What somebody else has made in its place is on its way out, and may not have a turn in the queue by what it took unasked.
	if e.observed != nil && !e.observed.Copied && (alive(e.observed) || e.launchesAgain()) {
		amounts = amounts.Max(quota.AmountsOf(e.observed.Compute))
	}
	for _, step := range e.giving() {
		amounts = amounts.Max(quota.AmountsOf(step.Deployment.Compute))
	}
	amounts.GPUs = int64(len(e.leased()))
	return amounts
}

// given are the GPUs of the container that is there, if it runs or will be started as it is.
func (e *entry) given() []string {
	if e.observed == nil || e.observed.Devices == "" || !(alive(e.observed) || e.launchesAgain()) {
		return nil
	}
	return workspace.Lease{Devices: e.observed.Devices}.List()
}

// leased are the GPUs that a workspace holds: those of its lease, and what a container of it was given that its record
// does not know of, because the record is older.
func (e *entry) leased() []string { return union(e.record.Lease.List(), e.given()) }

func union(a, b []string) []string {
	return append(slices.Clip(a), slices.DeleteFunc(b, func(device string) bool { return slices.Contains(a, device) })...)
}

// launchesAgain reports whether the container that is there does not run and will be started as it is.
func (e *entry) launchesAgain() bool {
	return isAdmitted(e.record) && e.observed.UID == e.record.UID && e.observed.Attempt == e.record.Attempt
}

// gives reports whether a step gives a container what it may use.
func gives(kind workspace.StepKind) bool {
	switch kind {
	case workspace.StepCreate, workspace.StepStart, workspace.StepResize:
		return true
	}
	return false
}

// giving returns the steps that give a container what it may use: the one that goes on just now, and the one whose answer was
// lost, see entry.unsure. Nil if there is none.
func (e *entry) giving() (steps []*workspace.Step) {
	if e.unsure != nil {
		steps = append(steps, e.unsure)
	}
	if e.now != nil && gives(e.now.step.Kind) {
		steps = append(steps, &e.now.step)
	}
	return steps
}

// wantsToRun reports whether a workspace should run and its attempt has not ended.
func wantsToRun(record workspace.Record) bool {
	return record.Desired == workspace.DesiredRunning && record.Outcome == nil
}

// isAdmitted reports whether a workspace may run: it wants to, and does not wait within the quotas.
func isAdmitted(record workspace.Record) bool {
	return wantsToRun(record) && record.QueuedAt.IsZero()
}

// claimOf is a workspace as the books see it. The caller holds the lock.
func (m *Manager) claimOf(e *entry) quota.Claim {
	record := &e.record
	return quota.Claim{
		ID: record.ID, Owner: record.Owner, Name: record.Spec.DisplayName, StorageMB: m.storageOf(e),
		Held: e.held(), Lease: e.leased(),
		WaitsSince: record.QueuedAt, Wanted: quota.AmountsOf(record.Spec.Compute),
	}
}

// storageOf is what a workspace's volume counts for: what it may hold, or what it holds if that is more. Who makes it
// smaller than what is in it has not given anything back. Kept files that it uses count for what they counted before, until
// it is known what they hold. The caller holds the lock.
func (m *Manager) storageOf(e *entry) int64 {
	counts := max(e.record.Spec.Storage.VolumeMB, megabytes(e.use.volume.Bytes), heldTo(m.volumes[e.record.Volume]))
	if e.record.VolumeAdopted && m.can.Measures && e.use.volume.MeasuredAt.IsZero() {
		counts = max(counts, m.keptSize(e.record.Owner, e.record.Volume))
	}
	return counts
}

// books opens the books on everything there is. The caller holds the lock.
func (m *Manager) books() *quota.Books {
	claims := make([]quota.Claim, 0, len(m.entries)+1)
	for _, e := range m.entries {
		claims = append(claims, m.claimOf(e))
	}
	return quota.Open(m.settings.Load().Policy, quota.CapacityOf(m.engine.host), claims, m.keptStorage())
}

// keptStorage adds up what the volumes that no workspace uses may hold. The caller holds the lock.
func (m *Manager) keptStorage() map[workspace.Owner]int64 {
	if !m.settings.Load().Policy.BoundsStorage() {
		return nil
	}
	used := make(map[string]bool, len(m.entries))
	for _, e := range m.entries {
		used[e.record.Volume] = true
	}
	kept := map[workspace.Owner]int64{}
	for name, volume := range m.volumes {
		if !used[name] {
			kept[volume.Owner] += m.keptSize(volume.Owner, name)
		}
	}
	return kept
}

// keptSize is what a volume of an owner counts for while no workspace uses it; 0 = there is no such volume. The caller holds
// the lock.
func (m *Manager) keptSize(owner workspace.Owner, name string) int64 {
	volume, there := m.volumes[name]
	if !there || volume.Owner != owner {
		return 0
	}
	// As it was last, not as it was made; and some were made before sizes were noted.
	return cmp.Or(m.kept[name].SizeMB, volume.SizeMB, m.LimitsFor(owner, "").VolumeMB.Default)
}

// overQuota is the error of a request that was refused.
func overQuota(d quota.Decision) error {
	return workspace.Errorf(workspace.CodeOverQuota, "%s", d.Reason)
}

// obey writes into a record what was decided on its start. The caller then saves it.
func (m *Manager) obey(record *workspace.Record, observed *workspace.Observed, d quota.Decision) error {
	switch d.Verdict {
	case quota.Refused:
		return overQuota(d)
	case quota.Queued:
		if record.QueuedAt.IsZero() {
			record.QueuedAt = m.Now()
		}
	default:
		m.admit(record, observed, d.Lease)
	}
	return nil
}

// admit notes an admission. A device that the container before still uses is not given back before that one has ended,
// see settledLease.
func (m *Manager) admit(record *workspace.Record, observed *workspace.Observed, lease []string) {
	record.QueuedAt = time.Time{}
	if observed != nil && alive(observed) && len(lease) < len(record.Lease.List()) {
		return // the new ones are among those
	}
	since := m.Now()
	if before := record.Lease; before.Devices == workspace.MakeLease(lease, since).Devices {
		since = before.Since
	}
	record.Lease = workspace.MakeLease(lease, since)
}

// settledLease is the lease of a workspace after what it does not hold any more was given back: it keeps what a container
// of it uses, or is about to be started with, and what it was admitted to.
func (e *entry) settledLease() workspace.Lease {
	lease, record, given := e.record.Lease, e.record, e.given()
	if lease.Devices == "" && given == nil { // as of most, at whatever is published
		return lease
	}
	used := given
	switch {
	case e.observed != nil && alive(e.observed) && e.observed.Attempt != record.Attempt:
		used = union(lease.List(), given) // the one before goes on for a moment
	case e.observed != nil && (alive(e.observed) || e.launchesAgain()):
	case isAdmitted(record):
		used = lease.List()[:min(int64(len(lease.List())), record.Spec.Compute.GPUs)]
	}
	for _, step := range e.giving() {
		used = union(used, namesOf(step.Deployment.GPUs))
	}
	since := lease.Since
	if since.IsZero() {
		since = record.DesiredAt
	}
	return workspace.MakeLease(used, since)
}

func namesOf(gpus []workspace.GPU) []string {
	names := make([]string, len(gpus))
	for i, gpu := range gpus {
		names[i] = gpu.ID
	}
	return names
}

// keepQueue gives back what nobody holds any more and lets starts go ahead whose turn has come, until ctx ends.
func (m *Manager) keepQueue(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.stirred:
		}
		m.mu.Lock()
		m.settle()
		m.mu.Unlock()
	}
}

// settle looks at all leases and at the queue. The caller holds the lock.
func (m *Manager) settle() {
	if !m.synced {
		return // what runs is not known yet
	}
	m.settling = true
	defer func() { m.settling = false }()
	for _, e := range m.leased {
		if settled := e.settledLease(); settled != e.record.Lease {
			m.Log.Info("GPU lease settled", "id", e.record.ID, "was", e.record.Lease.Devices, "holds", settled.Devices)
			e.record.Lease = settled
			m.save(e)
			m.publish(e)
		}
	}
	if len(m.queued) == 0 {
		return
	}
	grants, waiting := m.books().Turn()
	for _, grant := range grants {
		e := m.entries[grant.ID]
		m.admit(&e.record, e.observed, grant.Lease)
		e.record.UpdatedAt, e.record.DesiredAt = m.Now(), m.Now()
		e.waits = quota.Waiting{}
		m.save(e)
		m.Log.Info("start has its turn", "id", grant.ID)
		m.redirect(e)
	}
	for _, w := range waiting {
		e := m.entries[w.ID]
		if w.Never {
			m.conclude(e, &workspace.Outcome{Status: workspace.StatusFailed, Code: workspace.ReasonOverQuota, Reason: w.Reason, At: m.Now()})
			m.redirect(e)
			continue
		}
		if e.waits != w {
			e.waits = w
			m.publish(e)
		}
	}
}

// mayRevive reports whether a workspace that somebody has started through the engine fits. Its GPUs may be somebody else's
// by now, so one that has any does not. What does not fit is stopped again. The caller holds the lock.
func (m *Manager) mayRevive(e *entry) bool {
	observed := e.observed
	e.observed = nil // it has taken what it asks for already
	defer func() { e.observed = observed }()
	return e.record.Spec.Compute.GPUs == 0 && m.admission(e.record, e, false, true).Verdict == quota.Admitted
}

// Check says what would become of a request if it were made now: "fits", "waits" or why it is refused. It changes
// nothing.
func (m *Manager) Check(ctx context.Context, caller Caller, owner workspace.Owner, request CreateRequest) (quota.Decision, error) {
	if err := caller.mayActFor(owner); err != nil {
		return quota.Decision{}, err
	}
	request.Profile = m.proposeFor(ctx, request.Profile, request.Image, &request.Port)
	m.mu.Lock()
	defer m.mu.Unlock()
	spec, _, err := m.newSpec(owner, request)
	if err != nil {
		return quota.Decision{}, err
	}
	return m.admission(workspace.Record{ID: "", Owner: owner, Spec: spec, Volume: request.Volume}, nil, true, !request.Stopped), nil
}

// CheckUpdate is Check for a change of a workspace, and refuses as Update does what is wrong in itself. A workspace that does
// not run is asked about its next start.
func (m *Manager) CheckUpdate(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID, request UpdateRequest) (quota.Decision, error) {
	if err := caller.mayActFor(owner); err != nil {
		return quota.Decision{}, err
	}
	m.proposeForUpdate(ctx, id, &request)
	if err := m.refuseLessThanUsed(ctx, caller, owner, id, request.MemoryMB); err != nil {
		return quota.Decision{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, there := m.entries[id]
	if !there || e.record.Owner != owner {
		return quota.Decision{}, notFound(id)
	}
	record := e.record
	var err error
	if record.Spec, err = m.updatedSpec(record, request); err != nil {
		return quota.Decision{}, err
	}
	if err := e.refuseLessThanStored(e.record.Spec, record.Spec); err != nil {
		return quota.Decision{}, err
	}
	return m.admission(record, e, false, !isAdmitted(record)), nil
}

// admission asks the books about a workspace as it shall be; e is it as it is, nil for a new one. The caller holds the
// lock.
func (m *Manager) admission(record workspace.Record, e *entry, creates, starts bool) quota.Decision {
	request := quota.Request{Creates: creates, Starts: starts, StorageMB: record.Spec.Storage.VolumeMB, Amounts: quota.AmountsOf(record.Spec.Compute)}
	if e == nil {
		// Kept files are in the books already.
		more := max(0, record.Spec.Storage.VolumeMB-m.keptSize(record.Owner, record.Volume))
		request.Claim = quota.Claim{ID: record.ID, Owner: record.Owner, Name: record.Spec.DisplayName, StorageMB: more}
		if !starts {
			request.Amounts = quota.Amounts{}
		}
	} else {
		request.Claim = m.claimOf(e)
		if !starts && !wantsToRun(e.record) {
			request.Amounts = quota.Amounts{} // what does not run takes nothing
		}
		if !starts {
			request.Amounts.GPUs = min(request.Amounts.GPUs, request.Claim.Held.GPUs) // others come with the next start
		}
	}
	return m.books().Admit(request)
}
