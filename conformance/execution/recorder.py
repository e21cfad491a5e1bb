"""The recorder: where the records of one execution are collected, and where waits listen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import anyio

from conformance.execution.pulse import Pulse
from conformance.execution.redaction import Redactor
from conformance.history import Record, Told

R = TypeVar("R")


class Recorder:
    """Collects records in order of completion; ``until`` waits for what they show."""

    def __init__(self, redactor: Redactor, suffix: str = "") -> None:
        self.records: list[Record] = []
        self.told: dict[str, list[Told]] = {}  # those of the probe, by tag: what most waits look at
        self.redactor = redactor
        self.suffix = suffix  # makes this execution's tags unique on the target; records go without it
        self.waiting = 0
        self.pulse = Pulse()
        self._start = time.monotonic()
        self._changed = anyio.Event()

    def now(self) -> float:
        """Seconds since the execution began."""
        return round(time.monotonic() - self._start, 6)

    def local(self, text: str) -> str:
        """An answer's text with this execution's tags as the program names them."""
        return text.replace(self.suffix, "") if self.suffix else text

    def add(self, kind: Callable[..., R], /, **fields: Any) -> R:
        """Append one record and wake the waits."""
        record = kind(n=len(self.records), **fields)
        self.records.append(record)  # type: ignore[arg-type]
        if isinstance(record, Told):
            self.told.setdefault(record.tag, []).append(record)
        self._changed.set()
        self._changed = anyio.Event()
        return record

    async def until(self, seen: Callable[[], bool], deadline: float) -> bool:
        """Wait at most ``deadline`` seconds awake until ``seen()``; says whether it was."""
        end = self.pulse.now() + deadline
        self.waiting += 1
        try:
            while not seen():
                left = end - self.pulse.now()
                if left <= 0:
                    return False
                with anyio.move_on_after(left):
                    await self._changed.wait()
            return True
        finally:
            self.waiting -= 1
