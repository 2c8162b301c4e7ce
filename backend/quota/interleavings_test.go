package quota

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// world is a small machine with a few users, which keeps its own accounts: it asks the books for decisions only.
type world struct {
	random   *rand.Rand
	policy   Policy
	capacity Capacity
	claims   []Claim
	dying    map[workspace.ID]bool // asked to stop, and holding on until the container is gone
	clock    int
	made     int
	log      []string
	verdicts map[Verdict]int
}

var worldUsers = []workspace.Owner{"ada0", "bob0", "eve0", "joe0"}

func newWorld(seed uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), dying: map[workspace.ID]bool{}, verdicts: map[Verdict]int{}} //nolint:gosec // a test that can be repeated
	w.capacity = Capacity{NanoCPUs: 8e9, MemoryMB: 16_000}
	for i := range w.random.IntN(4) {
		w.capacity.GPUs = append(w.capacity.GPUs, workspace.GPU{ID: fmt.Sprint("GPU-", i)})
	}
	w.reload()
	return w
}

// reload puts another policy in force.
func (w *world) reload() {
	some := func(n int64) int64 { return w.random.Int64N(n) } // 0 among them: no bound
	roomy := func(least, most int64) int64 {
		if some(3) == 0 {
			return 0
		}
		return least + some(most-least)
	}
	queue := func() OnExceed { return []OnExceed{Queue, Queue, Refuse}[w.random.IntN(3)] }
	sums := func(factor int64) Sums {
		return Sums{
			Workspaces: factor * some(7), Running: factor * some(4), CPUs: float64(factor * roomy(4, 8)), MemoryMB: factor * 1000 * roomy(4, 12),
			StorageMB: factor * 1000 * roomy(10, 30), GPUs: factor * some(3), OnExceed: queue(),
		}
	}
	w.policy = Policy{
		User: sums(1), GPUShares: 1 + w.random.IntN(2),
		Groups: map[string]Group{"g": {Members: worldUsers[:2], Quota: sums(2)}},
		Host: HostQuota{
			ReserveCPUs: float64(some(2)), ReserveMemoryMB: 1000 * some(4), CPUOvercommit: float64(some(3)), MemoryOvercommit: float64(some(3)) / 2, OnExceed: queue(),
		},
	}
}

func (w *world) wish() Amounts {
	wish := Amounts{Running: 1, NanoCPUs: 1e9 * (1 + w.random.Int64N(4)), MemoryMB: 1000 * (1 + w.random.Int64N(4))}
	if w.random.IntN(3) == 0 {
		wish.GPUs = w.random.Int64N(3)
	}
	return wish
}

func (w *world) admit(request Request) Decision {
	d := w.books().Admit(request)
	w.verdicts[d.Verdict]++
	return d
}

func (w *world) books() *Books {
	return Open(w.policy, w.capacity, append([]Claim(nil), w.claims...), nil)
}

// obey does what a decision says, as the manager does.
func (w *world) obey(c *Claim, d Decision, wanted Amounts) {
	switch d.Verdict {
	case Admitted:
		c.Held, c.Lease, c.WaitsSince = wanted, d.Lease, time.Time{}
		delete(w.dying, c.ID)
	case Queued:
		if c.WaitsSince.IsZero() {
			w.clock++
			c.WaitsSince = time.Unix(int64(w.clock), 0)
		}
		c.Wanted = wanted
	}
}

// settle gives everybody whose turn has come what they wait for.
func (w *world) settle() {
	grants, waiting := w.books().Turn()
	for i := range w.claims {
		c := &w.claims[i]
		for _, g := range grants {
			if g.ID == c.ID {
				w.obey(c, Decision{Verdict: Admitted, Lease: g.Lease}, c.Wanted)
			}
		}
		for _, n := range waiting {
			if n.ID == c.ID && n.Never {
				c.WaitsSince = time.Time{}
			}
		}
	}
}

// step does one random thing and returns whether it was a change of the policy.
func (w *world) step() (reloaded bool) {
	if len(w.claims) == 0 || w.random.IntN(4) == 0 {
		w.made++
		c := Claim{ID: workspace.ID(fmt.Sprint("w", w.made)), Owner: worldUsers[w.random.IntN(len(worldUsers))], StorageMB: 1000 * w.random.Int64N(8)}
		request := Request{Claim: c, StorageMB: c.StorageMB, Creates: true, Starts: w.random.IntN(3) > 0, Amounts: w.wish()}
		d := w.admit(request)
		w.log = append(w.log, fmt.Sprintf("create %s of %s wanting %v: %v", c.ID, c.Owner, request.Amounts, d))
		if d.Verdict != Refused {
			if request.Starts {
				w.obey(&c, d, request.Amounts)
			}
			w.claims = append(w.claims, c)
		}
		return false
	}
	at := w.random.IntN(len(w.claims))
	c := &w.claims[at]
	what := w.random.IntN(8)
	w.log = append(w.log, fmt.Sprintf("%d on %s", what, c.ID))
	switch what {
	case 0: // a crash, or the end of a container that was asked to stop
		if c.WaitsSince.IsZero() || w.dying[c.ID] {
			c.Held, c.Lease = Amounts{}, nil
			delete(w.dying, c.ID)
		}
	case 7: // stop
		c.WaitsSince = time.Time{}
		w.dying[c.ID] = c.Held.Running > 0
	case 1, 2: // start, or a restart of what runs, which is not ended for a place in the queue
		wish := w.wish()
		d := w.admit(Request{Claim: *c, StorageMB: c.StorageMB, Starts: true, Amounts: wish})
		if d.Verdict == Queued && c.Held.Running > 0 && !w.dying[c.ID] {
			return false
		}
		w.obey(c, d, wish)
	case 3: // a change of what runs
		if c.Held.Running > 0 && !w.dying[c.ID] {
			wish := w.wish()
			wish.GPUs = c.Held.GPUs
			if w.admit(Request{Claim: *c, StorageMB: c.StorageMB, Amounts: wish}).Verdict == Admitted {
				c.Held = wish
			}
		}
	case 4: // more files
		mb := 1000 * w.random.Int64N(10)
		if w.admit(Request{Claim: *c, StorageMB: mb}).Verdict == Admitted {
			c.StorageMB = mb
		}
	case 5:
		w.claims = append(w.claims[:at:at], w.claims[at+1:]...)
	case 6:
		w.reload()
		return true
	}
	return false
}

