package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is a file under watch.
type watched struct {
	t       *testing.T
	file    string
	watcher *Watcher
	heard   chan heard
}

type heard struct {
	loaded Loaded
	err    error
}

const (
	often    = 5 * time.Millisecond
	deadline = 10 * time.Second
)

// watch begins to watch a file, which the options name unless it is the usual one.
func watch(t *testing.T, options LoadOptions, file string) *watched {
	loaded, err := Load(options)
	require.NoError(t, err)
	w := &watched{t: t, file: file, heard: make(chan heard, 100)}
	w.watcher = NewWatcher(options, loaded, func(loaded Loaded, err error) { w.heard <- heard{loaded, err} })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.watcher.Run(ctx, often)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return w
}

func watchNamed(t *testing.T, text string) *watched {
	file := write(t, text)
	return watch(t, LoadOptions{File: file, Environ: home(t)}, file)
}

func (w *watched) write(text string) { require.NoError(w.t, os.WriteFile(w.file, []byte(text), 0o600)) }

func cpusMax(n int) string { return fmt.Sprintf("limits.cpus.max = %d\n", n) }

func (w *watched) next() heard {
	w.t.Helper()
	select {
	case h := <-w.heard:
		return h
	case <-time.After(deadline):
		require.Fail(w.t, "nobody noticed")
		return heard{}
	}
}

func (w *watched) requireMax(n float64) {
	w.t.Helper()
	h := w.next()
	require.NoError(w.t, h.err)
	require.Equal(w.t, n, h.loaded.Config.Policy.Limits.CPUs.Max)
}

// requireQuiet says that nothing was heard until now. Reload, which is always answered, is the clock: what is answered
// after it was heard after everything before.
func (w *watched) requireQuiet() heard {
	w.t.Helper()
	w.watcher.Reload()
	h := w.next()
	require.Empty(w.t, w.heard)
	return h
}

func TestWatcher_TellsEveryContentOnce(t *testing.T) {
	w := watchNamed(t, cpusMax(2))
	w.write(cpusMax(3))
	w.requireMax(3)
	require.NoError(t, os.Chtimes(w.file, time.Now(), time.Now().Add(-time.Hour)))
	w.write(cpusMax(3))
	h := w.requireQuiet()
	require.NoError(t, h.err)
	require.Equal(t, 3.0, h.loaded.Config.Policy.Limits.CPUs.Max, "a demand is answered, also when nothing changed")
	w.write(cpusMax(4))
	w.requireMax(4)
}

func TestWatcher_NoticesWhatChangedSinceItWasLoaded(t *testing.T) {
	options := LoadOptions{File: write(t, cpusMax(2)), Environ: home(t)}
	loaded, err := Load(options)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(options.File, []byte(cpusMax(3)), 0o600))
	told := make(chan Loaded, 1)
	ctx, stop := context.WithTimeout(t.Context(), deadline)
	defer stop()
	NewWatcher(options, loaded, func(loaded Loaded, _ error) { told <- loaded; stop() }).Run(ctx, often)
	require.Equal(t, 3.0, (<-told).Config.Policy.Limits.CPUs.Max)
}

func TestWatcher_HalfAFileIsAnErrorUntilItIsWhole(t *testing.T) {
	w := watchNamed(t, cpusMax(2))
	w.write("limits.cpus.max = 3\nlimits.memory = { ma")
	require.ErrorContains(t, w.next().err, "config.toml:2: this is not TOML")
	w.write("limits.cpus.max = 3\nlimits.memory = { maks = 1 }")
	require.ErrorContains(t, w.next().err, "did you mean limits.memory.max?")
	require.Error(t, w.requireQuiet().err, "the same mistake is told once")
	w.write("limits.cpus.max = 3\nlimits.memory = { max = 1000 }")
	w.requireMax(3)
	w.write("limits.cpus.max = x")
	require.Error(t, w.next().err)
	w.write("limits.cpus.max = 3\nlimits.memory = { max = 1000 }")
	w.requireMax(3)
}

// A file that is empty or missing for a moment, as while it is written anew, was not meant.
func TestWatcher_AMomentWithoutContentIsNotMeant(t *testing.T) {
	w := watchNamed(t, cpusMax(2))
	for i := range 5 {
		if i%2 == 0 {
			w.write("")
		} else {
			require.NoError(t, os.Remove(w.file))
		}
		w.write(cpusMax(10 + i))
		w.requireMax(float64(10 + i))
	}
	w.requireQuiet()
}

// A full disk leaves an empty file behind an editor: it must not undo every quota.
func TestWatcher_AnEmptiedFileIsAMistake(t *testing.T) {
	w := watchNamed(t, cpusMax(2))
	for _, empty := range []string{"", " \n"} {
		w.write(empty)
		require.ErrorContains(t, w.next().err, "config.toml is empty")
		require.Error(t, w.requireQuiet().err)
		w.write(cpusMax(2))
		w.requireMax(2)
	}
	w.write("# everything as usual\n")
	w.requireMax(Default().Policy.Limits.CPUs.Max)

	empty := watchNamed(t, "")
	empty.write("\n")
	require.NoError(t, empty.next().err, "it said nothing before")
}

