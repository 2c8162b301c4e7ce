package manager_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func gpuLab(t *testing.T, n int, adjust func(*manager.Settings)) *lab {
	l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore(), adjust: adjust}
	var g []workspace.GPU
	for i := range n {
		g = append(g, workspace.GPU{ID: "GPU-" + string(rune('a'+i))})
	}
	l.engine.SetGPUs(g...)
	l.run()
	return l
}
func (l *lab) gpu(name string, n int64) workspace.ID {
	made, err := l.Create(context.Background(), caller, ada, manager.CreateRequest{DisplayName: ptr(name), GPUs: &n})
	require.NoError(l.t, err)
	return made.Record.ID
}

// heldTwice names a device that two running containers have.
func (l *lab) heldTwice() string {
	seen := map[string]string{}
	for _, c := range l.engine.Running() {
		for _, d := range strings.Split(c.Devices, ",") {
			if d != "" && seen[d] != "" {
				return d + " in " + seen[d] + " and " + string(c.ID)
			}
			seen[d] = string(c.ID)
		}
	}
	return ""
}

// What is made just now is made with the devices that it was given.
func TestManager_FewerGPUsCountOnlyOnceTheContainerHasFewer(t *testing.T) {
	l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore()}
	l.engine.SetGPUs(workspace.GPU{ID: "GPU-a"}, workspace.GPU{ID: "GPU-b"})
	in, out := make(chan struct{}), make(chan struct{})
	first := true
	l.engine.Fault = func(_ context.Context, s workspace.Step) error {
		if s.Kind == workspace.StepCreate && first {
			first = false
			close(in)
			<-out
		}
		return nil
	}
	l.run()
	a := l.gpu("a", 2)
	<-in
	_, err := l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{GPUs: ptr[int64](1)})
	require.NoError(t, err)
	b := l.gpu("b", 1)
	l.queued(b, 1)
	close(out)
	l.reach(a, workspace.StatusRunning)
	require.Empty(t, l.heldTwice())
	l.queued(b, 1)
	require.NoError(t, l.Restart(t.Context(), caller, ada, a))
	l.reach(b, workspace.StatusRunning)
	require.Empty(t, l.heldTwice())
}

// A raise that was asked for and taken back is still on its way.
func TestManager_WhatIsBeingRaisedCountsUntilItIsKnown(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{MemoryMB: 4000}))
	raising, goOn := make(chan struct{}), make(chan struct{})
	l.engine.Fault = func(_ context.Context, s workspace.Step) error {
		if s.Kind == workspace.StepResize && s.Deployment.Compute.MemoryMB == 3000 {
			close(raising)
			<-goOn // whatever is wanted meanwhile
		}
		return nil
	}
	a := l.have("a", 1000)
	l.reach(a, workspace.StatusRunning)
	_, err := l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{MemoryMB: ptr[int64](3000)})
	require.NoError(t, err)
	<-raising
	_, err = l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{MemoryMB: ptr[int64](1000)})
	require.NoError(t, err)
	b := l.have("b", 3000)
	early := l.get(b)
	close(goOn)
	require.False(t, early.Record.QueuedAt.IsZero(), "it waits")
	l.reach(b, workspace.StatusRunning)
	memory := int64(0)
	for _, c := range l.engine.Running() {
		memory += c.Compute.MemoryMB
	}
	require.Equal(t, int64(4000), memory)
}

func TestManager_AContainerThatIsStartedAgainKeepsItsGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := gpuLab(t, 2, nil)
		a := l.gpu("a", 2)
		l.reach(a, workspace.StatusRunning)
		b := l.gpu("b", 1)
		l.queued(b, 1)
		_, err := l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{GPUs: ptr[int64](1)})
		require.NoError(t, err)
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, workspace.PhaseQueued, l.get(b).Phase)
		l.engine.GoAway()
		l.engine.ComeBack(true)
		l.reach(a, workspace.StatusUnknown)
		l.reach(a, workspace.StatusRunning)
		time.Sleep(300 * time.Millisecond)
		t.Log(l.get(b).Status)
		require.Empty(t, l.heldTwice())
	})
}

// A call that is on its way is carried through, whatever is wanted meanwhile.
func TestManager_WhatDockerIsStartingStillHoldsItsGPUs(t *testing.T) {
	l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore()}
	l.engine.SetGPUs(workspace.GPU{ID: "GPU-a"})
	in := make(chan struct{})

	done := false
	bad := ""
	l.engine.Fault = func(ctx context.Context, s workspace.Step) error {
		if s.Deployment.DisplayName == "a" && s.Kind == workspace.StepStart && !done {
			done = true

			close(in)
			<-ctx.Done()
			time.Sleep(200 * time.Millisecond)
			_, _ = l.engine.Execute(context.Background(), s, nil)
			return ctx.Err()
		}
		if s.Deployment.DisplayName == "a" && s.Kind == workspace.StepStop {
			time.Sleep(500 * time.Millisecond) // grace
			bad = l.heldTwice()
		}
		return nil
	}
	l.run()
	a := l.gpu("a", 1)
	<-in
	b := l.gpu("b", 1)
	l.queued(b, 1)
	require.NoError(t, l.Stop(t.Context(), caller, ada, a))
	l.reach(b, workspace.StatusRunning)
	require.Empty(t, bad)
}

