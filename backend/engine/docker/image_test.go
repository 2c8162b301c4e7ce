package docker

import (
	"encoding/json"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestFactsOf_ReadsWhatAnImageSaysOfItself(t *testing.T) {
	var found image.InspectResponse
	require.NoError(t, json.Unmarshal([]byte(`{
		"Id": "sha256:1", "Size": 42, "RepoDigests": ["b.lan/x@sha256:b", "a.lan/x@sha256:a", "c.lan/y@sha256:a"],
		"Config": {
			"ExposedPorts": {"8888/tcp": {}, "22": {}, "53/udp": {}, "0/tcp": {}, "x/tcp": {}, "70000/tcp": {}},
			"Labels": {"a": "b"}, "Entrypoint": ["tini"], "Cmd": ["lab"], "Env": ["A=1"], "User": "1000", "WorkingDir": "/w",
			"Volumes": {"/z": {}, "/data": {}}
		}
	}`), &found))
	require.Equal(t, workspace.ImageFacts{
		ID: "sha256:1", SizeBytes: 42, Digests: []string{"sha256:a", "sha256:b"}, Ports: []int{22, 8888}, Labels: map[string]string{"a": "b"},
		Entrypoint: []string{"tini"}, Command: []string{"lab"}, Env: []string{"A=1"}, User: "1000", WorkingDir: "/w", Volumes: []string{"/data", "/z"},
	}, factsOf(found))
	require.Equal(t, workspace.ImageFacts{}, factsOf(image.InspectResponse{}))
}

func TestIsPinned(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, pinned := range map[string]bool{
		"lab.lan/x@" + digest: true, "x:1@" + digest: true, digest: true, digest[7:]: true,
		"x": false, "x:latest": false, "127.0.0.1:5000/x:1": false, "": false, "NOT A NAME": false,
	} {
		require.Equal(t, pinned, isPinned(name), name)
	}
}
