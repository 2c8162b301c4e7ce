package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestRelease_TakesTheNetworkWithTheLastContainer(t *testing.T) {
	needsDocker(t)
	e := newTestEngine(t)
	do := func(kind workspace.StepKind, d workspace.Deployment) {
		t.Helper()
		_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err, "step %s", kind)
	}
	networks := func() int {
		found, err := e.client.NetworkList(t.Context(), network.ListOptions{Filters: e.ours()})
		require.NoError(t, err)
		return len(found)
	}
	deployment := func(slug string) workspace.Deployment {
		id := workspace.ID(e.namespace + "-p-ada-s-" + slug)
		return workspace.Deployment{
			ID: id, UID: slug, Owner: "ada", Attempt: 1, Fingerprint: "f", Image: goodImage,
			Compute: workspace.Compute{CPUs: 1, MemoryMB: 100, Processes: 50}, Volume: "ada-" + string(id) + "-vol", MountPath: "/workspace", Port: 8080,
		}
	}
	first, second := deployment("first"), deployment("second")
	for _, d := range []workspace.Deployment{first, second} {
		do(workspace.StepStorage, d)
		do(workspace.StepCreate, d)
		do(workspace.StepStart, d)
	}
	require.Equal(t, 1, networks())

	do(workspace.StepRemove, first)
	do(workspace.StepRelease, first)
	require.Equal(t, 1, networks(), "the other one lives in it")

	t.Log("a container by another hand keeps it")
	do(workspace.StepRemove, second)
	guest := e.namespace + "-guest"
	out, err := exec.Command("docker", "run", "-d", "--name", guest, "--network", e.networkName("ada"), goodImage).CombinedOutput()
	require.NoError(t, err, "%s", out)
	do(workspace.StepRelease, second)
	require.Equal(t, 1, networks())
	require.NoError(t, exec.Command("docker", "rm", "-f", guest).Run())
	do(workspace.StepRelease, second)
	require.Zero(t, networks())

	t.Log("one that starts while the last other one is released runs")
	for range 5 {
		do(workspace.StepCreate, first)
		var both sync.WaitGroup
		both.Go(func() {
			do(workspace.StepRemove, first)
			do(workspace.StepRelease, first)
		})
		both.Go(func() {
			do(workspace.StepCreate, second)
			do(workspace.StepStart, second)
		})
		both.Wait()
		running, err := e.inspect(t.Context(), string(second.ID))
		require.NoError(t, err)
		require.Equal(t, workspace.ContainerRunning, running.State)
		do(workspace.StepRemove, second)
		do(workspace.StepRelease, second)
		require.Zero(t, networks())
	}
}

// A container that is being made for the network is in no list yet.
func TestRelease_LeavesTheNetworkToOneThatIsBeingMade(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	removed := false
	e := badEngine(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch path := r.URL.Path; {
		case r.Method == http.MethodDelete:
			removed = true
		case strings.HasSuffix(path, "/networks"):
			_, _ = io.WriteString(w, `[{"Id":"n"}]`)
		case strings.HasSuffix(path, "/containers/create"):
			close(asked)
			<-goOn
			_, _ = io.WriteString(w, `{"Id":"c"}`)
		case strings.HasSuffix(path, "/containers/json"):
			_, _ = io.WriteString(w, `[]`)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	})
	made := make(chan error)
	go func() {
		_, err := e.Execute(t.Context(), workspace.Step{Kind: workspace.StepCreate, Deployment: thesis}, func(workspace.Progress) {})
		made <- err
	}()
	<-asked
	err, early := e.releaseNetwork(t.Context(), thesis.Owner), removed
	close(goOn)
	require.NoError(t, err)
	require.False(t, early)
	require.NoError(t, <-made)
	require.NoError(t, e.releaseNetwork(t.Context(), thesis.Owner))
	require.True(t, removed, "the container is gone again")
}

func TestNetworkFor_MendsTwoOfOneName(t *testing.T) {
	needsDocker(t)
	e := newTestEngine(t)
	docker := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return e.client.Dialer()(ctx) }}}
	for range 2 { // Docker's own client asks not to have two; the daemon can have them all the same
		body := fmt.Sprintf(`{"Name": %q, "Labels": {%q: %q, %q: "ada"}}`, e.networkName("ada"), labelInstance, e.instance, labelOwner)
		response, err := docker.Post("http://docker/v1.41/networks/create", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}
	owned, err := e.networkFor(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, e.networkName("ada"), owned.name)
	left, err := e.client.NetworkList(t.Context(), network.ListOptions{Filters: e.ours()})
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, e.releaseNetwork(t.Context(), "ada"))
}

func TestCarryThrough_OutlivesACancellationButNotForEver(t *testing.T) {
	ctx, callOff := context.WithCancel(t.Context())
	through, done := carryThrough(ctx, 50*time.Millisecond)
	defer done()
	callOff()
	require.NoError(t, through.Err())
	select {
	case <-through.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it never ends")
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	through, done = carryThrough(late, time.Hour)
	defer done()
	<-through.Done()
	require.ErrorIs(t, through.Err(), context.DeadlineExceeded, "the deadline of the step holds")
}
