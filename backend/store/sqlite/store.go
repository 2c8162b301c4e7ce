// Package sqlite keeps the state of the workspace manager in one SQLite file: it implements workspace.Store and holds a
// few values of the program itself (Meta).
//
// It owns the file, its schema, its migrations and what is done when the disk is full. It must not know where the file
// belongs (the caller passes a path), what the values mean, HTTP or engines. That only one manager uses a file is the
// caller's promise, kept with a lock of its own; a second reader such as the sqlite3 tool does no harm.
//
// Everything here is safe for concurrent use. What a call wrote is on the disk when it returns: it outlives a kill of the
// process and a power cut.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver, in Go, so that the headless program stays one static file
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Modes of what is created: the file names users and their workspaces, which is nobody else's business.
const (
	fileMode   = 0o600
	folderMode = 0o700
)

// Store is an open state file.
type Store struct {
	db   *sql.DB
	path string
}

// Open opens the state file, creating it and its folder if there is none and bringing an older one up to date after a
// copy was put beside it. A file of a newer version or one that is no state file is refused and not touched.
func Open(path string) (*Store, error) {
	migrations, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	return open(path, migrations)
}

func open(path string, migrations fs.FS) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find state file: %w", err)
	}
	s := &Store{path: path}
	if err := createPrivate(path); err != nil {
		return nil, s.explain(err, "The state file %s could not be opened", path)
	}
	if s.db, err = sql.Open("sqlite", dataSource(path)); err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	// One connection: writers never meet SQLITE_BUSY among themselves, and there is one page cache instead of many.
	// Nothing is read often enough to wait for it.
	s.db.SetMaxOpenConns(1)
	if err := s.migrate(context.Background(), migrations); err != nil {
		_ = s.db.Close() // the reason why it cannot be used matters more
		return nil, err
	}
	return s, nil
}

// Close ends the use of the file and leaves everything in it, without side files.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return s.explain(err, "The state file %s could not be closed", s.path)
	}
	return nil
}

// createPrivate makes sure that the file exists before SQLite sees it, because SQLite would create it readable for
// everybody; the files it puts beside it (-wal, -shm) take its mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written to it
	return file.Chmod(fileMode)
}

func dataSource(path string) string {
	pragmas := url.Values{
		"_txlock": {"immediate"}, // a transaction here always writes; asking late for the lock could fail
		"_pragma": {
			"busy_timeout(5000)", // for a sqlite3 tool that looks in
			"journal_mode(wal)",
			"synchronous(full)", // durable when a call returns; NORMAL would lose the last calls in a power cut
			"foreign_keys(on)",
			"cache_size(-256)", // KiB; everything read often is in the manager's memory
			"journal_size_limit(1048576)",
		},
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), OmitHost: true, RawQuery: pragmas.Encode()}).String()
}
