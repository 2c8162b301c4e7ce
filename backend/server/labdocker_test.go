package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// fewCalls is as much of a lab as workspaces in Docker need.
type fewCalls struct {
	*httptest.Server
	mu      sync.Mutex
	good    map[string]bool // tokens that it takes
	asked   []string        // "token METHOD path"
	revoked []string
	visited time.Time
	broken  bool
	maker   string // of the service
}

func newFewCalls(t *testing.T) (*fewCalls, *dockerLab) {
	t.Helper()
	f := &fewCalls{good: map[string]bool{"login": true, "program": true}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.answer))
	t.Cleanup(f.Close)
	client, err := contaxy.New(f.URL + "/api")
	require.NoError(t, err)
	l, err := newDockerLab(client, "/lab", slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	return f, l
}

func (f *fewCalls) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.asked = append(f.asked, token+" "+r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api"))
	say := func(status int, value any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	}
	switch {
	case f.broken:
		say(http.StatusInternalServerError, map[string]string{"message": "Internal server error!"})
	case strings.HasSuffix(r.URL.Path, "/revoke"):
		f.revoked = append(f.revoked, r.FormValue("token"))
		say(http.StatusOK, nil)
	case !f.good[token]:
		say(http.StatusUnauthorized, map[string]string{"message": "Invalid token."})
	case strings.HasSuffix(r.URL.Path, "/token"):
		say(http.StatusOK, "program")
	case strings.HasSuffix(r.URL.Path, "/auth/tokens"):
		say(http.StatusOK, "access of "+r.URL.Query().Get("scope"))
	case r.Method == http.MethodDelete:
		say(http.StatusNoContent, nil)
	case strings.HasSuffix(r.URL.Path, "-ws-gone"):
		say(http.StatusNotFound, map[string]string{"message": "There is none."})
	case strings.HasSuffix(r.URL.Path, "-ws-thesis"):
		say(http.StatusOK, map[string]any{"metadata": map[string]string{"made": "by " + f.maker}})
	default:
		say(http.StatusOK, []map[string]any{
			{"id": "pylab-p-ada0-s-ws-thesis", "last_access_time": f.visited.Format(time.RFC3339Nano)}, {"id": "pylab-p-ada0-s-other"},
		})
	}
}

func (f *fewCalls) takes(token string, does bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.good[token], f.asked = does, nil
}

func (f *fewCalls) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

var inLabThesis = workspace.Deployment{
	ID: "pylab-p-ada0-s-ws-thesis", Owner: "ada0", AccessPath: "/lab/projects/ada0/services/pylab-p-ada0-s-ws-thesis/access/8080b",
	Storage: workspace.Storage{VolumeMB: 5000},
}

func TestDockerLab_ActsWithTheTokenThatOutlivesALogin(t *testing.T) {
	f, l := newFewCalls(t)
	_, err := l.Environment(t.Context(), inLabThesis)
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err), "nobody is here yet")
	require.ErrorContains(t, err, "Nobody who may act for ada0")
	require.NoError(t, l.Answers(t.Context(), inLabThesis), "one that was started again with its machine is no worse for that")
	require.Empty(t, f.heard())

	l.owners.Came("ada0", "login", true)
	env, err := l.Environment(t.Context(), inLabThesis)
	require.NoError(t, err)
	const access = "access of projects/ada0/services/pylab-p-ada0-s-ws-thesis/access/#read"
	require.Equal(t, map[string]string{
		"CONTAXY_DEPLOYMENT_NAME": "pylab-p-ada0-s-ws-thesis", "CONTAXY_BASE_URL": "/lab", "CONTAXY_API_ENDPOINT": f.URL + "/api",
		"CONTAXY_SERVICE_URL": inLabThesis.AccessPath, "CONTAXY_API_TOKEN": access, "CONTAXY_MAX_VOLUME_SIZE_MB": "5000",
		"WORKSPACE_BASE_URL": inLabThesis.AccessPath, "SSH_JUMPHOST_TARGET": "pylab-p-ada0-s-ws-thesis", "SELF_ACCESS_TOKEN": access,
		"LAB_API_ENDPOINT": f.URL + "/api", "LAB_API_TOKEN": "program",
	}, env)
	require.Equal(t, []string{"login GET /users/ada0/token", "program POST /auth/tokens"}, f.heard())

	f.takes("login", false) // she has logged out
	require.NoError(t, l.Answers(t.Context(), inLabThesis))
	require.Equal(t, []string{"program GET /projects/ada0/services"}, f.heard())

	f.takes("program", false) // and somebody has revoked that one
	_, err = l.Environment(t.Context(), inLabThesis)
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err))
	require.Equal(t, []string{"program GET /users/ada0/token", "login GET /users/ada0/token"}, f.heard(), "each is tried once")

	f.takes("login", true)
	l.owners.Came("ada0", "login", true)
	_, err = l.Environment(t.Context(), inLabThesis)
	require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(err), "a lab that gives tokens which it does not take is wrong itself")
}

