package docker

import (
	"context"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"lab-workspace-manager/backend/workspace"
)

const (
	// heartbeatEvery is how often a quiet connection is tried, so that an engine that hangs is noticed.
	heartbeatEvery   = 10 * time.Second
	heartbeatTimeout = 10 * time.Second
	inspectTimeout   = 10 * time.Second
)

// Watch reports what happens to this instance's things until ctx ends or the connection is lost.
func (e *Engine) Watch(ctx context.Context, connected func(), changed func(workspace.Change)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// From now, as the engine remembers what happened between this moment and the arrival of the call.
	since := unixNano(time.Now())
	containers, lost := e.client.Events(ctx, events.ListOptions{
		Since: since, Filters: e.ours(filters.Arg("type", string(events.ContainerEventType))),
	})
	// Events of volumes and networks carry no labels (seen with 20.10), so they are told apart by their names.
	others, lostOthers := e.client.Events(ctx, events.ListOptions{
		Since: since,
		Filters: filters.NewArgs(
			filters.Arg("type", string(events.VolumeEventType)), filters.Arg("type", string(events.NetworkEventType)),
			filters.Arg("event", string(events.ActionCreate)), filters.Arg("event", string(events.ActionDestroy)),
		),
	})
	if _, err := e.client.Ping(ctx); err != nil {
		return e.translate(err, "answer")
	}
	e.forgetLooks() // what happened while nobody watched is not known
	connected()
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return e.unavailable(err)
		case err := <-lostOthers:
			return e.unavailable(err)
		case message := <-containers:
			if err := e.reportContainer(ctx, message, changed); err != nil {
				return err
			}
		case message := <-others:
			e.reportOther(message, changed)
		case <-heartbeat.C:
			if err := e.beat(ctx); err != nil {
				return err
			}
		}
	}
}

func (e *Engine) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	if _, err := e.client.Ping(ctx); err != nil {
		return e.unavailable(err)
	}
	return nil
}

// reportOther follows volumes and networks that come and go.
func (e *Engine) reportOther(message events.Message, changed func(workspace.Change)) {
	switch message.Type {
	case events.VolumeEventType:
		if strings.Contains(message.Actor.ID, "-"+e.namespaceNow()+"-p-") {
			changed(workspace.Change{Kind: workspace.ChangeVolumes, At: time.Unix(0, message.TimeNano)})
		}
	case events.NetworkEventType:
		if message.Action == events.ActionDestroy {
			e.forgetNetworkNamed(message.Actor.Attributes["name"])
		}
	}
}

// reportContainer turns one event of a container into a change.
func (e *Engine) reportContainer(ctx context.Context, message events.Message, changed func(workspace.Change)) error {
	at := time.Unix(0, message.TimeNano)
	handle, id := message.Actor.ID, workspace.ID(message.Actor.Attributes[labelDeployment])
	e.forgetLook(handle)
	switch message.Action {
	case events.ActionKill:
		e.rememberKill(handle, signalName(message.Actor.Attributes["signal"]), at)
	case events.ActionOOM:
		changed(workspace.Change{Kind: workspace.ChangeOOM, ID: id, Handle: handle, At: at})
	case events.ActionRename:
		changed(workspace.Change{Kind: workspace.ChangeVolumes, At: at}) // look at everything: which one is which is new
	case events.ActionDestroy:
		e.meters.forget(handle)
		changed(workspace.Change{Kind: workspace.ChangeGone, ID: id, Handle: handle, At: at})
	case events.ActionCreate, events.ActionStart, events.ActionDie, events.ActionPause, events.ActionUnPause, events.ActionUpdate:
		return e.reportState(ctx, id, handle, at, changed)
	}
	return nil
}

// reportState looks at a container after an event and reports what it sees.
func (e *Engine) reportState(ctx context.Context, id workspace.ID, handle string, at time.Time, changed func(workspace.Change)) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	observed, err := e.inspect(ctx, handle)
	switch workspace.CodeOf(err) {
	case "":
		if observed.State == workspace.ContainerDead {
			return nil // it is being removed: an event about that follows
		}
		if err := e.doubtKill(ctx, observed); err != nil {
			return err
		}
		changed(workspace.Change{Kind: workspace.ChangeObserved, ID: id, Handle: handle, Observed: &observed, At: at})
	case workspace.CodeUnavailable:
		return err
	}
	return nil // it went away meanwhile: an event about that follows
}

func (e *Engine) forgetNetworkNamed(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for owner, known := range e.networks {
		if known.name == name {
			delete(e.networks, owner)
		}
	}
}
