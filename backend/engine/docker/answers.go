package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"lab-workspace-manager/backend/workspace"
)

const (
	// A booting IDE is asked again after askShare of the time that it has taken, within bounds: the first answer of one
	// that boots in half a second is known 4 ms late on average. A refused connection costs some 50 µs.
	askShare = 64
	askLeast = 5 * time.Millisecond
	// askEvery is the longest pause, and the one for what answers, but not as it shall: it has better things to do.
	askEvery = 25 * time.Millisecond
	// askSlowly takes over after askPatience, for images that take minutes.
	askSlowly   = 250 * time.Millisecond
	askPatience = time.Minute
	// askTimeout bounds one question.
	askTimeout = 2 * time.Second
	// checkEvery is how often the container is looked at meanwhile, so that one that has ended is not asked on.
	checkEvery = 500 * time.Millisecond
)

// waitForAnswer asks the IDE until it answers over HTTP. That a port accepts connections is not enough: Docker's own
// proxy accepts them before anybody listens. CodeWrongState when the container ends meanwhile; CodeTimeout with a hint about
// the cause, if that can be seen, when the deadline of ctx passes.
func (e *Engine) waitForAnswer(ctx context.Context, d workspace.Deployment) error {
	if e.lab != nil || e.selfNow().joins() { // what we are not in would be ended for its silence
		if _, err := e.networkFor(ctx, d.Owner); err != nil {
			return err
		}
	}
	observed, err := e.inspect(ctx, string(d.ID))
	if err != nil {
		return err
	}
	asker := &http.Client{
		Timeout:       askTimeout,
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: askTimeout}).DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	began, checked := time.Now(), time.Now()
	status := noAnswer // the last one
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ctx.Err()
			}
			return &workspace.Error{Code: workspace.CodeTimeout, Message: "The workspace did not answer in time.", Hint: e.whyNoAnswer(ctx, d, status), Err: ctx.Err()}
		case <-pause.C:
		}
		if time.Since(checked) > checkEvery {
			if observed, err = e.inspect(ctx, string(d.ID)); err != nil {
				return err
			}
			checked = time.Now()
		}
		if observed.State != workspace.ContainerRunning {
			return workspace.Errorf(workspace.CodeWrongState, "The container ended before it answered.")
		}
		now := ask(ctx, asker, observed.Endpoint+askedAt(d))
		if now != noAnswer {
			if status = now; counts(status, d.AnyAnswer) {
				return e.openInLab(ctx, d)
			}
		}
		pause.Reset(askPause(time.Since(began), now != noAnswer))
	}
}

// openInLab has the lab take visitors to a workspace, where there is one.
func (e *Engine) openInLab(ctx context.Context, d workspace.Deployment) error {
	if e.lab == nil {
		return nil
	}
	return e.lab.Answers(ctx, d)
}

// askPause is how long to wait with the next question to an IDE that has been booting for so long.
func askPause(booting time.Duration, answered bool) time.Duration {
	switch {
	case booting > askPatience:
		return askSlowly
	case answered:
		return askEvery
	}
	return min(max(booting/askShare, askLeast), askEvery)
}

// askedAt is the path at which a deployment's IDE is asked.
func askedAt(d workspace.Deployment) string {
	if d.KeepsPath {
		return d.AccessPath + d.HealthPath
	}
	return d.HealthPath
}

// noAnswer is in place of a status where nobody answered.
const noAnswer = 0

// ask returns the status of an answer.
func ask(ctx context.Context, asker *http.Client, address string) (status int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return noAnswer
	}
	response, err := asker.Do(request)
	if err != nil {
		return noAnswer
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10)) // only the status counts
	return response.StatusCode
}

// counts reports whether a status is that of a working IDE. It may ask for a login; a missing path says that something
// else answers, or the IDE is not there yet. Where nothing is known of what shall answer, that counts too, but never what
// a proxy inside the image says while nobody behind it is there.
func counts(status int, anyAnswer bool) bool {
	switch status {
	case noAnswer, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return anyAnswer || status < http.StatusBadRequest
}
