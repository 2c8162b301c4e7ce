package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"lab-workspace-manager/backend/workspace"
)

// message is one line of the JSON streams with which Docker reports pulls, builds and imports.
type message struct {
	Stream         string `json:"stream"`
	Status         string `json:"status"`
	ID             string `json:"id"`
	ErrorText      string `json:"error"`
	ProgressDetail struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
}

// readMessages hands every line of a stream to hear. An error that the stream itself reports ends it: such an answer has
// status 200.
func readMessages(stream io.Reader, hear func(message)) error {
	decoder := json.NewDecoder(stream)
	for {
		var line message
		if err := decoder.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if line.ErrorText != "" {
			return errors.New(line.ErrorText)
		}
		hear(line)
	}
}

// registryPatience is how long a registry may take to begin to answer where there is another way than to wait for it.
const registryPatience = 20 * time.Second

// pull gets an image from its registry and reports bytes over all layers.
func (e *Engine) pull(ctx context.Context, ref string, report func(workspace.Progress)) error {
	return e.follow(ctx, ref, func() {}, report)
}

// pullPatiently pulls, but gives up where no registry begins to answer within registryPatience.
func (e *Engine) pullPatiently(ctx context.Context, ref string, report func(workspace.Progress)) error {
	pulling, giveUp := context.WithCancel(ctx)
	defer giveUp()
	patience := time.AfterFunc(registryPatience, giveUp)
	defer patience.Stop()
	err := e.follow(pulling, ref, func() { patience.Stop() }, report)
	if pulling.Err() != nil && ctx.Err() == nil {
		return workspace.Errorf(workspace.CodeImageMissing, "The registry of %s does not answer within %s.", ref, registryPatience)
	}
	return err
}

// follow pulls an image and calls answered as soon as its registry has said what is in it, perhaps several times.
func (e *Engine) follow(ctx context.Context, ref string, answered func(), report func(workspace.Progress)) error {
	login, err := registryLogin(ref)
	if err != nil {
		e.log.Warn("pulling without logging in to the registry", "image", ref, "error", err) // it may give the image to anybody
	}
	stream, err := e.client.ImagePull(ctx, ref, image.PullOptions{RegistryAuth: login})
	if err != nil {
		return e.pullError(ctx, ref, err)
	}
	defer func() { _ = stream.Close() }()
	layers := pullProgress{layers: map[string]*layer{}}
	err = readMessages(stream, func(line message) {
		if line.ID != "" {
			answered()
		}
		if layers.hear(line) {
			report(layers.progress())
		}
	})
	if err != nil {
		return e.pullError(ctx, ref, err)
	}
	return nil
}

// pullError tells an image that does not exist from a registry that does not answer.
func (e *Engine) pullError(ctx context.Context, ref string, err error) error {
	text := strings.ToLower(err.Error())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isHangUp(err):
		return e.unavailable(err)
	case errdefs.IsNotFound(err), containsAny(text, "manifest unknown", "not found", "does not exist", "repository name not known"):
		return imageMissing(ref)
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err), containsAny(text, "unauthorized", "denied", "authentication required", "no basic auth credentials"):
		return &workspace.Error{
			Code:    workspace.CodeInvalid,
			Message: fmt.Sprintf("The registry does not give out the image %s: %s.", ref, plain(err)),
			Hint:    "If it wants a password: docker login " + registryOf(ref) + ", as the user who runs the manager. Then start it again.",
			Err:     err,
		}
	}
	if host, silent := silentRegistry(err); silent {
		return &workspace.Error{
			Code:    workspace.CodeImageMissing,
			Message: fmt.Sprintf("The image %s is not here, and the registry %s does not answer.", ref, host),
			Hint:    "Check the name, and that this machine reaches the registry.",
			Err:     err,
		}
	}
	return &workspace.Error{
		Code:    workspace.CodeImageMissing,
		Message: fmt.Sprintf("The image %s is not here, and its registry does not give it: %s.", ref, plain(err)),
		Hint:    "Check the name, and that this machine reaches the registry.",
		Err:     err,
	}
}

var askedRegistry = regexp.MustCompile(`"https?://([^/"]+)/`)

// silentRegistry finds the registry that the daemon could not reach. The daemon says it in words only.
func silentRegistry(err error) (host string, silent bool) {
	text := err.Error()
	asked := askedRegistry.FindStringSubmatch(text)
	if asked == nil || !containsAny(text, "dial tcp", "i/o timeout", "Client.Timeout", "deadline exceeded", "no such host", "connection refused", "connection reset", "broken pipe", "server closed", "EOF") {
		return "", false
	}
	return asked[1], true
}

// pullProgress adds up the layers of a pull.
type pullProgress struct{ layers map[string]*layer }

type layer struct{ current, total int64 }

// largestLayer is more bytes than any layer has, and few enough to add up.
const largestLayer = 1 << 50

// hear takes one line and reports whether it changed anything that people see.
func (p pullProgress) hear(line message) bool {
	if line.ID == "" {
		return false
	}
	known := p.layers[line.ID]
	switch {
	case line.Status == "Downloading" && line.ProgressDetail.Total > 0:
		if known == nil {
			known = &layer{}
			p.layers[line.ID] = known
		}
		known.total = min(line.ProgressDetail.Total, largestLayer)
		known.current = min(max(line.ProgressDetail.Current, 0), known.total)
		return true
	case known != nil && (line.Status == "Download complete" || line.Status == "Pull complete"):
		known.current = known.total
		return true
	}
	return false
}

func (p pullProgress) progress() workspace.Progress {
	progress := workspace.Progress{Unit: "bytes"}
	for _, layer := range p.layers {
		progress.Current += layer.current
		progress.Total += layer.total
	}
	progress.Detail = fmt.Sprintf("%s of %s MB", megabytes(progress.Current), megabytes(progress.Total))
	if progress.Total < 1e6 {
		progress.Detail = fmt.Sprintf("%s of %s kB", thousands(progress.Current/1000), thousands(progress.Total/1000))
	}
	return progress
}

// isCancelled reports that work was called off.
func isCancelled(err error) bool { return errors.Is(err, context.Canceled) }
