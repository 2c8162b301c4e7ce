package quota

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Amounts are what one workspace, or several together, take while they run or start.
type Amounts struct {
	Running  int64 // workspaces
	NanoCPUs int64 // as engines count: 1e9 are one CPU
	MemoryMB int64
	GPUs     int64
}

// AmountsOf is what a workspace takes while it runs.
func AmountsOf(c workspace.Compute) Amounts {
	return Amounts{Running: 1, NanoCPUs: nano(c.CPUs), MemoryMB: c.MemoryMB, GPUs: c.GPUs}
}

func nano(cpus float64) int64 { return int64(math.Round(cpus * 1e9)) }

// Plus returns the sum of each amount.
func (a Amounts) Plus(b Amounts) Amounts {
	return Amounts{a.Running + b.Running, a.NanoCPUs + b.NanoCPUs, a.MemoryMB + b.MemoryMB, a.GPUs + b.GPUs}
}

func (a Amounts) minus(b Amounts) Amounts {
	return Amounts{a.Running - b.Running, a.NanoCPUs - b.NanoCPUs, a.MemoryMB - b.MemoryMB, a.GPUs - b.GPUs}
}

// Max returns the larger of each amount.
func (a Amounts) Max(b Amounts) Amounts {
	return Amounts{max(a.Running, b.Running), max(a.NanoCPUs, b.NanoCPUs), max(a.MemoryMB, b.MemoryMB), max(a.GPUs, b.GPUs)}
}

// Claim is one workspace as the books see it.
type Claim struct {
	ID        workspace.ID
	Owner     workspace.Owner
	Name      string // for sentences
	StorageMB int64  // of its volume; counts as long as it exists
	// Held is what it takes now: nothing unless it was admitted, or while its container still lives.
	Held Amounts
	// Lease are the GPUs it holds.
	Lease []string
	// WaitsSince is since when its start waits, zero if none does; Wanted is then what the start would take in place of
	// Held.
	WaitsSince time.Time
	Wanted     Amounts
}

func (c *Claim) waits() bool { return !c.WaitsSince.IsZero() }

// Capacity is what there is to give out. Zero CPUs or memory are not known, and bound nothing.
type Capacity struct {
	NanoCPUs int64
	MemoryMB int64
	GPUs     []workspace.GPU
}

// CapacityOf is the capacity of an engine's machine.
func CapacityOf(host workspace.Host) Capacity {
	return Capacity{NanoCPUs: int64(host.CPUs) * 1e9, MemoryMB: host.MemoryMB, GPUs: host.GPUs}
}

// Books are all claims at one moment, under a policy and on a machine. They are made for one decision and not kept:
// they are not safe for concurrent use.
type Books struct {
	policy   Policy
	capacity Capacity
	claims   []Claim
	owners   map[workspace.Owner]*account
	groups   map[string]*groupAccount // made when somebody's groups are asked for
	host     Amounts
	seats    map[string]int64          // taken, by device
	queue    []int                     // of claims, in the order of their turn
	lines    []Line                    // memory of computeLines
	own      map[workspace.Owner][]int // claims by owner, made when it is asked for
}

// account is what a user has.
type account struct {
	held    Amounts
	exists  int64
	storage int64
	sums    *Sums           // quota, looked up when it is needed
	groups  []*groupAccount // by name, once Books.groups are made
}

// groupAccount is what the members of a group have together.
type groupAccount struct {
	name    string
	quota   Sums
	held    Amounts
	exists  int64
	storage int64
}

// Open makes books. keptMB is what volumes without a workspace may hold, by owner: files that are kept count as storage
// like any other, or deleting would be the way round the quota.
func Open(policy Policy, capacity Capacity, claims []Claim, keptMB map[workspace.Owner]int64) *Books {
	b := &Books{
		policy: policy, capacity: capacity, claims: claims,
		owners: make(map[workspace.Owner]*account, 1+len(claims)/8), seats: map[string]int64{},
	}
	for owner, mb := range keptMB {
		b.account(owner).storage += mb
	}
	for i := range claims {
		c := &claims[i]
		a := b.account(c.Owner)
		a.exists++
		a.storage += c.StorageMB
		b.take(a, c.Held, c.Lease, 1)
		if c.waits() {
			b.queue = append(b.queue, i)
		}
	}
	slices.SortFunc(b.queue, func(x, y int) int {
		return cmp.Or(claims[x].WaitsSince.Compare(claims[y].WaitsSince), cmp.Compare(claims[x].ID, claims[y].ID))
	})
	return b
}

