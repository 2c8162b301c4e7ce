package workspacetest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// FakeEngine is a workspace.Engine in memory: it keeps the contract (EngineSuite), is as fast as memory, and can be told
// to fail, to be slow, and to go away. It is safe for concurrent use.
type FakeEngine struct {
	// Fault, when set, is asked before every step; what it returns is what the step answers. It may block.
	Fault func(ctx context.Context, step workspace.Step) error
	// Endpoint is where all its containers answer; "" = an address where nobody does.
	Endpoint string
	// SettlesIn is how long after its start what leads to a container may lead elsewhere.
	SettlesIn time.Duration
	// EnforcesVolumes makes it hold volumes to the size that they are made with.
	EnforcesVolumes bool

	mu         sync.Mutex
	down       error
	startedAt  time.Time
	nextHandle int
	images     map[string]fakeImage
	containers map[workspace.ID]*fakeContainer
	volumes    map[string]workspace.Volume
	watchers   map[chan workspace.Change]struct{}
	steps      []workspace.StepKind
	usage      map[workspace.Place]int64
	stats      map[workspace.ID]workspace.Stats
	facts      map[string]workspace.ImageFacts
	remote     map[string]string
	gpus       []workspace.GPU
}

type fakeImage struct{ behaviour string }

type fakeContainer struct {
	observed workspace.Observed
	answers  bool
	log      string
}

var _ workspace.Engine = (*FakeEngine)(nil)

// Images that a fake engine has from the start, and how what is made of them behaves.
const (
	FakeGoodImage         = "good:latest"
	FakeExitingImage      = "exits:latest"    // exits at once with code 7
	FakeDoneImage         = "done:latest"     // exits at once with code 0
	FakeDeafImage         = "deaf:latest"     // never answers
	FakeMissingImage      = "missing:latest"  // exists nowhere
	FakePullableImage     = "pullable:latest" // is not here, and can be had
	behaviourGood         = "good"
	behaviourExits        = "exits"
	behaviourDone         = "done"
	behaviourDeaf         = "deaf"
	fakeHostCPUs          = 8
	fakeHostMemoryMB      = 32_000
	fakeWatchBuffer       = 4096
	fakeExitCode          = 7
	fakeStopExitCode      = 143
	fakeKilledExitCode    = 137
	fakeAnswerPollsEvery  = time.Millisecond
	fakePullSteps         = 5
	fakePullStepBytes     = 1 << 20
	fakePullStepDuration  = 2 * time.Millisecond
	fakeVolumeDefaultFile = 1
	fakeEndpoint          = "http://127.0.0.1:9" // the port for what is discarded (RFC 863)
)

// NewFakeEngine makes an engine with nothing in it but images.
func NewFakeEngine() *FakeEngine {
	return &FakeEngine{
		startedAt: time.Now(),
		images: map[string]fakeImage{
			FakeGoodImage: {behaviourGood}, FakeExitingImage: {behaviourExits}, FakeDoneImage: {behaviourDone}, FakeDeafImage: {behaviourDeaf},
		},
		containers: map[workspace.ID]*fakeContainer{},
		volumes:    map[string]workspace.Volume{},
		watchers:   map[chan workspace.Change]struct{}{},
		usage:      map[workspace.Place]int64{},
		stats:      map[workspace.ID]workspace.Stats{},
		facts:      map[string]workspace.ImageFacts{},
		remote:     map[string]string{},
	}
}

// Capabilities says that it can do everything.
func (f *FakeEngine) Capabilities() workspace.Capabilities { return workspace.AllButKeeping }

// AddImage makes an image be here whose containers answer.
func (f *FakeEngine) AddImage(image string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[image] = fakeImage{behaviourGood}
}

// RemoveImage takes an image away, as somebody does who removes its tag. What was made of it goes on.
func (f *FakeEngine) RemoveImage(image string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.images, image)
}

// GoAway makes the engine answer nothing until ComeBack; connections are lost.
func (f *FakeEngine) GoAway() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = workspace.Errorf(workspace.CodeUnavailable, "The fake engine does not answer.")
	for ch := range f.watchers {
		delete(f.watchers, ch)
		close(ch)
	}
}

// ComeBack ends GoAway. With containersEnded all running containers have ended with the engine.
func (f *FakeEngine) ComeBack(containersEnded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = nil
	if !containersEnded {
		return
	}
	for _, c := range f.containers {
		if c.observed.State == workspace.ContainerRunning {
			f.end(c, fakeKilledExitCode, "")
		}
	}
	f.startedAt = time.Now()
}

