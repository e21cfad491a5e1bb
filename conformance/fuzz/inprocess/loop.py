"""The event loop: virtual time, and nothing from outside.

asyncio's own loop on a selector that never waits: where nothing is ready, time passes until the next timer. A turn of
the loop takes a little time, drawn from the schedule, so that timers fall between other callbacks than in the next
schedule. Callbacks run in the order in which asyncio promises to run them.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import socket
import threading
import weakref
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVarTuple

import anyio._backends._asyncio as backend

from conformance.fuzz.inprocess.sources import Clock
from conformance.fuzz.inprocess.threads import Worker, current

if TYPE_CHECKING:
    from conformance.fuzz.inprocess.network import Network

SHORT_S, LONG_S = 20e-6, 1.5e-3  # a turn of the loop takes up to this long, and one of fifty up to that
Ts = TypeVarTuple("Ts")
_serial = itertools.count(1)


class NotDeterministic(Exception):
    """The server does something that no seed decides; the text says what."""


class Stalled(Exception):
    """Nothing is left that could ever happen."""


# Sets of tasks and scopes are iterated over, by asyncio and anyio: in the order of what they hash to, which is their
# address in memory unless they are given something better.


class _Task(asyncio.Task):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **more: Any) -> None:
        self._serial = next(_serial)
        super().__init__(*args, **more)

    def __hash__(self) -> int:
        return self._serial


class _Future(asyncio.Future):  # type: ignore[type-arg]
    def __init__(self, **more: Any) -> None:
        self._serial = next(_serial)
        super().__init__(**more)

    def __hash__(self) -> int:
        return self._serial


class _Scope(backend.CancelScope):
    __slots__ = ("_serial",)

    def __init__(self, *args: Any, **more: Any) -> None:
        self._serial = next(_serial)
        super().__init__(*args, **more)

    def __hash__(self) -> int:
        return self._serial


class _Selector:
    """Instead of waiting for input, lets time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.turn(timeout)
        return []

    def close(self) -> None:
        pass


class VirtualLoop(BaseEventLoop):
    """An event loop whose time is the clock's, and whose chances are the dice's."""

    network: Network

    def __init__(self, clock: Clock, dice: random.Random) -> None:
        super().__init__()
        self._clock = clock
        self._dice = dice
        self._selector = _Selector(self)
        self._clock_resolution = 1e-9
        self._home = threading.get_ident()
        self._problem: BaseException | None = None
        self._connected: weakref.WeakKeyDictionary[socket.socket, Any] = weakref.WeakKeyDictionary()
        self.set_task_factory(lambda loop, coro, **more: _Task(coro, loop=loop, **more))
        clock.sleep = self._sleep
        backend.CancelScope = _Scope  # type: ignore[misc]
        anyio_threads_by(self)

    def time(self) -> float:
        return self._clock.read() / 1e9

    def turn(self, timeout: float | None) -> None:
        """Let time pass: until the next timer, or as long as one turn takes.

        Raises:
            NotDeterministic: a thread of the server has interfered.
            Stalled: there is no next timer.
        """
        if self._problem is not None:
            raise self._problem
        if timeout is None:
            raise Stalled("the server and the harness wait for one another, and for nothing else")
        most = LONG_S if self._dice.random() < 0.02 else SHORT_S
        self._clock.advance(timeout + self._dice.random() * most)

    def broken(self, problem: BaseException) -> None:
        """End everything with this error, whoever catches it where it occurs."""
        self._problem = self._problem or problem

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if threading.get_ident() != self._home and current() is None:
            self.broken(
                NotDeterministic(
                    f"thread {threading.current_thread().name!r}, which the server has started by itself, calls into "
                    "the event loop: in-process mode knows the threads of run_in_executor, asyncio.to_thread and "
                    "anyio.to_thread only"
                )
            )
        return self.call_soon(callback, *args, context=context)

    # --- threads -------------------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        del executor  # whichever: each call has a thread of its own
        worker = Worker(self, functools.partial(func, *args), getattr(func, "__name__", "worker"))
        self.call_later(self.network.delay(), worker.start)
        return worker.future

    def set_default_executor(self, executor: Any) -> None:
        """It is not used."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    def _sleep(self, seconds: float) -> None:
        worker = current()
        if worker is not None:
            worker.sleep(seconds)
        else:
            self._clock.advance(seconds)  # the server blocks its event loop

    # --- the network ---------------------------------------------------------------------------------

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        if more.get("ssl"):
            raise self._no_network(f"{host}:{port}, by TLS")
        if more.get("sock") is not None:
            host, port = self._connected.pop(more["sock"])
        return await self.network.connect(protocol_factory, str(host), int(port))

    async def create_server(self, *_: Any, **__: Any) -> Any:
        raise self._no_network("a listening socket")

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        if host in ("localhost", "127.0.0.1"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))]
        raise self._no_network(f"the address of {host}")

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:  # noqa: ARG002
        raise self._no_network("a socket or pipe of its own")

    def add_writer(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:  # noqa: ARG002
        raise self._no_network("a socket or pipe of its own")

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As aiohttp does it, which then has a connection made of the socket."""
        self.network.look_up(str(address[0]), int(address[1]))
        self._connected[sock] = address[:2]

    def _no_network(self, what: str) -> OSError:
        return self.network.refused(what)

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def anyio_threads_by(loop: VirtualLoop) -> None:
    """Let ``anyio.to_thread`` (starlette's threads) use the loop's threads, too."""
    import anyio.to_thread

    async def run_sync(func: Callable[..., Any], *args: Any, **_: Any) -> Any:
        context = copy_context()
        return await loop.run_in_executor(None, functools.partial(context.run, func, *args))

    anyio.to_thread.run_sync = run_sync  # type: ignore[assignment]
