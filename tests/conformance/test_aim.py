"""Calls that are to meet the end of a superstep: sent the sooner, the later they were, and nearer to those that hit."""

from __future__ import annotations

import random
import statistics

import anyio

from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.embedded import reference_server
from conformance.execution.aim import ENOUGH, MOST_S, RECENT, Aim
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.fuzz.lab import Lab, Trial, laboratory
from conformance.history import History, Remark
from conformance.programs import CRACK, Create, Program, add, gate, program
from conformance.verdicts import Judged


def test_a_call_is_begun_as_much_sooner_as_others_were_late() -> None:
    aim = Aim()
    assert aim.lead == 0
    for late in (0.001, 0.002, 0.003):
        aim.sent(late)
    assert aim.lead == 0.002
    for _ in range(50):
        aim.sent(5.0)
    assert aim.lead == MOST_S


def test_offsets_come_nearer_to_those_that_hit_as_long_as_few_do() -> None:
    """A window of 1 ms in 6: without learning one of six calls hits."""
    drawn, aim, hits = random.Random(1), Aim(), []
    for _ in range(200):
        offset = aim.sharpened("superstep", drawn.uniform(-4, 2))
        hits.append(-3 <= offset <= -2)
        aim.tried("superstep", offset, hits[-1])
    assert statistics.mean(hits) > 0.25
    assert aim.sharpened("gate", 7.0) == 7.0, "nothing is known of gates"


def test_offsets_stay_as_drawn_where_enough_hit() -> None:
    aim = Aim()
    for n in range(RECENT):
        aim.tried("superstep", float(n), n < RECENT * ENOUGH)
    assert aim.sharpened("superstep", 100.0) == 100.0
    aim.tried("superstep", 20.0, False)
    assert aim.sharpened("superstep", 100.0) < 100.0


class Cracks(Check):
    """Only the trials that are to hit the end of a superstep, once each."""

    aimed: list[Remark]

    def _wanted(self, program: Program, families: set[str]) -> bool:  # noqa: ARG002
        return program.family.endswith(CRACK)

    def noted(self, history: History, judged: dict[str, Judged]) -> None:  # noqa: ARG002
        self.aimed = [*getattr(self, "aimed", []), *(r for r in history.of(Remark) if r.kind == "aimed")]


def test_the_history_says_how_a_call_was_aimed() -> None:
    with reference_server() as url:
        check = Cracks(Plan(url, Options(), Dialect(), 1, cracks=6, generated=False, rounds=0))
        run(check.run)
    tried = check.tally.crack_trials()
    assert len(check.aimed) == sum(n for _, n in tried.values()) == 4 * 3 * 6
    assert {r.detail["at"] for r in check.aimed} == {"gate", "superstep"}
    assert sum(hit for hit, _ in tried.values()) > 0


def test_nothing_is_waited_for_where_no_pace_is_known() -> None:
    """A run that has entered one superstep: the call is sent at once, whatever its offset (and its rounding)."""
    offsets = [random.Random(n).uniform(-4, 2) for n in range(40)]
    held = (gate("g"), add())

    def met(n: int, offset: float) -> Program:
        begun = program(f"met/{n}", "fuzz").create("A", "enqueue", *held, waits=False).until_inside("A", "g")
        return begun.crack(Create("B", "interrupt", (add(),), waits=False), offset).open("g")

    trials: list[Trial] = []

    async def one(lab: Lab, tried: Program) -> None:
        trial = await lab.trial(tried)
        assert trial is not None
        trials.append(trial)

    async def everything(url: str) -> None:
        async with laboratory(Address(url), Options(), Dialect()) as lab, anyio.create_task_group() as tasks:
            for late in (0.0011, 0.0013, 0.0017):
                lab.session.aim.sent(late)
            for n, offset in enumerate(offsets):
                tasks.start_soon(one, lab, met(n, offset))

    with reference_server() as url:
        run(lambda: everything(url))
    assert len(trials) == len(offsets)
    assert all(r.kind != "not-reached" for t in trials for r in t.history.of(Remark))
