package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lab-workspace-manager/backend/workspace"
)

// migrate brings the file to the newest schema. Its version is the number of migrations it has seen, kept in the
// file's header (PRAGMA user_version).
func (s *Store) migrate(ctx context.Context, migrations fs.FS) error {
	scripts, err := readScripts(migrations)
	if err != nil {
		return fmt.Errorf("read embedded migrations: %w", err)
	}
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return s.explain(err, "The state file %s could not be read", s.path)
	}
	switch {
	case version > len(scripts):
		return &workspace.Error{
			Code: workspace.CodeConflict,
			Message: fmt.Sprintf("The state file %s was written by a newer version of the workspace manager (its schema is %d, this version knows %d).",
				s.path, version, len(scripts)),
			Hint: "Start that version again, or move the file away to begin without its workspaces.",
		}
	case version == len(scripts):
		return nil
	case version > 0:
		if err := s.copyBeside(ctx, version); err != nil {
			return err
		}
	}
	if err := s.runScripts(ctx, scripts[version:], len(scripts)); err != nil {
		return s.explain(err, "The state file %s could not be brought up to date", s.path)
	}
	return nil
}

// readScripts returns the migrations in the order of their names.
func readScripts(migrations fs.FS) ([]string, error) {
	names, err := fs.Glob(migrations, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	scripts := make([]string, len(names))
	for i, name := range names {
		script, err := fs.ReadFile(migrations, name)
		if err != nil {
			return nil, err
		}
		scripts[i] = string(script)
	}
	return scripts, nil
}

// runScripts runs all scripts and notes the new version in one transaction: a file is old or new, never between.
func (s *Store) runScripts(ctx context.Context, scripts []string, version int) (err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rollback := tx.Rollback(); err != nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	for _, script := range scripts {
		if _, err := tx.ExecContext(ctx, script); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil { // takes no parameter
		return err
	}
	return tx.Commit()
}

// copyBeside keeps the file as it was before a migration, for who must go back to the older program.
func (s *Store) copyBeside(ctx context.Context, version int) error {
	copied := fmt.Sprintf("%s.v%d", s.path, version)
	explain := func(err error) error {
		return s.explain(err, "The state file %s could not be copied to %s before it is brought up to date", s.path, copied)
	}
	// A copy that is there already comes from an update that did not get to its end.
	if err := os.Remove(copied); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain(err)
	}
	if err := createPrivate(copied); err != nil {
		return explain(err)
	}
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", copied); err != nil {
		return explain(err)
	}
	return nil
}
