package manager_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// newKeepingLab is a lab on an engine that keeps what should be.
func newKeepingLab(t *testing.T, adjust func(*manager.Settings)) *lab {
	keeps := workspacetest.NewKeepingEngine()
	l := &lab{t: t, engine: keeps.FakeEngine, keeps: keeps, store: workspacetest.NewFakeStore(), adjust: adjust}
	l.run()
	return l
}

// forget ends the manager and starts one that knows nothing.
func (l *lab) forget() {
	l.t.Helper()
	l.stop()
	l.store = workspacetest.NewFakeStore()
	l.keeps.ForgetMarks()
	l.run()
}

func (l *lab) handle(id workspace.ID) string {
	for _, observed := range l.engine.Running() {
		if observed.ID == id {
			return observed.Handle
		}
	}
	return ""
}

func (l *lab) eventually(id workspace.ID, what string, holds func(*workspace.Workspace) bool) *workspace.Workspace {
	l.t.Helper()
	return l.eventuallyIn(deadline, id, what, holds)
}

func (l *lab) eventuallyIn(patience time.Duration, id workspace.ID, what string, holds func(*workspace.Workspace) bool) *workspace.Workspace {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return holds(l.get(id)) }, patience, max(time.Millisecond, patience/10_000), "%s: %+v", what, l.get(id))
	return l.get(id)
}

func TestKept_AManagerThatKnowsNothingFindsEverythingAgain(t *testing.T) {
	l := newKeepingLab(t, nil)
	running := l.create("thesis", workspacetest.FakeGoodImage)
	require.Equal(t, workspace.ID("keeps-p-ada0-s-ws-thesis"), running, "ids are ML Lab's")
	l.reach(running, workspace.StatusRunning)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("日本"), Image: ptr(workspacetest.FakeGoodImage), CPUs: ptr(2.0), MemoryMB: ptr(int64(3000)), Stopped: true})
	require.NoError(t, err)
	stopped := made.Record.ID
	l.eventually(stopped, "what never ran is kept, too", func(*workspace.Workspace) bool { s, _ := l.keeps.Snapshot(t.Context()); return len(s.Kept) == 2 })
	handle := l.handle(running)
	l.forget()

	require.Equal(t, workspace.StatusRunning, l.reach(running, workspace.StatusRunning).Status)
	require.Equal(t, handle, l.handle(running), "nothing was started anew")
	found := l.reach(stopped, workspace.StatusStopped).Record.Spec
	require.Equal(t, []any{"日本", 2.0, int64(3000)}, []any{found.DisplayName, found.Compute.CPUs, found.Compute.MemoryMB})
	require.NoError(t, l.Start(t.Context(), caller, ada, stopped))
	l.reach(stopped, workspace.StatusRunning)
}

func TestKept_AChangeStartsAnewWhereItIs(t *testing.T) {
	l := newKeepingLab(t, nil)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	handle := l.handle(id)
	changing, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr(int64(3000))})
	require.NoError(t, err)
	if changing.Status != workspace.StatusPending { // or all was over before anybody looked
		require.Equal(t, workspace.StatusRunning, changing.Status)
		require.NotEqual(t, handle, l.handle(id), "who reads that it runs goes there")
	}
	l.eventually(id, "it runs again", func(w *workspace.Workspace) bool {
		return w.Status == workspace.StatusRunning && l.handle(id) != handle
	})
	require.NotContains(t, l.engine.Steps(), workspace.StepStop, "an end would clear the files of who wants that")

	handle = l.handle(id)
	require.NoError(t, l.Restart(t.Context(), caller, ada, id))
	l.eventually(id, "it runs again", func(w *workspace.Workspace) bool {
		return w.Status == workspace.StatusRunning && l.handle(id) != handle
	})

	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{DisplayName: ptr("paper")})
	require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(err), "ML Lab renames nothing")

	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr(int64(4000)), IdleTimeout: ptr(time.Hour)})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, _ := l.keeps.Snapshot(t.Context())
		return s.Kept[0].Spec.Compute.MemoryMB == 4000 && s.Kept[0].Spec.IdleTimeout == time.Hour
	}, deadline, time.Millisecond, "what does not run is changed where it is kept")
	require.Equal(t, workspace.StatusStopped, l.get(id).Status)
}

