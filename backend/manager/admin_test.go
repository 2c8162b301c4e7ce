package manager_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

func TestManager_AdministratorsAskBeforeTheyResize(t *testing.T) {
	l := newLabWith(t, withUserQuota(quota.Sums{MemoryMB: 3000}))
	id := l.have("thesis", 2000)
	l.reach(id, workspace.StatusRunning)
	owner := manager.Caller{User: "root0", Admin: true}
	ask := func(caller manager.Caller, mb int64) (quota.Decision, error) {
		return l.AdminCheck(t.Context(), caller, id, manager.UpdateRequest{MemoryMB: &mb, DisplayName: ptr("mine now")})
	}
	fits, err := ask(owner, 3000)
	require.NoError(t, err)
	require.Equal(t, quota.Admitted, fits.Verdict)
	over, err := ask(owner, 4000)
	require.NoError(t, err)
	require.Equal(t, quota.Refused, over.Verdict, "the quota of its owner holds")
	_, err = ask(owner, 99_000)
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
	_, err = ask(manager.Caller{User: "bob0"}, 3000)
	require.Equal(t, workspace.CodeForbidden, workspace.CodeOf(err))
	_, err = ask(caller, 3000)
	require.Equal(t, workspace.CodeForbidden, workspace.CodeOf(err), "not even about one's own")
	entries, err := l.Audit(t.Context(), owner, 10)
	require.NoError(t, err)
	require.Empty(t, entries, "asking is nothing that was done")
	require.Equal(t, int64(2000), l.get(id).Record.Spec.Compute.MemoryMB)
}
