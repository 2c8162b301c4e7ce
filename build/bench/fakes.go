package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/server"
	"lab-workspace-manager/backend/store/sqlite"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// inProcess is a real server in this process, on a fake engine: what is measured is ours alone.
type inProcess struct {
	program // its port and token; there is no process
	engine  *workspacetest.FakeEngine
	ended   chan error
	cancel  context.CancelFunc
}

func startInProcess(ctx context.Context, upstream string) (*inProcess, error) {
	home, err := os.MkdirTemp("", "lab-bench-")
	if err != nil {
		return nil, err
	}
	p := &inProcess{program: program{home: home}, engine: workspacetest.NewFakeEngine(), ended: make(chan error, 1)}
	p.engine.Endpoint = upstream
	p.engine.AddImage("lab-workspace-minimal:latest")
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	for _, variable := range []string{"XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
		if err := os.Setenv(variable, filepath.Join(home, variable)); err != nil {
			return nil, err
		}
	}
	loaded, err := config.Load(config.LoadOptions{Environ: append(os.Environ(), fmt.Sprintf("PORT=%d", p.port))})
	if err != nil {
		return nil, err
	}
	loaded.Config.Server.AccessListen = "127.0.0.1:0"
	srv, err := server.New(ctx, server.Options{Loaded: loaded, Log: slog.New(slog.DiscardHandler), API: true, Engine: p.engine})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	p.cancel = cancel
	go func() { p.ended <- srv.Run(running) }()
	token, err := os.ReadFile(loaded.Folders.TokenFile())
	if err != nil {
		return nil, err
	}
	p.token = string(token[:len(token)-1])
	return p, until(ctx, p.serves)
}

func (p *inProcess) end() error {
	p.cancel()
	return errors.Join(<-p.ended, os.RemoveAll(p.home))
}

// make creates stopped or running workspaces and returns their ids.
func (p *inProcess) make(ctx context.Context, count int, stopped bool) (mine string, ids []string, err error) {
	if mine, err = p.mine(ctx); err != nil {
		return "", nil, err
	}
	for i := range count {
		var made struct {
			ID string `json:"id"`
		}
		input := map[string]any{"display_name": fmt.Sprintf("known %d", i), "is_stopped": stopped}
		if err := p.call(ctx, http.MethodPost, mine+"/workspace", input, &made); err != nil {
			return "", nil, err
		}
		ids = append(ids, made.ID)
	}
	return mine, ids, nil
}

const (
	manyWorkspaces = 1000
	listRounds     = 1000
)

func measureList(ctx context.Context) (rows []row, err error) {
	p, err := startInProcess(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	mine, ids, err := p.make(ctx, manyWorkspaces, false)
	if err != nil {
		return nil, err
	}
	if err := until(ctx, func() bool { return p.allRunning(ctx, mine, ids) }); err != nil {
		return nil, err
	}
	before := len(p.engine.Steps())
	var took spread
	size := 0
	for range listRounds {
		one, read, err := timeGet(ctx, fmt.Sprintf("http://127.0.0.1:%d/api%s/workspace", p.port, mine), p.token)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
		size = int(read)
	}
	calls := len(p.engine.Steps()) - before
	return []row{{
		"list 1,000 workspaces over HTTP", "JupyterHub 200 rows: p50 27 ms",
		fmt.Sprintf("%s (%d kB, %d engine calls)", took, size/1000, calls), "p99 ≤ 5 ms, 0 calls",
	}}, nil
}

func (p *inProcess) allRunning(ctx context.Context, mine string, ids []string) bool {
	var found []struct {
		Status string `json:"status"`
	}
	if p.call(ctx, http.MethodGet, mine+"/workspace", nil, &found) != nil || len(found) != len(ids) {
		return false
	}
	for _, w := range found {
		if w.Status != "running" {
			return false
		}
	}
	return true
}

const eventRounds = 200

// measureEvents tells how long it takes from an event of the engine to its arrival at a client.
func measureEvents(ctx context.Context) (rows []row, err error) {
	p, err := startInProcess(ctx, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	mine, ids, err := p.make(ctx, eventRounds, false)
	if err != nil {
		return nil, err
	}
	if err := until(ctx, func() bool { return p.allRunning(ctx, mine, ids) }); err != nil {
		return nil, err
	}
	events, err := p.events(ctx)
	if err != nil {
		return nil, err
	}
	var took spread
	for _, id := range ids {
		begin := time.Now()
		p.engine.EndByHand(workspace.ID(id), "SIGTERM")
		at, err := next(ctx, events, id, func(w apiWorkspace) bool { return w.Status != "running" })
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(begin))
	}
	return []row{{"engine event → arrives at a client", "", took.String(), "≤ 50 ms"}}, nil
}

const knownWorkspaces = 10_000

// measureKnown starts the real program on a state with many stopped workspaces.
func measureKnown(ctx context.Context) (rows []row, err error) {
	p, err := startProgram(ctx)
	if err != nil {
		return nil, err
	}
	mine, err := p.mine(ctx)
	if err != nil {
		return nil, errors.Join(err, p.end(ctx))
	}
	var made apiWorkspace
	if err := p.call(ctx, http.MethodPost, mine+"/workspace", map[string]any{"display_name": "pattern", "is_stopped": true}, &made); err != nil {
		return nil, errors.Join(err, p.end(ctx))
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	if err := multiply(ctx, filepath.Join(p.stateFolder(), "state.db")); err != nil {
		return nil, err
	}
	begin := time.Now()
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	p.token = ""
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	var all []apiWorkspace
	if err := p.call(ctx, http.MethodGet, mine+"/workspace", nil, &all); err != nil {
		return nil, err
	}
	p.token = "" // nothing of them is in Docker: they need not be deleted one by one
	if err := errors.Join(p.stop(), os.RemoveAll(p.home)); err != nil {
		return nil, err
	}
	return []row{{fmt.Sprintf("start with %d known workspaces, until Docker is connected", len(all)), "", short(took), "≤ 500 ms"}}, nil
}

// multiply fills a state file with copies of the one record in it.
func multiply(ctx context.Context, file string) error {
	store, err := sqlite.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	records, err := store.Records(ctx)
	if err != nil || len(records) != 1 {
		return errors.Join(err, fmt.Errorf("there are %d records, not 1", len(records)))
	}
	for i := range knownWorkspaces - 1 {
		twin := records[0]
		twin.ID = workspace.ID(fmt.Sprintf("%s-%d", twin.ID, i))
		twin.Volume = fmt.Sprintf("%s-%d", twin.Volume, i)
		twin.Spec.DisplayName = fmt.Sprintf("%s %d", twin.Spec.DisplayName, i)
		if err := store.PutRecord(ctx, twin); err != nil {
			return err
		}
	}
	return nil
}
