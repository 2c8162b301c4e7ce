package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lab-workspace-manager/backend/profile"
)

// heard counts signs of life.
type heard struct {
	mu        sync.Mutex
	touched   []time.Time
	connected []time.Time
}

func (h *heard) Touched(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touched = append(h.touched, at)
}

func (h *heard) Connected(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connected = append(h.connected, at)
}

// take returns how often somebody touched the workspace since it was last asked.
func (h *heard) take() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.touched)
	h.touched = nil
	return n
}

// listen makes a lab whose workspace is listened to.
func listen(t testing.TB, backend http.Handler) (*lab, *heard) {
	t.Helper()
	l, signs := newLab(t, backend), &heard{}
	l.resolver.change(id, func(target *Target) { target.Signs = signs })
	return l, signs
}

var (
	visited = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", page1}
	xhr     = []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}
)

func TestCausedByPerson(t *testing.T) {
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		want         bool
	}{
		"goes to the page":                     {"GET", "/lab", visited, true},
		"goes there, says an old browser":      {"GET", "/lab", []string{"Accept", page1}, true},
		"the page is fetched ahead":            {"GET", "/lab", append([]string{"Sec-Purpose", "prefetch;prerender"}, visited...), false},
		"a frame in the page":                  {"GET", "/lab", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Accept", page1}, false},
		"what the page asks for":               {"GET", "/api/contents", xhr, false},
		"what a page of an old browser asks":   {"GET", "/api/contents", []string{"Accept", "*/*"}, false},
		"a script of the page":                 {"GET", "/static/main.js", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}, false},
		"a socket":                             {"GET", "/api/kernels/1/channels", []string{"Sec-Fetch-Mode", "websocket", "Connection", "Upgrade", "Upgrade", "websocket"}, false},
		"a program":                            {"GET", "/api", nil, false},
		"whether something is there":           {"HEAD", "/lab", visited, false},
		"what is allowed":                      {"OPTIONS", "/api/contents/a", xhr, false},
		"saves":                                {"PUT", "/api/contents/a.ipynb", xhr, true},
		"opens a notebook":                     {"POST", "/api/sessions", xhr, true},
		"deletes":                              {"DELETE", "/api/contents/a", xhr, true},
		"a program that changes something":     {"POST", "/api/terminals", nil, true},
		"JupyterLab keeps its layout":          {"PUT", "/lab/api/workspaces/default", xhr, false},
		"JupyterLab keeps another layout":      {"PUT", "/lab/api/workspaces/auto-b", xhr, false},
		"settings":                             {"PUT", "/lab/api/settings/@jupyterlab/shortcuts", xhr, true},
		"nothing but the word":                 {"PUT", "/lab/api/workspaces", xhr, true},
		"a file of this name":                  {"PUT", "/api/contents/lab/api/workspaces/x", xhr, true},
		"a layout, by a method that is no PUT": {"POST", "/lab/api/workspaces/x", xhr, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, base+c.path, nil)
			for i := 0; i < len(c.headers); i += 2 {
				r.Header.Set(c.headers[i], c.headers[i+1])
			}
			require.Equal(t, c.want, causedByPerson(r, c.path, profile.Minimal.Activity.Polls))
		})
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		path, pattern string
		want          bool
	}{
		{"/a", "/a", true}, {"/a", "/b", false}, {"/a", "/ab", false}, {"/ab", "/a", false}, {"", "", true}, {"", "*", true},
		{"/rpc/poll", "/rpc/*", true}, {"/rpc/", "/rpc/*", true}, {"/rpc", "/rpc/*", false}, {"/x/y/z", "/x/*", true},
		{"/a/b/c", "/a/*/c", true}, {"/a/b/c/d/c", "/a/*/c", true}, {"/a/c", "/a/*/c", false}, {"/a//c", "/a/*/c", true},
		{"/a/b/cc", "*/c", false}, {"/a/b/c", "*c", true}, {"/aab", "*ab", true}, {"/a", "**", true}, {"/a", "", false},
	} {
		require.Equal(t, c.want, matches(c.path, c.pattern), "%q %q", c.path, c.pattern)
	}
	begin := time.Now()
	require.False(t, matches(strings.Repeat("a", 8000), strings.Repeat("*a", 100)+"b"))
	require.Less(t, time.Since(begin), time.Second)
}

