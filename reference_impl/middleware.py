"""What happens to every request before and after its route: plain ASGI, because it is on every path."""

from __future__ import annotations

import asyncio
import hmac
import random
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError
from .jsonio import dumps

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes of a request's body; more is answered with 413."""


class ApiKey:
    """Answers 401 to requests without the right ``x-api-key``; only ``/ok`` is open."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/ok":
            return await self._app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-api-key", b"")
        if hmac.compare_digest(given, self._key):
            return await self._app(scope, receive, send)
        return await _refuse(send, 401, "Missing or wrong x-api-key.")


class BodyLimit:
    """Answers 413 to bodies above ``MAX_BODY``, and gives up on those that do not say their size."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > MAX_BODY:
            return await _refuse(send, 413, f"The body exceeds {MAX_BODY} bytes.")
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise ApiError(f"The body exceeds {MAX_BODY} bytes.", status=413)
            return message

        return await self._app(scope, counted, send)


class Jitter:
    """Delays every response by a random time, to test testers: 0 to ``maximum`` seconds, uniformly."""

    def __init__(self, app: ASGIApp, maximum: float, dice: random.Random) -> None:
        self._app = app
        self._maximum = maximum
        self._dice = dice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def late(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(self._dice.uniform(0, self._maximum))
            await send(message)

        await self._app(scope, receive, late if scope["type"] == "http" else send)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = dumps({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
