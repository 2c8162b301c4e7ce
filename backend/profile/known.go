package profile

import (
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// knownName is a well-known image: patterns for the path of its name and for its tag, the registries its makers
// publish it on, and what it is.
type knownName struct {
	path, tag  string
	registries []string
	profile    string
	title      string
}

// knownNames are the images that are recognised before they are here, from their makers' READMEs.
func knownNames() []knownName {
	known := []knownName{
		{"lab-workspace-minimal", "*", []string{"docker.io"}, Minimal.Name, "our own JupyterLab image"},
		{"lab-workspace-vscode", "*", []string{"docker.io"}, VSCode.Name, "our own VS Code image"},
		{"mltooling/ml-workspace*", "*", []string{"docker.io"}, MLWorkspace.Name, "ML Lab's ml-workspace"},
		{"jupyter/*-notebook", "*", []string{"quay.io", "docker.io"}, DockerStacks.Name, "one of Jupyter's docker-stacks"},
		{"codercom/code-server", "*", []string{"docker.io"}, CodeServer.Name, "Coder's code-server"},
		{"coder/code-server", "*", []string{"ghcr.io"}, CodeServer.Name, "Coder's code-server"},
		{"linuxserver/code-server", "*", []string{"docker.io", "lscr.io", "ghcr.io"}, LinuxServerVSCode.Name, "LinuxServer.io's code-server"},
		{"tensorflow/tensorflow", "*-jupyter", []string{"docker.io"}, Jupyter.Name, "TensorFlow's image with Jupyter"},
	}
	for _, name := range []string{"rstudio", "tidyverse", "verse", "geospatial", "ml", "ml-verse"} {
		known = append(known,
			knownName{"rocker/" + name, "*", []string{"docker.io"}, RStudio.Name, "Rocker's image with RStudio"},
			knownName{"rocker-org/" + name, "*", []string{"ghcr.io"}, RStudio.Name, "Rocker's image with RStudio"})
	}
	return known
}

// detectName proposes a profile for an image that is not here yet.
func detectName(ref string, profiles []Profile) Proposal {
	unknown := Proposal{Why: "The image is not here yet, and its name says nothing: what it is will be known once it is pulled."}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return unknown
	}
	tag := "latest"
	if tagged, ok := named.(reference.Tagged); ok {
		tag = tagged.Tag()
	}
	registry, name := reference.Domain(named), strings.TrimPrefix(reference.Path(named), "library/")
	for _, known := range knownNames() {
		// A mirror has its makers' path below its own.
		own := fits(known.path, name) && slices.Contains(known.registries, registry)
		mirrored := fits(known.path, name) || fits("*/"+known.path, name)
		if _, ok := Find(profiles, known.profile); !ok || !mirrored || !fits(known.tag, tag) {
			continue
		}
		if own {
			return Proposal{Profile: known.profile, Why: "By its name it is " + known.title + ".", Sure: true}
		}
		return Proposal{Profile: known.profile, Why: "By its name it is " + known.title + ", but it comes from elsewhere."}
	}
	return unknown
}
