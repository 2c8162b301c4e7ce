// Package filewatch tells that a file may have changed: at once where the system says so, else by looking every now and
// then. It owns the watching of folders, which is needed because editors put a new file in the place of the old one. It must
// not know what is in the files, nor read them.
//
// Watch is one goroutine's work; several may run at the same time.
package filewatch

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Slowly is how often it is worth looking where the system tells of changes, because some file systems (network ones) tell
// of their own only. Quickly is how often where it tells of none.
const (
	Slowly  = 5 * time.Second
	Quickly = 700 * time.Millisecond
)

// Watch calls look whenever the file may have changed, come or gone, until ctx ends: at least once every slowly, or every
// quickly where the system tells of no changes. Calls do not overlap.
func Watch(ctx context.Context, file string, slowly, quickly time.Duration, look func()) {
	every := quickly
	var happened <-chan fsnotify.Event
	var failed <-chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = watcher.Close() }() // nothing is left to lose
		happened, failed = watcher.Events, watcher.Errors
	}
	ticker := time.NewTicker(quickly)
	defer ticker.Stop()
	watched := map[string]bool{}
	for {
		if watcher != nil {
			now := quickly
			if follow(watcher, watched, file) {
				now = slowly
			}
			if now != every {
				every = now
				ticker.Reset(every)
			}
		}
		select {
		case <-ctx.Done():
			return
		case event := <-happened:
			if !concerns(event.Name, file) {
				continue
			}
		case <-failed: // events may be lost
		case <-ticker.C:
		}
		look()
	}
}

// follow watches the folders in which a change of the file shows: its own, that of what it is a link to, and where its own
// is not there, the nearest one above. It reports whether that could be done.
func follow(watcher *fsnotify.Watcher, watched map[string]bool, file string) bool {
	wanted := map[string]bool{nearest(filepath.Dir(file)): true}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		wanted[filepath.Dir(target)] = true
	}
	for folder := range watched {
		if !wanted[folder] {
			_ = watcher.Remove(folder) // it may be gone already
			delete(watched, folder)
		}
	}
	for folder := range wanted {
		if err := watcher.Add(folder); err != nil { // adding twice is no error, and finds a folder that came anew
			return false
		}
		watched[folder] = true
	}
	return true
}

// nearest is the folder, or the first one above it that is there.
func nearest(folder string) string {
	for {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			return folder
		}
		folder = above
	}
}

// concerns leaves out what happens to other files beside it. Anything but a file of another name in the same folder may
// concern it: a folder above that comes, or a link on the way.
func concerns(name, file string) bool {
	return filepath.Dir(name) != filepath.Dir(file) || filepath.Base(name) == filepath.Base(file) || isLink(file)
}

func isLink(file string) bool {
	info, err := os.Lstat(file)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}
