package manager_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func (l *lab) start(id workspace.ID) *workspace.Workspace {
	l.t.Helper()
	require.NoError(l.t, l.Start(l.t.Context(), caller, ada, id))
	return l.reach(id, workspace.StatusRunning)
}

func TestManager_AVolumeThatWasRemovedOutsideIsNotMadeAnewWithoutAWord(t *testing.T) {
	l := newLab(t)
	stopped, removed := l.create("stopped", workspacetest.FakeGoodImage), l.create("removed", workspacetest.FakeGoodImage)
	volume := l.reach(stopped, workspace.StatusRunning).Record.Volume
	other := l.reach(removed, workspace.StatusRunning).Record.Volume
	require.NoError(t, l.Stop(t.Context(), caller, ada, stopped))
	l.engine.RemoveByHand(removed)
	removedReason := func() string { return l.reach(removed, workspace.StatusFailed).Reason }
	require.Eventually(t, func() bool { return removedReason() == workspace.TakenAway+workspace.FilesAreSafe }, deadline, time.Millisecond, "who removes it stops it first, which says less")
	require.NoError(t, l.engine.RemoveVolume(t.Context(), volume))
	require.NoError(t, l.engine.RemoveVolume(t.Context(), other))
	gone := func(id workspace.ID, volume string) {
		t.Helper()
		require.Eventually(t, func() bool { return l.get(id).ReasonCode == workspace.ReasonFilesGone }, deadline, time.Millisecond)
		shown := l.get(id)
		require.Equal(t, workspace.StatusFailed, shown.Status, "a visit starts what is stopped, and would find nothing")
		require.Contains(t, shown.Reason, "Its files are gone: the volume "+volume+" was removed outside. A start begins with an empty one.")
		require.NotContains(t, shown.Reason, "safe")
		require.Contains(t, shown.Actions, workspace.ActionStart)
	}
	gone(stopped, volume)
	gone(removed, other)
	l.restart()
	gone(stopped, volume)
	gone(removed, other)

	for _, id := range []workspace.ID{stopped, removed} {
		running := l.start(id)
		require.Contains(t, running.Reason, "It has begun anew, without its files: the volume "+running.Record.Volume)
		require.NoError(t, l.Stop(t.Context(), caller, ada, id))
		require.Equal(t, workspace.StatusStopped, l.get(id).Status)
		require.Empty(t, l.start(id).Reason)
	}
}

// The list of volumes is some time old when a start comes: then the engine itself has to say it.
func TestManager_AVolumeThatWasRemovedAMomentAgoEndsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		id := l.create("thesis", workspacetest.FakeGoodImage)
		volume := l.reach(id, workspace.StatusRunning).Record.Volume
		require.NoError(t, l.Stop(t.Context(), caller, ada, id))
		require.NoError(t, l.engine.RemoveVolume(t.Context(), volume))
		require.NoError(t, l.Start(t.Context(), caller, ada, id))
		failed := l.reach(id, workspace.StatusFailed)
		require.Equal(t, workspace.FilesGone(volume), failed.Reason)
		require.Contains(t, l.start(id).Reason, "without its files")
		l.stop()
	})
}

func TestManager_FilesThatWereClearedAreNotMissed(t *testing.T) {
	l := newLab(t)
	name := "clears"
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: &name, ClearVolumeOnStop: true})
	require.NoError(t, err)
	id := made.Record.ID
	for range 2 {
		l.reach(id, workspace.StatusRunning)
		require.NoError(t, l.Stop(t.Context(), caller, ada, id))
		require.Equal(t, workspace.StatusStopped, l.reach(id, workspace.StatusStopped).Status)
		l.restart()
		require.Equal(t, workspace.StatusStopped, l.get(id).Status)
		require.Empty(t, l.start(id).Reason)
	}
	stopped, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{Stopped: true})
	require.NoError(t, err)
	require.Equal(t, workspace.StatusStopped, l.get(stopped.Record.ID).Status, "one that never ran has none")
}
