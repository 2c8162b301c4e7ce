package docker

import (
	"context"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/network"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// standIn is a lab of which only the container is there.
type standIn struct {
	instance, namespace, host string

	mu                 sync.Mutex
	answered, released []workspace.ID
	tokens             map[string]int // that were made and not yet revoked, by workspace
}

func (s *standIn) Namespace(context.Context) (string, error) { return s.namespace, nil }
func (s *standIn) Host() string                              { return s.host }
func (s *standIn) BaseURL() string                           { return "" }

func (s *standIn) Environment(_ context.Context, d workspace.Deployment) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[string(d.ID)]++
	return map[string]string{"LAB_API_TOKEN": "of " + string(d.Owner), "CONTAXY_API_TOKEN": string(d.ID)}, nil
}

func (s *standIn) Answers(_ context.Context, d workspace.Deployment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = append(s.answered, d.ID)
	return nil
}

func (s *standIn) Removed(_ context.Context, _ workspace.Deployment, variables map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[variables["CONTAXY_API_TOKEN"]]--
}

func (s *standIn) Released(_ context.Context, d workspace.Deployment, ours func(map[string]string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ours(map[string]string{labelInstance: s.instance}) && !ours(map[string]string{labelNamespace: s.namespace}) {
		s.released = append(s.released, d.ID)
	}
}

// besideALab makes an engine of an instance of its own, beside a lab whose container does nothing.
func besideALab(t *testing.T) (*Engine, *standIn) {
	t.Helper()
	e := newTestEngine(t)
	lab := &standIn{instance: e.instance, namespace: "of" + e.instance, host: "lab-of-" + e.instance, tokens: map[string]int{}}
	other, err := New(Options{
		Instance: e.instance, SubnetPool: netip.MustParsePrefix("172.30.128.0/20"), Lab: lab,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	hand(t, "run", "--detach", "--name", lab.host, "--entrypoint", "sleep", goodImage, "1000")
	t.Cleanup(func() { hand(t, "rm", "--force", lab.host) })
	return other, lab
}

func hand(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "docker %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func TestEngine_KeepsTheContractBesideALab(t *testing.T) {
	needsDocker(t)
	exits := variant(t, "lab-exits", "ENTRYPOINT [\"sh\",\"-c\",\"echo last words; exit 7\"]\n")
	deaf := variant(t, "lab-deaf", "ENTRYPOINT [\"sleep\",\"1000\"]\n")
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", exits, deaf).Run() })
	can := workspace.AllButKeeping
	can.Locks = false
	workspacetest.TestEngine(t, can, func(t *testing.T) workspacetest.EngineUnderTest {
		engine, lab := besideALab(t)
		host, err := engine.Host(t.Context())
		require.NoError(t, err)
		require.Equal(t, lab.namespace, host.Namespace)
		return workspacetest.EngineUnderTest{
			Engine: engine, Namespace: lab.namespace, MountPath: "/workspace",
			Good: goodImage, Exits: exits, Deaf: deaf, Missing: "lab-test-does-not-exist:1",
			EndByHand:    func(id workspace.ID) { hand(t, "stop", "-t", "2", string(id)) },
			RemoveByHand: func(id workspace.ID) { hand(t, "rm", "-f", string(id)) },
			Other:        func() workspace.Engine { return newTestEngine(t) },
		}
	})
}

func TestBesideALab_TheLabIsInEveryNetworkAndOutliesIt(t *testing.T) {
	e, lab := besideALab(t)
	_, err := e.Host(t.Context())
	require.NoError(t, err)
	id := workspace.ID(lab.namespace + "-p-ada0-s-ws-first")
	d := workspace.Deployment{
		ID: id, UID: "first", Owner: "ada0", Attempt: 1, Fingerprint: "f", Image: goodImage, SecretEnv: []string{"AUTHENTICATE_VIA_JUPYTER"},
		Compute: workspace.Compute{CPUs: 1, MemoryMB: 300, Processes: 500}, Volume: "ada0-" + string(id) + "-vol", MountPath: "/workspace",
		Port: 8080, AccessPath: "/x", KeepsPath: true, HealthPath: "/api", Env: map[string]string{"WORKSPACE_BASE_URL": "/x"},
	}
	do := func(kinds ...workspace.StepKind) {
		t.Helper()
		for _, kind := range kinds {
			_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
			require.NoError(t, err, "step %s", kind)
		}
	}
	name := lab.namespace + "-p-ada0-network"
	networksOf := func(container string) string {
		return hand(t, "inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", container)
	}
	there := func() bool {
		found, err := e.client.NetworkList(t.Context(), network.ListOptions{Filters: e.networksOf("ada0")})
		require.NoError(t, err)
		return len(found) > 0
	}
	up := []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart}

	do(append(up, workspace.StepAnswers)...)
	require.Equal(t, []workspace.ID{id}, lab.answered)
	require.Contains(t, networksOf(lab.host), name)
	require.Contains(t, hand(t, "exec", string(id), "getent", "hosts", lab.host), lab.host, "programs reach the lab by its name")
	token, err := e.Variable(t.Context(), id, "LAB_API_TOKEN")
	require.NoError(t, err)
	require.Equal(t, "of ada0", token)
	_, err = e.Variable(t.Context(), workspace.ID(lab.host), "PATH")
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err), "what is not ours is not read")

	t.Log("a lab that is stopped can be started again after its users' networks are gone")
	hand(t, "stop", "-t", "0", lab.host)
	do(workspace.StepStop, workspace.StepRemove, workspace.StepRelease)
	require.False(t, there())
	require.Equal(t, map[string]int{string(id): 0}, lab.tokens, "no token outlives its container")
	require.Equal(t, []workspace.ID{id}, lab.released)
	hand(t, "start", lab.host)

	t.Log("a lab that was made anew is found again")
	do(up...)
	hand(t, "rm", "--force", lab.host)
	hand(t, "run", "--detach", "--name", lab.host, "--entrypoint", "sleep", goodImage, "1000")
	_, err = e.Host(t.Context())
	require.NoError(t, err)
	require.Contains(t, networksOf(lab.host), name)

	t.Log("one that came while nobody looked keeps the network, and is not cut off from the lab")
	guest := lab.host + "-guest"
	hand(t, "create", "--name", guest, "--network", name, goodImage)
	do(workspace.StepRemove, workspace.StepRelease)
	require.True(t, there(), "a container that does not run needs it, too")
	require.Contains(t, networksOf(lab.host), name)
	hand(t, "rm", "--force", guest)
	do(workspace.StepRelease)
	require.False(t, there())

	t.Log("a network that the lab has made is used, and left to it")
	hand(t, "network", "create", "--label", "ctxy.namespace="+lab.namespace, "--label", "ctxy.projectName=ada0", "--subnet", "172.30.144.0/26", name)
	t.Cleanup(func() {
		_ = exec.Command("docker", "network", "disconnect", "--force", name, lab.host).Run()
		hand(t, "network", "rm", name)
	})
	do(up...)
	require.Contains(t, networksOf(string(id)), name)
	do(workspace.StepRemove, workspace.StepRelease)
	require.True(t, there())

	t.Log("without the lab nothing starts, and that is said")
	hand(t, "rm", "--force", lab.host)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", lab.host).Run() })
	_, err = e.Host(t.Context())
	require.ErrorContains(t, err, lab.host)
	hand(t, "run", "--detach", "--name", lab.host, "--entrypoint", "sleep", goodImage, "1000")
}
