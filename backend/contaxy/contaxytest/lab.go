//go:build linux

package contaxytest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Options are what labs differ in. The zero value is a lab as ML Lab's own compose file makes it.
type Options struct {
	BaseURL   string        // path the lab is served below, such as "/lab"; "" = none
	IdleCheck time.Duration // how often it looks for idle services, in whole seconds; 0 = every 20 minutes
	JWTSecret string        // signs session tokens; "" = the lab's default
}

// User is somebody whom the lab knows, logged in.
type User struct {
	Name, Password string
	ID             string // of the user and of their own project
	Token          string // an API token, as a login gives it
}

// Lab is a running ML Lab.
type Lab struct {
	URL       string // as the host reaches it, with the base path: http://127.0.0.1:PORT/lab; the API is at URL/api
	Endpoint  string // of the API, for containers in one of the lab's networks
	Namespace string // begins the names of its services, and is their label ctxy.namespace
	Network   string // Docker network that the lab itself is in

	Admin, Ada, Bob User

	number  int
	name    string
	port    int
	options Options // of its start
	current Options
}

const (
	startsWithin  = 5 * time.Minute // with the image still to be built
	answersWithin = time.Minute
	pause         = 50 * time.Millisecond // between two tries
)

// shared are the labs that run for the tests of this process.
var shared struct {
	sync.Mutex
	kept  bool // until Main ends
	labs  map[Options]*Lab
	turn  *os.File // locked as long as there is a lab
	place int      // that it is for, from 0
}

// Main runs the tests of a package, ends the labs they have shared, and returns the code to exit with.
func Main(m *testing.M) int {
	shared.kept = true
	code := m.Run()
	for _, lab := range shared.labs {
		if err := lab.end(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// Start returns a running lab with these options and without services. Services, and what else the methods of Lab change,
// are as they were when the test has ended.
func Start(t testing.TB, options Options) *Lab {
	t.Helper()
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("needs Docker: set LAB_TEST_DOCKER=1")
	}
	shared.Lock()
	defer shared.Unlock()
	if lab := shared.labs[options]; lab != nil {
		require.NotEmpty(t, lab.Bob.Token, "the lab did not come up for an earlier test, which says why")
		t.Cleanup(func() { lab.RemoveServices(t) })
		return lab
	}
	takeTurn(t)
	lab := &Lab{options: options, current: options, number: freeNumber(), port: freePort(t)}
	lab.name = fmt.Sprintf("lab-test-%d", lab.number)
	lab.Namespace = fmt.Sprintf("labtest%d", lab.number)
	lab.Network = lab.name
	lab.URL = fmt.Sprintf("http://127.0.0.1:%d%s", lab.port, options.BaseURL)
	lab.Endpoint = fmt.Sprintf("http://%s-backend:8080%s/api", lab.name, options.BaseURL)
	// A test that was killed has left its lab behind.
	require.NoError(t, lab.script("down"))
	if shared.labs == nil {
		shared.labs = map[Options]*Lab{}
	}
	shared.labs[options] = lab
	t.Cleanup(func() {
		if !shared.kept {
			require.NoError(t, lab.end())
			return
		}
		lab.RemoveServices(t)
	})
	if err := lab.script("up"); err != nil {
		_ = lab.end() // the first error says more
		t.Fatal(err)
	}
	lab.Admin = lab.Login(t, "admin", "admin")
	lab.Ada = lab.Login(t, "ada", "password")
	lab.Bob = lab.Login(t, "bob", "password")
	return lab
}

// places are how many processes may have labs at a time: as many as packages are tested at a time on two cores, since more would
// be slow for all.
const places = 2

// takeTurn waits until not too many other processes have labs. The place goes with the process, however that ends.
func takeTurn(t testing.TB) {
	t.Helper()
	if shared.turn != nil {
		return
	}
	if !tryPlaces(t) {
		t.Log("waits for other tests to be done with their ML Lab")
		for !tryPlaces(t) {
			time.Sleep(pause)
		}
	}
}

// tryPlaces takes a place if one is free.
func tryPlaces(t testing.TB) bool {
	t.Helper()
	for place := range places {
		name := filepath.Join(os.TempDir(), fmt.Sprintf("lab-workspace-manager-contaxytest-%d.lock", place))
		file, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o644)
		require.NoError(t, err)
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			shared.turn, shared.place = file, place
			return true
		}
		require.NoError(t, file.Close())
	}
	return false
}

// freeNumber is that of a lab that there is not on this machine: each place has numbers of its own.
func freeNumber() int {
	taken := map[int]bool{}
	for _, lab := range shared.labs {
		taken[lab.number] = true
	}
	number := shared.place + 1
	for taken[number] {
		number += places
	}
	return number
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }() // it has served
	return listener.Addr().(*net.TCPAddr).Port
}

