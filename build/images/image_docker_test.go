package images

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestImageWeighsLittleMoreThanItsPackages compares an image that was built with what the packages in it say they
// weigh: what is more is forgotten caches, doubled layers and leftovers of the build.
func TestImageWeighsLittleMoreThanItsPackages(t *testing.T) {
	image := "lab-" + Minimal + ":latest"
	needsImage(t, image)
	var sizes []int64
	fromDocker(t, &sizes, "image", "inspect", "--format", "[{{.Size}}]", image)
	var packages struct{ Debian, Python int64 }
	fromDocker(t, &packages, "run", "--rm", "--network", "none", image, "python3", "-sc", weighPackages)
	weight := packages.Debian + packages.Python
	t.Logf("the image has %d MB; its packages weigh %d MB: Debian %d MB, Python %d MB",
		sizes[0]/1e6, weight/1e6, packages.Debian/1e6, packages.Python/1e6)
	if sizes[0] >= 2*weight {
		t.Errorf("the image has %d bytes, twice what its packages weigh (%d) or more", sizes[0], weight)
	}
}

// weighPackages adds up what dpkg and pip have installed. Byte code does not count: it is made from what does.
const weighPackages = `
import importlib.metadata, json, subprocess
kilobytes = subprocess.check_output(["dpkg-query", "--show", "--showformat", "${Installed-Size}\n"], text=True)
python = 0
for package in importlib.metadata.distributions():
    if "/usr/local/" in str(package.locate_file("")):
        python += sum(file.size or 0 for file in package.files or [])
print(json.dumps({"Debian": 1024 * sum(map(int, kilobytes.split())), "Python": python}))
`

// someModules is what any web program in Python begins with. What it takes tells how fast the machine is just now: on a busy
// one, importing takes more than twice as much processor time.
const someModules = `
import time
import asyncio, http.client, jinja2, json, ssl, tornado.web, tornado.websocket, zmq
print(time.process_time())
`

// A start is importing modules on one core, so it is compared with other imports in turns. It takes 3.5 times as long as
// those; a module too many, such as the grammar of rfc3987_syntax, would take it beyond 9 times.
func TestMinimalStartsAndStopsQuickly(t *testing.T) {
	image := "lab-" + Minimal + ":latest"
	needsImage(t, image)
	var starts, ratios []float64
	for range 7 {
		container, address := runImage(t, Minimal)
		start := resourcesOf(t, address).CPUSeconds
		endsAtOnce(t, container)
		others, err := strconv.ParseFloat(docker(t, "run", "--rm", "--entrypoint", "python3", image, "-s", "-c", someModules), 64)
		if err != nil {
			t.Fatal(err)
		}
		starts, ratios = append(starts, start), append(ratios, start/others)
	}
	slices.Sort(starts)
	slices.Sort(ratios)
	t.Logf("CPU seconds until it answers: %.3f; in imports of other modules: %.2f", starts, ratios)
	if median := ratios[len(ratios)/2]; median > 5.5 {
		t.Errorf("it took %.2f times as long to answer as other modules to be imported", median)
	}
}

func TestMinimalShowsItsLimitsAsTheyChange(t *testing.T) {
	needsImage(t, "lab-"+Minimal+":latest")
	container, address := runImage(t, Minimal, "--cpus", "0.5", "--memory", "300m", "--memory-swap", "300m")
	threads := func() string {
		return docker(t, "exec", container, "bash", "-lc", "echo $OMP_NUM_THREADS")
	}
	got := resourcesOf(t, address)
	if got.CPULimit != 0.5 || got.MemoryLimit != 300<<20 || got.Memory <= 0 || got.Memory > 300<<20 {
		t.Errorf("it says %+v", got)
	}
	if got := threads(); got != "1" {
		t.Errorf("a shell uses %s threads", got)
	}
	docker(t, "update", "--cpus", "2", "--memory", "400m", "--memory-swap", "400m", container)
	if got := resourcesOf(t, address); got.CPULimit != 2 || got.MemoryLimit != 400<<20 {
		t.Errorf("after a change of the limits it says %+v", got)
	}
	if got := threads(); got != "2" {
		t.Errorf("after a change of the limits a shell uses %s threads", got)
	}
}

// ML Lab's proxy puts the address of the workspace before absolute paths.
func TestMinimalRedirectsRelatively(t *testing.T) {
	needsImage(t, "lab-"+Minimal+":latest")
	const base = "/projects/ada0/services/x/access/8080b"
	_, address := runImage(t, Minimal, "--env", "WORKSPACE_BASE_URL="+base)
	answerOf(t, address+base+"/api")
	for path, want := range map[string]string{
		base + "/":          "./lab?",
		base:                "8080b/lab?",
		base + "/lab/?a=/b": "../lab?a=/b",
	} {
		if status, got, err := ask(address+path, ""); err != nil || status < 300 || status > 399 || got != want {
			t.Errorf("at %s it says %d %s %v, want a redirect to %s", path, status, got, err, want)
		}
	}
}

