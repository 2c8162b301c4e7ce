package manager

import (
	"context"
	"time"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// held is what a workspace takes of the machine: what it was admitted to, and as long as a container of it lives, what
// that one may use. GPUs are those of its lease.
func held(record workspace.Record, observed *workspace.Observed) quota.Amounts {
	var amounts quota.Amounts
	if wantsToRun(record) && record.QueuedAt.IsZero() {
		amounts = quota.AmountsOf(record.Spec.Compute)
	}
	if observed != nil && alive(observed) {
		amounts = amounts.Max(quota.AmountsOf(observed.Compute))
	}
	amounts.GPUs = int64(len(record.Lease.List()))
	return amounts
}

// wantsToRun reports whether a workspace should run and its attempt has not ended.
func wantsToRun(record workspace.Record) bool {
	return record.Desired == workspace.DesiredRunning && record.Outcome == nil
}

// claimOf is a workspace as the books see it.
func claimOf(record workspace.Record, observed *workspace.Observed) quota.Claim {
	return quota.Claim{
		ID: record.ID, Owner: record.Owner, Name: record.Spec.DisplayName, StorageMB: record.Spec.Storage.VolumeMB,
		Held: held(record, observed), Lease: record.Lease.List(),
		WaitsSince: record.QueuedAt, Wanted: quota.AmountsOf(record.Spec.Compute),
	}
}

// books opens the books on everything there is. The caller holds the lock.
func (m *Manager) books() *quota.Books {
	claims := make([]quota.Claim, 0, len(m.entries)+1)
	for _, e := range m.entries {
		claims = append(claims, claimOf(e.record, e.observed))
	}
	return quota.Open(m.settings.Load().Policy, quota.CapacityOf(m.engine.host), claims, m.keptStorage(""))
}

// keptStorage adds up what the volumes that no workspace uses may hold, but for one that somebody is about to use. The
// caller holds the lock.
func (m *Manager) keptStorage(but string) map[workspace.Owner]int64 {
	if !m.settings.Load().Policy.BoundsStorage() {
		return nil
	}
	used := make(map[string]bool, len(m.entries))
	for _, e := range m.entries {
		used[e.record.Volume] = true
	}
	kept := map[workspace.Owner]int64{}
	for name, volume := range m.volumes {
		if used[name] || name == but {
			continue
		}
		size := m.kept[name].SizeMB // as it was last, not as it was made
		if size == 0 {
			size = volume.SizeMB
		}
		if size == 0 { // made before sizes were noted
			size = m.LimitsFor(volume.Owner, "").VolumeMB.Default
		}
		kept[volume.Owner] += size
	}
	return kept
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
// see settleLease.
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

// settledLease is the lease of a workspace after what it does not hold any more was given back.
func settledLease(record workspace.Record, observed *workspace.Observed) workspace.Lease {
	devices := record.Lease.List()
	living := observed != nil && alive(observed)
	switch {
	case living && observed.Attempt != record.Attempt: // the one before goes on for a moment
	case wantsToRun(record) && record.QueuedAt.IsZero():
		needs := record.Spec.Compute.GPUs
		if living {
			needs = observed.Compute.GPUs // what it was made with; a change waits for the next start
		}
		if int64(len(devices)) > needs {
			return workspace.MakeLease(devices[:needs], record.Lease.Since)
		}
	case !living:
		return workspace.Lease{}
	}
	return record.Lease
}

// stir asks for the queue to be looked at. It never waits.
func (m *Manager) stir() {
	select {
	case m.stirred <- struct{}{}:
	default:
	}
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
		if settled := settledLease(e.record, e.observed); settled != e.record.Lease {
			m.Log.Info("GPUs given back", "id", e.record.ID, "held", e.record.Lease.Devices, "still", settled.Devices)
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
			e.record.QueuedAt = time.Time{}
			m.conclude(e, &workspace.Outcome{Status: workspace.StatusFailed, Code: workspace.ReasonOverQuota, Reason: w.Reason, At: m.Now()})
			m.redirect(e)
			continue
		}
		e.waits = w
		m.publish(e)
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
	spec, err := m.newSpec(owner, request)
	if err != nil {
		return quota.Decision{}, err
	}
	return m.admission(workspace.Record{ID: "", Owner: owner, Spec: spec, Volume: request.Volume}, nil, true, !request.Stopped), nil
}

// CheckUpdate is Check for a change of a workspace. A workspace that does not run is asked about its next start.
func (m *Manager) CheckUpdate(caller Caller, owner workspace.Owner, id workspace.ID, request UpdateRequest) (quota.Decision, error) {
	if err := caller.mayActFor(owner); err != nil {
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
	if record.Spec, err = m.updatedSpec(owner, record.Spec, request); err != nil {
		return quota.Decision{}, err
	}
	return m.admission(record, e, false, !wantsToRun(record) || !record.QueuedAt.IsZero()), nil
}

// admission asks the books about a workspace as it shall be; e is it as it is, nil for a new one. The caller holds the
// lock.
func (m *Manager) admission(record workspace.Record, e *entry, creates, starts bool) quota.Decision {
	request := quota.Request{Creates: creates, Starts: starts, StorageMB: record.Spec.Storage.VolumeMB, Amounts: quota.AmountsOf(record.Spec.Compute)}
	if e == nil {
		request.Claim = quota.Claim{ID: record.ID, Owner: record.Owner, Name: record.Spec.DisplayName, StorageMB: record.Spec.Storage.VolumeMB}
		if !starts {
			request.Amounts = quota.Amounts{}
		}
	} else {
		request.Claim = claimOf(e.record, e.observed)
		if !starts && !wantsToRun(e.record) {
			request.Amounts = quota.Amounts{} // what does not run takes nothing
		}
		if !starts {
			request.Amounts.GPUs = min(request.Amounts.GPUs, request.Claim.Held.GPUs) // others come with the next start
		}
	}
	claims := make([]quota.Claim, 0, len(m.entries)+1)
	for _, other := range m.entries {
		claims = append(claims, claimOf(other.record, other.observed))
	}
	volume := ""
	if creates {
		volume = record.Volume
	}
	return quota.Open(m.settings.Load().Policy, quota.CapacityOf(m.engine.host), claims, m.keptStorage(volume)).Admit(request)
}