// against is what is taken against one bound.
type against struct {
	what         string
	taken, bound float64
}

// taken adds up what is taken against every bound there is, always in the same order.
func (w *world) taken() []against {
	lines := make([]against, 0, 40)
	add := func(sums Sums, members []workspace.Owner) {
		var held Amounts
		var exist, storage float64
		for _, c := range w.claims {
			for _, member := range members {
				if c.Owner == member {
					held = held.Plus(c.Held)
					exist++
					storage += float64(c.StorageMB)
				}
			}
		}
		lines = append(lines,
			against{"workspaces", exist, float64(sums.Workspaces)}, against{"running", float64(held.Running), float64(sums.Running)},
			against{"cpus", float64(held.NanoCPUs) / 1e9, sums.CPUs}, against{"memory", float64(held.MemoryMB), float64(sums.MemoryMB)},
			against{"storage", storage, float64(sums.StorageMB)}, against{"gpus", float64(held.GPUs), float64(sums.GPUs)},
		)
	}
	for i := range worldUsers {
		add(w.policy.User, worldUsers[i:i+1])
	}
	add(w.policy.Groups["g"].Quota, w.policy.Groups["g"].Members)
	host := w.policy.Host
	add(Sums{CPUs: (8 - host.ReserveCPUs) * host.CPUOvercommit, MemoryMB: int64(float64(16_000-host.ReserveMemoryMB) * host.MemoryOvercommit)}, worldUsers)
	return append(lines, against{"one device", float64(w.sharedMost()), float64(w.policy.GPUShares)})
}

// sharedMost is how many hold the device that most hold.
func (w *world) sharedMost() (most int) {
	for _, c := range w.claims {
		for _, device := range c.Lease {
			n := 0
			for _, other := range w.claims {
				for _, its := range other.Lease {
					if its == device {
						n++
					}
				}
			}
			most = max(most, n)
		}
	}
	return most
}

// check compares with what was taken before the step: over a bound is only what was over it already.
func (w *world) check(before []against, reloaded bool) error {
	for i, now := range w.taken() {
		if now.bound > 0 && now.taken > now.bound && !reloaded && now.taken > before[i].taken {
			return fmt.Errorf("line %d, %s, is %v of %v, and was %v", i, now.what, now.taken, now.bound, before[i].taken)
		}
	}
	for _, c := range w.claims {
		if int64(len(c.Lease)) != c.Held.GPUs {
			return fmt.Errorf("%s holds %d GPUs and has %v", c.ID, c.Held.GPUs, c.Lease)
		}
		for i, device := range c.Lease {
			for _, other := range c.Lease[:i] {
				if device == other {
					return fmt.Errorf("%s has %s twice", c.ID, device)
				}
			}
		}
	}
	return nil
}

// drain stops whatever runs, again and again: in the end nobody may wait.
func (w *world) drain() error {
	for range 2*len(w.claims) + 2 {
		w.settle()
		waits := false
		for i := range w.claims {
			c := &w.claims[i]
			c.Held, c.Lease = Amounts{}, nil // whatever runs or ends does so some day
			waits = waits || !c.WaitsSince.IsZero()
		}
		if !waits {
			return nil
		}
	}
	return fmt.Errorf("somebody waits for ever")
}

func TestNoMomentOverQuota_InAHundredThousandInterleavings(t *testing.T) {
	const sequences, steps = 100_000, 12
	workers := runtime.GOMAXPROCS(0)
	var running sync.WaitGroup
	var mu sync.Mutex
	admitted, queued, refused := 0, 0, 0
	failures := make(chan string, workers)
	for worker := range workers {
		running.Go(func() {
			for seed := worker; seed < sequences; seed += workers {
				w := newWorld(uint64(seed))
				for range steps {
					before := w.taken()
					reloaded := w.step()
					w.settle()
					if err := w.check(before, reloaded); err != nil {
						failures <- fmt.Sprintf("seed %d: %v after %q", seed, err, w.log)
						return
					}
				}
				if err := w.drain(); err != nil {
					failures <- fmt.Sprintf("seed %d: %v after %q", seed, err, w.log)
					return
				}
				mu.Lock()
				admitted, queued, refused = admitted+w.verdicts[Admitted], queued+w.verdicts[Queued], refused+w.verdicts[Refused]
				mu.Unlock()
			}
		})
	}
	running.Wait()
	close(failures)
	for failure := range failures {
		t.Error(failure)
	}
	t.Logf("%d admitted, %d queued, %d refused", admitted, queued, refused)
	require.Greater(t, min(admitted, queued, refused), sequences/10, "a test in which nothing is refused or waits says nothing")
}
