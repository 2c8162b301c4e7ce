package auth

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

const token = Token("lwm_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// writeProblem stands for the API's.
func writeProblem(w http.ResponseWriter, status int, code workspace.Code, detail string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": detail})
}

func newOwner(t *testing.T, change ...func(*OwnerOptions)) (*Owner, *clock) {
	t.Helper()
	now := &clock{now: time.Now()}
	options := OwnerOptions{User: "ada0", Token: token, Instance: "x7", Problem: writeProblem, Now: now.Now}
	for _, change := range change {
		change(&options)
	}
	owner, err := NewOwner(options)
	require.NoError(t, err)
	return owner, now
}

// request makes a request with headers given as name, value, name, value.
func request(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "localhost:8080"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return r
}

func answer(handler http.Handler, r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return recorder.Result()
}

func sessionOf(t *testing.T, o *Owner) string {
	t.Helper()
	res := answer(http.HandlerFunc(o.Enter), request("GET", "/enter?code="+o.NewCode()))
	require.Len(t, res.Cookies(), 1)
	return res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
}

func TestAuthenticate_TakesATokenWhereMLLabDoes(t *testing.T) {
	o, _ := newOwner(t)
	session := sessionOf(t, o)
	wrong := "lwm_" + strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		request *http.Request
		via     string // "" = refused
	}{
		"nothing":                         {request("GET", "/"), ""},
		"query":                           {request("GET", "/?ct_token="+string(token)), ViaToken},
		"header":                          {request("GET", "/", "ct_token", string(token)), ViaToken},
		"bearer":                          {request("GET", "/", "Authorization", "Bearer "+string(token)), ViaToken},
		"bearer in small letters":         {request("GET", "/", "Authorization", "bearer  "+string(token)), ViaToken},
		"cookie":                          {request("GET", "/", "Cookie", "ct_token="+string(token)), ViaToken},
		"session":                         {request("GET", "/", "Cookie", session), ViaSession},
		"second of two cookies":           {request("GET", "/", "Cookie", "ct_token="+wrong+"; ct_token="+string(token)), ViaToken},
		"session beside a lab's cookie":   {request("GET", "/", "Cookie", "ct_token="+wrong+"; "+session), ViaSession},
		"session beside a forged one":     {request("GET", "/", "Cookie", "lwm_session_x7=AAAA; "+session), ViaSession},
		"query before header":             {request("GET", "/?ct_token="+wrong, "ct_token", string(token)), ""},
		"header before bearer":            {request("GET", "/", "ct_token", string(token), "Authorization", "Bearer "+wrong), ViaToken},
		"bearer before session":           {request("GET", "/", "Authorization", "Bearer "+wrong, "Cookie", session), ""},
		"empty query":                     {request("GET", "/?ct_token=", "ct_token", string(token)), ViaToken},
		"basic is not ours":               {request("GET", "/", "Authorization", "Basic "+string(token)), ""},
		"basic beside a session":          {request("GET", "/", "Authorization", "Basic xyz", "Cookie", session), ViaSession},
		"a part of the token":             {request("GET", "/", "ct_token", string(token[:60])), ""},
		"more than the token":             {request("GET", "/", "ct_token", string(token)+"0"), ""},
		"huge":                            {request("GET", "/", "ct_token", strings.Repeat("x", 1<<20)), ""},
		"another instance's session":      {request("GET", "/", "Cookie", strings.Replace(session, "x7", "y8", 1)), ""},
		"session with another expiry":     {request("GET", "/", "Cookie", strings.Replace(session, "=AAAAA", "=AAAAB", 1)), ""},
		"session as token, token as user": {request("GET", "/", "Cookie", "ctxy_authorized_user=ada0"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := o.Authenticate(c.request)
			if c.via == "" {
				require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(err))
				require.Zero(t, identity)
				return
			}
			require.NoError(t, err)
			require.Equal(t, Identity{User: "ada0", Admin: true, Via: c.via}, identity)
		})
	}
}

func TestAuthenticate_WrongTokensNeverLockOutTheRightOne(t *testing.T) {
	o, now := newOwner(t)
	var last error
	for range 10 * freeAttempts {
		_, last = o.Authenticate(request("GET", "/", "ct_token", "guess"))
		require.Equal(t, workspace.CodeUnauthenticated, workspace.CodeOf(last))
	}
	require.Contains(t, last.Error(), "Wait")
	res := answer(http.HandlerFunc(o.Login), login(`{"token":"guess"}`))
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))

	_, err := o.Authenticate(request("GET", "/", "ct_token", string(token)))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, answer(http.HandlerFunc(o.Login), login(`{"token":"`+string(token)+`"}`)).StatusCode)

	now.advance(attemptInterval)
	require.Equal(t, http.StatusUnauthorized, answer(http.HandlerFunc(o.Login), login(`{"token":"guess"}`)).StatusCode)
	require.Equal(t, http.StatusTooManyRequests, answer(http.HandlerFunc(o.Login), login(`{"token":"guess"}`)).StatusCode)
}

