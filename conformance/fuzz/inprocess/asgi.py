"""The ASGI server's side of the wire: requests are handed to the application, with no HTTP in between.

httpx has a transport for ASGI, which returns an answer only when the application has finished it: no stream could be
read while it is written, and no client could leave early. This one hands each part on as it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import anyio
import httpx

from conformance.execution.wire import LATE_S, Dropped
from conformance.fuzz.inprocess.loop import VirtualLoop
from conformance.fuzz.inprocess.network import NEXT

Message = MutableMapping[str, Any]
App = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]
START_S = 60.0  # of virtual time
VERSION = {"version": "3.0", "spec_version": "2.3"}


class DidNotStart(Exception):
    """The application's lifespan failed; the text says what it said."""


class AppWire(httpx.AsyncBaseTransport):
    """A transport for httpx whose other end is an ASGI application on the same event loop."""

    def __init__(self, app: App, loop: VirtualLoop, state: dict[str, Any]) -> None:
        self._app = app
        self.loop = loop
        self._state = state
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and receive the head of its answer.

        Raises:
            httpx.TransportError: the application failed in the middle, or took too long.
            Dropped: the connection was to fail (request extension ``fault``).
        """
        fault = request.extensions.get("fault")
        exchange = self.send(request, self.loop.network.delay())
        if fault == "dropped":
            exchange.leave()
            raise Dropped("the harness closed the connection when it had sent the request")
        answer = await self.answer(request, exchange)
        if fault == "lost":
            exchange.leave()
            raise Dropped("the harness closed the connection when the answer began to arrive")
        if fault == "late":
            await anyio.sleep(LATE_S)
        return answer

    def send(self, request: httpx.Request, delay: float) -> Exchange:
        """Let a request arrive at the application after ``delay`` seconds."""
        exchange = Exchange(self.loop, request.read() if isinstance(request.stream, httpx.SyncByteStream) else b"")
        self.loop.call_later(delay, self._begin, request, exchange)
        return exchange

    async def answer(self, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        """The head of the answer, as soon as it is there."""
        timeout = request.extensions.get("timeout", {}).get("read")
        try:
            head = await exchange.next(timeout)
        except BaseException:
            exchange.leave()
            raise
        if head is None or head["type"] != "http.response.start":
            raise httpx.RemoteProtocolError("the application ended without an answer")
        return httpx.Response(head["status"], headers=list(head.get("headers", ())), stream=_Body(exchange, timeout))

    def _begin(self, request: httpx.Request, exchange: Exchange) -> None:
        task = self.loop.create_task(self._serve(_scope(request, self._state), exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, scope: dict[str, Any], exchange: Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            exchange.fail()
        else:
            exchange.end()


class Exchange:
    """One request and its answer, part by part, each under way for as long as the schedule says."""

    def __init__(self, loop: VirtualLoop, body: bytes) -> None:
        self._loop = loop
        self._body: bytes | None = body
        self._gone = asyncio.Event()  # the client has left, or the answer is complete
        self._due = 0.0
        self._began = self._ended = False
        self._come: list[Message | None] = []  # None: it broke off
        self._arrived = asyncio.Event()

    # --- the application's side ---

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI's ``send``."""
        if self._ended:
            return
        self._began = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._ended = True
            self._gone.set()
        self._hand_on(message)

    def fail(self) -> None:
        """The application raised: what it had not answered yet is a 500, as servers do it."""
        if not self._began:
            self._hand_on({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]})
            self._hand_on({"type": "http.response.body", "body": b"Internal Server Error"})
            self._ended = True
        self.end()

    def end(self) -> None:
        """The application has returned."""
        if not self._ended:
            self._ended = True
            self._hand_on(None)
        self._gone.set()

    def _hand_on(self, message: Message | None) -> None:
        self._due = max(self._due + NEXT, self._loop.time() + self._loop.network.delay())
        self._loop.call_at(self._due, self._arrive, message)

    # --- the client's side ---

    def _arrive(self, message: Message | None) -> None:
        self._come.append(message)
        self._arrived.set()

    async def next(self, timeout: float | None) -> Message | None:
        """The next part of the answer; None: there will be none.

        Raises:
            httpx.ReadTimeout: it did not come.
        """
        try:
            with anyio.fail_after(timeout):
                while not self._come:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError as e:
            raise httpx.ReadTimeout("") from e
        return self._come.pop(0)

    def leave(self) -> None:
        """The client closes the connection: the application learns it a little later."""
        self._loop.call_later(self._loop.network.delay(), self._gone.set)


class _Body(httpx.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, exchange: Exchange, timeout: float | None) -> None:
        self._exchange = exchange
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._exchange.next(self._timeout)
            if message is None:
                raise httpx.RemoteProtocolError("the application broke off in the middle of its answer")
            if message["type"] == "http.response.body":
                yield bytes(message.get("body", b""))
                more = message.get("more_body", False)

    async def aclose(self) -> None:
        self._exchange.leave()


def _scope(request: httpx.Request, state: dict[str, Any]) -> dict[str, Any]:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": VERSION,
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 3),
        "server": (request.url.host, request.url.port or 80),
        "state": state.copy(),
    }


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    """Start the application, and stop it after the block; yields what it keeps for its requests.

    Raises:
        DidNotStart: it says so, or does not come to an end with its start.
    """
    asked: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": VERSION, "state": state}

    async def live() -> None:
        try:
            await app(scope, asked.get, told.put)
            await told.put({"type": "over"})
        except Exception as e:
            await told.put({"type": "raised", "error": e})

    asked.put_nowait({"type": "lifespan.startup"})
    task = asyncio.get_running_loop().create_task(live())
    try:
        with anyio.fail_after(START_S):
            said = await told.get()
    except TimeoutError:
        raise DidNotStart("the application did not start") from None
    if said["type"] == "lifespan.startup.failed":
        last = str(said.get("message") or "its lifespan failed").strip().splitlines()[-1]  # often a whole traceback
        raise DidNotStart(f"the application did not start: {last}")
    # One that raises here, or returns, knows no lifespan: as every server takes it.
    alive = said["type"] == "lifespan.startup.complete"
    try:
        yield state
    finally:
        if alive:
            asked.put_nowait({"type": "lifespan.shutdown"})
            with anyio.CancelScope(shield=True), anyio.move_on_after(START_S):
                await told.get()
        task.cancel()
