package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/workspace"
)

// The extension API as upstream intended it, below /api and at the root.
func TestAPI_SpeaksML_LabsContract(t *testing.T) {
	l := newLab(t, "")
	for _, prefix := range []string{"/api", ""} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			workspaces := prefix + "/users/" + l.owner + "/workspace"
			header := l.bearer()

			response, text := l.send(http.MethodPost, workspaces, []byte(`{"is_stopped": true}`), header)
			require.Equal(t, http.StatusOK, response.StatusCode, text)
			var made map[string]any
			require.NoError(t, json.Unmarshal([]byte(text), &made))
			require.Equal(t, "Default Workspace", made["display_name"])
			require.Equal(t, defaultImage, made["container_image"])
			require.Equal(t, "stopped", made["status"])
			require.Nil(t, made["access_url"])
			require.Contains(t, text, `"idle_timeout":0.0`, "upstream's clients read a float")
			id := made["id"].(string)

			response, text = l.send(http.MethodPost, workspaces, []byte(`{}`), header)
			require.Equal(t, "A workspace with the name Default Workspace already exists for user "+l.owner+"!", problem(t, response, text, http.StatusConflict).Detail)

			response, text = l.send(http.MethodPost, workspaces+"/"+id+":start", nil, header)
			require.Equal(t, http.StatusNoContent, response.StatusCode, text)
			require.Empty(t, text)
			running := l.reach(id, "running")
			require.Equal(t, "/projects/"+l.owner+"/services/"+id+"/access/8080b", *running.AccessURL)
			response, text = l.send(http.MethodPost, workspaces+"/"+id+":start", nil, header)
			problem(t, response, text, http.StatusBadRequest)

			// Numbers in strings and fractions, as Python's clients send them; an ISO 8601 duration.
			response, text = l.send(http.MethodPatch, workspaces+"/"+id, []byte(`{"compute":{"cpus":"2","memory":1000.9},"idle_timeout":"PT1H"}`), header)
			require.Equal(t, http.StatusOK, response.StatusCode, text)
			changed := l.get(id)
			require.Equal(t, 2.0, changed.Compute.CPUs)
			require.Equal(t, int64(1000), changed.Compute.Memory)
			require.Contains(t, text, `"idle_timeout":3600.0`)
			require.Equal(t, "Default Workspace", changed.DisplayName, "what is not sent stays")

			response, text = l.send(http.MethodGet, workspaces, nil, header)
			require.Equal(t, http.StatusOK, response.StatusCode)
			var list []api.Workspace
			require.NoError(t, json.Unmarshal([]byte(text), &list))
			require.Len(t, list, 1)

			response, text = l.send(http.MethodDelete, workspaces+"/"+id+"?delete_volumes=True", nil, header)
			require.Equal(t, http.StatusNoContent, response.StatusCode, text)
			response, text = l.send(http.MethodGet, workspaces+"/"+id, nil, header)
			problem(t, response, text, http.StatusNotFound)

			response, _ = l.send(http.MethodGet, prefix+"/config", nil, header)
			require.Equal(t, http.StatusOK, response.StatusCode)
			for _, probe := range []string{"/healthy", "/ping", "/hostinfo"} {
				response, text = l.send(http.MethodGet, prefix+probe, nil, nil)
				require.Equal(t, http.StatusOK, response.StatusCode, text)
			}
			response, text = l.send(http.MethodGet, prefix+"/openapi.json", nil, nil)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Contains(t, text, `"openapi":"3.1.0"`)
			response, _ = l.send(http.MethodGet, prefix+"/docs", nil, nil)
			require.Equal(t, http.StatusTemporaryRedirect, response.StatusCode)
			response, text = l.send(http.MethodGet, prefix+"/docs/", nil, nil)
			require.Equal(t, http.StatusOK, response.StatusCode, text)
			response, _ = l.send(http.MethodGet, workspaces+"/", nil, header)
			require.Equal(t, http.StatusTemporaryRedirect, response.StatusCode, "a slash too many leads to the one without")
			location, err := response.Location()
			require.NoError(t, err)
			require.Equal(t, workspaces, location.Path)
		})
	}
}

