package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestStore_KeepsTheContract(t *testing.T) {
	workspacetest.TestStore(t, func(t *testing.T, folder string) workspace.Store {
		store, err := Open(filepath.Join(folder, "state", "state.db"))
		require.NoError(t, err)
		return store
	})
}

func openIn(t *testing.T, folder string) *Store {
	t.Helper()
	store, err := Open(filepath.Join(folder, "state.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestStore_MetaIsKept(t *testing.T) {
	folder := t.TempDir()
	store := openIn(t, folder)
	value, err := store.GetMeta(t.Context(), "instance")
	require.NoError(t, err)
	require.Empty(t, value)

	require.NoError(t, store.SetMeta(t.Context(), "instance", "first"))
	require.NoError(t, store.SetMeta(t.Context(), "instance", "abc123"))
	require.NoError(t, store.Close())

	value, err = openIn(t, folder).GetMeta(t.Context(), "instance")
	require.NoError(t, err)
	require.Equal(t, "abc123", value)
}

func TestOpen_KeepsEverythingPrivate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new # 100% ?x=1", "deep")
	store := openIn(t, folder)
	require.NoError(t, store.PutRecord(t.Context(), workspacetest.NewRecord("ada0", 1)))

	info, err := os.Stat(folder)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	require.Equal(t, []string{"state.db", "state.db-shm", "state.db-wal"}, privateFiles(t, folder))

	require.NoError(t, store.Close())
	require.Equal(t, []string{"state.db"}, privateFiles(t, folder), "closing leaves one file with everything in it")
}

func TestOpen_MakesAnExistingFilePrivate(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, openIn(t, folder).Close())
	require.NoError(t, os.Chmod(filepath.Join(folder, "state.db"), 0o644))
	openIn(t, folder)
	privateFiles(t, folder)
}

// privateFiles lists the folder and requires that nobody else can read what is in it.
func privateFiles(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), entry.Name())
		names = append(names, entry.Name())
	}
	return names
}

// oneMore is what a later version would bring.
func oneMore(t *testing.T, later string) fs.FS {
	files := fstest.MapFS{"9999_later.sql": {Data: []byte(later)}}
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	require.NoError(t, err)
	for _, name := range names {
		script, err := fs.ReadFile(migrationFiles, name)
		require.NoError(t, err)
		files[filepath.Base(name)] = &fstest.MapFile{Data: script}
	}
	return files
}

func TestOpen_CopiesBeforeAMigration(t *testing.T) {
	folder := t.TempDir()
	record := workspacetest.NewRecord("ada0", 1)
	store := openIn(t, folder)
	require.NoError(t, store.PutRecord(t.Context(), record))
	require.NoError(t, store.Close())

	migrated, err := open(filepath.Join(folder, "state.db"), oneMore(t, "CREATE TABLE later (x TEXT); DELETE FROM records;"))
	require.NoError(t, err)
	records, err := migrated.Records(t.Context())
	require.NoError(t, err)
	require.Empty(t, records)
	require.NoError(t, migrated.Close())

	require.Equal(t, []string{"state.db", "state.db.v2"}, privateFiles(t, folder))
	require.NoError(t, os.Rename(filepath.Join(folder, "state.db.v2"), filepath.Join(folder, "state.db")))
	records, err = openIn(t, folder).Records(t.Context())
	require.NoError(t, err)
	require.Equal(t, []workspace.Record{record}, records, "the copy is a whole state file of the older version")
}

func TestOpen_ErrWhenAMigrationFails(t *testing.T) {
	folder := t.TempDir()
	store := openIn(t, folder)
	require.NoError(t, store.PutRecord(t.Context(), workspacetest.NewRecord("ada0", 1)))
	require.NoError(t, store.Close())

	for range 2 { // the copy of the first try is no obstacle
		_, err := open(filepath.Join(folder, "state.db"), oneMore(t, "DELETE FROM records; SELECT nonsense FROM nowhere;"))
		require.ErrorContains(t, err, "could not be brought up to date")
	}
	records, err := openIn(t, folder).Records(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 1, "a failed migration changes nothing")
}

