package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestWalk_CountsWhatIsOnTheDisk(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	write := func(path string, bytes int) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, make([]byte, bytes), 0o600))
	}
	newest := time.Date(2031, 5, 6, 7, 8, 9, 123456789, time.UTC)
	write(folder+"/a/b/c", 100_000)
	write(folder+"/a/ü\nname", 10)
	write(elsewhere+"/not mine", 1<<20)
	require.NoError(t, os.Link(folder+"/a/b/c", folder+"/again"))
	require.NoError(t, os.Symlink(elsewhere, folder+"/out"))
	require.NoError(t, os.Symlink(folder, folder+"/round"))
	require.NoError(t, os.WriteFile(folder+"/sparse", nil, 0o600))
	require.NoError(t, os.Truncate(folder+"/sparse", 1<<40))
	require.NoError(t, syscall.Mkfifo(folder+"/pipe", 0o600))
	require.NoError(t, os.Chtimes(folder+"/a/b/c", newest, newest))

	usage, err := walk(t.Context(), folder, false)
	require.NoError(t, err)
	require.Equal(t, int64(3), usage.Files)
	require.True(t, newest.Equal(usage.ChangedAt))
	require.InDelta(t, 120_000, usage.Bytes, 20_000, "files, and the blocks of two folders")

	empty, err := walk(t.Context(), t.TempDir(), true)
	require.NoError(t, err)
	require.Equal(t, workspace.Usage{}, empty)
	_, err = walk(t.Context(), folder+"/nowhere", false)
	require.ErrorIs(t, err, errUnreadable)
	_, err = walk(t.Context(), folder+"/out", false)
	require.ErrorIs(t, err, errUnreadable, "not even the folder itself may lead elsewhere")
	called, callOff := context.WithCancel(t.Context())
	callOff()
	_, err = walk(called, folder, false)
	require.ErrorIs(t, err, context.Canceled)
}

func TestWalk_LeavesDepthsToOthers(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.MkdirAll(folder+strings.Repeat("/d", deepestFolder-1), 0o700))
	_, err := walk(t.Context(), folder, false)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(folder+strings.Repeat("/d", deepestFolder), 0o700))
	_, err = walk(t.Context(), folder, false)
	require.ErrorIs(t, err, errUnreadable, "a part is no number")
}

// An owner who exchanges folders for links all the time must not make us count, or hang on, what is not theirs.
func TestWalk_IsNotLedElsewhere(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(elsewhere+"/huge", make([]byte, 64<<20), 0o600))
	require.NoError(t, os.Mkdir(folder+"/real", 0o700))
	require.NoError(t, os.Symlink(elsewhere, folder+"/link"))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() { // a failure is as good as an exchange
			_ = os.Rename(folder+"/real", folder+"/x")
			_ = os.Rename(folder+"/link", folder+"/real")
			_ = os.Rename(folder+"/real", folder+"/link")
			_ = os.Rename(folder+"/x", folder+"/real")
		}
	}()
	for range 2000 {
		usage, err := walk(t.Context(), folder, false)
		require.NoError(t, err)
		require.Less(t, usage.Bytes, int64(1<<20))
	}
	stop.Store(true)
	<-done
}

// BenchmarkWalk walks over LAB_BENCH_FILES files (10,000 unless said), below LAB_BENCH_FOLDER, and tells the share of one
// processor that the whole process takes meanwhile.
func BenchmarkWalk(b *testing.B) {
	count, err := strconv.Atoi(os.Getenv("LAB_BENCH_FILES"))
	if err != nil {
		count = 10_000
	}
	folder, err := os.MkdirTemp(os.Getenv("LAB_BENCH_FOLDER"), "lab-walk-")
	require.NoError(b, err)
	b.Cleanup(func() { _ = os.RemoveAll(folder) })
	for i := range count {
		if i%1000 == 0 {
			require.NoError(b, os.Mkdir(fmt.Sprintf("%s/%d", folder, i/1000), 0o700))
		}
		require.NoError(b, os.WriteFile(fmt.Sprintf("%s/%d/%d", folder, i/1000, i), []byte("x"), 0o600))
	}
	for _, gentle := range []bool{false, true} {
		b.Run(fmt.Sprintf("gentle=%v", gentle), func(b *testing.B) {
			for b.Loop() {
				began, before := time.Now(), processTime(b)
				usage, err := walk(b.Context(), folder, gentle)
				require.NoError(b, err)
				require.Equal(b, int64(count), usage.Files)
				used := processTime(b) - before
				b.ReportMetric(100*float64(used)/float64(time.Since(began)), "%CPU")
				b.ReportMetric(float64(used.Microseconds())/float64(count), "µs-CPU/file")
			}
		})
	}
}

func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
