package manager

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/workspace"
)

// Options are what a Manager is made of. All but Now, NewUID and StartsAtOnce are required.
type Options struct {
	Engine    workspace.Engine
	Store     workspace.Store
	Namespace string // first part of every id
	Settings  Settings
	Log       *slog.Logger

	Now          func() time.Time
	NewUID       func() string
	StartsAtOnce int // 0 = 4
	// Activity is where the access proxy notes that people work; nil = nobody does. Ask asks workspaces whether they
	// compute; nil = none can be asked.
	Activity     *activity.Ledger
	Ask          Asker
	MeasureEvery time.Duration // how often what running workspaces write is measured; 0 = a minute
}

// Manager is the one choke point through which every surface reaches workspaces.
type Manager struct {
	Options
	can       workspace.Capabilities // of the engine
	remembers workspace.Rememberer   // the engine; nil = it does not
	board     *board
	starts    *turnstile
	settings  atomic.Pointer[settings]                  // in force
	uses      atomic.Pointer[map[workspace.Owner][]Use] // of the last look
	// shownEngine is how the engine is, for surfaces.
	shownEngine atomic.Pointer[EngineStatus]
	resync      bell      // asks the session for a new look at everything
	stirred     bell      // asks for a look at the queue
	measureNow  bell      // asks for a look at what is due to be measured
	idleSoon    bell      // asks for a look at who is idle
	imagesSoon  bell      // asks for a look at what tags stand for
	started     time.Time // of this manager

	mu       sync.Mutex
	entries  map[workspace.ID]*entry
	queued   map[workspace.ID]*entry     // those that wait within the quotas
	leased   map[workspace.ID]*entry     // those that hold GPUs
	settling bool                        // what changes now changes because they were looked at
	volumes  map[string]workspace.Volume // what the engine holds
	kept     map[string]workspace.Volume // what the store remembers of deleted workspaces' volumes
	deleting map[string]bool             // volumes that are being deleted
	images   map[string]knownImage       // by name, of what runs
	engine   engineState
	changes  uint64 // grows with every observation that is applied
	// volumeChanges grows with every volume that the manager itself made or removed: a list from before is too old.
	volumeChanges uint64
	volumesKnown  bool // the engine has listed them once since the start
	synced        bool // everything has been looked at once since the start

	running context.Context // of Run; workers live in it
	workers sync.WaitGroup
}

// engineState is what is known of the engine. The zero value is an engine nobody has reached yet.
type engineState struct {
	up        bool
	host      workspace.Host
	startedAt time.Time
	since     time.Time // of the present state
	reason    string
	hint      string
	back      chan struct{} // closed when the engine is back
}

// EngineStatus is what surfaces show of the engine.
type EngineStatus struct {
	Host      workspace.Host // as last seen
	Reachable bool
	Since     time.Time
	Reason    string
	Hint      string
}

// New makes a Manager and loads what the store knows, so that it can answer at once; Run then connects it to the engine.
func New(ctx context.Context, options Options) (*Manager, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.NewUID == nil {
		options.NewUID = newUID
	}
	if options.Activity == nil {
		options.Activity = &activity.Ledger{}
	}
	if options.MeasureEvery == 0 {
		options.MeasureEvery = measureEvery
	}
	if options.StartsAtOnce == 0 {
		options.StartsAtOnce = 4
	}
	m := &Manager{
		Options:    options,
		can:        options.Engine.Capabilities(),
		remembers:  remembererOf(options.Engine),
		board:      newBoard(),
		starts:     newTurnstile(options.StartsAtOnce),
		resync:     newBell(),
		stirred:    newBell(),
		measureNow: newBell(),
		idleSoon:   newBell(),
		imagesSoon: newBell(),
		started:    options.Now(),
		entries:    map[workspace.ID]*entry{},
		queued:     map[workspace.ID]*entry{},
		leased:     map[workspace.ID]*entry{},
		volumes:    map[string]workspace.Volume{},
		kept:       map[string]workspace.Volume{},
		deleting:   map[string]bool{},
		engine: engineState{
			since: options.Now(), back: make(chan struct{}),
			reason: "Connecting to the engine.",
		},
	}
	m.settings.Store(inForce(options.Settings))
	m.showEngine()
	records, err := options.Store.Records(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the known workspaces: %w", err)
	}
	kept, err := options.Store.KeptVolumes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the kept volumes: %w", err)
	}
	for _, volume := range kept {
		m.kept[volume.Name] = volume
	}
	entries := make([]*entry, len(records)) // which are quicker to sort than records
	for i, record := range records {
		entries[i] = &entry{record: record}
	}
	slices.SortFunc(entries, func(a, b *entry) int { return a.record.CreatedAt.Compare(b.record.CreatedAt) })
	for _, e := range entries {
		m.insert(e)
	}
	return m, nil
}

func newUID() string {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}

// Subscribe returns a channel of everything that is published from now on. It is closed when the subscriber falls too
// far behind; it then subscribes again. Who reads the present state after subscribing misses nothing.
func (m *Manager) Subscribe() (events <-chan Event, unsubscribe func()) {
	return m.board.subscribe()
}

// Capabilities tells what the engine can do.
func (m *Manager) Capabilities() workspace.Capabilities { return m.can }

// Engine tells how the engine is. Like everything that is asked often, it waits for no lock.
func (m *Manager) Engine() EngineStatus { return *m.shownEngine.Load() }

// showEngine publishes how the engine is. The caller holds the lock, or nobody else knows the manager yet.
func (m *Manager) showEngine() {
	m.shownEngine.Store(&EngineStatus{
		Host: m.engine.host, Reachable: m.engine.up, Since: m.engine.since,
		Reason: m.engine.reason, Hint: m.engine.hint,
	})
}

// Images tells which images are offered and whether they are here. It asks the engine.
func (m *Manager) Images(ctx context.Context) ([]CatalogImage, []workspace.ImageState, error) {
	catalog := m.Settings().Catalog
	refs := make([]string, len(catalog))
	for i, offered := range catalog {
		refs[i] = offered.Image
	}
	states, err := m.Options.Engine.Images(ctx, refs)
	return catalog, states, err
}
