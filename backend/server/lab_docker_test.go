package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/contaxy/contaxytest"
	"lab-workspace-manager/backend/server"
)

// faultyFront stands between the server and a real lab, and misbehaves when it is told to.
type faultyFront struct {
	*httptest.Server
	fault  atomic.Pointer[http.HandlerFunc] // nil = what comes is passed on
	passes http.Handler
	asked  atomic.Int32
}

func newFaultyFront(t *testing.T, lab *contaxytest.Lab) *faultyFront {
	t.Helper()
	target, err := url.Parse(lab.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f := &faultyFront{passes: proxy}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if fault := f.fault.Load(); fault != nil {
			(*fault)(w, r)
			return
		}
		f.passes.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *faultyFront) misbehaves(how http.HandlerFunc) { f.fault.Store(&how) }
func (f *faultyFront) isWell()                         { f.fault.Store(nil) }

// faults are the ways in which a lab, or what stands before it, is not well.
var faults = map[string]http.HandlerFunc{
	"it answers 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	"its front has nobody behind it": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
	},
	"it answers a page": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Under maintenance</html>")
	},
	"it answers garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0, 1, 2, 0xff, '{'}) },
	"it hangs up": func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	},
	"it says nothing": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
}

// inLab is the server as an extension of a real lab, in this process.
type inLab struct {
	t       *testing.T
	lab     *contaxytest.Lab
	address string
	log     *safeBuffer
	stop    func()
}

func startInLab(t *testing.T, lab *contaxytest.Lab, endpoint string) *inLab {
	t.Helper()
	l := &inLab{t: t, lab: lab, log: &safeBuffer{}}
	loaded := load(t, t.TempDir(), "", "CONTAXY_API_ENDPOINT="+endpoint, "WORKSPACE_IMAGE_DEFAULT="+workspaceImage, "PORT=0")
	port := freePort(t)
	loaded.Config.Server.Listen = fmt.Sprintf("127.0.0.1:%d", port)
	l.address = fmt.Sprintf("http://127.0.0.1:%d/api", port)
	srv, err := server.New(t.Context(), server.Options{
		Loaded: loaded, Frontend: pages, API: true, Log: slog.New(slog.NewTextHandler(l.log, nil)),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	l.stop = func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
		}
		l.stop = func() {}
	}
	t.Cleanup(func() {
		l.stop()
		require.NotContains(t, l.log.String(), "panic")
		for _, user := range []contaxytest.User{lab.Admin, lab.Ada, lab.Bob} {
			require.NotContains(t, l.log.String(), user.Token, "no token is logged")
		}
	})
	return l
}

func (l *inLab) ask(user contaxytest.User, method, path, body string) (status int, text string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, l.address+path, strings.NewReader(body))
	require.NoError(l.t, err)
	request.Header.Set("Authorization", "Bearer "+user.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(l.t, err)
	read, err := io.ReadAll(response.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, response.Body.Close())
	if user.Token != "" {
		require.NotContains(l.t, string(read), user.Token)
	}
	return response.StatusCode, string(read)
}

