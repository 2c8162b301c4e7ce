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
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
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
	requireJSON(t, `{
		"NetworkMode": "net", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Init": true,
		"CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "SecurityOpt": ["no-new-privileges"],
		"NanoCpus": 1500000000, "Memory": 734003200, "MemorySwap": 734003200, "ShmSize": 367001600, "PidsLimit": 4096,
		"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
		"Mounts": [{"Type": "volume", "Source": "vol", "Target": "/workspace"}]
	}`, setOnly(t, spec.host))
	requireJSON(t, `{"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}`,
		specOf(thesis, surroundings{network: ownerNetwork{name: "net", publish: true}}).host.PortBindings)
}

// s6-overlay, by which LinuxServer.io's and Rocker's images start, does not run unless it is the first process.
func TestSpecOf_LeavesTheFirstProcessToAnImageThatBringsItsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		entrypoint, command, args []string
		own                       bool
	}{
		"LinuxServer.io":                    {entrypoint: []string{"/init"}, own: true},
		"Rocker":                            {command: []string{"/init"}, own: true},
		"its arguments are ours":            {entrypoint: []string{"/init"}, command: []string{"web"}, args: []string{"other"}, own: true},
		"systemd":                           {command: []string{"/sbin/init"}, own: true},
		"ours":                              {entrypoint: []string{"/usr/local/bin/start", "init"}},
		"another command in place of it":    {command: []string{"/init"}, args: []string{"jupyter", "lab"}},
		"one that can be anybody's child":   {entrypoint: []string{"tini", "-g", "--", "/init-me.sh"}},
		"nothing, which Docker will refuse": {},
	} {
		own := bringsInit(test.entrypoint, test.command, test.args)
		require.Equal(t, test.own, own, name)
		require.Equal(t, !own, *specOf(thesis, surroundings{ownInit: own}).host.Init, name)
	}
}

// The same for a deployment that uses all that there is, on a machine that has all.
func TestSpecOf_OfAllThatThereIs(t *testing.T) {
	d := thesis
	d.Args = []string{"--port", "9000"}
	d.Port, d.AccessPath, d.KeepsPath = 9000, "/projects/ada0/services/x/access/9000", false
	d.GPUs = []workspace.GPU{{ID: "GPU-aa", Driver: workspace.GPUNvidia}}
	d.Storage = workspace.Storage{ContainerMB: 300, VolumeMB: 500}
	e := &Engine{instance: "lab1", namespace: "lab1"}
	spec := specOf(d, surroundings{
		labels: e.containerLabels(d), secret: "secret", network: ownerNetwork{name: "net"}, sizeBytes: 300 << 20, bundle: "/etc/ssl/ca.crt",
		env: trustEnvironment(true, map[string]string{"HTTPS_PROXY": "http://proxy.lan", "https_proxy": "http://proxy.lan"}, d.Env),
	})
	requireJSON(t, `{
		"Image": "lab-workspace-minimal:latest", "Hostname": "ws-thesis", "Domainname": "", "User": "", "WorkingDir": "",
		"AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false,
		"Env": [
			"AUTHENTICATE_VIA_JUPYTER=secret", "AWS_CA_BUNDLE=/run/lab-workspace/host-ca.crt", "CARGO_HTTP_CAINFO=/run/lab-workspace/host-ca.crt",
			"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE=/run/lab-workspace/host-ca.crt", "CURL_CA_BUNDLE=/run/lab-workspace/host-ca.crt",
			"GIT_SSL_CAINFO=/run/lab-workspace/host-ca.crt", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=/run/lab-workspace/host-ca.crt",
			"HTTPLIB2_CA_CERTS=/run/lab-workspace/host-ca.crt", "HTTPS_PROXY=http://proxy.lan", "LAB_WORKSPACE_SECRET=secret",
			"NODE_EXTRA_CA_CERTS=/run/lab-workspace/host-ca.crt", "NVIDIA_VISIBLE_DEVICES=GPU-aa", "PIP_CERT=/run/lab-workspace/host-ca.crt",
			"REQUESTS_CA_BUNDLE=/run/lab-workspace/host-ca.crt", "SSL_CERT_FILE=/run/lab-workspace/host-ca.crt", "WORKSPACE_BASE_URL=/x", "https_proxy=http://proxy.lan"
		],
		"Cmd": ["--port", "9000"], "Entrypoint": null, "OnBuild": null, "Volumes": null,
		"ExposedPorts": {"9000/tcp": {}}, "StopTimeout": 10,
		"Labels": {
			"ctxy.namespace": "lab1", "ctxy.projectName": "ada0", "ctxy.deploymentId": "lab1-p-ada0-s-ws-thesis", "ctxy.deploymentType": "service",
			"ctxy.workspaceExtension.deploymentType": "workspace", "ctxy.displayName": "WS thesis", "ctxy.endpoints": "9000", "ctxy.createdBy": "ada0", "ctxy.volumePath": "/workspace",
			"ctxy.description": "", "ctxy.requirements": "", "ctxy.icon": "", "ctxy.minLifetime": "0", "ctxy.workspaceExtension.profile": "",
			"lab-workspace-manager.instance": "lab1", "lab-workspace-manager.uid": "uid1", "lab-workspace-manager.attempt": "3", "lab-workspace-manager.profile": "",
			"lab-workspace-manager.fingerprint": "f", "lab-workspace-manager.display-name": "thesis", "lab-workspace-manager.port": "9000", "lab-workspace-manager.container-mb": "300"
		}
	}`, spec.config)
	requireJSON(t, `{
		"NetworkMode": "net", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Init": true,
		"CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "SecurityOpt": ["no-new-privileges"],
		"NanoCpus": 1500000000, "Memory": 734003200, "MemorySwap": 734003200, "ShmSize": 367001600, "PidsLimit": 4096,
		"StorageOpt": {"size": "314572800"}, "LogConfig": {"Type": "", "Config": null},
		"DeviceRequests": [{"Driver": "nvidia", "Count": 0, "DeviceIDs": ["GPU-aa"], "Capabilities": [["gpu"]], "Options": null}],
		"Mounts": [
			{"Type": "volume", "Source": "vol", "Target": "/workspace"},
			{"Type": "bind", "Source": "/etc/ssl/ca.crt", "Target": "/run/lab-workspace/host-ca.crt", "ReadOnly": true}
		]
	}`, setOnly(t, spec.host))
	d.KeepsPath = true
	require.Equal(t, "9000b", e.containerLabels(d)[labelEndpoints])
}

