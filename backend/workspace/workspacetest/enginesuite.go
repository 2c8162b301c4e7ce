package workspacetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// EngineUnderTest is an engine, the images it can be tested with, and the other hand that reaches past the manager.
type EngineUnderTest struct {
	Engine    workspace.Engine
	Namespace string
	Owner     workspace.Owner // "" = any that the suite likes
	MountPath string

	Good    string // answers
	Exits   string // exits at once with code 7
	Deaf    string // never answers
	Missing string // exists nowhere

	EndByHand    func(workspace.ID)
	RemoveByHand func(workspace.ID)
	// Other makes an engine of another instance on the same machine.
	Other func() workspace.Engine
}

// engineDeadline bounds every wait of the suite.
const engineDeadline = 60 * time.Second

// TestEngine holds an engine to the contract of workspace.Engine, but for what it says it cannot do. open makes a fresh one
// for each test and cleans up.
func TestEngine(t *testing.T, can workspace.Capabilities, open func(t *testing.T) EngineUnderTest) {
	for _, c := range []struct {
		name  string
		needs bool
		test  func(s *engineSuite, t *testing.T)
	}{
		{"BringsUpAndTakesDown", true, (*engineSuite).bringsUpAndTakesDown},
		{"TellsOfWhatItMadeAsItIs", can.Limits, (*engineSuite).tellsOfWhatItMadeAsItIs},
		{"EveryStepCanBeRepeated", true, (*engineSuite).everyStepCanBeRepeated},
		{"NeverMountsAKeptVolumeUnasked", can.Volumes, (*engineSuite).neverMountsAKeptVolumeUnasked},
		{"ReportsWhatHappens", true, (*engineSuite).reportsWhatHappens},
		{"KeepsWhatItIsTold", can.Keeps, (*engineSuite).keepsWhatItIsTold},
		{"SaysHowItEnded", !can.Keeps, (*engineSuite).saysHowItEnded}, // others may start it again and again
		{"ErrorsHaveCodes", true, (*engineSuite).errorsHaveCodes},
		{"KnowsItsImages", can.Pulls, (*engineSuite).knowsItsImages},
		{"MeasuresPlaces", can.Measures, (*engineSuite).measuresPlaces},
		{"TellsWhatIsUsed", can.Stats, (*engineSuite).tellsWhatIsUsed},
		{"AStepCanBeCalledOff", true, (*engineSuite).aStepCanBeCalledOff},
		{"ManyAtOnce", true, (*engineSuite).manyAtOnce},
		{"InstancesDoNotSeeEachOther", !can.Keeps, (*engineSuite).instancesDoNotSeeEachOther},
	} {
		if !c.needs {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := &engineSuite{EngineUnderTest: open(t)}
			s.can = s.Engine.Capabilities()
			require.Equal(t, can, s.can)
			c.test(s, t)
		})
	}
}

type engineSuite struct {
	EngineUnderTest
	can workspace.Capabilities
}

func (s *engineSuite) deployment(n int, image string) workspace.Deployment {
	owner := cmp.Or(s.Owner, "ada0")
	id := workspace.ID(fmt.Sprintf("%s-p-%s-s-ws-suite%d", s.Namespace, owner, n))
	return workspace.Deployment{
		ID: id, UID: fmt.Sprintf("uid-%d", n), Owner: owner, DisplayName: fmt.Sprintf("suite %d – ü", n), Attempt: 1, Fingerprint: "f1",
		Image: image, Compute: workspace.Compute{CPUs: 0.5, MemoryMB: 300, ShmMB: 100, Processes: 500},
		Storage: workspace.Storage{VolumeMB: 400, ContainerMB: 500},
		Volume:  fmt.Sprintf("%s-%s-vol", owner, id), MountPath: s.MountPath,
		Env:       map[string]string{"WORKSPACE_BASE_URL": fmt.Sprintf("/projects/%s/services/%s/access/8080b", owner, id)},
		SecretEnv: []string{"AUTHENTICATE_VIA_JUPYTER"}, Port: 8080,
		AccessPath: fmt.Sprintf("/projects/%s/services/%s/access/8080b", owner, id), KeepsPath: true, HealthPath: "/api",
		StopGrace: 2 * time.Second,
	}
}

