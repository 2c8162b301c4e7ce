package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// entry is one workspace in memory. Everything in it is guarded by Manager.mu.
type entry struct {
	record   workspace.Record
	observed *workspace.Observed // nil: no container
	told     string              // what an engine that keeps what should be knows; see keeping
	toldSpec workspace.Spec      // the same, to go back to
	refused  error               // what it has last refused
	found    *workspace.Record   // as it was found there, of which nothing was remembered; nil = it was not
	memory   workspace.Memory    // what it was last told to remember
	ready    string              // incarnation whose IDE has answered; see incarnation
	readyAt  time.Time           // when it did
	asked    asking              // of which an answer is waited for
	gone     string              // handle of the container that was last reported removed
	changed  uint64              // Manager.changes when observed last changed

	steps    stepList  // of the start that goes on or failed
	stepsFor string    // which start that is
	done     doneSteps // of that start
	phase    string    // kind of the step that goes on, or PhaseQueued
	now      *activeStep
	stepSpec workspace.Spec // of which now is made
	// stepEnded is when the last step on it ended: what an engine that keeps says of a time before that is too old.
	stepEnded time.Time
	// unsure is a step that gives a container what it may use and came back with an error: the engine may have carried it out
	// all the same. What it gives counts until a look that began after unsureAt has seen what became of it.
	unsure   *workspace.Step
	unsureAt time.Time
	working  bool          // a worker lives
	wake     chan struct{} // tells a waiting worker to look again
	failures int           // of the present step, in a row
	taken    int           // steps of this start without a rest
	failing  string        // sentence of the last failure while taking down
	// failingAt is the step that failed so.
	failingAt workspace.StepKind

	waits quota.Waiting // while it waits within the quotas: its place, and why
	took  takes         // when the queue was last stirred because of it
	use   stored        // what it has written

	idle     workspace.IdleView // as shown
	idleRun  string             // incarnation that the evidence is of
	probed   time.Time          // when it last answered, or did not
	probeDue time.Time          // when it is asked again

	published *workspace.Workspace
	route     Route // as published
	removed   bool  // nothing of it is left; who still holds it lets go
	waiters   []*waiter
}

// activeStep is the step that a worker executes.
type activeStep struct {
	step   workspace.Step
	cancel context.CancelCauseFunc
}

// incarnation names one run of one container: an IDE that answered before a restart of its container has to answer anew.
func incarnation(observed *workspace.Observed) string {
	if observed == nil || observed.State != workspace.ContainerRunning {
		return ""
	}
	return observed.Handle + "@" + observed.StartedAt.UTC().Format(time.RFC3339Nano)
}

// asking is since when an incarnation is asked whether it answers.
type asking struct {
	of    string
	since time.Time
}

func (e *entry) isReady() bool { return e.ready != "" && e.ready == incarnation(e.observed) }

// insert adds an entry to the model and shows it. The caller holds the lock, or nobody else knows the manager yet.
func (m *Manager) insert(e *entry) {
	e.wake = make(chan struct{}, 1)
	m.entries[e.record.ID] = e
	m.publish(e)
}

// remove drops an entry of which nothing is left; why is told to who looks on, "" where it was asked for. The caller holds the
// lock.
func (m *Manager) remove(e *entry, why string) {
	delete(m.entries, e.record.ID)
	e.removed = true
	m.index(e)
	m.stirred.ring() // what it held is free
	m.Activity.Forget(e.record.UID)
	m.board.remove(e.record.Owner, e.record.ID, why)
	m.board.announce(EventVolumes, e.record.Owner)
	e.notifyWaiters()
}

// publish computes what surfaces show of an entry and tells them if it is news. The caller holds the lock.
func (m *Manager) publish(e *entry) {
	defer e.notifyWaiters()
	if e.removed {
		return // a worker that lets go must not bring it back
	}
	m.remember(e)
	m.index(e)
	view := m.view(e)
	route := m.routeTo(e, view)
	if e.published != nil && sameView(e.published, view) {
		route.Workspace = e.published
		if sameRoute(route, e.route) {
			return
		}
	}
	e.published, e.route = view, route
	m.board.put(view, route)
}

// takes is all of a workspace that the queue depends on.
type takes struct {
	held, wanted quota.Amounts
	lease        workspace.Lease
	queued       time.Time
	storageMB    int64
}

