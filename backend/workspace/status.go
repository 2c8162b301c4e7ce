package workspace

import (
	"strings"
	"time"
)

// Status is ML Lab's word for how a workspace is. It is computed from what should be and what is, never stored.
type Status string

// ML Lab's vocabulary. StatusRunning means ready to be opened, not merely that a container exists.
const (
	StatusPending     Status = "pending"
	StatusRunning     Status = "running"
	StatusSucceeded   Status = "succeeded"
	StatusFailed      Status = "failed"
	StatusTerminating Status = "terminating"
	StatusStopped     Status = "stopped"
	StatusUnknown     Status = "unknown"
)

// PhaseQueued is the phase of a workspace that waits for its turn; the other phases are the kinds of steps.
const PhaseQueued = "queued"

// Action is something that can be asked of a workspace in its present state.
type Action string

// The actions an owner has.
const (
	ActionOpen    Action = "open"
	ActionStart   Action = "start"
	ActionStop    Action = "stop"
	ActionRestart Action = "restart"
	ActionUpdate  Action = "update"
	ActionDelete  Action = "delete"
	ActionKeep    Action = "keep"   // take a deletion back
	ActionCancel  Action = "cancel" // stop, while it starts
)

// StepState is how far a step of a start is.
type StepState string

// The states a step goes through.
const (
	StepWaiting StepState = "waiting"
	StepNow     StepState = "now"
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
)

// StepProgress is one line of a start as a person sees it.
type StepProgress struct {
	Kind      StepKind
	Title     string // "Container with 2 CPUs and 4 GB"
	State     StepState
	Progress  Progress
	StartedAt time.Time
	EndedAt   time.Time
}

// Situation is everything that status is computed from.
type Situation struct {
	Record    Record
	Observed  *Observed // nil: no container
	Ready     bool      // the IDE of this very container has answered
	Phase     string    // kind of the step being executed, or PhaseQueued; "" when nothing is
	FilesGone bool      // it had files, and its volume is not there
	Waits     string    // while its start waits within the quotas: why; "" = not known yet
	// EngineDown is set while the engine does not answer; EngineReason then says why.
	EngineDown   bool
	EngineReason string
}

// Workspace is a workspace as every surface shows it: immutable once published, so that it can be shared and cached.
type Workspace struct {
	Record         Record
	Status         Status
	Phase          string
	Reason         string
	ReasonCode     string
	StatusSince    time.Time
	Actions        []Action
	PendingRestart []string       // fields that were changed and act from the next start on
	Steps          []StepProgress // of the start that goes on or failed; nil otherwise
	Cancellable    bool
	Position       int // in the queue of starts that wait within the quotas, 1 = next; 0 = it does not wait, or not known yet
	Storage        StorageUse
	Idle           IdleView
	Update         string   // a sentence when the tag of its image stands for something newer
	ImageGone      string   // a sentence when the tag of its image stands for nothing on its machine
	AboveLimits    []string // fields that are more than is allowed now; they are lowered at the next start
	Version        uint64   // grows with every published change of any workspace
}

// IdleView is how far a workspace is from being stopped for being unused. It is zero while it does not run or has no idle
// timeout.
type IdleView struct {
	InUse   bool      // something runs in it, so no time counts down
	Since   time.Time // since when nobody has used it; zero while it is in use
	StopsAt time.Time // when it will be stopped if nobody uses it; zero = never, as things are
	Reason  string    // what keeps it or was seen last, as the beginning of a sentence
}

// StorageUse is what a workspace has written, in MB, when that was measured (zero = not yet), and whether the engine
// itself holds it to the limit.
type StorageUse struct {
	VolumeMB          int64
	VolumeAt          time.Time
	VolumeEnforced    bool
	ContainerMB       int64
	ContainerAt       time.Time
	ContainerEnforced bool
	Warning           string // a sentence from 80 % of a limit on; else ""
	Unknown           string // why it cannot be measured; else ""
}

