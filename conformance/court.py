"""Where histories are judged while others are still being made: a process of its own.

A history that nothing explains can take seconds. The event loop that executes programs, opens gates and hears the probe
must not stand still for that: it would be the harness that is late, and the target that is blamed.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

from conformance.history import History
from conformance.verdicts import Judged, judge

END_S = 2.0
# Not multiprocessing: its child would import the main module again, and a user's script may do its work right there.
_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from conformance.court import sit; sit()"


class CourtFailed(Exception):
    """The judging process ended without an answer."""


class Court:
    """One judging process, started when it is first needed; cases are judged in the order in which they come."""

    def __init__(self) -> None:
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="court")
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def judge(self, text: str, name: str, ids: Sequence[str]) -> Future[dict[str, Judged]]:
        """What ``conformance.verdicts.judge`` says of the history that ``text`` is, as soon as it is known.

        Raises:
            CourtFailed: (the future) the process was killed, or could not be started.
        """
        return self._clerk.submit(self._ask, (text, name, tuple(ids)))

    def close(self) -> None:
        """End the process; what it still has to judge is dropped."""
        self._clerk.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(END_S)

    def _ask(self, case: tuple[str, str, tuple[str, ...]]) -> dict[str, Judged]:
        process = self._open()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump(case, process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as e:
            self._process = None
            raise CourtFailed(f"the process that judges ended while it judged {case[1]} ({type(e).__name__})") from e
        if isinstance(answer, BaseException):
            raise answer
        judged: dict[str, Judged] = answer
        return judged

    def _open(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _CHILD, *sys.path],
                    stdin=subprocess.PIPE,  # closes with this process, however it ends
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is for who started it: that one still wants its answers
                )
            return self._process


def sit() -> None:
    """Judge what comes on standard input until nobody is there any more."""
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write between the answers
    while True:
        try:
            text, name, ids = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        answer: Any
        try:
            answer = judge(History.from_text(text, name), ids)
        except Exception as e:
            answer = e
        pickle.dump(answer, answers)
        answers.flush()


_court: Court | None = None


def court() -> Court:
    """The court of this process."""
    global _court
    if _court is None:
        _court = Court()
        atexit.register(_court.close)
    return _court
