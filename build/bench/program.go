package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"lab-workspace-manager/backend/api"
)

const patience = 2 * time.Minute

// program is the program under test with a state folder of its own.
type program struct {
	home      string
	variables []string // of its environment, besides
	port      int
	token     string
	process   *exec.Cmd
}

func startProgram(ctx context.Context) (*program, error) {
	home, err := os.MkdirTemp("", "lab-bench-")
	if err != nil {
		return nil, err
	}
	p := &program{home: home}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.end(ctx))
	}
	return p, nil
}

// watchedProgram starts the program and follows its events.
func watchedProgram(ctx context.Context) (p *program, mine string, events <-chan heard, err error) {
	if p, err = startProgram(ctx); err != nil {
		return nil, "", nil, err
	}
	if mine, err = p.mine(ctx); err == nil {
		events, err = p.events(ctx)
	}
	if err != nil {
		return nil, "", nil, errors.Join(err, p.end(ctx))
	}
	return p, mine, events, nil
}

func (p *program) environment() []string {
	return append(append(os.Environ(), p.variables...),
		"XDG_STATE_HOME="+p.home+"/state", "XDG_CONFIG_HOME="+p.home+"/config",
		"XDG_CACHE_HOME="+p.home+"/cache", "XDG_RUNTIME_DIR="+p.home+"/run", fmt.Sprintf("PORT=%d", p.port))
}

func (p *program) stateFolder() string {
	return filepath.Join(p.home, "state", "lab-workspace-manager")
}

// launch runs the program and waits until it answers.
func (p *program) launch(ctx context.Context) error {
	var err error
	if p.port, err = freePort(); err != nil {
		return err
	}
	binary := os.Getenv("LAB_BINARY")
	if binary == "" {
		return errors.New("LAB_BINARY does not name the program")
	}
	p.process = exec.CommandContext(ctx, binary, "--serve")
	p.process.Env = p.environment()
	if err := p.process.Start(); err != nil {
		return err
	}
	return until(ctx, p.serves)
}

// start runs the program and waits until its engine is connected.
func (p *program) start(ctx context.Context) error {
	if err := p.launch(ctx); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(p.stateFolder(), "token"))
	if err != nil {
		return err
	}
	p.token = strings.TrimSpace(string(token))
	return until(ctx, func() bool {
		var host api.Host
		return p.call(ctx, http.MethodGet, "/host", nil, &host) == nil && host.Reachable
	})
}

func (p *program) serves() bool {
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/api/ping", p.port))
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func until(ctx context.Context, holds func() bool) error {
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			return errors.New("waited in vain")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// call asks the API and decodes the answer into answer, unless that is nil.
func (p *program) call(ctx context.Context, method, path string, body, answer any) error {
	header := http.Header{"Authorization": {"Bearer " + p.token}}
	return exchange(ctx, http.DefaultClient, method, fmt.Sprintf("http://127.0.0.1:%d/api%s", p.port, path), header, body, answer)
}

// exchange sends body as JSON, unless it is nil, and decodes the answer, unless nobody wants it.
func exchange(ctx context.Context, client *http.Client, method, address string, header http.Header, body, answer any) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return err
	}
	request.Header = header
	return fetch(client, request, answer)
}

// fetch sends a request and decodes the answer, unless nobody wants it.
func fetch(client *http.Client, request *http.Request, answer any) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s", request.Method, request.URL, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// timeGet measures how long an answer takes until all of it has come, and tells its size in bytes. Nobody decodes it.
func timeGet(ctx context.Context, address, token string) (took time.Duration, size int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	begin := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, 0, err
	}
	size, err = io.Copy(io.Discard, response.Body)
	took = time.Since(begin)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("GET %s: %s", address, response.Status))
	}
	return took, size, errors.Join(err, response.Body.Close())
}

func (p *program) mine(ctx context.Context) (string, error) {
	var me api.User
	err := p.call(ctx, http.MethodGet, "/users/me", nil, &me)
	return "/users/" + me.ID, err
}

// remove deletes a workspace with its files.
func (p *program) remove(ctx context.Context, mine, id string) error {
	return p.call(ctx, http.MethodDelete, mine+"/workspace/"+id+"?delete_volumes=true", nil, nil)
}

// events follows the event stream until ctx ends, and tells each event with the time of its arrival.
func (p *program) events(ctx context.Context) (<-chan heard, error) {
	header := http.Header{"Authorization": {"Bearer " + p.token}}
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/api/events", p.port), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(64 << 20)
	out := make(chan heard, 10_000)
	go func() {
		defer close(out)
		defer func() { _ = conn.CloseNow() }()
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return
			}
			h := heard{at: time.Now()}
			if json.Unmarshal(text, &h.event) == nil {
				out <- h
			}
		}
	}()
	first := <-out // the snapshot
	if first.event.Type != "snapshot" {
		return nil, errors.New("the event stream did not begin with a snapshot")
	}
	return out, nil
}

type heard struct {
	at    time.Time
	event api.Event
}

// next waits for an event about a workspace that fulfils a condition.
func next(ctx context.Context, events <-chan heard, id string, met func(api.Workspace) bool) (time.Time, error) {
	timeout := time.After(patience)
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-timeout:
			return time.Time{}, errors.New("waited in vain for an event")
		case h, open := <-events:
			if !open {
				return time.Time{}, errors.New("the event stream ended")
			}
			w := h.event.Workspace
			if w != nil && (id == "" || w.ID == id) && met(*w) {
				return h.at, nil
			}
		}
	}
}

// end deletes everything and stops the program.
func (p *program) end(ctx context.Context) error {
	var errs []error
	if p.token != "" {
		errs = append(errs, p.clear(context.WithoutCancel(ctx)))
	}
	errs = append(errs, p.stop(), os.RemoveAll(p.home))
	return errors.Join(errs...)
}

func (p *program) clear(ctx context.Context) error {
	mine, err := p.mine(ctx)
	if err != nil {
		return err
	}
	var workspaces []api.Workspace
	if err := p.call(ctx, http.MethodGet, mine+"/workspace", nil, &workspaces); err != nil {
		return err
	}
	for _, w := range workspaces {
		if err := p.remove(ctx, mine, w.ID); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) stop() error {
	if p.process == nil || p.process.Process == nil {
		return nil
	}
	if err := p.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.process.Wait()
}