func (b *Books) account(owner workspace.Owner) *account {
	a := b.owners[owner]
	if a == nil {
		a = &account{}
		b.owners[owner] = a
		if b.groups != nil {
			for _, name := range b.policy.GroupsOf(owner) {
				a.groups = append(a.groups, b.groups[name])
			}
		}
	}
	return a
}

// addUpGroups makes the accounts of groups. From then on they are kept up with those of their members.
func (b *Books) addUpGroups() {
	if b.groups != nil {
		return
	}
	b.groups = make(map[string]*groupAccount, len(b.policy.Groups))
	for _, name := range slices.Sorted(maps.Keys(b.policy.Groups)) {
		group := b.policy.Groups[name]
		sum := &groupAccount{name: name, quota: group.Quota}
		b.groups[name] = sum
		for _, member := range group.Members {
			if a := b.owners[member]; a != nil {
				a.groups = append(a.groups, sum)
				sum.held, sum.exists, sum.storage = sum.held.Plus(a.held), sum.exists+a.exists, sum.storage+a.storage
			}
		}
	}
}

// claimsOf returns the indexes of a user's claims.
func (b *Books) claimsOf(owner workspace.Owner) []int {
	if b.own == nil {
		b.own = make(map[workspace.Owner][]int, len(b.owners))
		for i := range b.claims {
			b.own[b.claims[i].Owner] = append(b.own[b.claims[i].Owner], i)
		}
	}
	return b.own[owner]
}

// take books amounts and GPUs of a user; sign -1 gives them back.
func (b *Books) take(a *account, amounts Amounts, lease []string, sign int64) {
	if sign < 0 {
		amounts = Amounts{}.minus(amounts)
	}
	a.held, b.host = a.held.Plus(amounts), b.host.Plus(amounts)
	for _, group := range a.groups {
		group.held = group.held.Plus(amounts)
	}
	for _, device := range lease {
		b.seats[device] += sign
	}
}

func (b *Books) sumsOf(owner workspace.Owner, a *account) Sums {
	if a.sums == nil {
		sums := b.policy.SumsFor(owner)
		a.sums = &sums
	}
	return *a.sums
}

// shares is how many may hold one device at once.
func (b *Books) shares() int64 { return max(1, int64(b.policy.GPUShares)) }

// freeGPUs lists the devices with a free seat, the least taken first.
func (b *Books) freeGPUs() []string {
	var free []string
	for _, gpu := range b.capacity.GPUs {
		if b.seats[gpu.ID] < b.shares() {
			free = append(free, gpu.ID)
		}
	}
	slices.SortFunc(free, func(x, y string) int {
		return cmp.Or(cmp.Compare(b.seats[x], b.seats[y]), cmp.Compare(x, y))
	})
	return free
}

// scope is where a bound holds: one user, one group, or the whole machine.
type scope struct {
	kind  ScopeKind
	owner workspace.Owner // for a user
	group string          // for a group
}

// ScopeKind says whose bound it is.
type ScopeKind string

// The kinds of scope.
const (
	ScopeUser  ScopeKind = "user"
	ScopeGroup ScopeKind = "group"
	ScopeHost  ScopeKind = "host"
)

// Resource is something that is counted.
type Resource string

// The resources.
const (
	ResourceWorkspaces Resource = "workspaces"
	ResourceRunning    Resource = "running"
	ResourceCPUs       Resource = "cpus" // in units of 1e-9
	ResourceMemory     Resource = "memory"
	ResourceStorage    Resource = "storage"
	ResourceGPUs       Resource = "gpus"
)

