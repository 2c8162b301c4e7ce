// Package quota decides whether a request fits: the limits of one workspace today, sums over users and hosts later.
//
// It owns limits and the sentences that say why something does not fit. It must not know where limits are configured,
// who asks over which protocol, or what an engine is. Everything here is a pure function over values and safe for
// concurrent use.
package quota

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Amount is a type that limits are counted in.
type Amount interface {
	float64 | int64 | time.Duration
}

// Range is what may be asked of one resource: the value of who says nothing, the largest allowed, and, when not empty,
// the only values allowed.
type Range[T Amount] struct {
	Default T
	Max     T // 0 = no bound of its own
	Choices []T
}

// Limits are the limits of one workspace. Memory sizes are ML Lab's MB, which Docker reads as MiB.
type Limits struct {
	CPUs        Range[float64]
	MemoryMB    Range[int64]
	ShmMB       Range[int64] // Default 0 = half of the memory
	Processes   Range[int64]
	GPUs        Range[int64] // Max 0 = none
	VolumeMB    Range[int64]
	ContainerMB Range[int64]
	IdleTimeout Range[time.Duration]
	// AlwaysClearVolumeOnStop forces the flag of the same name on every workspace.
	AlwaysClearVolumeOnStop bool
}

// Smallest values that make a container which can live at all.
const (
	MinCPUs     = 0.01 // Docker refuses less
	MinMemoryMB = 6    // Docker refuses less
)

// CapToHost lowers every maximum (and default) to what the host has, so that nothing is offered that cannot be had.
// A host that says nothing of itself (zero) lowers nothing.
func (l Limits) CapToHost(cpus int, memoryMB int64) Limits {
	if cpus > 0 {
		l.CPUs = capRange(l.CPUs, float64(cpus))
	}
	if memoryMB > 0 {
		l.MemoryMB = capRange(l.MemoryMB, memoryMB)
	}
	return l
}

func capRange[T float64 | int64](r Range[T], most T) Range[T] {
	if r.Max == 0 || r.Max > most {
		r.Max = most
	}
	return r.agreeing()
}

// Complete fills what a spec leaves open (zero values) with the defaults: CPUs, memory, shm, processes and sizes.
// The idle timeout is not touched, because zero means never.
func (l Limits) Complete(spec workspace.Spec) workspace.Spec {
	fill(&spec.Compute.CPUs, l.CPUs.Default)
	fill(&spec.Compute.MemoryMB, l.MemoryMB.Default)
	fill(&spec.Compute.Processes, l.Processes.Default)
	fill(&spec.Storage.VolumeMB, l.VolumeMB.Default)
	fill(&spec.Storage.ContainerMB, l.ContainerMB.Default)
	spec.Compute.ShmMB = l.ShmFor(spec.Compute.MemoryMB)
	if l.AlwaysClearVolumeOnStop {
		spec.ClearVolumeOnStop = true
	}
	return spec
}

// ShmFor is the size of /dev/shm that goes with a memory limit: the configured one, else half of the memory, because
// Docker's 64 MB break data loaders.
func (l Limits) ShmFor(memoryMB int64) int64 {
	if l.ShmMB.Default > 0 {
		return min(l.ShmMB.Default, memoryMB)
	}
	return max(1, memoryMB/2)
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Check refuses a complete spec that breaks a limit, with a CodeInvalid error that names the field, what was asked and
// what is allowed. before is the spec in force (nil at creation): values that do not change are not checked again, so
// that a lowered limit never makes an existing workspace impossible to change.
func (l Limits) Check(spec workspace.Spec, before *workspace.Spec) error {
	same := func(get func(workspace.Spec) any) bool { return before != nil && get(*before) == get(spec) }
	if !same(func(s workspace.Spec) any { return s.Compute.CPUs }) {
		if err := checkRange("compute.cpus", "CPUs", spec.Compute.CPUs, MinCPUs, l.CPUs, formatCPUs); err != nil {
			return err
		}
	}
	if !same(func(s workspace.Spec) any { return s.Compute.MemoryMB }) {
		if err := checkRange("compute.memory", "of memory", spec.Compute.MemoryMB, MinMemoryMB, l.MemoryMB, FormatMB); err != nil {
			return err
		}
	}
	if !same(func(s workspace.Spec) any { return s.Storage.VolumeMB }) {
		if err := checkRange("storage.volume_size", "of files", spec.Storage.VolumeMB, 1, l.VolumeMB, FormatMB); err != nil {
			return err
		}
	}
	if !same(func(s workspace.Spec) any { return s.Storage.ContainerMB }) {
		if err := checkRange("storage.container_size", "of container", spec.Storage.ContainerMB, 1, l.ContainerMB, FormatMB); err != nil {
			return err
		}
	}
	if !same(func(s workspace.Spec) any { return s.IdleTimeout }) {
		return checkRange("idle_timeout", "of idle time", spec.IdleTimeout, 0, l.IdleTimeout, formatDuration)
	}
	return nil
}

func checkRange[T Amount](field, what string, value, least T, r Range[T], format func(T) string) error {
	switch {
	case value < least:
		return workspace.Invalid(field, "%s %s are too little; at least %s are needed.", format(value), what, format(least))
	case r.Max > 0 && value > r.Max:
		return workspace.Invalid(field, "%s %s are more than the %s allowed.", format(value), what, format(r.Max))
	case len(r.Choices) > 0 && !slices.Contains(r.Choices, value) && value != r.Default:
		choices := make([]string, len(r.Choices))
		for i, choice := range r.Choices {
			choices[i] = format(choice)
		}
		return workspace.Invalid(field, "%s %s are not among the choices: %s.", format(value), what, strings.Join(choices, ", "))
	}
	return nil
}

func formatCPUs(v float64) string {
	if v >= 1e6 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// formatDuration writes a duration as people do: "1 h 30 min".
func formatDuration(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		if n := d / unit.size; n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
			d -= n * unit.size
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

// FormatMB writes a size in ML Lab's MB as people read it: "700 MB", "2 GB", "1.5 GB". It rounds nothing.
func FormatMB(mb int64) string {
	if mb < 1000 || mb%100 != 0 {
		return strconv.FormatInt(mb, 10) + " MB"
	}
	return strconv.FormatFloat(float64(mb/100)/10, 'f', -1, 64) + " GB"
}
