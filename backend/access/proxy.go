package access

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Target is a workspace as the proxy must know it.
type Target struct {
	Owner       workspace.Owner
	ID          workspace.ID
	UID         string // cookies die with it
	DisplayName string
	Status      workspace.Status
	Reason      string
	Endpoint    string // "http://172.18.0.2:8080"; "" when there is none
	// The header that unlocks the IDE; it is added to what goes there and never shown to a browser. Cookies are added to
	// those of the visitor.
	SecretHeaderName  string
	SecretHeaderValue string
	Headers           map[string]string // sent to the IDE with every request, in place of what the visitor says
	// AccessPath is "/projects/ada0/services/lab-p-ada0-s-x/access/8080b". Without the b at its end the IDE is asked
	// without it.
	AccessPath  string
	LandingPath string // where a visit begins, on the same host; "" = AccessPath and a slash
	Progress    []workspace.StepProgress

	Signs      Signs    // hears when somebody works in it; nil = nobody wants to know
	Polls      []string // paths below AccessPath of what pages do by themselves; "*" stands for any part
	QuietFrame int      // size in bytes of what pages send through WebSockets by themselves
	Typed      []string // what is in messages of that size that a person causes all the same
}

func (t *Target) landing() string { return cmp.Or(t.LandingPath, t.AccessPath+"/") }

// reachable reports whether requests can be forwarded. While the engine is away its containers usually go on.
func (t *Target) reachable() bool {
	return t.Endpoint != "" && (t.Status == workspace.StatusRunning || t.Status == workspace.StatusUnknown)
}

// Resolver knows the workspaces. Resolve is called for every request and must be quick; its error carries CodeNotFound
// when there is no such workspace.
type Resolver interface {
	Resolve(id workspace.ID) (Target, error)
	Start(ctx context.Context, owner workspace.Owner, id workspace.ID) error
}

// Options are what a Proxy is made of. Resolver, Key, Instance and Problem are required.
type Options struct {
	Resolver Resolver
	Key      []byte // any secret; cookies are good as long as it stays the same
	Instance string // letters, digits and hyphens; part of the cookies' names
	// Problem answers with an error where no page is wanted.
	Problem func(w http.ResponseWriter, status int, code workspace.Code, detail string)

	HostSuffix string           // of the workspaces' own hosts; "" = "localhost"
	Hosts      []string         // names and addresses for the path mode, without ports, besides those of this machine
	Now        func() time.Time // nil = time.Now
	Log        *slog.Logger     // nil = none
}

// Proxy is the handler of the access listener. It must not sit behind an http.ServeMux, which rewrites %2F and // in
// paths.
type Proxy struct {
	resolver Resolver
	problem  func(w http.ResponseWriter, status int, code workspace.Code, detail string)
	suffix   string
	shared   map[string]bool // names of the path mode
	instance string
	now      func() time.Time
	cookies  atomic.Pointer[sessions]
	links    *links
	upstream *upstream
	log      *slog.Logger
}

// New makes a Proxy. Close ends it.
func New(options Options) (*Proxy, error) {
	switch {
	case options.Resolver == nil:
		return nil, errors.New("access: a resolver is required")
	case len(options.Key) == 0:
		return nil, errors.New("access: a key is required")
	case !isLabel(options.Instance):
		return nil, errors.New("access: the instance cannot be part of a cookie's name")
	case options.Problem == nil:
		return nil, errors.New("access: a way to answer with errors is required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{
		resolver: options.Resolver,
		problem:  options.Problem,
		suffix:   strings.ToLower(cmp.Or(options.HostSuffix, "localhost")),
		shared:   map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true},
		instance: options.Instance,
		now:      options.Now,
		links:    &links{now: options.Now},
		upstream: newUpstream(options.Log),
		log:      options.Log,
	}
	for _, host := range options.Hosts {
		p.shared[strings.ToLower(host)] = true
	}
	if err := p.Rekey(options.Key); err != nil {
		return nil, err
	}
	return p, nil
}

// Rekey puts another key in the place of the present one. Cookies of the old one are worth nothing any more, and the
// tunnels that they opened end.
func (p *Proxy) Rekey(key []byte) error {
	sessions, err := newSessions(key, p.instance, p.now)
	if err != nil {
		return err
	}
	p.cookies.Store(sessions)
	p.links.clear()
	p.upstream.endTunnels()
	return nil
}

func (p *Proxy) sessions() *sessions { return p.cookies.Load() }

// Close ends all tunnels and idle connections. Requests that go on are the server's to end.
func (p *Proxy) Close() { p.upstream.close() }

// Our own addresses, below the workspace's host or prefix.
const (
	insideOpen     = "open"     // GET with a one-time code: the way in
	insideStatus   = "status"   // GET: how far a start is, for the page
	insideStart    = "start"    // POST: the page's button
	insideProgress = "progress" // GET: the page for browsers without JavaScript; starts nothing
	pingPath       = insidePart + "ping"
)

// visit is one request to one workspace.
type visit struct {
	proxy *Proxy
	mode  mode
	address
	atRoot bool // of the workspace's own host
	target Target
	renew  bool          // the visitor's cookie gets old
	asked  *http.Request // as the visitor sent it; set by forward
	caused bool          // by a person; set by forward

	sessions *sessions
	life     context.Context // of a tunnel of this visit
}

