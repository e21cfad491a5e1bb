"""``text/event-stream``, read as WHATWG HTML says (9.2.6), but for a last event that no empty line ends: it counts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

Event = tuple[str, str]  # name and data
_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\n|\r(?!\Z))")  # a CR at the end may be half of a CRLF


class EventStream:
    """Takes a stream piece by piece, wherever the pieces are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []

    def take(self, piece: bytes) -> Iterator[Event]:
        """The events that are whole with this piece."""
        self._rest += piece
        while (line := _LINE.match(self._rest)) is not None:
            self._rest = self._rest[line.end() :]
            field, _, value = line[1].decode("utf-8", "replace").partition(":")
            if not line[1]:
                yield from self.end()
            elif field == "event":
                self._name = value.strip()
            elif field == "data":
                self._data.append(value.removeprefix(" "))

    def end(self) -> Iterator[Event]:
        """The event whose lines have been seen, if any."""
        if self._data:
            yield self._name or "message", "\n".join(self._data)
        self._name, self._data = "", []


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """The events of a whole stream."""
    stream = EventStream()
    async for piece in pieces:
        for event in stream.take(piece):
            yield event
    for event in stream.end():
        yield event
