// Package images owns what workspace images are made of: the build contexts of
// the images that come with the program, and the script that makes their base
// where no registry answers. Both are embedded, so that the first workspace opens
// from a single binary.
//
// It knows nothing of engines: who builds adds the certificates of the host to the
// context (see HostCertificates), sends it and reports the progress. Everything
// here is read-only and safe for concurrent use.
package images

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

const (
	// Minimal is the default workspace image: Debian, Python and JupyterLab.
	Minimal = "workspace-minimal"
	// VSCode is VS Code in the browser, upon the same Debian.
	VSCode = "workspace-vscode"

	// BaseArgument is the build argument that names the image to build upon.
	BaseArgument = "BASE"
	// PublicBase is that image where a registry answers. It is the default of
	// the build argument, too.
	PublicBase = "debian:bookworm-slim"
	// LocalBase is the name of the base that BaseScript makes otherwise.
	LocalBase = "lab-workspace-base:bookworm"

	// HostCertificates is the file that every context needs and none brings: the
	// certificates which the building host trusts, as PEM; it may be empty. The
	// images use it during their build and do not contain it.
	HostCertificates = "host-ca.crt"
)

//go:embed all:workspace-minimal all:workspace-vscode all:shared
var contexts embed.FS

// shared is the folder of what every image needs. It lies below each context.
const shared = "shared"

// BaseScript is a POSIX shell script that writes LocalBase as a tar archive to its
// standard output and its progress to standard error. It needs root and debootstrap,
// and says so in a sentence if it lacks one of them. Import what it writes only if it
// exits with 0.
//
//go:embed debian-base.sh
var BaseScript string

// Names lists the images that can be built, in the order of the alphabet.
func Names() []string {
	entries, err := fs.ReadDir(contexts, ".")
	if err != nil {
		panic("images: embedded contexts are unreadable: " + err.Error())
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != shared {
			names = append(names, entry.Name())
		}
	}
	return names
}

// Context returns the build context of an image, with what all of them share. All but HostCertificates is in it.
func Context(name string) (fs.FS, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no image %q to build, only %s", name, strings.Join(Names(), ", "))
	}
	own, err := fs.Sub(contexts, name)
	if err != nil {
		return nil, err
	}
	common, err := fs.Sub(contexts, shared)
	return layers{own, common}, err
}
