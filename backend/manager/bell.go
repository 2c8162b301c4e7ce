package manager

import (
	"context"
	"time"
)

// bell asks a goroutine for a look at something. Rung again before it was heard, it has rung once.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

// ring never waits.
func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// wait returns when it rings or the time is over, and reports false when ctx has ended.
func (b bell) wait(ctx context.Context, atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-b:
	}
	return true
}
