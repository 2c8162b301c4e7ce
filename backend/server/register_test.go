package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

func TestLabEndpoint_IsFoundFromWhatPeopleKnow(t *testing.T) {
	for address, endpoint := range map[string]string{
		"http://localhost:30010":         "http://localhost:30010/api",
		"localhost:30010":                "http://localhost:30010/api",
		"http://localhost:30010/":        "http://localhost:30010/api",
		"http://localhost:30010/api":     "http://localhost:30010/api",
		"http://localhost:30010/api/":    "http://localhost:30010/api",
		"https://lab.example.org/lab":    "https://lab.example.org/lab/api",
		"https://lab.example.org/app#/x": "https://lab.example.org/api",
		"https://lab.example.org/a/app/": "https://lab.example.org/a/api",
	} {
		found, err := labEndpoint(address)
		require.NoError(t, err, address)
		require.Equal(t, endpoint, found, address)
	}
	for _, address := range []string{"", "ftp://lab", "http://", "http://admin:admin@lab", "http://a b"} {
		_, err := labEndpoint(address)
		require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), address)
	}
}

// usual is what somebody gets who says nothing.
func usual() Registration {
	return Registration{Lab: "http://localhost:30010", Image: "lab-workspace-manager:latest", Name: "Workspaces", MemoryMB: 100, CPUs: 1}
}

