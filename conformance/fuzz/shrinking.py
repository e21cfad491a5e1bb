"""Shrinking over schedules: what fails sometimes is made smaller without making it much rarer.

How often a candidate is run follows from how often the program has failed so far: at that rate, a candidate that still
fails would show it with 95 % confidence.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import anyio

from conformance.anomalies import anomaly_of
from conformance.court import CourtFailed
from conformance.fuzz.findings import Finding, Key
from conformance.fuzz.grammar import harms
from conformance.fuzz.lab import Lab, Trial
from conformance.fuzz.reducing import Change, change, cost, jointly, reductions
from conformance.programs import Program
from conformance.requirements.base import Violation

CONFIDENCE = 0.95
LEAST, MOST = 4, 40  # repeats
AHEAD = 2  # times what the lab takes at once is asked for together, so that it is not idle while the slowest end
LOOKS = 3  # at all candidates, together as many executions of each as make it sure that it does not fail
FIRST = 8  # to learn the rate
FINAL = 20
MOST_ALONE = 12  # one after the other
HASTE = 0.25  # of the time by which everything must have ended, while candidates are looked at
UNSETTLED = "unsettled"  # the kind of the claim that a thread did not settle in all its time
SEARCH_SHARE = 0.8  # of the time: what is left is for trying whether the smallest one still fails


def repeats(rate: float) -> int:
    """How often a program is run so that one that fails at this rate fails at least once, with ``CONFIDENCE``."""
    if rate <= 0:
        return MOST
    if rate >= 1:
        return 1
    return min(MOST, math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - rate)))


def shown(trial: Trial, key: Key) -> Violation | None:
    """The violation by which a trial shows the bug again: same requirement, same anomaly; the shortest proof."""
    said = trial.judged.get(key.requirement)
    same = [v for v in said.violations if (anomaly_of(key.requirement, v) or "") == key.anomaly] if said else []
    return min(same, key=lambda v: len(v.proof), default=None)


@dataclass
class _Tried:
    """What became of a program that was run several times."""

    program: Program
    failed: int = 0
    of: int = 0
    shows: Trial | None = None

    @property
    def rate(self) -> float:
        return self.failed / self.of if self.of else 0.0

    def as_often_as(self, rate: float) -> bool:
        """Whether it fails about as often, as far as its executions can tell: at least half as often, or so that as few
        failures are no wonder."""
        so_few = sum(math.comb(self.of, k) * rate**k * (1 - rate) ** (self.of - k) for k in range(self.failed + 1))
        return self.failed > 0 and (self.rate >= rate / 2 or so_few > 1 - CONFIDENCE)

    def __add__(self, more: _Tried) -> _Tried:
        return _Tried(self.program, self.failed + more.failed, self.of + more.of, more.shows or self.shows)


def _merged(whole: Program, failed: Sequence[Program]) -> list[Program]:
    """The programs that failed, and what several of them leave out together; the smallest first, each once."""
    failed = sorted(failed, key=cost)
    joint = [jointly(whole, some) for some in (failed, failed[::2], failed[1::2]) if len(some) > 1]
    there = {repr(p.moves): p for p in (*joint, *failed) if p.creates() and cost(p) < cost(whole)}
    return sorted(there.values(), key=cost)


class Shrinker:
    """Makes the program of one finding smaller. ``best``: the finding as it stands."""

    def __init__(self, lab: Lab, finding: Finding, deadline: float, taken: Callable[[Trial], object]) -> None:
        self.best = finding
        self._lab = lab
        self._deadline = deadline
        self._taken = taken
        self._until = deadline
        self._rate = 1.0
        self._last = _Tried(finding.program)  # the one that was accepted
        self._vain = Counter[Change]()  # looks that showed nothing
        self._first = 0.0  # the rate of the program to begin with: nothing may fail much more rarely

    @property
    def late(self) -> bool:
        """Whether the time is up for what it does."""
        return time.monotonic() >= self._until

    @property
    def _unsettled(self) -> bool:
        return UNSETTLED in self.best.key.shape.split()

    async def run(self) -> Finding:
        """The finding with the smallest program that was found in time.

        Raises:
            Gone: the target has stopped answering; ``best`` holds what is known.
        """
        began = time.monotonic()
        self._until = began + SEARCH_SHARE * (self._deadline - began)
        with self._waiting(HASTE):
            tried = await self._begin()
            self._accept(tried)
            if not tried.failed:
                return self.best  # the history is proof all the same
            self._first = tried.rate
            trail = [self.best]
            while (smaller := await self._smaller()) is not None:
                self._accept(smaller)
                trail.append(self.best)
        self._until = self._deadline
        with self._waiting():
            await self._confirm(trail)
        return self.best

    def _waiting(self, share: float = 1.0) -> AbstractContextManager[None]:
        """Where a thread that did not settle is part of the proof, each is waited for: for this share of its time."""
        return self._lab.patient(share) if self._unsettled else nullcontext()

    async def _begin(self) -> _Tried:
        """The program to begin with: of those that showed it the smallest that fails about as often as any of them."""
        first = self.best.program
        programs = sorted((first, *self.best.shown_by), key=cost)
        tried = await self._each([p for p in programs if not harms(p)], FIRST)
        for program in filter(harms, programs):  # one after the other: each execution may cost the target a worker
            if not any(t.failed for t in tried):
                tried.append(await self._try(program, FIRST))
        if not any(t.failed for t in tried):
            more = await self._each([t.program for t in tried], MOST - FIRST)
            tried = [t + m for t, m in zip(tried, more, strict=True)]
        best = max(t.rate for t in tried)
        for one in tried:
            if not one.failed:  # at that rate so few executions may have missed it
                one += await self._try(one.program, repeats(best) - one.of)
            if one.as_often_as(best):
                break
        else:
            return next(t for t in tried if t.program is first)
        if one.failed < one.of == FIRST:  # it was chosen, so that luck had its part
            one += await self._try(one.program, FIRST if harms(one.program) else MOST - FIRST)
        return one

    async def _confirm(self, trail: list[Finding]) -> None:
        """Try the smallest one once more: it was chosen among many by a few executions each, so that luck had its part.
        Of those that were accepted the last one stands that still fails."""
        while not self.late:
            self.best = trail.pop()
            tried = await self._try(self.best.program, max(FINAL, repeats(self._rate)))
            if tried.rate >= self._first / 4 or not tried.of:
                self._accept(tried)
                await self._by_itself(tried.rate)
                return
            if not trail:  # it was not chosen by luck: all its executions count
                failed, of = self.best.rate or (0, 0)
                self.best = replace(self.best, rate=(failed + tried.failed, of + tried.of))
                return

    async def _by_itself(self, rate: float) -> None:
        """Whether it fails while nothing else is executed: a bug between threads may need those of other programs."""
        times = max(LEAST, 2 * repeats(rate))  # twice, as none at all is to be no chance
        if times > MOST_ALONE or self._unsettled or self.late:
            return  # one after the other, that would take too long
        with self._lab.one_by_one():
            tried = await self._try(self.best.program, times)
        if tried.failed or tried.of == times:
            self.best = replace(self.best, alone=(tried.failed, tried.of))

    def _accept(self, tried: _Tried) -> None:
        known = self.best
        if not tried.of:
            return
        changes = {"rate": (tried.failed, tried.of), "shrunk": known.shrunk or tried.program is not known.program}
        if tried.shows is not None:
            violation = shown(tried.shows, known.key)
            assert violation is not None
            self._rate = (self._last + tried).rate
            self._last = tried
            original = known.original or (known.program if tried.program is not known.program else None)
            history = tried.shows.history
            known = replace(
                known, program=tried.program, history=history, violation=violation, original=original, others=[]
            )
        self.best = replace(known, **changes)  # type: ignore[arg-type]

    async def _smaller(self) -> _Tried | None:
        """A reduction that still fails about as often; small ones, and several at once, first.

        All candidates are looked at ``LOOKS`` times before it is sure that none of them fails: mostly the first look
        finds one, where to be sure of one after the other takes long.
        """
        whole = self.best.program
        # What was of no use before the program became smaller is mostly of none after it: it comes last.
        candidates = sorted(reductions(whole), key=lambda p: self._vain[change(whole, p)])
        times = math.ceil(repeats(self._rate) / LOOKS)
        for _ in range(math.ceil(repeats(self._rate) / times)):
            for some in self._so_many(candidates, times):
                seen = await self._each(some, times)
                self._vain.update(change(whole, t.program) for t in seen if not t.failed)
                smaller = await self._sure(_merged(whole, [t.program for t in seen if t.failed]))
                if smaller is not None:
                    return smaller
        return None

    async def _sure(self, programs: Sequence[Program]) -> _Tried | None:
        """The first of the programs that fails about as often as the finding did when it was first tried again."""
        times = max(LEAST, repeats(self._rate))
        for some in self._so_many(programs, times):
            for tried in await self._each(some, times):
                if tried.as_often_as(self._first):
                    return tried
        return None

    def _so_many(self, programs: Sequence[Program], times: int) -> Iterator[Sequence[Program]]:
        """The programs, in parts that keep the lab busy for a while with so many executions of each."""
        width = max(1, AHEAD * self._lab.at_once // times)
        return (programs[at : at + width] for at in range(0, len(programs), width))

    async def _each(self, programs: Sequence[Program], times: int) -> list[_Tried]:
        found: dict[int, _Tried] = {}

        async def one(at: int, program: Program) -> None:
            found[at] = await self._try(program, times)

        async with anyio.create_task_group() as tasks:
            for at, program in enumerate(programs):
                tasks.start_soon(one, at, program)
        return [found[at] for at in range(len(programs))]

    async def _try(self, program: Program, times: int) -> _Tried:
        """Run a program so many times, at once as far as the lab takes it."""
        tried = _Tried(program)

        async def once() -> None:
            if self.late:
                return
            try:
                trial = await self._lab.trial(program, only=self.best.key.requirement)
            except CourtFailed:
                return
            if trial is None:
                return
            self._taken(trial)
            tried.of += 1
            if shown(trial, self.best.key) is not None:
                tried.failed += 1
                tried.shows = trial

        async with anyio.create_task_group() as tasks:
            for _ in range(times):
                tasks.start_soon(once)
        return tried