// script runs build/scripts/lab.sh for this lab.
func (l *Lab) script(command string) error {
	project, err := projectFolder()
	if err != nil {
		return err
	}
	script := exec.Command(filepath.Join(project, "build/scripts/lab.sh"), command)
	script.Env = append(os.Environ(), "LAB_NAME="+l.name, "LAB_NAMESPACE="+l.Namespace, "LAB_PORT="+strconv.Itoa(l.port),
		"CONTAXY_BASE_URL="+l.current.BaseURL)
	if l.current.IdleCheck > 0 {
		script.Env = append(script.Env, fmt.Sprintf("SERVICE_IDLE_CHECK_INTERVAL=%d", int(l.current.IdleCheck.Seconds())))
	}
	if l.current.JWTSecret != "" {
		script.Env = append(script.Env, "JWT_TOKEN_SECRET="+l.current.JWTSecret)
	}
	timer := time.AfterFunc(startsWithin, func() { _ = script.Process.Kill() }) // its output says where it was
	defer timer.Stop()
	output, err := script.CombinedOutput()
	if err != nil {
		return fmt.Errorf("lab.sh %s: %w\n%s", command, err, output)
	}
	return nil
}

// projectFolder is the one above the tests that run, with the go.mod in it. Compiled with -trimpath, the program itself does
// not know where it came from.
func projectFolder() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", errors.New("the tests do not run within the project")
		}
		folder = above
	}
}

// end takes the lab away, and lets another process have one when it was the last.
func (l *Lab) end() error {
	delete(shared.labs, l.options)
	err := l.script("down")
	if len(shared.labs) == 0 && shared.turn != nil {
		_ = shared.turn.Close() // which unlocks it
		shared.turn = nil
	}
	return err
}

// RestartBackend makes the backend anew with other options. Its database stays as it is, its caches are empty, and session
// tokens of another secret are worth nothing.
func (l *Lab) RestartBackend(t testing.TB, options Options) {
	t.Helper()
	require.Equal(t, l.options.BaseURL, options.BaseURL, "a lab cannot be moved: its address is known to others")
	l.current = options
	require.NoError(t, l.script("restart-backend"))
	t.Cleanup(func() {
		if shared.kept && l.current != l.options {
			l.current = l.options
			require.NoError(t, l.script("restart-backend"))
		}
	})
}

// StopBackend ends nginx and the backend: whoever asks is refused, until StartBackend or the end of the test.
func (l *Lab) StopBackend(t testing.TB) {
	t.Helper()
	l.stop(t, "backend")
}

// StartBackend starts the backend after StopBackend, and waits until it answers.
func (l *Lab) StartBackend(t testing.TB) {
	t.Helper()
	l.start(t, "backend")
}

// StopDatabase ends the database: the backend answers 500 to nearly everything, until StartDatabase or the end of the test.
func (l *Lab) StopDatabase(t testing.TB) {
	t.Helper()
	l.stop(t, "postgres")
}

// StartDatabase starts the database after StopDatabase, and waits until the backend answers.
func (l *Lab) StartDatabase(t testing.TB) {
	t.Helper()
	l.start(t, "postgres")
}

// PauseBackend freezes nginx and the backend: whoever asks is connected and gets no answer, until ResumeBackend or the end
// of the test.
func (l *Lab) PauseBackend(t testing.TB) {
	t.Helper()
	l.docker(t, "pause", l.name+"-backend")
	t.Cleanup(func() { l.ResumeBackend(t) })
}

// ResumeBackend undoes PauseBackend.
func (l *Lab) ResumeBackend(t testing.TB) {
	t.Helper()
	if l.docker(t, "inspect", "--format", "{{.State.Paused}}", l.name+"-backend") == "true" {
		l.docker(t, "unpause", l.name+"-backend")
		l.waitUntilAnswers(t)
	}
}

func (l *Lab) stop(t testing.TB, part string) {
	t.Helper()
	l.docker(t, "stop", "--time", "5", l.name+"-"+part)
	t.Cleanup(func() { l.start(t, part) })
}

func (l *Lab) start(t testing.TB, part string) {
	t.Helper()
	l.docker(t, "start", l.name+"-"+part)
	l.waitUntilAnswers(t)
}

// waitUntilAnswers waits until the backend answers, out of its database.
func (l *Lab) waitUntilAnswers(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := l.Try(t, l.Admin.Token, http.MethodPost, "/api/auth/tokens/verify?use_cache=false", nil)
		return err == nil && answer.StatusCode == http.StatusOK
	}, answersWithin, pause, "the lab does not answer")
}

// docker runs a docker command that must succeed, and returns what it printed.
func (l *Lab) docker(t testing.TB, args ...string) string {
	t.Helper()
	output, err := exec.Command("docker", args...).CombinedOutput()
	require.NoError(t, err, "docker %s: %s", strings.Join(args, " "), output)
	return strings.TrimSpace(string(output))
}
