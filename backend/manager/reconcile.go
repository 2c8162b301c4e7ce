package manager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

const (
	// bootShare is how long a booting IDE keeps its place in the turnstile: long enough for an ordinary boot, short
	// enough that an image which never answers does not hold others up.
	bootShare = 3 * time.Second
	// progressEvery bounds how often the progress of a step is published.
	progressEvery = 100 * time.Millisecond
	// longestPlan is more steps than any plan has, a change of mind in the middle included. A worker that takes more sees
	// something that its steps do not change; it goes on slowly, or it would burn a processor.
	longestPlan   = 25
	circlePause   = 3 * time.Second
	logTimeout    = 5 * time.Second
	keptLogLines  = 500
	shownLogLines = 20
)

// errRedirected cancels a step because its owner wants something else now.
var errRedirected = errors.New("something else is wanted now")

func (m *Manager) plan(e *entry) Plan {
	return PlanFor(e.record, e.observed, e.isReady(), e.doneNow(), m.around(e, e.record.Spec))
}

// around is what a plan must know besides the workspace itself. The caller holds the lock.
func (m *Manager) around(e *entry, spec workspace.Spec) Around {
	return Around{
		Profile: m.profileOf(spec), Pull: m.pullPolicy(spec.Image), GPUs: m.engine.host.GPUs, Can: m.can, Told: e.told,
	}
}

// redirect follows a change of what should be: a step that is no longer wanted is cancelled. The caller holds the lock.
func (m *Manager) redirect(e *entry) {
	if active := e.now; active != nil {
		next, any := m.plan(e).next()
		// A removal of files cannot be called off, only its answer lost.
		if (!any || !sameStep(active.step, next)) && active.step.Kind != workspace.StepRemoveStorage {
			active.cancel(errRedirected)
		}
	}
	m.reconsider(e)
}

// sameStep reports whether two steps ask for the same thing of an engine.
func sameStep(a, b workspace.Step) bool {
	same := a.Kind == b.Kind && a.Deployment.UID == b.Deployment.UID && a.Deployment.Attempt == b.Deployment.Attempt &&
		a.Deployment.Fingerprint == b.Deployment.Fingerprint
	return same && (a.Kind != workspace.StepResize || sameLiveCompute(a.Deployment.Compute, b.Deployment.Compute))
}

// reconsider follows a change of what is: it sees to it that a worker lives if there is something to do, wakes one that
// waits, and calls off the wait for an answer of a container that has ended. The caller holds the lock.
func (m *Manager) reconsider(e *entry) {
	defer m.publish(e)
	if e.removed || m.running == nil || m.running.Err() != nil {
		return
	}
	next, any := m.plan(e).next()
	switch {
	case e.working:
		if active := e.now; active != nil && active.step.Kind == workspace.StepAnswers && (!any || next.Kind != workspace.StepAnswers) {
			active.cancel(errRedirected)
		}
		select {
		case e.wake <- struct{}{}:
		default:
		}
	case any && m.synced:
		e.working = true
		m.workers.Add(1)
		go m.work(m.running, e)
	}
}

// work executes steps until nothing is left to do for the workspace.
func (m *Manager) work(ctx context.Context, e *entry) {
	defer m.workers.Done()
	place := &turnstilePlace{}
	defer place.leave()
	for {
		step, stepCtx, verdict := m.takeStep(ctx, e)
		switch verdict {
		case nothingToDo:
			return
		case waitForEngine:
			m.wait(ctx, e, 0)
			continue
		}
		pause := m.execute(stepCtx, e, step, place)
		if m.goesRound(e, pause) {
			m.Log.Warn("steps go round in circles", "id", step.Deployment.ID, "step", step.Kind, "cause", step.Cause)
			place.leave()
			select { // whatever wakes it: the steps themselves make news
			case <-ctx.Done():
			case <-time.After(circlePause):
			}
		}
		if ctx.Err() != nil {
			m.letGo(e)
			return
		}
		if pause > 0 {
			place.leave()
			m.wait(ctx, e, pause)
		}
	}
}

// goesRound reports whether a worker has taken more steps without a rest than any start has.
func (m *Manager) goesRound(e *entry, pause time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if pause > 0 {
		e.taken = 0
	}
	return e.taken > longestPlan
}

