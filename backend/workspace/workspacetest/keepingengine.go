package workspacetest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// KeepingEngine is a fake engine that keeps what should be by itself, as ML Lab does: images, measurements and logs are
// those of the FakeEngine in it, which holds the containers. It is safe for concurrent use.
type KeepingEngine struct {
	*FakeEngine

	mu   sync.Mutex
	kept map[workspace.ID]workspace.Deployment
	made map[workspace.ID]time.Time
	lost map[workspace.ID]bool // containers that it does not see
	left map[workspace.ID]workspace.Removal

	memories map[workspace.ID]workspace.Memory
	told     int // how often it was told one
}

// KeepingNamespace is the first part of the ids of what a KeepingEngine keeps.
const KeepingNamespace = "keeps"

var (
	_ workspace.Engine     = (*KeepingEngine)(nil)
	_ workspace.Rememberer = (*KeepingEngine)(nil)
)

// NewKeepingEngine makes one that keeps nothing yet.
func NewKeepingEngine() *KeepingEngine {
	return &KeepingEngine{
		FakeEngine: NewFakeEngine(), kept: map[workspace.ID]workspace.Deployment{}, made: map[workspace.ID]time.Time{}, lost: map[workspace.ID]bool{},
		left: map[workspace.ID]workspace.Removal{}, memories: map[workspace.ID]workspace.Memory{},
	}
}

// Capabilities says that it keeps, files of deleted workspaces too, and stops what is idle.
func (k *KeepingEngine) Capabilities() workspace.Capabilities {
	return workspace.Capabilities{Keeps: true, Idles: true, Volumes: true}
}

// Host describes it.
func (k *KeepingEngine) Host(ctx context.Context) (workspace.Host, error) {
	host, err := k.FakeEngine.Host(ctx)
	host.CPUs, host.MemoryMB, host.Namespace = 0, 0, KeepingNamespace
	return host, err
}

// Execute carries out a step in memory.
func (k *KeepingEngine) Execute(ctx context.Context, step workspace.Step, progress func(workspace.Progress)) (*workspace.Observed, error) {
	d := step.Deployment
	do := func(kinds ...workspace.StepKind) (observed *workspace.Observed, err error) {
		for _, kind := range kinds {
			if observed, err = k.FakeEngine.Execute(ctx, workspace.Step{Kind: kind, Deployment: d}, progress); err != nil {
				return nil, err
			}
		}
		return observed, nil
	}
	k.mu.Lock()
	before, there := k.kept[d.ID]
	k.mu.Unlock()
	runs := k.State(d.ID) == workspace.ContainerRunning
	switch step.Kind {
	case workspace.StepImage:
		return nil, nil
	case workspace.StepStorage:
		if k.Fault != nil {
			if err := k.Fault(ctx, step); err != nil {
				return nil, err
			}
		}
		if !there {
			if err := k.mayHave(d); err != nil {
				return nil, err
			}
		}
		k.keep(d)
		if there && runs && before.Fingerprint != d.Fingerprint {
			return do(workspace.StepRemove, workspace.StepCreate, workspace.StepStart)
		}
		return k.observed(d.ID), nil
	case workspace.StepCreate:
		if runs && before.Attempt != d.Attempt {
			k.keep(d)
			return do(workspace.StepRemove, workspace.StepCreate, workspace.StepStart)
		}
		k.keep(d)
		if _, here := k.images[d.Image]; !here { // the image is got by the start
			return &workspace.Observed{ID: d.ID, Owner: d.Owner, UID: d.UID, Attempt: d.Attempt, Fingerprint: d.Fingerprint, Handle: "none yet", State: workspace.ContainerCreated}, nil
		}
	case workspace.StepStart:
		if !there {
			return nil, workspace.Errorf(workspace.CodeNotFound, "Nothing is kept of %s.", d.ID)
		}
		observed, err := do(workspace.StepCreate, workspace.StepStart)
		if err == nil {
			k.setVolume(d.Volume, &workspace.Volume{Name: d.Volume, Owner: d.Owner, UID: d.UID, DisplayName: d.DisplayName, SizeMB: d.Storage.VolumeMB, CreatedAt: time.Now()})
		}
		return observed, err
	case workspace.StepRemoveStorage, workspace.StepRelease:
		if k.Fault != nil {
			if err := k.Fault(ctx, step); err != nil {
				return nil, err
			}
		}
		if there {
			k.drop(before, step.Kind == workspace.StepRemoveStorage)
		}
		k.mu.Lock()
		delete(k.left, d.ID)
		if step.Kind == workspace.StepRelease { // else it may be written down again
			delete(k.memories, d.ID)
		}
		k.mu.Unlock()
		return do(workspace.StepRemove)
	}
	return k.FakeEngine.Execute(ctx, step, progress)
}