func TestKept_WhatOthersDoThereCounts(t *testing.T) {
	l := newKeepingLab(t, nil)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)

	t.Log("stopped by somebody else it is stopped, with the reason, and not failed")
	l.keeps.RemoveByHand(id)
	stopped := l.reach(id, workspace.StatusStopped)
	require.Equal(t, "It was stopped there.", stopped.Reason)

	t.Log("also when it was seen in the middle of that")
	l.keeps.StartAnewByHand(id)
	l.reach(id, workspace.StatusRunning)
	l.keeps.EndByHand(id, "")
	l.reach(id, workspace.StatusFailed)
	l.keeps.RemoveByHand(id)
	l.reach(id, workspace.StatusStopped)

	t.Log("started by somebody else it runs")
	l.keeps.StartAnewByHand(id)
	l.reach(id, workspace.StatusRunning)
	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)

	t.Log("changed by somebody else it is as they say, and nothing of ours is done to it")
	steps := len(l.engine.Steps())
	l.keeps.ChangeByHand(id, func(d *workspace.Deployment) { d.Compute.MemoryMB = 5000 })
	l.eventually(id, "the change is seen", func(w *workspace.Workspace) bool {
		return w.Record.Spec.Compute.MemoryMB == 5000 && w.Status == workspace.StatusRunning
	})
	require.NotContains(t, l.engine.Steps()[steps:], workspace.StepCreate)

	t.Log("ended by itself it has failed, and can be started again")
	l.keeps.EndByHand(id, "")
	l.reach(id, workspace.StatusFailed)
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)

	t.Log("made by somebody else it is there")
	other := workspace.ID("keeps-p-ada0-s-ws-other")
	l.keeps.ChangeByHand(other, func(d *workspace.Deployment) {
		d.Owner, d.DisplayName, d.Image, d.Volume = ada, "other", workspacetest.FakeGoodImage, "other-vol"
		d.Compute.CPUs, d.Compute.MemoryMB = 1, 1000
	})
	require.Eventually(t, func() bool { _, err := l.Get(caller, ada, other); return err == nil }, deadline, time.Millisecond)
	require.NoError(t, l.Start(t.Context(), caller, ada, other))
	l.reach(other, workspace.StatusRunning)

	t.Log("deleted by somebody else it is gone, but for its files")
	heard, unsubscribe := l.Subscribe()
	defer unsubscribe()
	l.keeps.DropByHand(other)
	require.Eventually(t, func() bool {
		for {
			select {
			case event := <-heard:
				if event.Kind == manager.EventRemoved && event.ID == other {
					return strings.Contains(event.Reason, "other was deleted in ML Lab")
				}
			default:
				return false
			}
		}
	}, deadline, time.Millisecond, "and it is said")
	require.Eventually(t, func() bool {
		_, err := l.Get(caller, ada, other)
		return workspace.CodeOf(err) == workspace.CodeNotFound
	}, deadline, time.Millisecond)
	require.Eventually(t, func() bool {
		listed, err := l.Volumes(caller, ada)
		return err == nil && len(listed) == 2 && listed[1].Name == "other-vol" && listed[1].UsedBy == ""
	}, deadline, time.Millisecond)
	require.Equal(t, workspace.StatusRunning, l.get(id).Status)
}

// ML Lab says of every service that it is stopped when Docker or Kubernetes does not answer it.
func TestKept_WhatOnlySeemedToBeStoppedIsNotStartedAnew(t *testing.T) {
	l := newKeepingLab(t, nil)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	handle, steps := l.handle(id), len(l.engine.Steps())
	for range 2 {
		l.keeps.LoseSightOf(id, true)
		l.reach(id, workspace.StatusStopped)
		l.keeps.LoseSightOf(id, false)
		l.reach(id, workspace.StatusRunning)
	}
	require.Equal(t, handle, l.handle(id), "what runs in it goes on")
	require.NotContains(t, l.engine.Steps()[steps:], workspace.StepCreate)

	t.Log("and it can be started anew when its owner asks")
	require.NoError(t, l.Restart(t.Context(), caller, ada, id))
	l.eventually(id, "it runs again", func(w *workspace.Workspace) bool {
		return w.Status == workspace.StatusRunning && l.handle(id) != handle
	})
}

