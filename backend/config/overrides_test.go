package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

func TestFile_Overrides(t *testing.T) {
	six, four, most := int64(6), 4*time.Hour, int64(32_000)
	on, refuse, choices := true, quota.Refuse, []int64{1, 2}
	loaded := mustLoad(t, `
		[groups]
		lab = ["bob"]
		[[override]]
		users = ["Ada"]
		limits = { memory = { max = "32GB" }, gpus = { choices = [2, 1, 2] } }
		quota = { running = 6, on_exceed = "refuse" }
		[[override]]
		groups = ["lab"]
		profiles = ["ml-workspace"]
		users = []
		limits.always_clear_volume_on_stop = true
		[override.limits.idle_timeout]
		default = "4h"
	`)
	require.Equal(t, []quota.Override{
		{
			Users:  []workspace.Owner{"ada0"},
			Limits: quota.LimitsPatch{MemoryMB: quota.RangePatch[int64]{Max: &most}, GPUs: quota.RangePatch[int64]{Choices: &choices}},
			Quota:  quota.SumsPatch{Running: &six, OnExceed: &refuse},
		},
		{
			Groups: []string{"lab"}, Profiles: []string{"ml-workspace"},
			Limits: quota.LimitsPatch{AlwaysClearVolumeOnStop: &on, IdleTimeout: quota.RangePatch[time.Duration]{Default: &four}},
		},
	}, loaded.Config.Policy.Overrides)
	for key, line := range map[string]int{
		"override[0].users": 5, "override[0].limits.memory.max": 6, "override[0].quota.running": 7,
		"override[1].profiles": 10, "override[1].limits.always_clear_volume_on_stop": 12, "override[1].limits.idle_timeout.default": 14,
	} {
		require.Equal(t, fmt.Sprintf("%s:%d", loaded.File, line), loaded.Origin(key))
	}
}

