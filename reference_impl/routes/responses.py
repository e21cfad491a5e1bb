"""Responses that several resources give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from reference_impl.jsonio import dumps
from reference_impl.streams import EventLog

HEARTBEAT: Final = 5.0
"""Seconds of silence after which a stream says that it is alive."""


class Json(Response):
    """A JSON response of anything that :func:`dumps` can encode; ``bytes`` are taken as encoded already."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else dumps(content)


class EventStream(Response):
    """A run's events as ``text/event-stream``, until the run is over.

    A client that leaves is noticed at once, not at the next event; ``on_disconnect`` is called then.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        log: EventLog,
        *,
        after: int = 0,
        wanted: Callable[[str], bool] = lambda _: True,
        on_disconnect: Callable[[], None] = lambda: None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", **(headers or {})})
        del self.headers["content-length"]
        self._log, self._after, self._wanted, self._on_disconnect = log, after, wanted, on_disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        tell = asyncio.ensure_future(self._tell(send))
        if not await first_of(tell, disconnected(receive)):
            self._on_disconnect()

    async def _tell(self, send: Send) -> None:
        async for event in self._log.read(self._after, heartbeat=HEARTBEAT):
            if event is None:
                await send({"type": "http.response.body", "body": b": heartbeat\n\n", "more_body": True})
            elif self._wanted(event.name):
                await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        end = b"event: end\ndata: null\n\n"
        await send({"type": "http.response.body", "body": end, "more_body": False})


async def disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def first_of(work: asyncio.Future[None], other: Any) -> bool:
    """Await two things until one is done, cancel the other; whether it was ``work`` that was done."""
    tasks = [work, asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finished = work.done()
        if finished:
            work.result()
    finally:
        for task in tasks:
            task.cancel()
    return finished


async def still_there(request: Request, log: EventLog) -> bool:
    """Wait for the run's end; False when the client left before."""
    if log.closed:
        return True
    return await first_of(asyncio.ensure_future(log.wait_closed()), disconnected(request.receive))
