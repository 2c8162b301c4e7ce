package manager_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func ptr[T any](v T) *T { return &v }

func TestManager_AFailedImageChangeTakesNothingElseBack(t *testing.T) {
	l := newLab(t)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{ClearVolumeOnStop: true})
	require.NoError(t, err)
	id := made.Record.ID
	l.reach(id, workspace.StatusRunning)
	looking, answer := make(chan struct{}), make(chan struct{})
	l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
		if step.Kind == workspace.StepImage && step.Deployment.Image == workspacetest.FakeMissingImage {
			close(looking)
			<-answer
		}
		return nil
	}
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: ptr(workspacetest.FakeMissingImage)})
	require.NoError(t, err)
	<-looking
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{ClearVolumeOnStop: ptr(false), IdleTimeout: ptr(time.Hour)})
	require.NoError(t, err)
	close(answer)
	require.Eventually(t, func() bool { return l.get(id).Record.Notice != "" }, deadline, time.Millisecond)
	spec := l.get(id).Record.Spec
	require.Equal(t, []any{workspacetest.FakeGoodImage, "workspace-minimal", false, time.Hour}, []any{spec.Image, spec.Profile, spec.ClearVolumeOnStop, spec.IdleTimeout})
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	volumes, err := l.Volumes(caller, ada)
	require.NoError(t, err)
	require.Len(t, volumes, 1, "its owner has said that the files stay")
}

func TestManager_AFailedResizeTakesBackTheLimitsOnly(t *testing.T) {
	l := newLab(t)
	l.engine.AddImage("b:1")
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{})
	require.NoError(t, err)
	id := made.Record.ID
	l.reach(id, workspace.StatusRunning)
	l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
		switch {
		case step.Kind == workspace.StepAnswers && step.Deployment.Compute.MemoryMB == 2000 && l.get(id).Record.Spec.IdleTimeout == 0:
			<-ctx.Done()
			return ctx.Err()
		case step.Kind == workspace.StepResize:
			return workspace.Errorf(workspace.CodeInvalid, "device or resource busy")
		}
		return nil
	}
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: ptr("b:1")})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.get(id).Phase == string(workspace.StepAnswers) }, deadline, time.Millisecond)
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr(int64(100)), IdleTimeout: ptr(time.Hour)})
	require.NoError(t, err)
	running := l.reach(id, workspace.StatusRunning)
	spec := running.Record.Spec
	require.Equal(t, []any{"b:1", "custom", int64(2000), time.Hour}, []any{spec.Image, spec.Profile, spec.Compute.MemoryMB, spec.IdleTimeout})
	require.Contains(t, running.Record.Notice, "device or resource busy")
}

func TestManager_LeavesTheVolumeOfAnotherWorkspaceAlone(t *testing.T) {
	l := newLab(t)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{Stopped: true})
	require.NoError(t, err)
	l.stop()
	_, err = l.engine.Execute(t.Context(), workspace.Step{Kind: workspace.StepStorage, Deployment: workspace.Deployment{
		Volume: made.Record.Volume, UID: "other", Owner: ada, DisplayName: "other",
	}}, func(workspace.Progress) {})
	require.NoError(t, err)
	l.run()
	id := made.Record.ID
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusFailed)
	require.NoError(t, l.Delete(t.Context(), caller, ada, id, true))
	volumes, err := l.Volumes(caller, ada)
	require.NoError(t, err)
	require.Len(t, volumes, 1)
	require.Equal(t, "other", volumes[0].DisplayName)
}

func TestManager_AnAdoptedVolumeThatWasClearedCanBeStartedAgain(t *testing.T) {
	l := newLab(t)
	id := l.create("first", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	volume := l.get(id).Record.Volume
	require.NoError(t, l.Delete(t.Context(), caller, ada, id, false))
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("b"), Volume: volume, ClearVolumeOnStop: true})
	require.NoError(t, err)
	id = made.Record.ID
	l.reach(id, workspace.StatusRunning)
	volumes, err := l.Volumes(caller, ada)
	require.NoError(t, err)
	require.True(t, volumes[0].KeptSince.IsZero(), "what is used is not kept")

	removing, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
		if step.Kind == workspace.StepRemoveStorage && once.CompareAndSwap(false, true) {
			close(removing)
			select {
			case <-goOn:
			case <-ctx.Done():
				t.Error("a removal of files was called off, and nobody knows how far it was")
			}
		}
		return nil
	}
	stopped := make(chan error, 1)
	go func() { stopped <- l.Stop(context.Background(), caller, ada, id) }()
	<-removing
	require.Equal(t, workspace.StatusTerminating, l.get(id).Status, "its files are being cleared")
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	close(goOn)
	require.NoError(t, <-stopped)
	l.reach(id, workspace.StatusRunning)
}