// mayHave refuses files for a new workspace that are those of a deleted one, or that are not there.
func (k *KeepingEngine) mayHave(d workspace.Deployment) error {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	switch _, there := k.volumes[d.Volume]; {
	case there && !d.VolumeAdopted:
		return workspace.Errorf(workspace.CodeConflict, "There is a volume %s with files of something else.", d.Volume)
	case !there && d.VolumeAdopted:
		return workspace.Errorf(workspace.CodeNotFound, "There is no volume %s.", d.Volume)
	}
	return nil
}

// setVolume has a volume there, or none of that name.
func (k *KeepingEngine) setVolume(name string, volume *workspace.Volume) {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	if volume == nil {
		delete(k.volumes, name)
		return
	}
	k.volumes[name] = *volume
}

// drop forgets what should be of a workspace; its files stay, or go.
func (k *KeepingEngine) drop(d workspace.Deployment, files bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	delete(k.kept, d.ID)
	if files {
		delete(k.volumes, d.Volume)
	} else if volume, there := k.volumes[d.Volume]; there {
		volume.KeptSince = time.Now()
		k.volumes[d.Volume] = volume
	}
}

// Remember keeps a memory.
func (k *KeepingEngine) Remember(_ workspace.Owner, id workspace.ID, memory workspace.Memory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told++
	k.memories[id] = memory
	if memory == (workspace.Memory{}) {
		delete(k.memories, id)
	}
}

// Remembered returns what it was told to remember, by workspace, and how often it was told something.
func (k *KeepingEngine) Remembered() (memories map[workspace.ID]workspace.Memory, told int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.memories), k.told
}

// RemoveVolume removes the files of a deleted workspace.
func (k *KeepingEngine) RemoveVolume(ctx context.Context, volume string) error {
	k.mu.Lock()
	for _, d := range k.kept {
		if d.Volume == volume {
			k.mu.Unlock()
			return workspace.Errorf(workspace.CodeConflict, "The volume %s is in use.", volume)
		}
	}
	k.mu.Unlock()
	return k.FakeEngine.RemoveVolume(ctx, volume)
}

func (k *KeepingEngine) keep(d workspace.Deployment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.kept[d.ID]; !there {
		k.made[d.ID] = time.Now()
	}
	k.kept[d.ID] = d
}

func (k *KeepingEngine) observed(id workspace.ID) *workspace.Observed {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	if c, there := k.containers[id]; there {
		return copyOf(c)
	}
	return nil
}

// word is what it says of a workspace.
func (k *KeepingEngine) word(d workspace.Deployment) workspace.Kept {
	kept := workspace.Kept{
		ID: d.ID, Owner: d.Owner, Volume: d.Volume, CreatedAt: k.made[d.ID], Observed: k.observed(d.ID), Memory: k.memories[d.ID], Removal: k.left[d.ID],
		Spec: workspace.Spec{
			DisplayName: d.DisplayName, Image: d.Image, Profile: d.Profile, Port: d.Port, Storage: d.Storage,
			Compute:     workspace.Compute{CPUs: d.Compute.CPUs, MemoryMB: d.Compute.MemoryMB},
			IdleTimeout: d.IdleTimeout, ClearVolumeOnStop: d.ClearOnStop,
		},
	}
	if k.lost[d.ID] {
		kept.Observed = nil
	}
	k.FakeEngine.mu.Lock()
	_, kept.HasFiles = k.volumes[d.Volume]
	k.FakeEngine.mu.Unlock()
	if kept.Stopped = kept.Observed == nil || kept.Observed.State == workspace.ContainerCreated; kept.Stopped {
		kept.Reason = "It was stopped there."
	}
	return kept
}