func (m *Manager) letGo(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.working = false
}

type takeVerdict int

const (
	goAhead takeVerdict = iota
	nothingToDo
	waitForEngine
)

// handlesContainer reports whether a step itself makes, starts, ends or removes a container: what is seen of the
// container meanwhile is its doing, and judged when it is over.
func handlesContainer(kind workspace.StepKind) bool {
	switch kind {
	case workspace.StepCreate, workspace.StepStart, workspace.StepStop, workspace.StepRemove:
		return true
	}
	return false
}

// endsCurrent reports whether a step ends a container that was made for the present attempt of a workspace which should
// go on running, or in the place of that one. Before that a new attempt begins, or the end would look like somebody else's doing.
func endsCurrent(step workspace.Step, record workspace.Record, observed *workspace.Observed) bool {
	return (step.Kind == workspace.StepStop || step.Kind == workspace.StepRemove) &&
		record.Desired == workspace.DesiredRunning && record.Outcome == nil &&
		observed != nil && observed.UID == record.UID &&
		(observed.Attempt == record.Attempt || observed.Copied && record.Launched == record.Attempt)
}

// takeStep makes the next step the active one.
func (m *Manager) takeStep(ctx context.Context, e *entry) (workspace.Step, context.Context, takeVerdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.publish(e)
	plan := m.plan(e)
	step, any := plan.next()
	if any && endsCurrent(step, e.record, e.observed) {
		e.record.Attempt++
		m.save(e)
		plan = m.plan(e)
		step, any = plan.next()
	}
	if !any || e.removed || ctx.Err() != nil {
		e.working, e.phase = false, ""
		e.stepsFor, e.done = "", nil
		if e.record.Outcome == nil {
			e.steps = nil
		}
		return step, nil, nothingToDo
	}
	if !m.engine.up && step.Kind != workspace.StepForget {
		e.phase = ""
		return step, nil, waitForEngine
	}
	if start := startOf(e.record); e.stepsFor != start {
		e.stepsFor, e.done, e.failures, e.taken = start, doneSteps{}, 0, 0
		switch {
		case e.record.Outcome != nil: // what it leaves behind is taken down; people still read what became of the start
		case e.record.Desired == workspace.DesiredRunning:
			e.steps = newStepList(plan, m.profileOf(e.record.Spec), m.can)
		default:
			e.steps = nil
		}
	}
	e.taken++
	stepCtx, cancel := context.WithCancelCause(ctx)
	e.now, e.stepSpec = &activeStep{step: step, cancel: cancel}, e.record.Spec
	e.phase = string(step.Kind)
	e.steps = e.steps.begin(step.Kind, m.Now())
	return step, stepCtx, goAhead
}

// startOf names one bringing-up or taking-down, to which a list of steps belongs.
func startOf(record workspace.Record) string {
	return fmt.Sprintf("%s %d %s %t", record.Desired, record.Attempt, fingerprint(record), record.Outcome != nil)
}

// doneNow returns what is done of the present start.
func (e *entry) doneNow() doneSteps {
	if e.stepsFor != startOf(e.record) {
		return nil
	}
	return e.done
}

// wait pauses a worker until something changes, the engine is back, or the time is over (0 = no time).
func (m *Manager) wait(ctx context.Context, e *entry, pause time.Duration) {
	m.mu.Lock()
	var back <-chan struct{}
	if !m.engine.up {
		back = m.engine.back
	} else if pause == 0 {
		m.mu.Unlock()
		return // it came back before we could wait for it
	}
	m.mu.Unlock()
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-e.wake:
	case <-back:
	case <-over:
	}
}