func TestManager_WhoLeavesTheQueueHasNoPlaceInIt(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{MemoryMB: 4000, OnExceed: quota.Queue}))
	a := l.have("a", 4000)
	l.reach(a, workspace.StatusRunning)
	b := l.have("b", 4000)
	l.queued(b, 1)
	require.NoError(t, l.Stop(t.Context(), caller, ada, b))
	v := l.reach(b, workspace.StatusStopped)
	require.Zero(t, v.Position)
}

func TestManager_AVolumeIsNotLoweredBelowWhatIsInIt(t *testing.T) {
	l := newMeasuringLab(t, time.Hour)
	settings := l.Settings()
	settings.Policy.User.StorageMB = 12_000
	l.Configure(settings)
	a := l.have("a", 1000)
	view := l.reach(a, workspace.StatusRunning)
	_, err := l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{VolumeMB: ptr[int64](11000)})
	require.NoError(t, err)
	l.engine.SetUsage(workspace.Place{Volume: view.Record.Volume}, 10_500<<20)
	require.Eventually(t, func() bool { return l.get(a).Storage.VolumeMB == 10_500 }, deadline, time.Millisecond)
	_, err = l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{VolumeMB: ptr[int64](1)})
	require.ErrorContains(t, err, "Its files take 10.5 GB, so its volume cannot be lowered to 1 MB.")
	_, checked := l.CheckUpdate(t.Context(), caller, ada, a, manager.UpdateRequest{VolumeMB: ptr[int64](1)})
	require.Equal(t, err, checked, "who asks before is told the same")
}

func TestManager_TheGraceBeginsWhenItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLabWith(t, func(s *manager.Settings) {
			s.Policy.User = quota.Sums{Running: 1, OnExceed: quota.Queue}
			s.FullGrace = 2 * time.Second
		})
		l.stop()
		l.measureEvery = 40 * time.Millisecond
		l.run()
		a := l.have("a", 1000)
		v := l.reach(a, workspace.StatusRunning)
		l.engine.SetUsage(workspace.Place{Volume: v.Record.Volume}, 6000<<20)
		l.reach(a, workspace.StatusStopped)
		b := l.have("b", 1000)
		l.reach(b, workspace.StatusRunning)
		told := false
		l.engine.Fault = func(ctx context.Context, s workspace.Step) error {
			if s.Kind == workspace.StepStart && !told { // it is seen to run, and measured, before the call returns
				told = true
				_, err := l.engine.Execute(ctx, s, nil)
				time.Sleep(200 * time.Millisecond)
				return err
			}
			return nil
		}
		require.NoError(t, l.Start(t.Context(), caller, ada, a))
		time.Sleep(2500 * time.Millisecond) // longer than the grace
		require.NoError(t, l.Stop(t.Context(), caller, ada, b))
		l.reach(a, workspace.StatusRunning)
		require.True(t, l.get(a).Record.GraceUntil.After(time.Now()))
	})
}

func TestManager_AWorkspaceWithoutAnAddressIsIdleLikeAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore()}
		l.ledger = &activity.Ledger{}
		l.ask = func(context.Context, manager.ProbeTarget) ([]activity.Vote, error) { return nil, nil }
		l.run()
		to := 2 * time.Second
		made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{IdleTimeout: &to})
		require.NoError(t, err)
		l.reach(made.Record.ID, workspace.StatusRunning)
		l.engine.Disconnect(made.Record.ID)
		require.Equal(t, workspace.ReasonIdle, l.reach(made.Record.ID, workspace.StatusStopped).ReasonCode)
	})
}

func TestManager_CallingOffAStartThatWaitsClearsNothing(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{Running: 1, OnExceed: quota.Queue}))
	a := l.have("a", 1000)
	l.reach(a, workspace.StatusRunning)
	vol := l.get(a).Record.Volume
	require.NoError(t, l.Delete(t.Context(), caller, ada, a, false))
	b := l.have("b", 1000)
	l.reach(b, workspace.StatusRunning)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("c"), Volume: vol, ClearVolumeOnStop: true})
	require.NoError(t, err)
	l.queued(made.Record.ID, 1)
	require.NoError(t, l.Stop(t.Context(), caller, ada, made.Record.ID))
	l.reach(made.Record.ID, workspace.StatusStopped)
	vs, _ := l.Volumes(caller, ada)
	n := 0
	for _, v := range vs {
		if v.Name == vol {
			n++
		}
	}
	require.Equal(t, 1, n, "adopted files were deleted by cancelling a start that never ran")
}

func TestManager_WhatHasFailedWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLabWith(t, withUserQuota(quota.Sums{MemoryMB: 4000, OnExceed: quota.Queue}))
		a := l.have("a", 2000)
		l.reach(a, workspace.StatusRunning)
		b := l.have("b", 2000)
		l.reach(b, workspace.StatusRunning)
		fail := true
		l.engine.Fault = func(_ context.Context, s workspace.Step) error {
			if fail && s.Kind == workspace.StepStop && s.Deployment.DisplayName == "a" {
				return workspace.Errorf(workspace.CodeInternal, "cannot stop")
			}
			return nil
		}
		ctx, c := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_ = l.Stop(ctx, caller, ada, a)
		c()
		_, err := l.Update(t.Context(), caller, ada, a, manager.UpdateRequest{MemoryMB: ptr[int64](4000)})
		require.NoError(t, err)
		require.NoError(t, l.Start(t.Context(), caller, ada, a))
		v := l.reach(a, workspace.StatusFailed)
		require.True(t, v.Record.QueuedAt.IsZero(), "failed, and waits: %v", v.Reason)
	})
}
