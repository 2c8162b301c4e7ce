package manager

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// An image that exits at once: its end is known before the call that started it returns.
func TestStepList_AFailedStepStaysFailed(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	steps := stepList{{Kind: workspace.StepStart, State: workspace.StepWaiting}, {Kind: workspace.StepAnswers, State: workspace.StepWaiting}}
	steps = steps.begin(workspace.StepStart, now).fail("Ended by itself.", now)
	steps = steps.report(workspace.StepStart, workspace.Progress{Detail: "late"}).end(workspace.StepStart, workspace.StepDone, now)
	steps = steps.showLog([]string{"last words"})
	require.Equal(t, workspace.StepFailed, steps[0].State)
	require.Equal(t, "Ended by itself.", steps[0].Progress.Detail)
	require.Equal(t, []string{"last words"}, steps[0].Progress.Log)
	require.Equal(t, workspace.StepWaiting, steps[1].State)
}

// A lab that is told of a change starts the container anew by itself.
func TestStepList_WhatIsPassedOverIsDone(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	steps := stepList{
		{Kind: workspace.StepStorage, State: workspace.StepWaiting}, {Kind: workspace.StepStart, State: workspace.StepWaiting},
		{Kind: workspace.StepAnswers, State: workspace.StepWaiting},
	}
	before := steps.begin(workspace.StepStorage, now).end(workspace.StepStorage, workspace.StepDone, now)
	steps = before.begin(workspace.StepAnswers, now)
	require.Equal(t, []workspace.StepState{workspace.StepDone, workspace.StepDone, workspace.StepNow}, []workspace.StepState{steps[0].State, steps[1].State, steps[2].State})
	require.Equal(t, workspace.StepWaiting, before[1].State, "lists are published and never written")
}