// A helper that measures can read all that it is given, and nothing else.
func TestHelperOf_CanOnlyRead(t *testing.T) {
	places := []location{
		{mount: mount.Mount{Type: mount.TypeVolume, Source: "vol", ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}},
		{mount: mount.Mount{Type: mount.TypeBind, Source: "/upper", ReadOnly: true}},
	}
	config, host := helperOf("image", places, true)
	require.Equal(t, []any{"0:0", true, "2"}, []any{config.User, config.NetworkDisabled, config.Cmd[0]})
	requireJSON(t, `{
		"RestartPolicy": {"Name": "", "MaximumRetryCount": 0}, "LogConfig": {"Type": "json-file", "Config": null},
		"CapDrop": ["ALL"], "CapAdd": ["DAC_READ_SEARCH"], "SecurityOpt": ["no-new-privileges", "label=disable"], "ReadonlyRootfs": true,
		"NanoCpus": 100000000, "Memory": 268435456, "MemorySwap": 268435456, "PidsLimit": 32,
		"Mounts": [
			{"Type": "volume", "Source": "vol", "Target": "/places/0", "ReadOnly": true, "VolumeOptions": {"NoCopy": true}},
			{"Type": "bind", "Source": "/upper", "Target": "/places/1", "ReadOnly": true}
		]
	}`, setOnly(t, host))
	_, host = helperOf("image", places, false)
	require.Equal(t, int64(500_000_000), host.NanoCPUs)
}

// setOnly is what differs from Docker's defaults, which are empty.
func setOnly(t *testing.T, settings *container.HostConfig) map[string]any {
	t.Helper()
	var host map[string]any
	text, err := json.Marshal(settings)
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
	return host
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
	host, silent = silentRegistry(errors.New(`Get "http://127.0.0.1:5556/v2/": context deadline exceeded`))
	require.True(t, silent)
	require.Equal(t, "127.0.0.1:5556", host)
	_, silent = silentRegistry(errors.New(`Get "http://127.0.0.1:33321/v2/": http: server closed idle connection`))
	require.True(t, silent, "how Go says that it hung up depends on the moment")
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
