package access

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

const page1 = "text/html,application/xhtml+xml"

// mirror is a workspace that tells what it saw of a request.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+"\nHost: "+r.Host+"\n")
	_ = r.Header.Write(w)
	_, _ = w.Write(body)
}

var modes = []mode{byHost, byPath}

func TestLink_LeadsIntoTheWorkspaceByRedirectsAndCookiesAlone(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l := newLab(t, http.HandlerFunc(mirror))
			browser := l.browser()
			browser.CheckRedirect = nil
			for _, accept := range []string{"*/*", page1} {
				res, body := l.get(browser, l.link(id, m), "Accept", accept)
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Contains(t, body, "GET "+base+"/lab\n")
				require.Contains(t, body, "Authorization: token secret-of-"+string(id)+"\r\n")
				require.NotContains(t, res.Request.URL.String(), "code=")
			}
		})
	}
}

func TestLink_IsGoodOnceForAMinuteAndAtItsDoor(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l := newLab(t, http.HandlerFunc(mirror))
			link := l.link(id, m)
			res, _ := l.do(l.browser(), http.MethodHead, link, nil)
			require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, "HEAD uses no code up")
			first := l.browser()
			res, _ = l.get(first, link)
			require.Equal(t, http.StatusSeeOther, res.StatusCode)
			require.Equal(t, base+"/lab", res.Header.Get("Location"))

			res, body := l.get(l.browser(), link)
			require.Equal(t, http.StatusUnauthorized, res.StatusCode, "used")
			require.Contains(t, body, "used or is too old")
			res, _ = l.get(first, link)
			require.Equal(t, http.StatusSeeOther, res.StatusCode, "used, by somebody who is in already")

			late := l.link(id, m)
			l.clock.advance(linkLifetime + time.Second)
			res, _ = l.get(l.browser(), late)
			require.Equal(t, http.StatusUnauthorized, res.StatusCode, "too old")

			elsewhere := strings.ReplaceAll(l.link(other, m), string(other), string(id))
			res, _ = l.get(l.browser(), elsewhere)
			require.Equal(t, http.StatusUnauthorized, res.StatusCode, "another workspace's")
		})
	}
}

func TestLink_IsBoundToAMode(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	_, code, _ := strings.Cut(l.link(id, byPath), "?")
	res, _ := l.get(l.browser(), l.at(id, byHost, "/_lab/open?"+code))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
}

func TestLink_RefusesWhatItCannotMean(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	_, _, err := l.proxy.Link("eve0", id, "host", l.front.URL)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err), "of somebody else")
	_, _, err = l.proxy.Link(owner, "gone", "host", l.front.URL)
	require.Equal(t, workspace.CodeNotFound, workspace.CodeOf(err))
	_, _, err = l.proxy.Link(owner, id, "moon", l.front.URL)
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
	_, _, err = l.proxy.Link(owner, id, "host", "")
	require.Error(t, err)
}

func TestLink_KeepsABoundedNumberOfCodes(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	oldest := l.link(id, byHost)
	for range maxLinks {
		l.link(other, byHost)
	}
	require.Len(t, l.proxy.links.open, maxLinks)
	res, _ := l.get(l.browser(), oldest)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
}

func TestCookie_IsConfined(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	res, _ := l.get(l.browser(), l.link(id, byHost))
	cookie := res.Cookies()[0]
	require.Equal(t, "lwm_access_x7_"+string(id), cookie.Name)
	require.Equal(t, "/", cookie.Path)
	require.Empty(t, cookie.Domain)
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	require.False(t, cookie.Secure)

	res, _ = l.get(l.browser(), l.link(id, byPath), "X-Forwarded-Proto", "https")
	cookie = res.Cookies()[0]
	require.Equal(t, "/projects/ada0/services/"+string(id)+"/", cookie.Path)
	require.True(t, cookie.Secure)
}

func TestCookie_IsRenewedAsItWas(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byPath)
	l.clock.advance(sessionRenewal + time.Minute)
	res, _ := l.get(visitor, l.at(id, byPath, base+"/x"), "X-Forwarded-Proto", "https")
	require.Len(t, res.Cookies(), 1)
	require.True(t, res.Cookies()[0].Secure, "the front before us speaks TLS")
}

