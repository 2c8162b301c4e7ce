package access

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
)

func TestWebSocket(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			l := newLab(t, http.HandlerFunc(echo))
			visitor := l.visitor(id, m)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			origin := strings.TrimSuffix(l.at(id, m, ""), "/")
			conn, res, err := websocket.Dial(ctx, l.at(id, m, base+"/api/kernels/1/channels?session_id=1"), &websocket.DialOptions{
				HTTPClient: visitor, HTTPHeader: http.Header{"Origin": {origin}}, Subprotocols: []string{"v1.kernel.websocket.jupyter.org"},
			})
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
			defer func() { _ = conn.CloseNow() }()
			conn.SetReadLimit(4 << 20)
			for _, size := range []int{0, 1, 1024, 2 << 20} {
				sent := make([]byte, size)
				_, _ = rand.Read(sent)
				if size > 32<<10 {
					sent = sent[:32<<10] // the echo's own limit
				}
				require.NoError(t, conn.Write(ctx, websocket.MessageBinary, sent))
				_, got, err := conn.Read(ctx)
				require.NoError(t, err)
				require.True(t, bytes.Equal(sent, got))
			}

			_, res, err = websocket.Dial(ctx, l.at(id, m, base+"/ws"), &websocket.DialOptions{
				HTTPClient: visitor, HTTPHeader: http.Header{"Origin": {"http://evil.example"}},
			})
			require.Error(t, err)
			require.Equal(t, http.StatusForbidden, res.StatusCode)
		})
	}
}

func TestStream_ArrivesPieceByPiece(t *testing.T) {
	next := make(chan string)
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for piece := range next {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	visitor := l.visitor(id, byHost)
	go func() { next <- "one\n" }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.at(id, byHost, base+"/events"), nil)
	require.NoError(t, err)
	res, err := visitor.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewReader(res.Body)
	for _, want := range []string{"one\n", "two\n", "three\n"} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, line)
		if want != "three\n" {
			next <- map[string]string{"one\n": "two\n", "two\n": "three\n"}[want]
		}
	}
	close(next)
}

// countingBody is an endless source that notes how much memory is in use while it is read.
type countingBody struct {
	left    int64
	highest uint64
}

func (b *countingBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.left)
	if b.left%(8<<20) < n {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		b.highest = max(b.highest, stats.HeapInuse)
	}
	b.left -= n
	return int(n), nil
}

func TestUpload_OfAnySizeStreams(t *testing.T) {
	const size = 200 << 20
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
	}))
	visitor := l.visitor(id, byHost)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	body := &countingBody{left: size}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, l.at(id, byHost, base+"/api/contents/big"), body)
	require.NoError(t, err)
	req.ContentLength = size
	res, err := visitor.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(size), string(answer))
	require.Less(t, body.highest, before.HeapInuse+(16<<20), "memory stays flat")
}

func TestAnswer_WithoutEndStopsWithItsReader(t *testing.T) {
	ended := make(chan struct{})
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		chunk := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	visitor := l.visitor(id, byHost)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.at(id, byHost, base+"/endless"), nil)
	require.NoError(t, err)
	res, err := visitor.Do(req)
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, res.Body, 10<<20)
	require.NoError(t, err)
	cancel()
	_ = res.Body.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the workspace goes on writing to nobody")
	}
}

// mortal is a listener whose connections can be cut, hijacked ones included.
type mortal struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (m *mortal) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err == nil {
		m.mu.Lock()
		m.conns = append(m.conns, conn)
		m.mu.Unlock()
	}
	return conn, err
}

func (m *mortal) kill() {
	_ = m.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range m.conns {
		_ = conn.Close()
	}
}

// openFiles counts this process's open files, 0 where that is not known.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func TestWebSockets_LeaveNothingBehind(t *testing.T) {
	const sockets = 2000
	unrelated := goleak.IgnoreCurrent()
	l := newLab(t, http.HandlerFunc(echo))
	backend := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	listener := &mortal{Listener: backend.Listener}
	backend.Listener = listener
	backend.Start()
	defer backend.Close()
	l.resolver.change(id, func(target *Target) { target.Endpoint = backend.URL })
	visitor := l.visitor(id, byHost)
	files, goroutines := openFiles(), runtime.NumGoroutine()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var ended atomic.Int64
	var dialing, reading errgroup.Group
	dialing.SetLimit(32)
	for range sockets {
		dialing.Go(func() error {
			conn, _, err := websocket.Dial(ctx, l.at(id, byHost, base+"/ws"), &websocket.DialOptions{HTTPClient: visitor})
			if err != nil {
				return err
			}
			reading.Go(func() error {
				defer func() { _ = conn.CloseNow() }()
				_, _, _ = conn.Read(ctx) // until it breaks
				ended.Add(1)
				return nil
			})
			return nil
		})
	}
	require.NoError(t, dialing.Wait())
	require.Greater(t, runtime.NumGoroutine(), goroutines+3*sockets)
	listener.kill()
	require.NoError(t, reading.Wait())
	require.Equal(t, int64(sockets), ended.Load())
	require.Eventually(t, func() bool {
		visitor.CloseIdleConnections()
		return openFiles() <= files && runtime.NumGoroutine() <= goroutines
	}, 20*time.Second, 20*time.Millisecond, "files %d, goroutines %d before", files, goroutines)

	l.front.CloseClientConnections()
	l.front.Close()
	l.back.Close()
	l.proxy.Close()
	visitor.CloseIdleConnections()
	goleak.VerifyNone(t, unrelated)
}

func TestClose_EndsTunnels(t *testing.T) {
	l := newLab(t, http.HandlerFunc(echo))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, l.at(id, byHost, base+"/ws"), &websocket.DialOptions{HTTPClient: l.visitor(id, byHost)})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	l.proxy.Close()
	_, _, err = conn.Read(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err())
}
