package server

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExtensionID_IsTheSameForTheSameName(t *testing.T) {
	id := extensionID("pylab-p-ctxy-global-s-workspace-manager")
	require.Equal(t, id, extensionID("pylab-p-ctxy-global-s-workspace-manager"))
	require.NotEqual(t, id, extensionID("other-p-ctxy-global-s-workspace-manager"))
	require.NotEqual(t, extensionID(""), extensionID(""), "one without a name is like no other")
	for _, made := range []string{id, extensionID(""), newInstanceID()} {
		require.Regexp(t, regexp.MustCompile(`^[a-z2-7]{6}$`), made)
	}
}
