package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"

	"lab-workspace-manager/backend/workspace"
)

// acquisitions are the pulls and builds that go on, by image. Who wants an image that is on its way joins in; the work
// is called off when the last one has left.
type acquisitions struct {
	mu      sync.Mutex
	running map[string]*acquisition
}

type acquisition struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid when done is closed

	mu        sync.Mutex
	listeners map[int]func(workspace.Progress)
	next      int
	last      workspace.Progress
}

// join takes part in the acquisition of an image, which work begins if nobody else has.
func (a *acquisitions) join(ctx context.Context, image string, progress func(workspace.Progress), work func(context.Context, func(workspace.Progress)) error) error {
	for {
		shared, leave := a.enter(image, progress, work)
		select {
		case <-shared.done:
			leave()
			if shared.err != nil && ctx.Err() == nil && workspace.CodeOf(shared.err) == workspace.CodeInternal && isCancelled(shared.err) {
				continue // it was called off at the moment in which we joined
			}
			return shared.err
		case <-ctx.Done():
			leave()
			return ctx.Err()
		}
	}
}

func (a *acquisitions) enter(image string, progress func(workspace.Progress), work func(context.Context, func(workspace.Progress)) error) (*acquisition, func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	shared, there := a.running[image]
	if !there {
		// It belongs to all who want the image, so no single request's context may end it.
		ctx, cancel := context.WithCancel(context.Background())
		shared = &acquisition{cancel: cancel, done: make(chan struct{}), listeners: map[int]func(workspace.Progress){}}
		a.running[image] = shared
		go func() {
			shared.err = work(ctx, shared.report)
			a.mu.Lock()
			if a.running[image] == shared {
				delete(a.running, image)
			}
			a.mu.Unlock()
			cancel()
			close(shared.done)
		}()
	}
	mine := shared.listen(progress)
	return shared, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if shared.unlisten(mine) == 0 {
			shared.cancel()
			if a.running[image] == shared {
				delete(a.running, image) // who comes now begins anew
			}
		}
	}
}

func (a *acquisition) report(progress workspace.Progress) {
	a.mu.Lock()
	a.last = progress
	listeners := make([]func(workspace.Progress), 0, len(a.listeners))
	for _, listener := range a.listeners {
		listeners = append(listeners, listener)
	}
	a.mu.Unlock()
	for _, listener := range listeners {
		listener(progress)
	}
}

func (a *acquisition) listen(progress func(workspace.Progress)) int {
	a.mu.Lock()
	a.next++
	mine, last := a.next, a.last
	a.listeners[mine] = progress
	a.mu.Unlock()
	if last.Detail != "" {
		progress(last)
	}
	return mine
}

// unlisten returns how many still listen.
func (a *acquisition) unlisten(mine int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.listeners, mine)
	return len(a.listeners)
}

// acquire has the image here: nothing to do, a build of one that comes with the program, or a pull, as far as the policy
// lets it. One that is here serves also where its registry does not give a newer one.
func (e *Engine) acquire(ctx context.Context, image string, policy workspace.PullPolicy, progress func(workspace.Progress)) error {
	_, err := e.client.ImageInspect(ctx, image)
	if err != nil && !errdefs.IsNotFound(err) {
		return e.translate(err, "look for the image "+image)
	}
	here := err == nil
	build, buildable := e.builds[image]
	switch {
	case here && (policy != workspace.PullAlways || buildable || isPinned(image)):
		return nil
	case here:
		return e.renew(ctx, image, progress)
	case policy == workspace.PullNever && !buildable:
		return &workspace.Error{
			Code:    workspace.CodeImageMissing,
			Message: "The image " + image + " is not here, and pulling images is switched off.",
			Hint:    "Have an administrator load or pull it on this machine, or choose an image that is here.",
		}
	}
	return e.acquisitions.join(ctx, image, progress, func(ctx context.Context, report func(workspace.Progress)) error {
		if buildable {
			return e.build(ctx, image, build, policy, false, report)
		}
		return e.pull(ctx, image, report)
	})
}

// renew pulls an image that is here already, and goes on with that one unless its registry gives another.
func (e *Engine) renew(ctx context.Context, image string, progress func(workspace.Progress)) error {
	progress(workspace.Progress{Detail: "asking the registry for a newer image"})
	err := e.acquisitions.join(ctx, image, progress, func(ctx context.Context, report func(workspace.Progress)) error {
		return e.pullPatiently(ctx, image, report)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, workspace.CodeOf(err) == workspace.CodeUnavailable:
		return err
	}
	e.log.Warn("going on with the image that is here", "image", image, "error", err)
	progress(workspace.Progress{Detail: "the registry gives no newer image: going on with the one that is here"})
	return nil
}

// Build builds an image that comes with the program, even if it is here. anew takes nothing from the layers of earlier
// builds, so that what it installs is as new as it gets.
func (e *Engine) Build(ctx context.Context, image string, anew bool, progress func(workspace.Progress)) error {
	build, buildable := e.builds[image]
	if !buildable {
		return workspace.Errorf(workspace.CodeNotFound, "The image %s does not come with the program.", image)
	}
	return e.acquisitions.join(ctx, image, progress, func(ctx context.Context, report func(workspace.Progress)) error {
		return e.build(ctx, image, build, workspace.PullMissing, anew, report)
	})
}

// tail keeps the newest lines of a log, for people who want to see what goes on.
type tail struct{ lines []string }

const tailLines = 20

func (t *tail) add(line string) {
	if len(line) > 500 {
		line = strings.ToValidUTF8(line[:500], "")
	}
	t.lines = append(slices.Clone(t.lines[max(0, len(t.lines)-tailLines+1):]), line)
}

func megabytes(n int64) string { return thousands(n / 1e6) }

// thousands groups digits: 1,180.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
