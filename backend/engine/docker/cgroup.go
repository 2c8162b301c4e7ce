package docker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
)

// procFolder is where the kernel tells of processes. Anywhere but on Linux, and for a daemon elsewhere, there is nothing.
const procFolder = "/proc"

// errNoMeter says that the kernel's own files about a container cannot be read from here.
var errNoMeter = errors.New("the container's cgroup cannot be read from here")

// meter names the files in which the kernel says what one container uses. They stay where they are when it is restarted.
type meter struct {
	cpu     string
	memory  string
	detail  string // of the memory
	unified bool   // cgroup v2
}

// findMeter finds the meter of a container by the process that it started with. The number of a process means another one,
// or none, where the manager runs in a container itself; so the process must be in a cgroup with the container's name.
func findMeter(proc string, pid int, handle string) (meter, error) {
	membership, err := os.ReadFile(path.Join(proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return meter{}, errNoMeter
	}
	mounts, err := os.ReadFile(path.Join(proc, "self", "mountinfo"))
	if err != nil {
		return meter{}, errNoMeter
	}
	where := cgroupMounts(string(mounts))
	if memory, ok := cgroupOf(string(membership), "memory", handle); ok {
		accounts, ok := cgroupOf(string(membership), "cpuacct", handle)
		if !ok || where["memory"] == "" || where["cpuacct"] == "" {
			return meter{}, errNoMeter
		}
		return meter{
			cpu:    path.Join(where["cpuacct"], accounts, "cpuacct.usage"),
			memory: path.Join(where["memory"], memory, "memory.usage_in_bytes"),
			detail: path.Join(where["memory"], memory, "memory.stat"),
		}, nil
	}
	unified, ok := cgroupOf(string(membership), "", handle)
	if !ok || where[""] == "" {
		return meter{}, errNoMeter
	}
	folder := path.Join(where[""], unified)
	return meter{cpu: folder + "/cpu.stat", memory: folder + "/memory.current", detail: folder + "/memory.stat", unified: true}, nil
}

// cgroupOf returns the cgroup of a process for a controller, "" for the unified hierarchy: "/docker/<id>" by cgroupfs,
// "/system.slice/docker-<id>.scope" by systemd. What the container has made below is its own.
func cgroupOf(membership, controller, handle string) (cgroup string, ok bool) {
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 || !contains(parts[1], controller) {
			continue
		}
		at := strings.Index(parts[2], handle)
		if handle == "" || at < 0 {
			return "", false
		}
		rest := parts[2][at:]
		if end := strings.IndexByte(rest, '/'); end >= 0 {
			rest = rest[:end]
		}
		return parts[2][:at] + rest, true
	}
	return "", false
}

// contains reports whether a list with commas has an item; the empty list has the empty one.
func contains(list, item string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == item {
			return true
		}
	}
	return false
}

// cgroupMounts finds where each controller is mounted as a whole; under "" the unified hierarchy.
func cgroupMounts(mountinfo string) map[string]string {
	where := map[string]string{}
	for line := range strings.Lines(mountinfo) {
		// 30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
		before, after, found := strings.Cut(line, " - ")
		mounted, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(mounted) < 5 || len(kind) < 3 || mounted[3] != "/" {
			continue
		}
		switch kind[0] {
		case "cgroup2":
			where[""] = mounted[4]
		case "cgroup":
			for controller := range strings.SplitSeq(kind[2], ",") {
				where[controller] = mounted[4]
			}
		}
	}
	return where
}

// read reads a meter: seconds of processor time, and bytes of memory that are no cache of files. The buffer is used for
// all of its files.
func (m meter) read(buffer []byte) (cpuSeconds float64, memory int64, err error) {
	text, err := readInto(m.cpu, buffer)
	if err != nil {
		return 0, 0, err
	}
	if m.unified {
		microseconds, err := valueOf(text, "usage_usec")
		if err != nil {
			return 0, 0, err
		}
		cpuSeconds = float64(microseconds) / 1e6
	} else {
		nanoseconds, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpuSeconds = float64(nanoseconds) / 1e9
	}
	if text, err = readInto(m.memory, buffer); err != nil {
		return 0, 0, err
	}
	used, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0, 0, err
	}
	if text, err = readInto(m.detail, buffer); err != nil {
		return 0, 0, err
	}
	cached, err := valueOf(text, m.cacheKey())
	if err != nil {
		return 0, 0, err
	}
	return cpuSeconds, max(0, used-cached), nil
}

// cacheKey is how the kernel calls the caches that it gives up first, those of groups below included.
func (m meter) cacheKey() string {
	if m.unified {
		return "inactive_file"
	}
	return "total_inactive_file"
}

// valueOf finds "key number" among lines.
func valueOf(text []byte, key string) (int64, error) {
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(key)); found && len(rest) > 0 && rest[0] == ' ' {
			return strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
		}
	}
	return 0, fmt.Errorf("there is no %s", key)
}

// upperOfProcess returns the folder into which a container writes, by what its first process has mounted as its root;
// "" when that is no overlay or cannot be seen from here.
func upperOfProcess(proc, handle string, pid int) string {
	if _, err := findMeter(proc, pid, handle); err != nil {
		return "" // somebody else may have this number here
	}
	mounts, err := os.ReadFile(path.Join(proc, strconv.Itoa(pid), "mountinfo"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		mounted, kind := strings.Fields(before), strings.Fields(after)
		if len(mounted) < 5 || len(kind) < 3 || mounted[4] != "/" || kind[0] != "overlay" {
			continue
		}
		for option := range strings.SplitSeq(kind[2], ",") {
			if upper, found := strings.CutPrefix(option, "upperdir="); found && path.IsAbs(upper) {
				return upper
			}
		}
	}
	return ""
}
