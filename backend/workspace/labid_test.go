package workspace

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The file was made by contaxy 0.0.23 itself (utils/id_utils.py, with python-slugify 8) from random names.
func TestLabID_IsTheOneThatMLLabMakes(t *testing.T) {
	text, err := os.ReadFile("testdata/lab_slugs.json")
	require.NoError(t, err)
	var made [][2]string
	require.NoError(t, json.Unmarshal(text, &made))
	require.Greater(t, len(made), 100)
	for _, one := range made {
		require.Equal(t, ID("pylab-p-ada0-s-"+one[1]), LabID("pylab", "ada0", one[0]), one[0])
	}
}

func TestLabNames_AreWhatMLLabTakes(t *testing.T) {
	for name, first := range map[string]string{
		"Default Workspace":      "WS Default Workspace",
		" thesis ":               "WS thesis",
		"a":                      "WS a",
		"日本":                     "WS " + shortHash("日本"),
		"Größe 1":                "WS Gre 1 " + shortHash("Größe 1"),
		strings.Repeat("x", 128): "",
		strings.Repeat("語", 128): "",
		"x\ty":                   "WS xy " + shortHash("x\ty"),
	} {
		taken := map[ID]bool{}
		n := 0
		for lab := range LabNames(name) {
			require.True(t, len(lab) >= 4 && len(lab) <= 128, lab)
			require.Equal(t, utf8.RuneCountInString(lab), len(lab), "ASCII")
			if n == 0 && first != "" {
				require.Equal(t, first, lab)
			}
			id := LabID("pylab", "ada0", lab)
			require.True(t, id.Valid(), id)
			taken[id] = true
			if n++; n == 20 {
				break
			}
		}
		require.Greater(t, len(taken), 15, "names lead to different ids: %s", name)
	}
}

func TestNewLabID_GivesEveryWorkspaceAnIDOfItsOwn(t *testing.T) {
	taken := map[ID]bool{}
	for n := range 30 {
		for _, name := range []string{"a", "b", "Default Workspace", "日本", "日本語", fmt.Sprint("ws ", n)} {
			id := NewLabID("pylab", "ada0", name, func(id ID) bool { return taken[id] })
			require.False(t, taken[id])
			taken[id] = true
		}
	}
	require.Len(t, taken, 180)
	require.True(t, taken["pylab-p-ada0-s-ws-defaul-33bee"], "upstream's first workspace of everybody")
}
