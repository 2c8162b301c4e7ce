package workspace

import "context"

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
}

// MaxLogBytes bounds what is kept of the log of one ended container.
const MaxLogBytes = 256 << 10
