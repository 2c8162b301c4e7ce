package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/auth"
	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/engine/mllab"
	"lab-workspace-manager/backend/workspace"
)

// looked counts how often a lab was asked for somebody's workspaces.
type looked struct {
	atomic.Int32
	last atomic.Value // whose, as a string
}

// newCrowdedLab is before a lab in which everybody has one workspace, and their token is their id.
func newCrowdedLab(t *testing.T) (l *lab, looks *looked) {
	t.Helper()
	looks = &looked{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case strings.HasSuffix(r.URL.Path, "/verify"):
			_, _ = fmt.Fprintf(w, `{"authorized_subject": "users/%s"}`, who)
		case strings.HasSuffix(r.URL.Path, "/services"):
			owner := strings.Split(r.URL.Path, "/")[3]
			looks.Add(1)
			looks.last.Store(owner)
			_, _ = fmt.Fprintf(w, `[{"id": "%s", "status": "stopped", "metadata": {"ctxy.workspaceExtension.deploymentType": "workspace"}}]`, thesisOf(workspace.Owner(owner)))
		default:
			_, _ = w.Write([]byte("[]"))
		}
	}))
	t.Cleanup(server.Close)
	client, err := contaxy.New(server.URL + "/api")
	require.NoError(t, err)
	l = &lab{client: client, engine: mllab.New(mllab.Options{Lab: client, LookEvery: time.Hour})}
	l.auth, err = auth.NewLab(auth.LabOptions{Verify: client.Verify})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	connected, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- l.engine.Watch(ctx, func() { close(connected) }, func(workspace.Change) {}) }()
	<-connected
	t.Cleanup(func() { cancel(); <-ended; require.NoError(t, l.engine.Close()) })
	return l, looks
}

func thesisOf(owner workspace.Owner) workspace.ID {
	return workspace.ID("lab-p-" + string(owner) + "-s-ws-thesis")
}

func (l *lab) asks(t *testing.T, who workspace.Owner, wanted api.Wanted) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+string(who))
	if _, err := l.caller(r, wanted); err != nil {
		t.Error(err)
	}
}

func TestLab_ManyWhoPollTheirWorkspaceCostNoMoreThanOne(t *testing.T) {
	l, looks := newCrowdedLab(t)
	const duration = time.Second
	everybody := make([]workspace.Owner, 50)
	for i := range everybody {
		everybody[i] = workspace.Owner(fmt.Sprintf("user%d", i))
		l.asks(t, everybody[i], api.Wanted{Owner: everybody[i]})
	}
	poll := func(crowd []workspace.Owner) int32 {
		time.Sleep(2200 * time.Millisecond) // until looks that were saved up for a pause are there again
		before, began := looks.Load(), time.Now()
		var polling sync.WaitGroup
		for _, who := range crowd {
			polling.Go(func() {
				for time.Since(began) < duration {
					l.asks(t, who, api.Wanted{Owner: who, Workspace: thesisOf(who), Now: true})
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		polling.Wait()
		return looks.Load() - before
	}
	one := poll(everybody[:1])
	all := poll(everybody)
	t.Logf("one who polls has the lab asked %d times, fifty %d times", one, all)
	require.LessOrEqual(t, all, one+1) // the edge of one period

	t.Log("who changes something, or names what is not known, is told what is")
	for _, wanted := range []api.Wanted{
		{Owner: "user1", Workspace: thesisOf("user1"), Now: true, Write: true},
		{Owner: "user1", Workspace: "lab-p-user1-s-ws-new", Now: true},
	} {
		before := looks.Load()
		l.asks(t, "user1", wanted)
		require.Equal(t, before+1, looks.Load())
	}
}

// Who administers the lab names workspaces of others in the API without saying whose.
func TestLab_WhoActsForAnotherIsToldOfThem(t *testing.T) {
	l, looks := newCrowdedLab(t)
	l.asks(t, "ada0", api.Wanted{Owner: "ada0"})
	l.asks(t, "root0", api.Wanted{})
	l.asks(t, "root0", api.Wanted{Workspace: thesisOf("ada0"), Now: true, Write: true})
	require.Equal(t, "ada0", looks.last.Load())
}
