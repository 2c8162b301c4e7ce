package images

import (
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEveryContextCanBeBuilt(t *testing.T) {
	for _, name := range Names() {
		context, err := Context(name)
		if err != nil {
			t.Fatal(err)
		}
		dockerfile, err := fs.ReadFile(context, "Dockerfile")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(dockerfile), "\nARG "+BaseArgument+"="+PublicBase+"\n") {
			t.Errorf("%s: the Dockerfile's default base is not PublicBase, %s", name, PublicBase)
		}
		if _, err := fs.Stat(context, HostCertificates); err == nil {
			t.Errorf("%s: certificates of some host are part of the program", name)
		}
	}
}

func TestHostCertificatesStayOutOfTheImage(t *testing.T) {
	for _, name := range Names() {
		stages := stagesOf(t, name)
		if last := stages[len(stages)-1]; strings.Contains(last, HostCertificates) {
			t.Errorf("%s: the last stage becomes the image and mentions %s", name, HostCertificates)
		}
	}
}

// The builder recognises what it has done by the words. Images that begin with the same ones share a layer.
func TestImagesShareTheirSystem(t *testing.T) {
	if minimal, vscode := instructions(stagesOf(t, Minimal)[1]), instructions(stagesOf(t, VSCode)[1]); minimal != vscode {
		t.Errorf("the system of %s is\n%s\nand that of %s\n%s", Minimal, minimal, VSCode, vscode)
	}
}

func TestContextsHoldWhatTheyShare(t *testing.T) {
	for _, name := range Names() {
		context, err := Context(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := fstest.TestFS(context, "Dockerfile", "files/etc/pip.conf", "files/usr/local/lib/lab-workspace/cgroup.py", "files/usr/local/lib/lab-workspace/serve.py"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLayersTheFirstOneWins(t *testing.T) {
	both := layers{fstest.MapFS{"d/a": {Data: []byte("own")}}, fstest.MapFS{"d/a": {Data: []byte("shared")}, "d/b": {Data: []byte("shared")}}}
	if err := fstest.TestFS(both, "d/a", "d/b"); err != nil {
		t.Error(err)
	}
	if text, err := fs.ReadFile(both, "d/a"); string(text) != "own" || err != nil {
		t.Errorf("d/a is %q, %v", text, err)
	}
	if _, err := fs.ReadDir(both, "e"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is in none of them: %v", err)
	}
}

func stagesOf(t *testing.T, name string) []string {
	t.Helper()
	return strings.Split(fileOf(t, name, "Dockerfile"), "\nFROM ")
}

// instructions returns a part of a Dockerfile as the builder sees it, without comments.
func instructions(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			lines = append(lines, trimmed)
		}
	}
	return strings.Join(lines, "\n")
}

func fileOf(t *testing.T, name, file string) string {
	t.Helper()
	context, err := Context(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(context, file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestContextOfAnUnknownImage(t *testing.T) {
	for _, name := range []string{"", ".", "..", "workspace-minimal/..", "shared", "nothing"} {
		if _, err := Context(name); err == nil {
			t.Errorf("Context(%q) succeeded", name)
		}
	}
}

// "sh -n" parses without running.
func TestBaseScriptIsAShellScript(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	check := exec.Command(shell, "-n")
	check.Stdin = strings.NewReader(BaseScript)
	if output, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}
