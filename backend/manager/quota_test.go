package manager_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// request asks for a workspace of that size.
func (l *lab) request(name string, memoryMB int64) (*workspace.Workspace, error) {
	return l.Create(context.Background(), caller, ada, manager.CreateRequest{
		DisplayName: ptr(name), Image: ptr(workspacetest.FakeGoodImage), MemoryMB: ptr(memoryMB),
	})
}

func (l *lab) have(name string, memoryMB int64) workspace.ID {
	l.t.Helper()
	made, err := l.request(name, memoryMB)
	require.NoError(l.t, err)
	return made.Record.ID
}

func withUserQuota(sums quota.Sums) func(*manager.Settings) {
	return func(s *manager.Settings) { s.Policy.User = sums }
}

func (l *lab) queued(id workspace.ID, position int) *workspace.Workspace {
	l.t.Helper()
	var view *workspace.Workspace
	require.Eventually(l.t, func() bool {
		view = l.get(id)
		return view.Phase == workspace.PhaseQueued && view.Position == position
	}, deadline, time.Millisecond)
	return view
}

func TestManager_AStartThatDoesNotFitWaitsForItsTurn(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{MemoryMB: 6000, OnExceed: quota.Queue}))
	first := l.have("first", 4000)
	l.reach(first, workspace.StatusRunning)
	second, third := l.have("second", 4000), l.have("third", 2000)
	view := l.queued(second, 1)
	require.Equal(t, workspace.StatusPending, view.Status)
	require.Contains(t, view.Reason, `Stop "first" to free 4 GB`)
	require.Equal(t, workspace.ReasonOverQuota, view.ReasonCode)
	l.queued(third, 2)

	t.Log("the place in the queue survives a restart")
	l.restart()
	l.reach(first, workspace.StatusRunning)
	l.queued(second, 1)
	l.queued(third, 2)

	t.Log("when there is room they start, the first first")
	require.NoError(t, l.Stop(t.Context(), caller, ada, first))
	l.reach(second, workspace.StatusRunning)
	l.reach(third, workspace.StatusRunning)
	require.NoError(t, l.Start(t.Context(), caller, ada, first))
	l.queued(first, 1)

	t.Log("a start that waits can be called off")
	require.NoError(t, l.Stop(t.Context(), caller, ada, first))
	require.Equal(t, workspace.StatusStopped, l.reach(first, workspace.StatusStopped).Status)
	require.NoError(t, l.Delete(t.Context(), caller, ada, second, false))
	require.NoError(t, l.Start(t.Context(), caller, ada, first))
	l.reach(first, workspace.StatusRunning)
}

func TestManager_RefusesWhatCanNeverFitAndWhatMayNotWait(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{MemoryMB: 6000, Workspaces: 2, StorageMB: 12_000, OnExceed: quota.Refuse}))
	first := l.have("first", 4000)
	_, err := l.request("too large", 7000)
	require.Equal(t, workspace.CodeOverQuota, workspace.CodeOf(err))
	require.ErrorContains(t, err, "Your quota is 6 GB of memory in all")
	_, err = l.request("not now", 4000)
	require.ErrorContains(t, err, `Stop "first" to free 4 GB, or ask for at most 2 GB.`)

	check, err := l.Check(t.Context(), caller, ada, manager.CreateRequest{MemoryMB: ptr[int64](3000)})
	require.NoError(t, err)
	require.Equal(t, quota.Refused, check.Verdict)
	require.Equal(t, "over your quota by 1 GB of memory", check.Short)

	t.Log("what grows must fit, too")
	l.reach(first, workspace.StatusRunning)
	_, err = l.Update(t.Context(), caller, ada, first, manager.UpdateRequest{MemoryMB: ptr[int64](7000)})
	require.Equal(t, workspace.CodeOverQuota, workspace.CodeOf(err))
	_, err = l.Update(t.Context(), caller, ada, first, manager.UpdateRequest{MemoryMB: ptr[int64](6000)})
	require.NoError(t, err)
	_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("stopped"), Stopped: true})
	require.NoError(t, err)
	_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("third"), Stopped: true})
	require.ErrorContains(t, err, "Your quota is 2 workspaces")
	_, err = l.Update(t.Context(), caller, ada, first, manager.UpdateRequest{VolumeMB: ptr[int64](8000)})
	require.ErrorContains(t, err, "Your quota is 12 GB of storage")
}

