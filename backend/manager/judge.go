package manager

import (
	"fmt"
	"strings"
	"time"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// engineRestartSlack is how much later than its engine's start a container may be reported to have ended because of it:
// after a crash Docker notes the end of its containers while it starts.
const engineRestartSlack = 5 * time.Second

// Judge decides whether the current attempt has ended and how; nil when it goes on. A container that ended together
// with its engine (restart of Docker or of the host) has not ended: it is started again.
func Judge(record workspace.Record, observed *workspace.Observed, engineStartedAt, now time.Time) *workspace.Outcome {
	if record.Desired != workspace.DesiredRunning || record.Outcome != nil {
		return nil
	}
	if observed == nil {
		if record.Launched == 0 || record.Launched != record.Attempt {
			return nil
		}
		return &workspace.Outcome{
			Status: workspace.StatusFailed, Code: workspace.ReasonRemoved, At: now,
			Reason: workspace.TakenAway + workspace.FilesAreSafe,
		}
	}
	if observed.Attempt != record.Attempt || observed.UID != record.UID || observed.State != workspace.ContainerExited ||
		observed.StartedAt.IsZero() || endedWithEngine(observed, engineStartedAt) {
		return nil
	}
	return verdict(observed, now)
}

// revived reports whether somebody has started an ended container of the present attempt again through the engine, or has
// given one its name back: then it should run, as if the owner had asked here.
func revived(record workspace.Record, observed *workspace.Observed) bool {
	return record.Desired == workspace.DesiredRunning && record.Outcome != nil && observed != nil &&
		observed.State == workspace.ContainerRunning && observed.UID == record.UID && observed.Attempt == record.Attempt &&
		(observed.StartedAt.After(record.Outcome.At) || record.Outcome.Code == workspace.ReasonRemoved)
}

func endedWithEngine(observed *workspace.Observed, engineStartedAt time.Time) bool {
	return !engineStartedAt.IsZero() && observed.FinishedAt.Before(engineStartedAt.Add(engineRestartSlack)) &&
		observed.StartedAt.Before(engineStartedAt)
}

// verdict names the cause of a container's end: the kernel, a request to the engine, or the program itself.
func verdict(observed *workspace.Observed, now time.Time) *workspace.Outcome {
	outcome := &workspace.Outcome{Status: workspace.StatusFailed, ExitCode: observed.ExitCode, At: observed.FinishedAt}
	if outcome.At.IsZero() {
		outcome.At = now
	}
	signal := signalOf(observed.ExitCode)
	switch {
	case observed.OOMKilled && observed.ExitCode != 0:
		outcome.Code = workspace.ReasonOutOfMemory
		outcome.Reason = fmt.Sprintf("Out of memory at %s."+workspace.FilesAreSafe, quota.FormatMB(observed.Compute.MemoryMB))
	case observed.KilledBy != "":
		outcome.Code = workspace.ReasonDockerRequest
		outcome.Reason = fmt.Sprintf("Stopped from outside the workspace manager by a Docker request (%s).", observed.KilledBy)
	case observed.ExitCode == 0:
		outcome.Status, outcome.Code = workspace.StatusSucceeded, workspace.ReasonExited
		outcome.Reason = "Ended by itself, without an error."
	case signal != "":
		outcome.Code = workspace.ReasonKilled
		outcome.Reason = fmt.Sprintf("Killed by %s, sent from inside it or by the machine.", signal)
	case observed.ExitCode == workspace.ExitCodeUnknown:
		outcome.Code = workspace.ReasonExited
		outcome.Reason = "Ended by itself with an error. Its log may say why."
	default:
		outcome.Code = workspace.ReasonExited
		outcome.Reason = fmt.Sprintf("Ended by itself with exit code %d.", observed.ExitCode)
	}
	return outcome
}

// signalOf translates the exit codes by which shells and engines report a deadly signal (128 + number).
func signalOf(exitCode int) string {
	names := map[int]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}
	return names[exitCode-128]
}

// failureDecision is what follows from a failed step.
type failureDecision struct {
	retryAfter time.Duration      // try again after that long; 0 = do not
	outcome    *workspace.Outcome // the attempt is over
	keepImage  bool               // keep what runs, if the spec can go back to what the container was made of; else outcome
	keepLimits bool               // keep what runs: take the spec back to the CPUs and the memory of the container
	notice     string             // say so beside a workspace that goes on
}

// retryDelays are the pauses before an engine's internal error is tried again; after the last one it counts as final.
var retryDelays = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}

// takeDownDelays are the pauses before something is tried again that is never given up: what does not succeed soon rarely does
// a moment later, and nobody shall be asked for it every few seconds for ever.
var takeDownDelays = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}

// awayDelays are the pauses before a step is tried again whose call found no engine. While the engine is known to be away
// nothing is tried at all, so this is for one that breaks off this very call again and again; after the last pause the
// error counts like any other of the engine's.
var awayDelays = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second}

// decideFailure decides what follows from a failed step: only errors of the engine are tried again. failures counts the
// earlier ones of this step in a row.
func decideFailure(step workspace.Step, err error, record workspace.Record, observed *workspace.Observed, failures int, now time.Time) failureDecision {
	code := workspace.CodeOf(err)
	if code == workspace.CodeUnavailable && failures < len(awayDelays) {
		return failureDecision{retryAfter: awayDelays[failures]}
	}
	sentence := strings.TrimSpace(workspace.MessageOf(err) + " " + workspace.HintOf(err))
	if record.Desired != workspace.DesiredRunning || record.Outcome != nil {
		// Taking down is never given up: the owner wants it gone, and a later try may succeed.
		return failureDecision{retryAfter: takeDownDelays[min(failures, len(takeDownDelays)-1)], notice: sentence}
	}
	fail := func(reason, sentence string) failureDecision {
		return failureDecision{outcome: &workspace.Outcome{Status: workspace.StatusFailed, Code: reason, Reason: sentence, At: now}}
	}
	replacing := observed != nil && alive(observed) && observed.UID == record.UID
	switch step.Kind {
	case workspace.StepImage:
		reason := workspace.ReasonImageFailed
		if code == workspace.CodeImageMissing {
			reason = workspace.ReasonImageMissing
		}
		decision := fail(reason, sentence)
		if replacing {
			decision.keepImage, decision.notice = true, fmt.Sprintf("The image could not be changed: %s It goes on with %s.", sentence, observed.Image)
		}
		return decision
	case workspace.StepResize:
		return failureDecision{keepLimits: true, notice: "The limits could not be changed: " + sentence}
	case workspace.StepAnswers:
		if code == workspace.CodeTimeout {
			why := workspace.HintOf(err)
			if why == "" {
				why = "Its log may say why."
			}
			return fail(workspace.ReasonNotAnswering, fmt.Sprintf("It did not answer on port %d within %s, so it was stopped. %s",
				step.Deployment.Port, quota.FormatDuration(step.Deadline), why))
		}
		// The container ended meanwhile; the engine's own word about that decides.
		return failureDecision{retryAfter: retryDelays[min(failures, len(retryDelays)-1)]}
	}
	if code == workspace.CodeImageMissing {
		return fail(workspace.ReasonImageMissing, sentence)
	}
	if step.Kind == workspace.StepStorage && code == workspace.CodeNotFound {
		return fail(workspace.ReasonFilesGone, workspace.FilesGone(record.Volume))
	}
	if (code == workspace.CodeInternal || code == workspace.CodeTimeout) && failures < len(retryDelays) {
		return failureDecision{retryAfter: retryDelays[failures]}
	}
	return fail(workspace.ReasonRefused, sentence)
}
