//go:build linux

package contaxytest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

type service struct {
	ID     string
	Status string
	UI     string `json:"ui_extension_endpoint"`
	Icon   string
}

func services(t *testing.T, l *Lab, user User) map[string]string {
	t.Helper()
	var found []service
	Read(t, l.Do(t, user.Token, http.MethodGet, "/api/projects/"+user.ID+"/services", nil), http.StatusOK, &found)
	statusOf := map[string]string{}
	for _, s := range found {
		statusOf[s.ID] = s.Status
	}
	return statusOf
}

// install registers an echo as a global extension.
func install(t *testing.T, l *Lab) service {
	t.Helper()
	extension := Echo("Echo extension")
	extension["ui_extension_endpoint"] = "8080/app#/users/{env.userId}/workspace"
	extension["icon"] = "code"
	var installed service
	Read(t, l.Do(t, l.Admin.Token, http.MethodPost, "/api/projects/ctxy-global/extensions", extension), http.StatusOK, &installed)
	l.WaitUntilReachable(t, l.Ada.Token, "ctxy-global", installed.ID, "/healthy")
	return installed
}

func TestLab_HasUsersWhoMayDoWhatTheyMay(t *testing.T) {
	l := Start(t, Options{})
	require.Len(t, l.Ada.ID, 25)
	verify := func(token, id string) int {
		return l.Do(t, token, http.MethodPost, "/api/auth/tokens/verify?permission=users/"+id+"%23write", nil).StatusCode
	}
	require.Equal(t, http.StatusOK, verify(l.Ada.Token, l.Ada.ID))
	require.Equal(t, http.StatusForbidden, verify(l.Ada.Token, l.Bob.ID))
	require.Equal(t, http.StatusOK, verify(l.Admin.Token, l.Bob.ID))
	require.Equal(t, http.StatusUnauthorized, verify("0123456789012345678901234567890123456789", l.Ada.ID))

	eve := l.CreateUser(t, "eve")
	require.Equal(t, http.StatusOK, verify(eve.Token, eve.ID))
}

func TestLab_TakesAnExtension(t *testing.T) {
	l := Start(t, Options{})
	asUser := Echo("Echo extension")
	require.Equal(t, http.StatusForbidden, l.Do(t, l.Ada.Token, http.MethodPost, "/api/projects/ctxy-global/extensions", asUser).StatusCode)
	asGlobal := Echo("Echo extension")
	asGlobal["extension_type"] = "global-extension"
	require.Equal(t, http.StatusUnprocessableEntity, l.Do(t, l.Admin.Token, http.MethodPost, "/api/projects/ctxy-global/extensions", asGlobal).StatusCode)

	installed := install(t, l)
	require.Equal(t, l.Namespace+"-p-ctxy-global-s-echo-exten", installed.ID[:len(l.Namespace)+27])
	var listed []service
	Read(t, l.Do(t, l.Ada.Token, http.MethodGet, "/api/projects/ctxy-global/extensions", nil), http.StatusOK, &listed)
	require.Len(t, listed, 1)
	require.Equal(t, AccessPath("ctxy-global", installed.ID, "8080")+"/app#/users/"+l.Ada.ID+"/workspace", listed[0].UI)
	require.Equal(t, "code", listed[0].Icon)

	got := l.docker(t, "inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}}", installed.ID)
	require.Equal(t, fmt.Sprintf("%d %d on-failure", 100<<20, int64(1e9)), got)
	var echoed Echoed
	Read(t, l.Do(t, l.Ada.Token, http.MethodGet, AccessPath("ctxy-global", installed.ID, "8080")+"/", nil), http.StatusOK, &echoed)
	require.Equal(t, l.Endpoint, echoed.Environment["CONTAXY_API_ENDPOINT"])
	require.Equal(t, AccessPath("ctxy-global", installed.ID, "8080"), echoed.Environment["CONTAXY_SERVICE_URL"])
	require.NotEmpty(t, echoed.Environment["CONTAXY_API_TOKEN"])
}

