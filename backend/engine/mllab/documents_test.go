package mllab

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
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

const thesisID = workspace.ID("lab-p-ada0-s-ws-thesis")

// storeLab answers as a lab does in which ada has the workspace "thesis", stopped after it has run, and whose JSON store can
// be faulty.
type storeLab struct {
	*Engine
	t    *testing.T
	life *life            // of the engine
	end  func()           // of the watch
	log  *strings.Builder // guarded by mu

	mu        sync.Mutex
	fault     http.HandlerFunc // of the store; nil = it is well
	documents map[string]string
	services  map[string]bool
	made      map[string]map[string]any // of what services were made, where that says more than told
	started   map[string]bool
	deployed  []contaxy.ServiceInput
	deleted   []string // services, with what was asked for
	asked     []string // of the store
}

func newStoreLab(t *testing.T) *storeLab {
	l := &storeLab{t: t, log: &strings.Builder{}, documents: map[string]string{}, services: map[string]bool{string(thesisID): true}, started: map[string]bool{}, made: map[string]map[string]any{}}
	l.end = func() {}
	l.restart()
	return l
}

// restart makes an engine that knows nothing, in place of the one before, which is not closed.
func (l *storeLab) restart() {
	l.t.Helper()
	l.end()
	l.life = &life{lab: l}
	server := httptest.NewServer(l.life)
	l.t.Cleanup(server.Close)
	client, err := contaxy.New(server.URL + "/api")
	require.NoError(l.t, err)
	l.Engine = New(Options{Lab: client, LookEvery: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(l, nil))})
	l.t.Cleanup(client.Close)
	_, l.end = watch(l.t, l.Engine, func(workspace.Change) {})
}

// Write takes what is logged.
func (l *storeLab) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(text)
}