func TestSigns_OfRequests(t *testing.T) {
	l, signs := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("full") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		mirror(w, r)
	}))
	for _, m := range modes {
		visitor := l.visitor(id, m)
		for path, want := range map[string]int{"/api/contents/a": 1, "/api/contents/a?full": 0, "/lab/api/workspaces/default?1": 0} {
			for _, spelling := range []string{base, plain} {
				cookie := cookieOf(t, visitor, l.at(id, m, base+"/"))
				l.do(l.browser(), http.MethodPut, l.at(id, m, spelling+path), strings.NewReader("x"), append([]string{"Cookie", cookie}, xhr...)...)
				require.Equal(t, want, signs.take(), spelling+path)
			}
		}
		l.get(visitor, l.at(id, m, base+"/lab"), visited...)
		require.Equal(t, 1, signs.take())
		l.get(visitor, l.at(id, m, base+"/api/contents"), xhr...)
		require.Zero(t, signs.take())
		l.do(l.browser(), http.MethodPut, l.at(id, m, base+"/api/contents/a"), nil, xhr...)
		require.Zero(t, signs.take(), "somebody without access")
	}
	l.back.Close()
	l.do(l.visitor(id, byHost), http.MethodPut, l.at(id, byHost, base+"/api/contents/a"), nil, xhr...)
	require.Zero(t, signs.take(), "nobody answered")
}

func TestSigns_OfWebSockets(t *testing.T) {
	say := make(chan string)
	l, signs := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for text := range say {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(text))
		}
	}))
	visitor := l.visitor(id, byHost)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, l.at(id, byHost, base+"/terminals/websocket/1"), &websocket.DialOptions{HTTPClient: visitor})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	defer close(say)
	require.Len(t, signs.connected, 1)
	l.clock.advance(greeting)
	for range 3 {
		say <- strings.Repeat("output ", 1000)
		_, _, err := conn.Read(ctx)
		require.NoError(t, err)
	}
	require.Zero(t, signs.take(), "what comes from the workspace")
}

func TestSigns_OfWhatAPageSends(t *testing.T) {
	l, signs := listen(t, http.HandlerFunc(echo))
	l.resolver.change(id, func(target *Target) { target.QuietFrame = 13 })
	visitor := l.visitor(id, byHost)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, l.at(id, byHost, base+"/ws"), &websocket.DialOptions{HTTPClient: visitor})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	say := func(size int) {
		require.NoError(t, conn.Write(ctx, websocket.MessageBinary, make([]byte, size)))
		_, got, err := conn.Read(ctx)
		require.NoError(t, err)
		require.Len(t, got, size)
	}
	say(500)
	l.clock.advance(greeting - time.Nanosecond)
	say(500)
	require.Zero(t, signs.take(), "the page introduces itself")
	l.clock.advance(time.Nanosecond)
	for range 10 {
		say(13)
		say(0)
	}
	require.Zero(t, signs.take(), "it says that it is there")
	heard := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(ctx)
		heard <- err
	}()
	require.NoError(t, conn.Ping(ctx))
	require.Zero(t, signs.take())
	require.NoError(t, conn.Write(ctx, websocket.MessageText, make([]byte, 14)))
	require.NoError(t, <-heard)
	require.Equal(t, 1, signs.take())
}