func (s *engineSuite) do(t *testing.T, kind workspace.StepKind, d workspace.Deployment) *workspace.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), engineDeadline)
	defer cancel()
	observed, err := s.Engine.Execute(ctx, workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
	require.NoError(t, err, "step %s", kind)
	return observed
}

func (s *engineSuite) try(t *testing.T, kind workspace.StepKind, d workspace.Deployment) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), engineDeadline)
	defer cancel()
	_, err := s.Engine.Execute(ctx, workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
	return err
}

func (s *engineSuite) bringUp(t *testing.T, d workspace.Deployment) *workspace.Observed {
	t.Helper()
	var observed *workspace.Observed
	for _, kind := range []workspace.StepKind{workspace.StepImage, workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		observed = s.do(t, kind, d)
	}
	return observed
}

func (s *engineSuite) takeDown(t *testing.T, d workspace.Deployment) {
	t.Helper()
	s.do(t, workspace.StepStop, d)
	s.do(t, workspace.StepRemove, d)
}

// find looks for a workspace in a snapshot.
func (s *engineSuite) find(t *testing.T, id workspace.ID) *workspace.Observed {
	t.Helper()
	snapshot, err := s.Engine.Snapshot(t.Context())
	require.NoError(t, err)
	for _, observed := range snapshot.Workspaces {
		if observed.ID == id {
			return &observed
		}
	}
	return nil
}

func (s *engineSuite) bringsUpAndTakesDown(t *testing.T) {
	host, err := s.Engine.Host(t.Context())
	require.NoError(t, err)
	if s.can.Keeps {
		require.Equal(t, s.Namespace, host.Namespace)
	} else {
		require.Positive(t, host.CPUs)
		require.Positive(t, host.MemoryMB)
	}
	require.True(t, host.Enforces.Tried, "there are images to try with")

	d := s.deployment(1, s.Good)
	observed := s.bringUp(t, d)
	require.Equal(t, workspace.ContainerRunning, observed.State)
	require.NotEmpty(t, observed.Endpoint)
	if s.can.Locks {
		require.NotEmpty(t, observed.Secret)
	}
	if s.can.Resizes {
		require.Equal(t, d.Compute, observed.Compute)
	}
	s.do(t, workspace.StepAnswers, d)

	seen := s.find(t, d.ID)
	require.NotNil(t, seen)
	require.Equal(t, observed.Handle, seen.Handle)
	require.Equal(t, observed.Secret, seen.Secret)
	require.Equal(t, d.DisplayName, seen.DisplayName)
	heldTo := int64(0)
	if host.Enforces.ContainerSize {
		heldTo = d.Storage.ContainerMB
	}
	require.Equal(t, heldTo, seen.ContainerMB, "only what is held is claimed")
	require.Equal(t, d.Volume, seen.Volume)
	require.Equal(t, []any{d.UID, d.Attempt, d.Fingerprint, d.Owner, d.Image}, []any{seen.UID, seen.Attempt, seen.Fingerprint, seen.Owner, seen.Image})

	if s.can.Resizes {
		d.Compute.CPUs, d.Compute.MemoryMB = 0.25, 400
		resized := s.do(t, workspace.StepResize, d)
		require.Equal(t, int64(400), resized.Compute.MemoryMB)
		require.InDelta(t, 0.25, resized.Compute.CPUs, 1e-9)
		require.Equal(t, observed.Handle, resized.Handle, "limits change without a new container")
		require.True(t, observed.StartedAt.Equal(resized.StartedAt))
	}

	var log bytes.Buffer
	require.NoError(t, s.Engine.Logs(t.Context(), d.ID, 100, false, &log))
	require.NotEmpty(t, log.String())

	ended := s.do(t, workspace.StepStop, d)
	require.Equal(t, workspace.ContainerExited, ended.State)
	require.False(t, ended.FinishedAt.IsZero())
	s.do(t, workspace.StepRemove, d)
	require.Nil(t, s.find(t, d.ID))
	snapshot, err := s.Engine.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Volumes, 1, "files outlive their container")
	kept := snapshot.Volumes[0]
	require.Equal(t, []any{d.DisplayName, int64(400), host.Enforces.VolumeSize}, []any{kept.DisplayName, kept.SizeMB, kept.Enforced})
	s.do(t, workspace.StepRemoveStorage, d)
	snapshot, err = s.Engine.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, snapshot.Volumes)
}

