package quota

import (
	"cmp"
	"slices"

	"lab-workspace-manager/backend/workspace"
)

// GroupsOf returns the groups that a user is in, by name.
func (p Policy) GroupsOf(user workspace.Owner) []string {
	var groups []string
	for name, group := range p.Groups {
		if slices.Contains(group.Members, user) {
			groups = append(groups, name)
		}
	}
	slices.Sort(groups)
	return groups
}

// Fitting returns the indexes of the overrides that fit a user and an image profile ("" = no profile: those that ask for
// one do not fit). They come in the order in which they apply, so the last one that says something wins: users say more
// than groups, groups more than profiles, and of two that say as much the later one in the file wins.
func (p Policy) Fitting(user workspace.Owner, profile string) []int {
	if len(p.Overrides) == 0 {
		return nil
	}
	groups := p.GroupsOf(user)
	var fitting []int
	for i, o := range p.Overrides {
		if o.fits(user, groups, profile) {
			fitting = append(fitting, i)
		}
	}
	slices.SortStableFunc(fitting, func(a, b int) int {
		return cmp.Compare(p.Overrides[a].specificity(), p.Overrides[b].specificity())
	})
	return fitting
}

func (o Override) fits(user workspace.Owner, groups []string, profile string) bool {
	return (len(o.Users) == 0 || slices.Contains(o.Users, user)) &&
		(len(o.Groups) == 0 || slices.ContainsFunc(o.Groups, func(g string) bool { return slices.Contains(groups, g) })) &&
		(len(o.Profiles) == 0 || slices.Contains(o.Profiles, profile))
}

func (o Override) specificity() (rank int) {
	for i, part := range []int{len(o.Profiles), len(o.Groups), len(o.Users)} {
		if part > 0 {
			rank += 1 << i
		}
	}
	return rank
}

// LimitsFor returns the limits of one workspace of a user with an image of a profile. The machine's own size is no part
// of them, see CapToHost.
func (p Policy) LimitsFor(user workspace.Owner, profile string) Limits {
	limits := p.Limits
	for _, i := range p.Fitting(user, profile) {
		limits = p.Overrides[i].Limits.Apply(limits)
	}
	if limits.IdleTimeout.Default == 0 && limits.boundsIdle() {
		limits.IdleTimeout.Default = limits.IdleTimeout.Max // never is no default where it is not allowed
	}
	return limits
}

// SumsFor returns the quota of a user.
func (p Policy) SumsFor(user workspace.Owner) Sums {
	sums := p.User
	for _, i := range p.Fitting(user, "") {
		sums = p.Overrides[i].Quota.Apply(sums)
	}
	return sums
}

// Apply returns the limits with what the patch says. Where parts of different origin do not agree, the maximum wins.
func (patch LimitsPatch) Apply(l Limits) Limits {
	l.CPUs = patch.CPUs.Apply(l.CPUs)
	l.MemoryMB = patch.MemoryMB.Apply(l.MemoryMB)
	l.ShmMB = patch.ShmMB.Apply(l.ShmMB)
	l.Processes = patch.Processes.Apply(l.Processes)
	l.VolumeMB = patch.VolumeMB.Apply(l.VolumeMB)
	l.ContainerMB = patch.ContainerMB.Apply(l.ContainerMB)
	l.IdleTimeout = patch.IdleTimeout.Apply(l.IdleTimeout)
	l.GPUs = patch.GPUs.Apply(l.GPUs)
	if l.GPUs.Max == 0 { // no bound elsewhere, none here
		l.GPUs = Range[int64]{}
	}
	set(&l.AlwaysClearVolumeOnStop, patch.AlwaysClearVolumeOnStop)
	return l
}

// Apply returns the range with what the patch says, made to agree with its maximum.
func (patch RangePatch[T]) Apply(r Range[T]) Range[T] {
	set(&r.Default, patch.Default)
	set(&r.Max, patch.Max)
	set(&r.Choices, patch.Choices)
	return r.agreeing()
}

// agreeing brings default and choices below the maximum.
func (r Range[T]) agreeing() Range[T] {
	if r.Max == 0 {
		return r
	}
	r.Default = min(r.Default, r.Max)
	tooMuch := func(v T) bool { return v > r.Max }
	if slices.ContainsFunc(r.Choices, tooMuch) {
		r.Choices = slices.DeleteFunc(slices.Clone(r.Choices), tooMuch)
		if len(r.Choices) == 0 { // none would mean any
			r.Choices = []T{r.Default}
		}
	}
	return r
}

// Apply returns the sums with what the patch says.
func (patch SumsPatch) Apply(s Sums) Sums {
	set(&s.Workspaces, patch.Workspaces)
	set(&s.Running, patch.Running)
	set(&s.CPUs, patch.CPUs)
	set(&s.MemoryMB, patch.MemoryMB)
	set(&s.StorageMB, patch.StorageMB)
	set(&s.GPUs, patch.GPUs)
	set(&s.OnExceed, patch.OnExceed)
	return s
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
