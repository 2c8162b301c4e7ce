package workspace

import "time"

// Memory is what is known of a workspace beside what an engine that keeps what should be tells of it: why its last attempt ended,
// since when a start waits or asks in vain for an answer, and what there is to say. The zero value is of one of which nothing more is to say. It is
// comparable.
type Memory struct {
	Outcome            Outcome // zero = none
	QueuedAt           time.Time
	AskedSince         time.Time
	Notice, NoticeCode string
}

// MemoryOf is what of a record such an engine does not tell.
func MemoryOf(record Record) Memory {
	memory := Memory{QueuedAt: record.QueuedAt, AskedSince: record.AskedSince, Notice: record.Notice, NoticeCode: record.NoticeCode}
	if record.Outcome != nil {
		memory.Outcome = *record.Outcome
	}
	return memory
}

// Rememberer is an Engine that keeps what should be, and has a place for what there is to know besides.
type Rememberer interface {
	// Remember keeps a memory in place of the one before, until the workspace is deleted; a zero one is none. It waits for
	// nobody and cannot fail: what cannot be kept now is kept later if that is possible.
	Remember(owner Owner, id ID, memory Memory)
}