func TestOpen_ErrWhenTheFileIsNewer(t *testing.T) {
	folder := t.TempDir()
	newer, err := open(filepath.Join(folder, "state.db"), oneMore(t, "CREATE TABLE later (x TEXT)"))
	require.NoError(t, err)
	require.NoError(t, newer.Close())
	before, err := os.ReadFile(filepath.Join(folder, "state.db"))
	require.NoError(t, err)

	_, err = Open(filepath.Join(folder, "state.db"))
	require.Equal(t, workspace.CodeConflict, workspace.CodeOf(err))
	require.ErrorContains(t, err, "newer version of the workspace manager (its schema is 3, this version knows 2)")
	after, err := os.ReadFile(filepath.Join(folder, "state.db"))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestOpen_ErrWhenItIsNoStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	text := strings.Repeat("not a database at all\n", 1000)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	_, err := Open(path)
	require.ErrorContains(t, err, "damaged or was never a state file")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, text, string(after))
}

func TestStore_CancelledContextIsNoFailureOfTheDisk(t *testing.T) {
	store := openIn(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.PutRecord(ctx, workspacetest.NewRecord("ada0", 1)), context.Canceled)
	require.NoError(t, store.PutRecord(t.Context(), workspacetest.NewRecord("ada0", 1)))
}

// killedWriter names the state folder for the child process of TestStore_OutlivesAKill.
const killedWriter = "LWM_TEST_KILLED_WRITER"

func TestStore_OutlivesAKill(t *testing.T) {
	if folder := os.Getenv(killedWriter); folder != "" {
		writeUntilKilled(t, folder)
	}
	folder, before := t.TempDir(), 0
	for round := range 5 {
		acknowledged := killWriter(t, folder, round)
		store := openIn(t, folder)
		records, err := store.Records(t.Context())
		require.NoError(t, err)
		known := map[workspace.ID]workspace.Record{}
		for _, record := range records {
			known[record.ID] = record
		}
		require.NotEmpty(t, acknowledged)
		require.LessOrEqual(t, len(records)-before, len(acknowledged)+1, "one write at most was under way")
		before = len(records)
		for n := range acknowledged {
			want := workspacetest.NewRecord(writerOwner(round), n)
			require.Equal(t, want, known[want.ID], "what was acknowledged is there")
		}
		require.NoError(t, store.Close())
	}
}

func writerOwner(round int) workspace.Owner { return workspace.Owner(fmt.Sprintf("owner%d", round)) }

// writeUntilKilled prints a line for every record that was written.
func writeUntilKilled(t *testing.T, folder string) {
	store := openIn(t, folder)
	var round int
	_, err := fmt.Sscan(os.Getenv(killedWriter+"_ROUND"), &round)
	require.NoError(t, err)
	for n := 0; ; n++ {
		record := workspacetest.NewRecord(writerOwner(round), n)
		require.NoError(t, store.PutRecord(t.Context(), record))
		fmt.Println("written", n)
		require.NoError(t, store.PutLog(t.Context(), record.ID, make([]byte, 100_000)))
	}
}

// killWriter lets a child process write for a while, kills it with SIGKILL and returns one element per written record.
func killWriter(t *testing.T, folder string, round int) (acknowledged []string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStore_OutlivesAKill$")
	child.Env = append(os.Environ(), killedWriter+"="+folder, fmt.Sprintf("%s_ROUND=%d", killedWriter, round))
	var output strings.Builder
	child.Stdout = &output
	require.NoError(t, child.Start())
	time.Sleep(time.Duration(300+137*round) * time.Millisecond) // any moment is the wrong one
	require.NoError(t, child.Process.Kill())
	require.ErrorContains(t, child.Wait(), "killed")
	for line := range strings.Lines(output.String()) {
		if strings.HasPrefix(line, "written") && strings.HasSuffix(line, "\n") {
			acknowledged = append(acknowledged, line)
		}
	}
	return acknowledged
}
