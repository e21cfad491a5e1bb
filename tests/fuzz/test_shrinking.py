"""Shrinking against a server that is only a rule: which programs fail, and how often."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.findings import Finding, Key, Sighting
from conformance.fuzz.grammar import generate
from conformance.fuzz.lab import Lab, Trial, laboratory
from conformance.fuzz.reducing import jointly, reductions
from conformance.fuzz.shrinking import Shrinker, repeats
from conformance.history import History
from conformance.programs import Create, Program, Read, Together, emit, program
from conformance.requirements.base import Violation
from conformance.verdicts import Judged
from tests.forked import forked_server

KEY = Key("reject.one-winner", "", "shape")
BROKEN = Violation("one", "two", ())
Rule = Callable[[Program], bool]


class RuleLab:
    """Fails a program that the rule names, at this rate."""

    at_once = 16

    def __init__(self, rule: Rule, rate: float | Callable[[Program], float], seed: int) -> None:
        self._rule, self._dice, self.trials = rule, random.Random(seed), 0
        self.alone = False
        self.slots, self.session = 8, SimpleNamespace(target={}, transport="callback")
        self.living = anyio.CapacityLimiter(self.at_once)
        self._rate = rate if callable(rate) else lambda _program: rate

    async def trial(self, program: Program, **_more: bool) -> Any:
        await anyio.lowlevel.checkpoint()
        self.trials += 1
        fails = self._rule(program) and self._dice.random() < self._rate(program)
        judged = {KEY.requirement: Judged(KEY.requirement, (BROKEN,) if fails else ())}
        history = History(program.to_json(), (), "callback", {})
        return SimpleNamespace(program=program, judged=judged, history=history, calls=0, errors=[])

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        self.alone = True
        yield
        self.alone = False

    async def judged(self, _history: History) -> dict[str, Judged]:
        return {KEY.requirement: Judged(KEY.requirement, (BROKEN,))}

    async def confirmed(self, finding: Finding) -> Finding:
        return finding

    def notes(self) -> list[str]:
        return []


def two_rejects_together(program: Program) -> bool:
    """The hand-made minimum has two calls."""
    return any(
        isinstance(m, Together)
        and [c.strategy for c in m.creates].count("reject") >= 2
        and len({c.thread for c in m.creates}) == 1
        for m in program.moves
    )


def found(rule: Rule) -> Finding:
    program = next(p for i in range(1000) if rule(p := generate(f"shrink/{i}")) and len(p.creates()) > 4)
    return Finding(KEY, "MUST", "", BROKEN, program, History(program.to_json(), (), "callback", {}), "shrink")


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.1])
def test_what_fails_in_so_many_runs_is_made_small_and_does_not_get_rarer(rate: float) -> None:
    finding = found(two_rejects_together)
    lab = RuleLab(two_rejects_together, rate, seed=7)
    shrinker = Shrinker(lab, finding, time.monotonic() + 60, lambda _trial: None)  # type: ignore[arg-type]
    best = anyio.run(shrinker.run)
    assert two_rejects_together(best.program)
    assert len(best.program.creates()) <= 4  # two more than the minimum, at most
    assert best.original == finding.program
    assert best.rate is not None
    assert best.rate[0] >= 1
    assert best.rate[0] / best.rate[1] >= rate / 4
    if rate == 1:
        assert len(best.program.creates()) == 2
        assert len(best.program.moves) == 1


@pytest.mark.parametrize("seed", range(5))
def test_what_fails_ever_more_rarely_the_smaller_it_is_stays_as_large_as_it_must(seed: int) -> None:
    """Each program but the smallest fails half as often as the one before: none of the steps is a large one."""

    def rate(program: Program) -> float:
        return min(0.8, 0.05 * 2.0 ** (len(program.creates()) - 2))

    finding = found(two_rejects_together)
    lab = RuleLab(two_rejects_together, rate, seed)
    best = anyio.run(Shrinker(lab, finding, time.monotonic() + 60, lambda _trial: None).run)  # type: ignore[arg-type]
    assert best.rate is not None
    assert best.rate[0] / best.rate[1] >= rate(finding.program) / 4
    assert rate(best.program) >= rate(finding.program) / 4


def test_what_is_not_seen_again_is_kept_as_it_is() -> None:
    finding = found(two_rejects_together)
    lab = RuleLab(lambda _p: False, 1.0, seed=1)
    best = anyio.run(Shrinker(lab, finding, time.monotonic() + 60, lambda _trial: None).run)  # type: ignore[arg-type]
    assert best.program == finding.program
    assert best.rate == (0, lab.trials)
    assert not best.shrunk


def test_where_the_first_program_was_lucky_another_that_showed_it_is_made_smaller() -> None:
    finding = found(two_rejects_together)
    never = replace(finding.program, name="lucky")
    large, larger = (replace(finding.program, moves=finding.program.moves + (Read(),) * n) for n in (1, 2))
    finding = replace(finding, program=never, shown_by=(larger, large))
    seen: list[Program] = []

    def rule(program: Program) -> bool:
        seen.append(program)
        return program.name != "lucky" and two_rejects_together(program)

    lab = RuleLab(rule, 1.0, seed=1)
    best = anyio.run(Shrinker(lab, finding, time.monotonic() + 60, lambda _trial: None).run)  # type: ignore[arg-type]
    assert len(best.program.creates()) == 2
    assert best.original == never  # what was seen first is kept beside it
    after = seen[3 * 8 :]  # each of the three was tried eight times
    assert max(len(p.moves) for p in after) <= len(large.moves)  # the smaller one of those that fail was taken


def test_of_programs_that_may_harm_the_target_no_more_are_tried_than_it_takes() -> None:
    """Deletions have used up the workers of some servers: after that nothing is seen any more."""
    plain = program("plain").create("A", "enqueue", emit()).create("B", "reject", emit())
    first, other = plain.delete("A"), plain.delete("A").delete("B")
    finding = replace(found(two_rejects_together), program=first, shown_by=(other,))
    seen: list[Program] = []

    def rule(program: Program) -> bool:
        seen.append(program)
        return program == first

    lab = RuleLab(rule, 1.0, seed=1)
    best = anyio.run(Shrinker(lab, finding, time.monotonic() + 60, lambda _trial: None).run)  # type: ignore[arg-type]
    assert best.program == first
    assert other not in seen


def test_a_campaign_remembers_the_smallest_of_the_programs_that_showed_a_finding() -> None:
    campaign = Campaign(FuzzPlan("http://127.0.0.1:9", Options(), Dialect(), 1))
    programs = [program(str(n)).create("A", "enqueue", *[emit()] * n) for n in (5, 6, 2, 4, 1, 3)]
    sighting = Sighting(KEY, BROKEN)
    for each in programs:
        history = History(each.to_json(), (), "callback", {})
        campaign.take(Trial(each, history, {}, (sighting,), frozenset()), "1/0")
    (finding,) = campaign.findings.values()
    assert (finding.program.name, finding.seen) == ("5", 6)
    assert [p.name for p in finding.shown_by] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("findings", "max_time", "search"), [(0, 600, 600), (1, 600, 480), (27, 600, 420), (27, 28800, 28800 - 27 * 60)]
)
def test_a_long_campaign_leaves_more_time_for_many_findings(findings: int, max_time: float, search: float) -> None:
    campaign = Campaign(FuzzPlan("http://127.0.0.1:9", Options(), Dialect(), 1, max_time, shrink_time=None))
    each = program("p").create("A", "enqueue", emit())
    shown = tuple(Sighting(replace(KEY, shape=str(n)), BROKEN) for n in range(findings))
    campaign.take(Trial(each, History(each.to_json(), (), "callback", {}), {}, shown, frozenset()), "1/0")
    assert campaign.search_time == search


@pytest.mark.parametrize(("elapsed", "left"), [(10, 90), (70, 30), (85, 30), (115, 5), (125, 0)])
def test_a_search_that_ends_late_leaves_the_findings_their_time(elapsed: float, left: float) -> None:
    campaign = Campaign(FuzzPlan("http://127.0.0.1:9", Options(), Dialect(), 1, 100, shrink_time=None))
    campaign.stats.began -= elapsed
    assert campaign.shrink_time_left == pytest.approx(left, abs=1)


def test_what_fails_beside_a_finding_is_told_of_the_history_that_is_kept() -> None:
    """Its first history shows another bug, too, which is not in the smaller program."""
    beside = {id: Judged(id, (BROKEN,)) for id in (KEY.requirement, "enqueue.fifo")}

    class Plan(FuzzPlan):
        @asynccontextmanager
        async def laboratory(self, _left: object) -> AsyncIterator[Any]:  # type: ignore[override]
            yield RuleLab(two_rejects_together, 1.0, seed=1)

    campaign = Campaign(Plan("http://127.0.0.1:9", Options(), Dialect(), 1, max_examples=0, shrink_time=60))
    large = found(two_rejects_together)
    campaign.take(Trial(large.program, large.history, beside, (Sighting(KEY, BROKEN),), frozenset()), "1/0")
    assert [f.others for f in campaign.findings.values()] == [["enqueue.fifo"]]
    anyio.run(campaign.run)
    (finding,) = campaign.findings.values()
    assert len(finding.program.creates()) == 2
    assert finding.others == []


def test_repeats_are_enough_to_see_it_with_the_confidence_that_is_asked_for() -> None:
    for rate in (0.1, 0.25, 0.5, 0.9):
        n = repeats(rate)
        assert 1 - (1 - rate) ** n >= 0.95
        assert 1 - (1 - rate) ** (n - 1) < 0.95
    assert repeats(1.0) == 1


def test_what_others_were_made_in_order_by_is_left_out_where_the_others_wait_themselves() -> None:
    whole = program("whole").create("A", "enqueue", emit(), waits=False).create("B", "enqueue", emit())
    whole = whole.create("C", "reject", emit())
    first, last = whole.moves[0], whole.moves[2]
    assert isinstance(first, Create)
    made = [r.moves for r in reductions(whole)]
    assert (first, last) in made
    assert (replace(first, waits=True), last) in made


def test_what_never_settles_is_seen_again_however_often_it_was_waited_for() -> None:
    """After three such threads the others of a check have a tenth of the time, and are judged by no deadline."""
    stuck = program("stuck").create("A", "enqueue", emit(gate="gA")).until_inside("A", "gA")
    stuck = stuck.create("B", "enqueue", emit()).create("C", "enqueue", emit()).open("gA")

    async def violations(lab: Lab, times: int) -> list[bool]:
        trials = [await lab.trial(stuck, only="thread.settles") for _ in range(times)]
        return [bool(t.judged["thread.settles"].violations) for t in trials if t is not None]

    async def both(url: str) -> None:
        async with laboratory(Address(url), Options(settle_timeout=2.5), Dialect()) as lab:
            assert await violations(lab, 4) == [True, True, True, False]
            with lab.patient(0.25):
                assert lab.session.bounds.settle == 2.0
                assert await violations(lab, 1) == [True]
            assert lab.session.bounds.settle == 2.5

    with forked_server("--defect", "stuck-pending") as url:
        run(partial(both, url))


@pytest.mark.parametrize("needed", [True, False])
def test_what_takes_other_threads_at_work_says_so(needed: bool) -> None:
    finding = found(two_rejects_together)

    def rule(program: Program) -> bool:
        return two_rejects_together(program) and not (needed and lab.alone)

    lab = RuleLab(rule, 0.8, seed=2)
    best = anyio.run(Shrinker(lab, finding, time.monotonic() + 60, lambda _trial: None).run)  # type: ignore[arg-type]
    assert best.alone is not None
    assert (best.alone[0] == 0) is needed
    assert ("while nothing else was executed" in best.text()) is needed
    assert "reproduces" in best.text()


def removed(program: Program, *places: int) -> Program:
    return replace(program, moves=tuple(m for i, m in enumerate(program.moves) if i not in places))


def test_what_several_smaller_programs_leave_out_is_left_out_together() -> None:
    whole = (
        program("whole")
        .create("A", "enqueue", emit())
        .read()
        .create("B", "reject", emit())
        .read(deep=True)
        .cancel("A", "interrupt")
    )
    one, other = removed(whole, 1), removed(whole, 3)
    assert jointly(whole, [one, other]) == removed(whole, 1, 3)
    plainer = replace(whole, moves=(*whole.moves[:2], replace(whole.moves[2], strategy="enqueue"), *whole.moves[3:]))
    both = jointly(whole, [one, plainer])
    assert [c.strategy for c in both.creates()] == ["enqueue", "enqueue"]
    assert len(both.moves) == len(whole.moves) - 1


def test_of_changes_at_one_place_the_first_is_made() -> None:
    whole = program("whole").create("A", "enqueue", emit()).create("B", "reject", emit()).read()
    without, plainer = removed(whole, 1), replace(whole.moves[1], strategy="enqueue")
    changed = replace(whole, moves=(whole.moves[0], plainer, whole.moves[2]))
    assert jointly(whole, [without, changed]) == without
    assert jointly(whole, [changed, without]) == changed
    assert jointly(whole, []) == whole
