package mllab

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/contaxy/contaxytest"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestMain(m *testing.M) { os.Exit(contaxytest.Main(m)) }

const (
	goodImage    = "lab-workspace-minimal:latest"
	missingImage = "lab-test-does-not-exist:1"
)

// newEngineAt makes an engine at a lab at which ada is.
func newEngineAt(t *testing.T, lab *contaxytest.Lab) *Engine {
	t.Helper()
	client, err := contaxy.New(lab.URL + "/api")
	require.NoError(t, err)
	engine := New(Options{Lab: client, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), LookEvery: 300 * time.Millisecond})
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	visits(t, engine, lab.Ada)
	return engine
}

// visits has somebody be there whose workspaces are then known. Nobody watches the engine yet.
func visits(t *testing.T, engine *Engine, user contaxytest.User) {
	t.Helper()
	who := workspace.Owner(user.ID)
	_ = engine.Visit(t.Context(), who, user.Token, true) // which cannot wait for somebody to be told
	require.NoError(t, engine.lookAt(t.Context(), who))
}

func TestEngine_KeepsTheContractThroughARealLab(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	deaf := "lab-test-mllab-deaf:latest"
	build := exec.Command("docker", "build", "-q", "-t", deaf, "-")
	build.Env = append(build.Environ(), "DOCKER_BUILDKIT=0")
	build.Stdin = strings.NewReader("FROM " + goodImage + "\nENTRYPOINT [\"tini\", \"--\", \"sleep\", \"1000\"]\n")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", deaf).Run() })
	byHand := func(t *testing.T, args ...string) {
		out, err := exec.Command("docker", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	can := New(Options{Lab: &contaxy.Client{}}).Capabilities()
	workspacetest.TestEngine(t, can, func(t *testing.T) workspacetest.EngineUnderTest {
		engine := newEngineAt(t, lab)
		t.Cleanup(func() { lab.RemoveServices(t) })
		return workspacetest.EngineUnderTest{
			Engine: engine, Namespace: lab.Namespace, Owner: workspace.Owner(lab.Ada.ID), MountPath: "/workspace",
			Good: goodImage, Deaf: deaf, Missing: missingImage,
			EndByHand:    func(id workspace.ID) { byHand(t, "stop", "-t", "2", string(id)) },
			RemoveByHand: func(id workspace.ID) { byHand(t, "rm", "-f", string(id)) },
		}
	})
}

// deploymentOf is a workspace as the manager would have it for upstream's defaults.
func deploymentOf(lab *contaxytest.Lab, name string) workspace.Deployment {
	owner := workspace.Owner(lab.Ada.ID)
	id := workspace.NewLabID(lab.Namespace, owner, name, func(workspace.ID) bool { return false })
	path := "/projects/" + string(owner) + "/services/" + string(id) + "/access/8080b"
	return workspace.Deployment{
		ID: id, UID: "u1", Owner: owner, DisplayName: name, Attempt: 1, Fingerprint: "f1", Image: goodImage, Profile: "ml-workspace",
		Compute: workspace.Compute{CPUs: 1, MemoryMB: 1000}, Storage: workspace.Storage{VolumeMB: 5000, ContainerMB: 5000},
		Volume: volumeOf(owner, id), MountPath: "/workspace", Env: map[string]string{"WORKSPACE_BASE_URL": path, "WORKSPACE_PORT": "8080"},
		Port: 8080, AccessPath: path, KeepsPath: true, HealthPath: "/api",
	}
}

func do(t *testing.T, engine *Engine, kind workspace.StepKind, d workspace.Deployment) *workspace.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	observed, err := engine.Execute(ctx, workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
	require.NoError(t, err, "step %s", kind)
	return observed
}

// What upstream's workspace manager sends for its defaults was recorded in front of the real lab (facts: 4.3).
func TestService_IsTheOneThatUpstreamMakes(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	engine := newEngineAt(t, lab)
	d := deploymentOf(lab, "Default Workspace")
	do(t, engine, workspace.StepStorage, d)
	var made struct {
		DisplayName string            `json:"display_name"`
		Endpoints   []string          `json:"endpoints"`
		Metadata    map[string]string `json:"metadata"`
		Parameters  map[string]string `json:"parameters"`
		Compute     map[string]any    `json:"compute"`
		IdleTimeout any               `json:"idle_timeout"`
	}
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, "GET", "/api/projects/"+lab.Ada.ID+"/services/"+string(d.ID), nil), 200, &made)
	require.Equal(t, "WS Default Workspace", made.DisplayName)
	require.Equal(t, []string{"8080b"}, made.Endpoints)
	require.Equal(t, "workspace", made.Metadata[metaKind])
	require.NotContains(t, made.Metadata, metaName)
	require.NotContains(t, made.Metadata, metaProfile)
	require.Nil(t, made.IdleTimeout)
	for name, value := range map[string]any{
		"min_cpus": 0.5, "max_cpus": 1.0, "min_memory": 750.0, "max_memory": 1000.0, "volume_path": "/workspace", "max_volume_size": 5000.0, "max_container_size": 5000.0,
	} {
		require.Equal(t, value, made.Compute[name], name)
	}
	ours := map[string]string{}
	for _, name := range []string{"WORKSPACE_BASE_URL", "SSH_JUMPHOST_TARGET", "SELF_ACCESS_TOKEN", "LAB_API_ENDPOINT", "LAB_API_TOKEN"} {
		ours[name] = made.Parameters[name]
		delete(made.Parameters, name)
	}
	require.Equal(t, d.AccessPath, ours["WORKSPACE_BASE_URL"])
	require.Equal(t, string(d.ID), ours["SSH_JUMPHOST_TARGET"])
	require.Equal(t, made.Parameters["CONTAXY_API_TOKEN"], ours["SELF_ACCESS_TOKEN"])
	require.Equal(t, lab.Endpoint, ours["LAB_API_ENDPOINT"])
	var own string
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, "GET", "/api/users/"+lab.Ada.ID+"/token?access_level=write", nil), 200, &own)
	require.Equal(t, own, ours["LAB_API_TOKEN"], "the token that the lab's own client library wants")
	for name := range made.Parameters {
		require.Contains(t, name, "CONTAXY_", "the lab adds these, and we add nothing")
	}
}

