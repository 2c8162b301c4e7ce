#!/usr/bin/python3
"""Starts Jupyter with the arguments of NOTEBOOK_ARGS and of the command line."""

import os
import shlex
import sys

command = [
    "jupyter",
    os.environ.get("DOCKER_STACKS_JUPYTER_CMD", "lab"),
    *shlex.split(os.environ.get("NOTEBOOK_ARGS", "")),
    *sys.argv[1:],
]
print("Executing:", *command, flush=True)
os.execvp(command[0], command)
