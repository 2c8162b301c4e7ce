package mllab

import (
	"context"
	"io"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// logEvery is how often a log that is followed is asked for: the lab has no other way to follow one.
const logEvery = 2 * time.Second

// mostLines bounds what is read of a log at once: the lab sends it in one piece, and it may be anything.
const mostLines = 5000

// Logs writes the log of a workspace's container. See workspace.Engine.
func (e *Engine) Logs(ctx context.Context, id workspace.ID, lines int, follow bool, w io.Writer) error {
	e.mu.Lock()
	h := e.services[id]
	var who workspace.Owner
	var kept []byte
	running := false
	if h != nil {
		who, kept, running = h.owner, h.log, h.service.InternalID != ""
	}
	e.mu.Unlock()
	switch {
	case h == nil:
		return workspace.Errorf(workspace.CodeNotFound, "There is no workspace %q in ML Lab.", id)
	case !running && kept != nil:
		_, err := w.Write(kept)
		return err
	}
	if lines == 0 || lines > mostLines {
		lines = mostLines
	}
	var before string
	for {
		var text string
		err := e.tokens.As(who, func(token string) (err error) {
			text, err = e.lab.Logs(ctx, token, string(who), string(id), lines, time.Time{})
			return err
		})
		if err != nil {
			if before != "" && workspace.CodeOf(err) == workspace.CodeNotFound {
				return nil // the container has ended
			}
			return err
		}
		if _, err := io.WriteString(w, newOf(before, text)); err != nil || !follow {
			return err
		}
		before = text
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(logEvery):
		}
	}
}

// newOf returns what of a later piece of a log was not in an earlier one. Both are its last lines at their time, so the
// later begins somewhere within the earlier.
func newOf(before, after string) string {
	if rest, same := strings.CutPrefix(after, before); same {
		return rest
	}
	for from := 0; ; {
		next := strings.IndexByte(before[from:], '\n')
		if next < 0 {
			return after
		}
		from += next + 1
		if rest, same := strings.CutPrefix(after, before[from:]); same {
			return rest
		}
	}
}

// Images says of every image that it can be had: the lab gets it when it starts a container, and tells of none before.
func (e *Engine) Images(_ context.Context, images []string) ([]workspace.ImageState, error) {
	states := make([]workspace.ImageState, len(images))
	for i, image := range images {
		states[i] = workspace.ImageState{Image: image, Here: true}
	}
	return states, nil
}

// InspectImage knows no image. CodeNotFound.
func (e *Engine) InspectImage(_ context.Context, image string) (workspace.ImageFacts, error) {
	return workspace.ImageFacts{}, workspace.Errorf(workspace.CodeNotFound, "ML Lab does not tell what is in the image %q.", image)
}

// RemoteDigest cannot be asked for. CodeUnavailable.
func (e *Engine) RemoteDigest(context.Context, string) (string, error) {
	return "", workspace.Errorf(workspace.CodeUnavailable, "ML Lab does not tell what registries hold.")
}

// Measure cannot measure. CodeUnavailable for each place.
func (e *Engine) Measure(_ context.Context, places []workspace.Place, _ workspace.Measuring) ([]workspace.Measurement, error) {
	measured := make([]workspace.Measurement, len(places))
	for i := range measured {
		measured[i].Err = workspace.Errorf(workspace.CodeUnavailable, "ML Lab does not tell how large files are.")
	}
	return measured, nil
}

// Stats knows of no use.
func (e *Engine) Stats(context.Context, []string) ([]workspace.Stats, error) { return nil, nil }