// Steps are the steps executed so far, in order.
func (f *FakeEngine) Steps() []workspace.StepKind {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.steps)
}

// EndByHand ends a container as a request of somebody else does.
func (f *FakeEngine) EndByHand(id workspace.ID, signal string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, there := f.containers[id]; there && c.observed.State == workspace.ContainerRunning {
		f.end(c, fakeStopExitCode, signal)
	}
}

// StartByHand starts the ended container of a workspace as somebody else would.
func (f *FakeEngine) StartByHand(id workspace.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, there := f.containers[id]; there && c.observed.State == workspace.ContainerExited {
		_, _ = f.start(workspace.Deployment{ID: id}) // the container is there
	}
}

// CopyByHand makes and starts a container for a workspace that has none, as a lab does that has kept the labels of an attempt.
func (f *FakeEngine) CopyByHand(like workspace.Observed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextHandle++
	like.Handle, like.Copied, like.Attempt, like.Fingerprint = fmt.Sprintf("fake-%d", f.nextHandle), true, 0, ""
	like.State, like.StartedAt, like.FinishedAt, like.KilledBy = workspace.ContainerRunning, time.Now(), time.Time{}, ""
	c := &fakeContainer{observed: like, answers: true}
	f.containers[like.ID] = c
	f.tellObserved(c)
}

// Running returns the containers that run.
func (f *FakeEngine) Running() (running []workspace.Observed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		if c.observed.State == workspace.ContainerRunning {
			running = append(running, c.observed)
		}
	}
	return running
}

// State returns the state of a workspace's container, "" when there is none.
func (f *FakeEngine) State(id workspace.ID) workspace.ContainerState {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, there := f.containers[id]; there {
		return c.observed.State
	}
	return ""
}

// RunOutOfMemory ends a container as the kernel does.
func (f *FakeEngine) RunOutOfMemory(id workspace.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, there := f.containers[id]; there && c.observed.State == workspace.ContainerRunning {
		c.observed.OOMKilled = true
		f.end(c, fakeKilledExitCode, "")
	}
}

// RemoveByHand removes a container as a request of somebody else does.
func (f *FakeEngine) RemoveByHand(id workspace.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, there := f.containers[id]; there {
		if c.observed.State == workspace.ContainerRunning {
			f.end(c, fakeKilledExitCode, "SIGKILL")
		}
		f.drop(id)
	}
}

// end ends a container. The caller holds the lock.
func (f *FakeEngine) end(c *fakeContainer, exitCode int, killedBy string) {
	c.observed.State, c.observed.ExitCode, c.observed.KilledBy = workspace.ContainerExited, exitCode, killedBy
	c.observed.FinishedAt, c.observed.Endpoint, c.answers = time.Now(), "", false
	f.tellObserved(c)
}

func (f *FakeEngine) drop(id workspace.ID) {
	c := f.containers[id]
	delete(f.containers, id)
	f.tell(workspace.Change{Kind: workspace.ChangeGone, ID: id, Handle: c.observed.Handle, At: time.Now()})
}

func (f *FakeEngine) tellObserved(c *fakeContainer) {
	observed := c.observed
	f.tell(workspace.Change{Kind: workspace.ChangeObserved, ID: observed.ID, Handle: observed.Handle, Observed: &observed, At: time.Now()})
}

func (f *FakeEngine) tell(change workspace.Change) {
	for ch := range f.watchers {
		select {
		case ch <- change:
		default: // a watcher that does not read has lost its connection
			delete(f.watchers, ch)
			close(ch)
		}
	}
}

// Host describes a machine that does not exist.
func (f *FakeEngine) Host(context.Context) (workspace.Host, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return workspace.Host{
		Engine: "fake", Version: "1", Endpoint: "memory", OS: "none", CPUs: fakeHostCPUs, MemoryMB: fakeHostMemoryMB,
		StorageDriver: "map", GPUs: f.gpus, Enforces: workspace.Enforcement{Tried: true, VolumeSize: f.EnforcesVolumes},
	}, f.down
}

// Snapshot lists everything.
func (f *FakeEngine) Snapshot(context.Context) (workspace.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	snapshot := workspace.Snapshot{EngineStartedAt: f.startedAt, Volumes: slices.Collect(maps.Values(f.volumes))}
	for _, c := range f.containers {
		snapshot.Workspaces = append(snapshot.Workspaces, c.observed)
	}
	return snapshot, f.down
}

