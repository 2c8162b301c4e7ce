package server_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
)

// daemon is a second Docker daemon: the developer's own is never stopped by a test.
type daemon struct {
	t       *testing.T
	folder  string
	bridge  string
	process *exec.Cmd
	output  *safeBuffer
}

func (d *daemon) host() string { return "unix://" + filepath.Join(d.folder, "docker.sock") }

// newDaemon starts a daemon with the default workspace image in it.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	needsDocker(t)
	if os.Geteuid() != 0 {
		t.Fatal("a second Docker daemon needs root")
	}
	folder, err := os.MkdirTemp("", "lab-daemon-") // the path of a socket must be short
	require.NoError(t, err)
	d := &daemon{t: t, folder: folder, bridge: fmt.Sprintf("labt%d", os.Getpid()%100_000)}
	t.Cleanup(d.remove)
	run(t, "ip", "link", "add", d.bridge, "type", "bridge")
	run(t, "ip", "addr", "add", "10.215.0.1/24", "dev", d.bridge)
	run(t, "ip", "link", "set", d.bridge, "up")
	d.start()
	archive := filepath.Join(folder, "image.tar")
	run(t, "docker", "save", "-o", archive, workspaceImage)
	d.docker("load", "-i", archive)
	require.NoError(t, os.Remove(archive))
	return d
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

func (d *daemon) docker(args ...string) string {
	d.t.Helper()
	return run(d.t, "docker", append([]string{"-H", d.host()}, args...)...)
}

func (d *daemon) start() {
	d.t.Helper()
	d.output = &safeBuffer{}
	d.process = exec.Command("dockerd",
		"--host", d.host(), "--data-root", d.folder+"/data", "--exec-root", d.folder+"/exec", "--pidfile", d.folder+"/pid",
		"--bridge", d.bridge, "--iptables=false", "--ip-masq=false",
		"--containerd-namespace", "lab-test", "--containerd-plugins-namespace", "lab-test-plugins")
	d.process.Stdout, d.process.Stderr = d.output, d.output
	require.NoError(d.t, d.process.Start())
	require.Eventually(d.t, func() bool {
		return exec.Command("docker", "-H", d.host(), "version").Run() == nil
	}, time.Minute, 50*time.Millisecond, "the daemon does not answer")
}

// end ends the daemon with a signal and waits until it is gone.
func (d *daemon) end(signal syscall.Signal) {
	d.t.Helper()
	require.NoError(d.t, d.process.Process.Signal(signal))
	_ = d.process.Wait() // how it ended is our doing
	if signal == syscall.SIGKILL {
		// Its containerd dies with it and leaves a note that it runs, which would keep the next one from starting.
		_ = exec.Command("pkill", "-KILL", "-f", "containerd --config "+d.folder).Run()
		_ = os.Remove(d.folder + "/exec/containerd/containerd.pid")
	}
}

func (d *daemon) remove() {
	if d.t.Failed() {
		d.t.Logf("output of the daemon:\n%s", d.output)
	}
	if d.process != nil && d.process.ProcessState == nil {
		_ = d.process.Process.Signal(syscall.SIGCONT)
		d.end(syscall.SIGTERM)
	}
	// A daemon that was killed leaves containerd and shims behind; they all name its folder.
	_ = exec.Command("pkill", "-KILL", "-f", d.folder+"/").Run()
	_ = exec.Command("ip", "link", "del", d.bridge).Run()
	for range 10 {
		mounts, _ := os.ReadFile("/proc/self/mounts")
		for line := range strings.Lines(string(mounts)) {
			if point := strings.Fields(line)[1]; strings.HasPrefix(point, d.folder) {
				_ = syscall.Unmount(point, syscall.MNT_DETACH)
			}
		}
		if os.RemoveAll(d.folder) == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	d.t.Errorf("%s could not be removed", d.folder)
}

func TestDaemon_StoppedAndStartedAgain(t *testing.T) {
	d := newDaemon(t)
	p := newProgram(t)
	p.env = []string{"DOCKER_HOST=" + d.host()}
	p.config = "[docker]\nsubnet_pool = \"10.214.0.0/16\"\n"
	p.start()
	t.Cleanup(p.kill)
	running := p.create(map[string]any{"display_name": "running"})
	resting := p.create(map[string]any{"display_name": "resting", "is_stopped": true})
	p.reach(running.ID, "running")
	d.docker("exec", running.ID, "sh", "-c", "echo precious > /workspace/file")

	isReachable := func() bool {
		var host api.Host
		p.call(http.MethodGet, "/host", nil, &host)
		return host.Reachable
	}
	hasComeBack := func(how string) {
		t.Helper()
		require.Eventually(t, isReachable, 30*time.Second, 50*time.Millisecond, how)
		p.reach(running.ID, "running")
		require.Equal(t, "precious", d.docker("exec", running.ID, "cat", "/workspace/file"), how)
		require.Equal(t, "stopped", p.get(resting.ID).Status, how)
	}

	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Logf("ended by %v", signal)
		var ending sync.WaitGroup
		ending.Go(func() { d.end(signal) })
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
		d.start()
		hasComeBack(signal.String())
	}

	t.Log("a daemon that hangs is one that does not answer")
	require.NoError(t, d.process.Process.Signal(syscall.SIGSTOP))
	require.Eventually(t, func() bool { return !isReachable() }, 40*time.Second, 50*time.Millisecond, "nobody notices")
	require.NoError(t, d.process.Process.Signal(syscall.SIGCONT))
	hasComeBack("continued")

	t.Log("the manager starts while there is no daemon")
	p.interrupt()
	d.end(syscall.SIGTERM)
	p.launch()
	require.Eventually(t, func() bool {
		_, _, err := p.try(http.MethodGet, "/host", nil)
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	require.False(t, isReachable())
	require.Equal(t, "unknown", p.get(running.ID).Status)
	d.start()
	hasComeBack("first seen by the manager")
	p.call(http.MethodDelete, p.workspaces()+"/"+running.ID+"?delete_volumes=true", nil, nil)
}
