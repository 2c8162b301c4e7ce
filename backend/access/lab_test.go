package access

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

const (
	owner = workspace.Owner("ada0")
	id    = workspace.ID("lab-p-ada0-s-thesis")
	other = workspace.ID("lab-p-ada0-s-other")
	base  = "/projects/ada0/services/lab-p-ada0-s-thesis/access/8080b"
	plain = "/projects/ada0/services/lab-p-ada0-s-thesis/access/8080"
)

// lab is a proxy with two workspaces, thesis and other, that one backend plays.
type lab struct {
	t        testing.TB
	proxy    *Proxy
	front    *httptest.Server
	back     *httptest.Server
	resolver *resolver
	clock    *clock
	port     string // of the front, with its colon
}

type resolver struct {
	mu       sync.Mutex
	targets  map[workspace.ID]Target
	starts   int
	startErr error
}

func (r *resolver) Resolve(id workspace.ID) (Target, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	target, found := r.targets[id]
	if !found {
		return Target{}, unknownWorkspace()
	}
	return target, nil
}

func (r *resolver) Start(_ context.Context, _ workspace.Owner, id workspace.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts++
	if r.startErr != nil {
		return r.startErr
	}
	target := r.targets[id]
	target.Status, target.Reason = workspace.StatusPending, "Starting its container."
	r.targets[id] = target
	return nil
}

func (r *resolver) started() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starts
}

func (r *resolver) change(id workspace.ID, change func(*Target)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	target := r.targets[id]
	change(&target)
	r.targets[id] = target
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newLab(t testing.TB, backend http.Handler) *lab {
	t.Helper()
	l := &lab{t: t, clock: &clock{now: time.Now()}}
	l.back = httptest.NewServer(backend)
	t.Cleanup(l.back.Close)
	l.resolver = &resolver{targets: map[workspace.ID]Target{}}
	for _, id := range []workspace.ID{id, other} {
		l.resolver.targets[id] = Target{
			Owner: owner, ID: id, UID: "uid-of-" + string(id), DisplayName: "The thesis",
			Status: workspace.StatusRunning, Endpoint: l.back.URL,
			SecretHeaderName: "Authorization", SecretHeaderValue: "token secret-of-" + string(id),
			AccessPath:  "/projects/ada0/services/" + string(id) + "/access/8080b",
			LandingPath: "/projects/ada0/services/" + string(id) + "/access/8080b/lab",
			Signs:       (&activity.Ledger{}).Trace("uid"),
			Polls:       profile.Minimal.Activity.Polls,
		}
	}
	l.proxy = l.newProxy([]byte("a token"))
	l.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.proxy.ServeHTTP(w, r) }))
	t.Cleanup(func() {
		l.front.CloseClientConnections()
		l.front.Close()
		l.proxy.Close()
	})
	_, port, err := net.SplitHostPort(l.front.Listener.Addr().String())
	require.NoError(t, err)
	l.port = ":" + port
	return l
}

func (l *lab) newProxy(key []byte) *Proxy {
	l.t.Helper()
	proxy, err := New(Options{Resolver: l.resolver, Key: key, Instance: "x7", Problem: writeProblem, Now: l.clock.Now})
	require.NoError(l.t, err)
	return proxy
}

// writeProblem stands for the API's.
func writeProblem(w http.ResponseWriter, status int, code workspace.Code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": detail})
}

// browser is a client with cookies that resolves every name to the front and follows no redirects.
func (l *lab) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(l.t, err)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, l.front.Listener.Addr().String())
		},
		MaxIdleConnsPerHost: 64,
	}
	l.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// visitor is a browser that was let into the workspace.
func (l *lab) visitor(id workspace.ID, m mode) *http.Client {
	l.t.Helper()
	browser := l.browser()
	res, _ := l.get(browser, l.link(id, m))
	require.Equal(l.t, http.StatusSeeOther, res.StatusCode)
	return browser
}

func (l *lab) link(id workspace.ID, m mode) string {
	l.t.Helper()
	link, _, err := l.proxy.Link(owner, id, string(m), l.front.URL)
	require.NoError(l.t, err)
	return link
}

// at is the address of a path in a workspace's origin.
func (l *lab) at(id workspace.ID, m mode, path string) string {
	if m == byHost {
		return "http://" + string(id) + ".localhost" + l.port + path
	}
	return l.front.URL + path
}

func (l *lab) get(client *http.Client, address string, headers ...string) (*http.Response, string) {
	l.t.Helper()
	return l.do(client, http.MethodGet, address, nil, headers...)
}

// do sends a request with headers given as name, value, name, value.
func (l *lab) do(client *http.Client, method, address string, body io.Reader, headers ...string) (*http.Response, string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, address, body)
	require.NoError(l.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := client.Do(req)
	require.NoError(l.t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(l.t, err)
	return res, string(answer)
}

// cookieOf is what the visitor's browser would send to the address.
func cookieOf(t testing.TB, client *http.Client, address string) string {
	t.Helper()
	to, err := url.Parse(address)
	require.NoError(t, err)
	var pairs []string
	for _, cookie := range client.Jar.Cookies(to) {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	return strings.Join(pairs, "; ")
}
