"""The connections under httpx: what is kept open, what is not, and what comes out where the other end fails."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from conformance.execution.client import Address, Client
from conformance.execution.recorder import Recorder, Redactor
from conformance.execution.wire import Wire

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""What is done with one request (its head) on a connection."""


class Served:
    """What a server of these tests saw."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.heads: list[bytes] = []


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    seen = Served()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while True:
                seen.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await serve(seen.heads[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    seen.url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
    try:
        yield seen
    finally:
        server.close()


def answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def path(head: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer with the path that was asked for."""
    writer.write(answer(head.split(b" ")[1]))


def client(verify: ssl.SSLContext | None = None, timeout: float = 10) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Wire(verify or ssl.create_default_context()), timeout=timeout)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    anyio.run(scenario)


def test_requests_one_after_another_share_a_connection() -> None:
    async def scenario() -> None:
        async with serving(path) as seen, client() as http:
            assert [(await http.get(f"{seen.url}/{i}")).text for i in range(5)] == ["/0", "/1", "/2", "/3", "/4"]
            assert seen.connections == 1
            await asyncio.gather(*(http.get(f"{seen.url}/x") for _ in range(3)))
            assert 1 < seen.connections <= 3

    run(scenario)


def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    async def once(head: bytes, writer: asyncio.StreamWriter) -> None:
        await path(head, writer)
        writer.close()

    async def scenario() -> None:
        async with serving(once) as seen, client() as http:
            for i in range(3):
                assert (await http.get(f"{seen.url}/{i}")).text == f"/{i}"
                await anyio.sleep(0.05)
            assert seen.connections == 3

    run(scenario)


@pytest.mark.parametrize("where", ["before the answer", "in its body"])
def test_what_a_cancelled_request_is_answered_does_not_meet_the_next_one(where: str) -> None:
    async def slow(head: bytes, writer: asyncio.StreamWriter) -> None:
        whole = answer(head.split(b" ")[1] * 5)
        if b"/first" in head:
            writer.write(whole[:-3] if where == "in its body" else b"")
            await anyio.sleep(0.1)
            whole = whole[-3:] if where == "in its body" else whole
        writer.write(whole)

    async def scenario() -> None:
        async with serving(slow) as seen, client() as http:
            with anyio.move_on_after(0.05):
                await http.get(f"{seen.url}/first")
            for _ in range(3):
                assert (await http.get(f"{seen.url}/next")).text == "/next" * 5
                await anyio.sleep(0.05)
            assert seen.connections == 2

    run(scenario)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-le", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", httpx.RemoteProtocolError),
        (b"\x00\xff nonsense\r\n\r\n", httpx.RemoteProtocolError),
        (None, httpx.ReadTimeout),
    ],
)
def test_a_broken_answer_is_an_error_of_httpx(raw: bytes | None, error: type[Exception]) -> None:
    async def broken(_: bytes, writer: asyncio.StreamWriter) -> None:
        if raw is None:
            await anyio.sleep(5)
        else:
            writer.write(raw)
            writer.close()

    async def scenario() -> None:
        async with serving(broken) as seen, client(timeout=0.2) as http:
            with pytest.raises(error):
                await http.get(seen.url)

    run(scenario)


def test_nobody_there_is_an_error_of_httpx() -> None:
    async def scenario() -> None:
        async with serving(path) as seen:
            url = seen.url
        async with client() as http:
            with pytest.raises(httpx.ConnectError, match=r".+"):
                await http.get(url)

    run(scenario)


def test_a_connection_that_is_reset_at_once_is_an_error_of_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = anyio.connect_tcp

    async def reset(*given: Any, **named: Any) -> Any:
        stream: Any = await connect(*given, **named)
        stream._transport.abort()
        await anyio.sleep(0.01)
        return stream

    async def scenario() -> None:
        monkeypatch.setattr(anyio, "connect_tcp", reset)
        async with serving(path) as seen, client() as http:
            with pytest.raises(httpx.ConnectError, match=r".+"):
                await http.get(seen.url)

    run(scenario)


def test_bodies_are_read_in_every_encoding() -> None:
    async def packed(head: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/chunked" in head:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await anyio.sleep(0.02)
            writer.write(b"2\r\nde\r\n0\r\n\r\n")
        else:
            writer.write(answer(gzip.compress(b"zipped"), "content-encoding: gzip"))

    async def scenario() -> None:
        async with serving(packed) as seen, client() as http:
            assert (await http.get(f"{seen.url}/chunked")).text == "abcde"
            assert (await http.get(f"{seen.url}/gzip")).text == "zipped"
            async with http.stream("GET", f"{seen.url}/chunked") as response:
                assert [part async for part in response.aiter_text()] == ["abc", "de"]
            assert seen.connections == 1

    run(scenario)


def test_https_is_checked_against_the_certificate() -> None:
    certificate = Path(__file__).parent / "data" / "localhost.pem"
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serves.load_cert_chain(certificate)

    async def scenario() -> None:
        async with serving(path, serves) as seen:
            async with client(ssl.create_default_context(cafile=str(certificate))) as http:
                assert [(await http.get(f"{seen.url}/{i}")).text for i in range(3)] == ["/0", "/1", "/2"]
                assert seen.connections == 1
            async with client() as http:
                with pytest.raises(httpx.ConnectError, match="certificate"):
                    await http.get(seen.url)

    run(scenario)


def test_a_call_carries_headers_and_query_and_the_cookies_that_it_was_given() -> None:
    async def scenario() -> None:
        async def run_of(_: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(b"[]", "set-cookie: lb=node-1; Path=/", "content-type: application/json"))

        async with serving(run_of) as seen:
            calls = Client(Address(f"{seen.url}/base/", headers={"X-Api-Key": "k"}))
            recorder = Recorder(Redactor())
            for _ in range(2):
                call = await calls.list_runs(recorder, "t", "id")
                assert (call.status, call.answer, call.error) == (200, [], None)
            await calls.close()
        first, second = seen.heads
        assert first.startswith(b"GET /base/threads/id/runs?limit=100 HTTP/1.1\r\n")
        assert b"x-api-key: k\r\n" in first.lower()
        assert b"cookie" not in first.lower()
        assert b"cookie: lb=node-1\r\n" in second.lower()

    run(scenario)
