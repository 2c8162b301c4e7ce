"""Tells the indicator in JupyterLab what the container may use and what it uses.

The indicator is in share/jupyter/labextensions/lab-workspace-resources. It asks with
plain GET requests, and neither they nor their answers count as activity: a page that
is merely open must not keep a workspace from being idle.
"""

import time

import cgroup
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web


class ResourcesHandler(APIHandler):
    _track_activity = False

    @web.authenticated
    async def get(self) -> None:
        self.finish(
            {
                "time": time.monotonic(),
                "cpu_seconds": cgroup.cpu_seconds(),
                "cpu_limit": cgroup.cpu_limit(),
                "memory_bytes": cgroup.memory_used(),
                "memory_limit_bytes": cgroup.memory_limit(),
            }
        )


def serve(app) -> None:
    path = url_path_join(app.settings["base_url"], "api", "lab-workspace", "resources")
    app.add_handlers(".*$", [(path, ResourcesHandler)])
