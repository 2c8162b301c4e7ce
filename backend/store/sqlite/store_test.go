package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

func TestStore_KeepsTheContract(t *testing.T) {
	workspacetest.TestStore(t, func(t *testing.T, folder string) workspace.Store {
		store, err := Open(filepath.Join(folder, "state", "state.db"))
		require.NoError(t, err)
		return store
	})
}