func TestManager_DeletingIsNoWayRoundTheStorageQuota(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{StorageMB: 12_000}))
	first := l.have("first", 1000)
	volume := l.reach(first, workspace.StatusRunning).Record.Volume
	require.NoError(t, l.Delete(t.Context(), caller, ada, first, false))
	l.have("second", 1000)
	_, err := l.request("third", 1000)
	require.ErrorContains(t, err, "10 GB are there, and this would be 5 GB more")
	_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("again"), Volume: volume})
	require.NoError(t, err, "the files that were kept are counted once")
}

func TestManager_KeptFilesUsedAgainCountForWhatTheyHold(t *testing.T) {
	l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore(), measureEvery: time.Hour, adjust: withUserQuota(quota.Sums{StorageMB: 12_000})}
	l.run()
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("first"), VolumeMB: ptr[int64](10_000)})
	require.NoError(t, err)
	first := made.Record
	l.reach(first.ID, workspace.StatusRunning)
	require.NoError(t, l.Delete(t.Context(), caller, ada, first.ID, false))
	_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("again"), VolumeMB: ptr[int64](1000), Volume: first.Volume, Stopped: true})
	require.NoError(t, err)
	_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("second"), VolumeMB: ptr[int64](5000), Stopped: true})
	require.ErrorContains(t, err, "10 GB are there, and this would be 5 GB more", "nobody has looked yet what is in there")

	t.Log("once it is known that little is in there")
	l.engine.SetUsage(workspace.Place{Volume: first.Volume}, 500<<20)
	l.measureEvery = 20 * time.Millisecond
	l.restart()
	require.Eventually(t, func() bool {
		_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("second"), VolumeMB: ptr[int64](5000), Stopped: true})
		return err == nil
	}, deadline, time.Millisecond)
}

func TestManager_UndoOfADeletionWorksAlthoughLimitsWereLowered(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{StorageMB: 20_000, OnExceed: quota.Refuse}))
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{
		DisplayName: ptr("thesis"), Image: ptr(workspacetest.FakeGoodImage), CPUs: ptr(3.0), MemoryMB: ptr[int64](8000), ShmMB: ptr[int64](6000), VolumeMB: ptr[int64](15_000),
	})
	require.NoError(t, err)
	before := made.Record
	l.reach(before.ID, workspace.StatusRunning)
	require.NoError(t, l.Delete(t.Context(), caller, ada, before.ID, false))
	lower := func(change func(*manager.Settings)) {
		settings := l.Settings()
		change(&settings)
		l.Configure(settings)
	}
	lower(func(s *manager.Settings) {
		s.Policy.Limits.CPUs = quota.Range[float64]{Default: 1, Max: 4, Choices: []float64{1, 2, 4}}
		s.Policy.Limits.MemoryMB.Max = 4000
		s.Policy.User.StorageMB = 10_000
	})
	again := manager.CreateRequest{
		DisplayName: ptr("thesis"), Image: ptr(workspacetest.FakeGoodImage), CPUs: ptr(3.0), MemoryMB: ptr[int64](8000), ShmMB: ptr[int64](6000), VolumeMB: ptr[int64](15_000),
		Volume: before.Volume, CreatedAt: &before.CreatedAt,
	}
	anew := again
	anew.CreatedAt = nil
	_, err = l.Create(t.Context(), caller, ada, anew)
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), "what is asked for anew is refused")
	made, err = l.Create(t.Context(), caller, ada, again)
	require.NoError(t, err)
	back := l.reach(made.Record.ID, workspace.StatusRunning)
	require.Equal(t, "The limits have been lowered since: it now has 2 CPUs instead of 3 CPUs, 4 GB of memory instead of 8 GB of memory.", back.Reason)
	require.Equal(t, []any{2.0, int64(4000), int64(4000), before.Volume}, []any{back.Record.Spec.Compute.CPUs, back.Record.Spec.Compute.MemoryMB, back.Record.Spec.Compute.ShmMB, back.Record.Volume})
	require.Empty(t, back.AboveLimits)

	t.Log("what may not run any more comes back stopped")
	require.NoError(t, l.Delete(t.Context(), caller, ada, made.Record.ID, false))
	lower(func(s *manager.Settings) { s.Policy.User.MemoryMB = 2000 })
	made, err = l.Create(t.Context(), caller, ada, again)
	require.NoError(t, err)
	back = l.get(made.Record.ID)
	require.Equal(t, workspace.StatusStopped, back.Status)
	require.Contains(t, back.Reason, "It is back, but may not run now. Your quota is 2 GB of memory in all, and this needs 4 GB.")
	require.Contains(t, back.Reason, "4 GB of memory instead of 8 GB of memory")
}

