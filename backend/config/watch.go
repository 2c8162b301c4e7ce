package config

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"lab-workspace-manager/backend/filewatch"
)

// Watcher notices that the configuration file holds something else than before. It asks by polling, which works on every
// file system, for symbolic links, for editors that put a new file in place of the old one, and for a file that is not
// there yet. A file that was only touched has not changed.
//
// Run and Reload may be called at the same time. Run is called once.
type Watcher struct {
	options LoadOptions
	changed func(Loaded, error)
	demand  chan struct{}

	folders Folders
	known   content
	says    bool // the configuration in force comes from a file with something in it
	last    look
}

// look is what the file was like, from outside, when it was read last.
type look struct {
	info fs.FileInfo // nil = it was not there
	at   time.Time   // the zero time = it was not read yet
}

// NewWatcher makes a Watcher for who has loaded a configuration with these options. changed hears of every other content,
// once: the new configuration, or the error that keeps it from being used. It is called by Run, one call after the other.
func NewWatcher(options LoadOptions, loaded Loaded, changed func(Loaded, error)) *Watcher {
	return &Watcher{options: options, changed: changed, demand: make(chan struct{}, 1), folders: loaded.Folders, known: loaded.content, says: loaded.says}
}

// Reload asks for a look at the file now, as for SIGHUP. changed is called in any case, also with what is known already,
// so that who asked gets an answer. It does not wait for it.
func (w *Watcher) Reload() {
	select {
	case w.demand <- struct{}{}:
	default: // somebody asked already, and was not heard yet
	}
}

// Run looks at the file whenever it may have changed, and at least at this interval, until ctx ends. A changed file is read
// when it has rested for a moment, so that one that is being written, or is missing while an editor renames its successor,
// is not taken for what was meant. One that was emptied is a mistake: a full disk leaves such files.
func (w *Watcher) Run(ctx context.Context, every time.Duration) {
	hints := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		filewatch.Watch(ctx, w.file(), every, min(every, filewatch.Quickly), func() {
			select {
			case hints <- struct{}{}:
			default: // it is going to be looked at
			}
		})
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.demand:
			w.read(ctx, true)
		case <-hints:
			w.read(ctx, false)
		}
	}
}

func (w *Watcher) file() string { return cmp.Or(w.options.File, usualFile(w.folders)) }

const (
	restFor   = 100 * time.Millisecond // between two looks that must show the same
	missFor   = 2 * time.Second        // until the usual file is believed to be gone, unless somebody says so
	clockStep = 2 * time.Second        // of the coarsest file system
)

func (w *Watcher) read(ctx context.Context, demanded bool) {
	folders, file := w.folders, w.file() // the environment of a process does not change
	if !demanded && w.last.stillTrue(file) {
		return
	}
	found, since := w.look(file, folders), time.Now()
	for found.content() != w.known {
		select {
		case <-ctx.Done():
			return
		case <-time.After(restFor):
		}
		again := w.look(file, folders)
		if again.content() != found.content() {
			found, since = again, time.Now()
			continue
		}
		if found.file != "" || found.err != nil || demanded || time.Since(since) >= missFor {
			break
		}
	}
	if found.content() == w.known && !demanded {
		return
	}
	w.known = found.content()
	if w.says && found.file != "" && found.saysNothing() {
		w.changed(Loaded{}, fmt.Errorf("the configuration file %s is empty, which would take back all that was set; if that is meant, write a comment into it", found.file))
		return
	}
	loaded, err := w.options.load(folders, found)
	if err == nil {
		w.says = !found.saysNothing()
	}
	w.changed(loaded, err)
}

// look reads the file and remembers what it was like before it was read.
func (w *Watcher) look(file string, folders Folders) source {
	w.last = look{info: statOf(file), at: time.Now()}
	return readSource(w.options.File, folders)
}

// stillTrue says that the file cannot have changed since. A change that came right after the look may have left no
// trace in the time of the file, so a file that was new then is not trusted.
func (l look) stillTrue(file string) bool {
	now := statOf(file)
	if l.at.IsZero() || now == nil || l.info == nil {
		return !l.at.IsZero() && now == nil && l.info == nil
	}
	return os.SameFile(l.info, now) && l.info.Size() == now.Size() && l.info.ModTime().Equal(now.ModTime()) && l.info.Mode() == now.Mode() &&
		l.at.Sub(now.ModTime()) > clockStep
}

func statOf(file string) fs.FileInfo {
	info, err := os.Stat(file)
	if err != nil {
		return nil
	}
	return info
}
