package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lab-workspace-manager/backend/api"
)

// The ML Lab that is measured with: as many people, and as many workspaces of them, as a large one has. The first of them has
// many. They are stopped, so that the machine is not measured.
const (
	labPeople     = 50
	labWorkspaces = 500
	labOfOne      = 200
	labLists      = 1000
	labPolling    = 60 * time.Second
	labPollEvery  = time.Second
)

// person is somebody who is logged in at the lab.
type person struct{ id, token string }

// realLab is an ML Lab of this run's own, with something in front of it that counts what it is asked.
type realLab struct {
	environment []string
	url         string
	front       *httptest.Server
	asked       struct{ all, verify atomic.Int64 }
}

func startLab(ctx context.Context) (*realLab, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	l := &realLab{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	l.environment = append(os.Environ(), "LAB_NAME=lab-bench", "LAB_NAMESPACE=labbench", fmt.Sprintf("LAB_PORT=%d", port))
	if err := errors.Join(l.script(ctx, "down"), l.script(ctx, "up")); err != nil {
		return nil, errors.Join(err, l.end(ctx))
	}
	address, err := url.Parse(l.url)
	if err != nil {
		return nil, errors.Join(err, l.end(ctx))
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(address) },
		ErrorLog: log.New(io.Discard, "", 0), // of what is called off at the end of a measurement
	}
	l.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked.all.Add(1)
		if strings.HasSuffix(r.URL.Path, "/auth/tokens/verify") {
			l.asked.verify.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	return l, nil
}

func (l *realLab) script(ctx context.Context, command string) error {
	script := exec.CommandContext(ctx, "build/scripts/lab.sh", command)
	script.Env = l.environment
	if output, err := script.CombinedOutput(); err != nil {
		return fmt.Errorf("lab.sh %s: %w\n%s", command, err, output)
	}
	return nil
}

func (l *realLab) end(ctx context.Context) error {
	if l.front != nil {
		l.front.Close()
	}
	return l.script(context.WithoutCancel(ctx), "down")
}

// register makes a user and logs them in.
func (l *realLab) register(ctx context.Context, name string) (person, error) {
	const password = "password"
	header := http.Header{"Content-Type": {"application/json"}}
	var made struct {
		ID string `json:"id"`
	}
	user := map[string]string{"username": name, "email": name + "@example.org", "password": password}
	if err := exchange(ctx, http.DefaultClient, http.MethodPost, l.url+"/api/users", header, user, &made); err != nil {
		return person{}, err
	}
	form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/api/auth/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return person{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var given struct {
		Token string `json:"access_token"`
	}
	err = fetch(http.DefaultClient, request, &given)
	return person{id: made.ID, token: given.Token}, err
}

// measureLab measures what the program costs, and costs an ML Lab, as an extension of it.
func measureLab(ctx context.Context) (rows []row, err error) {
	lab, err := startLab(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lab.end(ctx)) }()
	var people []person
	for n := range labPeople {
		one, err := lab.register(ctx, fmt.Sprintf("person%d", n))
		if err != nil {
			return nil, err
		}
		people = append(people, one)
	}
	p, err := startExtension(ctx, lab)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop(), os.RemoveAll(p.home)) }()
	for n := range labWorkspaces {
		owner := people[0]
		if n >= labOfOne {
			owner = people[n%labPeople]
		}
		input := map[string]any{"display_name": fmt.Sprintf("workspace %d", n), "is_stopped": true}
		if err := p.as(ctx, owner, http.MethodPost, "/workspace", input, nil); err != nil {
			return nil, err
		}
	}
	// Anew, so that it knows what the lab has told and not what it has done.
	if err := errors.Join(p.stop(), p.launch(ctx)); err != nil {
		return nil, err
	}
	first, all := spread{}, 0
	for _, one := range people {
		began := time.Now()
		listed, err := p.listOf(ctx, one)
		if err != nil {
			return nil, err
		}
		first, all = append(first, time.Since(began)), all+listed
	}
	if all != labWorkspaces {
		return nil, fmt.Errorf("%d of %d workspaces are listed", all, labWorkspaces)
	}
	lists, before := spread{}, lab.asked.all.Load()
	size := int64(0)
	for range labLists {
		one, read, err := timeGet(ctx, p.address(people[0], "/workspace"), people[0].token)
		if err != nil {
			return nil, err
		}
		lists, size = append(lists, one), read
	}
	duringLists := lab.asked.all.Load() - before
	ofOne, err := lab.polled(ctx, p, people[:1])
	if err != nil {
		return nil, err
	}
	ofMany, err := lab.polled(ctx, p, people)
	if err != nil {
		return nil, err
	}
	memory, err := memory(p.process.Process.Pid)
	if err != nil {
		return nil, err
	}
	inContainer, err := lab.memoryInContainer(ctx, people)
	if err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("in ML Lab: list of %d", labOfOne), "", fmt.Sprintf("%s (%d kB)", lists, size/1000), "p50 ≤ 1 ms"},
		{fmt.Sprintf("in ML Lab: asks the lab during %d of them", labLists), "", fmt.Sprint(duringLists), ""},
		{"in ML Lab: first list of somebody", "", first.String(), ""},
		{fmt.Sprintf("in ML Lab: asks the lab in %s, one polls", labPolling), "", ofOne.String(), ""},
		{fmt.Sprintf("in ML Lab: asks the lab in %s, %d poll", labPolling, labPeople), "", ofMany.String(), "looks as with one"},
		{fmt.Sprintf("in ML Lab: memory with %d workspaces", labWorkspaces), "", memory, "≤ 30 MB"},
		{"in ML Lab: the same in a container, by docker stats", "", inContainer, "≤ 30 MB"},
	}, nil
}

