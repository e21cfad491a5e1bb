"""The connections under httpx: HTTP/1.1 by h11 on anyio's sockets, kept open between requests.

A whole check makes some ten thousand small requests, one after another on a few connections. httpx's own transport
costs three times as much as the work itself does (measured: 0.9 against 0.3 ms a request), which is what bounded a
check; it can also do what no check needs: proxies, HTTP/2, retries.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import h11
import httpx

READ = 64 << 10
MAX_HEAD = 100 << 10
# Idle connections are dropped before servers do it (5 s is common), so that no request meets a closed one.
IDLE_S = 2.0
MOST_IDLE = 8
LATE_S = 0.15  # so long an answer lies there before it is taken, where that is asked for

Origin = tuple[str, str, int]


class Dropped(httpx.ReadError):
    """The answer was not waited for, on purpose (request extension ``fault``, a ``programs.Fault``)."""


class Wire(httpx.AsyncBaseTransport):
    """A transport for httpx. Timeouts are httpx's: for connecting, and for each read and write."""

    def __init__(self, verify: ssl.SSLContext) -> None:
        self._verify = verify
        self._idle: dict[Origin, list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and receive the head of its answer.

        Raises:
            httpx.TransportError: as httpx's own transport does.
        """
        url, timeouts = request.url, request.extensions.get("timeout", {})
        origin = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        connection = await self._take(origin) or await self._open(origin, timeouts.get("connect"))
        fault = request.extensions.get("fault")
        try:
            await connection.send(request, timeouts.get("write"))
            if fault == "dropped":
                raise Dropped("the harness closed the connection when it had sent the request")
            answer = await connection.receive_head(timeouts.get("read"))
            if fault == "lost":
                raise Dropped("the harness closed the connection when the answer began to arrive")
            if fault == "late":
                await anyio.sleep(LATE_S)
        except BaseException:  # cancelled, too: what is half read must not meet the next request
            await connection.close()
            raise
        return httpx.Response(
            answer.status_code,
            headers=answer.headers.raw_items(),
            stream=_Body(self, origin, connection, timeouts.get("read")),
            extensions={"http_version": b"HTTP/" + answer.http_version, "reason_phrase": answer.reason},
        )

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            while connections:
                await connections.pop().close()

    async def _take(self, origin: Origin) -> _Connection | None:
        connections = self._idle.get(origin, [])
        while connections:
            connection = connections.pop()  # the last used: the others may grow old
            if connection.usable:
                return connection
            await connection.close()
        return None

    async def _open(self, origin: Origin, timeout: float | None) -> _Connection:
        scheme, host, port = origin
        if scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"Request URL has an unsupported protocol {scheme!r}.")
        try:
            with anyio.fail_after(timeout):
                if scheme == "http":
                    return _Connection(await anyio.connect_tcp(host, port))
                return _Connection(
                    await anyio.connect_tcp(
                        host, port, ssl_context=self._verify, tls_standard_compatible=False, tls_hostname=host
                    )
                )
        except TimeoutError as e:
            raise httpx.ConnectTimeout("") from e
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as e:
            raise httpx.ConnectError(str(e) or type(e).__name__) from e

    async def put_back(self, origin: Origin, connection: _Connection) -> None:
        """Keep a connection for the next request, if it can have one."""
        connections = self._idle.setdefault(origin, [])
        if not connection.recycle() or len(connections) >= MOST_IDLE:
            await connection.close()
            return
        connections.append(connection)


class _Connection:
    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._used = 0.0
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            try:
                self._poll.register(stream.extra(anyio.abc.SocketAttribute.raw_socket), select.POLLIN)
            except (AttributeError, ValueError) as e:  # reset at once: the event loop has let go of the socket
                raise anyio.BrokenResourceError from e

    async def send(self, request: httpx.Request, timeout: float | None) -> None:
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            data = self._protocol.send(head) or b""
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for part in request.stream:
                data += self._protocol.send(h11.Data(data=part)) or b""
            data += self._protocol.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as e:
            raise httpx.LocalProtocolError(str(e)) from e
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(data)
        except TimeoutError as e:
            raise httpx.WriteTimeout("") from e
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # a server may refuse a request that it has not read: there may be an answer

    async def receive_head(self, timeout: float | None) -> h11.Response:
        while True:
            event = await self.receive(timeout)
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

    async def receive(self, timeout: float | None) -> h11.Event | type[h11.PAUSED]:
        """The next event of the answer."""
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                data = await self._receive(timeout)
                if not data and self._protocol.their_state is h11.SEND_RESPONSE:
                    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
                self._protocol.receive_data(data)
        except h11.RemoteProtocolError as e:
            raise httpx.RemoteProtocolError(str(e)) from e
        assert not isinstance(event, type) or event is h11.PAUSED
        return event

    async def _receive(self, timeout: float | None) -> bytes:
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(READ)
        except TimeoutError as e:
            raise httpx.ReadTimeout("") from e
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as e:
            raise httpx.ReadError(str(e)) from e

    def recycle(self) -> bool:
        """Whether request and answer are complete and the connection is open: then it is ready for the next."""
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        self._protocol.start_next_cycle()
        self._used = time.monotonic()
        return True

    @property
    def usable(self) -> bool:
        """Whether it is neither old nor closed by the other end: an idle connection has nothing to read but that."""
        return time.monotonic() - self._used < IDLE_S and not (self._poll is not None and self._poll.poll(0))

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(self._stream)


class _Body(httpx.AsyncByteStream):
    """The body of an answer; when it is read to its end its connection is free."""

    def __init__(self, wire: Wire, origin: Origin, connection: _Connection, timeout: float | None) -> None:
        self._wire = wire
        self._origin = origin
        self._connection: _Connection | None = connection
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._connection is not None
        try:
            while isinstance(event := await self._connection.receive(self._timeout), h11.Data):
                yield bytes(event.data)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._wire.put_back(self._origin, connection)
