"""The network of a world: connections in memory, whose messages take as long as the schedule says.

There is one host, this machine, and on it what was let in: the harness's listener, for the probe's announcements, its
gates and webhooks. Everything else refuses the connection, and the harness tells that it was asked for.
"""

from __future__ import annotations

import asyncio
import io
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from conformance.fuzz.inprocess.threads import Worker, current

if TYPE_CHECKING:
    from conformance.fuzz.inprocess.loop import VirtualLoop

Accept = Callable[[anyio.abc.ByteStream], Awaitable[None]]
WEATHER = (0.03, 0.2, 0.6)  # of all messages, so many are under way for a while: one of these in each schedule
SHORT_S, LONG_S = 200e-6, 3e-3  # for up to so long, four of five; the others up to that long
NEAR, FAR = ("127.0.0.1", 2), ("127.0.0.1", 1)
NEXT = 1e-7  # between two messages of one direction: they stay in their order


class Network:
    """What can be reached, and how long a message takes."""

    def __init__(self, loop: VirtualLoop, dice: random.Random) -> None:
        self.loop = loop
        self.refusals: dict[str, None] = {}  # what was asked for, and is not there
        self._dice = dice
        self._delayed = dice.choice(WEATHER)
        self._hosts: dict[int, Accept] = {}
        self._served: set[asyncio.Task[None]] = set()
        socket.create_connection = self._from_a_thread  # type: ignore[assignment]
        for name in ("connect", "connect_ex"):
            setattr(socket.socket, name, self._by_a_socket)

    def delay(self) -> float:
        """Seconds that a message is under way: mostly none at all, since what meets breaks."""
        if self._dice.random() >= self._delayed:
            return 0.0
        return self._dice.random() * (LONG_S if self._dice.random() < 0.2 else SHORT_S)

    def listen(self, port: int, accept: Accept) -> None:
        """Let connections to a port of this machine in."""
        self._hosts[port] = accept

    def refused(self, what: str) -> OSError:
        """The error of what there is not; noted, so that the user is told."""
        self.refusals[what] = None
        return ConnectionRefusedError(f"in-process mode has no network: the server asked for {what}")

    def look_up(self, host: str, port: int) -> Accept:
        """Who listens there.

        Raises:
            ConnectionRefusedError: nobody does.
        """
        accept = self._hosts.get(port) if host in ("127.0.0.1", "localhost") else None
        if accept is None:
            raise self.refused(f"{host}:{port}")
        return accept

    def open(self, protocol: asyncio.BaseProtocol, host: str, port: int) -> _Near:
        """A connection, as soon as it is asked for.

        Raises:
            ConnectionRefusedError: nobody is there.
        """
        accept = self.look_up(host, port)
        near = _Near(self, protocol)
        task = self.loop.create_task(self._serve(accept, near.far))
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        return near

    async def connect(self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> tuple[Any, Any]:
        """``loop.create_connection``."""
        protocol = factory()
        near = self.open(protocol, host, port)
        await asyncio.sleep(self.delay())
        protocol.connection_made(near)
        return near, protocol

    async def _serve(self, accept: Accept, far: _Far) -> None:
        await accept(far)

    def _from_a_thread(self, address: tuple[str, int], timeout: Any = None, *_: Any, **__: Any) -> Any:
        """``socket.create_connection``."""
        worker = current()
        if worker is None:
            raise self.refused(f"{address[0]}:{address[1]}, by blocking its event loop")
        return BlockingSocket(self, worker, str(address[0]), int(address[1]), timeout)

    def _by_a_socket(self, address: Any) -> Any:
        """``socket.connect``."""
        raise self.refused(":".join(map(str, address)) if isinstance(address, tuple) else str(address))


class _Direction:
    """Messages one way, in their order."""

    def __init__(self, network: Network, deliver: Callable[[bytes], None]) -> None:
        self._network, self._deliver = network, deliver
        self._due = 0.0

    def send(self, data: bytes) -> None:
        """Send; nothing is its end."""
        loop = self._network.loop
        self._due = max(self._due + NEXT, loop.time() + self._network.delay())
        loop.call_at(self._due, self._deliver, data)


class _Socket:
    """What libraries ask a transport's socket for."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, 6

    def getsockname(self) -> tuple[str, int]:
        return NEAR

    def getpeername(self) -> tuple[str, int]:
        return FAR

    def setsockopt(self, *_: Any) -> None:
        """There is nothing to set."""

    def fileno(self) -> int:
        return -1  # it is none


class _Near(asyncio.Transport):
    """The end of a connection at which the server is."""

    def __init__(self, network: Network, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.far = _Far(network, self._receive)
        self._out = _Direction(network, self.far.take)
        self._protocol: Any = protocol
        self._closing = False

    def _receive(self, data: bytes) -> None:
        if self._closing:
            return
        if data:
            self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self.close()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing:
            self._out.send(bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._out.send(b"")
            self._out._network.loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._out.send(b"")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": FAR, "sockname": NEAR, "socket": _Socket()}.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no limit."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """What comes is kept by the protocol: there is little of it."""

    def resume_reading(self) -> None:
        """See above."""

    def is_reading(self) -> bool:
        return not self._closing


class _Far(anyio.abc.ByteStream):
    """The end of a connection at which the harness is."""

    def __init__(self, network: Network, deliver: Callable[[bytes], None]) -> None:
        self._out = _Direction(network, deliver)
        self._come: deque[bytes] = deque()
        self._arrived = anyio.Event()
        self._closed = False

    def take(self, data: bytes) -> None:
        """Something has come."""
        self._come.append(data)
        self._arrived.set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        while not self._come:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        if not self._come[0]:
            raise anyio.EndOfStream
        data = self._come.popleft()
        if len(data) > max_bytes:
            self._come.appendleft(data[max_bytes:])
        return data[:max_bytes]

    async def send(self, item: bytes) -> None:
        if item and not self._closed:
            self._out.send(item)

    async def send_eof(self) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._out.send(b"")


class BlockingSocket(asyncio.Protocol):
    """A socket for code in a worker thread: as much of it as ``http.client`` needs."""

    def __init__(self, network: Network, worker: Worker, host: str, port: int, timeout: Any) -> None:
        self._network, self._worker = network, worker
        self._data, self._ended, self._waiting = bytearray(), False, False
        self._timeout = timeout if isinstance(timeout, int | float) else None
        self._near = network.open(self, host, port)

    # --- what comes, on the event loop ---

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.eof_received()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting = False
            self._worker.resume()

    # --- a socket, in the thread ---

    def recv(self, size: int) -> bytes:
        """What has come; waits for it.

        Raises:
            TimeoutError: nothing has.
        """
        timer = self._network.loop.call_later(self._timeout, self._wake) if self._timeout is not None else None
        if not self._data and not self._ended:
            self._waiting = True
            self._worker.pause()
        if timer is not None:
            timer.cancel()
        if not self._data and not self._ended:
            raise TimeoutError("timed out")
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def sendall(self, data: Any) -> None:
        self._near.write(bytes(data))

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_File(self))

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def setsockopt(self, *_: Any) -> None:
        """There is nothing to set."""

    def close(self) -> None:
        self._near.close()


class _File(io.RawIOBase):
    def __init__(self, of: BlockingSocket) -> None:
        super().__init__()
        self._of = of

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._of.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)
