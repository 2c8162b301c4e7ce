package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"lab-workspace-manager/backend/workspace"
)

// What one stranger can take of a listener.
const (
	maxConnections = 4096
	maxHeaderBytes = 64 << 10
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	apiReadTimeout = 30 * time.Second
)

// How long the end may take: answers that are nearly there get the grace, streams end with it, and nothing outlasts the
// patience.
const (
	shutdownGrace    = time.Second
	shutdownPatience = 5 * time.Second
)

// listener is one taken port and what answers there.
type listener struct {
	net        net.Listener
	server     *http.Server
	endStreams context.CancelFunc
}

// listen takes a port. movable: a free one will do when this one is taken. what names the listener in errors.
func listen(address string, movable bool, what string, server *http.Server) (*listener, error) {
	taken, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) && movable {
		host, _, _ := net.SplitHostPort(address) // it was checked when the configuration was read
		taken, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, listenError(address, what, err)
	}
	streams, endStreams := context.WithCancel(context.Background())
	server.BaseContext = func(net.Listener) context.Context { return streams }
	return &listener{net: taken, server: server, endStreams: endStreams}, nil
}

func listenError(address, what string, err error) error {
	coded := &workspace.Error{
		Code: workspace.CodeConflict, Message: fmt.Sprintf("The address %s for %s cannot be used: %v.", address, what, plainCause(err)), Err: err,
		Hint: "Choose another one in the configuration.",
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		coded.Message = fmt.Sprintf("The address %s for %s is in use by another program.", address, what)
		coded.Hint = "End that program, or choose another port."
	}
	return coded
}

// plainCause is the last part of a network error: "permission denied".
func plainCause(err error) string {
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}

func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // broken connections of strangers, mostly
	}
}

func newAPIServer(handler http.Handler, log *slog.Logger) *http.Server {
	server := newHTTPServer(handler, log)
	server.ReadTimeout = apiReadTimeout
	return server
}

func newAccessServer(handler http.Handler, log *slog.Logger) *http.Server {
	return newHTTPServer(handler, log) // no ReadTimeout: uploads into a workspace may take hours
}

func (l *listener) address() string { return l.net.Addr().String() }

func (l *listener) port() int { return l.net.Addr().(*net.TCPAddr).Port }

// host is the name for a link: the address itself, or this machine where it listens everywhere.
func (l *listener) host() string {
	ip := l.net.Addr().(*net.TCPAddr).IP
	if ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return ip.String()
}

// isLocal reports whether only this machine reaches it.
func (l *listener) isLocal() bool { return l.net.Addr().(*net.TCPAddr).IP.IsLoopback() }

// serve answers until shutdown.
func (l *listener) serve() error {
	err := l.server.Serve(netutil.LimitListener(l.net, maxConnections))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve at %s: %w", l.address(), err)
}

// shutdown takes no more requests, and lets those that go on finish.
func (l *listener) shutdown() error {
	timer := time.AfterFunc(shutdownGrace, l.endStreams)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return l.close()
}

// close drops the port and every connection. It may be called more than once.
func (l *listener) close() error {
	l.endStreams()
	err := errors.Join(l.server.Close(), l.net.Close())
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
