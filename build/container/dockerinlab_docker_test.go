//go:build linux

package container_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/conformance"
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
	config, _, _ := strings.Cut(configFile(t, `
engine = "docker"

[[image]]
name = "JupyterLab"
image = "`+workspaceImage+`"
profile = "workspace-minimal"
`), ":")
	d := &dockerInLab{
		t: t, lab: lab, base: options.BaseURL, id: lab.Namespace + "-p-ctxy-global-s-workspace-manager",
		vars: []string{"DOCKER_GROUP=" + socketGroup(t), "LAB_MANAGER_CONFIG=" + config},
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
	last := 0
	require.Eventually(d.t, func() bool { // a lab that was made anew, or its front, may not be there for a moment
		answer := d.lab.Do(d.t, user.Token, http.MethodGet, d.workspaces(user)+"/"+id, nil)
		last = answer.StatusCode
		return last == http.StatusOK && json.NewDecoder(answer.Body).Decode(&shown) == nil && shown.Status == status
	}, 2*time.Minute, 200*time.Millisecond, "never %s: %d %+v", status, &last, &shown)
	return shown
}

// actInLab has the lab itself start or restart a service.
func (d *dockerInLab) actInLab(user contaxytest.User, id, action string) {
	d.t.Helper()
	answer := d.lab.Do(d.t, user.Token, http.MethodPost, "/api/projects/"+user.ID+"/services/"+id+"/actions/"+action, map[string]any{})
	require.Equal(d.t, http.StatusOK, answer.StatusCode, action)
}