func TestFile_OverridesWrong(t *testing.T) {
	const ada = "[[override]]\nusers = [\"ada\"]\n"
	for text, sentence := range map[string]string{
		"[override]\nusers = []": `:1: override is a table; it must be a list of tables, each [[override]]`,
		"override = [1]":         `:1: override[0] is 1; it must be a table`,
		"[[override]]":           `:1: override[0] is for nobody; it must have users, groups or profiles`,
		"[[override]]\nusers = []\ngroups = []\nprofiles = []\nquota.cpus = 1": `:1: override[0] is for nobody`,
		ada + "":                                                   `:1: override[0] changes nothing; it must have limits or a quota`,
		ada + "limits = {}\nquota = {}":                            `:1: override[0] changes nothing`,
		ada + "limits.memory = {}":                                 `:1: override[0] changes nothing`,
		ada + "limits = 1":                                         `:3: override[0].limits is 1; it must be a table, [override.limits]`,
		ada + "limits.cpus = 1":                                    `:3: override[0].limits.cpus is 1; it must be a table, [override.limits.cpus]`,
		ada + "quota = [1]":                                        `:3: override[0].quota is [1]; it must be a table, [override.quota]`,
		ada + "limits.cpus.max = 0":                                `:3: override[0].limits.cpus.max is 0; it must be a number of CPUs`,
		ada + "limits.gpus.max = 2000":                             `:3: override[0].limits.gpus.max is 2000; it must be a number of GPUs`,
		ada + "limits.shm.choices = [1, 0]":                        `:3: override[0].limits.shm.choices[1] is 0; it must be a size`,
		ada + "quota.running = -1":                                 `:3: override[0].quota.running is -1; it must be a number of workspaces`,
		ada + "quota.on_exceed = \"x\"":                            `:3: override[0].quota.on_exceed is "x"; it must be "queue" or "refuse"`,
		ada + "quota.cpus = -1":                                    `:3: override[0].quota.cpus is -1; it must be`,
		ada + "[override.quota]\nmemory = 1":                       `:4: override[0].quota.memory is 1; it must be a size from 6 MB`,
		ada + "limits.always_clear_volume_on_stop = 1":             `:3: override[0].limits.always_clear_volume_on_stop is 1; it must be true or false`,
		"[[override]]\nusers = [\"ada\", \"ADA\"]\nquota.cpus = 1": `:2: override[0].users[1] is "ADA"; it is the same user, ada0, as "ada" before it`,
		"[[override]]\nusers = \"ada\"\nquota.cpus = 1":            `:2: override[0].users is "ada"; it must be a list, each of its entries a login name`,
		"[[override]]\ngroups = [\"a\", \"a\"]":                    `:2: override[0].groups[1] is "a"; it is there already`,
		"[[override]]\ngroups = [\"A\"]":                           `:2: override[0].groups[0] is "A"; it must be a name of a-z`,
		"[[override]]\ngroups = [\"a\"]\nquota.cpus = 1":           `:2: override[0].groups[0] is "a", which is not there; [groups] has none`,
		"[groups]\nlab = []\n[[override]]\ngroups = [\"lab\",\n\"lap\"]\nquota.cpus = 1":                    `:5: override[0].groups[1] is "lap", which is not there; it must be "lab"`,
		"[[override]]\nprofiles = [\"none\"]\nlimits.cpus.max = 1":                                          `:2: override[0].profiles[0] is "none", which is not there; it must be "workspace-minimal" or "ml-workspace"`,
		"[[override]]\nprofiles = [\"ml-workspace\"]\nquota.cpus = 1":                                       `:2: override[0] has a quota and profiles; it must be without one of them`,
		ada + "quota.cpus = 1\n[[override]]\nusers = [\"ada\"]\nprofiles = [\"ml-workspace\"]\nquota = { }": `:4: override[1] changes nothing`,

		// What does not fit together, in the override and with what somebody set elsewhere.
		ada + "limits.memory = { default = \"3GB\", max = \"2GB\" }":                      `:3: override[0].limits.memory.max is "2GB", less than override[0].limits.memory.default, which is "3GB" (FILE:3); change one of them, or set both`,
		ada + "[override.limits.cpus]\nmax = 2\nchoices = [1, 4]":                         `:4: override[0].limits.cpus.max is 2, less than override[0].limits.cpus.choices, which is [1, 4] (FILE:5)`,
		ada + "limits.gpus = { default = 1, max = 0 }":                                    `:3: override[0].limits.gpus.max is 0, less than override[0].limits.gpus.default, which is 1 (FILE:3)`,
		"limits.memory.default = \"3GB\"\n" + ada + "limits.memory.max = 2000":            `:4: override[0].limits.memory.max is "2GB", less than limits.memory.default, which is "3GB" (FILE:1)`,
		"limits.memory.choices = [1000, 3000]\n" + ada + "limits.memory.max = \"2GB\"":    `:4: override[0].limits.memory.max is "2GB", less than limits.memory.choices, which is ["1GB", "3GB"] (FILE:1)`,
		"limits.memory.max = \"2GB\"\n" + ada + "limits.memory.default = \"3GB\"":         `:4: override[0].limits.memory.default is "3GB", more than limits.memory.max, which is "2GB" (FILE:1)`,
		"limits.gpus.max = 0\n" + ada + "limits.gpus.choices = [1]":                       `:4: override[0].limits.gpus.choices is [1], more than limits.gpus.max, which is 0 (FILE:1)`,
		"limits.idle_timeout.max = \"1h\"\n" + ada + "limits.idle_timeout.default = 7200": `:4: override[0].limits.idle_timeout.default is "2h", more than limits.idle_timeout.max, which is "1h" (FILE:1)`,

		// A maximum that nobody set follows, but not over one that somebody set for some of the same people.
		"[groups]\na = [\"ada\", \"eve\"]\n[[override]]\ngroups = [\"a\"]\nlimits.cpus.max = 64\n" + ada + "limits.cpus.default = 8": `:8: override[1].limits.cpus.default is 8, more than limits.cpus.max, which nobody set; set override[1].limits.cpus.max, too, because for some of the same people override[0].limits.cpus.max is 64 (FILE:5)`,
		"[[override]]\nprofiles = [\"ml-workspace\"]\nlimits.cpus.max = 64\n" + ada + "limits.cpus.choices = [8]":                    `:6: override[1].limits.cpus.choices is [8], more than limits.cpus.max, which nobody set; set override[1].limits.cpus.max, too`,
	} {
		requireMistake(t, text, sentence)
	}
	_, err := load(t, ada+"limits.cpus.default = 8", "WORKSPACE_MAX_CPUS=4")
	require.ErrorContains(t, err, "config.toml:3: override[0].limits.cpus.default is 8, more than limits.cpus.max, which is 4 (environment WORKSPACE_MAX_CPUS)")
}

