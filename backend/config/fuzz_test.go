package config

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

// FuzzFile feeds files: no panic, every mistake is one line that names the file, what is printed loads as the same
// configuration, and the line of every key is known.
func FuzzFile(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	require.NoError(f, err)
	for _, seed := range []string{
		string(example), "", "limits.cpus = { max = 2, choices = [1, 2,] }", "[[image]]\nname = 'A'\nimage = \"a\"\n[image.x]",
		"[[profile]]\nname = \"ml-workspace\"\nenv = { A = \"\"\"x\n\"\"\" }", "a = [[{b = 1}],\n [2]]\n\"c.d\".e = 1_0", "[a]\n[a.b]\n[[a.c]]\n[a.c.d]\ne = 'f'",
		"[server]\nallowed_origins = [\"http://[::1]:80\"]", "\ufeffengine = 'auto'\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var root map[string]any
		lines := keyLines(text)
		if err := toml.Unmarshal([]byte(text), &root); err == nil && !strings.ContainsAny(text, `"'\`) {
			requireLines(t, lines, "", root)
		}
		first := newLoader()
		if err := first.load(text); err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Contains(t, err.Error(), "config.toml")
			return
		}
		var printed strings.Builder
		require.NoError(t, Loaded{Config: first.config, loader: first}.Print(&printed))
		second := newLoader()
		require.NoError(t, second.load(printed.String()), printed.String())
		require.Equal(t, first.config, second.config)
	})
}

func (l *loader) load(text string) error {
	if err := l.applyFile("config.toml", []byte(text)); err != nil {
		return err
	}
	return l.settle()
}

func requireLines(t *testing.T, lines map[string]int, path string, value any) {
	if path != "" {
		require.Contains(t, lines, path)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			if path != "" || !strings.Contains(name, ".") {
				requireLines(t, lines, join(path, name), below)
			}
		}
	case []any:
		for i, below := range value {
			requireLines(t, lines, element(path, i), below)
		}
	case []map[string]any:
		for i, below := range value {
			requireLines(t, lines, element(path, i), below)
		}
	}
}

// FuzzValues feeds sizes, times and lists: what is accepted is in range and reads back as it was shown.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"2GB", "1.5GiB", "8796093022207", "0.000001TB", "90m", "1h30m", "-1s", "9223372036s", "[1, \"2\"]", "1,2", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if mb, ok := parseSize(text); ok {
			require.True(t, mb >= 0 && mb<<20>>20 == mb, "its bytes can be counted")
			if mb <= maxSizeMB {
				again, ok := parseSize(strings.Trim(showSize(mb), `"`))
				require.True(t, ok)
				require.Equal(t, mb, again)
			}
		}
		if d, ok := parseDuration(text); ok {
			require.Zero(t, d%time.Second)
			again, ok := parseDuration(showDuration(d))
			require.True(t, ok, showDuration(d))
			require.Equal(t, d, again)
		}
		_, _ = splitList(text)
	})
}

// FuzzEnvironment feeds every variable: no panic, and every mistake is one line that names the variable.
func FuzzEnvironment(f *testing.F) {
	variables := []string{"PORT", "LOG_LEVEL", "DOCKER_HOST", "WORKSPACE_IMAGE_DEFAULT", "WORKSPACE_IMAGE_OPTIONS"}
	for _, v := range limitVariables() {
		variables = append(variables, v.name)
	}
	for i, seed := range []string{"8080", "info", "unix:///x", `{"image": "a"}`, `["a", {"image": "b", "display_name": "B"}]`, "1,2", "[1]", "", "yes", "http://a"} {
		f.Add(i, seed)
	}
	f.Fuzz(func(t *testing.T, index int, text string) {
		name := variables[uint(index)%uint(len(variables))]
		l := newLoader()
		err := l.applyEnvironment(environment{name + "=" + text})
		if err == nil {
			err = l.settle()
		}
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Contains(t, err.Error(), "environment "+name)
			return
		}
		require.NotEmpty(t, l.config.Images)
	})
}
