package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// anewTimeout bounds the question whether an engine takes new connections: a fraction of a millisecond when it does.
const anewTimeout = 3 * time.Second

var errEnding = errors.New("the engine takes no new connections: it is about to end")

// answersAnew reports whether the engine still takes new connections. One that is told to end ends the containers first,
// one by one and as if somebody had asked for it, while connections that are open go on; only new ones are refused
// (seen with 20.10). So whoever sees a container end by a request asks this before believing that somebody wanted it.
func (e *Engine) answersAnew(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, anewTimeout)
	defer cancel()
	connection, err := e.client.Dialer()(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = connection.Close() }() // only asked, nothing to lose
	// Where systemd holds the socket, it takes the connection although nobody will answer.
	return ping(ctx, connection) == nil
}

// doubtKill fails when a container seems to have been ended by a request, but the engine is ending itself.
func (e *Engine) doubtKill(ctx context.Context, observed workspace.Observed) error {
	if observed.State != workspace.ContainerExited || observed.KilledBy == "" || e.answersAnew(ctx) {
		return nil
	}
	return e.unavailable(errEnding)
}

// ping asks the engine for a sign of life on a connection of its own.
func ping(ctx context.Context, connection net.Conn) error {
	if deadline, set := ctx.Deadline(); set {
		if err := connection.SetDeadline(deadline); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	request.Close = true
	if err := request.Write(connection); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // the answer is known
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the engine answered %s", response.Status)
	}
	return nil
}
