"""Starts code-server as the manager wants it (see the Dockerfile)."""

import os
import sys

import threads

CODE_SERVER = "/opt/code-server"
NODE = CODE_SERVER + "/lib/node"
HOME = os.environ.get("HOME", "/workspace")
DATA = HOME + "/.local/share/code-server"


def main() -> None:
    if not os.access(HOME, os.W_OK | os.X_OK):
        owner = os.stat(HOME).st_uid if os.path.exists(HOME) else "nobody"
        sys.exit(
            f"The work folder {HOME} cannot be written by user {os.getuid()}: it belongs to user {owner}. "
            "A volume that another image has filled may need: chown -R 1000:1000"
        )
    os.environ.update(threads.variables(os.environ))
    locked = os.environ.get("HASHED_PASSWORD") or os.environ.get("PASSWORD")
    os.execv(
        NODE,
        [
            NODE,
            CODE_SERVER,
            # It exists and stays as it is; elsewhere code-server writes one with a password.
            "--config=/etc/code-server.yaml",
            "--bind-addr=0.0.0.0:" + (os.environ.get("WORKSPACE_PORT") or "8080"),
            "--auth=" + ("password" if locked else "none"),
            "--user-data-dir=" + DATA,
            "--extensions-dir=" + DATA + "/extensions",
            # Says where else agents run, and no place: none is started here (see trim.sh).
            "--vscode-option=agent-host-bridge-host=nowhere",
            *sys.argv[1:],
            HOME,
        ],
    )


if __name__ == "__main__":
    main()
