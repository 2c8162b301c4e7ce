package quota

import (
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Policy is everything that an administrator decides about how much there is for whom. It is a value: whoever holds one
// may keep it, and nobody writes into it.
type Policy struct {
	Limits Limits // of one workspace, unless an override says otherwise
	// User is the quota of each user, unless an override says otherwise.
	User   Sums
	Groups map[string]Group
	Host   HostQuota
	// Overrides are in the order of the file. The most specific one that fits wins, see Policy.LimitsFor; of two that are
	// equally specific, the later one.
	Overrides []Override
	// GPUShares is how many workspaces may hold one device at once; 1 = each device exclusively.
	GPUShares int
}

// Group is some users and what all of them together may have.
type Group struct {
	Members []workspace.Owner
	Quota   Sums
}

// Sums is a quota: bounds of sums over all workspaces of a user or of a group. 0 is no bound. What exists counts for
// Workspaces and StorageMB, what runs or starts for the others.
type Sums struct {
	Workspaces int64
	Running    int64
	CPUs       float64
	MemoryMB   int64
	StorageMB  int64
	GPUs       int64
	// OnExceed says what happens to a start that does not fit now.
	OnExceed OnExceed
}

// OnExceed says what happens to a start that does not fit now but would if others stopped.
type OnExceed string

// What can happen to it.
const (
	Queue  OnExceed = "queue"
	Refuse OnExceed = "refuse"
)

// HostQuota bounds what all workspaces together may have of the machine.
type HostQuota struct {
	ReserveCPUs     float64 // for the machine itself
	ReserveMemoryMB int64
	// The overcommit factors say how much of what is left may be promised: 1 = all of it once, 2 = twice; 0 = no bound.
	CPUOvercommit    float64
	MemoryOvercommit float64
	OnExceed         OnExceed
}

// Override changes limits and quotas for some. At least one of Users, Groups and Profiles is there; all that are there
// must fit.
type Override struct {
	Users    []workspace.Owner
	Groups   []string
	Profiles []string // image profiles; then Quota is empty
	Limits   LimitsPatch
	Quota    SumsPatch
}

// RangePatch changes parts of a Range; nil leaves a part as it is.
type RangePatch[T Amount] struct {
	Default *T
	Max     *T
	Choices *[]T
}

// LimitsPatch changes parts of Limits.
type LimitsPatch struct {
	CPUs        RangePatch[float64]
	MemoryMB    RangePatch[int64]
	ShmMB       RangePatch[int64]
	Processes   RangePatch[int64]
	GPUs        RangePatch[int64]
	VolumeMB    RangePatch[int64]
	ContainerMB RangePatch[int64]
	IdleTimeout RangePatch[time.Duration]

	AlwaysClearVolumeOnStop *bool
}

// SumsPatch changes parts of Sums.
type SumsPatch struct {
	Workspaces *int64
	Running    *int64
	CPUs       *float64
	MemoryMB   *int64
	StorageMB  *int64
	GPUs       *int64
	OnExceed   *OnExceed
}

// BoundsStorage reports whether anybody's storage is bounded, so that whoever adds it up can leave it be otherwise.
func (p Policy) BoundsStorage() bool {
	bounds := p.User.StorageMB > 0
	for _, group := range p.Groups {
		bounds = bounds || group.Quota.StorageMB > 0
	}
	for _, o := range p.Overrides {
		bounds = bounds || (o.Quota.StorageMB != nil && *o.Quota.StorageMB > 0)
	}
	return bounds
}
