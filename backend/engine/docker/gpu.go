package docker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"
	"go.yaml.in/yaml/v3"

	"lab-workspace-manager/backend/workspace"
)

// GPUOptions say which GPUs workspaces can be given.
type GPUOptions struct {
	// Devices are their ids: UUIDs ("GPU-…", "MIG-…") or the full names of CDI devices ("nvidia.com/gpu=…"). A number is
	// taken for the UUID that nvidia-smi tells of it: numbers change places when a device is added or fails.
	Devices []string
	// Discover looks for those of the machine where no Devices are named.
	Discover bool
}

const (
	// nvidiaPatience bounds nvidia-smi: without its persistence daemon the driver is loaded anew by each call.
	nvidiaPatience = 8 * time.Second
	// cdiKind is the kind of the CDI devices that are NVIDIA's GPUs.
	cdiKind = "nvidia.com/gpu"
	// largestCDIFile bounds a description of devices: some tens of kilobytes on large machines.
	largestCDIFile = 4 << 20
	// visibleDevices is how NVIDIA's runtime is told what a container gets, and noDevices that it gets nothing. Where that
	// runtime is Docker's default, an image that says "all" would get all.
	visibleDevices = "NVIDIA_VISIBLE_DEVICES"
	noDevices      = "void"
)

// gpusOf finds the devices that workspaces can be given, in the order of their ids. note is a sentence about what went
// wrong; "" when nothing did.
func (e *Engine) gpusOf(ctx context.Context, info system.Info) (found []workspace.GPU, note string) {
	if !e.gpus.Discover && len(e.gpus.Devices) == 0 {
		return nil, ""
	}
	if !e.remote {
		found, note = askNvidia(ctx)
	}
	if len(found) == 0 {
		found = cdiDevices(cdiNames(info, e.remote))
	}
	switch {
	case len(e.gpus.Devices) > 0:
		return configuredGPUs(e.gpus.Devices, found), ""
	case len(found) > 0:
		return sortGPUs(found), ""
	}
	return nil, note
}

func sortGPUs(gpus []workspace.GPU) []workspace.GPU {
	slices.SortFunc(gpus, func(a, b workspace.GPU) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(gpus, func(a, b workspace.GPU) bool { return a.ID == b.ID })
}

// configuredGPUs are the devices that an administrator has named, with what the machine says of them. found is in the
// machine's own order, by which it numbers them.
func configuredGPUs(ids []string, found []workspace.GPU) []workspace.GPU {
	var gpus []workspace.GPU
	for _, id := range ids {
		gpu := workspace.GPU{ID: id, Driver: workspace.GPUNvidia}
		if strings.Contains(id, "=") {
			gpu.Driver = workspace.GPUCDI
		}
		number, err := strconv.Atoi(id)
		if err == nil && number >= 0 && number < len(found) && found[number].Driver == workspace.GPUNvidia {
			gpu = found[number]
		}
		if at := slices.IndexFunc(found, func(one workspace.GPU) bool { return one.ID == id }); at >= 0 {
			gpu = found[at]
		}
		gpus = append(gpus, gpu)
	}
	return sortGPUs(gpus)
}

// askNvidia asks the driver of this machine for its devices. A machine without its program has none.
func askNvidia(ctx context.Context) (found []workspace.GPU, note string) {
	if _, err := exec.LookPath("nvidia-smi"); err != nil {
		return nil, ""
	}
	asking, cancel := context.WithTimeout(ctx, nvidiaPatience)
	defer cancel()
	ask := exec.CommandContext(asking, "nvidia-smi", "--query-gpu=uuid,name,memory.total", "--format=csv,noheader,nounits")
	ask.WaitDelay = time.Second // a driver that hangs holds even what was killed
	said, err := ask.Output()
	switch {
	case asking.Err() != nil:
		return nil, fmt.Sprintf("nvidia-smi did not answer within %s, so no GPUs are offered until Docker is connected anew.", nvidiaPatience)
	case err != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
		return nil, fmt.Sprintf("nvidia-smi failed (%v), so no GPUs are offered. It said: %.200s", err, strings.ToValidUTF8(first, ""))
	}
	return readNvidia(string(said)), ""
}

// readNvidia reads lines of "GPU-5f0c…, NVIDIA A100-SXM4-40GB, 40960". Machines that share their memory say "[N/A]".
func readNvidia(text string) []workspace.GPU {
	var gpus []workspace.GPU
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ", ")
		if !isUUID(id) {
			continue
		}
		gpu := workspace.GPU{ID: id, Name: rest, Driver: workspace.GPUNvidia}
		if at := strings.LastIndex(rest, ", "); at >= 0 {
			gpu.Name = rest[:at]
			gpu.MemoryMB, _ = strconv.ParseInt(rest[at+2:], 10, 64) // 0 = not known
		}
		gpus = append(gpus, gpu)
	}
	return gpus
}

