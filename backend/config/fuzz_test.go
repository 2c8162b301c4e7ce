package config

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// FuzzFile feeds files: no panic, every mistake is one line that names the file, what is printed loads as the same
// configuration, and the line of every key is known.
func FuzzFile(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	require.NoError(f, err)
	for _, seed := range []string{
		string(example), "", "limits.cpus = { max = 2, choices = [1, 2,] }", "[[image]]\nname = 'A'\nimage = \"a\"\n[image.x]",
		"[[profile]]\nname = \"ml-workspace\"\nenv = { A = \"\"\"x\n\"\"\" }", "a = [[{b = 1}],\n [2]]\n\"c.d\".e = 1_0", "[a]\n[a.b]\n[[a.c]]\n[a.c.d]\ne = 'f'",
		"[groups]\na = [\"ada\", 'b']\n[quota.group.a]\ncpus = 0.5\n[[override]]\ngroups = ['a']\nlimits = { memory.max = '1 GB', cpus = { default = 9 } }\nquota.running = 1",
		"[[override]]\nusers = ['ada']\n[override.limits.idle_timeout]\nmax = '2h'\n[[override]]\nprofiles = ['ml-workspace']\nlimits.gpus = { max = 0 }",
		"limits.gpus.max = 0\n[gpus]\ndevices = ['0']\nshares = 2\n[images]\nallowed = ['a*']\ncheck_updates = 0\npull = 'never'",
		"[[override]]\nusers = ['a']\nlimits.shm.default = 5\n[[override]]\nusers = ['a']\nlimits.shm = { max = 4, choices = [1, 2] }\n[limits]\nshm.choices = [3]",
		"[[profile]]\nname = 'x'\ntitle = 'X'\nport = 1\nmount_path = '/x'\nheaders = { A = 'b' }\nargs = ['']\nactivity_polls = ['/*']\nkeeps_path = false",
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
		require.Empty(t, Diff(Loaded{Config: first.config, loader: first}, Loaded{Config: second.config, loader: second}))
		requireEffectiveLimits(t, first.config.Policy, second.config.Policy)
		require.NoError(t, Loaded{Config: first.config, loader: first}.PrintUser(&printed, "ada"))
	})
}

// requireEffectiveLimits says of everybody who is named, and of somebody who is not, that the same applies to them with
// two policies, and that no default is beyond its maximum.
func requireEffectiveLimits(t *testing.T, first, second quota.Policy) {
	users := []workspace.Owner{"nobody"}
	for _, group := range first.Groups {
		users = append(users, group.Members...)
	}
	for _, override := range first.Overrides {
		users = append(users, override.Users...)
	}
	for _, user := range users[:min(len(users), 20)] {
		for _, p := range []string{"", profile.Minimal.Name, profile.MLWorkspace.Name} {
			limits := first.LimitsFor(user, p)
			require.Equal(t, limits, second.LimitsFor(user, p))
			require.LessOrEqual(t, limits.GPUs.Default, limits.GPUs.Max)
			for _, r := range []quota.Range[int64]{limits.MemoryMB, limits.ShmMB, limits.Processes, limits.VolumeMB, limits.ContainerMB} {
				require.True(t, r.Max == 0 || r.Default <= r.Max)
			}
		}
		require.Equal(t, first.SumsFor(user), second.SumsFor(user))
	}
}

// FuzzNames feeds what people write by hand in lists: no panic, and what is accepted can be used where it goes.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"ada", "Jörg Müller", "研究", "--", "a\nb", "*", "registry.example.org:5000/lab/*", "GPU-8a56a4bc", "nvidia.com/gpu=0", "/api/*/status", "X-Forwarded-Prefix", "İ", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "") // as all TOML is
		if owner, err := loginName().decode(text); err == nil {
			require.True(t, owner.Valid(), owner)
			again, err := loginName().decode(string(owner))
			require.NoError(t, err)
			require.Equal(t, owner, again, "an owner id is a name of its owner")
		}
		if table, err := headers().decode(map[string]any{text: text}); err == nil {
			header := http.Header{}
			for name, value := range table {
				header.Set(name, value)
			}
			require.NoError(t, header.Write(io.Discard))
			require.Len(t, table, 1)
		}
		for _, kind := range []kind[string]{device(), pollPath(), imagePattern(), groupName(), argument()} {
			if decoded, err := kind.decode(text); err == nil {
				require.NotContains(t, decoded, "\x00")
				var read struct{ Value string }
				_, err := toml.Decode("value = "+kind.show(decoded), &read)
				require.NoError(t, err)
				require.Equal(t, decoded, read.Value)
			}
		}
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

