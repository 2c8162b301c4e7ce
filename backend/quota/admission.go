package quota

import (
	"slices"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Verdict is what becomes of a request.
type Verdict string

// The verdicts.
const (
	Admitted Verdict = "admitted"
	Queued   Verdict = "queued"
	Refused  Verdict = "refused"
)

// Decision is the answer to a request.
type Decision struct {
	Verdict  Verdict
	Position int      // in the queue, 1 = next; for Queued
	Reason   string   // sentences with the numbers and what would make it fit; "" when admitted
	Short    string   // the same in a few words: "over your quota by 2 GB of memory"; "" when admitted
	Lease    []string // the GPUs it gets, when admitted
}

// Request is something that a workspace would take more for.
type Request struct {
	// Claim is the workspace as it is now. Of one that does not exist yet Held is zero.
	Claim Claim
	// Creates asks for its existence, with the storage of the claim.
	Creates bool
	// StorageMB is what its volume shall hold; with Creates that of the claim.
	StorageMB int64
	// Starts asks for Amounts from the beginning; it may have to wait.
	Starts bool
	// Amounts is what it shall take while it runs. Without Starts it is a change of what runs, which cannot wait.
	Amounts Amounts
}

// Admit decides on a request. The books must not contain the workspace if it is new, and contain it if it is not. A start
// goes to the end of the queue and is admitted if its turn comes at once.
func (b *Books) Admit(request Request) Decision {
	if d := b.admitStorage(request); d.Verdict == Refused {
		return d
	}
	switch {
	case request.Starts:
		return b.admitStart(request)
	case request.Amounts != (Amounts{}):
		return b.admitGrowth(request)
	}
	return Decision{Verdict: Admitted}
}

// admitStorage decides on what counts as long as a workspace exists.
func (b *Books) admitStorage(request Request) Decision {
	more := map[Resource]int64{ResourceStorage: request.StorageMB - request.Claim.StorageMB}
	if request.Creates {
		more = map[Resource]int64{ResourceStorage: request.Claim.StorageMB, ResourceWorkspaces: 1}
	}
	for _, line := range b.storageLines(request.Claim.Owner) {
		if n := more[line.Resource]; n > 0 && line.over(n) > 0 {
			s := shortage{Line: line, wanted: n}
			return Decision{Verdict: Refused, Reason: s.explainStorage(), Short: s.summary()}
		}
	}
	return Decision{Verdict: Admitted}
}

// over is how much too much it would be; 0 or less when it fits.
func (l Line) over(more int64) int64 {
	if l.Bound < 0 {
		return 0
	}
	return l.Taken + more - l.Bound
}

// shortage is a line that does not hold what is wanted.
type shortage struct {
	Line
	wanted int64
	alone  bool // it would not fit if there were nothing else
	ahead  bool // it would fit, but others wait for the same and came first
}

// blocked are the resources that somebody earlier in the queue waits for.
type blocked map[scope]map[Resource]bool

func (bl blocked) add(s shortage) {
	if bl[s.at] == nil {
		bl[s.at] = map[Resource]bool{}
	}
	bl[s.at][s.Resource] = true
}

// shortages lists what stands against a claim taking amounts in place of what it holds, with the resources that others
// wait for. Own is taken out of the books for the question and put back.
func (b *Books) shortages(c *Claim, amounts Amounts, waitedFor blocked) []shortage {
	a := b.account(c.Owner)
	b.take(a, c.Held, c.Lease, -1)
	defer b.take(a, c.Held, c.Lease, 1)
	var short []shortage
	for _, line := range b.computeLines(c.Owner) {
		wanted := amounts.of(line.Resource)
		switch {
		case wanted == 0 || wanted <= c.Held.of(line.Resource): // it takes no more than it has
		case line.over(wanted) > 0:
			short = append(short, shortage{Line: line, wanted: wanted, alone: wanted > line.Bound})
		case waitedFor[line.at][line.Resource]:
			short = append(short, shortage{Line: line, wanted: wanted, ahead: true})
		}
	}
	if wanted := amounts.GPUs; wanted > 0 {
		own, free := b.devicesFor(c)
		line := b.deviceLine(len(own) + len(free))
		switch {
		case line.over(wanted) > 0:
			short = append(short, shortage{Line: line, wanted: wanted, alone: wanted > line.Bound})
		case wanted > int64(len(own)) && waitedFor[line.at][ResourceGPUs]:
			short = append(short, shortage{Line: line, wanted: wanted, ahead: true})
		}
	}
	return short
}

// wait notes what a claim that stays in the queue waits for: nobody who came later may take it away. While its own
// quota, or that of its group, stands against it, it does not keep others from the machine.
func (bl blocked) wait(short []shortage) {
	narrow := slices.ContainsFunc(short, func(s shortage) bool { return s.Scope != ScopeHost })
	for _, s := range short {
		if !narrow || s.Scope != ScopeHost {
			bl.add(s)
		}
	}
}

// Grant is a start whose turn has come.
type Grant struct {
	ID    workspace.ID
	Lease []string
}

// Waiting is a start that waits on.
type Waiting struct {
	ID       workspace.ID
	Position int // 1 = next among those who wait for the same
	Reason   string
	Short    string
	// Refuse is set where the quota that stands against it lets nothing wait.
	Refuse bool
	// Never is set for one that cannot fit whatever stops: it must leave the queue, with Reason.
	Never bool
}

// Turn goes through the queue, first come first served, and says which starts may go ahead now and which wait on. Who is
// short of something keeps it from those who came later and want the same, so that a large start is not starved by small
// ones; who wants something else passes. The books count what was granted.
func (b *Books) Turn() (grants []Grant, waiting []Waiting) {
	return b.turn(func(workspace.ID) bool { return true })
}

// turn is Turn with reasons for those only that somebody asks about: sentences take longer than decisions.
func (b *Books) turn(explained func(workspace.ID) bool) (grants []Grant, waiting []Waiting) {
	waitedFor, ahead := blocked{}, queues{}
	for _, i := range b.queue {
		c := &b.claims[i]
		short := b.shortages(c, c.Wanted, waitedFor)
		if len(short) == 0 {
			lease := b.grant(c)
			grants = append(grants, Grant{ID: c.ID, Lease: lease})
			continue
		}
		w := Waiting{ID: c.ID}
		if explained(c.ID) {
			w.Position, w.Reason, w.Short = ahead.position(short), b.explain(c, short), summarize(short)
			w.Refuse = slices.ContainsFunc(short, func(s shortage) bool { return s.onExceed == Refuse })
		}
		if w.Never = hopeless(short); !w.Never {
			waitedFor.wait(short)
			ahead.join(short)
		}
		waiting = append(waiting, w)
	}
	return grants, waiting
}

// queues counts who waits for what, in the order of the queue.
type queues map[scope]map[Resource]int

// position is the place of one who is short of these things: behind all who wait for that of them which most wait for.
func (q queues) position(short []shortage) int {
	ahead := 0
	for _, s := range short {
		ahead = max(ahead, q[s.at][s.Resource])
	}
	return ahead + 1
}

func (q queues) join(short []shortage) {
	for _, s := range short {
		if q[s.at] == nil {
			q[s.at] = map[Resource]int{}
		}
		q[s.at][s.Resource]++
	}
}

func hopeless(short []shortage) bool {
	return slices.ContainsFunc(short, func(s shortage) bool { return s.alone })
}

// grant books a start, and returns the GPUs that it gets.
func (b *Books) grant(c *Claim) (lease []string) {
	a := b.account(c.Owner)
	b.take(a, c.Held, c.Lease, -1)
	lease = b.choose(c)
	// What still holds something of it, a container that is about to end, does so until it has ended.
	c.Held, c.WaitsSince = c.Held.Max(c.Wanted), time.Time{}
	for _, device := range lease {
		if !slices.Contains(c.Lease, device) {
			c.Lease = append(slices.Clip(c.Lease), device)
		}
	}
	b.take(a, c.Held, c.Lease, 1)
	return lease
}

// choose picks GPUs for a claim whose own lease is out of the books: those it had, then the least taken.
func (b *Books) choose(c *Claim) []string {
	own, free := b.devicesFor(c)
	available := slices.Concat(own, free)
	return available[:min(int64(len(available)), c.Wanted.GPUs)]
}

// devicesFor lists the devices that a claim can have, whose own lease is out of the books: those it had, as far as they
// are still in the machine, and others with a free seat. What it had it keeps, even where fewer may share it now.
func (b *Books) devicesFor(c *Claim) (own, free []string) {
	for _, device := range c.Lease {
		if slices.ContainsFunc(b.capacity.GPUs, func(gpu workspace.GPU) bool { return gpu.ID == device }) {
			own = append(own, device)
		}
	}
	free = slices.DeleteFunc(b.freeGPUs(), func(device string) bool { return slices.Contains(own, device) })
	return own, free
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// endOfTime sorts behind everybody who waits already.
var endOfTime = time.Unix(1<<40, 0)

// admitStart lets a start queue up, behind all who wait unless it waits already, and looks whether its turn has come.
func (b *Books) admitStart(request Request) Decision {
	at := b.find(request.Claim)
	c := &b.claims[at]
	c.Wanted = request.Amounts
	if !c.waits() {
		c.WaitsSince = endOfTime
		b.queue = append(b.queue, at)
	}
	grants, waiting := b.turn(func(id workspace.ID) bool { return id == request.Claim.ID })
	for _, g := range grants {
		if g.ID == request.Claim.ID {
			return Decision{Verdict: Admitted, Lease: g.Lease}
		}
	}
	mine := waiting[slices.IndexFunc(waiting, func(w Waiting) bool { return w.ID == request.Claim.ID })]
	if mine.Never || mine.Refuse {
		return Decision{Verdict: Refused, Reason: mine.Reason, Short: mine.Short}
	}
	return Decision{Verdict: Queued, Position: mine.Position, Reason: mine.Reason, Short: mine.Short}
}

// find returns the index of a claim, which is added if it is new.
func (b *Books) find(claim Claim) int {
	at := slices.IndexFunc(b.claims, func(c Claim) bool { return c.ID == claim.ID })
	if at < 0 {
		at = len(b.claims)
		b.claims = append(slices.Clip(b.claims), claim)
	}
	return at
}

// admitGrowth decides on more for something that runs. It cannot wait, and takes nothing that others wait for.
func (b *Books) admitGrowth(request Request) Decision {
	waitedFor := blocked{}
	for _, i := range b.queue {
		if c := &b.claims[i]; c.ID != request.Claim.ID {
			waitedFor.wait(b.shortages(c, c.Wanted, waitedFor))
		}
	}
	c := request.Claim
	if short := b.shortages(&c, request.Amounts, waitedFor); len(short) > 0 {
		return Decision{Verdict: Refused, Reason: b.explain(&c, short), Short: summarize(short)}
	}
	return Decision{Verdict: Admitted}
}
