package auth

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func newGuard(t testing.TB, change ...func(*GuardOptions)) http.Handler {
	t.Helper()
	options := GuardOptions{Problem: writeProblem, Hosts: []string{"lab.example.org", "fd00::1"}, Origins: []string{"https://trusted.example"}}
	for _, change := range change {
		change(&options)
	}
	guard, err := NewGuard(options)
	require.NoError(t, err)
	return guard.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "passed") }))
}

func TestGuard_Hosts(t *testing.T) {
	guard := newGuard(t)
	for host, passes := range map[string]bool{
		"localhost":                 true,
		"localhost:8080":            true,
		"LocalHost:1":               true,
		"127.0.0.1:8080":            true,
		"[::1]:8080":                true,
		"[::1]":                     true,
		"lab.example.org":           true,
		"LAB.example.org:443":       true,
		"[fd00::1]:8080":            true,
		"":                          false,
		"evil.example":              false,
		"localhost.evil.example":    false,
		"evil.localhost:8080":       false, // a workspace's
		"127.0.0.2":                 false,
		"0.0.0.0:8080":              false,
		"localhost:80;script-src *": false,
		"localhost:":                false,
		"localhost.":                false,
	} {
		t.Run(host, func(t *testing.T) {
			r := request("GET", "/app/")
			r.Host = host
			res := answer(guard, r)
			if passes {
				require.Equal(t, http.StatusOK, res.StatusCode)
				return
			}
			require.Equal(t, http.StatusMisdirectedRequest, res.StatusCode)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), "server.allowed_hosts")
			require.NotContains(t, res.Header.Get("Content-Security-Policy"), "ws:")
		})
	}
}

func TestGuard_ProbesMayCallUsAnything(t *testing.T) {
	guard := newGuard(t)
	for path, status := range map[string]int{
		"/healthy": 200, "/ping": 200, "/api/healthy": 200, "/api/ping": 200, "/ping/": 200, "/api/users/me": 421, "/pingpong": 421, "/": 421,
	} {
		require.Equal(t, status, answer(guard, request("GET", path, "Host", "10.0.0.7:8080")).StatusCode, path)
	}
}

