// Package quota decides whether a request fits: the limits of one workspace today, sums over users and hosts later.
//
// It owns limits and the sentences that say why something does not fit. It must not know where limits are configured,
// who asks over which protocol, or what an engine is. Everything here is a pure function over values and safe for
// concurrent use.
package quota

import (
	"fmt"
	"math"
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
	// MinIdleTimeout is what can be said of in whole seconds.
	MinIdleTimeout = time.Second
	// MinProcesses is what an IDE does not start with less than.
	MinProcesses = 16
	// MaxProcesses is what Linux can number (PID_MAX_LIMIT): it refuses to start what has a limit beyond.
	MaxProcesses = 1 << 22
)

// CapToHost lowers every maximum (and default) to what the host has, so that nothing is offered that cannot be had.
// A host that says nothing of its processors or its memory (zero) lowers nothing.
func (l Limits) CapToHost(cpus int, memoryMB int64, gpus int) Limits {
	if cpus > 0 {
		l.CPUs = capRange(l.CPUs, float64(cpus))
	}
	if memoryMB > 0 {
		l.MemoryMB = capRange(l.MemoryMB, memoryMB)
	}
	if l.GPUs = capRange(l.GPUs, min(l.GPUs.Max, int64(gpus))); l.GPUs.Max == 0 {
		l.GPUs = Range[int64]{}
	}
	return l
}

func capRange[T Amount](r Range[T], most T) Range[T] {
	if r.Max == 0 || r.Max > most {
		r.Max = most
	}
	return r.agreeing()
}

// Complete fills what a spec leaves open (zero values) with the defaults. The idle timeout and the GPUs are not touched,
// because zero says something there.
func (l Limits) Complete(spec workspace.Spec) workspace.Spec {
	fill(&spec.Compute.CPUs, l.CPUs.Default)
	fill(&spec.Compute.MemoryMB, l.MemoryMB.Default)
	fill(&spec.Compute.Processes, l.Processes.Default)
	fill(&spec.Storage.VolumeMB, l.VolumeMB.Default)
	fill(&spec.Storage.ContainerMB, l.ContainerMB.Default)
	spec.Compute.ShmMB = l.ShmFor(spec)
	if l.AlwaysClearVolumeOnStop {
		spec.ClearVolumeOnStop = true
	}
	return spec
}

