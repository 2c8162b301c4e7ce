package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// goodImage answers as the product's own image does, because it is the product's own image.
const goodImage = "lab-workspace-minimal:latest"

func needsDocker(t testing.TB) {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs Docker: set LAB_TEST_DOCKER=1")
	}
}

// newTestEngine makes an engine of an instance of its own, whose things are removed when the test ends.
func newTestEngine(t testing.TB) *Engine { return newTestEngineAt(t, "") }

// newTestEngineAt makes one for another daemon than the usual.
func newTestEngineAt(t testing.TB, endpoint string) *Engine {
	t.Helper()
	needsDocker(t)
	var random [3]byte
	_, err := rand.Read(random[:])
	require.NoError(t, err)
	instance := "t" + hex.EncodeToString(random[:])
	engine, err := New(Options{
		Endpoint: endpoint, Instance: instance, Namespace: "lab" + instance, SubnetPool: netip.MustParsePrefix("10.213.0.0/16"),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		removeAll(t, engine)
		require.NoError(t, engine.Close())
	})
	return engine
}

func removeAll(t testing.TB, e *Engine) {
	t.Helper()
	ctx := context.Background()
	containers, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: e.ours()})
	require.NoError(t, err)
	for _, found := range containers {
		require.NoError(t, e.removeByHandle(ctx, found.ID))
	}
	volumes, err := e.client.VolumeList(ctx, volume.ListOptions{Filters: e.ours()})
	require.NoError(t, err)
	for _, found := range volumes.Volumes {
		require.NoError(t, e.client.VolumeRemove(ctx, found.Name, true))
	}
	networks, err := e.client.NetworkList(ctx, network.ListOptions{Filters: e.ours()})
	require.NoError(t, err)
	for _, found := range networks {
		require.NoError(t, e.client.NetworkRemove(ctx, found.ID))
	}
}

// variant builds an image that differs from the good one in what it starts.
func variant(t *testing.T, name, dockerfile string) string {
	t.Helper()
	image := "lab-test-" + name + ":latest"
	build := exec.Command("docker", "build", "-q", "-t", image, "-")
	build.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	build.Stdin = strings.NewReader("FROM " + goodImage + "\n" + dockerfile)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return image
}

func TestEngine_KeepsTheContract(t *testing.T) {
	needsDocker(t)
	exits := variant(t, "engine-exits", "ENTRYPOINT [\"sh\",\"-c\",\"echo last words; exit 7\"]\n")
	deaf := variant(t, "engine-deaf", "ENTRYPOINT [\"sleep\",\"1000\"]\n")
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", exits, deaf).Run() })
	byHand := func(t *testing.T, args ...string) {
		out, err := exec.Command("docker", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	workspacetest.TestEngine(t, workspace.AllButKeeping, func(t *testing.T) workspacetest.EngineUnderTest {
		engine := newTestEngine(t)
		return workspacetest.EngineUnderTest{
			Engine: engine, Namespace: engine.namespace, MountPath: "/workspace",
			Good: goodImage, Exits: exits, Deaf: deaf, Missing: "lab-test-does-not-exist:1",
			EndByHand:    func(id workspace.ID) { byHand(t, "stop", "-t", "2", string(id)) },
			RemoveByHand: func(id workspace.ID) { byHand(t, "rm", "-f", string(id)) },
			Other:        func() workspace.Engine { return newTestEngine(t) },
		}
	})
}