func TestRekey_NothingOfTheOldKeyOpensAnything(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("slow") {
			close(inside)
			<-goOn
		}
		mirror(w, r)
	}))
	visitor, link := l.visitor(id, byPath), l.link(id, byPath)
	l.clock.advance(sessionRenewal + time.Minute)
	go func() {
		<-inside
		assert.NoError(t, l.proxy.Rekey([]byte("another key")))
		close(goOn)
	}()
	res, _ := l.get(visitor, l.at(id, byPath, base+"/x?slow=1"))
	require.Equal(t, http.StatusOK, res.StatusCode)
	res, _ = l.get(visitor, l.at(id, byPath, base+"/x"))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode, "a cookie that was renewed in the middle is of the old key")
	res, _ = l.get(l.browser(), link)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	res, _ = l.get(l.visitor(id, byPath), l.at(id, byPath, base+"/x"))
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestCookie_OpensNothingElse(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	path := base + "/x"
	for name, c := range map[string]struct {
		cookie string
		id     workspace.ID
		mode   mode
	}{
		"another workspace":                {cookieOf(t, l.visitor(id, byHost), l.at(id, byHost, path)), other, byHost},
		"another workspace, named alike":   {strings.ReplaceAll(cookieOf(t, l.visitor(id, byHost), l.at(id, byHost, path)), string(id), string(other)), other, byHost},
		"another mode":                     {cookieOf(t, l.visitor(id, byPath), l.at(id, byPath, path)), id, byHost},
		"another mode, the other way":      {cookieOf(t, l.visitor(id, byHost), l.at(id, byHost, path)), id, byPath},
		"nothing":                          {"", id, byHost},
		"rubbish":                          {"lwm_access_x7_" + string(id) + "=AAAA", id, byHost},
		"rubbish of the right length":      {"lwm_access_x7_" + string(id) + "=" + strings.Repeat("A", 54), id, byHost},
		"rubbish that is no base64 at all": {"lwm_access_x7_" + string(id) + "=" + strings.Repeat("*", 54), id, byHost},
	} {
		t.Run(name, func(t *testing.T) {
			address := l.at(c.id, c.mode, strings.ReplaceAll(path, string(id), string(c.id)))
			res, body := l.get(l.browser(), address, "Cookie", c.cookie)
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			require.Contains(t, body, `"detail"`)
			require.Contains(t, body, "Open the workspace from the workspace manager.")
		})
	}
}

func TestCookie_SurvivesARestartAndDiesWithWhatItIsFor(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	status := func() int {
		res, _ := l.get(visitor, l.at(id, byHost, base+"/x"))
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, status())
	l.proxy = l.newProxy([]byte("a token"))
	require.Equal(t, http.StatusOK, status(), "a new manager")
	l.proxy = l.newProxy([]byte("a rotated token"))
	require.Equal(t, http.StatusUnauthorized, status())
	l.proxy = l.newProxy([]byte("a token"))
	l.resolver.change(id, func(target *Target) { target.UID = "made anew under the same id" })
	require.Equal(t, http.StatusUnauthorized, status())
}

func TestCookie_IsRenewedWhileItIsUsed(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	address := l.at(id, byHost, base+"/x")
	res, _ := l.get(visitor, address)
	require.Empty(t, res.Cookies(), "a fresh one is left alone")
	for range 10 {
		l.clock.advance(sessionLifetime - time.Hour)
		res, _ = l.get(visitor, address)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Len(t, res.Cookies(), 1)
	}
	l.clock.advance(sessionLifetime + time.Second)
	res, _ = l.get(visitor, address)
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
}

func TestCookie_IsFoundAmongForgedOnes(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	address := l.at(id, byHost, base+"/x")
	good := cookieOf(t, l.visitor(id, byHost), address)
	name, _, _ := strings.Cut(good, "=")
	res, body := l.get(l.browser(), address, "Cookie", name+"=forged; "+name+"2=x; _xsrf=1|2; "+good)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, "Cookie: _xsrf=1|2\r\n")
}

