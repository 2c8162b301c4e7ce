package docker

import (
	"context"

	"lab-workspace-manager/backend/workspace"
)

// InspectImage says what an image says of itself.
func (e *Engine) InspectImage(ctx context.Context, image string) (workspace.ImageFacts, error) {
	return workspace.ImageFacts{}, workspace.Errorf(workspace.CodeNotFound, "not yet")
}

// RemoteDigest asks a registry.
func (e *Engine) RemoteDigest(ctx context.Context, image string) (string, error) {
	return "", workspace.Errorf(workspace.CodeUnavailable, "not yet")
}

// Stats says what containers use.
func (e *Engine) Stats(ctx context.Context, handles []string) ([]workspace.Stats, error) {
	return nil, nil
}
