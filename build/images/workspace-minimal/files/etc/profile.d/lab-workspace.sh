# Login shells (every terminal of JupyterLab is one) start from a PATH of their own;
# programs that pip installs are here.
PATH="$HOME/.local/bin:$PATH"