// Snapshot lists everything.
func (k *KeepingEngine) Snapshot(ctx context.Context) (workspace.Snapshot, error) {
	snapshot, err := k.FakeEngine.Snapshot(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.kept {
		snapshot.Kept = append(snapshot.Kept, k.word(d))
		for i := range snapshot.Volumes {
			if snapshot.Volumes[i].Name == d.Volume {
				snapshot.Volumes[i].UsedBy, snapshot.Volumes[i].KeptSince = d.ID, time.Time{}
			}
		}
	}
	return snapshot, err
}

// Watch reports what others do.
func (k *KeepingEngine) Watch(ctx context.Context, connected func(), changed func(workspace.Change)) error {
	return k.FakeEngine.Watch(ctx, connected, func(change workspace.Change) {
		k.mu.Lock()
		d, there := k.kept[change.ID]
		var kept workspace.Kept
		if there {
			kept = k.word(d)
		}
		k.mu.Unlock()
		if change.Kind == workspace.ChangeVolumes {
			changed(change)
			return
		}
		if there {
			changed(workspace.Change{Kind: workspace.ChangeKept, ID: change.ID, Kept: &kept, At: change.At})
		} else if change.ID != "" {
			changed(workspace.Change{Kind: workspace.ChangeDropped, ID: change.ID, At: change.At})
		}
	})
}

// ChangeByHand lets somebody else change what is kept of a workspace, which is started anew if it runs. One that is not
// there is made, stopped.
func (k *KeepingEngine) ChangeByHand(id workspace.ID, change func(*workspace.Deployment)) {
	k.mu.Lock()
	d := k.kept[id]
	d.ID = id
	change(&d)
	k.mu.Unlock()
	k.keep(d)
	if k.State(id) == workspace.ContainerRunning {
		k.StartAnewByHand(id)
	}
	k.tellOf(id)
}

// StartAnewByHand lets somebody else start a workspace, in place of the container that it has. Nothing is said of for what
// the new one was made.
func (k *KeepingEngine) StartAnewByHand(id workspace.ID) {
	k.mu.Lock()
	d := k.kept[id]
	k.mu.Unlock()
	d.UID, d.Attempt, d.Fingerprint = "", 0, ""
	k.RemoveByHand(id)
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	if _, err := k.create(d); err != nil {
		panic(fmt.Sprintf("%s cannot be started by hand: %v", id, err))
	}
	if _, there := k.volumes[d.Volume]; !there {
		k.volumes[d.Volume] = workspace.Volume{Name: d.Volume, Owner: d.Owner, DisplayName: d.DisplayName, SizeMB: d.Storage.VolumeMB, CreatedAt: time.Now()}
	}
	_, _ = k.start(d) // it was made just now
}

// LoseSightOf makes it say that a workspace is stopped while its container goes on, until it is seen again: ML Lab does so
// whenever Docker or Kubernetes does not answer it.
func (k *KeepingEngine) LoseSightOf(id workspace.ID, lost bool) {
	k.mu.Lock()
	k.lost[id] = lost
	k.mu.Unlock()
	k.tellOf(id)
}

// LeaveRemoval makes it as it is when a removal was begun and nobody goes on with it: there is a container for that only.
func (k *KeepingEngine) LeaveRemoval(id workspace.ID, removal workspace.Removal) {
	k.mu.Lock()
	k.left[id] = removal
	k.mu.Unlock()
	k.StartAnewByHand(id)
}

// ForgetMarks makes it forget for what its containers were made, as an engine does that was started anew.
func (k *KeepingEngine) ForgetMarks() {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	for _, c := range k.containers {
		c.observed.UID, c.observed.Attempt, c.observed.Fingerprint = "", 0, ""
	}
}

// DropByHand lets somebody else delete a workspace.
func (k *KeepingEngine) DropByHand(id workspace.ID) {
	k.mu.Lock()
	d := k.kept[id]
	k.mu.Unlock()
	k.RemoveByHand(id)
	k.drop(d, false)
	k.mu.Lock()
	delete(k.memories, id)
	k.mu.Unlock()
	k.tellOf(id)
	if volume, there := k.volume(d.Volume); there {
		k.FakeEngine.mu.Lock()
		defer k.FakeEngine.mu.Unlock()
		k.tell(workspace.Change{Kind: workspace.ChangeVolumes, Volumes: []workspace.Volume{volume}, At: time.Now()})
	}
}

func (k *KeepingEngine) volume(name string) (volume workspace.Volume, there bool) {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	volume, there = k.volumes[name]
	return volume, there
}

// tellOf has those who watch look at a workspace.
func (k *KeepingEngine) tellOf(id workspace.ID) {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	k.tell(workspace.Change{Kind: workspace.ChangeKept, ID: id, At: time.Now()})
}