func TestManager_LowersMemoryNotBelowWhatIsUsed(t *testing.T) {
	l := newLab(t)
	id := l.have("thesis", 4000)
	l.reach(id, workspace.StatusRunning)
	l.engine.SetStats(id, workspace.Stats{MemoryBytes: 3000 << 20})
	_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr[int64](2000)})
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err))
	require.ErrorContains(t, err, `"thesis" uses 3 GB of memory now, so it cannot be lowered to 2 GB while it runs.`)
	_, checked := l.CheckUpdate(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr[int64](2000)})
	require.Equal(t, err, checked, "who asks before is told the same")
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr[int64](0)})
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), "no limit at all is none, whatever is used")
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr[int64](3000)})
	require.NoError(t, err)
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr[int64](2000)})
	require.NoError(t, err, "what does not run uses nothing")
}

func TestManager_GPUsAreLeasedAndGivenBackOnce(t *testing.T) {
	l := newLabWith(t, func(s *manager.Settings) { s.Policy.Limits.GPUs.Max = 4 })
	l.stop()
	l.engine.SetGPUs(workspace.GPU{ID: "GPU-a"}, workspace.GPU{ID: "GPU-b"})
	l.run()
	ask := func(name string, gpus int64) workspace.ID {
		made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr(name), GPUs: ptr(gpus)})
		require.NoError(t, err)
		return made.Record.ID
	}
	first := ask("first", 1)
	require.Equal(t, "GPU-a", l.reach(first, workspace.StatusRunning).Record.Lease.Devices)
	second := ask("second", 1)
	require.Equal(t, "GPU-b", l.reach(second, workspace.StatusRunning).Record.Lease.Devices)
	since := l.get(first).Record.Lease.Since
	require.False(t, since.IsZero())
	third := ask("third", 2)
	l.queued(third, 1)

	t.Log("leases survive a restart of the manager, and a restart of the workspace keeps its device")
	l.restart()
	require.True(t, since.Equal(l.reach(first, workspace.StatusRunning).Record.Lease.Since))
	require.NoError(t, l.Restart(t.Context(), caller, ada, first))
	require.Equal(t, "GPU-a", l.reach(first, workspace.StatusRunning).Record.Lease.Devices)
	l.queued(third, 1)

	t.Log("they are free when the containers have ended, however they ended")
	require.NoError(t, l.Stop(t.Context(), caller, ada, first))
	l.engine.EndByHand(second, "SIGKILL")
	require.Equal(t, "GPU-a,GPU-b", l.reach(third, workspace.StatusRunning).Record.Lease.Devices)
	require.Empty(t, l.get(first).Record.Lease.Devices)
	require.Eventually(t, func() bool { return l.get(second).Record.Lease.Devices == "" }, deadline, time.Millisecond)
	_, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("too many"), GPUs: ptr[int64](3)})
	require.ErrorContains(t, err, "3 GPUs are more than the 2 allowed")

	t.Log("leases that the records have lost are read from the containers")
	l.stop()
	require.NoError(t, l.store.DeleteRecord(t.Context(), third))
	l.run()
	l.reach(third, workspace.StatusRunning)
	require.Equal(t, "GPU-a,GPU-b", l.get(third).Record.Lease.Devices)

	t.Log("and so are leases of records that are older than the containers")
	l.stop()
	record := l.get(third).Record
	record.Lease = workspace.Lease{}
	require.NoError(t, l.store.PutRecord(t.Context(), record))
	l.run()
	fourth := ask("fourth", 1)
	l.queued(fourth, 1)
	require.Equal(t, "GPU-a,GPU-b", l.get(third).Record.Lease.Devices)
	require.NoError(t, l.Delete(t.Context(), caller, ada, fourth, true))

	t.Log("more of them come with the next start")
	_, err = l.Update(t.Context(), caller, ada, third, manager.UpdateRequest{GPUs: ptr[int64](1)})
	require.NoError(t, err)
	require.Equal(t, []string{"gpus"}, l.reach(third, workspace.StatusRunning).PendingRestart, "as soon as it is known again that it runs")
	require.NoError(t, l.Restart(t.Context(), caller, ada, third))
	require.Eventually(t, func() bool { return l.get(third).Record.Lease.Devices == "GPU-a" }, deadline, time.Millisecond)
	l.reach(third, workspace.StatusRunning)
	require.Empty(t, l.get(third).PendingRestart)
}

