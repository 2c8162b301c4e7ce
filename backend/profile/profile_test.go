package profile_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
)

const (
	owner  = "ada0"
	id     = "lab1-p-ada0-s-ws-x"
	secret = "5ec2e7"
)

// describe says all that a profile makes of one workspace.
func describe(p profile.Profile) string {
	var text strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "  %-9s %s\n", name, value)
		}
	}
	all := func(name string, values map[string]string) {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			line(name, key+"="+values[key])
		}
	}
	fmt.Fprintf(&text, "%s: %s\n", p.Name, p.Title)
	line("port", fmt.Sprint(p.Port))
	line("path", p.AccessPath(owner, id))
	line("mount", p.MountPath)
	health := p.HealthPath
	if p.KeepsPath {
		health = p.AccessPath(owner, id) + health
	}
	line("health", health)
	if p.AnyAnswer {
		line("", "any answer will do")
	}
	all("env", p.Environment(owner, id))
	line("secret", strings.Join(p.SecretEnv, " "))
	if p.SecretHeaderName != "" {
		line("", p.SecretHeaderName+": "+p.SecretValue(owner, id, secret))
	}
	line("args", strings.Join(p.Arguments(owner, id), " "))
	if open := p.Open(); len(p.OpenArgs) > 0 || len(p.OpenEnv) > 0 {
		all("open", open.Environment(owner, id))
		line("open args", strings.Join(open.Arguments(owner, id), " "))
	}
	all("header", p.RequestHeaders(owner, id))
	line("probe", p.Activity.Probe)
	line("polls", strings.Join(p.Activity.Polls, " "))
	if p.Activity.QuietFrame > 0 {
		line("quiet", fmt.Sprint("frames up to ", p.Activity.QuietFrame, " bytes"))
	}
	line("may", strings.Join(p.Capabilities, " "))
	line("patience", fmt.Sprint(p.AnswerDeadline, " to answer, ", p.StopGrace, " to end"))
	line("note", p.Note)
	return text.String()
}

// TestBuiltin_WhatEachMakesOfAWorkspace compares all of it with testdata/builtin.golden. When they differ the text that
// is true now is left beside it, to be looked at and moved there.
func TestBuiltin_WhatEachMakesOfAWorkspace(t *testing.T) {
	var all []string
	for _, p := range profile.Builtin() {
		all = append(all, describe(p))
	}
	text := strings.Join(all, "\n")
	golden, _ := os.ReadFile("testdata/builtin.golden")
	if string(golden) != text {
		require.NoError(t, os.WriteFile("testdata/builtin.golden.new", []byte(text), 0o644))
	}
	require.Equal(t, string(golden), text)
}

func TestBuiltin_IsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range profile.Builtin() {
		t.Run(p.Name, func(t *testing.T) {
			require.False(t, seen[p.Name], "its name is there twice")
			seen[p.Name] = true
			require.NotEmpty(t, p.Title)
			require.True(t, strings.HasPrefix(p.MountPath, "/") && strings.HasPrefix(p.HealthPath, "/"))
			require.Positive(t, p.AnswerDeadline)
			require.Positive(t, p.StopGrace)
			require.NotContains(t, describe(p), "{", "something was not filled in")
			locked := p.SecretHeaderName != ""
			require.Equal(t, locked, len(p.SecretEnv) > 0)
			require.Equal(t, locked, strings.Contains(p.SecretHeaderValue, "{secret}"))
			require.True(t, locked || strings.Contains(p.Note, "secret"), "people are told that it has no lock")
		})
	}
}

func TestMinimal_NeedsNoCapability(t *testing.T) {
	require.Empty(t, profile.Minimal.Capabilities)
}

func TestBuiltin_IsACopy(t *testing.T) {
	for i, p := range profile.Builtin() {
		for name := range p.Env {
			p.Env[name] = "changed"
		}
		for name := range p.Headers {
			p.Headers[name] = "changed"
		}
		for name := range p.OpenEnv {
			p.OpenEnv[name] = "changed"
		}
		for _, list := range [][]string{p.Args, p.OpenArgs, p.SecretEnv, p.Capabilities, p.Activity.Polls} {
			for j := range list {
				list[j] = "changed"
			}
		}
		require.NotContains(t, describe(profile.Builtin()[i]), "changed")
	}
}

func TestOpen_ChangesNothingOfTheProfile(t *testing.T) {
	open := profile.Jupyter.Open()
	require.Empty(t, open.SecretEnv)
	require.Contains(t, open.Args, "--IdentityProvider.token=")
	require.NotContains(t, profile.Jupyter.Args, "--IdentityProvider.token=")
	require.Equal(t, []string{"JUPYTER_TOKEN"}, profile.Jupyter.SecretEnv)
	require.Contains(t, profile.DockerStacks.Open().Env["NOTEBOOK_ARGS"], "--IdentityProvider.token=")
	require.NotContains(t, profile.DockerStacks.Env["NOTEBOOK_ARGS"], "--IdentityProvider.token=")
	require.Equal(t, map[string]string{"A": "1"}, profile.Profile{OpenEnv: map[string]string{"A": "1"}}.Open().Env)
}

func TestWithPort(t *testing.T) {
	require.Equal(t, profile.Minimal, profile.Minimal.WithPort(0), "the profile says where")

	moved := profile.Jupyter.WithPort(9999)
	require.Equal(t, "/projects/ada0/services/lab1-p-ada0-s-ws-x/access/9999b", moved.AccessPath(owner, id))
	require.Contains(t, moved.Arguments(owner, id), "--ServerApp.port=9999")
	require.Equal(t, "9999", profile.DockerStacks.WithPort(9999).Environment(owner, id)["JUPYTER_PORT"])
	require.Equal(t, 8888, profile.Jupyter.Port, "the profile itself stays")
	require.Contains(t, profile.Jupyter.Args, "--ServerApp.port={port}")

	require.Equal(t, "/projects/ada0/services/lab1-p-ada0-s-ws-x/access/8501", profile.Custom.WithPort(8501).AccessPath(owner, id),
		"what does not know its path has no b")
}

func TestProfile_FillsInEverywhere(t *testing.T) {
	p := profile.Profile{
		Port:              1,
		Env:               map[string]string{"E": "{access_path} {id} {port} {secret}"},
		Args:              []string{"{id}:{port}", "{unknown}"},
		Headers:           map[string]string{"X-Root": "{access_path}/"},
		SecretHeaderValue: "path={access_path}; key={secret}",
	}
	path := "/projects/ada0/services/" + id + "/access/1"
	require.Equal(t, map[string]string{"E": path + " " + id + " 1 {secret}"}, p.Environment(owner, id), "a secret is never in the environment by this way")
	require.Equal(t, []string{id + ":1", "{unknown}"}, p.Arguments(owner, id))
	require.Equal(t, map[string]string{"X-Root": path + "/"}, p.RequestHeaders(owner, id))
	require.Equal(t, "path="+path+"; key="+secret, p.SecretValue(owner, id, secret))

	require.Nil(t, profile.Profile{}.Arguments(owner, id), "nil leaves the image its own command")
	require.Empty(t, profile.Profile{}.Environment(owner, id))
}
