package access

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// The benchmarks compare what goes through the proxy with what goes to the workspace directly; the client and the
// workspace run in the same process and share its cores.

func small(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, strings.Repeat("x", 200))
}

func BenchmarkHTTP(b *testing.B) {
	for _, clients := range []int{1, 32} {
		name := map[int]string{1: "1", 32: "32"}[clients]
		b.Run("direct/"+name, func(b *testing.B) { benchmarkHTTP(b, clients, false) })
		b.Run("proxy/"+name, func(b *testing.B) { benchmarkHTTP(b, clients, true) })
	}
}

func benchmarkHTTP(b *testing.B, clients int, proxied bool) {
	l := newLab(b, http.HandlerFunc(small))
	address, host, cookie := l.back.URL+base+"/api", "", ""
	if proxied {
		visitor := l.visitor(id, byHost)
		address = l.front.URL + base + "/api"
		host = string(id) + ".localhost" + l.port
		cookie = cookieOf(b, visitor, l.at(id, byHost, base+"/"))
	}
	to, err := url.Parse(address)
	require.NoError(b, err)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	b.ReportAllocs()
	b.SetParallelism((clients + 1) / 2) // times GOMAXPROCS
	if clients == 1 {
		b.ResetTimer()
		for b.Loop() {
			exchange(b, transport, to, host, cookie)
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				exchange(b, transport, to, host, cookie)
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func exchange(b *testing.B, transport *http.Transport, to *url.URL, host, cookie string) {
	req := &http.Request{Method: http.MethodGet, URL: to, Host: host, Header: http.Header{}}
	if cookie != "" {
		req.Header["Cookie"] = []string{cookie}
	}
	res, err := transport.RoundTrip(req.WithContext(context.Background()))
	if err != nil || res.StatusCode != http.StatusOK {
		b.Error("no answer", err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

func BenchmarkWebSocketEcho1KB(b *testing.B) {
	b.Run("direct", func(b *testing.B) { benchmarkEcho(b, false) })
	b.Run("proxy", func(b *testing.B) { benchmarkEcho(b, true) })
}

func benchmarkEcho(b *testing.B, proxied bool) {
	l := newLab(b, http.HandlerFunc(echo))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address, options := l.back.URL+base+"/ws", &websocket.DialOptions{}
	if proxied {
		visitor := l.visitor(id, byHost)
		address = l.at(id, byHost, base+"/ws")
		options.HTTPClient = visitor
	}
	conn, _, err := websocket.Dial(ctx, address, options)
	require.NoError(b, err)
	defer func() { _ = conn.CloseNow() }()
	l.clock.advance(greeting) // what a page sends from here on counts
	message := []byte(strings.Repeat("x", 1024))
	for b.Loop() {
		require.NoError(b, conn.Write(ctx, websocket.MessageBinary, message))
		_, _, err := conn.Read(ctx)
		require.NoError(b, err)
	}
}

// echo is a workspace whose sockets answer what they hear.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}
