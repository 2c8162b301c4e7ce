package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
)

// variant builds an image that differs from the default one in what it starts, and removes it when the test ends.
func variant(t *testing.T, name, dockerfile string) string {
	t.Helper()
	image := "lab-test-" + name + ":latest"
	build := exec.Command("docker", "build", "-q", "-t", image, "-")
	build.Env = append(build.Environ(), "DOCKER_BUILDKIT=0")
	build.Stdin = strings.NewReader("FROM " + workspaceImage + "\n" + dockerfile)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	return image
}

func TestLifecycle_FromCreationToDeletion(t *testing.T) {
	p := newProgram(t).start()

	made := p.create(map[string]any{"display_name": "thesis", "compute": map[string]any{"cpus": 1, "memory": 700}})
	require.Equal(t, "pending", made.Status)
	running := p.reach(made.ID, "running")
	require.Equal(t, 700.0, float64(running.Compute.Memory))
	require.NotNil(t, running.AccessURL)

	browser, response := p.open(made.ID)
	require.Equal(t, http.StatusOK, response.StatusCode)
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(page), "JupyterLab")
	base := *response.Request.URL
	base.Path = *running.AccessURL + "/api/contents"
	contents, err := browser.Get(base.String())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, contents.StatusCode, "the proxy unlocks the IDE")
	require.NoError(t, contents.Body.Close())

	t.Log("limits change live")
	container := docker(t, "inspect", "-f", "{{.Id}}", made.ID)
	p.call(http.MethodPatch, p.workspaces()+"/"+made.ID, map[string]any{"compute": map[string]any{"memory": 900}}, nil)
	require.Eventually(t, func() bool {
		return docker(t, "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.Id}}", made.ID) == fmt.Sprintf("%d %d %s", 900<<20, 900<<20, container)
	}, 10*time.Second, 50*time.Millisecond)
	require.Equal(t, []string{"shm"}, p.reach(made.ID, "running").PendingRestart)

	t.Log("files outlive a stop, a restart and a change of the image")
	docker(t, "exec", made.ID, "sh", "-c", "echo precious > /workspace/file")
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":stop", nil, nil)
	require.Equal(t, "stopped", p.get(made.ID).Status, ":stop answers when it is done")
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":stop", nil, nil)
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
	p.reach(made.ID, "running")
	status, text := p.request(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil)
	require.Equal(t, http.StatusBadRequest, status, text)
	other := variant(t, "other", "LABEL other=yes\n")
	p.call(http.MethodPatch, p.workspaces()+"/"+made.ID, map[string]any{"container_image": other, "display_name": "paper"}, nil)
	p.reachIf(made.ID, "running the other image", func(w api.Workspace) bool { return w.Status == "running" && w.ContainerImage == other })
	require.Equal(t, other, docker(t, "inspect", "-f", "{{.Config.Image}}", made.ID))
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":restart", nil, nil)
	p.reach(made.ID, "running")
	require.Equal(t, "precious", docker(t, "exec", made.ID, "cat", "/workspace/file"))
	require.Equal(t, "paper", p.get(made.ID).DisplayName)

	t.Log("a deleted workspace leaves its volume, which never appears in a new one unasked")
	p.call(http.MethodDelete, p.workspaces()+"/"+made.ID, nil, nil)
	status, _ = p.request(http.MethodGet, p.workspaces()+"/"+made.ID, nil)
	require.Equal(t, http.StatusNotFound, status)
	var volumes []api.Volume
	p.call(http.MethodGet, "/users/"+p.owner+"/volumes", nil, &volumes)
	require.Len(t, volumes, 1)
	require.Nil(t, volumes[0].UsedBy)
	require.Equal(t, "paper", volumes[0].DisplayName)
	again := p.create(map[string]any{"display_name": "thesis"})
	require.NotEqual(t, volumes[0].Name, again.Storage.Volume)
	p.reach(again.ID, "running")
	require.Empty(t, docker(t, "exec", again.ID, "sh", "-c", "ls /workspace"))
	p.call(http.MethodDelete, p.workspaces()+"/"+again.ID+"?delete_volumes=True", nil, nil)

	t.Log("unless it is asked for")
	back := p.create(map[string]any{"display_name": "back", "storage": map[string]any{"volume": volumes[0].Name}})
	p.reach(back.ID, "running")
	require.Equal(t, "precious", docker(t, "exec", back.ID, "cat", "/workspace/file"))
	status, text = p.request(http.MethodDelete, "/users/"+p.owner+"/volumes/"+volumes[0].Name, nil)
	require.Equal(t, http.StatusConflict, status, text)
	var usage api.Usage
	p.call(http.MethodGet, p.workspaces()+"/"+back.ID+":usage", nil, &usage)
	require.Positive(t, usage.Files)
	p.call(http.MethodDelete, p.workspaces()+"/"+back.ID+"?delete_volumes=true", nil, nil)
	p.call(http.MethodGet, "/users/"+p.owner+"/volumes", nil, &volumes)
	require.Empty(t, volumes)
}

