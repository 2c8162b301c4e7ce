package config

import (
	"fmt"
	"slices"
	"time"

	"lab-workspace-manager/backend/quota"
)

type number interface {
	float64 | int64 | time.Duration
}

// limit is one [limits] key with a default, a maximum and choices.
type limit interface {
	settings() []field[Config]
	patches() []field[quota.Override]
	// settle makes the three agree: what nobody set follows what somebody set, and two that somebody set and that cannot
	// both be true are refused.
	settle(l *loader) error
	// settlePatch does the same for what an override says together with what it leaves alone.
	settlePatch(l *loader, index int) error
	// mustStayOpen says that a part nobody set follows an override, and that the two would disagree if somebody had set it.
	mustStayOpen(policy quota.Policy, key string) bool
}

// limits are all of them, in the order of the example file.
func limits() []limit {
	const fewProcesses = 16 // an IDE does not start with less
	memory, storage := size(least{quota.MinMemoryMB, ""}), size(least{1, ""})
	return []limit{
		limitOf[float64]{name: keyCPUs, normal: cpus(), most: cpus(), choice: cpus(),
			of: func(l *quota.Limits) *quota.Range[float64] { return &l.CPUs }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[float64] { return &p.CPUs }},
		limitOf[int64]{name: keyMemory, normal: memory, most: memory, choice: memory,
			of: func(l *quota.Limits) *quota.Range[int64] { return &l.MemoryMB }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[int64] { return &p.MemoryMB }},
		limitOf[int64]{name: keyShm, normal: size(least{1, "half of the memory"}), most: size(least{1, noBound}), choice: storage,
			of: func(l *quota.Limits) *quota.Range[int64] { return &l.ShmMB }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[int64] { return &p.ShmMB }},
		limitOf[int64]{name: keyProcesses, normal: processes(least{fewProcesses, ""}), most: processes(least{fewProcesses, noBound}), choice: processes(least{fewProcesses, ""}),
			of: func(l *quota.Limits) *quota.Range[int64] { return &l.Processes }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[int64] { return &p.Processes }},
		limitOf[int64]{name: keyGPUs, normal: gpus(""), most: gpus(", with 0 for none at all"), choice: gpus(""), zeroIsNone: true,
			of: func(l *quota.Limits) *quota.Range[int64] { return &l.GPUs }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[int64] { return &p.GPUs }},
		limitOf[int64]{name: keyVolume, normal: storage, most: size(least{1, noBound}), choice: storage,
			of: func(l *quota.Limits) *quota.Range[int64] { return &l.VolumeMB }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[int64] { return &p.VolumeMB }},
		limitOf[int64]{name: keyContainer, normal: storage, most: size(least{1, noBound}), choice: storage,
			of: func(l *quota.Limits) *quota.Range[int64] { return &l.ContainerMB }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[int64] { return &p.ContainerMB }},
		limitOf[time.Duration]{name: keyIdleTimeout, normal: idleTimeout("never"), most: idleTimeout(noBound), choice: idleTimeout("never"),
			of: func(l *quota.Limits) *quota.Range[time.Duration] { return &l.IdleTimeout }, patchOf: func(p *quota.LimitsPatch) *quota.RangePatch[time.Duration] { return &p.IdleTimeout }},
	}
}

const noBound = "no bound of its own"

// limitOf is a limit that is counted in T.
type limitOf[T number] struct {
	name                 string
	normal, most, choice kind[T]
	zeroIsNone           bool // a maximum of 0 is not "no bound" but "none"
	of                   func(*quota.Limits) *quota.Range[T]
	patchOf              func(*quota.LimitsPatch) *quota.RangePatch[T]
}

func (r limitOf[T]) settings() []field[Config] {
	in := func(c *Config) *quota.Range[T] { return r.of(&c.Policy.Limits) }
	return []field[Config]{
		at(r.name+partDefault, r.normal, func(c *Config) *T { return &in(c).Default }),
		at(r.name+partMax, r.most, func(c *Config) *T { return &in(c).Max }),
		at(r.name+partChoices, choicesOf(r.choice), func(c *Config) *[]T { return &in(c).Choices }),
	}
}

// tooMuch returns what is beyond a maximum.
func (r limitOf[T]) tooMuch(most T) func(T) bool {
	bounded := most != 0 || r.zeroIsNone
	return func(v T) bool { return bounded && v > most }
}

func (r limitOf[T]) settle(l *loader) error {
	in := r.of(&l.config.Policy.Limits)
	keyDefault, keyMax, keyChoices := r.name+partDefault, r.name+partMax, r.name+partChoices
	if slices.ContainsFunc(in.Choices, r.tooMuch(in.Max)) {
		switch {
		case !l.isSet(keyChoices):
			in.Choices = slices.DeleteFunc(slices.Clone(in.Choices), r.tooMuch(in.Max))
			l.follow(keyChoices, "cut to", keyMax)
		case l.isSet(keyMax):
			return l.contradiction(keyChoices, keyMax)
		default:
			in.Max = slices.Max(in.Choices)
			l.follow(keyMax, "raised to", keyChoices)
		}
	}
	if r.tooMuch(in.Max)(in.Default) {
		switch {
		case !l.isSet(keyDefault):
			in.Default = in.Max
			l.follow(keyDefault, "lowered to", keyMax)
		case l.isSet(keyMax):
			return l.contradiction(keyDefault, keyMax)
		default:
			in.Max = in.Default
			l.follow(keyMax, "raised to", keyDefault)
		}
	}
	return nil
}

func (l *loader) settleLimits() error {
	for _, limit := range l.limits {
		if err := limit.settle(l); err != nil {
			return err
		}
	}
	return nil
}

// follow notes that a key nobody set got its value from one that somebody set.
func (l *loader) follow(key, how, leader string) {
	l.origins[key] = fmt.Sprintf("%s, %s %s (%s)", byDefault, how, leader, l.origin(leader))
}

func (l *loader) contradiction(key, keyMax string) error {
	value, _ := find(l.settings, key)
	most, _ := find(l.settings, keyMax)
	return fmt.Errorf("%s: %s is %s, more than %s, which is %s (%s); lower the one or raise the other",
		l.origin(key), key, value.show(&l.config), keyMax, most.show(&l.config), l.origin(keyMax))
}
