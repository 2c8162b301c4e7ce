package server

import (
	"errors"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5/middleware"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
)

// routes is everything that the API's port answers: the pages below /app/, the API below /api and at the root (the seed's
// address for local development), the ways in and out, and ML Lab's paths into workspaces, which lead to the access proxy.
func (s *Server) routes(frontend fs.FS) http.Handler {
	var nameOf func(*http.Request, workspace.Owner) (string, error)
	if s.lab != nil {
		nameOf = s.lab.nameOf
	}
	contract := api.New(api.Options{
		Presenter: s.Presenter, Log: s.log, Docs: docsPage(frontend),
		Caller: s.caller, Name: nameOf,
		Open: func(r *http.Request, view *workspace.Workspace, address string) (api.Link, error) {
			return s.link(r.Context(), view, address, hostOf(r))
		},
	})
	pages := http.StripPrefix("/app", servePages(frontend))
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.owner == nil: // there is no other way in than the lab's
			contract.ServeHTTP(w, r)
		case r.URL.Path == "/login":
			s.owner.Login(w, r)
		case r.URL.Path == "/logout":
			s.owner.Logout(w, r)
		case r.URL.Path == "/enter":
			s.owner.Enter(w, r)
		default:
			contract.ServeHTTP(w, r)
		}
	})
	below := http.StripPrefix("/api", own)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case path == "/" || path == "/app":
			redirect(w, "app/")
		case strings.HasPrefix(path, "/app/"):
			pages.ServeHTTP(w, r)
		case path == "/api":
			redirect(w, "api/docs/")
		case path == "/api/enter": // pages are beside the API, not below it
			api.WriteProblem(w, http.StatusNotFound, workspace.CodeNotFound, "There is nothing at this address.")
		case strings.HasPrefix(path, "/api/"):
			below.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/projects/") && s.lab == nil:
			s.visit(w, r)
		default:
			own.ServeHTTP(w, r)
		}
	})
}

// redirect answers with a relative address, so that it works below any prefix that a proxy has taken away.
func redirect(w http.ResponseWriter, relative string) {
	w.Header().Set("Location", relative)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// caller finds out who asks. Who has the owner's token may do everything; else the lab says.
func (s *Server) caller(r *http.Request, wanted api.Wanted) (manager.Caller, error) {
	if s.lab != nil {
		return s.lab.caller(r, wanted)
	}
	identity, err := s.owner.Authenticate(r)
	return manager.Caller{User: identity.User, Admin: identity.Admin}, err
}

// hostOf is the name by which the browser reached us, without the port.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return strings.Trim(r.Host, "[]")
}

// visit leads from ML Lab's path of a workspace to a one-time address at the access proxy. A workspace never shares an
// origin with these pages, and is never framed by them: inside a frame there is a link to a tab of its own.
func (s *Server) visit(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		api.WriteProblem(w, http.StatusMethodNotAllowed, workspace.CodeInvalid, "Workspaces are reached through the access proxy. Ask POST …/workspace/{id}:open for an address.")
		return
	}
	id, found := workspaceOfPath(r.URL.Path)
	if !found {
		api.WriteProblem(w, http.StatusNotFound, workspace.CodeNotFound, "There is nothing at this address.")
		return
	}
	caller, err := s.caller(r, api.Wanted{})
	switch {
	case err == nil:
	case workspace.CodeOf(err) == workspace.CodeUnauthenticated && r.Header.Get("Sec-Fetch-Dest") == "document":
		redirect(w, strings.Repeat("../", strings.Count(r.URL.EscapedPath(), "/")-1)+"app/") // where a person can log in
		return
	default:
		api.WriteError(w, r, s.log, err)
		return
	}
	view, err := s.Manager.Get(caller, caller.User, id)
	if err != nil {
		api.WriteError(w, r, s.log, err)
		return
	}
	if destination := r.Header.Get("Sec-Fetch-Dest"); destination == "iframe" || destination == "frame" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = framePage.Execute(w, map[string]string{"Name": view.Record.Spec.DisplayName, "Path": r.URL.EscapedPath()}) // the visitor has left
		return
	}
	link, err := s.link(r.Context(), view, "", hostOf(r))
	if err != nil {
		api.WriteError(w, r, s.log, err)
		return
	}
	http.Redirect(w, r, link.URL, http.StatusSeeOther)
}

// workspaceOfPath finds the id in /projects/{owner}/services/{id}/access/…
func workspaceOfPath(path string) (workspace.ID, bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 6 || !strings.EqualFold(parts[3], "services") || !strings.EqualFold(parts[5], "access") || parts[4] == "" {
		return "", false
	}
	return workspace.ID(strings.ToLower(parts[4])), true
}

var framePage = template.Must(template.New("frame").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Name}}</title>
<p>A workspace opens in a tab of its own, apart from this page.
<p><a href="{{.Path}}" target="_blank" rel="noopener">Open {{.Name}} in a new tab</a>
</html>
`))

// servePages serves the built pages. What carries a hash in its name never changes; the rest is asked for again.
func servePages(frontend fs.FS) http.Handler {
	if frontend == nil {
		return missingPages()
	}
	if _, err := fs.Stat(frontend, "index.html"); errors.Is(err, fs.ErrNotExist) {
		return missingPages()
	}
	files := http.FileServerFS(frontend)
	return middleware.Compress(5)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if info, err := fs.Stat(frontend, strings.Trim(r.URL.Path, "/")); r.URL.Path != "/" && (err != nil || info.IsDir()) {
			w.Header().Del("Cache-Control")
			api.WriteProblem(w, http.StatusNotFound, workspace.CodeNotFound, "There is no such page.")
			return
		}
		files.ServeHTTP(w, r)
	}))
}

func missingPages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.WriteProblem(w, http.StatusNotFound, workspace.CodeNotFound, "This program was built without its pages. Build it with `make build` or `make build-headless`.")
	})
}

// docsPage serves the page about the API, which is built with the others; nil where it was not.
func docsPage(frontend fs.FS) http.Handler {
	if frontend == nil {
		return nil
	}
	docs, err := fs.Sub(frontend, "docs")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(docs, "index.html"); err != nil {
		return nil
	}
	return middleware.Compress(5)(http.FileServerFS(docs))
}
