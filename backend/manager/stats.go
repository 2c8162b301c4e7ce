package manager

import (
	"context"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// statsEvery is how often what running workspaces use is looked at while somebody watches; nothing is while nobody does.
const statsEvery = 2 * time.Second

// Use is what a running workspace uses now.
type Use struct {
	ID          workspace.ID
	CPUs        float64 // over the last moments
	MemoryBytes int64
}

// watchStats tells who looks what running workspaces use, until ctx ends.
func (m *Manager) watchStats(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.board.watched:
		}
		m.followStats(ctx)
	}
}

// followStats looks again and again, as long as somebody watches.
func (m *Manager) followStats(ctx context.Context) {
	before := map[string]workspace.Stats{}
	ticker := time.NewTicker(statsEvery)
	defer ticker.Stop()
	defer m.uses.Store(nil) // what was seen then says nothing later
	for m.board.isWatched() {
		m.lookAtStats(ctx, before)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lookAtStats takes one look. before is what the last look found, by container.
func (m *Manager) lookAtStats(ctx context.Context, before map[string]workspace.Stats) {
	ctx, cancel := context.WithTimeout(ctx, 2*statsEvery)
	defer cancel()
	running, handles := m.runningHandles()
	var stats []workspace.Stats
	if len(handles) > 0 {
		var err error
		if stats, err = m.Options.Engine.Stats(ctx, handles); err != nil {
			return // the session finds out whether the engine is away
		}
	}
	uses := map[workspace.Owner][]Use{}
	for _, now := range stats {
		view := running[now.Handle]
		use := Use{ID: view.Record.ID, MemoryBytes: now.MemoryBytes, CPUs: -1}
		if last, known := before[now.Handle]; known && now.At.After(last.At) {
			use.CPUs = max(0, (now.CPUSeconds-last.CPUSeconds)/now.At.Sub(last.At).Seconds())
		}
		before[now.Handle] = now
		uses[view.Record.Owner] = append(uses[view.Record.Owner], use)
	}
	for handle := range before {
		if _, still := running[handle]; !still {
			delete(before, handle)
		}
	}
	if last := m.uses.Swap(&uses); last != nil {
		for owner := range *last {
			if uses[owner] == nil {
				m.board.announceUse(owner, nil) // the last one that ran has ended
			}
		}
	}
	for owner, list := range uses {
		m.board.announceUse(owner, list)
	}
}

// runningHandles lists the containers that run.
func (m *Manager) runningHandles() (map[string]*workspace.Workspace, []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	running := map[string]*workspace.Workspace{}
	var handles []string
	if !m.engine.up {
		return running, nil
	}
	for _, e := range m.entries {
		if e.observed != nil && e.observed.State == workspace.ContainerRunning {
			running[e.observed.Handle] = e.published
			handles = append(handles, e.observed.Handle)
		}
	}
	return running, handles
}

// usesOf is what an owner's workspaces used when somebody last looked.
func (m *Manager) usesOf(owner workspace.Owner) []Use {
	if uses := m.uses.Load(); uses != nil {
		return (*uses)[owner]
	}
	return nil
}
