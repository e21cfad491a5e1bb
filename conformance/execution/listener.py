"""The harness's end of the callback transport: a small HTTP server on loopback.

Nodes post what they do to ``/{token}/announce`` and wait at gates by a long poll of
``/{token}/wait``. The token is unguessable and names one execution.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import h11

from conformance.execution.tasks import background

MAX_BODY = 4 << 20


class Gates:
    """Gates of one execution: closed until opened, once and for good."""

    def __init__(self) -> None:
        self._events: dict[str, anyio.Event] = {}

    def event(self, key: str) -> anyio.Event:
        """The event that opening the gate sets."""
        return self._events.setdefault(key, anyio.Event())

    def open(self, key: str) -> None:
        """Open the gate."""
        self.event(key).set()


class Listener:
    """Accepts announcements and gate waits of all executions of a check."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._rooms: dict[str, tuple[Callable[[dict[str, Any]], None], Gates]] = {}

    def admit(self, told: Callable[[dict[str, Any]], None]) -> tuple[str, str, Gates]:
        """Open a room for one execution; returns its token, its URL and its gates."""
        token, gates = secrets.token_urlsafe(12), Gates()
        self._rooms[token] = (told, gates)
        return token, f"http://127.0.0.1:{self.port}/{token}", gates

    def dismiss(self, token: str) -> None:
        """Close a room: later announcements are dropped."""
        self._rooms.pop(token, None)

    async def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        _, token, *action = path.split("/")
        room = self._rooms.get(token)
        if room is None or len(action) != 1:
            return 404, {}
        told, gates = room
        try:
            value = json.loads(body)
            if action[0] == "announce":
                told(value)
                return 200, {}
            opened = gates.event(str(value["key"]))
            with anyio.move_on_after(float(value["for"])):
                await opened.wait()
            return 200, {"open": opened.is_set()}
        except (ValueError, KeyError, TypeError):
            return 400, {}

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Serve one connection: one request, one answer."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 << 10)
        try:
            async with stream:
                path, body = await _read_request(connection, stream)
                status, value = await self._answer(path, body)
                data = json.dumps(value).encode()
                headers = [("content-length", str(len(data))), ("connection", "close")]
                head = connection.send(h11.Response(status_code=status, headers=headers)) or b""
                payload = connection.send(h11.Data(data=data)) or b""
                await stream.send(head + payload)
        except (
            h11.RemoteProtocolError,
            anyio.BrokenResourceError,
            anyio.EndOfStream,
            anyio.ClosedResourceError,
        ):
            pass  # a node that was killed in the middle of an announcement


async def _read_request(connection: h11.Connection, stream: anyio.abc.SocketStream) -> tuple[str, bytes]:
    path, body = "", bytearray()
    while True:
        match connection.next_event():
            case h11.Request(target=target):
                path = target.decode("ascii")
            case h11.Data(data=data):
                body += data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("body too large")
            case h11.EndOfMessage():
                return path, bytes(body)
            case h11.NEED_DATA:
                connection.receive_data(await stream.receive())
            case _:
                raise h11.RemoteProtocolError("connection ended")


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Run the listener on a free loopback port for the duration of the block."""
    server = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    listener = Listener(server.extra(anyio.abc.SocketAttribute.local_port))
    async with server, background() as tasks:
        tasks.start_soon(server.serve, listener.serve)
        yield listener
