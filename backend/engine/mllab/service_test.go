package mllab

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// merged is what becomes of a service in the lab, which merges an update into what it has (RFC 7396).
func merged(t *testing.T, service map[string]any, update any) map[string]any {
	t.Helper()
	text, err := json.Marshal(update)
	require.NoError(t, err)
	var changes map[string]any
	require.NoError(t, json.Unmarshal(text, &changes))
	var merge func(is, change map[string]any) map[string]any
	merge = func(is, change map[string]any) map[string]any {
		is = maps.Clone(is)
		if is == nil {
			is = map[string]any{}
		}
		for name, value := range change {
			inner, isObject := value.(map[string]any)
			switch {
			case value == nil:
				delete(is, name)
			case isObject:
				was, _ := is[name].(map[string]any)
				is[name] = merge(was, inner)
			default:
				is[name] = value
			}
		}
		return is
	}
	return merge(service, changes)
}

func serviceOf(t *testing.T, told map[string]any) (service contaxy.Service) {
	t.Helper()
	text, err := json.Marshal(told)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &service))
	return service
}

// byHand is a service that somebody has made in the lab as a workspace of their own.
func byHand() map[string]any {
	return map[string]any{
		"id": "lab-p-ada0-s-ws-thesis", "display_name": "WS thesis", "status": "stopped", "container_image": "hub/own:1", "endpoints": []any{"8080b/tree", "9000"},
		"metadata": map[string]any{metaKind: kindWorkspace, "theirs": "yes"}, "command": []any{"run"}, "args": []any{"--fast"}, "requirements": []any{"docker"},
		"description": "By hand.", "health_endpoint": "9000/healthy", "parameters": map[string]any{"OWN": "x"},
		"compute": map[string]any{"max_cpus": 1.0, "max_memory": 1000.0, "max_gpus": 1.0, "volume_path": "/data"},
	}
}

func deploymentFor(profile string) workspace.Deployment {
	return workspace.Deployment{
		ID: "lab-p-ada0-s-ws-thesis", Owner: "ada0", DisplayName: "thesis", Image: "hub/own:1", Profile: profile, Port: 8080, KeepsPath: true, MountPath: "/home/own",
		Args: []string{"start", "--base=/projects/ada0/services/lab-p-ada0-s-ws-thesis/access/8080b"}, AccessPath: "/projects/ada0/services/lab-p-ada0-s-ws-thesis/access/8080b",
		Compute: workspace.Compute{CPUs: 1, MemoryMB: 1000},
	}
}

func TestUpdate_LeavesWhatSomebodyHasSetUpByHand(t *testing.T) {
	for _, profile := range []string{upstreamProfile, "jupyter"} {
		told := byHand()
		d := deploymentFor(profile)
		for _, change := range []func(){
			func() { d.Compute.MemoryMB = 3000 },
			func() { d.Compute.CPUs = 2 },
			func() { d.Image = "hub/own:2" },
		} {
			change()
			service := serviceOf(t, told)
			require.True(t, differs(service, d, ""))
			told = merged(t, told, updateOf(service, d, ""))
			require.False(t, differs(serviceOf(t, told), d, ""), "it is told once")
			want := byHand()
			for _, name := range []string{"endpoints", "command", "args", "requirements", "description", "health_endpoint", "parameters"} {
				require.Equal(t, want[name], told[name], name)
			}
			compute := told["compute"].(map[string]any)
			require.Equal(t, []any{1.0, "/data", float64(d.Compute.MemoryMB)}, []any{compute["max_gpus"], compute["volume_path"], compute["max_memory"]})
			require.Equal(t, "yes", told["metadata"].(map[string]any)["theirs"])
		}

		t.Log("another image is another program, which is started as its profile says")
		d.Image = "hub/another:1"
		told = merged(t, told, updateOf(serviceOf(t, told), d, ""))
		require.Equal(t, []any{"start", "--base=" + d.AccessPath}, told["args"])
		require.Equal(t, "/home/own", told["compute"].(map[string]any)["volume_path"])
		d.Args = nil
		told = merged(t, told, updateOf(serviceOf(t, told), d, ""))
		require.NotContains(t, told, "args")
		require.NotContains(t, told["metadata"], metaArgs)
		require.NotContains(t, told["metadata"], metaMount)
	}
}

