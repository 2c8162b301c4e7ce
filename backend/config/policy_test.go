package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

func TestFile_PolicyValues(t *testing.T) {
	group := func(change func(*quota.Group)) map[string]quota.Group {
		g := quota.Group{Quota: quota.Sums{OnExceed: quota.Queue}}
		change(&g)
		return map[string]quota.Group{"lab": g}
	}
	for text, want := range map[string]func(*Config){
		`limits.gpus = { default = 1, max = 2, choices = [0, 1] }`: func(c *Config) {
			c.Policy.Limits.GPUs = quota.Range[int64]{Default: 1, Max: 2, Choices: []int64{0, 1}}
		},
		`limits.gpus.max = 0`:        func(c *Config) { c.Policy.Limits.GPUs.Max = 0 },
		`limits.gpus.default = 9`:    func(c *Config) { c.Policy.Limits.GPUs = quota.Range[int64]{Default: 9, Max: 9} },
		`limits.full_grace = "168h"`: func(c *Config) { c.FullGrace = 168 * time.Hour },
		`limits.full_grace = 1`:      func(c *Config) { c.FullGrace = time.Second },
		"[groups]\nlab = []":         func(c *Config) { c.Policy.Groups = group(func(*quota.Group) {}) },
		"[groups]":                   func(*Config) {},
		"[groups]\nlab = [\"Ada\", \"b.ob@x\", \"研究\"]": func(c *Config) {
			c.Policy.Groups = group(func(g *quota.Group) { g.Members = []workspace.Owner{"ada0", "bobx", workspace.OwnerFromName("研究")} })
		},
		"[quota.group.lab]\ncpus = 0.5\n[groups]\nlab = []": func(c *Config) {
			c.Policy.Groups = group(func(g *quota.Group) { g.Quota.CPUs = 0.5 })
		},
		"[quota.user]\nworkspaces = 10\nrunning = 3\ncpus = 8\nmemory = \"16GB\"\nstorage = \"100 gb\"\ngpus = 1\non_exceed = \"refuse\"": func(c *Config) {
			c.Policy.User = quota.Sums{Workspaces: 10, Running: 3, CPUs: 8, MemoryMB: 16_000, StorageMB: 100_000, GPUs: 1, OnExceed: quota.Refuse}
		},
		"[quota.host]\nreserve_cpus = 0\nreserve_memory = 0\ncpu_overcommit = 2.5\nmemory_overcommit = 1\non_exceed = \"refuse\"": func(c *Config) {
			c.Policy.Host = quota.HostQuota{CPUOvercommit: 2.5, MemoryOvercommit: 1, OnExceed: quota.Refuse}
		},
		"[gpus]\ndiscover = false\nshares = 64":             func(c *Config) { c.GPUs.Discover, c.Policy.GPUShares = false, 64 },
		`gpus.devices = ["0", "GPU-1", "nvidia.com/gpu=0"]`: func(c *Config) { c.GPUs = GPUs{Devices: []string{"0", "GPU-1", "nvidia.com/gpu=0"}} },
		`gpus = { discover = true, devices = ["0"] }`:       func(c *Config) { c.GPUs = GPUs{Devices: []string{"0"}} },
		"[images]\nuse_host_proxy = false\nallowed = [\"a/*\", \"b\"]\npull = \"always\"\ncheck_updates = \"0s\"": func(c *Config) {
			c.ImagePolicy = ImagePolicy{TrustHostCA: true, Allowed: []string{"a/*", "b"}, Pull: workspace.PullAlways}
		},
		`images.check_updates = "8784h"`: func(c *Config) { c.ImagePolicy.CheckUpdates = 366 * 24 * time.Hour },
		"[[image]]\nname = \"A\"\nimage = \"a\"\npull = \"never\"": func(c *Config) {
			c.Images = []Image{{Name: "A", Image: "a", Profile: "ml-workspace", Pull: workspace.PullNever}}
		},
	} {
		expected := Default()
		want(&expected)
		require.Equal(t, expected, mustLoad(t, text).Config, text)
	}
}

