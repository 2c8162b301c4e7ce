#!/bin/bash
# The entry point. The original runs hooks and, started as root, becomes the user; this one is
# not started as root.
[ $# -gt 0 ] || set -- bash
echo "Executing the command: $*"
exec "$@"
