package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"lab-workspace-manager/backend/api"
)

const startRounds = 10

// engine speaks raw Engine API, the floor under everything that makes containers.
type engine struct{ client *http.Client }

const engineSocket = "/var/run/docker.sock"

func newEngine() *engine {
	return &engine{client: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engineSocket)
	}}}}
}

func (e *engine) call(ctx context.Context, method, path string, body, answer any) error {
	return exchange(ctx, e.client, method, "http://docker/v1.41"+path, http.Header{"Content-Type": {"application/json"}}, body, answer)
}

// spec is the very container of a workspace, as its inspection says.
type spec struct {
	Config          map[string]any
	HostConfig      map[string]any
	NetworkSettings struct{ Networks map[string]any }
}

// rawStart creates and starts a twin of a workspace's container by hand, and removes it.
func (e *engine) rawStart(ctx context.Context, twin spec, number int) (time.Duration, error) {
	name := fmt.Sprintf("lab-bench-raw-%d", number)
	body := map[string]any{"HostConfig": twin.HostConfig}
	for key, value := range twin.Config {
		body[key] = value
	}
	// Not ours: the manager under test must not see it. It gets a volume of its own, made by the same call.
	body["Labels"] = map[string]string{}
	twin.HostConfig["Binds"] = nil
	twin.HostConfig["Mounts"] = []map[string]any{{"Type": "volume", "Source": name, "Target": "/workspace"}}
	body["Hostname"] = name
	endpoints := map[string]any{}
	for network := range twin.NetworkSettings.Networks {
		endpoints[network] = map[string]any{}
	}
	body["NetworkingConfig"] = map[string]any{"EndpointsConfig": endpoints}
	begin := time.Now()
	if err := e.call(ctx, http.MethodPost, "/containers/create?name="+name, body, nil); err != nil {
		return 0, err
	}
	if err := e.call(ctx, http.MethodPost, "/containers/"+name+"/start", nil, nil); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if err := e.call(ctx, http.MethodDelete, "/containers/"+name+"?force=true", nil, nil); err != nil {
		return 0, err
	}
	return took, e.call(ctx, http.MethodDelete, "/volumes/"+name, nil, nil)
}

// measureStarts compares create → container running with the raw calls, and tells when JupyterLab answers and how late
// that is noticed.
func measureStarts(ctx context.Context) (rows []row, err error) {
	p, mine, events, err := watchedProgram(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end(ctx)) }()
	raw := newEngine()
	// An owner's network goes with the last container, and making one is no part of what is compared.
	var keeper api.Workspace
	if err := p.call(ctx, http.MethodPost, mine+"/workspace", map[string]any{"display_name": "keeper"}, &keeper); err != nil {
		return nil, err
	}
	if _, err := next(ctx, events, keeper.ID, func(w api.Workspace) bool { return w.Status == "running" }); err != nil {
		return nil, err
	}
	var container, answers, rawStarts, noticed spread
	for round := range startRounds + 1 {
		begin := time.Now()
		var made api.Workspace
		if err := p.call(ctx, http.MethodPost, mine+"/workspace", map[string]any{"display_name": fmt.Sprintf("bench %d", round)}, &made); err != nil {
			return nil, err
		}
		started, err := next(ctx, events, made.ID, func(w api.Workspace) bool { return w.Phase == "answers" || w.Status == "running" })
		if err != nil {
			return nil, err
		}
		first := make(chan time.Time, 1)
		var twin spec
		if err := raw.call(ctx, http.MethodGet, "/containers/"+made.ID+"/json", nil, &twin); err != nil {
			return nil, err
		}
		go func() { first <- firstAnswer(ctx, twin, made) }()
		running, err := next(ctx, events, made.ID, func(w api.Workspace) bool { return w.Status == "running" })
		if err != nil {
			return nil, err
		}
		answered := <-first
		if err := p.remove(ctx, mine, made.ID); err != nil {
			return nil, err
		}
		took, err := raw.rawStart(ctx, twin, round)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue // the first one warms caches for both
		}
		container = append(container, started.Sub(begin))
		answers = append(answers, running.Sub(begin))
		rawStarts = append(rawStarts, took)
		noticed = append(noticed, max(0, running.Sub(answered)))
	}
	ratio := float64(container.median()) / float64(rawStarts.median())
	return []row{
		{"create → container running", "raw create + start " + short(rawStarts.median()), fmt.Sprintf("%s (%.2f ×)", short(container.median()), ratio), "≤ 1.05 ×"},
		{"create → JupyterLab answers", "", fmt.Sprintf("%s (slowest of %d: %s)", short(answers.median()), startRounds, short(answers.at(1))), "≤ 1.0 s"},
		{"first answer → status running", "", noticed.String(), "≤ 50 ms"},
	}, nil
}