func TestAPI_ListsByCreationAndKeepsUsersApart(t *testing.T) {
	l := newLab(t, "")
	for _, name := range []string{"zebra", "ape", "mole"} {
		l.create(map[string]any{"display_name": name, "is_stopped": true})
	}
	var names []string
	var list []api.Workspace
	l.call(http.MethodGet, l.workspaces(), nil, &list)
	for _, w := range list {
		names = append(names, w.DisplayName)
	}
	require.Equal(t, []string{"zebra", "ape", "mole"}, names)
	for _, path := range []string{"/users/other/workspace", "/users/other/workspace/" + list[0].ID, "/users/other/volumes", "/users/OTHER/workspace"} {
		response, text := l.send(http.MethodGet, "/api"+path, nil, l.bearer())
		problem(t, response, text, http.StatusForbidden)
	}
	response, text := l.send(http.MethodGet, "/api/users/"+l.owner+"/workspace/nothing", nil, l.bearer())
	problem(t, response, text, http.StatusNotFound)

	// Here nobody may act for anybody else, an administrator neither.
	for _, path := range []string{"/users/other", "/events?user=other", "/quota?user=other", "/limits?user=other", "/host?user=other"} {
		response, text := l.send(http.MethodGet, "/api"+path, nil, l.bearer())
		problem(t, response, text, http.StatusForbidden)
	}
	for _, path := range []string{"/quota?user=" + l.owner, "/limits?user=" + l.owner, "/host?user=" + l.owner} {
		response, text := l.send(http.MethodGet, "/api"+path, nil, l.bearer())
		require.Equal(t, http.StatusOK, response.StatusCode, text)
	}
	var person api.Person
	l.call(http.MethodGet, "/users/"+l.owner, nil, &person)
	require.Equal(t, api.Person{ID: l.owner, Name: l.owner}, person, "nobody keeps names here")
	response, text = l.send(http.MethodGet, "/api/users/me", nil, nil)
	require.Empty(t, problem(t, response, text, http.StatusUnauthorized).Hint, "the page asks for the token")
}

func TestAPI_TakesTheTokenWhereML_LabDoes(t *testing.T) {
	l := newLab(t, "")
	for name, request := range map[string]struct {
		query  string
		header http.Header
	}{
		"bearer":  {header: l.bearer()},
		"header":  {header: http.Header{"Ct_token": {l.secret}}},
		"cookie":  {header: http.Header{"Cookie": {"ct_token=" + l.secret}}},
		"query":   {query: "?ct_token=" + l.secret},
		"query 2": {query: "?a=b&ct_token=" + l.secret, header: http.Header{"Accept": {"application/json"}}},
	} {
		response, text := l.send(http.MethodGet, "/api/users/me"+request.query, nil, request.header)
		require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", name, text)
	}
	for name, header := range map[string]http.Header{
		"none": nil, "wrong": {"Authorization": {"Bearer wrong"}}, "another scheme": {"Authorization": {"Basic " + l.secret}},
	} {
		response, text := l.send(http.MethodGet, "/api/users/me", nil, header)
		require.NotContains(t, problem(t, response, text, http.StatusUnauthorized).Detail, l.secret, name)
	}
	// Where a browser asks for a page, the token leaves the address.
	response, _ := l.send(http.MethodGet, "/app/?ct_token="+l.secret+"&x=1", nil, http.Header{"Accept": {"text/html"}})
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	require.Equal(t, "./?x=1", response.Header.Get("Location"))
	require.NotContains(t, l.log.String(), l.secret)
}