// begin asks for something that may take longer than the test, and waits for nothing.
func (l *inLab) begin(user contaxytest.User, method, path string) {
	l.t.Helper()
	request, err := http.NewRequestWithContext(l.t.Context(), method, l.address+path, nil)
	require.NoError(l.t, err)
	request.Header.Set("Authorization", "Bearer "+user.Token)
	go func() {
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
}

func (l *inLab) workspaces(user contaxytest.User) string { return "/users/" + user.ID + "/workspace" }

func (l *inLab) list(as, of contaxytest.User) (status int, listed []api.Workspace, text string) {
	l.t.Helper()
	status, text = l.ask(as, http.MethodGet, l.workspaces(of), "")
	if status == http.StatusOK {
		require.NoError(l.t, json.Unmarshal([]byte(text), &listed))
	}
	return status, listed, text
}

func (l *inLab) create(user contaxytest.User, body string) api.Workspace {
	l.t.Helper()
	var made api.Workspace
	require.Eventually(l.t, func() bool { // the lab may be about to be reached
		status, text := l.ask(user, http.MethodPost, l.workspaces(user), body)
		return status == http.StatusOK && json.Unmarshal([]byte(text), &made) == nil
	}, 20*time.Second, 100*time.Millisecond)
	return made
}

// becomes waits until somebody's only workspace has a status.
func (l *inLab) becomes(user contaxytest.User, status string) (shown api.Workspace) {
	l.t.Helper()
	last := ""
	require.Eventually(l.t, func() bool {
		answered, listed, text := l.list(user, user)
		last = text
		if answered != http.StatusOK || len(listed) != 1 {
			return false
		}
		shown = listed[0]
		return shown.Status == status
	}, 2*time.Minute, 100*time.Millisecond, "never %s: %s", status, &last)
	return shown
}

func TestInLab_NothingIsLostWhileTheLabIsNotWell(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	front := newFaultyFront(t, lab)
	front.misbehaves(faults["it hangs up"])
	l := startInLab(t, lab, front.URL+"/api")

	t.Log("a lab that is not there when we start is waited for")
	status, text := l.ask(lab.Ada, http.MethodGet, l.workspaces(lab.Ada), "")
	require.Equal(t, http.StatusServiceUnavailable, status, text)
	require.Contains(t, text, "ML Lab does not answer")
	response, err := http.Get(l.address + "/healthy")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "probes see that we live")
	front.isWell()
	made := l.create(lab.Ada, `{"display_name": "thesis"}`)
	running := l.becomes(lab.Ada, "running")
	container := docker(t, "inspect", "-f", "{{.Id}}", made.ID)

	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			front.misbehaves(fault)
			seen := ""
			require.Eventually(t, func() bool { // at first what was known a moment ago still counts
				status, listed, text := l.list(lab.Ada, lab.Ada)
				seen = text
				require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, status, text)
				if status == http.StatusOK {
					require.Len(t, listed, 1, "nothing is lost")
					return listed[0].Status == "unknown" && listed[0].Reason != ""
				}
				return strings.Contains(text, "ML Lab")
			}, 90*time.Second, 200*time.Millisecond, "it is said: %s", &seen)
			status, text := l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":stop", "")
			require.Equal(t, http.StatusServiceUnavailable, status, text)
			front.isWell()
			again := l.becomes(lab.Ada, "running")
			require.Equal(t, running.AccessURL, again.AccessURL)
		})
	}
	require.Equal(t, container, docker(t, "inspect", "-f", "{{.Id}}", made.ID), "nothing was started anew")

	t.Log("a lab that is restarted, with another key for its sessions, is found again")
	lab.RestartBackend(t, contaxytest.Options{JWTSecret: "another one"})
	l.becomes(lab.Ada, "running")
}

func TestInLab_WhatOthersDoInTheLabIsSeen(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	made := l.create(lab.Ada, `{"display_name": "thesis"}`)
	l.becomes(lab.Ada, "running")
	service := "/api/projects/" + lab.Ada.ID + "/services/" + made.ID
	act := func(action string) {
		t.Helper()
		contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodPost, service+"/actions/"+action, map[string]any{}), http.StatusOK, nil)
	}

	t.Log("and at once by who asks after it: a script stops something there and starts it here")
	time.Sleep(2 * time.Second) // who has listed them ten times a second, as we did, is told what is known for a moment
	act("stop")
	status, listed, text := l.list(lab.Ada, lab.Ada)
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, "stopped", listed[0].Status)
	require.Contains(t, listed[0].Reason, "ML Lab")
	act("start")
	l.becomes(lab.Ada, "running")
	act("stop")
	status, text = l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":start", "")
	require.Equal(t, http.StatusNoContent, status, text)
	l.becomes(lab.Ada, "running")

	t.Log("a container that somebody removed by hand")
	docker(t, "rm", "-f", made.ID)
	l.becomes(lab.Ada, "stopped")
	status, text = l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":start", "")
	require.Equal(t, http.StatusNoContent, status, text)
	l.becomes(lab.Ada, "running")

	t.Log("a service that is no workspace is none of ours, and is told from one that is not there, as upstream does")
	var other struct{ ID string }
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodPost, "/api/projects/"+lab.Ada.ID+"/services", contaxytest.Echo("Something else")), http.StatusOK, &other)
	for _, request := range []string{"GET ", "DELETE ", "PATCH ", "POST :start"} {
		method, verb, _ := strings.Cut(request, " ")
		status, text := l.ask(lab.Ada, method, l.workspaces(lab.Ada)+"/"+other.ID+verb, "{}")
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", request, text)
		require.Contains(t, text, "The service with id "+other.ID+" is not a workspace!")
	}
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, "/api/projects/"+lab.Ada.ID+"/services/"+other.ID, nil), http.StatusOK, nil)
	time.Sleep(time.Second) // as above
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodDelete, service, nil), http.StatusNoContent, nil)
	status, listed, text = l.list(lab.Ada, lab.Ada)
	require.Equal(t, http.StatusOK, status, text)
	require.Empty(t, listed, "a service that was deleted there is gone")
}

