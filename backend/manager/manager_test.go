package manager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

const (
	ada      = workspace.Owner("ada0")
	deadline = 10 * time.Second
)

var caller = manager.Caller{User: ada}

// lab is a manager on a fake engine and a fake store, which outlive it.
type lab struct {
	*manager.Manager
	t      *testing.T
	engine *workspacetest.FakeEngine
	store  *workspacetest.FakeStore
	keeps  *workspacetest.KeepingEngine // in place of engine; nil = that one
	stop   func()
	adjust func(*manager.Settings) // before the manager starts; nil = as they are

	measureEvery time.Duration
	ledger       *activity.Ledger
	ask          manager.Asker
}

func newLab(t *testing.T) *lab {
	return newLabWith(t, nil)
}

// newLabWith makes a lab whose settings are adjusted before its manager starts.
func newLabWith(t *testing.T, adjust func(*manager.Settings)) *lab {
	l := &lab{t: t, engine: workspacetest.NewFakeEngine(), store: workspacetest.NewFakeStore(), adjust: adjust}
	l.run()
	return l
}

// run starts a manager and waits until it has reached its engine.
func (l *lab) run() {
	l.t.Helper()
	impatient := profile.Minimal
	impatient.Name, impatient.AnswerDeadline = "impatient", 50*time.Millisecond
	settings := manager.Settings{
		Policy: quota.Policy{Limits: quota.Limits{
			CPUs: quota.Range[float64]{Default: 1, Max: 4}, MemoryMB: quota.Range[int64]{Default: 2000, Max: 8000},
			Processes: quota.Range[int64]{Default: 4096}, VolumeMB: quota.Range[int64]{Default: 5000, Max: 50_000},
			ContainerMB: quota.Range[int64]{Default: 5000, Max: 20_000}, GPUs: quota.Range[int64]{Max: 8},
		}},
		Profiles: append(profile.Builtin(), impatient),
		Catalog:  []manager.CatalogImage{{Name: "Good", Image: workspacetest.FakeGoodImage, Profile: "workspace-minimal"}},
	}
	if l.adjust != nil {
		l.adjust(&settings)
	}
	var engine workspace.Engine = l.engine
	if l.keeps != nil {
		engine = l.keeps
	}
	l.runWith(manager.Options{
		Engine: engine, Store: l.store, Namespace: "labtest", Settings: settings, MeasureEvery: l.measureEvery, Activity: l.ledger, Ask: l.ask,
		Log: slog.New(slog.NewTextHandler(l.t.Output(), nil)),
	})
}

func (l *lab) runWith(options manager.Options) {
	l.t.Helper()
	m, err := manager.New(l.t.Context(), options)
	require.NoError(l.t, err)
	l.Manager = m
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Run(ctx) }()
	l.stop = sync.OnceFunc(func() { cancel(); <-ended })
	l.t.Cleanup(l.stop)
	require.Eventually(l.t, func() bool { return m.Engine().Reachable }, deadline, time.Millisecond)
}

// restart ends the manager and starts another on the same state.
func (l *lab) restart() {
	l.t.Helper()
	l.stop()
	l.run()
}

func (l *lab) create(name, image string) workspace.ID {
	l.t.Helper()
	made, err := l.Create(l.t.Context(), caller, ada, manager.CreateRequest{DisplayName: &name, Image: &image})
	require.NoError(l.t, err)
	return made.Record.ID
}

func (l *lab) get(id workspace.ID) *workspace.Workspace {
	l.t.Helper()
	view, err := l.Get(caller, ada, id)
	require.NoError(l.t, err)
	return view
}

func (l *lab) reach(id workspace.ID, status workspace.Status) *workspace.Workspace {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return l.get(id).Status == status }, deadline, time.Millisecond, "never %s, last %+v", status, l.get(id))
	return l.get(id)
}

