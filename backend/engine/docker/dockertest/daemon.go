//go:build linux

package dockertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Daemon is a Docker daemon beside the developer's own.
type Daemon struct {
	t       testing.TB
	folder  string
	bridge  string
	process *exec.Cmd
	output  string // file
	blind   string // folder of which it sees nothing
}

const (
	answersWithin = time.Minute
	removedWithin = 10 * time.Second
)

// New starts a daemon without any images; it is gone when the test ends. subnet is the address of its bridge, which no
// other daemon may have at the same time: tests of different packages run at once.
func New(t testing.TB, subnet string) *Daemon {
	t.Helper()
	d := prepare(t, subnet)
	d.Start()
	return d
}

// NewBlind starts a daemon that sees nothing of what is in a folder, as one in a virtual machine does.
func NewBlind(t testing.TB, subnet, folder string) *Daemon {
	t.Helper()
	d := prepare(t, subnet)
	d.blind = folder
	d.Start()
	return d
}

// NewOnBtrfs starts a daemon that keeps its data on a btrfs of so many megabytes, which holds containers to sizes.
func NewOnBtrfs(t testing.TB, subnet string, megabytes int64) *Daemon {
	t.Helper()
	d := prepare(t, subnet)
	disk := d.folder + "/disk"
	require.NoError(t, os.WriteFile(disk, nil, 0o600))
	require.NoError(t, os.Truncate(disk, megabytes<<20))
	Run(t, "mkfs.btrfs", "--quiet", disk)
	require.NoError(t, os.Mkdir(d.data(), 0o700))
	Run(t, "mount", "-o", "loop", disk, d.data())
	d.Start()
	return d
}

func prepare(t testing.TB, subnet string) *Daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a second Docker daemon needs root")
	}
	folder, err := os.MkdirTemp("", "lab-daemon-") // the path of a socket must be short
	require.NoError(t, err)
	d := &Daemon{t: t, folder: folder, bridge: fmt.Sprintf("labt%d", os.Getpid()%100_000), output: folder + "/output"}
	t.Cleanup(d.remove)
	Run(t, "ip", "link", "add", d.bridge, "type", "bridge")
	Run(t, "ip", "addr", "add", subnet, "dev", d.bridge)
	Run(t, "ip", "link", "set", d.bridge, "up")
	return d
}

// Run runs a command that must succeed, and returns what it printed.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// Host is where the daemon answers.
func (d *Daemon) Host() string { return "unix://" + filepath.Join(d.folder, "docker.sock") }

func (d *Daemon) data() string { return d.folder + "/data" }

// Docker runs a docker command that must succeed.
func (d *Daemon) Docker(args ...string) string {
	d.t.Helper()
	return Run(d.t, "docker", append([]string{"-H", d.Host()}, args...)...)
}

// Load gives it an image of the developer's own daemon.
func (d *Daemon) Load(image string) {
	d.t.Helper()
	archive := filepath.Join(d.folder, "image.tar")
	Run(d.t, "docker", "save", "-o", archive, image)
	d.Docker("load", "-i", archive)
	require.NoError(d.t, os.Remove(archive))
}

// Start starts it again after End.
func (d *Daemon) Start() {
	d.t.Helper()
	output, err := os.Create(d.output)
	require.NoError(d.t, err)
	defer func() { _ = output.Close() }() // the daemon has its own
	// A bridge of its own: a daemon that is told to have none takes the bridge of the developer's own away.
	args := []string{"dockerd",
		"--host", d.Host(), "--data-root", d.data(), "--exec-root", d.folder + "/exec", "--pidfile", d.folder + "/pid",
		"--bridge", d.bridge, "--iptables=false", "--ip-masq=false",
		"--containerd-namespace", "lab-test", "--containerd-plugins-namespace", "lab-test-plugins"}
	if d.blind != "" {
		args = append([]string{"unshare", "--mount", "sh", "-ec", `mount -t tmpfs hidden "$0"; exec "$@"`, d.blind}, args...)
	}
	d.process = exec.Command(args[0], args[1:]...)
	d.process.Stdout, d.process.Stderr = output, output
	require.NoError(d.t, d.process.Start())
	require.Eventually(d.t, func() bool {
		return exec.Command("docker", "-H", d.Host(), "version").Run() == nil
	}, answersWithin, 50*time.Millisecond, "the daemon does not answer")
}

// Signal sends it a signal that does not end it.
func (d *Daemon) Signal(signal syscall.Signal) {
	d.t.Helper()
	require.NoError(d.t, d.process.Process.Signal(signal))
}

// End ends the daemon with a signal and waits until it is gone.
func (d *Daemon) End(signal syscall.Signal) {
	d.t.Helper()
	d.Signal(signal)
	_ = d.process.Wait() // how it ended is our doing
	if signal == syscall.SIGKILL {
		// Its containerd dies with it and leaves a note that it runs, which would keep the next one from starting.
		d.killAll("containerd\x00--config\x00" + d.folder)
		_ = os.Remove(d.folder + "/exec/containerd/containerd.pid")
	}
}

// killAll kills all processes that name something in their command line.
func (d *Daemon) killAll(named string) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		text, err := os.ReadFile(line)
		if err != nil || !bytes.Contains(text, []byte(named)) {
			continue
		}
		if id, err := strconv.Atoi(strings.Split(line, "/")[2]); err == nil && id != os.Getpid() {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
	}
}

func (d *Daemon) remove() {
	if d.t.Failed() {
		output, _ := os.ReadFile(d.output)
		d.t.Logf("output of the daemon:\n%s", output)
	}
	if d.process != nil && d.process.ProcessState == nil {
		_ = d.process.Process.Signal(syscall.SIGCONT)
		d.End(syscall.SIGTERM)
	}
	d.killAll(d.folder + "/") // a daemon that was killed leaves containerd and shims behind; they all name its folder
	_ = exec.Command("ip", "link", "del", d.bridge).Run()
	for deadline := time.Now().Add(removedWithin); ; time.Sleep(50 * time.Millisecond) {
		// A btrfs goes as a whole: its subvolumes cannot be removed like folders.
		if !d.unmount() {
			if os.RemoveAll(d.folder) == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			d.t.Errorf("%s could not be removed", d.folder)
			return
		}
	}
}

// unmount unmounts what is mounted below the daemon's folder, the newest first, and reports whether something may be left.
func (d *Daemon) unmount() (left bool) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	lines := slices.Collect(strings.Lines(string(mounts)))
	for _, line := range slices.Backward(lines) {
		if point := strings.Fields(line)[1]; strings.HasPrefix(point, d.folder) {
			left = true
			_ = syscall.Unmount(point, 0) // what is busy is tried again
		}
	}
	return left
}