func TestRegistration_IsWhatTheLabTakes(t *testing.T) {
	input, err := usual().extension("http://localhost:30010/api")
	require.NoError(t, err)
	text, err := json.Marshal(input)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"container_image": "lab-workspace-manager:latest", "display_name": "Workspaces", "icon": "code",
		"description": "Lets each user spawn machine-learning workspaces.", "endpoints": ["8080"],
		"ui_extension_endpoint": "8080/app#/users/{env.userId}/workspace", "api_extension_endpoint": "8080/api",
		"metadata": {"display_priority": "95"}, "parameters": {},
		"compute": {"min_cpus": 0.1, "max_cpus": 1, "min_memory": 100, "max_memory": 100}
	}`, string(text))
}

func TestRegistration_IsRefusedBeforeTheLabSeesIt(t *testing.T) {
	for said, change := range map[string]func(*Registration){
		"--name must have 4 to 128":           func(r *Registration) { r.Name = "abc" },
		"characters of ASCII":                 func(r *Registration) { r.Name = "Räume" },
		"--image must name":                   func(r *Registration) { r.Image = "" },
		"--memory must be at least 100":       func(r *Registration) { r.MemoryMB = 99 },
		"--cpus must be more than 0":          func(r *Registration) { r.CPUs = 0 },
		`"A B" is no name of a variable`:      func(r *Registration) { r.Parameters = map[string]string{"A B": ""} },
		`WORKSPACE_MAX_CPUS: limits.cpus.max`: func(r *Registration) { r.Parameters = map[string]string{"WORKSPACE_MAX_CPUS": "-1"} },
	} {
		registration := usual()
		change(&registration)
		err := Register(context.Background(), registration, &bytes.Buffer{})
		require.ErrorContains(t, err, said)
		require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
	}
}

// asInstalled is how the lab tells of what it was asked for.
func asInstalled(id, status string, input contaxy.ExtensionInput) contaxy.Extension {
	return contaxy.Extension{
		ID: id, Status: status, ContainerImage: input.ContainerImage, DisplayName: input.DisplayName, Icon: input.Icon, Endpoints: input.Endpoints,
		Metadata: map[string]string{
			"ctxy.ui_extension_endpoint": input.UIEndpoint, "ctxy.api_extension_endpoint": input.APIEndpoint, "display_priority": "95",
		},
		Parameters: input.Parameters, Compute: input.Compute,
	}
}

func TestNextStep_DependsOnWhatTheLabHas(t *testing.T) {
	const id = "pylab-p-ctxy-global-s-workspaces"
	input, err := usual().extension("http://localhost:30010/api")
	require.NoError(t, err)
	larger := usual()
	larger.MemoryMB, larger.Parameters = 200, map[string]string{"WORKSPACE_MAX_CPUS": "2", "A_TOKEN": "hidden-value"}
	other, err := larger.extension("http://localhost:30010/api")
	require.NoError(t, err)
	untagged := input
	untagged.ContainerImage = "lab-workspace-manager"
	withOwn := asInstalled(id, contaxy.StatusRunning, input)
	withOwn.Parameters = map[string]string{"PATH": "/bin", "HOME": "/data"}
	leftOver := asInstalled(id, contaxy.StatusRunning, input)
	leftOver.Parameters = map[string]string{"WORKSPACE_MAX_CPUS": "2"}
	renamed := asInstalled(id, contaxy.StatusRunning, input)
	renamed.DisplayName = "Workspaces!"
	const elsewhere = "pylab-p-ctxy-global-s-workspace-manager"
	theirs := asInstalled(elsewhere, contaxy.StatusRunning, input)
	theirs.ContainerImage = "ghcr.io/sap/machine-learning-lab/lab-workspace-manager:0.0.24"
	byOtherName := asInstalled(elsewhere, contaxy.StatusRunning, input)
	byOtherName.ContainerImage = "a-registry/lab-workspace-manager:stable"
	byOtherName.Metadata["org.opencontainers.image.title"] = "ML Lab Workspaces Manager"
	older := byOtherName
	older.Metadata = maps.Clone(byOtherName.Metadata)
	byOtherName.Metadata["org.opencontainers.image.version"] = "1.2.3"
	older.Metadata["org.opencontainers.image.version"] = "1.2.2"

	below := func(status, path string) contaxy.Extension {
		made := asInstalled(id, status, input)
		made.MadeAt, made.UI = &path, "/lab/projects/ctxy-global/services/"+id+"/access/8080/app#/users/u/workspace"
		return made
	}

	for name, c := range map[string]struct {
		there   []contaxy.Extension
		input   contaxy.ExtensionInput
		forget  bool
		install bool
		change  bool
		start   bool
		id      string
		refuses []string // parts of the sentence and of what to do
	}{
		"nothing":                             {input: input, install: true, id: id},
		"another":                             {there: []contaxy.Extension{asInstalled("pylab-p-ctxy-global-s-jobs", contaxy.StatusRunning, contaxy.ExtensionInput{DisplayName: "Jobs"})}, input: input, install: true, id: id},
		"the same":                            {there: []contaxy.Extension{asInstalled(id, contaxy.StatusRunning, input)}, input: input, id: id},
		"the same, starting":                  {there: []contaxy.Extension{asInstalled(id, contaxy.StatusPending, input)}, input: input, id: id},
		"the same image without tag":          {there: []contaxy.Extension{asInstalled(id, contaxy.StatusRunning, untagged)}, input: input, id: id},
		"the image's own variables":           {there: []contaxy.Extension{withOwn}, input: input, id: id},
		"a record without container":          {there: []contaxy.Extension{asInstalled(id, contaxy.StatusStopped, input)}, input: input, start: true, id: id},
		"another record without container":    {there: []contaxy.Extension{asInstalled(id, contaxy.StatusStopped, input)}, input: other, change: true, start: true, id: id},
		"the lab was moved":                   {there: []contaxy.Extension{below(contaxy.StatusStopped, "")}, input: input, forget: true, install: true, id: id},
		"the lab is where it was":             {there: []contaxy.Extension{below(contaxy.StatusStopped, "/lab")}, input: input, start: true, id: id},
		"the lab was moved, and it runs":      {there: []contaxy.Extension{below(contaxy.StatusRunning, "")}, input: input, refuses: []string{"the path of the lab was / when it was installed and is /lab", "docker rm -f " + id}},
		"found by labels":                     {there: []contaxy.Extension{asInstalled(elsewhere, contaxy.StatusRunning, input)}, input: input, id: elsewhere},
		"found, its image has another name":   {there: []contaxy.Extension{byOtherName}, input: input, id: elsewhere},
		"found, an older version":             {there: []contaxy.Extension{older}, input: input, refuses: []string{"a-registry/lab-workspace-manager:stable"}},
		"another one that runs":               {there: []contaxy.Extension{asInstalled(id, contaxy.StatusRunning, input)}, input: other, refuses: []string{"the memory is 100 and should be 200; A_TOKEN is another; WORKSPACE_MAX_CPUS is not set and should be 2", "docker rm -f " + id}},
		"a variable too many":                 {there: []contaxy.Extension{leftOver}, input: input, refuses: []string{"WORKSPACE_MAX_CPUS is 2 and should be not set"}},
		"one that has ended":                  {there: []contaxy.Extension{asInstalled(id, contaxy.StatusFailed, input)}, input: input, refuses: []string{"docker logs " + id, "docker rm -f " + id}},
		"another name of the same id":         {there: []contaxy.Extension{renamed}, input: input, refuses: []string{`"Workspaces!"`, "another --name"}},
		"somebody else's of the same name":    {there: []contaxy.Extension{theirs}, input: input, refuses: []string{"ghcr.io/sap/machine-learning-lab/lab-workspace-manager:0.0.24", "compose file or Helm values"}},
		"found by labels, its container gone": {there: []contaxy.Extension{asInstalled(elsewhere, contaxy.StatusStopped, input)}, input: input, refuses: []string{"whose container is gone", "DELETE …/api/projects/ctxy-global/services/" + elsewhere}},
	} {
		t.Run(name, func(t *testing.T) {
			step, err := nextStep(c.there, id, c.input, "1.2.3")
			if c.refuses != nil {
				require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err))
				for _, part := range c.refuses {
					require.Contains(t, workspace.MessageOf(err)+" "+workspace.HintOf(err), part)
				}
				require.NotContains(t, workspace.MessageOf(err), "hidden-value", "secrets are not told")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.id, step.id)
			require.Equal(t, c.forget, step.forget)
			require.Equal(t, c.install, step.install)
			require.Equal(t, c.change, step.change != nil)
			require.Equal(t, c.start, step.start)
			require.NotEmpty(t, step.would)
		})
	}
}

func TestPrintRequest_ShowsNoSecrets(t *testing.T) {
	registration := usual()
	registration.Parameters = map[string]string{"MY_PASSWORD": "hunter2", "WORKSPACE_MAX_CPUS": "2"}
	input, err := registration.extension("http://lab/api")
	require.NoError(t, err)
	var out bytes.Buffer
	printRequest(&out, "http://lab/api", input)
	require.NotContains(t, out.String(), "hunter2")
	require.Contains(t, out.String(), `"WORKSPACE_MAX_CPUS": "2"`)
	require.Contains(t, out.String(), "Every user of the lab can read the parameters of an extension, MY_PASSWORD too.")
	require.Equal(t, "hunter2", input.Parameters["MY_PASSWORD"], "it is sent all the same")
}

func TestAt_PutsThePageBelowTheLab(t *testing.T) {
	require.Equal(t, "http://lab/projects/p", at("http://lab", "/projects/p"))
	require.Equal(t, "http://lab/x/projects/p", at("http://lab/x", "/x/projects/p"), "the lab knows the path that it is below")
	require.Equal(t, "http://lab/x/projects/p", at("http://lab/x", "/projects/p"), "a front takes it away")
}

// register runs the command against an address and returns its sentence with what to do.
func refusedBy(t *testing.T, address string) string {
	t.Helper()
	registration := usual()
	registration.Lab, registration.Token = address, "0123456789"
	err := Register(context.Background(), registration, &bytes.Buffer{})
	require.Error(t, err)
	return workspace.MessageOf(err) + " " + workspace.HintOf(err)
}

func TestRegister_KnowsWhatIsNoLab(t *testing.T) {
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	require.Contains(t, refusedBy(t, nobody.URL), "ML Lab does not answer at "+nobody.URL+"/api. --lab must be the address at which ML Lab is opened")

	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") }))
	defer page.Close()
	require.Contains(t, refusedBy(t, page.URL), "does not speak like an ML Lab. --lab must be")

	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://lab.example.org/api/system/info?x=secret", http.StatusMovedPermanently)
	}))
	defer moved.Close()
	require.Contains(t, refusedBy(t, moved.URL), "sends us on to https://lab.example.org/api/system/info.")

	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer down.Close()
	require.Contains(t, refusedBy(t, down.URL), "ML Lab is not up: what stands before it answers 502.")

	encrypted := httptest.NewUnstartedServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0)
	encrypted.StartTLS()
	defer encrypted.Close()
	require.Contains(t, refusedBy(t, encrypted.URL), "is not trusted")
	require.Contains(t, refusedBy(t, encrypted.URL), "SSL_CERT_FILE")
	require.Contains(t, refusedBy(t, strings.Replace(page.URL, "http:", "https:", 1)), "does not speak TLS. Write http://")

	fresh := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"version": "0.0.23", "namespace": "pylab", "system_state": "uninitialized"}`)
	}))
	defer fresh.Close()
	require.Contains(t, refusedBy(t, fresh.URL), "was never initialised")
	require.Contains(t, refusedBy(t, fresh.URL), "curl -X POST "+fresh.URL+"/api/system/initialize")
}

