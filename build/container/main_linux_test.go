// Package container_test holds what is true of the extension image, and of the three ways in which ML Lab takes it.
package container_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy/contaxytest"
	"lab-workspace-manager/backend/engine/docker/dockertest"
)

// image is what `make image` builds. Tests take it as it is.
var image = cmp.Or(os.Getenv("LAB_EXTENSION_IMAGE"), "lab-workspace-manager:latest")

func TestMain(m *testing.M) { os.Exit(contaxytest.Main(m)) }

func needsImage(t *testing.T) {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs Docker: set LAB_TEST_DOCKER=1")
	}
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		t.Fatalf("%s is not here; `make image` builds it", image)
	}
}

func docker(t testing.TB, args ...string) string {
	t.Helper()
	return dockertest.Run(t, "docker", args...)
}

// container runs the image in the background, and removes the container when the test ends.
func container(t *testing.T, options []string, args ...string) (id string) {
	t.Helper()
	command := []string{"run", "--detach"}
	if run := os.Getenv("LAB_TEST_RUN"); run != "" {
		command = append(command, "--label", "lab.test-run="+run)
	}
	id = docker(t, append(append(append(command, options...), image), args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", id).CombinedOutput()
			t.Logf("log of the container:\n%s", logs)
		}
		docker(t, "rm", "--force", "--volumes", id)
	})
	return id
}

// inspect returns one value of a container or image, as a template says it.
func inspect(t testing.TB, id, template string) string {
	t.Helper()
	return strings.TrimSpace(docker(t, "inspect", "--format", template, id))
}

// socketGroup is the number of the group that may use Docker's socket.
func socketGroup(t testing.TB) string {
	t.Helper()
	info, err := os.Stat("/var/run/docker.sock")
	require.NoError(t, err)
	return strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))
}

// configFile writes a configuration that the image can read, and returns what mounts it there: "FILE:PLACE:ro".
func configFile(t testing.TB, text string) (volume string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644)) //nolint:gosec // the image runs as another user
	return file + ":/etc/lab-workspace-manager/config.toml:ro"
}
