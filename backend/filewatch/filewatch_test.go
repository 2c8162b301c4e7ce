package filewatch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/filewatch"
)

const patience = 10 * time.Second

// watch follows a file with so slow a look of its own that only the system can have told of a change in time.
func watch(t *testing.T, file string) chan struct{} {
	t.Helper()
	looks := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		filewatch.Watch(ctx, file, time.Hour, 10*time.Millisecond, func() {
			select {
			case looks <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(50 * time.Millisecond) // nothing tells from outside that the folders are watched
	for len(looks) > 0 {
		<-looks
	}
	return looks
}

func noticed(t *testing.T, looks chan struct{}) {
	t.Helper()
	select {
	case <-looks:
	case <-time.After(patience):
		t.Fatal("the change was not noticed")
	}
	time.Sleep(20 * time.Millisecond)
	for len(looks) > 0 {
		<-looks
	}
}

func TestWatch_NoticesWhateverWayAFileChanges(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "sub", "config.toml")
	looks := watch(t, file)
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	noticed(t, looks)
	require.NoError(t, os.WriteFile(file, []byte("a"), 0o600))
	noticed(t, looks)
	require.NoError(t, os.WriteFile(file, []byte("b"), 0o600))
	noticed(t, looks)
	require.NoError(t, os.WriteFile(file+".new", []byte("c"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	noticed(t, looks)
	require.NoError(t, os.Remove(file))
	noticed(t, looks)

	t.Log("what a link leads to")
	target := filepath.Join(folder, "elsewhere", "real.toml")
	require.NoError(t, os.Mkdir(filepath.Dir(target), 0o700))
	require.NoError(t, os.WriteFile(target, []byte("d"), 0o600))
	require.NoError(t, os.Symlink(target, file))
	noticed(t, looks)
	require.NoError(t, os.WriteFile(target, []byte("e"), 0o600))
	noticed(t, looks)
}

func TestWatch_LeavesOtherFilesAlone(t *testing.T) {
	folder := t.TempDir()
	looks := watch(t, filepath.Join(folder, "token"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "state.db"), []byte("a"), 0o600))
	time.Sleep(100 * time.Millisecond)
	require.Empty(t, looks)
}

func TestWatch_LooksOnceItFollows(t *testing.T) {
	looked := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go filewatch.Watch(ctx, filepath.Join(t.TempDir(), "token"), time.Hour, time.Hour, func() { looked <- struct{}{} })
	select {
	case <-looked:
	case <-time.After(patience):
		t.Fatal("what came before it was followed is not noticed")
	}
}
