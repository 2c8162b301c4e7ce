package mllab

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// Options are what an Engine is made of. Lab is required.
type Options struct {
	Lab *contaxy.Client
	// BaseURL is the path below which the lab is reached by browsers, without a slash at the end; "" = at the root.
	BaseURL string
	Log     *slog.Logger // nil = none
	// LookEvery is the pause between two looks at what the lab keeps, of whomever: the lab is asked no more often for many
	// people than for one. 0 = two seconds.
	LookEvery time.Duration
}

// Engine runs workspaces in one lab.
type Engine struct {
	lab       *contaxy.Client
	base      string
	log       *slog.Logger
	lookEvery time.Duration
	tokens    *contaxy.Owners
	reads     *rate.Limiter // of the looks that reads have the lab asked for, of whomever

	mu       sync.Mutex
	owners   map[workspace.Owner]*owner
	services map[workspace.ID]*held
	names    map[workspace.ID]string    // from which the lab makes an id, as far as they were ever seen
	sighted  map[workspace.ID]sighting  // likewise, with which container
	busy     map[workspace.ID]int       // steps under way, whose end says more than a look meanwhile
	changed  map[workspace.ID]time.Time // when a step of ours last ended, for as long as a look can be older
	flights  map[workspace.ID]*flight
	rewrites map[workspace.ID]contaxy.Definition // services that were deleted to be written down again
	news     []workspace.Change                  // not yet told
	watching bool
	begun    chan struct{} // closed by the first watch
	made     time.Time
	rung     chan struct{} // there is news, or somebody has come
	telling  *telling      // renewed whenever all news has been told
}

// telling is the telling of news. Who wants to know that it was told waits for done.
type telling struct {
	done chan struct{}
	all  bool // else nobody watches any more; written before done is closed
}

var _ workspace.Engine = (*Engine)(nil)

// owner is a person whose workspaces are known.
type owner struct {
	cameAt   time.Time // when somebody was here last
	lookedAt time.Time // when the lab was last asked; zero = never with success
	failures int       // looks in a row of which nothing came
	pauses   time.Time // when they are worth another
	known    bool      // the manager has been told of what there was when somebody came
	looking  *look
	others   map[workspace.ID]bool // services of theirs that are no workspaces

	volumes   map[workspace.ID]keptVolume
	memories  map[workspace.ID]memory
	rewrites  map[workspace.ID]*rewrite // that an engine before this one has left
	documents documents
}

// look is one look at an owner's services. Who wants one waits for the one that is under way.
type look struct {
	done chan struct{}
	err  error
}

// held is what is known of a service.
type held struct {
	owner    workspace.Owner
	service  contaxy.Service     // as the lab last told of it
	observed *workspace.Observed // as told to the manager; nil = no container
	mark     mark
	created  *workspace.Observed // what stands for a container that is about to be started
	log      []byte              // the last lines of a container that a stop has taken away
	cleared  bool                // the lab has cleared its volume when it stopped it
	renamed  string              // what its container is called now, by which the lab's pages do not find it; "" = as it should be
	disputed bool                // somebody else's project has one of its id; said once
	files    bool                // it has a volume, as far as is known
}

// mark remembers for what a container was made, which the lab does not.
type mark struct {
	handle      string
	uid         string
	attempt     int64
	fingerprint string
}

func markOf(handle string, d workspace.Deployment) mark {
	return mark{handle: handle, uid: d.UID, attempt: d.Attempt, fingerprint: d.Fingerprint}
}

const (
	defaultLookEvery = 2 * time.Second
	// settlesWithin is how long after its own start the lab's first answer is waited for.
	settlesWithin = 2 * time.Second
	// lookTimeout bounds one look, and visitTimeout how long a visitor waits for the first one.
	lookTimeout = 20 * time.Second
	// presentFor is how long after somebody was here their workspaces are looked at by and by.
	presentFor = 2 * time.Minute
)

// New makes an Engine. It asks nobody yet.
func New(options Options) *Engine {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.LookEvery == 0 {
		options.LookEvery = defaultLookEvery
	}
	return &Engine{
		lab: options.Lab, base: options.BaseURL, log: options.Log, lookEvery: options.LookEvery,
		tokens: contaxy.NewOwners(options.Lab), owners: map[workspace.Owner]*owner{}, services: map[workspace.ID]*held{}, names: map[workspace.ID]string{}, sighted: map[workspace.ID]sighting{},
		busy: map[workspace.ID]int{}, changed: map[workspace.ID]time.Time{},
		flights: map[workspace.ID]*flight{}, rewrites: map[workspace.ID]contaxy.Definition{},
		rung: make(chan struct{}, 1), telling: &telling{done: make(chan struct{})},
		reads: rate.NewLimiter(rate.Every(extraEvery), extraLooks), begun: make(chan struct{}), made: time.Now(),
	}
}