// FuzzOverrides makes files with [limits] and overrides of small numbers, so that they contradict each other often: what
// is accepted is what was said, for whom it was said, and stays that when it is printed and loaded again.
func FuzzOverrides(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte{0, 0, 0, 1, 9, 0, 0, 2, 0, 5, 0})
	f.Add([]byte("a seed of some other kind, long enough for several overrides"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		next := func(n int) int { // of less than n
			if len(bytes) == 0 {
				return 0
			}
			b := int(bytes[0])
			bytes = bytes[1:]
			return b % n
		}
		limit := []string{"cpus", "gpus", "processes"}[next(3)]
		var text strings.Builder
		write := func(prefix string) (said map[string]int) {
			said = map[string]int{}
			for _, part := range []string{"default", "max", "choices"} {
				n := 16 * next(16)
				if n == 0 {
					continue
				}
				said[part] = n
				if part == "choices" {
					fmt.Fprintf(&text, "%s.%s.%s = [16, %d]\n", prefix, limit, part, n)
				} else {
					fmt.Fprintf(&text, "%s.%s.%s = %d\n", prefix, limit, part, n)
				}
			}
			return said
		}
		write("limits")
		text.WriteString("[groups]\na = ['ada', 'bob']\nb = ['bob', 'eve']\n")
		var overrides []map[string]int
		for range 1 + next(4) {
			text.WriteString("[[override]]\n" + []string{
				"users = ['ada']", "users = ['bob', 'eve']", "groups = ['a']", "groups = ['b']", "profiles = ['ml-workspace']", "groups = ['a', 'b']\nprofiles = ['ml-workspace']",
			}[next(6)] + "\n")
			overrides = append(overrides, write("limits"))
		}
		loaded := newLoader()
		if err := loaded.load(text.String()); err != nil {
			require.Contains(t, err.Error(), "config.toml:")
			return
		}
		policy := loaded.config.Policy
		for i, said := range overrides {
			patch := map[string]quota.RangePatch[int64]{"gpus": policy.Overrides[i].Limits.GPUs, "processes": policy.Overrides[i].Limits.Processes}[limit]
			if n, set := said["max"]; set && limit != "cpus" {
				require.EqualValues(t, n, *patch.Max, "a maximum that was set never follows")
			}
			alone := policy
			alone.Overrides = policy.Overrides[i : i+1]
			user, profileName, found := inBoth(reachOf(policy, policy.Overrides[i]), reach{anybody: true}, policy.Overrides[i].Profiles, nil)
			require.True(t, found)
			limits := alone.LimitsFor(user, profileName)
			effective := map[string]quota.Range[int64]{"gpus": limits.GPUs, "processes": limits.Processes}[limit]
			if n, set := said["default"]; set && limit != "cpus" {
				require.EqualValues(t, n, effective.Default, "whom only this override is for gets what it says:\n%s", text.String())
			}
			if n, set := said["choices"]; set && limit != "cpus" {
				require.Contains(t, effective.Choices, int64(n))
			}
		}
		var printed strings.Builder
		require.NoError(t, Loaded{Config: loaded.config, loader: loaded}.Print(&printed))
		again := newLoader()
		require.NoError(t, again.load(printed.String()), text.String())
		require.Equal(t, loaded.config, again.config)
		requireEffectiveLimits(t, policy, again.config.Policy)
	})
}
