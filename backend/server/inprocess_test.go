package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/server"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// lab is a whole server in this process, on a fake engine: what is tested is everything between the wire and the engine.
type lab struct {
	*program // its requests; there is no process
	engine   *workspacetest.FakeEngine
	log      *safeBuffer
	stop     func()
}

const defaultImage = "lab-workspace-minimal:latest"

var pages = fstest.MapFS{
	"index.html":      {Data: []byte("<!doctype html><title>Workspaces</title>")},
	"assets/a-1.js":   {Data: []byte("1")},
	"docs/index.html": {Data: []byte("<!doctype html><title>Workspaces API</title>")},
}

// load reads a configuration with folders of the test's own.
func load(t *testing.T, home, text string, environment ...string) config.Loaded {
	t.Helper()
	for _, name := range []string{"STATE_HOME", "CONFIG_HOME", "CACHE_HOME"} {
		t.Setenv("XDG_"+name, filepath.Join(home, strings.ToLower(name)))
	}
	options := config.LoadOptions{Environ: append(os.Environ(), environment...)}
	if text != "" {
		options.File = filepath.Join(home, "config.toml")
		require.NoError(t, os.WriteFile(options.File, []byte(text), 0o600))
	}
	loaded, err := config.Load(options)
	require.NoError(t, err)
	return loaded
}

// newLab starts a server that answers.
func newLab(t *testing.T, text string, environment ...string) *lab {
	t.Helper()
	l := &lab{program: &program{t: t, home: t.TempDir(), port: freePort(t), client: http.DefaultClient}, engine: workspacetest.NewFakeEngine(), log: &safeBuffer{}}
	l.engine.AddImage(defaultImage)
	loaded := load(t, l.home, text, append(environment, fmt.Sprintf("PORT=%d", l.port))...)
	loaded.Config.Server.AccessListen = "127.0.0.1:0"
	srv, err := server.New(t.Context(), server.Options{
		Loaded: loaded, Frontend: pages, API: true, Engine: l.engine, Log: slog.New(slog.NewTextHandler(l.log, nil)),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	l.stop = func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
		}
		l.stop = func() {}
	}
	t.Cleanup(func() {
		l.stop()
		require.NotContains(t, l.log.String(), "panic", "nothing may panic")
	})
	text2, err := os.ReadFile(loaded.Folders.TokenFile())
	require.NoError(t, err, "the token is there before anything is served")
	l.secret = strings.TrimSpace(string(text2))
	require.Eventually(t, func() bool {
		var host api.Host
		status, text, err := l.try(http.MethodGet, "/host", nil)
		return err == nil && status == http.StatusOK && json.Unmarshal([]byte(text), &host) == nil && host.Reachable
	}, 10*time.Second, time.Millisecond)
	var me api.User
	l.call(http.MethodGet, "/users/me", nil, &me)
	l.owner = me.ID
	return l
}

// send sends a request as it is, without the token, and does not follow redirects.
func (l *lab) send(method, target string, body []byte, header http.Header) (*http.Response, string) {
	l.t.Helper()
	request, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", l.port, target), bytes.NewReader(body))
	require.NoError(l.t, err)
	for name, values := range header {
		request.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		request.Host = host
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	require.NoError(l.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, response.Body.Close())
	return response, string(text)
}

func (l *lab) bearer() http.Header { return http.Header{"Authorization": {"Bearer " + l.secret}} }

// problem checks that an answer is an error as this API writes them, and returns its sentence.
func problem(t *testing.T, response *http.Response, text string, status int) api.Problem {
	t.Helper()
	require.Equal(t, status, response.StatusCode, text)
	require.Contains(t, response.Header.Get("Content-Type"), "application/problem+json")
	var p api.Problem
	require.NoError(t, json.Unmarshal([]byte(text), &p), text)
	require.NotEmpty(t, p.Detail)
	require.Equal(t, status, p.Status)
	return p
}

// endAtOnce runs a server that is told to end already, so that it gives everything back.
func endAtOnce(t *testing.T, srv *server.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, srv.Run(ctx))
}