// Close writes what is still to be written, if that is done in a moment, and lets go of the connections to the lab.
func (e *Engine) Close() error {
	e.writeAll()
	e.lab.Close()
	return nil
}

// Capabilities says what a lab can do.
func (e *Engine) Capabilities() workspace.Capabilities {
	return workspace.Capabilities{Keeps: true, Idles: true, Volumes: true}
}

// Host describes the lab. It says nothing of its machines, so ours stands for them where a number is needed: on Docker
// that is the same one.
func (e *Engine) Host(ctx context.Context) (workspace.Host, error) {
	info, err := e.lab.Info(ctx)
	if err != nil {
		return workspace.Host{}, err
	}
	return workspace.Host{
		Engine: "mllab", Version: info.Version, Endpoint: e.lab.Endpoint(), OS: runtime.GOOS, Namespace: info.Namespace,
		Enforces: workspace.Enforcement{Tried: true},
		Notes: []string{
			"Workspaces run in ML Lab. Of its machines the lab tells nothing, so what they have bounds nothing here.",
			"Quotas of groups and of the host count the workspaces of everybody who has been here since the start of this program.",
		},
	}, nil
}

// Visit says that somebody is here who may see what an owner has, and by which token; mayChange that they may change it, too.
// The first time it waits until the lab has told of the owner's workspaces and the manager knows them. CodeUnauthenticated when the lab does not take the token,
// CodeUnavailable when it does not answer.
func (e *Engine) Visit(ctx context.Context, who workspace.Owner, token string, mayChange bool) error {
	e.mu.Lock()
	o := e.owners[who]
	if o == nil {
		o = &owner{}
		e.owners[who] = o
	}
	away := time.Since(o.cameAt) > presentFor
	o.cameAt = time.Now()
	e.tokens.Came(who, token, mayChange)
	known := o.known
	e.mu.Unlock()
	if known && !away {
		return nil
	}
	if !e.isWatched(ctx, known) {
		if known {
			return nil // what was known before the lab went away is better than nothing
		}
		return &workspace.Error{Code: workspace.CodeUnavailable, Message: "ML Lab does not answer at " + e.lab.Endpoint() + ".", Hint: "Workspaces go on; this page does too, as soon as the lab is back."}
	}
	err := e.lookAt(ctx, who)
	if err == nil {
		err = e.waitUntilTold(ctx)
	}
	if known {
		return nil
	}
	if err == nil {
		e.mu.Lock()
		o.known = true
		e.mu.Unlock()
	}
	return err
}