// execute carries one step out and notes what came of it. It returns how long to pause before the next try.
func (m *Manager) execute(ctx context.Context, e *entry, step workspace.Step, place *turnstilePlace) time.Duration {
	if step.Kind == workspace.StepForget {
		return m.forget(e, step)
	}
	var observed *workspace.Observed
	err := m.takePlace(ctx, e, step, place)
	if err == nil {
		if step.Kind == workspace.StepRemove && step.Deployment.UID != "" {
			m.keepLog(ctx, e)
		}
		stepCtx, done := ctx, context.CancelFunc(func() {})
		if step.Deadline > 0 {
			left := step.Deadline
			if step.Kind == workspace.StepAnswers {
				left, step.Deadline = m.beginAsking(e, step)
			}
			stepCtx, done = context.WithTimeout(ctx, left)
		}
		observed, err = m.Options.Engine.Execute(stepCtx, step, m.progressOf(e, step))
		if err != nil && errors.Is(stepCtx.Err(), context.DeadlineExceeded) {
			err = &workspace.Error{
				Code: workspace.CodeTimeout, Message: fmt.Sprintf("The step %q took longer than %s.", step.Kind, quota.FormatDuration(step.Deadline)),
				Hint: workspace.HintOf(err), Err: err,
			}
		}
		done()
	}
	var proposal profile.Proposal
	if err == nil && step.Kind == workspace.StepImage && step.Deployment.Profile == workspace.ProfileAuto {
		proposal, err = m.lookAtImage(ctx, step.Deployment.Image)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.publish(e)
	if err == nil && proposal.Profile != "" {
		m.useProfile(e, step, proposal)
	}
	redirected := ctx.Err() != nil // or the manager ends; either way the failure says nothing
	e.now.cancel(nil)
	e.now, e.stepEnded = nil, time.Now()
	switch {
	case err == nil:
		m.succeed(e, step, observed)
	case gives(step.Kind):
		e.unsure, e.unsureAt = &step, e.stepEnded
		m.resync.ring()
	}
	outcome := e.record.Outcome
	m.judge(e) // what was seen during the step
	if err == nil || redirected || e.record.Outcome != outcome {
		return 0
	}
	return m.failStep(e, step, err)
}

// answersAtLeast is for how long a container is asked whether it answers, however long that was done before: who has not answered
// while nobody could ask is not given up for that.
const answersAtLeast = 20 * time.Second

// timeToAnswer is for how long a container is asked that was asked before, or somebody has started, so long ago.
func timeToAnswer(whole, before time.Duration) time.Duration {
	return min(whole, max(whole-before, answersAtLeast))
}

// beginAsking returns how long a container still has to answer. One that does not do so soon is written down as such: a restart of
// this program does not give it its time anew.
// Nor is it given up while what leads to it may lead elsewhere. whole is the time that it has had then.
func (m *Manager) beginAsking(e *entry, step workspace.Step) (left, whole time.Duration) {
	if !m.can.Keeps { // whoever thaws a container of Docker's begins anew
		return step.Deadline, step.Deadline
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.Now()
	if of := incarnation(e.observed); e.asked.of != of {
		e.asked, e.record.AskedSince = asking{of, now}, time.Time{}
	}
	asked := e.asked
	time.AfterFunc(surelyBooted-now.Sub(asked.since), func() { m.noteAsking(e, asked) })
	whole = step.Deadline
	if e.observed != nil {
		whole = max(whole, e.observed.Settles.Sub(asked.since).Round(time.Minute)) // as people are told
	}
	return timeToAnswer(whole, now.Sub(asked.since)), whole
}

// noteAsking writes down that a container has not answered yet.
func (m *Manager) noteAsking(e *entry, asked asking) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.removed || e.asked != asked || asked.of != incarnation(e.observed) || e.isReady() || !wantsToRun(e.record) || !e.record.AskedSince.IsZero() {
		return
	}
	e.record.AskedSince = asked.since
	m.save(e)
	m.publish(e)
}

// progressOf returns the function by which an engine reports how far the step is. Reports that come too fast are left
// out, the next one makes up for them.
func (m *Manager) progressOf(e *entry, step workspace.Step) func(workspace.Progress) {
	var last time.Time
	return func(progress workspace.Progress) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if now := time.Now(); now.Sub(last) >= progressEvery && e.now != nil && e.now.step.Kind == step.Kind {
			last = now
			e.steps = e.steps.report(step.Kind, progress)
			m.publish(e)
		}
	}
}