func TestGuard_Origins(t *testing.T) {
	guard := newGuard(t)
	for name, c := range map[string]struct {
		method  string
		headers []string
		passes  bool
	}{
		"no browser":                       {"POST", nil, true},
		"own page":                         {"POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8080"}, true},
		"own page without metadata":        {"PATCH", []string{"Origin", "http://localhost:8080"}, true},
		"typed address":                    {"GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, true},
		"link in another site":             {"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, true},
		"behind a front without port":      {"POST", []string{"Host", "lab.example.org", "Origin", "http://lab.example.org:8080"}, true},
		"behind a front, other lab":        {"POST", []string{"Host", "lab.example.org", "Origin", "http://lab.example.com:8080"}, false},
		"trusted origin":                   {"POST", []string{"Origin", "https://trusted.example"}, true},
		"trusted origin with metadata":     {"PATCH", []string{"Origin", "https://trusted.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, true},
		"trusted name, other scheme":       {"POST", []string{"Origin", "http://trusted.example"}, false},
		"trusted name, other port":         {"POST", []string{"Origin", "https://trusted.example:444"}, false},
		"another site's fetch":             {"POST", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
		"another site's fetch, old":        {"POST", []string{"Origin", "http://evil.example"}, false},
		"another site's form":              {"POST", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, false},
		"another site's form, no origin":   {"POST", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, false},
		"another port of ours":             {"POST", []string{"Origin", "http://localhost:8081"}, false},
		"a workspace":                      {"DELETE", []string{"Origin", "http://x.localhost:8081", "Sec-Fetch-Site", "same-site"}, false},
		"a workspace's script tag":         {"GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, false},
		"sandboxed page":                   {"POST", []string{"Origin", "null"}, false},
		"sandboxed page with a token":      {"GET", []string{"Origin", "null", "Authorization", "Bearer " + string(token)}, false},
		"token of a page elsewhere":        {"GET", []string{"Origin", "http://evil.example", "ct_token", string(token)}, false},
		"socket of a page elsewhere":       {"GET", []string{"Origin", "http://evil.example", "Connection", "Upgrade", "Upgrade", "websocket"}, false},
		"socket elsewhere, with metadata":  {"GET", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "websocket", "Upgrade", "websocket"}, false},
		"socket of our page":               {"GET", []string{"Origin", "http://localhost:8080", "Connection", "Upgrade", "Upgrade", "websocket"}, true},
		"socket of a program":              {"GET", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, true},
		"nonsense":                         {"POST", []string{"Origin", "::::"}, false},
		"unknown metadata":                 {"GET", []string{"Sec-Fetch-Site", "sideways"}, false},
		"navigation that claims an origin": {"GET", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			res := answer(guard, request(c.method, "/api/x", c.headers...))
			require.Equal(t, map[bool]int{true: 200, false: 403}[c.passes], res.StatusCode)
		})
	}
}

func TestGuard_CORSForConfiguredOriginsOnly(t *testing.T) {
	guard := newGuard(t)
	res := answer(guard, request("OPTIONS", "/api/x", "Origin", "https://trusted.example", "Access-Control-Request-Method", "PATCH"))
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Equal(t, "https://trusted.example", res.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", res.Header.Get("Access-Control-Allow-Credentials"))
	require.Contains(t, res.Header.Get("Access-Control-Allow-Methods"), "PATCH")
	require.Contains(t, res.Header.Get("Access-Control-Allow-Headers"), "Authorization")
	require.Equal(t, []string{"Origin"}, res.Header.Values("Vary"))

	res = answer(guard, request("GET", "/api/x", "Origin", "https://trusted.example"))
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "https://trusted.example", res.Header.Get("Access-Control-Allow-Origin"))

	for _, origin := range []string{"http://evil.example", "null", "https://trusted.example.evil"} {
		res = answer(guard, request("OPTIONS", "/api/x", "Origin", origin, "Access-Control-Request-Method", "PATCH"))
		require.Equal(t, http.StatusForbidden, res.StatusCode)
		require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
	}
	res = answer(newGuard(t, func(o *GuardOptions) { o.Origins = nil }), request("GET", "/api/x"))
	require.Empty(t, res.Header.Get("Vary"))
	require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
}

func TestGuard_Headers(t *testing.T) {
	res := answer(newGuard(t), request("GET", "/app/"))
	require.Equal(t, "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "+
		"connect-src 'self' ws://localhost:8080 http://*.localhost:*; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		res.Header.Get("Content-Security-Policy"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
	require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Opener-Policy"))
	require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Resource-Policy"))

	framed := newGuard(t, func(o *GuardOptions) { o.FramedBySelf = true })
	res = answer(framed, request("GET", "/app/", "X-Forwarded-Proto", "https"))
	require.True(t, strings.HasSuffix(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'"))
	require.Contains(t, res.Header.Get("Content-Security-Policy"), " wss://localhost:8080 ")
}

func TestNewGuard_RefusesOriginsThatAreNone(t *testing.T) {
	for _, origin := range []string{"*", "lab.example.org", "https://lab.example.org/app", ""} {
		_, err := NewGuard(GuardOptions{Problem: writeProblem, Origins: []string{origin}})
		require.Error(t, err, origin)
	}
	_, err := NewGuard(GuardOptions{})
	require.Error(t, err)
}

func FuzzGuard(f *testing.F) {
	f.Add("localhost:8080", "http://localhost:8080")
	f.Add("[::1]", "null")
	f.Add("localhost:80;x", "://")
	guard := newGuard(f)
	f.Fuzz(func(t *testing.T, host, origin string) {
		r := request("POST", "/api/x")
		r.Host = host
		r.Header.Set("Origin", origin)
		res := answer(guard, r)
		policy := res.Header.Get("Content-Security-Policy")
		require.Equal(t, 9, strings.Count(policy, ";"), "nobody adds to the policy: %q", policy)
		require.Equal(t, 1, strings.Count(policy, "*."))
		if res.StatusCode == http.StatusOK {
			require.Contains(t, []string{"localhost", "127.0.0.1", "::1", "lab.example.org", "fd00::1"}, hostName(host))
			require.True(t, origin == "" || origin == "https://trusted.example" || sameHost(origin, host))
		}
	})
}