func TestFront_LetsInWhomTheLabLetsIn(t *testing.T) {
	l := Start(t, Options{})
	path := AccessPath("ctxy-global", install(t, l).ID, "8080")

	answer := l.Do(t, "", http.MethodGet, path+"/", nil)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	require.Equal(t, "No auth cookie set", string(text))
	require.Equal(t, http.StatusForbidden, l.Do(t, "", http.MethodOptions, path+"/", nil).StatusCode)
	require.Equal(t, http.StatusForbidden, l.Do(t, "", http.MethodGet, path+"/?ct_token="+l.Ada.Token, nil).StatusCode)
	require.Equal(t, http.StatusUnauthorized, l.Do(t, l.Ada.Token, http.MethodGet, strings.Replace(path, "ctxy-global", "other", 1), nil).StatusCode)
	for _, token := range []string{"bogus", "0123456789012345678901234567890123456789"} {
		_, err = l.Try(t, token, http.MethodGet, path+"/", nil)
		require.ErrorIs(t, err, io.EOF, "the front closes without an answer")
	}

	answer = l.Do(t, l.Ada.Token, http.MethodGet, path+"/", nil)
	var paths []string
	for _, cookie := range answer.Cookies() {
		require.Equal(t, "ct_session_token", cookie.Name)
		require.Equal(t, 895, cookie.MaxAge)
		require.True(t, cookie.HttpOnly)
		paths = append(paths, cookie.Path)
	}
	require.Equal(t, []string{path, path + "b"}, paths)

	// Whoever has that cookie is in, whatever token is beside it, and the backend is not asked.
	request, err := http.NewRequest(http.MethodGet, l.URL+path+"/", nil)
	require.NoError(t, err)
	request.AddCookie(answer.Cookies()[0])
	request.Header.Set("Authorization", "Bearer bogus")
	answer, err = buffered(plain, request)
	require.NoError(t, err)
	var echoed Echoed
	Read(t, answer, http.StatusOK, &echoed)
	require.Equal(t, []string{"Bearer bogus"}, echoed.Header("Authorization"))
	require.Empty(t, answer.Cookies())
}

func TestFront_HandsOnWhatItWasAsked(t *testing.T) {
	l := Start(t, Options{})
	id := install(t, l).ID
	stripped, whole := AccessPath("ctxy-global", id, "8080"), AccessPath("ctxy-global", id, "8080b")
	for path, target := range map[string]string{
		stripped:                       "/",
		stripped + "/":                 "/",
		stripped + "/api/x?y=1&z=%2F":  "/api/x?y=1&z=%2F",
		stripped + "/a%2Fb//c/../d":    "/a/b/d",
		stripped + "/users/1/ws:start": "/users/1/ws:start",
		whole + "/api/x?y=1":           whole + "/api/x?y=1",
	} {
		var echoed Echoed
		Read(t, l.Do(t, l.Ada.Token, http.MethodPatch, path, map[string]int{"a": 1}), http.StatusOK, &echoed)
		require.Equal(t, target, echoed.Target, path)
		require.Equal(t, http.MethodPatch, echoed.Method)
		require.Equal(t, `{"a":1}`, echoed.Body)
	}

	answer, err := l.Browser(t, l.Ada).Get(l.URL + stripped + "/")
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }() // it was read to its end
	var echoed Echoed
	Read(t, answer, http.StatusOK, &echoed)
	for name, value := range map[string]string{
		"Host": "127.0.0.1", "X-Forwarded-Host": "127.0.0.1", "X-Forwarded-Server": "127.0.0.1", "X-Forwarded-For": "127.0.0.1",
		"Connection": "close",
	} {
		require.Equal(t, []string{value}, echoed.Header(name), name)
	}
	require.Empty(t, echoed.Header("X-Forwarded-Proto"))
	cookies := strings.Join(echoed.Header("Cookie"), "; ")
	require.Contains(t, cookies, "ct_token=")
	require.Contains(t, cookies, "ctxy_authorized_user="+l.Ada.ID)

	redirected := l.Do(t, l.Ada.Token, http.MethodGet, stripped+"/redirect?to=/x/y", nil)
	require.Equal(t, l.URL+stripped+"/x/y", redirected.Header.Get("Location"))
	redirected = l.Do(t, l.Ada.Token, http.MethodGet, stripped+"/redirect?to=x", nil)
	require.Equal(t, "x", redirected.Header.Get("Location"))
}