// What a container holds is known from the moment it is made: GPUs that nobody seems to hold are given to others.
func (s *engineSuite) tellsOfWhatItMadeAsItIs(t *testing.T) {
	d := s.deployment(1, s.Good)
	d.Compute.GPUs = 2
	d.GPUs = []workspace.GPU{{ID: "GPU-b", Driver: workspace.GPUNvidia}, {ID: "GPU-a", Driver: workspace.GPUNvidia}}
	s.do(t, workspace.StepImage, d)
	s.do(t, workspace.StepStorage, d)
	made := s.do(t, workspace.StepCreate, d)
	require.Equal(t, "GPU-a,GPU-b", made.Devices)
	seen := s.find(t, d.ID)
	require.NotNil(t, seen)
	require.Equal(t, []any{seen.State, seen.Handle, seen.Devices, seen.Compute, seen.ContainerMB, seen.Secret},
		[]any{made.State, made.Handle, made.Devices, made.Compute, made.ContainerMB, made.Secret})
	s.do(t, workspace.StepRemove, d)
	s.do(t, workspace.StepRemoveStorage, d)
}

func (s *engineSuite) everyStepCanBeRepeated(t *testing.T) {
	d := s.deployment(2, s.Good)
	var first *workspace.Observed
	for _, kind := range []workspace.StepKind{
		workspace.StepImage, workspace.StepStorage, workspace.StepCreate, workspace.StepStart, workspace.StepAnswers, workspace.StepResize, workspace.StepResume,
	} {
		once, twice := s.do(t, kind, d), s.do(t, kind, d)
		if once != nil {
			require.Equal(t, once.Handle, twice.Handle, "step %s", kind)
			require.Equal(t, once.Secret, twice.Secret, "step %s", kind)
			first = once
		}
	}
	t.Log("a container of an earlier attempt makes way")
	d.Attempt = 2
	replaced := s.do(t, workspace.StepCreate, d)
	require.NotEqual(t, first.Handle, replaced.Handle)
	require.Equal(t, int64(2), replaced.Attempt)
	for _, kind := range []workspace.StepKind{workspace.StepStop, workspace.StepRemove, workspace.StepRemoveStorage, workspace.StepRelease} {
		s.do(t, kind, d)
		s.do(t, kind, d)
	}
	t.Log("what was given back is had again")
	d.Attempt = 3
	s.bringUp(t, d)
	s.do(t, workspace.StepAnswers, d)
}

func (s *engineSuite) neverMountsAKeptVolumeUnasked(t *testing.T) {
	kept := func() []workspace.Volume {
		t.Helper()
		snapshot, err := s.Engine.Snapshot(t.Context())
		require.NoError(t, err)
		return snapshot.Volumes
	}
	first := s.deployment(3, s.Good)
	s.bringUp(t, first)
	s.takeDown(t, first)
	s.do(t, workspace.StepRelease, first)
	require.Len(t, kept(), 1, "files outlive their workspace")
	require.Equal(t, []any{first.Volume, first.Owner, first.DisplayName, first.Storage.VolumeMB, workspace.ID("")},
		[]any{kept()[0].Name, kept()[0].Owner, kept()[0].DisplayName, kept()[0].SizeMB, kept()[0].UsedBy})
	require.False(t, kept()[0].CreatedAt.IsZero())
	later := first
	later.UID, later.DisplayName = "uid-later", "later"
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(s.try(t, workspace.StepStorage, later)))
	s.do(t, workspace.StepRemoveStorage, later)
	require.Len(t, kept(), 1, "what was left alone is not removed either")
	later.VolumeAdopted = true
	s.do(t, workspace.StepStorage, later)
	missing := s.deployment(33, s.Good)
	missing.VolumeAdopted = true
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(s.try(t, workspace.StepStorage, missing)))

	if !s.can.Keeps {
		t.Log("nor is a volume made anew that had files")
		missing.VolumeAdopted, missing.HasFiles = false, true
		require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(s.try(t, workspace.StepStorage, missing)))
	}

	t.Log("a volume in use cannot be removed")
	s.bringUp(t, later)
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(s.Engine.RemoveVolume(t.Context(), first.Volume)))
	s.takeDown(t, later)
	s.do(t, workspace.StepRelease, later)
	if s.can.Measures {
		usage, err := s.measure(t, first.Volume)
		require.NoError(t, err)
		require.False(t, usage.MeasuredAt.IsZero())
	}
	require.Len(t, kept(), 1)
	require.NoError(t, s.Engine.RemoveVolume(t.Context(), first.Volume))
	require.Empty(t, kept())
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(s.Engine.RemoveVolume(t.Context(), first.Volume)))
}

