"""An HTTP server on port 9000 that knows nothing of the path it is served below.

/         a page with relative addresses; its script echoes a word through the WebSocket
/headers  the headers of the request, as JSON
/ws       a WebSocket that sends back what it gets
All else is not found.
"""

import asyncio

from tornado import web, websocket

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Plain</title>
<h1>Plain</h1>
<p><a href="headers">Headers</a>, <a href="./missing">missing</a></p>
<p id="echo">waiting</p>
<script>
  const socket = new WebSocket(new URL('ws', location.href.replace(/^http/, 'ws')));
  const show = text => { document.getElementById('echo').textContent = text; };
  socket.onopen = () => socket.send('echoed');
  socket.onmessage = event => show(event.data);
  socket.onerror = () => show('failed');
</script>
</html>
"""


class Page(web.RequestHandler):
    def get(self) -> None:
        self.write(PAGE)


class Headers(web.RequestHandler):
    def get(self) -> None:
        self.write(dict(self.request.headers))


class Echo(websocket.WebSocketHandler):
    def check_origin(self, origin: str) -> bool:
        return True

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


async def main() -> None:
    web.Application([("/", Page), ("/headers", Headers), ("/ws", Echo)]).listen(9000)
    print("Listening on port 9000", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