func TestFront_PassesWebSocketsOn(t *testing.T) {
	l := Start(t, Options{})
	path := AccessPath("ctxy-global", install(t, l).ID, "8080")
	connection, err := net.Dial("tcp", strings.TrimPrefix(l.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = connection.Close() }() // nothing is left to be said
	require.NoError(t, connection.SetDeadline(time.Now().Add(answersWithin)))
	_, err = fmt.Fprintf(connection, "GET %s/ws HTTP/1.1\r\nHost: lab:1\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, l.Ada.Token)
	require.NoError(t, err)
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", answer.Header.Get("Sec-WebSocket-Accept"))
	_, err = io.WriteString(connection, "there and back\n")
	require.NoError(t, err)
	back, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "there and back\n", back)
}

func TestLab_RunsServices(t *testing.T) {
	l := Start(t, Options{})
	path := "/api/projects/" + l.Ada.ID + "/services"
	wanted := Echo("WS my ws")
	wanted["compute"] = map[string]any{"volume_path": "/data", "min_memory": 4}
	var made service
	Read(t, l.Do(t, l.Ada.Token, http.MethodPost, path+"?wait=true", wanted), http.StatusOK, &made)
	require.Equal(t, l.Namespace+"-p-"+l.Ada.ID+"-s-ws-my-ws", made.ID)
	require.Equal(t, map[string]string{made.ID: "running"}, services(t, l, l.Ada))
	require.Equal(t, http.StatusConflict, l.Do(t, l.Ada.Token, http.MethodPost, path, wanted).StatusCode)
	require.Equal(t, http.StatusForbidden, l.Do(t, l.Bob.Token, http.MethodGet, path+"/"+made.ID, nil).StatusCode)

	act := func(action string) int {
		return l.Do(t, l.Ada.Token, http.MethodPost, path+"/"+made.ID+"/actions/"+action, nil).StatusCode
	}
	require.Equal(t, http.StatusOK, act("stop"))
	require.Equal(t, map[string]string{made.ID: "stopped"}, services(t, l, l.Ada))
	require.Equal(t, http.StatusBadRequest, act("stop"))
	require.Equal(t, http.StatusOK, act("start"))
	l.WaitUntilReachable(t, l.Ada.Token, l.Ada.ID, made.ID, "/healthy")
	volumes := func() string {
		return l.docker(t, "volume", "ls", "--quiet", "--filter", "label=ctxy.namespace="+l.Namespace)
	}
	require.Equal(t, l.Ada.ID+"-"+made.ID+"-vol", volumes())
	require.Equal(t, http.StatusNoContent, l.Do(t, l.Ada.Token, http.MethodDelete, path+"/"+made.ID+"?delete_volumes=true", nil).StatusCode)
	require.Empty(t, services(t, l, l.Ada))
	require.Empty(t, volumes())
}

func TestLab_IsLeftWithoutServices(t *testing.T) {
	l := Start(t, Options{})
	t.Run("makes some", func(t *testing.T) {
		require.Same(t, l, Start(t, Options{}), "one lab for all tests")
		install(t, l)
		wanted := Echo("WS left behind")
		wanted["compute"] = map[string]any{"volume_path": "/data"}
		Read(t, l.Do(t, l.Ada.Token, http.MethodPost, "/api/projects/"+l.Ada.ID+"/services?wait=true", wanted), http.StatusOK, nil)
	})
	require.Empty(t, services(t, l, l.Ada))
	var extensions []service
	Read(t, l.Do(t, l.Ada.Token, http.MethodGet, "/api/projects/ctxy-global/extensions", nil), http.StatusOK, &extensions)
	require.Empty(t, extensions)
	ours := "label=ctxy.namespace=" + l.Namespace
	require.Len(t, strings.Fields(l.docker(t, "ps", "--all", "--quiet", "--filter", ours)), 3, "the lab itself")
	require.Empty(t, l.docker(t, "volume", "ls", "--quiet", "--filter", ours))
}

func TestFront_ForgetsAddressesBetweenTests(t *testing.T) {
	l := Start(t, Options{})
	address := func(name string) string {
		var made service
		Read(t, l.Do(t, l.Ada.Token, http.MethodPost, "/api/projects/"+l.Ada.ID+"/services?wait=true", Echo(name)), http.StatusOK, &made)
		l.WaitUntilReachable(t, l.Ada.Token, l.Ada.ID, made.ID, "/healthy")
		return l.docker(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", made.ID)
	}
	address("WS first")
	before := address("WS second")
	l.RemoveServices(t)
	require.NotEqual(t, before, address("WS second"), "else this shows nothing")
}

func TestFront_ShowsComponentsToPeople(t *testing.T) {
	l := Start(t, Options{})
	require.Equal(t, l.URL+"/app/", l.Do(t, "", http.MethodGet, "/", nil).Header.Get("Location"))
	answer := l.Do(t, "", http.MethodGet, "/app/", nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", answer.Header.Get("Content-Type"))
}

func TestLab_TellsWhatItWasAsked(t *testing.T) {
	l := Start(t, Options{})
	asked := l.During(t, func() {
		for _, path := range []string{"/api/system/info?a=b", "/api/users/me", "/healthy"} {
			answer, err := http.Get(l.URL + path) // by its own name, not by ours
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
		}
		l.Do(t, l.Ada.Token, http.MethodGet, "/api/users/me", nil)
	})
	require.Equal(t, []Request{
		{Method: "GET", Path: "/system/info", Query: "a=b", Status: 200, Agent: "Go-http-client/1.1"},
		{Method: "GET", Path: "/users/me", Status: 401, Agent: "Go-http-client/1.1"},
	}, asked)
}

func TestLab_CanFail(t *testing.T) {
	l := Start(t, Options{})
	ask := func() (int, error) {
		client := *plain
		client.Timeout = time.Second
		request, err := http.NewRequest(http.MethodGet, l.URL+"/api/projects/"+l.Ada.ID+"/services", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+l.Ada.Token)
		answer, err := buffered(&client, request)
		if err != nil {
			return 0, err
		}
		return answer.StatusCode, nil
	}
	isWell := func() {
		t.Helper()
		status, err := ask()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
	isWell()

	l.StopDatabase(t)
	status, err := ask()
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, status)
	l.StartDatabase(t)
	isWell()

	l.PauseBackend(t)
	_, err = ask()
	require.True(t, os.IsTimeout(err), "%v", err)
	l.ResumeBackend(t)
	isWell()

	l.StopBackend(t)
	_, err = ask()
	var refused *net.OpError
	require.True(t, errors.As(err, &refused), "%v", err)
	l.StartBackend(t)
	isWell()
}

func TestLab_BelowAPathAndImpatient(t *testing.T) {
	l := Start(t, Options{BaseURL: "/lab", IdleCheck: time.Second})
	installed := install(t, l)
	path := AccessPath("ctxy-global", installed.ID, "8080")
	require.Equal(t, "/lab"+path+"/app#/users/"+l.Admin.ID+"/workspace", installed.UI)
	var echoed Echoed
	answer := l.Do(t, l.Ada.Token, http.MethodGet, path+"/x", nil)
	Read(t, answer, http.StatusOK, &echoed)
	require.Equal(t, "/x", echoed.Target)
	require.Equal(t, path, answer.Cookies()[0].Path, "without the path of the lab, as in ML Lab")

	wanted := Echo("WS idle")
	wanted["idle_timeout"] = 1
	Read(t, l.Do(t, l.Ada.Token, http.MethodPost, "/api/projects/"+l.Ada.ID+"/services?wait=true", wanted), http.StatusOK, nil)
	require.Eventually(t, func() bool {
		for _, status := range services(t, l, l.Ada) {
			return status == "stopped"
		}
		return false
	}, answersWithin, 4*pause, "nobody stops what is idle")
}

// As a package without Main has it: the lab is the test's own, and what is done to it needs not be undone.
func TestLab_OfItsOwnIsChangedAndLeavesNothing(t *testing.T) {
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs Docker: set LAB_TEST_DOCKER=1")
	}
	kept := shared.kept
	shared.kept = false
	defer func() { shared.kept = kept }()
	var l *Lab
	t.Run("signs with another secret", func(t *testing.T) {
		l = Start(t, Options{JWTSecret: "one"})
		path := AccessPath("ctxy-global", install(t, l).ID, "8080") + "/"
		session := l.Do(t, l.Ada.Token, http.MethodGet, path, nil).Cookies()[0]
		withSession := func() int {
			request, err := http.NewRequest(http.MethodGet, l.URL+path, nil)
			require.NoError(t, err)
			request.AddCookie(session)
			answer, err := buffered(plain, request)
			require.NoError(t, err)
			return answer.StatusCode
		}
		require.Equal(t, http.StatusOK, withSession())
		l.RestartBackend(t, Options{JWTSecret: "another"})
		require.Equal(t, http.StatusForbidden, withSession())
		require.Equal(t, http.StatusOK, l.Do(t, l.Ada.Token, http.MethodGet, path, nil).StatusCode, "API tokens are in the database")
	})
	for _, command := range [][]string{{"ps", "--all"}, {"volume", "ls"}, {"network", "ls"}} {
		found, err := exec.Command("docker", append(command, "--quiet", "--filter", "label=ctxy.namespace="+l.Namespace)...).Output()
		require.NoError(t, err)
		require.Empty(t, string(found), "%v", command)
	}
	require.Error(t, exec.Command("docker", "network", "inspect", l.Network).Run())
}