func login(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(body))
	r.Host = "localhost:8080"
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	return r
}

func TestLogin(t *testing.T) {
	o, _ := newOwner(t)
	for name, c := range map[string]struct {
		request *http.Request
		status  int
	}{
		"right":           {login(`{"token":"` + string(token) + `"}`), 204},
		"pasted":          {login(`{"token":"  ` + string(token) + `\n"}`), 204},
		"wrong":           {login(`{"token":"x"}`), 401},
		"empty":           {login(`{}`), 401},
		"no JSON":         {login(`token=x`), 422},
		"no object":       {login(`["x"]`), 422},
		"another type":    {login(`{"token":{"a":1}}`), 422},
		"nothing":         {login(``), 422},
		"too much":        {login(`{"token":"` + strings.Repeat("x", maxLogin) + `"}`), 422},
		"form":            {func() *http.Request { r := login("{}"); r.Header.Set("Content-Type", "text/plain"); return r }(), 415},
		"no content type": {func() *http.Request { r := login("{}"); r.Header.Del("Content-Type"); return r }(), 415},
		"GET":             {request("GET", "/login"), 405},
	} {
		t.Run(name, func(t *testing.T) {
			res := answer(http.HandlerFunc(o.Login), c.request)
			require.Equal(t, c.status, res.StatusCode)
			require.Equal(t, c.status == 204, len(res.Cookies()) == 1)
		})
	}
}

func TestEnter_ACodeStartsOneSession(t *testing.T) {
	o, now := newOwner(t)
	enter := http.HandlerFunc(o.Enter)
	code := o.NewCode()
	require.Equal(t, http.StatusMethodNotAllowed, answer(enter, request("HEAD", "/enter?code="+code)).StatusCode, "HEAD uses no code up")
	res := answer(enter, request("GET", "/enter?code="+code))
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "app/", res.Header.Get("Location"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	cookie := res.Cookies()[0]
	require.Equal(t, "lwm_session_x7", cookie.Name)
	require.Equal(t, "/", cookie.Path)
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.False(t, cookie.Secure)
	require.Equal(t, 30*24*3600, cookie.MaxAge)

	for name, code := range map[string]string{"used": code, "wrong": "x", "empty": ""} {
		res = answer(enter, request("GET", "/enter?code="+code))
		require.Equal(t, http.StatusSeeOther, res.StatusCode, name)
		require.Equal(t, "app/?link=used", res.Header.Get("Location"), "the page says why it asks")
		require.Empty(t, res.Cookies())
	}
	late := o.NewCode()
	now.advance(10*time.Minute + time.Second)
	require.False(t, o.Redeem(late))
}

func TestCodes_AreBoundedAndIndependent(t *testing.T) {
	o, _ := newOwner(t, func(options *OwnerOptions) { options.CodeLifetime = time.Hour })
	oldest, second := o.NewCode(), o.NewCode()
	for range maxCodes - 1 {
		o.NewCode()
	}
	require.False(t, o.Redeem(oldest), "it gave way")
	require.True(t, o.Redeem(second))
	require.False(t, o.Redeem(second))
	require.GreaterOrEqual(t, len(second), 22, "128 bits")

	code := o.NewCode()
	var redeemed sync.Map
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if o.Redeem(code) {
				redeemed.Store(i, true)
			}
		})
	}
	all.Wait()
	winners := 0
	redeemed.Range(func(any, any) bool { winners++; return true })
	require.Equal(t, 1, winners)
}

func TestSession_LivesWithTheTokenNotWithTheProcess(t *testing.T) {
	o, now := newOwner(t)
	session := sessionOf(t, o)
	same := func(options *OwnerOptions) { options.Now = now.Now }
	restarted, _ := newOwner(t, same)
	_, err := restarted.Authenticate(request("GET", "/", "Cookie", session))
	require.NoError(t, err)
	rotated, _ := newOwner(t, same, func(options *OwnerOptions) { options.Token = newToken() })
	_, err = rotated.Authenticate(request("GET", "/", "Cookie", session))
	require.Error(t, err)
	now.advance(sessionLifetime)
	_, err = restarted.Authenticate(request("GET", "/", "Cookie", session))
	require.Error(t, err)
}

