package docker

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"lab-workspace-manager/backend/workspace"
)

// testRegistry is a real registry of the test's own (Debian's docker-registry), behind a proxy that can be slow.
type testRegistry struct {
	address string
	slow    atomic.Bool
	close   func() // it answers nobody from then on
}

// slowly is how fast a slow registry gives out blobs, in bytes per tick.
const (
	slowPart = 64 << 10
	slowTick = 20 * time.Millisecond
)

func newRegistry(t *testing.T) *testRegistry { return newRegistryWith(t, "") }

// newRegistryWith starts a registry with more lines of configuration.
func newRegistryWith(t *testing.T, more string) *testRegistry {
	t.Helper()
	needsDocker(t)
	folder := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	inside := listener.Addr().String()
	require.NoError(t, listener.Close())
	settings := filepath.Join(folder, "config.yml")
	require.NoError(t, os.WriteFile(settings, fmt.Appendf(nil, "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n%s", folder, inside, more), 0o600))
	process := exec.Command("docker-registry", "serve", settings)
	require.NoError(t, process.Start())
	r := &testRegistry{}
	target := &url.URL{Scheme: "http", Host: inside}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // a pull that is called off is no error
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(target)
			request.Out.Host = request.In.Host // it names itself by it
		},
		ModifyResponse: func(response *http.Response) error {
			if r.slow.Load() && response.ContentLength > slowPart {
				response.Body = &slowBody{response.Body}
			}
			return nil
		},
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(front) }() // ends with Close
	r.address = front.Addr().String()
	r.close = sync.OnceFunc(func() {
		_ = server.Close()
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	t.Cleanup(r.close)
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + r.address + "/v2/")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized
	}, 10*time.Second, 20*time.Millisecond, "the registry does not answer")
	return r
}

type slowBody struct{ io.ReadCloser }

func (s *slowBody) Read(p []byte) (int, error) {
	time.Sleep(slowTick)
	return s.ReadCloser.Read(p[:min(len(p), slowPart)])
}

const layerBytes = 4 << 20

// publish pushes an image of two layers that nobody has yet, and removes it here.
func (r *testRegistry) publish(t *testing.T, name string) (image string) {
	t.Helper()
	image = r.address + "/" + name + ":1"
	folder := t.TempDir()
	for _, file := range []string{"a", "b"} {
		random := make([]byte, layerBytes) // does not shrink
		_, err := rand.Read(random)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), random, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte("FROM scratch\nCOPY a /\nCOPY b /\nCMD [\"/a\"]\n"), 0o600))
	for _, args := range [][]string{{"build", "-q", "-t", image, folder}, {"push", "-q", image}, {"image", "rm", image}} {
		command := exec.Command("docker", args...)
		command.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	return image
}

func pullStep(image string) workspace.Step {
	return workspace.Step{Kind: workspace.StepImage, Deployment: workspace.Deployment{Image: image}}
}

func TestPull_TellsBytesAndCanBeCalledOff(t *testing.T) {
	r := newRegistry(t)
	image := r.publish(t, "lab-test-pull")
	e := newTestEngine(t)

	r.slow.Store(true)
	ctx, callOff := context.WithCancel(t.Context())
	var seen []workspace.Progress
	_, err := e.Execute(ctx, pullStep(image), func(progress workspace.Progress) {
		seen = append(seen, progress)
		if progress.Unit == "bytes" && progress.Current > 0 {
			callOff()
		}
	})
	callOff()
	require.ErrorIs(t, err, context.Canceled)
	require.NotEmpty(t, seen)
	states, err := e.Images(t.Context(), []string{image})
	require.NoError(t, err)
	require.False(t, states[0].Here, "what was called off is not here")

	r.slow.Store(false)
	var last workspace.Progress
	_, err = e.Execute(t.Context(), pullStep(image), func(progress workspace.Progress) {
		if progress.Unit == "bytes" {
			require.LessOrEqual(t, progress.Current, progress.Total)
			last = progress
		}
	})
	require.NoError(t, err)
	require.Equal(t, last.Total, last.Current)
	states, err = e.Images(t.Context(), []string{image})
	require.NoError(t, err)
	require.True(t, states[0].Here)
}

func TestPull_AsOftenAsThePolicySays(t *testing.T) {
	r := newRegistry(t)
	image := r.publish(t, "lab-test-policy")
	e := newTestEngine(t)
	step := pullStep(image)
	idAfter := func(policy workspace.PullPolicy) string {
		t.Helper()
		step.Deployment.Pull = policy
		_, err := e.Execute(t.Context(), step, func(workspace.Progress) {})
		require.NoError(t, err, "%s", policy)
		facts, err := e.InspectImage(t.Context(), image)
		require.NoError(t, err)
		return facts.ID
	}
	step.Deployment.Pull = workspace.PullNever
	_, err := e.Execute(t.Context(), step, func(workspace.Progress) {})
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err))
	require.Contains(t, err.Error(), "pulling images is switched off")

	first := idAfter(workspace.PullMissing)
	states, err := e.Images(t.Context(), []string{image})
	require.NoError(t, err)
	pinned := r.address + "/lab-test-policy@" + states[0].Digests[0]
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", first).Run() })

	t.Log("the tag moves on, and nobody here has the new image")
	_ = r.publish(t, "lab-test-policy")
	require.NoError(t, exec.Command("docker", "image", "rm", "-f", first).Run())
	out, err := exec.Command("docker", "pull", "-q", pinned).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, exec.Command("docker", "tag", pinned, image).Run())

	require.Equal(t, first, idAfter(workspace.PullMissing))
	require.Equal(t, first, idAfter(workspace.PullNever))
	pinnedStep := pullStep(pinned)
	pinnedStep.Deployment.Pull = workspace.PullAlways
	_, err = e.Execute(t.Context(), pinnedStep, func(progress workspace.Progress) { t.Errorf("the registry was asked: %s", progress.Detail) })
	require.NoError(t, err, "what is pinned cannot change")
	second := idAfter(workspace.PullAlways)
	require.NotEqual(t, first, second)

	t.Log("a registry that does not answer keeps nobody from what is here")
	r.close()
	require.Equal(t, second, idAfter(workspace.PullAlways))
	gone := pullStep(r.address + "/lab-test-gone:1")
	gone.Deployment.Pull = workspace.PullAlways
	_, err = e.Execute(t.Context(), gone, func(workspace.Progress) {})
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err), "%v", err)
}

