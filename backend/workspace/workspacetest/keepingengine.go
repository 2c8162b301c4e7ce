package workspacetest

import (
	"context"
	"fmt"
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
}

// KeepingNamespace is the first part of the ids of what a KeepingEngine keeps.
const KeepingNamespace = "keeps"

var _ workspace.Engine = (*KeepingEngine)(nil)

// NewKeepingEngine makes one that keeps nothing yet.
func NewKeepingEngine() *KeepingEngine {
	return &KeepingEngine{FakeEngine: NewFakeEngine(), kept: map[workspace.ID]workspace.Deployment{}, made: map[workspace.ID]time.Time{}, lost: map[workspace.ID]bool{}, left: map[workspace.ID]workspace.Removal{}}
}

// Capabilities says that it keeps, and stops what is idle.
func (k *KeepingEngine) Capabilities() workspace.Capabilities {
	return workspace.Capabilities{Keeps: true, Idles: true}
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
		return do(workspace.StepCreate, workspace.StepStart)
	case workspace.StepRemoveStorage, workspace.StepRelease:
		if k.Fault != nil {
			if err := k.Fault(ctx, step); err != nil {
				return nil, err
			}
		}
		k.mu.Lock()
		delete(k.kept, d.ID)
		delete(k.left, d.ID)
		k.mu.Unlock()
		return do(workspace.StepRemove)
	}
	return k.FakeEngine.Execute(ctx, step, progress)
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
		ID: d.ID, Owner: d.Owner, Volume: d.Volume, CreatedAt: k.made[d.ID], Observed: k.observed(d.ID), Removal: k.left[d.ID],
		Spec: workspace.Spec{
			DisplayName: d.DisplayName, Image: d.Image, Profile: d.Profile, Port: d.Port, Storage: d.Storage,
			Compute:     workspace.Compute{CPUs: d.Compute.CPUs, MemoryMB: d.Compute.MemoryMB},
			IdleTimeout: d.IdleTimeout, ClearVolumeOnStop: d.ClearOnStop,
		},
	}
	if k.lost[d.ID] {
		kept.Observed = nil
	}
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
		snapshot.Volumes = append(snapshot.Volumes, workspace.Volume{Name: d.Volume, Owner: d.Owner, UID: d.UID, DisplayName: d.DisplayName, SizeMB: d.Storage.VolumeMB, UsedBy: d.ID})
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
	delete(k.kept, id)
	k.mu.Unlock()
	k.RemoveByHand(id)
	k.tellOf(id)
}

// tellOf has those who watch look at a workspace.
func (k *KeepingEngine) tellOf(id workspace.ID) {
	k.FakeEngine.mu.Lock()
	defer k.FakeEngine.mu.Unlock()
	k.tell(workspace.Change{Kind: workspace.ChangeKept, ID: id, At: time.Now()})
}
