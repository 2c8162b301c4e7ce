package manager

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

// recordFor is a workspace in its first attempt that should run.
func recordFor() workspace.Record {
	return workspace.Record{
		ID: "labtest-p-ada0-s-ws-thesis", UID: "u1", Owner: "ada0",
		Spec: workspace.Spec{
			DisplayName: "thesis", Image: "lab-workspace-minimal:latest", Profile: "workspace-minimal",
			Compute: workspace.Compute{CPUs: 2, MemoryMB: 4000, ShmMB: 2000, Processes: 4096},
		},
		Desired: workspace.DesiredRunning, Volume: "ada0-labtest-p-ada0-s-ws-thesis-vol", Attempt: 1,
	}
}

// containerFor is the container of the record, in a state.
func containerFor(record workspace.Record, state workspace.ContainerState) *workspace.Observed {
	return &workspace.Observed{
		ID: record.ID, UID: record.UID, Owner: record.Owner, Attempt: record.Attempt,
		Fingerprint: Deploy(record, around).Fingerprint, Handle: "c1", State: state,
		Image: record.Spec.Image, Compute: record.Spec.Compute, Volume: record.Volume,
		StartedAt: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
	}
}

var around = Around{Profile: profile.Minimal, Can: workspace.AllButKeeping}

func TestPlanFor(t *testing.T) {
	const fresh = `1 image: it should run and has no container
2 storage: it should run and has no container
3 create: it should run and has no container
4 start: it should run and has no container
5 answers: it should run and has no container`
	record := recordFor()
	with := func(change func(*workspace.Record)) workspace.Record {
		changed := record
		change(&changed)
		return changed
	}
	stopped := with(func(r *workspace.Record) { r.Desired = workspace.DesiredStopped })
	cleared := with(func(r *workspace.Record) { r.Desired, r.DeleteVolume = workspace.DesiredStopped, true })
	deleted := with(func(r *workspace.Record) { r.Desired = workspace.DesiredDeleted })
	purged := with(func(r *workspace.Record) { r.Desired, r.DeleteVolume = workspace.DesiredDeleted, true })
	failed := with(func(r *workspace.Record) { r.Outcome = &workspace.Outcome{Status: workspace.StatusFailed} })
	restarted := with(func(r *workspace.Record) { r.Attempt = 2 })
	otherImage := with(func(r *workspace.Record) { r.Spec.Image = "jupyter/base-notebook" })
	resized := with(func(r *workspace.Record) { r.Spec.Compute.MemoryMB = 6000 })
	renamed := with(func(r *workspace.Record) { r.Spec.DisplayName = "paper" })
	moreShm := with(func(r *workspace.Record) { r.Spec.Compute.ShmMB = 3000 })
	foreign := containerFor(record, workspace.ContainerRunning)
	foreign.UID = "u0"
	copied := containerFor(record, workspace.ContainerRunning)
	copied.Copied = true

	for name, c := range map[string]struct {
		record   workspace.Record
		observed *workspace.Observed
		ready    bool
		want     string
	}{
		"new":                    {record, nil, false, fresh},
		"made and not started":   {record, containerFor(record, workspace.ContainerCreated), false, "1 start: its container was made and not started\n2 answers: its container was made and not started"},
		"not seen answering yet": {record, containerFor(record, workspace.ContainerRunning), false, "1 answers: nobody has seen it answer yet"},
		"running":                {record, containerFor(record, workspace.ContainerRunning), true, "nothing to do"},
		"renamed":                {renamed, containerFor(record, workspace.ContainerRunning), true, "nothing to do"},
		"more shm waits":         {moreShm, containerFor(record, workspace.ContainerRunning), true, "nothing to do"},
		"resized":                {resized, containerFor(record, workspace.ContainerRunning), true, "1 resize: its limits should be 2 CPUs and 6 GB"},
		"resized while booting":  {resized, containerFor(record, workspace.ContainerRunning), false, "1 resize: its limits should be 2 CPUs and 6 GB\n2 answers: nobody has seen it answer yet"},
		"ended with its engine":  {record, containerFor(record, workspace.ContainerExited), false, "1 start: it ended with its engine and should run\n2 answers: it ended with its engine and should run"},
		"frozen by another hand": {record, containerFor(record, workspace.ContainerPaused), true, "1 resume: it was frozen and should run\n2 answers: it was frozen and should run"},
		"half removed":           {record, containerFor(record, workspace.ContainerDead), false, "1 remove: its container is half removed\n2 image: its container is half removed\n3 storage: its container is half removed\n4 create: its container is half removed\n5 start: its container is half removed\n6 answers: its container is half removed"},
		"restarted":              {restarted, containerFor(record, workspace.ContainerRunning), true, "1 image: it was started anew\n2 stop: it was started anew\n3 remove: it was started anew\n4 storage: it was started anew\n5 create: it was started anew\n6 start: it was started anew\n7 answers: it was started anew"},
		"started by a lab":       {record, copied, true, "1 image: its container was made by somebody else\n2 stop: its container was made by somebody else\n3 remove: its container was made by somebody else\n4 storage: its container was made by somebody else\n5 create: its container was made by somebody else\n6 start: its container was made by somebody else\n7 answers: its container was made by somebody else"},
		"started after its end":  {restarted, containerFor(record, workspace.ContainerExited), false, "1 image: it was started anew\n2 remove: it was started anew\n3 storage: it was started anew\n4 create: it was started anew\n5 start: it was started anew\n6 answers: it was started anew"},
		"another image":          {otherImage, containerFor(record, workspace.ContainerRunning), true, "1 image: its image should be jupyter/base-notebook\n2 stop: its image should be jupyter/base-notebook\n3 remove: its image should be jupyter/base-notebook\n4 storage: its image should be jupyter/base-notebook\n5 create: its image should be jupyter/base-notebook\n6 start: its image should be jupyter/base-notebook\n7 answers: its image should be jupyter/base-notebook"},
		"an older one's":         {record, foreign, true, "1 image: its container belongs to an earlier workspace of the same id\n2 stop: its container belongs to an earlier workspace of the same id\n3 remove: its container belongs to an earlier workspace of the same id\n4 storage: its container belongs to an earlier workspace of the same id\n5 create: its container belongs to an earlier workspace of the same id\n6 start: its container belongs to an earlier workspace of the same id\n7 answers: its container belongs to an earlier workspace of the same id"},
		"stop":                   {stopped, containerFor(record, workspace.ContainerRunning), true, "1 stop: it should be stopped\n2 remove: it should be stopped"},
		"stop one that ended":    {stopped, containerFor(record, workspace.ContainerExited), false, "1 remove: it should be stopped"},
		"stopped":                {stopped, nil, false, "nothing to do"},
		"stop and clear":         {cleared, containerFor(record, workspace.ContainerRunning), true, "1 stop: it should be stopped\n2 remove: it should be stopped\n3 remove-storage: its files are cleared whenever it stops"},
		"delete":                 {deleted, containerFor(record, workspace.ContainerRunning), true, "1 stop: the workspace is being deleted\n2 remove: the workspace is being deleted\n3 release: its owner may have no other\n4 forget: nothing of it is left"},
		"delete with its files":  {purged, nil, false, "1 remove-storage: its owner asked to delete the files too\n2 release: its owner may have no other\n3 forget: nothing of it is left"},
		"failed and still there": {failed, containerFor(record, workspace.ContainerRunning), false, "1 stop: the attempt has failed"},
		"failed":                 {failed, containerFor(record, workspace.ContainerExited), false, "nothing to do"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, PlanFor(c.record, c.observed, c.ready, nil, around).String())
		})
	}
}

