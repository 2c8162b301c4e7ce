package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"lab-workspace-manager/backend/api"
)

const (
	loadClients  = 16
	loadFor      = 3 * time.Second
	latencyFor   = 2 * time.Second
	echoRounds   = 3000
	peerPackage  = "configurable-http-proxy@5.3.0"
	peerPatience = time.Minute
)

type apiWorkspace = api.Workspace

// upstream is a workspace's IDE that has nothing to do but to answer.
func upstream() *httptest.Server {
	body := strings.Repeat("x", 200)
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, body)
			return
		}
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
	}))
}

// way is one way to the same upstream.
type way struct {
	name   string
	url    string
	header http.Header
	host   string
}

// measureProxy compares the access proxy with the direct way, and with the proxy of JupyterHub where npm gives it.
func measureProxy(ctx context.Context) (rows []row, err error) {
	ide := upstream()
	defer ide.Close()
	p, err := startInProcess(ctx, ide.URL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	mine, ids, err := p.make(ctx, 1, false)
	if err != nil {
		return nil, err
	}
	if err := until(ctx, func() bool { return p.allRunning(ctx, mine, ids) }); err != nil {
		return nil, err
	}
	ours, err := p.enter(ctx, mine, ids[0])
	if err != nil {
		return nil, err
	}
	ways := []way{{name: "direct", url: ide.URL + "/x"}, ours}
	peer, err := startPeer(ctx, ide.URL)
	if err == nil {
		defer peer.stop()
		ways = append(ways, way{name: "peer", url: peer.url + "/x"})
	} else {
		_, _ = fmt.Fprintf(os.Stderr, "without configurable-http-proxy beside it: %v\n", err)
	}
	rates, medians, echoes := map[string]float64{}, map[string]time.Duration{}, map[string]time.Duration{}
	for _, w := range ways {
		if _, _, err := load(ctx, w, loadClients, time.Second); err != nil { // warm
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for range 3 { // in turns, the best of each
		for _, w := range ways {
			rate, _, err := load(ctx, w, loadClients, loadFor)
			if err != nil {
				return nil, err
			}
			_, median, err := load(ctx, w, 1, latencyFor)
			if err != nil {
				return nil, err
			}
			echo, err := echoes1KB(ctx, w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			rates[w.name] = max(rates[w.name], rate)
			medians[w.name] = least(medians[w.name], median)
			echoes[w.name] = least(echoes[w.name], echo)
		}
	}
	compared := fmt.Sprintf("direct %.0f/s", rates["direct"])
	measured := fmt.Sprintf("%.0f/s", rates["ours"])
	if rates["peer"] > 0 {
		compared += fmt.Sprintf(", configurable-http-proxy %.0f/s", rates["peer"])
		measured += fmt.Sprintf(" (%.1f × the peer)", rates["ours"]/rates["peer"])
	}
	return []row{
		{"proxy: requests, 16 at once", compared, measured, "≥ 2.5 × the peer"},
		{"proxy: median, one at once", "direct " + short(medians["direct"]), fmt.Sprintf("%s (+%s)", short(medians["ours"]), short(medians["ours"]-medians["direct"])), "≤ +0.2 ms"},
		{"proxy: 1 KB WebSocket echo", "direct " + short(echoes["direct"]), fmt.Sprintf("%s (+%s)", short(echoes["ours"]), short(echoes["ours"]-echoes["direct"])), "≤ +0.2 ms"},
	}, nil
}

func least(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// enter opens the workspace as a browser does and returns the way that its cookie leads.
func (p *inProcess) enter(ctx context.Context, mine, id string) (way, error) {
	var link api.Link
	if err := p.call(ctx, http.MethodPost, mine+"/workspace/"+id+":open", map[string]string{"address": "host"}, &link); err != nil {
		return way{}, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return way{}, err
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dialLoopback}}
	response, err := browser.Get(link.URL)
	if err != nil {
		return way{}, err
	}
	if err := response.Body.Close(); err != nil {
		return way{}, err
	}
	at := response.Request.URL
	cookies := []string{}
	for _, cookie := range jar.Cookies(at) {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	return way{
		name: "ours", url: "http://127.0.0.1:" + at.Port() + at.Path, host: at.Host,
		header: http.Header{"Cookie": {strings.Join(cookies, "; ")}},
	}, nil
}

func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
}

// load asks as fast as so many clients can, and returns requests per second and the median.
func load(ctx context.Context, w way, clients int, duration time.Duration) (perSecond float64, median time.Duration, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	target, err := url.Parse(w.url)
	if err != nil {
		return 0, 0, err
	}
	var done atomic.Int64
	var mu sync.Mutex
	var took spread
	var failures []error
	end := time.Now().Add(duration)
	begin := time.Now()
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			var own spread
			for time.Now().Before(end) && ctx.Err() == nil {
				sent := time.Now()
				request := (&http.Request{Method: http.MethodGet, URL: target, Host: w.host, Header: http.Header{}}).WithContext(ctx)
				maps.Copy(request.Header, w.header)
				response, err := transport.RoundTrip(request)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					err = errors.Join(err, response.Body.Close())
					if response.StatusCode != http.StatusOK {
						err = errors.Join(err, errors.New(response.Status))
					}
				}
				if err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
					return
				}
				own = append(own, time.Since(sent))
				done.Add(1)
			}
			mu.Lock()
			took = append(took, own...)
			mu.Unlock()
		})
	}
	group.Wait()
	if len(failures) > 0 {
		return 0, 0, failures[0]
	}
	return float64(done.Load()) / time.Since(begin).Seconds(), took.median(), nil
}

// echoes1KB is the median of sending 1 KB through a WebSocket and hearing it again.
func echoes1KB(ctx context.Context, w way) (time.Duration, error) {
	conn, _, err := websocket.Dial(ctx, strings.Replace(w.url, "http", "ws", 1), &websocket.DialOptions{HTTPHeader: w.header, Host: w.host})
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.CloseNow() }()
	message := make([]byte, 1024)
	var took spread
	for range echoRounds {
		sent := time.Now()
		if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
			return 0, err
		}
		if _, _, err := conn.Read(ctx); err != nil {
			return 0, err
		}
		took = append(took, time.Since(sent))
	}
	return took.median(), nil
}

// peer is JupyterHub's proxy.
type peer struct {
	url     string
	folder  string
	process *exec.Cmd
}

// startPeer fetches and starts it in front of the same upstream.
func startPeer(ctx context.Context, upstream string) (*peer, error) {
	folder, err := os.MkdirTemp("", "lab-bench-peer-")
	if err != nil {
		return nil, err
	}
	fetch := exec.CommandContext(ctx, "npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", peerPackage)
	if out, err := fetch.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("npm: %w: %s", err, out), os.RemoveAll(folder))
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	control, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &peer{url: fmt.Sprintf("http://127.0.0.1:%d", port), folder: folder}
	p.process = exec.CommandContext(ctx, filepath.Join(folder, "node_modules", ".bin", "configurable-http-proxy"),
		"--ip", "127.0.0.1", "--port", fmt.Sprint(port), "--api-ip", "127.0.0.1", "--api-port", fmt.Sprint(control),
		"--default-target", upstream, "--log-level", "error")
	p.process.Env = append(os.Environ(), "CONFIGPROXY_AUTH_TOKEN=bench")
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	return p, until(waiting, func() bool {
		response, err := http.Get(p.url + "/x")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func (p *peer) stop() {
	_ = p.process.Process.Kill() // it has no state
	_ = p.process.Wait()
	_ = os.RemoveAll(p.folder)
}