func (s *engineSuite) measure(t *testing.T, volume string) (workspace.Usage, error) {
	t.Helper()
	measured, err := s.Engine.Measure(t.Context(), []workspace.Place{{Volume: volume}}, workspace.Measuring{Helpers: []string{s.Missing, s.Good}})
	require.NoError(t, err)
	require.Len(t, measured, 1)
	return measured[0].Usage, measured[0].Err
}

func (s *engineSuite) measuresPlaces(t *testing.T) {
	d := s.deployment(13, s.Good)
	observed := s.bringUp(t, d)
	places := []workspace.Place{{Volume: "no-such-vol"}, {Volume: d.Volume}, {Container: observed.Handle}, {Container: "no-such-container"}}
	for _, gentle := range []bool{false, true} {
		measured, err := s.Engine.Measure(t.Context(), places, workspace.Measuring{Helpers: []string{s.Good}, Gentle: gentle})
		require.NoError(t, err, "what is wrong with one place is no error of all")
		require.Len(t, measured, len(places))
		for _, missing := range []int{0, 3} {
			require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(measured[missing].Err), "place %d", missing)
			require.Zero(t, measured[missing].Usage.Bytes)
		}
		for _, there := range []int{1, 2} {
			require.NoError(t, measured[there].Err, "place %d", there)
			require.False(t, measured[there].Usage.MeasuredAt.IsZero())
		}
	}
	measured, err := s.Engine.Measure(t.Context(), nil, workspace.Measuring{})
	require.NoError(t, err)
	require.Empty(t, measured)
	calledOff, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Engine.Measure(calledOff, places, workspace.Measuring{})
	require.ErrorIs(t, err, context.Canceled)
	s.takeDown(t, d)
	s.do(t, workspace.StepRemoveStorage, d)
}

func (s *engineSuite) tellsWhatIsUsed(t *testing.T) {
	d := s.deployment(14, s.Good)
	observed := s.bringUp(t, d)
	use := func() []workspace.Stats {
		t.Helper()
		stats, err := s.Engine.Stats(t.Context(), []string{"no-such-container", observed.Handle})
		require.NoError(t, err)
		return stats
	}
	stats := use()
	require.Len(t, stats, 1, "what cannot be looked at is left out")
	require.Equal(t, observed.Handle, stats[0].Handle)
	require.False(t, stats[0].At.IsZero())
	s.do(t, workspace.StepStop, d)
	require.Empty(t, use(), "what has ended uses nothing")
	stats, err := s.Engine.Stats(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, stats)
	s.do(t, workspace.StepRemove, d)
	require.Empty(t, use())
	s.do(t, workspace.StepRemoveStorage, d)
}

// watch collects changes until the test ends.
func (s *engineSuite) watch(t *testing.T) *changes {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	connected, ended := make(chan struct{}), make(chan struct{})
	collected := &changes{}
	go func() {
		defer close(ended)
		_ = s.Engine.Watch(ctx, func() { close(connected) }, collected.add)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-connected:
	case <-time.After(engineDeadline):
		t.Fatal("never connected")
	}
	return collected
}

type changes struct {
	mu   sync.Mutex
	list []workspace.Change
}

func (c *changes) add(change workspace.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, change)
}

func (c *changes) has(match func(workspace.Change) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, change := range c.list {
		if match(change) {
			return true
		}
	}
	return false
}

func (s *engineSuite) reportsWhatHappens(t *testing.T) {
	seen := s.watch(t)
	d := s.deployment(4, s.Good)
	s.bringUp(t, d)
	eventually := func(match func(workspace.Change) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return seen.has(match) }, engineDeadline, 10*time.Millisecond)
	}
	inState := func(state workspace.ContainerState) func(workspace.Change) bool {
		return func(c workspace.Change) bool {
			observed := c.Observed
			if c.Kind == workspace.ChangeKept {
				observed = c.Kept.Observed
			}
			return c.ID == d.ID && observed != nil && observed.State == state
		}
	}
	gone := func(c workspace.Change) bool { return c.Kind == workspace.ChangeGone && c.ID == d.ID }
	if s.can.Keeps { // what a step of ours does, it answers itself
		gone = func(c workspace.Change) bool { return c.Kind == workspace.ChangeKept && c.ID == d.ID && c.Kept.Stopped }
	} else {
		eventually(inState(workspace.ContainerRunning))
		eventually(func(c workspace.Change) bool { return c.Kind == workspace.ChangeVolumes })
	}
	s.EndByHand(d.ID)
	eventually(inState(workspace.ContainerExited))
	s.RemoveByHand(d.ID)
	eventually(gone)
	s.do(t, workspace.StepRemoveStorage, d)
}

