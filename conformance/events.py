"""What the engine tells while it works. It does not know who listens: the progress line, the reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.verdicts import Result


@dataclass(frozen=True)
class Surveyed:
    """The target was found usable."""

    target: dict[str, Any]
    transport: str
    slots: int
    programs: int


@dataclass(frozen=True)
class Executed:
    """One program was executed and judged; ``violated`` are the requirements that it broke."""

    program: str
    done: int
    planned: int
    violated: tuple[str, ...]
    reached: bool


@dataclass(frozen=True)
class Lost:
    """The target stopped answering; the rest could not run."""

    why: str


@dataclass(frozen=True)
class Outcome:
    """The whole check."""

    target: dict[str, Any]
    results: tuple[Result, ...]
    exit_code: int
    started: str
    duration_s: float
    seed: int
    spread_ms: float | None
    cracks: dict[str, tuple[int, int]]
    interrupted: bool = False
    lost: str | None = None
    leaked: int = 0


Event = Surveyed | Executed | Lost | Outcome
Listener = Callable[[Event], None]
