"""A local target that is stopped while simultaneous calls are sent to it: it finds all of them when it goes on.

Only a process that the user names is stopped. It is continued when the calls are sent, whatever happens meanwhile; and
when this process is ended in between, however that is done, by a small process that watches over it.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio.to_thread

from conformance.execution.burst import Fire, Shot, Volley, fire
from conformance.execution.client import Address

STOPPED_S = 0.2  # by when a signal has stopped a process
LOOK_S = 0.0002
# Reads one byte for each stop, and one for each time that the target was continued; an end in between is not ours.
_WATCH = """
import os, signal, sys
pid, stopped = int(sys.argv[1]), False
while said := os.read(0, 1):
    stopped = said == b"s"
if stopped:
    os.kill(pid, signal.SIGCONT)
"""


class CannotStop(Exception):
    """The process cannot be stopped; the text says why."""


def check_pid(pid: int) -> None:
    """Raises CannotStop where stopping this process is impossible, or would stop the harness itself."""
    if os.name != "posix":
        raise CannotStop("there is no SIGSTOP on this system")
    if pid in _own():
        raise CannotStop(f"process {pid} is this command itself, or one that it was started by")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise CannotStop(f"there is no process {pid}") from None
    except PermissionError:
        raise CannotStop(f"process {pid} belongs to somebody else") from None


def _own() -> set[int]:
    """This process and its ancestors, as far as they can be seen."""
    pids, pid = {0, 1, os.getpid(), os.getppid()}, os.getppid()
    with suppress(OSError, ValueError, IndexError):
        while pid > 1:
            pids.add(pid)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pids


class Stopper:
    """Stops and continues one process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lock = threading.Lock()
        self._watch: subprocess.Popen[bytes] | None = None

    @contextmanager
    def stopped(self, told: Callable[[float], None]) -> Iterator[None]:
        """Inside, the process is stopped; ``told`` for how many seconds it was.

        Raises:
            OSError: it is gone.
        """
        with self._lock:  # two stops at once would continue it under one another
            self._say(b"s")
            since = time.monotonic()
            try:
                os.kill(self._pid, signal.SIGSTOP)
                self._wait(since + STOPPED_S)
                yield
            finally:
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGCONT)
                told(time.monotonic() - since)
                with suppress(OSError):
                    self._say(b"c")

    def _wait(self, end: float) -> None:
        """Until the signal has had its effect, where that can be seen."""
        stat = Path(f"/proc/{self._pid}/stat")
        with suppress(OSError):
            while stat.read_text().rpartition(")")[2].split()[0] not in "Tt" and time.monotonic() < end:
                time.sleep(LOOK_S)

    def _say(self, what: bytes) -> None:
        if self._watch is None:
            self._watch = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WATCH, str(self._pid)],
                stdin=subprocess.PIPE,  # closes with this process, however it ends
                start_new_session=True,  # Ctrl-C is not for it
            )
        assert self._watch.stdin is not None
        os.write(self._watch.stdin.fileno(), what)


def stopping(pid: int) -> Fire:
    """Fires bursts while the process is stopped."""
    stopper = Stopper(pid)

    async def volley(address: Address, shots: Sequence[Shot]) -> Volley:
        told: list[float] = []
        hits = await anyio.to_thread.run_sync(functools.partial(fire, address, shots, stopper.stopped(told.append)))
        return Volley(hits, told[0])

    return volley
