package docker

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/engine/docker/dockertest"
	"lab-workspace-manager/backend/workspace"
)

const (
	fillerImage = "lab-test-filler:latest"
	ballastMB   = 60 // of the image, beside its program
)

// importFiller makes an image of one static program and some ballast, without any registry.
func importFiller(t *testing.T, e *Engine) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "filler")
	build := exec.Command("go", "build", "-o", program, "./testdata/filler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	ballast := make([]byte, ballastMB<<20)
	_, err = rand.Read(ballast)
	require.NoError(t, err)
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for name, content := range map[string][]byte{"filler": text, "ballast": ballast} {
		require.NoError(t, writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := writer.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	stream, err := e.client.ImageImport(t.Context(), image.ImportSource{Source: &archive, SourceName: "-"}, fillerImage, image.ImportOptions{})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	require.NoError(t, readMessages(stream, func(message) {}))
}

func TestSizes_AreHeldWhereTheDiskCan(t *testing.T) {
	needsDocker(t)
	d := dockertest.NewOnBtrfs(t, "10.216.0.1/24", 3000)
	e := newTestEngineAt(t, d.Host())
	host, err := e.Host(t.Context())
	require.NoError(t, err)
	require.Equal(t, workspace.Enforcement{}, host.Enforces, "without an image nothing can be tried")
	importFiller(t, e)
	host, err = e.Host(t.Context())
	require.NoError(t, err)
	require.Equal(t, workspace.Enforcement{Tried: true, ContainerSize: true}, host.Enforces)
	require.Equal(t, "btrfs", host.StorageDriver)
	require.Empty(t, d.Docker("ps", "--all", "--quiet"), "nothing is left of the trial")
	require.Empty(t, d.Docker("volume", "ls", "--quiet"))

	run := func(name string) workspace.Deployment {
		t.Helper()
		deployment := sleeper(e, fillerImage)
		deployment.ID = workspace.ID(e.namespace + "-p-ada0-s-ws-" + name)
		deployment.Volume = string(deployment.ID) + "-vol"
		deployment.Args, deployment.Storage = []string{"/filler"}, workspace.Storage{ContainerMB: 300, VolumeMB: 500}
		var observed *workspace.Observed
		for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
			if observed, err = e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: deployment}, func(workspace.Progress) {}); kind != workspace.StepStorage {
				require.Equal(t, int64(300), observed.ContainerMB, "after %s", kind)
			}
			require.NoError(t, err)
		}
		return deployment
	}
	fill := func(in workspace.Deployment, path, megabytes string) string {
		out, _ := exec.Command("docker", "-H", d.Host(), "exec", string(in.ID), "/filler", path, megabytes).CombinedOutput() // it says what became of it
		return string(out)
	}
	full := run("full")
	require.Equal(t, "written\n", fill(full, "/some", "290"), "the image does not count")
	said := fill(full, "/more", "20")
	t.Logf("past its size: %s", said)
	require.Contains(t, said, "exceeded")
	require.Equal(t, "written\n", fill(full, "/workspace/notes", "50"), "its volume is another matter")

	t.Log("the others go on")
	other := run("other")
	require.Equal(t, "written\n", fill(other, "/some", "50"))
	_, err = e.Execute(t.Context(), workspace.Step{Kind: workspace.StepStop, Deployment: full}, func(workspace.Progress) {})
	require.NoError(t, err)
	_, err = e.Execute(t.Context(), workspace.Step{Kind: workspace.StepStart, Deployment: full}, func(workspace.Progress) {})
	require.NoError(t, err, "a full one can be started to clean up")
	snapshot, err := e.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Volumes, 2)
	require.Equal(t, []any{int64(500), false}, []any{snapshot.Volumes[0].SizeMB, snapshot.Volumes[0].Enforced})
}

func TestSizes_AreNotPretendedWhereTheDiskCannot(t *testing.T) {
	needsDocker(t)
	e := newTestEngine(t)
	host, err := e.Host(t.Context())
	require.NoError(t, err)
	if host.Enforces.ContainerSize || host.Enforces.VolumeSize {
		t.Skip("the disk of this Docker holds sizes")
	}
	require.True(t, host.Enforces.Tried)
	left, err := e.client.VolumeList(t.Context(), volume.ListOptions{})
	require.NoError(t, err)
	for _, one := range left.Volumes {
		require.NotEqual(t, e.namespace+"-size-trial", one.Name)
	}
	d := sleeper(e, goodImage)
	d.Storage = workspace.Storage{ContainerMB: 300, VolumeMB: 500}
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	observed, err := e.inspect(t.Context(), string(d.ID))
	require.NoError(t, err)
	require.Zero(t, observed.ContainerMB)
	snapshot, err := e.Snapshot(t.Context())
	require.NoError(t, err)
	require.Equal(t, []any{int64(500), false}, []any{snapshot.Volumes[0].SizeMB, snapshot.Volumes[0].Enforced})
}
