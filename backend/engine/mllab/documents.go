package mllab

import (
	"context"
	"maps"
	"slices"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// What the lab does not keep of services by itself is kept in the JSON store of the owner's project, in collections of ours.
// Its owner can read and change it there as they can in all that is theirs, so nothing secret is written and nothing that is
// read is believed. Nobody waits for it longer than a moment, but for what would be lost without it (see rewrites): what could not
// be written is written later, as long as this program lives and somebody is here, or was, whose token the lab takes.

const (
	// readTimeout bounds how long a look at services waits for documents, and writeTimeout how long a write can take.
	readTimeout  = 3 * time.Second
	writeTimeout = 20 * time.Second
	// documentsPause is how long after a failure it is tried again.
	documentsPause = 10 * time.Second
	// closePatience is how long the end of the program waits for what is still to be written.
	closePatience = 2 * time.Second
)

// documentName is where a document is.
type documentName struct{ collection, key string }

// documents is what of an owner's documents was read, and what is still to be written.
type documents struct {
	read     bool
	told     bool      // the kept volumes among them
	triedAt  time.Time // when they were last asked for
	unsaved  map[documentName]*unsaved
	writing  chan struct{} // closed when the writing that goes on has ended; nil = none does
	failedAt time.Time     // when writing last failed
	troubled bool          // which was logged
}

// unsaved is what shall be kept in a document; a nil value removes it.
type unsaved struct{ value any }

// documentsRead is what came of asking for documents; nil = nobody asked.
type documentsRead struct {
	volumes, memories, rewrites []contaxy.Document
	err                         error
}

// startReading asks for an owner's documents, unless they are known, or were asked for in vain a moment ago.
func (e *Engine) startReading(ctx context.Context, who workspace.Owner) <-chan *documentsRead {
	answer := make(chan *documentsRead, 1)
	e.mu.Lock()
	o := e.owners[who]
	wanted := !o.documents.read && time.Since(o.documents.triedAt) >= documentsPause
	if wanted {
		o.documents.triedAt = time.Now()
	}
	e.mu.Unlock()
	if !wanted {
		answer <- nil
		return answer
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		var read documentsRead
		read.err = e.tokens.As(who, func(token string) (err error) {
			if read.volumes, err = e.lab.Documents(ctx, token, string(who), volumesCollection); err != nil {
				return err
			}
			if read.memories, err = e.lab.Documents(ctx, token, string(who), memoryCollection); err != nil {
				return err
			}
			read.rewrites, err = e.lab.Documents(ctx, token, string(who), rewritesCollection)
			return err
		})
		answer <- &read
	}()
	return answer
}

// takeDocuments takes up what was read. The caller holds the lock.
func (e *Engine) takeDocuments(who workspace.Owner, read *documentsRead) {
	o := e.owners[who]
	switch {
	case read == nil:
	case read.err != nil:
		e.troubled(who, o, "what is not kept by ML Lab itself could not be read there; it is tried again", read.err)
	default:
		o.documents.read, o.documents.troubled = true, false
		e.takeVolumes(who, read.volumes)
		e.takeMemories(who, read.memories)
		e.takeRewrites(who, read.rewrites)
	}
}

// isUnsaved reports whether something newer than what was read is still to be written. The caller holds the lock.
func (o *owner) isUnsaved(name documentName) bool { return o.documents.unsaved[name] != nil }

// write has a document written soon; value becomes a JSON object, nil removes what is there. The caller holds the lock.
func (e *Engine) write(who workspace.Owner, name documentName, value any) {
	o := e.owners[who]
	if o == nil {
		return
	}
	if o.documents.unsaved == nil {
		o.documents.unsaved = map[documentName]*unsaved{}
	}
	o.documents.unsaved[name] = &unsaved{value}
	e.startWriting(who, o)
}

// startWriting sees to it that what is still to be written is being written. The caller holds the lock.
func (e *Engine) startWriting(who workspace.Owner, o *owner) {
	if o.documents.writing != nil || len(o.documents.unsaved) == 0 || !e.tokens.Any(who) {
		return
	}
	done := make(chan struct{})
	o.documents.writing = done
	go func() {
		defer close(done)
		for e.writeNext(who, o) {
		}
	}()
}

// writeNext writes one document. It returns false, and writing has ended, when there is none left or it could not be written.
func (e *Engine) writeNext(who workspace.Owner, o *owner) bool {
	e.mu.Lock()
	var name documentName
	var next *unsaved
	for name, next = range o.documents.unsaved {
		break
	}
	if next == nil {
		o.documents.writing = nil
		e.mu.Unlock()
		return false
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	err := e.tokens.As(who, func(token string) error {
		if next.value == nil {
			return e.lab.DeleteDocument(ctx, token, string(who), name.collection, name.key)
		}
		return e.lab.PutDocument(ctx, token, string(who), name.collection, name.key, next.value)
	})
	if next.value == nil && workspace.CodeOf(err) == workspace.CodeNotFound {
		err = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.troubled(who, o, "what is not kept by ML Lab itself could not be written there; it is tried again", err)
		o.documents.writing, o.documents.failedAt = nil, time.Now()
		return false
	}
	if next.value != nil { // what answers to a deletion need not be a lab
		o.documents.troubled = false
	}
	if o.documents.unsaved[name] == next { // else it has changed meanwhile
		delete(o.documents.unsaved, name)
	}
	return true
}

// troubled logs what is wrong with an owner's documents, once until it is well again. The caller holds the lock.
func (e *Engine) troubled(who workspace.Owner, o *owner, what string, err error) {
	if !o.documents.troubled {
		e.log.Warn(what, "owner", who, "error", err)
	}
	o.documents.troubled = true
}

// writeWhatIsDue tries again to write what could not be written some time ago.
func (e *Engine) writeWhatIsDue(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for who, o := range e.owners {
		if len(o.documents.unsaved) > 0 && now.Sub(o.documents.failedAt) >= documentsPause {
			e.startWriting(who, o)
		}
	}
}

// waitUntilWritten waits a moment for what is being written of owners.
func (e *Engine) waitUntilWritten(ctx context.Context, patience time.Duration, whose ...workspace.Owner) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, who := range whose {
		e.mu.Lock()
		var writing chan struct{}
		if o := e.owners[who]; o != nil {
			writing = o.documents.writing
		}
		e.mu.Unlock()
		if writing == nil {
			continue
		}
		select {
		case <-writing:
		case <-ctx.Done():
			return
		}
	}
}

// writeAll writes what is still to be written, as far as that is done in a moment.
func (e *Engine) writeAll() {
	e.mu.Lock()
	for who, o := range e.owners {
		e.startWriting(who, o)
	}
	whose := slices.Collect(maps.Keys(e.owners))
	e.mu.Unlock()
	e.waitUntilWritten(context.Background(), closePatience, whose...)
}
