package docker

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

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
	for _, nonsense := range []string{"", "null", "[]", "{}", "[null]", "[{}]", "<html>", `{"Id":7}`, `[{"Id":"x","Names":[],"Labels":null,"State":"running"}]`, strings.Repeat("[", 100_000)} {
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
		_, _ = e.MeasureVolume(t.Context(), "any", []string{"any"})
		_ = e.Logs(t.Context(), thesis.ID, 10, false, io.Discard)
	}
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