func TestLifecycle_WhatDiesSaysHow(t *testing.T) {
	p := newProgram(t).start()
	name := func(image string) map[string]any {
		return map[string]any{"display_name": image, "container_image": image, "profile": "workspace-minimal"}
	}

	t.Run("an image that does not exist", func(t *testing.T) {
		made := p.create(name("lab-test-does-not-exist:1"))
		failed := p.reach(made.ID, "failed")
		require.Equal(t, "image_missing", failed.ReasonCode, failed.Reason)
		require.Contains(t, failed.Reason, "lab-test-does-not-exist")
	})
	t.Run("an image that exits at once", func(t *testing.T) {
		made := p.create(name(variant(t, "exits", "ENTRYPOINT [\"sh\",\"-c\",\"echo last words; exit 7\"]\n")))
		failed := p.reach(made.ID, "failed")
		require.Equal(t, "exited", failed.ReasonCode)
		require.Contains(t, failed.Reason, "exit code 7")
		_, log := p.request(http.MethodGet, p.workspaces()+"/"+made.ID+":logs", nil)
		require.Contains(t, log, "last words")
		shown := p.reachIf(made.ID, "showing its last words", func(w api.Workspace) bool {
			return w.Progress != nil && strings.Contains(fmt.Sprint(w.Progress.Steps), "last words")
		})
		require.Equal(t, "failed", shown.Status)
		t.Log("and can be started again")
		p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
		p.reachIf(made.ID, "failed anew", func(w api.Workspace) bool { return w.Status == "failed" && w.StatusSince.After(failed.StatusSince) })
	})
	t.Run("stopped by another hand", func(t *testing.T) {
		made := p.create(map[string]any{"display_name": "by hand"})
		p.reach(made.ID, "running")
		docker(t, "stop", made.ID)
		ended := p.reachIf(made.ID, "ended", func(w api.Workspace) bool { return w.Status == "failed" || w.Status == "succeeded" })
		require.Equal(t, "docker_request", ended.ReasonCode, ended.Reason)
		t.Log("and started by it")
		docker(t, "start", made.ID)
		p.reach(made.ID, "running")
		docker(t, "restart", made.ID)
		p.reachIf(made.ID, "running anew", func(w api.Workspace) bool { return w.Status == "running" && w.StatusSince.After(ended.StatusSince) })
		docker(t, "stop", made.ID)
		p.reach(made.ID, "failed")
		p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
		p.reach(made.ID, "running")
		t.Log("removed by another hand")
		docker(t, "rm", "-f", made.ID)
		gone := p.reach(made.ID, "failed")
		require.Equal(t, "removed", gone.ReasonCode, gone.Reason)
		p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
		p.reach(made.ID, "running")
	})
	t.Run("out of memory", func(t *testing.T) {
		image := variant(t, "hungry", `ENTRYPOINT ["python3","-c","b=[]\nwhile True: b.append(bytearray(10**7))"]`+"\n")
		input := name(image)
		input["compute"] = map[string]any{"memory": 100}
		made := p.create(input)
		failed := p.reach(made.ID, "failed")
		require.Equal(t, "oom", failed.ReasonCode, failed.Reason)
		require.Contains(t, failed.Reason, "100 MB")
	})
}

func TestLifecycle_AnImageThatNeverListens(t *testing.T) {
	p := newProgram(t)
	p.config = `
[[profile]]
name = "impatient"
title = "Nothing"
port = 8080
mount_path = "/workspace"
health_path = "/api"
answer_deadline = "2s"
`
	p.start()
	made := p.create(map[string]any{
		"display_name": "deaf", "profile": "impatient",
		"container_image": variant(t, "deaf", "ENTRYPOINT [\"sleep\",\"1000\"]\n"),
	})
	failed := p.reach(made.ID, "failed")
	require.Equal(t, "not_answering", failed.ReasonCode, failed.Reason)
	require.Eventually(t, func() bool {
		return docker(t, "inspect", "-f", "{{.State.Running}}", made.ID) == "false"
	}, 20*time.Second, 50*time.Millisecond, "what never answers is stopped, and kept for its log")
}

