package jupyter_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/access"
	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/activity/jupyter"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

const (
	owner = workspace.Owner("ada0")
	id    = workspace.ID("lab-p-ada0-s-thesis")
	uid   = "uid"
)

// real is a JupyterLab in a container, reached through the access proxy as a browser reaches it, with a ledger that
// hears of both.
type real struct {
	t      *testing.T
	ctx    context.Context
	proxy  string // its address
	client *http.Client
	target jupyter.Target
	prober *jupyter.Prober
	ledger activity.Ledger
}

type resolver struct{ target access.Target }

func (r *resolver) Resolve(workspace.ID) (access.Target, error) { return r.target, nil }
func (r *resolver) Start(context.Context, workspace.Owner, workspace.ID) error {
	return nil
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func startReal(t *testing.T) *real {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs Docker: set LAB_TEST_DOCKER=1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	path := profile.Minimal.AccessPath(owner, id)
	container := docker(t, "run", "--detach", "--rm", "--env", "WORKSPACE_BASE_URL="+path, "--env", "AUTHENTICATE_VIA_JUPYTER=sesame", "lab-workspace-minimal:latest")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", container).Run() })
	endpoint := "http://" + docker(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container) + ":8080"

	r := &real{t: t, ctx: ctx, prober: jupyter.New(nil), target: jupyter.Target{
		Endpoint: endpoint, Path: path, SecretHeaderName: "Authorization", SecretHeaderValue: "token sesame",
	}}
	t.Cleanup(r.prober.Close)
	proxy, err := access.New(access.Options{Key: []byte("k"), Instance: "x7",
		Problem: func(w http.ResponseWriter, status int, _ workspace.Code, _ string) { w.WriteHeader(status) },
		Resolver: &resolver{access.Target{
			Owner: owner, ID: id, UID: uid, Status: workspace.StatusRunning, Endpoint: endpoint, AccessPath: path,
			SecretHeaderName: "Authorization", SecretHeaderValue: "token sesame",
			Signs: r.ledger.Trace(uid), Polls: profile.Minimal.Activity.Polls, QuietFrame: profile.Minimal.Activity.QuietFrame,
		}}})
	require.NoError(t, err)
	front := httptest.NewServer(proxy)
	t.Cleanup(func() { front.CloseClientConnections(); front.Close(); proxy.Close() })
	r.proxy = front.URL + path
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	dialer := &net.Dialer{}
	r.client = &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dialer.DialContext}}
	require.Eventually(t, func() bool {
		_, err := r.prober.Probe(ctx, r.target)
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	link, _, err := proxy.Link(owner, id, "loopback", front.URL)
	require.NoError(t, err)
	res, err := r.client.Get(link)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	return r
}

// send does what a page does with a request, and decodes the answer.
func (r *real) send(method, path, body string, into any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.ctx, method, r.proxy+path, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	res, err := r.client.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	require.Less(r.t, res.StatusCode, 300, "%s", text)
	if into != nil {
		require.NoError(r.t, json.Unmarshal(text, into))
	}
}

func (r *real) socket(path string) *websocket.Conn {
	r.t.Helper()
	conn, _, err := websocket.Dial(r.ctx, r.proxy+path, &websocket.DialOptions{HTTPClient: r.client})
	require.NoError(r.t, err)
	conn.SetReadLimit(1 << 20)
	return conn
}

// probe asks, notes what it hears, and returns it.
func (r *real) probe() []activity.Vote {
	r.t.Helper()
	votes, err := r.prober.Probe(r.ctx, r.target)
	require.NoError(r.t, err)
	r.ledger.Put(uid, votes)
	return votes
}

// verdict is what follows from all that is known, for a timeout, as if it were that much later.
func (r *real) verdict(timeout, later time.Duration) activity.Verdict {
	return activity.Decide(r.ledger.Votes(uid), timeout, time.Now().Add(later))
}

func newest(votes []activity.Vote, kind string) time.Time {
	var newest time.Time
	for _, vote := range votes {
		if vote.Kind == kind && vote.At.After(newest) {
			newest = vote.At
		}
	}
	return newest
}

func message(kind string, content map[string]any) map[string]any {
	return map[string]any{
		"header":        map[string]any{"msg_id": "m-" + kind, "msg_type": kind, "username": "", "session": "s", "version": "5.3", "date": time.Now().UTC().Format(time.RFC3339)},
		"parent_header": map[string]any{}, "metadata": map[string]any{}, "channel": "shell", "buffers": []any{}, "content": content,
	}
}

func TestReal_ASilentCellLivesAndAForgottenTabDoesNotKeepAlive(t *testing.T) {
	r := startReal(t)
	var session struct {
		Kernel struct {
			ID string `json:"id"`
		} `json:"kernel"`
	}
	r.send(http.MethodPost, "/api/sessions", `{"path":"work/thesis.ipynb","name":"thesis.ipynb","type":"notebook","kernel":{"name":"python3"}}`, &session)
	require.Equal(t, "Somebody worked in it just now.", r.verdict(time.Hour, 0).Reason)

	t.Log("a silent cell")
	channels := "/api/kernels/" + session.Kernel.ID + "/channels?session_id=s"
	page := r.socket(channels)
	require.NoError(t, wsjson.Write(r.ctx, page, message("execute_request", map[string]any{"code": "import time; time.sleep(8)", "silent": false})))
	require.NoError(t, page.CloseNow(), "the browser is closed")
	require.Eventually(t, func() bool { r.probe(); return r.verdict(time.Hour, 0).InUse }, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, "A cell of thesis.ipynb runs.", r.verdict(time.Hour, 0).Reason)
	require.False(t, r.verdict(time.Minute, 1000*time.Hour).Due(time.Now().Add(1000*time.Hour)), "as long as it runs")
	began := time.Now()
	require.Eventually(t, func() bool { r.probe(); return !r.verdict(time.Hour, 0).InUse }, 30*time.Second, 100*time.Millisecond)
	require.Greater(t, time.Since(began), 3*time.Second)
	require.Equal(t, "A cell of thesis.ipynb ran just now.", r.verdict(time.Hour, 0).Reason)
	after := r.verdict(time.Hour, 2*time.Hour)
	require.True(t, after.Due(time.Now().Add(2*time.Hour)))
	require.Equal(t, "A cell of thesis.ipynb ran 1 h ago.", r.verdict(time.Hour, 119*time.Minute).Reason)

	t.Log("output of a terminal that no page shows")
	r.send(http.MethodPost, "/api/terminals", `{}`, nil)
	page = r.socket("/terminals/websocket/1")
	require.NoError(t, wsjson.Write(r.ctx, page, []any{"stdin", "sleep 7; echo done\r"}))
	require.NoError(t, page.Close(websocket.StatusNormalClosure, ""))
	time.Sleep(4 * time.Second) // the shell says no more, and no socket is near
	silent := newest(r.probe(), activity.KindTerminal)
	require.Eventually(t, func() bool { return newest(r.probe(), activity.KindTerminal).After(silent) }, 20*time.Second, 100*time.Millisecond)
	require.Equal(t, "Terminal 1 printed something just now.", r.verdict(time.Hour, 0).Reason)

	t.Log("a forgotten tab")
	time.Sleep(4 * time.Second)
	r.probe()
	before := r.verdict(time.Hour, 0)
	printed := newest(r.probe(), activity.KindTerminal)
	for range 3 {
		kernel, terminal, events := r.socket(channels), r.socket("/terminals/websocket/1"), r.socket("/api/events/subscribe")
		require.NoError(t, wsjson.Write(r.ctx, kernel, message("kernel_info_request", map[string]any{})))
		for _, path := range []string{"/api/contents?content=1", "/api/sessions", "/api/kernels", "/api/terminals", "/api/me", "/lab/api/workspaces"} {
			r.send(http.MethodGet, path, "", nil)
		}
		r.send(http.MethodPut, "/lab/api/workspaces/default?1", `{"data":{},"metadata":{"id":"default"}}`, nil)
		require.Eventually(t, func() bool { return newest(r.probe(), activity.KindTerminal).After(printed) }, 20*time.Second, 50*time.Millisecond,
			"Jupyter takes the new connection for use")
		for _, conn := range []*websocket.Conn{kernel, terminal, events} {
			_ = conn.CloseNow()
		}
		r.probe()
		now := r.verdict(time.Hour, 0)
		require.Equal(t, before.StopsAt, now.StopsAt, now.Reason)
		printed = newest(r.probe(), activity.KindTerminal)
	}

	t.Log("nobody answers")
	r.target.Endpoint = "http://127.0.0.1:1"
	_, err := r.prober.Probe(r.ctx, r.target)
	require.Error(t, err)
	r.ledger.Unanswered(uid)
	require.Equal(t, before.StopsAt, r.verdict(time.Hour, 0).StopsAt)
}

func TestReal_AskingIsNoUse(t *testing.T) {
	r := startReal(t)
	var status struct {
		LastActivity time.Time `json:"last_activity"`
	}
	r.send(http.MethodGet, "/api/status?no_track_activity=1", "", &status)
	before := status.LastActivity
	for range 3 {
		r.probe()
	}
	r.send(http.MethodGet, "/api/status?no_track_activity=1", "", &status)
	require.Equal(t, before, status.LastActivity, "nor does Jupyter itself take it for use")
}
