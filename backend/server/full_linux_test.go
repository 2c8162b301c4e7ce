package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
)

// While the disk of the state folder is full nothing that could be forgotten is begun, what runs goes on, and room is
// all that is needed.
func TestProgram_WithAFullStateDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	p := newProgram(t)
	require.NoError(t, os.Symlink(disk, filepath.Join(p.home, "state")))
	p.start()
	before := p.create(map[string]any{"display_name": "before"})
	p.reach(before.ID, "running")

	stuffing := filepath.Join(disk, "stuffing")
	file, err := os.Create(stuffing)
	require.NoError(t, err)
	for err == nil {
		_, err = file.Write(make([]byte, 512))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, file.Close())

	for _, again := range []bool{false, true} {
		if again {
			t.Log("and after a kill and a new start, on the full disk")
			p.kill()
			p.start()
			p.reach(before.ID, "running")
		}
		refused := 0
		for range 20 { // what is left of the last page may take one or two
			status, text := p.request(http.MethodPost, p.workspaces(), map[string]any{"display_name": "after", "is_stopped": true})
			if status == http.StatusCreated || status == http.StatusOK {
				continue
			}
			refused++
			require.Equal(t, http.StatusInsufficientStorage, status, text)
			require.Contains(t, text, "is full")
			require.Contains(t, text, "storage_full")
		}
		require.Positive(t, refused)
		require.Equal(t, "running", p.get(before.ID).Status)
		_, response := p.open(before.ID)
		require.Equal(t, http.StatusOK, response.StatusCode)
		for _, change := range []func() (int, string){
			func() (int, string) {
				return p.request(http.MethodPatch, p.workspaces()+"/"+before.ID, map[string]any{"display_name": "renamed"})
			},
			func() (int, string) { return p.request(http.MethodPost, p.workspaces()+"/"+before.ID+":stop", nil) },
			func() (int, string) { return p.request(http.MethodDelete, p.workspaces()+"/"+before.ID, nil) },
		} {
			status, text := change()
			require.Equal(t, http.StatusInsufficientStorage, status, text)
		}
		require.Equal(t, "running", p.get(before.ID).Status)
		require.Equal(t, "before", p.get(before.ID).DisplayName)
	}

	require.NoError(t, os.Remove(stuffing))
	after := p.create(map[string]any{"display_name": "with room"})
	p.reach(after.ID, "running")
	p.call(http.MethodPost, p.workspaces()+"/"+before.ID+":stop", nil, nil)
	p.reach(before.ID, "stopped")
	var all []api.Workspace
	p.call(http.MethodGet, p.workspaces(), nil, &all)
	p.kill()
	p.start()
	var same []api.Workspace
	p.call(http.MethodGet, p.workspaces(), nil, &same)
	require.Len(t, same, len(all), "what was answered as done is there after a kill")
}
