package docker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"lab-workspace-manager/backend/workspace"
)

// digestPatience is how long a registry may take to say what a tag stands for.
const digestPatience = 10 * time.Second

// Images says what is known of each image.
func (e *Engine) Images(ctx context.Context, images []string) ([]workspace.ImageState, error) {
	states := make([]workspace.ImageState, len(images))
	for i, name := range images {
		made, buildable := e.builds[name]
		states[i] = workspace.ImageState{Image: name, Buildable: buildable}
		found, err := e.client.ImageInspect(ctx, name)
		switch {
		case err == nil:
			states[i].Here, states[i].SizeBytes = true, found.Size
			states[i].ID, states[i].Digests = found.ID, digestsOf(found.RepoDigests)
			states[i].Outdated = buildable && found.Config != nil && found.Config.Labels[labelContext] != made.fingerprint()
		case !errdefs.IsNotFound(err):
			return nil, e.translate(err, "look for the image "+name)
		}
	}
	return states, nil
}

// InspectImage says what an image that is here says of itself.
func (e *Engine) InspectImage(ctx context.Context, name string) (workspace.ImageFacts, error) {
	found, err := e.client.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return workspace.ImageFacts{}, &workspace.Error{Code: workspace.CodeNotFound, Message: "The image " + name + " is not here.", Err: err}
	}
	if err != nil {
		return workspace.ImageFacts{}, e.translate(err, "look at the image "+name)
	}
	return factsOf(found), nil
}

func factsOf(found image.InspectResponse) workspace.ImageFacts {
	facts := workspace.ImageFacts{ID: found.ID, Digests: digestsOf(found.RepoDigests), SizeBytes: found.Size}
	if config := found.Config; config != nil {
		facts.Labels, facts.Ports = config.Labels, portsOf(config.ExposedPorts)
		facts.Entrypoint, facts.Command, facts.Env = config.Entrypoint, config.Cmd, config.Env
		facts.User, facts.WorkingDir = config.User, config.WorkingDir
		facts.Volumes = slices.Sorted(maps.Keys(config.Volumes))
	}
	return facts
}

// portsOf reads "8888/tcp"; images that were not built by Docker may say "8888". UDP serves no IDE.
func portsOf(exposed map[string]struct{}) []int {
	var ports []int
	for text := range exposed {
		number, protocol, _ := strings.Cut(text, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err == nil && port > 0 && (protocol == "" || protocol == "tcp") {
			ports = append(ports, int(port))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// digestsOf takes the digests out of "registry.lan/name@sha256:…"; an image has several when registries pack it
// differently.
func digestsOf(repoDigests []string) []string {
	var digests []string
	for _, named := range repoDigests {
		if _, digest, found := strings.Cut(named, "@"); found {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}

// RemoteDigest asks the registry of an image what its tag stands for now. It is the daemon that asks, by the way and with
// the login with which it would pull. CodeInvalid when the registry wants another login.
func (e *Engine) RemoteDigest(ctx context.Context, name string) (string, error) {
	if _, builtHere := e.builds[name]; builtHere {
		return "", workspace.Errorf(workspace.CodeImageMissing, "The image %s is built on this machine. No registry has it.", name)
	}
	login, err := registryLogin(name)
	if err != nil {
		e.log.Warn("asking a registry without logging in", "image", name, "error", err) // it may answer anybody
	}
	asking, cancel := context.WithTimeout(ctx, digestPatience)
	defer cancel()
	found, err := e.client.DistributionInspect(asking, name, login)
	if err != nil && ctx.Err() == nil {
		_, silent := silentRegistry(err)
		if silent || asking.Err() != nil {
			return "", workspace.Errorf(workspace.CodeUnavailable, "The registry of %s does not answer: %w", name, err)
		}
	}
	if err != nil {
		return "", e.pullError(ctx, name, err)
	}
	return found.Descriptor.Digest.String(), nil
}

// isPinned reports whether a name stands for the same content for ever: it names a digest, or is the id of an image.
func isPinned(name string) bool {
	named, err := reference.ParseAnyReference(name)
	if err != nil {
		return false
	}
	_, byDigest := named.(reference.Digested)
	return byDigest
}
