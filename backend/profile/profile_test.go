package profile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
)

func TestBuiltin_SpeaksML_LabsContract(t *testing.T) {
	for _, p := range []profile.Profile{profile.Minimal, profile.MLWorkspace} {
		t.Run(p.Name, func(t *testing.T) {
			path := p.AccessPath("ada0", "lab1-p-ada0-s-ws-x")
			require.Equal(t, "/projects/ada0/services/lab1-p-ada0-s-ws-x/access/8080b", path)
			env := p.Environment("ada0", "lab1-p-ada0-s-ws-x")
			require.Equal(t, path, env["WORKSPACE_BASE_URL"])
			for name, value := range env {
				require.NotContains(t, value, "{", "%s was not filled in", name)
			}
			require.NotEmpty(t, p.SecretEnv, "its IDE is locked")
			require.Contains(t, p.SecretHeaderValue, "{secret}")
			require.Positive(t, p.AnswerDeadline)
		})
	}
	require.Empty(t, profile.Minimal.Capabilities, "our own image needs none")
}

func TestBuiltin_IsACopy(t *testing.T) {
	first := profile.Builtin()
	first[0].Env["WORKSPACE_BASE_URL"] = "changed"
	require.NotEqual(t, "changed", profile.Builtin()[0].Env["WORKSPACE_BASE_URL"])
}
