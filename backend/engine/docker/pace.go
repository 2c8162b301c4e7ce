package docker

import (
	"context"
	"time"
)

const (
	// gentleShare is the share of one processor that gentle work takes, the reading of folders by the kernel included.
	gentleShare = 0.05
	// shortestRest is the shortest pause that is worth its two changes of thread.
	shortestRest = 20 * time.Millisecond
)

// pace keeps work at gentleShare. Time in which the work waits for a disk is no credit: what was saved would be spent at
// full speed afterwards. It is not safe for concurrent use.
type pace struct {
	used  func() time.Duration // processor time so far
	last  time.Duration
	owing time.Duration // rest that is due
}

func newPace(used func() time.Duration) *pace { return &pace{used: used, last: used()} }

// due adds up the rest that the work since the last call asks for, and returns it when there is enough of it.
func (p *pace) due() time.Duration {
	now := p.used()
	p.owing += time.Duration(float64(now-p.last) * (1/gentleShare - 1))
	p.last = now
	if p.owing < shortestRest {
		return 0
	}
	rest := p.owing
	p.owing = 0
	return rest
}

// rest pauses as long as is due.
func (p *pace) rest(ctx context.Context) error {
	due := p.due()
	if due == 0 {
		return nil
	}
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
