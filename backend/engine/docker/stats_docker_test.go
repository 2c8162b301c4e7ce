package docker

import (
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/engine/docker/dockertest"
	"lab-workspace-manager/backend/workspace"
)

func TestStats_AreTheSameFromTheKernelAndFromDocker(t *testing.T) {
	needsDocker(t)
	e := newTestEngine(t)
	d, observed := writesMuch(t, e, "busy")
	read := func() workspace.Stats {
		t.Helper()
		stats, err := e.Stats(t.Context(), []string{"no-such-container", observed.Handle})
		require.NoError(t, err)
		require.Len(t, stats, 1)
		return stats[0]
	}
	first := read()
	known, there := e.meters.find(observed.Handle)
	require.True(t, there)
	require.NotEqual(t, meter{}, known, "this daemon's cgroups can be read")
	dockertest.Run(t, "docker", "exec", string(d.ID), "python3", "-c", "import time\nwhile time.process_time() < 0.5: pass")
	second := read()
	require.Greater(t, second.CPUSeconds-first.CPUSeconds, 0.4)
	require.Positive(t, second.MemoryBytes)
	require.WithinDuration(t, time.Now(), second.At, time.Minute)

	e.meters.remember(observed.Handle, meter{})
	byDocker := read()
	require.InDelta(t, second.CPUSeconds, byDocker.CPUSeconds, 0.2)
	require.InDelta(t, second.MemoryBytes, byDocker.MemoryBytes, 2<<20)

	t.Log("one that has ended has none, and one that was started again has")
	for _, meterKnown := range []bool{true, false} {
		if meterKnown {
			e.meters.remember(observed.Handle, known)
		} else {
			e.meters.remember(observed.Handle, meter{})
		}
		_, err := e.Execute(t.Context(), workspace.Step{Kind: workspace.StepStop, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
		stats, err := e.Stats(t.Context(), []string{observed.Handle})
		require.NoError(t, err)
		require.Empty(t, stats)
		_, err = e.Execute(t.Context(), workspace.Step{Kind: workspace.StepStart, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
		require.Less(t, read().CPUSeconds, second.CPUSeconds, "since it was started")
	}
}

func TestReadStats_OfBothVersionsOfCgroups(t *testing.T) {
	var said container.StatsResponse
	require.Equal(t, workspace.Stats{}, readStats("c", said, time.Now()), "it has ended")
	now := time.Now()
	said.CPUStats.CPUUsage.TotalUsage, said.MemoryStats.Usage = 1_500_000_000, 5000
	said.MemoryStats.Stats = map[string]uint64{"inactive_file": 1200}
	require.Equal(t, workspace.Stats{Handle: "c", CPUSeconds: 1.5, MemoryBytes: 3800, At: now}, readStats("c", said, now))
	said.MemoryStats.Stats["total_inactive_file"] = 6000
	require.Zero(t, readStats("c", said, now).MemoryBytes)
}

// BenchmarkStats measures a round over 200 containers: the same few are asked again and again. At one round a second, the
// processor time of a round in seconds is the share of one processor.
func BenchmarkStats(b *testing.B) {
	e := newTestEngine(b)
	const few, many = 3, 200
	var handles []string
	for i := range few {
		d := sleeper(e, goodImage)
		d.ID += workspace.ID(rune('a' + i))
		d.Volume, d.Args = string(d.ID)+"-vol", []string{"sleep", "1000"}
		for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
			observed, err := e.Execute(b.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
			require.NoError(b, err)
			if kind == workspace.StepStart {
				handles = append(handles, observed.Handle)
			}
		}
	}
	round := make([]string, many)
	for i := range round {
		round[i] = handles[i%few]
	}
	_, err := e.Stats(b.Context(), round)
	require.NoError(b, err)
	before := processTime(b)
	for b.Loop() {
		stats, err := e.Stats(b.Context(), round)
		require.NoError(b, err)
		require.Len(b, stats, many)
	}
	perRound := (processTime(b) - before) / time.Duration(b.N)
	b.ReportMetric(float64(perRound.Microseconds())/1e6*100, "%CPU-at-1Hz")
}
