"""A connection that fails where a test says so: a proxy before a real server."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Fault = Callable[[str, str], "int | str | None"]
"""Method and path to what becomes of the request: a status is answered instead of it, ``unsent`` closes the
connection before it is sent on, ``lost`` after the server took it, ``silent`` never answers; None lets it through."""


@contextmanager
def proxy(url: str, fault: Fault) -> Iterator[str]:
    """Serve before ``url`` until the block is left; yields the URL."""
    parts, over = urlsplit(url), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            what = fault(self.command, self.path)
            self.close_connection = True
            if isinstance(what, int):
                self.send_response(what)
                self.end_headers()
            elif what == "silent":
                over.wait(30)
            elif what != "unsent":
                with suppress(OSError):
                    self._forward(body, answered=what is None)

        def _forward(self, body: bytes, answered: bool) -> None:
            there = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            there.request(self.command, self.path, body, headers)
            response = there.getresponse()
            if answered:
                self.send_response(response.status)
                self.send_header("content-type", response.headers.get("content-type", "text/plain"))
                self.end_headers()
                while part := response.read1(65536):
                    self.wfile.write(part)
            there.close()

        do_GET = do_POST = do_DELETE = _any  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