// Where the engine can clear files only together with all that it keeps of a workspace, that is written down again.
func TestKept_WhoseFilesAreClearedIsStillThere(t *testing.T) {
	l := newKeepingLab(t, nil)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("thesis"), Image: ptr(workspacetest.FakeGoodImage), ClearVolumeOnStop: true})
	require.NoError(t, err)
	l.reach(made.Record.ID, workspace.StatusRunning)
	require.NoError(t, l.Stop(t.Context(), caller, ada, made.Record.ID))
	snapshot, err := l.keeps.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Kept, 1)
	require.NoError(t, l.Start(t.Context(), caller, ada, made.Record.ID))
	l.reach(made.Record.ID, workspace.StatusRunning)
}

func TestKept_WhatIsDeletedIsDeletedThere(t *testing.T) {
	for _, files := range []bool{false, true} {
		for _, runs := range []bool{false, true} {
			l := newKeepingLab(t, nil)
			id := l.create("thesis", workspacetest.FakeGoodImage)
			l.reach(id, workspace.StatusRunning)
			if !runs {
				require.NoError(t, l.Stop(t.Context(), caller, ada, id))
			}
			require.NoError(t, l.Delete(t.Context(), caller, ada, id, files))
			snapshot, err := l.keeps.Snapshot(t.Context())
			require.NoError(t, err)
			require.Empty(t, snapshot.Kept)
			require.Empty(t, l.engine.Running())
		}
	}
}

// ML Lab names volumes after workspaces, so whoever has the id has the files.
func TestKept_FilesOutliveTheirWorkspace(t *testing.T) {
	l := newKeepingLab(t, nil)
	thesis := l.create("thesis", workspacetest.FakeGoodImage)
	volume := l.reach(thesis, workspace.StatusRunning).Record.Volume
	l.forget()
	l.reach(thesis, workspace.StatusRunning)
	require.NoError(t, l.Delete(t.Context(), caller, ada, thesis, false), "also right after a start of ours")
	kept := func() []workspace.Volume {
		t.Helper()
		listed, err := l.Volumes(caller, ada)
		require.NoError(t, err)
		return listed
	}
	require.Len(t, kept(), 1)
	require.Empty(t, kept()[0].UsedBy)

	t.Log("nobody has them unasked")
	again := l.create("thesis", workspacetest.FakeGoodImage)
	require.NotEqual(t, thesis, again)
	require.NotEqual(t, volume, l.reach(again, workspace.StatusRunning).Record.Volume)

	t.Log("a manager that knows nothing finds them again")
	l.forget()
	l.reach(again, workspace.StatusRunning)
	require.Len(t, kept(), 2)
	listed := kept()[1]
	require.Equal(t, []any{volume, "thesis", int64(5000), workspace.ID("")}, []any{listed.Name, listed.DisplayName, listed.SizeMB, listed.UsedBy})
	require.False(t, listed.KeptSince.IsZero())

	t.Log("who asks for them has them, whatever the new one is called")
	with := func(name string) (*workspace.Workspace, error) {
		return l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr(name), Image: ptr(workspacetest.FakeGoodImage), Volume: volume})
	}
	other, err := with("other")
	require.NoError(t, err)
	require.Equal(t, []any{thesis, volume, "other"}, []any{other.Record.ID, other.Record.Volume, other.Record.Spec.DisplayName})
	l.reach(thesis, workspace.StatusRunning)
	_, err = with("third")
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err), "only one has them")
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(l.DeleteVolume(t.Context(), caller, ada, volume)))

	t.Log("and nobody has them after they were deleted")
	require.NoError(t, l.Delete(t.Context(), caller, ada, thesis, false))
	require.NoError(t, l.DeleteVolume(t.Context(), caller, ada, volume))
	_, err = with("other")
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))
	require.Len(t, kept(), 1)
	require.NoError(t, l.Delete(t.Context(), caller, ada, again, true))
	require.Empty(t, kept())

	t.Log("what never ran leaves none")
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("new"), Image: ptr(workspacetest.FakeGoodImage), Stopped: true})
	require.NoError(t, err)
	require.NoError(t, l.Delete(t.Context(), caller, ada, made.Record.ID, false))
	require.Empty(t, kept())
}