func TestAPI_RefusesWhatABrowserWasTalkedInto(t *testing.T) {
	l := newLab(t, "[server]\nallowed_origins = [\"https://lab.example.org\"]\n")
	me := "/api/users/me"
	with := func(extra http.Header) http.Header {
		header := l.bearer()
		for name, values := range extra {
			header[name] = values
		}
		return header
	}
	response, text := l.send(http.MethodGet, me, nil, with(http.Header{"Host": {"evil.example"}}))
	problem(t, response, text, http.StatusMisdirectedRequest)
	response, text = l.send(http.MethodGet, me, nil, with(http.Header{"Origin": {"https://evil.example"}}))
	problem(t, response, text, http.StatusForbidden)
	response, text = l.send(http.MethodPost, l.workspacesAtAPI(), []byte("{}"), with(http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}}))
	problem(t, response, text, http.StatusForbidden)
	response, _ = l.send(http.MethodGet, me, nil, with(http.Header{"Origin": {"https://lab.example.org"}}))
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "https://lab.example.org", response.Header.Get("Access-Control-Allow-Origin"))
	response, _ = l.send(http.MethodGet, me, nil, l.bearer())
	require.Empty(t, response.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'self'")

	_, answer, err := websocket.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/api/events", l.port), &websocket.DialOptions{HTTPHeader: with(http.Header{"Origin": {"https://evil.example"}})})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	_, answer, err = websocket.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/api/events", l.port), nil)
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
}

func (l *lab) workspacesAtAPI() string { return "/api/users/" + l.owner + "/workspace" }

