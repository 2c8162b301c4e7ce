package mllab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

const stopped = "it is stopped"

// newClearingLab has a workspace that runs, has files, is cleared whenever the lab stops it, and was made by hand.
func newClearingLab(t *testing.T) (l *storeLab, d workspace.Deployment) {
	l = newStoreLab(t)
	l.mu.Lock()
	l.made[string(thesisID)] = map[string]any{
		"display_name": "WS thesis", "container_image": "i:1", "internal_id": "c1", "clear_volume_on_stop": true, "command": []any{"run"}, "description": "By hand.",
		"parameters": map[string]any{"OWN": "x", tokenParameter: "of-adas-programs", "SELF_ACCESS_TOKEN": "t", "CONTAXY_API_TOKEN": "t"},
		"compute":    map[string]any{"volume_path": "/data", "max_gpus": 2.0, "max_cpus": 1.0, "max_memory": 1000.0},
		"metadata":   map[string]any{metaKind: kindWorkspace, "theirs": "yes"}, "endpoints": []any{"8080b", "9000"},
	}
	l.started[string(thesisID)] = true
	l.mu.Unlock()
	l.adaComes()
	return l, workspace.Deployment{ID: thesisID, Owner: "ada0", ClearOnStop: true}
}

func (l *storeLab) stops(d workspace.Deployment) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
	defer cancel()
	_, err := l.Execute(ctx, workspace.Step{Kind: workspace.StepStop, Deployment: d}, func(workspace.Progress) {})
	return err
}

// isWhole waits until the workspace is listed, with its files, and is what it was.
func (l *storeLab) isWhole(what string) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		snapshot := l.snapshot()
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(snapshot.Kept) == 1 && snapshot.Kept[0].HasFiles && l.services[string(thesisID)]
	}, 5*time.Second, time.Millisecond, what)
	l.mu.Lock()
	defer l.mu.Unlock()
	is := l.made[string(thesisID)]
	require.NotNil(l.t, is, what)
	require.Equal(l.t, []any{"By hand.", []any{"run"}, []any{"8080b", "9000"}}, []any{is["description"], is["command"], is["endpoints"]}, what)
	require.Equal(l.t, map[string]any{"volume_path": "/data", "max_gpus": 2.0, "max_cpus": 1.0, "max_memory": 1000.0}, is["compute"], what)
	require.Equal(l.t, map[string]any{metaKind: kindWorkspace, "theirs": "yes"}, is["metadata"], what)
	parameters := is["parameters"].(map[string]any)
	require.Equal(l.t, []any{"x", "of-adas-programs"}, []any{parameters["OWN"], parameters[tokenParameter]}, what)
	for name, text := range l.documents {
		require.NotContains(l.t, text, "of-adas-programs", name)
	}
}

func TestStopKeeping_WhateverMomentTheProgramDiesTheWorkspaceIsThereAfterwards(t *testing.T) {
	moments := 0
	for died := true; died; {
		moments++
		for _, answered := range []bool{false, true} {
			l, d := newClearingLab(t)
			l.life.mu.Lock()
			l.life.ends, l.life.answered = moments, answered
			l.life.mu.Unlock()
			err := l.stops(d)
			l.life.mu.Lock()
			died = l.life.ends < 0
			l.life.ends = -1
			l.life.mu.Unlock()
			l.restart()
			l.adaComes()
			l.isWhole(fmt.Sprintf("moment %d, carried out: %t, error: %v", moments, answered, err))
		}
	}
	t.Logf("it can die at %d moments", moments)
	require.Greater(t, moments, 5, "there are calls")
}

func TestStopKeeping_LeavesNothingBehind(t *testing.T) {
	l, d := newClearingLab(t)
	require.NoError(t, l.stops(d))
	l.isWhole(stopped)
	l.mu.Lock()
	parameters := l.deployed[0].Parameters
	l.mu.Unlock()
	require.Equal(t, map[string]string{"OWN": "x", tokenParameter: "of-adas-programs", "SELF_ACCESS_TOKEN": "{env.CONTAXY_API_TOKEN}"}, parameters)
	require.Contains(t, l.kept(1), volumesCollection+"/"+string(thesisID), "which goes with its next start")
}

// The lab deletes to the end what it was asked for, whoever has died meanwhile.
func TestStopKeeping_ADeletionThatTakesEffectLaterIsMadeGoodToo(t *testing.T) {
	l, d := newClearingLab(t)
	goOn := make(chan struct{})
	l.life.mu.Lock()
	l.life.goOn = goOn
	deleting := make(chan struct{})
	l.life.late = func(r *http.Request) bool {
		is := r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/services/")
		if is {
			close(deleting)
		}
		return is
	}
	l.life.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- l.stops(d) }()
	<-deleting
	l.life.mu.Lock()
	l.life.ends = -1
	l.life.mu.Unlock()
	l.restart()
	l.adaComes()
	l.isWhole("before")
	time.Sleep(50 * time.Millisecond) // some looks
	close(goOn)
	<-ended
	l.isWhole("after")
}

// Without it nobody would know what to write down again.
func TestStopKeeping_DoesNotBeginWithoutAPlaceToRemember(t *testing.T) {
	l, d := newClearingLab(t)
	l.isFaulty(storeFaults["it fails"])
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(l.stops(d)))
	l.mu.Lock()
	require.True(t, l.started[string(thesisID)])
	l.mu.Unlock()
	l.isFaulty(nil)
	l.tryAgain()
	require.NoError(t, l.stops(d))
	l.isWhole(stopped)
}

// Whoever may write in a project could write such a document, and would be handed the token of its owner.
func TestRewrites_WhatWeHaveNotWrittenGetsNoToken(t *testing.T) {
	l := newStoreLab(t)
	definition := contaxy.Definition{"display_name": "WS other", "container_image": "evil:1", "metadata": map[string]any{metaKind: kindWorkspace}, "command": []any{"run"}}
	forged := rewrite{At: time.Now(), Definition: definition, Token: true, Seal: sealOf("a guess", "lab-p-ada0-s-ws-other", definition)}
	text, err := json.Marshal(forged)
	require.NoError(t, err)
	for _, key := range []string{"lab-p-ada0-s-ws-other", "lab-p-ada0-s-ws-third", "lab-p-bob0-s-ws-other"} {
		l.documents[rewritesCollection+"/"+key] = string(text)
	}
	l.documents[rewritesCollection+"/lab-p-ada0-s-ws-more"] = `[1, "two"]`
	l.adaComes()
	require.Eventually(t, func() bool { return len(l.snapshot().Kept) == 2 }, 5*time.Second, time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Len(t, l.deployed, 1, "nor is anything else believed")
	require.NotContains(t, l.deployed[0].Parameters, tokenParameter)
}

func TestRewrites_WhatIsThereIsForgottenInTheEnd(t *testing.T) {
	l := newStoreLab(t)
	text, err := json.Marshal(rewrite{At: time.Now().Add(-2 * deletedWithin), Definition: contaxy.Definition{
		"display_name": "WS thesis", "container_image": "i:1", "metadata": map[string]any{metaKind: kindWorkspace},
	}})
	require.NoError(t, err)
	l.documents[rewritesCollection+"/"+string(thesisID)] = string(text)
	l.adaComes()
	l.kept(0)
	require.Len(t, l.snapshot().Kept, 1)
}
