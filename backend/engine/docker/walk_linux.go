package docker

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lab-workspace-manager/backend/workspace"
)

const (
	// deepestFolder bounds how many folders are open at once. A find in a helper goes deeper.
	deepestFolder = 200
	// direntBytes is how much of a folder is read at once: some 200 names.
	direntBytes = 8 << 10
	// diskBlock is the unit of st_blocks, whatever the filesystem's own blocks are.
	diskBlock = 512
)

// walk adds up what is below a folder: the blocks that it takes on the disk, each file once however many names it has,
// how many files there are, and their newest change. It stays on the folder's filesystem and opens nothing by a path of
// several parts, so that whoever owns the files cannot lead it elsewhere. What vanishes meanwhile does not count.
// errUnreadable when it may not read all of it; gentle as in workspace.Measuring.
func walk(ctx context.Context, folder string, gentle bool) (workspace.Usage, error) {
	w := walker{ctx: ctx, seen: map[uint64]uint64{}, buffer: make([]byte, direntBytes)}
	if gentle {
		// The processor time of a thread is ours alone as long as nobody else runs on it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		w.pace = newPace(threadTime)
	}
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return workspace.Usage{}, readable(err)
	}
	var root unix.Stat_t
	if err := unix.Fstat(fd, &root); err != nil {
		_ = unix.Close(fd) // nothing was written
		return workspace.Usage{}, readable(err)
	}
	w.device = root.Dev
	err = w.folder(fd, 1)
	return w.usage, err
}

type walker struct {
	ctx    context.Context
	pace   *pace // nil = as fast as it goes
	device uint64
	seen   map[uint64]uint64 // how many names of a file with several were met, by inode
	buffer []byte
	usage  workspace.Usage
}

// folder walks an open folder and closes it.
func (w *walker) folder(fd, depth int) error {
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if depth > deepestFolder {
		return errUnreadable
	}
	for {
		read, err := unix.ReadDirent(fd, w.buffer)
		if err != nil {
			return readable(err)
		}
		if read <= 0 {
			return nil
		}
		_, _, names := unix.ParseDirent(w.buffer[:read], -1, nil)
		for _, name := range names {
			if err := w.entry(fd, name, depth); err != nil {
				return err
			}
		}
		if err := w.pause(); err != nil {
			return err
		}
	}
}

func (w *walker) entry(parent int, name string, depth int) error {
	var found unix.Stat_t
	err := unix.Fstatat(parent, name, &found, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return readable(err)
	}
	if found.Dev != w.device {
		return nil
	}
	w.count(&found)
	if found.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil // it is something else by now
	case err != nil:
		return readable(err)
	}
	return w.folder(fd, depth+1)
}

func (w *walker) count(found *unix.Stat_t) {
	kind := found.Mode & unix.S_IFMT
	if names := uint64(found.Nlink); kind != unix.S_IFDIR && names > 1 { //nolint:unconvert // 32 bits on other processors
		w.seen[found.Ino]++
		met := w.seen[found.Ino]
		if met >= names {
			delete(w.seen, found.Ino)
		}
		if met > 1 {
			return
		}
	}
	w.usage.Bytes += found.Blocks * diskBlock
	if kind != unix.S_IFREG {
		return
	}
	w.usage.Files++
	if changed := time.Unix(found.Mtim.Unix()); changed.After(w.usage.ChangedAt) {
		w.usage.ChangedAt = changed
	}
}

// pause lets others go first, as far as gentleness asks.
func (w *walker) pause() error {
	if err := w.ctx.Err(); err != nil || w.pace == nil {
		return err
	}
	return w.pace.rest(w.ctx)
}

// readable tells what another process may be able to read from what is broken.
func readable(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EMFILE) {
		return errUnreadable
	}
	return err
}

// threadTime is the processor time that the calling thread has used.
func threadTime() time.Duration {
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
		return 0 // every kernel that Docker runs on has this clock
	}
	return time.Duration(used.Nano())
}
