package manager

import (
	"context"
	"errors"
	"time"

	"lab-workspace-manager/backend/workspace"
)

const (
	relistEvery    = 30 * time.Second       // repairs what a lost event left wrong
	resyncPause    = 500 * time.Millisecond // a burst of volume events asks for one look
	reconnectPause = time.Second
	engineTimeout  = 20 * time.Second // for a look at everything
)

// Run connects to the engine, follows what happens there, and brings every workspace to what it should be, until ctx
// ends. It returns after all its workers have. Containers are left as they are.
func (m *Manager) Run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	m.mu.Lock()
	m.running = ctx
	m.mu.Unlock()
	defer m.workers.Wait()
	defer stop()
	m.workers.Go(func() { m.keepQueue(ctx) })
	m.workers.Go(func() { m.watchStorage(ctx) })
	m.workers.Go(func() { m.watchStats(ctx) })
	m.workers.Go(func() { m.watchIdle(ctx) })
	m.workers.Go(func() { m.watchImages(ctx) })
	for ctx.Err() == nil {
		err := m.session(ctx)
		if ctx.Err() != nil {
			return
		}
		m.engineLost(err)
		select {
		case <-ctx.Done():
		case <-time.After(reconnectPause):
		}
	}
}

// session follows the engine until the connection is lost.
func (m *Manager) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hostCtx, hostDone := context.WithTimeout(ctx, engineTimeout)
	host, err := m.Options.Engine.Host(hostCtx)
	hostDone()
	if err != nil {
		return err
	}
	connected, lost := make(chan struct{}), make(chan error, 1)
	go func() {
		lost <- m.Options.Engine.Watch(ctx, func() { close(connected) }, m.apply)
	}()
	// Whatever ends the session, the watcher has ended before the next one starts.
	defer func() { cancel(); <-lost }()
	select {
	case <-connected:
	case err := <-lost:
		lost <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := m.lookAtEverything(ctx, &host); err != nil {
		return err
	}
	relist := time.NewTicker(relistEvery)
	defer relist.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			lost <- err
			if err == nil {
				err = workspace.Errorf(workspace.CodeUnavailable, "The engine closed the connection.")
			}
			return err
		case <-m.resync:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(resyncPause):
			}
		case <-relist.C:
		}
		if err := m.lookAtEverything(ctx, nil); err != nil {
			return err
		}
	}
}