// Watch reports what happens.
func (f *FakeEngine) Watch(ctx context.Context, connected func(), changed func(workspace.Change)) error {
	f.mu.Lock()
	if f.down != nil {
		defer f.mu.Unlock()
		return f.down
	}
	ch := make(chan workspace.Change, fakeWatchBuffer)
	f.watchers[ch] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if _, there := f.watchers[ch]; there {
			delete(f.watchers, ch)
			close(ch)
		}
	}()
	connected()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case change, open := <-ch:
			if !open {
				return workspace.Errorf(workspace.CodeUnavailable, "The fake engine hung up.")
			}
			changed(change)
		}
	}
}

// Execute carries out a step in memory.
func (f *FakeEngine) Execute(ctx context.Context, step workspace.Step, progress func(workspace.Progress)) (*workspace.Observed, error) {
	if f.Fault != nil {
		if err := f.Fault(ctx, step); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.steps = append(f.steps, step.Kind)
	down := f.down
	f.mu.Unlock()
	if down != nil {
		return nil, down
	}
	d := step.Deployment
	switch step.Kind {
	case workspace.StepImage:
		return nil, f.image(ctx, d.Image, d.Pull, progress)
	case workspace.StepAnswers:
		return nil, f.waitForAnswer(ctx, d.ID)
	case workspace.StepStorage:
		return nil, f.storage(d)
	case workspace.StepRelease:
		return nil, nil // its workspaces share nothing
	case workspace.StepRemoveStorage:
		f.mu.Lock()
		found, there := f.volumes[d.Volume]
		f.mu.Unlock()
		if there && !d.VolumeAdopted && found.UID != d.UID {
			return nil, nil // of another workspace
		}
		err := f.RemoveVolume(ctx, d.Volume)
		if workspace.CodeOf(err) == workspace.CodeNotFound {
			err = nil
		}
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch step.Kind {
	case workspace.StepCreate:
		return f.create(d)
	case workspace.StepStart:
		return f.start(d)
	case workspace.StepResize:
		return f.resize(d)
	case workspace.StepResume:
		return f.resume(d)
	case workspace.StepStop:
		return f.stop(d), nil
	case workspace.StepRemove:
		if _, there := f.containers[d.ID]; there {
			f.drop(d.ID)
		}
		return nil, nil
	}
	return nil, workspace.Errorf(workspace.CodeInternal, "The fake engine does not know the step %q.", step.Kind)
}

func (f *FakeEngine) image(ctx context.Context, image string, policy workspace.PullPolicy, progress func(workspace.Progress)) error {
	f.mu.Lock()
	_, here := f.images[image]
	f.mu.Unlock()
	switch {
	case here:
		return nil
	case policy == workspace.PullNever:
		return workspace.Errorf(workspace.CodeImageMissing, "The image %s is not here, and pulling images is switched off.", image)
	case image != FakePullableImage:
		return workspace.Errorf(workspace.CodeImageMissing, "There is no image %s, neither here nor in its registry.", image)
	}
	for step := range int64(fakePullSteps) {
		progress(workspace.Progress{Detail: fmt.Sprintf("%d of %d MB", step, fakePullSteps), Current: step * fakePullStepBytes, Total: fakePullSteps * fakePullStepBytes, Unit: "bytes"})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fakePullStepDuration):
		}
	}
	f.AddImage(image)
	return nil
}

func (f *FakeEngine) storage(d workspace.Deployment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, there := f.volumes[d.Volume]
	switch {
	case (d.VolumeAdopted || d.HasFiles) && !there:
		return workspace.Errorf(workspace.CodeNotFound, "There is no volume %s.", d.Volume)
	case there && !d.VolumeAdopted && found.UID != d.UID:
		return workspace.Errorf(workspace.CodeConflict, "There is a volume %s with files of something else.", d.Volume)
	case !there:
		f.volumes[d.Volume] = workspace.Volume{Name: d.Volume, Owner: d.Owner, UID: d.UID, DisplayName: d.DisplayName, SizeMB: d.Storage.VolumeMB, Enforced: f.EnforcesVolumes, CreatedAt: time.Now()}
		f.tell(workspace.Change{Kind: workspace.ChangeVolumes, At: time.Now()})
	}
	return nil
}

func devicesOf(d workspace.Deployment) string {
	var ids []string
	for _, gpu := range d.GPUs {
		ids = append(ids, gpu.ID)
	}
	return workspace.MakeLease(ids, time.Time{}).Devices
}