// says waits until a workspace shows a status with a reason.
func (d *dockerInLab) says(user contaxytest.User, id, status, reason string) {
	d.t.Helper()
	var shown workspaceShown
	require.Eventually(d.t, func() bool {
		shown = d.becomes(user, id, status)
		return shown.Reason == reason
	}, time.Minute, 200*time.Millisecond, "%+v", &shown)
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

// environment is what a container was told, by the names of the variables.
func environment(t *testing.T, id string) map[string]string {
	t.Helper()
	variables := map[string]string{}
	for line := range strings.Lines(inspect(t, id, "{{range .Config.Env}}{{println .}}{{end}}")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		variables[name] = value
	}
	return variables
}

func labels(t *testing.T, id string) map[string]string {
	t.Helper()
	var found map[string]string
	require.NoError(t, json.Unmarshal([]byte(inspect(t, id, "{{json .Config.Labels}}")), &found))
	maps.DeleteFunc(found, func(name, _ string) bool {
		return strings.HasPrefix(name, "lab-workspace-manager.") || strings.HasPrefix(name, "org.opencontainers.")
	})
	return found
}

// madeByTheLab has the lab make a workspace as upstream's manager asks for one.
func (d *dockerInLab) madeByTheLab(user contaxytest.User, name string) (id string) {
	d.t.Helper()
	var token string
	contaxytest.Read(d.t, d.lab.Do(d.t, user.Token, http.MethodGet, "/api/users/"+user.ID+"/token?access_level=write", nil), http.StatusOK, &token)
	var made struct{ ID string }
	contaxytest.Read(d.t, d.lab.Do(d.t, user.Token, http.MethodPost, "/api/projects/"+user.ID+"/services", map[string]any{
		"container_image": workspaceImage, "display_name": "WS " + name, "endpoints": []string{"8080b"},
		"metadata": map[string]string{"ctxy.workspaceExtension.deploymentType": "workspace"},
		"parameters": map[string]string{
			"WORKSPACE_BASE_URL": "{env.CONTAXY_SERVICE_URL}", "SSH_JUMPHOST_TARGET": "{env.CONTAXY_DEPLOYMENT_NAME}",
			"SELF_ACCESS_TOKEN": "{env.CONTAXY_API_TOKEN}", "LAB_API_ENDPOINT": "{env.CONTAXY_API_ENDPOINT}", "LAB_API_TOKEN": token,
		},
		"compute": map[string]any{"max_cpus": 1, "max_memory": 600, "volume_path": "/workspace", "max_volume_size": 5000},
	}), http.StatusOK, &made)
	browser, address := d.lab.Browser(d.t, user), d.lab.URL+contaxytest.AccessPath(user.ID, made.ID, "8080b")+"/lab"
	require.Eventually(d.t, func() bool { // the lab answers before it does
		status, _ := get(d.t, browser, address)
		return status == http.StatusOK
	}, time.Minute, 200*time.Millisecond)
	return made.ID
}

func TestDockerInLab_AWorkspaceOpensThroughTheLab(t *testing.T) {
	for name, base := range map[string]string{"at the root": "", "below a path": "/lab"} {
		t.Run(name, func(t *testing.T) {
			d := startDockerInLab(t, contaxytest.Options{BaseURL: base})
			lab := d.lab
			made := d.create(lab.Ada, map[string]any{"display_name": "thesis", "compute": map[string]any{"memory": 600}})
			require.Equal(t, lab.Namespace+"-p-"+lab.Ada.ID+"-s-ws-thesis", made.ID)
			running := d.becomes(lab.Ada, made.ID, "running")
			access := base + contaxytest.AccessPath(lab.Ada.ID, made.ID, "8080b")
			require.Equal(t, access, *running.AccessURL)
			require.Equal(t, map[string]string{made.ID: "running"}, d.listed(lab.Ada))
			d.terminal(lab.Ada, access, "echo $((6*7))", "42")

			// It is as one that the lab itself has made, by names, labels, variables, network and volume.
			other := d.madeByTheLab(lab.Ada, "other one")
			renamed := strings.NewReplacer(other, made.ID, "other one", "thesis").Replace
			expected := labels(t, other)
			for name, value := range expected {
				expected[name] = renamed(value)
			}
			require.Equal(t, expected, labels(t, made.ID))
			theirs, ours := environment(t, other), environment(t, made.ID)
			tokens := []string{}
			for name, value := range theirs {
				if strings.HasSuffix(name, "_TOKEN") && name != "LAB_API_TOKEN" { // each has its own
					require.Len(t, ours[name], len(value), name)
					tokens = append(tokens, ours[name])
					continue
				}
				require.Equal(t, renamed(value), ours[name], name)
			}
			require.Len(t, tokens, 2)
			require.NotContains(t, ours, "LAB_WORKSPACE_SECRET", "nobody could open its lock")
			const where = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}} {{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}}{{end}}{{end}}"
			require.Equal(t, renamed(inspect(t, other, where)), inspect(t, made.ID, where))

			// Its programs may do in the lab what the lab means them to, and nobody else is let in.
			own, all := ours["CONTAXY_API_TOKEN"], ours["LAB_API_TOKEN"]
			require.Equal(t, http.StatusOK, lab.Do(t, own, http.MethodGet, strings.TrimPrefix(access, base)+"/api", nil).StatusCode)
			require.Equal(t, http.StatusForbidden, lab.Do(t, own, http.MethodGet, "/api/projects/"+lab.Ada.ID+"/services", nil).StatusCode)
			var me struct{ ID string }
			contaxytest.Read(t, lab.Do(t, all, http.MethodGet, "/api/users/me", nil), http.StatusOK, &me)
			require.Equal(t, lab.Ada.ID, me.ID)
			_, err := lab.Try(t, lab.Bob.Token, http.MethodGet, strings.TrimPrefix(access, base)+"/api", nil)
			require.ErrorIs(t, err, io.EOF, "the lab's front closes without an answer")
			require.Equal(t, http.StatusForbidden, lab.Do(t, lab.Bob.Token, http.MethodGet, d.workspaces(lab.Ada), nil).StatusCode)
			require.Equal(t, http.StatusForbidden, lab.Do(t, lab.Bob.Token, http.MethodPost, d.workspaces(lab.Ada)+"/"+made.ID+":stop", nil).StatusCode)
			var listed []workspaceShown
			contaxytest.Read(t, lab.Do(t, lab.Admin.Token, http.MethodGet, d.workspaces(lab.Ada), nil), http.StatusOK, &listed)
			require.Len(t, listed, 1, "who administers the lab sees it; what the lab itself has made is not ours")

			// No token is told, logged or kept.
			said := docker(t, "logs", d.id)
			for _, path := range []string{"/users/" + lab.Ada.ID + "/workspace", "/host", "/quota", "/config", "/users/" + lab.Ada.ID + "/workspace/" + made.ID + ":logs"} {
				answer, err := io.ReadAll(lab.Do(t, lab.Ada.Token, http.MethodGet, d.api(path), nil).Body)
				require.NoError(t, err)
				said += string(answer)
			}
			kept := docker(t, "cp", d.id+":/data", "-")
			require.Contains(t, kept, made.ID, "this is what is kept")
			for _, secret := range append(tokens, all, lab.Ada.Token, lab.Admin.Token) {
				require.NotContains(t, said, secret)
				require.NotContains(t, kept, secret)
			}
		})
	}
}