// Line is one resource in one scope: what may be taken, and what is.
type Line struct {
	Scope    ScopeKind
	Group    string // its name, for a group
	Resource Resource
	Bound    int64 // -1 = none
	Taken    int64
	onExceed OnExceed
	at       scope
}

// computeLines are the bounds that a running workspace of the owner meets, in the order in which they are told. They are
// good until the next call.
func (b *Books) computeLines(owner workspace.Owner) []Line {
	b.addUpGroups()
	a := b.account(owner)
	lines := b.lines[:0]
	add := func(at scope, sums Sums, held Amounts) {
		lines = append(lines,
			Line{at.kind, at.group, ResourceRunning, bound(sums.Running), held.Running, sums.OnExceed, at},
			Line{at.kind, at.group, ResourceCPUs, bound(nano(sums.CPUs)), held.NanoCPUs, sums.OnExceed, at},
			Line{at.kind, at.group, ResourceMemory, bound(sums.MemoryMB), held.MemoryMB, sums.OnExceed, at},
			Line{at.kind, at.group, ResourceGPUs, bound(sums.GPUs), held.GPUs, sums.OnExceed, at},
		)
	}
	add(scope{kind: ScopeUser, owner: owner}, b.sumsOf(owner, a), a.held)
	for _, group := range a.groups {
		add(scope{kind: ScopeGroup, group: group.name}, group.quota, group.held)
	}
	host, at := b.policy.Host, scope{kind: ScopeHost}
	b.lines = append(lines,
		Line{ScopeHost, "", ResourceCPUs, promised(b.capacity.NanoCPUs, nano(host.ReserveCPUs), host.CPUOvercommit), b.host.NanoCPUs, host.OnExceed, at},
		Line{ScopeHost, "", ResourceMemory, promised(b.capacity.MemoryMB, host.ReserveMemoryMB, host.MemoryOvercommit), b.host.MemoryMB, host.OnExceed, at},
	)
	return b.lines
}

// storageLines are the bounds that an existing workspace of the owner meets.
func (b *Books) storageLines(owner workspace.Owner) []Line {
	b.addUpGroups()
	a := b.account(owner)
	sums := b.sumsOf(owner, a)
	at := scope{kind: ScopeUser, owner: owner}
	lines := []Line{
		{ScopeUser, "", ResourceWorkspaces, bound(sums.Workspaces), a.exists, Refuse, at},
		{ScopeUser, "", ResourceStorage, bound(sums.StorageMB), a.storage, Refuse, at},
	}
	for _, group := range a.groups {
		at := scope{kind: ScopeGroup, group: group.name}
		lines = append(lines,
			Line{ScopeGroup, group.name, ResourceWorkspaces, bound(group.quota.Workspaces), group.exists, Refuse, at},
			Line{ScopeGroup, group.name, ResourceStorage, bound(group.quota.StorageMB), group.storage, Refuse, at})
	}
	return lines
}

// bound turns the configured number, in which 0 means none, into one that can be compared.
func bound(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// promised is how much of a machine may be promised.
func promised(have, reserve int64, overcommit float64) int64 {
	if have == 0 || overcommit == 0 {
		return -1
	}
	return int64(math.Max(0, float64(have-reserve)) * overcommit)
}

// of picks the amount of a resource.
func (a Amounts) of(r Resource) int64 {
	switch r {
	case ResourceRunning:
		return a.Running
	case ResourceCPUs:
		return a.NanoCPUs
	case ResourceMemory:
		return a.MemoryMB
	case ResourceGPUs:
		return a.GPUs
	}
	return 0
}

// Report lists every line that concerns a user, those without a bound, too: what is taken and what may be.
func (b *Books) Report(owner workspace.Owner) []Line {
	return append(append(b.storageLines(owner), b.computeLines(owner)...), b.deviceLine(len(b.freeGPUs())))
}

// deviceLine is the bound that the devices themselves are, of which so many can be had.
func (b *Books) deviceLine(available int) Line {
	bound := int64(len(b.capacity.GPUs))
	return Line{ScopeHost, "", ResourceGPUs, bound, bound - int64(available), b.policy.Host.OnExceed, scope{kind: ScopeHost}}
}