// Describe computes status, phase and reason of a situation. It is total: every situation has an answer.
func Describe(s Situation) (status Status, phase, reason, code string) {
	record, observed := s.Record, s.Observed
	wantsRunning := record.Desired == DesiredRunning && record.Outcome == nil
	if s.EngineDown && (wantsRunning || observed != nil) {
		return StatusUnknown, "", s.EngineReason, ReasonEngineDown
	}
	switch record.Desired {
	case DesiredDeleted:
		return StatusTerminating, s.Phase, "Being deleted.", ""
	case DesiredStopped:
		if observed != nil {
			return StatusTerminating, s.Phase, "Stopping.", ""
		}
		if record.DeleteVolume {
			return StatusTerminating, s.Phase, "Clearing its files, as was asked for every stop.", ""
		}
		if s.FilesGone { // no visit shall start it as if nothing were
			return StatusFailed, "", strings.TrimSpace(record.Notice + " " + FilesGone(record.Volume)), ReasonFilesGone
		}
		return StatusStopped, "", record.Notice, record.NoticeCode
	}
	if outcome := record.Outcome; outcome != nil {
		reason, code = outcome.Reason, outcome.Code
		if code == ReasonDockerRequest && observed == nil { // who removes one that runs stops it first
			reason, code = TakenAway+FilesAreSafe, ReasonRemoved
		}
		if s.FilesGone && code != ReasonFilesGone {
			return StatusFailed, "", strings.TrimSuffix(reason, FilesAreSafe) + " " + FilesGone(record.Volume), ReasonFilesGone
		}
		return outcome.Status, "", reason, code
	}
	if observed != nil && observed.State == ContainerRunning && s.Ready &&
		observed.Attempt == record.Attempt && (s.Phase == "" || s.Phase == string(StepResize) || s.Phase == string(StepImage)) {
		return StatusRunning, s.Phase, record.Notice, record.NoticeCode
	}
	if !record.QueuedAt.IsZero() && observed == nil {
		if s.Waits == "" {
			return StatusPending, PhaseQueued, pendingReason(PhaseQueued), ReasonOverQuota
		}
		return StatusPending, PhaseQueued, s.Waits, ReasonOverQuota
	}
	return StatusPending, s.Phase, pendingReason(s.Phase), ""
}

// TakenAway says that a container was there and is not found any more.
const TakenAway = "Its container was removed or renamed from outside the workspace manager."

// FilesAreSafe ends the reason of an end that nobody shall fear for their files after.
const FilesAreSafe = " Its files are safe."

// FilesGone says that a volume with files of a workspace is not there any more, and what a start would do.
func FilesGone(volume string) string {
	return "Its files are gone: the volume " + volume + " was removed outside. A start begins with an empty one."
}

func pendingReason(phase string) string {
	switch phase {
	case PhaseQueued:
		return "Waits for its turn."
	case string(StepImage):
		return "Getting the image."
	case string(StepStorage):
		return "Preparing its volume."
	case string(StepCreate), string(StepStart):
		return "Starting its container."
	case string(StepAnswers):
		return "Waiting until it answers."
	case string(StepStop), string(StepRemove):
		return "Replacing its container."
	}
	return "About to start."
}

// ActionsFor lists what makes sense in a status. While the engine is down nothing can be asked.
func ActionsFor(status Status, desired Desired, engineDown bool) []Action {
	if engineDown {
		return nil
	}
	switch status {
	case StatusRunning:
		return []Action{ActionOpen, ActionStop, ActionRestart, ActionUpdate, ActionDelete}
	case StatusPending:
		return []Action{ActionCancel, ActionStop, ActionUpdate, ActionDelete}
	case StatusStopped, StatusSucceeded, StatusFailed:
		return []Action{ActionStart, ActionUpdate, ActionDelete}
	case StatusUnknown:
		return []Action{ActionStart, ActionStop, ActionUpdate, ActionDelete}
	case StatusTerminating:
		if desired == DesiredStopped {
			return []Action{ActionDelete}
		}
	}
	return nil
}
