package access

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"lab-workspace-manager/backend/workspace"
)

const (
	copyBuffer   = 32 << 10
	dialTimeout  = 5 * time.Second
	maxIdle      = 512
	maxIdlePer   = 64 // of one workspace; one page of an IDE uses a handful
	idleTimeout  = 90 * time.Second
	maxAnswerHdr = 256 << 10
)

// upstream is what all forwarding shares.
type upstream struct {
	transport *http.Transport
	buffers   *buffers
	log       *log.Logger

	mu   sync.Mutex
	life context.Context // of tunnels, which the server does not end
	end  context.CancelFunc
}

func newUpstream(logger *slog.Logger) *upstream {
	life, end := context.WithCancel(context.Background())
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &upstream{
		transport: &http.Transport{
			Proxy:                  nil, // never the environment's: workspaces are near
			DialContext:            dialer.DialContext,
			DisableCompression:     true, // bodies pass as they are
			MaxIdleConns:           maxIdle,
			MaxIdleConnsPerHost:    maxIdlePer,
			IdleConnTimeout:        idleTimeout,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: maxAnswerHdr,
		},
		buffers: &buffers{pool: sync.Pool{New: func() any { return new([copyBuffer]byte) }}},
		log:     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		life:    life,
		end:     end,
	}
}

// lifetime is for how long a tunnel that is made now may last.
func (u *upstream) lifetime() context.Context {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.life
}

// endTunnels ends all tunnels there are. New ones can be made.
func (u *upstream) endTunnels() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
	u.life, u.end = context.WithCancel(context.Background())
}

func (u *upstream) close() {
	u.mu.Lock()
	u.end()
	u.mu.Unlock()
	u.transport.CloseIdleConnections()
}

// buffers lends out memory for copying bodies.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	buffer, _ := b.pool.Get().(*[copyBuffer]byte) // nothing else is in there
	return buffer[:]
}

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBuffer]byte)(buffer)) }

// forward passes the request on to the workspace and its answer back.
func (v *visit) forward(w http.ResponseWriter, r *http.Request) {
	v.asked = r
	v.caused = v.target.Signs != nil && causedByPerson(r, cutBase(r.URL.Path, v.base), v.target.Polls)
	var answer http.ResponseWriter = finalOnly{w}
	if _, upgrades := r.Header["Upgrade"]; upgrades {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			r.Header.Del("Upgrade") // h2c would be a tunnel past everything here
		} else {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(v.life, cancel)()
			r = r.WithContext(ctx)
			if v.target.Signs != nil {
				answer = tunnel{finalOnly{w}, v}
			}
		}
	}
	shared := v.proxy.upstream
	// A ReverseProxy has no state, so one for each request is the cheapest way to tell its parts what it is about. Its
	// own rule for flushing stays: at once where an answer is a stream. To flush all answers at once costs a third of
	// the requests per second, since head and body of small ones are sent apart.
	forwarder := httputil.ReverseProxy{
		Rewrite:        v.rewrite,
		ModifyResponse: v.confine,
		ErrorHandler:   v.unreachable,
		Transport:      shared.transport,
		BufferPool:     shared.buffers,
		ErrorLog:       shared.log,
	}
	forwarder.ServeHTTP(answer, r)
}

// rewrite makes what the workspace gets to see of a request. It keeps the browser's Host, by which Jupyter judges
// whether a WebSocket comes from its own pages.
func (v *visit) rewrite(request *httputil.ProxyRequest) {
	out := request.Out
	out.URL.Scheme, out.URL.Host = "http", v.endpoint()
	out.URL.RawQuery = withoutToken(request.In.URL.RawQuery)
	out.Host = request.In.Host
	if v.strip {
		out.URL.Path = cutBase(out.URL.Path, v.base)
		out.URL.RawPath = cutBase(out.URL.RawPath, v.base)
	}
	stripCredentials(out.Header)
	if v.target.Signs != nil && (v.target.QuietFrame > 0 || len(v.target.Typed) > 0) {
		// Compressed, what somebody types is as short as what the page says by itself (recorded with VS Code).
		out.Header.Del("Sec-Websocket-Extensions")
	}
	request.SetXForwarded()
	for name, value := range v.target.Headers {
		out.Header.Set(name, value)
	}
	switch name := v.target.SecretHeaderName; {
	case name == "":
	case strings.EqualFold(name, "Cookie"):
		addCookies(out.Header, v.target.SecretHeaderValue)
	default:
		out.Header.Set(name, v.target.SecretHeaderValue)
	}
}

func (v *visit) endpoint() string { return strings.TrimPrefix(v.target.Endpoint, "http://") }

// cutBase removes the access path. It has no escapes, so it is as long in both spellings of a path.
func cutBase(path, base string) string {
	if path == "" || len(path) == len(base) {
		return path[:0]
	}
	return path[len(base):]
}

func (v *visit) confine(res *http.Response) error {
	v.note(res)
	borders{accessPath: v.target.AccessPath, endpoint: v.endpoint(), host: res.Request.Host}.confine(res)
	if v.renew {
		res.Header.Add("Set-Cookie", v.sessions.cookie(v.asked, &v.target, v.mode).String())
	}
	return nil
}

// unreachable answers when the workspace did not.
func (v *visit) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		w.WriteHeader(http.StatusBadGateway) // the visitor is gone
		return
	}
	v.proxy.log.DebugContext(r.Context(), "a workspace did not answer", "workspace", v.target.ID, "error", err)
	v.proxy.refuse(w, r, http.StatusBadGateway, workspace.CodeUnavailable,
		"The workspace does not answer. It may be busy or about to end; try again in a moment, or restart it from the workspace manager.")
}

// finalOnly keeps informational answers (1xx) of a workspace back: they do not pass confine.
type finalOnly struct{ http.ResponseWriter }

// WriteHeader drops informational answers.
func (w finalOnly) WriteHeader(status int) {
	if status < http.StatusOK {
		clear(w.Header())
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController flush and hijack.
func (w finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }
