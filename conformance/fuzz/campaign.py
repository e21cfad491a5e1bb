"""A campaign: programs are drawn, executed and judged until time or number is up; findings are kept at once."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from conformance.config import Options
from conformance.court import CourtFailed
from conformance.dialects import Dialect, under
from conformance.execution.burst import volley
from conformance.execution.client import Address
from conformance.execution.stopping import stopping
from conformance.fuzz.choosing import Dice, chance
from conformance.fuzz.corpus import Corpus
from conformance.fuzz.coverage import Cell
from conformance.fuzz.findings import Finding, Key, Sighting, also_failed
from conformance.fuzz.grammar import Deck, generate, renamed
from conformance.fuzz.lab import Gone, Known, Lab, Trial, laboratory
from conformance.fuzz.mutating import mutate
from conformance.fuzz.reducing import cost
from conformance.fuzz.reproducing import script
from conformance.fuzz.shrinking import Shrinker
from conformance.programs import Program

MOST_SHOWN_BY = 3  # programs that are remembered beside a finding's first
MOST_FINDINGS = 60  # of different shape; what is found beyond is counted, and not kept

VARIED = 35  # percent of the programs are variations of those that reached something new
ENOUGH_KEPT = 20
DEALT = 50  # percent of the new programs begin with a situation, each in its turn
HARMLESS_SHARE = 0.5  # of the search; only then come deletions: what they may do to a target would hide the rest
TAIL_S = 20.0  # so long what is under way may still take when the time is up
SHRINK_SHARE = 0.3  # of the time, at most: what is left for making findings smaller, if there are any
SHRINK_EACH_S, SHRINK_LEAST_S = 60.0, 120.0  # a finding, and all together, where nothing else was asked for


@dataclass(frozen=True)
class FuzzPlan:
    """A campaign, fully resolved. ``max_time`` in seconds, shrinking included; ``rate`` in requests a second."""

    url: str
    options: Options
    dialect: Dialect
    seed: int
    max_time: float | None = None
    max_examples: int | None = None
    rate: float | None = None
    max_inflight: int | None = None
    folder: Path | None = None  # where findings are kept
    embedded: bool = False  # the URL is that of the embedded server, which is gone after the campaign
    shrink_time: float | None = 0.0  # seconds for all findings together; None: so many for each
    start: int = 0  # the number of its first program: of a unit of a larger campaign
    harming: bool | None = None  # with deletions; None: in the last part of it
    known: Known | None = None  # of the target, where it was surveyed already
    alone: bool = True  # nobody else uses the target: also programs that must have it for themselves
    app: str | None = None  # module:attribute of an ASGI application, that is driven without a network; no URL then
    pid: int | None = None  # the target's process, that is stopped while simultaneous calls are sent

    def address(self) -> Address:
        """Where the target is."""
        options = self.options
        return Address.of(self.url, options.assistant, options.headers(), options.request_timeout)

    def laboratory(self, left: Callable[[int], None]) -> AbstractAsyncContextManager[Lab]:
        """Where its trials are made; ``left`` is told how many threads could not be removed."""
        if self.app is not None:
            from conformance.fuzz.inprocess.lab import in_process

            return in_process(self.app, self.options, self.dialect, self.max_inflight, self.known)
        fire = volley if self.pid is None else stopping(self.pid)
        most, known = self.max_inflight, self.known
        return laboratory(self.address(), self.options, self.dialect, self.rate, most, left, known, fire)


@dataclass
class Stats:
    """What is counted while a campaign goes on; ``since``: instants of ``time.monotonic``."""

    began: float = field(default_factory=time.monotonic)
    programs: int = 0
    runs: int = 0
    calls: int = 0
    overlap: int = 0
    could_not_run: int = 0
    undecided: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    spreads: list[float] = field(default_factory=list)
    cells: Counter[Cell] = field(default_factory=Counter)
    last_new: float = field(default_factory=time.monotonic)
    first_finding: float | None = None  # seconds after the first program began
    leaked: int = 0
    dropped: int = 0  # findings beyond the most that are kept

    searched: float | None = None  # seconds that the search took, without what came after it

    def count(self, trial: Trial) -> None:
        """Count what was sent, whatever it was sent for, and what went wrong with it."""
        self.runs += len(trial.program.creates())
        self.calls += trial.calls
        for error in trial.errors:
            self.errors[error] += 1

    def take(self, trial: Trial) -> frozenset[Cell]:
        """Count a trial of the search; the cells that it was the first to cover."""
        self.count(trial)
        self.programs += 1
        self.overlap += trial.overlap
        self.spreads += trial.spreads
        for why in trial.undecided[:1]:
            self.undecided[why.partition(" after ")[0]] += 1
        new = trial.cells - self.cells.keys()
        self.cells.update(trial.cells)
        if new:
            self.last_new = time.monotonic()
        return frozenset(new)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self.began

    @property
    def spread_ms(self) -> float | None:
        """Over how many milliseconds simultaneous calls were sent (median)."""
        return round(statistics.median(self.spreads), 3) if self.spreads else None


@dataclass(frozen=True)
class Began:
    """The target was found usable."""

    target: dict[str, Any]
    transport: str
    slots: int
    seed: int


@dataclass(frozen=True)
class Progress:
    """One more program was judged."""

    stats: Stats
    findings: int


@dataclass(frozen=True)
class Found:
    """A bug that was not seen before, and where it is kept."""

    finding: Finding
    folder: Path | None


@dataclass(frozen=True)
class Note:
    """Something that the user should know."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The campaign is over."""

    stats: Stats
    findings: tuple[Finding, ...]
    exit_code: int
    seed: int
    interrupted: bool
    lost: str | None
    folder: Path | None