func TestManager_AlwaysClearBindsOnlyWhoIsAsked(t *testing.T) {
	l := newLab(t)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	settings := l.Settings()
	settings.Policy.Limits.AlwaysClearVolumeOnStop = true
	l.Configure(settings)
	renamed, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{DisplayName: ptr("renamed")})
	require.NoError(t, err)
	require.False(t, renamed.Record.Spec.ClearVolumeOnStop)
	asked, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{ClearVolumeOnStop: ptr(false)})
	require.NoError(t, err)
	require.True(t, asked.Record.Spec.ClearVolumeOnStop)
}

func TestManager_TakesOverWhatItHasNoRecordOf(t *testing.T) {
	l := newLab(t)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{Profile: "ml-workspace"})
	require.NoError(t, err)
	id := made.Record.ID
	before := l.reach(id, workspace.StatusRunning)
	l.stop()
	require.NoError(t, l.store.DeleteRecord(t.Context(), id))
	l.run()
	after := l.reach(id, workspace.StatusRunning)
	require.Equal(t, before.StatusSince, after.StatusSince, "it goes on in the same container")
	require.Equal(t, "ml-workspace", after.Record.Spec.Profile)
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	require.Equal(t, before.Record.Volume, l.reach(id, workspace.StatusRunning).Record.Volume)
}

// disguised shows containers otherwise than they are, by what change does to each in the first so many looks.
type disguised struct {
	*workspacetest.FakeEngine
	change func(*workspace.Observed)
	times  int32
	looks  atomic.Int32
}

func (d *disguised) Snapshot(ctx context.Context) (workspace.Snapshot, error) {
	snapshot, err := d.FakeEngine.Snapshot(ctx)
	if d.looks.Add(1) <= d.times {
		for i := range snapshot.Workspaces {
			d.change(&snapshot.Workspaces[i])
		}
	}
	return snapshot, err
}

func TestManager_BlamesNobodyForItsOwnRemovals(t *testing.T) {
	l := newLab(t)
	id := l.create("x", workspacetest.FakeGoodImage)
	before := l.reach(id, workspace.StatusRunning)
	l.stop()
	options := l.Options
	options.Engine = &disguised{FakeEngine: l.engine, times: 1, change: func(o *workspace.Observed) { o.State = workspace.ContainerDead }}
	l.runWith(options)
	require.Eventually(t, func() bool {
		now := l.get(id)
		require.NotEqual(t, workspace.StatusFailed, now.Status, now.Reason)
		return now.Status == workspace.StatusRunning && now.StatusSince.After(before.StatusSince)
	}, deadline, time.Millisecond)
}

// remaking makes a container anew when it is started, as Docker's engine has to when its network is gone.
type remaking struct {
	*workspacetest.FakeEngine
	remade atomic.Int32
}

func (r *remaking) Execute(ctx context.Context, step workspace.Step, progress func(workspace.Progress)) (*workspace.Observed, error) {
	if step.Kind == workspace.StepStart && r.remade.Add(1) == 2 {
		r.RemoveByHand(step.Deployment.ID)
		time.Sleep(20 * time.Millisecond) // the news of it comes first
		if _, err := r.FakeEngine.Execute(ctx, workspace.Step{Kind: workspace.StepCreate, Deployment: step.Deployment}, progress); err != nil {
			return nil, err
		}
	}
	return r.FakeEngine.Execute(ctx, step, progress)
}

func TestManager_BlamesNobodyWhenAStartMakesTheContainerAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.stop()
		engine := &remaking{FakeEngine: l.engine}
		options := l.Options
		options.Engine = engine
		l.runWith(options)
		id := l.create("x", workspacetest.FakeGoodImage)
		l.reach(id, workspace.StatusRunning)
		l.engine.GoAway()
		l.reach(id, workspace.StatusUnknown)
		l.engine.ComeBack(true)
		l.reach(id, workspace.StatusRunning)
		require.Equal(t, int32(2), engine.remade.Load())
	})
}

