package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
)

const (
	// maxLogLines bounds one answer of the log; Docker keeps more.
	maxLogLines = 100_000
	// keepAlive is how often an event stream says that it lives, so that proxies do not end it, and clients notice soon
	// when nobody is there any more.
	keepAlive = 10 * time.Second
	// sendTimeout bounds how long one event may take to reach a client.
	sendTimeout = 10 * time.Second
)

var aliveMessage = []byte(`{"seq":0,"type":"alive"}`)

func (s *service) registerStreams(api huma.API) {
	logs := asWriter(operation("get-logs", http.MethodGet, workspacesPath+"/{workspace_id}:logs", "Read or follow the log of a workspace", "Workspaces", http.StatusOK))
	logs.Description = "Plain text. Without a container it is what was kept of the last one. With `follow` it goes on until the container ends."
	logs.Responses = textResponse("The log.", "text/plain")
	huma.Register(api, logs, s.logs)

	events := ofUser(operation("follow-events", http.MethodGet, "/events", "Follow everything that changes", "Events", http.StatusOK))
	events.Description = "One JSON object a message: first a `snapshot`, then every change. A WebSocket when the request asks for an upgrade, else server-sent events."
	events.Responses = map[string]*huma.Response{"200": {
		Description: "Server-sent events, or a WebSocket of the same messages.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schemaOf[Event](api)}},
	}}
	huma.Register(api, events, func(ctx context.Context, in *struct{ OfUser }) (*huma.StreamResponse, error) {
		owner, err := in.owner(ctx, s)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &huma.StreamResponse{Body: func(out huma.Context) { s.events(out, owner, Wanted{Owner: workspace.Owner(in.User)}) }}, nil
	})
}

func textResponse(description, mediaType string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
}

func (s *service) logs(ctx context.Context, in *struct {
	WorkspacePath
	Lines  string `query:"lines" maxLength:"10" doc:"How many of the last lines; all when left out." example:"200"`
	Follow string `query:"follow" maxLength:"10" doc:"Whether to go on with what comes." example:"true"`
}) (*huma.StreamResponse, error) {
	lines := 0
	if in.Lines != "" {
		var err error
		if lines, err = strconv.Atoi(in.Lines); err != nil || lines < 0 || lines > maxLogLines {
			return nil, s.fail(ctx, workspace.Invalid(inQuery+"lines", "lines is %q; it can be a number from 0 to %d.", in.Lines, maxLogLines))
		}
	}
	follow, ok := parseBool(in.Follow)
	if !ok {
		return nil, s.fail(ctx, workspace.Invalid(inQuery+"follow", "follow is %q; it can be true or false.", in.Follow))
	}
	caller, owner, id := callerOf(ctx), in.owner(), in.id()
	if _, err := s.Presenter.Manager.Get(caller, owner, id); err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "text/plain; charset=utf-8")
		out.SetHeader("X-Accel-Buffering", "no")
		r, w := humachi.Unwrap(out)
		streamCtx, end := context.WithCancel(out.Context())
		defer end()
		go s.accompany(streamCtx, r, Wanted{Owner: owner, Write: true}, adminOf(ctx), end, nil)
		writer := &flushingWriter{w: w, flush: http.NewResponseController(w).Flush}
		err := s.Presenter.Manager.Logs(streamCtx, caller, owner, id, lines, follow, writer)
		if err != nil && !writer.began && out.Context().Err() == nil {
			writeProblem(w, problemOf(out.Context(), s.Log, err))
		}
	}}, nil
}

// accompany gives a stream signs of life until ctx ends, and ends it when they do not arrive, when its caller is none any
// more, because the token was rotated, or when they may do something else than at its beginning: a page then begins another
// one. beat is nil for a stream that says nothing of itself.
func (s *service) accompany(ctx context.Context, r *http.Request, wanted Wanted, began manager.Caller, end func(), beat func() error) {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		caller, err := s.Caller(r, wanted)
		if err == nil && beat != nil {
			err = beat()
		}
		if err != nil || caller != began {
			end()
			return
		}
	}
}

// flushingWriter sends every write at once, so that who follows a log sees each line when it is written.
type flushingWriter struct {
	w     io.Writer
	flush func() error
	began bool
}

func (f *flushingWriter) Write(p []byte) (int, error) {
	f.began = true
	n, err := f.w.Write(p)
	if err == nil {
		err = f.flush()
	}
	return n, err
}

// events follows what changes for an owner; wanted is what must be allowed for as long as it goes on.
func (s *service) events(out huma.Context, owner workspace.Owner, wanted Wanted) {
	r, w := humachi.Unwrap(out)
	caller := adminOf(out.Context())
	follow := func(ctx context.Context, send func([]byte) error) error {
		return s.Presenter.Follow(ctx, caller, owner, func(event Event) error {
			text, err := json.Marshal(event)
			if err != nil {
				return err
			}
			return send(text)
		})
	}
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.eventsOverWebSocket(w, r, wanted, caller, follow)
		return
	}
	s.eventsOverSSE(w, r, wanted, caller, follow)
}

type followFunc func(ctx context.Context, send func([]byte) error) error

func (s *service) eventsOverWebSocket(w http.ResponseWriter, r *http.Request, wanted Wanted, caller manager.Caller, follow followFunc) {
	// Who may connect from where was checked before, for every request (see auth); the library's own check would refuse
	// origins that are configured.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // the library has answered
	}
	defer func() { _ = conn.CloseNow() }()
	ctx := conn.CloseRead(r.Context())
	send := func(text []byte) error {
		sendCtx, done := context.WithTimeout(ctx, sendTimeout)
		defer done()
		return conn.Write(sendCtx, websocket.MessageText, text)
	}
	// A message and no ping: pages cannot see pings.
	go s.accompany(ctx, r, wanted, caller, func() { _ = conn.CloseNow() }, func() error { return send(aliveMessage) })
	_ = follow(ctx, send)
}

func (s *service) eventsOverSSE(w http.ResponseWriter, r *http.Request, wanted Wanted, caller manager.Caller, follow followFunc) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go s.accompany(ctx, r, wanted, caller, cancel, nil)
	messages := make(chan []byte)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = follow(ctx, func(text []byte) error {
			select {
			case messages <- text:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	defer func() { cancel(); <-ended }()
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		line := []byte(": still here\n\n")
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case text := <-messages:
			line = fmt.Appendf(nil, "data: %s\n\n", text)
		case <-ticker.C:
		}
		_ = control.SetWriteDeadline(time.Now().Add(sendTimeout)) // not every writer has one
		if _, err := w.Write(line); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
	}
}
