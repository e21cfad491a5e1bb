"""Servers that are wrong on purpose: a raw socket, and a function that says what goes over it."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SELF_SIGNED = Path(__file__).parent / "self_signed.pem"
Answer = Callable[[str, str], bytes | None]
"""Method and path to the bytes that are sent; None keeps the connection open and silent."""


def http_answer(status: int, body: bytes, kind: str = "application/json", length: int | None = None) -> bytes:
    """A whole answer; ``length`` is announced instead of the real one."""
    announced = len(body) if length is None else length
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {announced}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def json_answer(status: int, value: Any) -> bytes:
    return http_answer(status, json.dumps(value).encode())


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Serve on a free port until the block is left; yields the URL."""
    open_sockets: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                open_sockets.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            try:
                method, path = _request(connection)
                data = answer(method, path)
                if data is not None:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    connection.close()
            except (OSError, ValueError):
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for connection in open_sockets:
                connection.close()


def _request(connection: socket.socket) -> tuple[str, str]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ValueError("no request")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            raise ValueError("half a request")
        body += more
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    return method, path


class _Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream = ""
    prefix = ""  # of every path, before what the upstream knows
    leaking = True
    in_ids = ""  # stands before every run id
    broken: Callable[[str, str], bool]

    def _forward(self) -> None:
        told = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else None
        leak = {
            "headers_received": dict(self.headers.items()),
            "prose": f"your headers were {self.headers.as_string()}",
        }
        if type(self).broken(self.command, self.path):
            return self._answer(
                500, json.dumps({"detail": f"boom {leak['prose']}", **leak}).encode(), "application/json"
            )
        parts = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            if not self.path.startswith(self.prefix):
                return self._answer(404, b"<h1>nothing here</h1>", "text/html")
            path = (
                self.path.removeprefix(self.prefix).replace(self.in_ids, "")
                if self.in_ids
                else self.path.removeprefix(self.prefix)
            )
            connection.request(self.command, path, body, told)
            answer = connection.getresponse()
            data, kind = answer.read(), answer.getheader("content-type", "application/json")
            if "json" in kind and data:
                value = _renamed(json.loads(data), self.in_ids)
                data = json.dumps(_with(value, leak) if self.leaking else value).encode()
            return self._answer(answer.status, data, kind)
        finally:
            connection.close()

    def _answer(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, text in self.headers.items():
            self.send_header(f"x-echo-{name}", text)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _forward  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


def _renamed(value: Any, before: str) -> Any:
    """With ``before`` before every run id."""
    match value:
        case list():
            return [_renamed(v, before) for v in value]
        case dict():
            return {
                k: f"{before}{v}" if k == "run_id" and isinstance(v, str) else _renamed(v, before)
                for k, v in value.items()
            }
    return value


def _with(value: Any, leak: dict[str, Any]) -> Any:
    """An answer that also tells the headers of its request: in every place where servers put free text."""
    match value:
        case list():
            return [_with(v, leak) for v in value]
        case dict():
            more = {**value, **leak}
            if isinstance(value.get("metadata"), dict):
                more["metadata"] = {**value["metadata"], **leak}
            if "thread_id" in value and "run_id" not in value and "values" in value:
                more["metadata"] = {**(value.get("metadata") or {}), **leak}
            for key in ("version", "detail"):
                if key in value:
                    more[key] = f"{value[key]} {leak['prose']}"
            return more
    return value


@contextmanager
def echoing(
    upstream: str,
    broken: Callable[[str, str], bool] = lambda *_: False,
    *,
    prefix: str = "",
    in_ids: str = "",
    leaking: bool = True,
) -> Iterator[str]:
    """A proxy before ``upstream`` that repeats every header of a request in its answer; ``broken`` ones get a 500."""

    class Handler(_Proxy):
        pass

    Handler.upstream, Handler.broken = upstream, staticmethod(broken)  # type: ignore[assignment]
    Handler.prefix, Handler.in_ids, Handler.leaking = prefix, in_ids, leaking
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def untrusted() -> Iterator[str]:
    """A TLS server whose certificate nobody has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