func TestAPI_RefusesBadInput(t *testing.T) {
	l := newLab(t, "")
	kept := l.create(map[string]any{"display_name": "kept", "is_stopped": true})
	deep := strings.Repeat(`{"compute":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for name, body := range map[string]string{
		"nothing":                    "",
		"no JSON":                    "display_name=x",
		"half a body":                `{"display_name": "x`,
		"a list":                     "[]",
		"a number":                   "1",
		"null":                       "null",
		"two bodies":                 `{"is_stopped":true} {"is_stopped":true}`,
		"deep nesting":               deep,
		"a name that is a number":    `{"display_name": 1}`,
		"an empty name":              `{"display_name": ""}`,
		"a blank name":               `{"display_name": "   "}`,
		"a long name":                `{"display_name": "` + strings.Repeat("x", 129) + `"}`,
		"a control character":        `{"display_name": "a\u0007b"}`,
		"a line break":               `{"display_name": "a\nb"}`,
		"NUL":                        `{"display_name": "a\u0000b"}`,
		"not UTF-8":                  "{\"display_name\": \"\xff\xfe\"}",
		"no CPUs":                    `{"compute": {"cpus": 0}}`,
		"negative CPUs":              `{"compute": {"cpus": -1}}`,
		"more CPUs than there are":   `{"compute": {"cpus": 9}}`,
		"CPUs without end":           `{"compute": {"cpus": 1e999}}`,
		"CPUs that are none":         `{"compute": {"cpus": "NaN"}}`,
		"infinite CPUs":              `{"compute": {"cpus": "Infinity"}}`,
		"CPUs as a list":             `{"compute": {"cpus": [1]}}`,
		"CPUs as truth":              `{"compute": {"cpus": true}}`,
		"too little memory":          `{"compute": {"memory": 1}}`,
		"negative memory":            `{"compute": {"memory": -5}}`,
		"memory beyond numbers":      `{"compute": {"memory": 99999999999999999999}}`,
		"memory in words":            `{"compute": {"memory": "much"}}`,
		"compute as a list":          `{"compute": []}`,
		"a negative idle timeout":    `{"idle_timeout": -1}`,
		"hardly an idle timeout":     `{"idle_timeout": 0.0000001}`,
		"an idle timeout of nowhere": `{"idle_timeout": "tomorrow"}`,
		"one that is no choice":      `{"idle_timeout": 7}`,
		"an empty image":             `{"container_image": ""}`,
		"an image with a space":      `{"container_image": "a b"}`,
		"an image as an option":      `{"container_image": "--privileged"}`,
		"a long image":               `{"container_image": "` + strings.Repeat("a", 2001) + `"}`,
		"an unknown profile":         `{"profile": "../../etc"}`,
		"another's volume":           `{"storage": {"volume": "other-volume"}}`,
		"a path as a volume":         `{"storage": {"volume": "/etc"}}`,
		"a negative volume":          `{"storage": {"volume_size": -1}}`,
		"a truth that is none":       `{"is_stopped": "perhaps"}`,
	} {
		t.Run(name, func(t *testing.T) {
			for method, path := range map[string]string{http.MethodPost: l.workspacesAtAPI(), http.MethodPatch: l.workspacesAtAPI() + "/" + kept.ID} {
				if method == http.MethodPatch && strings.Contains("another's volume, a path as a volume, a truth that is none", name) {
					continue // these cannot be said of a workspace that is there
				}
				header := l.bearer()
				header.Set("Content-Type", "application/json")
				response, text := l.send(method, path, []byte(body), header)
				require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusNotFound, http.StatusRequestEntityTooLarge}, response.StatusCode, "%s: %s", method, text)
				problem(t, response, text, response.StatusCode)
			}
		})
	}
	for name, request := range map[string]struct {
		method, path string
		body         []byte
		status       int
	}{
		"a body too large":        {http.MethodPost, l.workspacesAtAPI(), []byte(`{"display_name":"` + strings.Repeat("x", 1<<20) + `"}`), http.StatusRequestEntityTooLarge},
		"another method":          {http.MethodPut, l.workspacesAtAPI(), nil, http.StatusMethodNotAllowed},
		"an unknown path":         {http.MethodGet, "/api/nothing", nil, http.StatusNotFound},
		"an unknown verb":         {http.MethodPost, l.workspacesAtAPI() + "/" + kept.ID + ":explode", nil, http.StatusMethodNotAllowed},
		"a path that climbs":      {http.MethodGet, l.workspacesAtAPI() + "/..%2f..%2fetc%2fpasswd", nil, http.StatusNotFound},
		"an id with NUL":          {http.MethodGet, l.workspacesAtAPI() + "/a%00b", nil, http.StatusNotFound},
		"an id without end":       {http.MethodGet, l.workspacesAtAPI() + "/" + strings.Repeat("a", 5000), nil, http.StatusUnprocessableEntity},
		"an owner with a slash":   {http.MethodGet, "/api/users/a%2fb/workspace", nil, http.StatusForbidden},
		"a volume that climbs":    {http.MethodDelete, "/api/users/" + l.owner + "/volumes/..%2f..", nil, http.StatusNotFound},
		"a truth that is none":    {http.MethodDelete, l.workspacesAtAPI() + "/" + kept.ID + "?delete_volumes=perhaps", nil, http.StatusUnprocessableEntity},
		"lines that are none":     {http.MethodGet, l.workspacesAtAPI() + "/" + kept.ID + ":logs?lines=many", nil, http.StatusUnprocessableEntity},
		"lines without end":       {http.MethodGet, l.workspacesAtAPI() + "/" + kept.ID + ":logs?lines=999999999", nil, http.StatusUnprocessableEntity},
		"an address of no kind":   {http.MethodPost, l.workspacesAtAPI() + "/" + kept.ID + ":open", []byte(`{"address":"moon"}`), http.StatusUnprocessableEntity},
		"a page that is not here": {http.MethodGet, "/app/nothing.js", nil, http.StatusNotFound},
		"a page that climbs":      {http.MethodGet, "/app/..%2f..%2fetc%2fpasswd", nil, http.StatusNotFound},
		"a login without a body":  {http.MethodGet, "/api/login", nil, http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			header := l.bearer()
			header.Set("Content-Type", "application/json")
			response, text := l.send(request.method, request.path, request.body, header)
			problem(t, response, text, request.status)
		})
	}
	long, err := http.NewRequest(http.MethodGet, l.url("/users/me"), nil)
	require.NoError(t, err)
	long.Header = http.Header{"Authorization": {"Bearer " + l.secret}, "X-Long": {strings.Repeat("x", 200<<10)}}
	response, err := http.DefaultClient.Do(long)
	if err == nil { // else the server hung up before all of it was sent
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	}

	var list []api.Workspace
	l.call(http.MethodGet, l.workspaces(), nil, &list)
	require.Len(t, list, 1, "nothing was made, nothing was lost")
	require.Equal(t, kept.UpdatedAt, list[0].UpdatedAt)
}