// An answer by which clients try again later is none where that never helps.
func TestKept_WhereFilesCannotBeMeasuredNobodyIsToldToTryAgain(t *testing.T) {
	l := newKeepingLab(t, nil)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	volume := l.reach(id, workspace.StatusRunning).Record.Volume
	_, err := l.Usage(t.Context(), caller, ada, id)
	require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(err))
	_, err = l.VolumeUsage(t.Context(), caller, ada, volume)
	require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(err))
	_, err = l.VolumeUsage(t.Context(), caller, ada, "another")
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))
}

func TestKept_FilesCountAlsoAfterARestart(t *testing.T) {
	l := newKeepingLab(t, withUserQuota(quota.Sums{StorageMB: 12_000}))
	thesis := l.create("thesis", workspacetest.FakeGoodImage)
	volume := l.reach(thesis, workspace.StatusRunning).Record.Volume
	require.NoError(t, l.Delete(t.Context(), caller, ada, thesis, false))
	l.forget()
	l.create("second", workspacetest.FakeGoodImage)
	_, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("third"), Image: ptr(workspacetest.FakeGoodImage)})
	require.ErrorContains(t, err, "10 GB are there, and this would be 5 GB more")
	_, err = l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("third"), Image: ptr(workspacetest.FakeGoodImage), Volume: volume})
	require.NoError(t, err, "the files that were kept are counted once")
}

func TestKept_AStartThatWaitsIsKept(t *testing.T) {
	l := newKeepingLab(t, func(s *manager.Settings) {
		s.Policy.User = quota.Sums{Running: 1, OnExceed: quota.Queue}
	})
	first := l.create("first", workspacetest.FakeGoodImage)
	l.reach(first, workspace.StatusRunning)
	second := l.create("second", workspacetest.FakeGoodImage)
	l.eventually(second, "it waits", func(w *workspace.Workspace) bool { return w.Position == 1 })
	require.Eventually(t, func() bool { s, _ := l.keeps.Snapshot(t.Context()); return len(s.Kept) == 2 }, deadline, time.Millisecond)
	require.NoError(t, l.Stop(t.Context(), caller, ada, first))
	l.reach(second, workspace.StatusRunning)
}

func TestKept_AStartThatWaitsKeepsItsPlaceOverARestart(t *testing.T) {
	l := newKeepingLab(t, func(s *manager.Settings) {
		s.Policy.User = quota.Sums{Running: 1, OnExceed: quota.Queue}
	})
	first := l.create("zz first", workspacetest.FakeGoodImage)
	l.reach(first, workspace.StatusRunning)
	second := l.create("second", workspacetest.FakeGoodImage)
	l.eventually(second, "it waits", func(w *workspace.Workspace) bool { return w.Position == 1 })
	third := l.create("a third", workspacetest.FakeGoodImage) // after the second, whatever lists are sorted by
	l.eventually(third, "it waits", func(w *workspace.Workspace) bool { return w.Position == 2 })
	for range 2 {
		l.forget()
		l.reach(first, workspace.StatusRunning)
		l.eventually(second, "it waits", func(w *workspace.Workspace) bool { return w.Position == 1 })
		l.eventually(third, "it waits", func(w *workspace.Workspace) bool { return w.Position == 2 })
	}
	require.NoError(t, l.Stop(t.Context(), caller, ada, first))
	l.reach(second, workspace.StatusRunning)
	l.eventually(third, "it is next", func(w *workspace.Workspace) bool { return w.Position == 1 })
	l.forget()
	l.reach(second, workspace.StatusRunning)
	l.eventually(third, "it is next", func(w *workspace.Workspace) bool { return w.Position == 1 })
	require.NoError(t, l.Stop(t.Context(), caller, ada, third))
	l.forget()
	l.reach(third, workspace.StatusStopped)
	memories, _ := l.keeps.Remembered()
	require.Empty(t, memories)
}