func TestInLab_ATokenThatWasRevokedWorksNoLongerThanIsSaid(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	again := lab.Login(t, "ada", "password")
	status, _, text := l.list(again, again)
	require.Equal(t, http.StatusOK, status, text)
	l.revoke(again.Token)
	began := time.Now()
	require.Eventually(t, func() bool { status, _, _ := l.list(again, again); return status == http.StatusUnauthorized }, 40*time.Second, 200*time.Millisecond)
	t.Logf("it worked for %s", time.Since(began).Round(100*time.Millisecond))
	require.Less(t, time.Since(began), 32*time.Second)
}

// followed follows what is told about somebody's workspaces, and returns the types and names of what came.
func (l *inLab) followed(as, of contaxytest.User, until string) (status int, heard []string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.address+"/events?user="+of.ID, nil)
	require.NoError(l.t, err)
	request.Header.Set("Authorization", "Bearer "+as.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(l.t, err)
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for response.StatusCode == http.StatusOK && lines.Scan() {
		text, isData := strings.CutPrefix(lines.Text(), "data: ")
		var event api.Event
		if !isData || json.Unmarshal([]byte(text), &event) != nil {
			continue
		}
		heard = append(heard, event.Type)
		if event.Type == "snapshot" {
			_, _ = l.ask(of, http.MethodPost, l.workspaces(of), `{"display_name":"`+until+`","is_stopped":true}`)
		}
		if event.Workspace != nil && event.Workspace.DisplayName == until {
			break
		}
	}
	return response.StatusCode, heard
}

func TestInLab_WhoAdministersItActsForAnybodyAndNobodyElseDoes(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	status, text := l.ask(lab.Ada, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusOK, status, text)
	require.JSONEq(t, `{"id":"`+lab.Ada.ID+`","name":"ada","admin":false}`, text)
	status, text = l.ask(lab.Admin, http.MethodGet, "/users/"+lab.Ada.ID, "")
	require.Equal(t, http.StatusOK, status, text)
	require.JSONEq(t, `{"id":"`+lab.Ada.ID+`","name":"ada"}`, text)

	status, text = l.ask(lab.Admin, http.MethodGet, "/users/nobody0nobody0nobody0nobo", "")
	require.Equal(t, http.StatusNotFound, status, text)

	status, heard := l.followed(lab.Admin, lab.Ada, "thesis")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "snapshot", heard[0])
	require.Equal(t, "workspace", heard[len(heard)-1], "what somebody does is told to who looks at their workspaces")

	_, listed, _ := l.list(lab.Ada, lab.Ada)
	require.Len(t, listed, 1)
	status, text = l.ask(lab.Admin, http.MethodPost, l.workspaces(lab.Ada)+"/"+listed[0].ID+":stop", "")
	require.Equal(t, http.StatusNoContent, status, text)
	status, text = l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+listed[0].ID+":stop", "")
	require.Equal(t, http.StatusNoContent, status, text)
	status, text = l.ask(lab.Admin, http.MethodGet, "/admin/audit", "")
	require.Equal(t, http.StatusOK, status, text)
	var acts []api.AuditEntry
	require.NoError(t, json.Unmarshal([]byte(text), &acts))
	require.Len(t, acts, 1, "what is one's own is nobody's business")
	require.Equal(t, []string{lab.Admin.ID, "stop", lab.Ada.ID, "thesis"}, []string{acts[0].Admin, acts[0].Action, acts[0].User, acts[0].Workspace})

	for _, path := range []string{"/users/", "/events?user=", "/quota?user=", "/limits?user=", "/host?user="} {
		status, text := l.ask(lab.Bob, http.MethodGet, path+lab.Ada.ID, "")
		require.Equal(t, http.StatusForbidden, status, "%s: %s", path, text)
	}
	status, text = l.ask(lab.Admin, http.MethodGet, "/quota?user="+lab.Ada.ID, "")
	require.Equal(t, http.StatusOK, status, text)
	var quotas api.Quota
	require.NoError(t, json.Unmarshal([]byte(text), &quotas))
	require.Equal(t, lab.Ada.ID, quotas.User)
	require.Equal(t, []any{1.0, (*float64)(nil), (*float64)(nil)}, []any{quotas.Workspaces.Reserved, quotas.CPUs.Used, quotas.Storage.Used}, "nobody measures there")

	for _, stranger := range []contaxytest.User{{}, {Token: strings.Repeat("0", 40)}} {
		status, text := l.ask(stranger, http.MethodGet, "/users/me", "")
		require.Equal(t, http.StatusUnauthorized, status, text)
		var said api.Problem
		require.NoError(t, json.Unmarshal([]byte(text), &said))
		require.Equal(t, "Log in to ML Lab, then load this page again.", said.Hint)
	}
}