// Upstream ignores fields that it does not know, and its clients send whole workspaces back.
func TestAPI_IgnoresFieldsItDoesNotKnow(t *testing.T) {
	l := newLab(t, "")
	made := l.create(map[string]any{"display_name": "thesis", "is_stopped": true, "nonsense": []int{1}})
	var back map[string]any
	l.call(http.MethodGet, l.workspaces()+"/"+made.ID, nil, &back)
	back["display_name"] = "paper"
	l.call(http.MethodPatch, l.workspaces()+"/"+made.ID, back, nil)
	after := l.get(made.ID)
	require.Equal(t, "paper", after.DisplayName)
	require.Equal(t, made.ID, after.ID)
}

func TestAPI_ReadsBodiesOfScriptsThatDoNotNameTheirType(t *testing.T) {
	l := newLab(t, "")
	for i, kind := range []string{"", "application/x-www-form-urlencoded", "text/plain; charset=utf-8", "application/json; charset=utf-8"} {
		header := l.bearer()
		if kind != "" {
			header.Set("Content-Type", kind)
		}
		response, text := l.send(http.MethodPost, l.workspacesAtAPI(), fmt.Appendf(nil, `{"display_name": "ws %d", "is_stopped": true}`, i), header)
		require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", kind, text)
	}
	header := l.bearer()
	header.Set("Content-Type", "application/xml")
	response, text := l.send(http.MethodPost, l.workspacesAtAPI(), []byte("<a/>"), header)
	problem(t, response, text, http.StatusUnsupportedMediaType)
}

func TestAPI_ShowsNamesAsTheyWereWritten(t *testing.T) {
	l := newLab(t, "")
	for _, name := range []string{"研究 🚀", "<script>alert(1)</script>", `"quotes" & 'more'`, "Ünïcödé", "../..", "-rf", "مرحبا", "a/b:c", strings.Repeat("é", 64), "--", "ＦＵＬＬ"} {
		made := l.create(map[string]any{"display_name": name, "is_stopped": true})
		require.Equal(t, name, l.get(made.ID).DisplayName)
		require.Regexp(t, `^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`, made.ID)
	}
}

func TestAPI_TellsEventsInOrderOverBothTransports(t *testing.T) {
	l := newLab(t, "")
	conn, _, err := websocket.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/api/events", l.port), &websocket.DialOptions{HTTPHeader: l.bearer()})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(websocket.StatusNormalClosure, "")) }()
	made := l.create(map[string]any{"display_name": "thesis"})
	l.reach(made.ID, "running")
	l.call(http.MethodDelete, l.workspaces()+"/"+made.ID+"?delete_volumes=1", nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var types, statuses []string
	for len(types) == 0 || types[len(types)-1] != "workspace_removed" {
		_, text, err := conn.Read(ctx)
		require.NoError(t, err)
		var event api.Event
		require.NoError(t, json.Unmarshal(text, &event))
		if event.Workspace != nil && (len(statuses) == 0 || statuses[len(statuses)-1] != event.Workspace.Status) {
			statuses = append(statuses, event.Workspace.Status)
		}
		if !slices.Contains([]string{"volumes", "quota", "use"}, event.Type) && (len(types) == 0 || types[len(types)-1] != event.Type) {
			types = append(types, event.Type)
		}
	}
	require.Equal(t, []string{"snapshot", "workspace", "workspace_removed"}, types)
	require.Equal(t, []string{"pending", "running", "terminating"}, statuses)

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url("/events"), nil)
	require.NoError(t, err)
	request.Header = l.bearer()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	head := make([]byte, 200)
	n, err := response.Body.Read(head)
	require.NoError(t, err)
	require.Contains(t, string(head[:n]), `"type":"snapshot"`)
}

