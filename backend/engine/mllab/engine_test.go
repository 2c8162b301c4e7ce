package mllab

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// These tests are about moments that a real lab does not let one choose: its answers are fixed here.

const listOfOne = `[{"id": "lab-p-ada0-s-ws-thesis", "status": "stopped", "metadata": {"ctxy.workspaceExtension.deploymentType": "workspace"}}]`

func engineBefore(t *testing.T, answer http.HandlerFunc) *Engine {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // looks outlive who asks for them
	client, err := contaxy.New(server.URL + "/api")
	require.NoError(t, err)
	engine := New(Options{Lab: client, LookEvery: 10 * time.Millisecond})
	engine.made = engine.made.Add(-time.Hour) // nobody waits for the lab's first answer
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

// watch follows an engine until the returned function is called, or the lab is gone.
func watch(t *testing.T, engine *Engine, changed func(workspace.Change)) (ended <-chan error, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	connected, lost := make(chan struct{}), make(chan error, 1)
	go func() { lost <- engine.Watch(ctx, func() { close(connected) }, changed) }()
	<-connected
	return lost, cancel
}

func answers(t *testing.T, w http.ResponseWriter, text string) {
	t.Helper()
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
}

// An empty list makes upstream's page create a workspace.
func TestVisit_NobodyIsLetInBeforeTheirWorkspacesAreKnown(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { answers(t, w, listOfOne) })
	asked, goOn := make(chan struct{}), make(chan struct{})
	ended, end := watch(t, engine, func(workspace.Change) { close(asked); <-goOn })
	first := make(chan error, 1)
	go func() { first <- engine.Visit(t.Context(), "ada0", "token", true) }()
	<-asked

	t.Log("neither who comes while the manager is being told")
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, engine.Visit(soon, "ada0", "token", true), context.DeadlineExceeded)

	t.Log("nor who waits when the watch ends, or comes after that")
	end()
	close(goOn)
	<-ended
	if err := <-first; err != nil { // else the manager was told at the last moment
		require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err))
		require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(engine.Visit(t.Context(), "ada0", "token", true)))
	}
}

func TestVisit_RightAfterTheStartWaitsForTheLabsFirstAnswer(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { answers(t, w, listOfOne) })
	engine.made = time.Now()
	first := make(chan error, 1)
	go func() { first <- engine.Visit(t.Context(), "ada0", "token", true) }()
	select {
	case err := <-first:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	watch(t, engine, func(workspace.Change) {})
	require.NoError(t, <-first)
}

func TestVisit_IsRefusedWhileNewsWasLost(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { answers(t, w, listOfOne) })
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	require.NoError(t, engine.lookAt(t.Context(), "ada0"))
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(engine.Visit(t.Context(), "ada0", "token", true)))
	told := make(chan workspace.ID, 1)
	watch(t, engine, func(change workspace.Change) { told <- change.ID })
	require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
	require.Len(t, told, 1)
}

// The lab's proxy passes on into the workspace by what it is asked, and whoever has made the workspace can read it there.
func TestAnswers_AWorkspaceIsAskedByATokenThatIsGoodForNothingElse(t *testing.T) {
	came := make(chan string, 1)
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/auth/tokens":
			require.Equal(t, "scope=projects%2Fada0%2Fservices%2Fthesis%2Faccess%2F8080%23read&token_type=session-token", r.URL.RawQuery)
			answers(t, w, `"for-this-workspace"`)
		case "/api/users/ada0/token":
			answers(t, w, `"of-adas-programs"`)
		default:
			came <- r.Header.Get("Authorization") + r.Header.Get("Cookie")
		}
	})
	_ = engine.Visit(t.Context(), "ada0", "of-an-administrator", true) // nobody watches
	_, err := engine.tokens.ProgramToken(t.Context(), "ada0")
	require.NoError(t, err)
	require.NoError(t, engine.waitForAnswer(t.Context(), workspace.Deployment{ID: "thesis", Owner: "ada0", Port: 8080, AccessPath: "/projects/ada0/services/thesis/access/8080b"}, func(workspace.Progress) {}))
	require.Equal(t, "ct_session_token=for-this-workspace", <-came)
}

