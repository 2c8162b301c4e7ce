package docker

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestLineOf(t *testing.T) {
	const users = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:1234:56::/home/web:/bin/sh\n1234:x:9:9::/:\n"
	require.Equal(t, "1234", lineOf(users, "web")[2])
	require.Equal(t, "web", lineOf(users, "1234")[0])
	require.Nil(t, lineOf(users, "broken"))
	require.Nil(t, lineOf("", "web"))
	for user, want := range map[string]bool{"": true, "root": true, "0": true, "0:5": true, "root:x": true, ":5": true, "00": false, "web": false, "5:0": false} {
		require.Equal(t, want, isRoot(user), user)
	}
}

// An image that has no folder for the volume can keep files all the same, whoever it runs as.
func TestEngine_LetsTheUserOfTheImageWrite(t *testing.T) {
	e := newTestEngine(t)
	all := t // images go when all is done: until then they share their layers
	for name, test := range map[string]struct{ lines, want string }{
		"a name":              {"USER web\n", "web users 755"},
		"numbers":             {"USER 4321:99\n", "4321 99 755"},
		"a name and a group":  {"USER web:games\n", "web games 755"},
		"a number with group": {"USER 1234\n", "web users 755"},
		"root":                {"USER root\n", "root root 755"},
		"a folder of its own": {"RUN mkdir -m 700 /kept && chown web:games /kept\nUSER web\n", "web games 700"},
		"a folder with files": {"RUN mkdir /kept && touch /kept/file\nUSER web\n", "root root 755"},
	} {
		t.Run(name, func(t *testing.T) {
			image := variant(t, "belongs-"+strings.ReplaceAll(name, " ", "-"),
				"LABEL "+labelProfile+"=\nUSER root\nRUN /usr/sbin/useradd --uid 1234 --gid users web\n"+test.lines+"WORKDIR /\nENTRYPOINT [\"sleep\",\"1000\"]\n")
			all.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
			d := sleeper(e, image)
			d.ID, d.Volume, d.MountPath = d.ID+workspace.ID("-"+strings.ReplaceAll(name, " ", "")), d.Volume+strings.ReplaceAll(name, " ", ""), "/kept"
			for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
				_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
				require.NoError(t, err)
			}
			out, err := exec.Command("docker", "exec", string(d.ID), "stat", "-c", "%U %G %a %u %g", "/kept").CombinedOutput()
			require.NoError(t, err, "%s", out)
			fields := strings.Fields(string(out))
			if fields[0] == "UNKNOWN" {
				fields[0] = fields[3]
			}
			if fields[1] == "UNKNOWN" {
				fields[1] = fields[4]
			}
			require.Equal(t, test.want, strings.Join(fields[:3], " "))
		})
	}
}

// The real one (s6-overlay) cannot be had everywhere; this one insists on the same.
func TestEngine_StartsAnImageWhoseInitMustBeTheFirstProcess(t *testing.T) {
	e := newTestEngine(t)
	image := variant(t, "own-init", "USER root\nRUN printf '#!/bin/sh\\n[ $$ = 1 ] || exit 100\\nexec sleep 1000\\n' >/init && chmod 755 /init\nENTRYPOINT [\"/init\"]\nCMD []\n")
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	d := sleeper(e, image)
	for _, kind := range []workspace.StepKind{workspace.StepStorage, workspace.StepCreate, workspace.StepStart} {
		_, err := e.Execute(t.Context(), workspace.Step{Kind: kind, Deployment: d}, func(workspace.Progress) {})
		require.NoError(t, err)
	}
	first, err := exec.Command("docker", "exec", string(d.ID), "cat", "/proc/1/comm").CombinedOutput()
	require.NoError(t, err, "%s", first) // it runs
	require.Contains(t, []string{"init", "sleep"}, strings.TrimSpace(string(first)))
}