func TestRemoteDigest_IsWhatAPullWouldBring(t *testing.T) {
	r := newRegistry(t)
	image := r.publish(t, "lab-test-digest")
	e := newTestEngine(t)
	digest, err := e.RemoteDigest(t.Context(), image)
	require.NoError(t, err)
	states, err := e.Images(t.Context(), []string{image})
	require.NoError(t, err)
	require.False(t, states[0].Here, "to ask is not to pull")
	_, err = e.Execute(t.Context(), pullStep(image), func(workspace.Progress) {})
	require.NoError(t, err)
	states, err = e.Images(t.Context(), []string{image})
	require.NoError(t, err)
	require.Equal(t, []string{digest}, states[0].Digests)

	_, err = e.RemoteDigest(t.Context(), r.address+"/lab-test-digest:never-pushed")
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err), "%v", err)
	_, err = e.RemoteDigest(t.Context(), r.address+"/lab-test-no-such:1")
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err), "%v", err)
	r.close()
	_, err = e.RemoteDigest(t.Context(), image)
	require.Equal(t, workspace.CodeUnavailable, workspace.CodeOf(err), "%v", err)

	e.builds = map[string]Build{"lab-test-built-here:1": {}}
	_, err = e.RemoteDigest(t.Context(), "lab-test-built-here:1")
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err), "no registry is told of what is built here")
}

func TestPull_SaysWhatIsWrong(t *testing.T) {
	r := newRegistry(t)
	e := newTestEngine(t)
	_, err := e.Execute(t.Context(), pullStep(r.address+"/lab-test-nothing:1"), func(workspace.Progress) {})
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err), "%v", err)
	_, err = e.Execute(t.Context(), pullStep("127.0.0.1:1/lab-test-nobody:1"), func(workspace.Progress) {})
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err))
	require.Contains(t, err.Error(), "the registry 127.0.0.1:1 does not answer")

	t.Log("a registry that hangs up is not Docker that hangs up")
	rude, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = rude.Close() })
	go func() {
		for {
			connection, err := rude.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
		}
	}()
	_, err = e.Execute(t.Context(), pullStep(rude.Addr().String()+"/lab-test-rude:1"), func(workspace.Progress) {})
	require.Equal(t, workspace.CodeImageMissing, workspace.CodeOf(err), "%v", err)
	require.Contains(t, err.Error(), "does not answer")

	states, err := e.Images(t.Context(), []string{r.address + "/lab-test-nothing:1"})
	require.NoError(t, err)
	require.False(t, states[0].Here)
}

func TestPull_LogsInAsDockersOwnClientDoes(t *testing.T) {
	needsDocker(t)
	folder := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("s3cret"), bcrypt.MinCost)
	require.NoError(t, err)
	passwords := filepath.Join(folder, "htpasswd")
	require.NoError(t, os.WriteFile(passwords, fmt.Appendf(nil, "ada:%s\n", hash), 0o600))
	r := newRegistryWith(t, "auth:\n  htpasswd:\n    realm: test\n    path: "+passwords+"\n")
	t.Setenv("DOCKER_CONFIG", folder) // for the command
	before := config.Dir()
	config.SetDir(folder) // for us: it is looked up once
	t.Cleanup(func() { config.SetDir(before) })
	configure := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte(text), 0o600))
	}
	login := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.address, base64.StdEncoding.EncodeToString([]byte("ada:s3cret")))
	configure(login)
	image := r.publish(t, "lab-test-private")
	e := newTestEngine(t)
	pull := func() error {
		require.NoError(t, exec.Command("docker", "image", "rm", "-f", image).Run())
		_, err := e.Execute(t.Context(), pullStep(image), func(workspace.Progress) {})
		return err
	}
	require.NoError(t, pull(), "with a password in the configuration")
	digest, err := e.RemoteDigest(t.Context(), image)
	require.NoError(t, err)
	require.Contains(t, digest, "sha256:")

	configure(`{}`)
	_, err = e.RemoteDigest(t.Context(), image)
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), "%v", err)
	err = pull()
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), "%v", err)
	require.Contains(t, workspace.HintOf(err), "docker login "+r.address)

	configure(fmt.Sprintf(`{"credHelpers": {%q: "labtest"}}`, r.address))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "docker-credential-labtest"),
		fmt.Appendf(nil, "#!/bin/sh\necho '{\"ServerURL\": \"%s\", \"Username\": \"ada\", \"Secret\": \"s3cret\"}'\n", r.address), 0o700)) //nolint:gosec // it is run
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	require.NoError(t, pull(), "with a credential helper")

	configure(fmt.Sprintf(`{"credHelpers": {%q: "broken"}}`, r.address))
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(pull()), "a helper that fails is as good as none")
}
