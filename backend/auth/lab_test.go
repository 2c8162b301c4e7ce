package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

// labOf makes a Lab whose lab answers as say does, and counts how often it is asked.
func labOf(t *testing.T, say Verifier) (*Lab, *clock, *atomic.Int32) {
	t.Helper()
	now, asked := &clock{now: time.Now()}, &atomic.Int32{}
	l, err := NewLab(LabOptions{Now: now.Now, Verify: func(ctx context.Context, token, permission string) (string, error) {
		asked.Add(1)
		return say(ctx, token, permission)
	}})
	require.NoError(t, err)
	return l, now, asked
}

var (
	errRevoked   = workspace.Errorf(workspace.CodeUnauthenticated, "Invalid token.")
	errForbidden = workspace.Errorf(workspace.CodeForbidden, "The token subject does not have the required permission.")
	errAway      = workspace.Errorf(workspace.CodeUnavailable, "ML Lab does not answer.")
)

func TestLab_TakesATokenFromWhereMLLabDoesInItsOrder(t *testing.T) {
	l, _, _ := labOf(t, nil)
	for name, c := range map[string]struct {
		target  string
		headers []string
		want    string
	}{
		"nothing":                   {"/", nil, ""},
		"query first":               {"/?ct_token=a", []string{"ct_token", "b", "Authorization", "Bearer c", "Cookie", "ct_token=d"}, "a"},
		"then the header":           {"/", []string{"ct_token", "b", "Authorization", "Bearer c", "Cookie", "ct_token=d"}, "b"},
		"then Authorization":        {"/", []string{"Authorization", "Bearer c", "Cookie", "ct_token=d"}, "c"},
		"then the cookie":           {"/", []string{"Cookie", "ct_token=d"}, "d"},
		"no other cookie":           {"/", []string{"Cookie", "ctxy_authorized_user=ada0; ct_session_token=x"}, ""},
		"no user and password":      {"/", []string{"Authorization", "Basic c"}, ""},
		"an empty one is no cookie": {"/", []string{"Cookie", "ct_token="}, ""},
	} {
		token, err := l.TokenOf(request("GET", c.target, c.headers...))
		require.Equal(t, c.want, token, name)
		if c.want == "" {
			require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(err), name)
			require.Equal(t, "No API token was provided.", err.Error(), "upstream's words")
		}
	}
}

func TestLab_RemembersAYesForAWhile(t *testing.T) {
	var verdict atomic.Value
	verdict.Store("yes")
	l, now, asked := labOf(t, func(context.Context, string, string) (string, error) {
		switch verdict.Load() {
		case "yes":
			return "ada0", nil
		case "revoked":
			return "", errRevoked
		}
		return "", errAway
	})
	ask := func(permission string) error {
		_, err := l.Holder(t.Context(), "token", permission)
		return err
	}
	for range 10 {
		require.NoError(t, ask("a"))
	}
	require.Equal(t, int32(1), asked.Load())
	require.NoError(t, ask("b"))
	require.Equal(t, int32(2), asked.Load(), "every permission is asked for")

	t.Log("a lab that is away harms nobody it has let in a moment ago, and lets in nobody")
	verdict.Store("away")
	require.NoError(t, ask("a"))
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(ask("c")))
	now.advance(RememberYes)
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(ask("a")))

	t.Log("what was revoked works no longer than a yes is remembered, and what is refused once is forgotten at once")
	verdict.Store("yes")
	require.NoError(t, ask("a"))
	require.NoError(t, ask("b"))
	verdict.Store("revoked")
	require.NoError(t, ask("a"))
	require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(ask("d")))
	require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(ask("a")))
	require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(ask("b")))
}

func TestLab_KnowsNoFromDown(t *testing.T) {
	for name, c := range map[string]struct {
		user string
		err  error
		want workspace.Code
	}{
		"no":                 {"", errForbidden, workspace.CodeForbidden},
		"not known":          {"", errRevoked, workspace.CodeUnauthenticated},
		"down":               {"", errAway, workspace.CodeUnavailable},
		"failing":            {"", errors.New("boom"), workspace.CodeUnavailable},
		"too slow":           {"", context.DeadlineExceeded, workspace.CodeUnavailable},
		"an impossible user": {"no such/user", nil, workspace.CodeForbidden},
	} {
		l, _, _ := labOf(t, func(context.Context, string, string) (string, error) { return c.user, c.err })
		_, err := l.Holder(t.Context(), "secret-token", "p")
		require.Equal(t, c.want, workspace.CodeOf(err), name)
		require.NotContains(t, err.Error(), "secret-token")
	}
}

func TestLab_AsksOnceForManyAtATime(t *testing.T) {
	goOn := make(chan struct{})
	l, _, asked := labOf(t, func(context.Context, string, string) (string, error) {
		<-goOn
		return "ada0", nil
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			user, err := l.Holder(context.Background(), "token", "p")
			if err != nil || user != "ada0" {
				t.Errorf("%s, %v", user, err)
			}
		})
	}
	calledOff, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Holder(calledOff, "token", "p")
	require.ErrorIs(t, err, context.Canceled, "who leaves does not wait")
	close(goOn)
	all.Wait()
	require.Equal(t, int32(1), asked.Load())
}

func TestLab_RemembersABoundedNumber(t *testing.T) {
	l, now, _ := labOf(t, func(context.Context, string, string) (string, error) { return "ada0", nil })
	for n := range maxRemembered + 10 {
		_, err := l.Holder(t.Context(), strings.Repeat("x", 1+n%7)+string(rune('a'+n%26))+time.Duration(n).String(), "p")
		require.NoError(t, err)
		if n == maxRemembered/2 {
			now.advance(RememberYes)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	require.LessOrEqual(t, len(l.tokens), maxRemembered)
}

func TestLab_RemembersABoundedNumberOfOneToken(t *testing.T) {
	l, _, _ := labOf(t, func(context.Context, string, string) (string, error) { return "", errForbidden })
	for n := range 3 * maxPermissions {
		_, err := l.Holder(t.Context(), "token", time.Duration(n).String())
		require.ErrorIs(t, err, errForbidden)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, answers := range l.tokens {
		require.LessOrEqual(t, len(answers), maxPermissions)
	}
}

func TestGuard_InALabAnyHostIsTheLabs(t *testing.T) {
	guard := newGuard(t, func(options *GuardOptions) { options.AnyHost, options.FramedBySelf = true, true })
	for host, passes := range map[string]bool{"lab.company.example": true, "10.0.0.7:30010": true, "a b": false, "": false, "x;y": false} {
		r := request("GET", "/app/")
		r.Host = host
		res := answer(guard, r)
		require.Equal(t, passes, res.StatusCode == 200, host)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'")
	}
	t.Log("what comes from another site is refused all the same, also where the lab drops the port from Host")
	for origin, passes := range map[string]bool{"http://lab.example.net:30010": true, "https://lab.example.net": true, "http://evil.example": false, "null": false} {
		r := request("POST", "/api/users/ada0/workspace", "Host", "lab.example.net", "Origin", origin)
		require.Equal(t, passes, answer(guard, r).StatusCode == 200, origin)
	}
}