func (f *FakeEngine) create(d workspace.Deployment) (*workspace.Observed, error) {
	image, here := f.images[d.Image]
	if !here {
		return nil, workspace.Errorf(workspace.CodeImageMissing, "There is no image %s.", d.Image)
	}
	if old, there := f.containers[d.ID]; there {
		o := old.observed
		if o.UID == d.UID && o.Attempt == d.Attempt && o.Fingerprint == d.Fingerprint {
			return &o, nil
		}
		f.drop(d.ID)
	}
	f.nextHandle++
	c := &fakeContainer{
		log: "made of " + d.Image + " (" + image.behaviour + ")\n",
		observed: workspace.Observed{
			ID: d.ID, Owner: d.Owner, UID: d.UID, Attempt: d.Attempt, Fingerprint: d.Fingerprint, Profile: d.Profile, DisplayName: d.DisplayName,
			Handle: fmt.Sprintf("fake-%d", f.nextHandle), State: workspace.ContainerCreated,
			Image: d.Image, ImageID: f.factsOf(d.Image).ID, Compute: d.Compute, Volume: d.Volume, Devices: devicesOf(d), Secret: fmt.Sprintf("secret-%d", f.nextHandle),
		},
	}
	f.containers[d.ID] = c
	f.tellObserved(c)
	return copyOf(c), nil
}

func copyOf(c *fakeContainer) *workspace.Observed {
	observed := c.observed
	return &observed
}

func (f *FakeEngine) find(id workspace.ID) (*fakeContainer, error) {
	c, there := f.containers[id]
	if !there {
		return nil, workspace.Errorf(workspace.CodeNotFound, "The workspace %s has no container.", id)
	}
	return c, nil
}

func (f *FakeEngine) start(d workspace.Deployment) (*workspace.Observed, error) {
	c, err := f.find(d.ID)
	if err != nil {
		return nil, err
	}
	if c.observed.State != workspace.ContainerRunning {
		c.observed.State, c.observed.StartedAt = workspace.ContainerRunning, time.Now()
		if f.SettlesIn > 0 {
			c.observed.Settles = c.observed.StartedAt.Add(f.SettlesIn)
		}
		c.observed.FinishedAt, c.observed.ExitCode, c.observed.OOMKilled, c.observed.KilledBy = time.Time{}, 0, false, ""
		c.observed.Endpoint = cmp.Or(f.Endpoint, fakeEndpoint)
		f.tellObserved(c)
	}
	switch f.images[c.observed.Image].behaviour {
	case behaviourExits:
		f.end(c, fakeExitCode, "")
	case behaviourDone:
		f.end(c, 0, "")
	case behaviourGood:
		c.answers = true
	}
	return copyOf(c), nil
}