func (l *storeLab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	document, isStore := strings.CutPrefix(r.URL.Path, "/api/projects/ada0/json/")
	if isStore {
		l.asked = append(l.asked, r.Method+" "+document)
		if fault := l.fault; fault != nil {
			l.mu.Unlock()
			fault(w, r)
			return
		}
	}
	defer l.mu.Unlock()
	service, isService := strings.CutPrefix(r.URL.Path, "/api/projects/ada0/services/")
	told := func(id string) map[string]any {
		status := contaxy.StatusStopped
		if l.started[id] {
			status = contaxy.StatusRunning
		}
		service := map[string]any{
			"id": id, "display_name": "WS thesis", "container_image": "i:1", "status": status, "last_access_time": "2026-01-02T03:04:05",
			"created_at": "2026-01-01T00:00:00Z", "metadata": map[string]string{metaKind: kindWorkspace}, "endpoints": []string{"8080b"},
			"compute": map[string]any{"volume_path": "/workspace", "max_volume_size": 5000, "max_cpus": 1, "max_memory": 1000},
		}
		maps.Copy(service, l.made[id])
		return service
	}
	var answer any
	switch _, there := l.documents[document]; {
	case isStore && r.Method == http.MethodPut:
		text, _ := io.ReadAll(r.Body)
		l.documents[document] = string(text)
		_, key, _ := strings.Cut(document, "/")
		answer = map[string]string{"key": key, "json_value": string(text)}
	case isStore && r.Method == http.MethodDelete && there:
		delete(l.documents, document)
	case isStore && r.Method == http.MethodGet:
		list := []any{}
		for name, text := range l.documents {
			if key, inside := strings.CutPrefix(name, document+"/"); inside {
				list = append(list, map[string]string{"key": key, "json_value": text})
			}
		}
		answer = list
	case r.URL.Path == "/api/users/ada0/token":
		answer = "of-adas-programs"
	case r.URL.Path == "/api/projects/ada0/services" && r.Method == http.MethodGet:
		list := []any{}
		for id := range l.services {
			list = append(list, told(id))
		}
		answer = list
	case isService && l.services[service] && r.Method == http.MethodGet:
		answer = told(service)
	case isService && l.services[service] && r.Method == http.MethodDelete:
		l.deleted = append(l.deleted, service+"?"+r.URL.RawQuery)
		delete(l.services, service)
		delete(l.started, service)
		delete(l.made, service)
	case isService && l.services[service] && r.Method == http.MethodPatch:
		answer = told(service)
	case r.URL.Path == "/api/projects/ada0/services" && r.Method == http.MethodPost:
		var input contaxy.ServiceInput
		var whole map[string]any
		text, _ := io.ReadAll(r.Body)
		_, _ = json.Unmarshal(text, &input), json.Unmarshal(text, &whole)
		l.deployed = append(l.deployed, input)
		id := string(workspace.LabID("lab", "ada0", input.DisplayName))
		if l.services[id] {
			w.WriteHeader(http.StatusConflict)
			answer = map[string]any{"code": 409, "message": "There is one."}
			break
		}
		l.services[id] = true
		if len(l.made) > 0 || whole["command"] != nil {
			whole["last_access_time"] = nil
			l.made[id] = whole
		}
		answer = told(id)
	case strings.HasSuffix(service, "/logs"):
		answer = "its last words"
	case strings.HasSuffix(service, "/actions/start") && r.Method == http.MethodPost:
		l.started[strings.TrimSuffix(service, "/actions/start")] = true
	default:
		w.WriteHeader(http.StatusNotFound)
		answer = map[string]any{"code": 404, "message": "There is none."}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// life is a lab as one engine reaches it, until that dies.
type life struct {
	lab      http.Handler
	mu       sync.Mutex
	ends     int                        // with the call of this number from now; 0 = it does not
	answered bool                       // the lab has carried out that last one
	late     func(r *http.Request) bool // calls that the lab carries out when it is told to
	goOn     chan struct{}
}

func (l *life) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	dead, last := l.ends < 0, l.ends == 1
	if l.ends > 0 {
		if l.ends--; l.ends == 0 {
			l.ends = -1
		}
	}
	late := l.late
	l.mu.Unlock()
	switch {
	case dead, last && !l.answered:
		panic(http.ErrAbortHandler)
	case last:
		l.lab.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case late != nil && late(r):
		body, _ := io.ReadAll(r.Body)
		r = r.Clone(context.WithoutCancel(r.Context()))
		r.Body = io.NopCloser(bytes.NewReader(body))
		<-l.goOn
		l.lab.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	l.lab.ServeHTTP(w, r)
}

func (l *storeLab) isFaulty(fault http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

// kept waits until the store holds so many documents, and returns them.
func (l *storeLab) kept(many int) map[string]string {
	l.t.Helper()
	found := map[string]string{}
	require.Eventually(l.t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		clear(found)
		for name, text := range l.documents {
			found[name] = text
		}
		return len(found) == many
	}, 5*time.Second, time.Millisecond)
	return found
}

func (l *storeLab) snapshot() workspace.Snapshot {
	l.t.Helper()
	snapshot, err := l.Snapshot(l.t.Context())
	require.NoError(l.t, err)
	return snapshot
}

func (l *storeLab) adaComes() {
	l.t.Helper()
	require.NoError(l.t, l.Visit(l.t.Context(), "ada0", "of-ada", true))
}

// tryAgain has the time over after which what has failed is tried again.
func (l *storeLab) tryAgain() {
	l.Engine.mu.Lock()
	o := l.owners["ada0"]
	o.documents.triedAt = time.Time{}
	l.Engine.mu.Unlock()
	l.writeWhatIsDue(time.Now().Add(documentsPause))
	require.NoError(l.t, l.lookAt(l.t.Context(), "ada0"))
}

var storeFaults = map[string]http.HandlerFunc{
	"it fails":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	"it is not there":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
	"it is forbidden":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	"it talks garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0, 1, 2, 0xff, '{'}) },
	"it hangs up":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
}

func TestStore_ThatIsFaultyIsInNobodysWay(t *testing.T) {
	for name, fault := range storeFaults {
		t.Run(name, func(t *testing.T) {
			l := newStoreLab(t)
			l.isFaulty(fault)
			l.adaComes()
			require.Len(t, l.snapshot().Kept, 1)
			l.Remember("ada0", thesisID, workspace.Memory{Notice: "It was full."})
			require.Equal(t, "It was full.", l.snapshot().Kept[0].Memory.Notice)
			require.NoError(t, l.release(t.Context(), workspace.Deployment{ID: thesisID, Owner: "ada0"}))
			snapshot := l.snapshot()
			require.Empty(t, snapshot.Kept)
			require.Len(t, snapshot.Volumes, 1, "what could not be written is known all the same")
			for range 3 {
				l.tryAgain()
				l.waitUntilWritten(t.Context(), 5*time.Second, "ada0")
			}
			l.mu.Lock()
			require.Equal(t, 1, strings.Count(l.log.String(), "tried again"), "it is said once: %s", l.log)
			l.mu.Unlock()

			l.isFaulty(nil)
			l.tryAgain()
			require.Contains(t, l.kept(1), volumesCollection+"/"+string(thesisID), "and is made good")
		})
	}
}

func TestStore_ThatHangsHoldsNobodyUpForLong(t *testing.T) {
	l := newStoreLab(t)
	hang := make(chan struct{})
	defer close(hang)
	l.isFaulty(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	began := time.Now()
	l.adaComes()
	require.Less(t, time.Since(began), readTimeout+2*time.Second)
	began = time.Now()
	require.NoError(t, l.release(t.Context(), workspace.Deployment{ID: thesisID, Owner: "ada0"}))
	require.Less(t, time.Since(began), volumePatience+2*time.Second)
}

func TestStore_PollingCostsNothing(t *testing.T) {
	l := newStoreLab(t)
	for range 20 {
		l.adaComes()
		require.NoError(t, l.lookAt(t.Context(), "ada0"))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Len(t, l.asked, 3, "each collection once: %v", l.asked)
}

func TestStore_HoldsNoTokens(t *testing.T) {
	l := newStoreLab(t)
	l.adaComes()
	_, err := l.tokens.ProgramToken(t.Context(), "ada0")
	require.NoError(t, err)
	l.Remember("ada0", thesisID, workspace.Memory{QueuedAt: time.Now()})
	require.NotContains(t, l.kept(1)[memoryCollection+"/"+string(thesisID)], "of-ada")
	require.NoError(t, l.release(t.Context(), workspace.Deployment{ID: thesisID, Owner: "ada0"}))
	l.waitUntilWritten(t.Context(), 5*time.Second, "ada0")
	for _, text := range l.kept(1) {
		require.NotContains(t, text, "of-ada")
	}
}

func TestMemory_OutlivesTheEngineAndGoesWithTheWorkspace(t *testing.T) {
	l := newStoreLab(t)
	l.adaComes()
	ended := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	outcome := workspace.Outcome{Status: workspace.StatusFailed, Code: workspace.ReasonOutOfMemory, Reason: "Out of memory at 2 GB.", At: ended, ExitCode: 137}
	l.Remember("ada0", thesisID, workspace.Memory{Outcome: workspace.Outcome{Status: workspace.StatusFailed, Reason: "overtaken", At: ended}})
	l.Remember("ada0", thesisID, workspace.Memory{Outcome: outcome})
	l.waitUntilWritten(t.Context(), 5*time.Second, "ada0")
	l.kept(1)
	l.restart()
	l.adaComes()
	require.Equal(t, workspace.Memory{Outcome: outcome}, l.snapshot().Kept[0].Memory)

	t.Log("a start that waits does so unless there was one since")
	queued := time.Now().UTC().Round(0)
	l.Remember("ada0", thesisID, workspace.Memory{QueuedAt: queued})
	l.waitUntilWritten(t.Context(), 5*time.Second, "ada0")
	l.restart()
	l.adaComes()
	require.Equal(t, workspace.Memory{QueuedAt: queued}, l.snapshot().Kept[0].Memory)
	l.Engine.mu.Lock()
	l.Engine.services[thesisID].service.LastAccess.Time = time.Now().Add(time.Second)
	l.Engine.mu.Unlock()
	require.Zero(t, l.snapshot().Kept[0].Memory)

	t.Log("and one that asks in vain for an answer knows since when")
	l.Remember("ada0", thesisID, workspace.Memory{AskedSince: queued})
	l.waitUntilWritten(t.Context(), 5*time.Second, "ada0")
	l.restart()
	l.adaComes()
	require.Equal(t, workspace.Memory{AskedSince: queued}, l.snapshot().Kept[0].Memory)

	t.Log("what is well again needs none, and what is deleted has none")
	l.Remember("ada0", thesisID, workspace.Memory{})
	l.kept(0)
	l.Remember("ada0", thesisID, workspace.Memory{Notice: "It was full."})
	l.kept(1)
	require.NoError(t, l.release(t.Context(), workspace.Deployment{ID: thesisID, Owner: "ada0", DeletesVolume: true}))
	l.waitUntilWritten(t.Context(), 5*time.Second, "ada0")
	require.NotContains(t, l.kept(1), memoryCollection+"/"+string(thesisID))
}

// Whoever shares a project may delete files in it, and can read what is given to its services meanwhile.
func TestRemoveVolume_HandsTheOwnersTokenToNobodyAndCanGoOnAfterARestart(t *testing.T) {
	l := newStoreLab(t)
	l.adaComes()
	volume := volumeOf("ada0", thesisID)
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(l.RemoveVolume(t.Context(), volume)))
	require.NoError(t, l.release(t.Context(), workspace.Deployment{ID: thesisID, Owner: "ada0"}))
	require.NoError(t, l.RemoveVolume(t.Context(), volume))
	l.kept(0)
	require.Empty(t, l.snapshot().Volumes)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(l.RemoveVolume(t.Context(), volume)))
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Equal(t, string(thesisID)+"?delete_volumes=true", l.deleted[len(l.deleted)-1])
	require.Len(t, l.deployed, 1)
	made := l.deployed[0]
	require.NotContains(t, made.Parameters, tokenParameter)
	require.Equal(t, []any{"WS thesis", "i:1", "/workspace", string(workspace.RemovalOfAll)},
		[]any{made.DisplayName, made.ContainerImage, *made.Compute.VolumePath, made.Metadata[metaRemoval]})
}

// The owner of a project can write what they like into its store.
func TestStore_WhatIsReadIsNotBelieved(t *testing.T) {
	l := newStoreLab(t)
	good := `{"service": "WS old", "display_name": "old", "container_image": "i:1", "mount_path": "/workspace", "volume_size": 5, "kept_since": "2026-01-02T03:04:05Z"}`
	for key, text := range map[string]string{
		"lab-p-ada0-s-ws-old":   good,
		"lab-p-bob0-s-ws-old":   good,
		"ws-old":                good,
		"lab-p-ada0-s-ws-one":   `[1, 2]`,
		"lab-p-ada0-s-ws-two":   `{}`,
		"lab-p-ada0-s-ws-three": strings.Replace(good, `"old"`, `"o\u202eld"`, 1),
		"lab-p-ada0-s-ws-four":  strings.Replace(good, `5,`, `-5,`, 1),
		"lab-p-ada0-s-ws-five":  strings.Replace(good, `/workspace`, `../..`, 1),
	} {
		l.documents[volumesCollection+"/"+key] = text
	}
	for key, text := range map[string]string{
		string(thesisID):        `{"outcome": {"status": "running", "reason": "It runs."}}`,
		"lab-p-ada0-s-ws-other": `"text"`,
	} {
		l.documents[memoryCollection+"/"+key] = text
	}
	l.adaComes()
	snapshot := l.snapshot()
	var kept []string
	for _, volume := range snapshot.Volumes {
		if volume.UsedBy == "" {
			kept = append(kept, volume.Name)
		}
	}
	require.Equal(t, []string{"ada0-lab-p-ada0-s-ws-old-vol"}, kept)
	require.Zero(t, snapshot.Kept[0].Memory)
	require.Len(t, l.kept(10), 10, "it is left alone")
}
