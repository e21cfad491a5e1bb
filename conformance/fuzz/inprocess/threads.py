"""Worker threads, one at a time: code that blocks runs in a thread of its own, while the event loop stands still.

A thread has the turn until it ends, sleeps, or waits for the network; then the loop goes on. Who has the turn is
thereby decided by the schedule, and not by the machine. (Where a thread of a real server could have been stopped in
between, it is not: a race between two threads inside blocking code is not what this looks for.)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.fuzz.inprocess.loop import VirtualLoop

PATIENCE_S = 10.0  # of real time, for a thread to come to where it waits
_here = threading.local()


class Stuck(Exception):
    """A thread of the server does not come to its end, nor to anything that it could wait for here."""


class Worker:
    """A thread that runs only while the event loop waits for it."""

    def __init__(self, loop: VirtualLoop, work: Callable[[], Any], name: str) -> None:
        self._loop = loop
        self._work = work
        self._turn, self._over = threading.Semaphore(0), threading.Semaphore(0)
        self._ended = False
        self._result: Any = None
        self._error: BaseException | None = None
        self.future: asyncio.Future[Any] = loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Give it its first turn (a callback of the loop)."""
        self._thread.start()
        self.resume()

    def resume(self) -> None:
        """Give it the turn, until it ends or pauses; one that does neither ends everything (a callback of the loop)."""
        self._turn.release()
        if not self._over.acquire(timeout=PATIENCE_S):
            self._loop.broken(
                Stuck(
                    f"thread {self._thread.name!r} of the server waits for something other than time.sleep and "
                    "connections (a lock, a queue, another thread): in-process mode cannot make that deterministic"
                )
            )
            return
        if self._ended and not self.future.done():
            if self._error is not None:
                self.future.set_exception(self._error)
            else:
                self.future.set_result(self._result)

    def pause(self) -> None:
        """Give the turn back, and wait for the next one (in the thread itself)."""
        self._over.release()
        self._turn.acquire()

    def sleep(self, seconds: float) -> None:
        """``time.sleep`` (in the thread itself)."""
        self._loop.call_later(max(0.0, seconds), self.resume)
        self.pause()

    def _run(self) -> None:
        _here.worker = self
        self._turn.acquire()
        try:
            self._result = self._work()
        except StopIteration as e:  # a future cannot hold that
            self._error = RuntimeError(f"a thread of the server raised {e!r}")
        except BaseException as e:
            self._error = e
        self._ended = True
        self._over.release()


def current() -> Worker | None:
    """The worker whose thread this is."""
    return getattr(_here, "worker", None)
