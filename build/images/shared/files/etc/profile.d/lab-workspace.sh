# Login shells (every terminal of JupyterLab is one) start from a PATH of their own;
# programs that pip installs are here.
PATH="$HOME/.local/bin:$PATH"
# The number of threads that fits the limit of CPUs of now. Shells that somebody opens
# from outside, with "docker exec", do not inherit what the workspace was started with.
eval "$(python3 -sES /usr/local/lib/lab-workspace/threads.py)"
