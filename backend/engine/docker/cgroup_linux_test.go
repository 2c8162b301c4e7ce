package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const handle = "4f5c9e0d7b1a4f5c9e0d7b1a4f5c9e0d7b1a4f5c9e0d7b1a4f5c9e0d7b1a4f5c"

// fakeKernel writes files as a kernel shows them, below a folder that stands for the root; ROOT in them stands for it, too.
func fakeKernel(t *testing.T, files map[string]string) (root, proc string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "ROOT", root)), 0o600))
	}
	return root, filepath.Join(root, "proc")
}

func TestFindMeter_WhereverTheKernelKeepsIt(t *testing.T) {
	const (
		mountsV1 = "30 25 0:26 / ROOT/cg/memory rw shared:9 - cgroup cgroup rw,memory\n31 25 0:27 / ROOT/cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
			"32 25 0:28 / ROOT/cg/unified rw - cgroup2 cgroup2 rw\n33 25 0:29 / ROOT/cg/systemd rw - cgroup cgroup rw,name=systemd\n"
		mountsV2 = "30 25 0:26 / ROOT/cg rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	)
	v1 := func(folder string) map[string]string {
		return map[string]string{
			"cg/cpu,cpuacct" + folder + "/cpuacct.usage":    "2500000000\n",
			"cg/memory" + folder + "/memory.usage_in_bytes": "5000\n",
			"cg/memory" + folder + "/memory.stat":           "cache 3000\ninactive_file 1\ntotal_cache 3000\ntotal_inactive_file 1200\ntotal_active_file 7\n",
		}
	}
	v2 := func(folder string) map[string]string {
		return map[string]string{
			"cg" + folder + "/cpu.stat":       "usage_usec 2500000\nuser_usec 2000000\n",
			"cg" + folder + "/memory.current": "5000\n",
			"cg" + folder + "/memory.stat":    "anon 3000\nfile 2000\ninactive_anon 5\ninactive_file 1200\nactive_file 800\n",
		}
	}
	byFS, bySystemd := "/docker/"+handle, "/system.slice/docker-"+handle+".scope"
	for name, c := range map[string]struct {
		membership, mounts string
		files              map[string]string
	}{
		"v1, cgroupfs": {"12:memory:" + byFS + "\n5:cpu,cpuacct:" + byFS + "\n1:name=systemd:" + byFS + "\n0::" + byFS + "\n", mountsV1, v1(byFS)},
		"v1, systemd":  {"9:cpu,cpuacct:" + bySystemd + "\n8:memory:" + bySystemd + "\n0::/\n", mountsV1, v1(bySystemd)},
		"v2, cgroupfs": {"0::" + byFS + "\n", mountsV2, v2(byFS)},
		"v2, systemd":  {"0::" + bySystemd + "\n", mountsV2, v2(bySystemd)},
		"v2, rootless": {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + handle + ".scope\n", mountsV2,
			v2("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + handle + ".scope")},
		"v2, an init system inside": {"0::" + byFS + "/init.scope\n", mountsV2, v2(byFS)},
	} {
		c.files["proc/7/cgroup"], c.files["proc/self/mountinfo"] = c.membership, c.mounts
		_, proc := fakeKernel(t, c.files)
		found, err := findMeter(proc, 7, handle)
		require.NoError(t, err, name)
		cpu, memory, err := found.read(make([]byte, meterBytes))
		require.NoError(t, err, name)
		require.Equal(t, []any{2.5, int64(3800)}, []any{cpu, memory}, name)
	}
	for name, c := range map[string]struct{ membership, mounts string }{
		"another process has the number":        {"0::/system.slice/sshd.service\n", mountsV2},
		"another container has it":              {"0::/docker/0000\n", mountsV2},
		"only a part of the hierarchy is there": {"0::" + byFS + "\n", "30 25 0:26 /docker/mine ROOT/cg rw - cgroup2 cgroup2 rw\n"},
		"no hierarchy is there":                 {"0::" + byFS + "\n", ""},
		"one is missing":                        {"12:memory:" + byFS + "\n", mountsV1},
		"nonsense":                              {"x\n::\n\n", "- \n - cgroup\n"},
	} {
		_, proc := fakeKernel(t, map[string]string{"proc/7/cgroup": c.membership, "proc/self/mountinfo": c.mounts})
		_, err := findMeter(proc, 7, handle)
		require.ErrorIs(t, err, errNoMeter, name)
	}
	_, err := findMeter(t.TempDir(), 7, handle)
	require.ErrorIs(t, err, errNoMeter)
}

func TestMeter_ReadsNothingFromNonsense(t *testing.T) {
	root, _ := fakeKernel(t, map[string]string{"cpu": "usage_usec 1\n", "memory": "5\n", "detail": "inactive_file 9\n", "nonsense": "x\ninactive_file\n", "huge": string(make([]byte, 100))})
	m := meter{cpu: root + "/cpu", memory: root + "/memory", detail: root + "/detail", unified: true}
	_, memory, err := m.read(make([]byte, 50))
	require.NoError(t, err)
	require.Zero(t, memory, "never below nothing")
	for _, file := range []string{"nonsense", "huge", "nowhere"} {
		for _, broken := range []meter{
			{cpu: root + "/" + file, memory: m.memory, detail: m.detail, unified: true}, {cpu: m.memory, memory: root + "/" + file, detail: m.detail},
			{cpu: m.cpu, memory: m.memory, detail: root + "/" + file, unified: true},
		} {
			_, _, err := broken.read(make([]byte, 50))
			require.Error(t, err, file)
		}
	}
}

func TestUpperOfProcess(t *testing.T) {
	overlay := "601 500 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b,upperdir=/var/lib/containerd/snapshots/7/fs,workdir=/w\n"
	files := map[string]string{
		"proc/7/cgroup": "0::/docker/" + handle + "\n", "proc/self/mountinfo": "30 25 0:26 / ROOT/cg rw - cgroup2 cgroup2 rw\n",
		"proc/7/mountinfo": "600 500 0:49 / /proc rw - proc proc rw\n" + overlay,
	}
	_, proc := fakeKernel(t, files)
	require.Equal(t, "/var/lib/containerd/snapshots/7/fs", upperOfProcess(proc, handle, 7))
	require.Empty(t, upperOfProcess(proc, "another", 7))
	require.Empty(t, upperOfProcess(proc, handle, 8))
	files["proc/7/mountinfo"] = "601 500 0:50 / / rw - btrfs /dev/loop0 rw\n"
	_, proc = fakeKernel(t, files)
	require.Empty(t, upperOfProcess(proc, handle, 7))
}