// keepsWhatItIsTold is about engines that keep what should be.
func (s *engineSuite) keepsWhatItIsTold(t *testing.T) {
	d := s.deployment(30, s.Good)
	d.DisplayName, d.IdleTimeout, d.ClearOnStop = "suite 30 – ü", 90*time.Minute, true
	kept := func() *workspace.Kept {
		t.Helper()
		snapshot, err := s.Engine.Snapshot(t.Context())
		require.NoError(t, err)
		for _, kept := range snapshot.Kept {
			if kept.ID == d.ID {
				return &kept
			}
		}
		return nil
	}
	require.Nil(t, kept())
	s.do(t, workspace.StepStorage, d)
	told := kept()
	require.NotNil(t, told)
	require.True(t, told.Stopped, "it is written down, and does not run")
	require.Nil(t, told.Observed)
	require.False(t, told.CreatedAt.IsZero())
	require.Equal(t, []any{d.Owner, d.DisplayName, d.Image, d.Volume}, []any{told.Owner, told.Spec.DisplayName, told.Spec.Image, told.Volume})
	require.Equal(t, []any{d.Compute.CPUs, d.Compute.MemoryMB, d.Storage, d.IdleTimeout, true},
		[]any{told.Spec.Compute.CPUs, told.Spec.Compute.MemoryMB, told.Spec.Storage, told.Spec.IdleTimeout, told.Spec.ClearVolumeOnStop})

	t.Log("what does not run changes without running")
	d.Compute.MemoryMB, d.IdleTimeout, d.ClearOnStop = 400, 0, false
	require.Nil(t, s.do(t, workspace.StepStorage, d))
	require.Equal(t, []any{int64(400), time.Duration(0), false}, []any{kept().Spec.Compute.MemoryMB, kept().Spec.IdleTimeout, kept().Spec.ClearVolumeOnStop})

	t.Log("what runs is started anew where it is")
	first := s.do(t, workspace.StepCreate, d)
	require.Equal(t, workspace.ContainerCreated, first.State)
	first = s.do(t, workspace.StepStart, d)
	require.False(t, kept().Stopped)
	d.Compute.MemoryMB, d.Fingerprint = 500, "f2"
	second := s.do(t, workspace.StepStorage, d)
	require.NotNil(t, second)
	require.NotEqual(t, first.Handle, second.Handle)
	require.Equal(t, []any{workspace.ContainerRunning, "f2"}, []any{second.State, second.Fingerprint})
	require.Equal(t, int64(500), kept().Spec.Compute.MemoryMB)
	again := s.do(t, workspace.StepStorage, d)
	require.Equal(t, second.Handle, again.Handle, "what is told twice changes nothing")

	t.Log("without its files it can be deleted as it runs")
	s.do(t, workspace.StepRelease, d)
	require.Nil(t, kept())
	require.Nil(t, s.find(t, d.ID))

	t.Log("what was deleted with its files begins without them")
	d.VolumeAdopted = true // they were left a moment ago
	s.do(t, workspace.StepStorage, d)
	gone := d
	gone.Deleted = true
	s.do(t, workspace.StepRemoveStorage, gone)
	require.Nil(t, kept())
	s.do(t, workspace.StepRelease, d)
}