// succeed notes that a step is done. The caller holds the lock.
func (m *Manager) succeed(e *entry, step workspace.Step, observed *workspace.Observed) {
	e.failures, e.failing, e.failingAt = 0, "", ""
	if leavesNoTrace(step.Kind) && e.done != nil {
		e.done[step.Kind] = true
	}
	e.steps = e.steps.end(step.Kind, workspace.StepDone, m.Now())
	switch step.Kind {
	case workspace.StepImage:
		if !m.engine.host.Enforces.Tried {
			m.resync.ring() // now there is something to try it with
		}
	case workspace.StepStorage:
		if !m.can.Keeps { // else it is made by the first start
			m.volumeMade(e, step)
		} else {
			e.told, e.toldSpec = keeping(step.Deployment), e.stepSpec
			if observed != nil { // what ran was started anew
				m.observe(e, observed)
			}
		}
	case workspace.StepRemove:
		if e.observed != nil {
			e.gone = e.observed.Handle
		}
		m.observe(e, nil)
	case workspace.StepRemoveStorage:
		m.volumeRemoved(e)
		if e.told != "" {
			e.told = toldOtherwise // an engine that keeps what should be may have had to change it for that
		}
	case workspace.StepStart:
		m.volumeMade(e, step)
		e.record.AskedSince = time.Time{}
		if e.record.Launched != step.Deployment.Attempt || !e.record.GraceUntil.IsZero() {
			e.record.Launched, e.record.Cleared = step.Deployment.Attempt, false
			if !e.record.GraceUntil.IsZero() { // the time to clean up begins when it runs, however long it waited
				e.record.GraceUntil = m.Now().Add(m.settings.Load().FullGrace)
			}
			m.save(e)
		}
		m.observe(e, observed)
	case workspace.StepAnswers:
		e.ready, e.readyAt = incarnation(e.observed), m.Now()
		if !e.record.AskedSince.IsZero() {
			e.record.AskedSince = time.Time{}
			m.save(e)
		}
		if e.record.Previous != nil && step.Deployment.Attempt == e.record.Attempt {
			e.record.Previous = nil
			m.save(e)
		}
	default:
		if observed != nil {
			m.observe(e, observed)
		}
	}
}

// failStep follows the decision about a failed step. The caller holds the lock.
func (m *Manager) failStep(e *entry, step workspace.Step, err error) time.Duration {
	decision := decideFailure(step, err, e.record, e.observed, e.failures, m.Now())
	m.Log.Warn("step failed", "id", e.record.ID, "step", step.Kind, "cause", step.Cause, "error", err)
	if step.Kind == workspace.StepStorage && m.can.Keeps && isRefusal(err) {
		m.takeBack(e, err)
		return 0
	}
	switch {
	case decision.keepImage && m.keepImage(e):
		m.noticeNow(e, decision.notice)
	case decision.outcome != nil:
		e.failures = 0
		if decision.outcome.Code == workspace.ReasonFilesGone { // the engine knows it before our list of volumes does
			delete(m.volumes, e.record.Volume)
			m.volumeChanges++
		}
		m.conclude(e, decision.outcome)
	case decision.keepLimits:
		m.keepLimits(e)
		m.noticeNow(e, decision.notice)
	default:
		e.failures++
		if e.record.Desired != workspace.DesiredRunning {
			e.failing, e.failingAt = decision.notice, step.Kind
		}
		m.resync.ring()
		return decision.retryAfter
	}
	return 0
}

// keepImage takes a change of the image back, and nothing else that was asked for meanwhile: it could not be had, and the
// container serves its owner. It reports whether the container is then what it should be: if not, as after a restore of
// older records, nothing is changed. The caller holds the lock.
func (m *Manager) keepImage(e *entry) bool {
	record := e.record
	if previous := record.Previous; previous != nil {
		record.Spec.Image, record.Spec.Profile, record.Previous = previous.Image, previous.Profile, nil
		if record.Attempt == previous.Attempt+1 || previous.Attempt == 0 { // else it was asked to restart, too
			record.Attempt = e.observed.Attempt
		}
	} else {
		record.Spec.Image, record.Spec.Profile, record.Attempt = e.observed.Image, e.observed.Profile, e.observed.Attempt
	}
	if fingerprint(record) != e.observed.Fingerprint {
		return false
	}
	e.record = record
	return true
}

// keepLimits takes a change of the limits back. The caller holds the lock.
func (m *Manager) keepLimits(e *entry) {
	if knowsLimits(e.observed) {
		actual := e.observed.Compute
		e.record.Spec.Compute.CPUs, e.record.Spec.Compute.MemoryMB, e.record.Spec.Compute.ShmMB = actual.CPUs, actual.MemoryMB, actual.ShmMB
	}
}