// ShmFor is the size of /dev/shm of a spec: what was asked for, else the configured one, else half of the memory, because
// Docker's 64 MB break data loaders. What is in there is memory, so more than that makes no sense.
func (l Limits) ShmFor(spec workspace.Spec) int64 {
	switch {
	case spec.AskedShmMB > 0:
		return min(spec.AskedShmMB, spec.Compute.MemoryMB)
	case l.ShmMB.Default > 0:
		return min(l.ShmMB.Default, spec.Compute.MemoryMB)
	}
	return max(1, spec.Compute.MemoryMB/2)
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// rule is one limit, as it applies to a spec. Rules are made once: what they hold specs to comes with every question, which
// is asked of every workspace that is shown.
type rule struct {
	field string // path of the input
	same  func(a, b *workspace.Spec) bool
	check func(l *Limits, spec *workspace.Spec) error
	// meet lowers what is more than allowed, and reports whether it was.
	meet func(l *Limits, spec *workspace.Spec) bool
	// choose takes the next lower choice, else the default, in place of what is among the choices no more.
	choose func(l *Limits, spec *workspace.Spec)
}

func limit[T Amount](field, what string, least T, of func(*Limits) Range[T], format func(T) string, in func(*workspace.Spec) *T) rule {
	return rule{
		field: field,
		same:  func(a, b *workspace.Spec) bool { return *in(a) == *in(b) },
		check: func(l *Limits, spec *workspace.Spec) error {
			return checkRange(field, what, *in(spec), least, of(l), format)
		},
		meet: func(l *Limits, spec *workspace.Spec) bool {
			value, most := in(spec), of(l).Max
			if most == 0 || *value <= most {
				return false
			}
			*value = most
			return true
		},
		choose: func(l *Limits, spec *workspace.Spec) {
			value, r := in(spec), of(l)
			if len(r.Choices) == 0 || slices.Contains(r.Choices, *value) || *value == r.Default {
				return
			}
			lower := slices.DeleteFunc(slices.Clone(r.Choices), func(choice T) bool { return choice > *value })
			if *value = r.Default; len(lower) > 0 {
				*value = slices.Max(lower)
			}
		},
	}
}

// rules are the limits in the order in which they are told.
var rules = []rule{
	limit("compute.cpus", "CPUs", MinCPUs, func(l *Limits) Range[float64] { return l.CPUs }, formatCPUs,
		func(s *workspace.Spec) *float64 { return &s.Compute.CPUs }),
	limit("compute.memory", "of memory", MinMemoryMB, func(l *Limits) Range[int64] { return l.MemoryMB }, FormatMB,
		func(s *workspace.Spec) *int64 { return &s.Compute.MemoryMB }),
	limit("compute.shm", "of shared memory", 0, (*Limits).askableShm, FormatMB,
		func(s *workspace.Spec) *int64 { return &s.AskedShmMB }),
	limit("compute.processes", "processes", MinProcesses, func(l *Limits) Range[int64] { return l.Processes }, formatCount,
		func(s *workspace.Spec) *int64 { return &s.Compute.Processes }),
	limitGPUs(),
	limit("storage.volume_size", "of files", 1, func(l *Limits) Range[int64] { return l.VolumeMB }, FormatMB,
		func(s *workspace.Spec) *int64 { return &s.Storage.VolumeMB }),
	limit("storage.container_size", "of container", 1, func(l *Limits) Range[int64] { return l.ContainerMB }, FormatMB,
		func(s *workspace.Spec) *int64 { return &s.Storage.ContainerMB }),
	limitIdleTime(),
}

// askableShm is what may be asked for of shared memory: to ask for none is always right.
func (l *Limits) askableShm() Range[int64] {
	shm := l.ShmMB
	if len(shm.Choices) > 0 {
		shm.Choices = append(slices.Clone(shm.Choices), 0)
	}
	return shm
}

// limitGPUs is like the others but for a maximum of zero, which means none.
func limitGPUs() rule {
	gpus := limit("compute.gpus", "GPUs", 0, func(l *Limits) Range[int64] { return l.GPUs }, formatCount,
		func(s *workspace.Spec) *int64 { return &s.Compute.GPUs })
	check, meet := gpus.check, gpus.meet
	gpus.check = func(l *Limits, spec *workspace.Spec) error {
		if l.GPUs.Max == 0 && spec.Compute.GPUs != 0 {
			return workspace.Invalid("compute.gpus", "There is no GPU to have here: none are given out.")
		}
		return check(l, spec)
	}
	gpus.meet = func(l *Limits, spec *workspace.Spec) bool {
		if l.GPUs.Max > 0 {
			return meet(l, spec)
		}
		had := spec.Compute.GPUs != 0
		spec.Compute.GPUs = 0
		return had
	}
	return gpus
}

// limitIdleTime is like the others but for zero, which means never, and is too long where there is a maximum.
func limitIdleTime() rule {
	idle := limit("idle_timeout", "of idle time", 0, func(l *Limits) Range[time.Duration] { return l.IdleTimeout }, FormatDuration,
		func(s *workspace.Spec) *time.Duration { return &s.IdleTimeout })
	check, meet := idle.check, idle.meet
	idle.check = func(l *Limits, spec *workspace.Spec) error {
		if spec.IdleTimeout > 0 && spec.IdleTimeout < MinIdleTimeout {
			return workspace.Invalid("idle_timeout", "An idle timeout is a second at least, or 0 for none.")
		}
		if spec.IdleTimeout == 0 && l.boundsIdle() {
			return workspace.Invalid("idle_timeout", "A workspace may not run unused for ever here: %s at most.", FormatDuration(l.IdleTimeout.Max))
		}
		return check(l, spec)
	}
	idle.meet = func(l *Limits, spec *workspace.Spec) bool {
		if spec.IdleTimeout == 0 && l.boundsIdle() {
			spec.IdleTimeout = l.IdleTimeout.Max
			return true
		}
		return meet(l, spec)
	}
	return idle
}

// boundsIdle reports whether "never" is too long an idle timeout.
func (l Limits) boundsIdle() bool {
	return l.IdleTimeout.Max > 0 && !slices.Contains(l.IdleTimeout.Choices, 0)
}

// Check refuses a complete spec that breaks a limit, with a CodeInvalid error that names the field, what was asked and
// what is allowed. before is the spec in force (nil at creation): values that do not change are not checked again, so
// that a lowered limit never makes an existing workspace impossible to change.
func (l Limits) Check(spec workspace.Spec, before *workspace.Spec) error {
	for _, one := range rules {
		if before != nil && one.same(before, &spec) {
			continue
		}
		if err := one.check(&l, &spec); err != nil {
			return err
		}
	}
	if spec.AskedShmMB > spec.Compute.MemoryMB && (before == nil || before.AskedShmMB != spec.AskedShmMB) {
		return workspace.Invalid("compute.shm", "%s of shared memory are more than the memory, %s: what is in there counts as memory.",
			FormatMB(spec.AskedShmMB), FormatMB(spec.Compute.MemoryMB))
	}
	return nil
}

// Above lists the fields of a spec that are more than is allowed now, because a limit was lowered after it was made.
func (l Limits) Above(spec workspace.Spec) (fields []string) {
	for _, one := range rules {
		if one.meet(&l, &spec) {
			fields = append(fields, one.field)
		}
	}
	return fields
}

// Meet lowers what is more than is allowed now, and says what became of it; "" when nothing was.
func (l Limits) Meet(spec workspace.Spec) (met workspace.Spec, told string) {
	return l.lower(spec, func(one rule, spec *workspace.Spec) { one.meet(&l, spec) })
}

// MeetAgain is Meet for a workspace that was deleted and is made again, which is checked as a new one: it takes today's
// choices, too, and no more shared memory than is left of memory.
func (l Limits) MeetAgain(spec workspace.Spec) (met workspace.Spec, told string) {
	met, told = l.lower(spec, func(one rule, spec *workspace.Spec) {
		one.meet(&l, spec)
		one.choose(&l, spec)
	})
	if told != "" {
		met.AskedShmMB = min(met.AskedShmMB, met.Compute.MemoryMB)
	}
	return met, told
}

func (l Limits) lower(spec workspace.Spec, follow func(rule, *workspace.Spec)) (met workspace.Spec, told string) {
	var changes []string
	met = spec
	for _, one := range rules {
		before := met
		if follow(one, &met); !one.same(&before, &met) {
			changes = append(changes, fmt.Sprintf("%s instead of %s", describe(one.field, &met), describe(one.field, &before)))
		}
	}
	if len(changes) == 0 {
		return spec, ""
	}
	met.Compute.ShmMB = l.ShmFor(met)
	return met, "The limits have been lowered since: it now has " + strings.Join(changes, ", ") + "."
}

// describe writes the value of a field as people do.
func describe(field string, spec *workspace.Spec) string {
	switch field {
	case "compute.cpus":
		return plural(formatCPUs(spec.Compute.CPUs), "CPU")
	case "compute.memory":
		return FormatMB(spec.Compute.MemoryMB) + " of memory"
	case "compute.shm":
		return FormatMB(spec.AskedShmMB) + " of shared memory"
	case "compute.processes":
		return formatCount(spec.Compute.Processes) + " processes"
	case "compute.gpus":
		return plural(formatCount(spec.Compute.GPUs), "GPU")
	case "storage.volume_size":
		return FormatMB(spec.Storage.VolumeMB) + " of files"
	case "storage.container_size":
		return FormatMB(spec.Storage.ContainerMB) + " of container"
	}
	if spec.IdleTimeout == 0 {
		return "no idle timeout"
	}
	return "an idle timeout of " + FormatDuration(spec.IdleTimeout)
}

// countsMB reports whether a field is a size.
func countsMB(field string) bool {
	return strings.HasPrefix(field, "storage.") || field == "compute.memory" || field == "compute.shm"
}

// maxCountable is the largest size in MB whose bytes can be counted.
const maxCountable = math.MaxInt64 >> 20

func checkRange[T Amount](field, what string, value, least T, r Range[T], format func(T) string) error {
	switch {
	case countsMB(field) && float64(value) > maxCountable:
		return workspace.Invalid(field, "%s %s are more than can be counted.", format(value), what)
	case field == "compute.processes" && float64(value) > MaxProcesses:
		return workspace.Invalid(field, "%s %s are more than Linux can number, which is %d.", format(value), what, MaxProcesses)
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

func formatCount(n int64) string { return strconv.FormatInt(n, 10) }

// FormatDuration writes a duration as people do: "1 h 30 min".
func FormatDuration(d time.Duration) string {
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
