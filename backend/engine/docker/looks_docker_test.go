package docker

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// sleeper is a workspace that does nothing, in the owner's network.
func sleeper(e *Engine, image string) workspace.Deployment {
	id := workspace.ID(e.namespace + "-p-ada0-s-ws-sleeper")
	return workspace.Deployment{
		ID: id, UID: "u1", Owner: "ada0", DisplayName: "sleeper", Attempt: 1, Fingerprint: "f", Profile: "custom", Image: image,
		Compute: workspace.Compute{CPUs: 0.5, MemoryMB: 300, ShmMB: 64, Processes: 100},
		Volume:  "ada0-" + string(id) + "-vol", MountPath: "/workspace", Port: 8080, StopGrace: time.Second,
	}
}

func TestSnapshot_SeesARestartThatNoEventTold(t *testing.T) {
	needsDocker(t)
	image := variant(t, "looks", "ENTRYPOINT [\"sleep\",\"1000\"]\n")
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	e := newTestEngine(t)
	e.reach = ReachPort
	d := sleeper(e, image)
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	_, err := e.Snapshot(t.Context())
	require.NoError(t, err)
	out, err := exec.Command("docker", "restart", "-t", "0", string(d.ID)).CombinedOutput()
	require.NoError(t, err, "%s", out)
	after, err := e.Snapshot(t.Context())
	require.NoError(t, err)
	truth, err := e.inspect(t.Context(), string(d.ID))
	require.NoError(t, err)
	require.Equal(t, []any{truth.Endpoint, truth.StartedAt, "custom"}, []any{after.Workspaces[0].Endpoint, after.Workspaces[0].StartedAt, after.Workspaces[0].Profile})
}
