package workspace

import (
	"context"
	"time"
)

// Store keeps what an engine cannot hold. All methods are safe for concurrent use and durable when they return. A write
// that returns an error has written nothing: the end of its context counts before it has begun, not afterwards.
// Errors: CodeStorageFull when the disk is full, CodeUnavailable when another program is in the way, else CodeInternal.
type Store interface {
	// Records returns all records in no particular order.
	Records(ctx context.Context) ([]Record, error)
	// PutRecord inserts the record or replaces the one with its id.
	PutRecord(ctx context.Context, record Record) error
	// DeleteRecord removes a record and its log; no error when there is none.
	DeleteRecord(ctx context.Context, id ID) error
	// KeptVolumes returns what is remembered of volumes whose workspaces were deleted.
	KeptVolumes(ctx context.Context) ([]Volume, error)
	// KeepVolume remembers a volume beyond its workspace.
	KeepVolume(ctx context.Context, volume Volume) error
	// ForgetVolume drops that memory; no error when there is none.
	ForgetVolume(ctx context.Context, name string) error
	// PutLog keeps the last lines of an ended container, replacing older ones; MaxLogBytes at most.
	PutLog(ctx context.Context, id ID, text []byte) error
	// Log returns what PutLog kept; nil when there is nothing.
	Log(ctx context.Context, id ID) ([]byte, error)
	// AddAudit writes down what an administrator did. The newest MaxAudit entries are kept.
	AddAudit(ctx context.Context, entry AuditEntry) error
	// Audit returns up to most of the newest entries, the newest first.
	Audit(ctx context.Context, most int) ([]AuditEntry, error)
}

// MaxAudit bounds how many entries of the audit log are kept.
const MaxAudit = 10_000

// AuditEntry is one thing that an administrator did to somebody's workspace.
type AuditEntry struct {
	At     time.Time `json:"at"`
	Actor  Owner     `json:"actor"`
	Action string    `json:"action"` // "stop", "resize" of an administrator's page; else the verb of the API: "start", "delete-volume"
	Owner  Owner     `json:"owner"`  // of the workspace
	ID     ID        `json:"id"`
	Name   string    `json:"name"`   // of the workspace, as it was
	Detail string    `json:"detail"` // for people; may be empty
}

// MaxLogBytes bounds what is kept of the log of one ended container.
const MaxLogBytes = 256 << 10