func TestAPI_LeadsFromML_LabsPathToTheAccessProxy(t *testing.T) {
	l := newLab(t, "")
	made := l.create(map[string]any{"display_name": "thesis", "is_stopped": true})
	path := "/projects/" + l.owner + "/services/" + made.ID + "/access/8080b"
	for _, path := range []string{path, path + "/lab/tree/x"} {
		response, _ := l.send(http.MethodGet, path, nil, l.bearer())
		require.Equal(t, http.StatusSeeOther, response.StatusCode)
		location, err := url.Parse(response.Header.Get("Location"))
		require.NoError(t, err)
		require.NotEmpty(t, location.Query().Get("code"))
		require.NotEqual(t, fmt.Sprint(l.port), location.Port(), "another origin")
	}
	framed := l.bearer()
	framed["Sec-Fetch-Dest"] = []string{"iframe"}
	response, text := l.send(http.MethodGet, path, nil, framed)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, text, "Open thesis in a new tab")
	response, text = l.send(http.MethodGet, path, nil, nil)
	problem(t, response, text, http.StatusUnauthorized)
	for _, path := range []string{"/projects/" + l.owner + "/services/none/access/8080b", "/projects/x", "/projects/" + l.owner + "/services/" + made.ID} {
		response, text = l.send(http.MethodGet, path, nil, l.bearer())
		problem(t, response, text, http.StatusNotFound)
	}
	response, text = l.send(http.MethodPost, path, nil, l.bearer())
	problem(t, response, text, http.StatusMethodNotAllowed)
}

func TestAPI_OpensForHowTheBrowserCame(t *testing.T) {
	l := newLab(t, "[server]\nallowed_hosts = [\"lab.example.org\"]\n")
	made := l.create(map[string]any{"display_name": "thesis", "is_stopped": true})
	open := func(host, body string) *url.URL {
		header := l.bearer()
		header.Set("Content-Type", "application/json")
		if host != "" {
			header.Set("Host", host)
		}
		response, text := l.send(http.MethodPost, l.workspacesAtAPI()+"/"+made.ID+":open", []byte(body), header)
		require.Equal(t, http.StatusOK, response.StatusCode, text)
		var link api.Link
		require.NoError(t, json.Unmarshal([]byte(text), &link))
		require.WithinDuration(t, time.Now().Add(time.Minute), link.ExpiresAt, 5*time.Second)
		parsed, err := url.Parse(link.URL)
		require.NoError(t, err)
		return parsed
	}
	require.Equal(t, made.ID+".localhost", open("", `{"address":"host"}`).Hostname())
	require.Equal(t, "127.0.0.1", open("", `{"address":"loopback"}`).Hostname())
	require.Equal(t, "lab.example.org", open("lab.example.org:8080", `{"address":"host"}`).Hostname(), "hosts below localhost are the browser's own machine")
	require.Equal(t, "lab.example.org", open("lab.example.org", "").Hostname())
}

func TestServer_EndsWithClientsConnected(t *testing.T) {
	l := newLab(t, "")
	conn, _, err := websocket.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/api/events", l.port), &websocket.DialOptions{HTTPHeader: l.bearer()})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	request, err := http.NewRequest(http.MethodGet, l.url("/events"), nil)
	require.NoError(t, err)
	request.Header = l.bearer()
	stream, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = stream.Body.Close() }()
	silent, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	begin := time.Now()
	l.stop()
	require.Less(t, time.Since(begin), 8*time.Second)
	_, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
	require.Error(t, err)
}