func TestLifecycle_TwentyAtOnce(t *testing.T) {
	p := newProgram(t).start()
	var ids [20]string
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			ids[i] = p.create(map[string]any{"display_name": fmt.Sprintf("crowd %d", i), "compute": map[string]any{"memory": 500}}).ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.NotEmpty(t, id)
		p.reach(id, "running")
	}
	for _, id := range ids {
		wg.Go(func() { p.call(http.MethodDelete, p.workspaces()+"/"+id+"?delete_volumes=true", nil, nil) })
	}
	wg.Wait()
}

func TestLifecycle_TwoRequestsAtOnce(t *testing.T) {
	p := newProgram(t).start()
	made := p.create(map[string]any{"display_name": "contended"})
	p.reach(made.ID, "running")
	path := p.workspaces() + "/" + made.ID
	var wg sync.WaitGroup
	for range 5 {
		for _, verb := range []string{":stop", ":restart", ":start"} {
			wg.Go(func() {
				status, text := p.request(http.MethodPost, path+verb, nil)
				require.Contains(t, []int{204, 400, 504}, status, text)
			})
		}
	}
	wg.Wait()
	p.call(http.MethodPost, path+":restart", nil, nil)
	p.reach(made.ID, "running")
	require.Equal(t, made.ID, docker(t, "ps", "--filter", "name="+made.ID, "--format", "{{.Names}}"), "one container and no other")
}

// A manager that is killed at any moment goes on where it was.
func TestLifecycle_KilledInTheMiddle(t *testing.T) {
	p := newProgram(t).start()
	made := p.create(map[string]any{"display_name": "survivor"})
	for i, delay := range []time.Duration{0, 10, 40, 100, 200, 350, 500} {
		time.Sleep(delay * time.Millisecond) // the moment of the blow is what varies; nothing is waited for
		p.kill()
		p.start()
		running := p.reach(made.ID, "running")
		require.Empty(t, running.ReasonCode)
		switch i % 3 {
		case 0:
			p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":restart", nil, nil)
		case 1:
			p.call(http.MethodPatch, p.workspaces()+"/"+made.ID, map[string]any{"compute": map[string]any{"memory": 800 + i}}, nil)
		case 2:
			status, text, err := p.try(http.MethodPost, p.workspaces()+"/"+made.ID+":restart", nil)
			require.NoError(t, err)
			require.Less(t, status, 300, text)
		}
	}
	p.reach(made.ID, "running")
	require.Equal(t, made.ID, docker(t, "ps", "-a", "--filter", "name="+made.ID, "--format", "{{.Names}}"))

	t.Log("and in the middle of a deletion")
	deleted := make(chan struct{})
	go func() {
		defer close(deleted)
		_, _, _ = p.try(http.MethodDelete, p.workspaces()+"/"+made.ID, nil) // the manager dies meanwhile
	}()
	time.Sleep(30 * time.Millisecond)
	p.kill()
	<-deleted
	p.start()
	require.Eventually(t, func() bool {
		status, _ := p.request(http.MethodGet, p.workspaces()+"/"+made.ID, nil)
		return status == http.StatusNotFound
	}, 30*time.Second, 50*time.Millisecond)
	require.Empty(t, docker(t, "ps", "-aq", "--filter", "name="+made.ID))
}

func TestLifecycle_ARestartOfTheManagerLeavesWorkspacesAlone(t *testing.T) {
	p := newProgram(t).start()
	made := p.create(map[string]any{"display_name": "steady"})
	p.reach(made.ID, "running")
	before := docker(t, "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", made.ID)
	browser, response := p.open(made.ID)
	p.interrupt()
	require.Equal(t, before, docker(t, "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", made.ID), "workspaces outlive their manager")
	p.start()
	p.reach(made.ID, "running")
	require.Equal(t, before, docker(t, "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", made.ID))
	if again, err := browser.Get(response.Request.URL.String()); err == nil { // the access port may have moved
		require.Equal(t, http.StatusOK, again.StatusCode, "who was in stays in")
		require.NoError(t, again.Body.Close())
	}
	t.Log("what happened meanwhile is noticed")
	p.interrupt()
	docker(t, "rm", "-f", made.ID)
	p.start()
	require.Equal(t, "removed", p.reach(made.ID, "failed").ReasonCode)
}

