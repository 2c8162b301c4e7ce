package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiff(t *testing.T) {
	const two = "[[override]]\nusers = [\"ada\"]\nquota.running = 1\n[[override]]\nusers = [\"bob\"]\nlimits.memory.max = \"16GB\"\n"
	const image = "[[image]]\nname = \"A\"\nimage = \"a\"\n"
	for _, c := range []struct {
		before, after string
		want          []Change
	}{
		{"", "", nil},
		{"", "# a comment\n\nengine = \"auto\"", nil},
		{"engine = \"docker\"", "", []Change{{"engine", `"docker"`, `"auto"`, "default", false}}},
		{"", "server.listen = \":1\"", []Change{{"server.listen", `"127.0.0.1:8080"`, `":1"`, "FILE:1", false}}},
		{"", "[docker]\nreach = \"port\"\n[gpus]\ndevices = [\"0\"]\nshares = 2", []Change{
			{"docker.reach", `"auto"`, `"port"`, "FILE:2", false},
			{"gpus.discover", "true", "false", "default, switched off by gpus.devices (FILE:4)", false},
			{"gpus.devices", "[]", `["0"]`, "FILE:4", false},
			{"gpus.shares", "1", "2", "FILE:5", true},
		}},
		{"limits.cpus.max = 8", "limits.cpus.max = 0.5", []Change{
			{"limits.cpus.default", "1", "0.5", "default, lowered to limits.cpus.max (FILE:1)", true},
			{"limits.cpus.max", "8", "0.5", "FILE:1", true},
		}},
		{"", "images.pull = \"never\"\nlog.level = \"debug\"\nlimits.full_grace = 60\nquota.user.running = 1\nquota.host.reserve_cpus = 1", []Change{
			{"limits.full_grace", `"30m"`, `"1m"`, "FILE:3", true},
			{"quota.user.running", "0", "1", "FILE:4", true},
			{"quota.host.reserve_cpus", "0.5", "1", "FILE:5", true},
			{"images.pull", `"missing"`, `"never"`, "FILE:1", true},
			{"log.level", `"info"`, `"debug"`, "FILE:2", true},
		}},
		{"[groups]\na = [\"ada\"]\nb = []\n[quota.group.b]\ncpus = 1", "[groups]\na = [\"ada\", \"bob\"]\nc = []\n[quota.group.c]\ncpus = 2", []Change{
			{"groups.a", `["ada0"]`, `["ada0", "bob0"]`, "FILE:2", true},
			{"groups.c", "", "[]", "FILE:3", true},
			{"groups.b", "[]", "", "FILE:3", true},
			{"quota.group.c.cpus", "", "2", "FILE:5", true},
			{"quota.group.b.cpus", "1", "", "FILE:5", true},
		}},
		// Lists are compared element by element, and those that only moved are not named.
		{two, "[[override]]\nusers = [\"eve\"]\nquota.cpus = 2\n" + two, []Change{
			{"override[0].users", "", `["eve0"]`, "FILE:2", true},
			{"override[0].quota.cpus", "", "2", "FILE:3", true},
		}},
		{two, "[[override]]\nusers = [\"bob\"]\nlimits.memory.max = \"16GB\"\n", []Change{
			{"override[0].users", `["ada0"]`, "", "FILE:2", true},
			{"override[0].quota.running", "1", "", "FILE:3", true},
		}},
		{two, two + "quota.gpus = 1", []Change{{"override[1].quota.gpus", "", "1", "FILE:7", true}}},
		{two, "[[override]]\nusers = [\"ada\"]\nquota.running = 1\n[[override]]\nusers = [\"bob\"]\nlimits.memory.max = \"20GB\"\n", []Change{
			{"override[1].limits.memory.max", `"16GB"`, `"20GB"`, "FILE:6", true},
		}},
		{image, image + "[[image]]\nname = \"B\"\nimage = \"b\"", []Change{
			{"image[1].name", "", `"B"`, "FILE:5", true},
			{"image[1].image", "", `"b"`, "FILE:6", true},
		}},
		{image, image + "pull = \"always\"", []Change{{"image[0].pull", `""`, `"always"`, "FILE:4", true}}},
		{"", "[[profile]]\nname = \"ml-workspace\"\nport = 9090\n[[profile]]\nname = \"new\"\ntitle = \"New\"\nport = 1\nmount_path = \"/x\"", []Change{
			{"profile[ml-workspace].port", "8080", "9090", "FILE:3", true},
			{"profile[new].name", "", `"new"`, "FILE:5", true},
			{"profile[new].title", "", `"New"`, "FILE:6", true},
			{"profile[new].port", "", "1", "FILE:7", true},
			{"profile[new].mount_path", "", `"/x"`, "FILE:8", true},
		}},
	} {
		before, after := loadAsFILE(t, c.before), loadAsFILE(t, c.after)
		require.Equal(t, c.want, Diff(before, after), "from %q to %q", c.before, c.after)
		require.Len(t, Diff(after, before), len(c.want), "back from %q to %q", c.after, c.before)
		require.Empty(t, Diff(after, after))
	}
}

// loadAsFILE loads a text as if it were in a file of that name.
func loadAsFILE(t *testing.T, text string) Loaded {
	loaded, err := LoadOptions{Environ: home(t)}.load(Folders{}, source{file: "FILE", text: []byte(text)})
	require.NoError(t, err)
	return loaded
}

func TestChange_String(t *testing.T) {
	require.Equal(t, `limits.cpus.max: 4 → 8 (FILE:1)`, Change{"limits.cpus.max", "4", "8", "FILE:1", true}.String())
	require.Equal(t, `engine: nothing → "auto" (default), after a restart`, Change{"engine", "", `"auto"`, "default", false}.String())
}
