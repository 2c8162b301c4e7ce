//go:build linux

package container_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What ML Lab gives an extension that was installed through its API, and the strictest that a compose file can.
var (
	asInLab  = []string{"--memory", "100m", "--cpus", "1", "--publish", "127.0.0.1::8080"}
	hardened = []string{"--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"}
	// A lab that does not answer: the image must run without it.
	withLab = []string{"--env", "CONTAXY_API_ENDPOINT=http://127.0.0.1:9/api"}
)

func with(lists ...[]string) (all []string) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func address(t *testing.T, id string) string {
	t.Helper()
	published, _, _ := strings.Cut(docker(t, "port", id, "8080/tcp"), "\n")
	return "http://" + published
}

// untilHealthy waits until a container answers, and returns how long after its start it did.
func untilHealthy(t *testing.T, id string) time.Duration {
	t.Helper()
	started, err := time.Parse(time.RFC3339Nano, inspect(t, id, "{{.State.StartedAt}}"))
	require.NoError(t, err)
	url := address(t, id) + "/healthy"
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		response, err := http.Get(url) //nolint:gosec // our own container
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return time.Since(started)
			}
		}
		require.True(t, time.Now().Before(deadline), "the container does not answer: %v", err)
	}
}

func TestImage_IsSmallAndHasNothingButTheProgram(t *testing.T) {
	needsImage(t)
	size, err := strconv.Atoi(inspect(t, image, "{{.Size}}"))
	require.NoError(t, err)
	require.Less(t, size, 40_000_000)
	require.Equal(t, "65532:65532", inspect(t, image, "{{.Config.User}}"))
	require.Equal(t, "[/lab-workspace-manager --serve]", inspect(t, image, "{{.Config.Entrypoint}}"))
	require.Equal(t, "map[8080/tcp:{}]", inspect(t, image, "{{.Config.ExposedPorts}}"))
	out, err := exec.Command("docker", "run", "--rm", "--entrypoint", "/bin/sh", image).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "no such file", "there is no shell")
}

func TestImage_SaysWhatItIs(t *testing.T) {
	needsImage(t)
	var labels map[string]string
	require.NoError(t, json.Unmarshal([]byte(inspect(t, image, "{{json .Config.Labels}}")), &labels))
	require.NotEmpty(t, labels["org.opencontainers.image.title"])
	require.Equal(t, docker(t, "run", "--rm", image, "version"), labels["org.opencontainers.image.version"])
	require.Regexp(t, "^[0-9a-f]{40}$", labels["org.opencontainers.image.revision"])
	for label, value := range map[string]string{
		"ctxy.displayName": "Workspaces", "ctxy.icon": "code", "ctxy.endpoints": "8080",
		"ctxy.ui_extension_endpoint": "8080/app#/users/{env.userId}/workspace", "ctxy.api_extension_endpoint": "8080/api",
	} {
		require.Equal(t, value, labels[label], label)
	}
	// Else a lab on the same Docker would take any container of the image for an extension of its own.
	for _, identity := range []string{"ctxy.namespace", "ctxy.projectName", "ctxy.deploymentType", "ctxy.deploymentId"} {
		require.NotContains(t, labels, identity)
	}
}

func TestImage_AnswersWithinASecondInWhatTheLabGivesIt(t *testing.T) {
	needsImage(t)
	best := time.Hour
	for range 3 { // a machine that is busy at one moment says nothing about the program
		id := container(t, with(asInLab, withLab))
		if best = min(best, untilHealthy(t, id)); best < time.Second {
			break
		}
	}
	t.Logf("answers %d ms after the start of its container", best.Milliseconds())
	require.Less(t, best, time.Second)
}

func TestImage_NeedsLittleMemory(t *testing.T) {
	needsImage(t)
	id := container(t, with(asInLab, hardened, withLab))
	untilHealthy(t, id)
	base := address(t, id)
	for range 200 {
		for _, path := range []string{"/healthy", "/app/", "/api/openapi.json", "/api/config"} {
			response, err := http.Get(base + path)
			require.NoError(t, err)
			_ = response.Body.Close()
		}
	}
	megabytes := memoryOf(t, id)
	t.Logf("%.1f MB after 800 requests", megabytes)
	require.Less(t, megabytes, 30.0)
	require.Equal(t, "false", inspect(t, id, "{{.State.OOMKilled}}"))
}

func TestImage_TellsDockerThatItIsHealthy(t *testing.T) {
	needsImage(t)
	id := container(t, with(asInLab, hardened, withLab, []string{"--health-interval", "200ms"}))
	require.Eventually(t, func() bool { return inspect(t, id, "{{.State.Health.Status}}") == "healthy" }, 30*time.Second, 50*time.Millisecond,
		"the health check fails: %s", inspect(t, id, "{{json .State.Health}}"))

	out, err := exec.Command("docker", "run", "--rm", "--entrypoint", "/lab-workspace-manager", image, "healthcheck").CombinedOutput()
	require.Error(t, err, "where no server runs it must fail")
	require.Contains(t, string(out), "nothing answers at 127.0.0.1:8080: connection refused")
}

func TestImage_EndsWellAndSoon(t *testing.T) {
	needsImage(t)
	id := container(t, with(asInLab, withLab))
	untilHealthy(t, id)
	begin := time.Now()
	docker(t, "stop", "--time", "10", id)
	require.Less(t, time.Since(begin), 5*time.Second)
	require.Equal(t, "0", inspect(t, id, "{{.State.ExitCode}}"))
}