// brittleLab is what Docker can make of a lab: it installs, and its answer is lost with the connection. What the real one
// does besides is tried with the real one.
func brittleLab(t *testing.T) *httptest.Server {
	var made *contaxy.Extension
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, value any) { require.NoError(t, json.NewEncoder(w).Encode(value)) }
	mux.HandleFunc("GET /api/system/info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, contaxy.Info{Version: "0.0.23", Namespace: "pylab", State: "running"})
	})
	mux.HandleFunc("POST /api/auth/tokens/verify", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"authorized_subject": "users/admin"})
	})
	mux.HandleFunc("GET /api/projects/ctxy-global/extensions", func(w http.ResponseWriter, _ *http.Request) {
		list := []contaxy.Extension{}
		if made != nil {
			list = append(list, *made)
		}
		answer(w, list)
	})
	mux.HandleFunc("POST /api/projects/ctxy-global/extensions", func(w http.ResponseWriter, r *http.Request) {
		var input contaxy.ExtensionInput
		require.NoError(t, json.NewDecoder(r.Body).Decode(&input))
		there := asInstalled("pylab-p-ctxy-global-s-workspaces", contaxy.StatusRunning, input)
		there.UI = "/projects/ctxy-global/services/" + there.ID + "/access/8080/app"
		made = &there
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("GET /projects/ctxy-global/services/pylab-p-ctxy-global-s-workspaces/access/8080/api/healthy", func(http.ResponseWriter, *http.Request) {})
	lab := httptest.NewServer(mux)
	t.Cleanup(lab.Close)
	return lab
}

func TestRegister_FindsWhatWasInstalledWhenTheAnswerIsLost(t *testing.T) {
	lab := brittleLab(t)
	registration := usual()
	registration.Lab, registration.Token = lab.URL, "0123456789"
	var out bytes.Buffer
	require.NoError(t, Register(context.Background(), registration, &out), out.String())
	require.Contains(t, out.String(), "The connection was cut while the lab was at work.")
	require.Contains(t, out.String(), lab.URL+"/projects/ctxy-global/services/pylab-p-ctxy-global-s-workspaces/access/8080/app")
	require.NotContains(t, out.String(), registration.Token)
}

func TestRegister_AsksAPersonOnlyWithoutToken(t *testing.T) {
	lab := brittleLab(t)
	registration := usual()
	registration.Lab = lab.URL
	err := Register(context.Background(), registration, &bytes.Buffer{})
	require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(err))
	require.Contains(t, workspace.HintOf(err), "LAB_TOKEN")

	gaveUp := errors.New("no more")
	registration.Login = func() (string, string, error) { return "", "", gaveUp }
	require.ErrorIs(t, Register(context.Background(), registration, &bytes.Buffer{}), gaveUp)
}
