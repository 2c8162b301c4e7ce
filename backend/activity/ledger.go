package activity

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// finest is how exactly the time of traffic is kept: a finer one would only cost writes to memory that many share.
	finest = time.Second
	// patience is how long a workspace that was busy is kept when it cannot be asked any more. A machine that swaps, as
	// under a training that needs too much memory, can take minutes to answer. Whoever does not answer for longer is
	// judged by what was last known.
	patience = 30 * time.Minute

	// An IDE takes note of a socket that opens as if somebody had done something, so evidence that it dates into
	// [opening-echoBefore, opening+echoAfter] may come from a page that connected again by itself. It is the age of the
	// evidence that is compared, so clocks that differ by less than a second do no harm.
	echoBefore = time.Second
	echoAfter  = 3 * time.Second
	// openings is how many openings are remembered, and apart how far they must be to be two.
	openings = 16
	apart    = 500 * time.Millisecond
)

// Ledger remembers the newest evidence of each workspace, by the UID of its record. The zero value is ready for use.
type Ledger struct{ traces sync.Map } // of *Trace by string

// Trace is where the evidence of one workspace is noted. It is good until the workspace is forgotten; what is noted
// later is lost.
type Trace struct {
	touched atomic.Int64 // Unix time in ns, 0 = never

	mu     sync.Mutex
	opened []time.Time // oldest first
	active []Vote      // from the last good answer
	past   map[string]Vote
	echoes map[string]time.Time // by reason: evidence that was none
}

// Trace returns where the evidence of that workspace is noted, for those who note often.
func (l *Ledger) Trace(uid string) *Trace {
	if trace, there := l.traces.Load(uid); there {
		return trace.(*Trace) //nolint:forcetypeassert // nothing else is in there
	}
	trace, _ := l.traces.LoadOrStore(uid, &Trace{})
	return trace.(*Trace) //nolint:forcetypeassert // nothing else is in there
}

// Touch notes that a person did something in that workspace. It takes some nanoseconds and no lock.
func (l *Ledger) Touch(uid string, at time.Time) { l.Trace(uid).Touched(at) }

// Put notes what a probe found, in place of what it found before. What was in use then and is not any more stays as
// evidence of the past.
func (l *Ledger) Put(uid string, found []Vote) { l.Trace(uid).put(found) }

// Unanswered notes that a probe got no answer. What was in use then keeps it alive for some time, and no longer: a
// broken IDE is no reason to run forever.
func (l *Ledger) Unanswered(uid string) { l.Trace(uid).unanswered() }

// Votes returns what is known of that workspace, in no particular order. The slice is the caller's.
func (l *Ledger) Votes(uid string) []Vote {
	if trace, there := l.traces.Load(uid); there {
		return trace.(*Trace).votes() //nolint:forcetypeassert // nothing else is in there
	}
	return nil
}

// Forget drops what is known of that workspace. It has to be called when a run of it ends: a kernel that was busy in one
// run must not keep the next one alive.
func (l *Ledger) Forget(uid string) { l.traces.Delete(uid) }

// Touched notes that a person did something. It takes some nanoseconds and no lock. A clock that is set back is followed:
// what was noted by the clock before would lie in the future.
func (t *Trace) Touched(at time.Time) {
	stamp := at.UnixNano()
	known := t.touched.Load()
	if between := stamp - known; between >= int64(finest) || between <= -int64(finest) {
		t.touched.Store(stamp) // of two at once, either will do
	}
}

// Connected notes that a page opened a socket, which an IDE may take for use.
func (t *Trace) Connected(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := len(t.opened) - 1; last >= 0 && at.Sub(t.opened[last]).Abs() < apart {
		return
	}
	if len(t.opened) == openings {
		t.opened = slices.Delete(t.opened, 0, 1)
	}
	t.opened = append(t.opened, at)
}

func (t *Trace) put(found []Vote) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retire()
	echoes := map[string]time.Time{}
	for _, vote := range found {
		switch {
		case vote.Active:
			t.active = append(t.active, vote)
		case !isActive(found, vote.Kind) && t.isEcho(vote):
			echoes[vote.Reason] = vote.At
		default:
			t.remember(vote)
		}
	}
	t.echoes = echoes
}

func (t *Trace) unanswered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.active) == 0 {
		return // it was not busy, or it is not the first time
	}
	busy := t.active[0]
	t.retire()
	t.remember(Vote{Kind: KindUnanswered, At: busy.At, Until: busy.At.Add(patience), Reason: busy.Reason + ", as it said when it last answered"})
}

// retire turns what was in use at the last answer into evidence of the past. A probe that has better words for it says
// them in a vote of its own, with the same time.
func (t *Trace) retire() {
	for _, vote := range t.active {
		vote.Active = false
		vote.Reason = "it was busy"
		t.remember(vote)
	}
	t.active = nil
	delete(t.past, KindUnanswered)
}

// remember keeps the newest evidence of each kind.
func (t *Trace) remember(vote Vote) {
	if known, there := t.past[vote.Kind]; there && !vote.At.After(known.At) {
		return
	}
	if t.past == nil {
		t.past = map[string]Vote{}
	}
	t.past[vote.Kind] = vote
}

// isEcho reports whether the evidence comes from the opening of a socket, or is the same that came from one when it was
// last asked for.
func (t *Trace) isEcho(vote Vote) bool {
	if before, there := t.echoes[vote.Reason]; there && vote.At.Sub(before).Abs() < echoBefore {
		return true
	}
	return slices.ContainsFunc(t.opened, func(opening time.Time) bool {
		age := vote.At.Sub(opening)
		return age >= -echoBefore && age <= echoAfter
	})
}

func isActive(votes []Vote, kind string) bool {
	return slices.ContainsFunc(votes, func(vote Vote) bool { return vote.Active && vote.Kind == kind })
}

func (t *Trace) votes() []Vote {
	t.mu.Lock()
	defer t.mu.Unlock()
	votes := slices.Clone(t.active)
	for kind, vote := range t.past {
		if !isActive(t.active, kind) {
			votes = append(votes, vote)
		}
	}
	if stamp := t.touched.Load(); stamp != 0 {
		votes = append(votes, Vote{Kind: KindTraffic, At: time.Unix(0, stamp), Reason: "somebody worked in it"})
	}
	return votes
}