func TestTwoManagers(t *testing.T) {
	first, second := newProgram(t).start(), newProgram(t)
	second.start()
	made := first.create(map[string]any{"display_name": "mine", "is_stopped": true})
	other := second.create(map[string]any{"display_name": "mine", "is_stopped": true})
	require.NotEqual(t, made.ID, other.ID, "managers do not share names")
	var list []api.Workspace
	second.call(http.MethodGet, second.workspaces(), nil, &list)
	require.Len(t, list, 1)

	t.Log("one state folder has one manager")
	rival := &program{t: t, home: first.home, port: freePort(t), client: first.client}
	rival.launch()
	require.Error(t, rival.process.Wait())
	require.Contains(t, rival.output.String(), "uses the state folder")
	require.NotContains(t, rival.output.String(), "goroutine")

	t.Log("a port that is taken is said so")
	squatter := &program{t: t, home: t.TempDir(), port: first.port, client: first.client}
	squatter.launch()
	require.Error(t, squatter.process.Wait())
	require.Contains(t, squatter.output.String(), fmt.Sprint(first.port))
}

// Whatever moment of a start a deletion comes at, nothing of it stays in Docker, and nothing comes back.
func TestLifecycle_DeletedWhileItStarts(t *testing.T) {
	p := newProgram(t).start()
	instance := ""
	inDocker := func() []string {
		filter := "label=lab-workspace-manager.instance=" + instance
		var found []string
		for _, list := range []string{"container ls -a", "volume ls", "network ls"} {
			found = append(found, strings.Fields(docker(t, append(strings.Fields(list), "-q", "--filter", filter)...))...)
		}
		return found
	}
	for round := range 40 {
		made := p.create(map[string]any{"display_name": fmt.Sprintf("o%d", round)})
		instance, _, _ = strings.Cut(strings.TrimPrefix(made.ID, "lab"), "-p-")
		time.Sleep(time.Duration(round%20) * 8 * time.Millisecond) // into every part of a start
		if round%2 == 0 {
			p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":stop", nil, nil)
		}
		p.call(http.MethodDelete, p.workspaces()+"/"+made.ID+"?delete_volumes=true", nil, nil)
		require.Empty(t, inDocker(), "round %d", round)
	}
	p.interrupt()
	require.Empty(t, inDocker())
}

// Copies of a workspace carry its labels. Only the one with its name is it.
func TestLifecycle_CopiesAndRenamedOnesAreNotIt(t *testing.T) {
	p := newProgram(t).start()
	made := p.create(map[string]any{"display_name": "original"})
	p.reach(made.ID, "running")
	image, copied := "lab-test-copy:"+made.ID, made.ID+"-copy"
	docker(t, "commit", made.ID, image)
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "-f", copied).Run()
		_ = exec.Command("docker", "image", "rm", "-f", image).Run()
	})
	docker(t, "run", "-d", "--name", copied, image)
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":stop", nil, nil)
	require.Equal(t, "stopped", p.reach(made.ID, "stopped").Status)
	p.kill()
	p.start() // looks at everything
	require.Equal(t, "stopped", p.get(made.ID).Status)
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
	p.reach(made.ID, "running")

	renamed := made.ID + "-renamed"
	docker(t, "rename", made.ID, renamed)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", renamed).Run() })
	require.Equal(t, "removed", p.reach(made.ID, "failed").ReasonCode)
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
	p.reachIf(made.ID, "refused: two would write the same files", func(w api.Workspace) bool {
		return w.Status == "failed" && strings.Contains(w.Reason, "docker stop "+renamed)
	})
	require.Equal(t, "true", docker(t, "inspect", "-f", "{{.State.Running}}", renamed), "what was renamed is its owner's")
	docker(t, "stop", "-t", "1", renamed)
	p.call(http.MethodPost, p.workspaces()+"/"+made.ID+":start", nil, nil)
	p.reach(made.ID, "running")

	t.Log("nor are its files deleted under it")
	gone := make(chan int)
	go func() {
		status, _ := p.request(http.MethodDelete, p.workspaces()+"/"+made.ID+"?delete_volumes=true", nil)
		gone <- status
	}()
	p.reachIf(made.ID, "explained", func(w api.Workspace) bool { return strings.Contains(w.Reason, "docker rm -f "+renamed) })
	docker(t, "rm", "-f", renamed)
	require.Equal(t, http.StatusNoContent, <-gone)
}