// ServeHTTP answers everything that comes to the access listener.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _ := splitHost(r.Host)
	id, own := idOfHost(name, p.suffix)
	switch {
	case !own && !p.shared[name]:
		p.refuse(w, r, http.StatusMisdirectedRequest, workspace.CodeForbidden,
			"No workspace is reached by this host name. Open the workspace from the workspace manager.")
		return
	case r.URL.Path == pingPath:
		ping(w)
		return
	case r.Method == http.MethodTrace || r.Method == http.MethodConnect:
		p.refuse(w, r, http.StatusMethodNotAllowed, workspace.CodeInvalid, "This method is not forwarded to workspaces.")
		return
	}
	v := &visit{proxy: p, mode: byPath}
	if own {
		v.mode = byHost
	}
	if !v.locate(id, r) {
		p.refuse(w, r, http.StatusNotFound, workspace.CodeNotFound, "There is nothing at this address.")
		return
	}
	if err := v.resolve(); err != nil {
		p.refuseError(w, r, err)
		return
	}
	v.serve(w, r)
}

// ping lets a page find out whether its browser resolves our names. It gives nothing away.
func ping(w http.ResponseWriter) {
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// locate finds out which workspace is meant, and what of it. id is that of the host in byHost.
func (v *visit) locate(id workspace.ID, r *http.Request) bool {
	path := r.URL.RawPath // as the browser wrote it; empty where it makes no difference
	if path == "" {
		path = r.URL.Path
	}
	parsed, found := parsePath(path)
	if v.mode == byPath {
		v.address = parsed
		return found
	}
	if found && parsed.inside == "" {
		v.address = parsed
		return parsed.id == id
	}
	v.id = id
	if inside, found := strings.CutPrefix(path, insidePart); found {
		v.inside = inside
		return inside != ""
	}
	v.atRoot = path == "/"
	return v.atRoot
}

// resolve looks the workspace up. A path with another owner in it names no workspace.
func (v *visit) resolve() error {
	target, err := v.proxy.resolver.Resolve(v.id)
	if err != nil {
		return err
	}
	if v.owner != "" && v.owner != target.Owner {
		return unknownWorkspace()
	}
	v.target = target
	return nil
}

func (v *visit) serve(w http.ResponseWriter, r *http.Request) {
	p := v.proxy
	if fromElsewhere(r) {
		p.refuse(w, r, http.StatusForbidden, workspace.CodeForbidden, "The request comes from a page of another site.")
		return
	}
	// One and the same for the whole visit: what an old key opened must not get a cookie of a new one.
	v.sessions, v.life = p.sessions(), p.upstream.lifetime()
	expires, known := v.sessions.expiry(r, &v.target, v.mode)
	if v.inside == insideOpen {
		v.open(w, r, known)
		return
	}
	if !known {
		p.refuse(w, r, http.StatusUnauthorized, workspace.CodeUnauthenticated,
			"This browser has no access to the workspace, or not any more. Open the workspace from the workspace manager.")
		return
	}
	v.renew = expires.Sub(v.sessions.now()) < sessionLifetime-sessionRenewal
	switch {
	case v.inside != "":
		v.serveInside(w, r)
	case v.atRoot:
		redirect(w, v.target.landing())
	case v.port != portOf(v.target.AccessPath):
		p.refuse(w, r, http.StatusNotFound, workspace.CodeNotFound, "This port of the workspace cannot be reached from outside.")
	case !v.target.reachable():
		v.wait(w, r)
	case v.isBare(r):
		after := ""
		if query := withoutToken(r.URL.RawQuery); query != "" {
			after = "?" + query
		}
		redirect(w, v.base+"/"+after)
	default:
		v.forward(w, r)
	}
}

// isBare reports whether the access path is asked for without the slash at its end, of a workspace that does not know
// this path: the relative addresses in its pages would lead beside it.
func (v *visit) isBare(r *http.Request) bool {
	return v.strip && !strings.HasSuffix(v.target.AccessPath, "b") && len(r.URL.Path) == len(v.base) &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Upgrade") == ""
}

// portOf is the port in an access path.
func portOf(accessPath string) string {
	return strings.TrimSuffix(accessPath[strings.LastIndexByte(accessPath, '/')+1:], "b")
}

// fromElsewhere reports whether a page of another origin is behind a request that such pages have no business with: all
// but going to a page. Browsers send Sec-Fetch-Site only to addresses they trust, and Origin with all that can do harm.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "same-origin" {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		_, authority, found := strings.Cut(origin, "://")
		return !found || !strings.EqualFold(authority, r.Host)
	}
	goes := r.Header.Get("Sec-Fetch-Mode") == "navigate" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	return site != "" && site != "none" && !goes
}

// open exchanges a one-time code for a cookie. A code that is used up is no harm to somebody who is in already.
func (v *visit) open(w http.ResponseWriter, r *http.Request, known bool) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet { // HEAD, of programs that look at links, uses no code up
		w.Header().Set("Allow", http.MethodGet)
		v.proxy.problem(w, http.StatusMethodNotAllowed, workspace.CodeInvalid, "This address answers to GET only.")
		return
	}
	granted, ok := v.proxy.links.redeem(r.URL.Query().Get("code"))
	switch {
	case ok && granted == grant{id: v.target.ID, uid: v.target.UID, mode: v.mode}:
		http.SetCookie(w, v.sessions.cookie(r, &v.target, v.mode))
	case !known:
		v.proxy.refuse(w, r, http.StatusUnauthorized, workspace.CodeUnauthenticated,
			"This link has been used or is too old. Open the workspace again from the workspace manager.")
		return
	}
	redirect(w, v.target.landing())
}

// redirect sends the browser to another path of the same host.
func redirect(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