func TestDockerInLab_DoesWhatTheLabsAPICannot(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab, ada := d.lab, d.lab.Ada
	made := d.create(ada, map[string]any{"display_name": "thesis", "compute": map[string]any{"memory": 600}})
	d.becomes(ada, made.ID, "running")
	var host struct {
		Engine string
		InLab  bool `json:"in_lab"`
		Can    map[string]bool
		Access struct{ Port int }
	}
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodGet, d.api("/host"), nil), http.StatusOK, &host)
	require.Equal(t, "docker", host.Engine)
	require.True(t, host.InLab)
	for what, can := range host.Can {
		require.True(t, can, what)
	}
	require.Zero(t, host.Access.Port, "the lab's own proxy leads to workspaces")

	t.Log("limits change while it runs")
	container := inspect(t, made.ID, "{{.Id}}")
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodPatch, d.workspaces(ada)+"/"+made.ID, map[string]any{"compute": map[string]any{"memory": 700}, "display_name": "my thesis"}), http.StatusOK, nil)
	require.Eventually(t, func() bool { return inspect(t, made.ID, "{{.HostConfig.Memory}}") == "734003200" }, 20*time.Second, 100*time.Millisecond)
	require.Equal(t, container, inspect(t, made.ID, "{{.Id}}"))

	t.Log("what it uses is seen")
	direct := "http://" + inspect(t, d.id, `{{(index .NetworkSettings.Networks "`+lab.Network+`").IPAddress}}`) + ":8080/api"
	require.Greater(t, d.memoryUsed(direct, ada), 10.0)
	docker(t, "exec", made.ID, "sh", "-c", "echo chapter >/workspace/thesis.txt")
	var usage struct{ Bytes int64 }
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodGet, d.workspaces(ada)+"/"+made.ID+":usage", nil), http.StatusOK, &usage)
	require.Positive(t, usage.Bytes)

	require.Less(t, memoryOf(t, d.id), 60.0, "of the 100 MB that the compose file gives it")

	t.Log("files outlive their workspace")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, d.workspaces(ada)+"/"+made.ID, nil).StatusCode)
	require.Empty(t, d.listed(ada), "nothing is left of it in the lab")
	var volumes []struct{ Name string }
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodGet, d.api("/users/"+ada.ID+"/volumes"), nil), http.StatusOK, &volumes)
	require.Len(t, volumes, 1)
	again := d.create(ada, map[string]any{"display_name": "second", "storage": map[string]any{"volume": volumes[0].Name}})
	d.becomes(ada, again.ID, "running")
	require.Equal(t, "chapter\n", docker(t, "exec", again.ID, "cat", "/workspace/thesis.txt")+"\n")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, d.workspaces(ada)+"/"+again.ID+"?delete_volumes=true", nil).StatusCode)
	require.Empty(t, docker(t, "volume", "ls", "--quiet", "--filter", "name="+volumes[0].Name))
}

