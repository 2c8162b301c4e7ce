package images

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// layers are folders that are read as one. Of two files with one name that of the earlier layer is there.
type layers []fs.FS

// Open opens what is found first; a folder lists what is in any of them.
func (l layers) Open(name string) (fs.File, error) {
	for _, layer := range l {
		file, err := layer.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info, err := file.Stat(); err != nil || !info.IsDir() {
			return file, err
		}
		entries, err := l.ReadDir(name)
		return &folder{File: file, rest: entries}, err
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir lists a folder, sorted by name.
func (l layers) ReadDir(name string) ([]fs.DirEntry, error) {
	found := map[string]fs.DirEntry{}
	missing := error(&fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist})
	for _, layer := range slices.Backward(l) {
		entries, err := fs.ReadDir(layer, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		missing = nil
		for _, entry := range entries {
			found[entry.Name()] = entry
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }), missing
}

// folder is an open folder of several layers.
type folder struct {
	fs.File
	rest []fs.DirEntry
}

// ReadDir returns the next n entries, all that are left if n is not positive.
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(f.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 {
		n = len(f.rest)
	}
	n = min(n, len(f.rest))
	next := f.rest[:n]
	f.rest = f.rest[n:]
	return next, nil
}
