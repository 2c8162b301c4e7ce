"""As in the originals: listens on all interfaces and opens no browser. The port is in JUPYTER_PORT."""

import os

c = get_config()  # noqa: F821
c.ServerApp.ip = ""
c.ServerApp.open_browser = False
c.FileContentsManager.delete_to_trash = False

if "NB_UMASK" in os.environ:
    os.umask(int(os.environ["NB_UMASK"], 8))
