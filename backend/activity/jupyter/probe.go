package jupyter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"lab-workspace-manager/backend/activity"
)

const (
	deadline  = 5 * time.Second // for all questions of one probe
	maxAnswer = 1 << 20         // bytes of one answer
	maxHeader = 64 << 10        // bytes
	// keptIdle is for how long a connection waits for the next question of the same probe.
	keptIdle = 2 * time.Second
	// skewLeast is by how much a clock must differ from ours to be corrected: the Date header has whole seconds.
	skewLeast = 3 * time.Second
)

// Target is where a Jupyter server is asked.
type Target struct {
	Endpoint string // "http://172.18.0.2:8080"
	Path     string // below which it serves, without a slash at the end; "" = at the root
	// The header that unlocks it; "" = it has no lock.
	SecretHeaderName  string
	SecretHeaderValue string
}

// Prober asks Jupyter servers.
type Prober struct {
	client *http.Client
	now    func() time.Time
}

// New makes a Prober by a clock; nil is time.Now. Close ends it.
func New(now func() time.Time) *Prober {
	if now == nil {
		now = time.Now
	}
	return &Prober{now: now, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // never the environment's: workspaces are near
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        keptIdle,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close ends idle connections.
func (p *Prober) Close() { p.client.CloseIdleConnections() }

// Probe asks a server. It returns what speaks for its use, which may be nothing, or an error when it was not to be
// learned; then there are no votes. It takes five seconds at most.
func (p *Prober) Probe(ctx context.Context, target Target) ([]activity.Vote, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var found findings
	date, err := p.ask(ctx, target, "/api/kernels", &found.kernels)
	if err != nil {
		return nil, err
	}
	// A server without terminals is asked in vain, which is an answer.
	if _, err := p.ask(ctx, target, "/api/terminals", &found.terminals); err != nil && !errors.Is(err, errNotThere) {
		return nil, err
	}
	if found.isBusy() {
		// Names only; it is busy without them, too.
		_, _ = p.ask(ctx, target, "/api/sessions", &found.sessions)
	}
	now := p.now()
	skew := time.Duration(0)
	if !date.IsZero() {
		if skew = now.Sub(date); skew.Abs() < skewLeast {
			skew = 0
		}
	}
	return found.votes(now, skew), nil
}

var errNotThere = errors.New("there is no such address")

// ask decodes the answer at a path and returns the server's own time, zero if it does not tell.
func (p *Prober) ask(ctx context.Context, target Target, path string, into interface{ parse([]byte) error }) (time.Time, error) {
	// Jupyter does not count questions that say so (its own culler would never stop anything otherwise).
	address := strings.TrimSuffix(target.Endpoint, "/") + target.Path + path + "?no_track_activity=1"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask Jupyter: %w", err)
	}
	if target.SecretHeaderName != "" {
		req.Header.Set(target.SecretHeaderName, target.SecretHeaderValue)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask Jupyter: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusNotFound:
		return time.Time{}, fmt.Errorf("ask Jupyter for %s: %w", path, errNotThere)
	case res.StatusCode != http.StatusOK:
		return time.Time{}, fmt.Errorf("ask Jupyter for %s: it answers with status %d", path, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("ask Jupyter for %s: %w", path, err)
	case len(body) > maxAnswer:
		return time.Time{}, fmt.Errorf("ask Jupyter for %s: its answer is too long", path)
	}
	if err := into.parse(body); err != nil {
		return time.Time{}, fmt.Errorf("ask Jupyter for %s: %w", path, err)
	}
	date, _ := http.ParseTime(res.Header.Get("Date")) // none is no harm
	return date, nil
}