func TestKept_WhyItEndedIsSaidAfterARestart(t *testing.T) {
	l := newKeepingLab(t, nil)
	missing := l.create("missing", workspacetest.FakeMissingImage)
	before := l.reach(missing, workspace.StatusFailed)
	eats := l.create("eats", workspacetest.FakeGoodImage)
	l.reach(eats, workspace.StatusRunning)
	l.engine.RunOutOfMemory(eats)
	require.Equal(t, "Out of memory at 2 GB. Its files are safe.", l.reach(eats, workspace.StatusFailed).Reason)
	stopped := l.create("stopped", workspacetest.FakeGoodImage)
	l.reach(stopped, workspace.StatusRunning)
	l.keeps.RemoveByHand(stopped)
	require.Equal(t, "It was stopped there.", l.reach(stopped, workspace.StatusStopped).Reason)
	runs := l.create("runs", workspacetest.FakeGoodImage)
	l.reach(runs, workspace.StatusRunning)
	_, told := l.keeps.Remembered()
	require.Equal(t, 3, told, "of what runs there is nothing to remember")
	l.forget()

	after := l.reach(missing, workspace.StatusFailed)
	require.Equal(t, []any{before.Reason, before.ReasonCode}, []any{after.Reason, after.ReasonCode})
	require.True(t, before.StatusSince.Equal(after.StatusSince))
	after = l.reach(eats, workspace.StatusFailed)
	require.Equal(t, []any{"Out of memory at 2 GB. Its files are safe.", workspace.ReasonOutOfMemory}, []any{after.Reason, after.ReasonCode})
	require.Equal(t, "It was stopped there.", l.reach(stopped, workspace.StatusStopped).Reason)
	_, told = l.keeps.Remembered()
	require.Equal(t, 3, told, "what is known is not said again")

	t.Log("what was started by somebody else meanwhile has not ended")
	l.stop()
	l.keeps.StartAnewByHand(eats)
	l.forget()
	l.reach(eats, workspace.StatusRunning)
	require.NoError(t, l.Start(t.Context(), caller, ada, stopped))
	l.reach(stopped, workspace.StatusRunning)
	memories, _ := l.keeps.Remembered()
	require.Len(t, memories, 1)
	require.Contains(t, memories, missing)
	require.NoError(t, l.Delete(t.Context(), caller, ada, missing, true))
	memories, _ = l.keeps.Remembered()
	require.Empty(t, memories, "it goes with the workspace")
}

// ML Lab says of what we have given up that it is stopped, as of what others have stopped.
func TestKept_WhatWasGivenUpHasFailedAlsoWhenItsContainerIsGone(t *testing.T) {
	l := newKeepingLab(t, nil)
	made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("deaf"), Image: ptr(workspacetest.FakeDeafImage), Profile: "impatient"})
	require.NoError(t, err)
	id := made.Record.ID
	reason := l.reach(id, workspace.StatusFailed).Reason
	require.Contains(t, reason, "did not answer")
	require.Eventually(t, func() bool { return l.engine.State(id) == workspace.ContainerExited }, deadline, time.Millisecond)
	l.keeps.RemoveByHand(id)
	l.keeps.ChangeByHand(id, func(d *workspace.Deployment) { d.Compute.MemoryMB = 3000 }) // so that it can be seen that the news has come
	view := l.eventually(id, "it is seen", func(w *workspace.Workspace) bool { return w.Record.Spec.Compute.MemoryMB == 3000 })
	require.Equal(t, []any{workspace.StatusFailed, reason}, []any{view.Status, view.Reason})
}

// A start that waits for an answer does not wait anew after each restart.
func TestKept_WhatDoesNotAnswerEndsInItsTimeWhateverIsRestarted(t *testing.T) {
	for name, restarts := range map[string][]time.Duration{
		"soon":  {20 * time.Second, 30 * time.Second},
		"late":  {100 * time.Second},
		"often": {50 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newKeepingLab(t, nil)
				answers := l.create("answers", workspacetest.FakeGoodImage)
				l.reach(answers, workspace.StatusRunning)
				began := time.Now()
				made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("deaf"), Image: ptr(workspacetest.FakeDeafImage), Profile: profile.MLWorkspace.Name})
				require.NoError(t, err)
				id := made.Record.ID
				for _, after := range restarts {
					time.Sleep(after)
					require.Equal(t, workspace.StatusPending, l.get(id).Status)
					l.forget()
				}
				l.eventuallyIn(profile.MLWorkspace.AnswerDeadline+time.Minute, id, "it ends", func(w *workspace.Workspace) bool { return w.Status == workspace.StatusFailed })
				require.WithinDuration(t, began.Add(profile.MLWorkspace.AnswerDeadline), time.Now(), 2*time.Second)
				require.Contains(t, l.get(id).Reason, "did not answer on port 8080 within 3 min")
				require.Equal(t, workspace.StatusRunning, l.get(answers).Status)
				memories, _ := l.keeps.Remembered()
				require.Zero(t, memories[id].AskedSince)
				require.NotContains(t, memories, answers)
				l.stop()
			})
		})
	}
}