func TestDockerInLab_LeavesAloneWhatTheLabHasMade(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab, ada := d.lab, d.lab.Ada
	theirs := d.madeByTheLab(ada, "thesis")
	docker(t, "exec", theirs, "sh", "-c", "echo chapter >/workspace/thesis.txt")
	before := inspect(t, theirs, "{{.Id}} {{.State.StartedAt}}")

	made := d.create(ada, map[string]any{"display_name": "thesis", "compute": map[string]any{"memory": 600}})
	require.Equal(t, theirs, made.ID, "the lab's rule gives both the same")
	require.Contains(t, d.becomes(ada, made.ID, "failed").Reason, "Delete this workspace, and create it with another name.")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, d.workspaces(ada)+"/"+made.ID+"?delete_volumes=true", nil).StatusCode)
	require.Equal(t, map[string]string{theirs: "running"}, d.listed(ada))
	require.Equal(t, before, inspect(t, theirs, "{{.Id}} {{.State.StartedAt}}"))
	require.Equal(t, "chapter", docker(t, "exec", theirs, "cat", "/workspace/thesis.txt"))
	d.terminal(ada, contaxytest.AccessPath(ada.ID, theirs, "8080b"), "echo $((6*7))", "42")

	t.Log("beside it there is room, in the network that the lab has made")
	other := d.create(ada, map[string]any{"display_name": "second", "compute": map[string]any{"memory": 600}})
	d.becomes(ada, other.ID, "running")
	d.terminal(ada, contaxytest.AccessPath(ada.ID, other.ID, "8080b"), "echo $((6*7))", "42")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, d.workspaces(ada)+"/"+other.ID+"?delete_volumes=true", nil).StatusCode)
	d.terminal(ada, contaxytest.AccessPath(ada.ID, theirs, "8080b"), "echo $((6*7))", "42")
}

// VS Code does not know its path, and asks nobody for a password where the lab says who may come.
func TestDockerInLab_OpensVSCode(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	if exec.Command("docker", "image", "inspect", vscodeImage).Run() != nil {
		t.Skip("needs " + vscodeImage + ", which a first run does not build: images build workspace-vscode")
	}
	lab, ada := d.lab, d.lab.Ada
	made := d.create(ada, map[string]any{"display_name": "editor", "container_image": vscodeImage})
	access := contaxytest.AccessPath(ada.ID, made.ID, "8080")
	require.Equal(t, access, *d.becomes(ada, made.ID, "running").AccessURL)
	var link struct{ URL string }
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodPost, d.workspaces(ada)+"/"+made.ID+":open", map[string]any{}), http.StatusOK, &link)
	require.Equal(t, access+"/", link.URL)
	browser := lab.Browser(t, ada)
	browser.CheckRedirect = nil
	status, page := get(t, browser, lab.URL+link.URL)
	require.Equal(t, http.StatusOK, status, page)
	require.Contains(t, page, "workbench")
	require.Equal(t, "workspace-vscode", labels(t, made.ID)["ctxy.workspaceExtension.profile"])
}