func (l *inLab) revoke(token string) {
	l.t.Helper()
	response, err := http.PostForm(l.lab.URL+"/api/auth/oauth/revoke", url.Values{"token": {token}})
	require.NoError(l.t, err)
	require.Less(l.t, response.StatusCode, 300)
}

// Who has left, with everything by which they could be acted for, is no reason for a workspace to run on for ever.
func TestInLab_AnAdministratorStopsAndChangesWhatNobodyElseCan(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	eve := lab.CreateUser(t, "eve")
	made := l.create(eve, `{"display_name": "thesis"}`)
	l.becomes(eve, "running")
	var programs string
	contaxytest.Read(t, lab.Do(t, eve.Token, http.MethodGet, "/api/users/"+eve.ID+"/token?access_level=write", nil), http.StatusOK, &programs)
	l.revoke(programs)
	l.revoke(eve.Token)
	lab.RestartBackend(t, contaxytest.Options{}) // it remembers tokens for five minutes

	began, status, text := time.Now(), 0, ""
	require.Eventually(t, func() bool { // the lab may be about to be reached again
		status, text = l.ask(lab.Admin, http.MethodPatch, "/admin/workspaces/"+made.ID, `{"compute": {"memory": 1500}}`)
		return status == http.StatusOK
	}, 20*time.Second, 100*time.Millisecond, "%s", &text)
	require.Eventually(t, func() bool {
		memory, err := exec.Command("docker", "inspect", "-f", "{{.HostConfig.Memory}}", made.ID).Output()
		return err == nil && strings.TrimSpace(string(memory)) == fmt.Sprint(1500<<20)
	}, time.Minute, 100*time.Millisecond)
	status, text = l.ask(lab.Admin, http.MethodPost, "/admin/workspaces/"+made.ID+":stop", `{"reason": "the room is needed"}`)
	require.Equal(t, http.StatusNoContent, status, text)
	require.Less(t, time.Since(began), time.Minute)
	require.Error(t, exec.Command("docker", "inspect", made.ID).Run(), "it has no container any more")
	status, text = l.ask(lab.Bob, http.MethodPost, "/admin/workspaces/"+made.ID+":stop", "")
	require.Equal(t, http.StatusForbidden, status, text)
}

// What a page follows is not told for longer than it may be seen.
func TestInLab_AStreamEndsWithTheRightThatItBeganWith(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	eve := lab.CreateUser(t, "eve")
	right := "/api/auth/permissions?resource_name=users/" + eve.ID + "&permission=*%23admin"
	contaxytest.Read(t, lab.Do(t, lab.Admin.Token, http.MethodPost, right, nil), http.StatusNoContent, nil)
	status, text := l.ask(eve, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, `"admin":true`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.address+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+eve.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	contaxytest.Read(t, lab.Do(t, lab.Admin.Token, http.MethodDelete, right, nil), http.StatusNoContent, nil)
	began, ended := time.Now(), make(chan struct{})
	go func() { defer close(ended); _, _ = io.Copy(io.Discard, response.Body) }()
	select {
	case <-ended:
		t.Logf("it went on for %s", time.Since(began).Round(100*time.Millisecond))
	case <-time.After(32 * time.Second):
		t.Fatal("it goes on")
	}
	status, text = l.ask(eve, http.MethodGet, "/users/me", "")
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, `"admin":false`)
}