// The forgotten tabs below are what JupyterLab 4.6 did by itself in a Chromium that nobody touched, recorded for five and
// a half minutes each with an open notebook, terminal and editor, then through cut connections, a minute without network
// and a minute without manager.
func TestSigns_OfAForgottenTab(t *testing.T) {
	l, signs := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			echo(w, r)
		case strings.HasPrefix(r.URL.Path, base+"/api/contents/full"):
			w.WriteHeader(http.StatusForbidden)
		default:
			mirror(w, r)
		}
	}))
	visitor := l.visitor(id, byHost)
	polls := func() {
		for _, path := range []string{"/api/contents?content=1&hash=0", "/api/sessions", "/api/kernels", "/api/terminals", "/lab/api/workspaces", "/api/me", "/api/kernelspecs", "/api/kernels/30942afa"} {
			l.get(visitor, l.at(id, byHost, base+path), xhr...)
		}
		l.do(visitor, http.MethodPut, l.at(id, byHost, base+"/lab/api/workspaces/default?1795611252696"), strings.NewReader("{}"), xhr...)
		l.do(visitor, http.MethodPut, l.at(id, byHost, base+"/api/contents/full.txt?1795611341707"), strings.NewReader("{}"), xhr...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 5 { // each time it connects again
		var sockets []*websocket.Conn
		for path, greets := range map[string]int{"/api/events/subscribe": 0, "/terminals/websocket/1": 0, "/api/kernels/30942afa/channels?session_id=d8bc": 281} {
			conn, _, err := websocket.Dial(ctx, l.at(id, byHost, base+path), &websocket.DialOptions{HTTPClient: visitor})
			require.NoError(t, err)
			if greets > 0 {
				require.NoError(t, conn.Write(ctx, websocket.MessageBinary, make([]byte, greets)))
				_, _, err = conn.Read(ctx)
				require.NoError(t, err)
			}
			sockets = append(sockets, conn)
		}
		for range 4 {
			l.clock.advance(10 * time.Second)
			polls()
		}
		for _, conn := range sockets {
			_ = conn.Close(websocket.StatusNormalClosure, "")
		}
	}
	require.Zero(t, signs.take())
	require.Len(t, signs.connected, 15)

	l.do(visitor, http.MethodPut, l.at(id, byHost, base+"/api/contents/thesis.ipynb"), strings.NewReader("{}"), xhr...)
	require.Equal(t, 1, signs.take(), "the first save after somebody wrote, two minutes at most")
}

// Recorded with code-server 4.139 in a Chromium that nobody touched: sizes without compression, the greeting left out.
// With it, what is typed into a terminal (14 bytes) is shorter than what the page says by itself (34).
func TestSigns_OfVSCode(t *testing.T) {
	l, signs := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Websocket-Extensions") != "" {
			t.Error("messages would be compressed")
		}
		echo(w, r)
	}))
	l.resolver.change(id, func(target *Target) {
		target.QuietFrame, target.Typed = 256, []string{"$acceptTerminalInteraction"}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, l.at(id, byHost, base+"/stable-53c2f32"), &websocket.DialOptions{
		HTTPClient: l.visitor(id, byHost), CompressionMode: websocket.CompressionContextTakeover,
	})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	say := func(message []byte) {
		require.NoError(t, conn.Write(ctx, websocket.MessageBinary, message))
		_, _, err := conn.Read(ctx)
		require.NoError(t, err)
	}
	say(make([]byte, 2600))
	l.clock.advance(greeting)
	for _, size := range []int{13, 13, 13, 38, 42, 55, 63, 134, 199} {
		say(make([]byte, size))
	}
	require.Zero(t, signs.take())
	say(append(make([]byte, 13), "\x01\x00\x00\x00\x9bp\x1a$acceptTerminalInteraction\x00\x00\x00\x03[1]"...))
	require.Equal(t, 1, signs.take(), "somebody types into a terminal")
	say(make([]byte, 463))
	require.Equal(t, 1, signs.take(), "somebody types into a file")
}

// frame is a WebSocket frame as a page would send it.
func frame(opcode byte, fin, masked bool, payload []byte) []byte {
	first, bit := opcode, byte(0)
	if fin {
		first |= 0x80
	}
	if masked {
		bit = 0x80
	}
	out := []byte{first}
	switch n := len(payload); {
	case n < 126:
		out = append(out, bit|byte(n))
	case n <= math.MaxUint16:
		out = binary.BigEndian.AppendUint16(append(out, bit|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, bit|127), uint64(n))
	}
	if masked {
		return append(append(out, 1, 2, 3, 4), mask(payload)...)
	}
	return append(out, payload...)
}

type anyFrame struct {
	Opcode      byte
	Fin, Masked bool
	Size        int
	Typed       int // where the word is in the payload; -1 = it is not
}

const word = "$typed"

func (f anyFrame) payload() []byte {
	payload := make([]byte, f.Size)
	if f.Typed >= 0 && f.Typed+len(word) <= f.Size {
		copy(payload[f.Typed:], word)
	}
	return payload
}

// mask is what a masked frame of ours has; masking twice is none.
func mask(payload []byte) []byte {
	masked := bytes.Clone(payload)
	for i := range masked {
		masked[i] ^= byte(1 + i%4)
	}
	return masked
}

