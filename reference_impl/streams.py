"""What a run tells while it executes: an append-only log of events, read by any number of clients.

Every reader gets every event of that run in order, from the beginning or from where it says, and is
released when the log is closed: at the run's end, whichever way it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; ``id`` counts from 1 within its run, ``data`` is JSON."""

    id: int
    name: str
    data: bytes

    def encode(self) -> bytes:
        """The event in the ``text/event-stream`` format (WHATWG HTML, 9.2 Server-sent events)."""
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (self.id, self.name.encode(), self.data)


class EventLog:
    """The events of one run."""

    __slots__ = ("_events", "_waiting", "closed")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self.closed = False

    def publish(self, name: str, data: bytes) -> None:
        """Append an event. After :meth:`close` nothing is told any more: a displaced run falls silent."""
        if not self.closed:
            self._events.append(Event(len(self._events) + 1, name, data))
            self._wake()

    def close(self) -> None:
        """Release all readers, after they have read what there is. Idempotent."""
        self.closed = True
        self._wake()

    async def wait_closed(self) -> None:
        """Return once the run is over."""
        while not self.closed:
            await self._change()

    async def read(self, after: int = 0, *, heartbeat: float | None = None) -> AsyncIterator[Event | None]:
        """Yield the events with an id above ``after``, as they come, until the log is closed.

        Yields ``None`` after every ``heartbeat`` seconds of silence.
        """
        position = max(after, 0)
        while True:
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if self.closed:
                return
            try:
                # Not wait_for: it would only begin to listen on the loop's next turn, and miss a change.
                async with asyncio.timeout(heartbeat):
                    await self._change()
            except TimeoutError:
                yield None

    async def _change(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