// TestFile_SizesEverywhere: every spelling means the same in every key that takes a size.
func TestFile_SizesEverywhere(t *testing.T) {
	keys := map[string]func(Config) int64{
		"limits.memory.default = ":         func(c Config) int64 { return c.Policy.Limits.MemoryMB.Default },
		"limits.memory.max = ":             func(c Config) int64 { return c.Policy.Limits.MemoryMB.Max },
		"limits.shm.default = ":            func(c Config) int64 { return c.Policy.Limits.ShmMB.Default },
		"limits.volume_size.default = ":    func(c Config) int64 { return c.Policy.Limits.VolumeMB.Default },
		"limits.container_size.default = ": func(c Config) int64 { return c.Policy.Limits.ContainerMB.Default },
		"quota.user.memory = ":             func(c Config) int64 { return c.Policy.User.MemoryMB },
		"quota.user.storage = ":            func(c Config) int64 { return c.Policy.User.StorageMB },
		"quota.host.reserve_memory = ":     func(c Config) int64 { return c.Policy.Host.ReserveMemoryMB },
		"groups.a = []\nquota.group.a.memory = ": func(c Config) int64 {
			return c.Policy.Groups["a"].Quota.MemoryMB
		},
	}
	for key, get := range map[string]func(quota.Override) *int64{
		"limits.memory.max":          func(o quota.Override) *int64 { return o.Limits.MemoryMB.Max },
		"limits.shm.max":             func(o quota.Override) *int64 { return o.Limits.ShmMB.Max },
		"limits.volume_size.max":     func(o quota.Override) *int64 { return o.Limits.VolumeMB.Max },
		"limits.container_size.max":  func(o quota.Override) *int64 { return o.Limits.ContainerMB.Max },
		"quota.memory":               func(o quota.Override) *int64 { return o.Quota.MemoryMB },
		"quota.storage":              func(o quota.Override) *int64 { return o.Quota.StorageMB },
		"limits.memory.default":      func(o quota.Override) *int64 { return o.Limits.MemoryMB.Default },
		"limits.volume_size.default": func(o quota.Override) *int64 { return o.Limits.VolumeMB.Default },
	} {
		keys["[[override]]\nusers = [\"ada\"]\n"+key+" = "] = func(c Config) int64 { return *get(c.Policy.Overrides[0]) }
	}
	for key, get := range keys {
		for spelling, mb := range map[string]int64{
			`2000`: 2000, `"2000"`: 2000, `"2000MB"`: 2000, `"2000 mb"`: 2000, `"2GB"`: 2000, `"2 GB"`: 2000, `"2gb"`: 2000, `" 2 Gb "`: 2000,
			`"2GiB"`: 2048, `"2 gib"`: 2048, `"1.5GB"`: 1500, `"0.002TB"`: 2000, `"700MiB"`: 700, `700`: 700,
		} {
			require.Equal(t, mb, get(mustLoad(t, key+spelling).Config), key+spelling)
		}
		for _, wrong := range []string{`-1`, `"-1"`, `"2 G"`, `"2g"`, `"2kB"`, `"2 PB"`, `"2  GB"`, `1.5`, `"0.5MB"`, `"1e3"`, `true`, `[]`, `""`, `8_000_000_000_001`, `9223372036854775807`, `"9999999999999TB"`, `"8000001TB"`} {
			_, err := load(t, key+wrong)
			require.ErrorContains(t, err, "; it must be a size from ", key+wrong)
			require.Regexp(t, `config\.toml:[123]: `, err.Error())
		}
	}
}

