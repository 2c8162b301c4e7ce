package activity

import (
	"cmp"
	"slices"
	"time"
)

// Kinds of evidence that there are so far.
const (
	KindTraffic    = "traffic"    // a person did something in a page of it
	KindKernel     = "kernel"     // a kernel computes
	KindTerminal   = "terminal"   // a terminal printed something
	KindUnanswered = "unanswered" // it was busy, and cannot be asked any more
	KindStarted    = "started"    // its container was started
	KindManager    = "manager"    // the manager itself was started, and knows nothing of before
	KindExtended   = "extended"   // its owner asked for more time
)

// Vote is one piece of evidence that a workspace is in use. It is a value, and nobody writes into one that is not theirs.
type Vote struct {
	Kind string
	// Active says that it is in use right now, for as long as this vote stands.
	Active bool
	// At is when the evidence was seen: for an active vote, when it was asked for; for another one, when somebody or
	// something last used it. Zero where the vote is no evidence of use, but a promise (Until).
	At time.Time
	// Until is the time before which it is not stopped, whatever else is known; zero = none.
	Until time.Time
	// Reason says it to people, as the beginning of a sentence without capital and full stop: "a cell of thesis.ipynb runs".
	Reason string
}

// Started is the vote for a container that was started at that time.
func Started(at time.Time) Vote {
	return Vote{Kind: KindStarted, At: at, Reason: "it was started"}
}

// ManagerStarted is the vote for a manager that was started at that time. It gives everybody one whole timeout, since what
// was known before is gone.
func ManagerStarted(at time.Time) Vote {
	return Vote{Kind: KindManager, At: at, Reason: "the workspace manager was started"}
}

// Extended is the vote of an owner who asked not to stop it until then.
func Extended(until time.Time) Vote {
	return Vote{Kind: KindExtended, Until: until, Reason: "its owner asked for more time"}
}

// Verdict is what follows from the votes.
type Verdict struct {
	InUse     bool
	IdleSince time.Time // of the newest evidence; zero while it is in use
	StopsAt   time.Time // zero = never, as things are
	// Reason is a sentence for people: why it is in use, or what the newest evidence was and how long ago.
	Reason string
	Votes  []Vote // the strongest first
}

// Due reports whether it is to be stopped now.
func (v Verdict) Due(now time.Time) bool { return !v.StopsAt.IsZero() && !now.Before(v.StopsAt) }

// Decide makes a verdict. An active vote keeps a workspace in use; without one it is stopped when its timeout has passed
// since the newest evidence, and not before what any vote promises. A timeout of 0 or less is never. Of a workspace
// without any vote nothing is known, so it counts as used now.
//
// StopsAt follows from the votes alone, not from now: a clock that is set back puts no stop forward.
func Decide(votes []Vote, timeout time.Duration, now time.Time) Verdict {
	verdict := Verdict{Votes: slices.SortedFunc(slices.Values(votes), strongestFirst)}
	var newest, promise Vote
	for _, vote := range verdict.Votes {
		switch {
		case vote.Active:
			if !verdict.InUse {
				verdict.InUse, verdict.Reason = true, sentence(vote.Reason)
			}
		case vote.At.After(newest.At):
			newest = vote
		}
		if vote.Until.After(promise.Until) {
			promise = vote
		}
	}
	if verdict.InUse {
		return verdict
	}
	if verdict.IdleSince = newest.At; newest.At.IsZero() {
		verdict.IdleSince, newest = now, Vote{At: now, Reason: "nothing is known of it before"}
	}
	verdict.Reason = sentence(newest.Reason, ago(now.Sub(newest.At)))
	if timeout > 0 {
		verdict.StopsAt = verdict.IdleSince.Add(timeout)
		if promise.Until.After(verdict.StopsAt) {
			verdict.StopsAt = promise.Until
		}
	}
	if left := promise.Until.Sub(now); left > 0 && !promise.Until.Before(verdict.StopsAt) {
		verdict.Reason = sentence(promise.Reason+":", "it is kept for another", length(left))
	}
	return verdict
}

// strongestFirst puts votes into an order that does not depend on the one they came in.
func strongestFirst(a, b Vote) int {
	if a.Active != b.Active {
		if a.Active {
			return -1
		}
		return 1
	}
	return cmp.Or(b.Until.Compare(a.Until), b.At.Compare(a.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason))
}
