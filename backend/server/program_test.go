package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/contaxy/contaxytest"
	"lab-workspace-manager/backend/engine/docker/dockertest"
	"lab-workspace-manager/backend/store/sqlite"
)

// These tests run the real program as a process of its own, against a real Docker with real containers, and talk to it
// as a script would. They need LAB_TEST_DOCKER=1 and the image lab-workspace-minimal:latest (`make test` sees to both).

const workspaceImage = "lab-workspace-minimal:latest"

func needsDocker(t *testing.T) {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs Docker: set LAB_TEST_DOCKER=1")
	}
}

// buildProgram builds the headless program once for all tests of this package.
var buildProgram = sync.OnceValues(func() (string, error) {
	if built := os.Getenv("LAB_TEST_PROGRAM"); built != "" {
		return built, nil
	}
	folder, err := os.MkdirTemp("", "lab-workspace-manager-test-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(folder, "lab-workspace-manager")
	build := exec.Command("go", "build", "-o", program, "lab-workspace-manager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return program, nil
})

func TestMain(m *testing.M) {
	code := contaxytest.Main(m)
	if program, err := buildProgram(); os.Getenv("LAB_TEST_PROGRAM") == "" && os.Getenv("LAB_TEST_DOCKER") == "1" && err == nil {
		_ = os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// program is a running manager with a state folder of its own.
type program struct {
	t      *testing.T
	home   string
	port   int
	config string
	env    []string

	process *exec.Cmd
	output  *safeBuffer
	client  *http.Client
	owner   string
	secret  string // the token, where it is known already
}

// safeBuffer collects what a process prints.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newProgram prepares a manager; start runs it. Everything it makes in Docker is removed when the test ends.
func newProgram(t *testing.T) *program {
	t.Helper()
	needsDocker(t)
	p := &program{t: t, home: t.TempDir(), port: freePort(t), client: &http.Client{Timeout: 3 * time.Minute}}
	t.Cleanup(func() {
		if t.Failed() && p.output != nil {
			t.Logf("output of the program:\n%s", p.output)
		}
		p.kill()
		p.removeEverything()
	})
	return p
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

// start runs the manager and waits until it answers.
func (p *program) start() *program {
	p.t.Helper()
	p.launch()
	require.Eventually(p.t, func() bool {
		response, err := p.client.Get(p.url("/healthy"))
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, 30*time.Second, 20*time.Millisecond, "the program does not answer: %s", p.output)
	var me api.User
	p.call(http.MethodGet, "/users/me", nil, &me)
	p.owner = me.ID
	require.Eventually(p.t, func() bool {
		var host api.Host
		p.call(http.MethodGet, "/host", nil, &host)
		return host.Reachable
	}, 30*time.Second, 20*time.Millisecond, "the engine is not connected")
	return p
}

func (p *program) launch() {
	p.t.Helper()
	binary, err := buildProgram()
	require.NoError(p.t, err)
	args := []string{"--serve"}
	if p.config != "" {
		file := filepath.Join(p.home, "config.toml")
		require.NoError(p.t, os.WriteFile(file, []byte(p.config), 0o600))
		args = append(args, "--config", file)
	}
	p.output = &safeBuffer{}
	p.process = exec.Command(binary, args...)
	p.process.Env = append(os.Environ(),
		"XDG_STATE_HOME="+filepath.Join(p.home, "state"), "XDG_CONFIG_HOME="+filepath.Join(p.home, "config"),
		"XDG_RUNTIME_DIR="+filepath.Join(p.home, "run"), "XDG_CACHE_HOME="+filepath.Join(p.home, "cache"),
		fmt.Sprintf("PORT=%d", p.port))
	p.process.Env = append(p.process.Env, p.env...)
	p.process.Stdout, p.process.Stderr = p.output, p.output
	require.NoError(p.t, p.process.Start())
}

// kill ends the manager as a power cut would.
func (p *program) kill() {
	if p.process != nil && p.process.ProcessState == nil {
		_ = p.process.Process.Kill()
		_ = p.process.Wait()
	}
}

// interrupt ends the manager as Ctrl C would.
func (p *program) interrupt() {
	p.t.Helper()
	require.NoError(p.t, p.process.Process.Signal(syscall.SIGINT))
	require.NoError(p.t, p.process.Wait(), "a manager that is asked to end ends well: %s", p.output)
}

func (p *program) token() string {
	p.t.Helper()
	if p.secret != "" {
		return p.secret
	}
	text, err := os.ReadFile(filepath.Join(p.home, "state", "lab-workspace-manager", "token"))
	require.NoError(p.t, err)
	return strings.TrimSpace(string(text))
}

func (p *program) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/api%s", p.port, path)
}

// request sends one request as the owner and returns status and body.
func (p *program) request(method, path string, body any) (int, string) {
	p.t.Helper()
	status, text, err := p.try(method, path, body)
	require.NoError(p.t, err)
	return status, text
}

func (p *program) try(method, path string, body any) (int, string, error) {
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return 0, "", err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, p.url(path), reader)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+p.token())
	response, err := p.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// call sends a request that must succeed and decodes its answer.
func (p *program) call(method, path string, body, answer any) {
	p.t.Helper()
	status, text := p.request(method, path, body)
	require.Less(p.t, status, 300, "%s %s: %s", method, path, text)
	if answer != nil {
		require.NoError(p.t, json.Unmarshal([]byte(text), answer), text)
	}
}

func (p *program) workspaces() string { return "/users/" + p.owner + "/workspace" }

func (p *program) create(input map[string]any) api.Workspace {
	p.t.Helper()
	var made api.Workspace
	p.call(http.MethodPost, p.workspaces(), input, &made)
	return made
}

func (p *program) get(id string) api.Workspace {
	p.t.Helper()
	var found api.Workspace
	p.call(http.MethodGet, p.workspaces()+"/"+id, nil, &found)
	return found
}

// reach waits until a workspace has a status and returns it.
func (p *program) reach(id, status string) api.Workspace {
	p.t.Helper()
	return p.reachIf(id, status, func(w api.Workspace) bool { return w.Status == status })
}

func (p *program) reachIf(id, what string, met func(api.Workspace) bool) api.Workspace {
	p.t.Helper()
	var last api.Workspace
	deadline := time.Now().Add(90 * time.Second)
	for last = p.get(id); !met(last); last = p.get(id) {
		if time.Now().After(deadline) {
			require.Fail(p.t, "never "+what, "it is %s (%s), wanted %s: %s", last.Status, last.Phase, last.Desired, last.Reason)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return last
}

// open follows the one-time address into the IDE with plain redirects and cookies, and returns a client that is in.
func (p *program) open(id string) (*http.Client, *http.Response) {
	p.t.Helper()
	var link api.Link
	p.call(http.MethodPost, p.workspaces()+"/"+id+":open", nil, &link)
	jar, err := cookiejar.New(nil)
	require.NoError(p.t, err)
	browser := &http.Client{Jar: jar, Timeout: time.Minute, Transport: loopbackTransport()}
	response, err := browser.Get(link.URL)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = response.Body.Close() })
	return browser, response
}

// loopbackTransport resolves every name below localhost as browsers do.
func loopbackTransport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
}

// docker runs the Docker client, as another hand would.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	return dockertest.Run(t, "docker", args...)
}

// removeEverything removes what this manager made in Docker, by its owner label and the prefix of its instance.
func (p *program) removeEverything() {
	id := p.instance()
	if id == "" {
		return
	}
	filter := "label=lab-workspace-manager.instance=" + id
	for _, kind := range [][2]string{{"container", "rm -f -v"}, {"volume", "rm -f"}, {"network", "rm"}} {
		list := []string{kind[0], "ls", "-q", "--filter", filter}
		if kind[0] == "container" {
			list = append(list, "-a")
		}
		out, err := exec.Command("docker", list...).Output()
		if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
			remove := append(append([]string{kind[0]}, strings.Fields(kind[1])...), ids...)
			if out, err := exec.Command("docker", remove...).CombinedOutput(); err != nil {
				p.t.Logf("not removed: %s", out)
			}
		}
	}
}

// instance is the id that this manager's things carry, read from its state once it has ended.
func (p *program) instance() string {
	store, err := sqlite.Open(filepath.Join(p.home, "state", "lab-workspace-manager", "state.db"))
	if err != nil {
		return ""
	}
	defer func() { _ = store.Close() }()
	id, err := store.GetMeta(context.Background(), "instance")
	if err != nil {
		return ""
	}
	return id
}
