"""What a requirement is, and the registry of all of them.

An oracle is a generator over the facts of one thread. It yields one ``Exercised`` for every situation
in which the requirement said something, and one ``Violation`` for every situation in which it was broken;
a policy yields ``Observed``, a hazard ``Hazard``. It does no I/O and does not know which program made
the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.facts import Fact, Thread


class Level(StrEnum):
    """How much a violation weighs: see the README, "How verdicts are made"."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    POLICY = "POLICY"
    HAZARD = "HAZARD"


MUST, SHOULD, POLICY, HAZARD = Level.MUST, Level.SHOULD, Level.POLICY, Level.HAZARD


@dataclass(frozen=True)
class Exercised:
    """The requirement applied here, and what it demands was there. ``overlap``: two runs certainly met."""

    overlap: bool = True


@dataclass(frozen=True)
class Violation:
    """The requirement was broken: what had to be, what was, and the facts that prove it, in order."""

    expected: str
    observed: str
    proof: tuple[Fact, ...]


@dataclass(frozen=True)
class Observed:
    """What the target does where the sources leave it to the server."""

    policy: str
    proof: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Hazard:
    """Legal, and known to hurt: what was seen (``None``: nothing harmful) in a situation where it could be."""

    seen: str | None
    proof: tuple[Fact, ...] = ()


Judgement = Exercised | Violation | Observed | Hazard
Oracle = Callable[[Thread], Iterator[Judgement]]


@dataclass(frozen=True)
class Exercise:
    """Programs of ``family`` must exercise the requirement in at least ``least`` histories."""

    family: str
    least: int = 1


@dataclass(frozen=True)
class Requirement:
    """One sentence that a server is held to, with everything that belongs to it."""

    id: str
    level: Level
    statement: str
    source: str
    oracle: Oracle
    exercised_by: tuple[Exercise, ...]
    breaks: str  # how servers break it
    advice: str  # what the user can do about it


REGISTRY: dict[str, Requirement] = {}


def requirement(
    id: str,
    level: Level,
    statement: str,
    *,
    source: str,
    exercised_by: Sequence[str | Exercise],
    breaks: str,
    advice: str,
) -> Callable[[Oracle], Oracle]:
    """Register the decorated oracle as the judge of a requirement."""

    def register(oracle: Oracle) -> Oracle:
        if id in REGISTRY:
            raise ValueError(f"requirement {id} stands in two places")
        exercises = tuple(e if isinstance(e, Exercise) else Exercise(e) for e in exercised_by)
        REGISTRY[id] = Requirement(id, level, statement, source, oracle, exercises, breaks, advice)
        return oracle

    return register


def nothing_else(*facts: Fact | None) -> tuple[Fact, ...]:
    """A proof of the facts that there are."""
    return tuple(f for f in facts if f is not None)
