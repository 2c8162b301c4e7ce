package docker

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"lab-workspace-manager/backend/workspace"
)

const (
	// meterBytes is more than the kernel says in any file of a meter: 5 kB are the most that was seen.
	meterBytes = 32 << 10
	// largestStats bounds Docker's own answer.
	largestStats = 1 << 20
	// meterMemory bounds how many containers' meters are remembered.
	meterMemory = 10_000
)

// meters remembers how each container is measured, so that Docker is not asked every second where it is.
type meters struct {
	mu    sync.Mutex
	known map[string]meter // by handle; one without files is measured by Docker itself
}

func (m *meters) find(handle string) (meter, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, there := m.known[handle]
	return found, there
}

func (m *meters) remember(handle string, found meter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= meterMemory {
		clear(m.known)
	}
	m.known[handle] = found
}

func (m *meters) forget(handle string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, handle)
}

// Stats says what running containers use now. It reads the files of the kernel where it can: that costs 12 µs for each
// container (measured), and goes on while Docker is away. A container that is asked for the first time is looked at once.
// CodeUnavailable when one has to be looked at and Docker does not answer.
func (e *Engine) Stats(ctx context.Context, handles []string) ([]workspace.Stats, error) {
	found := make([]workspace.Stats, len(handles))
	var strange []int
	buffer := make([]byte, meterBytes)
	for i, handle := range handles {
		known, there := e.meters.find(handle)
		if !there || known == (meter{}) {
			strange = append(strange, i)
			continue
		}
		if cpu, memory, err := known.read(buffer); err == nil {
			found[i] = workspace.Stats{Handle: handle, CPUSeconds: cpu, MemoryBytes: memory, At: time.Now()}
			continue
		}
		e.meters.forget(handle)
		strange = append(strange, i)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelLooks)
	for _, i := range strange {
		group.Go(func() (err error) {
			found[i], err = e.statsOf(groupCtx, handles[i])
			if workspace.CodeOf(err) == workspace.CodeUnavailable || ctx.Err() != nil {
				return err
			}
			return nil // it is gone, or cannot be looked at
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var stats []workspace.Stats
	for _, one := range found {
		if one.Handle != "" {
			stats = append(stats, one)
		}
	}
	return stats, nil
}

// statsOf measures a container whose meter is not known, or is Docker itself. One that does not run has no stats.
func (e *Engine) statsOf(ctx context.Context, handle string) (workspace.Stats, error) {
	if _, there := e.meters.find(handle); there {
		return e.statsByDocker(ctx, handle)
	}
	found, err := e.client.ContainerInspect(ctx, handle)
	if err != nil {
		return workspace.Stats{}, e.translate(err, "look at the container")
	}
	if found.ContainerJSONBase == nil || found.State == nil || !found.State.Running || found.Config == nil || found.Config.Labels[labelInstance] != e.instance {
		return workspace.Stats{}, nil
	}
	var mine meter
	if !e.remote {
		mine, err = findMeter(procFolder, found.State.Pid, found.ID)
	}
	if err == nil && mine != (meter{}) {
		cpu, memory, err := mine.read(make([]byte, meterBytes))
		if err == nil {
			e.meters.remember(handle, mine)
			return workspace.Stats{Handle: handle, CPUSeconds: cpu, MemoryBytes: memory, At: time.Now()}, nil
		}
	}
	e.meters.remember(handle, meter{})
	return e.statsByDocker(ctx, handle)
}

// statsByDocker takes Docker's own numbers.
func (e *Engine) statsByDocker(ctx context.Context, handle string) (workspace.Stats, error) {
	answer, err := e.client.ContainerStatsOneShot(ctx, handle)
	if err != nil {
		e.meters.forget(handle)
		return workspace.Stats{}, e.translate(err, "measure the container")
	}
	defer func() { _ = answer.Body.Close() }()
	var said container.StatsResponse
	if err := json.NewDecoder(io.LimitReader(answer.Body, largestStats)).Decode(&said); err != nil {
		return workspace.Stats{}, e.translate(err, "measure the container")
	}
	return readStats(handle, said, time.Now()), nil
}

// readStats reads Docker's numbers; nothing of a container that has ended, for which Docker tells zeros.
func readStats(handle string, said container.StatsResponse, now time.Time) workspace.Stats {
	if said.CPUStats.CPUUsage.TotalUsage == 0 {
		return workspace.Stats{}
	}
	cached, there := said.MemoryStats.Stats["total_inactive_file"] // cgroup v1
	if !there {
		cached = said.MemoryStats.Stats["inactive_file"]
	}
	memory := said.MemoryStats.Usage
	memory -= min(cached, memory)
	return workspace.Stats{
		Handle: handle, CPUSeconds: float64(said.CPUStats.CPUUsage.TotalUsage) / 1e9, MemoryBytes: int64(min(memory, 1<<62)), At: now,
	}
}