func TestFrames_AreSeenAtAnySplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.SliceOf(rapid.Custom(func(t *rapid.T) anyFrame {
			return anyFrame{
				Opcode: rapid.SampledFrom([]byte{0, 1, 2, 8, 9, 10, 3, 15}).Draw(t, "opcode"),
				Fin:    rapid.Bool().Draw(t, "fin"), Masked: rapid.Bool().Draw(t, "masked"),
				Size:  rapid.OneOf(rapid.IntRange(0, 20), rapid.SampledFrom([]int{125, 126, 127, 128, 300, 65535, 65536, 70000})).Draw(t, "size"),
				Typed: rapid.SampledFrom([]int{-1, -1, 0, 3, 117, glance - len(word), glance - len(word) + 1}).Draw(t, "typed"),
			}
		})).Draw(t, "frames")
		quiet := rapid.IntRange(0, 400).Draw(t, "quiet")
		var stream []byte
		want, message := 0, 0
		for _, f := range given {
			stream = append(stream, frame(f.Opcode, f.Fin, f.Masked, f.payload())...)
			switch f.Opcode {
			case 0:
				message += f.Size
			case 1, 2:
				message = f.Size
			default:
				continue
			}
			begun := f.payload()
			if message > quiet || bytes.Contains(begun[:min(len(begun), glance)], []byte(word)) {
				want++
			}
		}
		signs := &heard{}
		f := frames{quiet: uint64(quiet), typed: []string{"no such word", word}, signs: signs, now: time.Now}
		for len(stream) > 0 {
			n := rapid.SampledFrom([]int{1, 2, 3, 7, 1000, 50000}).Draw(t, "piece")
			n = min(n, len(stream))
			f.pass(stream[:n])
			stream = stream[n:]
		}
		require.Equal(t, want, signs.take())
		require.Zero(t, f.have)
		require.Zero(t, f.left)
	})
}

func FuzzFrames(f *testing.F) {
	f.Add(frame(1, true, true, []byte("x")), 1, 3)
	f.Add(frame(2, false, true, make([]byte, 300)), 0, 0)
	f.Add([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0}, 2, 5)
	f.Fuzz(func(t *testing.T, stream []byte, a, b int) {
		whole, cut := &heard{}, &heard{}
		once := frames{signs: whole, now: time.Now, quiet: 1000, typed: []string{"x"}}
		once.pass(stream)
		pieces := frames{signs: cut, now: time.Now, quiet: 1000, typed: []string{"x"}}
		for i := 0; len(stream) > 0; i++ {
			n := 1 + (a+b*i)&0xf
			n = min(max(n, 1), len(stream))
			pieces.pass(stream[:n])
			stream = stream[n:]
		}
		require.Equal(t, whole.take(), cut.take())
		require.Equal(t, once.left, pieces.left)
		require.Equal(t, once.have, pieces.have)
	})
}

func BenchmarkFrames(b *testing.B) {
	chunk := bytes.Repeat(frame(2, true, true, make([]byte, 1024)), 31) // what fits into one read
	f := frames{signs: &heard{}, now: time.Now, quiet: 4096}
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		f.pass(chunk)
	}
}

func TestForward_TheSecretMayBeACookieBesideTheVisitorsOwn(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	l.resolver.change(id, func(target *Target) {
		target.SecretHeaderName, target.SecretHeaderValue = "cookie", "code-server-session=the secret"
	})
	visitor := l.visitor(id, byHost)
	_, body := l.get(visitor, l.at(id, byHost, base+"/x"))
	require.Contains(t, body, "\r\nCookie: code-server-session=the secret\r\n")
	ours := cookieOf(t, visitor, l.at(id, byHost, base+"/"))
	_, body = l.get(l.browser(), l.at(id, byHost, base+"/x"), "Cookie", "theme=dark; code-server-session=guess;  code-server-session = guess2; "+ours+"; a=b=c")
	require.Contains(t, body, "\r\nCookie: theme=dark; a=b=c; code-server-session=the secret\r\n")
	require.NotContains(t, body, "guess")
	require.NotContains(t, body, "lwm_")
}