func TestLook_AWorkspaceIsOfThatOwnerOfWhomItWasKnownFirst(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { answers(t, w, listOfOne) })
	for _, who := range []workspace.Owner{"ada0", "bob0"} {
		_ = engine.Visit(t.Context(), who, "token", true) // nobody watches
		require.NoError(t, engine.lookAt(t.Context(), who))
	}
	snapshot, err := engine.Snapshot(t.Context())
	require.NoError(t, err)
	require.Len(t, snapshot.Kept, 1)
	require.Equal(t, workspace.Owner("ada0"), snapshot.Kept[0].Owner)
}

// Who deletes a workspace in the lab need not be who may have one made with the token of its owner in it.
func TestDefine_WhatWasDeletedInTheLabIsNotMadeAgain(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s must not be asked for", r.Method)
		}
		w.WriteHeader(http.StatusNotFound)
		answers(t, w, `{"code": 404, "message": "There is none."}`)
	})
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	err := engine.define(t.Context(), workspace.Deployment{ID: "lab-p-ada0-s-ws-thesis", Owner: "ada0", Kept: true}, func(workspace.Progress) {})
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))
}

func TestVisit_ATokenThatTheLabTakesNoMoreIsNoOutage(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		answers(t, w, `{"code": 401, "message": "Invalid API Token."}`)
	})
	watch(t, engine, func(workspace.Change) {})
	require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(engine.Visit(t.Context(), "ada0", "revoked", true)))
	_, err := engine.Execute(t.Context(), workspace.Step{Kind: workspace.StepStop, Deployment: workspace.Deployment{ID: "x", Owner: "ada0"}}, func(workspace.Progress) {})
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err), "what goes on by itself waits for somebody")
}

func TestVisit_WhoOnlyLooksOnDoesNotActForOthers(t *testing.T) {
	came := make(chan string, 1)
	engine := engineBefore(t, func(_ http.ResponseWriter, r *http.Request) { came <- r.Header.Get("Authorization") })
	_ = engine.Visit(t.Context(), "ada0", "of-ada", true) // nobody watches
	_ = engine.Visit(t.Context(), "ada0", "of-a-reader", false)
	require.NoError(t, engine.release(t.Context(), workspace.Deployment{ID: "thesis", Owner: "ada0"}))
	require.Equal(t, "Bearer of-ada", <-came)
}

// Without a container the lab deletes a workspace, leaves its volume, and hands it to the next one of that name.
func TestRemoveStorage_SaysThatFilesAreLeft(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			answers(t, w, strings.Trim(listOfOne, "[]"))
		case http.MethodPost:
			w.WriteHeader(http.StatusBadRequest)
			answers(t, w, `{"code": 400, "message": "Could not deploy service.", "explanation": "no such device"}`)
		case http.MethodPatch: // which writes down what is about to be done
		default:
			t.Errorf("%s must not be asked for", r.Method)
		}
	})
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	err := engine.removeStorage(t.Context(), workspace.Deployment{ID: "lab-p-ada0-s-ws-thesis", Owner: "ada0", Deleted: true})
	require.ErrorContains(t, err, "no such device")
}

