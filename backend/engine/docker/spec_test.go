package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

var thesis = workspace.Deployment{
	ID: "lab1-p-ada0-s-ws-thesis", Owner: "ada0", UID: "uid1", Attempt: 3, Fingerprint: "f", DisplayName: "thesis",
	Image: "lab-workspace-minimal:latest", Compute: workspace.Compute{CPUs: 1.5, MemoryMB: 700, ShmMB: 350, Processes: 4096},
	Env: map[string]string{"WORKSPACE_BASE_URL": "/x"}, SecretEnv: []string{"AUTHENTICATE_VIA_JUPYTER"},
	Port: 8080, MountPath: "/workspace", Volume: "vol", Capabilities: []string{"CHOWN"}, StopGrace: 10 * time.Second,
}

// Everything that Docker is asked for, and nothing else: what is not written here must stay at Docker's default.
func TestSpecOf_AsksForThisAndNothingElse(t *testing.T) {
	spec := specOf(thesis, surroundings{labels: map[string]string{"label": "value"}, secret: "secret", network: ownerNetwork{name: "net"}, rotateLogs: true})
	requireJSON(t, `{
		"Image": "lab-workspace-minimal:latest", "Hostname": "ws-thesis", "Domainname": "", "User": "", "WorkingDir": "",
		"AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false,
		"Env": ["AUTHENTICATE_VIA_JUPYTER=secret", "LAB_WORKSPACE_SECRET=secret", "NVIDIA_VISIBLE_DEVICES=void", "WORKSPACE_BASE_URL=/x"],
		"Cmd": null, "Entrypoint": null, "OnBuild": null, "Volumes": null,
		"ExposedPorts": {"8080/tcp": {}}, "Labels": {"label": "value"}, "StopTimeout": 10
	}`, spec.config)
	var host map[string]any
	text, err := json.Marshal(spec.host)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &host))
	for key, value := range host { // what is empty is Docker's default
		switch v := value.(type) {
		case nil:
			delete(host, key)
		case string:
			if v == "" {
				delete(host, key)
			}
		case float64:
			if v == 0 {
				delete(host, key)
			}
		case bool:
			if !v {
				delete(host, key)
			}
		case []any:
			if len(v) == 0 || fmt.Sprint(v) == "[0 0]" {
				delete(host, key)
			}
		case map[string]any:
			if len(v) == 0 {
				delete(host, key)
			}
		}
	}
	requireJSON(t, `{
		"NetworkMode": "net", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Init": true,
		"CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "SecurityOpt": ["no-new-privileges"],
		"NanoCpus": 1500000000, "Memory": 734003200, "MemorySwap": 734003200, "ShmSize": 367001600, "PidsLimit": 4096,
		"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
		"Mounts": [{"Type": "volume", "Source": "vol", "Target": "/workspace"}]
	}`, host)
	requireJSON(t, `{"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}`,
		specOf(thesis, surroundings{network: ownerNetwork{name: "net", publish: true}}).host.PortBindings)
}

func requireJSON(t *testing.T, expected string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	require.JSONEq(t, expected, string(text))
}

func TestTranslate_GivesErrorsTheirCodes(t *testing.T) {
	e := &Engine{endpoint: "unix:///sock"}
	for _, c := range []struct {
		err  error
		code workspace.Code
	}{
		{nil, ""},
		{fmt.Errorf("x: %w", errdefs.ErrNotFound), workspace.CodeNotFound},
		{fmt.Errorf("x: %w", errdefs.ErrConflict), workspace.CodeConflict},
		{fmt.Errorf("x: %w", errdefs.ErrInvalidArgument), workspace.CodeInvalid},
		{fmt.Errorf("x: %w", errdefs.ErrUnavailable), workspace.CodeUnavailable},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, workspace.CodeUnavailable},
		{io.ErrUnexpectedEOF, workspace.CodeUnavailable},
		{errors.New("something else"), workspace.CodeInternal},
		{errors.New(`Error response from daemon: Get "https://registry.lan/v2/": EOF`), workspace.CodeInternal},
	} {
		require.Equal(t, c.code, workspace.CodeOf(e.translate(c.err, "start the container")), "%v", c.err)
	}
	require.Equal(t, "Docker could not start the container: no space left.",
		workspace.MessageOf(e.translate(errors.New("Error response from daemon: no\n space left.\n"), "start the container")))
}

func TestSilentRegistry_IsToldFromOneThatRefuses(t *testing.T) {
	host, silent := silentRegistry(errors.New(`Get "https://registry.lan/v2/": dial tcp: lookup registry.lan on 10.0.0.1:53: no such host`))
	require.True(t, silent)
	require.Equal(t, "registry.lan", host)
	host, silent = silentRegistry(errors.New(`Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused`))
	require.True(t, silent)
	require.Equal(t, "127.0.0.1:5000", host)
	_, silent = silentRegistry(errors.New("manifest for x:1 not found: manifest unknown"))
	require.False(t, silent)
}

func TestPullProgress_AddsUpTheLayers(t *testing.T) {
	p := pullProgress{layers: map[string]*layer{}}
	say := func(id, status string, current, total int64) bool {
		line := message{ID: id, Status: status}
		line.ProgressDetail.Current, line.ProgressDetail.Total = current, total
		return p.hear(line)
	}
	require.False(t, say("", "Pulling from library/x", 0, 0))
	require.False(t, say("a", "Pulling fs layer", 0, 0))
	require.True(t, say("a", "Downloading", 10e6, 40e6))
	require.True(t, say("b", "Downloading", 5e6, 20e6))
	require.Equal(t, int64(15e6), p.progress().Current)
	require.Equal(t, int64(60e6), p.progress().Total)
	require.Equal(t, "15 of 60 MB", p.progress().Detail)
	require.True(t, say("a", "Download complete", 0, 0))
	require.False(t, say("a", "Extracting", 1, 2))
	require.Equal(t, int64(45e6), p.progress().Current)
}

func TestRememberedKill_ExplainsOnlyTheEndThatItCaused(t *testing.T) {
	started := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ended := func(exitCode int) workspace.Observed {
		return workspace.Observed{Handle: "c", StartedAt: started, FinishedAt: started.Add(10 * time.Second), ExitCode: exitCode}
	}
	for name, c := range map[string]struct {
		signal   string
		after    time.Duration // since its start
		exitCode int
		want     string
	}{
		"docker stop":                           {"15", 9 * time.Second, 0, "SIGTERM"},
		"docker kill":                           {"9", 10 * time.Second, 137, "SIGKILL"},
		"of the run before":                     {"15", -time.Second, 0, ""},
		"later":                                 {"15", 20 * time.Second, 0, ""},
		"a message, then the host":              {"28", 9 * time.Second, 137, ""},
		"asked nicely, then the host killed it": {"15", 9 * time.Second, 137, ""},
	} {
		e := &Engine{kills: map[string]kill{}}
		e.rememberKill("c", signalName(c.signal), started.Add(c.after))
		require.Equal(t, c.want, e.rememberedKill(ended(c.exitCode)), name)
	}
}
