"""What makes two executions of the same program differ although nobody wants it: clocks and randomness.

``install`` puts seeded ones in their places, before the server is imported, for as long as the process lives. What
draws its randomness in native code, past Python's own modules, is out of reach (``uuid_utils`` is not: langchain draws
ids with it). A server that needs such a source has histories that differ: fuzzing says so, see ``lab``.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.util
import os
import random
import sys
import time
import uuid
import weakref
from collections.abc import Callable
from typing import Any

import time_machine

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # of virtual time: the same in all executions
MONOTONIC_NS = 1_000_000_000_000  # what the monotonic clock reads at START
READING_NS = 100  # reading a clock takes time: two readings differ, and who waits for one in a loop comes to an end


class Clock:
    """Virtual time, in nanoseconds since START: it passes when it is told to, and a little with each reading."""

    def __init__(self) -> None:
        self._ns = 0
        self._shown = 0  # microseconds: the time of day, which is set now and then
        self._wall: time_machine.Traveller | None = None
        self.sleep: Callable[[float], None] = self.advance  # what ``time.sleep`` does

    def read(self) -> int:
        """What the monotonic clock reads, in nanoseconds."""
        self._ns += READING_NS
        return MONOTONIC_NS + self._ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ns += max(0, round(seconds * 1e9))
        passed = self._ns // 1000 - self._shown
        if self._wall is not None and passed:
            self._shown += passed
            self._wall.shift(datetime.timedelta(microseconds=passed))

    def install(self) -> None:
        """Let everything in this process read this clock."""
        self._wall = time_machine.travel(START, tick=False).start()
        clocks: dict[str, Callable[[], float]] = {
            "monotonic": lambda: self.read() / 1e9,
            "perf_counter": lambda: self.read() / 1e9,
            "monotonic_ns": self.read,
            "perf_counter_ns": self.read,
        }
        for name, reading in clocks.items():
            setattr(time, name, reading)
        time.sleep = lambda seconds: self.sleep(float(seconds))


class Entropy:
    """Where random bytes come from."""

    def __init__(self) -> None:
        self._dice = random.Random("import")
        self._unseeded: list[weakref.ref[random.Random]] = []  # generators that were given no seed, in their order

    def seed(self, seed: str) -> None:
        """Begin anew: everything random follows from the seed."""
        self._dice = random.Random(f"entropy/{seed}")
        waiting, self._unseeded = self._unseeded, []
        for generator in filter(None, (ref() for ref in waiting)):
            generator.seed()
        random.seed(f"random/{seed}")
        if "numpy" in sys.modules:
            importlib.import_module("numpy").random.seed(self._dice.getrandbits(32))

    def install(self) -> None:
        """Let ``os.urandom``, ``secrets``, ``uuid`` and generators without a seed draw from here."""

        def urandom(size: int, /) -> bytes:
            return self._dice.randbytes(size)

        os.urandom = urandom
        random._urandom = urandom  # type: ignore[attr-defined]  # what SystemRandom, and so secrets, draw from
        random.Random.seed = self._seeding(random.Random.seed)  # type: ignore[method-assign]
        random.seed(self._dice.getrandbits(64))
        if importlib.util.find_spec("uuid_utils") is not None:
            for name in ("uuid_utils", "uuid_utils.compat"):
                module = importlib.import_module(name)
                for kind in ("uuid1", "uuid4", "uuid6", "uuid7"):
                    setattr(module, kind, _uuid4 if kind == "uuid4" else _by_time)

    def _seeding(self, original: Callable[..., None]) -> Callable[..., None]:
        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            if a is None:
                self._unseeded.append(weakref.ref(generator))
            original(generator, self._dice.getrandbits(128) if a is None else a, version)

        return seed


def _uuid4(*_: Any, **__: Any) -> uuid.UUID:
    return uuid.uuid4()


def _by_time(*_: Any, **__: Any) -> uuid.UUID:
    """A UUID of version 7: of the millisecond, and random."""
    value = int.from_bytes(os.urandom(10)) | (time.time_ns() // 1_000_000) << 80
    return uuid.UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 7 << 76 | 0x8000 << 48)