FuzzEvent = Began | Progress | Found | Note | Ended
FuzzListener = Callable[[FuzzEvent], None]


class Campaign:
    """One campaign at one target. ``findings`` and ``stats`` hold what is known, also when it was broken off."""

    def __init__(self, plan: FuzzPlan, *listeners: FuzzListener, corpus: Corpus | None = None) -> None:
        self.plan = plan
        self.corpus = corpus if corpus is not None else Corpus()
        self.stats = Stats()
        self.findings: dict[Key, Finding] = {}
        self._listeners = listeners
        self._requirements = under(plan.dialect)
        self._drawn = plan.start
        self._deck = Deck(f"{plan.seed}/{plan.start}")
        self._finished = False
        self._searching: anyio.CancelScope | None = None
        self._lost: str | None = None

    def tell(self, event: FuzzEvent) -> None:
        """Let the listeners know."""
        for listener in self._listeners:
            listener(event)

    async def run(self) -> None:
        """Search until time or number is up.

        Raises:
            TargetUnusable: the target cannot be tested at all.
        """
        plan = self.plan

        def left(leaked: int) -> None:
            self.stats.leaked += leaked

        async with plan.laboratory(left) as lab:
            session = lab.session
            self.tell(Began(dict(session.target), session.transport, lab.slots, plan.seed))
            self.stats.began = self.stats.last_new = time.monotonic()
            try:
                await self._search(lab)
                self.stats.searched = self.stats.seconds
                await self._shrink(lab)
                await self._confirm(lab)
                for note in lab.notes():
                    self.tell(Note(note))
            except* Gone as e:
                self._lost = str(e.exceptions[0])
        self._finished = self._lost is None

    async def _search(self, lab: Lab) -> None:
        """Draw and try, so many at once as the lab takes; at the end of the time, let what is under way come to its."""
        ahead = anyio.Semaphore(int(lab.living.total_tokens))
        async with anyio.create_task_group() as tasks:
            self._searching = tasks.cancel_scope
            while not self._enough():
                await ahead.acquire()
                if self._enough():
                    break
                program, seed = self._next()
                tasks.start_soon(self._one, lab, program, seed, ahead)
            if self.plan.max_time is not None:  # a number of programs is executed to the last
                self._searching.deadline = anyio.current_time() + TAIL_S

    def stop(self) -> None:
        """Search no further, and wait for nothing that is under way."""
        if self._searching is not None:
            self._searching.cancel()

    async def _shrink(self, lab: Lab) -> None:
        """Make the findings smaller, until the time is up."""
        seconds = self.shrink_time_left
        end = time.monotonic() + seconds
        with anyio.move_on_after(seconds):
            await self._shrink_until(lab, end)

    async def _confirm(self, lab: Lab) -> None:
        """Let the findings say whether they are made again, where a lab can tell."""
        for key, finding in self.findings.items():
            confirmed = await lab.confirmed(finding)
            if confirmed is not finding:
                self.findings[key] = confirmed
                self.keep(confirmed)

    async def _shrink_until(self, lab: Lab, end: float) -> None:
        """One after the other, the weightiest first, each for its share of the time."""
        order = sorted(self.findings, key=lambda k: (self.findings[k].level != "MUST", -self.findings[k].seen))
        for i, key in enumerate(order):
            left = end - time.monotonic()
            if left <= 0:
                break
            share = time.monotonic() + left / (len(order) - i)
            before = self.findings[key]
            shrinker = Shrinker(lab, before, share, self.stats.count)
            self.tell(Note(f"shrinking {key.requirement} ({i + 1} of {len(order)})"))
            try:
                await shrinker.run()
            finally:
                best = replace(shrinker.best, seen=before.seen)
                self.findings[key] = best
                self.keep(best)
                self.corpus.found(best.program)
            if best.history is not before.history:
                await self._judge_whole(key, lab)

    async def _judge_whole(self, key: Key, lab: Lab) -> None:
        """What else fails in the history by which a smaller program shows it: it was judged for that one alone."""
        finding = self.findings[key]
        try:
            judged = await lab.judged(finding.history)
        except CourtFailed:
            return
        others = also_failed(judged, key.requirement, finding.history.dialect)
        self.findings[key] = replace(finding, others=others)
        self.keep(self.findings[key])

    @property
    def _shrink_time(self) -> float:
        """How many seconds the findings that there are may be made smaller, if that much is left."""
        if self.plan.shrink_time is not None:
            return self.plan.shrink_time
        wanted = SHRINK_EACH_S * len(self.findings)
        if self.plan.max_time is None:  # then no longer than the search took
            wanted = min(wanted, self.stats.searched or 0.0)
        return max(SHRINK_LEAST_S, wanted)

    @property
    def shrink_time_left(self) -> float:
        """How many seconds the findings may be made smaller from now on. What the end of the search took beyond its
        time (a target that never settles takes all of ``TAIL_S``) is not taken from them."""
        most = self.plan.max_time
        if most is None:
            return self._shrink_time
        left = most - self.stats.seconds
        return max(0.0, min(self._shrink_time, max(left, min(SHRINK_SHARE * most, left + TAIL_S))))

    @property
    def search_time(self) -> float | None:
        """How many seconds the search has: what is left of all the time when findings have had theirs."""
        plan = self.plan
        if plan.max_time is None or not self.findings:
            return plan.max_time
        return plan.max_time - min(self._shrink_time, SHRINK_SHARE * plan.max_time)

    def _enough(self) -> bool:
        plan, search_time = self.plan, self.search_time
        over = search_time is not None and self.stats.seconds >= search_time
        return over or (plan.max_examples is not None and self._drawn - plan.start >= plan.max_examples)

    def _next(self) -> tuple[Program, str]:
        """What was kept last time, then new programs and variations of those that reached something new."""
        seed = f"{self.plan.seed}/{self._drawn}"
        self._drawn += 1
        name, dice = f"fuzz {seed}", Dice(f"{seed}/guide")
        if self.corpus.first:
            return renamed(self.corpus.first.popleft(), name), seed
        harming = self._late()
        if harming and self.corpus.later:
            return renamed(self.corpus.later.popleft(), name), seed
        if len(self.corpus) >= ENOUGH_KEPT and chance(dice, VARIED):
            return mutate(dice, self.corpus.choose(dice, self.stats.cells), name), seed
        first = self._deck.deal(harming) if chance(dice, DEALT) else None
        return generate(seed, name, harming, self.plan.alone, first), seed

    def _late(self) -> bool:
        """Whether the last part of the campaign has come, in which the target may be harmed for good."""
        plan = self.plan
        if plan.harming is not None:
            return plan.harming
        by_time = self.stats.seconds / self.search_time if self.search_time else 0.0
        by_number = (self._drawn - plan.start) / plan.max_examples if plan.max_examples else 0.0
        return max(by_time, by_number) > HARMLESS_SHARE

    async def _one(self, lab: Lab, program: Program, seed: str, ahead: anyio.Semaphore) -> None:
        try:
            trial = await lab.trial(program)
        except CourtFailed as e:
            self.stats.errors[str(e)] += 1
            return
        finally:
            ahead.release()
        if trial is None:
            self.stats.could_not_run += 1
            return
        self.take(trial, seed)

    def take(self, trial: Trial, seed: str) -> None:
        """Count a trial and keep what it shows."""
        if new := self.stats.take(trial):
            self.corpus.reached(trial.program, new)
        for sighting in trial.sightings:
            self._sighted(sighting, trial, seed)
        self.tell(Progress(self.stats, len(self.findings)))

    def _sighted(self, sighting: Sighting, trial: Trial, seed: str) -> None:
        key = sighting.key
        if key in self.findings:
            self._seen_again(key, 1, trial.program)
            return
        if self.stats.first_finding is None:
            self.stats.first_finding = self.stats.seconds
        if len(self.findings) >= MOST_FINDINGS:
            self.stats.dropped += 1
            return
        requirement = self._requirements[key.requirement]
        finding = Finding(
            key,
            str(requirement.level),
            requirement.statement,
            sighting.violation,
            trial.program,
            trial.history,
            seed,
            embedded=self.plan.embedded,
            others=also_failed(trial.judged, key.requirement, trial.history.dialect),
        )
        self.findings[key] = finding
        self.corpus.found(trial.program)
        self.tell(Found(finding, self.keep(finding)))

    def _seen_again(self, key: Key, times: int, *programs: Program) -> None:
        """Count it, and remember the smallest of the ``programs`` that showed it."""
        known = self.findings[key]
        shown_by = tuple(sorted((*known.shown_by, *programs), key=cost)[:MOST_SHOWN_BY])
        self.findings[key] = replace(known, seen=known.seen + times, shown_by=shown_by)

    def keep(self, finding: Finding) -> Path | None:
        """Write a finding's folder, if findings are kept at all."""
        if self.plan.folder is None:
            return None
        whole = replace(finding, of=self.stats.programs)
        return whole.save(self.plan.folder, script(whole))

    def outcome(self, exit_code: int | None = None) -> Ended:
        """What is known so far, told to the listeners; ``exit_code`` where the findings do not decide it."""
        findings = tuple(replace(f, of=self.stats.programs) for f in self.findings.values())
        for finding in findings:
            self.keep(finding)
        ended = Ended(
            self.stats,
            tuple(sorted(findings, key=lambda f: (f.level != "MUST", -f.seen))),
            self._decide() if exit_code is None else exit_code,
            self.plan.seed,
            interrupted=not self._finished and self._lost is None,
            lost=self._lost,
            folder=self.plan.folder,
        )
        self.tell(ended)
        return ended

    def _decide(self) -> int:
        """1: findings; else 4: target or harness failed; else 3: nothing was really tried; else 0."""
        if self.findings:
            return 1
        if self._lost is not None or self.stats.errors:
            return 4
        return 0 if self.stats.overlap else 3