func TestManager_CreateStartStopDelete(t *testing.T) {
	l := newLab(t)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	running := l.reach(id, workspace.StatusRunning)
	require.Contains(t, running.Actions, workspace.ActionOpen)
	require.Nil(t, running.Steps, "a start that is over has no steps to show")
	route, err := l.Route(id)
	require.NoError(t, err)
	require.NotEmpty(t, route.Endpoint)
	require.Contains(t, route.SecretHeaderValue, "secret-")

	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	require.Equal(t, workspace.StatusStopped, l.get(id).Status, "stop returns when it is done")
	require.NoError(t, l.Stop(t.Context(), caller, ada, id), "and is idempotent")
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
	require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(l.Start(t.Context(), caller, ada, id)))

	require.NoError(t, l.Delete(t.Context(), caller, ada, id, false))
	_, err = l.Get(caller, ada, id)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))
	volumes, err := l.Volumes(caller, ada)
	require.NoError(t, err)
	require.Len(t, volumes, 1)
	require.Empty(t, volumes[0].UsedBy)
	require.False(t, volumes[0].KeptSince.IsZero())

	t.Log("a new workspace of the same name gets files of its own, unless it asks for the old ones")
	again := l.create("thesis", workspacetest.FakeGoodImage)
	require.NotEqual(t, volumes[0].Name, l.get(again).Record.Volume)
	l.reach(again, workspace.StatusRunning)
	name := "back"
	back, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: &name, Volume: volumes[0].Name})
	require.NoError(t, err)
	l.reach(back.Record.ID, workspace.StatusRunning)
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(l.DeleteVolume(t.Context(), caller, ada, volumes[0].Name)))
	require.NoError(t, l.Delete(t.Context(), caller, ada, back.Record.ID, true))
	require.NoError(t, l.Delete(t.Context(), caller, ada, again, true))
	volumes, err = l.Volumes(caller, ada)
	require.NoError(t, err)
	require.Empty(t, volumes)
}

func TestManager_NamesAndOwners(t *testing.T) {
	l := newLab(t)
	l.create("thesis", workspacetest.FakeGoodImage)
	name := " thesis"
	_, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: &name})
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err))
	first, second := l.create("a b", workspacetest.FakeGoodImage), l.create("a  b", workspacetest.FakeGoodImage)
	require.NotEqual(t, first, second, "different names with equal slugs get different ids")
	_, err = l.List(caller, "bob0")
	require.Equal(t, workspace.CodeForbidden, workspace.CodeOf(err))
	_, err = l.Create(t.Context(), caller, "bob0", manager.CreateRequest{})
	require.Equal(t, workspace.CodeForbidden, workspace.CodeOf(err))
	list, err := l.List(caller, ada)
	require.NoError(t, err)
	require.Len(t, list, 3)
	for i := range list[1:] {
		require.False(t, list[i].Record.CreatedAt.After(list[i+1].Record.CreatedAt), "sorted by creation")
	}
}

func TestManager_RefusesWhatCannotBe(t *testing.T) {
	l := newLab(t)
	zero, many, tiny := 0.0, 99.0, int64(5)
	bad, empty, control := "Not An Image", "", "a\x00b"
	for name, request := range map[string]manager.CreateRequest{
		"no CPUs":           {CPUs: &zero},
		"too many CPUs":     {CPUs: &many},
		"too little memory": {MemoryMB: &tiny},
		"bad image":         {Image: &bad},
		"empty image":       {Image: &empty},
		"empty name":        {DisplayName: &empty},
		"control character": {DisplayName: &control},
		"unknown profile":   {Profile: "nope"},
	} {
		_, err := l.Create(t.Context(), caller, ada, request)
		require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), name)
	}
	_, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{Volume: "nope"})
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))
	list, err := l.List(caller, ada)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestManager_WhatDiesSaysHow(t *testing.T) {
	l := newLab(t)
	missing := l.create("missing", workspacetest.FakeMissingImage)
	require.Equal(t, workspace.ReasonImageMissing, l.reach(missing, workspace.StatusFailed).ReasonCode)
	exits := l.create("exits", workspacetest.FakeExitingImage)
	failed := l.reach(exits, workspace.StatusFailed)
	require.Contains(t, failed.Reason, "exit code 7")
	require.Eventually(t, func() bool {
		return len(l.get(exits).Steps) > 0 && bytes.Contains([]byte(fmt.Sprint(l.get(exits).Steps)), []byte("made of"))
	}, deadline, time.Millisecond, "the failed step shows the last lines of the log")

	deaf, impatient := "deaf", workspacetest.FakeDeafImage
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: &deaf, Image: &impatient, Profile: "impatient"})
	require.NoError(t, err)
	require.Equal(t, workspace.ReasonNotAnswering, l.reach(made.Record.ID, workspace.StatusFailed).ReasonCode)

	good := l.create("good", workspacetest.FakeGoodImage)
	l.reach(good, workspace.StatusRunning)
	l.engine.RunOutOfMemory(good)
	require.Equal(t, workspace.ReasonOutOfMemory, l.reach(good, workspace.StatusFailed).ReasonCode)
	require.NoError(t, l.Start(t.Context(), caller, ada, good), "what has failed can be started again")
	l.reach(good, workspace.StatusRunning)
	l.engine.EndByHand(good, "SIGTERM")
	require.Equal(t, workspace.ReasonDockerRequest, l.reach(good, workspace.StatusFailed).ReasonCode)
	require.NoError(t, l.Restart(t.Context(), caller, ada, good))
	l.reach(good, workspace.StatusRunning)
	l.engine.RemoveByHand(good)
	require.Eventually(t, func() bool {
		view := l.get(good)
		return view.Status == workspace.StatusFailed && view.ReasonCode != ""
	}, deadline, time.Millisecond)
}

