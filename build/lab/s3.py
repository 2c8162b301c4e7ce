"""S3 in memory. The backend's client insists on errors being XML, and moto calls them HTML."""

import functools


@functools.cache
def moto():
    # Most labs of tests hold no files, and to import it is a good part of a lab's start.
    from moto.moto_server.werkzeug_app import create_backend_app

    return create_backend_app("s3")


def app(environ, start_response):
    def start(status, headers, *rest):
        if int(status.split()[0]) >= 400:
            headers = [(name, value) for name, value in headers if name.lower() != "content-type"]
            headers.append(("Content-Type", "application/xml"))
        return start_response(status, headers, *rest)

    return moto()(environ, start)
