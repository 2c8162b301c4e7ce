package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"lab-workspace-manager/backend/workspace"
)

// translate gives an error of the Engine API a code and a sentence. what says what was tried, as in "start the
// container". A cancelled context stays what it is.
func (e *Engine) translate(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isHangUp(err):
		return e.unavailable(err)
	case errdefs.IsNotFound(err):
		return coded(workspace.CodeNotFound, what, err)
	case errdefs.IsConflict(err), errdefs.IsAlreadyExists(err):
		return coded(workspace.CodeConflict, what, err)
	case errdefs.IsInvalidArgument(err), errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return coded(workspace.CodeInvalid, what, err)
	case errdefs.IsUnavailable(err):
		return e.unavailable(err)
	}
	return coded(workspace.CodeInternal, what, err)
}

func coded(code workspace.Code, what string, err error) *workspace.Error {
	return &workspace.Error{Code: code, Message: fmt.Sprintf("Docker could not %s: %s.", what, plain(err)), Err: err}
}

// plain takes Docker's own prefix and line breaks out of a message.
func plain(err error) string {
	message := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	return strings.TrimRight(strings.Join(strings.Fields(message), " "), ".")
}

// isHangUp reports a connection to the engine that is none any more. It goes by types: in the words of an engine's answer
// a registry can have hung up.
func isHangUp(err error) bool {
	var network net.Error
	return client.IsErrConnectionFailed(err) || errors.As(err, &network) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (e *Engine) unavailable(err error) error {
	socket, isSocket := strings.CutPrefix(e.endpoint, "unix://")
	message, hint := whyAway(e.endpoint, surroundingsOfUs{
		refused: errors.Is(err, os.ErrPermission), noSocket: isSocket && isMissing(socket), // the client does not say that
		folder:      isSocket && isFolder(socket),
		inContainer: !isMissing(inContainerMark), inLab: e.lab != nil,
	})
	return &workspace.Error{Code: workspace.CodeUnavailable, Message: message, Hint: hint, Err: err}
}

// surroundingsOfUs is what there is around this program, and has to do with why Docker does not answer.
type surroundingsOfUs struct{ refused, noSocket, folder, inContainer, inLab bool }

// whyAway says why Docker does not answer, and what to do about it.
func whyAway(endpoint string, us surroundingsOfUs) (message, hint string) {
	message = fmt.Sprintf("Docker does not answer at %s.", endpoint)
	if us.refused {
		message = fmt.Sprintf("You may not use Docker at %s.", endpoint)
	}
	if us.folder { // which the system calls a refusal
		message = fmt.Sprintf("There is a folder at %s, where Docker's socket should be.", strings.TrimPrefix(endpoint, "unix://"))
	}
	switch {
	case us.folder && us.inContainer:
		return message, "The machine has no socket at the place that was mounted, so Docker has made a folder there. Remove that, say where the socket is " +
			"(--volume SOCKET:/var/run/docker.sock, or DOCKER_SOCKET for docker compose), and make this container anew."
	case us.folder:
		return message, "Remove it, and start Docker anew. Everything comes back by itself."
	case us.refused && us.inContainer:
		return message, "This program runs in a container: start that with --group-add $(stat -c %g /var/run/docker.sock), or group_add in a compose file."
	case us.refused:
		return message, "Join the group docker (sudo usermod -aG docker $USER), log in anew, and start the program again."
	case us.noSocket && us.inLab: // also on Kubernetes, where there is none to give
		return message, `Give this program the socket, as build/container/docker-compose.docker.yml does, or leave engine at "auto": then the lab itself runs the workspaces.`
	case us.noSocket && us.inContainer:
		return message, "This program runs in a container, which was not given the socket: start that with --volume /var/run/docker.sock:/var/run/docker.sock, or volumes in a compose file."
	}
	return message, "Start Docker (on most Linux machines: sudo systemctl start docker). Everything comes back by itself."
}

// inContainerMark is a file that Docker puts into every container.
const inContainerMark = "/.dockerenv"

func isMissing(file string) bool {
	_, err := os.Stat(file)
	return errors.Is(err, os.ErrNotExist)
}

func isFolder(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.IsDir()
}

// isBindRefused reports that the daemon does not see a folder or file that it was asked to give to a container: the
// manager runs in a container or on another machine, or the daemon in a virtual machine that shares only some folders.
func isBindRefused(err error) bool {
	return err != nil && containsAny(err.Error(), "bind source path does not exist", "Mounts denied", "is not shared from the host", "mounts denied")
}