func TestVolume_OfAStoppedWorkspaceIsReallyDeleted(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	engine := newEngineAt(t, lab)
	d := deploymentOf(lab, "files")
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart, workspace.StepStop, workspace.StepRemove} {
		do(t, engine, kind, d)
	}
	volume := func() error { return exec.Command("docker", "volume", "inspect", d.Volume).Run() }
	require.NoError(t, volume())
	do(t, engine, workspace.StepRemoveStorage, d)
	require.Error(t, volume(), "the lab alone would have left it")
	do(t, engine, workspace.StepRelease, d)
}

func TestStop_ClearsFilesOnlyWhereTheirOwnerHasSaidSo(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	engine := newEngineAt(t, lab)
	d := deploymentOf(lab, "cleared")
	d.ClearOnStop = true
	up := func() {
		t.Helper()
		for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
			do(t, engine, kind, d)
		}
	}
	in := func(command string) string {
		t.Helper()
		out, err := exec.Command("docker", "exec", string(d.ID), "sh", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	up()
	in("echo precious > /workspace/kept")
	ended := do(t, engine, workspace.StepStop, d)
	require.NotNil(t, ended)
	require.Equal(t, workspace.ContainerExited, ended.State)
	do(t, engine, workspace.StepRemove, d)
	var kept struct {
		Status string
		Clear  bool `json:"clear_volume_on_stop"`
	}
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, "GET", "/api/projects/"+lab.Ada.ID+"/services/"+string(d.ID), nil), 200, &kept)
	require.Equal(t, "stopped", kept.Status)
	require.True(t, kept.Clear, "the wish of its owner is kept, too")
	d.Attempt++
	up()
	require.Equal(t, "precious", in("cat /workspace/kept"))

	d.DeletesVolume = true // the owner has pressed Stop
	do(t, engine, workspace.StepStop, d)
	do(t, engine, workspace.StepRemove, d)
	do(t, engine, workspace.StepRemoveStorage, d)
	require.Error(t, exec.Command("docker", "volume", "inspect", d.Volume).Run())
	do(t, engine, workspace.StepRelease, d)
}

// A start that nobody waits for any more goes on in the lab, as one does whose image is pulled.
func TestStop_WaitsForAStartThatIsUnderWay(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	target, err := url.Parse(lab.URL)
	require.NoError(t, err)
	passes, begun := httputil.NewSingleHostReverseProxy(target), make(chan struct{}, 1)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/actions/start") {
			begun <- struct{}{}
			time.Sleep(2 * time.Second)
		}
		passes.ServeHTTP(w, r)
	}))
	defer slow.Close()
	client, err := contaxy.New(slow.URL + "/api")
	require.NoError(t, err)
	engine := New(Options{Lab: client})
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	visits(t, engine, lab.Ada)
	d := deploymentOf(lab, "slow")
	do(t, engine, workspace.StepStorage, d)
	do(t, engine, workspace.StepCreate, d)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	_, err = engine.Execute(ctx, workspace.Step{Kind: workspace.StepStart, Deployment: d}, func(workspace.Progress) {})
	require.ErrorIs(t, err, context.Canceled)
	do(t, engine, workspace.StepRemove, d)
	do(t, engine, workspace.StepRelease, d)
	time.Sleep(time.Second) // whatever was still to come would come now
	require.Error(t, exec.Command("docker", "inspect", string(d.ID)).Run(), "no container comes of what was deleted")
}

func TestLook_ManyCostTheLabNoMoreThanOne(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	asked := func(people int) int {
		client, err := contaxy.New(lab.URL + "/api")
		require.NoError(t, err)
		engine := New(Options{Lab: client, LookEvery: 200 * time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		connected, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			_ = engine.Watch(ctx, func() { close(connected) }, func(workspace.Change) {})
		}()
		defer func() { cancel(); <-ended; _ = engine.Close() }()
		<-connected
		users := []contaxytest.User{lab.Ada, lab.Bob, lab.Admin}
		for n := range people {
			require.NoError(t, engine.Visit(t.Context(), workspace.Owner(users[n].ID), users[n].Token, true))
		}
		return len(lab.During(t, func() {
			until := time.Now().Add(3 * time.Second)
			for time.Now().Before(until) { // pages that ask again and again
				for n := range people {
					require.NoError(t, engine.Visit(t.Context(), workspace.Owner(users[n].ID), users[n].Token, true))
				}
				time.Sleep(10 * time.Millisecond)
			}
		}))
	}
	one, three := asked(1), asked(3)
	t.Logf("in three seconds the lab was asked %d times for one who looks on, %d times for three", one, three)
	require.Positive(t, one)
	require.LessOrEqual(t, three, one+2)
}
