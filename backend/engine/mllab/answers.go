package mllab

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

const (
	askAtFirst  = 50 * time.Millisecond
	askAtLast   = 500 * time.Millisecond
	askTimeout  = 5 * time.Second
	askFetch    = 5 * time.Second // between two looks at whether the container is still there
	quietFor    = 5 * time.Second // after which it is said what is there in place of an answer
	sessionName = "ct_session_token"
	sessionFor  = 10 * time.Minute // which is less than a token of one session is good for
)

// waitForAnswer waits until the workspace answers through the lab's proxy, the only way that leads to it. The proxy counts
// whoever comes as use of the workspace, at most every quarter of an hour. So nobody is asked but while a workspace starts,
// which counts as use anyway, and all questions of a start share one session.
//
// The proxy passes on into the workspace by what it is asked, where whoever has made the workspace can read it. So nobody's
// token is shown to it, but one that is good for nothing else.
//
// The proxy believes for ten minutes where a container is, and then reaches nobody, or another one that has the address now. So
// what is surely another's is no answer, and the manager is told how long silence says nothing (Observed.Settles).
func (e *Engine) waitForAnswer(ctx context.Context, d workspace.Deployment, progress func(workspace.Progress)) error {
	client := &http.Client{
		Timeout:       askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	address := e.addressOf(d.AccessPath) + "/" + strings.TrimPrefix(d.HealthPath, "/")
	asking, fetched := time.Now(), time.Now()
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
		found, err := e.answers(ctx, client, d, address, session)
		if err != nil || found == answered {
			return err
		}
		if time.Since(asking) > quietFor {
			progress(workspace.Progress{Detail: whyNotYet(found, d.Port, time.Until(e.settlesOf(d.ID)))})
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

// reply is what came of asking once.
type reply int

const (
	answered reply = iota
	notYet         // it says that it is not ready, or not found
	reachesNobody
	reachesAnother
)

// whyNotYet says to people what is there in place of an answer. settles is how long that may have to do with the lab's proxy.
func whyNotYet(found reply, port int, settles time.Duration) string {
	why := "it answers, but not yet as it should"
	switch found {
	case reachesNobody:
		why = fmt.Sprintf("nobody answers on port %d yet", port)
	case reachesAnother:
		why = "ML Lab leads to another workspace in its place"
	}
	if settles > 0 {
		why += fmt.Sprintf("; ML Lab may look for it where it was before, for up to %d min more", int(settles.Minutes())+1)
	}
	return why
}

// answers asks once.
func (e *Engine) answers(ctx context.Context, client *http.Client, d workspace.Deployment, address, session string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return notYet, fmt.Errorf("mllab: %w", err)
	}
	request.AddCookie(&http.Cookie{Name: sessionName, Value: session})
	response, err := client.Do(request)
	if err != nil {
		return reachesNobody, ctx.Err() // whatever else it is, it is no answer yet
	}
	_, _ = io.CopyN(io.Discard, response.Body, 1<<20) // so that the connection can be used again
	_ = response.Body.Close()
	return replyOf(response.StatusCode, response.Header.Get("Location"), d), nil
}

// replyOf reads an answer. The lab's proxy answers 502 while nobody listens there, and 403 or 500 to those who may not come in. A
// workspace that is asked for what is below the path of another sends on to below its own, as upstream's do.
func replyOf(status int, location string, d workspace.Deployment) reply {
	switch {
	case status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return reachesNobody
	case status >= http.StatusInternalServerError, status == http.StatusUnauthorized, status == http.StatusForbidden:
		return notYet
	case leadsToAnother(location, d):
		return reachesAnother
	case status == http.StatusNotFound && !d.AnyAnswer:
		return notYet
	}
	return answered
}

// leadsToAnother reports whether an address is below that of another service. The proxy may have put the one that was asked for
// before it.
func leadsToAnother(location string, d workspace.Deployment) bool {
	for {
		_, after, found := strings.Cut(location, "/services/")
		if !found {
			return false
		}
		id, rest, isAccess := strings.Cut(after, "/access/")
		if isAccess && !strings.Contains(id, "/") && id != string(d.ID) {
			return true
		}
		location = cmp.Or(rest, after)
	}
}

// believedFor is how long after a container was there the lab's proxy may believe that it is: nginx asks Docker again after ten
// minutes, as Docker tells it to.
const believedFor = 11 * time.Minute

// sighting is the container that a service was last seen with.
type sighting struct {
	handle string    // "" = none
	leftAt time.Time // when one before it was last there; zero = there was none, as far as is known
}

// sight notes which container a service has now. The caller holds the lock.
func (e *Engine) sight(id workspace.ID, service contaxy.Service) {
	last, known := e.sighted[id]
	now := time.Now()
	switch {
	case known && last.handle == service.InternalID:
		return
	case known && last.handle != "": // it was there until a moment ago
		last.leftAt = now
	case !known && service.InternalID == "" && !service.LastAccess.IsZero(): // nobody here knows how long it ran
		last.leftAt = now
	case !known && service.StartedAt.Sub(service.CreatedAt.Time) > firstStartWithin: // nor which was before this one
		last.leftAt = service.StartedAt.Time
	}
	last.handle = service.InternalID
	e.sighted[id] = last
}

// firstStartWithin is how long after a service was made its first container starts, where nobody has stopped it in between.
const firstStartWithin = time.Minute

// settles is until when the lab's proxy may lead to where an earlier container of a service was; zero when it does not, now that it
// has one. The caller holds the lock.
func (e *Engine) settles(id workspace.ID, startedAt time.Time) time.Time {
	left := e.sighted[id].leftAt
	if left.IsZero() || startedAt.Sub(left) > believedFor {
		return time.Time{}
	}
	return left.Add(believedFor)
}

func (e *Engine) settlesOf(id workspace.ID) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.services[id]; h != nil && h.observed != nil {
		return h.observed.Settles
	}
	return time.Time{}
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