// firstAnswer asks a container's IDE every millisecond and returns when it first answered.
func firstAnswer(ctx context.Context, container spec, w api.Workspace) time.Time {
	address := ""
	for _, joined := range container.NetworkSettings.Networks {
		if fields, ok := joined.(map[string]any); ok {
			address, _ = fields["IPAddress"].(string)
		}
	}
	target := fmt.Sprintf("http://%s:8080/projects/%s/services/%s/access/8080b/api", address, w.Owner, w.ID)
	client := &http.Client{Timeout: time.Second}
	for ctx.Err() == nil {
		response, err := client.Get(target)
		if err == nil {
			_ = response.Body.Close()
			return time.Now()
		}
		time.Sleep(time.Millisecond)
	}
	return time.Time{}
}

const crowd = 20

// measureCrowd starts many workspaces at once.
func measureCrowd(ctx context.Context) (rows []row, err error) {
	p, mine, events, err := watchedProgram(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end(ctx)) }()
	begin := time.Now()
	errs := make(chan error, crowd)
	var creating sync.WaitGroup
	for i := range crowd {
		creating.Go(func() {
			input := map[string]any{"display_name": fmt.Sprintf("crowd %d", i), "compute": map[string]any{"memory": 500}}
			errs <- p.call(ctx, http.MethodPost, mine+"/workspace", input, nil)
		})
	}
	creating.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, err
	}
	ready := map[string]time.Duration{}
	var last time.Duration
	for len(ready) < crowd {
		at, err := next(ctx, events, "", func(w api.Workspace) bool {
			if _, known := ready[w.ID]; known || w.Status != "running" {
				return false
			}
			ready[w.ID] = 0
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("%d of %d: %w", len(ready), crowd, err)
		}
		last = at.Sub(begin)
	}
	return []row{{"20 starts at once, all ready", "JupyterHub 34–38 s, or 8 of 20", short(last), "all"}}, nil
}

const idleFor = time.Minute

// measureIdle tells what a manager with three running workspaces needs while nobody looks, and with a page open.
func measureIdle(ctx context.Context) (rows []row, err error) {
	p, err := startProgram(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end(ctx)) }()
	mine, err := p.mine(ctx)
	if err != nil {
		return nil, err
	}
	watching, leave := context.WithCancel(ctx)
	defer leave()
	events, err := p.events(watching)
	if err != nil {
		return nil, err
	}
	for i := range 3 {
		var made api.Workspace
		if err := p.call(ctx, http.MethodPost, mine+"/workspace", map[string]any{"display_name": fmt.Sprintf("idle %d", i)}, &made); err != nil {
			return nil, err
		}
		if _, err := next(ctx, events, made.ID, func(w api.Workspace) bool { return w.Status == "running" }); err != nil {
			return nil, err
		}
	}
	watched, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	leave()
	alone, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	memory, err := memory(p.process.Process.Pid)
	if err != nil {
		return nil, err
	}
	return []row{
		{"idle: memory", "JupyterHub 131 MB + proxy 58 MB", memory, "≤ 30 MB"},
		{"idle: processor", "JupyterHub 0.5 %", fmt.Sprintf("%.2f %%; %.2f %% with a page open", 100*alone, 100*watched), "≤ 0.1 %"},
	}, nil
}

// load is the share of a processor that the program needs while nothing is asked of it.
func (p *program) load(ctx context.Context) (float64, error) {
	before, err := processorTime(p.process.Process.Pid)
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(idleFor):
	}
	after, err := processorTime(p.process.Process.Pid)
	return (after - before).Seconds() / idleFor.Seconds(), err
}

// processorTime is what a process has used of the processor, user and system. Source: proc(5), fields 14 and 15, in ticks
// of 10 ms on every Linux.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// memory says what a process holds of memory in MB, in all and without the pages of its file.
func memory(pid int) (string, error) {
	var resident, anonymous float64
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		value, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			resident = value * 1024 / 1e6
		case "RssAnon:":
			anonymous = value * 1024 / 1e6
		}
	}
	return fmt.Sprintf("%.1f MB resident, %.1f MB its own", resident, anonymous), nil
}
