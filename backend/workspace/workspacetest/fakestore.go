package workspacetest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"lab-workspace-manager/backend/workspace"
)

// FakeStore is a workspace.Store in memory that can be told to fail. It is safe for concurrent use.
type FakeStore struct {
	mu      sync.Mutex
	failure error
	writes  int
	records map[workspace.ID][]byte // as JSON, so that nothing is shared with who wrote or reads
	logs    map[workspace.ID][]byte
	audit   []workspace.AuditEntry
	volumes map[string]workspace.Volume
}

var _ workspace.Store = (*FakeStore)(nil)

// NewFakeStore makes an empty store.
func NewFakeStore() *FakeStore {
	return &FakeStore{
		records: map[workspace.ID][]byte{},
		logs:    map[workspace.ID][]byte{},
		volumes: map[string]workspace.Volume{},
	}
}

// FailWrites makes every write fail with err until it is called with nil, as a full disk does.
func (f *FakeStore) FailWrites(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

// Writes is how many writes have succeeded.
func (f *FakeStore) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// write runs one change unless writes are to fail.
func (f *FakeStore) write(ctx context.Context, change func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.failure != nil {
		return f.failure
	}
	change()
	f.writes++
	return nil
}

// Records returns all records in no particular order.
func (f *FakeStore) Records(context.Context) ([]workspace.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	records := make([]workspace.Record, 0, len(f.records))
	for _, data := range f.records {
		var record workspace.Record
		if err := json.Unmarshal(data, &record); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// PutRecord inserts the record or replaces the one with its id.
func (f *FakeStore) PutRecord(ctx context.Context, record workspace.Record) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return f.write(ctx, func() { f.records[record.ID] = data })
}

// DeleteRecord removes a record and its log.
func (f *FakeStore) DeleteRecord(ctx context.Context, id workspace.ID) error {
	return f.write(ctx, func() {
		delete(f.records, id)
		delete(f.logs, id)
	})
}

// KeptVolumes returns the kept volumes in no particular order.
func (f *FakeStore) KeptVolumes(context.Context) ([]workspace.Volume, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.volumes)), nil
}

// KeepVolume remembers a volume.
func (f *FakeStore) KeepVolume(ctx context.Context, volume workspace.Volume) error {
	return f.write(ctx, func() { f.volumes[volume.Name] = volume })
}

// ForgetVolume drops that memory.
func (f *FakeStore) ForgetVolume(ctx context.Context, name string) error {
	return f.write(ctx, func() { delete(f.volumes, name) })
}

// PutLog keeps the end of a log of a workspace that has a record.
func (f *FakeStore) PutLog(ctx context.Context, id workspace.ID, text []byte) error {
	return f.write(ctx, func() {
		if _, known := f.records[id]; known {
			f.logs[id] = bytes.Clone(text[max(0, len(text)-workspace.MaxLogBytes):])
		}
	})
}

// Log returns what PutLog kept; nil when there is nothing.
func (f *FakeStore) Log(_ context.Context, id workspace.ID) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.logs[id]) == 0 {
		return nil, nil
	}
	return bytes.Clone(f.logs[id]), nil
}

// AddAudit appends to the audit log.
func (f *FakeStore) AddAudit(ctx context.Context, entry workspace.AuditEntry) error {
	return f.write(ctx, func() {
		f.audit = append(f.audit, entry)
		f.audit = f.audit[max(0, len(f.audit)-workspace.MaxAudit):]
	})
}

// Audit returns the newest entries.
func (f *FakeStore) Audit(_ context.Context, most int) ([]workspace.AuditEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := slices.Clone(f.audit)
	slices.Reverse(newest)
	return newest[:min(most, len(newest))], nil
}
