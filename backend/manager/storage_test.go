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

// newMeasuringLab makes a lab that measures all the time and lets full workspaces run for grace.
func newMeasuringLab(t *testing.T, grace time.Duration) *lab {
	l := &lab{
		t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore(), measureEvery: 20 * time.Millisecond,
		adjust: func(s *manager.Settings) { s.FullGrace = grace },
	}
	l.run()
	return l
}

func TestManager_WhatIsFullIsStoppedAndCanBeCleanedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMeasuringLab(t, time.Hour)
		made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("thesis"), VolumeMB: ptr[int64](1000), ClearVolumeOnStop: true})
		require.NoError(t, err)
		id, volume := made.Record.ID, workspace.Place{Volume: made.Record.Volume}
		l.reach(id, workspace.StatusRunning)
		has := func(mb int64) { l.engine.SetUsage(volume, mb<<20) }
		shows := func(mb int64) *workspace.Workspace {
			t.Helper()
			require.Eventually(t, func() bool { return l.get(id).Storage.VolumeMB == mb }, deadline, time.Millisecond)
			return l.get(id)
		}
		has(500)
		view := shows(500)
		require.Empty(t, view.Storage.Warning)
		require.False(t, view.Storage.VolumeEnforced)
		require.WithinDuration(t, time.Now(), view.Storage.VolumeAt, deadline)

		t.Log("from 80 % on the owner is warned")
		has(800)
		require.Equal(t, "Its volume is nearly full: 800 MB of 1 GB are used. Delete files, or give it a larger volume.", shows(800).Storage.Warning)
		require.Equal(t, workspace.StatusRunning, l.get(id).Status)

		t.Log("at 100 % it is stopped with the reason, and nothing is deleted although its files are cleared at every other stop")
		has(1000)
		view = l.reach(id, workspace.StatusStopped)
		require.Equal(t, workspace.ReasonStorageFull, view.ReasonCode)
		require.Contains(t, view.Reason, "Its files have filled its volume: 1 GB of 1 GB are used.")
		_, err = l.Usage(t.Context(), caller, ada, id)
		require.NoError(t, err, "its volume is there")

		t.Log("it can be started to clean up, also after a restart of the manager, which knows nothing of sizes then")
		l.restart()
		require.NoError(t, l.Start(t.Context(), caller, ada, id))
		view = l.reach(id, workspace.StatusRunning)
		require.WithinDuration(t, time.Now().Add(time.Hour), view.Record.GraceUntil, time.Minute)
		shows(1000)
		time.Sleep(5 * time.Second)
		require.Equal(t, workspace.StatusRunning, l.get(id).Status)
		has(100)
		shows(100)
	})
}

func TestManager_TheGraceOfAFullWorkspaceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newMeasuringLab(t, 300*time.Millisecond)
		id := l.create("thesis", workspacetest.FakeGoodImage)
		volume := workspace.Place{Volume: l.reach(id, workspace.StatusRunning).Record.Volume}
		l.engine.SetUsage(volume, 6000<<20)
		l.reach(id, workspace.StatusStopped)
		require.NoError(t, l.Start(t.Context(), caller, ada, id))
		began := time.Now()
		l.reach(id, workspace.StatusRunning)
		require.Equal(t, workspace.ReasonStorageFull, l.reach(id, workspace.StatusStopped).ReasonCode)
		require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
		require.Less(t, time.Since(began), 500*time.Millisecond)

		t.Log("who gives it more room needs no grace")
		_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{VolumeMB: ptr[int64](10_000)})
		require.NoError(t, err)
		require.NoError(t, l.Start(t.Context(), caller, ada, id))
		l.reach(id, workspace.StatusRunning)
		time.Sleep(500 * time.Millisecond) // the grace and more
		require.Equal(t, workspace.StatusRunning, l.get(id).Status)
	})
}

func TestManager_AFullContainerIsEmptiedByAStart(t *testing.T) {
	l := newMeasuringLab(t, time.Hour)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	handle := ""
	for _, c := range l.engine.Running() {
		handle = c.Handle
	}
	l.engine.SetUsage(workspace.Place{Container: handle}, 5000<<20)
	view := l.reach(id, workspace.StatusStopped)
	require.Contains(t, view.Reason, "Its container is full: 5 GB of 5 GB are used. A restart empties")
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
	require.Eventually(t, func() bool { return l.get(id).Storage.ContainerMB == 1 }, deadline, time.Millisecond)
	require.Equal(t, workspace.StatusRunning, l.get(id).Status)
}

func TestManager_AVolumeThatTheEngineHoldsToItsSizeCannotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore(), measureEvery: 20 * time.Millisecond}
		l.engine.EnforcesVolumes = true
		l.run()
		made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("thesis"), VolumeMB: ptr[int64](1000)})
		require.NoError(t, err)
		id, volume := made.Record.ID, made.Record.Volume
		l.reach(id, workspace.StatusRunning)
		enforced := func(want bool) {
			t.Helper()
			require.Eventually(t, func() bool { return l.get(id).Storage.VolumeEnforced == want }, deadline, time.Millisecond)
		}
		enforced(true)
		resize := func(mb int64) error {
			_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{VolumeMB: &mb})
			return err
		}
		refused := func(err error) {
			t.Helper()
			require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
			var named *workspace.Error
			require.ErrorAs(t, err, &named)
			require.Equal(t, "storage.volume_size", named.Field)
			require.ErrorContains(t, err, "This volume was made for 1 GB, and the engine cannot enlarge it.")
		}
		refused(resize(2000))
		_, err = l.CheckUpdate(t.Context(), caller, ada, id, manager.UpdateRequest{VolumeMB: ptr[int64](2000)})
		refused(err)

		t.Log("less is held by the manager, at once")
		require.NoError(t, resize(800))
		enforced(false)
		l.engine.SetUsage(workspace.Place{Volume: volume}, 800<<20)
		require.Equal(t, workspace.ReasonStorageFull, l.reach(id, workspace.StatusStopped).ReasonCode)
		require.NoError(t, resize(1000), "and can be taken back")
		enforced(true)

		t.Log("its files in another workspace are held to the same")
		require.NoError(t, l.Delete(t.Context(), caller, ada, id, false))
		_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{Volume: volume, VolumeMB: ptr[int64](2000)})
		refused(err)
		again, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{Volume: volume})
		require.NoError(t, err)
		require.Equal(t, int64(1000), again.Record.Spec.Storage.VolumeMB)
	})
}

func TestManager_AVolumeThatIsNotMadeYetCanHaveAnySize(t *testing.T) {
	l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore()}
	l.engine.EnforcesVolumes = true
	l.run()
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{VolumeMB: ptr[int64](1000), Stopped: true})
	require.NoError(t, err)
	_, err = l.Update(t.Context(), caller, ada, made.Record.ID, manager.UpdateRequest{VolumeMB: ptr[int64](2000)})
	require.NoError(t, err)
}
