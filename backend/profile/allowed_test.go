package profile_test

import (
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
)

const (
	digestA = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestAllowed(t *testing.T) {
	for pattern, cases := range map[string]struct{ yes, no []string }{
		"*": {
			yes: []string{"python", "quay.io/jupyter/scipy-notebook:2025-01-01", "localhost:5000/x", "python" + digestA, "cafe12", digestA[1:], strings.Repeat("a", 64)},
			no:  []string{"", " ", "a b", "Python", "python\n", "../python", "https://quay.io/x", "/x", "-x"},
		},
		"quay.io/jupyter/*": {
			yes: []string{
				"quay.io/jupyter/scipy-notebook", "quay.io/jupyter/scipy-notebook:2025-01-01", "quay.io/jupyter/a/b:c",
				"quay.io/jupyter/scipy-notebook" + digestA, "quay.io/jupyter/scipy-notebook:2025-01-01" + digestA,
			},
			no: []string{
				"jupyter/scipy-notebook", "quay.io/jupyter", "quay.io/jupyter/", "quay.io/jupyterx/y", "quay.io/evil/jupyter/x",
				"evil.com/quay.io/jupyter/x", "evil/quay.io/jupyter/x", "docker.io/quay.io/jupyter/x", "index.docker.io/quay.io/jupyter/x",
				"quay.io.evil.com/jupyter/x", "quay.io:443/jupyter/x", "evil@quay.io/jupyter/x", "QUAY.IO/jupyter/x", "quay.io/Jupyter/x",
				"quay.io/jupyter/../evil/x", "quay.io/jupyter//x", "quay.io/jupyter/x\n", "\nquay.io/jupyter/x", "quay.io/jupyter/x\x00",
				"quay.io/jupyt\u0435r/x", "qu\u0430y.io/jupyter/x", "quay\u2024io/jupyter/x", "quay.io\u2215jupyter/x", "quay.io/jupyter/x:\u200b1",
				"quay.io/jupyter/x@sha256:abc", "quay.io/jupyter/x:", "quay.io/jupyter/x?y",
			},
		},
		"python": {
			yes: []string{"python", "python:latest", "library/python", "docker.io/python", "docker.io/library/python:latest", "index.docker.io/library/python"},
			no:  []string{"python:3.12", "evil/python", "python/evil", "pythons", "quay.io/python", "python" + digestA, "python:latest" + digestA, "library/library/python"},
		},
		"python:latest":                   {yes: []string{"python", "docker.io/library/python"}, no: []string{"python:3.12", "python:latest" + digestA}},
		"python:*":                        {yes: []string{"python", "python:3.12", "docker.io/library/python:3.12", "python" + digestA, "python:3.12" + digestA}, no: []string{"evil/python:3.12", "pythons:1"}},
		"python:3*":                       {yes: []string{"python:3.12", "python:3"}, no: []string{"python", "python:2.7", "python" + digestA, "python:3.12" + digestA}},
		"docker.io/library/python:3.12":   {yes: []string{"python:3.12", "library/python:3.12"}, no: []string{"python", "python:3.12" + digestA}},
		"index.docker.io/rocker/*":        {yes: []string{"rocker/rstudio", "docker.io/rocker/rstudio:4"}, no: []string{"evil/rstudio"}},
		"rocker/*":                        {yes: []string{"rocker/rstudio", "docker.io/rocker/rstudio:4"}, no: []string{"quay.io/rocker/rstudio", "docker.io/library/rocker/x"}},
		"python" + digestA:                {yes: []string{"python" + digestA, "python:3.12" + digestA, "docker.io/library/python" + digestA}, no: []string{"python", "python:latest", "python" + digestB, "evil/python" + digestA}},
		"python:3.12" + digestA:           {yes: []string{"python:3.12" + digestA, "library/python:3.12" + digestA}, no: []string{"python:3.12", "python:3.11" + digestA, "python:3.12" + digestB}},
		"python:3.12@*":                   {yes: []string{"python:3.12" + digestA}, no: []string{"python:3.12", "python:3.11" + digestA}},
		"*@sha256:*":                      {yes: []string{"python" + digestA, "quay.io/x/y:1" + digestA}, no: []string{"python:3.12", digestA[1:]}},
		"*/lab/*:v*":                      {yes: []string{"registry.example.org:5000/lab/a/b:v1"}, no: []string{"registry.example.org/lab/a:1", "lab:v1", "x/y/a:v1"}},
		"localhost:5000/*":                {yes: []string{"localhost:5000/x:1"}, no: []string{"localhost/x", "localhost:5001/x", "docker.io/localhost/x"}},
		"library/*":                       {yes: []string{"python", "docker.io/library/python:3"}, no: []string{"rocker/rstudio", "cafe12", digestA[1:], strings.Repeat("a", 64)}},
		"ca*":                             {yes: []string{"cassandra", "cafe:1"}, no: []string{"cafe"}},
		"cafe":                            {yes: []string{"cafe", "cafe:latest"}, no: []string{"cafe12"}},
		"sha256:*":                        {no: []string{"sha256:" + strings.Repeat("a", 64), "sha256:x"}},
		"":                                {no: []string{"", "python"}},
		"quay.io/jupyter/x\n":             {no: []string{"quay.io/jupyter/x", "quay.io/jupyter/x\n"}},
		"p*y*n":                           {yes: []string{"python", "pyn", "p/y/n"}, no: []string{"pny", "pn", "python:3"}},
		"lab-workspace-minimal:latest":    {yes: []string{"lab-workspace-minimal"}, no: []string{"evil/lab-workspace-minimal"}},
		"xn--80ak6aa92e.com/*":            {yes: []string{"xn--80ak6aa92e.com/x"}, no: []string{"apple.com/x"}},
		"ghcr.io/rocker-org/*:4.*" + "\t": {no: []string{"ghcr.io/rocker-org/x:4.1"}},
	} {
		t.Run(pattern, func(t *testing.T) {
			for _, ref := range cases.yes {
				require.True(t, profile.Allowed([]string{pattern}, ref), "%q", ref)
				require.True(t, profile.Allowed([]string{"other", pattern}, ref), "one pattern is enough")
			}
			for _, ref := range cases.no {
				require.False(t, profile.Allowed([]string{pattern}, ref), "%q", ref)
			}
		})
	}
	require.False(t, profile.Allowed(nil, "python"), "no pattern allows nothing")
}

func FuzzAllowed(f *testing.F) {
	for _, seed := range [][2]string{
		{"quay.io/jupyter/*", "quay.io/jupyter/scipy-notebook:1" + digestA}, {"python:*", "docker.io/library/python:3"},
		{"*", "cafe12"}, {"library/*", "docker.io/quay.io/x"}, {"a*b*c", "index.docker.io/abc"}, {"*@*", "x:y" + digestA},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, ref string) {
		const trusted = "quay.io/jupyter/*"
		named, err := reference.ParseNormalizedNamed(ref)
		if profile.Allowed([]string{trusted}, ref) {
			require.NoError(t, err)
			require.Equal(t, "quay.io", reference.Domain(named))
			require.True(t, strings.HasPrefix(reference.Path(named), "jupyter/"))
		}
		if !profile.Allowed([]string{pattern}, ref) {
			return
		}
		if _, err := reference.ParseAnyReference(ref); err != nil {
			t.Fatalf("%q is no name, and allowed: %v", ref, err)
		}
		prefix, _, _ := strings.Cut(pattern, "*")
		if err != nil || pattern == ref {
			return // an id, or allowed as it is written
		}
		begins := false
		for _, name := range []string{reference.FamiliarName(named), reference.Path(named), named.Name(), "index." + named.Name(), "index.docker.io/" + reference.FamiliarName(named), "docker.io/" + reference.FamiliarName(named)} {
			for _, end := range []string{"", ":latest", strings.TrimPrefix(named.String(), named.Name())} {
				begins = begins || strings.HasPrefix(name+end, prefix)
			}
			if digested, ok := named.(reference.Digested); ok {
				begins = begins || strings.HasPrefix(name+"@"+digested.Digest().String(), prefix) || strings.HasPrefix(name+":@"+digested.Digest().String(), prefix)
			}
		}
		require.True(t, begins, "%q allows %q", pattern, ref)
	})
}