// The usual file may be missing without a mistake, but not because a slow editor has moved it away for a moment.
func TestWatcher_TheUsualFileIsMissedForAWhile(t *testing.T) {
	environ := home(t)
	folder := filepath.Join(strings.TrimPrefix(environ[0], "XDG_CONFIG_HOME="), "lab-workspace-manager")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	file := filepath.Join(folder, "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(cpusMax(2)), 0o600))
	w := watch(t, LoadOptions{Environ: environ}, file)
	require.NoError(t, os.Remove(file))
	time.Sleep(4 * restFor) // as long as the editor takes
	w.write(cpusMax(3))
	w.requireMax(3)
}

func TestWatcher_EditorsThatReplaceTheFile(t *testing.T) {
	w := watchNamed(t, cpusMax(2))
	for i := 3; i < 6; i++ {
		next := w.file + ".new"
		require.NoError(t, os.WriteFile(next, []byte(cpusMax(i)), 0o600))
		require.NoError(t, os.Rename(next, w.file))
		w.requireMax(float64(i))
	}
	// Same size and the time of the file before: only the identity tells.
	info, err := os.Stat(w.file)
	require.NoError(t, err)
	next := w.file + ".new"
	require.NoError(t, os.WriteFile(next, []byte(cpusMax(9)), 0o600))
	require.NoError(t, os.Chtimes(next, info.ModTime(), info.ModTime()))
	require.NoError(t, os.Rename(next, w.file))
	w.requireMax(9)
}

func TestWatcher_SymbolicLinks(t *testing.T) {
	folder := t.TempDir()
	for i := 2; i < 5; i++ {
		version := filepath.Join(folder, fmt.Sprint(i))
		require.NoError(t, os.Mkdir(version, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(version, "config.toml"), []byte(cpusMax(i)), 0o600))
	}
	current, file := filepath.Join(folder, "current"), filepath.Join(folder, "config.toml")
	require.NoError(t, os.Symlink("2", current))
	require.NoError(t, os.Symlink("current/config.toml", file))
	w := watch(t, LoadOptions{File: file, Environ: home(t)}, file)
	for i := 3; i < 5; i++ { // as Kubernetes changes a ConfigMap
		require.NoError(t, os.Symlink(fmt.Sprint(i), current+".new"))
		require.NoError(t, os.Rename(current+".new", current))
		w.requireMax(float64(i))
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "4", "config.toml"), []byte(cpusMax(7)), 0o600))
	w.requireMax(7)
}

func TestWatcher_AFileThatComesAndGoes(t *testing.T) {
	environ := home(t)
	folder := filepath.Join(strings.TrimPrefix(environ[0], "XDG_CONFIG_HOME="), "lab-workspace-manager")
	w := watch(t, LoadOptions{Environ: environ}, filepath.Join(folder, "config.toml"))
	require.NoError(t, os.MkdirAll(folder, 0o700))
	w.write(cpusMax(3))
	w.requireMax(3)
	require.NoError(t, os.Remove(w.file))
	h := w.next()
	require.NoError(t, h.err)
	require.Equal(t, Default(), h.loaded.Config, "without the usual file, everything is as if nothing were configured")
	w.write(cpusMax(3))
	w.requireMax(3)

	named := watchNamed(t, cpusMax(2))
	require.NoError(t, os.Remove(named.file))
	require.ErrorContains(t, named.next().err, "there is no configuration file")
	require.Error(t, named.requireQuiet().err)
	named.write(cpusMax(2))
	named.requireMax(2)
	require.NoError(t, os.Remove(named.file))
	require.ErrorContains(t, named.next().err, "there is no configuration file")
	require.NoError(t, os.Mkdir(named.file, 0o700))
	require.ErrorContains(t, named.next().err, "is not a file")
}

// A change that leaves size, time and identity as they were is noticed while the file is so new that its clock may not
// have moved on. A time that lies ahead is always that new.
func TestWatcher_AChangeThatLeavesNoTrace(t *testing.T) {
	w := watchNamed(t, cpusMax(2))
	ahead := time.Now().Add(time.Hour)
	for i := 3; i < 6; i++ {
		w.write(cpusMax(i))
		require.NoError(t, os.Chtimes(w.file, ahead, ahead))
		w.requireMax(float64(i))
	}
}

// BenchmarkReload is what a change of a file with 1,000 overrides takes: to read it, to check it, and to tell what is new.
func BenchmarkReload(b *testing.B) {
	text := manyOverrides(1000)
	options := LoadOptions{File: write(b, text), Environ: home(b)}
	before, err := Load(options)
	require.NoError(b, err)
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			_, err := Load(options)
			require.NoError(b, err)
		}
	})
	b.Run("lines", func(b *testing.B) {
		for b.Loop() {
			keyLines(text)
		}
	})
	b.Run("diff", func(b *testing.B) {
		require.NoError(b, os.WriteFile(options.File, []byte(text[:strings.LastIndex(text, "[[override]]")]), 0o600))
		after, err := Load(options)
		require.NoError(b, err)
		for b.Loop() {
			require.NotEmpty(b, Diff(before, after))
		}
	})
	b.ReportMetric(float64(len(text)), "bytes")
}

func manyOverrides(n int) string {
	var b strings.Builder
	b.WriteString("[groups]\n")
	for i := range 20 {
		fmt.Fprintf(&b, "group-%d = [\"user%d\", \"user%d\"]\n", i, i, i+20)
	}
	for i := range n {
		fmt.Fprintf(&b, "\n# What somebody asked for.\n[[override]]\n")
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "users = [\"user%d\"]\nlimits = { memory = { default = \"4GB\", max = \"32GB\" }, cpus = { max = 16 } }\nquota = { running = 6 }\n", i)
		case 1:
			fmt.Fprintf(&b, "groups = [\"group-%d\"]\n[override.limits.memory]\nmax = \"16GB\"\n[override.quota]\nmemory = \"64GB\"\n", i%20)
		case 2:
			fmt.Fprintf(&b, "users = [\"user%d\", \"other%d\"]\nprofiles = [\"ml-workspace\"]\nlimits.idle_timeout.choices = [\"1h\", \"4h\"]\nlimits.gpus.max = 2\n", i, i)
		}
	}
	return b.String()
}
