package manager

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// stepList is a start as a person sees it: every step from the first to the last, with how far it is.
type stepList []workspace.StepProgress

// newStepList lists the steps of a plan by their titles.
func newStepList(plan Plan, prof profile.Profile, can workspace.Capabilities) stepList {
	list := make(stepList, 0, len(plan.Steps))
	for _, step := range plan.Steps {
		list = append(list, workspace.StepProgress{Kind: step.Kind, Title: stepTitle(step, prof, can), State: workspace.StepWaiting})
	}
	return list
}

func stepTitle(step workspace.Step, prof profile.Profile, can workspace.Capabilities) string {
	switch step.Kind {
	case workspace.StepImage:
		return "Image " + step.Deployment.Image
	case workspace.StepStorage:
		if can.Keeps {
			return "Settings and volume"
		}
		return "Volume"
	case workspace.StepCreate:
		return "Container with " + computeTitle(step.Deployment.Compute)
	case workspace.StepStart:
		return "Start"
	case workspace.StepAnswers:
		return prof.Title + " answers"
	case workspace.StepStop:
		return "Stop the old container"
	case workspace.StepRemove:
		return "Remove the old container"
	case workspace.StepResize:
		return "Limits " + computeTitle(step.Deployment.Compute)
	case workspace.StepResume:
		return "Wake up"
	}
	return string(step.Kind)
}

// computeTitle writes compute as people say it: "2 CPUs and 4 GB".
func computeTitle(c workspace.Compute) string {
	unit := "CPUs"
	if c.CPUs == 1 {
		unit = "CPU"
	}
	return fmt.Sprintf("%s %s and %s", strconv.FormatFloat(c.CPUs, 'f', -1, 64), unit, quota.FormatMB(c.MemoryMB))
}

// detailOf is what there is to say of a step that goes on; "" = nothing.
func (l stepList) detailOf(kind workspace.StepKind) string {
	for _, step := range l {
		if step.Kind == kind && step.State == workspace.StepNow {
			return step.Progress.Detail
		}
	}
	return ""
}

// with returns a copy in which the first unfinished step of the kind is changed; lists are published and never written.
func (l stepList) with(kind workspace.StepKind, change func(*workspace.StepProgress)) stepList {
	copied := append(stepList(nil), l...)
	for i := range copied {
		if copied[i].Kind == kind && copied[i].State != workspace.StepDone {
			change(&copied[i])
			break
		}
	}
	return copied
}

// begin notes that a step is going on. Those before it that never were had nothing to do: an engine that keeps what should be
// starts a container anew when it is told of a change.
func (l stepList) begin(kind workspace.StepKind, now time.Time) stepList {
	begun := l.with(kind, func(s *workspace.StepProgress) {
		s.State, s.Progress = workspace.StepNow, workspace.Progress{}
		if s.StartedAt.IsZero() {
			s.StartedAt = now
		}
	})
	at := slices.IndexFunc(begun, func(s workspace.StepProgress) bool { return s.Kind == kind && s.State == workspace.StepNow })
	for i := range begun[:max(at, 0)] {
		if begun[i].State == workspace.StepWaiting {
			begun[i].State = workspace.StepDone
		}
	}
	return begun
}

func (l stepList) report(kind workspace.StepKind, progress workspace.Progress) stepList {
	return l.with(kind, func(s *workspace.StepProgress) {
		if s.State != workspace.StepFailed {
			s.Progress = progress
		}
	})
}

// end notes that a step is over. One that has failed stays so: a container can end, and its end be known, before the call
// that started it returns.
func (l stepList) end(kind workspace.StepKind, state workspace.StepState, now time.Time) stepList {
	return l.with(kind, func(s *workspace.StepProgress) {
		if s.State != workspace.StepFailed {
			s.State, s.EndedAt = state, now
		}
	})
}

// awaits reports whether a step of the kind is still to be done.
func (l stepList) awaits(kind workspace.StepKind) bool {
	return slices.ContainsFunc(l, func(step workspace.StepProgress) bool { return step.Kind == kind && step.State != workspace.StepDone })
}

// fail marks the step that was going on, or the last one that was done, as the one that failed.
func (l stepList) fail(reason string, now time.Time) stepList {
	copied := append(stepList(nil), l...)
	at := -1
	for i := range copied {
		if copied[i].State == workspace.StepNow || copied[i].State == workspace.StepDone {
			at = i
		}
	}
	if at < 0 {
		return copied
	}
	copied[at].State, copied[at].EndedAt = workspace.StepFailed, now
	copied[at].Progress.Detail = reason
	return copied
}

// showLog puts log lines under the step that failed.
func (l stepList) showLog(log []string) stepList {
	copied := append(stepList(nil), l...)
	for i := range copied {
		if copied[i].State == workspace.StepFailed {
			copied[i].Progress.Log = log
		}
	}
	return copied
}
