package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lab-workspace-manager/backend/quota"
)

type number interface {
	float64 | int64 | time.Duration
}

// settleLimits makes default, maximum and choices of each limit agree: what nobody set follows what somebody set, and
// two that somebody set and that cannot both be true are refused.
func (l *loader) settleLimits() error {
	limits := &l.config.Limits
	return cmp.Or(
		settleRange(l, keyCPUs, &limits.CPUs),
		settleRange(l, keyMemory, &limits.MemoryMB),
		settleRange(l, keyShm, &limits.ShmMB),
		settleRange(l, keyProcesses, &limits.Processes),
		settleRange(l, keyVolume, &limits.VolumeMB),
		settleRange(l, keyContainer, &limits.ContainerMB),
		settleRange(l, keyIdleTimeout, &limits.IdleTimeout),
	)
}

func settleRange[T number](l *loader, name string, r *quota.Range[T]) error {
	if r.Max == 0 {
		return nil
	}
	keyDefault, keyMax, keyChoices := name+partDefault, name+partMax, name+partChoices
	tooMuch := func(v T) bool { return v > r.Max }
	if slices.ContainsFunc(r.Choices, tooMuch) {
		switch {
		case !l.isSet(keyChoices):
			r.Choices = slices.DeleteFunc(slices.Clone(r.Choices), tooMuch)
			l.follow(keyChoices, "cut to", keyMax)
		case l.isSet(keyMax):
			return l.contradiction(keyChoices, keyMax)
		default:
			r.Max = slices.Max(r.Choices)
			l.follow(keyMax, "raised to", keyChoices)
		}
	}
	if tooMuch(r.Default) {
		switch {
		case !l.isSet(keyDefault):
			r.Default = r.Max
			l.follow(keyDefault, "lowered to", keyMax)
		case l.isSet(keyMax):
			return l.contradiction(keyDefault, keyMax)
		default:
			r.Max = r.Default
			l.follow(keyMax, "raised to", keyDefault)
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