func TestVSCodeIsLockedByASecret(t *testing.T) {
	needsVSCode(t)
	secret := strings.Repeat("0123456789abcdef", 4)
	container, address := runImage(t, VSCode, "--env", "HASHED_PASSWORD="+secret)
	answerOf(t, address+"/healthz") // to everybody
	for cookie, want := range map[string]string{
		"":                                      "./login",
		"code-server-session=":                  "./login",
		"code-server-session=" + secret[1:]:     "./login",
		"code-server-session=" + secret:         "./?folder=/workspace",
		"a=b; code-server-session=" + secret:    "./?folder=/workspace",
		"another-session=" + secret:             "./login",
		"code-server-session=" + secret + "0":   "./login",
		"code-server-session=%22" + secret[:63]: "./login",
	} {
		if status, got, err := ask(address+"/", cookie); err != nil || status != http.StatusFound || got != want {
			t.Errorf("with the cookie %q it says %d %s %v, want a redirect to %s", cookie, status, got, err, want)
		}
	}
	if environment := docker(t, "exec", container, "bash", "-lc", "ps -eo args"); strings.Contains(environment, secret) {
		t.Error("the secret is in the list of processes")
	}
	endsAtOnce(t, container)
}

func TestVSCodeIsOpenWithoutASecret(t *testing.T) {
	needsVSCode(t)
	_, address := runImage(t, VSCode, "--env", "HASHED_PASSWORD=")
	answerOf(t, address+"/healthz")
	if page := answerOf(t, address+"/?folder=/workspace"); !strings.Contains(page, "workbench") {
		t.Errorf("instead of the IDE there is: %.200s", page)
	}
}

// TestVSCodeTellsNobodyAboutItsUsers looks at what code-server tells the page about the product.
func TestVSCodeTellsNobodyAboutItsUsers(t *testing.T) {
	needsVSCode(t)
	_, address := runImage(t, VSCode)
	answerOf(t, address+"/healthz")
	if page := answerOf(t, address+"/?folder=/workspace"); !strings.Contains(page, "enableTelemetry&quot;:false") {
		t.Error("the page may send telemetry")
	}
}

// needsVSCode skips where the image was not built: it is no part of a first run.
func needsVSCode(t *testing.T) {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" || exec.Command("docker", "image", "inspect", "lab-"+VSCode+":latest").Run() != nil {
		t.Skip("needs Docker and the image: LAB_TEST_DOCKER=1, images build " + VSCode)
	}
}

type resources struct {
	CPUSeconds  float64 `json:"cpu_seconds"`
	CPULimit    float64 `json:"cpu_limit"`
	Memory      int64   `json:"memory_bytes"`
	MemoryLimit int64   `json:"memory_limit_bytes"`
}

func resourcesOf(t *testing.T, address string) resources {
	t.Helper()
	var answer resources
	if err := json.Unmarshal([]byte(answerOf(t, address+"/api/lab-workspace/resources")), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// answerOf asks until there is an answer that is none of a failure.
func answerOf(t *testing.T, address string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status, answer, err := ask(address, "")
		if err == nil && status == http.StatusOK {
			return answer
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer: %d %s %v", status, answer, err)
		}
	}
}

// ask gets a page with a cookie, and does not follow redirects: it returns where they lead.
func ask(address, cookie string) (status int, answer string, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+address, nil)
	if err != nil {
		return 0, "", err
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	if target := response.Header.Get("Location"); target != "" {
		return response.StatusCode, target, nil
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func endsAtOnce(t *testing.T, container string) {
	t.Helper()
	begun := time.Now()
	docker(t, "kill", "--signal", "TERM", container)
	docker(t, "wait", container)
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it ended %v after SIGTERM", took)
	}
}

// runImage starts a workspace as the manager does and returns it and where it will answer.
func runImage(t *testing.T, name string, arguments ...string) (container, address string) {
	t.Helper()
	run := []string{
		"run", "--detach", "--init", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--publish", "127.0.0.1::8080",
	}
	container = docker(t, append(append(run, arguments...), "lab-"+name+":latest")...)
	t.Cleanup(func() { docker(t, "rm", "--force", "--volumes", container) })
	return container, docker(t, "port", container, "8080")
}

func docker(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("docker", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", arguments[0], err, output)
	}
	return strings.TrimSpace(string(output))
}

// fromDocker runs the docker command and decodes the JSON that it prints.
func fromDocker(t *testing.T, into any, arguments ...string) {
	t.Helper()
	output := docker(t, arguments...)
	if err := json.Unmarshal([]byte(output), into); err != nil {
		t.Fatalf("docker %s printed %s: %v", arguments[0], strconv.Quote(output), err)
	}
}

func needsImage(t *testing.T, image string) {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs a Docker engine: LAB_TEST_DOCKER=1")
	}
	if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
		t.Fatalf("%s is not here; `make workspace-image` builds it", image)
	}
}