// Whose services the lab cannot list (facts: 2.3 and 6) is nobody else's trouble.
func TestWatch_GoesOnWhileTheLabAnswersOthers(t *testing.T) {
	var away atomic.Bool
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case away.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/api/system/info":
			answers(t, w, `{"namespace": "lab"}`)
		case r.URL.Path == "/api/projects/ada0/services":
			answers(t, w, listOfOne)
		case r.URL.Path == "/api/projects/bob0/services":
			answers(t, w, "no list")
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	ended, _ := watch(t, engine, func(workspace.Change) {})
	for range 20 {
		require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
		require.Error(t, engine.Visit(t.Context(), "bob0", "token", true))
		require.Error(t, engine.Visit(t.Context(), "eve0", "token", true))
		engine.mu.Lock()
		for _, who := range []workspace.Owner{"bob0", "eve0"} { // they come again, and it is their turn
			engine.owners[who].pauses = time.Time{}
		}
		engine.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	require.Empty(t, ended)
	away.Store(true)
	require.Eventually(t, func() bool {
		_ = engine.Visit(t.Context(), "ada0", "token", true)
		return len(ended) == 1
	}, 5*time.Second, time.Millisecond)
}

// One failure of the lab, of whatever kind, does not end the looks at somebody's workspaces until they come again.
func TestWatch_LooksAgainByAndByWhereTheLabHasFailedOnce(t *testing.T) {
	for name, fault := range storeFaults {
		t.Run(name, func(t *testing.T) {
			var status atomic.Value
			status.Store("stopped")
			var faulty atomic.Bool
			var asked atomic.Int32
			engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/api/system/info":
					answers(t, w, `{"namespace": "lab"}`)
				case r.URL.Path != "/api/projects/ada0/services":
					answers(t, w, "[]")
				case faulty.Load():
					asked.Add(1)
					fault(w, r)
				default:
					answers(t, w, strings.Replace(listOfOne, "stopped", status.Load().(string), 1))
				}
			})
			told := make(chan bool, 100)
			watch(t, engine, func(change workspace.Change) { told <- change.Kept.Stopped })
			require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
			require.True(t, <-told)
			faulty.Store(true)
			require.Eventually(t, func() bool { return asked.Load() > 2 }, 5*time.Second, time.Millisecond, "it is tried again while it fails")
			status.Store("running")
			faulty.Store(false)
			select {
			case stopped := <-told:
				require.False(t, stopped)
			case <-time.After(5 * time.Second):
				require.Fail(t, "nobody looked again")
			}
		})
	}
}

func TestPause_GrowsAndIsBounded(t *testing.T) {
	require.Equal(t, 2*time.Second, pauseAfter(0, 2*time.Second))
	require.Equal(t, 8*time.Second, pauseAfter(2, 2*time.Second))
	require.Equal(t, longestPause, pauseAfter(100, 2*time.Second))
}

func TestAddress_HasThePathOfTheLabOnce(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://lab:8080/api":      "http://lab:8080/base/projects/x",
		"http://lab:8080/base/api": "http://lab:8080/base/projects/x",
		"https://lab/api":          "https://lab/base/projects/x",
		"https://lab/base/api":     "https://lab/base/projects/x",
	} {
		client, err := contaxy.New(endpoint)
		require.NoError(t, err)
		require.Equal(t, want, New(Options{Lab: client, BaseURL: "/base"}).addressOf("/projects/x"), endpoint)
	}
}

func TestFetch_AddressesAreOnlyCorrectedByWhoKnowsBetter(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) {
		answers(t, w, `{"id": "x", "metadata": {"ctxy.workspaceExtension.deploymentType": "workspace"}, "parameters": {"A": "/lab/services/x/access/1"}}`)
	})
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	below, err := contaxy.New(engine.lab.Root() + "/lab/api")
	require.NoError(t, err)
	atRoot := engine.lab
	for _, way := range []struct {
		lab  *contaxy.Client
		base string
		want int
	}{{atRoot, "", 1}, {atRoot, "/lab", 1}, {below, "/lab", 1}, {below, "", 0}} {
		engine.lab, engine.base = way.lab, way.base
		service, err := engine.fetch(t.Context(), workspace.Deployment{ID: "x", Owner: "ada0"})
		require.NoError(t, err)
		require.Len(t, service.Addresses, way.want)
	}
	engine.lab = atRoot
}

