"""``doubletext fuzz --app``: the same seed is the same history, what is found replays exactly, what cannot be driven
is refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.execution.loop import run
from conformance.fuzz.grammar import generate
from conformance.fuzz.inprocess.lab import fingerprint, in_process
from conformance.fuzz.lab import Trial
from conformance.history import Call, History, Remark, Told
from conformance.programs import Program, add, emit, gate, program
from conformance.scenarios import all_programs
from tests.fuzz.test_fuzz_command import doubletext

APP = "reference_impl.asgi:app"
BLOCKING = (
    program("blocking")
    .create("A", "enqueue", gate("g", block=True), add())
    .create("B", "interrupt", emit(), waits=False)
    .until_inside("A", "g", needed=False)
    .open("g")
)


def execute(programs: list[Program], schedules: list[str], app: str = APP) -> list[History]:
    """Each program by each schedule, in one process that is new."""

    async def all_of_them() -> list[History]:
        async with in_process(app, Options(), Dialect()) as lab:
            return [await lab.by(schedule, p) for p in programs for schedule in schedules]

    return run(all_of_them)


def order(history: History) -> list[object]:
    return [
        (r.kind, r.tag, r.step) if isinstance(r, Told) else (r.op, r.client)
        for r in history.records
        if isinstance(r, Told | Call)
    ]


def test_the_same_seed_is_the_same_history_and_another_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = [BLOCKING, *(generate(f"same/{i}", f"same/{i}", harming=True) for i in range(3))]
    first = execute(programs, ["one", "two"])
    monkeypatch.setenv("DOUBLETEXT_NOTHING", "x" * 12345)  # moves everything in memory
    again = execute([programs[-1], *programs], ["one", "two"])[2:]
    assert [h.to_text() for h in first] == [h.to_text() for h in again]
    assert any(order(a) != order(b) for a, b in zip(first[::2], first[1::2], strict=True))
    assert all(h.of(Told) for h in first)


def test_what_is_identical() -> None:
    (history,) = execute([BLOCKING], ["one"])
    id = next(r for r in history.of(Call) if r.op == "create").answer["run_id"]
    renamed = History.from_text(history.to_text().replace(id, "00000000-0000-0000-0000-000000000000"))
    assert fingerprint(renamed) == fingerprint(history)
    assert fingerprint(replace(history, target={"schedule": "another"})) == fingerprint(history)
    first = history.records[0]
    assert isinstance(first, Call)
    later = replace(history, records=(replace(first, sent=first.sent + 1e-6), *history.records[1:]))
    assert fingerprint(later) != fingerprint(history)
    assert fingerprint(replace(history, records=history.records[:-1])) != fingerprint(history)


def test_simultaneous_calls_are_sent_at_one_instant() -> None:
    creates = [generate(f"burst/{i}") for i in range(40)]
    together = next(p for p in creates if any(type(m).__name__ == "Together" for m in p.moves))
    (history,) = execute([together], ["one"])
    bursts = [r for r in history.of(Remark) if r.kind == "burst"]
    assert bursts
    assert all(r.detail["spread_ms"] < 0.1 for r in bursts)


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a short campaign found of an application with a bug."""
    folder = tmp_path_factory.mktemp("found")
    said = doubletext(
        "fuzz", "--app", "reference_impl.asgi:queue-of-one", "--max-examples", "15", "--seed", "1",
        "--shrink-time", "15s", "--only", "enqueue.*", cwd=folder, expect=1,
    )  # fmt: skip
    assert "enqueue.accepted" in said
    (found,) = (folder / "doubletext-report" / "findings").glob("enqueue.accepted-*")
    return found


def test_a_finding_knows_its_schedule_and_is_made_again_exactly(finding: Path) -> None:
    target = json.loads((finding / "finding.json").read_text())["target"]
    assert target["app"] == "reference_impl.asgi:queue-of-one"
    assert target["schedule"].startswith("fuzz 1/")
    assert target["exact"] is True
    assert "makes this history again: tried" in (finding / "finding.txt").read_text()
    said = doubletext("replay", str(finding), "--times", "1", "--json", cwd=finding, expect=1)
    assert json.loads(said) | {"state": "still failing", "failed": 1, "tried": 1, "exact": True} == json.loads(said)
    assert "made again exactly" in doubletext("replay", str(finding), cwd=finding, expect=1)