// The lab deletes files only together with a container, and cannot make one of an image that is gone.
func TestInLab_FilesAreDeletedAlsoWhenTheImageIsGone(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	const own = "lab-test-about-to-go:1"
	docker(t, "tag", workspaceImage, own)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", own).Run() })
	made := l.create(lab.Ada, `{"display_name": "thesis", "container_image": "`+own+`"}`)
	volume := l.becomes(lab.Ada, "running").Storage.Volume
	status, text := l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":stop", "")
	require.Equal(t, http.StatusNoContent, status, text)
	docker(t, "rmi", own)
	const path = "?delete_volumes=true"
	l.begin(lab.Ada, http.MethodDelete, l.workspaces(lab.Ada)+"/"+made.ID+path)

	t.Log("it says what it waits for, and can be taken back")
	var stuck api.Workspace
	waits := func() bool {
		_, listed, _ := l.list(lab.Ada, lab.Ada)
		for _, one := range listed {
			if stuck = one; one.ID == made.ID && slices.Contains(one.Actions, "keep") {
				return true
			}
		}
		return false
	}
	require.Eventually(t, waits, time.Minute, 100*time.Millisecond)
	require.Contains(t, stuck.Reason, "The image "+own+" may be gone.")
	require.Eventually(t, func() bool {
		status, text = l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":keep", "")
		return status == http.StatusNoContent
	}, time.Minute, 100*time.Millisecond, "%s", &text)
	require.Equal(t, own, l.becomes(lab.Ada, "stopped").ImageName)
	require.Eventually(t, func() bool {
		var kept struct {
			Image    string `json:"container_image"`
			Metadata map[string]string
		}
		contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, "/api/projects/"+lab.Ada.ID+"/services/"+made.ID, nil), http.StatusOK, &kept)
		return kept.Image == own && kept.Metadata["ctxy.workspaceExtension.removal"] == ""
	}, 20*time.Second, 100*time.Millisecond, "the lab keeps it as it was")
	docker(t, "volume", "inspect", volume)

	t.Log("an image that is there serves")
	l.create(lab.Ada, `{"display_name": "another"}`)
	require.Eventually(t, func() bool {
		_, listed, _ := l.list(lab.Ada, lab.Ada)
		return slices.ContainsFunc(listed, func(w api.Workspace) bool { return w.DisplayName == "another" && w.Status == "running" })
	}, time.Minute, 100*time.Millisecond)
	status, text = l.ask(lab.Ada, http.MethodDelete, l.workspaces(lab.Ada)+"/"+made.ID+path, "")
	require.Equal(t, http.StatusNoContent, status, text)
	require.Error(t, exec.Command("docker", "volume", "inspect", volume).Run())
	require.Error(t, exec.Command("docker", "container", "inspect", made.ID).Run())
}

// A deletion with files takes a container for a moment. This program may end in that moment.
func TestInLab_ADeletionGoesOnAfterARestart(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	front := newFaultyFront(t, lab)
	l := startInLab(t, lab, front.URL+"/api")
	made := l.create(lab.Ada, `{"display_name": "thesis"}`)
	volume := l.becomes(lab.Ada, "running").Storage.Volume
	status, text := l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":stop", "")
	require.Equal(t, http.StatusNoContent, status, text)
	deletes := make(chan struct{}, 100)
	front.misbehaves(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			front.passes.ServeHTTP(w, r)
			return
		}
		deletes <- struct{}{} // it is not heard any more
		panic(http.ErrAbortHandler)
	})
	l.begin(lab.Ada, http.MethodDelete, l.workspaces(lab.Ada)+"/"+made.ID+"?delete_volumes=true")
	<-deletes
	l.stop()
	docker(t, "container", "inspect", made.ID)
	front.isWell()
	l = startInLab(t, lab, front.URL+"/api")
	require.Eventually(t, func() bool {
		status, listed, _ := l.list(lab.Ada, lab.Ada)
		for _, one := range listed {
			require.Equal(t, "terminating", one.Status)
		}
		return status == http.StatusOK && len(listed) == 0
	}, time.Minute, 100*time.Millisecond)
	require.Error(t, exec.Command("docker", "volume", "inspect", volume).Run())
	require.Error(t, exec.Command("docker", "container", "inspect", made.ID).Run())
}

