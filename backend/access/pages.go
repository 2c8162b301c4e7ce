package access

import (
	"bytes"
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"lab-workspace-manager/backend/workspace"
)

//go:embed page.html
var pageSource string

// page is what a visitor sees in place of a workspace.
type page struct {
	Nonce    string // for the Content-Security-Policy
	Name     string // of the workspace; "" where it is not known or not to be told
	Heading  string
	Sentence string
	State    *state // nil: nothing to follow
	Status   string // address to follow it at
	Progress string // the same as a page
	Start    string // address of the button
	Next     string // where to go when it is ready; "" = this very address again
}

// state is how far a workspace is, for the page and the script in it.
type state struct {
	Heading string `json:"heading"`
	Reason  string `json:"reason"`
	Status  string `json:"status"`
	// Ready says that a reload shows the workspace itself.
	Ready bool `json:"ready"`
	// Startable says that it takes a person to go on.
	Startable bool   `json:"startable"`
	Steps     []step `json:"steps"`
}

type step struct {
	Title  string `json:"title"`
	State  string `json:"state"` // of workspace.StepState
	Word   string `json:"word"`  // the state in words
	Detail string `json:"detail"`
}

// state describes the workspace to its visitor. trouble is what went wrong just now, "" if nothing did.
func (v *visit) state(trouble string) *state {
	t := &v.target
	s := &state{Status: string(t.Status), Reason: cmp.Or(trouble, t.Reason), Ready: t.reachable(), Steps: []step{}}
	switch t.Status {
	case workspace.StatusRunning:
		s.Heading = "Ready"
	case workspace.StatusPending:
		s.Heading = "Starting"
	case workspace.StatusTerminating:
		s.Heading = "Stopping"
	case workspace.StatusStopped:
		s.Heading, s.Startable = "Stopped", true
	case workspace.StatusSucceeded:
		s.Heading, s.Startable = "Ended", true
	case workspace.StatusFailed:
		s.Heading, s.Startable = "Failed", true
	default:
		s.Heading = "Not known"
	}
	for _, progress := range t.Progress {
		s.Steps = append(s.Steps, step{
			Title: progress.Title, State: string(progress.State), Word: wordOf(progress.State), Detail: progress.Progress.Detail,
		})
	}
	return s
}

func wordOf(s workspace.StepState) string {
	switch s {
	case workspace.StepDone:
		return "done"
	case workspace.StepNow:
		return "now"
	case workspace.StepFailed:
		return "failed"
	}
	return "waits"
}

// showState shows how far the workspace is. Its status tells programs that this is not the workspace.
func (v *visit) showState(w http.ResponseWriter, trouble string) {
	prefix := ""
	if v.mode == byPath {
		prefix = prefixOf(&v.target)
	}
	prefix += insidePart
	s := v.state(trouble)
	next := ""
	if v.inside != "" {
		next = v.target.landing()
	}
	w.Header().Set("Retry-After", "2")
	writePage(w, http.StatusServiceUnavailable, page{
		Name: v.target.DisplayName, Heading: s.Heading, Sentence: s.Reason, State: s,
		Status: prefix + insideStatus, Progress: prefix + insideProgress, Start: prefix + insideStart, Next: next,
	})
}

// refuse answers with an error: a page for people, else what programs understand.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, status int, code workspace.Code, detail string) {
	if r.Method == http.MethodGet && wantsPage(r) {
		writePage(w, status, page{Heading: headingOf(status), Sentence: detail})
		return
	}
	p.problem(w, status, code, detail)
}

// refuseError answers when a workspace could not be looked up.
func (p *Proxy) refuseError(w http.ResponseWriter, r *http.Request, err error) {
	code := workspace.CodeOf(err)
	switch code {
	case workspace.CodeNotFound:
		p.refuse(w, r, http.StatusNotFound, code, workspace.MessageOf(err))
	case workspace.CodeUnavailable:
		p.refuse(w, r, http.StatusServiceUnavailable, code, workspace.MessageOf(err))
	default:
		p.log.ErrorContext(r.Context(), "a workspace could not be looked up", "error", err)
		p.refuse(w, r, http.StatusInternalServerError, code, "Something went wrong inside the workspace manager. Its log knows more.")
	}
}

func headingOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Open it from the workspace manager"
	case http.StatusNotFound:
		return "Nothing here"
	case http.StatusBadGateway:
		return "The workspace does not answer"
	}
	return "This did not work"
}

// writePage sends a page that needs nothing but itself.
func writePage(w http.ResponseWriter, status int, content page) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	content.Nonce = base64.RawStdEncoding.EncodeToString(random[:])
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, content); err != nil {
		panic(err) // only a mistake in the template can do this, and every test of a page would show it
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+content.Nonce+"'; style-src 'nonce-"+content.Nonce+
		"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the visitor is gone; nobody is left to tell
}

// pageTemplate is a constant that the language cannot write as one.
var pageTemplate = template.Must(template.New("page").Parse(pageSource))