def test_it_is_fixed_where_the_application_was_mended(finding: Path) -> None:
    said = doubletext("replay", str(finding), "--app", APP, "--json", cwd=finding, expect=0)
    assert json.loads(said)["state"] == "fixed"
    assert json.loads(said)["exact"] is False


def test_a_campaign_is_the_same_each_time(tmp_path: Path) -> None:
    campaigns = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        doubletext(
            "fuzz", "--app", "reference_impl.asgi:rollback-keeps-the-run", "--max-examples", "20", "--seed", "5",
            "--shrink-time", "1s", "--only", "rollback.*", cwd=tmp_path / name, expect=1,
        )  # fmt: skip
        report = tmp_path / name / "doubletext-report"
        value = json.loads((report / "fuzz.json").read_text())
        seeds = {f["requirement"]: (f["seed"], f["seen"]) for f in value["findings"]}
        campaigns.append((value["cells"], value["programs"], value["overlap"], seeds))
    assert campaigns[0] == campaigns[1]


def test_the_correct_application_gives_no_finding(tmp_path: Path) -> None:
    said = doubletext("fuzz", "--app", APP, "--max-examples", "40", "--seed", "3", cwd=tmp_path, expect=0)
    assert "0 findings; 40 programs" in said
    assert json.loads((tmp_path / "doubletext-report" / "fuzz.json").read_text())["overlap"] > 30


def test_what_the_grammar_does_not_say_can_be_driven_too() -> None:
    """Hand-written scenarios with webhooks, streams, joins, questions to a human, runs without a thread."""
    wanted = ("webhook", "asked", "stateless", "rollback-joined", "own-events", "clients-", "zombie-blocks")
    scenarios = {p.family: p for p in all_programs(1, 1) if p.family.startswith(wanted) and not p.sends()}
    assert len(scenarios) > 3, scenarios

    async def work() -> list[Trial | None]:
        async with in_process(APP, Options(), Dialect()) as lab:
            return [await lab.trial(p) for p in scenarios.values()]

    for trial in run(work):
        assert trial is not None
        assert not trial.sightings, trial.history.name
        assert any(said.exercised for said in trial.judged.values()), trial.history.name


def test_threads_take_turns_as_the_schedule_says() -> None:
    programs = [generate("threads/1", "threads/1")]
    first, second = execute(programs, ["one"], "tests.fuzz.apps:in_threads") + execute(
        programs, ["one"], "tests.fuzz.apps:in_threads"
    )
    assert first.to_text() == second.to_text()
    assert [r for r in first.of(Call) if r.op == "create" and r.status == 200]


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("no.such.module:app", "cannot be imported"),
        ("reference_impl.asgi:nothing-of-this-name", "no application"),
        ("tests.fuzz.apps:no_server", "does not look like an Agent Server"),
        ("tests.fuzz.apps:no_probe", "Is the probe graph deployed?"),
        ("tests.fuzz.apps:thread_of_its_own", "started by itself"),
        ("tests.fuzz.apps:waits_for_a_lock", "cannot make that deterministic"),
        ("tests.fuzz.apps:does_not_start", "did not start: ConnectionRefusedError"),
        ("tests.fuzz.apps:needs_redis", "127.0.0.1:6379, and in-process there is no network"),
        ("tests.fuzz.apps:needs_a_database", "127.0.0.1:5432, and in-process there is no network"),
    ],
)
def test_what_cannot_be_driven_is_refused_with_a_clear_word(app: str, says: str, tmp_path: Path) -> None:
    said = doubletext("fuzz", "--app", app, "--max-examples", "5", cwd=tmp_path, expect=4)
    assert says in said
    assert "http://localhost" not in said


@pytest.mark.parametrize(
    "wrong",
    [
        ("http://127.0.0.1:9", "--app", APP),
        ("--app", "app"),
        ("--app", APP, "--rate", "5"),
        ("--app", APP, "--target-pid", "1"),
    ],
)
def test_options_that_make_no_sense(wrong: tuple[str, ...], tmp_path: Path) -> None:
    doubletext("fuzz", *wrong, "--max-examples", "1", cwd=tmp_path, expect=2)