// The lab lists by the names of containers, and takes one that has another name for one more workspace.
func TestInLab_WhoseContainerWasRenamedIsNotLostNorThereTwice(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	made := l.create(lab.Ada, `{"display_name": "thesis"}`)
	volume := l.becomes(lab.Ada, "running").Storage.Volume
	container := docker(t, "inspect", "-f", "{{.Id}}", made.ID)
	other := made.ID + "-old"
	listedInLab := func() (ids []string) {
		var services []struct{ ID string }
		contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, "/api/projects/"+lab.Ada.ID+"/services", nil), http.StatusOK, &services)
		for _, service := range services {
			ids = append(ids, service.ID)
		}
		return ids
	}
	rename := func() {
		t.Helper()
		docker(t, "rename", made.ID, other)
		stopped := l.becomes(lab.Ada, "stopped") // the only one that is listed
		require.Equal(t, made.ID, stopped.ID)
		require.Contains(t, stopped.Reason, "`docker rename "+other+" "+made.ID+"` brings it back")
	}

	rename()
	_, err := lab.Try(t, lab.Ada.Token, http.MethodGet, contaxytest.AccessPath(lab.Ada.ID, other, "8080b")+"/", nil) // the lab's own pages lead there
	require.NoError(t, err)
	require.Never(t, func() bool { _, listed, _ := l.list(lab.Ada, lab.Ada); return len(listed) != 1 }, 5*time.Second, 200*time.Millisecond) // longer than two looks
	require.Contains(t, l.log.String(), "was renamed, so that the lab does not find it")
	docker(t, "rename", other, made.ID)
	require.Equal(t, container, docker(t, "inspect", "-f", "{{.Id}}", made.ID), "what runs in it goes on")
	t.Log("who was visited by the other name stays listed by it, with a word, and can be deleted")
	var left []api.Workspace
	require.Eventually(t, func() bool { _, left, _ = l.list(lab.Ada, lab.Ada); return len(left) == 2 }, 20*time.Second, 200*time.Millisecond)
	at := slices.IndexFunc(left, func(w api.Workspace) bool { return w.ID == other })
	require.Contains(t, left[at].Reason, "renamed the container of thesis")
	status, text := l.ask(lab.Ada, http.MethodDelete, l.workspaces(lab.Ada)+"/"+other, "")
	require.Equal(t, http.StatusNoContent, status, text)
	require.Equal(t, container, docker(t, "inspect", "-f", "{{.Id}}", made.ID))
	require.Equal(t, []string{made.ID}, listedInLab(), "nothing is left of the other name")

	t.Log("a start makes a new one in its place, also when this program has just begun")
	rename()
	l.stop()
	l = startInLab(t, lab, lab.URL+"/api")
	require.Contains(t, l.becomes(lab.Ada, "stopped").Reason, "runs on under another name")
	status, text = l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":start", "")
	require.Equal(t, http.StatusNoContent, status, text)
	l.becomes(lab.Ada, "running")
	require.NotEqual(t, container, docker(t, "inspect", "-f", "{{.Id}}", made.ID))
	require.Error(t, exec.Command("docker", "container", "inspect", other).Run())
	require.Eventually(t, func() bool { return slices.Equal(listedInLab(), []string{made.ID}) }, 20*time.Second, 200*time.Millisecond)

	t.Log("and it can be deleted with all that is of it")
	rename()
	status, text = l.ask(lab.Ada, http.MethodDelete, l.workspaces(lab.Ada)+"/"+made.ID+"?delete_volumes=true", "")
	require.Equal(t, http.StatusNoContent, status, text)
	require.Error(t, exec.Command("docker", "container", "inspect", other).Run())
	require.Error(t, exec.Command("docker", "volume", "inspect", volume).Run())
}

// The lab forgets a user, and leaves what they have.
func TestInLab_WhatADeletedUserHasLeftCanBeSeenAndDeleted(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	eve := lab.CreateUser(t, "eve")
	made := l.create(eve, `{"display_name": "thesis"}`)
	volume := l.becomes(eve, "running").Storage.Volume
	contaxytest.Read(t, lab.Do(t, lab.Admin.Token, http.MethodDelete, "/api/users/"+eve.ID, nil), http.StatusNoContent, nil)

	status, text := l.ask(lab.Admin, http.MethodGet, "/users/"+eve.ID, "")
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, "a user who was deleted in ML Lab")
	status, listed, text := l.list(lab.Admin, eve)
	require.Equal(t, http.StatusOK, status, text)
	require.Len(t, listed, 1)
	status, text = l.ask(lab.Admin, http.MethodPost, l.workspaces(eve), `{"display_name": "for nobody"}`)
	require.Equal(t, http.StatusNotFound, status, text)
	status, text = l.ask(lab.Admin, http.MethodPost, l.workspaces(eve)+"/"+made.ID+":stop", "")
	require.Equal(t, http.StatusNoContent, status, text)
	status, text = l.ask(lab.Admin, http.MethodDelete, l.workspaces(eve)+"/"+made.ID+"?delete_volumes=true", "")
	require.Equal(t, http.StatusNoContent, status, text)
	require.Error(t, exec.Command("docker", "container", "inspect", made.ID).Run())
	require.Error(t, exec.Command("docker", "volume", "inspect", volume).Run())
	status, text = l.ask(lab.Admin, http.MethodGet, "/users/"+eve.ID, "")
	require.Equal(t, http.StatusNotFound, status, text)
}