// A script that stops or deletes something in the lab, and then asks here.
func TestFresh_TellsOfWhatWasDoneBeforeItWasAsked(t *testing.T) {
	var status atomic.Value
	status.Store("stopped")
	looks, goOn := make(chan struct{}, 100), make(chan struct{})
	var held atomic.Bool
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) {
		then := status.Load().(string)
		if held.CompareAndSwap(true, false) {
			looks <- struct{}{}
			<-goOn
		}
		answers(t, w, strings.Replace(listOfOne, "stopped", then, 1))
	})
	engine.lookEvery = time.Hour
	last := make(chan string, 10)
	watch(t, engine, func(change workspace.Change) {
		last <- map[bool]string{true: "stopped", false: "running"}[change.Kept.Stopped]
	})
	require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
	require.Equal(t, "stopped", <-last)

	t.Log("also while a look is under way that knows nothing of it")
	held.Store(true)
	go func() { _ = engine.lookAt(t.Context(), "ada0") }()
	<-looks
	status.Store("running")
	done := make(chan struct{})
	go func() { engine.Fresh(t.Context(), "ada0", false); close(done) }()
	close(goOn)
	<-done
	require.Equal(t, "running", <-last)
	require.Empty(t, last)
}

func TestFresh_WaitsForNoLabThatIsSilent(t *testing.T) {
	var silent atomic.Bool
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			<-r.Context().Done()
			return
		}
		answers(t, w, listOfOne)
	})
	watch(t, engine, func(workspace.Change) {})
	require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
	silent.Store(true)
	began := time.Now()
	engine.Fresh(t.Context(), "ada0", true)
	require.Less(t, time.Since(began), 2*freshWithin)
}

func TestFresh_WhoListsAgainAndAgainIsToldWhatIsKnown(t *testing.T) {
	var asked atomic.Int32
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); answers(t, w, listOfOne) })
	engine.lookEvery = time.Hour
	watch(t, engine, func(workspace.Change) {})
	require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
	began, before := time.Now(), asked.Load()
	for range 1_000 {
		engine.Fresh(t.Context(), "ada0", false)
	}
	require.LessOrEqual(t, asked.Load()-before, extraLooks+int32(time.Since(began)/extraEvery))
	before = asked.Load()
	engine.Fresh(t.Context(), "ada0", true)
	require.Equal(t, before+1, asked.Load(), "who changes something always knows what")
}

func TestIsOther_OfServicesThatAreNoWorkspaces(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) {
		answers(t, w, strings.Replace(listOfOne, `"workspace"`, `"service"`, 1))
	})
	watch(t, engine, func(workspace.Change) {})
	require.False(t, engine.IsOther("ada0", "lab-p-ada0-s-ws-thesis"))
	require.NoError(t, engine.Visit(t.Context(), "ada0", "token", true))
	require.True(t, engine.IsOther("ada0", "lab-p-ada0-s-ws-thesis"))
	require.False(t, engine.IsOther("bob0", "lab-p-ada0-s-ws-thesis"))
	require.False(t, engine.IsOther("ada0", ""))
}

// An image that the lab cannot start, said of a workspace that runs, leaves it stopped: what stands for its container is then
// another one, or the manager would ask for it for ever.
func TestMakeWay_WhatStandsForAContainerIsOfTheImageThatIsWanted(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { answers(t, w, strings.Trim(listOfOne, "[]")) })
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	d := workspace.Deployment{ID: "lab-p-ada0-s-ws-thesis", Owner: "ada0", UID: "1", Attempt: 1, Image: "one:1"}
	create := func() *workspace.Observed {
		t.Helper()
		observed, err := engine.Execute(t.Context(), workspace.Step{Kind: workspace.StepCreate, Deployment: d}, nil)
		require.NoError(t, err)
		return observed
	}
	first := create()
	require.Equal(t, first, create(), "the same one, asked for again")
	d.Image = "two:1"
	require.Equal(t, "two:1", create().Image)
	d.Fingerprint = "another"
	require.Equal(t, "another", create().Fingerprint)
}

