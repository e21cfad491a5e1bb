"""Every situation of the grammar on the correct server: what it is about comes about, and nothing is found."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.fuzz import situations
from conformance.fuzz.choosing import Dice
from conformance.fuzz.findings import Finding, Key
from conformance.fuzz.grammar import Deck
from conformance.fuzz.lab import Trial, laboratory
from conformance.fuzz.reducing import tidy
from conformance.fuzz.reproducing import script
from conformance.fuzz.writing import Line, Writer
from conformance.history import Call, History
from conformance.programs import Program, emit, gate, program
from conformance.requirements.base import Violation

ABOUT = {  # one of these is exercised, whatever was drawn
    "cancelled": {"cancel.codes"},
    "cancel_waited_for": {"cancel.wait"},
    "cancelled_many": {"cancel.bulk"},
    "same": {"endpoint.same.wait", "endpoint.same.stream"},
    "clients": {"endpoint.bounded.join", "endpoint.bounded.stream", "endpoint.tells", "endpoint.own-events"},
    "webhooks": {"webhook.once"},
    "stateless": {"endpoint.stateless"},
    "missing": {"create.if-not-exists"},
    "strayed": {"create.unknown-thread"},
    "special": {"schedule.after-seconds", "hitl.overtaken"},
    "unscheduled": {"cancel.interrupt", "cancel.rollback-reverts"},
    "refused": {"reject.conflict"},
    "updated": {"state.update-not-lost"},
    "sent_twice": {"history.explainable"},
    "crowd": {"enqueue.fifo"},
    "long_queue": {"thread.not-starved"},
    "deleted_queue": {"delete.thread-settles"},
    "deleted_ended": {"run.terminal-is-final"},
    "deleted_running": {"delete.stops-writes"},
    "renewed": {"delete.stops-writes"},
    "deleted_wave": {"delete.frees-worker"},
}
TIMES = 4


def programs(name: str) -> Iterator[Program]:
    """Programs of nothing but one situation."""
    for i in itertools.count():
        writer = Writer(Dice(f"{name}/{i}"))
        situation = getattr(situations, name)
        situation(writer) if name in ("long_queue", "deleted_wave") else situation(writer, Line("t"))
        yield tidy(Program(f"{name}/{i}", "fuzz", tuple(writer.moves)))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with reference_server() as url:
        yield url


@pytest.fixture(scope="module")
def trials(url: str) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {name: [] for name in ABOUT}

    async def one(lab: object, name: str, program: Program) -> None:
        trial = await lab.trial(program, whole=True)  # type: ignore[attr-defined]
        assert trial is not None
        found[name].append(trial)

    async def everything() -> None:
        async with laboratory(Address(url), Options(), Dialect()) as lab, anyio.create_task_group() as tasks:
            for name in ABOUT:
                for program in itertools.islice(programs(name), TIMES):
                    tasks.start_soon(one, lab, name, program)

    run(everything)
    return found


def test_all_of_them_are_tried() -> None:
    there = {f.__name__ for f in (*situations.SITUATIONS, *situations.HARMING)} | {"long_queue", "deleted_wave"}
    assert there == set(ABOUT)


def test_each_is_dealt_in_its_turn() -> None:
    deck, again = Deck("deck/1"), Deck("deck/1")
    for harming, all_of_them in ((False, situations.SITUATIONS), (True, situations.HARMING)):
        dealt = [deck.deal(harming) for _ in range(2 * len(all_of_them))]
        for half in (dealt[: len(all_of_them)], dealt[len(all_of_them) :]):
            assert sorted(f.__name__ for f in half) == sorted(f.__name__ for f in all_of_them)
        assert dealt == [again.deal(harming) for _ in dealt]


@pytest.mark.parametrize("name", ABOUT)
def test_what_a_situation_is_about_comes_about_and_nothing_is_found(name: str, trials: dict[str, list[Trial]]) -> None:
    for trial in trials[name]:
        assert not trial.sightings, f"{trial.program.name}: {trial.sightings}"
        assert not trial.errors
    judged = {id for trial in trials[name] for id, said in trial.judged.items() if said.judgements}
    assert judged & ABOUT[name]


def test_calls_whose_answer_is_lost_may_have_taken_effect(trials: dict[str, list[Trial]]) -> None:
    calls = [c for t in trials["sent_twice"] for c in t.history.of(Call) if c.request.get("fault")]
    lost = {c.tag for c in calls if c.request["fault"] == "lost"}
    assert lost
    assert all(c.status is None and "the harness closed" in str(c.error) for c in calls)
    listed = {
        r["tag"] for t in trials["sent_twice"] for c in t.history.of(Call) if c.op == "list_runs" for r in c.answer
    }
    assert lost & listed


@pytest.mark.parametrize("name", ["missing", "strayed", "same", "cancelled_many", "stateless", "sent_twice", "renewed"])
def test_the_script_of_a_finding_can_play_it(name: str, url: str, tmp_path: Path) -> None:
    assert "look yourself" in played(next(programs(name)), url, tmp_path, "1")


def test_the_script_of_a_finding_meets_a_run_where_it_can_be_told_to_stop(url: str, tmp_path: Path) -> None:
    """A node that has not yet got the receipt of its entry would be cancelled there, and tell nobody."""
    begun = program("told").create("A", "enqueue", emit(), gate("g"), emit()).until_inside("A", "g")
    said = played(begun.create("B", "interrupt", emit()).until_stopped("A", None), url, tmp_path, "5")
    assert said.count("A was told to stop") == 5
    assert "in vain" not in said


def played(scene: Program, url: str, folder: Path, times: str) -> str:
    """What the script of a finding says that plays this scene, and nothing that the script could judge."""
    history = History(scene.to_json(), (), "callback", {})
    finding = Finding(Key("thread.settles", "", ""), "MUST", "", Violation("one", "two", ()), scene, history, "1")
    (folder / "reproduce.py").write_text(script(finding))
    command = [sys.executable, "-I", str(folder / "reproduce.py"), url, times]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert shown.returncode == 3, shown.stdout + shown.stderr  # it was played, and cannot judge
    return shown.stdout
