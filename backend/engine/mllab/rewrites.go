package mllab

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// The lab clears the files of who wants that whenever it stops a service, and keeps those of one that is deleted without them. So
// what is to be ended with its files kept is deleted and written down again. What it was is written into the JSON store before:
// whenever this program dies in between, the next one finds it there and writes it down.

// rewritesCollection holds a document for each service that is being deleted to be written down again.
const rewritesCollection = "lab_workspace_manager_rewrites"

const (
	// deletedWithin is how long after it was begun a deletion can still take effect when nobody waits for it any more.
	deletedWithin = 2 * time.Minute
	// rewritePause is between two tries to write such a service down.
	rewritePause = 10 * time.Second
)

// rewrite is such a document. Everything may be read by whom its owner shares their project with, as the service itself; but a
// token is put only into what we have written, which the seal says: it is made with that token.
type rewrite struct {
	At         time.Time          `json:"at"`
	Definition contaxy.Definition `json:"definition"` // without the token of its owner
	Token      bool               `json:"token"`      // it had one
	Seal       string             `json:"seal,omitempty"`

	triedAt time.Time
}

// sealOf is what only who knows a token can make of a definition, and where.
func sealOf(token string, id workspace.ID, definition contaxy.Definition) string {
	text, err := json.Marshal(definition)
	if err != nil {
		return "" // it was read as JSON
	}
	seal := hmac.New(sha256.New, []byte(token))
	seal.Write([]byte(id + "\n"))
	seal.Write(text)
	return hex.EncodeToString(seal.Sum(nil))
}

// rewriteOf is the document of a service whose owner's programs have a token; "" = nobody here may know it.
func rewriteOf(id workspace.ID, definition contaxy.Definition, token string) rewrite {
	parameters := definition.Parameters()
	_, has := parameters[tokenParameter]
	delete(parameters, tokenParameter)
	written := rewrite{At: time.Now().UTC(), Definition: maps.Clone(definition), Token: has}
	written.Definition.SetParameters(parameters)
	if has && token != "" {
		written.Seal = sealOf(token, id, written.Definition)
	}
	return written
}

// readRewrite reads such a document. Whoever can write in the project may have written it, and could as well have made the service.
func readRewrite(who workspace.Owner, document contaxy.Document) (id workspace.ID, found *rewrite, ok bool) {
	id, found = workspace.ID(document.Key), &rewrite{}
	if json.Unmarshal(document.Value, found) != nil || !id.Valid() || found.At.IsZero() {
		return "", nil, false
	}
	var service contaxy.Service
	text, err := json.Marshal(found.Definition)
	if err != nil || json.Unmarshal(text, &service) != nil {
		return "", nil, false
	}
	namespace, isOwn := namespaceOf(who, id)
	return id, found, isOwn && isWorkspace(service) && workspace.LabID(namespace, who, service.DisplayName) == id
}

// takeRewrites takes up what an engine before this one has left. The caller holds the lock.
func (e *Engine) takeRewrites(who workspace.Owner, found []contaxy.Document) {
	o := e.owners[who]
	for _, document := range found {
		id, left, ok := readRewrite(who, document)
		if !ok {
			e.log.Warn("a document about a workspace in ML Lab that is to be written down again says nothing that could be used, and is left alone", "owner", who, "key", document.Key)
			continue
		}
		if e.rewrites[id] != nil || o.isUnsaved(documentName{rewritesCollection, string(id)}) {
			continue
		}
		if o.rewrites == nil {
			o.rewrites = map[workspace.ID]*rewrite{}
		}
		o.rewrites[id] = left
	}
}

// lostOf lists the workspaces of an owner that were deleted and not written down again. What is still there may be being deleted
// just now. The caller holds the lock.
func (e *Engine) lostOf(who workspace.Owner, now time.Time) (lost []workspace.ID) {
	o := e.owners[who]
	for id, left := range o.rewrites {
		switch {
		case e.busy[id] > 0:
		case e.services[id] == nil && now.Sub(left.triedAt) > rewritePause:
			left.triedAt = now
			lost = append(lost, id)
		case e.services[id] != nil && now.Sub(left.At) > deletedWithin:
			e.dropRewrite(who, id)
		}
	}
	return lost
}

// bringBack writes down what an engine before this one has deleted for that.
func (e *Engine) bringBack(ctx context.Context, who workspace.Owner, id workspace.ID) {
	d := workspace.Deployment{ID: id, Owner: who}
	done := e.begin(id)
	defer done()
	e.mu.Lock()
	left := e.owners[who].rewrites[id]
	e.mu.Unlock()
	if left == nil {
		return
	}
	definition := maps.Clone(left.Definition)
	if left.Token {
		token, err := e.tokens.ProgramToken(ctx, who)
		if err == nil && hmac.Equal([]byte(left.Seal), []byte(sealOf(token, id, left.Definition))) {
			parameters := definition.Parameters()
			parameters[tokenParameter] = token
			definition.SetParameters(parameters)
		} else {
			e.log.Warn("a workspace that is written down again goes without the token of its owner: who comes for them may not have it, or somebody has changed what was written", "id", id, "error", err)
		}
	}
	e.mu.Lock()
	e.rewrites[id] = definition
	e.mu.Unlock()
	if _, err := e.writeAgain(ctx, d); err != nil {
		e.mu.Lock()
		delete(e.rewrites, id)
		e.mu.Unlock()
		e.log.Warn("a workspace that was deleted to be written down again could not be; it is tried again", "id", id, "error", err)
		return
	}
	e.log.Info("a workspace was written down again that was deleted for that before", "id", id)
	e.announce(id)
}

