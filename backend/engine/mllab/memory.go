package mllab

import (
	"encoding/json"
	"strings"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// memoryCollection holds a document for each workspace of which there is more to know than the lab tells. Most have none. Who
// changes theirs may change what is shown to them, and whose turn comes first after a restart, but nothing that is a right.
const memoryCollection = "lab_workspace_manager_memory"

// maxNotice bounds what is believed to be a sentence, in bytes.
const maxNotice = 4000

// memory is such a document.
type memory struct {
	At         time.Time          `json:"at"` // when it was written
	Outcome    *workspace.Outcome `json:"outcome,omitempty"`
	QueuedAt   time.Time          `json:"queued_at,omitzero"`
	AskedSince time.Time          `json:"asked_since,omitzero"`
	Notice     string             `json:"notice,omitempty"`
	NoticeCode string             `json:"notice_code,omitempty"`
}

var _ workspace.Rememberer = (*Engine)(nil)

// Remember has a memory written down in the lab.
func (e *Engine) Remember(who workspace.Owner, id workspace.ID, remembered workspace.Memory) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.owners[who]
	if o == nil {
		return
	}
	if remembered == (workspace.Memory{}) {
		e.dropMemory(who, id)
		return
	}
	m := memory{At: time.Now().UTC(), QueuedAt: remembered.QueuedAt, AskedSince: remembered.AskedSince, Notice: remembered.Notice, NoticeCode: remembered.NoticeCode}
	if remembered.Outcome.Status != "" {
		m.Outcome = &remembered.Outcome
	}
	o.remember(id, m)
	e.write(who, documentName{memoryCollection, string(id)}, m)
}

func (o *owner) remember(id workspace.ID, m memory) {
	if o.memories == nil {
		o.memories = map[workspace.ID]memory{}
	}
	o.memories[id] = m
}

// dropMemory forgets what was written down of a workspace. The caller holds the lock.
func (e *Engine) dropMemory(who workspace.Owner, id workspace.ID) {
	o := e.owners[who]
	if o == nil {
		return
	}
	if _, known := o.memories[id]; known {
		delete(o.memories, id)
		e.write(who, documentName{memoryCollection, string(id)}, nil)
	}
}

// readMemory reads the document of a workspace.
func readMemory(document contaxy.Document) (id workspace.ID, m memory, ok bool) {
	id = workspace.ID(document.Key)
	if json.Unmarshal(document.Value, &m) != nil || !id.Valid() || !isSentence(m.Notice) || !isWord(m.NoticeCode) {
		return "", m, false
	}
	if outcome := m.Outcome; outcome != nil {
		isEnd := outcome.Status == workspace.StatusFailed || outcome.Status == workspace.StatusSucceeded
		ok = isEnd && isSentence(outcome.Reason) && isWord(outcome.Code) && !outcome.At.IsZero()
		return id, m, ok
	}
	return id, m, true
}

func isSentence(text string) bool { return len(text) <= maxNotice && workspace.CheckText(text) == nil }

func isWord(text string) bool {
	return len(text) <= 40 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// takeMemories takes up what was remembered, as it was read. The caller holds the lock.
func (e *Engine) takeMemories(who workspace.Owner, found []contaxy.Document) {
	o := e.owners[who]
	for _, document := range found {
		id, m, ok := readMemory(document)
		if !ok {
			e.log.Warn("a document about a workspace in ML Lab says nothing that could be used, and is left alone", "owner", who, "key", document.Key)
			continue
		}
		if _, known := o.memories[id]; known || o.isUnsaved(documentName{memoryCollection, string(id)}) {
			continue
		}
		o.remember(id, m)
		e.tellOf(id) // of one that was found before its memory
	}
}

// memoryOf is what was remembered of a service. A start does not wait any more when there was one since. The caller holds the
// lock.
func (e *Engine) memoryOf(id workspace.ID, h *held) workspace.Memory {
	var m memory
	if o := e.owners[h.owner]; o != nil {
		m = o.memories[id]
	}
	remembered := workspace.Memory{QueuedAt: m.QueuedAt, AskedSince: m.AskedSince, Notice: m.Notice, NoticeCode: m.NoticeCode}
	if m.Outcome != nil {
		remembered.Outcome = *m.Outcome
	}
	if h.service.LastAccess.After(m.At) {
		remembered.QueuedAt = time.Time{}
	}
	return remembered
}