// memoryInContainer is what Docker counts of the program, in a container with the bounds that a lab gives an extension, when
// everybody has listed theirs as often as in the measurements before.
func (l *realLab) memoryInContainer(ctx context.Context, people []person) (used string, err error) {
	image := os.Getenv("LAB_EXTENSION_IMAGE")
	if image == "" {
		return "", errors.New("LAB_EXTENSION_IMAGE does not name the program's image")
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	id, err := docker(ctx, "run", "--detach", "--network", "host", "--memory", "100m", "--cpus", "1",
		"--env", "CONTAXY_API_ENDPOINT="+l.front.URL+"/api", "--env", fmt.Sprintf("LAB_WORKSPACE_MANAGER_LISTEN=127.0.0.1:%d", port), image)
	if err != nil {
		return "", err
	}
	defer func() {
		_, gone := docker(context.WithoutCancel(ctx), "rm", "--force", "--volumes", id)
		err = errors.Join(err, gone)
	}()
	p := &program{port: port}
	if err := until(ctx, p.serves); err != nil {
		return "", err
	}
	for range labLists / labPeople {
		for _, one := range people {
			if _, err := p.listOf(ctx, one); err != nil {
				return "", err
			}
		}
	}
	return docker(ctx, "stats", "--no-stream", "--format", "{{.MemUsage}}", id)
}

func docker(ctx context.Context, arguments ...string) (string, error) {
	output, err := exec.CommandContext(ctx, "docker", arguments...).Output()
	return strings.TrimSpace(string(output)), err
}

// startExtension runs the program as it runs in a lab, but for the container around it.
func startExtension(ctx context.Context, lab *realLab) (*program, error) {
	home, err := os.MkdirTemp("", "lab-bench-")
	if err != nil {
		return nil, err
	}
	p := &program{home: home, variables: []string{"CONTAXY_API_ENDPOINT=" + lab.front.URL + "/api"}}
	if err := p.launch(ctx); err != nil {
		return nil, errors.Join(err, p.stop(), os.RemoveAll(home))
	}
	return p, nil
}

// as asks the API about a person's own things, in their name.
func (p *program) as(ctx context.Context, one person, method, path string, body, answer any) error {
	header := http.Header{"Authorization": {"Bearer " + one.token}}
	return exchange(ctx, http.DefaultClient, method, p.address(one, path), header, body, answer)
}

func (p *program) address(one person, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/api/users/%s%s", p.port, one.id, path)
}

// listOf returns how many workspaces a person sees.
func (p *program) listOf(ctx context.Context, one person) (int, error) {
	var listed []api.Workspace
	err := p.as(ctx, one, http.MethodGet, "/workspace", nil, &listed)
	return len(listed), err
}

// questions is what a lab was asked.
type questions struct{ looks, verifications int64 }

func (q questions) String() string {
	return fmt.Sprintf("%d looks, %d tokens verified", q.looks, q.verifications)
}

// polled counts what the lab is asked while people look at their lists every second.
func (l *realLab) polled(ctx context.Context, p *program, people []person) (questions, error) {
	ctx, done := context.WithTimeout(ctx, labPolling)
	defer done()
	all, verify := l.asked.all.Load(), l.asked.verify.Load()
	failures := make(chan error, len(people))
	var polling sync.WaitGroup
	for _, one := range people {
		polling.Go(func() {
			ticker := time.NewTicker(labPollEvery)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				if _, _, err := timeGet(ctx, p.address(one, "/workspace"), one.token); err != nil && ctx.Err() == nil {
					failures <- err
					return
				}
			}
		})
	}
	polling.Wait()
	verified := l.asked.verify.Load() - verify
	asked := questions{looks: l.asked.all.Load() - all - verified, verifications: verified}
	select {
	case err := <-failures:
		return asked, err
	default:
		return asked, nil
	}
}