func TestForward_SendsTheConstantHeaders(t *testing.T) {
	l := newLab(t, http.HandlerFunc(mirror))
	l.resolver.change(id, func(target *Target) {
		target.Headers = map[string]string{"X-RStudio-Root-Path": target.AccessPath, "X-Forwarded-Prefix": "/p"}
	})
	_, body := l.get(l.visitor(id, byHost), l.at(id, byHost, base+"/x"), "X-Rstudio-Root-Path", "/spoofed", "X-Forwarded-Prefix", "/spoofed", "Connection", "X-RStudio-Root-Path")
	require.Contains(t, body, "X-Rstudio-Root-Path: "+base+"\r\n")
	require.Contains(t, body, "X-Forwarded-Prefix: /p\r\n")
	require.NotContains(t, body, "spoofed")
}

// unaware is a workspace whose IDE does not know the path at which it is reached.
func unaware(t testing.TB, backend http.HandlerFunc) (*lab, *heard) {
	t.Helper()
	l, signs := listen(t, backend)
	l.resolver.change(id, func(target *Target) { target.AccessPath, target.LandingPath = plain, "" })
	return l, signs
}

func TestUnaware_IsReachedWithoutItsPath(t *testing.T) {
	l, signs := unaware(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1", Path: "/"})
			w.Header().Set("Location", "./login?to=.")
			w.WriteHeader(http.StatusFound)
		case "/login":
			w.Header().Set("Location", "http://"+r.Host+"/folder/")
			w.WriteHeader(http.StatusFound)
		case "/folder/":
			w.Header().Set("Location", plain+"/there")
			w.WriteHeader(http.StatusFound)
		case "/ws":
			echo(w, r)
		default:
			mirror(w, r)
		}
	})
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			browser := l.browser()
			browser.CheckRedirect = nil
			res, body := l.get(browser, l.link(id, m))
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, plain+"/there", res.Request.URL.Path)
			require.Contains(t, body, "GET /there\n")
			require.Contains(t, body, "Cookie: seen=1\r\n", "its own cookie comes back")
			require.NotContains(t, body, "lwm_")
			require.Contains(t, body, "secret-of-"+string(id))

			visitor := l.visitor(id, m)
			cookie := cookieOf(t, visitor, l.at(id, m, plain+"/"))
			for path, want := range map[string]string{
				plain + "/a%2Fb?x=1":   "/a%2Fb?x=1",
				plain + "//a":          "//a",
				plain + "/static/x.js": "/static/x.js",
				plain + "/proxy/3000/": "/proxy/3000/",
			} {
				_, body := l.get(l.browser(), l.at(id, m, path), "Cookie", cookie)
				require.Contains(t, body, "GET "+want+"\n")
			}
			res, _ = l.get(l.browser(), l.at(id, m, plain+"?folder=%2Fwork&ct_token=x"), "Cookie", cookie)
			require.Equal(t, http.StatusSeeOther, res.StatusCode, "relative addresses need the slash")
			require.Equal(t, plain+"/?folder=%2Fwork", res.Header.Get("Location"))
			res, _ = l.do(l.browser(), http.MethodPost, l.at(id, m, plain), nil, "Cookie", cookie)
			require.Equal(t, http.StatusFound, res.StatusCode, "a POST has come as far as it can")

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			conn, _, err := websocket.Dial(ctx, l.at(id, m, plain+"/ws"), &websocket.DialOptions{
				HTTPClient: visitor, HTTPHeader: http.Header{"Origin": {strings.TrimSuffix(l.at(id, m, ""), "/")}},
			})
			require.NoError(t, err)
			defer func() { _ = conn.CloseNow() }()
			l.clock.advance(greeting)
			signs.take()
			sent := make([]byte, 9000)
			_, _ = rand.Read(sent)
			require.NoError(t, conn.Write(ctx, websocket.MessageBinary, sent))
			_, got, err := conn.Read(ctx)
			require.NoError(t, err)
			require.Equal(t, sent, got)
			require.Equal(t, 1, signs.take())
		})
	}
}

func TestUnaware_WaitsAndStartsLikeAnyOther(t *testing.T) {
	l, _ := unaware(t, mirror)
	visitor := l.visitor(id, byHost)
	l.resolver.change(id, func(target *Target) { target.Status, target.Endpoint = "stopped", "" })
	res, _ := l.get(visitor, l.at(id, byHost, plain), visited...)
	require.NotEqual(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, 1, l.resolver.started())
}