// ML Lab's proxy believes for minutes that a container is where the one before was.
func TestKept_NobodyIsGivenUpWhileWhatLeadsToThemMayLeadElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newKeepingLab(t, nil)
		l.engine.SettlesIn = 11 * time.Minute
		began := time.Now()
		l.engine.Fault = func(ctx context.Context, step workspace.Step) error {
			if step.Kind != workspace.StepAnswers || time.Since(began) > 5*time.Minute {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(5*time.Minute - time.Since(began)):
				return nil
			}
		}
		create := func(name, image string) workspace.ID {
			t.Helper()
			made, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr(name), Image: ptr(image), Profile: profile.MLWorkspace.Name, CPUs: ptr(0.5)})
			require.NoError(t, err)
			return made.Record.ID
		}
		healthy, deaf := create("healthy", workspacetest.FakeGoodImage), create("deaf", workspacetest.FakeDeafImage)
		time.Sleep(4 * time.Minute)
		require.Equal(t, workspace.StatusPending, l.get(healthy).Status)
		l.forget()
		l.eventuallyIn(2*time.Minute, healthy, "it is reached at last", func(w *workspace.Workspace) bool { return w.Status == workspace.StatusRunning })
		l.eventuallyIn(7*time.Minute, deaf, "its time ends", func(w *workspace.Workspace) bool { return w.Status == workspace.StatusFailed })
		require.WithinDuration(t, began.Add(11*time.Minute), time.Now(), 2*time.Second)
		require.Contains(t, l.get(deaf).Reason, "did not answer on port 8080 within 11 min")
		l.stop()
	})
}

func TestKept_AStartThatFailsIsExplainedAndCanBeTriedAgain(t *testing.T) {
	l := newKeepingLab(t, nil)
	id := l.create("thesis", workspacetest.FakeMissingImage)
	require.NotEmpty(t, l.reach(id, workspace.StatusFailed).Reason)
	_, err := l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: ptr(workspacetest.FakeGoodImage)})
	require.NoError(t, err)
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
}

// Who follows asks for the quota when there is news. What a failed start holds is free a moment after it has failed, when a look
// has found nothing of it.
func TestKept_WhoFollowsHearsWhenAFailedStartHoldsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newKeepingLab(t, nil)
		l.engine.Fault = func(_ context.Context, step workspace.Step) error {
			if step.Kind == workspace.StepStart {
				return workspace.Errorf(workspace.CodeInternal, "There is no such image.")
			}
			return nil
		}
		heard, unsubscribe := l.Subscribe()
		defer unsubscribe()
		id := l.create("thesis", workspacetest.FakeGoodImage)
		var failedAt time.Time
		for held := int64(1); held > 0; {
			select {
			case event := <-heard:
				if event.Workspace != nil && event.Workspace.Status == workspace.StatusFailed && failedAt.IsZero() {
					failedAt = time.Now()
				}
			case <-time.After(20 * time.Second):
				require.Fail(t, "nobody says that it holds nothing", "%+v", l.get(id))
			}
			report, err := l.Quota(caller, ada)
			require.NoError(t, err)
			if held = report.Reserved.MemoryMB; failedAt.IsZero() {
				held = 1
			}
		}
		require.WithinDuration(t, failedAt, time.Now(), time.Second)
		l.stop()
	})
}