// Upstream's have their files in another place than those of most profiles, so that place is nobody's own.
func TestUpdate_UpstreamsWorkspacesChangeTheirProfile(t *testing.T) {
	told := byHand()
	told["compute"].(map[string]any)["volume_path"] = upstreamMount
	delete(told, "args")
	told["endpoints"] = []any{"8080b"}
	d := deploymentFor("jupyter")
	d.Port = 8888
	told = merged(t, told, updateOf(serviceOf(t, told), d, ""))
	require.Equal(t, []any{"8888b"}, told["endpoints"])
	require.Equal(t, "/home/own", told["compute"].(map[string]any)["volume_path"])
	require.Len(t, told["args"], 2)
}

// What the lab tells a service of its address is what it was when the service was made.
func TestUpdate_AWorkspaceFollowsTheLabToAnotherPath(t *testing.T) {
	access := accessTo(deploymentFor(""))
	for _, way := range []struct{ old, base string }{{"", "/lab"}, {"/lab", ""}, {"/lab", "/labs"}, {"/lab", "/lab/two"}} {
		told := byHand()
		told["args"] = []any{"--base=" + way.old + access + "8080b", "--fast"}
		told["parameters"] = map[string]any{
			"OWN": "x", "TOKEN": "secret", "CONTAXY_BASE_URL": way.old, "CONTAXY_SERVICE_URL": way.old + access + "{endpoint}", "WORKSPACE_BASE_URL": way.old + access + "8080b",
			"NOTEBOOK_ARGS": "--a --ServerApp.base_url=" + way.old + access + "8080b --b", "CORRECTED": way.base + access + "9000",
			"LAB_API_ENDPOINT": "http://lab:8080" + way.old + "/api", "ELSEWHERE": "http://other/access/x",
		}
		d := deploymentFor(upstreamProfile)
		told = merged(t, told, updateOf(serviceOf(t, told), d, way.old))
		require.False(t, differs(serviceOf(t, told), d, way.old))
		require.True(t, differs(serviceOf(t, told), d, way.base), way)
		told = merged(t, told, updateOf(serviceOf(t, told), d, way.base))
		require.False(t, differs(serviceOf(t, told), d, way.base), way)
		require.Equal(t, map[string]any{
			"OWN": "x", "TOKEN": "secret", "CONTAXY_BASE_URL": way.base, "CONTAXY_SERVICE_URL": way.base + access + "{endpoint}", "WORKSPACE_BASE_URL": way.base + access + "8080b",
			"NOTEBOOK_ARGS": "--a --ServerApp.base_url=" + way.base + access + "8080b --b", "CORRECTED": way.base + access + "9000",
			"LAB_API_ENDPOINT": "http://lab:8080" + way.base + "/api", "ELSEWHERE": "http://other/access/x",
		}, told["parameters"], way)
		require.Equal(t, []any{"--base=" + way.base + access + "8080b", "--fast"}, told["args"])
	}
}

// A container that is there only to be removed takes the arguments of another image.
func TestUpdate_WhatWasChangedForARemovalIsChangedBack(t *testing.T) {
	told := byHand()
	own, saved := "hub/own:1", jsonOf(argsByHand(serviceOf(t, told)))
	told = merged(t, told, contaxy.ServicePatch{ContainerImage: "helper:1", Args: helpersArgs, Metadata: map[string]*string{metaImage: &own, metaArgs: &saved}})
	told = merged(t, told, updateOf(serviceOf(t, told), deploymentFor(upstreamProfile), ""))
	require.Equal(t, []any{[]any{"--fast"}, "hub/own:1"}, []any{told["args"], told["container_image"]})
	require.NotContains(t, told["metadata"], metaImage)
}

func TestRepository_IsAnImageWithoutItsVersion(t *testing.T) {
	for image, want := range map[string]string{
		"own": "own", "own:1": "own", "hub:5000/own": "hub:5000/own", "hub:5000/own:1": "hub:5000/own", "hub/own:1@sha256:0": "hub/own",
	} {
		require.Equal(t, want, repositoryOf(image))
	}
}