// noticeNow says something beside a workspace that goes on. The caller holds the lock.
func (m *Manager) noticeNow(e *entry, notice string) {
	e.record.Notice, e.record.UpdatedAt = notice, m.Now()
	e.steps, e.stepsFor = nil, ""
	m.save(e)
}

// forget drops the record of a workspace of which nothing is left but, perhaps, its volume.
func (m *Manager) forget(e *entry, step workspace.Step) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.now.cancel(nil)
	e.now = nil
	err := m.rememberVolume(e)
	if err == nil {
		err = m.Store.DeleteRecord(context.Background(), e.record.ID)
	}
	if err != nil {
		pause := m.failStep(e, step, err)
		m.publish(e)
		return pause
	}
	m.remove(e, "")
	return 0
}

// turnstilePlace is a worker's place among the starts that go on at once; it is held from the container's creation
// until its IDE answers, at most bootShare long after its start.
type turnstilePlace struct{ release func() }

func (p *turnstilePlace) leave() {
	if p.release != nil {
		p.release()
		p.release = nil
	}
}

// takePlace takes or leaves the place in the turnstile, as the step wants.
func (m *Manager) takePlace(ctx context.Context, e *entry, step workspace.Step, place *turnstilePlace) error {
	switch step.Kind {
	case workspace.StepCreate, workspace.StepStart:
		if place.release != nil {
			return nil
		}
		waits := true // guarded by m.mu: news of the queue can come when its end has been reached
		release, err := m.starts.enter(ctx, func(position int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if waits {
				m.showTurn(e, step, position)
			}
		})
		m.mu.Lock()
		waits = false
		if err == nil {
			e.phase = string(step.Kind)
		}
		m.mu.Unlock()
		if err != nil {
			return err
		}
		place.release = release
	case workspace.StepAnswers:
		if place.release != nil {
			time.AfterFunc(bootShare, place.release)
		}
	default:
		place.leave()
	}
	return nil
}

// showTurn shows a workspace's position among the starts that wait. The caller holds the lock.
func (m *Manager) showTurn(e *entry, step workspace.Step, position int) {
	e.phase = workspace.PhaseQueued
	e.steps = e.steps.report(step.Kind, workspace.Progress{Detail: fmt.Sprintf("waits for its turn, position %d", position)})
	m.publish(e)
}

// keepLog keeps the last lines of a container that is about to be removed. Losing them is not worth failing for.
func (m *Manager) keepLog(ctx context.Context, e *entry) {
	m.mu.Lock()
	id, wanted := e.record.ID, e.record.Desired != workspace.DesiredDeleted
	m.mu.Unlock()
	if !wanted {
		return
	}
	if text := m.readLog(ctx, id); len(text) > 0 {
		if err := m.Store.PutLog(ctx, id, text); err != nil {
			m.Log.Warn("log not kept", "id", id, "error", err)
		}
	}
}

// collectLog keeps the last lines of a container that has ended and shows the newest with the failed step. The caller
// holds the lock; the work is done by a goroutine of its own.
func (m *Manager) collectLog(e *entry) {
	if e.observed == nil || m.running == nil {
		return
	}
	id, outcome, ctx := e.record.ID, e.record.Outcome, m.running
	m.workers.Add(1)
	go func() {
		defer m.workers.Done()
		text := m.readLog(ctx, id)
		if len(text) == 0 {
			return
		}
		if err := m.Store.PutLog(ctx, id, text); err != nil {
			m.Log.Warn("log not kept", "id", id, "error", err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if e.record.Outcome == outcome && !e.removed {
			e.steps = e.steps.showLog(lastLines(text, shownLogLines))
			m.publish(e)
		}
	}()
}

func (m *Manager) readLog(ctx context.Context, id workspace.ID) []byte {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	var text bytes.Buffer
	if err := m.Options.Engine.Logs(ctx, id, keptLogLines, false, &text); err != nil {
		return nil
	}
	if over := text.Len() - workspace.MaxLogBytes; over > 0 {
		text.Next(over)
	}
	return text.Bytes()
}

func lastLines(text []byte, n int) []string {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return lines[max(0, len(lines)-n):]
}