func TestKept_WhatTheEngineRefusesIsSaidAndTakenBack(t *testing.T) {
	l := newKeepingLab(t, nil)
	refuses := workspace.Invalid("container_image", "The image is not allowed.")
	l.engine.Fault = func(_ context.Context, step workspace.Step) error {
		if step.Kind == workspace.StepStorage && step.Deployment.Image == workspacetest.FakeDeafImage {
			return refuses
		}
		return nil
	}
	_, err := l.Create(t.Context(), caller, ada, manager.CreateRequest{DisplayName: ptr("thesis"), Image: ptr(workspacetest.FakeDeafImage)})
	require.ErrorIs(t, err, refuses)
	listed, err := l.List(caller, ada)
	require.NoError(t, err)
	require.Empty(t, listed, "nothing is left of what nobody has kept")

	id := l.create("thesis", workspacetest.FakeGoodImage)
	snapshot, err := l.keeps.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Kept, 1, "what was answered is kept")
	l.reach(id, workspace.StatusRunning)
	handle := l.handle(id)
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: ptr(workspacetest.FakeDeafImage)})
	require.NoError(t, err)
	view := l.eventually(id, "it goes on as it was, and says why", func(w *workspace.Workspace) bool {
		return w.Status == workspace.StatusRunning && w.Record.Spec.Image == workspacetest.FakeGoodImage && w.Reason != ""
	})
	require.Contains(t, view.Reason, "not allowed")
	require.Equal(t, handle, l.handle(id))

	require.NoError(t, l.Stop(t.Context(), caller, ada, id))
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{Image: ptr(workspacetest.FakeDeafImage)})
	require.ErrorIs(t, err, refuses)
	require.Equal(t, workspacetest.FakeGoodImage, l.get(id).Record.Spec.Image)
	_, err = l.Update(t.Context(), caller, ada, id, manager.UpdateRequest{MemoryMB: ptr(int64(3000))})
	require.NoError(t, err)
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
}

// The engine may need what is not there any more, as the image of a workspace, to delete its files.
func TestKept_WhoseFilesCannotBeDeletedIsNotLost(t *testing.T) {
	l := newKeepingLab(t, nil)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	var tries atomic.Int32
	l.engine.Fault = func(_ context.Context, step workspace.Step) error {
		if step.Kind != workspace.StepRemoveStorage {
			return nil
		}
		tries.Add(1)
		return workspace.Errorf(workspace.CodeInternal, "The image is gone.")
	}
	deleteFiles := func() {
		go func() { _ = l.Delete(context.Background(), caller, ada, id, true) }() // which waits until it is done
		stuck := l.eventually(id, "it says what it waits for", func(w *workspace.Workspace) bool { return slices.Contains(w.Actions, workspace.ActionKeep) })
		require.Equal(t, workspace.StatusTerminating, stuck.Status)
		require.Equal(t, []any{"The image is gone.", workspace.ReasonTriedAgain}, []any{stuck.Reason, stuck.ReasonCode})
	}
	require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(l.Keep(t.Context(), caller, ada, id)))
	deleteFiles()
	require.Equal(t, workspace.CodeForbidden, workspace.CodeOf(l.Keep(t.Context(), manager.Caller{User: "bob0"}, ada, id)))
	require.Eventually(t, func() bool { return l.Keep(t.Context(), caller, ada, id) == nil }, deadline, 10*time.Millisecond, "unless it is being tried right now")
	require.Equal(t, "Its deletion was taken back.", l.reach(id, workspace.StatusStopped).Reason)
	require.NoError(t, l.Start(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)

	deleteFiles()
	require.Eventually(t, func() bool { return tries.Load() > 3 }, deadline, time.Millisecond)
	require.Eventually(t, func() bool { return slices.Contains(l.get(id).Actions, workspace.ActionKeep) }, deadline, time.Millisecond)
	require.NoError(t, l.Delete(t.Context(), caller, ada, id, false))
	snapshot, err := l.keeps.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, snapshot.Kept)
}

func TestKept_ARemovalThatWasBegunGoesOn(t *testing.T) {
	for removal, left := range map[workspace.Removal]int{workspace.RemovalOfAll: 0, workspace.RemovalOfFiles: 1} {
		t.Run(string(removal), func(t *testing.T) {
			l := newKeepingLab(t, nil)
			id := l.create("thesis", workspacetest.FakeGoodImage)
			l.reach(id, workspace.StatusRunning)
			require.NoError(t, l.Stop(t.Context(), caller, ada, id))
			l.stop()
			l.keeps.LeaveRemoval(id, removal)
			l.forget()
			require.Eventually(t, func() bool {
				snapshot, err := l.keeps.Snapshot(t.Context())
				listed, _ := l.List(caller, ada)
				return err == nil && len(snapshot.Kept) == left && len(listed) == left && len(l.engine.Running()) == 0
			}, deadline, time.Millisecond)
			if left > 0 {
				l.reach(id, workspace.StatusStopped)
				snapshot, err := l.keeps.Snapshot(t.Context())
				require.NoError(t, err)
				require.Empty(t, snapshot.Kept[0].Removal)
			}
		})
	}
}
