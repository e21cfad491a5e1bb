"""The recorder: where the records of one execution are collected, and where waits listen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import anyio

from conformance.history import Record

R = TypeVar("R")


class Redactor:
    """Replaces secrets by ``***`` in whatever is recorded or shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= 3}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """``text`` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def value(self, value: Any) -> Any:
        """A JSON value without the secrets, in keys and strings alike."""
        if not self._secrets:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(k)): self.value(v) for k, v in value.items()}
            case list() | tuple():
                return [self.value(v) for v in value]
        return value


class Recorder:
    """Collects records in order of completion; ``until`` waits for what they show."""

    def __init__(self, redactor: Redactor, suffix: str = "") -> None:
        self.records: list[Record] = []
        self.redactor = redactor
        self.suffix = suffix  # makes this execution's tags unique on the target; records go without it
        self.waiting = 0
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
        self._changed.set()
        self._changed = anyio.Event()
        return record

    async def until(self, seen: Callable[[], bool], deadline: float) -> bool:
        """Wait at most ``deadline`` seconds until ``seen()``; says whether it was."""
        self.waiting += 1
        try:
            with anyio.move_on_after(deadline):
                while not seen():
                    await self._changed.wait()
                return True
            return seen()
        finally:
            self.waiting -= 1
