package access

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

var (
	navigation = []string{"Accept", page1, "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	oldBrowser = []string{"Accept", page1}
)

func stopped(t *testing.T, m mode) (*lab, *http.Client) {
	l := newLab(t, http.HandlerFunc(mirror))
	visitor := l.visitor(id, m)
	l.resolver.change(id, func(target *Target) {
		target.Status, target.Endpoint = workspace.StatusStopped, ""
		target.Progress = []workspace.StepProgress{
			{Title: "Its volume", State: workspace.StepDone},
			{Title: "Container <b>with</b> 2 CPUs", State: workspace.StepNow, Progress: workspace.Progress{Detail: "412 of 1,180 MB"}},
		}
	})
	return l, visitor
}

func TestWait_APersonStartsAStoppedWorkspace(t *testing.T) {
	for _, m := range modes {
		for name, headers := range map[string][]string{"navigation": navigation, "old browser": oldBrowser} {
			t.Run(string(m)+"/"+name, func(t *testing.T) {
				l, visitor := stopped(t, m)
				res, body := l.get(visitor, l.at(id, m, base+"/lab/tree/x"), headers...)
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				require.Equal(t, 1, l.resolver.started())
				require.Contains(t, body, "The thesis")
				require.Contains(t, body, "Starting")
				require.Contains(t, body, "Container &lt;b&gt;with&lt;/b&gt; 2 CPUs")
				require.Contains(t, body, "412 of 1,180 MB")
				require.Contains(t, body, `<noscript><meta http-equiv="refresh"`)
				l.get(visitor, l.at(id, m, base+"/lab/tree/x"), headers...)
				require.Equal(t, 1, l.resolver.started(), "it starts already")
			})
		}
	}
}

func TestWait_NothingElseStartsIt(t *testing.T) {
	for name, headers := range map[string][]string{
		"script":        {"Accept", "*/*"},
		"fetch":         {"Accept", page1, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"frame":         {"Accept", page1, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"jquery":        {"Accept", page1, "X-Requested-With", "XMLHttpRequest"},
		"prefetch":      append([]string{"Sec-Purpose", "prefetch"}, navigation...),
		"old prefetch":  append([]string{"Purpose", "prefetch"}, navigation...),
		"socket":        {"Connection", "Upgrade", "Upgrade", "websocket"},
		"modern socket": {"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Fetch-Mode", "websocket", "Sec-Fetch-Dest", "websocket", "Sec-Fetch-Site", "same-origin"},
	} {
		t.Run(name, func(t *testing.T) {
			l, visitor := stopped(t, byHost)
			res, body := l.get(visitor, l.at(id, byHost, base+"/api"), headers...)
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			require.Contains(t, body, `"detail"`)
			require.Zero(t, l.resolver.started())
		})
	}
	t.Run("stranger", func(t *testing.T) {
		l, _ := stopped(t, byHost)
		res, body := l.get(l.browser(), l.at(id, byHost, base+"/lab"), navigation...)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		require.Contains(t, body, "<h1>Open it from the workspace manager</h1>")
		require.NotContains(t, body, "thesis")
		require.Zero(t, l.resolver.started())
	})
	t.Run("post", func(t *testing.T) {
		l, visitor := stopped(t, byHost)
		res, _ := l.do(visitor, http.MethodPost, l.at(id, byHost, base+"/lab"), nil, navigation...)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.Zero(t, l.resolver.started())
	})
	t.Run("the page itself", func(t *testing.T) {
		l, visitor := stopped(t, byHost)
		res, body := l.get(visitor, l.at(id, byHost, "/_lab/progress"), navigation...)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		require.Contains(t, body, "Stopped")
		require.NotContains(t, body, "http-equiv")
		require.Zero(t, l.resolver.started())
	})
}

func TestWait_AFailedOneShowsWhyAndAButton(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l, visitor := stopped(t, m)
			l.resolver.change(id, func(target *Target) {
				target.Status, target.Reason = workspace.StatusFailed, "Out of memory at 4 GB."
			})
			res, body := l.get(visitor, l.at(id, m, base+"/lab"), navigation...)
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			require.Contains(t, body, "Out of memory at 4 GB.")
			require.Zero(t, l.resolver.started())
			action := regexp.MustCompile(`action="([^"]+)">`).FindStringSubmatch(body)
			require.NotNil(t, action)

			res, _ = l.do(visitor, http.MethodPost, l.at(id, m, action[1]), nil, "Origin", "http://evil.example")
			require.Equal(t, http.StatusForbidden, res.StatusCode)
			require.Zero(t, l.resolver.started())
			res, _ = l.do(visitor, http.MethodPost, l.at(id, m, action[1]), nil, "Sec-Fetch-Site", "same-origin")
			require.Equal(t, http.StatusSeeOther, res.StatusCode)
			require.Equal(t, base+"/lab", res.Header.Get("Location"))
			require.Equal(t, 1, l.resolver.started())
		})
	}
}

