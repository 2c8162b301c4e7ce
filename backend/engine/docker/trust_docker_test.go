package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/engine/docker/dockertest"
	"lab-workspace-manager/backend/workspace"
)

// shell starts a workspace that waits for commands.
func shell(t *testing.T, e *Engine) workspace.Deployment {
	t.Helper()
	d := sleeper(e, goodImage)
	d.Args, d.Compute.MemoryMB = []string{"sleep", "1000"}, 500
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	return d
}

// pip installs a small package in a workspace.
func pip(d workspace.Deployment) (string, error) {
	out, err := exec.Command("docker", "exec", string(d.ID), "python3", "-m", "pip", "install", "--user", "--break-system-packages",
		"--no-cache-dir", "--retries", "0", "--timeout", "30", "six==1.16.0").CombinedOutput()
	return string(out), err
}

func TestTrust_PipWorksInAWorkspace(t *testing.T) {
	e := newTestEngine(t)
	if hostBundle() == "" {
		t.Skip("this machine has no bundle of certificates")
	}
	without := shell(t, e)
	said, err := pip(without)
	if err == nil {
		t.Log("this network does not inspect TLS: pip works without the host's certificates as well")
	} else {
		require.Contains(t, said, "CERTIFICATE_VERIFY_FAILED", "nothing else may be in the way")
	}
	require.NoError(t, e.removeByName(t.Context(), without))

	e.trustHostCA = true
	with := shell(t, e)
	said, err = pip(with)
	require.NoError(t, err, "%s", said)
	require.Contains(t, said, "Successfully installed six-1.16.0")
	_, err = exec.Command("docker", "exec", "--user", "0", string(with.ID), "sh", "-c", ": > "+bundleInside).Output()
	require.Error(t, err, "nobody inside can change what the host trusts")
}

func TestTrust_IsCopiedWhereTheDaemonDoesNotSeeOurFiles(t *testing.T) {
	needsDocker(t)
	folder := t.TempDir()
	bundle := filepath.Join(folder, "ca.pem")
	require.NoError(t, os.WriteFile(bundle, []byte("what the host trusts"), 0o600))
	t.Setenv("SSL_CERT_FILE", bundle)
	second := dockertest.NewBlind(t, "10.218.0.1/24", folder)
	e := newTestEngineAt(t, second.Host())
	e.trustHostCA = true
	_, err := e.Host(t.Context())
	require.NoError(t, err)
	importFiller(t, e)
	d := sleeper(e, fillerImage)
	d.Args = []string{"/filler"}
	for attempt := range int64(2) {
		d.Attempt = attempt
		for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
			_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
			require.NoError(t, err, "step %s", kind)
		}
		inside := filepath.Join(t.TempDir(), "inside.pem")
		second.Docker("cp", string(d.ID)+":"+bundleInside, inside)
		text, err := os.ReadFile(inside)
		require.NoError(t, err)
		require.Equal(t, "what the host trusts", string(text))
		require.True(t, e.copiesBundle())
	}
}

func TestTrust_RemembersWhichWayWorks(t *testing.T) {
	e := newTestEngine(t)
	_, err := e.Host(t.Context())
	require.NoError(t, err)
	e.trustHostCA = true
	e.rememberToCopy()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bundle, []byte("what the host trusts\n"), 0o600))
	t.Setenv("SSL_CERT_FILE", bundle)
	began := time.Now()
	d := shell(t, e)
	t.Logf("with a copy it took %s", time.Since(began).Round(time.Millisecond))
	found, err := e.client.ContainerInspect(t.Context(), string(d.ID))
	require.NoError(t, err)
	require.Len(t, found.HostConfig.Mounts, 1)
	require.Equal(t, "what the host trusts", dockertest.Run(t, "docker", "exec", string(d.ID), "cat", bundleInside))
	_, err = e.Host(t.Context())
	require.NoError(t, err)
	require.True(t, e.copiesBundle(), "as long as the same daemon answers")
}
