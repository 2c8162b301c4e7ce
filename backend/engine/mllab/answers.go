package mllab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

const (
	askAtFirst  = 50 * time.Millisecond
	askAtLast   = 500 * time.Millisecond
	askTimeout  = 5 * time.Second
	askFetch    = 5 * time.Second // between two looks at whether the container is still there
	sessionName = "ct_session_token"
	sessionFor  = 10 * time.Minute // which is less than a token of one session is good for
)

// waitForAnswer waits until the workspace answers through the lab's proxy, the only way that leads to it. The proxy counts
// whoever comes as use of the workspace, at most every quarter of an hour. So nobody is asked but while a workspace starts,
// which counts as use anyway, and all questions of a start share one session.
//
// The proxy passes on into the workspace by what it is asked, where whoever has made the workspace can read it. So nobody's
// token is shown to it, but one that is good for nothing else.
func (e *Engine) waitForAnswer(ctx context.Context, d workspace.Deployment) error {
	client := &http.Client{
		Timeout:       askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	address := e.addressOf(d.AccessPath) + "/" + strings.TrimPrefix(d.HealthPath, "/")
	fetched := time.Now()
	var session string
	var began time.Time
	for pause := askAtFirst; ; pause = min(pause*3/2, askAtLast) {
		if session == "" || time.Since(began) > sessionFor {
			began = time.Now()
			err := e.tokens.As(d.Owner, func(token string) (err error) {
				session, err = e.lab.AccessToken(ctx, token, string(d.Owner), string(d.ID), d.Port)
				return err
			})
			if err != nil {
				return err
			}
		}
		answers, err := e.answers(ctx, client, d, address, session)
		if err != nil || answers {
			return err
		}
		if time.Since(fetched) > askFetch {
			fetched = time.Now()
			service, err := e.fetch(ctx, d)
			if err != nil && workspace.CodeOf(err) != workspace.CodeUnavailable {
				return err
			}
			if state, _ := stateOf(service.Status); err == nil && state != workspace.ContainerRunning {
				e.took(d, service, e.isOf(service, d))
				e.announce(d.ID)
				return workspace.Errorf(workspace.CodeConflict, "Its container has ended.")
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// addressOf is where the lab's proxy serves a path: below the path of the lab, which its endpoint may or may not have.
func (e *Engine) addressOf(path string) string {
	if e.isBelowPath() {
		return e.lab.Root() + path
	}
	return e.lab.Root() + e.base + path
}

// isBelowPath reports whether the endpoint of the lab is below a path.
func (e *Engine) isBelowPath() bool {
	_, host, _ := strings.Cut(e.lab.Root(), "://")
	return strings.Contains(host, "/")
}

// answers asks once. The lab's proxy answers 502 while nobody listens there, and 403 or 500 to those who may not come in.
func (e *Engine) answers(ctx context.Context, client *http.Client, d workspace.Deployment, address, session string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, fmt.Errorf("mllab: %w", err)
	}
	request.AddCookie(&http.Cookie{Name: sessionName, Value: session})
	response, err := client.Do(request)
	if err != nil {
		return false, ctx.Err() // whatever else it is, it is no answer yet
	}
	_, _ = io.CopyN(io.Discard, response.Body, 1<<20) // so that the connection can be used again
	_ = response.Body.Close()
	switch {
	case response.StatusCode >= http.StatusInternalServerError, response.StatusCode == http.StatusUnauthorized, response.StatusCode == http.StatusForbidden:
		return false, nil
	case response.StatusCode == http.StatusNotFound:
		return d.AnyAnswer, nil
	}
	return true, nil
}

// announce tells what is known of a service, as if a look had found it.
func (e *Engine) announce(id workspace.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tellOf(id)
}

// tellOf tells what is known of a service. The caller holds the lock.
func (e *Engine) tellOf(id workspace.ID) {
	if h := e.services[id]; h != nil {
		kept := e.keptOf(h)
		e.tell(workspace.Change{Kind: workspace.ChangeKept, ID: id, Kept: &kept, At: time.Now()})
	}
}
