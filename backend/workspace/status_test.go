package workspace

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDescribe(t *testing.T) {
	record := Record{Desired: DesiredRunning, Attempt: 1}
	running := &Observed{State: ContainerRunning, Attempt: 1}
	failed := record
	failed.Outcome = &Outcome{Status: StatusFailed, Reason: "Out of memory at 4 GB.", Code: ReasonOutOfMemory}
	stopped := Record{Desired: DesiredStopped}
	ended := record
	ended.Outcome = &Outcome{Status: StatusFailed, Reason: "Stopped by a Docker request.", Code: ReasonDockerRequest}
	for name, c := range map[string]struct {
		situation Situation
		status    Status
		reason    string
	}{
		"new":                  {Situation{Record: record}, StatusPending, "About to start."},
		"queued":               {Situation{Record: record, Phase: PhaseQueued}, StatusPending, "Waits for its turn."},
		"boots":                {Situation{Record: record, Observed: running, Phase: "answers"}, StatusPending, "Waiting until it answers."},
		"answers":              {Situation{Record: record, Observed: running, Ready: true}, StatusRunning, ""},
		"is resized":           {Situation{Record: record, Observed: running, Ready: true, Phase: "resize"}, StatusRunning, ""},
		"is replaced":          {Situation{Record: record, Observed: running, Ready: true, Phase: "stop"}, StatusPending, "Replacing its container."},
		"failed":               {Situation{Record: failed}, StatusFailed, "Out of memory at 4 GB."},
		"failed, files gone":   {Situation{Record: failed, FilesGone: true}, StatusFailed, "Out of memory at 4 GB. " + FilesGone("")},
		"ended by hand":        {Situation{Record: ended, Observed: &Observed{State: ContainerExited}}, StatusFailed, "Stopped by a Docker request."},
		"removed by hand":      {Situation{Record: ended}, StatusFailed, TakenAway + FilesAreSafe},
		"removed with files":   {Situation{Record: ended, FilesGone: true}, StatusFailed, TakenAway + " " + FilesGone("")},
		"stopped, files gone":  {Situation{Record: stopped, FilesGone: true}, StatusFailed, FilesGone("")},
		"stops":                {Situation{Record: stopped, Observed: running}, StatusTerminating, "Stopping."},
		"stopped":              {Situation{Record: stopped}, StatusStopped, ""},
		"deleted":              {Situation{Record: Record{Desired: DesiredDeleted}}, StatusTerminating, "Being deleted."},
		"engine away":          {Situation{Record: record, Observed: running, Ready: true, EngineDown: true, EngineReason: "Docker does not answer."}, StatusUnknown, "Docker does not answer."},
		"engine away, stopped": {Situation{Record: stopped, EngineDown: true}, StatusStopped, ""},
		"engine away, failed":  {Situation{Record: failed, EngineDown: true}, StatusFailed, "Out of memory at 4 GB."},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, reason, _ := Describe(c.situation)
			require.Equal(t, c.status, status)
			require.Equal(t, c.reason, reason)
		})
	}
}

// A page that offers to stop what has ended looks as if it still ran.
func TestActionsFor_WhatHasEndedCannotBeStopped(t *testing.T) {
	for _, status := range []Status{StatusStopped, StatusSucceeded, StatusFailed} {
		actions := ActionsFor(status, DesiredRunning, false)
		require.NotContains(t, actions, ActionStop, status)
		require.Contains(t, actions, ActionStart, status)
	}
}

// Every situation has a status that its owner can leave, unless the engine is away or the workspace is being deleted.
func TestDescribe_NoStateWithoutAnExit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Situation{
			Record: Record{Desired: rapid.SampledFrom([]Desired{DesiredRunning, DesiredStopped, DesiredDeleted}).Draw(t, "desired"), Attempt: 1},
			Ready:  rapid.Bool().Draw(t, "ready"),
			Phase:  rapid.SampledFrom([]string{"", PhaseQueued, "image", "start", "answers", "stop"}).Draw(t, "phase"),
		}
		if rapid.Bool().Draw(t, "ended") {
			s.Record.Outcome = &Outcome{Status: rapid.SampledFrom([]Status{StatusFailed, StatusSucceeded}).Draw(t, "how")}
		}
		if rapid.Bool().Draw(t, "has a container") {
			s.Observed = &Observed{
				Attempt: rapid.Int64Range(0, 1).Draw(t, "attempt"),
				State:   rapid.SampledFrom([]ContainerState{ContainerCreated, ContainerRunning, ContainerPaused, ContainerExited, ContainerDead}).Draw(t, "state"),
			}
		}
		status, _, _, _ := Describe(s)
		actions := ActionsFor(status, s.Record.Desired, false)
		if s.Record.Desired == DesiredDeleted {
			require.Equal(t, StatusTerminating, status)
			return
		}
		require.Contains(t, actions, ActionDelete)
	})
}
