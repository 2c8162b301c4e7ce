package manager

import (
	"context"
	"fmt"
	"sync"
	"time"

	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

const (
	// A workspace with an idle timeout is asked whether it computes every probeShare of its timeout, within bounds: often
	// enough that what ran between two questions is a small part of the timeout.
	probeShare = 6
	probeLeast = time.Second
	probeMost  = 30 * time.Second
	// probesAtOnce bounds how many workspaces are asked at the same time.
	probesAtOnce = 8
	// freshProbe is how old an answer may be for a workspace to be stopped on it.
	freshProbe = 2 * time.Second
	// idleLook is how often all is looked at where nothing is due.
	idleLook = time.Minute
	// sleptFor is how late a look must be for the computer to have slept.
	sleptFor = time.Minute
)

// ProbeTarget is a workspace that is asked whether it computes.
type ProbeTarget struct {
	Kind              string // one of the profile's probes
	Endpoint          string
	Path              string // below which it serves; "" = at the root
	SecretHeaderName  string
	SecretHeaderValue string
}

// Asker asks a workspace whether it computes. An error says that it could not be asked.
type Asker func(ctx context.Context, target ProbeTarget) ([]activity.Vote, error)

// watchIdle stops workspaces that nobody uses, until ctx ends.
func (m *Manager) watchIdle(ctx context.Context) {
	last := time.Now().Round(0) // by the clock on the wall: the other one stands still while a computer sleeps
	for {
		if now := time.Now().Round(0); now.Sub(last) > idleLook+sleptFor {
			m.wakeUp()
		}
		m.askWhoIsDue(ctx)
		next := m.stopIdle()
		last = time.Now().Round(0)
		if !m.idleSoon.wait(ctx, next) {
			return
		}
	}
}

// wakeUp gives everybody another timeout after the computer itself has slept: nobody could use anything meanwhile.
func (m *Manager) wakeUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = m.Now()
}

// canIdle reports whether a workspace can be stopped for being unused. The caller holds the lock.
func (m *Manager) canIdle(e *entry) bool {
	return !e.removed && m.engine.up && !m.can.Idles && wantsToRun(e.record) && e.record.Spec.IdleTimeout > 0 && e.isReady() &&
		e.observed.Attempt == e.record.Attempt
}

func probeEvery(timeout time.Duration) time.Duration {
	return min(max(timeout/probeShare, probeLeast), probeMost)
}

// askWhoIsDue asks workspaces whether they compute, whose time to be asked has come.
func (m *Manager) askWhoIsDue(ctx context.Context) {
	type question struct {
		e      *entry
		id     workspace.ID
		uid    string
		target ProbeTarget
	}
	var questions []question
	m.mu.Lock()
	now := m.Now()
	for _, e := range m.entries {
		if !m.canIdle(e) {
			continue
		}
		if run := incarnation(e.observed); e.idleRun != run { // what was known is of an earlier run
			m.Activity.Forget(e.record.UID)
			e.idleRun, e.probed, e.probeDue = run, time.Time{}, time.Time{}
		}
		prof := m.profileOf(e.record.Spec)
		if m.Ask == nil || prof.Activity.Probe == "" || now.Before(e.probeDue) || e.route.Endpoint == "" {
			continue
		}
		e.probeDue = now.Add(probeEvery(e.record.Spec.IdleTimeout))
		questions = append(questions, question{e, e.record.ID, e.record.UID, probeOf(prof, e.route)})
	}
	m.mu.Unlock()
	places := make(chan struct{}, probesAtOnce)
	var asking sync.WaitGroup
	for _, q := range questions {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			votes, err := m.Ask(ctx, q.target)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				m.Log.Debug("a workspace could not be asked whether it computes", "id", q.id, "error", err)
				m.Activity.Unanswered(q.uid)
			} else {
				m.Activity.Put(q.uid, votes)
			}
			m.mu.Lock()
			q.e.probed = m.Now()
			m.mu.Unlock()
		})
	}
	asking.Wait()
}

