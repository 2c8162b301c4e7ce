package mllab

import (
	"context"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// tell keeps news for whoever watches. The caller holds the lock.
func (e *Engine) tell(change workspace.Change) {
	if !e.watching {
		return // a snapshot will tell
	}
	e.news = append(e.news, change)
	e.ring()
}

func (e *Engine) ring() {
	select {
	case e.rung <- struct{}{}:
	default:
	}
}

// waitUntilTold returns once everything that is news now has been told.
func (e *Engine) waitUntilTold(ctx context.Context) error {
	e.mu.Lock()
	telling, watching := e.telling, e.watching
	e.ring()
	e.mu.Unlock()
	if watching {
		select {
		case <-telling.done:
			watching = telling.all
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !watching {
		return workspace.Errorf(workspace.CodeUnavailable, "ML Lab does not answer at %s.", e.lab.Endpoint())
	}
	return nil
}

// told says how the telling of news has ended, and begins the next. The caller holds the lock.
func (e *Engine) told(all bool) {
	e.telling.all = all
	close(e.telling.done)
	e.telling = &telling{done: make(chan struct{})}
}

const (
	// healthEvery is how often the lab is asked whether it is there while nothing else is asked.
	healthEvery   = 30 * time.Second
	healthTimeout = 10 * time.Second
)

// Watch tells what changes in the lab. The lab tells nothing by itself, so it is looked at again and again, as long as
// people are here: those of one of them at a time, whose turn it is, so that many cost the lab no more than one does.
func (e *Engine) Watch(ctx context.Context, connected func(), changed func(workspace.Change)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	e.watching, e.news = true, nil
	for _, o := range e.owners { // what failed while the lab was away says nothing now
		o.failures, o.pauses = 0, time.Time{}
	}
	select {
	case <-e.begun:
	default:
		close(e.begun)
	}
	for _, stopped := range []bool{false, true} { // what was found while nobody watched is told before anybody is let in
		for id, h := range e.services {
			if stopped == (h.service.Status == contaxy.StatusStopped) {
				e.tellOf(id)
			}
		}
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.watching, e.news = false, nil
		e.told(false)
	}()
	connected()
	lost := make(chan error, 1)
	go func() { lost <- e.lookByTurns(ctx) }()
	for {
		select {
		case err := <-lost:
			return err
		case <-e.rung:
		}
		for {
			e.mu.Lock()
			news := e.news
			e.news = nil
			if len(news) == 0 {
				e.told(true)
				e.mu.Unlock()
				break
			}
			e.mu.Unlock()
			for _, change := range news {
				changed(change)
			}
		}
	}
}

// lookByTurns looks at what the lab keeps until ctx ends or the lab is gone.
func (e *Engine) lookByTurns(ctx context.Context) error {
	heard := time.Now()
	ticker := time.NewTicker(e.lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		e.writeWhatIsDue(time.Now())
		who, any := e.nextTurn(time.Now())
		var err error
		switch {
		case any:
			err = e.lookAt(ctx, who)
		case time.Since(heard) > healthEvery:
			err = e.askForHealth(ctx)
		default:
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch workspace.CodeOf(err) {
		case "":
			heard = time.Now()
		case workspace.CodeUnauthenticated, workspace.CodeForbidden, workspace.CodeNotFound:
			e.log.Info("the lab no longer tells of somebody's workspaces", "owner", who, "cause", workspace.MessageOf(err))
		default:
			if !any || e.askForHealth(ctx) != nil {
				return err
			}
			heard = time.Now()
			e.log.Warn("the lab cannot tell of somebody's workspaces", "owner", who, "error", err)
		}
	}
}

// askForHealth asks the lab whether it is there.
func (e *Engine) askForHealth(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, healthTimeout)
	defer done()
	_, err := e.lab.Info(ctx)
	return err
}

// nextTurn picks whose workspaces are looked at now: of those who are here, and of whom the lab has not just failed to tell, the
// one looked at longest ago.
func (e *Engine) nextTurn(now time.Time) (next workspace.Owner, any bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var oldest time.Time
	for who, o := range e.owners {
		if now.Sub(o.cameAt) > presentFor || !e.tokens.Any(who) || now.Before(o.pauses) {
			continue
		}
		if !any || o.lookedAt.Before(oldest) {
			next, oldest, any = who, o.lookedAt, true
		}
	}
	return next, any
}
