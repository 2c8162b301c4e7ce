package auth

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// maxLogin bounds the body of a login in bytes.
const maxLogin = 4 << 10

// Login answers POST {"token": "…"} with a session.
func (o *Owner) Login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !o.allowMethod(w, r, http.MethodPost) {
		return
	}
	// A form of another site cannot send this type.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		o.problem(w, http.StatusUnsupportedMediaType, workspace.CodeInvalid, "The body is not of the type application/json.")
		return
	}
	var body struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLogin)).Decode(&body); err != nil {
		o.problem(w, http.StatusUnprocessableEntity, workspace.CodeInvalid, `The body is not {"token": "…"}.`)
		return
	}
	switch {
	case o.holds(Token(strings.TrimSpace(body.Token))):
		o.sessions().start(w, r)
		w.WriteHeader(http.StatusNoContent)
	case o.attempts.failed():
		w.Header().Set("Retry-After", retryAfter)
		o.problem(w, http.StatusTooManyRequests, workspace.CodeUnauthenticated, "The token is wrong, as many before it. Wait a few seconds before the next attempt.")
	default:
		o.log.WarnContext(r.Context(), "a login with a wrong token was refused", "from", r.RemoteAddr)
		o.problem(w, http.StatusUnauthorized, workspace.CodeUnauthenticated, "The token is wrong. This command prints it: lab-workspace-manager token show")
	}
}

// retryAfter is attemptInterval in seconds.
const retryAfter = "3"

// Enter answers GET …/enter?code=… with a session and the way to the pages. With a code that is used up or wrong the
// pages ask for the token, unless the browser has a session already.
func (o *Owner) Enter(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !o.allowMethod(w, r, http.MethodGet) { // HEAD, of programs that look at links, uses no code up
		return
	}
	pages := o.ui
	if o.Redeem(r.URL.Query().Get("code")) {
		o.sessions().start(w, r)
	} else if _, here := o.sessions().of(r); !here {
		pages += "?link=used" // the page says so
	}
	redirect(w, pages)
}

// Logout answers POST by taking the session from the browser.
func (o *Owner) Logout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !o.allowMethod(w, r, http.MethodPost) {
		return
	}
	o.sessions().end(w, r)
	w.WriteHeader(http.StatusNoContent)
}

func (o *Owner) allowMethod(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method)
	o.problem(w, http.StatusMethodNotAllowed, workspace.CodeInvalid, "This address answers to "+method+" only.")
	return false
}

// Sessions wraps all handlers. It takes a token out of the address of a page (with a session in its place, if the token
// was right), since addresses stay in histories, and renews sessions that are in use.
func (o *Owner) Sessions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := queryToken(r); token != "" && asksForPage(r) {
			if o.holds(token) {
				o.sessions().start(w, r)
			}
			w.Header().Set("Cache-Control", "no-store")
			redirect(w, withoutToken(r))
			return
		}
		sessions := o.sessions()
		if expires, ok := sessions.of(r); ok && expires.Sub(sessions.now()) < sessionLifetime-sessionRenewal {
			sessions.start(w, r)
		}
		next.ServeHTTP(w, r)
	})
}

// asksForPage reports whether a browser wants to show the answer.
func asksForPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// withoutToken is the request's address without its token, relative to itself: it works below any prefix that a proxy
// has taken away and cannot lead to another host.
func withoutToken(r *http.Request) string {
	query := r.URL.Query()
	query.Del(tokenName)
	path := r.URL.EscapedPath()
	address := "./" + path[strings.LastIndexByte(path, '/')+1:]
	if rest := query.Encode(); rest != "" {
		address += "?" + rest
	}
	return address
}

// redirect sends the browser to a relative address; http.Redirect would make it absolute.
func redirect(w http.ResponseWriter, relative string) {
	w.Header().Set("Location", relative)
	w.WriteHeader(http.StatusSeeOther)
}