func TestManager_ARestartGoesOn(t *testing.T) {
	l := newLab(t)
	steady := l.create("steady", workspacetest.FakeGoodImage)
	l.reach(steady, workspace.StatusRunning)
	stopped := l.create("stopped", workspacetest.FakeGoodImage)
	require.NoError(t, l.Stop(t.Context(), caller, ada, stopped))
	failed := l.create("failed", workspacetest.FakeMissingImage)
	l.reach(failed, workspace.StatusFailed)
	before := len(l.engine.Steps())
	l.restart()
	l.reach(steady, workspace.StatusRunning)
	require.Equal(t, workspace.StatusStopped, l.get(stopped).Status)
	require.Equal(t, workspace.ReasonImageMissing, l.get(failed).ReasonCode, "the outcome of the last attempt is kept")
	require.Equal(t, []workspace.StepKind{workspace.StepAnswers}, l.engine.Steps()[before:], "nothing is done again but asking")

	t.Log("what was removed meanwhile is explained, not started again unasked")
	l.stop()
	l.engine.RemoveByHand(steady)
	l.run()
	require.Equal(t, workspace.ReasonRemoved, l.reach(steady, workspace.StatusFailed).ReasonCode)
}

func TestManager_TheEngineGoesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		id := l.create("thesis", workspacetest.FakeGoodImage)
		l.reach(id, workspace.StatusRunning)
		stopped := l.create("stopped", workspacetest.FakeGoodImage)
		require.NoError(t, l.Stop(t.Context(), caller, ada, stopped))

		l.engine.GoAway()
		away := l.reach(id, workspace.StatusUnknown)
		require.Contains(t, away.Reason, "does not answer")
		require.Empty(t, away.Actions, "the list is read-only")
		route, err := l.Route(id)
		require.NoError(t, err)
		require.NotEmpty(t, route.Endpoint, "who works in it is not thrown out")
		require.Equal(t, workspace.StatusStopped, l.get(stopped).Status)
		require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(l.Stop(t.Context(), caller, ada, id)))
		name := "new"
		_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: &name})
		require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err))

		t.Log("containers that ended with it are started again")
		l.engine.ComeBack(true)
		l.reach(id, workspace.StatusRunning)
		require.Equal(t, workspace.StatusStopped, l.get(stopped).Status)
	})
}

func TestManager_UpdatesLiveAndByReplacing(t *testing.T) {
	l := newLab(t)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	memory, cpus, paper := int64(3000), 2.0, "paper"
	view, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: &memory, CPUs: &cpus, DisplayName: &paper})
	require.NoError(t, err)
	require.Equal(t, "paper", view.Record.Spec.DisplayName)
	require.Equal(t, workspace.StatusRunning, view.Status, "limits change live")
	require.Eventually(t, func() bool { return l.engine.Steps()[len(l.engine.Steps())-1] == workspace.StepResize }, deadline, time.Millisecond)

	t.Log("an image that cannot be had leaves what runs alone")
	missing := workspacetest.FakeMissingImage
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: &missing})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		view := l.get(id)
		return view.Status == workspace.StatusRunning && view.Record.Spec.Image == workspacetest.FakeGoodImage && view.Reason != ""
	}, deadline, time.Millisecond)
	require.Equal(t, "workspace-minimal", l.get(id).Record.Spec.Profile)

	t.Log("one that can be had replaces the container and keeps the volume")
	volume := l.get(id).Record.Volume
	pullable := workspacetest.FakePullableImage
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: &pullable})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		view := l.get(id)
		return view.Status == workspace.StatusRunning && view.Record.Previous == nil && view.Record.Spec.Image == pullable
	}, deadline, time.Millisecond)
	require.Equal(t, volume, l.get(id).Record.Volume)
}