// stopKeeping ends a container without its files, although they are cleared whenever the lab itself stops it: nobody has
// asked for that end who may want it.
func (e *Engine) stopKeeping(ctx context.Context, d workspace.Deployment, text []byte) error {
	if err := e.writeAhead(ctx, d); err != nil {
		return err
	}
	err := e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Delete(ctx, token, string(d.Owner), string(d.ID), false)
	})
	if err != nil && workspace.CodeOf(err) != workspace.CodeNotFound {
		return err
	}
	return e.endByRewrite(ctx, d, text)
}

// writeAhead notes what a service is that is about to be deleted: it may have been made by somebody else, with parameters of
// their own and without the token of its owner. CodeUnavailable when that cannot be written down now.
func (e *Engine) writeAhead(ctx context.Context, d workspace.Deployment) error {
	var definition contaxy.Definition
	err := e.tokens.As(d.Owner, func(token string) (err error) {
		definition, err = e.lab.Definition(ctx, token, string(d.Owner), string(d.ID))
		return err
	})
	if err != nil {
		return err
	}
	token, err := e.tokens.ProgramToken(ctx, d.Owner)
	if err != nil {
		e.log.Info("a workspace that is deleted to be written down again would go without the token of its owner if this program ended now", "id", d.ID, "cause", workspace.MessageOf(err))
	}
	name := documentName{rewritesCollection, string(d.ID)}
	e.mu.Lock()
	if h := e.services[d.ID]; h != nil {
		e.keepVolume(d.ID, h) // a new service says nothing of its files
	}
	e.write(d.Owner, name, rewriteOf(d.ID, definition, token))
	e.mu.Unlock()
	e.waitUntilWritten(ctx, writeTimeout, d.Owner)
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.owners[d.Owner]; o == nil || o.isUnsaved(name) || o.isUnsaved(documentName{volumesCollection, string(d.ID)}) {
		e.dropRewrite(d.Owner, d.ID)
		return &workspace.Error{
			Code: workspace.CodeUnavailable, Message: "ML Lab does not keep now what the workspace is, so it goes on: it would be lost if something went wrong while it is stopped without its files being cleared.",
			Hint: "It is tried again by and by.",
		}
	}
	e.rewrites[d.ID] = definition
	return nil
}

// isRewritten reports whether a service was deleted to be written down again.
func (e *Engine) isRewritten(id workspace.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rewrites[id] != nil
}

// writeAgain has the lab keep what was deleted to be ended, as it was.
func (e *Engine) writeAgain(ctx context.Context, d workspace.Deployment) (contaxy.Service, error) {
	e.mu.Lock()
	definition := e.rewrites[d.ID]
	e.mu.Unlock()
	service, err := e.make(ctx, d, func(caller string) (contaxy.Service, error) {
		return e.lab.Redeploy(ctx, caller, string(d.Owner), definition)
	})
	if workspace.CodeOf(err) == workspace.CodeConflict { // an answer was lost
		service, err = e.fetch(ctx, d)
	}
	if err != nil {
		return service, err
	}
	e.took(d, service, false)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropRewrite(d.Owner, d.ID)
	return service, nil
}

// dropRewrite forgets that a service is to be written down again. The caller holds the lock.
func (e *Engine) dropRewrite(who workspace.Owner, id workspace.ID) {
	o := e.owners[who]
	if o == nil {
		return
	}
	name := documentName{rewritesCollection, string(id)}
	if e.rewrites[id] != nil || o.rewrites[id] != nil || o.isUnsaved(name) {
		delete(e.rewrites, id)
		delete(o.rewrites, id)
		e.write(who, name, nil)
	}
}

// endByRewrite writes down again what was deleted to be ended. For the manager its container has ended until it is removed.
func (e *Engine) endByRewrite(ctx context.Context, d workspace.Deployment, text []byte) error {
	e.mu.Lock()
	var before *workspace.Observed
	if h := e.services[d.ID]; h != nil {
		before = h.observed
	}
	e.mu.Unlock()
	service, err := e.writeAgain(ctx, d)
	if err != nil {
		return err
	}
	e.mu.Lock()
	h := e.services[d.ID]
	h.observed, h.created = before, nil
	e.mu.Unlock()
	e.ended(d, service, text)
	return nil
}
