package docker

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"lab-workspace-manager/backend/workspace"
)

// Logs writes the container's last lines, both of its outputs in the order they came.
func (e *Engine) Logs(ctx context.Context, id workspace.ID, lines int, follow bool, w io.Writer) error {
	there, err := e.inspect(ctx, string(id))
	if err != nil {
		return err
	}
	tail := "all"
	if lines > 0 {
		tail = strconv.Itoa(lines)
	}
	stream, err := e.client.ContainerLogs(ctx, there.Handle, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow, Tail: tail})
	if err != nil {
		return e.translate(err, "read the log")
	}
	defer func() { _ = stream.Close() }()
	_, err = stdcopy.StdCopy(w, w, stream)
	if ctx.Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return ctx.Err()
	}
	return err
}