func TestSessions_AreRenewedWhileTheyAreUsed(t *testing.T) {
	o, now := newOwner(t)
	session := sessionOf(t, o)
	handler := o.Sessions(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	require.Empty(t, answer(handler, request("GET", "/", "Cookie", session)).Cookies())
	for range 5 {
		now.advance(sessionLifetime - time.Hour)
		cookies := answer(handler, request("GET", "/", "Cookie", session)).Cookies()
		require.Len(t, cookies, 1)
		session = cookies[0].Name + "=" + cookies[0].Value
	}
	require.Empty(t, answer(handler, request("GET", "/", "Cookie", "lwm_session_x7=forged")).Cookies())
}

func TestSessions_TakeATokenOutOfTheAddressOfAPage(t *testing.T) {
	o, _ := newOwner(t)
	passed := 0
	handler := o.Sessions(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	for target, want := range map[string]string{
		"/app/?ct_token=" + string(token):                     "./",
		"/app?ct_token=" + string(token):                      "./app",
		"/?a=1&ct_token=" + string(token) + "&b=%2F":          "./?a=1&b=%2F",
		"//evil.example/?ct_token=" + string(token):           "./",
		"//evil.example?ct_token=" + string(token):            "./evil.example",
		"/app/javascript:alert?ct_token=" + string(token):     "./javascript:alert",
		"/a%2F%2Fevil?ct_token=" + string(token):              "./a%2F%2Fevil",
		"/%5Cevil?ct_token=" + string(token):                  "./%5Cevil",
		"/app/?ct_token=" + string(token) + "&ct_token=again": "./",
	} {
		r := request("GET", "/", "Accept", "text/html,*/*")
		var err error
		r.URL, err = r.URL.Parse("http://localhost" + target)
		require.NoError(t, err)
		res := answer(handler, r)
		require.Equal(t, http.StatusSeeOther, res.StatusCode, target)
		require.Equal(t, want, res.Header.Get("Location"), target)
		require.Len(t, res.Cookies(), 1)
	}
	res := answer(handler, request("GET", "/app/?ct_token=wrong", "Accept", "text/html"))
	require.Equal(t, "./", res.Header.Get("Location"))
	require.Empty(t, res.Cookies())
	require.Zero(t, passed)

	for _, r := range []*http.Request{
		request("GET", "/api/x?ct_token="+string(token), "Accept", "*/*"),
		request("POST", "/api/x?ct_token="+string(token), "Accept", "text/html"),
		request("GET", "/app/", "Accept", "text/html"),
	} {
		require.Equal(t, http.StatusOK, answer(handler, r).StatusCode)
	}
	require.Equal(t, 3, passed)
}

func TestLogout(t *testing.T) {
	o, _ := newOwner(t)
	require.Equal(t, http.StatusMethodNotAllowed, answer(http.HandlerFunc(o.Logout), request("GET", "/logout")).StatusCode)
	res := answer(http.HandlerFunc(o.Logout), request("POST", "/logout"))
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Equal(t, "lwm_session_x7", res.Cookies()[0].Name)
	require.Negative(t, res.Cookies()[0].MaxAge)
}

func TestCookie_IsSecureOverTLS(t *testing.T) {
	o, _ := newOwner(t)
	res := answer(http.HandlerFunc(o.Enter), request("GET", "/enter?code="+o.NewCode(), "X-Forwarded-Proto", "https"))
	require.True(t, res.Cookies()[0].Secure)
}

func TestNewOwner_NeedsWhatItNeeds(t *testing.T) {
	for name, spoil := range map[string]func(*OwnerOptions){
		"user":     func(o *OwnerOptions) { o.User = "" },
		"token":    func(o *OwnerOptions) { o.Token = "lwm_short" },
		"instance": func(o *OwnerOptions) { o.Instance = "a;b" },
		"problem":  func(o *OwnerOptions) { o.Problem = nil },
	} {
		options := OwnerOptions{User: "ada0", Token: token, Instance: "x7", Problem: writeProblem}
		spoil(&options)
		_, err := NewOwner(options)
		require.Error(t, err, name)
	}
}

func TestLog_HoldsNoSecret(t *testing.T) {
	var written bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&written, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o, _ := newOwner(t, func(options *OwnerOptions) { options.Log = logger })
	_, err := o.Authenticate(request("GET", "/?ct_token=secret-query&q=secret-rest", "Cookie", "a=secret-cookie", "ct_token", "secret-header"))
	require.NotContains(t, err.Error(), "secret")
	answer(http.HandlerFunc(o.Login), login(`{"token":"secret-login"}`))
	guard, err := NewGuard(GuardOptions{Problem: writeProblem, Log: logger})
	require.NoError(t, err)
	answer(guard.Wrap(http.NotFoundHandler()), request("GET", "/?q=secret-query", "Host", "evil"))
	answer(guard.Wrap(http.NotFoundHandler()), request("GET", "/?q=secret-query", "Origin", "http://evil"))
	logger.Info("token", "token", token)
	require.NotEmpty(t, written.String())
	require.NotContains(t, written.String(), "secret")
	require.NotContains(t, written.String(), string(token))
}
