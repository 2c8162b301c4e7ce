# Defaults of this image. ~/.jupyter/jupyter_server_config.py wins over them.
c = get_config()  # noqa: F821

# A workspace asks nobody outside whether there is news or a new version.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
# Lists what is installed. The other manager searches PyPI and slows the start;
# `pip install` in a terminal does the same.
c.LabApp.extension_manager = "readonly"

# Notebooks talk to the server through Unix sockets: TCP ports would be open to
# everything in the container, and the kernel says so in red at each start.
c.KernelManager.transport = "ipc"
# Jupyter looks for the answer to a ping before it has sent the first one: with a wait as long as the time between two
# pings it ended every kernel and terminal socket after 30 seconds. tornado says once in the log that it is longer.
c.ServerApp.tornado_settings = {"ws_ping_interval": 30_000, "ws_ping_timeout": 90_000}

# "Shut down" in the menu would end the container; stopping is the manager's button.
c.ServerApp.quit_button = False
# The work folder is the home folder: its settings files can be shown and edited.
c.ContentsManager.allow_hidden = True
# What is deleted is gone: nobody would find a trash folder, but it fills the volume.
c.FileContentsManager.delete_to_trash = False
