// Package backend_test holds what is true of all packages below: which may know which, and that each says what it is.
package backend_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "lab-workspace-manager"

type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	list.Dir = ".."
	out, err := list.Output()
	require.NoError(t, err)
	var found []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var next goPackage
		err := decoder.Decode(&next)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if len(next.GoFiles) > 0 { // else it holds tests only
			found = append(found, next)
		}
	}
	require.Greater(t, len(found), 10)
	return found
}

// mayImport lists, for each package, which of our own it may know. Arrows point one way: the program knows the
// composition root, that knows the adapters, they know the manager, and all know the domain. Adapters do not know each
// other.
var mayImport = map[string][]string{
	"":                                 {"backend/api", "backend/config", "backend/manager", "backend/server", "backend/workspace", "frontend"},
	"backend/server":                   {"backend/access", "backend/activity", "backend/activity/jupyter", "backend/api", "backend/auth", "backend/config", "backend/contaxy", "backend/engine/docker", "backend/engine/mllab", "backend/filewatch", "backend/manager", "backend/profile", "backend/quota", "backend/store/sqlite", "backend/workspace", "build/images"},
	"backend/api":                      {"backend/manager", "backend/profile", "backend/quota", "backend/workspace"},
	"backend/access":                   {"backend/workspace"},
	"backend/activity":                 {"backend/workspace"},
	"backend/activity/jupyter":         {"backend/activity"},
	"backend/auth":                     {"backend/workspace"},
	"backend/config":                   {"backend/filewatch", "backend/profile", "backend/quota", "backend/workspace"},
	"backend/conformance":              {},
	"backend/contaxy":                  {"backend/workspace"},
	"backend/contaxy/contaxytest":      {},
	"backend/engine/docker":            {"backend/workspace"},
	"backend/engine/mllab":             {"backend/contaxy", "backend/workspace"},
	"backend/engine/docker/dockertest": {},
	"backend/store/sqlite":             {"backend/workspace"},
	"backend/manager":                  {"backend/activity", "backend/profile", "backend/quota", "backend/workspace"},
	"backend/filewatch":                {},
	"backend/profile":                  {"backend/workspace"},
	"backend/quota":                    {"backend/workspace"},
	"backend/workspace":                {},
	"backend/workspace/workspacetest":  {"backend/workspace"},
	"build/bench":                      {"backend/api", "backend/config", "backend/server", "backend/store/sqlite", "backend/workspace", "backend/workspace/workspacetest"},
	"build/images":                     {},
	"frontend":                         {},
}

func TestArrowsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, known := mayImport[name]
		require.True(t, known, "say in mayImport what %s may know", p.ImportPath)
		for _, imported := range p.Imports {
			if own, ours := strings.CutPrefix(imported, module+"/"); ours {
				require.True(t, slices.Contains(allowed, own), "%s must not know %s", p.ImportPath, imported)
			}
		}
	}
}

// onlyIn says which libraries stay in one place, so that they can be exchanged there.
var onlyIn = map[string][]string{
	"github.com/docker/":           {"backend/engine/docker"},
	"github.com/wailsapp/":         {""},
	"github.com/danielgtaylor/":    {"backend/api"},
	"modernc.org/":                 {"backend/store/sqlite"},
	"github.com/BurntSushi/toml":   {"backend/config", "backend/conformance"},
	"github.com/adrg/xdg":          {"backend/config"},
	"github.com/coder/websocket":   {"backend/api", "build/bench"},
	"github.com/alecthomas/kong":   {""},
	"github.com/pkg/browser":       {""},
	"github.com/gofrs/flock":       {"backend/server"},
	"github.com/fsnotify/":         {"backend/filewatch"},
	"go.yaml.in/yaml/":             {"backend/engine/docker"},
	"github.com/go-chi/chi":        {"backend/api", "backend/server"},
	"golang.org/x/term":            {""},
	"github.com/stretchr/testify/": {"backend/conformance", "backend/contaxy/contaxytest", "backend/engine/docker/dockertest", "backend/workspace/workspacetest"},
}

func TestLibrariesStayInTheirPlace(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		for _, imported := range p.Imports {
			for library, places := range onlyIn {
				if strings.HasPrefix(imported, library) {
					require.True(t, slices.Contains(places, name), "%s imports %s, which belongs into %v", p.ImportPath, imported, places)
				}
			}
		}
	}
}

func TestTheDomainKnowsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/backend/workspace" {
			continue
		}
		for _, imported := range p.Imports {
			first, _, _ := strings.Cut(imported, "/")
			require.NotContains(t, first, ".", "%s imports %s", p.ImportPath, imported)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		require.NotEmpty(t, p.Doc, "%s has no package doc", p.ImportPath)
	}
}
