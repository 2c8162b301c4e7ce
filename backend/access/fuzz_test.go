package access

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzPath(f *testing.F) {
	for _, path := range []string{base + "/x", plain, "/projects/a/services/b/_lab/open", "/projects//services/", base + "//%2f..", "/PROJECTS/A/SERVICES/B/ACCESS/1B"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		parsed, ok := parsePath(path)
		if !ok {
			return
		}
		require.True(t, isLabelOfAnyLength(string(parsed.owner)), parsed.owner)
		require.True(t, isLabelOfAnyLength(string(parsed.id)), parsed.id)
		if parsed.inside != "" {
			require.Empty(t, parsed.port)
			return
		}
		require.True(t, strings.HasPrefix(path, parsed.base))
		require.NotContains(t, parsed.base, "%")
		require.NotContains(t, parsed.base, ".")
		rest := cutBase(path, parsed.base)
		require.True(t, rest == "" || rest[0] == '/')
	})
}

func isLabelOfAnyLength(text string) bool {
	name, rest := cutName(text)
	return name != "" && rest == ""
}

func FuzzHost(f *testing.F) {
	for _, host := range []string{"a.localhost:8081", "[::1]:80", "localhost", "a..localhost", ":1", "[", "]:1", "a.localhost:"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, port := splitHost(host)
		require.True(t, port == "" || isDigits(port[1:]))
		if id, own := idOfHost(name, "localhost"); own {
			require.True(t, isLabel(string(id)))
			require.Equal(t, strings.ToLower(host), string(id)+".localhost"+port)
		}
	})
}

func FuzzCookieHeader(f *testing.F) {
	for _, header := range []string{"a=b; lwm_x=y", "lwm_x", " ct_token = x ;", ";;=;", "a=b=c;CT_TOKEN=1", "\"lwm_x\"=1"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, kept := range withoutOurCookies([]string{header}) {
			for pair := range strings.SplitSeq(kept, ";") {
				name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
				require.False(t, isOurs(strings.TrimSpace(name)), "%q", kept)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, query := range []string{"a=b&ct_token=x", "ct%5Ftoken=x", "ct_token", "&&", "a=%zz&%63t_token"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(withoutToken(query))
		if err == nil {
			require.False(t, values.Has(tokenName), "%q", query)
		}
	})
}

func FuzzSetCookie(f *testing.F) {
	for _, header := range []string{"a=b; Path=/", "lwm_x=1", "=lwm_x=1", "a=b; domain=x", "a=b;path=/x;path=/", "a=b; Path=" + base + "/.."} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		confined, ok := testBorders().cookie(header)
		if !ok {
			return
		}
		cookie, err := http.ParseSetCookie(confined)
		if err != nil {
			return
		}
		require.False(t, isOurs(cookie.Name))
		require.Empty(t, cookie.Domain)
		require.True(t, cookie.Path == "" || strings.HasPrefix(cookie.Path, "/projects/ada0/services/"+string(id)+"/"), cookie.Path)
	})
}

func FuzzLocation(f *testing.F) {
	for _, location := range []string{"/x", "//evil", "http://localhost/x", "javascript:1", "../..", base + "/..", "http:x", "/\\evil", "\\\\evil", "?", "#", "///x"} {
		f.Add(location)
	}
	f.Fuzz(func(t *testing.T, location string) {
		asked := &url.URL{Scheme: "http", Host: "172.18.0.2:8080", Path: base + "/here"}
		confined, ok := testBorders().location(location, asked)
		if !ok {
			return
		}
		to, err := url.Parse(confined)
		require.NoError(t, err)
		if to.Host == "" {
			require.True(t, strings.HasPrefix(confined, "/projects/ada0/services/"+string(id)+"/access/8080"), "%q becomes %q", location, confined)
			return
		}
		require.Contains(t, []string{"", "http", "https"}, to.Scheme)
		require.False(t, testBorders().isItself(to.Host), "%q becomes %q", location, confined)
	})
}