// TestFile_PolicyWrong lists mistakes with the end of the sentence that they get after the name of the file.
func TestFile_PolicyWrong(t *testing.T) {
	long := strings.Repeat("x", 41)
	for text, sentence := range map[string]string{
		"limits.gpus.default = -1":                       `:1: limits.gpus.default is -1; it must be a number of GPUs from 0 to 1024`,
		"limits.gpus.max = 1025":                         `:1: limits.gpus.max is 1025; it must be a number of GPUs from 0 to 1024, with 0 for none at all`,
		"limits.gpus.max = \"1\"":                        `:1: limits.gpus.max is "1"; it must be a number of GPUs`,
		"limits.gpus.choices = [1, 1.5]":                 `:1: limits.gpus.choices[1] is 1.5; it must be a number of GPUs`,
		"limits.gpus = { default = 1, max = 0 }":         `:1: limits.gpus.default is 1, more than limits.gpus.max, which is 0 (FILE:1); lower the one or raise the other`,
		"limits.gpus = { max = 0, choices = [0, 1] }":    `:1: limits.gpus.choices is [0, 1], more than limits.gpus.max, which is 0`,
		"limits.full_grace = \"0s\"":                     `:1: limits.full_grace is "0s"; it must be a time from "1s" to "168h"`,
		"limits.full_grace = \"-1m\"":                    `it must be a time from "1s" to "168h"`,
		"limits.full_grace = \"169h\"":                   `it must be a time from "1s" to "168h"`,
		"limits.full_grace = true":                       `it must be a time from "1s" to "168h"`,
		"groups = []":                                    `:1: groups is []; it must be a table, [groups]`,
		"[[groups]]\na = []":                             `:1: groups is a list of tables; it must be a table, [groups]`,
		"[groups]\nA = []":                               `:2: the name of a group is "A"; it must be a name of a-z, 0-9 and hyphens, 40 characters at most`,
		"[groups]\n\"\" = []":                            `the name of a group is ""; it must be a name`,
		"[groups]\n\"a b\" = []":                         `:2: the name of a group is "a b"; it must be a name`,
		"[groups]\n" + long + " = []":                    `:2: the name of a group is "` + long + `"; it must be a name`,
		"[groups]\na = \"ada\"":                          `:2: groups.a is "ada"; it must be a list, each of its entries a login name of 500 characters at most, such as "ada", or an owner id`,
		"[groups]\na = {}":                               `:2: groups.a is a table; it must be a list`,
		"[groups]\na = [\n\"ada\",\n\"\"]":               `:4: groups.a[1] is ""; it must be a login name`,
		"[groups]\na = [\"--\"]":                         `:2: groups.a[0] is "--"; it must be a login name`,
		"[groups]\na = [\" ada\"]":                       `:2: groups.a[0] is " ada"; it must be a login name`,
		"[groups]\na = [\"a\\nb\"]":                      `:2: groups.a[0] is "a\u000ab"; it must be a login name`,
		"[groups]\na = [1]":                              `:2: groups.a[0] is 1; it must be a login name`,
		"[groups]\na = [\"ada\", \"bob\",\n\"Ada\"]":     `:3: groups.a[2] is "Ada"; it is the same user, ada0, as "ada" before it; each must be there once`,
		"[groups]\na = [\"ada\", \"ada0\"]":              `:2: groups.a[1] is "ada0"; it is the same user, ada0, as "ada" before it`,
		"quota = 1":                                      `:1: quota is 1; it must be a table, [quota]`,
		"quota.user = 1":                                 `:1: quota.user is 1; it must be a table, [quota.user]`,
		"quota.user.workspaces = -1":                     `:1: quota.user.workspaces is -1; it must be a number of workspaces from 1 to 1000000, or 0 for no bound`,
		"quota.user.running = 1000001":                   `:1: quota.user.running is 1000001; it must be a number of workspaces`,
		"quota.user.running = 1.0":                       `:1: quota.user.running is 1; it must be a number of workspaces`,
		"quota.user.cpus = 0.001":                        `:1: quota.user.cpus is 0.001; it must be a number of CPUs from 0.01 to 100000, such as 0.5 or 2, or 0 for no bound`,
		"quota.user.cpus = -0.5":                         `it must be a number of CPUs`,
		"quota.user.cpus = nan":                          `it must be a number of CPUs`,
		"quota.user.cpus = inf":                          `it must be a number of CPUs`,
		"quota.user.cpus = 100001":                       `it must be a number of CPUs`,
		"quota.user.memory = 5":                          `:1: quota.user.memory is 5; it must be a size from 6 MB to 8000000 TB, such as 2000, "2GB" or "2GiB", or 0 for no bound`,
		"quota.user.gpus = -1":                           `:1: quota.user.gpus is -1; it must be a number of GPUs from 1 to 1000000, or 0 for no bound`,
		"quota.user.on_exceed = \"wait\"":                `:1: quota.user.on_exceed is "wait"; it must be "queue" or "refuse"`,
		"quota.user.on_exceed = \"\"":                    `it must be "queue" or "refuse"`,
		"quota.group = 1":                                `:1: quota.group is 1; it must be a table with a table for each group, [quota.group.NAME]`,
		"quota.group.a = 1":                              `:1: quota.group.a is 1; it must be a table, [quota.group.a]`,
		"[[quota.group.a]]\ncpus = 1":                    `:1: quota.group.a is a list of tables; it must be a table`,
		"[quota.group.A]":                                `:1: the name of a group is "A"; it must be a name`,
		"[quota.group.a]\ncpus = 1":                      `:1: quota.group.a is for the group "a", which is not there; [groups] has none`,
		"[groups]\nb = []\nc=[]\n[quota.group.a]":        `:4: quota.group.a is for the group "a", which is not there; it must be "b" or "c"`,
		"[groups]\na = []\n[quota.group.a]\nmemory = -1": `:4: quota.group.a.memory is -1; it must be a size`,
		"quota.host.reserve_cpus = -1":                   `:1: quota.host.reserve_cpus is -1; it must be a number of CPUs from 0.01 to 100000, such as 0.5 or 2, or 0 for nothing`,
		"quota.host.cpu_overcommit = 0.05":               `:1: quota.host.cpu_overcommit is 0.05; it must be a factor from 0.1 to 100, such as 1.5, or 0 for no bound`,
		"quota.host.memory_overcommit = 101":             `it must be a factor from 0.1 to 100`,
		"quota.host.memory_overcommit = nan":             `it must be a factor from 0.1 to 100`,
		"quota.host.memory_overcommit = \"1\"":           `it must be a factor from 0.1 to 100`,
		"quota.host.on_exceed = 1":                       `it must be "queue" or "refuse"`,

		"gpus = 2":                                          `:1: gpus is 2; it must be a table, [gpus]`,
		"gpus.discover = 1":                                 `:1: gpus.discover is 1; it must be true or false`,
		"gpus.devices = \"0\"":                              `:1: gpus.devices is "0"; it must be a list, each of its entries the id of a GPU`,
		"gpus.devices = [0]":                                `:1: gpus.devices[0] is 0; it must be the id of a GPU, such as "0", "GPU-8a56a4bc-…" or "nvidia.com/gpu=0"`,
		"gpus.devices = [\"0\", \"a b\"]":                   `:1: gpus.devices[1] is "a b"; it must be the id of a GPU`,
		"gpus.devices = [\"0\", \"0\"]":                     `:1: gpus.devices[1] is "0"; it is there already; each must be there once`,
		"gpus.shares = 0":                                   `:1: gpus.shares is 0; it must be a number of workspaces from 1 to 64`,
		"gpus.shares = 65":                                  `it must be a number of workspaces from 1 to 64`,
		"images.use_host_proxy = \"yes\"":                   `:1: images.use_host_proxy is "yes"; it must be true or false`,
		"images.allowed = []":                               `:1: images.allowed is []; it must be a list with an entry at least, each of its entries a pattern of names of images`,
		"images.allowed = \"*\"":                            `:1: images.allowed is "*"; it must be a list with an entry`,
		"images.allowed = [\"*\", \"\"]":                    `:1: images.allowed[1] is ""; it must be a pattern of names of images, such as "*" or "registry.example.org/lab/*"`,
		"images.allowed = [\"a b\"]":                        `:1: images.allowed[0] is "a b"; it must be a pattern`,
		"images.allowed = [\"a\", \"a\"]":                   `:1: images.allowed[1] is "a"; it is there already`,
		"images.pull = \"sometimes\"":                       `:1: images.pull is "sometimes"; it must be "missing" or "always" or "never"`,
		"images.pull = \"\"":                                `:1: images.pull is ""; it must be "missing" or "always" or "never"`,
		"images.check_updates = \"-1h\"":                    `:1: images.check_updates is "-1h"; it must be a time from "1m" to a year, such as "6h", or "0s" for never`,
		"images.check_updates = \"59s\"":                    `it must be a time from "1m" to a year`,
		"images.check_updates = \"8785h\"":                  `it must be a time from "1m" to a year`,
		"[[image]]\nname=\"A\"\nimage=\"a\"\npull=\"ever\"": `:4: image[0].pull is "ever"; it must be "missing" or "always" or "never", or "" for what [images] says`,
	} {
		requireMistake(t, text, sentence)
	}
}

