package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
)

// Any of the images people really use starts by naming it. These tests name an image and nothing else, and then use the
// workspace as a browser does: through the access proxy, with cookies, redirects and WebSockets.

const (
	vscodeImage = "lab-workspace-vscode:latest"

	// The catalogue offers none of the images, so that what they are has to be seen from themselves.
	kindsConfig = `
[images]
allowed = ["` + workspaceImage + `", "` + vscodeImage + `", "lab-test-*"]
pull = "never"

[[image]]
name = "Another one"
image = "lab-another:latest"
profile = "custom"
`
)

// imageOf builds one of the images of build/images/testdata. It stays, so that the next run finds all its layers.
func imageOf(t *testing.T, name string) string {
	t.Helper()
	image := "lab-test-" + name + ":latest"
	build := exec.Command("docker", "build", "-q", "-t", image, "../../build/images/testdata/"+name)
	build.Env = append(build.Environ(), "DOCKER_BUILDKIT=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return image
}

func TestKinds_JupyterLab(t *testing.T) {
	p := newProgram(t)
	p.config = kindsConfig
	p.start()
	k := p.startKind(kind{image: workspaceImage, profile: "workspace-minimal", access: "8080b", mount: "/workspace", page: "JupyterLab"})
	k.refusesWithoutSecret("/lab", http.StatusFound, "./login?next=") // relative: it holds wherever a proxy has put it
	k.refusesWithoutSecret("/api/contents", http.StatusForbidden, "")

	k.inBothModes(func(v *visitor) {
		v.leadsTo("/", "/lab")
		v.leadsTo("/login?next=%2F%2Fevil.example%2F", "/")
		require.Equal(t, "2", v.execute("1+1"), "a kernel")
	})

	t.Log("what pip installs in a terminal stays, and programs count the CPUs that they may use")
	v := k.visit("host")
	shell := v.terminal()
	require.Equal(t, "1", shell.run(`echo $OMP_NUM_THREADS`))
	require.Contains(t, shell.run(`python3 -c "import iniconfig"`), "ModuleNotFoundError", "it must not be here already")
	require.Contains(t, shell.run(`pip install iniconfig==2.0.0`), "Successfully installed iniconfig-2.0.0")
	cpus := min(2, runtime.NumCPU())
	p.call(http.MethodPatch, p.workspaces()+"/"+k.id, map[string]any{"compute": map[string]any{"cpus": cpus}}, nil)
	k.keepsFiles(func() { v.writeContents("kept.txt", "precious") }, func() {
		v = k.visit("loopback")
		require.Equal(t, "precious", v.readContents("kept.txt"))
	})
	shell = v.terminal()
	require.Contains(t, shell.run(`python3 -c "import iniconfig; print(iniconfig.__file__)"`), "/workspace/")
	require.Equal(t, fmt.Sprint(cpus), shell.run(`echo $OMP_NUM_THREADS`))
}

func TestKinds_DockerStacks(t *testing.T) {
	p := newProgram(t)
	p.config = kindsConfig
	image := imageOf(t, "stacks-like")
	p.start()
	k := p.startKind(kind{image: image, profile: "jupyter-docker-stacks", access: "8888b", mount: "/home/jovyan", page: "JupyterLab"})
	k.refusesWithoutSecret("/lab", http.StatusFound, k.path+"/login?next=")
	k.refusesWithoutSecret("/api/contents", http.StatusForbidden, "")
	k.inBothModes(func(v *visitor) {
		v.leadsTo("/", "/lab")
		require.Equal(t, "2", v.execute("1+1"), "a kernel")
	})
	v := k.visit("host")
	k.keepsFiles(func() { v.writeContents("work/kept.txt", "precious") }, func() {
		require.Equal(t, "precious", v.readContents("work/kept.txt"), "who was in stays in")
	})
}

// Its folder for files is none of the image's, which runs as an ordinary user.
func TestKinds_AnotherJupyterLab(t *testing.T) {
	p := newProgram(t)
	p.config = kindsConfig
	image := "lab-test-another-jupyter:latest"
	build := exec.Command("docker", "build", "-q", "-t", image, "-")
	build.Env = append(build.Environ(), "DOCKER_BUILDKIT=0")
	build.Stdin = strings.NewReader("FROM " + imageOf(t, "stacks-like") + "\nENTRYPOINT []\nCMD [\"jupyter\", \"lab\"]\n")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	p.start()
	k := p.startKind(kind{image: image, profile: "jupyter", access: "8888b", mount: "/workspace", page: "JupyterLab"})
	k.refusesWithoutSecret("/api/contents", http.StatusForbidden, "")
	v := k.visit("host")
	require.Equal(t, "2", v.execute("1+1"), "a kernel")
	k.keepsFiles(func() { v.writeContents("kept.txt", "precious") }, func() { require.Equal(t, "precious", v.readContents("kept.txt")) })
}

func TestKinds_VSCode(t *testing.T) {
	needsDocker(t)
	if exec.Command("docker", "image", "inspect", vscodeImage).Run() != nil {
		t.Skip("needs " + vscodeImage + ", which a first run does not build: images build workspace-vscode")
	}
	p := newProgram(t)
	p.config = kindsConfig
	p.start()
	k := p.startKind(kind{image: vscodeImage, profile: "workspace-vscode", access: "8080", mount: "/workspace", page: "workbench"})
	k.refusesWithoutSecret("/", http.StatusFound, "./login")
	k.refusesWithoutSecret("/?folder=/workspace", http.StatusFound, "./login?folder=/workspace&to=")
	k.inBothModes(func(v *visitor) {
		v.leadsTo("", "/") // the path without its slash
		v.leadsTo("/", "/?folder=/workspace")
		v.leadsTo("/login", "/?folder=/workspace") // to whoever is in
		v.greetVSCode()
	})
	k.keepsFilesInShell()
}

func TestKinds_PlainHTTP(t *testing.T) {
	p := newProgram(t)
	p.config = kindsConfig
	image := imageOf(t, "plain-http")
	p.start()
	k := p.startKind(kind{image: image, profile: "custom", port: 9000, access: "9000", mount: "/workspace", page: "<h1>Plain</h1>"})
	k.inBothModes(func(v *visitor) {
		v.leadsTo("", "/")
		v.echoes()
		v.keepsCredentialsBack(p.token())
	})
	k.keepsFilesInShell()

	t.Log("an image that is not allowed")
	status, text := p.request(http.MethodPost, p.workspaces(), map[string]any{"display_name": "elsewhere", "container_image": "elsewhere/lab-test-x:1"})
	require.Equal(t, http.StatusUnprocessableEntity, status, text)
	var refused api.Problem
	require.NoError(t, json.Unmarshal([]byte(text), &refused))
	require.Contains(t, refused.Detail, `The image "elsewhere/lab-test-x:1" is not among those that may be used here`)
	status, text = p.request(http.MethodPatch, p.workspaces()+"/"+k.id, map[string]any{"container_image": "elsewhere/lab-test-x:1"})
	require.Equal(t, http.StatusUnprocessableEntity, status, text)

	t.Log("a wrong guess can be corrected")
	guessed := p.create(map[string]any{"display_name": "guessed", "container_image": image, "profile": "custom", "port": 9000})
	require.Equal(t, "custom", guessed.Profile)
	require.Equal(t, 9000, guessed.Port)
	p.reach(guessed.ID, "running")
	p.call(http.MethodPatch, p.workspaces()+"/"+guessed.ID, map[string]any{"port": 9001}, nil)
	p.reachIf(guessed.ID, "waiting for an answer on another port", func(w api.Workspace) bool { return w.Status == "pending" && w.Phase == "answers" })
	p.call(http.MethodPatch, p.workspaces()+"/"+guessed.ID, map[string]any{"port": 9000}, nil)
	running := p.reach(guessed.ID, "running")
	require.True(t, strings.HasSuffix(*running.AccessURL, "/access/9000"), *running.AccessURL)
	_, response := p.open(guessed.ID)
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// kind is an image, and what a workspace of it is expected to be.
type kind struct {
	image   string
	profile string
	port    int    // of its own, where its profile has another
	access  string // the end of its path
	mount   string
	page    string // in the page that its link leads to

	*program
	id, path string
}

// startKind creates a workspace by naming its image and nothing else.
func (p *program) startKind(k kind) *kind {
	p.t.Helper()
	begun := time.Now()
	k.program, k.id = p, p.create(map[string]any{"display_name": k.profile, "container_image": k.image}).ID
	running := p.reachIf(k.id, "running", func(w api.Workspace) bool {
		require.NotEqual(p.t, "failed", w.Status, w.Reason)
		return w.Status == "running"
	})
	p.t.Logf("%s: %v from its creation to running", k.image, time.Since(begun).Round(time.Millisecond))
	require.Equal(p.t, k.profile, running.Profile)
	require.Equal(p.t, k.port, running.Port)
	k.path = *running.AccessURL
	require.Equal(p.t, "/projects/"+p.owner+"/services/"+k.id+"/access/"+k.access, k.path)
	return &k
}

// refusesWithoutSecret asks the container itself, as another program of this machine could. Its IDE sees the path only
// where it was told of it.
func (k *kind) refusesWithoutSecret(path string, status int, location string) {
	k.t.Helper()
	address := docker(k.t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", k.id)
	port := strings.TrimSuffix(k.access, "b")
	if port != k.access {
		path = k.path + path
	}
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get("http://" + address + ":" + port + path)
	require.NoError(k.t, err)
	require.NoError(k.t, response.Body.Close())
	require.Equal(k.t, status, response.StatusCode, path)
	require.True(k.t, strings.HasPrefix(response.Header.Get("Location"), location), response.Header.Get("Location"))
}

// inBothModes visits the workspace at a host of its own and below a path.
func (k *kind) inBothModes(use func(*visitor)) {
	k.t.Helper()
	for _, mode := range []string{"host", "loopback"} {
		k.t.Logf("%s by %s", k.profile, mode)
		use(k.visit(mode))
	}
}

// keepsFiles writes, stops, starts and reads.
func (k *kind) keepsFiles(write, read func()) {
	k.t.Helper()
	write()
	k.call(http.MethodPost, k.workspaces()+"/"+k.id+":stop", nil, nil)
	require.Equal(k.t, "stopped", k.get(k.id).Status)
	k.call(http.MethodPost, k.workspaces()+"/"+k.id+":start", nil, nil)
	k.reach(k.id, "running")
	read()
}

func (k *kind) keepsFilesInShell() {
	k.t.Helper()
	k.keepsFiles(func() { docker(k.t, "exec", k.id, "sh", "-c", "echo precious > "+k.mount+"/kept.txt") }, func() {
		require.Equal(k.t, "precious", docker(k.t, "exec", k.id, "cat", k.mount+"/kept.txt"))
	})
}

// visitor is a browser that came by a one-time link.
type visitor struct {
	*kind
	client *http.Client
	origin string // "http://host:port"
	base   string // origin and access path
}

// visit follows a new link into the workspace. No redirect may ever lead out of it.
func (k *kind) visit(mode string) *visitor {
	k.t.Helper()
	var link api.Link
	k.call(http.MethodPost, k.workspaces()+"/"+k.id+":open", map[string]any{"address": mode}, &link)
	first, err := url.Parse(link.URL)
	require.NoError(k.t, err)
	require.Equal(k.t, mode == "host", strings.HasPrefix(first.Host, k.id+".localhost:"), link.URL)
	jar, err := cookiejar.New(nil)
	require.NoError(k.t, err)
	v := &visitor{kind: k, origin: "http://" + first.Host}
	v.base = v.origin + k.path
	v.client = &http.Client{Jar: jar, Timeout: time.Minute, Transport: loopbackTransport(), CheckRedirect: func(next *http.Request, before []*http.Request) error {
		if len(before) > 5 || next.URL.Host != first.Host || !strings.HasPrefix(next.URL.Path, k.path) {
			return fmt.Errorf("a redirect leads from %s to %s", before[len(before)-1].URL, next.URL)
		}
		return nil
	}}
	response, page := v.send(http.MethodGet, link.URL, nil)
	require.Equal(k.t, http.StatusOK, response.StatusCode, page)
	require.NotContains(k.t, response.Request.URL.Path, "login")
	require.Contains(k.t, page, k.page)
	secret := docker(k.t, "exec", k.id, "printenv", "LAB_WORKSPACE_SECRET")
	// JupyterLab writes its own token into its pages; who sees these may run programs in it, which know it as well.
	for _, cookie := range jar.Cookies(response.Request.URL) {
		require.NotContains(k.t, cookie.Value, secret, cookie.Name)
	}
	return v
}

// send sends what a page sends, with headers given as name and value.
func (v *visitor) send(method, address string, body any, headers ...string) (*http.Response, string) {
	v.t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(v.t, err)
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, address, reader)
	require.NoError(v.t, err)
	if method != http.MethodGet {
		request.Header.Set("Origin", v.origin)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := v.client.Do(request)
	require.NoError(v.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return response, string(text)
}

// ask sends a request to the IDE that must succeed.
func (v *visitor) ask(method, path string, body, answer any) {
	v.t.Helper()
	response, text := v.send(method, v.base+path, body)
	require.Less(v.t, response.StatusCode, 300, "%s %s: %s", method, path, text)
	if answer != nil {
		require.NoError(v.t, json.Unmarshal([]byte(text), answer), text)
	}
}

// leadsTo follows the redirects from one path of the workspace to another one.
func (v *visitor) leadsTo(from, to string) {
	v.t.Helper()
	response, _ := v.send(http.MethodGet, v.base+from, nil)
	require.Equal(v.t, http.StatusOK, response.StatusCode, response.Request.URL)
	require.True(v.t, strings.HasPrefix(response.Request.URL.String(), v.base+to), response.Request.URL)
}

// socket opens a WebSocket as a page does.
func (v *visitor) socket(path string) (*websocket.Conn, context.Context) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	v.t.Cleanup(cancel)
	conn, response, err := websocket.Dial(ctx, v.base+path, &websocket.DialOptions{HTTPClient: v.client, HTTPHeader: http.Header{"Origin": {v.origin}}})
	require.NoError(v.t, err)
	require.Equal(v.t, http.StatusSwitchingProtocols, response.StatusCode)
	conn.SetReadLimit(1 << 20)
	v.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, ctx
}

// execute runs Python in a kernel of Jupyter and returns what it evaluates to.
func (v *visitor) execute(code string) string {
	v.t.Helper()
	var kernel struct{ ID string }
	v.ask(http.MethodPost, "/api/kernels", map[string]any{"name": "python3"}, &kernel)
	conn, ctx := v.socket("/api/kernels/" + kernel.ID + "/channels")
	type header struct {
		ID      string `json:"msg_id"`
		Session string `json:"session"`
		Name    string `json:"username"`
		Type    string `json:"msg_type"`
		Version string `json:"version"`
	}
	require.NoError(v.t, wsjson.Write(ctx, conn, map[string]any{
		"header": header{"m1", "s1", "", "execute_request", "5.3"}, "parent_header": struct{}{}, "metadata": struct{}{}, "channel": "shell", "buffers": []any{},
		"content": map[string]any{"code": code, "silent": false, "store_history": true, "user_expressions": struct{}{}, "allow_stdin": false, "stop_on_error": true},
	}))
	for {
		var message struct {
			Header  header
			Content struct{ Data map[string]any }
		}
		require.NoError(v.t, wsjson.Read(ctx, conn, &message), "no result")
		if message.Header.Type == "execute_result" {
			v.ask(http.MethodDelete, "/api/kernels/"+kernel.ID, nil, nil)
			return fmt.Sprint(message.Content.Data["text/plain"])
		}
	}
}

func (v *visitor) writeContents(path, text string) {
	v.t.Helper()
	v.ask(http.MethodPut, "/api/contents/"+path, map[string]any{"type": "file", "format": "text", "content": text}, nil)
	require.Equal(v.t, text, docker(v.t, "exec", v.id, "cat", v.mount+"/"+path))
}

func (v *visitor) readContents(path string) string {
	v.t.Helper()
	var file struct{ Content string }
	v.ask(http.MethodGet, "/api/contents/"+path, nil, &file)
	return file.Content
}

// terminal is one of JupyterLab's.
type terminal struct {
	*visitor
	conn *websocket.Conn
	ctx  context.Context
	runs int
}

func (v *visitor) terminal() *terminal {
	v.t.Helper()
	var made struct{ Name string }
	v.ask(http.MethodPost, "/api/terminals", nil, &made)
	conn, ctx := v.socket("/terminals/websocket/" + made.Name)
	shell := &terminal{visitor: v, conn: conn, ctx: ctx}
	require.NoError(v.t, wsjson.Write(ctx, conn, []any{"set_size", 50, 500}))
	shell.run("stty -echo; bind 'set enable-bracketed-paste off'; PS1=''")
	return shell
}

// run types a command and returns what it printed. What ends the output is not in what is typed, which may be echoed.
func (s *terminal) run(command string) string {
	s.t.Helper()
	s.runs++
	begin, end := fmt.Sprintf("<%d|begin>", s.runs), fmt.Sprintf("<%d|end>", s.runs)
	typed := fmt.Sprintf("printf '<%%d|begin>' %d; %s; printf '<%%d|end>' %d\r", s.runs, command, s.runs)
	require.NoError(s.t, wsjson.Write(s.ctx, s.conn, []any{"stdin", typed}))
	for output := ""; ; {
		var message []any
		require.NoError(s.t, wsjson.Read(s.ctx, s.conn, &message), "%s: %s", command, output)
		if len(message) < 2 || message[0] != "stdout" {
			continue
		}
		output += fmt.Sprint(message[1])
		if _, printed, begun := strings.Cut(output, begin); begun {
			if printed, _, ended := strings.Cut(printed, end); ended {
				return strings.TrimSpace(printed)
			}
		}
	}
}

// greetVSCode opens the WebSocket of VS Code's page and has its server answer in its own protocol.
func (v *visitor) greetVSCode() {
	v.t.Helper()
	_, page := v.send(http.MethodGet, v.base+"/?folder=/workspace", nil)
	place := regexp.MustCompile(`id="vscode-workbench-web-base-url" data-settings="([^"]+)/static"`).FindStringSubmatch(page)
	require.Len(v.t, place, 2, page)
	conn, ctx := v.socket("/" + place[1] + "?reconnectionToken=6f9a2cf4-3c1d-4b5e-9f60-1c2d3e4f5a6b&reconnection=false&skipWebSocketFrames=false")
	// Kind (2 is control), number, acknowledged number and length: VS Code's PersistentProtocol.
	hello := []byte(`{"type":"auth","auth":"00000000000000000000","data":"hello"}`)
	frame := append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(len(hello)))...)
	require.NoError(v.t, conn.Write(ctx, websocket.MessageBinary, append(frame, hello...)))
	_, answer, err := conn.Read(ctx)
	require.NoError(v.t, err)
	require.Contains(v.t, string(answer), `"type":"sign"`)
}

// echoes sends text and bytes through the WebSocket of the plain server.
func (v *visitor) echoes() {
	v.t.Helper()
	conn, ctx := v.socket("/ws")
	for _, sent := range []struct {
		kind websocket.MessageType
		data []byte
	}{
		{websocket.MessageText, []byte("Grüße")},
		{websocket.MessageBinary, []byte{0, 255, 1, 128}},
		{websocket.MessageBinary, bytes.Repeat([]byte{0xA5}, 300_000)},
	} {
		require.NoError(v.t, conn.Write(ctx, sent.kind, sent.data))
		kind, data, err := conn.Read(ctx)
		require.NoError(v.t, err)
		require.Equal(v.t, sent.kind, kind)
		require.True(v.t, bytes.Equal(sent.data, data))
	}
	require.NoError(v.t, conn.Close(websocket.StatusNormalClosure, ""))
}

// keepsCredentialsBack sends everything that could let somebody in and looks at what the workspace gets of it.
func (v *visitor) keepsCredentialsBack(token string) {
	v.t.Helper()
	at, err := url.Parse(v.base + "/headers")
	require.NoError(v.t, err)
	ours := v.client.Jar.Cookies(at)
	require.NotEmpty(v.t, ours)
	v.client.Jar.SetCookies(at, []*http.Cookie{{Name: "theirs", Value: "stays"}, {Name: "ct_token", Value: token}})
	_, text := v.send(http.MethodGet, at.String()+"?ct_token="+token, nil, "Authorization", "Bearer "+token, "ct_token", token)
	var seen map[string]string
	require.NoError(v.t, json.Unmarshal([]byte(text), &seen), text)
	require.Equal(v.t, "theirs=stays", seen["Cookie"])
	require.NotContains(v.t, seen, "Authorization")
	require.NotContains(v.t, text, token)
	for _, cookie := range ours {
		require.NotContains(v.t, text, cookie.Name)
		require.NotContains(v.t, text, cookie.Value)
	}
}