func TestDockerLab_ForgetsWhatIsNoMore(t *testing.T) {
	f, l := newFewCalls(t)
	l.Removed(t.Context(), inLabThesis, map[string]string{"PATH": "/bin"})
	require.Empty(t, f.heard())
	ctx, callOff := context.WithCancel(t.Context())
	callOff()
	l.Removed(ctx, inLabThesis, map[string]string{"CONTAXY_API_TOKEN": "mine", "LAB_API_TOKEN": "all"})
	require.Equal(t, []string{"mine"}, f.revoked, "the other token is that of all workspaces; and it is done although nobody waits")
	l.owners.Came("ada0", "login", true)
	f.takes("login", true)
	const service = "/projects/ada0/services/pylab-p-ada0-s-ws-thesis"
	ours := func(labels map[string]string) bool { return labels["made"] == "by us" }
	f.maker = "the lab"
	l.Released(t.Context(), inLabThesis, ours)
	require.Equal(t, []string{"login GET " + service}, f.heard(), "one of the same name is the lab's own")
	f.takes("login", true)
	f.maker = "us"
	l.Released(t.Context(), inLabThesis, ours)
	require.Equal(t, []string{"login GET " + service, "login DELETE " + service}, f.heard())
	gone := inLabThesis
	gone.ID = "pylab-p-ada0-s-ws-gone"
	f.takes("login", true)
	l.Released(t.Context(), gone, ours)
	require.Len(t, f.heard(), 1)
	f.broken = true
	l.Released(t.Context(), inLabThesis, ours) // which is no reason to keep a workspace
}

func TestDockerLab_HearsOfVisits(t *testing.T) {
	f, l := newFewCalls(t)
	f.visited = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	running := map[workspace.ID]string{"pylab-p-ada0-s-ws-thesis": "uid1", "pylab-p-ada0-s-ws-second": "uid2"}
	require.Empty(t, l.visits(t.Context(), "ada0", running), "nobody is here")
	l.variable = func(_ context.Context, id workspace.ID, name string) (string, error) {
		require.Equal(t, variableProgramToken, name)
		if id == "pylab-p-ada0-s-ws-second" {
			return "", workspace.Errorf(workspace.CodeNotFound, "It is gone.")
		}
		return "program", nil
	}
	require.Equal(t, map[string]time.Time{"uid1": f.visited}, l.visits(t.Context(), "ada0", running), "its programs have a token")
	f.broken = true
	require.Empty(t, l.visits(t.Context(), "ada0", running))
}

func TestEndWhenUnused(t *testing.T) {
	view := func(id workspace.ID, owner workspace.Owner, status workspace.Status, timeout time.Duration) *workspace.Workspace {
		return &workspace.Workspace{Status: status, Record: workspace.Record{ID: id, UID: "of " + string(id), Owner: owner, Spec: workspace.Spec{IdleTimeout: timeout}}}
	}
	require.Equal(t, map[workspace.Owner]map[workspace.ID]string{"ada0": {"a": "of a", "d": "of d"}, "bob0": {"e": "of e"}}, endWhenUnused([]*workspace.Workspace{
		view("a", "ada0", workspace.StatusRunning, time.Hour), view("b", "ada0", workspace.StatusRunning, 0), view("c", "ada0", workspace.StatusStopped, time.Hour),
		view("d", "ada0", workspace.StatusRunning, time.Second), view("e", "bob0", workspace.StatusRunning, time.Hour),
	}))
}
