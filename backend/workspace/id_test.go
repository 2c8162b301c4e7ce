package workspace

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSlug_FollowsMLLab(t *testing.T) {
	for name, want := range map[string]string{ // as upstream's own code answered (facts: names, ids, labels)
		"WS Default Workspace":   "ws-defaul-33bee",
		"WS default-workspace":   "ws-defaul-33bee",
		"WS Default  Workspace!": "ws-defaul-33bee",
		"WS my ws":               "ws-my-ws",
	} {
		require.Equal(t, want, Slug(name), name)
	}
}

func TestSlug_TellsNamesInOtherScriptsApart(t *testing.T) {
	require.NotEqual(t, Slug("WS 日本"), Slug("WS 中国"))
	require.NotEqual(t, Slug("WS a"), Slug("WS x"), "upstream gives both the same id, so that the second is refused")
}

func TestNewID_IsAlwaysSafeAndFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		namespace := rapid.StringMatching(`[a-z][a-z0-9]{2,14}`).Draw(t, "namespace")
		owner := Owner(rapid.StringMatching(`[a-z0-9]{4,25}`).Draw(t, "owner"))
		name := rapid.String().Draw(t, "name")
		taken := map[ID]bool{}
		for range 3 {
			id := NewID(namespace, owner, name, func(id ID) bool { return taken[id] })
			require.True(t, id.Valid(), id)
			require.LessOrEqual(t, len(id), 63)
			require.True(t, strings.HasPrefix(string(id), namespace+"-p-"+string(owner)+"-s-"), id)
			require.False(t, taken[id])
			taken[id] = true
		}
	})
}

func TestOwnerFromName_IsAlwaysAnOwner(t *testing.T) {
	require.Equal(t, Owner("ada0"), OwnerFromName("Ada"))
	require.Equal(t, Owner("root"), OwnerFromName("root"))
	rapid.Check(t, func(t *rapid.T) {
		require.True(t, OwnerFromName(rapid.String().Draw(t, "name")).Valid())
	})
}

func FuzzCheckDisplayName(f *testing.F) {
	for _, seed := range []string{"thesis", "", "日本", "a\x00b", "\u202egnp.exe", strings.Repeat("x", 129), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckDisplayName(name) == nil {
			require.True(t, utf8.ValidString(name))
			require.NotContains(t, name, "\x00")
			require.True(t, NewID("labtest", "ada0", name, func(ID) bool { return false }).Valid())
		}
	})
}
