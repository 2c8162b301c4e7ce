package manager_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestManager_SaysWhenAnImageHasMoved(t *testing.T) {
	l := newLabWith(t, func(s *manager.Settings) { s.CheckUpdates = time.Hour })
	l.engine.SetFacts(workspacetest.FakeGoodImage, workspace.ImageFacts{ID: "sha256:1", Digests: []string{"sha256:a"}})
	l.engine.SetRemote(workspacetest.FakeGoodImage, "sha256:a")
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	says := func(sentence string) {
		t.Helper()
		require.Eventually(t, func() bool { return l.get(id).Update == sentence }, deadline, time.Millisecond, sentence)
	}
	says("")
	require.NoError(t, l.Restart(t.Context(), caller, ada, id))
	l.reach(id, workspace.StatusRunning)
	says("")

	t.Log("the tag was moved at the registry")
	l.engine.SetRemote(workspacetest.FakeGoodImage, "sha256:b")
	l.restart() // the registry is asked once an hour
	says("Its registry has a newer version of its image: docker pull good:latest, then a restart uses it.")

	t.Log("and somebody has pulled it")
	l.engine.SetFacts(workspacetest.FakeGoodImage, workspace.ImageFacts{ID: "sha256:2", Digests: []string{"sha256:b"}})
	l.restart()
	says("A newer version of its image is here. A restart uses it.")
	require.NoError(t, l.Restart(t.Context(), caller, ada, id))
	says("")

	t.Log("the tag was moved to something that its registry does not have")
	l.reach(id, workspace.StatusRunning)
	l.engine.SetFacts(workspacetest.FakeGoodImage, workspace.ImageFacts{ID: "sha256:3", Digests: []string{"sha256:c"}})
	l.restart()
	says("The name of its image stands for another version here now. A restart uses that.")
}

func TestManager_SaysWhenAnImageIsGone(t *testing.T) {
	l := newLab(t)
	id := l.create("thesis", workspacetest.FakeGoodImage)
	l.reach(id, workspace.StatusRunning)
	says := func(sentence string) {
		t.Helper()
		require.Eventually(t, func() bool { return l.get(id).ImageGone == sentence }, deadline, time.Millisecond, sentence)
	}
	says("")
	l.engine.RemoveImage(workspacetest.FakeGoodImage)
	l.restart()
	says("The image good:latest is not on this machine any more. It runs on, and its next start has to get it again.")
	require.Empty(t, l.get(id).Update)

	t.Log("it is back")
	l.engine.AddImage(workspacetest.FakeGoodImage)
	l.restart()
	says("")

	t.Log("where nothing is ever pulled")
	l.engine.RemoveImage(workspacetest.FakeGoodImage)
	l.adjust = func(s *manager.Settings) { s.Pull = workspace.PullNever }
	l.restart()
	says("The image good:latest is not on this machine any more. It runs on, but cannot be started again before that is back.")
}