// index keeps the lists of those that wait and that hold GPUs, and has them looked at whenever something has changed. The
// caller holds the lock.
func (m *Manager) index(e *entry) {
	id := e.record.ID
	keep := func(list map[workspace.ID]*entry, belongs bool) {
		if belongs && !e.removed {
			list[id] = e
		} else {
			delete(list, id)
		}
	}
	keep(m.queued, !e.record.QueuedAt.IsZero())
	keep(m.leased, e.leased() != nil)
	if e.observed != nil && e.observed.State == workspace.ContainerRunning && !e.observed.StartedAt.Equal(e.use.startedAt) {
		m.measureNow.ring() // that it runs decides when
		m.imagesSoon.ring()
	}
	if e.published != nil && m.canIdle(e) != (e.idle != workspace.IdleView{}) {
		m.idleSoon.ring()
	}
	if e.record.QueuedAt.IsZero() {
		e.waits = quota.Waiting{}
	}
	// Most of what is published changes nothing for others, and a look at the queue is no small thing among thousands.
	took := takes{e.held(), quota.AmountsOf(e.record.Spec.Compute), e.settledLease(), e.record.QueuedAt, m.storageOf(e)}
	if took != e.took && !m.settling && len(m.queued)+len(m.leased) > 0 {
		m.stirred.ring()
	}
	if took.held != e.took.held { // which need not be seen in what is shown of it
		m.board.announce(EventHeld, e.record.Owner)
	}
	e.took = took
}

// waiter waits for something to become true of an entry.
type waiter struct {
	until func(*entry) bool
	met   chan struct{}
}

// await returns a waiter whose channel is closed once until holds. The caller holds the lock.
func (e *entry) await(until func(*entry) bool) *waiter {
	w := &waiter{until: until, met: make(chan struct{})}
	e.waiters = append(e.waiters, w)
	e.notifyWaiters()
	return w
}

func (e *entry) notifyWaiters() {
	e.waiters = slices.DeleteFunc(e.waiters, func(w *waiter) bool {
		if !w.until(e) {
			return false
		}
		close(w.met)
		return true
	})
}

// keepsFiles reports whether a workspace that is being deleted still has its files, because they cannot be: its owner may want
// something else then.
func (e *entry) keepsFiles() bool {
	return e.record.Desired == workspace.DesiredDeleted && e.record.DeleteVolume && e.now == nil && e.failingAt == workspace.StepRemoveStorage
}

func (m *Manager) view(e *entry) *workspace.Workspace {
	view := &workspace.Workspace{Record: e.record}
	view.Status, view.Phase, view.Reason, view.ReasonCode = workspace.Describe(workspace.Situation{
		Record: e.record, Observed: e.observed, Ready: e.isReady(), Phase: e.phase,
		Waits:      e.waits.Reason,
		FilesGone:  m.filesGone(e),
		EngineDown: !m.engine.up, EngineReason: m.engine.reason,
	})
	view.Position = e.waits.Position
	view.Storage = m.storageView(e)
	view.Idle = e.idle
	view.Update, view.ImageGone = m.imageOf(e)
	view.AboveLimits = m.LimitsFor(e.record.Owner, e.record.Spec.Profile).Above(e.record.Spec)
	view.Actions = workspace.ActionsFor(view.Status, e.record.Desired, !m.engine.up)
	if view.Status == workspace.StatusTerminating && e.failing != "" {
		view.Reason, view.ReasonCode = e.failing, workspace.ReasonTriedAgain
	}
	if e.keepsFiles() && m.engine.up {
		view.Actions = []workspace.Action{workspace.ActionKeep, workspace.ActionDelete}
	}
	if view.Status == workspace.StatusRunning && e.observed.Endpoint == "" {
		view.Reason = "It runs but has no network address: somebody has disconnected it. A restart connects it again."
	}
	if detail := e.steps.detailOf(workspace.StepAnswers); view.Status == workspace.StatusPending && view.Phase == string(workspace.StepAnswers) && detail != "" {
		view.Reason = strings.TrimSuffix(view.Reason, ".") + ": " + detail + "." // it can take minutes, and lists show no steps
	}
	if view.Status == workspace.StatusPending || view.Status == workspace.StatusFailed {
		view.Steps = e.steps
		view.Cancellable = view.Status == workspace.StatusPending
	}
	if view.Status == workspace.StatusRunning {
		view.PendingRestart = pendingRestart(e.record, e.observed)
	}
	view.StatusSince = m.statusSince(e, view.Status)
	return view
}

// pendingRestart lists what was changed and acts from the next start on.
func pendingRestart(record workspace.Record, observed *workspace.Observed) (fields []string) {
	if !knowsLimits(observed) {
		return nil
	}
	wanted, actual := record.Spec.Compute, observed.Compute
	for _, one := range []struct {
		field   string
		differs bool
	}{
		{"shm", wanted.ShmMB != actual.ShmMB},
		{"processes", wanted.Processes != actual.Processes},
		{"gpus", wanted.GPUs != actual.GPUs},
		{"container_size", observed.ContainerMB != 0 && observed.ContainerMB != record.Spec.Storage.ContainerMB},
	} {
		if one.differs {
			fields = append(fields, one.field)
		}
	}
	return fields
}