func probeOf(prof profile.Profile, route Route) ProbeTarget {
	target := ProbeTarget{
		Kind: prof.Activity.Probe, Endpoint: route.Endpoint, SecretHeaderName: route.SecretHeaderName, SecretHeaderValue: route.SecretHeaderValue,
	}
	if prof.KeepsPath {
		target.Path = route.AccessPath
	}
	return target
}

// verdictOn decides whether a workspace is in use. The caller holds the lock.
func (m *Manager) verdictOn(e *entry) activity.Verdict {
	votes := append(m.Activity.Votes(e.record.UID), activity.Started(newer(e.observed.StartedAt, e.readyAt)), activity.ManagerStarted(m.started))
	if !e.record.KeepUntil.IsZero() {
		votes = append(votes, activity.Extended(e.record.KeepUntil))
	}
	return activity.Decide(votes, e.record.Spec.IdleTimeout, m.Now())
}

// stopIdle shows who is idle, stops whose time is over, and returns how long until the next look.
func (m *Manager) stopIdle() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, next := m.Now(), idleLook
	for _, e := range m.entries {
		if !m.canIdle(e) {
			if e.idle != (workspace.IdleView{}) {
				e.idle = workspace.IdleView{}
				m.publish(e)
			}
			continue
		}
		verdict := m.verdictOn(e)
		asks := m.Ask != nil && m.profileOf(e.record.Spec).Activity.Probe != "" && e.route.Endpoint != ""
		if verdict.Due(now) {
			if !asks || now.Sub(e.probed) <= freshProbe || !e.probed.Before(verdict.StopsAt) {
				m.stopFor(e, workspace.ReasonIdle, idleSentence(e.record.Spec.IdleTimeout, verdict))
				continue
			}
			e.probeDue, next = now, min(next, probeLeast/10) // it is asked once more
			continue
		}
		if asks {
			next = min(next, max(e.probeDue.Sub(now), probeLeast/10))
		}
		if !verdict.StopsAt.IsZero() {
			next = min(next, max(verdict.StopsAt.Sub(now), probeLeast/10))
		}
		m.showIdle(e, verdict)
	}
	return next
}

// showIdle publishes a verdict, unless it says what is shown already. The caller holds the lock.
func (m *Manager) showIdle(e *entry, verdict activity.Verdict) {
	shown := workspace.IdleView{InUse: verdict.InUse, Since: verdict.IdleSince, StopsAt: verdict.StopsAt}
	if len(verdict.Votes) > 0 {
		shown.Reason = verdict.Votes[0].Reason
	}
	if shown != e.idle {
		e.idle = shown
		m.publish(e)
	}
}

func newer(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func idleSentence(timeout time.Duration, verdict activity.Verdict) string {
	sentence := fmt.Sprintf("Stopped because nobody has used it for %s, its idle timeout.", spell(timeout))
	if len(verdict.Votes) > 0 && !verdict.IdleSince.IsZero() {
		sentence += fmt.Sprintf(" Last at %s: %s.", verdict.IdleSince.Local().Format("15:04"), verdict.Votes[0].Reason)
	}
	return sentence
}

// spell writes a duration as people do.
func spell(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// InUse says what speaks for the use of a workspace. CodeWrongState when it does not run.
func (m *Manager) InUse(caller Caller, owner workspace.Owner, id workspace.ID) (activity.Verdict, error) {
	if err := caller.mayActFor(owner); err != nil {
		return activity.Verdict{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, there := m.entries[id]
	switch {
	case !there || e.record.Owner != owner:
		return activity.Verdict{}, notFound(id)
	case e.observed == nil || !alive(e.observed):
		return activity.Verdict{}, workspace.Errorf(workspace.CodeWrongState, "The workspace %q does not run.", e.record.Spec.DisplayName)
	}
	return m.verdictOn(e), nil
}
