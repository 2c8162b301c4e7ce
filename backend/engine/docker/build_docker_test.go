package docker

import (
	"context"
	"os/exec"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestBuild_GoesOnUntilTheLastOneWhoWantsItHasLeft(t *testing.T) {
	e := newBuildingEngine(t, "RUN echo the-first-step\nRUN echo it sleeps && sleep 600\n")
	image := firstImage(e)
	reachedSleep := func(progress workspace.Progress) bool {
		return len(progress.Log) > 0 && progress.Log[len(progress.Log)-1] == "it sleeps"
	}
	begin := func() (callOff context.CancelFunc, sleeps <-chan struct{}, result <-chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		reached, ended := make(chan struct{}, 100), make(chan error, 1)
		go func() {
			_, err := e.Execute(ctx, pullStep(image), func(progress workspace.Progress) {
				if reachedSleep(progress) {
					reached <- struct{}{}
				}
			})
			ended <- err
		}()
		return cancel, reached, ended
	}
	within := 20 * time.Second
	firstLeaves, firstSleeps, firstResult := begin()
	select {
	case <-firstSleeps:
	case err := <-firstResult:
		t.Fatalf("the build ended: %v", err)
	case <-time.After(within):
		t.Fatal("the build does not come to its last step")
	}
	secondLeaves, secondSleeps, secondResult := begin()
	select { // who joins hears at once how far it is
	case <-secondSleeps:
	case <-time.After(within):
		t.Fatal("the second one does not hear of the build")
	}
	firstLeaves()
	require.ErrorIs(t, <-firstResult, context.Canceled)
	select {
	case err := <-secondResult:
		t.Fatalf("the second one wants it still, and got: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	require.NotEmpty(t, containersOfBuild(t, e))

	secondLeaves()
	require.ErrorIs(t, <-secondResult, context.Canceled)
	require.Eventually(t, func() bool { return len(containersOfBuild(t, e)) == 0 }, within, 50*time.Millisecond, "a build that was called off leaves nothing running")
	states, err := e.Images(t.Context(), []string{image})
	require.NoError(t, err)
	require.False(t, states[0].Here)
	require.True(t, states[0].Buildable)
}

func TestBuild_SaysWhichStepFailed(t *testing.T) {
	e := newBuildingEngine(t, "RUN echo no space for ü && exit 3\n")
	_, err := e.Execute(t.Context(), pullStep(firstImage(e)), func(workspace.Progress) {})
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
	require.Contains(t, err.Error(), "exit 3")
	require.Contains(t, err.Error(), "no space for ü")
}

// newBuildingEngine makes an engine that can build one image upon the good one.
func newBuildingEngine(t *testing.T, dockerfile string) *Engine {
	t.Helper()
	needsDocker(t)
	e := newTestEngine(t)
	image := "lab-test-build-" + e.instance + ":latest"
	text := "ARG BASE\nFROM $BASE\nLABEL lab.test-build=" + e.instance + "\n" + dockerfile
	e.builds = map[string]Build{image: {
		Context: fstest.MapFS{"Dockerfile": {Data: []byte(text)}}, BaseArg: "BASE", LocalBase: goodImage, PublicBase: goodImage,
	}}
	t.Cleanup(func() {
		_ = exec.Command("docker", "image", "rm", "-f", image).Run()
		_ = exec.Command("docker", "image", "prune", "-f", "--filter", ofBuild(e)).Run() // what its builds got done
	})
	return e
}

func firstImage(e *Engine) string {
	for image := range e.builds {
		return image
	}
	return ""
}

func containersOfBuild(t *testing.T, e *Engine) string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", ofBuild(e)).Output()
	require.NoError(t, err)
	return string(out)
}

func ofBuild(e *Engine) string { return "label=lab.test-build=" + e.instance }
