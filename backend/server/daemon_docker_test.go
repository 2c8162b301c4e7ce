package server_test

import (
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/engine/docker/dockertest"
)

func TestDaemon_StoppedAndStartedAgain(t *testing.T) {
	needsDocker(t)
	d := dockertest.New(t, "10.215.0.1/24")
	d.Load(workspaceImage)
	p := newProgram(t)
	p.env = []string{"DOCKER_HOST=" + d.Host()}
	p.config = "[docker]\nsubnet_pool = \"10.214.0.0/16\"\n"
	p.start()
	t.Cleanup(p.kill)
	running := p.create(map[string]any{"display_name": "running"})
	resting := p.create(map[string]any{"display_name": "resting", "is_stopped": true})
	p.reach(running.ID, "running")
	d.Docker("exec", running.ID, "sh", "-c", "echo precious > /workspace/file")

	isReachable := func() bool {
		var host api.Host
		p.call(http.MethodGet, "/host", nil, &host)
		return host.Reachable
	}
	hasComeBack := func(how string) {
		t.Helper()
		require.Eventually(t, isReachable, 30*time.Second, 50*time.Millisecond, how)
		p.reach(running.ID, "running")
		require.Equal(t, "precious", d.Docker("exec", running.ID, "cat", "/workspace/file"), how)
		require.Equal(t, "stopped", p.get(resting.ID).Status, how)
	}

	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Logf("ended by %v", signal)
		var ending sync.WaitGroup
		ending.Go(func() { d.End(signal) })
		require.Eventually(t, func() bool { return !isReachable() }, 40*time.Second, 20*time.Millisecond, "nobody notices")
		ending.Wait()
		var host api.Host
		p.call(http.MethodGet, "/host", nil, &host)
		require.Contains(t, host.Reason, "Docker does not answer")
		require.NotEmpty(t, host.Action)
		seen := p.get(running.ID)
		require.Equal(t, "unknown", seen.Status, seen.Reason)
		require.Empty(t, seen.Actions, "nothing can be changed meanwhile")
		status, text := p.request(http.MethodPost, p.workspaces(), map[string]any{"display_name": "meanwhile"})
		require.Equal(t, http.StatusServiceUnavailable, status, text)
		status, text = p.request(http.MethodPost, p.workspaces()+"/"+running.ID+":stop", nil)
		require.Equal(t, http.StatusServiceUnavailable, status, text)
		d.Start()
		hasComeBack(signal.String())
	}

	t.Log("a daemon that hangs is one that does not answer")
	d.Signal(syscall.SIGSTOP)
	require.Eventually(t, func() bool { return !isReachable() }, 40*time.Second, 50*time.Millisecond, "nobody notices")
	d.Signal(syscall.SIGCONT)
	hasComeBack("continued")

	t.Log("the manager starts while there is no daemon")
	p.interrupt()
	d.End(syscall.SIGTERM)
	p.launch()
	require.Eventually(t, func() bool {
		_, _, err := p.try(http.MethodGet, "/host", nil)
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	require.False(t, isReachable())
	require.Equal(t, "unknown", p.get(running.ID).Status)
	d.Start()
	hasComeBack("first seen by the manager")
	p.call(http.MethodDelete, p.workspaces()+"/"+running.ID+"?delete_volumes=true", nil, nil)
}