// A project can be shared. Who may change what is in it is not its owner for all that: the token for the programs in a
// workspace is worth everything that its owner may do in the lab.
func TestInLab_WhoSharesAProjectGetsNoTokenOfItsOwner(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	made := l.create(lab.Ada, `{"display_name": "thesis"}`)
	l.becomes(lab.Ada, "running") // so the token of ada's programs is known
	member := "/api/projects/" + lab.Ada.ID + "/users/" + lab.Bob.ID
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodPut, member+"?access_level=write", nil), http.StatusOK, nil)
	t.Cleanup(func() { _ = lab.Do(t, lab.Ada.Token, http.MethodDelete, member, nil) })
	seen := func(id, status string) {
		t.Helper()
		last := ""
		require.Eventually(t, func() bool {
			answered, listed, text := l.list(lab.Bob, lab.Ada)
			last = text
			at := slices.IndexFunc(listed, func(w api.Workspace) bool { return w.ID == id })
			return answered == http.StatusOK && at >= 0 && listed[at].Status == status
		}, 2*time.Minute, 100*time.Millisecond, "never %s: %s", status, &last)
	}
	seen(made.ID, "running")

	t.Log("it takes its owner to create one: a token of theirs goes into it")
	status, text := l.ask(lab.Bob, http.MethodPost, l.workspaces(lab.Ada), `{"display_name": "stolen"}`)
	require.Equal(t, http.StatusForbidden, status, text)
	require.Contains(t, text, "holds a token of its owner")
	status, listed, text := l.list(lab.Bob, lab.Ada)
	require.Equal(t, http.StatusOK, status, text)
	require.Len(t, listed, 1, "nothing is left of what was refused")
	status, text = l.ask(lab.Admin, http.MethodPost, l.workspaces(lab.Ada), `{"display_name": "given", "is_stopped": true}`)
	require.Equal(t, http.StatusOK, status, "who administers the lab may: %s", text)

	t.Log("who may change what is there restarts it, also where its owner was not here yet")
	l.stop()
	l = startInLab(t, lab, lab.URL+"/api")
	require.Eventually(t, func() bool { status, _, _ := l.list(lab.Bob, lab.Ada); return status == http.StatusOK }, 20*time.Second, 100*time.Millisecond)
	container := docker(t, "inspect", "-f", "{{.Id}}", made.ID)
	status, text = l.ask(lab.Bob, http.MethodPost, l.workspaces(lab.Ada)+"/"+made.ID+":restart", "")
	require.Equal(t, http.StatusNoContent, status, text)
	require.Eventually(t, func() bool {
		now, err := exec.Command("docker", "inspect", "-f", "{{.Id}}", made.ID).Output()
		return err == nil && strings.TrimSpace(string(now)) != container
	}, time.Minute, 100*time.Millisecond)
	seen(made.ID, "running")

	t.Log("nor is the token put into what somebody else has made without it")
	_, _, _ = l.list(lab.Ada, lab.Ada)
	bait := map[string]any{
		"container_image": workspaceImage, "display_name": "WS bait", "endpoints": []string{"8080b"}, "is_stopped": true, "clear_volume_on_stop": true,
		"metadata":   map[string]string{"ctxy.workspaceExtension.deploymentType": "workspace"},
		"parameters": map[string]string{"MINE": "kept", "WORKSPACE_BASE_URL": "{env.CONTAXY_SERVICE_URL}"},
		"compute":    map[string]any{"volume_path": "/workspace"},
	}
	var laid struct {
		ID         string
		Parameters map[string]string
	}
	services := "/api/projects/" + lab.Ada.ID + "/services"
	contaxytest.Read(t, lab.Do(t, lab.Bob.Token, http.MethodPost, services, bait), http.StatusOK, &laid)
	seen(laid.ID, "stopped")
	for range 2 {
		status, text = l.ask(lab.Bob, http.MethodPost, l.workspaces(lab.Ada)+"/"+laid.ID+":start", "")
		require.Equal(t, http.StatusNoContent, status, text)
		seen(laid.ID, "running")
		docker(t, "kill", laid.ID) // what has ended by itself has files still to be cleared
		seen(laid.ID, "failed")
		status, text = l.ask(lab.Bob, http.MethodPost, l.workspaces(lab.Ada)+"/"+laid.ID+":stop", "")
		require.Equal(t, http.StatusNoContent, status, text)
		seen(laid.ID, "stopped")
		contaxytest.Read(t, lab.Do(t, lab.Bob.Token, http.MethodGet, services+"/"+laid.ID, nil), http.StatusOK, &laid)
		require.NotContains(t, laid.Parameters, "LAB_API_TOKEN")
		require.Equal(t, "kept", laid.Parameters["MINE"], "it is as who made it has made it")
	}
}

