package docker

import (
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// BenchmarkStart compares what we need from a workspace's creation until its container runs with the two calls that
// nobody can do without, in turns, so that both see the same machine.
func BenchmarkStart(b *testing.B) {
	e := newTestEngine(b)
	e.trustHostCA = true
	_, err := e.Host(b.Context())
	require.NoError(b, err)
	d := sleeper(e, goodImage)
	keeper := sleeper(e, goodImage) // making the owner's network is no part of what is compared
	keeper.ID, keeper.Volume = keeper.ID+"-keeper", keeper.Volume+"-keeper"
	do := func(d workspace.Deployment, kinds ...workspace.StepKind) {
		for _, kind := range kinds {
			_, err := e.Execute(b.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
			require.NoError(b, err)
		}
	}
	up := []workspace.StepKind{workspace.StepImage, workspace.StepStorage, workspace.StepCreate, workspace.StepStart}
	do(keeper, up...)
	var ours, raw, bare []time.Duration
	byHand := func(twin container.InspectResponse) time.Duration {
		began := time.Now()
		made, err := e.client.ContainerCreate(b.Context(), twin.Config, twin.HostConfig, nil, nil, "")
		require.NoError(b, err)
		require.NoError(b, e.client.ContainerStart(b.Context(), made.ID, container.StartOptions{}))
		took := time.Since(began)
		require.NoError(b, e.removeByHandle(b.Context(), made.ID))
		require.NoError(b, e.client.VolumeRemove(b.Context(), d.Volume, true))
		return took
	}
	for b.Loop() {
		began := time.Now()
		do(d, up...)
		ours = append(ours, time.Since(began))
		twin, err := e.client.ContainerInspect(b.Context(), string(d.ID))
		require.NoError(b, err)
		do(d, workspace.StepRemove, workspace.StepRemoveStorage)
		twin.Config.Hostname = "raw"
		raw = append(raw, byHand(twin))
		twin.HostConfig.Mounts = slices.DeleteFunc(twin.HostConfig.Mounts, func(m mount.Mount) bool { return m.Type == mount.TypeBind })
		bare = append(bare, byHand(twin))
	}
	median := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)/2]
	}
	b.ReportMetric(float64(median(raw).Milliseconds()), "raw-ms")
	b.ReportMetric(float64(median(ours).Milliseconds()), "ours-ms")
	b.ReportMetric(float64(median(bare).Milliseconds()), "raw-without-certificates-ms")
	b.ReportMetric(float64(median(ours))/float64(median(raw)), "ratio")
}