func TestDockerInLab_SaysWhatIsMissing(t *testing.T) {
	needsImage(t)
	lab := contaxytest.Start(t, contaxytest.Options{})
	config := configFile(t, `engine = "docker"`)
	beside := []string{"--network", lab.Network, "--env", "CONTAXY_API_ENDPOINT=" + lab.Endpoint, "--publish", "127.0.0.1::8080", "--volume", config}
	socket := []string{"--volume", "/var/run/docker.sock:/var/run/docker.sock"}
	group := []string{"--group-add", socketGroup(t)}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := fmt.Sprint(free.Addr().(*net.TCPAddr).Port)
	require.NoError(t, free.Close())
	for name, test := range map[string]struct {
		options         []string
		address         string // "" = where it is published
		reason, because string
	}{
		"no socket": {beside, "", "Docker does not answer at unix:///var/run/docker.sock.", `or leave engine at "auto": then the lab itself runs the workspaces.`},
		"no socket on the machine, and so a folder": {
			with(beside, []string{"--volume", t.TempDir() + ":/var/run/docker.sock"}), "",
			"There is a folder at /var/run/docker.sock, where Docker's socket should be.", "Docker has made a folder there",
		},
		"a socket of root's own": {with(beside, socket), "", "You may not use Docker at unix:///var/run/docker.sock.", "group_add in a compose file"},
		"a lab that is no container here, as one on Kubernetes": {
			with(socket, group, []string{"--network", "host", "--env", "PORT=" + port, "--env", "CONTAXY_API_ENDPOINT=" + lab.URL + "/api", "--volume", config}),
			"http://127.0.0.1:" + port, "ML Lab (127.0.0.1) is no container of this Docker, so its proxy leads to no workspace here.", `Leave engine at "auto"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			id := container(t, test.options)
			at := test.address
			if at == "" {
				at = address(t, id)
			}
			var host struct {
				Reachable      bool
				Reason, Action string
			}
			require.Eventually(t, func() bool {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/api/host", nil)
				require.NoError(t, err)
				request.Header.Set("Authorization", "Bearer "+lab.Ada.Token)
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					return false
				}
				defer func() { _ = response.Body.Close() }()
				return json.NewDecoder(response.Body).Decode(&host) == nil && host.Reason == test.reason
			}, 30*time.Second, 50*time.Millisecond, "%+v", &host)
			require.False(t, host.Reachable)
			require.Contains(t, host.Action, test.because)
		})
	}
}

// A lab finds an extension by the namespace in its labels; one of another namespace would wait for ever and say nothing.
func TestDockerInLab_SaysThatItWasStartedForAnotherLab(t *testing.T) {
	needsImage(t)
	lab := contaxytest.Start(t, contaxytest.Options{})
	id := container(t, []string{
		"--network", lab.Network, "--env", "CONTAXY_API_ENDPOINT=" + lab.Endpoint, "--publish", "127.0.0.1::8080", "--volume", configFile(t, `engine = "docker"`),
		"--volume", "/var/run/docker.sock:/var/run/docker.sock", "--group-add", socketGroup(t),
		"--label", "ctxy.namespace=elsewhere", "--label", "ctxy.projectName=ctxy-global", "--label", "ctxy.deploymentType=extension",
	})
	says := `This program was started for an ML Lab with the namespace "elsewhere", and this one's is "` + lab.Namespace + `": ` +
		"it does not list this page, nor lead to it. Start it with LAB_NAMESPACE=" + lab.Namespace + "."
	var host struct{ Notes []string }
	require.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address(t, id)+"/api/host", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+lab.Ada.Token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return json.NewDecoder(response.Body).Decode(&host) == nil && slices.Contains(host.Notes, says)
	}, 30*time.Second, 50*time.Millisecond, "%+v", &host)
	out, err := exec.Command("docker", "logs", id).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(out), "LAB_NAMESPACE="+lab.Namespace), "%s", out)
}

// memoryUsed follows what workspaces use until something is told, in MB.
func (d *dockerInLab) memoryUsed(api string, user contaxytest.User) float64 {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/events", nil)
	require.NoError(d.t, err)
	request.Header.Set("Authorization", "Bearer "+user.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(d.t, err)
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text, _ := strings.CutPrefix(lines.Text(), "data: ")
		var event struct {
			Use []struct{ Memory float64 }
		}
		if json.Unmarshal([]byte(text), &event) == nil && len(event.Use) > 0 {
			return event.Use[0].Memory
		}
	}
	d.t.Fatal("what is used is not told")
	return 0
}

// The lab restarts a service by making its container anew, with all of our labels and none of our bounds.
func TestDockerInLab_WhatTheLabRestartsIsBoundAgain(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab, ada := d.lab, d.lab.Ada
	made := d.create(ada, map[string]any{"display_name": "bound"})
	d.becomes(ada, made.ID, "running")
	require.Equal(t, "running", d.listed(ada)[made.ID])
	bound := func() {
		t.Helper()
		last := ""
		require.Eventually(t, func() bool {
			out, err := exec.Command("docker", "inspect", "--format", "{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.State.Running}}", made.ID).CombinedOutput()
			last = strings.TrimSpace(string(out))
			return err == nil && last == "[ALL] [no-new-privileges] true"
		}, 40*time.Second, 200*time.Millisecond, "%s", &last)
		d.becomes(ada, made.ID, "running")
	}
	d.actInLab(ada, made.ID, "restart")
	bound()
	t.Log("so it is with what the lab starts after it was stopped here, and with that restarted")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodPost, d.workspaces(ada)+"/"+made.ID+":stop", nil).StatusCode)
	d.actInLab(ada, made.ID, "start")
	bound()
	d.actInLab(ada, made.ID, "restart")
	bound()
	require.Equal(t, "running", d.listed(ada)[made.ID])
}

