"""ASGI applications that the in-process mode must drive, or must refuse to with a clear word."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from reference_impl.app import create_app
from reference_impl.serve import load_graph


def _reference() -> FastAPI:
    return create_app({"doubletext": load_graph("conformance.probe.graph:graph")})


no_server = FastAPI()
no_probe = create_app({})


class _Beside:
    """The reference server behind something that happens with each create."""

    def __init__(self, happens: Any) -> None:
        self._app, self._happens = _reference(), happens

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/runs") and scope["method"] == "POST":
            await self._happens()
        await self._app(scope, receive, send)


async def _by_a_thread() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set)).start()
    await done.wait()


async def _by_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    asyncio.get_running_loop().call_later(5, lock.release)
    await asyncio.to_thread(lock.acquire)


async def _by_the_network() -> None:
    await asyncio.open_connection("127.0.0.1", 5432)


async def _by_a_socket() -> None:
    await asyncio.to_thread(socket.socket().connect, ("127.0.0.1", 6379))


async def _in_threads() -> None:
    """Two threads that take turns by sleeping: as deterministic as everything else."""
    order: list[str] = []

    def work(name: str) -> None:
        for _ in range(3):
            order.append(name)
            time.sleep(0.01)

    await asyncio.gather(asyncio.to_thread(work, "a"), asyncio.to_thread(work, "b"))
    assert sorted(order) == ["a"] * 3 + ["b"] * 3
    assert order not in (["a"] * 3 + ["b"] * 3, ["b"] * 3 + ["a"] * 3)


thread_of_its_own = _Beside(_by_a_thread)
waits_for_a_lock = _Beside(_by_a_lock)
needs_redis = _Beside(_by_a_socket)
needs_a_database = _Beside(_by_the_network)
in_threads = _Beside(_in_threads)


@asynccontextmanager
async def _fails(_app: FastAPI) -> AsyncIterator[None]:
    await _by_the_network()
    yield


does_not_start = FastAPI(lifespan=_fails)
streams = FastAPI()
left: list[float] = []


@streams.get("/stream")
async def stream() -> StreamingResponse:
    """A line a second, until the client leaves."""

    async def lines() -> Any:
        try:
            while True:
                yield b"line\n"
                await asyncio.sleep(1)
        finally:
            left.append(asyncio.get_running_loop().time())

    return StreamingResponse(lines())


@streams.get("/fails")
async def fails() -> None:
    """Raises."""
    raise RuntimeError("broken")


@streams.get("/late")
async def late() -> None:
    """Answers after an hour."""
    await asyncio.sleep(3600)
