package docker

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/system"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// nvidiaSMI puts a program of that name where programs are looked for, or makes sure that there is none.
func nvidiaSMI(t *testing.T, script string) {
	t.Helper()
	folder := t.TempDir()
	if script != "" {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "nvidia-smi"), []byte("#!/bin/sh\n"+script), 0o700)) //nolint:gosec // it is run
	}
	t.Setenv("PATH", folder)
}

// hostWith is what an engine says of its machine, whose daemon says info of itself.
func hostWith(t *testing.T, info system.Info, gpus GPUOptions) workspace.Host {
	t.Helper()
	e := badEngine(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/info") {
			_ = json.NewEncoder(w).Encode(info)
			return
		}
		_, _ = w.Write([]byte("[]"))
	})
	e.gpus = gpus
	host, err := e.Host(t.Context())
	require.NoError(t, err)
	return host
}

const twoGPUs = `[ "$*" = "--query-gpu=uuid,name,memory.total --format=csv,noheader,nounits" ] || exit 9
echo "GPU-bb, NVIDIA A100-SXM4-40GB, 40960"
echo "GPU-aa, NVIDIA GB10, [N/A]"`

func TestHost_FindsGPUsByNamesThatLast(t *testing.T) {
	here := system.Info{ID: "x", CDISpecDirs: []string{"testdata/cdi", "/no/such/folder"}}
	discover := GPUOptions{Discover: true}
	first := workspace.GPU{ID: "GPU-aa", Name: "NVIDIA GB10", Driver: workspace.GPUNvidia}
	second := workspace.GPU{ID: "GPU-bb", Name: "NVIDIA A100-SXM4-40GB", MemoryMB: 40960, Driver: workspace.GPUNvidia}

	nvidiaSMI(t, twoGPUs)
	require.Equal(t, []workspace.GPU{first, second}, hostWith(t, here, discover).GPUs)
	require.Nil(t, hostWith(t, here, GPUOptions{}).GPUs, "nobody asked")
	t.Log("the first number is that of the first one that nvidia-smi names, not of the first UUID")
	require.Equal(t, []workspace.GPU{second}, hostWith(t, here, GPUOptions{Devices: []string{"0"}}).GPUs)
	require.Equal(t, []workspace.GPU{first, {ID: "MIG-77", Driver: workspace.GPUNvidia}, {ID: "nvidia.com/gpu=cc", Driver: workspace.GPUCDI}},
		hostWith(t, here, GPUOptions{Devices: []string{"nvidia.com/gpu=cc", "MIG-77", "GPU-aa", "GPU-aa"}, Discover: true}).GPUs)

	t.Log("a program that fails is a sentence, not an error")
	nvidiaSMI(t, "echo NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.; exit 9")
	broken := hostWith(t, system.Info{ID: "x"}, discover)
	require.Nil(t, broken.GPUs)
	require.Contains(t, strings.Join(broken.Notes, " "), "could not communicate with the NVIDIA driver")
	nvidiaSMI(t, "echo No devices were found")
	none := hostWith(t, system.Info{ID: "x"}, discover)
	require.Nil(t, none.GPUs)
	require.Empty(t, none.Notes)

	t.Log("without it, the descriptions of devices that the daemon reads")
	nvidiaSMI(t, "")
	byCDI := []workspace.GPU{
		{ID: "nvidia.com/gpu=GPU-a5c7a1f0-0000-4000-8000-000000000001", Driver: workspace.GPUCDI},
		{ID: "nvidia.com/gpu=GPU-b5c7a1f0-0000-4000-8000-000000000002", Driver: workspace.GPUCDI},
	}
	require.Equal(t, byCDI, hostWith(t, here, discover).GPUs)
	require.Nil(t, hostWith(t, system.Info{ID: "x"}, discover).GPUs, "a daemon that names no folders gives no such devices")
	said := system.Info{ID: "x", DiscoveredDevices: []system.DeviceInfo{
		{Source: "cdi", ID: "nvidia.com/gpu=0"}, {Source: "cdi", ID: "nvidia.com/gpu=all"}, {Source: "cdi", ID: "example.com/camera=GPU-1"}, {Source: "x", ID: "nvidia.com/gpu=1"},
	}}
	require.Equal(t, []workspace.GPU{{ID: "nvidia.com/gpu=0", Driver: workspace.GPUCDI}}, hostWith(t, said, discover).GPUs, "a number where there is nothing better, never all")
}

func TestSpecOf_GivesTheLeasedGPUsAndNoOthers(t *testing.T) {
	d := thesis
	d.Env = map[string]string{visibleDevices: "all"}
	spec := specOf(d, surroundings{})
	require.Empty(t, spec.host.DeviceRequests)
	require.Contains(t, spec.config.Env, "NVIDIA_VISIBLE_DEVICES=void", "where NVIDIA's runtime is the default, it gives nothing")

	d.GPUs = []workspace.GPU{{ID: "GPU-aa", Driver: workspace.GPUNvidia}, {ID: "GPU-bb", Driver: workspace.GPUNvidia}}
	spec = specOf(d, surroundings{})
	requireJSON(t, `[{"Driver": "nvidia", "Count": 0, "DeviceIDs": ["GPU-aa", "GPU-bb"], "Capabilities": [["gpu"]], "Options": null}]`, spec.host.DeviceRequests)
	require.Contains(t, spec.config.Env, "NVIDIA_VISIBLE_DEVICES=GPU-aa,GPU-bb")

	d.GPUs = []workspace.GPU{{ID: "nvidia.com/gpu=GPU-aa", Driver: workspace.GPUCDI}}
	spec = specOf(d, surroundings{})
	requireJSON(t, `[{"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=GPU-aa"], "Capabilities": null, "Options": null}]`, spec.host.DeviceRequests)
	require.Contains(t, spec.config.Env, "NVIDIA_VISIBLE_DEVICES=void")
}

func TestStart_SaysWhatIsMissingForGPUs(t *testing.T) {
	e := newTestEngine(t)
	d := sleeper(e, goodImage)
	d.GPUs = []workspace.GPU{{ID: "GPU-aa", Driver: workspace.GPUNvidia}}
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate} {
		_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	observed, err := e.inspect(t.Context(), string(d.ID))
	require.NoError(t, err)
	require.Equal(t, int64(1), observed.Compute.GPUs)
	_, err = e.Execute(t.Context(), workspace.Step{Kind: workspace.StepStart, Deployment: d}, func(workspace.Progress) {})
	if err == nil {
		t.Skip("this machine has NVIDIA's toolkit")
	}
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), "to try it again helps nobody: %v", err)
	require.Contains(t, workspace.HintOf(err), "NVIDIA Container Toolkit")
}
