package server_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/auth"
	"lab-workspace-manager/backend/server"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func tryNew(t *testing.T, home string, environment ...string) error {
	t.Helper()
	loaded := load(t, home, "", environment...)
	srv, err := server.New(t.Context(), server.Options{Loaded: loaded, API: true, Engine: workspacetest.NewFakeEngine(), Log: slog.New(slog.DiscardHandler)})
	require.True(t, (srv == nil) == (err != nil))
	return err
}

func TestNew_RefusesAStateFolderInUse(t *testing.T) {
	l := newLab(t, "")
	err := tryNew(t, l.home, fmt.Sprintf("PORT=%d", freePort(t)))
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err))
	require.Contains(t, err.Error(), "Another workspace manager uses the state folder")
}

func TestNew_RefusesAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	port := taken.Addr().(*net.TCPAddr).Port
	home := t.TempDir()
	err = tryNew(t, home, fmt.Sprintf("PORT=%d", port))
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err))
	require.Contains(t, err.Error(), fmt.Sprintf("127.0.0.1:%d", port))
	require.Contains(t, err.Error(), "in use by another program")

	srv, err := server.New(t.Context(), server.Options{
		Loaded: load(t, home, "", fmt.Sprintf("PORT=%d", freePort(t))), API: true, Engine: workspacetest.NewFakeEngine(), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err, "a start that failed leaves nothing locked")
	var greeting strings.Builder
	srv.Greet(&greeting)
	require.Regexp(t, `http://127\.0\.0\.1:\d+/enter\?code=\S+`, greeting.String())
	require.Regexp(t, `ssh -L \d+:127\.0\.0\.1:\d+ -L \d+:127\.0\.0\.1:\d+ \S+@\S+`, greeting.String())
	endAtOnce(t, srv)
}

// The usual access port is taken (by another manager, mostly): a free one serves as well.
func TestNew_MovesTheAccessPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:8081")
	if err == nil {
		defer func() { require.NoError(t, taken.Close()) }()
	}
	loaded := load(t, t.TempDir(), "", fmt.Sprintf("PORT=%d", freePort(t)))
	srv, err := server.New(t.Context(), server.Options{Loaded: loaded, API: true, Engine: workspacetest.NewFakeEngine(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NotEqual(t, 8081, srv.Presenter.Access.Port)
	require.NotZero(t, srv.Presenter.Access.Port)
	endAtOnce(t, srv)
}

func TestNew_SaysWhatIsWrongWithTheStateFolder(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, "state_home"), []byte("a file"), 0o600))
	err := tryNew(t, home, fmt.Sprintf("PORT=%d", freePort(t)))
	require.Contains(t, err.Error(), "cannot be used")
	require.Contains(t, workspace.HintOf(err), "XDG_STATE_HOME")
}

func TestNew_KeepsTheTokenToItself(t *testing.T) {
	l := newLab(t, "")
	for _, file := range []string{"token", "state.db"} {
		info, err := os.Stat(filepath.Join(l.home, "state_home", "lab-workspace-manager", file))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

func TestServer_TakesUpATokenThatIsRotated(t *testing.T) {
	l := newLab(t, "")
	mine := "/users/" + l.owner + "/workspace"
	var made api.Workspace
	l.call(http.MethodPost, mine, map[string]any{"display_name": "x"}, &made)
	login, _ := l.send(http.MethodPost, "/login", []byte(`{"token":"`+l.secret+`"}`), http.Header{"Content-Type": {"application/json"}})
	session := http.Header{"Cookie": {login.Cookies()[0].Name + "=" + login.Cookies()[0].Value}, "Authorization": nil}
	me, _ := l.send(http.MethodGet, "/users/me", nil, session)
	require.Equal(t, http.StatusOK, me.StatusCode)

	file := filepath.Join(l.home, "state_home", "lab-workspace-manager", "token")
	fresh, err := auth.RotateToken(file)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status, _ := l.request(http.MethodGet, "/users/me", nil)
		return status == http.StatusUnauthorized
	}, 10*time.Second, 50*time.Millisecond, "the old token still opens")
	me, _ = l.send(http.MethodGet, "/users/me", nil, session)
	require.Equal(t, http.StatusUnauthorized, me.StatusCode, "and so does its session")
	l.secret = string(fresh)
	l.call(http.MethodGet, mine, nil, nil)
}