// requireMistake loads a file with FILE for its own name in the sentence.
func requireMistake(t *testing.T, text, sentence string) {
	t.Helper()
	_, err := load(t, text)
	require.Error(t, err, text)
	require.NotContains(t, err.Error(), "\n", text)
	file, _, found := strings.Cut(err.Error(), "config.toml:")
	require.True(t, found, "%s names no place", err)
	require.Contains(t, strings.ReplaceAll(err.Error(), file+"config.toml", "FILE"), sentence, text)
}

func TestFile_ProfileOfAnyImage(t *testing.T) {
	loaded := mustLoad(t, `
		[[profile]]
		name = "mine"
		title = "Mine"
		port = 80
		mount_path = "/data"
		keeps_path = false
		any_answer = true
		args = ["serve", "", "--base={access_path}"]
		headers = { X-Forwarded-Prefix = "{access_path}", "x-lab" = "" }
		note = "Nothing locks it."
		activity_probe = "jupyter"
		activity_polls = ["/poll/*", "/*"]
		activity_quiet_frame = 65536
		[[profile]]
		name = "workspace-minimal"
		activity_probe = ""
		headers = {}
		args = []
	`)
	mine, _ := profile.Find(loaded.Config.Profiles, "mine")
	require.Equal(t, profile.Profile{
		Name: "mine", Title: "Mine", Port: 80, MountPath: "/data", AnyAnswer: true, HealthPath: "/", Args: []string{"serve", "", "--base={access_path}"},
		Env: map[string]string{}, Headers: map[string]string{"X-Forwarded-Prefix": "{access_path}", "x-lab": ""}, Note: "Nothing locks it.",
		Activity:       profile.Activity{Probe: "jupyter", Polls: []string{"/poll/*", "/*"}, QuietFrame: 65536},
		AnswerDeadline: time.Minute, StopGrace: 10 * time.Second,
	}, mine)
	minimal, _ := profile.Find(loaded.Config.Profiles, profile.Minimal.Name)
	want := profile.Minimal
	want.Activity.Probe = ""
	require.Equal(t, want, minimal)
}

