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
    call: float = 0.0  # what a request takes, in seconds


@dataclass(frozen=True)
class Trying:
    """A program has begun, or one has settled: the names of those that are under way, the latest last."""

    programs: tuple[str, ...]


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
    overlaps: tuple[int, int] | None = None  # of a check without the probe: in how many trials runs met, of how many
    interrupted: bool = False
    lost: str | None = None
    leaked: int = 0
    again: tuple[str, ...] = ("doubletext", "check")  # the command, but for what is selected and the seed


Event = Surveyed | Trying | Executed | Lost | Outcome
Listener = Callable[[Event], None]