func (s *engineSuite) saysHowItEnded(t *testing.T) {
	d := s.deployment(5, s.Exits)
	s.bringUp(t, d)
	require.Eventually(t, func() bool {
		observed := s.find(t, d.ID)
		return observed.State == workspace.ContainerExited && observed.ExitCode == fakeExitCode && observed.KilledBy == ""
	}, engineDeadline, 10*time.Millisecond)
	require.Equal(t, workspace.CodeWrongState, workspace.CodeOf(s.try(t, workspace.StepAnswers, d)))
	s.takeDown(t, d)

	by := s.deployment(6, s.Good)
	s.bringUp(t, by)
	s.EndByHand(by.ID)
	require.Eventually(t, func() bool {
		observed := s.find(t, by.ID)
		return observed.State == workspace.ContainerExited && observed.KilledBy != ""
	}, engineDeadline, 10*time.Millisecond, "a request of somebody else is remembered, even if nobody watched")
	s.takeDown(t, by)
	s.do(t, workspace.StepRemoveStorage, d)
	s.do(t, workspace.StepRemoveStorage, by)
}

func (s *engineSuite) errorsHaveCodes(t *testing.T) {
	d := s.deployment(7, s.Missing)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(s.try(t, workspace.StepStart, d)))
	if !s.can.Pulls {
		s.do(t, workspace.StepStorage, d)
		s.do(t, workspace.StepCreate, d)
		require.Error(t, s.try(t, workspace.StepStart, d))
		s.do(t, workspace.StepRemove, d)
		s.do(t, workspace.StepRelease, d)
		return
	}
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(s.try(t, workspace.StepImage, d)))
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(s.try(t, workspace.StepCreate, d)))
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(s.Engine.Logs(t.Context(), d.ID, 1, false, &bytes.Buffer{})))
}

func (s *engineSuite) knowsItsImages(t *testing.T) {
	states, err := s.Engine.Images(t.Context(), []string{s.Good, s.Missing})
	require.NoError(t, err)
	require.True(t, states[0].Here)
	require.Equal(t, workspace.ImageState{Image: s.Missing}, states[1])
	facts, err := s.Engine.InspectImage(t.Context(), s.Good)
	require.NoError(t, err)
	require.NotEmpty(t, facts.ID)
	require.Equal(t, []any{facts.ID, facts.Digests, facts.SizeBytes}, []any{states[0].ID, states[0].Digests, states[0].SizeBytes})
	_, err = s.Engine.InspectImage(t.Context(), s.Missing)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))

	d := s.deployment(10, s.Good)
	s.bringUp(t, d)
	require.Equal(t, facts.ID, s.find(t, d.ID).ImageID, "a container tells what its image's name stood for")
	s.takeDown(t, d)
	s.do(t, workspace.StepRemoveStorage, d)

	never := s.deployment(11, s.Missing)
	never.Pull = workspace.PullNever
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(s.try(t, workspace.StepImage, never)))
	for _, policy := range []workspace.PullPolicy{workspace.PullNever, workspace.PullMissing} {
		here := s.deployment(12, s.Good)
		here.Pull = policy
		s.do(t, workspace.StepImage, here)
	}
}

func (s *engineSuite) aStepCanBeCalledOff(t *testing.T) {
	d := s.deployment(8, s.Deaf)
	s.bringUp(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := s.Engine.Execute(ctx, workspace.Step{Kind: workspace.StepAnswers, Deployment: d}, func(workspace.Progress) {})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.takeDown(t, d)
	s.do(t, workspace.StepRemoveStorage, d)
}

func (s *engineSuite) manyAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			d := s.deployment(20+n, s.Good)
			s.bringUp(t, d)
			s.do(t, workspace.StepAnswers, d)
			s.takeDown(t, d)
			s.do(t, workspace.StepRemoveStorage, d)
		})
	}
	wg.Wait()
	snapshot, err := s.Engine.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, snapshot.Workspaces)
	require.Empty(t, snapshot.Volumes)
}

func (s *engineSuite) instancesDoNotSeeEachOther(t *testing.T) {
	d := s.deployment(9, s.Good)
	s.bringUp(t, d)
	other := &engineSuite{EngineUnderTest: EngineUnderTest{Engine: s.Other(), Namespace: s.Namespace}}
	snapshot, err := other.Engine.Snapshot(t.Context())
	require.NoError(t, err)
	require.Empty(t, snapshot.Workspaces)
	require.Empty(t, snapshot.Volumes)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(other.Engine.RemoveVolume(t.Context(), d.Volume)))
	other.do(t, workspace.StepRemove, d) // finds nothing of its own
	require.NotNil(t, s.find(t, d.ID))
	s.takeDown(t, d)
	s.do(t, workspace.StepRemoveStorage, d)
}