func TestWait_SaysWhyItCannotBeStarted(t *testing.T) {
	l, visitor := stopped(t, byHost)
	l.resolver.startErr = workspace.Errorf(workspace.CodeUnavailable, "Docker does not answer.")
	_, body := l.get(visitor, l.at(id, byHost, base+"/lab"), navigation...)
	require.Contains(t, body, "Docker does not answer.")
	require.Contains(t, body, "<button>Start</button>")
	_, body = l.do(visitor, http.MethodPost, l.at(id, byHost, "/_lab/start"), nil)
	require.Contains(t, body, "Docker does not answer.")
	require.Contains(t, body, `data-next="`+base+`/lab"`)
}

func TestStatus_TellsThePageHowFarItIs(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l, visitor := stopped(t, m)
			_, body := l.get(visitor, l.at(id, m, base+"/lab"), navigation...)
			address := regexp.MustCompile(`data-follow="([^"]+)"`).FindStringSubmatch(body)[1]
			var s state
			_, body = l.get(visitor, l.at(id, m, address))
			require.NoError(t, json.Unmarshal([]byte(body), &s))
			require.False(t, s.Ready)
			require.Equal(t, "pending", s.Status)
			require.Equal(t, step{Title: "Container <b>with</b> 2 CPUs", State: "now", Word: "now", Detail: "412 of 1,180 MB"}, s.Steps[1])

			l.resolver.change(id, func(target *Target) { target.Status, target.Endpoint = workspace.StatusRunning, l.back.URL })
			_, body = l.get(visitor, l.at(id, m, address))
			require.NoError(t, json.Unmarshal([]byte(body), &s))
			require.True(t, s.Ready)
			res, _ := l.get(visitor, l.at(id, m, strings.Replace(address, "status", "progress", 1)))
			require.Equal(t, base+"/lab", res.Header.Get("Location"))

			res, _ = l.get(l.browser(), l.at(id, m, address))
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			res, _ = l.do(visitor, http.MethodPost, l.at(id, m, address), nil)
			require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
		})
	}
}

func TestWait_EveryStatusHasAPage(t *testing.T) {
	for status, heading := range map[workspace.Status]string{
		workspace.StatusPending: "Starting", workspace.StatusTerminating: "Stopping", workspace.StatusSucceeded: "Ended",
		workspace.StatusFailed: "Failed", workspace.StatusUnknown: "Not known",
	} {
		l, visitor := stopped(t, byHost)
		l.resolver.change(id, func(target *Target) { target.Status = status })
		_, body := l.get(visitor, l.at(id, byHost, base+"/lab"), navigation...)
		require.Contains(t, body, `<span id="heading">`+heading+`</span>`)
		require.Zero(t, l.resolver.started())
	}
}

func TestPages_NeedNothingButThemselves(t *testing.T) {
	l, visitor := stopped(t, byHost)
	res, body := l.get(visitor, l.at(id, byHost, base+"/lab"), navigation...)
	nonce := regexp.MustCompile(`script-src 'nonce-([^']+)'`).FindStringSubmatch(res.Header.Get("Content-Security-Policy"))
	require.NotNil(t, nonce)
	html := strings.ReplaceAll(body, "&#43;", "+")
	require.Equal(t, 2, strings.Count(html, `nonce="`+nonce[1]+`"`))
	require.NotRegexp(t, `(src|href)=`, body)
	require.NotContains(t, body, "style=")
	require.NotContains(t, body, "onclick")
	again, _ := l.get(visitor, l.at(id, byHost, base+"/lab"), navigation...)
	require.NotEqual(t, res.Header.Get("Content-Security-Policy"), again.Header.Get("Content-Security-Policy"))
}

func TestUnknownWorkspace_IsAPage(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	res, body := l.get(l.browser(), l.at("lab-p-ada0-s-gone", byHost, "/"), navigation...)
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	require.Contains(t, body, "It may have been deleted.")
}

// failing is a resolver that cannot answer.
type failing struct{ resolver }

func (*failing) Resolve(workspace.ID) (Target, error) { return Target{}, io.ErrUnexpectedEOF }

func TestUnknownTrouble_IsNotShown(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	proxy, err := New(Options{Resolver: &failing{}, Key: []byte("k"), Instance: "x7", Problem: writeProblem})
	require.NoError(t, err)
	l.proxy = proxy
	res, body := l.get(l.browser(), l.at(id, byHost, "/"), navigation...)
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	require.NotContains(t, body, "EOF")
}