func TestAPI_OnlyTheVerySpellingsOfProbesAreExemptFromTheGuard(t *testing.T) {
	l := newLab(t, "")
	var made api.Workspace
	l.call(http.MethodPost, "/users/"+l.owner+"/workspace", map[string]any{"is_stopped": true}, &made)
	trick := "/projects/" + l.owner + "/services/" + made.ID + "/access/..%2f..%2f..%2f..%2f..%2fhealthy"
	response, text := l.send(http.MethodGet, trick, nil, http.Header{
		"Authorization": {"Bearer " + l.secret}, "Host": {"evil.example:8080"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://evil.example"},
	})
	require.Equal(t, http.StatusMisdirectedRequest, response.StatusCode, text)
	response, text = l.send(http.MethodGet, trick, nil, http.Header{
		"Authorization": {"Bearer " + l.secret}, "Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"empty"},
	})
	require.Equal(t, http.StatusForbidden, response.StatusCode, text)
}

func TestAPI_AClientThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	l := newLab(t, "")
	for i := range 100 {
		l.call(http.MethodPost, "/users/"+l.owner+"/workspace", map[string]any{"display_name": fmt.Sprintf("w%d %s", i, strings.Repeat("x", 100)), "is_stopped": true}, nil)
	}
	stalled, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = stalled.Close() })
	require.NoError(t, stalled.(*net.TCPConn).SetReadBuffer(4096))
	for range 2000 { // more answers than all buffers between us hold
		_, err := fmt.Fprintf(stalled, "GET /users/%s/workspace HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n", l.owner, l.port, l.secret)
		require.NoError(t, err)
	}
	time.Sleep(500 * time.Millisecond) // nothing outside tells that the server is stuck with it
	var list []api.Workspace
	l.client = &http.Client{Timeout: 10 * time.Second}
	l.call(http.MethodGet, "/users/"+l.owner+"/workspace", nil, &list)
	require.Len(t, list, 100)
}

func TestAPI_NullIsNoIdleTimeout(t *testing.T) {
	l := newLab(t, "[limits]\nidle_timeout = { default = \"1h\" }\n")
	mine := "/users/" + l.owner + "/workspace"
	var made api.Workspace
	l.call(http.MethodPost, mine, map[string]any{"is_stopped": true, "display_name": "a"}, &made)
	require.InDelta(t, 3600, float64(made.IdleTimeout), 0)
	l.call(http.MethodPatch, mine+"/"+made.ID, map[string]any{"display_name": "b"}, &made)
	require.InDelta(t, 3600, float64(made.IdleTimeout), 0)
	l.call(http.MethodPatch, mine+"/"+made.ID, map[string]any{"idle_timeout": nil}, &made)
	require.Zero(t, float64(made.IdleTimeout))
	l.call(http.MethodPost, mine, map[string]any{"is_stopped": true, "idle_timeout": nil}, &made)
	require.Zero(t, float64(made.IdleTimeout))
}

func TestAPI_AWorkspaceKeepsItsVolume(t *testing.T) {
	l := newLab(t, "")
	mine := "/users/" + l.owner + "/workspace"
	var made api.Workspace
	l.call(http.MethodPost, mine, map[string]any{"is_stopped": true}, &made)
	l.call(http.MethodPatch, mine+"/"+made.ID, map[string]any{"storage": map[string]any{"volume": made.Storage.Volume}}, nil)
	status, text := l.request(http.MethodPatch, mine+"/"+made.ID, map[string]any{"storage": map[string]any{"volume": "another"}})
	require.Equal(t, http.StatusUnprocessableEntity, status, text)
	require.Contains(t, text, "keeps its volume")
}