// host asks a standalone server about its engine.
func host(t *testing.T, id string) (reachable bool, action string) {
	t.Helper()
	token := docker(t, "exec", id, "/lab-workspace-manager", "token", "show")
	var answer struct {
		Reachable bool
		Action    string
	}
	request, err := http.NewRequest(http.MethodGet, address(t, id)+"/api/host", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	return answer.Reachable, answer.Action
}

// Without a lab it is a manager of its own, on the Docker whose socket it was given.
func TestImage_RunsWithoutALab(t *testing.T) {
	needsImage(t)
	socket := []string{"--volume", "/var/run/docker.sock:/var/run/docker.sock"}
	without := container(t, asInLab)
	untilHealthy(t, without)
	require.Eventually(t, func() bool {
		reachable, action := host(t, without)
		return !reachable && strings.Contains(action, "--volume /var/run/docker.sock:/var/run/docker.sock")
	}, 30*time.Second, 50*time.Millisecond, "it says what to do where it was given none")
	refused := container(t, with(asInLab, socket))
	untilHealthy(t, refused)
	require.Eventually(t, func() bool {
		reachable, action := host(t, refused)
		return !reachable && strings.Contains(action, "--group-add $(stat -c %g /var/run/docker.sock)")
	}, 30*time.Second, 50*time.Millisecond, "it says what to do where it may not open the socket")

	allowed := container(t, with(asInLab, socket, []string{"--group-add", socketGroup(t)}))
	untilHealthy(t, allowed)
	require.Eventually(t, func() bool {
		reachable, _ := host(t, allowed)
		return reachable
	}, 30*time.Second, 50*time.Millisecond, "with the group it reaches Docker")
}

// Nothing of the machine's 127.0.0.1 is in the container, nor any bridge: it joins the networks of the owners.
func TestImage_ReachesWorkspacesFromItsContainer(t *testing.T) {
	needsImage(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	id := container(t, with(asInLab, []string{
		"--volume", "/var/run/docker.sock:/var/run/docker.sock", "--group-add", socketGroup(t),
		"--volume", configFile(t, "[server]\naccess_listen = \":8081\"\n"), "--publish", fmt.Sprintf("127.0.0.1:%d:8081", port),
	}))
	untilHealthy(t, id)
	require.Eventually(t, func() bool { reachable, _ := host(t, id); return reachable }, 30*time.Second, 50*time.Millisecond)
	token := docker(t, "exec", id, "/lab-workspace-manager", "token", "show")
	ask := func(method, path, body string, into any) {
		t.Helper()
		request, err := http.NewRequest(method, address(t, id)+"/api"+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Less(t, response.StatusCode, 300, "%s", text)
		if into != nil {
			require.NoError(t, json.Unmarshal(text, into))
		}
	}

	t.Log("the way in that it prints is the machine's")
	published, _ := strings.CutPrefix(address(t, id), "http://127.0.0.1:")
	said, err := exec.Command("docker", "logs", id).Output()
	require.NoError(t, err)
	require.Contains(t, string(said), "http://127.0.0.1:"+published+"/enter?code=")
	require.Contains(t, string(said), fmt.Sprintf("ssh -L %s:127.0.0.1:%s -L %d:127.0.0.1:%d NAME@MACHINE", published, published, port, port))
	require.NotContains(t, string(said), "--publish")

	var me struct{ ID string }
	ask(http.MethodGet, "/users/me", "", &me)
	workspaces := "/users/" + me.ID + "/workspace"
	var made struct{ ID, Status, Reason string }
	ask(http.MethodPost, workspaces, `{"display_name": "thesis", "container_image": "`+workspaceImage+`"}`, &made)
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "--force", made.ID).Run()
		_ = exec.Command("docker", "volume", "rm", "--force", me.ID+"-"+made.ID+"-vol").Run()
	})
	require.Eventually(t, func() bool {
		ask(http.MethodGet, workspaces+"/"+made.ID, "", &made)
		return made.Status == "running"
	}, 2*time.Minute, 200*time.Millisecond, "%+v", &made)
	require.Empty(t, docker(t, "port", made.ID), "nothing is published for it")

	var link struct{ URL string }
	ask(http.MethodPost, workspaces+"/"+made.ID+":open", `{"address": "loopback"}`, &link)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	status, page := get(t, &http.Client{Jar: jar}, link.URL)
	require.Equal(t, http.StatusOK, status, page)
	require.Contains(t, page, "JupyterLab")

	ask(http.MethodDelete, workspaces+"/"+made.ID+"?delete_volumes=true", "", nil)
	namespace, _, _ := strings.Cut(made.ID, "-p-")
	require.Empty(t, docker(t, "network", "ls", "--quiet", "--filter", "name="+namespace), "the network goes although we were in it")
	docker(t, "restart", id)
	untilHealthy(t, id)
}

// memoryOf is what a container uses, in MB of 2^20 bytes.
func memoryOf(t *testing.T, id string) float64 {
	t.Helper()
	usage, _, _ := strings.Cut(docker(t, "stats", "--no-stream", "--format", "{{.MemUsage}}", id), " /")
	var number float64
	var unit string
	_, err := fmt.Sscanf(usage, "%f%s", &number, &unit)
	require.NoError(t, err)
	require.Equal(t, "MiB", unit)
	return number
}
