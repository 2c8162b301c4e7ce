package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// smallDisk mounts a disk of the size, in tmpfs's words. Only root can.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH)) })
	return folder
}

// fill writes a file until the disk is full but for so many bytes.
func fill(t *testing.T, folder string, leave int) (filler string) {
	t.Helper()
	filler = filepath.Join(folder, "filler")
	file, err := os.Create(filler)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	size, block := 0, make([]byte, 4096)
	for {
		n, err := file.Write(block)
		size += n
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
	}
	require.NoError(t, file.Truncate(int64(max(0, size-leave))))
	return filler
}

func TestStore_ErrWhenTheDiskIsFull(t *testing.T) {
	folder := smallDisk(t, "1m")
	store := openIn(t, folder)
	first := workspacetest.NewRecord("ada0", 1)
	require.NoError(t, store.PutRecord(t.Context(), first))
	filler := fill(t, folder, 64<<10)

	var failure error
	written := 1
	for ; failure == nil; written++ {
		require.Less(t, written, 1000)
		failure = store.PutRecord(t.Context(), workspacetest.NewRecord("ada0", written+1))
	}
	requireFull(t, failure, folder)
	requireFull(t, store.PutLog(t.Context(), first.ID, make([]byte, workspace.MaxLogBytes)), folder)
	requireFull(t, store.SetMeta(t.Context(), "key", string(make([]byte, 100_000))), folder)

	records, err := store.Records(t.Context())
	require.NoError(t, err)
	require.Equal(t, written-1, len(records), "what was written before is readable on a full disk")

	require.NoError(t, os.Remove(filler))
	require.NoError(t, store.PutRecord(t.Context(), workspacetest.NewRecord("bob0", 1)), "with room again it goes on")
	require.NoError(t, store.Close())
	records, err = openIn(t, folder).Records(t.Context())
	require.NoError(t, err)
	require.Equal(t, written, len(records))
}

func TestOpen_OnAFullDisk(t *testing.T) {
	for _, leave := range []int{0, 4 << 10, 12 << 10, 32 << 10} {
		folder := smallDisk(t, "1m")
		filler := fill(t, folder, leave)
		_, err := Open(filepath.Join(folder, "state", "state.db"))
		requireFull(t, err, filepath.Join(folder, "state"))
		require.NoError(t, os.Remove(filler))
		openIn(t, filepath.Join(folder, "state"))
	}
}

func TestOpen_ReadsAnExistingFileOnAFullDisk(t *testing.T) {
	folder := smallDisk(t, "1m")
	store := openIn(t, folder)
	require.NoError(t, store.PutRecord(t.Context(), workspacetest.NewRecord("ada0", 1)))
	require.NoError(t, store.Close())
	fill(t, folder, 0)

	store, err := Open(filepath.Join(folder, "state.db"))
	if err != nil { // SQLite needs a little room for its side files even to read
		requireFull(t, err, folder)
		return
	}
	records, err := store.Records(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.NoError(t, store.Close())
}

func requireFull(t *testing.T, err error, folder string) {
	t.Helper()
	require.Equal(t, workspace.CodeStorageFull, workspace.CodeOf(err), "%v", err)
	require.Contains(t, workspace.MessageOf(err), "the disk of the folder "+folder+" is full")
	require.Contains(t, workspace.HintOf(err), "Make room in "+folder)
}
