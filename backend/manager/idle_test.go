package manager_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// idleLab is a lab with a ledger, and IDEs that answer what they are told to.
type idleLab struct {
	*lab
	busy   atomic.Bool
	silent atomic.Bool
	asked  atomic.Int64
}

func newIdleLab(t *testing.T) *idleLab {
	l := &idleLab{lab: &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore()}}
	l.ledger = &activity.Ledger{}
	l.ask = func(context.Context, manager.ProbeTarget) ([]activity.Vote, error) {
		l.asked.Add(1)
		switch {
		case l.silent.Load():
			return nil, errors.New("it does not answer")
		case l.busy.Load():
			return []activity.Vote{{Kind: activity.KindKernel, Active: true, At: time.Now(), Reason: "a cell of thesis.ipynb runs"}}, nil
		}
		return nil, nil
	}
	l.run()
	return l
}

func (l *idleLab) idler(timeout time.Duration) workspace.ID {
	l.t.Helper()
	made, err := l.Create(l.t.Context(), caller, ada, manager.CreateRequest{IdleTimeout: &timeout})
	require.NoError(l.t, err)
	l.reach(made.Record.ID, workspace.StatusRunning)
	return made.Record.ID
}

func TestManager_StopsWhatNobodyUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newIdleLab(t)
		began := time.Now()
		id := l.idler(2 * time.Second)
		require.Eventually(t, func() bool { return !l.get(id).Idle.StopsAt.IsZero() }, deadline, time.Millisecond)
		require.WithinDuration(t, began.Add(2*time.Second), l.get(id).Idle.StopsAt, time.Second)
		view := l.reach(id, workspace.StatusStopped)
		require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
		require.Less(t, time.Since(began), 2200*time.Millisecond, "and not much later")
		require.Equal(t, workspace.ReasonIdle, view.ReasonCode)
		require.Contains(t, view.Reason, "Stopped because nobody has used it for 2 s, its idle timeout.")
		require.Zero(t, l.get(id).Idle)
		require.NotZero(t, l.asked.Load(), "it was asked whether it computes")
		_, err := l.InUse(caller, ada, id)
		require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(err))
	})
}

func TestManager_WhatComputesOrIsWorkedInGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newIdleLab(t)
		l.busy.Store(true)
		id := l.idler(3 * time.Second) // the ledger counts in seconds
		require.Eventually(t, func() bool { return l.get(id).Idle.InUse }, deadline, time.Millisecond)
		require.Equal(t, "a cell of thesis.ipynb runs", l.get(id).Idle.Reason)
		time.Sleep(3500 * time.Millisecond) // its timeout and more
		require.Equal(t, workspace.StatusRunning, l.get(id).Status)

		t.Log("the same with somebody who types")
		l.busy.Store(false)
		for range 40 {
			l.ledger.Touch(l.get(id).Record.UID, time.Now())
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, workspace.StatusRunning, l.get(id).Status)

		t.Log("more time is more time, and bounded")
		_, err := l.Extend(t.Context(), caller, ada, id, 8*24*time.Hour)
		require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
		_, err = l.Extend(t.Context(), caller, ada, id, time.Hour)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return time.Until(l.get(id).Idle.StopsAt) > 59*time.Minute }, deadline, time.Millisecond)
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, workspace.StatusRunning, l.get(id).Status)

		t.Log("a new timeout counts at once, and never is a timeout, too")
		_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{IdleTimeout: ptr(time.Duration(0))})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return l.get(id).Idle == workspace.IdleView{} }, deadline, time.Millisecond)
		_, err = l.Extend(t.Context(), caller, ada, id, time.Hour)
		require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(err))
	})
}

// Who waits for a slow image has not left it unused: it cannot be used before it answers.
func TestManager_ItsTimeCountsFromItsFirstAnswer(t *testing.T) {
	l := newIdleLab(t)
	l.engine.Fault = func(_ context.Context, step workspace.Step) error {
		if step.Kind == workspace.StepAnswers {
			time.Sleep(1500 * time.Millisecond)
		}
		return nil
	}
	id := l.idler(2 * time.Second)
	ready := time.Now()
	l.reach(id, workspace.StatusStopped)
	require.GreaterOrEqual(t, time.Since(ready), 1900*time.Millisecond)
}

func TestManager_ARestartOfTheManagerGivesEverybodyATimeoutMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newIdleLab(t)
		id := l.idler(2 * time.Second)
		time.Sleep(1500 * time.Millisecond)
		l.restart()
		restarted := time.Now()
		l.reach(id, workspace.StatusRunning)
		l.reach(id, workspace.StatusStopped)
		require.GreaterOrEqual(t, time.Since(restarted), 1900*time.Millisecond)
		require.Less(t, time.Since(restarted), 2200*time.Millisecond)
	})
}

func TestManager_AnIDEThatCannotBeAskedDoesNotRunForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newIdleLab(t)
		l.silent.Store(true)
		id := l.idler(time.Second)
		require.Equal(t, workspace.ReasonIdle, l.reach(id, workspace.StatusStopped).ReasonCode)
	})
}
