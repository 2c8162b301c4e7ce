package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/adrg/xdg"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
)

func TestParseSize(t *testing.T) {
	for text, mb := range map[string]int64{
		"2000": 2000, "2000MB": 2000, "2GB": 2000, "2GiB": 2048, "700": 700, "0": 0, " 2 gb ": 2000, "2000MiB": 2000,
		"1.5GB": 1500, "0.5GiB": 512, "1TB": 1_000_000, "1TiB": 1 << 20, "8796093022207": maxSizeMB,
	} {
		got, ok := parseSize(text)
		require.True(t, ok, text)
		require.Equal(t, mb, got, text)
	}
	for _, text := range []string{"", "GB", "-1", "2g", "2kB", "2 G B", "1e3", "0.5MB", "1.0001GB", "2GB2", "8796093022208", "99999999999999999999", "0x10", "２GB"} {
		_, ok := parseSize(text)
		require.False(t, ok, text)
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1h": time.Hour, "90m": 90 * time.Minute, "0s": 0, "0": 0, "3600": time.Hour, "1h30m": 90 * time.Minute, " 60 ": time.Minute, "-5": -5 * time.Second,
	} {
		got, ok := parseDuration(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "1d", "h", "1.5", "1ms", "1h0.5s", "9223372036854775807", "1 hour"} {
		_, ok := parseDuration(text)
		require.False(t, ok, text)
	}
}

func TestSplitList(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "  ": nil, "[]": nil, "5": {"5"}, "1,2": {"1", "2"}, "[1,2]": {"1", "2"}, " [ 1 , 2 ] ": {"1", "2"},
		`["a", "b,c"]`: {"a", "b,c"}, "a, b": {"a", "b"}, "1,,2": {"1", "", "2"},
	} {
		got, ok := splitList(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"[1,2", `["a"`, "[1]]"} {
		_, ok := splitList(text)
		require.False(t, ok, text)
	}
}

func TestFile_Values(t *testing.T) {
	hour := time.Hour
	for text, want := range map[string]func(*Config){
		`engine = "docker"`:                              func(c *Config) { c.Engine = EngineDocker },
		`engine = "mllab"`:                               func(c *Config) { c.Engine = EngineMLLab },
		`mllab.base_url = "/lab"`:                        func(c *Config) { c.MLLab.BaseURL = "/lab" },
		`server.listen = ":80"`:                          func(c *Config) { c.Server.Listen = ":80" },
		`server.listen = "[::1]:0"`:                      func(c *Config) { c.Server.Listen = "[::1]:0" },
		`server.listen = "localhost:80"`:                 func(c *Config) { c.Server.Listen = "localhost:80" },
		`server.allowed_hosts = ["Lab.Example.org"]`:     func(c *Config) { c.Server.AllowedHosts = []string{"lab.example.org"} },
		`server.allowed_hosts = ["10.0.0.1", "FE80::1"]`: func(c *Config) { c.Server.AllowedHosts = []string{"10.0.0.1", "fe80::1"} },
		`server.allowed_origins = ["HTTPS://Lab.example.org:443/", "http://localhost:3000"]`: func(c *Config) {
			c.Server.AllowedOrigins = []string{"https://lab.example.org", "http://localhost:3000"}
		},
		`docker.host = "tcp://10.0.0.1:2375"`:             func(c *Config) { c.Docker.Host = "tcp://10.0.0.1:2375" },
		`docker.reach = "port"`:                           func(c *Config) { c.Docker.Reach = ReachPort },
		`docker.subnet_pool = "192.168.128.0/20"`:         func(c *Config) { c.Docker.SubnetPool = "192.168.128.0/20" },
		`limits.cpus.default = 0.25`:                      func(c *Config) { c.Policy.Limits.CPUs.Default = 0.25 },
		`limits.cpus = { max = 16, choices = [4, 1, 4] }`: func(c *Config) { c.Policy.Limits.CPUs.Max, c.Policy.Limits.CPUs.Choices = 16, []float64{1, 4} },
		`limits.memory.default = 700`:                     func(c *Config) { c.Policy.Limits.MemoryMB.Default = 700 },
		`limits.memory = { default = "2GiB", max = "2TB" }`: func(c *Config) {
			c.Policy.Limits.MemoryMB.Default, c.Policy.Limits.MemoryMB.Max = 2048, 2_000_000
		},
		`limits.shm.default = "64MB"`:                                  func(c *Config) { c.Policy.Limits.ShmMB.Default = 64 },
		`limits.processes.max = 10000`:                                 func(c *Config) { c.Policy.Limits.Processes.Max = 10_000 },
		`limits.volume_size.max = 0`:                                   func(c *Config) { c.Policy.Limits.VolumeMB.Max = 0 },
		`limits.idle_timeout.default = 60`:                             func(c *Config) { c.Policy.Limits.IdleTimeout.Default = time.Minute },
		`limits.idle_timeout.choices = ["8h", 3600]`:                   func(c *Config) { c.Policy.Limits.IdleTimeout.Choices = []time.Duration{hour, 8 * hour} },
		`limits.always_clear_volume_on_stop = true`:                    func(c *Config) { c.Policy.Limits.AlwaysClearVolumeOnStop = true },
		`images.trust_host_ca = false`:                                 func(c *Config) { c.ImagePolicy.TrustHostCA = false },
		`log.level = "debug"`:                                          func(c *Config) { c.LogLevel = slog.LevelDebug },
		"\ufeff# a mark at the beginning\r\nlog.level = \"error\"\r\n": func(c *Config) { c.LogLevel = slog.LevelError },
	} {
		expected := Default()
		want(&expected)
		require.Equal(t, expected, mustLoad(t, text).Config, text)
	}
}

// TestFile_Wrong lists mistakes with the end of the sentence that they get after the name of the file.
func TestFile_Wrong(t *testing.T) {
	for text, sentence := range map[string]string{
		"engine = \"kubernetes\"":                     `:1: engine is "kubernetes"; it comes with a later version; until then it must be "auto" or "docker" or "mllab"`,
		"mllab.endpoint = \"ml-lab-backend:8080\"":    `:1: mllab.endpoint is "ml-lab-backend:8080"; it must be the address of an ML Lab's API`,
		"mllab.base_url = \"lab/\"":                   `:1: mllab.base_url is "lab/"; it must be the path below which browsers reach the lab`,
		"engine = \"podman\"":                         `:1: engine is "podman"; it must be "auto" or "docker" or "mllab"`,
		"\nengine = 1":                                `:2: engine is 1; it must be "auto" or "docker" or "mllab"`,
		"[server]\nlisten = 8080":                     `:2: server.listen is 8080; it must be an address with a port, such as "127.0.0.1:8080" or ":8080"`,
		"server.listen = \"80\"":                      `:1: server.listen is "80"; it must be an address with a port`,
		"server.listen = \":70000\"":                  `:1: server.listen is ":70000"; it must be`,
		"server.listen = \"a b:80\"":                  `:1: server.listen is "a b:80"; it must be`,
		"server.access_port = 65536":                  `:1: server.access_port is 65536; it must be a port from 1 to 65535, or 0`,
		"server.access_port = \"80\"":                 `:1: server.access_port is "80"; it must be a port`,
		"server.access_port = 80.0":                   `:1: server.access_port is 80; it must be a port`,
		"server = 5":                                  `:1: server is 5; it must be a table, [server]`,
		"server.allowed_hosts = \"x\"":                `:1: server.allowed_hosts is "x"; it must be a list, each of its entries a host name or an IP address without port`,
		"server.allowed_hosts = [\"https://x\"]":      `:1: server.allowed_hosts[0] is "https://x"; it must be a host name or an IP address without port`,
		"server.allowed_hosts = [\"x:80\"]":           `it must be a host name`,
		"server.allowed_hosts = [\"fe80::1%eth0\"]":   `it must be a host name`,
		"server.allowed_origins = [\"x.org\"]":        `server.allowed_origins[0] is "x.org"; it must be an origin, such as "https://lab.example.org"`,
		"server.allowed_origins = [\"*\"]":            `it must be an origin`,
		"server.allowed_origins = [\"null\"]":         `it must be an origin`,
		"server.allowed_origins = [\"http://x/p\"]":   `it must be an origin`,
		"server.allowed_origins = [\"http://x?a\"]":   `it must be an origin`,
		"server.allowed_origins = [\"http://x#\"]":    `it must be an origin`,
		"server.allowed_origins = [\"http://u@x\"]":   `it must be an origin`,
		"server.allowed_origins = [\"ftp://x\"]":      `it must be an origin`,
		"server.allowed_origins = [\"http://x:0x1\"]": `it must be an origin`,
		"server.allowed_origins = [1]":                `:1: server.allowed_origins[0] is 1; it must be an origin`,
		"docker.host = \"ssh://x\"":                   `:1: docker.host is "ssh://x"; it must be the address of a Docker daemon`,
		"docker.host = \"tcp://u:p@x:1\"":             `it must be the address of a Docker daemon`,
		"docker.reach = \"ip\"":                       `:1: docker.reach is "ip"; it must be "auto" or "address" or "port"`,
		"docker.subnet_pool = \"10.1.2.3/16\"":        `it must be a private IPv4 range`,
		"docker.subnet_pool = \"8.8.0.0/16\"":         `it must be a private IPv4 range`,
		"docker.subnet_pool = \"10.0.0.0/30\"":        `it must be a private IPv4 range`,
		"docker.subnet_pool = \"fd00::/16\"":          `it must be a private IPv4 range`,

		"[limits]\n\ncpus = { default = 0 }":          `:3: limits.cpus.default is 0; it must be a number of CPUs from 0.01 to 100000, such as 0.5 or 2`,
		"limits.cpus.max = 0":                         `limits.cpus.max is 0; it must be a number of CPUs`,
		"limits.cpus.max = -1":                        `limits.cpus.max is -1; it must be`,
		"limits.cpus.max = nan":                       `limits.cpus.max is NaN; it must be`,
		"limits.cpus.max = inf":                       `limits.cpus.max is +Inf; it must be`,
		"limits.cpus.max = \"2\"":                     `limits.cpus.max is "2"; it must be`,
		"limits.cpus = 4":                             `:1: limits.cpus is 4; it must be a table, [limits.cpus]`,
		"limits.cpus.choices = [1, 0]":                `limits.cpus.choices[1] is 0; it must be a number of CPUs`,
		"limits.cpus.choices = [1, [2]]":              `limits.cpus.choices[1] is [2]; it must be`,
		"limits.memory.default = \"2g\"":              `limits.memory.default is "2g"; it must be a size from 6 MB to 8000000 TB, such as 2000, "2GB" or "2GiB"`,
		"limits.memory.max = 0":                       `limits.memory.max is 0; it must be a size from 6 MB to 8000000 TB`,
		"limits.memory.max = 2000.0":                  `limits.memory.max is 2000; it must be a size`,
		"limits.memory.max = 1979-05-27":              `limits.memory.max is a date or time; it must be a size`,
		"limits.memory.max = true":                    `limits.memory.max is true; it must be a size`,
		"limits.memory.max = {}":                      `limits.memory.max is a table; it must be a size`,
		"limits.memory.max = 9223372036854775807":     `it must be a size`,
		"limits.shm.max = -1":                         `limits.shm.max is -1; it must be a size from 1 MB to 8000000 TB, such as 2000, "2GB" or "2GiB", or 0 for no bound of its own`,
		"limits.processes.default = 0":                `it must be a number of processes from 16 to 4194304`,
		"limits.processes.default = 1.5":              `it must be a number of processes`,
		"limits.idle_timeout.default = -1":            `limits.idle_timeout.default is -1; it must be a time up to a year in whole seconds, such as "90m", "4h" or 3600, or "0s" for never`,
		"limits.idle_timeout.default = \"400d\"":      `it must be a time`,
		"limits.idle_timeout.default = \"9000h\"":     `it must be a time`,
		"limits.idle_timeout.default = 1.5":           `it must be a time`,
		"limits.always_clear_volume_on_stop = \"no\"": `limits.always_clear_volume_on_stop is "no"; it must be true or false`,
		"log.level = \"loud\"":                        `:1: log.level is "loud"; it must be "debug", "info", "warning" or "error"`,

		"[[image]]\nname = \"A\"":                                                        `:1: image[0].image is missing; it must be the name of an image, such as "lab-workspace-minimal:latest"`,
		"[[image]]\nimage = \"a\"":                                                       `:1: image[0].name is missing; it must be a text of 1 to 500 characters`,
		"[[image]]\nname = \"A\"\nimage = \"a b\"":                                       `:3: image[0].image is "a b"; it must be the name of an image`,
		"[[image]]\nname = \"A\"\nimage = \"a\"\nprofile = \"none\"":                     `:4: image "A" has the profile "none", which is not there; it must be "workspace-minimal" or "ml-workspace" or "workspace-vscode" or`,
		"[[image]]\nname = \"A\"\nimage = \"a\"\n[[image]]\nname = \"A\"\nimage = \"b\"": `:4: image[1] has the name or the image of an earlier one; each must be there once`,
		"[[image]]\nname = \"A\"\nimage = \"a\"\n[[image]]\nname = \"B\"\nimgae = \"b\"": `:6: there is no key image[1].imgae; did you mean image[1].image?`,
		"image = []":    `:1: image is []; it must be a list with an image at least`,
		"image = \"a\"": `:1: image is "a"; it must be a list of tables, each [[image]]`,
		"image = [1]":   `:1: image[0] is 1; it must be a table`,
		"[image]\na=1":  `:1: image is a table; it must be a list of tables, each [[image]]`,

		"[[profile]]\ntitle = \"T\"":                                                 `:1: profile[0].name is missing; it must be a name of a-z`,
		"[[profile]]\nname = \"new\"":                                                `:1: profile[0].title is missing; it must be a text`,
		"[[profile]]\nname = \"new\"\ntitle = \"T\"\nport = 1":                       `:1: profile[0].mount_path is missing; it must be an absolute path`,
		"[[profile]]\nname = \"New\"":                                                `:2: profile[0].name is "New"; it must be a name of a-z`,
		"[[profile]]\nname = \"ml-workspace\"\nport = 0":                             `:3: profile[0].port is 0; it must be a port from 1 to 65535`,
		"[[profile]]\nname = \"ml-workspace\"\nmount_path = \"/\"":                   `:3: profile[0].mount_path is "/"; it must be an absolute path`,
		"[[profile]]\nname = \"ml-workspace\"\nmount_path = \"/a/../b\"":             `it must be an absolute path`,
		"[[profile]]\nname = \"ml-workspace\"\nhealth_path = \"api\"":                `it must be a path that starts with "/"`,
		"[[profile]]\nname = \"ml-workspace\"\nenv = { A = 1 }":                      `:3: profile[0].env is a table; it must be a table of environment variables`,
		"[[profile]]\nname = \"ml-workspace\"\nenv = { \"A=B\" = \"\" }":             `it must be a table of environment variables`,
		"[[profile]]\nname = \"ml-workspace\"\nsecret_env = [\"1A\"]":                `secret_env[0] is "1A"; it must be the name of an environment variable`,
		"[[profile]]\nname = \"ml-workspace\"\nsecret_header_name = \"\"":            `:1: profile[0].secret_header_value is "token {secret}"; it must be a text with {secret} in it together with secret_header_name, or both ""`,
		"[[profile]]\nname = \"ml-workspace\"\nsecret_header_value = \"x\"":          `it must be a text with {secret} in it`,
		"[[profile]]\nname = \"ml-workspace\"\ncapabilities = [\"cap chown\"]":       `capabilities[0] is "cap chown"; it must be a Linux capability`,
		"[[profile]]\nname = \"ml-workspace\"\nstop_grace = \"0s\"":                  `it must be a time from "1s" to "1h"`,
		"[[profile]]\nname = \"ml-workspace\"\n[[profile]]\nname = \"ml-workspace\"": `:3: there is a [[profile]] "ml-workspace" above already; each must be there once`,
		"[[profile]]\nname = \"ml-workspace\"\nanswer_dedline = \"3m\"":              `:3: there is no key profile[0].answer_dedline; did you mean profile[0].answer_deadline?`,
		"[server]\nlisten = \"127.0.0.1:9000\"\naccess_port = 9000":                  `:3: server.access_port puts the access listener at 127.0.0.1:9000, where server.listen is (FILE:2); they need a port each`,
		"[server]\nlisten = \":9000\"\naccess_listen = \":9000\"":                    `:3: server.access_listen puts the access listener at :9000`,
		"limits.memory = { default = \"3GB\", max = \"2GB\" }":                       `:1: limits.memory.default is "3GB", more than limits.memory.max, which is "2GB" (FILE:1); lower the one or raise the other`,
		"[limits.memory]\nchoices = [\"3GB\", \"1GB\"]\nmax = \"2GB\"":               `:2: limits.memory.choices is ["1GB", "3GB"], more than limits.memory.max, which is "2GB" (FILE:3); lower the one or raise the other`,
		"a = 1\na = 2": `:2: this is not TOML: Key 'a' has already been defined`,
		"a = [":        `:1: this is not TOML: `,
		"a":            `:1: this is not TOML: `,
		"\xff = 1":     `:1: this is not TOML: `,
	} {
		_, err := load(t, text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "\n", text)
		file, _, _ := strings.Cut(err.Error(), "config.toml")
		require.Contains(t, strings.ReplaceAll(err.Error(), file+"config.toml", "FILE"), sentence, text)
		require.Contains(t, err.Error(), "config.toml:", text)
	}
}

func TestFile_UnknownKeys(t *testing.T) {
	for text, sentence := range map[string]string{
		"[limits]\ncpu.max = 1":                          `:2: there is no key limits.cpu; did you mean limits.cpus?`,
		"[limits.cpus]\n# comment\nmaks = 1":             `:3: there is no key limits.cpus.maks; did you mean limits.cpus.max?`,
		"limits.cpus = { maximum = 1 }":                  `:1: there is no key limits.cpus.maximum; config.example.toml shows all there are`,
		"[servr]\nlisten = \":80\"":                      `:1: there is no key servr; did you mean server?`,
		"Engine = \"auto\"":                              `:1: there is no key Engine; did you mean engine?`,
		"listen = \":80\"":                               `:1: there is no key listen; did you mean server.listen?`,
		"[[images]]\nname = \"A\"":                       `:1: images is a list of tables; it must be a table, [images]`,
		"[quota.users]\nworkspaces = 10":                 `:1: there is no key quota.users; did you mean quota.user?`,
		"[quota]\nworkspaces = 10":                       `:2: there is no key quota.workspaces; did you mean quota.user.workspaces?`,
		"[quota.user]\nworkspace = 10":                   `:2: there is no key quota.user.workspace; did you mean quota.user.workspaces?`,
		"[quota.host]\ncpus = 10":                        `:2: there is no key quota.host.cpus; did you mean quota.user.cpus?`,
		"[groups]\na = []\n[quota.group.a]\nruning = 1":  `:4: there is no key quota.group.a.runing; did you mean quota.group.a.running?`,
		"[[overide]]\nusers = [\"ada\"]":                 `:1: there is no key overide; did you mean override?`,
		"[[override]]\nuser = [\"ada\"]":                 `:2: there is no key override[0].user; did you mean override[0].users?`,
		"[[override]]\nlimit = {}":                       `:2: there is no key override[0].limit; did you mean override[0].limits?`,
		"[[override]]\n[override.limits.memry]\nmax = 1": `:2: there is no key override[0].limits.memry; did you mean override[0].limits.memory?`,
		"[[override]]\nlimits = { memory = { mx = 1 } }": `:2: there is no key override[0].limits.memory.mx; did you mean override[0].limits.memory.max?`,
		"[[override]]\nlimits.full_grace = \"1h\"":       `:2: there is no key override[0].limits.full_grace; config.example.toml shows all there are`,
		"[[override]]\nrunning = 1":                      `:2: there is no key override[0].running; did you mean override[0].quota.running?`,
		"[gpus]\nshare = 2":                              `:2: there is no key gpus.share; did you mean gpus.shares?`,
		"[images]\npul = \"never\"":                      `:2: there is no key images.pul; did you mean images.pull?`,
		"[[image]]\npul = \"never\"":                     `:2: there is no key image[0].pul; did you mean image[0].pull?`,
		"[[profile]]\nactivity_poll = []":                `:2: there is no key profile[0].activity_poll; did you mean profile[0].activity_polls?`,
		"limits.volume = { default = \"1\" }":            `:1: there is no key limits.volume; config.example.toml shows all there are`,
		"\"a\\nb\" = 1":                                  `there is no key "a\u000ab"; config.example.toml shows all there are`,
		"[empty]":                                        `:1: there is no key empty;`,
		strings.Repeat("x", 1000) + " = 1":               `there is no key x`,
	} {
		_, err := load(t, text)
		require.ErrorContains(t, err, sentence)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestFile_ReportsTheFirstMistake(t *testing.T) {
	_, err := load(t, "[log]\nlevel = 1\n[docker]\nreach = 2\nzzz = 3\n")
	require.ErrorContains(t, err, "config.toml:2: log.level")
}

func TestFile_Profiles(t *testing.T) {
	loaded := mustLoad(t, `
		[[profile]]
		name = "ml-workspace"
		answer_deadline = "10m"
		env = { LANG = "C.UTF-8" }
		[[profile]]
		name = "code"
		title = "Code"
		port = 8443
		mount_path = "/home/coder"
		secret_header_name = "Authorization"
		secret_header_value = "Bearer {secret}"
	`)
	builtin := len(profile.Builtin())
	require.Len(t, loaded.Config.Profiles, builtin+1)
	changed := profile.MLWorkspace
	changed.AnswerDeadline, changed.Env = 10*time.Minute, map[string]string{"LANG": "C.UTF-8"}
	require.Equal(t, profile.Minimal, loaded.Config.Profiles[0])
	require.Equal(t, changed, loaded.Config.Profiles[1])
	require.Equal(t, profile.Profile{
		Name: "code", Title: "Code", Port: 8443, MountPath: "/home/coder", KeepsPath: true, HealthPath: "/", Env: map[string]string{},
		SecretHeaderName: "Authorization", SecretHeaderValue: "Bearer {secret}", AnswerDeadline: time.Minute, StopGrace: 10 * time.Second,
	}, loaded.Config.Profiles[builtin])
	require.Equal(t, "default", loaded.Origin("profile[1].port"))
	require.Equal(t, loaded.File+":4", loaded.Origin("profile[1].answer_deadline"))
	require.NotEqual(t, changed.Env, profile.Builtin()[1].Env, "the built-in profiles stay as they are")
}

func TestEnvironment_Values(t *testing.T) {
	hour := time.Hour
	for variables, want := range map[string]func(*Config){
		"WORKSPACE_MAX_MEMORY_MB=4000":      func(c *Config) { c.Policy.Limits.MemoryMB.Max = 4000 },
		"WORKSPACE_MEMORY_MB_MAX=4000":      func(c *Config) { c.Policy.Limits.MemoryMB.Max = 4000 },
		"WORKSPACE_MAX_CPUS=2":              func(c *Config) { c.Policy.Limits.CPUs.Max = 2 },
		"workspace_cpus_max=2":              func(c *Config) { c.Policy.Limits.CPUs.Max = 2 },
		"WORKSPACE_MAX_VOLUME_SIZE=6000":    func(c *Config) { c.Policy.Limits.VolumeMB.Max = 6000 },
		"WORKSPACE_MAX_CONTAINER_SIZE=6000": func(c *Config) { c.Policy.Limits.ContainerMB.Max = 6000 },
		"WORKSPACE_VOLUME_SIZE=6000":        func(c *Config) { c.Policy.Limits.VolumeMB.Default = 6000 },
		"WORKSPACE_CONTAINER_SIZE=6000":     func(c *Config) { c.Policy.Limits.ContainerMB.Default = 6000 },
		"WORKSPACE_MEMORY_MB_DEFAULT=1000":  func(c *Config) { c.Policy.Limits.MemoryMB.Default = 1000 },
		"WORKSPACE_CPUS_DEFAULT=0.5":        func(c *Config) { c.Policy.Limits.CPUs.Default = 0.5 },
		"WORKSPACE_CPUS_OPTIONS=1,2":        func(c *Config) { c.Policy.Limits.CPUs.Choices = []float64{1, 2} },
		"WORKSPACE_CPUS_OPTIONS=[2, 1]":     func(c *Config) { c.Policy.Limits.CPUs.Choices = []float64{1, 2} },
		"WORKSPACE_CPUS_OPTIONS=3":          func(c *Config) { c.Policy.Limits.CPUs.Choices = []float64{3} },
		"WORKSPACE_CPUS_OPTIONS=":           func(*Config) {},
		"WORKSPACE_CPUS_OPTIONS=[]":         func(*Config) {},
		"WORKSPACE_MEMORY_MB_OPTIONS=2000,1000": func(c *Config) {
			c.Policy.Limits.MemoryMB.Choices = []int64{1000, 2000}
		},
		"WORKSPACE_IDLE_TIMEOUT_DEFAULT=3600":      func(c *Config) { c.Policy.Limits.IdleTimeout.Default = hour },
		"WORKSPACE_IDLE_TIMEOUT_OPTIONS=3600,0":    func(c *Config) { c.Policy.Limits.IdleTimeout.Choices = []time.Duration{0, hour} },
		"WORKSPACE_IDLE_TIMEOUT_OPTIONS=":          func(c *Config) { c.Policy.Limits.IdleTimeout.Choices = nil },
		"WORKSPACE_ALWAYS_CLEAR_VOLUME_ON_STOP=On": func(c *Config) { c.Policy.Limits.AlwaysClearVolumeOnStop = true },
		"WORKSPACE_ALWAYS_CLEAR_VOLUME_ON_STOP=0":  func(*Config) {},
		"WORKSPACE_CPUS_MAX= ":                     func(*Config) {},
		"PORT=9000":                                func(c *Config) { c.Server.Listen = "127.0.0.1:9000" },
		"PORT=":                                    func(*Config) {},
		"port=9000":                                func(*Config) {},
		"BACKEND_CORS_ORIGINS=http://a.org, http://b.org:81": func(c *Config) {
			c.Server.AllowedOrigins = []string{"http://a.org", "http://b.org:81"}
		},
		`BACKEND_CORS_ORIGINS=["http://a.org"]`: func(c *Config) { c.Server.AllowedOrigins = []string{"http://a.org"} },
		"BACKEND_CORS_ORIGINS=":                 func(*Config) {},
		"LOG_LEVEL=WARNING":                     func(c *Config) { c.LogLevel = slog.LevelWarn },
		"DOCKER_HOST=tcp://10.0.0.1:1":          func(c *Config) { c.Docker.Host = "tcp://10.0.0.1:1" },
		"WORKSPACE_SOMETHING_ELSE=x":            func(*Config) {},

		// What somebody set moves what nobody set.
		"WORKSPACE_MAX_MEMORY_MB=1024":                func(c *Config) { c.Policy.Limits.MemoryMB = quota.Range[int64]{Default: 1024, Max: 1024} },
		"WORKSPACE_MAX_VOLUME_SIZE=1":                 func(c *Config) { c.Policy.Limits.VolumeMB.Default, c.Policy.Limits.VolumeMB.Max = 1, 1 },
		"WORKSPACE_CPUS_DEFAULT=9":                    func(c *Config) { c.Policy.Limits.CPUs.Default, c.Policy.Limits.CPUs.Max = 9, 9 },
		"WORKSPACE_CPUS_OPTIONS=1,16":                 func(c *Config) { c.Policy.Limits.CPUs.Max, c.Policy.Limits.CPUs.Choices = 16, []float64{1, 16} },
		"WORKSPACE_MAX_CPUS=2;WORKSPACE_CPUS_MAX=2.0": func(c *Config) { c.Policy.Limits.CPUs.Max = 2 },
	} {
		expected := Default()
		want(&expected)
		loaded, err := load(t, "", strings.Split(variables, ";")...)
		require.NoError(t, err, variables)
		require.Equal(t, expected, loaded.Config, variables)
	}
}

func TestEnvironment_Wrong(t *testing.T) {
	for variables, sentence := range map[string]string{
		"WORKSPACE_CPUS_MAX=0":                    `environment WORKSPACE_CPUS_MAX: limits.cpus.max is "0"; it must be a number of CPUs from 0.01 to 100000, such as 0.5 or 2`,
		"WORKSPACE_CPUS_MAX=NaN":                  `environment WORKSPACE_CPUS_MAX: limits.cpus.max is "NaN"; it must be`,
		"WORKSPACE_MAX_MEMORY_MB=lots":            `environment WORKSPACE_MAX_MEMORY_MB: limits.memory.max is "lots"; it must be a size`,
		"WORKSPACE_CPUS_OPTIONS=1,x":              `environment WORKSPACE_CPUS_OPTIONS: limits.cpus.choices is "1,x"; it must be a list, each of its entries a number of CPUs`,
		"WORKSPACE_CPUS_OPTIONS=1,,2":             `it must be a list`,
		"WORKSPACE_CPUS_OPTIONS=[1":               `it must be a list`,
		"WORKSPACE_IDLE_TIMEOUT_DEFAULT=-1":       `it must be a time up to a year`,
		"WORKSPACE_ALWAYS_CLEAR_VOLUME_ON_STOP=2": `environment WORKSPACE_ALWAYS_CLEAR_VOLUME_ON_STOP: limits.always_clear_volume_on_stop is "2"; it must be true or false`,
		"PORT=http":              `environment PORT: the port of server.listen is "http"; it must be a port from 1 to 65535, or 0 for any free one`,
		"PORT=65536":             `environment PORT: the port of server.listen is "65536"; it must be`,
		"BACKEND_CORS_ORIGINS=*": `environment BACKEND_CORS_ORIGINS: server.allowed_origins is "*"; it must be a list, each of its entries an origin`,
		"LOG_LEVEL=loud":         `environment LOG_LEVEL: log.level is "loud"; it must be "debug", "info", "warning" or "error"`,
		"DOCKER_HOST=nonsense":   `environment DOCKER_HOST: docker.host is "nonsense"; it must be the address of a Docker daemon`,
		"WORKSPACE_MAX_CPUS=2;WORKSPACE_CPUS_MAX=3":              `environment WORKSPACE_MAX_CPUS and environment WORKSPACE_CPUS_MAX say different things, 2 and 3, for limits.cpus.max; set one of them only`,
		"WORKSPACE_MAX_MEMORY_MB=1;WORKSPACE_MEMORY_MB_MAX=2":    `environment WORKSPACE_MAX_MEMORY_MB: limits.memory.max is "1"; it must be a size from 6 MB to 8000000 TB`,
		"WORKSPACE_CPUS_DEFAULT=4;WORKSPACE_MAX_CPUS=2":          `environment WORKSPACE_CPUS_DEFAULT: limits.cpus.default is 4, more than limits.cpus.max, which is 2 (environment WORKSPACE_MAX_CPUS); lower the one or raise the other`,
		"WORKSPACE_VOLUME_SIZE=10;WORKSPACE_MAX_VOLUME_SIZE=5":   `environment WORKSPACE_VOLUME_SIZE: limits.volume_size.default is "10MB", more than limits.volume_size.max`,
		"WORKSPACE_IMAGE_DEFAULT={":                              `environment WORKSPACE_IMAGE_DEFAULT: image is "{"; it must be the name of an image or {"image": …, "display_name": …}`,
		`WORKSPACE_IMAGE_DEFAULT={"display_name":"x"}`:           `it must be the name of an image`,
		`WORKSPACE_IMAGE_DEFAULT={"image":"a","displayname":""}`: `it must be the name of an image`,
		`WORKSPACE_IMAGE_DEFAULT={"image":"a"} b`:                `it must be the name of an image`,
		`WORKSPACE_IMAGE_DEFAULT=a b`:                            `it must be the name of an image`,
		`WORKSPACE_IMAGE_OPTIONS=[1]`:                            `environment WORKSPACE_IMAGE_OPTIONS: image is "1"; it must be the name of an image`,
		`WORKSPACE_IMAGE_OPTIONS=[["a"]]`:                        `it must be the name of an image`,
		`WORKSPACE_IMAGE_OPTIONS=[null]`:                         `it must be the name of an image`,
		`WORKSPACE_IMAGE_OPTIONS=["a"`:                           `environment WORKSPACE_IMAGE_OPTIONS: image is "[\"a\""; it must be a list, each of its entries the name of an image`,
		`WORKSPACE_IMAGE_OPTIONS=a,,b`:                           `it must be the name of an image`,
	} {
		_, err := load(t, "", strings.Split(variables, ";")...)
		require.ErrorContains(t, err, sentence, variables)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestEnvironment_Images(t *testing.T) {
	builtin := Default().Images[0]
	file := "[[image]]\nname = \"One\"\nimage = \"one:1\"\nprofile = \"workspace-minimal\"\n[[image]]\nname = \"Two\"\nimage = \"two:2\"\n"
	one, two := Image{Name: "One", Image: "one:1", Profile: "workspace-minimal"}, Image{Name: "Two", Image: "two:2", Profile: "ml-workspace"}
	lab := func(name, image string) Image { return Image{Name: name, Image: image, Profile: "ml-workspace"} }
	for _, c := range []struct {
		file, preset, options string
		want                  []Image
	}{
		{"", "", "", Default().Images},
		{"", "mine:1", "", []Image{lab("mine:1", "mine:1")}},
		{"", `{"image":"mine:1","display_name":"Mine"}`, "", []Image{lab("Mine", "mine:1")}},
		{"", `"mine:1"`, "", []Image{lab("mine:1", "mine:1")}},
		{"", "", "a,b", []Image{builtin, lab("a", "a"), lab("b", "b")}},
		{"", "", `[{"image":"a","display_name":"A"},"b"]`, []Image{builtin, lab("A", "a"), lab("b", "b")}},
		{"", "", `{"image":"a"}`, []Image{builtin, lab("a", "a")}},
		{"", "b", "a,b", []Image{lab("b", "b"), lab("a", "a")}},
		{file, "", "", []Image{one, two}},
		{file, "mine", "", []Image{lab("mine", "mine"), two}},
		{file, "", "mine", []Image{one, lab("mine", "mine")}},
		{file, "", "[]", []Image{one}},
		{file, `{"image":"one:1","display_name":"Uno"}`, "", []Image{{Name: "Uno", Image: "one:1", Profile: "workspace-minimal"}, two}},
		{file, "two:2", "", []Image{lab("two:2", "two:2")}},
	} {
		var variables []string
		if c.preset != "" {
			variables = append(variables, "WORKSPACE_IMAGE_DEFAULT="+c.preset)
		}
		if c.options != "" {
			variables = append(variables, "WORKSPACE_IMAGE_OPTIONS="+c.options)
		}
		loaded := mustLoad(t, c.file, variables...)
		require.Equal(t, c.want, loaded.Config.Images, "%q", c)
		require.Len(t, loaded.loader.imageOrigins, len(c.want))
	}
}

func TestEnvironment_WinsOverTheFile(t *testing.T) {
	file := "[server]\nlisten = \"10.0.0.1:1\"\nallowed_origins = [\"http://file.org\"]\n[limits]\ncpus = { default = 1, max = 2, choices = [1, 2] }\n[docker]\nhost = \"unix:///file.sock\"\n"
	loaded := mustLoad(t, file, "WORKSPACE_MAX_CPUS=8", "PORT=2", "WORKSPACE_CPUS_OPTIONS=", "BACKEND_CORS_ORIGINS=", "DOCKER_HOST=unix:///env.sock")
	require.Equal(t, quota.Range[float64]{Default: 1, Max: 8}, loaded.Config.Policy.Limits.CPUs)
	require.Equal(t, "10.0.0.1:2", loaded.Config.Server.Listen)
	require.Empty(t, loaded.Config.Server.AllowedOrigins)
	require.Equal(t, "unix:///file.sock", loaded.Config.Docker.Host, "a daemon named in the file is meant")
	require.Equal(t, "environment WORKSPACE_MAX_CPUS", loaded.Origin("limits.cpus.max"))
	require.Equal(t, loaded.File+":5", loaded.Origin("limits.cpus.default"))

	_, err := load(t, "limits.cpus.default = 2\n", "WORKSPACE_MAX_CPUS=1")
	require.ErrorContains(t, err, "config.toml:1: limits.cpus.default is 2, more than limits.cpus.max, which is 1 (environment WORKSPACE_MAX_CPUS)")
}

func TestLimits_UnsetChoicesFollowASetMaximum(t *testing.T) {
	loaded := mustLoad(t, `limits.idle_timeout.max = "2h"`)
	require.Equal(t, []time.Duration{0, time.Hour}, loaded.Config.Policy.Limits.IdleTimeout.Choices)
	require.Contains(t, loaded.Origin("limits.idle_timeout.choices"), "default, cut to limits.idle_timeout.max (")
	require.Len(t, Default().Policy.Limits.IdleTimeout.Choices, 3)
}

func TestKeyLines(t *testing.T) {
	text := `# comment = 1
a = 1
"b c"."d" = "x # no comment" # e = 2

[t.u] # comment
k = """
n = 1
\""" still """""
l = '''
m = '''
inline = { x = 1, y = { z = [
  1, # one
  { w = 2 },
] }, }
[[list]]
name = 'a'
[list.sub]
deep = 1979-05-27 07:32:00
[[list]]
name = "b"
dotted . key = true
`
	lines := keyLines(text)
	for key, want := range map[string]int{
		"a": 2, "b c": 3, "b c.d": 3, "t.u": 5, "t.u.k": 6, "t.u.l": 9, "t.u.inline": 11, "t.u.inline.x": 11, "t.u.inline.y.z": 11,
		"t.u.inline.y.z[0]": 12, "t.u.inline.y.z[1]": 13, "t.u.inline.y.z[1].w": 13,
		"list[0]": 15, "list[0].name": 16, "list[0].sub": 17, "list[0].sub.deep": 18, "list[1]": 19, "list[1].name": 20, "list[1].dotted.key": 21,
	} {
		require.Equal(t, want, lines[key], key)
	}
	require.NotContains(t, lines, "e")
	require.NotContains(t, lines, "t.u.n")
	require.NotContains(t, lines, "t.u.m")
}

func TestShowSize_ReadsBack(t *testing.T) {
	for _, mb := range []int64{0, 1, 64, 700, 1000, 1024, 1500, 2048, 1_000_000, maxSizeMB} {
		got, ok := parseSize(strings.Trim(showSize(mb), `"`))
		require.True(t, ok)
		require.Equal(t, mb, got)
	}
}

func TestShowDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", 4 * time.Hour: "4h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s", 20 * time.Minute: "20m"} {
		require.Equal(t, want, showDuration(d))
	}
}

func TestLoad_ErrWithoutAHome(t *testing.T) {
	usual := xdg.StateHome
	t.Cleanup(func() { xdg.StateHome = usual })
	xdg.StateHome = ".local/state" // what xdg finds when HOME is not set
	_, err := Load(LoadOptions{Environ: []string{}})
	require.EqualError(t, err, "there is no home folder to keep things in: set HOME, or XDG_STATE_HOME to an absolute path")
}
