package manager

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestJudge_NamesTheCause(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ended := func(change func(*workspace.Observed)) *workspace.Observed {
		observed := containerFor(recordFor(), workspace.ContainerExited)
		observed.StartedAt, observed.FinishedAt = start, start.Add(time.Hour)
		change(observed)
		return observed
	}
	launched := recordFor()
	launched.Launched = 1
	for name, c := range map[string]struct {
		record        workspace.Record
		observed      *workspace.Observed
		engineStarted time.Time
		status        workspace.Status
		code          string
		says          string
	}{
		"never launched":       {record: recordFor()},
		"removed by hand":      {launched, nil, time.Time{}, workspace.StatusFailed, workspace.ReasonRemoved, "removed or renamed from outside"},
		"running":              {record: launched, observed: containerFor(launched, workspace.ContainerRunning)},
		"by itself, fine":      {launched, ended(func(*workspace.Observed) {}), time.Time{}, workspace.StatusSucceeded, workspace.ReasonExited, "without an error"},
		"by itself, exit code": {launched, ended(func(o *workspace.Observed) { o.ExitCode = 3 }), time.Time{}, workspace.StatusFailed, workspace.ReasonExited, "exit code 3"},
		"out of memory":        {launched, ended(func(o *workspace.Observed) { o.ExitCode, o.OOMKilled = 137, true }), time.Time{}, workspace.StatusFailed, workspace.ReasonOutOfMemory, "Out of memory at 4 GB"},
		"docker stop":          {launched, ended(func(o *workspace.Observed) { o.ExitCode, o.KilledBy = 143, "SIGTERM" }), time.Time{}, workspace.StatusFailed, workspace.ReasonDockerRequest, "Docker request (SIGTERM)"},
		"killed by somebody":   {launched, ended(func(o *workspace.Observed) { o.ExitCode = 137 }), time.Time{}, workspace.StatusFailed, workspace.ReasonKilled, "SIGKILL"},
		"with its engine":      {record: launched, observed: ended(func(o *workspace.Observed) { o.ExitCode = 137 }), engineStarted: start.Add(2 * time.Hour)},
		"after its engine":     {launched, ended(func(o *workspace.Observed) { o.ExitCode = 1 }), start.Add(-time.Hour), workspace.StatusFailed, workspace.ReasonExited, "exit code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := Judge(c.record, c.observed, c.engineStarted, start.Add(3*time.Hour))
			if c.status == "" {
				require.Nil(t, outcome)
				return
			}
			require.NotNil(t, outcome)
			require.Equal(t, c.status, outcome.Status)
			require.Equal(t, c.code, outcome.Code)
			require.Contains(t, outcome.Reason, c.says)
		})
	}
}

func TestDecideFailure_OnlyEngineErrorsAreRetried(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	record := recordFor()
	running := containerFor(record, workspace.ContainerRunning)
	step := func(kind workspace.StepKind) workspace.Step { return workspace.Step{Kind: kind, Deadline: time.Minute} }
	missing := workspace.Errorf(workspace.CodeImageMissing, "There is no image x.")

	decision := decideFailure(step(workspace.StepImage), missing, record, nil, 0, now)
	require.Equal(t, workspace.ReasonImageMissing, decision.outcome.Code)

	decision = decideFailure(step(workspace.StepImage), missing, record, running, 0, now)
	require.True(t, decision.keepImage, "what runs is kept when a new image cannot be had")

	decision = decideFailure(step(workspace.StepStart), workspace.Errorf(workspace.CodeUnavailable, "gone"), record, nil, 0, now)
	require.Equal(t, awayDelays[0], decision.retryAfter, "an engine that is away fails no workspace")
	decision = decideFailure(step(workspace.StepStart), workspace.Errorf(workspace.CodeUnavailable, "gone"), record, nil, len(awayDelays), now)
	require.Equal(t, workspace.ReasonRefused, decision.outcome.Code, "one that is there and breaks off every time does")

	decision = decideFailure(step(workspace.StepStart), workspace.Errorf(workspace.CodeInternal, "no bridge"), record, nil, 0, now)
	require.Equal(t, retryDelays[0], decision.retryAfter)
	decision = decideFailure(step(workspace.StepStart), workspace.Errorf(workspace.CodeInternal, "no bridge"), record, nil, len(retryDelays), now)
	require.Equal(t, workspace.ReasonRefused, decision.outcome.Code)

	decision = decideFailure(step(workspace.StepCreate), workspace.Errorf(workspace.CodeInvalid, "too much"), record, nil, 0, now)
	require.Equal(t, workspace.ReasonRefused, decision.outcome.Code)

	locked := &workspace.Error{Code: workspace.CodeInvalid, Message: "The registry does not give out the image.", Hint: "docker login helps."}
	decision = decideFailure(step(workspace.StepImage), locked, record, nil, 0, now)
	require.Equal(t, "The registry does not give out the image. docker login helps.", decision.outcome.Reason, "nobody else tells what to do")

	late := step(workspace.StepAnswers)
	late.Deadline, late.Deployment.Port = 3*time.Minute, 9000
	decision = decideFailure(late, workspace.Errorf(workspace.CodeTimeout, "late"), record, running, 0, now)
	require.Equal(t, workspace.ReasonNotAnswering, decision.outcome.Code)
	require.Equal(t, "It did not answer on port 9000 within 3 min, so it was stopped. Its log may say why.", decision.outcome.Reason)
	decision = decideFailure(late, &workspace.Error{Code: workspace.CodeTimeout, Hint: "It listens on port 5555 instead."}, record, running, 0, now)
	require.Equal(t, "It did not answer on port 9000 within 3 min, so it was stopped. It listens on port 5555 instead.", decision.outcome.Reason)

	record.Desired = workspace.DesiredDeleted
	decision = decideFailure(step(workspace.StepRemove), workspace.Errorf(workspace.CodeInternal, "busy"), record, running, 100, now)
	require.Nil(t, decision.outcome)
	require.Positive(t, decision.retryAfter, "taking down is never given up")
}

func TestRevived_WhatSomebodyStartedAgainShouldRun(t *testing.T) {
	ended := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	record := recordFor()
	record.Outcome = &workspace.Outcome{Status: workspace.StatusFailed, Code: workspace.ReasonDockerRequest, At: ended}
	running := containerFor(record, workspace.ContainerRunning)
	running.StartedAt = ended.Add(time.Second)
	require.True(t, revived(record, running))
	running.StartedAt = ended.Add(-time.Second)
	require.False(t, revived(record, running), "it is about to be stopped: it did not answer in time")
	require.False(t, revived(record, nil))
	record.Outcome.Code = workspace.ReasonRemoved
	require.True(t, revived(record, running), "it has its name again")
	running.StartedAt, record.Desired = ended.Add(time.Second), workspace.DesiredStopped
	require.False(t, revived(record, running), "its owner wants it stopped")
}