func (f *FakeEngine) waitForAnswer(ctx context.Context, id workspace.ID) error {
	poll := time.NewTicker(fakeAnswerPollsEvery)
	defer poll.Stop()
	for {
		f.mu.Lock()
		c, err := f.find(id)
		answers := err == nil && c.answers
		ended := err == nil && c.observed.State != workspace.ContainerRunning
		f.mu.Unlock()
		switch {
		case err != nil:
			return err
		case answers:
			return nil
		case ended:
			return workspace.Errorf(workspace.CodeWrongState, "The container ended before it answered.")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

func (f *FakeEngine) resize(d workspace.Deployment) (*workspace.Observed, error) {
	c, err := f.find(d.ID)
	if err != nil {
		return nil, err
	}
	c.observed.Compute.CPUs, c.observed.Compute.MemoryMB = d.Compute.CPUs, d.Compute.MemoryMB
	f.tellObserved(c)
	return copyOf(c), nil
}

func (f *FakeEngine) resume(d workspace.Deployment) (*workspace.Observed, error) {
	c, err := f.find(d.ID)
	if err != nil {
		return nil, err
	}
	if c.observed.State == workspace.ContainerPaused {
		c.observed.State = workspace.ContainerRunning
		f.tellObserved(c)
	}
	return copyOf(c), nil
}

func (f *FakeEngine) stop(d workspace.Deployment) *workspace.Observed {
	c, there := f.containers[d.ID]
	if !there {
		return nil
	}
	if c.observed.State == workspace.ContainerRunning || c.observed.State == workspace.ContainerPaused {
		f.end(c, fakeStopExitCode, "SIGTERM")
	}
	return copyOf(c)
}

// Logs writes the few lines that a fake container has.
func (f *FakeEngine) Logs(_ context.Context, id workspace.ID, _ int, _ bool, w io.Writer) error {
	f.mu.Lock()
	c, err := f.find(id)
	text := ""
	if err == nil {
		text = c.log
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// Images says which images are here.
func (f *FakeEngine) Images(_ context.Context, images []string) ([]workspace.ImageState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	states := make([]workspace.ImageState, len(images))
	for i, image := range images {
		_, here := f.images[image]
		states[i] = workspace.ImageState{Image: image, Here: here}
		if here {
			facts := f.factsOf(image)
			states[i].ID, states[i].Digests, states[i].SizeBytes = facts.ID, facts.Digests, facts.SizeBytes
		}
	}
	return states, f.down
}

// Measure answers with what SetUsage said of a place; others that are there have one file.
func (f *FakeEngine) Measure(ctx context.Context, places []workspace.Place, _ workspace.Measuring) ([]workspace.Measurement, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	measured := make([]workspace.Measurement, len(places))
	for i, place := range places {
		measured[i].Usage.MeasuredAt = time.Now()
		if !f.has(place) {
			measured[i].Err = workspace.Errorf(workspace.CodeNotFound, "There is no volume or container %s%s.", place.Volume, place.Container)
			continue
		}
		measured[i].Usage.Files, measured[i].Usage.Bytes = fakeVolumeDefaultFile, fakePullStepBytes
		if bytes, said := f.usage[place]; said {
			measured[i].Usage.Bytes = bytes
		}
	}
	return measured, nil
}

// has reports whether a place is there. The caller holds the lock.
func (f *FakeEngine) has(place workspace.Place) bool {
	if _, there := f.volumes[place.Volume]; there {
		return true
	}
	for _, c := range f.containers {
		if place.Container != "" && c.observed.Handle == place.Container {
			return true
		}
	}
	return false
}

// SetUsage makes a place hold so many bytes.
func (f *FakeEngine) SetUsage(place workspace.Place, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.usage[place] = bytes
}

// Stats says that every running container uses what SetStats said, else nothing.
func (f *FakeEngine) Stats(_ context.Context, handles []string) ([]workspace.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var stats []workspace.Stats
	for _, c := range f.containers {
		if c.observed.State == workspace.ContainerRunning && slices.Contains(handles, c.observed.Handle) {
			one := f.stats[c.observed.ID]
			one.Handle, one.At = c.observed.Handle, time.Now()
			stats = append(stats, one)
		}
	}
	return stats, f.down
}

// SetStats makes a workspace's container use so much.
func (f *FakeEngine) SetStats(id workspace.ID, stats workspace.Stats) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats[id] = stats
}

// InspectImage says of an image what SetFacts said.
func (f *FakeEngine) InspectImage(_ context.Context, image string) (workspace.ImageFacts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, here := f.images[image]; !here {
		return workspace.ImageFacts{}, workspace.Errorf(workspace.CodeNotFound, "The image %s is not here.", image)
	}
	return f.factsOf(image), f.down
}

// factsOf is what SetFacts said of an image; every image has an id. The caller holds the lock.
func (f *FakeEngine) factsOf(image string) workspace.ImageFacts {
	facts := f.facts[image]
	facts.ID = cmp.Or(facts.ID, "fake:"+image)
	return facts
}

// SetFacts makes an image say something of itself, once it is here.
func (f *FakeEngine) SetFacts(image string, facts workspace.ImageFacts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.facts[image] = facts
}

// RemoteDigest says that the registry has what SetRemote said.
func (f *FakeEngine) RemoteDigest(_ context.Context, image string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if digest, said := f.remote[image]; said {
		return digest, f.down
	}
	return "", workspace.Errorf(workspace.CodeImageMissing, "The registry has no image %s.", image)
}

// SetRemote makes the registry have an image.
func (f *FakeEngine) SetRemote(image, digest string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remote[image] = digest
}

// SetGPUs makes the machine have devices.
func (f *FakeEngine) SetGPUs(gpus ...workspace.GPU) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gpus = gpus
}

// RemoveVolume removes a volume that no container uses.
func (f *FakeEngine) RemoveVolume(_ context.Context, volume string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.volumes[volume]; !there {
		return workspace.Errorf(workspace.CodeNotFound, "There is no volume %s.", volume)
	}
	for _, c := range f.containers {
		if c.observed.Volume == volume {
			return workspace.Errorf(workspace.CodeConflict, "The volume %s is in use.", volume)
		}
	}
	delete(f.volumes, volume)
	f.tell(workspace.Change{Kind: workspace.ChangeVolumes, At: time.Now()})
	return nil
}

// Disconnect takes the network address of a workspace's container away, as somebody who disconnects its network does.
func (f *FakeEngine) Disconnect(id workspace.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.containers[id]
	c.observed.Endpoint = ""
	f.tellObserved(c)
}
