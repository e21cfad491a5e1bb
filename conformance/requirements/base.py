"""What a requirement is, and the registry of all of them.

An oracle is a generator over the facts of one thread. It yields one ``Exercised`` for every situation
in which the requirement said something, and one ``Violation`` for every situation in which it was broken;
a policy yields ``Observed``, a hazard ``Hazard``. It does no I/O and does not know which program made
the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from conformance.facts import Fact, Thread


class Level(StrEnum):
    """How much a violation weighs: see the README, "How verdicts are made"."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    POLICY = "POLICY"
    HAZARD = "HAZARD"


MUST, SHOULD, POLICY, HAZARD = Level.MUST, Level.SHOULD, Level.POLICY, Level.HAZARD


NO_SUCH_CALL = (404, 405, 501)
"""How a target says that it has no such call, where what the call is about was certainly there."""


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
    overlap: bool = True


@dataclass(frozen=True)
class Hazard:
    """Legal, and known to hurt: what was seen (``None``: nothing harmful) in a situation where it could be."""

    seen: str | None
    proof: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Undecided:
    """It could not be said whether the requirement was broken here, and why not."""

    why: str


@dataclass(frozen=True)
class Inapplicable:
    """The target has not what the requirement is about, and says so."""

    why: str


Judgement = Exercised | Violation | Observed | Hazard | Undecided | Inapplicable
Oracle = Callable[[Thread], Iterator[Judgement]]


@dataclass(frozen=True)
class Exercise:
    """Programs of ``family`` must exercise the requirement in at least ``least`` histories; 0: they may."""

    family: str
    least: int = 1


@dataclass(frozen=True)
class ByReads:
    """How a requirement is judged where the runs are of a graph that is no probe, by what reads show of them.

    Without ``exercised_by`` what they show can break it, and is too little to say that it holds.
    """

    oracle: Oracle
    exercised_by: tuple[Exercise, ...]


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
    special: bool = False  # it also judges threads with scheduled runs and with questions to people
    scheduled: bool = False  # it also judges threads with scheduled runs
    by_reads: ByReads | None = None  # None: nothing can be said of it without the probe

    def judges(self, thread: Thread) -> bool:
        """Whether what it demands is defined on this thread."""
        return self.special or not thread.special or (self.scheduled and not thread.asks)


def without_history(thread: Thread, whole: bool = False) -> Iterator[Judgement]:
    """Says so where a thread's history cannot be read, or, if the ``whole`` is needed, not as a whole."""
    if thread.history_is_missing:
        yield Inapplicable("the target gives no history of a thread: it has no such call")
    elif whole and thread.history_is_cut:
        yield Inapplicable("the target gives a history in pages, and the oldest of this one was not on the first")


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
    special: bool = False,
    scheduled: bool = False,
) -> Callable[[Oracle], Oracle]:
    """Register the decorated oracle as the judge of a requirement."""

    def register(oracle: Oracle) -> Oracle:
        if id in REGISTRY:
            raise ValueError(f"requirement {id} stands in two places")
        exercises = tuple(e if isinstance(e, Exercise) else Exercise(e) for e in exercised_by)
        about = (id, level, statement, source, oracle, exercises, breaks, advice)
        REGISTRY[id] = Requirement(*about, special, scheduled)
        return oracle

    return register


def _violations(oracle: Oracle) -> Oracle:
    return lambda thread: (j for j in oracle(thread) if isinstance(j, Violation))


def judged_by_reads(id: str, *exercised_by: str | Exercise) -> Callable[[Oracle], Oracle]:
    """Register the decorated oracle as the judge of a requirement where there is no probe.

    Where nothing exercises it, only the violations that it finds count.
    """

    def register(oracle: Oracle) -> Oracle:
        exercises = tuple(e if isinstance(e, Exercise) else Exercise(e) for e in exercised_by)
        judge = oracle if exercises else _violations(oracle)
        REGISTRY[id] = replace(REGISTRY[id], by_reads=ByReads(judge, exercises))
        return oracle

    return register
