package access

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func testBorders() borders {
	return borders{accessPath: base, endpoint: "172.18.0.2:8080", host: string(id) + ".localhost:8081"}
}

func TestLocation(t *testing.T) {
	for location, want := range map[string]string{
		base + "/lab?x=1#y":                      base + "/lab?x=1#y",
		base:                                     base,
		"/lab":                                   plain + "/lab",
		"/":                                      plain + "/",
		"/a%2Fb//c?d":                            plain + "/a%2Fb//c?d",
		"tree":                                   base + "/tree",
		"?x":                                     base + "/here?x",
		"../../../../../../../etc":               plain + "/etc",
		base + "/../../../../../../projects/x":   plain + "/projects/x",
		base + "x":                               plain + base + "x",
		"http://172.18.0.2:8080/lab":             plain + "/lab",
		"http://172.18.0.2:8080" + base + "/lab": base + "/lab",
		"http://" + string(id) + ".localhost:8081/":          plain + "/",
		"//172.18.0.2:8080/x":                                plain + "/x",
		"http://localhost:8080/api/users":                    plain + "/api/users",
		"http://127.0.0.1:8080/":                             plain + "/",
		"http://[::1]:8080/":                                 plain + "/",
		"http://" + string(other) + ".localhost:8081/_lab/x": plain + "/_lab/x",
		"http://user:pw@localhost:8080/enter":                plain + "/enter",
		"https://github.com/login?x=1":                       "https://github.com/login?x=1",
		"//example.org/x":                                    "//example.org/x",
		"javascript:alert(1)":                                "",
		"data:text/html,x":                                   "",
		"file:///etc/passwd":                                 "",
		"ftp://example.org/":                                 "",
		"http://%zz":                                         "",
		"http:lab":                                           "",
	} {
		t.Run(location, func(t *testing.T) {
			got, _ := testBorders().location(location, &url.URL{Scheme: "http", Host: "172.18.0.2:8080", Path: base + "/here"})
			if want == "" {
				_, ok := testBorders().location(location, &url.URL{Path: "/"})
				require.False(t, ok)
				return
			}
			require.Equal(t, want, got)
		})
	}
}

func TestSetCookie(t *testing.T) {
	all := "/projects/ada0/services/" + string(id) + "/access/"
	for cookie, want := range map[string]string{
		"_xsrf=2|a; Path=" + base + "/":      "_xsrf=2|a; Path=" + base + "/",
		"a=b":                                "a=b",
		"a=b=c; HttpOnly; SameSite=Lax":      "a=b=c; HttpOnly; SameSite=Lax",
		"a=b; path=/":                        "a=b; Path=" + all,
		"a=b; Path=/projects/ada0/services/": "a=b; Path=" + all,
		"a=b; Path=" + base + "/../../../x":  "a=b; Path=" + all,
		"a=b; Path=" + base + "x":            "a=b; Path=" + all,
		"a=b; Path":                          "a=b; Path=" + all,
		"a=b; Path=/; Path=/x":               "a=b; Path=" + all + "; Path=" + all,
		"a=b; Domain=localhost":              "",
		"a=b; domain = .localhost ":          "",
		"lwm_session_x7=x":                   "",
		" LWM_access_x7=x":                   "",
		"lwm_=x":                             "",
		"ct_token=x; Path=/":                 "",
		"Ct_Session_Token=x":                 "",
		"ctxy_authorized_user=x":             "",
		"=lwm_session_x7=x":                  "",
		"lwm_session_x7":                     "",
		"\tlwm_session_x7\t=x":               "",
		"":                                   "",
		"; Path=/":                           "",
	} {
		t.Run(cookie, func(t *testing.T) {
			got, ok := testBorders().cookie(cookie)
			require.Equal(t, want, got)
			require.Equal(t, want != "", ok)
		})
	}
}

func TestConfine_AHostileWorkspaceReachesNothingBeyondItself(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				header := w.Header()
				header.Add("Set-Cookie", "lwm_access_x7_"+string(other)+"=fixed; Path=/")
				header.Add("Set-Cookie", "ct_token=fixed; Path=/")
				header.Add("Set-Cookie", "wide=1; Domain=localhost")
				header.Add("Set-Cookie", "fine=1; Path=/")
				header.Set("Location", "http://"+r.Host+"/projects/ada0/services/"+string(other)+"/access/8080b/")
				header.Set("Clear-Site-Data", `"*"`)
				header.Set("Strict-Transport-Security", "max-age=1")
				header.Set("Alt-Svc", `h3=":443"`)
				header.Set("Service-Worker-Allowed", "/")
				w.WriteHeader(http.StatusFound)
			}))
			res, _ := l.get(l.visitor(id, m), l.at(id, m, base+"/x"))
			require.Equal(t, http.StatusFound, res.StatusCode)
			require.Equal(t, []string{"fine"}, namesOf(res.Cookies()))
			require.True(t, strings.HasPrefix(res.Cookies()[0].Path, "/projects/ada0/services/"+string(id)+"/"))
			require.Equal(t, plain+"/projects/ada0/services/"+string(other)+"/access/8080b/", res.Header.Get("Location"))
			for _, name := range []string{"Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc"} {
				require.Empty(t, res.Header.Get(name), name)
			}
			require.Equal(t, []string{base + "/"}, res.Header.Values("Service-Worker-Allowed"))
		})
	}
}

func TestConfine_InformationalAnswersDoNotSlipThrough(t *testing.T) {
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "ct_token=early")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Set-Cookie")
		_, _ = io.WriteString(w, "late")
	}))
	res, body := l.get(l.visitor(id, byHost), l.at(id, byHost, base+"/x"))
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "late", body)
	require.Empty(t, res.Cookies())
}

func TestConfine_HugeHeadersAreRefused(t *testing.T) {
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Huge", strings.Repeat("x", 2*maxAnswerHdr))
	}))
	res, _ := l.get(l.visitor(id, byHost), l.at(id, byHost, base+"/x"))
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
}
