package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
)

// maxBody bounds JSON bodies in bytes; the largest sensible one has an image name of 2,000 and little more.
const maxBody = 64 << 10

// Options are what the API is made of; all fields but Docs are required.
type Options struct {
	Presenter *Presenter
	// Caller finds out who asks, and whether they may ask for that; a CodeUnauthenticated error is answered with 401.
	Caller func(*http.Request, Wanted) (manager.Caller, error)
	// Name is what people call a user, "" where that is not known; CodeNotFound when there is no such user. nil = by their id.
	Name func(*http.Request, workspace.Owner) (string, error)
	// Open makes a one-time address of a running or stopped workspace. address is "host", "loopback" or "" (choose).
	Open func(r *http.Request, view *workspace.Workspace, address string) (Link, error)
	Docs http.Handler // serves the page of /docs/; nil = none
	Log  *slog.Logger
}

// Wanted is what a request is about, as far as that decides who may make it.
type Wanted struct {
	Owner     workspace.Owner // whose workspaces; "" = the caller's own
	Write     bool            // it may change something, or is only for who may
	Makes     bool            // it makes a workspace, which may be given what only its owner has
	Workspace workspace.ID    // which one, where the path names one: of the owner's, or whosever it is where an administrator acts
	Now       bool            // the answer depends on how the owner's workspaces are now
}

type service struct {
	Options
	cache listCache
}

// New returns the handler of the API, to be served below /api and at the root.
func New(options Options) http.Handler {
	s := &service{Options: options}
	router := chi.NewRouter()
	router.NotFound(s.notFound)
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			if router.Match(chi.NewRouteContext(), method, r.URL.EscapedPath()) {
				w.Header().Add("Allow", method)
			}
		}
		WriteProblem(w, http.StatusMethodNotAllowed, workspace.CodeInvalid, "Nothing here answers to "+r.Method+".")
	})
	router.Get("/healthy", empty)
	router.Get("/ping", empty)
	router.Get("/hostinfo", hostinfo)
	describe(router, s, false)
	if options.Docs != nil {
		router.Get("/docs", func(w http.ResponseWriter, _ *http.Request) {
			redirect(w, http.StatusTemporaryRedirect, "docs/")
		})
		router.Handle("/docs/*", http.StripPrefix("/docs/", options.Docs))
	}
	return readOut(answerHEAD(takeBodiesAsJSON(router)))
}

// readAtMost bounds what is read of a body that nobody wants, in bytes.
const readAtMost = 4 << 20

// readOut reads bodies to their end, also those that are refused before: a proxy that is still sending one would tell of a broken
// connection in place of our answer (nginx: 502 for 100 kB).
func readOut(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.WithContext(r.Context())
		inner.Body = io.NopCloser(r.Body) // what reads bodies closes them
		next.ServeHTTP(w, inner)
		if r.ContentLength != 0 {
			_, _ = io.CopyN(io.Discard, r.Body, readAtMost) // its end is no error of anybody's
		}
	})
}

// answerHEAD answers HEAD as GET without a body, which the server leaves out. Streams would never end.
func answerHEAD(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && !strings.HasSuffix(r.URL.Path, "/events") && !strings.HasSuffix(r.URL.Path, ":logs") {
			get := r.Clone(r.Context())
			get.Method = http.MethodGet
			r = get
		}
		next.ServeHTTP(w, r)
	})
}

// takeBodiesAsJSON reads bodies as JSON also where a script forgot to say so ("curl -d"), as upstream does. Pages of other
// sites, which could send such bodies without asking, are kept out by the guard.
func takeBodiesAsJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType == "application/x-www-form-urlencoded" || mediaType == "text/plain" {
			r.Header.Set("Content-Type", "application/json")
		}
		next.ServeHTTP(w, r)
	})
}

// OpenAPI returns the OpenAPI 3.1 document.
func OpenAPI() ([]byte, error) {
	document := describe(chi.NewRouter(), &service{}, true)
	return document.OpenAPI().MarshalJSON()
}

// describe registers every operation with a router and returns their description. With documentOnly the operations are
// never called.
func describe(router chi.Router, s *service, documentOnly bool) huma.API {
	huma.NewError = validationProblem
	config := huma.DefaultConfig("ML Lab Workspaces Manager", "1")
	config.Info.Description = "ML Lab's extension API for workspaces, and ours on top. Errors are RFC 9457 problems whose `detail` is a sentence for people."
	config.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	config.CreateHooks = nil // no $schema field in answers: ML Lab's clients do not expect one
	config.DocsPath, config.SchemasPath = "", ""
	config.OpenAPIPath = "/openapi"
	config.Servers = []*huma.Server{{URL: ".", Description: "where this document was found"}}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "The owner's token."},
		"cookie": {Type: "apiKey", In: "cookie", Name: "ct_token", Description: "The owner's token, as ML Lab sends it; also as header or query of the same name."},
	}
	config.Security = []map[string][]string{{"bearer": {}}, {"cookie": {}}}
	api := humachi.New(router, config)
	if !documentOnly {
		api.UseMiddleware(s.authenticate(api))
	}
	s.registerSelf(api)
	s.registerWorkspaces(api)
	s.registerVolumes(api)
	s.registerQuotas(api)
	s.registerAdmin(api)
	s.registerHost(api)
	s.registerStreams(api)
	return api
}

