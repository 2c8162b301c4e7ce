package images

import (
	"io/fs"
	"os/exec"
	"strings"
	"testing"
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
	context, err := Context(Minimal)
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := fs.ReadFile(context, "Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(string(dockerfile), "\nFROM ")
	if last := stages[len(stages)-1]; strings.Contains(last, HostCertificates) {
		t.Errorf("the last stage becomes the image and mentions %s", HostCertificates)
	}
}

func TestContextOfAnUnknownImage(t *testing.T) {
	for _, name := range []string{"", ".", "..", "workspace-minimal/..", "nothing"} {
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
