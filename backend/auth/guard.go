package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// GuardOptions are what a Guard is made of. Problem is required.
type GuardOptions struct {
	Problem ProblemWriter
	Hosts   []string // names and addresses by which browsers may reach us, besides those of this machine
	// AnyHost answers to every host name. It is for a program that no browser reaches but through another one, and to which no
	// browser sends credentials that it would not send there.
	AnyHost bool
	Origins []string // other sites whose pages may call us, as browsers write them: "https://lab.example.org"
	// FramedBySelf lets pages of our own host frame ours, as ML Lab does; else nobody may.
	FramedBySelf bool
	Log          *slog.Logger // nil = none
}

// Guard stands before every handler, and refuses what a browser was talked into by somebody else's page: names that
// resolve to us without being ours (DNS rebinding), requests from other origins, frames.
type Guard struct {
	problem    ProblemWriter
	hosts      map[string]bool
	anyHost    bool
	origins    []string
	protection *http.CrossOriginProtection
	ancestors  string
	log        *slog.Logger
}

// NewGuard makes a Guard. It fails when an origin is none.
func NewGuard(options GuardOptions) (*Guard, error) {
	if options.Problem == nil {
		return nil, errors.New("auth: a way to answer with errors is required")
	}
	g := &Guard{
		problem:    options.Problem,
		hosts:      map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true},
		anyHost:    options.AnyHost,
		origins:    options.Origins,
		protection: http.NewCrossOriginProtection(),
		ancestors:  "'none'",
		log:        options.Log,
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if options.FramedBySelf {
		g.ancestors = "'self'"
	}
	for _, host := range options.Hosts {
		g.hosts[hostName(host)] = true
	}
	for _, origin := range options.Origins {
		if err := g.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	return g, nil
}

// Wrap puts the guard before a handler.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := g.hosts[hostName(r.Host)] || (g.anyHost && isHostName(hostName(r.Host)))
		g.setHeaders(w.Header(), r, known)
		switch {
		case isProbe(r.URL):
			next.ServeHTTP(w, r)
		case !known:
			g.log.WarnContext(r.Context(), "a request to an unknown host name was refused", "host", clip(r.Host), "from", r.RemoteAddr)
			g.problem(w, http.StatusMisdirectedRequest, workspace.CodeForbidden, fmt.Sprintf(
				"This server does not answer to the host name %q. If people shall reach it by that name, add it to server.allowed_hosts in the configuration.",
				clip(hostName(r.Host))))
		case g.fromElsewhere(r):
			g.log.WarnContext(r.Context(), "a request from another origin was refused", "origin", clip(r.Header.Get("Origin")), "from", r.RemoteAddr)
			g.problem(w, http.StatusForbidden, workspace.CodeForbidden,
				"The request comes from a page of another site. If that site may call this server, add its origin to server.allowed_origins in the configuration.")
		case g.answerCORS(w, r):
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isProbe is true for what load balancers and orchestrators ask, with whatever Host they like. Only these very spellings
// count: what is tidied up here would reach other handlers as it was sent.
func isProbe(address *url.URL) bool {
	if address.RawPath != "" {
		return false
	}
	switch strings.TrimSuffix(address.Path, "/") {
	case "/healthy", "/ping", "/api/healthy", "/api/ping":
		return true
	}
	return false
}

// hostName is the name in a Host header, or an IP address without brackets, in lower case; "" if it is neither. The port
// is left out because ML Lab's front drops it, but must be one: the header goes into our policy.
func hostName(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return ""
		}
		host = name
	} else if inner, found := strings.CutPrefix(host, "["); found {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(host)
}

// isHostName reports whether a name has the characters of one: the header goes into our policy.
func isHostName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != ':' && r != '_'
	}) < 0
}

// clip bounds what a stranger can put into a log line or an answer.
func clip(text string) string {
	const most = 100
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// fromElsewhere reports whether a page of another origin is behind a request that such pages have no business with:
// all but showing one of our pages in a window.
func (g *Guard) fromElsewhere(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && g.trusted(origin) {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "" {
		// No browser, or one that came to a plain-HTTP address: these send Origin with everything that matters here,
		// WebSockets included. http.CrossOriginProtection would want the ports to be equal, too.
		return origin != "" && !sameHost(origin, r.Host)
	}
	if g.protection.Check(r) != nil {
		return true
	}
	shows := r.Header.Get("Sec-Fetch-Mode") == "navigate" && origin == ""
	return site != "same-origin" && site != "none" && !shows
}

func (g *Guard) trusted(origin string) bool { return slices.Contains(g.origins, origin) }

// sameHost compares an origin with a Host header: with the port where the latter has one.
func sameHost(origin, host string) bool {
	_, authority, found := strings.Cut(origin, "://")
	if !found {
		return false // "null" among others
	}
	if strings.EqualFold(authority, host) {
		return true
	}
	_, _, err := net.SplitHostPort(host)
	return err != nil && hostName(authority) == hostName(host)
}

// answerCORS tells browsers that pages of the configured origins may read our answers, and answers their preflights.
func (g *Guard) answerCORS(w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(g.origins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !g.trusted(origin) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match, "+tokenName)
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// setHeaders sets what makes browsers careful with our answers.
func (g *Guard) setHeaders(header http.Header, r *http.Request, knownHost bool) {
	header.Set("Content-Security-Policy", g.policy(r, knownHost))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// policy is the Content-Security-Policy. Older Safari does not take 'self' to mean our WebSockets, so they are named;
// *.localhost is asked whether it resolves.
func (g *Guard) policy(r *http.Request, knownHost bool) string {
	sockets := ""
	if knownHost { // else the header could carry anything
		scheme := "ws"
		if overTLS(r) {
			scheme = "wss"
		}
		sockets = " " + scheme + "://" + r.Host
	}
	return "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'" + sockets + " http://*.localhost:*; object-src 'none'; base-uri 'none'; " +
		"form-action 'self'; frame-ancestors " + g.ancestors
}
