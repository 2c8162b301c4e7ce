package images

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const ownPrograms = "shared/files/usr/local/lib/lab-workspace"

func TestLimitsAreThoseOfTheContainer(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string // CPUs, CPU seconds, bytes, limit of bytes
	}{
		"version 2": {map[string]string{
			"cpu.max": "50000 100000\n", "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
			"memory.current": "5000\n", "memory.max": "9000\n", "memory.stat": "anon 1\ninactive_file 2000\n",
		}, "[0.5, 1.5, 3000, 9000]"},
		"version 1": {map[string]string{
			"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n", "cpuacct/cpuacct.usage": "1500000000\n",
			"memory/memory.usage_in_bytes": "5000\n", "memory/memory.limit_in_bytes": "9000\n",
			"memory/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
		}, "[0.5, 1.5, 3000, 9000]"},
		"version 2 without limits": {map[string]string{
			"cpu.max": "max 100000\n", "cpu.stat": "usage_usec 0\n", "memory.current": "5000\n", "memory.max": "max\n",
		}, "[HOST, 0.0, 5000, HOST]"},
		"version 1 without limits": {map[string]string{
			"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n", "cpuacct/cpuacct.usage": "0\n",
			"memory/memory.usage_in_bytes": "5000\n", "memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, "[HOST, 0.0, 5000, HOST]"},
		"nothing to read": {nil, "[HOST, null, null, HOST]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := python(t, c.files, nil, `
host_cpus, host_memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
cpus, memory = cgroup.cpu_limit(), cgroup.memory_limit()
text = json.dumps(["HOST" if cpus == host_cpus else cpus, cgroup.cpu_seconds(), cgroup.memory_used(), "HOST" if memory == host_memory else memory])
print(text.replace('"', ''))`)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestThreadsFitTheLimitAndWhatTheUserSetStays(t *testing.T) {
	half := map[string]string{"cpu.max": "50000 100000\n"}
	for name, c := range map[string]struct {
		environment map[string]string
		want        map[string]string // "" = not set
	}{
		"half a CPU is one thread": {nil, map[string]string{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMEXPR_MAX_THREADS": "1"}},
		"one number for all":       {map[string]string{"MAX_NUM_THREADS": "3"}, map[string]string{"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}},
		"auto":                     {map[string]string{"MAX_NUM_THREADS": "auto"}, map[string]string{"OMP_NUM_THREADS": "1"}},
		"the general one leads":    {map[string]string{"OMP_NUM_THREADS": "4"}, map[string]string{"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}},
		"a special one is special": {map[string]string{"MKL_NUM_THREADS": "5"}, map[string]string{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "5"}},
		"numexpr may use as many":  {map[string]string{"NUMEXPR_NUM_THREADS": "6"}, map[string]string{"NUMEXPR_NUM_THREADS": "6", "NUMEXPR_MAX_THREADS": ""}},
		"ours follow the limit": {
			map[string]string{"LAB_WORKSPACE_THREADS": "2 OMP_NUM_THREADS MKL_NUM_THREADS", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"},
			map[string]string{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"},
		},
		"ours that were changed are the user's": {
			map[string]string{"LAB_WORKSPACE_THREADS": "2 OMP_NUM_THREADS MKL_NUM_THREADS", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "7"},
			map[string]string{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			text := python(t, half, c.environment, "print(json.dumps({**os.environ, **threads.variables(os.environ)}))")
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			for variable, want := range c.want {
				if got[variable] != want {
					t.Errorf("%s = %q, want %q", variable, got[variable], want)
				}
			}
		})
	}
}

// python runs a program that can use ours in an environment and with control groups of its own.
func python(t *testing.T, files, environment map[string]string, program string) string {
	t.Helper()
	interpreter, err := exec.LookPath("python3")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("needs Linux and python3")
	}
	root := t.TempDir() + "/"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(root+name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(interpreter, "-B", "-c", "import json, os, sys\nsys.path.insert(0, sys.argv[1])\n"+
		"import cgroup, threads\ncgroup.ROOT = sys.argv[2]\n"+program, ownPrograms, root)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return strings.TrimSpace(string(output))
}