func TestHosts(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	cookie := cookieOf(t, visitor, l.at(id, byHost, "/"))
	own := string(id) + ".localhost"
	for host, status := range map[string]int{
		own + ":8081":                          http.StatusOK,
		own:                                    http.StatusOK,
		strings.ToUpper(own) + ":8081":         http.StatusOK,
		"evil.example:8081":                    http.StatusMisdirectedRequest,
		own + ".evil.example":                  http.StatusMisdirectedRequest,
		"x." + own:                             http.StatusMisdirectedRequest,
		own + ".":                              http.StatusMisdirectedRequest,
		own + ":80x":                           http.StatusMisdirectedRequest,
		".localhost":                           http.StatusMisdirectedRequest,
		"127.0.0.2":                            http.StatusMisdirectedRequest,
		"[::2]":                                http.StatusMisdirectedRequest,
		"localhost.evil":                       http.StatusMisdirectedRequest,
		"xlocalhost":                           http.StatusMisdirectedRequest,
		string(other) + ".localhost":           http.StatusNotFound, // the path is another workspace's
		"lab-p-ada0-s-gone.localhost:8081":     http.StatusNotFound,
		"localhost:8081":                       http.StatusUnauthorized, // there, but the cookie is not for this mode
		"127.0.0.1":                            http.StatusUnauthorized,
		"[::1]:8081":                           http.StatusUnauthorized,
		"LOCALHOST":                            http.StatusUnauthorized,
		strings.Repeat("a", 64) + ".localhost": http.StatusMisdirectedRequest,
	} {
		t.Run(host, func(t *testing.T) {
			res, _ := l.get(l.browser(), l.front.URL+base+"/x", "Host", host, "Cookie", cookie)
			require.Equal(t, status, res.StatusCode)
		})
	}
}

func TestHosts_ConfiguredOnesServePaths(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	proxy, err := New(Options{Resolver: l.resolver, Key: []byte("k"), Instance: "x7", Problem: writeProblem, Hosts: []string{"lab.example.org", "fd00::1"}})
	require.NoError(t, err)
	l.proxy = proxy
	for _, host := range []string{"lab.example.org", "lab.example.org:8081", "[fd00::1]:8081"} {
		res, _ := l.get(l.browser(), l.front.URL+base+"/x", "Host", host)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, host)
	}
}

func TestPaths(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	for _, m := range modes {
		visitor := l.visitor(id, m)
		for path, want := range map[string]string{
			base + "/lab":           base + "/lab",
			base + "/":              base + "/",
			base:                    base,
			base + "/a%2Fb":         base + "/a%2Fb",
			base + "//a///b":        base + "//a///b",
			base + "/a%20b?c=d%2Fe": base + "/a%20b?c=d%2Fe",
			base + "/x?a=1;b=2&c":   base + "/x?a=1;b=2&c",
			base + "/%E2%82%AC":     base + "/%E2%82%AC",
			plain + "/a%2Fb?x=1":    "/a%2Fb?x=1",
			plain + "//a":           "//a",
			plain + "/":             "/",
			plain:                   "/",
			plain + "?x":            "/?x",
			"/PROJECTS/ada0/Services/" + string(id) + "/ACCESS/8080/x": "/x",
		} {
			t.Run(string(m)+path, func(t *testing.T) {
				cookie := cookieOf(t, visitor, l.at(id, m, base+"/"))
				res, body := l.get(l.browser(), l.at(id, m, path), "Cookie", cookie)
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Contains(t, body, "GET "+want+"\n")
			})
		}
	}
}

