package docker

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// No test machine has a disk that holds volumes to sizes, or a daemon that keeps containers in snapshots: their answers
// are those of Docker's source (28.5).
func TestSizes_OfADaemonWithSnapshotsAndProjectQuotas(t *testing.T) {
	id, images := "first", "[]"
	var asked []string
	var volumes []map[string]any
	e := badEngine(t, func(w http.ResponseWriter, r *http.Request) {
		_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		asked = append(asked, r.Method+" "+path)
		w.Header().Set("Content-Type", "application/json")
		switch path {
		case "info":
			_, _ = fmt.Fprintf(w, `{"ID": %q, "Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}`, id)
		case "images/json":
			_, _ = io.WriteString(w, images)
		case "images/ours:1/json":
			w.WriteHeader(http.StatusNotFound)
		case "images/ours:2/json":
			_, _ = io.WriteString(w, `{"Id": "sha256:2"}`)
		case "containers/json":
			_, _ = io.WriteString(w, "[]")
		case "volumes/create":
			var wanted map[string]any
			_ = json.NewDecoder(r.Body).Decode(&wanted)
			wanted["Options"] = wanted["DriverOpts"]
			volumes = append(volumes, wanted)
			_ = json.NewEncoder(w).Encode(wanted)
		}
	})
	host, err := e.Host(t.Context())
	require.NoError(t, err)
	require.False(t, host.Enforces.Tried)

	images = `[{"Id": "sha256:1"}]`
	for range 2 {
		host, err = e.Host(t.Context())
		require.NoError(t, err)
		require.Equal(t, workspace.Enforcement{Tried: true, VolumeSize: true}, host.Enforces, "snapshots take a size and do not hold it")
	}
	require.Len(t, volumes, 1, "it is tried once")
	require.NotContains(t, asked, "POST containers/create")
	require.Contains(t, asked, "DELETE volumes/"+e.namespace+"-size-trial")

	d := thesis
	d.Storage.VolumeMB = 500
	require.NoError(t, e.haveVolume(t.Context(), d))
	require.Equal(t, map[string]any{"size": "524288000"}, volumes[1]["DriverOpts"])
	require.Equal(t, "500", volumes[1]["Labels"].(map[string]any)[labelSizeMB])

	id = "second"
	_, err = e.Host(t.Context())
	require.NoError(t, err)
	require.Len(t, volumes, 3, "another daemon is tried anew")

	t.Log("all images are listed only where none of ours is here")
	require.Contains(t, asked, "GET images/json")
	e.builds = map[string]Build{"ours:1": {}, "ours:2": {}}
	asked, id = nil, "third"
	host, err = e.Host(t.Context())
	require.NoError(t, err)
	require.True(t, host.Enforces.Tried)
	require.NotContains(t, asked, "GET images/json")
}

func TestSizeToAsk_OnlyBtrfsCountsTheImage(t *testing.T) {
	require.Equal(t, int64(300<<20), sizeToAsk("overlay2", 300, 5<<20))
	require.Equal(t, int64(305<<20), sizeToAsk("btrfs", 300, 5<<20))
}
