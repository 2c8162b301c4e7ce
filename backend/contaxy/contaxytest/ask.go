//go:build linux

package contaxytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// agent is how requests of this package name themselves.
const agent = "contaxytest"

// Login logs a user in.
func (l *Lab) Login(t testing.TB, name, password string) User {
	t.Helper()
	var given struct {
		Token string `json:"access_token"`
	}
	Read(t, l.login(t, plain, url.Values{"username": {name}, "password": {password}}), http.StatusOK, &given)
	var access struct {
		Subject string `json:"authorized_subject"`
	}
	Read(t, l.Do(t, given.Token, http.MethodPost, "/api/auth/tokens/verify", nil), http.StatusOK, &access)
	return User{Name: name, Password: password, ID: strings.TrimPrefix(access.Subject, "users/"), Token: given.Token}
}

// Browser returns a client that is logged in as a browser is: by the lab's cookies. It does not follow redirects.
func (l *Lab) Browser(t testing.TB, user User) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar, Timeout: answersWithin, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	Read(t, l.login(t, client, url.Values{
		"username": {user.Name}, "password": {user.Password}, "set_as_cookie": {"true"},
	}), http.StatusOK, nil)
	return client
}

func (l *Lab) login(t testing.TB, client *http.Client, form url.Values) *http.Response {
	t.Helper()
	form.Set("grant_type", "password")
	request, err := http.NewRequest(http.MethodPost, l.URL+"/api/auth/oauth/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := buffered(client, request)
	require.NoError(t, err)
	return answer
}

// CreateUser registers a user, whose password is "password", and logs them in. The user is deleted when the test ends.
func (l *Lab) CreateUser(t testing.TB, name string) User {
	t.Helper()
	Read(t, l.Do(t, "", http.MethodPost, "/api/users", map[string]string{
		"username": name, "email": name + "@example.org", "password": "password",
	}), http.StatusOK, nil)
	user := l.Login(t, name, "password")
	t.Cleanup(func() { _ = l.Do(t, l.Admin.Token, http.MethodDelete, "/api/users/"+user.ID, nil) }) // the test may have done it
	return user
}

// Do asks the lab through its front: path begins with /api or /projects and may have a query, token goes as a bearer unless
// it is empty, body goes as JSON unless it is nil. Redirects are not followed. The body of the answer is in memory, it needs
// not be closed.
func (l *Lab) Do(t testing.TB, token, method, path string, body any) *http.Response {
	t.Helper()
	answer, err := l.Try(t, token, method, path, body)
	require.NoError(t, err, "%s %s", method, path)
	return answer
}

// Try is Do for requests that may end without an answer, as those do that the front refuses.
func (l *Lab) Try(t testing.TB, token, method, path string, body any) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequest(method, l.URL+path, jsonBody(t, body)) // not of the test's context: cleanups ask, too
	require.NoError(t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return buffered(plain, request)
}

// plain uses no connection twice: where the front closes one without an answer, Go would ask again on another.
var plain = &http.Client{
	Timeout:       answersWithin,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func jsonBody(t testing.TB, body any) io.Reader {
	t.Helper()
	if body == nil {
		return nil
	}
	text, err := json.Marshal(body)
	require.NoError(t, err)
	return bytes.NewReader(text)
}

func buffered(client *http.Client, request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", agent)
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if err := answer.Body.Close(); err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, nil
}

// Read requires that an answer has a status, and reads its body as JSON into something, unless that is nil.
func Read(t testing.TB, answer *http.Response, status int, into any) {
	t.Helper()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, status, answer.StatusCode, "%s", text)
	if into != nil {
		require.NoError(t, json.Unmarshal(text, into), "%s", text)
	}
}

// RemoveServices takes away all services, extensions, volumes and JSON documents of the lab, and the containers that were
// labelled to look like them.
func (l *Lab) RemoveServices(t testing.TB) {
	t.Helper()
	ours := "label=ctxy.namespace=" + l.Namespace
	if found := strings.Fields(l.docker(t, "ps", "--all", "--quiet", "--filter", ours, "--filter", "label=ctxy.projectName")); len(found) > 0 {
		l.docker(t, append([]string{"rm", "--force", "--volumes"}, found...)...)
	}
	if found := strings.Fields(l.docker(t, "volume", "ls", "--quiet", "--filter", ours)); len(found) > 0 {
		l.docker(t, append([]string{"volume", "rm", "--force"}, found...)...)
	}
	// The lab keeps what it knew of them.
	var users []struct{ ID string }
	Read(t, l.Do(t, l.Admin.Token, http.MethodGet, "/api/users", nil), http.StatusOK, &users)
	projects := []string{"ctxy-global"}
	for _, user := range users {
		projects = append(projects, user.ID)
	}
	for _, project := range projects {
		Read(t, l.Do(t, l.Admin.Token, http.MethodDelete, "/api/projects/"+project+"/services", nil), http.StatusNoContent, nil)
		Read(t, l.Do(t, l.Admin.Token, http.MethodDelete, "/api/projects/"+project+"/json", nil), http.StatusNoContent, nil)
	}
	l.ForgetAddresses(t)
}

// ForgetAddresses has the front look services up anew. It believes an address for ten minutes, as ML Lab's does, and the next
// container of the same name may have another.
func (l *Lab) ForgetAddresses(t testing.TB) {
	t.Helper()
	l.docker(t, "exec", l.name+"-backend", "nginx", "-s", "reload")
}

// Request is one that reached the lab's API.
type Request struct {
	Method string
	Path   string // without the base path and /api: "/projects/…/services"
	Query  string
	Status int    // that it was answered with
	Agent  string // User-Agent
}

func (r Request) String() string {
	return fmt.Sprintf("%s %s?%s %d", r.Method, r.Path, r.Query, r.Status)
}

// During returns the requests that reached the lab's API, and were answered, while something was done, in their order. Those
// of this package are left out, and those by which the front mints session tokens are unknown.
func (l *Lab) During(t testing.TB, do func()) []Request {
	t.Helper()
	before := len(l.asked(t))
	do()
	var found []Request
	for _, line := range l.asked(t)[before:] {
		path, query, _ := strings.Cut(line.Target, "?")
		path, isAPI := strings.CutPrefix(path, l.options.BaseURL+"/api")
		if isAPI && line.Agent != agent {
			found = append(found, Request{Method: line.Method, Path: path, Query: query, Status: line.Status, Agent: line.Agent})
		}
	}
	return found
}

// logged is a line in the log of the front.
type logged struct {
	Method, Target, Agent string
	Status                int
}

// asked reads the log of the front up to this moment: until a request of our own is in it.
func (l *Lab) asked(t testing.TB) []logged {
	t.Helper()
	mark := fmt.Sprintf("/healthy?%d", time.Now().UnixNano())
	Read(t, l.Do(t, "", http.MethodGet, mark, nil), http.StatusOK, nil)
	var lines []logged
	require.Eventually(t, func() bool {
		lines = nil
		decoder := json.NewDecoder(strings.NewReader(l.docker(t, "exec", l.name+"-backend", "cat", "/var/log/nginx/asked.log")))
		for {
			var line logged
			if decoder.Decode(&line) != nil { // at its end, or where a line is being written
				return false
			}
			lines = append(lines, line)
			if line.Target == l.options.BaseURL+mark {
				return true
			}
		}
	}, answersWithin, pause, "the front does not log")
	return lines
}
