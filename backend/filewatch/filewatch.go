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

// rarely is how many times as slowly it is looked at a file that cannot change without being told of, as far as we know: a
// look is nothing, but waking up for it every few seconds was a fifth of what an idle manager did.
const rarely = 12

// hearing is what the system tells of the changes of a file.
type hearing int

const (
	deaf  hearing = iota
	most          // what is done to it here, and on the way to it as far as that is watched
	sharp         // all
)

// Watch calls look once it follows the file, and whenever that may have changed, come or gone, until ctx ends: at least
// once every slowly, or every quickly where the system tells of no changes; more rarely than slowly where it tells of all.
// Calls do not overlap.
func Watch(ctx context.Context, file string, slowly, quickly time.Duration, look func()) {
	pauses := map[hearing]time.Duration{deaf: quickly, most: slowly, sharp: rarely * slowly}
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
	for first := true; ; first = false {
		if watcher != nil {
			if now := pauses[follow(watcher, watched, file)]; now != every {
				every = now
				ticker.Reset(every)
			}
		}
		if first { // what came before it was followed
			look()
			continue
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
// is not there, the nearest one above. It reports what that tells.
func follow(watcher *fsnotify.Watcher, watched map[string]bool, file string) hearing {
	own := nearest(filepath.Dir(file))
	wanted := map[string]bool{own: true}
	hears := most
	if target, err := filepath.EvalSymlinks(file); err == nil {
		wanted[filepath.Dir(target)] = true
	}
	if real, err := filepath.EvalSymlinks(own); err == nil && real == own && !isLink(file) && tellsAll(own) {
		hears = sharp // no link on the way can be turned elsewhere
	}
	for folder := range watched {
		if !wanted[folder] {
			_ = watcher.Remove(folder) // it may be gone already
			delete(watched, folder)
		}
	}
	for folder := range wanted {
		if err := watcher.Add(folder); err != nil { // adding twice is no error, and finds a folder that came anew
			return deaf
		}
		watched[folder] = true
	}
	return hears
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