// obey is what an engine that never fails makes of a step.
func obey(step workspace.Step, record *workspace.Record, observed *workspace.Observed, ready bool) (*workspace.Observed, bool) {
	switch step.Kind {
	case workspace.StepCreate:
		return containerFor(*record, workspace.ContainerCreated), false
	case workspace.StepStart, workspace.StepResume:
		observed.State = workspace.ContainerRunning
		return observed, false
	case workspace.StepAnswers:
		return observed, true
	case workspace.StepResize:
		observed.Compute = step.Deployment.Compute
		return observed, ready
	case workspace.StepStop:
		observed.State = workspace.ContainerExited
		return observed, false
	case workspace.StepRemove:
		return nil, false
	case workspace.StepRemoveStorage:
		record.DeleteVolume = false
	}
	return observed, ready
}

// Whatever the situation, following the plan reaches one in which nothing is left to do, and it is the desired one.
func TestPlanFor_AlwaysArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record := recordFor()
		record.Desired = rapid.SampledFrom([]workspace.Desired{workspace.DesiredRunning, workspace.DesiredStopped, workspace.DesiredDeleted}).Draw(t, "desired")
		record.DeleteVolume = record.Desired != workspace.DesiredRunning && rapid.Bool().Draw(t, "delete volume")
		record.Attempt = rapid.Int64Range(1, 3).Draw(t, "attempt")
		var observed *workspace.Observed
		if rapid.Bool().Draw(t, "has a container") {
			made := record
			made.Attempt = rapid.Int64Range(1, record.Attempt).Draw(t, "made for attempt")
			made.Spec.Image = rapid.SampledFrom([]string{record.Spec.Image, "other"}).Draw(t, "made of image")
			made.Spec.Compute.MemoryMB = rapid.SampledFrom([]int64{4000, 100}).Draw(t, "made with memory")
			observed = containerFor(made, rapid.SampledFrom([]workspace.ContainerState{
				workspace.ContainerCreated, workspace.ContainerRunning, workspace.ContainerPaused, workspace.ContainerExited, workspace.ContainerDead,
			}).Draw(t, "state"))
		}
		ready := rapid.Bool().Draw(t, "ready")
		done := doneSteps{}
		for range 30 {
			step, any := PlanFor(record, observed, ready, done, around).next()
			if !any {
				switch record.Desired {
				case workspace.DesiredRunning:
					require.NotNil(t, observed)
					require.Equal(t, workspace.ContainerRunning, observed.State)
					require.True(t, ready)
					require.Equal(t, record.Spec.Image, observed.Image)
					require.Equal(t, record.Spec.Compute.MemoryMB, observed.Compute.MemoryMB)
				case workspace.DesiredStopped:
					require.Nil(t, observed)
					require.False(t, record.DeleteVolume)
				default:
					t.Fatal("a workspace that is being deleted always has something left to do until it is forgotten")
				}
				return
			}
			if step.Kind == workspace.StepForget {
				require.Nil(t, observed)
				require.False(t, record.DeleteVolume)
				return
			}
			observed, ready = obey(step, &record, observed, ready)
			done[step.Kind] = leavesNoTrace(step.Kind)
		}
		t.Fatal("thirty steps did not arrive")
	})
}
