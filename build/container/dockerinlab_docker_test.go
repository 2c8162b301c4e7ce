//go:build linux

package container_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy/contaxytest"
)

// dockerInLab is the extension with the socket, as an administrator starts it: by the compose files, with a configuration.
type dockerInLab struct {
	t    *testing.T
	lab  *contaxytest.Lab
	base string // path that the lab is below
	id   string // of the extension
	vars []string
}

func startDockerInLab(t *testing.T, options contaxytest.Options) *dockerInLab {
	needsImage(t)
	lab := contaxytest.Start(t, options)
	config := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(config, []byte(`
engine = "docker"

[[image]]
name = "JupyterLab"
image = "`+workspaceImage+`"
profile = "workspace-minimal"
`), 0o644)) //nolint:gosec // the container reads it as another user
	require.NoError(t, os.Chmod(filepath.Dir(config), 0o755)) //nolint:gosec // likewise
	group, err := exec.Command("stat", "-c", "%g", "/var/run/docker.sock").Output()
	require.NoError(t, err)
	d := &dockerInLab{
		t: t, lab: lab, base: options.BaseURL, id: lab.Namespace + "-p-ctxy-global-s-workspace-manager",
		vars: []string{"DOCKER_GROUP=" + strings.TrimSpace(string(group)), "LAB_MANAGER_CONFIG=" + config},
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", d.id).CombinedOutput()
			t.Logf("log of the extension:\n%s", logs)
		}
		d.compose("down", "--volumes")
		lab.RemoveServices(t)
	})
	d.compose("up", "--detach")
	extensions(t, lab, lab.Ada) // by which the lab knows it
	lab.WaitUntilReachable(t, lab.Ada.Token, "ctxy-global", d.id, "/api/healthy")
	return d
}

func (d *dockerInLab) compose(args ...string) {
	d.t.Helper()
	runCompose(d.t, d.lab, d.base, []string{"--file", "docker-compose.yml", "--file", "docker-compose.docker.yml"}, d.vars, args...)
}

// api is a path of the extension's API, as the lab's users reach it.
func (d *dockerInLab) api(path string) string {
	return contaxytest.AccessPath("ctxy-global", d.id, "8080") + "/api" + path
}

func (d *dockerInLab) workspaces(user contaxytest.User) string {
	return d.api("/users/" + user.ID + "/workspace")
}

type workspaceShown struct {
	ID, Status, Reason string
	AccessURL          *string `json:"access_url"`
	Compute            struct{ Memory int64 }
	Usage              *struct {
		Memory *int64
	}
}

func (d *dockerInLab) create(user contaxytest.User, body map[string]any) (made workspaceShown) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { // it may still be looking for Docker
		answer := d.lab.Do(d.t, user.Token, http.MethodPost, d.workspaces(user), body)
		return answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(&made) == nil
	}, 30*time.Second, 200*time.Millisecond)
	return made
}

func (d *dockerInLab) becomes(user contaxytest.User, id, status string) (shown workspaceShown) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		contaxytest.Read(d.t, d.lab.Do(d.t, user.Token, http.MethodGet, d.workspaces(user)+"/"+id, nil), http.StatusOK, &shown)
		return shown.Status == status
	}, 2*time.Minute, 200*time.Millisecond, "never %s: %+v", status, &shown)
	return shown
}

// listed is what the lab itself says of a user's services, by their ids.
func (d *dockerInLab) listed(user contaxytest.User) map[string]string {
	d.t.Helper()
	var services []struct{ ID, Status string }
	contaxytest.Read(d.t, d.lab.Do(d.t, user.Token, http.MethodGet, "/api/projects/"+user.ID+"/services", nil), http.StatusOK, &services)
	found := map[string]string{}
	for _, service := range services {
		found[service.ID] = service.Status
	}
	return found
}

// terminal opens JupyterLab as a browser does, through the lab's proxy, and types into a terminal of it until that has said
// something.
func (d *dockerInLab) terminal(user contaxytest.User, accessPath, typed, wanted string) {
	d.t.Helper()
	browser, origin := d.lab.Browser(d.t, user), strings.TrimSuffix(d.lab.URL, d.base)
	status, page := get(d.t, browser, origin+accessPath+"/lab")
	require.Equal(d.t, http.StatusOK, status, page)
	require.Contains(d.t, page, "JupyterLab")
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, origin+accessPath+"/api/terminals", nil)
	require.NoError(d.t, err)
	for _, cookie := range browser.Jar.Cookies(request.URL) {
		if cookie.Name == "_xsrf" {
			request.Header.Set("X-XSRFToken", cookie.Value)
		}
	}
	answer, err := browser.Do(request)
	require.NoError(d.t, err)
	var made struct{ Name string }
	contaxytest.Read(d.t, answer, http.StatusOK, &made)
	require.NoError(d.t, answer.Body.Close())
	socket, _, err := websocket.Dial(d.t.Context(), "ws"+strings.TrimPrefix(origin, "http")+accessPath+"/terminals/websocket/"+made.Name,
		&websocket.DialOptions{HTTPClient: browser, HTTPHeader: http.Header{"Origin": {origin}}})
	require.NoError(d.t, err)
	defer func() { _ = socket.CloseNow() }()
	require.NoError(d.t, wsjson.Write(d.t.Context(), socket, []any{"stdin", typed + "\n"}))
	said := ""
	for !strings.Contains(said, wanted) {
		var message []any
		require.NoError(d.t, wsjson.Read(d.t.Context(), socket, &message), said)
		if len(message) > 1 && message[0] == "stdout" {
			said += message[1].(string)
		}
	}
}

func TestDockerInLab_AWorkspaceOpensThroughTheLab(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab := d.lab
	made := d.create(lab.Ada, map[string]any{"display_name": "thesis", "compute": map[string]any{"memory": 600}})
	require.Equal(t, lab.Namespace+"-p-"+lab.Ada.ID+"-s-ws-thesis", made.ID)
	running := d.becomes(lab.Ada, made.ID, "running")
	access := contaxytest.AccessPath(lab.Ada.ID, made.ID, "8080b")
	require.Equal(t, access, *running.AccessURL)
	require.Equal(t, map[string]string{made.ID: "running"}, d.listed(lab.Ada))

	d.terminal(lab.Ada, access, "echo $((6*7))", "42")
}
