package docker

import (
	"context"

	"lab-workspace-manager/backend/workspace"
)

// Stats says what containers use.
func (e *Engine) Stats(ctx context.Context, handles []string) ([]workspace.Stats, error) {
	return nil, nil
}