func TestManager_NewSettingsApplyWithoutARestart(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{Running: 1}))
	events, unsubscribe := l.Subscribe()
	defer unsubscribe()
	first, second := l.have("first", 4000), l.have("second", 4000)
	l.reach(first, workspace.StatusRunning)
	l.queued(second, 1)

	t.Log("more room lets go what waits")
	settings := l.Settings()
	settings.Policy.User.Running = 2
	l.Configure(settings)
	l.reach(second, workspace.StatusRunning)
	told := false
	for len(events) > 0 {
		event := <-events
		told = told || event.Kind == manager.EventConfig
	}
	require.True(t, told)

	t.Log("what is above a lowered limit goes on, is marked, and meets it at its next start")
	settings.Policy.Limits.MemoryMB.Max = 3000
	l.Configure(settings)
	view := l.get(first)
	require.Equal(t, workspace.StatusRunning, view.Status)
	require.Equal(t, []string{"compute.memory"}, view.AboveLimits)
	_, err := l.Update(t.Context(), caller, ada, first, manager.UpdateRequest{DisplayName: ptr("renamed")})
	require.NoError(t, err)
	require.NoError(t, l.Restart(t.Context(), caller, ada, first))
	require.Eventually(t, func() bool { return l.get(first).Record.Spec.Compute.MemoryMB == 3000 }, deadline, time.Millisecond)
	view = l.reach(first, workspace.StatusRunning)
	require.Contains(t, view.Reason, "3 GB of memory instead of 4 GB of memory")
	require.Empty(t, view.AboveLimits)

	t.Log("what cannot fit any more leaves the queue and says so")
	settings.Policy.User.Running = 2
	l.Configure(settings)
	third := l.have("third", 2000)
	l.queued(third, 1)
	settings.Policy.User.MemoryMB = 1000
	l.Configure(settings)
	require.Contains(t, l.reach(third, workspace.StatusFailed).Reason, "Your quota is 1 GB of memory in all")
}