// statusSince says since when the status holds. It is derived from what is known wherever it can be, so that it
// survives a restart of the manager.
func (m *Manager) statusSince(e *entry, status workspace.Status) time.Time {
	switch status {
	case workspace.StatusRunning:
		return e.observed.StartedAt
	case workspace.StatusFailed, workspace.StatusSucceeded:
		if e.record.Outcome != nil { // else it was stopped
			return e.record.Outcome.At
		}
	case workspace.StatusUnknown:
		return m.engine.since
	}
	return e.record.DesiredAt
}

// sameView compares two views but for their versions. Steps are copied on every change, so identity is enough.
func sameView(a, b *workspace.Workspace) bool {
	sameSteps := len(a.Steps) == len(b.Steps) && (len(a.Steps) == 0 || &a.Steps[0] == &b.Steps[0])
	return sameSteps && a.Status == b.Status && a.Phase == b.Phase && a.Reason == b.Reason && a.ReasonCode == b.ReasonCode &&
		a.StatusSince.Equal(b.StatusSince) && a.Record.UpdatedAt.Equal(b.Record.UpdatedAt) && a.Record.Spec == b.Record.Spec &&
		a.Record.Desired == b.Record.Desired && a.Cancellable == b.Cancellable &&
		a.Position == b.Position && a.Storage == b.Storage && a.Idle == b.Idle && a.Update == b.Update && a.ImageGone == b.ImageGone && a.Record.Lease == b.Record.Lease && slices.Equal(a.AboveLimits, b.AboveLimits) &&
		slices.Equal(a.Actions, b.Actions) && slices.Equal(a.PendingRestart, b.PendingRestart)
}

// observe applies what the engine says of a workspace's container, unless something newer is known. The caller holds
// the lock.
func (m *Manager) observe(e *entry, observed *workspace.Observed) {
	if m.can.Keeps {
		observed = present(observed, e)
	}
	if observed != nil && (observed.Handle == e.gone || outdated(e.record, e.observed, observed)) {
		return
	}
	m.changes++
	e.changed = m.changes
	e.observed = observed
	m.judge(e)
}

// outdated reports whether news is older than what is known: the answer to a call and an event about the same thing can
// overtake each other, and events about a container that was replaced can come when its successor runs.
func outdated(record workspace.Record, known, news *workspace.Observed) bool {
	if known == nil {
		return false
	}
	if known.Handle != news.Handle {
		return known.UID == record.UID && !news.Copied && (news.UID != record.UID || news.Attempt < known.Attempt)
	}
	if !known.StartedAt.Equal(news.StartedAt) {
		return known.StartedAt.After(news.StartedAt)
	}
	ended := known.State == workspace.ContainerExited || known.State == workspace.ContainerDead
	return ended && known.FinishedAt.After(known.StartedAt) && (news.State == workspace.ContainerRunning || news.State == workspace.ContainerCreated)
}

// judge notes the outcome of an attempt that has ended. The caller holds the lock.
func (m *Manager) judge(e *entry) {
	if !m.synced {
		return // what ended with its engine is not known before the first full look
	}
	if e.now != nil && handlesContainer(e.now.step.Kind) {
		return
	}
	if startedElsewhere(e.record, e.observed) {
		m.startAsElsewhere(e)
		return
	}
	if revived(e.record, e.observed) && m.mayRevive(e) {
		m.Log.Info("workspace started from outside", "id", e.record.ID)
		e.record.Outcome, e.record.UpdatedAt = nil, m.Now()
		e.steps = nil
		m.save(e)
		return
	}
	outcome := Judge(e.record, e.observed, m.engine.startedAt, m.Now())
	if outcome == nil {
		return
	}
	if outcome.Status == workspace.StatusSucceeded && e.steps.awaits(workspace.StepAnswers) {
		outcome.Reason = "Ended by itself before it answered, without an error. What this image starts may be no web program."
	}
	m.conclude(e, outcome)
}

// conclude ends the current attempt. The caller holds the lock.
func (m *Manager) conclude(e *entry, outcome *workspace.Outcome) {
	e.record.Outcome, e.record.QueuedAt, e.record.AskedSince = outcome, time.Time{}, time.Time{}
	e.steps = e.steps.fail(outcome.Reason, m.Now())
	m.save(e)
	m.collectLog(e)
	m.Log.Info("workspace ended", "id", e.record.ID, "status", outcome.Status, "cause", outcome.Code, "exit_code", outcome.ExitCode)
}

// save writes a record that the manager itself changed. A disk that is full must not stop the reconciler: memory goes
// on, the next change of the record is written with it, and after a restart the engine tells most of it again.
func (m *Manager) save(e *entry) {
	if err := m.Store.PutRecord(context.Background(), e.record); err != nil {
		m.Log.Error("state not written", "id", e.record.ID, "error", err)
	}
}