func TestAPI_APersonWhoVisitsAWorkspaceIsAskedToLogIn(t *testing.T) {
	l := newLab(t, "")
	path := "/projects/" + l.owner + "/services/x/access/8080b/lab"
	response, _ := l.send(http.MethodGet, path, nil, http.Header{"Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"none"}})
	require.Equal(t, http.StatusTemporaryRedirect, response.StatusCode)
	target, err := response.Request.URL.Parse(response.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "/app/", target.Path)
	response, _ = l.send(http.MethodGet, path, nil, nil)
	require.Equal(t, http.StatusUnauthorized, response.StatusCode, "scripts are told")
}

// sentWhole sends a body of so many bytes as a proxy does that does not read while it sends, and returns the status of the answer.
func (l *lab) sentWhole(path string, size int) (status int) {
	l.t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", l.port)
	connection, err := net.Dial("tcp", address)
	require.NoError(l.t, err)
	defer func() { _ = connection.Close() }()
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, address, l.bearer().Get("Authorization"), size)
	require.NoError(l.t, err)
	for range size >> 16 {
		_, err = connection.Write(bytes.Repeat([]byte("["), 1<<16))
		require.NoError(l.t, err)
		time.Sleep(20 * time.Millisecond) // as it gets it itself
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(l.t, err)
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}

func TestAPI_AnswersAsHTTPAndUpstreamDo(t *testing.T) {
	l := newLab(t, "")
	mine := "/users/" + l.owner + "/workspace"
	for _, path := range []string{"/healthy", "/ping", "/api/healthy", "/config", mine} {
		response, text := l.send(http.MethodHead, path, nil, l.bearer())
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		require.Empty(t, text)
	}
	response, text := l.send(http.MethodPut, mine, nil, l.bearer())
	require.Equal(t, "Nothing here answers to PUT.", problem(t, response, text, http.StatusMethodNotAllowed).Detail)
	require.Equal(t, []string{"GET", "POST"}, response.Header["Allow"])

	header := l.bearer()
	header.Set("Content-Type", "application/json")
	response, text = l.send(http.MethodPost, mine, []byte(`{"display_name":"`+strings.Repeat("x", 100_000)+`"}`), header)
	require.Equal(t, workspace.CodeInvalid, problem(t, response, text, http.StatusRequestEntityTooLarge).Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, l.sentWhole(mine, 3<<20), "a proxy before us sends on all of it")
	header.Set("Content-Type", "application/xml")
	response, text = l.send(http.MethodPost, mine, []byte(`<x/>`), header)
	require.Contains(t, problem(t, response, text, http.StatusUnsupportedMediaType).Detail, "must be JSON")
	response, text = l.send(http.MethodDelete, mine+"/x?delete_volumes=perhaps", nil, l.bearer())
	require.Equal(t, "query.delete_volumes", problem(t, response, text, http.StatusUnprocessableEntity).Errors[0].Location)
	status, text := l.request(http.MethodPost, mine, map[string]any{"compute": map[string]any{"memory": "2GB"}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, text, "must be a number")
	status, text = l.request(http.MethodPost, mine, map[string]any{"compute": map[string]any{"memory": 8001}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, text, "8001 MB of memory are more than the 8 GB allowed")

	for i, spelling := range []any{true, "True", "true", "1", 1, "yes"} {
		var made api.Workspace
		l.call(http.MethodPost, mine, map[string]any{"display_name": fmt.Sprint(i), "is_stopped": spelling, "clear_volume_on_stop": spelling}, &made)
		require.Equal(t, "stopped", made.Status, spelling)
		require.True(t, made.ClearVolumeOnStop, spelling)
	}
	status, text = l.request(http.MethodPost, mine, map[string]any{"is_stopped": "perhaps"})
	require.Equal(t, http.StatusUnprocessableEntity, status, text)
}

func TestServer_WarnsWhereOthersReachItWithoutEncryption(t *testing.T) {
	for listen, warns := range map[string]bool{"127.0.0.1:0": false, ":0": true, "0.0.0.0:0": true} {
		l := newLab(t, "[server]\nlisten = \""+listen+"\"\n")
		require.Equal(t, warns, strings.Contains(l.log.String(), "without encryption"), listen)
		l.stop()
	}
}