func TestPaths_LeadNowhereElse(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	for _, m := range modes {
		visitor := l.visitor(id, m)
		cookie := cookieOf(t, visitor, l.at(id, m, base+"/"))
		for _, path := range []string{
			"/projects/ada0/services/" + string(id) + "/access/22/x",
			"/projects/ada0/services/" + string(id) + "/access/8080c/x",
			"/projects/ada0/services/" + string(id) + "/access/808080/x",
			"/projects/ada0/services/" + string(id) + "/access/b/x",
			"/projects/ada0/services/" + string(id) + "/access",
			"/projects/ada0/services/" + string(id) + "/_lab/",
			"/projects/ada0/services/" + string(id) + "/_lab/x",
			"/projects/eve0/services/" + string(id) + "/access/8080b/x",
			"/projects/ada0/services/gone/access/8080b/x",
			"/projects//services/" + string(id) + "/access/8080b/x",
			"/projects/ada0%2Fservices/" + string(id) + "/access/8080b/x",
			"/%70rojects/ada0/services/" + string(id) + "/access/8080b/x",
			"//projects/ada0/services/" + string(id) + "/access/8080b/x",
			"/_lab/", "/_lab/x", "/favicon.ico", "/..",
		} {
			t.Run(string(m)+path, func(t *testing.T) {
				res, _ := l.get(l.browser(), l.at(id, m, path), "Cookie", cookie)
				require.Equal(t, http.StatusNotFound, res.StatusCode)
			})
		}
	}
}

func TestRoot_OfTheOwnHostLeadsToTheIDE(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	res, _ := l.get(l.visitor(id, byHost), l.at(id, byHost, "/"))
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, base+"/lab", res.Header.Get("Location"))
}

func TestPing_AnswersAnybodyOnOurNames(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	for _, host := range []string{"probe.localhost:8081", "localhost", "127.0.0.1:1"} {
		res, _ := l.get(l.browser(), l.front.URL+"/_lab/ping", "Host", host, "Origin", "http://localhost:8080", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors")
		require.Equal(t, http.StatusNoContent, res.StatusCode)
		require.Equal(t, "cross-origin", res.Header.Get("Cross-Origin-Resource-Policy"))
	}
	res, _ := l.get(l.browser(), l.front.URL+"/_lab/ping", "Host", "evil.example")
	require.Equal(t, http.StatusMisdirectedRequest, res.StatusCode)
}

func TestOrigins(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	own := "http://" + string(id) + ".localhost" + l.port
	for name, c := range map[string]struct {
		method  string
		headers []string
		status  int
	}{
		"no browser":                 {"POST", nil, 200},
		"own page":                   {"POST", []string{"Origin", own, "Sec-Fetch-Site", "same-origin"}, 200},
		"own page, no metadata":      {"POST", []string{"Origin", own}, 200},
		"typed":                      {"GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
		"link from another site":     {"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		"image in another site":      {"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		"script of the manager's":    {"GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		"form of another site":       {"POST", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		"form, no metadata":          {"POST", []string{"Origin", "http://evil.example"}, 403},
		"another workspace":          {"POST", []string{"Origin", "http://" + string(other) + ".localhost" + l.port}, 403},
		"another port":               {"GET", []string{"Origin", "http://" + string(id) + ".localhost:1"}, 403},
		"sandboxed page":             {"POST", []string{"Origin", "null"}, 403},
		"socket of another site":     {"GET", []string{"Origin", "http://evil.example", "Connection", "Upgrade", "Upgrade", "websocket"}, 403},
		"PUT of a same-site page":    {"PUT", []string{"Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-site"}, 403},
		"name that begins like ours": {"POST", []string{"Origin", own + ".evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			res, _ := l.do(visitor, c.method, l.at(id, byHost, base+"/x"), nil, c.headers...)
			require.Equal(t, c.status, res.StatusCode)
		})
	}
}

func TestForward_LetsNoCredentialOfOursIn(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l := newLab(t, http.HandlerFunc(mirror))
			address := l.at(id, m, base+"/x?a=1&ct_token=tok-query&b=2&c%74_token=tok-hidden")
			ours := cookieOf(t, l.visitor(id, m), l.at(id, m, base+"/"))
			_, body := l.get(l.browser(), address,
				"Cookie", "_xsrf=2|a; ct_token=tok-cookie; lwm_session_q=tok-session; LWM_x=tok-upper; ctxy_authorized_user=tok-user; "+
					"ct_session_token=tok-lab; lwm_nameless; "+ours+"; username=u=1",
				"Authorization", "Bearer tok-bearer", "ct_token", "tok-header", "Proxy-Authorization", "Basic tok-proxy",
				"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example", "Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6",
				"X-Forwarded-Proto", "gopher", "X-Scheme", "gopher")
			require.NotContains(t, body, "tok-")
			require.NotContains(t, strings.ToLower(body), "lwm_")
			require.NotContains(t, body, "6.6.6.6")
			require.NotContains(t, body, "evil.example")
			require.NotContains(t, body, "gopher")
			require.Contains(t, body, "GET "+base+"/x?a=1&b=2\n")
			require.Contains(t, body, "Cookie: _xsrf=2|a; username=u=1\r\n")
			require.Equal(t, 1, strings.Count(body, "Authorization:"))
			require.Contains(t, body, "Authorization: token secret-of-"+string(id)+"\r\n")
			require.Contains(t, body, "X-Forwarded-For: 127.0.0.1\r\n")
			require.Contains(t, body, "X-Forwarded-Proto: http\r\n")
		})
	}
}

func TestForward_KeepsTheHostThatTheBrowserNamed(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	_, body := l.get(l.visitor(id, byHost), l.at(id, byHost, base+"/x"))
	require.Contains(t, body, "Host: "+string(id)+".localhost"+l.port+"\n")
}

func TestForward_TheVisitorCannotChooseTheSecret(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	l.resolver.change(id, func(target *Target) {
		target.SecretHeaderName, target.SecretHeaderValue = "X-Key", "the key"
	})
	_, body := l.get(l.visitor(id, byHost), l.at(id, byHost, base+"/x"), "X-Key", "guess", "Connection", "X-Key", "Authorization", "Bearer x")
	require.Contains(t, body, "X-Key: the key\r\n")
	require.NotContains(t, body, "guess")
	require.NotContains(t, body, "Authorization")
}

func TestForward_ProtocolsOtherThanWebSocketsAreNotOpened(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	res, body := l.get(l.visitor(id, byHost), l.at(id, byHost, base+"/x"), "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NotContains(t, strings.ToLower(body), "h2c")
	res, _ = l.do(l.visitor(id, byHost), http.MethodTrace, l.at(id, byHost, base+"/x"), nil)
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestForward_FollowsAWorkspaceThatMoves(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "moved") }))
	defer moved.Close()
	_, body := l.get(visitor, l.at(id, byHost, base+"/x"))
	require.Contains(t, body, "GET")
	l.resolver.change(id, func(target *Target) { target.Endpoint = moved.URL })
	_, body = l.get(visitor, l.at(id, byHost, base+"/x"))
	require.Equal(t, "moved", body)
}