func TestManager_GivesAnEngineTimeThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		var tries atomic.Int32
		l.engine.Fault = func(_ context.Context, step workspace.Step) error {
			if step.Kind == workspace.StepCreate && tries.Add(1) <= 2 {
				return workspace.Errorf(workspace.CodeUnavailable, "EOF")
			}
			return nil
		}
		began := time.Now()
		l.reach(l.create("x", workspacetest.FakeGoodImage), workspace.StatusRunning)
		require.Equal(t, int32(3), tries.Load())
		require.Greater(t, time.Since(began), time.Second, "each pause is longer than the one before")
	})
}

// slowStore is a store that hangs at the next write.
type slowStore struct {
	*workspacetest.FakeStore
	writing, goOn chan struct{}
}

func (s *slowStore) PutRecord(ctx context.Context, record workspace.Record) error {
	close(s.writing)
	<-s.goOn
	return s.FakeStore.PutRecord(ctx, record)
}

func TestManager_WorkInWorkspacesDoesNotWaitForTheDisk(t *testing.T) {
	l := newLab(t)
	id := l.create("x", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	l.stop()
	slow := &slowStore{FakeStore: l.store, writing: make(chan struct{}), goOn: make(chan struct{})}
	options := l.Options
	options.Store = slow
	l.runWith(options)
	l.reach(id, workspace.StatusRunning)
	created := make(chan error, 1)
	go func() {
		_, err := l.Create(context.Background(), caller, ada, manager.CreateRequest{DisplayName: ptr("y"), Stopped: true})
		created <- err
	}()
	<-slow.writing
	route, err := l.Route(id)
	require.NoError(t, err)
	require.NotEmpty(t, route.Endpoint)
	require.True(t, l.Engine().Reachable)
	require.Equal(t, int64(8000), l.LimitsFor(ada, "").MemoryMB.Max)
	close(slow.goOn)
	require.NoError(t, <-created)
}

func TestManager_GoesBackToWhatRunsWhenAnImageCannotBeHad(t *testing.T) {
	l := newLab(t)
	id := l.create("x", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	stopping := make(chan struct{})
	var looks atomic.Int32
	var once sync.Once // a busy machine begins the end anew before the start that takes it back
	l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
		switch step.Kind {
		case workspace.StepStop:
			once.Do(func() { close(stopping) })
			<-ctx.Done() // it takes its time to end
			return ctx.Err()
		case workspace.StepImage:
			looks.Add(1)
		}
		return nil
	}
	go func() { _ = l.Stop(context.Background(), caller, ada, id) }()
	<-stopping
	_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: ptr(workspacetest.FakeMissingImage)})
	require.NoError(t, err)
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	require.Eventually(t, func() bool { return l.get(id).Record.Notice != "" }, deadline, time.Millisecond)
	running := l.reach(id, workspace.StatusRunning)
	require.Equal(t, workspacetest.FakeGoodImage, running.Record.Spec.Image)
	require.Equal(t, int32(1), looks.Load(), "the image is looked for once")
}

func TestManager_UnknownLimitsAreNotNoLimits(t *testing.T) {
	l := newLab(t)
	id := l.create("x", workspacetest.FakeGoodImage)
	before := l.reach(id, workspace.StatusRunning)
	l.stop()
	l.engine.Fault = func(_ context.Context, step workspace.Step) error {
		if step.Kind == workspace.StepResize {
			return workspace.Errorf(workspace.CodeInvalid, "it cannot be looked at")
		}
		return nil
	}
	options := l.Options
	options.Engine = &disguised{FakeEngine: l.engine, times: math.MaxInt32, change: func(o *workspace.Observed) { o.Compute = workspace.Compute{} }}
	l.runWith(options)
	require.Equal(t, before.Record.Spec, l.reach(id, workspace.StatusRunning).Record.Spec)
	_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{CPUs: ptr(0.5)})
	require.NoError(t, err)
	require.Equal(t, before.Record.Spec.Compute.MemoryMB, l.get(id).Record.Spec.Compute.MemoryMB)
}

func TestManager_ManyRestartsAreNoCircle(t *testing.T) {
	l := newLab(t)
	id := l.create("x", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	for range 10 {
		require.NoError(t, l.Restart(t.Context(), caller, ada, id))
		time.Sleep(5 * time.Millisecond) // somewhere in the middle of it
	}
	began := time.Now()
	require.Eventually(t, func() bool {
		view := l.get(id)
		return view.Status == workspace.StatusRunning && view.Phase == ""
	}, deadline, time.Millisecond)
	require.Less(t, time.Since(began), 2*time.Second, "no pause for what its owner asked")
}