// strictJSON is JSON in UTF-8: encoding/json would replace what is none, and names could no longer be shown as written.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return errors.New("it is not UTF-8")
		}
		return huma.DefaultJSONFormat.Unmarshal(data, v)
	},
}

type callerKey struct{}

// authenticate finds out who asks before an operation runs.
func (s *service) authenticate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		op := ctx.Operation()
		wanted := Wanted{
			Owner: workspace.Owner(ctx.Param("user_id")), Workspace: workspace.ID(ctx.Param("workspace_id")),
			Write: needsWrite(op), Makes: op.Metadata[makesMark] == true, Now: isOfWorkspaces(op),
		}
		if isOfUser(op) {
			wanted.Owner = workspace.Owner(ctx.Query("user"))
		}
		caller, err := s.Caller(r, wanted)
		if err != nil {
			WriteError(w, r, s.Log, err)
			return
		}
		if doesSomething(op) && caller.For != "" && caller.For != caller.User {
			action := strings.TrimSuffix(op.OperationID, "-workspace")
			if err := s.Presenter.Manager.ActsFor(ctx.Context(), caller, action, wanted.Workspace); err != nil {
				WriteError(w, r, s.Log, err)
				return
			}
		}
		next(withRequest(huma.WithValue(ctx, callerKey{}, caller)))
	}
}

// callerOf returns who asks. On the paths of users an administrator is a user like any other, unless a lab lets them act for
// others there.
func callerOf(ctx context.Context) manager.Caller {
	caller := adminOf(ctx)
	caller.Admin = false
	return caller
}

// adminOf returns who asks, with the rights of an administrator if the caller is one.
func adminOf(ctx context.Context) manager.Caller {
	caller, _ := ctx.Value(callerKey{}).(manager.Caller)
	return caller
}

// OfUser is the part of a query that says whose things are meant where no path does.
type OfUser struct {
	User string `query:"user" maxLength:"100" doc:"Id of whose are meant, for who may act for them: an administrator, in an ML Lab. Your own when left out."`
}

const (
	ofUserMark   = "ofUser"
	asWriterMark = "asWriter"
	makesMark    = "makes"
)

// makes marks an operation that makes a workspace.
func makes(op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{makesMark: true}
	return op
}

// ofUser marks an operation that takes OfUser.
func ofUser(op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{ofUserMark: true}
	return op
}

// asWriter marks an operation that changes nothing and is all the same only for who may change things, as in ML Lab.
func asWriter(op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{asWriterMark: true}
	return op
}

func needsWrite(op *huma.Operation) bool {
	return op.Method != http.MethodGet || op.Metadata[asWriterMark] == true
}

// isCheck is true for the operations that only say what would be. Pages ask for one at every key.
func isCheck(op *huma.Operation) bool { return strings.HasSuffix(op.Path, ":check") }

// doesSomething is true for the operations that change something or lead into it.
func doesSomething(op *huma.Operation) bool { return op.Method != http.MethodGet && !isCheck(op) }

// isOfWorkspaces is true for the operations that show workspaces, or do something to them or to kept files.
func isOfWorkspaces(op *huma.Operation) bool {
	return !isCheck(op) && (op.Path == workspacesPath || strings.HasPrefix(op.Path, workspacesPath+"/") ||
		(doesSomething(op) && strings.HasPrefix(op.Path, volumesPath)))
}

func isOfUser(op *huma.Operation) bool { return op.Metadata[ofUserMark] == true }

// owner is whose things the caller asks for. CodeForbidden when they may not.
func (in OfUser) owner(ctx context.Context, s *service) (workspace.Owner, error) {
	caller := callerOf(ctx)
	if in.User == "" {
		return caller.User, nil
	}
	owner := workspace.Owner(in.User)
	_, err := s.Presenter.Manager.List(caller, owner)
	return owner, err
}

// fail turns an error into what huma sends; nil stays nil.
func (s *service) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return problemOf(ctx, s.Log, err)
}

// answer is what an operation returns that shows something, or its error.
func answer[T any](ctx context.Context, s *service, shown T, err error) (*struct{ Body T }, error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &struct{ Body T }{shown}, nil
}

// notFound answers unknown paths, and sends a path with a slash too many to the one without, as upstream does.
func (s *service) notFound(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if trimmed := strings.TrimRight(path, "/"); trimmed != path && trimmed != "" {
		target := "../" + trimmed[strings.LastIndexByte(trimmed, '/')+1:]
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		if !strings.ContainsAny(target, "\\:") && strings.Count(path, "/") == strings.Count(trimmed, "/")+1 {
			redirect(w, http.StatusTemporaryRedirect, target)
			return
		}
	}
	WriteProblem(w, http.StatusNotFound, workspace.CodeNotFound, "There is nothing at this address.")
}

// redirect answers with a relative address, so that it works below any prefix a proxy has taken away.
func redirect(w http.ResponseWriter, status int, relative string) {
	w.Header().Set("Location", relative)
	w.WriteHeader(status)
}

func empty(http.ResponseWriter, *http.Request) {}

func hostinfo(w http.ResponseWriter, _ *http.Request) {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(name)) // the client is gone; nobody is left to tell
}
