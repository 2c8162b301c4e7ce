package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
)

// home is an environment in which nothing is configured and nothing of this machine is seen.
func home(t testing.TB, variables ...string) []string {
	folder := t.TempDir()
	return append([]string{
		"XDG_CONFIG_HOME=" + filepath.Join(folder, "config"), "XDG_STATE_HOME=" + filepath.Join(folder, "state"),
		"XDG_CACHE_HOME=" + filepath.Join(folder, "cache"), "XDG_RUNTIME_DIR=" + filepath.Join(folder, "run"),
	}, variables...)
}

// write puts a configuration file into a folder of its own.
func write(t testing.TB, text string) string {
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func load(t testing.TB, text string, variables ...string) (Loaded, error) {
	return Load(LoadOptions{File: write(t, text), Environ: home(t, variables...)})
}

func mustLoad(t testing.TB, text string, variables ...string) Loaded {
	loaded, err := load(t, text, variables...)
	require.NoError(t, err)
	return loaded
}

const exampleFile = "../../config.example.toml"

func TestExample_IsTheDefault(t *testing.T) {
	loaded, err := Load(LoadOptions{File: exampleFile, Environ: home(t)})
	require.NoError(t, err)
	require.Equal(t, Default(), loaded.Config)
}

func TestExample_ShowsEveryKey(t *testing.T) {
	loaded, err := Load(LoadOptions{File: exampleFile, Environ: home(t)})
	require.NoError(t, err)
	keys := names(settings())
	for _, name := range names(imageFields()) {
		keys = append(keys, "image[0]."+name)
	}
	shown := slices.IndexFunc(loaded.Config.Profiles, func(p profile.Profile) bool { return p.Name == profile.MLWorkspace.Name })
	for _, name := range names(profileFields()) {
		keys = append(keys, element("profile", shown)+"."+name)
	}
	for _, key := range keys {
		require.Regexp(t, `config\.example\.toml:\d+$`, loaded.Origin(key), key)
	}
}

// What the example file shows of what there is none of by default is right and complete, too.
func TestExample_ShowsEveryKeyThatIsNotThere(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	loaded := mustLoad(t, regexp.MustCompile(`(?m)^#([^ \n])`).ReplaceAllString(string(text), "$1"))
	require.Len(t, loaded.Config.Policy.Overrides, 2)
	require.Equal(t, []string{"students", "thesis-2026"}, loaded.Config.Policy.GroupsOf("ada0"))
	set := func(key string) bool { return strings.Contains(loaded.Origin(key), "config.toml:") }
	for _, name := range names(groupQuotaFields()) {
		require.True(t, set("quota.group.students."+name), name)
	}
	for _, name := range names(overrideFields()) {
		require.True(t, set("override[0]."+name) || set("override[1]."+name), name)
	}
}

// What the README shows can be loaded, and does what it says there.
func TestReadme_ExampleLoads(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, block)
	policy := mustLoad(t, string(block[1])).Config.Policy
	require.EqualValues(t, 32_000, policy.LimitsFor("ada0", "").MemoryMB.Max)
	require.EqualValues(t, 2, policy.LimitsFor("ada0", "").CPUs.Max)
	require.EqualValues(t, 6, policy.SumsFor("ada0").Running)
	require.EqualValues(t, 3, policy.SumsFor("bob0").Running)
}

func TestLoad_NothingConfigured(t *testing.T) {
	loaded, err := Load(LoadOptions{Environ: home(t)})
	require.NoError(t, err)
	require.Equal(t, Default(), loaded.Config)
	require.Empty(t, loaded.File)
	for _, setting := range settings() {
		require.Equal(t, "default", loaded.Origin(setting.name))
	}
}

func TestLoad_FindsTheUsualFile(t *testing.T) {
	env := home(t)
	folder := filepath.Join(strings.TrimPrefix(env[0], "XDG_CONFIG_HOME="), "lab-workspace-manager")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	file := filepath.Join(folder, "config.toml")
	require.NoError(t, os.WriteFile(file, []byte("[limits]\ncpus.max = 2\n"), 0o600))

	loaded, err := Load(LoadOptions{Environ: env})
	require.NoError(t, err)
	require.Equal(t, file, loaded.File)
	require.Equal(t, 2.0, loaded.Config.Policy.Limits.CPUs.Max)
	require.Equal(t, file+":2", loaded.Origin("limits.cpus.max"))

	other, err := Load(LoadOptions{Environ: env, File: write(t, "")})
	require.NoError(t, err)
	require.Equal(t, Default(), other.Config, "a file that is named is read in place of the usual one")
}

func TestLoad_ErrWhenTheNamedFileCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	large := write(t, strings.Repeat("# large\n", maxFileSize/8+1))
	for file, sentence := range map[string]string{
		filepath.Join(folder, "none.toml"): "there is no configuration file " + filepath.Join(folder, "none.toml"),
		folder:                             "is not a file",
		large:                              "is larger than",
	} {
		_, err := Load(LoadOptions{File: file, Environ: home(t)})
		require.ErrorContains(t, err, sentence)
	}
}

