#!/bin/bash
# The older name.
exec /usr/local/bin/start-notebook.py "$@"
