package docker

import (
	"context"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestCounts_AWorkingIDEAndNothingElse(t *testing.T) {
	for status, want := range map[int]struct{ known, unknown bool }{
		http.StatusOK: {true, true}, http.StatusFound: {true, true}, http.StatusUnauthorized: {true, true}, http.StatusForbidden: {true, true},
		http.StatusNotFound: {false, true}, http.StatusMethodNotAllowed: {false, true}, http.StatusInternalServerError: {false, true},
		noAnswer: {false, false}, http.StatusBadGateway: {false, false}, http.StatusServiceUnavailable: {false, false}, http.StatusGatewayTimeout: {false, false},
	} {
		require.Equal(t, want.known, counts(status, false), "%d", status)
		require.Equal(t, want.unknown, counts(status, true), "%d", status)
	}
}

func TestAskPause_ShortForWhatBootsQuicklyAndNeverHarassing(t *testing.T) {
	for booting, want := range map[time.Duration]struct{ silent, answering time.Duration }{
		0:                      {5 * time.Millisecond, 25 * time.Millisecond},
		640 * time.Millisecond: {10 * time.Millisecond, 25 * time.Millisecond},
		10 * time.Second:       {25 * time.Millisecond, 25 * time.Millisecond},
		2 * time.Minute:        {250 * time.Millisecond, 250 * time.Millisecond},
	} {
		require.Equal(t, want.silent, askPause(booting, false), "%s", booting)
		require.Equal(t, want.answering, askPause(booting, true), "%s", booting)
	}
}

func TestAskedAt_BelowItsPathOnlyWhatKeepsIt(t *testing.T) {
	d := workspace.Deployment{AccessPath: "/projects/ada/services/x/access/8080", HealthPath: "/api"}
	require.Equal(t, "/api", askedAt(d))
	d.KeepsPath = true
	require.Equal(t, "/projects/ada/services/x/access/8080/api", askedAt(d))
}

func TestWaitForAnswer_OfAnImageThatKnowsNothingOfUs(t *testing.T) {
	needsDocker(t)
	image := variant(t, "args", "ENTRYPOINT [\"python3\"]\nCMD [\"-c\", \"import sys; sys.exit(3)\"]\n")
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	e := newTestEngine(t)
	d := sleeper(e, image)
	d.Args, d.Port, d.HealthPath = []string{"-m", "http.server", "9000"}, 9000, "/"
	d.AccessPath = "/projects/ada0/services/x/access/9000"
	do := func(kind workspace.StepKind, d workspace.Deployment) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := e.Execute(ctx, workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		return err
	}
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart, workspace.StepAnswers} {
		require.NoError(t, do(kind, d), "step %s", kind)
	}
	found, err := e.client.ContainerInspect(t.Context(), string(d.ID))
	require.NoError(t, err)
	require.Equal(t, "9000", found.Config.Labels[labelEndpoints])
	d.HealthPath, d.AnyAnswer = "/nothing-here", true
	require.NoError(t, do(workspace.StepAnswers, d), "not found is an answer, too")
	d.AnyAnswer = false
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = e.Execute(ctx, workspace.Step{Kind: workspace.StepAnswers, Deployment: d}, func(workspace.Progress) {})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