func TestManager_ClearsFilesOnStopOnlyIfAsked(t *testing.T) {
	l := newLab(t)
	id := l.create("scratch", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	yes := true
	_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{ClearVolumeOnStop: &yes})
	require.NoError(t, err)
	volumes, err := l.Volumes(caller, ada)
	require.NoError(t, err)
	require.Len(t, volumes, 1, "changing the setting of a stopped workspace deletes nothing")
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	volumes, err = l.Volumes(caller, ada)
	require.NoError(t, err)
	require.Empty(t, volumes)
}

func TestManager_AStartCanBeCalledOff(t *testing.T) {
	l := newLab(t)
	pulling := make(chan struct{})
	l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
		if step.Kind == workspace.StepImage {
			close(pulling)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	id := l.create("thesis", workspacetest.FakePullableImage)
	<-pulling
	require.True(t, l.get(id).Cancellable)
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	require.Equal(t, workspace.StatusStopped, l.get(id).Status)
}

func TestManager_OneBadWorkspaceStopsNobodyElse(t *testing.T) {
	l := newLab(t)
	l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
		if step.Deployment.DisplayName != "bad" {
			return nil
		}
		if step.Kind == workspace.StepImage {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	l.create("bad", workspacetest.FakePullableImage)
	for i := range 30 {
		l.reach(l.create(fmt.Sprintf("good %d", i), workspacetest.FakeGoodImage), workspace.StatusRunning)
	}
}

func TestManager_RetriesTheEngineAndThenExplains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		var mu sync.Mutex
		failures := 0
		l.engine.Fault = func(_ context.Context, step workspace.Step) error {
			mu.Lock()
			defer mu.Unlock()
			if step.Kind == workspace.StepStart && failures < 2 {
				failures++
				return workspace.Errorf(workspace.CodeInternal, "could not find bridge docker0")
			}
			return nil
		}
		l.reach(l.create("flaky", workspacetest.FakeGoodImage), workspace.StatusRunning)
		l.engine.Fault = func(_ context.Context, step workspace.Step) error {
			if step.Kind == workspace.StepStart {
				return workspace.Errorf(workspace.CodeInvalid, "Docker could not start the container: no such device.")
			}
			return nil
		}
		failed := l.reach(l.create("hopeless", workspacetest.FakeGoodImage), workspace.StatusFailed)
		require.Contains(t, failed.Reason, "no such device")
	})
}

func TestManager_AFullDiskRefusesChangesAndLosesNothing(t *testing.T) {
	l := newLab(t)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	l.store.FailWrites(workspace.Errorf(workspace.CodeStorageFull, "The disk of the state folder is full."))
	require.Equal(t, workspace.CodeStorageFull, workspace.CodeOf(l.Stop(t.Context(), caller, ada, id)))
	name := "new"
	_, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: &name})
	require.Equal(t, workspace.CodeStorageFull, workspace.CodeOf(err))
	require.Equal(t, workspace.StatusRunning, l.get(id).Status)
	l.engine.EndByHand(id, "SIGTERM")
	l.reach(id, workspace.StatusFailed) // the reconciler goes on
	l.store.FailWrites(nil)
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
}

func TestManager_TellsEverybodyInOrder(t *testing.T) {
	l := newLab(t)
	events, unsubscribe := l.Subscribe()
	defer unsubscribe()
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	require.NoError(t, l.Delete(t.Context(), caller, ada, id, true))
	var last uint64
	for {
		select {
		case event := <-events:
			require.Greater(t, event.Seq, last)
			last = event.Seq
			if event.Kind == manager.EventRemoved {
				require.Equal(t, id, event.ID)
				return
			}
		case <-time.After(deadline):
			t.Fatal("never heard of the end")
		}
	}
}

func TestManager_Crowd(t *testing.T) {
	l := newLab(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			id := l.create(fmt.Sprintf("crowd %d", i), workspacetest.FakeGoodImage)
			for range 3 {
				_ = l.Restart(t.Context(), caller, ada, id)
				if err := l.Stop(t.Context(), caller, ada, id); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				_ = l.Start(t.Context(), caller, ada, id)
			}
			l.reach(id, workspace.StatusRunning)
			if err := l.Delete(t.Context(), caller, ada, id, true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	snapshot, err := l.engine.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, snapshot.Workspaces)
	require.Empty(t, snapshot.Volumes)
}
