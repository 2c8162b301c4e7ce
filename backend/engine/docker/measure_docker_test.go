package docker

import (
	"os/exec"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/engine/docker/dockertest"
	"lab-workspace-manager/backend/workspace"
)

// writesMuch starts a workspace that has written 5 MB into its volume, under two names, and 3 MB beside it.
func writesMuch(t *testing.T, e *Engine, name string) (workspace.Deployment, *workspace.Observed) {
	t.Helper()
	d := sleeper(e, goodImage)
	d.ID = workspace.ID(e.namespace + "-p-ada0-s-ws-" + name)
	d.Volume, d.Args = string(d.ID)+"-vol", []string{"sleep", "1000"}
	var observed *workspace.Observed
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		var err error
		observed, err = e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	dockertest.Run(t, "docker", "exec", string(d.ID), "sh", "-ec", `
		cd /workspace; mkdir sub; head -c 5242880 /dev/zero > sub/thesis.bin; ln sub/thesis.bin same.bin
		truncate -s 1G sparse; ln -s / out; head -c 3145728 /dev/zero > /tmp/cache; sync`)
	return d, observed
}

func TestMeasure_SaysTheSameFromHereAndFromAHelper(t *testing.T) {
	needsDocker(t)
	helpless := variant(t, "find", "USER 0\nRUN for n in find du; do printf '#!/bin/sh\\nexit 1\\n' > $(command -v $n); done\n")
	simple := variant(t, "awk", "USER 0\nRUN rm /usr/bin/awk /usr/bin/mawk\n")
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", helpless, simple).Run() })
	e := newTestEngine(t)
	d, observed := writesMuch(t, e, "much")
	places := []workspace.Place{{Volume: d.Volume}, {Container: observed.Handle}, {Volume: "no-such-vol"}, {Container: "no-such-container"}}
	measure := func(how workspace.Measuring) []workspace.Measurement {
		t.Helper()
		measured, err := e.Measure(t.Context(), places, how)
		require.NoError(t, err)
		require.Equal(t, []workspace.Code{workspace.CodeNotFound, workspace.CodeNotFound}, []workspace.Code{workspace.CodeOf(measured[2].Err), workspace.CodeOf(measured[3].Err)})
		return measured
	}
	const slack = 256 << 10 // folders, and what the image itself writes when it starts
	right := func(measured []workspace.Measurement, by string) {
		t.Helper()
		for i, bytes := range []int64{5 << 20, 3 << 20} {
			require.NoError(t, measured[i].Err, "%s", by)
			require.InDelta(t, bytes+slack/2, measured[i].Usage.Bytes, slack/2, "%s: place %d", by, i)
			require.WithinDuration(t, time.Now(), measured[i].Usage.MeasuredAt, time.Minute)
		}
		require.Equal(t, int64(2), measured[0].Usage.Files, "%s: two names of one file, and a sparse one", by)
	}
	here := measure(workspace.Measuring{})
	right(here, "here")
	require.WithinDuration(t, time.Now(), here[0].Usage.ChangedAt, time.Minute)
	right(measure(workspace.Measuring{Gentle: true}), "here, gently")

	e.remote = true
	elsewhere := measure(workspace.Measuring{Helpers: []string{"lab-test-not-here:1", helpless, goodImage}})
	right(elsewhere, "by a helper")
	for i := range 2 {
		require.Equal(t, []any{here[i].Usage.Bytes, here[i].Usage.Files}, []any{elsewhere[i].Usage.Bytes, elsewhere[i].Usage.Files})
		require.WithinDuration(t, here[i].Usage.ChangedAt, elsewhere[i].Usage.ChangedAt, time.Millisecond)
	}
	right(measure(workspace.Measuring{Helpers: []string{goodImage}, Gentle: true}), "by a gentle helper")
	byDu := measure(workspace.Measuring{Helpers: []string{simple}})
	require.NoError(t, byDu[0].Err)
	require.InDelta(t, 5<<20+slack/2, byDu[0].Usage.Bytes, slack/2)

	t.Log("without a helper, Docker itself knows a container's size, and nobody that of a volume")
	for _, helpers := range [][]string{nil, {"lab-test-not-here:1", helpless}} {
		alone := measure(workspace.Measuring{Helpers: helpers})
		require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(alone[0].Err))
		require.Zero(t, alone[0].Usage.Bytes)
		require.NoError(t, alone[1].Err)
		require.InDelta(t, 3<<20+slack/2, alone[1].Usage.Bytes, slack/2)
	}

	left, err := e.client.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelHelper+"="+e.instance))})
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = e.client.VolumeInspect(t.Context(), "no-such-vol")
	require.Error(t, err)
}

func TestMeasure_SeesNothingOfOthers(t *testing.T) {
	needsDocker(t)
	e, other := newTestEngine(t), newTestEngine(t)
	d, observed := writesMuch(t, e, "mine")
	measured, err := other.Measure(t.Context(), []workspace.Place{{Volume: d.Volume}, {Container: observed.Handle}}, workspace.Measuring{Helpers: []string{goodImage}})
	require.NoError(t, err)
	for _, one := range measured {
		require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(one.Err))
	}
	stats, err := other.Stats(t.Context(), []string{observed.Handle})
	require.NoError(t, err)
	require.Empty(t, stats)
}

func TestMeasure_LeavesNoVolumeThatWentAwayMeanwhile(t *testing.T) {
	needsDocker(t)
	e := newTestEngine(t)
	d := sleeper(e, goodImage)
	_, err := e.Execute(t.Context(), workspace.Step{Kind: workspace.StepStorage, Deployment: d}, func(workspace.Progress) {})
	require.NoError(t, err)
	at, err := e.locate(t.Context(), workspace.Place{Volume: d.Volume})
	require.NoError(t, err)
	require.NoError(t, e.RemoveVolume(t.Context(), d.Volume))
	_, err = e.measureInside(t.Context(), goodImage, []location{at}, false)
	require.NoError(t, err)
	left, err := e.client.VolumeList(t.Context(), volume.ListOptions{Filters: filters.NewArgs(filters.Arg("name", d.Volume))})
	require.NoError(t, err)
	require.Empty(t, left.Volumes)
}

func TestMeasure_OfAContainerWhoseDiskHasNoFolderOfItsOwn(t *testing.T) {
	needsDocker(t)
	second := dockertest.NewOnBtrfs(t, "10.217.0.1/24", 2000)
	e := newTestEngineAt(t, second.Host())
	importFiller(t, e)
	d := sleeper(e, fillerImage)
	d.Args = []string{"/filler"}
	var observed *workspace.Observed
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		var err error
		observed, err = e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	second.Docker("exec", string(d.ID), "/filler", "/three", "3")
	places := []workspace.Place{{Container: observed.Handle}, {Volume: d.Volume}}
	measured, err := e.Measure(t.Context(), places, workspace.Measuring{})
	require.NoError(t, err)
	require.NoError(t, measured[0].Err)
	require.InDelta(t, 3<<20, measured[0].Usage.Bytes, 1<<20)
	require.NoError(t, measured[1].Err)
	measured, err = e.Measure(t.Context(), places, workspace.Measuring{Gentle: true})
	require.NoError(t, err)
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(measured[0].Err), "Docker would compare it with its image, at full speed")
	require.NoError(t, measured[1].Err)
}
