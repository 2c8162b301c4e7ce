package config

import (
	"fmt"

	"lab-workspace-manager/backend/quota"
)

const (
	quotaTable = "quota"
	userQuota  = "quota.user"
	groupQuota = "quota.group"
)

// sum is one key of a quota: of every user, of a group, or in an override.
type sum interface {
	ofUser() field[Config]
	ofGroup() field[quota.Sums]
	patch() field[quota.Override]
}

// sums are all of them, in the order of the example file.
func sums() []sum {
	const unbounded = "no bound"
	return []sum{
		sumOf[int64]{"workspaces", count("workspaces"), func(s *quota.Sums) *int64 { return &s.Workspaces }, func(p *quota.SumsPatch) **int64 { return &p.Workspaces }},
		sumOf[int64]{"running", count("workspaces"), func(s *quota.Sums) *int64 { return &s.Running }, func(p *quota.SumsPatch) **int64 { return &p.Running }},
		sumOf[float64]{"cpus", cpuSum(unbounded), func(s *quota.Sums) *float64 { return &s.CPUs }, func(p *quota.SumsPatch) **float64 { return &p.CPUs }},
		sumOf[int64]{"memory", size(least{quota.MinMemoryMB, unbounded}), func(s *quota.Sums) *int64 { return &s.MemoryMB }, func(p *quota.SumsPatch) **int64 { return &p.MemoryMB }},
		sumOf[int64]{"storage", size(least{1, unbounded}), func(s *quota.Sums) *int64 { return &s.StorageMB }, func(p *quota.SumsPatch) **int64 { return &p.StorageMB }},
		sumOf[int64]{"gpus", count("GPUs"), func(s *quota.Sums) *int64 { return &s.GPUs }, func(p *quota.SumsPatch) **int64 { return &p.GPUs }},
		sumOf[quota.OnExceed]{"on_exceed", onExceed(), func(s *quota.Sums) *quota.OnExceed { return &s.OnExceed }, func(p *quota.SumsPatch) **quota.OnExceed { return &p.OnExceed }},
	}
}

type sumOf[T any] struct {
	name    string
	kind    kind[T]
	of      func(*quota.Sums) *T
	patchOf func(*quota.SumsPatch) **T
}

func (s sumOf[T]) ofUser() field[Config] {
	return at(join(userQuota, s.name), s.kind, func(c *Config) *T { return s.of(&c.Policy.User) })
}

func (s sumOf[T]) ofGroup() field[quota.Sums] { return at(s.name, s.kind, s.of) }

func (s sumOf[T]) patch() field[quota.Override] {
	return atPart(join(quotaTable, s.name), s.kind, func(o *quota.Override) **T { return s.patchOf(&o.Quota) })
}

func groupQuotaFields() []field[quota.Sums] {
	var fields []field[quota.Sums]
	for _, s := range sums() {
		fields = append(fields, s.ofGroup())
	}
	return fields
}

const maxCount = 1_000_000 // far beyond what one manager can hold

// count is a number of things in a sum.
func count(things string) kind[int64] {
	return whole[int64](fmt.Sprintf("a number of %s from 1 to %d, or 0 for no bound", things, maxCount), from(0, maxCount))
}

const maxGPUs = 1024 // far beyond what a machine holds

func gpus(more string) kind[int64] {
	return whole[int64](fmt.Sprintf("a number of GPUs from 0 to %d%s", maxGPUs, more), from(0, maxGPUs))
}
