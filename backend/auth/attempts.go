package auth

import (
	"sync"
	"time"
)

const (
	freeAttempts    = 20
	attemptInterval = 3 * time.Second // one more after each
)

// attempts counts wrong tokens and codes. Guessing 256 bits is hopeless at any rate; what it bounds is what guessing
// costs us: log lines and answers. The right token is never asked to wait.
type attempts struct {
	now func() time.Time

	mu   sync.Mutex
	left float64
	last time.Time
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, left: freeAttempts, last: now()}
}

// failed notes a wrong attempt and reports whether there have been too many of late.
func (a *attempts) failed() (tooMany bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.left = min(freeAttempts, a.left+float64(now.Sub(a.last))/float64(attemptInterval))
	a.last = now
	if a.left < 1 {
		return true
	}
	a.left--
	return false
}
