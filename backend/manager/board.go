package manager

import (
	"slices"
	"sync"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// EventKind says what an Event is about.
type EventKind string

// The kinds of event.
const (
	EventWorkspace EventKind = "workspace"         // Workspace is new or changed
	EventRemoved   EventKind = "workspace_removed" // the workspace ID of Owner is gone
	EventVolumes   EventKind = "volumes"           // kept volumes of Owner changed: ask for the list
	EventHost      EventKind = "host"              // the engine came, went or changed: ask for it
	EventUse       EventKind = "use"               // Use is what the workspaces of Owner use now
	EventHeld      EventKind = "held"              // what workspaces of Owner take of the machine changed: ask for quotas
	EventConfig    EventKind = "config"            // other settings are in force, or could not be: ask for limits and quotas
)

// Event is one change, published once to all surfaces.
type Event struct {
	Seq       uint64
	Kind      EventKind
	Owner     workspace.Owner // "" for EventHost
	ID        workspace.ID
	Reason    string               // of EventRemoved: why, where nobody here has asked for it; else ""
	Workspace *workspace.Workspace // immutable
	Use       []Use                // immutable
}

// subscriberBuffer is how far a subscriber may fall behind before it is dropped. Who is dropped subscribes again and
// starts from the present state, so nothing is lost.
const subscriberBuffer = 1024

// board holds what is published: every workspace as surfaces show it, and who wants to hear of changes. It has a lock of
// its own that is only held for moments, so that reads wait neither for the disk nor for an engine.
type board struct {
	mu          sync.RWMutex
	seq         uint64
	version     uint64
	byID        map[workspace.ID]*workspace.Workspace
	routes      map[workspace.ID]Route
	byOwner     map[workspace.Owner][]*workspace.Workspace // sorted by creation
	subscribers map[chan Event]struct{}
	watched     bell // rings when the first subscriber comes
}

func newBoard() *board {
	return &board{
		byID:        map[workspace.ID]*workspace.Workspace{},
		routes:      map[workspace.ID]Route{},
		byOwner:     map[workspace.Owner][]*workspace.Workspace{},
		subscribers: map[chan Event]struct{}{},
		watched:     newBell(),
	}
}

// put shows a workspace with the route to it, and tells subscribers. It gives the view its version; the view must not be
// written afterwards.
func (b *board) put(view *workspace.Workspace, route Route) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	view.Version = b.version
	owner, id := view.Record.Owner, view.Record.ID
	list := b.byOwner[owner]
	if old, there := b.byID[id]; there {
		from, _ := slices.BinarySearchFunc(list, old.Record.CreatedAt, func(w *workspace.Workspace, at time.Time) int {
			return w.Record.CreatedAt.Compare(at)
		})
		list[from+slices.Index(list[from:], old)] = view
	} else {
		at, _ := slices.BinarySearchFunc(list, view, func(a, b *workspace.Workspace) int {
			if c := a.Record.CreatedAt.Compare(b.Record.CreatedAt); c != 0 {
				return c
			}
			return -1 // equal times keep their order of arrival
		})
		b.byOwner[owner] = slices.Insert(list, at, view)
	}
	b.byID[id], b.routes[id] = view, route
	b.tell(Event{Kind: EventWorkspace, Owner: owner, ID: id, Workspace: view})
}

func (b *board) remove(owner workspace.Owner, id workspace.ID, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.byID, id)
	delete(b.routes, id)
	b.byOwner[owner] = slices.DeleteFunc(b.byOwner[owner], func(w *workspace.Workspace) bool { return w.Record.ID == id })
	if len(b.byOwner[owner]) == 0 {
		delete(b.byOwner, owner)
	}
	b.tell(Event{Kind: EventRemoved, Owner: owner, ID: id, Reason: why})
}

func (b *board) announce(kind EventKind, owner workspace.Owner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(Event{Kind: kind, Owner: owner})
}

func (b *board) announceUse(owner workspace.Owner, use []Use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(Event{Kind: EventUse, Owner: owner, Use: use})
}

// isWatched reports whether anybody subscribes.
func (b *board) isWatched() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.subscribers) > 0
}

// tell hands an event to every subscriber, in order, and never waits for one. The caller holds the lock.
func (b *board) tell(event Event) {
	b.seq++
	event.Seq = b.seq
	for ch := range b.subscribers {
		select {
		case ch <- event:
		default:
			delete(b.subscribers, ch)
			close(ch)
		}
	}
}

// list returns the owner's workspaces, sorted by creation.
func (b *board) list(owner workspace.Owner) []*workspace.Workspace {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Clone(b.byOwner[owner])
}

func (b *board) get(id workspace.ID) (*workspace.Workspace, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	view, there := b.byID[id]
	return view, there
}

func (b *board) route(id workspace.ID) (Route, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	route, there := b.routes[id]
	return route, there
}

// subscribe returns a channel of everything that is published from now on. The channel is closed when the subscriber
// fell too far behind or unsubscribed.
func (b *board) subscribe() (events <-chan Event, unsubscribe func()) {
	ch := make(chan Event, subscriberBuffer)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.subscribers) == 0 {
		b.watched.ring()
	}
	b.subscribers[ch] = struct{}{}
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, there := b.subscribers[ch]; there {
			delete(b.subscribers, ch)
			close(ch)
		}
	}
}
