package manager_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestManager_WhatTheLabStartsIsStartedHere(t *testing.T) {
	l := newLab(t)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	first := l.reach(id, workspace.StatusRunning)
	asKept := l.engine.Running()[0] // the lab knows the labels of when it heard of it first
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	l.start(id)

	t.Log("a restart there ends it from outside, and makes a container of an older attempt")
	l.engine.EndByHand(id, "SIGTERM")
	l.reach(id, workspace.StatusFailed)
	l.engine.RemoveByHand(id)
	time.Sleep(time.Millisecond) // it starts later than the end of the one before
	l.engine.CopyByHand(asKept)
	ours := func() {
		t.Helper()
		require.Eventually(t, func() bool {
			running := l.engine.Running()
			return len(running) == 1 && !running[0].Copied && l.get(id).Status == workspace.StatusRunning
		}, deadline, time.Millisecond)
	}
	ours()

	t.Log("so does one that happened while nobody looked")
	l.stop()
	l.engine.RemoveByHand(id)
	l.engine.CopyByHand(asKept)
	l.run()
	ours()

	t.Log("a start there of what is stopped")
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	time.Sleep(time.Millisecond)
	l.engine.CopyByHand(asKept)
	ours()
	require.Equal(t, first.Record.Volume, l.get(id).Record.Volume)
}

func TestManager_WhatTheLabStartsKeepsToTheQuotas(t *testing.T) {
	begin := func(t *testing.T, exceeds quota.OnExceed) (l *lab, id, other workspace.ID) {
		l = newLabWith(t, withUserQuota(quota.Sums{Running: 1, OnExceed: exceeds}))
		id = l.create("thesis", workspacetest.FakeGoodImage)
		l.reach(id, workspace.StatusRunning)
		asKept := l.engine.Running()[0]
		require.NoError(t, l.Stop(t.Context(), caller, ada, id))
		other = l.create("other", workspacetest.FakeGoodImage)
		l.reach(other, workspace.StatusRunning)
		l.engine.CopyByHand(asKept)
		require.Eventually(t, func() bool { return l.engine.State(id) == "" }, deadline, time.Millisecond)
		return l, id, other
	}
	t.Run("what does not fit is ended, with a reason", func(t *testing.T) {
		l, id, _ := begin(t, quota.Refuse)
		require.Contains(t, l.reach(id, workspace.StatusStopped).Reason, `It was started in ML Lab, and ended again: `)
		require.Contains(t, l.get(id).Reason, `Stop "other"`)
	})
	t.Run("it waits for its turn like others", func(t *testing.T) {
		l, id, other := begin(t, quota.Queue)
		require.Contains(t, l.queued(id, 1).Reason, `Stop "other"`)
		require.NoError(t, l.Stop(t.Context(), caller, ada, other))
		l.reach(id, workspace.StatusRunning)
	})
}