func TestFile_ProfileWrong(t *testing.T) {
	for text, sentence := range map[string]string{
		`keeps_path = "no"`:                     `keeps_path is "no"; it must be true or false`,
		`any_answer = 1`:                        `any_answer is 1; it must be true or false`,
		`args = "serve"`:                        `args is "serve"; it must be a list, each of its entries a text of 10000 bytes at most`,
		`args = ["a\u0000"]`:                    `args[0] is "a\u0000"; it must be a text`,
		`headers = { "A B" = "x" }`:             `headers is a table; it must be a table of HTTP headers that say nothing of the connection`,
		`headers = { A = 1 }`:                   `it must be a table of HTTP headers`,
		`headers = { A = "x\ny" }`:              `it must be a table of HTTP headers`,
		`headers = { A = " x" }`:                `it must be a table of HTTP headers`,
		`headers = { X-A = "1", x-a = "2" }`:    `it must be a table of HTTP headers`,
		`headers = { HOST = "x" }`:              `it must be a table of HTTP headers`,
		`headers = { transfer-encoding = "x" }`: `it must be a table of HTTP headers`,
		`headers = ["A"]`:                       `headers is ["A"]; it must be a table of HTTP headers`,
		`note = "a\nb"`:                         `note is "a\u000ab"; it must be a text of 0 to 500 characters in one line`,
		`activity_probe = "rstudio"`:            `activity_probe is "rstudio"; it must be "" or "jupyter"`,
		`activity_polls = ["api"]`:              `activity_polls[0] is "api"; it must be a path that starts with "/", with * for any part of it`,
		`activity_polls = ["/a", "/a b"]`:       `activity_polls[1] is "/a b"; it must be a path`,
		`activity_polls = ["/a?b"]`:             `it must be a path`,
		`activity_polls = ["/a", "/a"]`:         `activity_polls[1] is "/a"; it is there already`,
		`activity_quiet_frame = -1`:             `activity_quiet_frame is -1; it must be a number of bytes from 0 to 65536`,
		`activity_quiet_frame = 65537`:          `it must be a number of bytes from 0 to 65536`,
		`activity_quiet_frame = "1"`:            `it must be a number of bytes`,
	} {
		requireMistake(t, "[[profile]]\nname = \"ml-workspace\"\n"+text, sentence)
		requireMistake(t, "[[profile]]\nname = \"ml-workspace\"\n"+text, "FILE:3: ")
	}
}

func TestFile_ManyMembers(t *testing.T) {
	members := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("%q", fmt.Sprint("user", i))
		}
		return "[groups]\na = [" + strings.Join(names, ", ") + "]"
	}
	require.Len(t, mustLoad(t, members(10_000)).Config.Policy.Groups["a"].Members, 10_000)
	requireMistake(t, members(10_001), `; it has 10001 entries; it may have 10000`)
}
