package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/contaxy/contaxytest"
)

// programInLab is the real program as an extension of a real lab, which can be killed.
type programInLab struct {
	*inLab
	program *program
}

func startProgramInLab(t *testing.T, lab *contaxytest.Lab, config string) *programInLab {
	t.Helper()
	p := newProgram(t)
	p.config, p.env = config, []string{"CONTAXY_API_ENDPOINT=" + lab.URL + "/api", "WORKSPACE_IMAGE_DEFAULT=" + workspaceImage}
	address := fmt.Sprintf("http://127.0.0.1:%d/api", p.port)
	l := &programInLab{inLab: &inLab{t: t, lab: lab, address: address, stop: func() {}}, program: p}
	l.launches()
	return l
}

// killAndStart ends the program as a power cut would, and starts one that knows nothing.
func (l *programInLab) killAndStart() {
	l.t.Helper()
	l.program.kill()
	require.NotContains(l.t, l.program.output.String(), "panic")
	l.launches()
}

// launches starts the program and waits until it listens.
func (l *programInLab) launches() {
	l.t.Helper()
	l.program.launch()
	require.Eventually(l.t, func() bool {
		response, err := http.Get(l.address + "/healthy")
		return err == nil && response.Body.Close() == nil
	}, 30*time.Second, 20*time.Millisecond, "the program does not answer: %s", l.program.output)
}

// shows waits until a workspace of ada's is shown as it should be.
func (l *programInLab) shows(name, what string, holds func(api.Workspace) bool) (shown api.Workspace) {
	l.t.Helper()
	last := ""
	defer func() {
		if l.t.Failed() {
			l.t.Logf("%s is never %s: %s", name, what, last)
		}
	}()
	require.Eventually(l.t, func() bool {
		var listed []api.Workspace
		_, listed, last = l.list(l.lab.Ada, l.lab.Ada)
		for _, shown = range listed {
			if shown.DisplayName == name {
				return holds(shown)
			}
		}
		return false
	}, 2*time.Minute, 50*time.Millisecond)
	return shown
}

func is(status string) func(api.Workspace) bool {
	return func(w api.Workspace) bool { return w.Status == status }
}

// volumes are ada's.
func (l *programInLab) volumes() (listed []api.Volume) {
	l.t.Helper()
	status, text := l.ask(l.lab.Ada, http.MethodGet, "/users/"+l.lab.Ada.ID+"/volumes", "")
	require.Equal(l.t, http.StatusOK, status, text)
	require.NoError(l.t, json.Unmarshal([]byte(text), &listed))
	return listed
}

func (l *programInLab) deletes(path string) {
	l.t.Helper()
	status, text := l.ask(l.lab.Ada, http.MethodDelete, path, "")
	require.Equal(l.t, http.StatusNoContent, status, text)
}

func TestInLab_FilesOutliveTheirWorkspaceAndTheExtension(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startProgramInLab(t, lab, "")
	in := func(made api.Workspace, command string) string {
		t.Helper()
		return strings.TrimSpace(docker(t, "exec", made.ID, "sh", "-c", command))
	}
	isThere := func(volume string) bool { return exec.Command("docker", "volume", "inspect", volume).Run() == nil }
	first := l.create(lab.Ada, `{"display_name": "a", "storage": {"volume_size": 3000}}`)
	l.shows("a", "running", is("running"))
	in(first, "echo precious > /workspace/draft")
	volume := l.shows("a", "running", is("running")).Storage.Volume
	l.deletes(l.workspaces(lab.Ada) + "/" + first.ID)
	l.killAndStart()
	listed := l.volumes()
	require.Len(t, listed, 1)
	require.Equal(t, []any{volume, "a", (*string)(nil)}, []any{listed[0].Name, listed[0].DisplayName, listed[0].UsedBy})
	require.NotNil(t, listed[0].KeptSince)

	t.Log("the next one of the name does not have them")
	second := l.create(lab.Ada, `{"display_name": "a"}`)
	l.shows("a", "running", is("running"))
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, "none", in(second, "cat /workspace/draft 2>/dev/null || echo none"))

	t.Log("who asks for them does, whatever it is called")
	lab.ForgetAddresses(t)
	third := l.create(lab.Ada, `{"display_name": "book – ü", "storage": {"volume": "`+volume+`"}}`)
	require.Equal(t, first.ID, third.ID)
	l.shows("book – ü", "running", is("running"))
	require.Equal(t, "precious", in(third, "cat /workspace/draft"))
	l.killAndStart()
	l.shows("book – ü", "running", is("running"))
	l.shows("a", "running", is("running"))

	t.Log("also when it was never started with them")
	l.deletes(l.workspaces(lab.Ada) + "/" + third.ID)
	l.create(lab.Ada, `{"display_name": "book", "is_stopped": true, "storage": {"volume": "`+volume+`"}}`)
	l.killAndStart()
	l.shows("book", "stopped", is("stopped"))
	l.deletes(l.workspaces(lab.Ada) + "/" + third.ID)
	l.killAndStart()
	listed = l.volumes()
	require.Len(t, listed, 2)
	require.Equal(t, []any{volume, "book"}, []any{listed[1].Name, listed[1].DisplayName})
	require.True(t, isThere(volume))

	t.Log("until they are deleted")
	l.deletes("/users/" + lab.Ada.ID + "/volumes/" + volume)
	require.False(t, isThere(volume))
	require.Len(t, l.volumes(), 1)
	l.killAndStart()
	require.Len(t, l.volumes(), 1)
	var services []struct{ ID string }
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, "/api/projects/"+lab.Ada.ID+"/services", nil), http.StatusOK, &services)
	require.Len(t, services, 1, "what was made to delete them is gone")
	l.deletes(l.workspaces(lab.Ada) + "/" + second.ID + "?delete_volumes=true")
	require.Empty(t, l.volumes())
}

func TestInLab_WhatIsKnownOutlivesTheExtension(t *testing.T) {
	lab := contaxytest.Start(t, contaxytest.Options{})
	l := startProgramInLab(t, lab, "[quota.user]\nrunning = 1\non_exceed = \"queue\"\n")
	l.create(lab.Ada, `{"display_name": "missing", "container_image": "lab-test-does-not-exist:1"}`)
	failed := l.shows("missing", "failed", is("failed"))
	require.NotEmpty(t, failed.Reason)
	first := l.create(lab.Ada, `{"display_name": "first"}`)
	l.shows("first", "running", is("running"))
	waits := func(position int) func(api.Workspace) bool {
		return func(w api.Workspace) bool { return w.Status == "pending" && w.Position == position }
	}
	l.create(lab.Ada, `{"display_name": "zz second"}`)
	l.shows("zz second", "first in the queue", waits(1))
	l.create(lab.Ada, `{"display_name": "third"}`)
	l.shows("third", "second in the queue", waits(2))
	for range 2 {
		l.killAndStart()
		l.shows("zz second", "first in the queue", waits(1))
		l.shows("third", "second in the queue", waits(2))
		l.shows("first", "running", is("running"))
		again := l.shows("missing", "failed", is("failed"))
		require.Equal(t, failed.Reason, again.Reason)
	}
	status, text := l.ask(lab.Ada, http.MethodPost, l.workspaces(lab.Ada)+"/"+first.ID+":stop", "")
	require.Equal(t, http.StatusNoContent, status, text)
	l.shows("zz second", "running", is("running"))
	l.shows("third", "first in the queue", waits(1))
	l.killAndStart()
	l.shows("third", "first in the queue", waits(1))
	l.shows("zz second", "running", is("running"))
	l.shows("first", "stopped", is("stopped"))
}