// What the lab deletes, which may take the files, stays with a word about both.
func TestDockerInLab_WhatTheLabDeletesSaysWhatBecameOfItsFiles(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab, ada := d.lab, d.lab.Ada
	kept, lost := d.create(ada, map[string]any{"display_name": "kept"}), d.create(ada, map[string]any{"display_name": "lost"})
	for _, made := range []workspaceShown{kept, lost} {
		d.becomes(ada, made.ID, "running")
		docker(t, "exec", made.ID, "sh", "-c", "echo chapter >/workspace/thesis.txt")
		require.Equal(t, "running", d.listed(ada)[made.ID])
	}
	for id, files := range map[string]string{kept.ID: "false", lost.ID: "true"} {
		require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, "/api/projects/"+ada.ID+"/services/"+id+"?delete_volumes="+files, nil).StatusCode)
	}
	d.says(ada, kept.ID, "failed", "Its container was removed or renamed from outside the workspace manager. Its files are safe.")
	d.says(ada, lost.ID, "failed", "Its container was removed or renamed from outside the workspace manager. Its files are gone: the volume "+
		ada.ID+"-"+lost.ID+"-vol was removed outside. A start begins with an empty one.")

	for _, id := range []string{kept.ID, lost.ID} {
		require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodPost, d.workspaces(ada)+"/"+id+":start", nil).StatusCode)
	}
	require.Empty(t, d.becomes(ada, kept.ID, "running").Reason)
	require.Equal(t, "chapter", docker(t, "exec", kept.ID, "cat", "/workspace/thesis.txt"))
	require.Contains(t, d.becomes(ada, lost.ID, "running").Reason, "It has begun anew, without its files")
	require.Equal(t, map[string]string{kept.ID: "running", lost.ID: "running"}, d.listed(ada), "the lab knows them again")
}

func TestDockerInLab_WorkspacesGoOnWhateverIsMadeAnew(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	// Nobody has had a workspace of the lab's own before, whose network the lab would have made.
	lab, ada := d.lab, d.lab.CreateUser(t, "eve")
	made := d.create(ada, map[string]any{"display_name": "thesis", "compute": map[string]any{"memory": 600}, "idle_timeout": 3600})
	d.becomes(ada, made.ID, "running")
	access := contaxytest.AccessPath(ada.ID, made.ID, "8080b")
	container := inspect(t, made.ID, "{{.Id}} {{.State.StartedAt}}")
	token := environment(t, made.ID)["CONTAXY_API_TOKEN"]
	goesOn := func() {
		t.Helper()
		lab.WaitUntilReachable(t, ada.Token, "ctxy-global", d.id, "/api/healthy")
		d.becomes(ada, made.ID, "running")
		require.Equal(t, container, inspect(t, made.ID, "{{.Id}} {{.State.StartedAt}}"))
		d.terminal(ada, access, "echo $((6*7))", "42")
	}

	t.Log("this program, started again")
	docker(t, "restart", d.id)
	goesOn()
	t.Log("this program, in another container")
	d.compose("up", "--detach", "--force-recreate")
	lab.ForgetAddresses(t)
	goesOn()
	require.Contains(t, inspect(t, d.id, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"), lab.Namespace+"-p-"+ada.ID+"-network")

	t.Log("that somebody is in it is heard of the lab, also by a program of which nobody has asked anything yet")
	var shown struct{ Votes []struct{ Kind string } }
	require.Eventually(t, func() bool {
		contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodGet, d.workspaces(ada)+"/"+made.ID+":activity", nil), http.StatusOK, &shown)
		return slices.Contains(shown.Votes, struct{ Kind string }{"traffic"})
	}, 2*time.Minute, time.Second, "%+v", &shown)

	t.Log("the lab")
	lab.RestartBackend(t, contaxytest.Options{})
	goesOn()

	t.Log("what the lab starts of a stopped one is started as if it had been asked for here")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodPost, d.workspaces(ada)+"/"+made.ID+":stop", nil).StatusCode)
	require.Equal(t, map[string]string{made.ID: "stopped"}, d.listed(ada))
	require.Equal(t, http.StatusUnauthorized, lab.Do(t, ada.Token, http.MethodPost, "/api/auth/tokens/verify?use_cache=false", token).StatusCode, "its token is worth nothing")
	d.actInLab(ada, made.ID, "start")
	d.becomes(ada, made.ID, "running")
	d.terminal(ada, access, "echo $((6*7))", "42")

	t.Log("with the last workspace its network goes, and nobody misses it")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, d.workspaces(ada)+"/"+made.ID+"?delete_volumes=true", nil).StatusCode)
	for _, left := range strings.Fields(docker(t, "network", "ls", "--quiet", "--filter", "name="+ada.ID)) {
		require.Fail(t, "a network is left", "%s", docker(t, "network", "inspect", left))
	}
	docker(t, "restart", d.id)
	lab.WaitUntilReachable(t, ada.Token, "ctxy-global", d.id, "/api/healthy")
	other := d.madeByTheLab(ada, "other one")
	require.Equal(t, "running", d.listed(ada)[other], "the lab makes the network anew")
}