// lookAtEverything compares the model with the engine. host is set by the first look of a session, which also brings
// the engine back.
func (m *Manager) lookAtEverything(ctx context.Context, host *workspace.Host) error {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	m.mu.Lock()
	before, volumesBefore, began := m.changes, m.volumeChanges, time.Now()
	m.mu.Unlock()
	snapshot, err := m.Options.Engine.Snapshot(ctx)
	if err != nil {
		return err
	}
	if host == nil {
		if err := m.tryAgain(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	volumesAreNew := m.volumeChanges == volumesBefore
	seen := make(map[workspace.ID]*workspace.Observed, len(snapshot.Workspaces))
	for i := range snapshot.Workspaces {
		seen[snapshot.Workspaces[i].ID] = &snapshot.Workspaces[i]
	}
	if !m.synced && !m.can.Keeps {
		m.adoptUnknown(seen, snapshot.Volumes)
	}
	m.synced = true
	if m.can.Keeps {
		m.takeAllKept(snapshot.Kept, before, began)
	}
	if host != nil {
		m.engine.host = *host // what is judged now must know how large the machine is
	}
	defer m.stirred.ring()
	m.engine.startedAt = snapshot.EngineStartedAt
	var changed, others []*entry
	for id, e := range m.entries {
		known := e.observed
		if began.After(e.unsureAt) {
			e.unsure = nil
		}
		if !m.can.Keeps && e.changed <= before { // else something newer than this look is known
			m.observe(e, seen[id])
		}
		if !e.working || !sameObservation(known, e.observed) { // a worker that pauses is not woken by what it knows
			changed = append(changed, e)
		} else {
			others = append(others, e)
		}
	}
	if host != nil { // only now, or what ended with the engine would be shown as running for a moment
		m.engineBack(*host)
	}
	for _, e := range changed {
		m.reconsider(e)
	}
	for _, e := range others { // what is shown of them says that the engine is away
		m.publish(e)
	}
	if volumesAreNew {
		m.setVolumes(snapshot.Volumes)
	} else {
		m.resync.ring()
	}
	return nil
}

// tryAgain asks the engine anew what it holds containers to, as long as there was no image to try it with.
func (m *Manager) tryAgain(ctx context.Context) error {
	if m.Engine().Host.Enforces.Tried {
		return nil
	}
	host, err := m.Options.Engine.Host(ctx)
	if err != nil || !host.Enforces.Tried {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.engine.host = host
	m.showEngine()
	m.board.announce(EventHost, "")
	return nil
}

func sameObservation(a, b *workspace.Observed) bool {
	return a == b || (a != nil && b != nil && *a == *b)
}

// adoptUnknown makes records for containers of this instance that no record speaks of: the state folder was restored
// from an older copy. The engine's labels say enough to show, stop and delete them.
func (m *Manager) adoptUnknown(seen map[workspace.ID]*workspace.Observed, volumes []workspace.Volume) {
	madeFor := make(map[string]string, len(volumes))
	for _, volume := range volumes {
		madeFor[volume.Name] = volume.UID
	}
	for id, observed := range seen {
		if _, known := m.entries[id]; known || !id.Valid() || !observed.Owner.Valid() {
			continue
		}
		if observed.StartedAt.IsZero() {
			m.Log.Warn("a container that never ran has no record, and is left alone", "id", id, "container", observed.Handle)
			continue
		}
		profileName, err := m.profileFor(observed.Profile, observed.Image)
		if err != nil {
			profileName = observed.Profile // it was taken out of the configuration; profileOf finds another
		}
		spec := m.LimitsFor(observed.Owner, profileName).Complete(workspace.Spec{DisplayName: observed.DisplayName, Image: observed.Image, Profile: profileName})
		spec.Compute.CPUs, spec.Compute.MemoryMB = observed.Compute.CPUs, observed.Compute.MemoryMB
		spec.Compute.GPUs = observed.Compute.GPUs
		record := workspace.Record{
			Lease: workspace.MakeLease(workspace.Lease{Devices: observed.Devices}.List(), observed.StartedAt),
			ID:    id, UID: observed.UID, Owner: observed.Owner, Spec: spec, Desired: workspace.DesiredRunning,
			Volume: observed.Volume, VolumeAdopted: madeFor[observed.Volume] != observed.UID, Attempt: observed.Attempt, Launched: observed.Attempt,
			CreatedAt: observed.StartedAt, UpdatedAt: m.Now(), DesiredAt: observed.StartedAt,
		}
		e := &entry{record: record}
		m.insert(e)
		m.save(e)
		m.Log.Warn("workspace without a record taken over", "id", id)
	}
}

// apply takes one change that the engine reports. It is called from one goroutine, in order.
func (m *Manager) apply(change workspace.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if change.Kind == workspace.ChangeVolumes {
		m.addVolumes(change.Volumes)
		if len(change.Volumes) == 0 {
			m.resync.ring()
		}
		return
	}
	if change.Kind == workspace.ChangeKept {
		if e := m.takeKept(*change.Kept, change.At); e != nil {
			m.reconsider(e)
		}
		return
	}
	e, known := m.entries[change.ID]
	if !known {
		return
	}
	switch change.Kind {
	case workspace.ChangeDropped:
		m.dropKept(e)
	case workspace.ChangeObserved:
		m.observe(e, change.Observed)
	case workspace.ChangeGone:
		if e.observed != nil && e.observed.Handle == change.Handle {
			e.gone = change.Handle
			m.observe(e, nil)
		}
	case workspace.ChangeOOM:
		m.noticeMemory(e, change.At)
	}
	m.reconsider(e)
}

// noticeMemory tells the owner of a living workspace that something in it was killed for memory.
func (m *Manager) noticeMemory(e *entry, at time.Time) {
	if e.observed == nil || !alive(e.observed) || e.record.Outcome != nil {
		return
	}
	e.record.Notice = "A process in it was killed at " + at.Local().Format("15:04") + ": its memory is used up. Give it more, or close notebooks."
	e.record.UpdatedAt = m.Now()
	m.save(e)
}

// engineLost marks the engine as gone. Workers wait, reads go on from memory, changes are refused.
func (m *Manager) engineLost(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	reason := workspace.MessageOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		reason = "The engine does not answer in time."
	}
	if !m.engine.up && m.engine.reason == reason {
		return
	}
	if m.engine.up {
		m.engine.back = make(chan struct{})
		m.engine.since = m.Now()
		m.Log.Warn("engine lost", "error", err)
	} else {
		m.Log.Warn("engine cannot be reached", "error", err, "hint", workspace.HintOf(err))
	}
	m.engine.up, m.engine.reason, m.engine.hint = false, reason, workspace.HintOf(err)
	m.showEngine()
	m.republishAll()
}

// engineBack marks the engine as there. The caller holds the lock, and publishes every workspace afterwards.
func (m *Manager) engineBack(host workspace.Host) {
	if m.engine.up {
		return
	}
	m.engine.up, m.engine.host, m.engine.since = true, host, m.Now()
	m.engine.reason, m.engine.hint = "", ""
	m.showEngine()
	for _, e := range m.entries {
		e.failures = 0 // what failed because the engine was away counts for nothing
	}
	close(m.engine.back)
	m.Log.Info("engine connected", "engine", host.Engine, "version", host.Version, "endpoint", host.Endpoint)
	m.board.announce(EventHost, "")
}

func (m *Manager) republishAll() {
	m.board.announce(EventHost, "")
	for _, e := range m.entries {
		m.publish(e)
	}
}