// The lab is told again and again of what runs; nothing of it may look like a change that nobody has made.
func TestInLab_WhatRunsIsNotStartedAnewUnasked(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	const unlisted = "lab-test-unlisted:1"
	docker(t, "tag", workspaceImage, unlisted)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", unlisted).Run() })
	made := l.create(lab.Ada, `{"display_name": "calm", "profile": "workspace-minimal", "container_image": "`+unlisted+`"}`)
	l.becomes(lab.Ada, "running")
	container := docker(t, "inspect", "--format", "{{.Id}}", made.ID)
	isTheSame := func() {
		t.Helper()
		shown := l.becomes(lab.Ada, "running")
		require.Equal(t, "workspace-minimal", shown.Profile)
		require.Equal(t, container, docker(t, "inspect", "--format", "{{.Id}}", made.ID))
	}
	for began := time.Now(); time.Since(began) < 35*time.Second; time.Sleep(time.Second) { // all is looked at every 30 s
		isTheSame()
	}
	l.stop()
	l = startInLab(t, lab, lab.URL+"/api")
	for range 5 {
		isTheSame()
		time.Sleep(time.Second)
	}
	require.NotContains(t, l.log.String(), "was changed at its engine")
}

// Jupyter makes up a token where it is told none, and the lab's proxy knows no token.
func TestInLab_AnImageThatLocksItselfIsOpenToWhomTheLabLetsIn(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startInLab(t, lab, lab.URL+"/api")
	l.create(lab.Ada, `{"display_name": "stacks", "profile": "jupyter-docker-stacks", "container_image": "`+imageOf(t, "stacks-like")+`"}`)
	shown := l.becomes(lab.Ada, "running")
	require.Equal(t, "jupyter-docker-stacks", shown.Profile)
	contents := strings.TrimSuffix(*shown.AccessURL, "/") + "/api/contents"
	require.True(t, strings.HasSuffix(contents, "/access/8888b/api/contents"), contents)
	require.Eventually(t, func() bool { // the lab's front is cut off for a moment while it joins the project's network
		answer, err := lab.Try(t, lab.Ada.Token, http.MethodGet, contents, nil)
		return err == nil && answer.StatusCode == http.StatusOK
	}, 20*time.Second, 100*time.Millisecond)
	answer, err := lab.Try(t, lab.Bob.Token, http.MethodGet, contents, nil) // the lab's front hangs up on whom it refuses
	require.True(t, err != nil || answer.StatusCode == http.StatusForbidden)
}

// What the lab says counts, and is asked for as seldom as can be.
func TestInLab_OurShareOfARequest(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	front := newFaultyFront(t, lab)
	l := startInLab(t, lab, front.URL+"/api")
	const many = 40
	for n := range many {
		l.create(lab.Ada, fmt.Sprintf(`{"display_name": "workspace %d", "is_stopped": true}`, n))
	}
	l.stop()
	l = startInLab(t, lab, front.URL+"/api")
	require.Eventually(t, func() bool {
		status, listed, _ := l.list(lab.Ada, lab.Ada)
		return status == http.StatusOK && len(listed) == many
	}, 20*time.Second, 10*time.Millisecond)
	before, took, since := front.asked.Load(), []time.Duration{}, time.Now()
	for range 200 {
		began := time.Now()
		status, listed, text := l.list(lab.Ada, lab.Ada)
		took = append(took, time.Since(began))
		require.Equal(t, http.StatusOK, status, text)
		require.Len(t, listed, many)
	}
	slices.Sort(took)
	t.Logf("a list of %d, the lab's yes known: median %s, slowest %s; the lab was asked %d times during 200 lists, in %s", many, took[len(took)/2], took[len(took)-1], front.asked.Load()-before, time.Since(since))
	// Of its own accord it looks every two seconds; for lists three times, and then once in 700 ms; and one look may be under way.
	seconds := time.Since(since).Seconds()
	require.LessOrEqual(t, float64(front.asked.Load()-before), 4+seconds/2+seconds/0.7)
}