func TestLoad_Folders(t *testing.T) {
	loaded, err := Load(LoadOptions{Environ: []string{"XDG_STATE_HOME=/s", "XDG_CONFIG_HOME=/c"}})
	require.NoError(t, err)
	require.Equal(t, Folders{State: "/s/lab-workspace-manager", Config: "/c/lab-workspace-manager"}, loaded.Folders)
	require.Equal(t, "/s/lab-workspace-manager/token", loaded.Folders.TokenFile())
	require.Equal(t, "/s/lab-workspace-manager/state.db", loaded.Folders.StateFile())
	require.Equal(t, "/s/lab-workspace-manager/lock", loaded.Folders.LockFile())

	relative, err := Load(LoadOptions{Environ: append(home(t), "XDG_STATE_HOME=relative", "HOME=/home/ada")})
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(relative.Folders.State), "a relative path is ignored, as XDG says")

	_, err = Load(LoadOptions{Environ: []string{"XDG_CONFIG_HOME=/c"}})
	require.ErrorContains(t, err, "set HOME, or XDG_STATE_HOME", "no state in the root folder")
}

func TestServer_Access(t *testing.T) {
	for text, want := range map[string]struct {
		address string
		movable bool
	}{
		``:                                 {"127.0.0.1:8081", true},
		`access_listen = "127.0.0.1:9000"`: {"127.0.0.1:9000", false},
		`access_port = 9000`:               {"127.0.0.1:9000", false},
		"access_port = 9000\naccess_listen = \"[::1]:1\"": {"[::1]:9000", false},
	} {
		address, movable := mustLoad(t, "[server]\n"+text).Config.Server.Access()
		require.Equal(t, want.address, address)
		require.Equal(t, want.movable, movable)
	}
}

func TestPrint_CanBeLoadedAgain(t *testing.T) {
	first := mustLoad(t, `
		[server]
		allowed_origins = ["https://LAB.example.org/"]
		[limits]
		shm = { default = "1.5GB", choices = ["1GB", "2GiB"] }
		[[image]]
		pull = "always"
		name = "Mine \"quoted\" \\ ✓"
		image = "mine:1"
		profile = "mine"
		[[profile]]
		name = "mine"
		title = "Mine"
		port = 80
		mount_path = "/data"
		keeps_path = false
		any_answer = true
		args = ["a b", "\t\"'"]
		headers = { A = "b" }
		note = "x"
		activity_probe = "jupyter"
		activity_polls = ["/*"]
		activity_quiet_frame = 1
		[groups]
		empty = []
		lab = ["ada", "Jörg", "研究"]
		[quota.group.lab]
		cpus = 0.25
		memory = "2 GiB"
		[quota.user]
		running = 3
		[quota.host]
		memory_overcommit = 1.25
		[gpus]
		devices = ["0"]
		shares = 2
		[images]
		allowed = ["a*"]
		check_updates = 0
		[[override]]
		users = ["ada"]
		groups = ["lab"]
		limits = { memory.max = "1GB", idle_timeout.max = "2h", gpus.max = 0, cpus.default = 0.25 }
		quota = { on_exceed = "refuse", cpus = 1.5 }
		[[override]]
		profiles = ["mine"]
		limits.always_clear_volume_on_stop = false
		limits.volume_size = { default = "90GB", choices = [] }
	`, "WORKSPACE_MAX_CPUS=0.5", "PORT=9999", "LOG_LEVEL=WARNING")
	var printed strings.Builder
	require.NoError(t, first.Print(&printed))
	require.Equal(t, first.Config, mustLoad(t, printed.String()).Config)
}

func TestPrint_ShowsWhereEachValueCameFrom(t *testing.T) {
	loaded := mustLoad(t, "[server]\nlisten = \":7000\"\n\n[limits]\nmemory.max = \"4GB\"\n", "WORKSPACE_MAX_CPUS=0.5", "PORT=9999", "WORKSPACE_IMAGE_DEFAULT=mine:1")
	var b strings.Builder
	require.NoError(t, loaded.Print(&b))
	printed := strings.ReplaceAll(b.String(), filepath.Dir(loaded.File), "/etc")
	printed = regexp.MustCompile(" +").ReplaceAllString(printed, " ")
	for _, line := range []string{
		"# configuration file: /etc/config.toml\n",
		"listen = \":9999\" # /etc/config.toml:2, its port from environment PORT\n",
		"access_listen = \"127.0.0.1:8081\" # default\n",
		"memory.max = \"4GB\" # /etc/config.toml:5\n",
		"memory.default = \"2GB\" # default\n",
		"cpus.max = 0.5 # environment WORKSPACE_MAX_CPUS\n",
		"cpus.default = 0.5 # default, lowered to limits.cpus.max (environment WORKSPACE_MAX_CPUS)\n",
		"image = \"mine:1\" # environment WORKSPACE_IMAGE_DEFAULT\n",
	} {
		require.Contains(t, printed, line)
	}
}