func isUUID(id string) bool { return strings.HasPrefix(id, "GPU-") || strings.HasPrefix(id, "MIG-") }

// cdiNames are the names of the CDI devices that the daemon can give: by its own word, else by the files in the folders
// where it looks for them. One that names no folders gives none.
func cdiNames(info system.Info, remote bool) []string {
	var names []string
	for _, device := range info.DiscoveredDevices {
		if name, ours := strings.CutPrefix(device.ID, cdiKind+"="); ours && device.Source == "cdi" {
			names = append(names, name)
		}
	}
	if len(names) > 0 || remote {
		return names
	}
	for _, folder := range info.CDISpecDirs {
		for _, pattern := range []string{"*.yaml", "*.json"} {
			files, _ := filepath.Glob(filepath.Join(folder, pattern)) // the pattern is right
			for _, file := range files {
				names = append(names, namesIn(file)...)
			}
		}
	}
	return names
}

// namesIn reads a CDI file, which is YAML or JSON; JSON is YAML, too. One that makes no sense has no devices: the daemon
// passes it over as well.
func namesIn(file string) []string {
	if found, err := os.Stat(file); err != nil || !found.Mode().IsRegular() || found.Size() > largestCDIFile {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var said struct {
		Kind    string `yaml:"kind"`
		Devices []struct {
			Name string `yaml:"name"`
		} `yaml:"devices"`
	}
	if err := yaml.Unmarshal(text, &said); err != nil || said.Kind != cdiKind {
		return nil
	}
	names := make([]string, len(said.Devices))
	for i, device := range said.Devices {
		names[i] = device.Name
	}
	return names
}

// cdiDevices makes devices of CDI names. Each device has several: its UUID, its number, and one that stands for all. The
// UUID is the one that lasts; numbers are taken where there is nothing better.
func cdiDevices(names []string) []workspace.GPU {
	lasting := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isUUID(name) })
	if len(lasting) == 0 {
		lasting = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" || name == "all" })
	}
	var gpus []workspace.GPU
	for _, name := range lasting {
		gpus = append(gpus, workspace.GPU{ID: cdiKind + "=" + name, Driver: workspace.GPUCDI})
	}
	return gpus
}

// deviceRequests ask Docker for leased devices by their ids, never for a number of any.
func deviceRequests(leased []workspace.GPU) []container.DeviceRequest {
	var requests []container.DeviceRequest
	if ids := idsOf(leased, workspace.GPUNvidia); len(ids) > 0 {
		requests = append(requests, container.DeviceRequest{Driver: "nvidia", DeviceIDs: ids, Capabilities: [][]string{{"gpu"}}})
	}
	if ids := idsOf(leased, workspace.GPUCDI); len(ids) > 0 {
		requests = append(requests, container.DeviceRequest{Driver: "cdi", DeviceIDs: ids})
	}
	return requests
}

// devicesIn are the ids of the devices that Docker was asked for, in the domain's spelling.
func devicesIn(requests []container.DeviceRequest) string {
	var ids []string
	for _, request := range requests {
		ids = append(ids, request.DeviceIDs...)
	}
	return workspace.MakeLease(ids, time.Time{}).Devices
}

func idsOf(leased []workspace.GPU, driver string) []string {
	var ids []string
	for _, gpu := range leased {
		if gpu.Driver == driver {
			ids = append(ids, gpu.ID)
		}
	}
	return ids
}

// visibleGPUs is the value of visibleDevices for leased devices. CDI gives its devices without that variable.
func visibleGPUs(leased []workspace.GPU) string {
	ids := idsOf(leased, workspace.GPUNvidia)
	if len(ids) == 0 {
		return noDevices
	}
	return strings.Join(ids, ",")
}

// isGPURefused reports that Docker cannot give the devices that it was asked for.
func isGPURefused(err error) bool {
	return err != nil && containsAny(err.Error(), "could not select device driver", "CDI device injection failed", "unresolvable CDI devices", "nvidia-container-cli")
}
