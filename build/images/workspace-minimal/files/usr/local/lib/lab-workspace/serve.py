"""Starts JupyterLab as the ml-workspace contract wants it (see the Dockerfile).

It does the work of the `jupyter lab` command in less time: starting JupyterLab is
importing Python modules on one core, so what is not needed is not imported.
"""

import gc
import os
import posixpath
import site
import sys
from urllib.parse import quote, urlsplit

import threads

# Imports make many objects and no garbage: collect none meanwhile (-60 ms).
gc.disable()

HOME = os.environ.get("HOME", "/workspace")


def base_url() -> str:
    """The path we are served below, with a slash at the start and none at the end."""
    path = os.environ.get("WORKSPACE_BASE_URL", "").strip().strip("/")
    return "/" + quote(path, safe="/%~@:+,;=!$&'()*")


def authentication() -> list[str]:
    token = os.environ.get("AUTHENTICATE_VIA_JUPYTER", "false").strip()
    if token.lower() in ("", "false"):
        return ["--IdentityProvider.token="]
    if token.lower() in ("true", "<generated>"):
        return []  # Jupyter makes one and prints it
    # Not as an argument: those can be read by every process, in `ps`.
    os.environ["JUPYTER_TOKEN"] = token
    return []


def use_user_packages_last() -> None:
    """Finds packages of the user in ~/.local after our own ones.

    So a user can install extensions for JupyterLab, yet no other version of what the
    server itself needs can keep the workspace from starting. Notebooks and terminals
    are processes of their own, where the user's packages come first as usual.
    """
    site.ENABLE_USER_SITE = True
    site.addsitedir(site.getusersitepackages())


def leave_out() -> None:
    """Makes modules unimportable whose users do without them.

    jsonschema imports them for optional checks of formats that Jupyter does not
    use. rfc3987_syntax alone builds a grammar for 0.7 seconds when imported.
    """
    for module in ("rfc3987_syntax", "isoduration", "webcolors", "uri_template", "fqdn"):
        sys.modules[module] = None


def import_lab():
    """Imports JupyterLab without letting it look for Node.js.

    If there is a node in PATH, it asks yarn for its settings: 0.2 seconds for the
    building of extensions from source, at every start.
    """
    path = os.environ.pop("PATH", None)
    os.environ["PATH"] = ""
    try:
        from jupyterlab.labapp import LabApp
    finally:
        del os.environ["PATH"]
        if path is not None:
            os.environ["PATH"] = path
    return LabApp


def add_lost_port(request) -> None:
    """Puts the port back into a Host header that has lost it on the way.

    ML Lab's proxy drops it, while browsers send it in Origin. Jupyter compares the
    two and would refuse kernels and terminals as coming from another site. Allowing
    all origins would allow too much, and a pattern of origins cannot refer to Host;
    so this is done exactly where both name the same host and Host has no port.
    """
    host = request.headers.get("Host", "")
    origin = urlsplit(request.headers.get("Origin", ""))
    try:
        if origin.port is None or urlsplit("//" + host).port is not None:
            return
        same = origin.hostname == urlsplit("//" + host).hostname
    except ValueError:  # not a port, not an address: leave it to Jupyter
        return
    if same and host:
        request.headers["Host"] = request.host = origin.netloc


def relative_to(page: str, target: str) -> str:
    """A path on this server as seen from a page on it: from /a/b to /a/c/d it is c/d."""
    path, mark, query = target.partition("?")
    folder, _, name = path.rpartition("/")
    way = posixpath.relpath(folder or "/", page.rpartition("/")[0] or "/")
    return f"{way}/{name}{mark}{query}"


def redirect_relatively() -> None:
    """Sends redirects on this server as relative addresses.

    ML Lab's proxy puts the address of the workspace before absolute paths, which have
    it already. The page would be shown at that doubled address, where the browser does
    not show it the cookie by which Jupyter knows its own pages: nothing could be saved.
    """
    from tornado.web import RequestHandler

    redirect = RequestHandler.redirect

    def redirect_to(self, url, *arguments, **options):
        if url.startswith("/") and not url.startswith("//"):
            url = relative_to(self.request.path, url)
        redirect(self, url, *arguments, **options)

    RequestHandler.redirect = redirect_to


def limit_threads_of_kernels() -> None:
    """Gives each kernel the limit of CPUs as it is when the kernel starts."""
    from jupyter_client.provisioning import LocalProvisioner

    launch_kernel = LocalProvisioner.launch_kernel

    async def launch_kernel_with_limit(self, cmd, *, env, **arguments):
        env = {**env, **threads.variables(env)}
        return await launch_kernel(self, cmd, env=env, **arguments)

    LocalProvisioner.launch_kernel = launch_kernel_with_limit


def main() -> None:
    if not os.access(HOME, os.W_OK | os.X_OK):
        owner = os.stat(HOME).st_uid if os.path.exists(HOME) else "nobody"
        sys.exit(
            f"The work folder {HOME} cannot be written by user {os.getuid()}: it belongs to user {owner}. "
            "A volume that another image has filled may need: chown -R 1000:1000"
        )
    os.environ.update(threads.variables(os.environ))
    use_user_packages_last()
    leave_out()
    lab = import_lab()

    import resources
    from jupyter_server.serverapp import ServerWebApplication

    find_handler = ServerWebApplication.find_handler

    def find_handler_with_port(self, request, **arguments):
        add_lost_port(request)
        return find_handler(self, request, **arguments)

    ServerWebApplication.find_handler = find_handler_with_port
    redirect_relatively()
    limit_threads_of_kernels()

    # What the contract fixes is given here and wins over all files; what is a matter
    # of taste is in /etc/jupyter and can be changed by the user's own settings.
    server = lab.initialize_server(
        argv=[
            "--ServerApp.ip=0.0.0.0",
            "--ServerApp.port=" + (os.environ.get("WORKSPACE_PORT") or "8080"),
            "--ServerApp.port_retries=0",
            "--ServerApp.base_url=" + base_url(),
            "--ServerApp.root_dir=" + HOME,
            "--ServerApp.open_browser=False",
            # The host names a server is known by are the business of the proxy before it.
            "--ServerApp.allow_remote_access=True",
            *authentication(),
            *sys.argv[1:],
        ]
    )
    resources.serve(server.web_app)
    # The server has it; notebooks must not show it when they print their environment.
    for name in ("JUPYTER_TOKEN", "AUTHENTICATE_VIA_JUPYTER"):
        os.environ.pop(name, None)
    gc.freeze()
    gc.enable()
    server.start()


if __name__ == "__main__":
    main()