// What is kept in /data goes with `docker compose down --volumes`. What labels say is enough to go on.
func TestDockerInLab_WhoLosesItsRecordsFindsTheWorkspacesAgain(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab, ada := d.lab, d.lab.Ada
	made := d.create(ada, map[string]any{"display_name": "thesis", "compute": map[string]any{"memory": 600}})
	other := d.create(ada, map[string]any{"display_name": "stopped"})
	d.becomes(ada, made.ID, "running")
	d.becomes(ada, other.ID, "running")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodPost, d.workspaces(ada)+"/"+other.ID+":stop", nil).StatusCode)
	container := inspect(t, made.ID, "{{.Id}} {{.State.StartedAt}}")

	d.compose("down", "--volumes")
	d.compose("up", "--detach")
	lab.ForgetAddresses(t)
	lab.WaitUntilReachable(t, ada.Token, "ctxy-global", d.id, "/api/healthy")
	require.Equal(t, int64(600), d.becomes(ada, made.ID, "running").Compute.Memory)
	require.Equal(t, container, inspect(t, made.ID, "{{.Id}} {{.State.StartedAt}}"), "it goes on as it was")
	var quota struct{ Memory struct{ Reserved int64 } }
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodGet, d.api("/quota"), nil), http.StatusOK, &quota)
	require.Equal(t, int64(600), quota.Memory.Reserved, "it counts")
	var volumes []struct {
		DisplayName string `json:"display_name"`
		UsedBy      string `json:"used_by"`
	}
	contaxytest.Read(t, lab.Do(t, ada.Token, http.MethodGet, d.api("/users/"+ada.ID+"/volumes"), nil), http.StatusOK, &volumes)
	require.Len(t, volumes, 2, "of what was stopped the files are left")
	d.terminal(ada, contaxytest.AccessPath(ada.ID, made.ID, "8080b"), "echo $((6*7))", "42")
	require.Equal(t, http.StatusNoContent, lab.Do(t, ada.Token, http.MethodDelete, d.workspaces(ada)+"/"+made.ID+"?delete_volumes=true", nil).StatusCode)
}

func TestConformance_DockerInLab(t *testing.T) {
	d := startDockerInLab(t, contaxytest.Options{})
	lab := d.lab
	address := inspect(t, d.id, `{{(index .NetworkSettings.Networks "`+lab.Network+`").IPAddress}}`)
	d.create(lab.Bob, map[string]any{"is_stopped": true}) // when this succeeds, Docker was found
	(&conformance.Place{
		InLab: true, Docker: true, API: lab.URL + d.api(""), Direct: "http://" + address + ":8080/api",
		Tokens: map[string]string{
			"ada": lab.Ada.Token, "bob": lab.Bob.Token, "admin": lab.Admin.Token, "nobody": "", "bogus": strings.Repeat("0123456789", 4),
		},
		Known: map[string]string{"ada": lab.Ada.ID, "bob": lab.Bob.ID, "image": workspaceImage},
	}).Try(t)
	require.Empty(t, d.listed(lab.Ada), "nothing is left in the lab")
}
