package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"lab-workspace-manager/backend/workspace"
)

var _ workspace.Store = (*Store)(nil)

// write carries one statement through once it has begun. A call that is cancelled in the middle could not say whether
// the row is on the disk (the driver answers with the context's error even after the commit).
func (s *Store) write(ctx context.Context, statement string, values ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := s.db.ExecContext(context.WithoutCancel(ctx), statement, values...)
	return err
}

// Records returns all records in no particular order.
func (s *Store) Records(ctx context.Context) ([]workspace.Record, error) {
	records, err := readAll[workspace.Record](ctx, s.db, "SELECT data FROM records")
	if err != nil {
		return nil, s.explain(err, "The workspaces could not be read from the state file %s", s.path)
	}
	return records, nil
}

// PutRecord inserts the record or replaces the one with its id.
func (s *Store) PutRecord(ctx context.Context, record workspace.Record) error {
	data, err := json.Marshal(record)
	if err == nil {
		// No REPLACE: it would delete the row first, and the log with it.
		err = s.write(ctx, `INSERT INTO records (id, owner, data) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, data = excluded.data`, record.ID, record.Owner, string(data))
	}
	if err != nil {
		return s.explain(err, "Workspace %s could not be saved", record.ID)
	}
	return nil
}

// DeleteRecord removes a record and its log; no error when there is none.
func (s *Store) DeleteRecord(ctx context.Context, id workspace.ID) error {
	if err := s.write(ctx, "DELETE FROM records WHERE id = ?", id); err != nil {
		return s.explain(err, "Workspace %s could not be removed from the state file", id)
	}
	return nil
}

// PutLog keeps the end of a container's log, workspace.MaxLogBytes at most, in place of an older one. It is dropped
// when the workspace is gone, so that a later one of the same id does not show it.
func (s *Store) PutLog(ctx context.Context, id workspace.ID, text []byte) error {
	tail := text[max(0, len(text)-workspace.MaxLogBytes):]
	if tail == nil {
		tail = []byte{} // nil would be NULL
	}
	err := s.write(ctx, `INSERT INTO logs (id, text) SELECT id, ?2 FROM records WHERE id = ?1
		ON CONFLICT (id) DO UPDATE SET text = excluded.text`, id, tail)
	if err != nil {
		return s.explain(err, "The log of workspace %s could not be saved", id)
	}
	return nil
}

// Log returns what PutLog kept; nil when there is nothing.
func (s *Store) Log(ctx context.Context, id workspace.ID) ([]byte, error) {
	var text []byte
	err := s.db.QueryRowContext(ctx, "SELECT text FROM logs WHERE id = ?", id).Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, s.explain(err, "The log of workspace %s could not be read", id)
	}
	if len(text) == 0 {
		return nil, nil
	}
	return text, nil
}

// keptVolume fixes how a volume is written. It has the fields of workspace.Volume in their order, or it does not compile.
type keptVolume struct {
	Name        string          `json:"name"`
	Owner       workspace.Owner `json:"owner"`
	UID         string          `json:"uid"`
	DisplayName string          `json:"display_name"`
	SizeMB      int64           `json:"size_mb,omitempty"`
	Enforced    bool            `json:"enforced,omitempty"`
	CreatedAt   time.Time       `json:"created_at"`
	KeptSince   time.Time       `json:"kept_since"`
	UsedBy      workspace.ID    `json:"used_by"`
}

// KeptVolumes returns what is remembered of volumes whose workspaces were deleted.
func (s *Store) KeptVolumes(ctx context.Context) ([]workspace.Volume, error) {
	kept, err := readAll[keptVolume](ctx, s.db, "SELECT data FROM volumes")
	if err != nil {
		return nil, s.explain(err, "The kept volumes could not be read from the state file %s", s.path)
	}
	volumes := make([]workspace.Volume, len(kept))
	for i, volume := range kept {
		volumes[i] = workspace.Volume(volume)
	}
	return volumes, nil
}

// KeepVolume remembers a volume beyond its workspace, in place of what was remembered of that name.
func (s *Store) KeepVolume(ctx context.Context, volume workspace.Volume) error {
	data, err := json.Marshal(keptVolume(volume))
	if err == nil {
		err = s.write(ctx, "INSERT OR REPLACE INTO volumes (name, owner, data) VALUES (?, ?, ?)",
			volume.Name, volume.Owner, string(data))
	}
	if err != nil {
		return s.explain(err, "Volume %s could not be remembered", volume.Name)
	}
	return nil
}

// AddAudit writes down what an administrator did, and drops what is too old to keep.
func (s *Store) AddAudit(ctx context.Context, entry workspace.AuditEntry) error {
	data, err := json.Marshal(entry)
	if err == nil {
		err = s.write(ctx, "INSERT INTO audit (data) VALUES (?)", string(data))
	}
	if err == nil {
		err = s.write(context.WithoutCancel(ctx), "DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - ?", workspace.MaxAudit)
	}
	if err != nil {
		return s.explain(err, "It could not be written down who does this, so it was not done")
	}
	return nil
}

// Audit returns up to most of the newest entries, the newest first.
func (s *Store) Audit(ctx context.Context, most int) ([]workspace.AuditEntry, error) {
	entries, err := readAll[workspace.AuditEntry](ctx, s.db, "SELECT data FROM audit ORDER BY seq DESC LIMIT ?", most)
	if err != nil {
		return nil, s.explain(err, "The audit log could not be read from the state file %s", s.path)
	}
	return entries, nil
}

// ForgetVolume drops that memory; no error when there is none.
func (s *Store) ForgetVolume(ctx context.Context, name string) error {
	if err := s.write(ctx, "DELETE FROM volumes WHERE name = ?", name); err != nil {
		return s.explain(err, "Volume %s could not be removed from the state file", name)
	}
	return nil
}

// GetMeta returns a value that the program keeps about itself; "" when it was never set.
func (s *Store) GetMeta(ctx context.Context, key string) (string, error) {
	var value string
	err := s.db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", s.explain(err, "The value %q could not be read from the state file %s", key, s.path)
	}
	return value, nil
}

// SetMeta keeps a value that the program needs to know about itself, such as its instance id.
func (s *Store) SetMeta(ctx context.Context, key, value string) error {
	if err := s.write(ctx, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value); err != nil {
		return s.explain(err, "The value %q could not be saved in the state file %s", key, s.path)
	}
	return nil
}

// readAll decodes the one JSON column of a query's rows, in their order. Decoding is most of a start with thousands of records,
// so all processors do it.
func readAll[T any](ctx context.Context, db *sql.DB, query string, args ...any) ([]T, error) {
	texts, err := readTexts(ctx, db, query, args...)
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	values := make([]T, len(texts))
	var decoding errgroup.Group
	share := (len(texts)-1)/runtime.GOMAXPROCS(0) + 1
	for from := 0; from < len(texts); from += share {
		decoding.Go(func() error {
			for i := from; i < min(from+share, len(texts)); i++ {
				if err := json.Unmarshal(texts[i], &values[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := decoding.Wait(); err != nil {
		return nil, err
	}
	return values, nil
}

// readTexts returns the one column of a query's rows.
func readTexts(ctx context.Context, db *sql.DB, query string, args ...any) (texts [][]byte, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}