func TestForward_SaysWhenNobodyAnswers(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	l.back.Close()
	res, body := l.get(visitor, l.at(id, byHost, base+"/x"), "Accept", page1)
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
	require.Contains(t, body, "<h1>The workspace does not answer</h1>")
	res, body = l.get(visitor, l.at(id, byHost, base+"/x"))
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
	require.Contains(t, body, `"code":"unavailable"`)
}

func TestForward_WhileTheEngineIsAway(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, byHost)
	l.resolver.change(id, func(target *Target) { target.Status = workspace.StatusUnknown })
	res, _ := l.get(visitor, l.at(id, byHost, base+"/x"))
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestNew_NeedsWhatItNeeds(t *testing.T) {
	whole := Options{Resolver: &resolver{}, Key: []byte("k"), Instance: "x7", Problem: writeProblem}
	for name, spoil := range map[string]func(*Options){
		"resolver": func(o *Options) { o.Resolver = nil },
		"key":      func(o *Options) { o.Key = nil },
		"instance": func(o *Options) { o.Instance = "a=b; " },
		"problem":  func(o *Options) { o.Problem = nil },
	} {
		options := whole
		spoil(&options)
		_, err := New(options)
		require.Error(t, err, name)
	}
	_, err := New(whole)
	require.NoError(t, err)
}

// Names of cookies in answers, in order.
func namesOf(cookies []*http.Cookie) []string {
	var names []string
	for _, cookie := range cookies {
		names = append(names, cookie.Name)
	}
	slices.Sort(names)
	return names
}