// All the lab says of an image that it cannot pull is that something went wrong.
func TestStart_WhatTheLabDoesNotSayIsGuessed(t *testing.T) {
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			answers(t, w, strings.Trim(listOfOne, "[]"))
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
		answers(t, w, `{"code": 500, "message": "Internal server error!"}`)
	})
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	d := workspace.Deployment{ID: "lab-p-ada0-s-ws-thesis", Owner: "ada0", Image: "no-such-image:1"}
	for _, kind := range []workspace.StepKind{workspace.StepStart, workspace.StepStorage} {
		_, err := engine.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.Equal(t, workspace.CodeInternal, workspace.CodeOf(err))
		require.Contains(t, workspace.MessageOf(err), "cannot pull the image no-such-image:1", kind)
	}
}

// An update that the lab cannot start the container of is written down and leaves the service stopped. As a failed step it
// would be tried again, and a look meanwhile would take the container for one that somebody has removed.
func TestStorage_WhatTheLabHasWrittenDownAndCouldNotStartIsDone(t *testing.T) {
	d := workspace.Deployment{ID: "lab-p-ada0-s-ws-thesis", Owner: "ada0", Image: "no-such-image:1", DisplayName: "thesis"}
	var patched atomic.Bool
	engine := engineBefore(t, func(w http.ResponseWriter, r *http.Request) {
		service := map[string]any{
			"id": d.ID, "status": "running", "container_image": "one:1", "endpoints": []string{endpointOf(d)},
			"display_name": labNameOf(d), "metadata": metadataOf(d, labNameOf(d)), "compute": computeOf(d), "idle_timeout": idleOf(d), "clear_volume_on_stop": d.ClearOnStop,
		}
		if patched.Load() {
			service["status"], service["container_image"] = "stopped", d.Image
		}
		if r.Method == http.MethodPatch {
			patched.Store(true)
			w.WriteHeader(http.StatusInternalServerError)
			service = map[string]any{"code": 500, "message": "Internal server error!"}
		}
		text, err := json.Marshal(service)
		if err != nil {
			t.Error(err)
		}
		answers(t, w, string(text))
	})
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	observed, err := engine.Execute(t.Context(), workspace.Step{Kind: workspace.StepStorage, Deployment: d}, func(workspace.Progress) {})
	require.NoError(t, err)
	require.Nil(t, observed)
	require.True(t, patched.Load())
}

func TestOtherNames_AreOfContainersThatWereRenamed(t *testing.T) {
	visited := contaxy.Time{Time: time.Unix(1, 0)}
	all := map[string]contaxy.Service{}
	for _, service := range []contaxy.Service{
		{ID: "a", Status: contaxy.StatusStopped, Metadata: map[string]string{metaID: "a"}},
		{ID: "a-old", Status: contaxy.StatusRunning, Metadata: map[string]string{metaID: "a"}},
		{ID: "b", Status: contaxy.StatusRunning, Metadata: map[string]string{metaID: "b"}},
		{ID: "b-old", Status: contaxy.StatusStopped, Metadata: map[string]string{metaID: "b"}},
		{ID: "b-copy", Status: contaxy.StatusRunning, Metadata: map[string]string{metaID: "b"}},
		{ID: "b-own", Status: contaxy.StatusRunning, Metadata: map[string]string{metaID: "b"}, LastAccess: visited},
		{ID: "alone", Status: contaxy.StatusRunning, Metadata: map[string]string{metaID: "gone"}},
	} {
		all[service.ID] = service
	}
	require.Equal(t, map[string]string{"a": "a-old"}, otherNames(all))
	for id, other := range map[string]bool{"a": false, "a-old": true, "b": false, "b-old": true, "b-copy": true, "b-own": true, "alone": false} {
		require.Equal(t, other, isOtherName(all[id], all), id)
	}

	engine := engineBefore(t, func(w http.ResponseWriter, _ *http.Request) { answers(t, w, `{"id": "a", "internal_id": "of-a"}`) })
	_ = engine.Visit(t.Context(), "ada0", "token", true) // nobody watches
	old := all["a-old"]
	for handle, want := range map[string]map[string]string{"of-a": {"a": "a-old"}, "another": {}} {
		old.InternalID = handle
		found, err := engine.renamedOf(t.Context(), "ada0", []contaxy.Service{all["a"], old})
		require.NoError(t, err)
		require.Equal(t, want, found)
	}
}
