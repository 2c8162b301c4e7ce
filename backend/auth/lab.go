package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Verifier asks a lab who holds a token, and whether its holder has a permission; "" asks for none. CodeUnauthenticated for
// a token that is none (any more), CodeForbidden without the permission, CodeUnavailable when the lab does not say.
type Verifier func(ctx context.Context, token, permission string) (user string, err error)

// LabOptions are what a Lab is made of. Verify is required.
type LabOptions struct {
	Verify   Verifier
	Remember time.Duration    // how long the lab's yes holds; 0 = RememberYes
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = none
}

const (
	// RememberYes is how long what the lab has allowed stays allowed: a token that was revoked works no longer than that. What
	// goes on by itself, as a stream of events, asks again every ten seconds, and so ends within half a minute.
	RememberYes = 20 * time.Second
	// rememberNo keeps pages that ask again and again from the lab. It is short, since a permission can be given.
	rememberNo = 3 * time.Second
	// maxRemembered bounds how many tokens answers are remembered of.
	maxRemembered = 10_000
	// maxPermissions bounds of how many permissions they are remembered of one token: anybody can ask for those of anybody.
	maxPermissions = 100
)

// Lab is the mode in which an ML Lab says who may do what. Nothing is believed that it has not verified: neither cookies
// that name a user, nor tokens that its proxy has let through.
type Lab struct {
	verify   Verifier
	remember time.Duration
	now      func() time.Time
	log      *slog.Logger

	mu     sync.Mutex
	tokens map[[sha256.Size]byte]map[string]*verification
}

// verification is what the lab has said of a token and a permission.
type verification struct {
	asked chan struct{} // closed once it is there
	user  string
	err   error
	until time.Time
}

// NewLab makes a Lab.
func NewLab(options LabOptions) (*Lab, error) {
	if options.Verify == nil {
		return nil, errors.New("auth: a way to ask the lab is required")
	}
	if options.Remember == 0 {
		options.Remember = RememberYes
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Lab{verify: options.Verify, remember: options.Remember, now: options.Now, log: options.Log, tokens: map[[sha256.Size]byte]map[string]*verification{}}, nil
}

// TokenOf returns the token of a request, from where ML Lab looks and in its order: query, header, Authorization, cookie.
// CodeUnauthenticated without one.
func (l *Lab) TokenOf(r *http.Request) (string, error) {
	if shown := shownToken(r); shown != "" {
		return string(shown), nil
	}
	for _, cookie := range r.CookiesNamed(tokenName) {
		if cookie.Value != "" {
			return cookie.Value, nil
		}
	}
	return "", &workspace.Error{Code: workspace.CodeUnauthenticated, Message: "No API token was provided.", Hint: loginHint}
}

// loginHint is what to do about a token that is missing or none any more.
const loginHint = "Log in to ML Lab, then load this page again."

// Holder asks who holds a token, and whether they have the permission; "" asks for none. The lab's yes holds for a while.
func (l *Lab) Holder(ctx context.Context, token, permission string) (workspace.Owner, error) {
	key := sha256.Sum256([]byte(token))
	l.mu.Lock()
	known := l.tokens[key][permission]
	if known == nil || (isClosed(known.asked) && !l.now().Before(known.until)) {
		known = &verification{asked: make(chan struct{})}
		if l.tokens[key] == nil {
			l.makeRoom()
			l.tokens[key] = map[string]*verification{}
		}
		if len(l.tokens[key]) >= maxPermissions {
			clear(l.tokens[key])
		}
		l.tokens[key][permission] = known
		go l.ask(context.WithoutCancel(ctx), known, key, token, permission)
	}
	l.mu.Unlock()
	select {
	case <-known.asked:
		return workspace.Owner(known.user), known.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// verifyTimeout bounds one question. It goes on when who has asked has left: others may wait for the same answer.
const verifyTimeout = 10 * time.Second

func (l *Lab) ask(ctx context.Context, known *verification, key [sha256.Size]byte, token, permission string) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	known.user, known.err = l.verify(ctx, token, permission)
	if known.err == nil && !workspace.Owner(known.user).Valid() {
		known.err = workspace.Errorf(workspace.CodeForbidden, "ML Lab knows the token as that of %q, which cannot own workspaces.", clip(known.user))
	}
	if errors.Is(known.err, context.DeadlineExceeded) {
		known.err = &workspace.Error{Code: workspace.CodeUnavailable, Message: "ML Lab does not say in time who you are.", Hint: "Workspaces go on; this page does too, as soon as the lab is back."}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch workspace.CodeOf(known.err) {
	case "":
		known.until = l.now().Add(l.remember)
	case workspace.CodeForbidden:
		known.until = l.now().Add(rememberNo)
	case workspace.CodeUnauthenticated:
		delete(l.tokens, key) // nothing that was said of it holds any more
		known.err = &workspace.Error{Code: workspace.CodeUnauthenticated, Message: workspace.MessageOf(known.err), Hint: loginHint, Err: known.err}
		l.log.DebugContext(ctx, "the lab does not take a token", "permission", permission)
	case workspace.CodeInternal:
		known.err = &workspace.Error{Code: workspace.CodeUnavailable, Message: "ML Lab cannot say who you are: " + workspace.MessageOf(known.err), Err: known.err}
	}
	close(known.asked)
}

// makeRoom forgets answers that hold no more, and all of them if that is not enough. The caller holds the lock.
func (l *Lab) makeRoom() {
	if len(l.tokens) < maxRemembered {
		return
	}
	now := l.now()
	for key, answers := range l.tokens {
		for permission, one := range answers {
			if isClosed(one.asked) && !now.Before(one.until) {
				delete(answers, permission)
			}
		}
		if len(answers) == 0 {
			delete(l.tokens, key)
		}
	}
	if len(l.tokens) >= maxRemembered {
		clear(l.tokens)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
