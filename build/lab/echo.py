"""The simplest thing that a lab can run: a web server on 8080 that answers what it was asked, as JSON.

/redirect answers a redirect to the path in its query, /healthy 200 without body, and a request that upgrades gets its
bytes back.
"""

import base64
import hashlib
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urlsplit(self.path)
        if self.headers.get("Upgrade"):
            return self.upgrade()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path == "/redirect":
            return self.send(302, b"", Location=parse_qs(url.query)["to"][0])
        if url.path == "/healthy":
            return self.send(200, b"")
        said = {
            "method": self.command,
            "target": self.path,
            "headers": [[name, value] for name, value in self.headers.items()],
            "body": body.decode(errors="replace"),
            "environment": dict(os.environ),
        }
        self.send(200, json.dumps(said).encode(), **{"Content-Type": "application/json"})

    def send(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def upgrade(self):
        """Agrees to a WebSocket; what follows comes back as it was, frames and all."""
        key = self.headers.get("Sec-WebSocket-Key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while chunk := self.rfile.read1(65536):
            self.wfile.write(chunk)
        self.close_connection = True

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = answer


ThreadingHTTPServer(("", 8080), Echo).serve_forever()
