"""Event streams, in every form that the standard allows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from conformance.execution.answers import channels
from conformance.execution.attending import Got
from conformance.execution.recorder import Recorder
from conformance.execution.redaction import Redactor
from conformance.execution.sse import events

STREAM = b": heartbeat\n\nid: 1\nevent: values\ndata: {\ndata:}\n\nevent:end\n\n"
STREAM += b"data:a\xe2\x80\xa8b\n\nevent: error\ndata: x\n"
"""Its third event has a line separator inside; its last is not ended by an empty line."""


async def read(stream: bytes, size: int) -> list[tuple[str, str]]:
    async def pieces() -> AsyncIterator[bytes]:
        for i in range(0, len(stream), size):
            yield stream[i : i + size]

    return [event async for event in events(pieces())]


@pytest.mark.anyio
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_events_are_read_as_the_standard_says(ending: bytes, size: int) -> None:
    stream = STREAM.replace(b"\n", ending)
    expected = [("values", "{\n}"), ("message", "a\u2028b")]
    # A CR that nothing follows may be half of a line's end.
    assert await read(stream, size) == [*expected, ("error", "x")] if ending != b"\r" else expected
    assert await read(stream + ending, size) == [*expected, ("error", "x")]


@pytest.mark.anyio
async def test_a_state_that_cannot_be_read_is_no_state() -> None:
    got = Got(Recorder(Redactor()), True, channels)
    got.take(
        b'event: metadata\r\ndata: {\r\ndata: "run_id": "r"}\r\n\r\nevent: values\r\ndata: null\r\n\r\nevent: error\n'
    )
    got.take(b"data: x\n")
    assert got.kept("answered")["events"] == [["metadata", "r"], ["unreadable values"], ["error"]]
    assert got.tells


@pytest.mark.parametrize("streams", [True, False])
def test_a_refusal_is_no_stream_and_says_what_its_body_says(streams: bool) -> None:
    got = Got(Recorder(Redactor()), streams, channels)
    got.head(httpx.Response(409))
    got.take(b'{"detail": ')
    got.take(b'"busy"}')
    assert got.answer == {"detail": "busy"}
    assert got.kept("answered")["events"] == []