// isWatched reports whether the lab is watched. Who comes right after this program's own start, before the lab has answered for
// the first time, waits for a moment, unless something is known that can be shown.
func (e *Engine) isWatched(ctx context.Context, known bool) bool {
	e.mu.Lock()
	watching := e.watching
	e.mu.Unlock()
	if rest := settlesWithin - time.Since(e.made); !watching && !known && rest > 0 {
		select {
		case <-e.begun:
			watching = true
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
	return watching
}

const (
	// freshWithin bounds how long an answer waits for a look of its own: what is known without one is at most some looks old.
	freshWithin = 3 * time.Second
	// One look in so much time for all who only read, and so many at once after a pause: who asks again and again is
	// told what is known, and many who ask cost the lab no more than one (measured before: 2,383 looks a minute for 50 people, 89
	// for one).
	extraEvery = 700 * time.Millisecond
	extraLooks = 3
)

// Fresh brings what the manager knows of an owner up to now: others change workspaces in the lab, and who did that and then
// asks here has to see it. must is for who changes something or names what is not known here; without it the lab is not asked
// more than a few times a second, as what is known is asked for again and again. A look that began before says nothing of what was done since, so
// it is followed by another. A lab that does not tell in time leaves what was known. Somebody must have come for the owner
// (Visit).
func (e *Engine) Fresh(ctx context.Context, who workspace.Owner, must bool) {
	ctx, cancel := context.WithTimeout(ctx, freshWithin)
	defer cancel()
	e.mu.Lock()
	o := e.owners[who]
	under, needless := o.looking, !e.watching || (!must && !e.reads.Allow())
	e.mu.Unlock()
	if needless {
		return
	}
	if under != nil {
		select {
		case <-under.done:
		case <-ctx.Done():
			return
		}
	}
	err := e.lookAt(ctx, who)
	if err == nil {
		err = e.waitUntilTold(ctx)
	}
	if err != nil {
		e.log.DebugContext(ctx, "the lab does not tell of somebody's workspaces now, so what was known is shown", "owner", who, "cause", workspace.MessageOf(err))
	}
}

// IsOther reports whether the lab has told of a service of this id among an owner's that is no workspace.
func (e *Engine) IsOther(who workspace.Owner, id workspace.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.owners[who]
	return o != nil && o.others[id]
}

// OwnerOf is whose a workspace is that is known here; "" for others.
func (e *Engine) OwnerOf(id workspace.ID) workspace.Owner {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[id]; h != nil {
		return h.owner
	}
	return ""
}

// Knows reports whether there are workspaces of an owner.
func (e *Engine) Knows(who workspace.Owner) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.services {
		if h.owner == who {
			return true
		}
	}
	return false
}

// lookAt asks the lab for an owner's services, unless somebody does so already.
func (e *Engine) lookAt(ctx context.Context, who workspace.Owner) error {
	e.mu.Lock()
	o := e.owners[who]
	under := o.looking
	if under == nil {
		under = &look{done: make(chan struct{})}
		o.looking = under
		go func() {
			under.err = e.lookNow(who)
			e.mu.Lock()
			o.looking = nil
			e.mu.Unlock()
			close(under.done)
		}()
	}
	e.mu.Unlock()
	select {
	case <-under.done:
		return under.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) lookNow(who workspace.Owner) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	began := time.Now()
	reading := e.startReading(ctx, who)
	var services []contaxy.Service
	err := e.tokens.As(who, func(token string) (err error) {
		services, err = e.lab.Services(ctx, token, string(who))
		return err
	})
	renamed := map[string]string{}
	if err == nil {
		renamed, err = e.renamedOf(ctx, who, services)
	}
	if ctx.Err() != nil {
		err = workspace.Errorf(workspace.CodeUnavailable, "ML Lab does not answer in time at %s.", e.lab.Endpoint())
	}
	read := <-reading
	e.mu.Lock()
	o := e.owners[who]
	e.takeDocuments(who, read)
	if err != nil {
		defer e.mu.Unlock()
		o.pauses = time.Now().Add(pauseAfter(o.failures, e.lookEvery))
		o.failures++
		return err
	}
	o.lookedAt, o.failures, o.pauses = began, 0, time.Time{}
	leftovers := e.take(who, services, renamed, began)
	e.tellOfVolumes(who, began)
	lost := e.lostOf(who, time.Now())
	e.mu.Unlock()
	for _, id := range lost {
		e.bringBack(ctx, who, id)
	}
	for _, name := range leftovers {
		err := e.tokens.As(who, func(token string) error { return e.lab.Delete(ctx, token, string(who), name, false) })
		e.log.Info("the lab still listed a workspace by a name that its container has no more", "name", name, "owner", who, "forgotten", err == nil)
	}
	return nil
}

// longestPause bounds how long somebody's workspaces are not looked at after the lab could not tell of them.
const longestPause = time.Minute

// pauseAfter is how long nobody looks after a look of which nothing came. failures counts those before in a row, and first is
// the pause after the first.
func pauseAfter(failures int, first time.Duration) time.Duration {
	pause := first
	for range failures {
		if pause *= 2; pause >= longestPause {
			return longestPause
		}
	}
	return pause
}

func byID(services []contaxy.Service) map[string]contaxy.Service {
	all := make(map[string]contaxy.Service, len(services))
	for _, service := range services {
		all[service.ID] = service
	}
	return all
}

// renamedOf finds the services whose containers have another name now, and these names. Asked for one service the lab goes by
// the labels of containers, so it says which it is.
func (e *Engine) renamedOf(ctx context.Context, who workspace.Owner, services []contaxy.Service) (map[string]string, error) {
	all := byID(services)
	names := otherNames(all)
	for id, name := range names {
		var asked contaxy.Service
		err := e.tokens.As(who, func(token string) (err error) {
			asked, err = e.lab.Service(ctx, token, string(who), id)
			return err
		})
		if err != nil && workspace.CodeOf(err) != workspace.CodeNotFound {
			return nil, err
		}
		if asked.InternalID != all[name].InternalID {
			delete(names, id)
		}
	}
	return names, nil
}

// take compares what the lab tells of an owner's services, and of the other names of their containers, with what is known. It
// returns those that only stand for a name that a container had. The caller holds the lock.
func (e *Engine) take(who workspace.Owner, services []contaxy.Service, renamed map[string]string, began time.Time) (leftovers []string) {
	there, others, all := map[workspace.ID]bool{}, map[workspace.ID]bool{}, byID(services)
	e.owners[who].others = others
	for _, service := range runningFirst(services) {
		id := workspace.ID(service.ID)
		if isWorkspace(service) && isOtherName(service, all) {
			isName := renamed[service.Metadata[metaID]] == service.ID
			if !isName && !isUsed(service) && service.Status == contaxy.StatusStopped {
				leftovers = append(leftovers, service.ID)
			}
			if isName || !isUsed(service) {
				continue
			}
		}
		if !isWorkspace(service) || !id.Valid() {
			others[id] = true
			continue
		}
		there[id] = true
		if !e.isNewer(id, began) {
			continue
		}
		h, known := e.services[id]
		if !known {
			h = &held{owner: who}
			e.services[id] = h
		}
		if h.owner != who { // what is done to it would be done to that of somebody else
			if !h.disputed {
				e.log.Warn("the lab tells of the same workspace in two projects", "id", id, "owner", h.owner, "ignored", who)
			}
			h.disputed = true
			continue
		}
		if name := renamed[service.ID]; name != h.renamed {
			if name != "" {
				e.log.Warn("the container of a workspace was renamed, so that the lab does not find it", "id", id, "name", name)
			}
			h.renamed, known = name, false
		}
		e.note(id, h, service, !known, began)
	}
	for id, h := range e.services {
		if h.owner == who && !there[id] && e.isNewer(id, began) {
			delete(e.services, id)
			e.dropMemory(who, id)
			e.tell(workspace.Change{Kind: workspace.ChangeDropped, ID: id, At: began})
			if e.keepVolume(id, h) { // unless whoever deleted it has deleted them, too, which nobody tells
				e.tell(workspace.Change{Kind: workspace.ChangeVolumes, Volumes: []workspace.Volume{e.owners[who].volumes[id].volume(who, id)}, At: began})
			}
		}
	}
	return leftovers
}

// runningFirst sorts services so that those which hold something come first: else the manager would let a start go ahead that
// waits for them.
func runningFirst(services []contaxy.Service) []contaxy.Service {
	return slices.SortedStableFunc(slices.Values(services), func(a, b contaxy.Service) int {
		return boolean(a.Status == contaxy.StatusStopped) - boolean(b.Status == contaxy.StatusStopped)
	})
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isNewer reports whether a look that began then says more of a service than our own steps. The caller holds the lock.
func (e *Engine) isNewer(id workspace.ID, began time.Time) bool {
	return e.busy[id] == 0 && e.flights[id] == nil && began.After(e.changed[id])
}

// note takes up what the lab says of a service, and tells it if it is news. The caller holds the lock.
func (e *Engine) note(id workspace.ID, h *held, service contaxy.Service, isNew bool, at time.Time) {
	before, was := h.service, h.observed
	h.service = service
	e.inUse(id, h, isNew)
	// A container that is about to be started is there for the manager before it is for the lab.
	if service.Status == contaxy.StatusStopped && was != nil && was.State == workspace.ContainerCreated {
		return
	}
	h.observed = e.observe(id, h)
	if isNew || !sameService(before, service) || !sameObserved(was, h.observed) {
		kept := e.keptOf(h)
		e.tell(workspace.Change{Kind: workspace.ChangeKept, ID: id, Kept: &kept, At: at})
	}
}

// keptOf is what the manager is told of a service. The caller holds the lock.
func (e *Engine) keptOf(h *held) workspace.Kept {
	kept := keptOf(h.owner, h.service)
	kept.Observed, kept.HasFiles, kept.Memory = h.observed, h.files, e.memoryOf(kept.ID, h)
	if kept.Stopped && !h.service.LastAccess.IsZero() {
		if timeout := kept.Spec.IdleTimeout; timeout > 0 && time.Since(h.service.LastAccess.Time) >= timeout {
			kept.Code = workspace.ReasonIdle
			kept.Reason = fmt.Sprintf("ML Lab has stopped it: nobody had used it for %s, its idle timeout.", timeout.Round(time.Second))
		}
	}
	if kept.Stopped && h.renamed != "" {
		kept.Code = workspace.ReasonRemoved
		kept.Reason = fmt.Sprintf("Its container runs on under another name, %s, which somebody has given it with Docker: ML Lab does not find it there. "+
			"`docker rename %s %s` brings it back; a start replaces it by a new one.", h.renamed, h.renamed, kept.ID)
	}
	if kept.Stopped && kept.Reason == "" {
		kept.Reason = "It was stopped in ML Lab, or its container was removed there."
		if made := h.service.Metadata[metaID]; made != "" && made != h.service.ID {
			kept.Code = workspace.ReasonRemoved
			kept.Reason = fmt.Sprintf("ML Lab has taken it for a workspace of its own when somebody renamed the container of %s. It has files of its own, if any; delete it if nobody needs it.", kept.Spec.DisplayName)
		}
	}
	return kept
}

// observe says what is of a service as the manager sees it; nil while it has no container. The caller holds the lock.
func (e *Engine) observe(id workspace.ID, h *held) *workspace.Observed {
	service := h.service
	if service.Status == contaxy.StatusStopped {
		return nil
	}
	observed := &workspace.Observed{
		ID: id, Owner: h.owner, Image: keptOf(h.owner, service).Spec.Image, Volume: volumeOf(h.owner, id), Profile: service.Metadata[metaProfile],
		DisplayName: keptOf(h.owner, service).Spec.DisplayName, Handle: service.InternalID, StartedAt: service.StartedAt.Time, FinishedAt: service.StoppedAt.Time,
	}
	if observed.Handle == "" {
		observed.Handle = string(id)
	}
	observed.State, observed.ExitCode = stateOf(service.Status)
	if observed.State == workspace.ContainerRunning {
		observed.Endpoint, observed.FinishedAt = "lab", time.Time{}
		if observed.StartedAt.IsZero() {
			observed.StartedAt = service.UpdatedAt.Time
		}
		observed.Settles = e.settles(id, observed.StartedAt)
	}
	if h.mark.handle == observed.Handle {
		observed.UID, observed.Attempt, observed.Fingerprint = h.mark.uid, h.mark.attempt, h.mark.fingerprint
	}
	return observed
}

func sameService(a, b contaxy.Service) bool {
	return a.Status == b.Status && a.InternalID == b.InternalID && a.ContainerImage == b.ContainerImage && a.DisplayName == b.DisplayName &&
		slices.Equal(a.Endpoints, b.Endpoints) && maps.Equal(a.Metadata, b.Metadata) &&
		valueOf(a.Compute.MaxCPUs) == valueOf(b.Compute.MaxCPUs) && valueOf(a.Compute.MaxMemory) == valueOf(b.Compute.MaxMemory) &&
		valueOf(a.IdleTimeout) == valueOf(b.IdleTimeout) && a.ClearVolumeOnStop == b.ClearVolumeOnStop
}

func sameObserved(a, b *workspace.Observed) bool {
	return a == b || (a != nil && b != nil && *a == *b)
}

// Snapshot tells what is known. It asks nobody: of whom nothing is known, nobody has come for.
func (e *Engine) Snapshot(context.Context) (workspace.Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var snapshot workspace.Snapshot
	for id, h := range e.services {
		kept := e.keptOf(h)
		snapshot.Kept = append(snapshot.Kept, kept)
		if h.observed != nil {
			snapshot.Workspaces = append(snapshot.Workspaces, *h.observed)
		}
		if h.files {
			snapshot.Volumes = append(snapshot.Volumes, workspace.Volume{
				Name: kept.Volume, Owner: h.owner, UID: h.mark.uid, DisplayName: kept.Spec.DisplayName, SizeMB: kept.Spec.Storage.VolumeMB,
				CreatedAt: kept.CreatedAt, UsedBy: id,
			})
		}
	}
	for who, o := range e.owners {
		snapshot.Volumes = append(snapshot.Volumes, e.volumesOf(who, o)...)
	}
	return snapshot, nil
}
