package manager

import (
	"context"
	"slices"
	"sync"
)

// turnstile lets a bounded number of starts go on at once, first come first served. A container's start is serial inside
// Docker (measured: 8 a second on two cores whatever the client does) and an IDE's boot is bound by the processor, so
// more at once only makes everybody late.
type turnstile struct {
	mu      sync.Mutex
	free    int
	waiting []*ticket
}

type ticket struct {
	admitted chan struct{}
	moved    func(position int) // called without the lock, with the new position (1 = next)
}

func newTurnstile(width int) *turnstile { return &turnstile{free: width} }

// enter waits for admission. moved hears the position in the queue whenever it changes. The returned function leaves
// the turnstile and may be called more than once.
func (t *turnstile) enter(ctx context.Context, moved func(position int)) (leave func(), err error) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return sync.OnceFunc(t.leave), nil
	}
	mine := &ticket{admitted: make(chan struct{}), moved: moved}
	t.waiting = append(t.waiting, mine)
	position := len(t.waiting)
	t.mu.Unlock()
	moved(position)
	select {
	case <-mine.admitted:
		return sync.OnceFunc(t.leave), nil
	case <-ctx.Done():
		t.abandon(mine)
		return nil, ctx.Err()
	}
}

func (t *turnstile) leave() {
	t.mu.Lock()
	var behind []*ticket
	if len(t.waiting) > 0 {
		close(t.waiting[0].admitted)
		t.waiting = slices.Delete(t.waiting, 0, 1)
		behind = slices.Clone(t.waiting)
	} else {
		t.free++
	}
	t.mu.Unlock()
	for i, ticket := range behind {
		ticket.moved(i + 1)
	}
}

// abandon gives a place in the queue back, or the admission that came at the same moment.
func (t *turnstile) abandon(mine *ticket) {
	t.mu.Lock()
	at := slices.Index(t.waiting, mine)
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 {
		t.leave()
	}
}
