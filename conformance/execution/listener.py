"""The harness's end of the callback transport: a small HTTP server on loopback.

Nodes post what they do to ``/{token}/announce`` and wait at gates by a long poll of
``/{token}/wait``; the target calls the webhook of a run at ``/{token}/webhook.{tag}``. The token is unguessable and
names one execution.
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

Told = Callable[[dict[str, Any]], None]
Hooked = Callable[[str, Any], None]
"""Told the tag in the URL of a webhook, and what it was called with."""


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
        self._rooms: dict[str, tuple[Told, Hooked, Gates]] = {}

    def admit(self, told: Told, hooked: Hooked = lambda _tag, _value: None) -> tuple[str, str, Gates]:
        """Open a room for one execution; returns its token, its URL and its gates."""
        token, gates = secrets.token_urlsafe(12), Gates()
        self._rooms[token] = (told, hooked, gates)
        return token, f"http://127.0.0.1:{self.port}/{token}", gates

    def dismiss(self, token: str) -> None:
        """Close a room: later announcements are dropped."""
        self._rooms.pop(token, None)

    async def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        _, token, *action = path.split("/")
        room = self._rooms.get(token)
        if room is None or len(action) != 1:
            return 404, {}
        told, hooked, gates = room
        try:
            value = json.loads(body)
            if action[0].startswith("webhook."):
                hooked(action[0].removeprefix("webhook."), value)
                return 200, {}
            if action[0] == "announce":
                told(value)
                return 200, {}
            opened = gates.event(str(value["key"]))
            with anyio.move_on_after(float(value["for"])):
                await opened.wait()
            return 200, {"open": opened.is_set()}
        except (ValueError, KeyError, TypeError):
            return 400, {}

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        """Serve one connection, on which requests may follow one another without waiting for their answers."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 << 10)
        request, answers = _Request(), b""
        try:
            async with stream:
                while connection.our_state is not h11.MUST_CLOSE:
                    if not request.read(connection):
                        # What has come is dealt with at once, what is to be said is said at once.
                        if answers:
                            await stream.send(answers)
                            answers = b""
                        connection.receive_data(await stream.receive())
                        continue
                    if answers and not request.path.endswith("/announce"):  # that may be answered late
                        await stream.send(answers)
                        answers = b""
                    answers += _answer(connection, *await self._answer(request.path, bytes(request.body)))
                    request = _Request()
                await stream.send(answers)
        except (
            h11.RemoteProtocolError,
            anyio.BrokenResourceError,
            anyio.EndOfStream,
            anyio.ClosedResourceError,
        ):
            pass  # a node that was killed in the middle of an announcement, or a connection that is needed no more


class _Request:
    """A request that is being received."""

    def __init__(self) -> None:
        self.path = ""
        self.body = bytearray()

    def read(self, connection: h11.Connection) -> bool:
        """Take what has come; says whether the request is complete."""
        while True:
            match connection.next_event():
                case h11.Request(target=target):
                    self.path = target.decode("ascii")
                case h11.Data(data=data):
                    self.body += data
                    if len(self.body) > MAX_BODY:
                        raise h11.RemoteProtocolError("body too large")
                case h11.EndOfMessage():
                    return True
                case h11.NEED_DATA:
                    return False
                case _:
                    raise h11.RemoteProtocolError("connection ended")


def _answer(connection: h11.Connection, status: int, value: dict[str, Any]) -> bytes:
    data = json.dumps(value).encode()
    response = h11.Response(status_code=status, headers=[("content-length", str(len(data)))])
    sent = (connection.send(response) or b"") + (connection.send(h11.Data(data=data)) or b"")
    connection.send(h11.EndOfMessage())
    if connection.our_state is h11.DONE:
        connection.start_next_cycle()
    return sent


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Run the listener on a free loopback port for the duration of the block."""
    server = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    listener = Listener(server.extra(anyio.abc.SocketAttribute.local_port))
    async with server, background() as tasks:
        tasks.start_soon(server.serve, listener.serve)
        yield listener
