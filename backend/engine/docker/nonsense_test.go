package docker

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/docker/docker/api/types/network"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// badEngine is an engine whose answers to anything but a ping are made by answer.
func badEngine(t *testing.T, answer http.HandlerFunc) *Engine {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	e, err := New(Options{Endpoint: "tcp" + strings.TrimPrefix(server.URL, "http"), Instance: "bad", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return e
}

func TestEngine_ThatHangsUpInTheMiddleIsAway(t *testing.T) {
	e := badEngine(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/json") && strings.Contains(r.URL.Path, "/images/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"status":"Pulling"}`+"\n"+`{"status":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	_, err := e.Execute(t.Context(), pullStep("any"), func(workspace.Progress) {})
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err), "%v", err)
}

func TestEngine_NonsenseIsAnErrorAndNoPanic(t *testing.T) {
	for _, nonsense := range []string{"", "null", "[]", "{}", "[null]", "[{}]", "<html>", `{"Id":7}`, `{"Config":{"Labels":{"lab-workspace-manager.instance":"bad"}}}`, `[{"Id":"x","Names":[],"Labels":null,"State":"running"}]`, strings.Repeat("[", 100_000)} {
		e := badEngine(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, nonsense)
		})
		_, _ = e.Host(t.Context())
		snapshot, err := e.Snapshot(t.Context())
		if err == nil {
			require.Empty(t, snapshot.Workspaces, "%.40s", nonsense)
		}
		for _, kind := range []workspace.StepKind{
			workspace.StepImage, workspace.StepStorage, workspace.StepCreate, workspace.StepStart, workspace.StepResize,
			workspace.StepResume, workspace.StepStop, workspace.StepRemove, workspace.StepRemoveStorage, workspace.StepRelease,
		} {
			_, _ = e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: thesis}, func(workspace.Progress) {})
		}
		_, _ = e.Images(t.Context(), []string{"any"})
		_, _ = e.InspectImage(t.Context(), "any")
		_, _ = e.RemoteDigest(t.Context(), "any")
		_, _ = e.Measure(t.Context(), []workspace.Place{{Volume: "any"}, {Container: "any"}}, workspace.Measuring{Helpers: []string{"any"}})
		_, _ = e.Stats(t.Context(), []string{"any"})
		_ = e.Logs(t.Context(), thesis.ID, 10, false, io.Discard)
	}
}

func TestSnapshot_OneDamagedContainerTakesNothingFromTheOthers(t *testing.T) {
	e := badEngine(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		const labels = `"Labels":{"lab-workspace-manager.instance":"bad","ctxy.deploymentId":"%s","lab-workspace-manager.uid":"u"}`
		one := func(name string) string { return strings.ReplaceAll(labels, "%s", name) }
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			_, _ = io.WriteString(w, `[{"Id":"g","Names":["/good"],"State":"running",`+one("good")+`},{"Id":"b","Names":["/broken"],"State":"dead",`+one("broken")+`}]`)
		case strings.HasSuffix(r.URL.Path, "/containers/g/json"):
			_, _ = io.WriteString(w, `{"Id":"g","Name":"/good","State":{"Status":"running","Running":true},"Config":{`+one("good")+`}}`)
		case strings.HasSuffix(r.URL.Path, "/containers/b/json"):
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"message":"RWLayer of container b is unexpectedly nil"}`)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	})
	snapshot, err := e.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Workspaces, 2)
	require.Equal(t, workspace.ContainerRunning, snapshot.Workspaces[0].State)
	require.Equal(t, []any{workspace.ID("broken"), "u", workspace.ContainerDead}, []any{snapshot.Workspaces[1].ID, snapshot.Workspaces[1].UID, snapshot.Workspaces[1].State})
}

func TestIsRemote(t *testing.T) {
	for endpoint, remote := range map[string]bool{
		"unix:///var/run/docker.sock": false, "npipe:////./pipe/docker_engine": false, "tcp://127.0.0.1:2375": false, "tcp://localhost:2375": false,
		"tcp://[::1]:2375": false, "tcp://192.0.2.7:2375": true, "tcp://docker:2375": true, "http://docker.example.com": true, "ssh://lab@gpu-box": true,
	} {
		require.Equal(t, remote, isRemote(endpoint), endpoint)
	}
	e := &Engine{remote: true, endpoint: "tcp://192.0.2.7:2375", reach: ReachAuto, networks: map[workspace.Owner]ownerNetwork{}}
	require.Equal(t, byPort, e.wayTo(network.Inspect{}))
}

func FuzzMessages(f *testing.F) {
	f.Add(`{"status":"Downloading","id":"a","progressDetail":{"current":5,"total":10}}` + "\n" + `{"status":"Download complete","id":"a"}`)
	f.Add(`{"stream":"Step 1/9 : FROM debian"}` + "\n" + `{"error":"no space"}`)
	f.Add(`{"stream":"Step 99999999999999999999/1 : ü` + strings.Repeat("ü", 400) + `"}`)
	f.Add(`{"progressDetail":{"current":-9223372036854775808,"total":9223372036854775807},"id":"x","status":"Downloading"}`)
	f.Add("\x00{}[")
	f.Fuzz(func(t *testing.T, stream string) {
		layers, steps := pullProgress{layers: map[string]*layer{}}, buildProgress{}
		err := readMessages(strings.NewReader(stream), func(line message) {
			layers.hear(line)
			steps.hear(line.Stream)
			for _, progress := range []workspace.Progress{layers.progress(), steps.progress()} {
				require.True(t, utf8.ValidString(progress.Detail))
				require.Less(t, len(progress.Detail), 200)
				require.LessOrEqual(t, len(progress.Log), tailLines)
				for _, said := range progress.Log {
					require.True(t, utf8.ValidString(said))
					require.LessOrEqual(t, len(said), 500)
				}
			}
			require.GreaterOrEqual(t, layers.progress().Current, int64(0))
			require.LessOrEqual(t, layers.progress().Current, layers.progress().Total)
		})
		if err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
