package manager_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestManager_TellsThatNothingIsUsedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		events, unsubscribe := l.Subscribe()
		defer unsubscribe()
		uses := func() []manager.Use {
			t.Helper()
			timeout := time.After(deadline)
			for {
				select {
				case event := <-events:
					if event.Kind == manager.EventUse && event.Owner == ada {
						return event.Use
					}
				case <-timeout:
					require.FailNow(t, "nothing was told of what is used")
				}
			}
		}
		id := l.create("thesis", workspacetest.FakeGoodImage)
		l.engine.SetStats(id, workspace.Stats{MemoryBytes: 300 << 20})
		require.Equal(t, int64(300<<20), uses()[0].MemoryBytes)
		require.NoError(t, l.Stop(t.Context(), caller, ada, id))
		for len(uses()) > 0 {
		}
	})
}