func TestManager_WhatIsStartedFromOutsideMustFit(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{Running: 1}))
	first := l.have("first", 1000)
	l.reach(first, workspace.StatusRunning)
	l.engine.EndByHand(first, "SIGKILL")
	l.reach(first, workspace.StatusFailed)
	second := l.have("second", 1000)
	l.reach(second, workspace.StatusRunning)
	l.engine.StartByHand(first)
	require.Eventually(t, func() bool { return l.engine.State(first) == workspace.ContainerExited }, deadline, time.Millisecond)
	require.Equal(t, workspace.StatusFailed, l.get(first).Status)
	require.NoError(t, l.Stop(t.Context(), caller, ada, second))
	l.engine.StartByHand(first)
	l.reach(first, workspace.StatusRunning)
}

// TestManager_StaysWithinQuotasWhateverIsAskedOfIt asks a real manager for random things, and adds up what its engine
// runs. The decisions alone stand a hundred thousand of such sequences in package quota; this is about the way there.
func TestManager_StaysWithinQuotasWhateverIsAskedOfIt(t *testing.T) {
	l := newLabWith(t, func(s *manager.Settings) {
		s.Policy.User = quota.Sums{Workspaces: 6, Running: 3, CPUs: 5, MemoryMB: 9000, OnExceed: quota.Queue}
		s.Policy.Host = quota.HostQuota{MemoryOvercommit: 0.5, ReserveMemoryMB: 4000} // 14,000 of 32,000
	})
	users := []workspace.Owner{"ada0", "bob0", "eve0"}
	random := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // a test that can be repeated
	within := func() {
		t.Helper()
		host, all := int64(0), l.engine.Running() // at one moment
		for _, user := range users {
			var running int
			var cpus float64
			var memory int64
			for _, c := range all {
				if c.Owner == user {
					running, cpus, memory, host = running+1, cpus+c.Compute.CPUs, memory+c.Compute.MemoryMB, host+c.Compute.MemoryMB
				}
			}
			require.LessOrEqual(t, running, 3, "%s", user)
			require.LessOrEqual(t, cpus, 5.0, "%s", user)
			require.LessOrEqual(t, memory, int64(9000), "%s", user)
		}
		require.LessOrEqual(t, host, int64(14_000))
	}
	for step := range 1500 {
		user := users[random.IntN(len(users))]
		as := manager.Caller{User: user}
		list, err := l.List(as, user)
		require.NoError(t, err)
		size, cpus := int64(500+500*random.IntN(10)), float64(1+random.IntN(3))
		if len(list) == 0 || random.IntN(4) == 0 {
			_, err = l.Create(t.Context(), as, user, manager.CreateRequest{DisplayName: ptr(fmt.Sprint("w", step)), MemoryMB: &size, CPUs: &cpus})
		} else {
			id := list[random.IntN(len(list))].Record.ID
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // nobody waits for the end
			switch random.IntN(8) {
			case 0:
				err = l.Stop(ctx, as, user, id)
			case 1, 2:
				err = l.Start(ctx, as, user, id)
			case 3:
				err = l.Restart(ctx, as, user, id)
			case 4:
				_, err = l.Update(ctx, as, user, id, manager.UpdateRequest{MemoryMB: &size, CPUs: &cpus})
			case 5:
				err = l.Delete(ctx, as, user, id, true)
			case 6:
				l.engine.EndByHand(id, "SIGKILL")
			case 7:
				if random.IntN(20) == 0 {
					cancel()
					l.restart()
				}
			}
			cancel()
		}
		if err != nil && workspace.CodeOf(err) == workspace.CodeInternal {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		within()
	}

	t.Log("in the end everybody gets a turn")
	require.Eventually(t, func() bool {
		waits := false
		for _, user := range users {
			list, err := l.List(manager.Caller{User: user}, user)
			require.NoError(t, err)
			for _, view := range list {
				switch {
				case view.Phase == workspace.PhaseQueued || strings.HasPrefix(view.Phase, "queue"):
					waits = true
				case view.Status == workspace.StatusRunning:
					_ = l.Stop(t.Context(), manager.Caller{User: user}, user, view.Record.ID) // it may be about to end
				}
			}
		}
		within()
		return !waits
	}, 20*deadline, time.Millisecond)
}