// What nobody set follows what somebody set, for those whom the override is for.
func TestOverrides_WhatNobodySetFollows(t *testing.T) {
	const ada = "[[override]]\nusers = [\"ada\"]\n"
	for text, want := range map[string]func(*quota.Limits){
		ada + "limits.memory.max = \"1GB\"":      func(l *quota.Limits) { l.MemoryMB = quota.Range[int64]{Default: 1000, Max: 1000} },
		ada + "limits.memory.default = \"16GB\"": func(l *quota.Limits) { l.MemoryMB = quota.Range[int64]{Default: 16_000, Max: 16_000} },
		ada + "limits.cpus.choices = [2, 16]":    func(l *quota.Limits) { l.CPUs = quota.Range[float64]{Default: 1, Max: 16, Choices: []float64{2, 16}} },
		ada + "limits.cpus = { default = 8, choices = [16] }": func(l *quota.Limits) {
			l.CPUs = quota.Range[float64]{Default: 8, Max: 16, Choices: []float64{16}}
		},
		ada + "limits.gpus.default = 9": func(l *quota.Limits) { l.GPUs = quota.Range[int64]{Default: 9, Max: 9} },
		ada + "limits.gpus.max = 0":     func(l *quota.Limits) { l.GPUs = quota.Range[int64]{} },
		ada + "limits.idle_timeout.max = \"2h\"": func(l *quota.Limits) {
			l.IdleTimeout = quota.Range[time.Duration]{Max: 2 * time.Hour, Choices: []time.Duration{0, time.Hour}}
		},
		ada + "limits.volume_size.max = 0": func(l *quota.Limits) { l.VolumeMB.Max = 0 },
		// Others' overrides change nothing, whether they come before or after, or say less.
		"[[override]]\nusers = [\"bob\"]\nlimits.cpus.max = 64\n" + ada + "limits.cpus.default = 8": func(l *quota.Limits) {
			l.CPUs = quota.Range[float64]{Default: 8, Max: 8}
		},
		ada + "limits.cpus.default = 8\n" + ada + "limits.cpus.max = 64": func(l *quota.Limits) {
			l.CPUs = quota.Range[float64]{Default: 8, Max: 64}
		},
		"[groups]\na = [\"ada\"]\n[[override]]\ngroups = [\"a\"]\nlimits.cpus.default = 8\n" + ada + "limits.cpus.max = 6": func(l *quota.Limits) {
			l.CPUs = quota.Range[float64]{Default: 6, Max: 6}
		},
		"[groups]\na = [\"bob\"]\n[[override]]\ngroups = [\"a\"]\nlimits.cpus.max = 64\n" + ada + "limits.cpus.default = 8": func(l *quota.Limits) {
			l.CPUs = quota.Range[float64]{Default: 8, Max: 8}
		},
	} {
		loaded := mustLoad(t, text)
		expected := Default().Policy.Limits
		want(&expected)
		require.Equal(t, expected, loaded.Config.Policy.LimitsFor("ada0", ""), text)
		require.Equal(t, Default().Policy.Limits, loaded.Config.Policy.LimitsFor("eve0", ""), text)
		requirePrintsItself(t, loaded)
	}
	loaded := mustLoad(t, ada+"limits.memory.default = \"16GB\"")
	require.Equal(t, "default, raised to override[0].limits.memory.default ("+loaded.File+":3)", loaded.Origin("override[0].limits.memory.max"))
}

func requirePrintsItself(t *testing.T, loaded Loaded) {
	t.Helper()
	var printed strings.Builder
	require.NoError(t, loaded.Print(&printed))
	require.Equal(t, loaded.Config, mustLoad(t, printed.String()).Config, printed.String())
}

func TestPrintUser(t *testing.T) {
	loaded := mustLoad(t, `[limits]
memory.default = "1GB"
[groups]
students = ["ada", "bob"]
[quota.user]
running = 3
[quota.group.students]
running = 20
[[override]]
groups = ["students"]
limits = { memory.max = "32GB", idle_timeout.max = "2h" }
[[override]]
users = ["ada"]
quota.running = 6
limits.memory.max = "16GB"
[[override]]
profiles = ["ml-workspace"]
limits = { cpus.max = 0.5, memory.max = "4GB" }
`, "WORKSPACE_MAX_VOLUME_SIZE=9000")
	print := func(user string) string {
		var b strings.Builder
		require.NoError(t, loaded.PrintUser(&b, user))
		return strings.ReplaceAll(strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\n", " ; ")), " "), loaded.File, "FILE")
	}
	ada := print("Ada")
	require.Equal(t, ada, print("ada0"), "a login name and its owner id are the same person")
	for _, line := range []string{
		`# What is decided for the user ada0. The size of the machine bounds it further. ;`,
		`[groups] ; students = ["ada0"] # FILE:4 ;`,
		`memory.default = "1GB" # FILE:2 ;`,
		`memory.max = "16GB" # FILE:15 ;`,
		`idle_timeout.max = "2h" # FILE:11 ;`,
		`idle_timeout.choices = ["0s", "1h"] # default, bound by override[0].limits.idle_timeout.max (FILE:11) ;`,
		`volume_size.max = "9GB" # environment WORKSPACE_MAX_VOLUME_SIZE ;`,
		`processes.default = 4096 # default ;`,
		`[quota.user] ; workspaces = 0 # default ; running = 6 # FILE:14 ;`,
		`[quota.group.students] ; workspaces = 0 # default ; running = 20 # FILE:8 ;`,
		`# with images of the profile ml-workspace ; cpus.default = 0.5 # default, bound by override[2].limits.cpus.max (FILE:18) ; cpus.max = 0.5 # FILE:18 ;`,
	} {
		require.Contains(t, ada, line)
	}
	require.NotContains(t, ada, "workspace-minimal", "nothing differs there")
	eve := print("eve")
	require.Contains(t, eve, "# In no group. ;")
	require.Contains(t, eve, `[quota.user] ; workspaces = 0 # default ; running = 3 # FILE:6 ;`)
	require.Contains(t, eve, `# with images of the profile ml-workspace ; cpus.default = 0.5 # default, bound by override[2].limits.cpus.max (FILE:18) ; cpus.max = 0.5 # FILE:18 ; memory.max = "4GB" # FILE:18 ;`)
	require.NotContains(t, eve, "students")

	require.EqualError(t, loaded.PrintUser(&strings.Builder{}, "--"), `command line: --user is "--"; it must be a login name of 500 characters at most, such as "ada", or an owner id`)
}
