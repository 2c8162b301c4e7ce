package access

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// wait answers while the workspace is not there. Only a person who goes to it starts it: its own scripts and sockets, in
// a tab that somebody forgot, would start again what was just stopped.
func (v *visit) wait(w http.ResponseWriter, r *http.Request) {
	if !isVisit(r) {
		w.Header().Set("Retry-After", "2")
		v.proxy.problem(w, http.StatusServiceUnavailable, workspace.CodeUnavailable, "The workspace is not running.")
		return
	}
	if v.target.Status == workspace.StatusStopped {
		if err := v.start(r.Context()); err != nil {
			v.showState(w, workspace.MessageOf(err))
			return
		}
	}
	v.showState(w, "")
}

// isVisit reports whether a person goes to a page with this request: a top-level navigation, or where the browser does
// not say, what looks like one.
func isVisit(r *http.Request) bool {
	header := r.Header
	if r.Method != http.MethodGet || strings.Contains(header.Get("Sec-Purpose")+header.Get("Purpose"), "prefetch") {
		return false
	}
	if header.Get("Sec-Fetch-Mode") != "" || header.Get("Sec-Fetch-Dest") != "" {
		return header.Get("Sec-Fetch-Mode") == "navigate" && header.Get("Sec-Fetch-Dest") == "document"
	}
	return wantsPage(r)
}

// wantsPage reports whether the answer is for a person's eyes.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("X-Requested-With") == ""
}

// start starts the workspace and looks at it again. Somebody else may have started it a moment ago, which is as good.
func (v *visit) start(ctx context.Context) error {
	err := v.proxy.resolver.Start(ctx, v.target.Owner, v.target.ID)
	if resolveErr := v.resolve(); resolveErr != nil {
		return resolveErr
	}
	if err != nil && v.target.Status != workspace.StatusPending && v.target.Status != workspace.StatusRunning {
		return err
	}
	return nil
}

// serveInside answers at our own addresses of a workspace.
func (v *visit) serveInside(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	method, known := map[string]string{insideStatus: http.MethodGet, insideProgress: http.MethodGet, insideStart: http.MethodPost}[v.inside]
	switch {
	case !known:
		v.proxy.refuse(w, r, http.StatusNotFound, workspace.CodeNotFound, "There is nothing at this address.")
	case r.Method != method:
		w.Header().Set("Allow", method)
		v.proxy.problem(w, http.StatusMethodNotAllowed, workspace.CodeInvalid, "This address answers to "+method+" only.")
	case v.inside == insideStatus:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v.state("")) // the visitor is gone; nobody is left to tell
	case v.inside == insideStart:
		if err := v.start(r.Context()); err != nil {
			v.showState(w, workspace.MessageOf(err))
			return
		}
		redirect(w, v.target.landing())
	case v.target.reachable():
		redirect(w, v.target.landing())
	default:
		v.showState(w, "")
	}
}
