"""What SIGTERM and a second Ctrl-C mean."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

BROKEN_OFF = 130


@contextmanager
def terminated_like_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM (how CI cancels a job) means what Ctrl-C means, also where a shell had that ignored."""
    usual, ctrl_c = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.SIG_DFL:
        yield
        return
    if ctrl_c is signal.SIG_IGN:  # a command in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
        if ctrl_c is signal.SIG_IGN:
            signal.signal(signal.SIGINT, ctrl_c)


@contextmanager
def second_one_ends_at_once() -> Iterator[None]:
    """Inside, the first Ctrl-C means what it meant outside, and a second one ends the process without ado."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    seen = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os.write(2, b"\ndoubletext: ended at once; threads may be left on the target\n")
            os._exit(BROKEN_OFF)
        seen = True
        usual(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
