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
	"sync/atomic"
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

func TestStopKeeping_ThroughARealLabSurvivesAKillInBetween(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	target, err := url.Parse(lab.URL)
	require.NoError(t, err)
	passes := httputil.NewSingleHostReverseProxy(target)
	var dead atomic.Bool
	dies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dead.Load() {
			panic(http.ErrAbortHandler)
		}
		dead.Store(r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/services/"))
		passes.ServeHTTP(w, r)
	}))
	defer dies.Close()
	client, err := contaxy.New(dies.URL + "/api")
	require.NoError(t, err)
	engine := New(Options{Lab: client})
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	visits(t, engine, lab.Ada)
	d := deploymentOf(lab, "killed")
	d.ClearOnStop = true
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		do(t, engine, kind, d)
	}
	at := "/api/projects/" + lab.Ada.ID + "/services/" + string(d.ID)
	is := func() map[string]any {
		var told map[string]any
		contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, at, nil), 200, &told)
		return told
	}
	before := is()
	dockers(t, "exec", string(d.ID), "sh", "-c", "echo precious > /workspace/kept")
	_, err = engine.Execute(t.Context(), workspace.Step{Kind: workspace.StepStop, Deployment: d}, func(workspace.Progress) {})
	require.Error(t, err)
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, at, nil), 404, nil)

	next := newEngineAt(t, lab)
	snapshot, err := next.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Kept, 1)
	require.True(t, snapshot.Kept[0].HasFiles)
	after := is()
	for _, name := range []string{"display_name", "container_image", "compute", "endpoints", "metadata", "clear_volume_on_stop", "idle_timeout"} {
		require.Equal(t, before[name], after[name], name)
	}
	for _, name := range []string{"LAB_API_TOKEN", "WORKSPACE_BASE_URL", "LAB_API_ENDPOINT"} {
		require.Equal(t, before["parameters"].(map[string]any)[name], after["parameters"].(map[string]any)[name], name)
	}
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		do(t, next, kind, d)
	}
	require.Equal(t, "precious", dockers(t, "exec", string(d.ID), "cat", "/workspace/kept"))
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

func dockers(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

// nginx believes for ten minutes where a container is: whoever has the address by then answers in its place.
func TestAnswers_NobodyElseAnswersForAWorkspaceThatWasStartedAgain(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	engine := newEngineAt(t, lab)
	d := deploymentOf(lab, "moves")
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		do(t, engine, kind, d)
	}
	first := do(t, engine, workspace.StepStart, d)
	require.Zero(t, first.Settles, "nobody has looked for it before")
	do(t, engine, workspace.StepAnswers, d)
	before := strings.Fields(dockers(t, "inspect", "--format", "{{range $name, $is := .NetworkSettings.Networks}}{{$name}} {{$is.IPAddress}}{{end}}", string(d.ID)))
	for _, kind := range []workspace.StepKind{workspace.StepStop, workspace.StepRemove} {
		do(t, engine, kind, d)
	}
	other := "lab-test-mllab-other"
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", other).Run() })
	dockers(t, "run", "--detach", "--name", other, "--network", before[0], "--ip", before[1],
		"--env", "WORKSPACE_BASE_URL=/projects/"+lab.Ada.ID+"/services/other/access/8080b", goodImage)
	d.Attempt++
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate} {
		do(t, engine, kind, d)
	}
	second := do(t, engine, workspace.StepStart, d)
	require.WithinDuration(t, time.Now().Add(believedFor), second.Settles, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var said string
	_, err := engine.Execute(ctx, workspace.Step{Kind: workspace.StepAnswers, Deployment: d}, func(p workspace.Progress) { said = p.Detail })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, said, "ML Lab may look for it where it was before", "it runs all the while")
	require.Contains(t, dockers(t, "exec", string(d.ID), "python3", "-c",
		"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080"+d.AccessPath+"/api').status)"), "200")
}

// The lab resolves the address of a service once, when it is made.
func TestStart_AWorkspaceThatPeopleHaveMadeByHandFollowsTheLab(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	engine := newEngineAt(t, lab)
	d := deploymentOf(lab, "by hand")
	services := "/api/projects/" + lab.Ada.ID + "/services"
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodPost, services, map[string]any{
		"container_image": goodImage, "display_name": "WS by hand", "description": "By hand.", "endpoints": []string{"8080b", "9000"}, "is_stopped": true,
		"metadata": map[string]string{metaKind: kindWorkspace, "theirs": "yes"}, "args": []string{"--version"}, "health_endpoint": "9000/healthy",
		"parameters": map[string]string{"WORKSPACE_BASE_URL": "/old" + d.AccessPath, "OWN": "x"}, "compute": map[string]any{"volume_path": "/data", "max_replicas": 1, "min_lifetime": 5},
	}), 200, nil)
	at := services + "/" + string(d.ID)
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodPatch, at, map[string]any{
		"parameters": map[string]string{serviceURL: "/old" + accessTo(d) + "{endpoint}"},
	}), 200, nil)
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		do(t, engine, kind, d)
	}
	var is struct {
		Description string            `json:"description"`
		Endpoints   []string          `json:"endpoints"`
		Args        []string          `json:"args"`
		Health      string            `json:"health_endpoint"`
		Metadata    map[string]string `json:"metadata"`
		Compute     map[string]any    `json:"compute"`
	}
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, at, nil), 200, &is)
	require.Equal(t, []any{"By hand.", []string{"8080b", "9000"}, []string{"--version"}, "9000/healthy", "yes", "/data", 5.0, 1000.0},
		[]any{is.Description, is.Endpoints, is.Args, is.Health, is.Metadata["theirs"], is.Compute["volume_path"], is.Compute["min_lifetime"], is.Compute["max_memory"]})
	environment := dockers(t, "inspect", "--format", "{{json .Config.Env}}", string(d.ID))
	require.Contains(t, environment, `"WORKSPACE_BASE_URL=`+d.AccessPath+`"`)
	require.Contains(t, environment, `"CONTAXY_SERVICE_URL=`+accessTo(d)+`{endpoint}"`)
	require.Contains(t, environment, `"OWN=x"`)
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
