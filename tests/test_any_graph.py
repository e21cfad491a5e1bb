"""Checks of an ordinary LangGraph graph, which is no probe: on the reference server as it is, and on broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from conformance.cli import main
from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.events import Outcome
from conformance.execution.loop import run
from conformance.proving import ProvingCheck
from conformance.report.result import schema
from conformance.requirements import REGISTRY
from reference_impl.defects import all_defects

GRAPH = Path(__file__).parent / "real" / "confirm" / "steps_graph.py"
DEFECTS = {d.name: d for d in all_defects()}
SHARE = 0.25
UNFOCUSED = ("interrupt.status", "cancel.codes")  # their programs show what no program has to exercise


def serving(*more: str) -> tuple[str, ...]:
    return ("--graph", f"steps={GRAPH}:graph", *more)


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """An input with four supersteps of 80 ms."""
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"script": {"name": "A", "steps": 4, "ms": 80}, "at": 0}))
    return file


def check(url: str, *arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["check", url, "--assistant", "steps", *map(str, arguments)])
    return done.exit_code, done.output


def test_an_ordinary_graph_passes_whole_and_is_judged_offline_alike(steps: Path, tmp_path: Path) -> None:
    live, offline = tmp_path / "live", tmp_path / "offline"
    with reference_server(*serving()) as url:
        code, output = check(url, "--input", steps, "--report", "json,html,junit,markdown", "--report-dir", live)
    assert code == 0, output
    assert "no probe: judged by statuses, codes, order" in output
    assert "overlap achieved in" in output
    result = json.loads((live / "result.json").read_text())
    jsonschema.validate(result, schema())
    assert result["target"]["gate"] == "none"
    for found in result["requirements"]:
        by_reads = REGISTRY[found["id"]].by_reads
        if by_reads is None or not by_reads.exercised_by:
            assert found["verdict"] in ("not-applicable", None)
            assert "the assistant is no probe" in found["why"]
        else:
            assert found["verdict"] in ("pass", None), found
            assert found["exercised"] > 0
    CliRunner().invoke(main, ["judge", str(live), "--report-dir", str(offline)])
    assert json.loads((offline / "result.json").read_text())["requirements"] == result["requirements"]


def test_nothing_of_the_users_state_is_kept(tmp_path: Path) -> None:
    steps = tmp_path / "input.json"
    steps.write_text(json.dumps({"script": {"name": "order-17", "steps": 2, "ms": 20}, "at": 0}))
    with reference_server(*serving()) as url:
        check(url, "--input", steps, "--only", "enqueue.*", "--only", "endpoint.*", "--report-dir", tmp_path)
    kept = list((tmp_path / "histories").glob("*.jsonl"))
    assert kept
    assert not any("order-17" in file.read_text() for file in kept)


BROKEN = {
    "accepts-every-reject": ("reject.conflict", "reject.one-winner"),
    "check-then-act": ("reject.one-winner",),
    "refusal-without-reason": ("reject.code",),
    "refused-but-created": ("reject.no-effect",),
    "refusal-stops-the-run": ("reject.no-effect",),
    "refusal-changes-thread-status": ("reject.no-effect", "thread.busy-iff-inflight"),
    "stays-closed": ("reject.reopens",),
    "refuses-every-strategy": ("enqueue.accepted", "interrupt.accepted", "rollback.accepted"),
    "enqueue-interrupts": ("enqueue.first-completes",),
    "last-in-first-out": ("enqueue.fifo",),
    "enqueue-starts-at-once": ("thread.one-at-a-time",),
    "interrupt-is-rollback": ("interrupt.status",),
    "rollback-is-interrupt": ("rollback.deleted",),
    "stuck-busy": ("thread.settles",),
    "terminal-status-flips": ("run.terminal-is-final",),
    "unknown-status": ("run.status-legal",),
    "leaves-a-hole": ("checkpoint.lineage",),
    "cancel-without-wait-fails": ("cancel.codes",),
    "cancelled-rollback-is-interrupt": ("cancel.rollback-reverts",),
    "join-is-never-released": ("endpoint.bounded.join",),
}


def checked(url: str, steps: Path, focus: tuple[str, ...], share: float, *only: str) -> tuple[ProvingCheck, Outcome]:
    options = Options(assistant="steps", input=str(steps), settle_timeout=8.0, only=only, skip=("bad-input.*",))
    proving = ProvingCheck(Plan(url, options, Dialect(), seed=1, rounds=0), focus, share)
    run(proving.run)
    return proving, proving.outcome()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_server_is_failed_by_the_right_requirement_and_no_other(name: str, steps: Path) -> None:
    with reference_server(*serving("--defect", name)) as url:
        proving, outcome = checked(url, steps, (*BROKEN[name], *UNFOCUSED), SHARE)
    failed = {r.requirement.id for r in outcome.results if r.verdict == "fail"}
    assert set(BROKEN[name]) <= failed
    assert failed <= {*DEFECTS[name].must_fail, *DEFECTS[name].may_fail}
    assert proving.tally.errors == {}
    assert proving.weaknesses() == []


def test_a_create_that_waits_for_the_end_is_seen_where_runs_take_long(tmp_path: Path) -> None:
    long = tmp_path / "input.json"
    long.write_text(json.dumps({"script": {"name": "A", "steps": 4, "ms": 600}, "at": 0}))
    with reference_server(*serving("--defect", "create-waits-for-the-end")) as url:
        _, outcome = checked(url, long, (), 1.0, "create.returns")
    assert [r.verdict for r in outcome.results] == ["fail"]


@pytest.mark.parametrize("name", ["interrupt-ignored", "rollback-ignored"])
def test_what_only_the_probe_can_tell_is_neither_passed_nor_failed(name: str, steps: Path) -> None:
    """The first run ends by itself, as it also may where it is faster than its displacement."""
    id = "interrupt.status" if name == "interrupt-ignored" else "rollback.deleted"
    with reference_server(*serving("--defect", name)) as url:
        _, outcome = checked(url, steps, (), 1.0, id)
    assert [r.verdict for r in outcome.results] == ["inconclusive"]
    assert "only the probe can tell" in outcome.results[0].why


# --- what users give that makes no sense ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"), [(None, "No such file"), ("{", "not JSON"), ("null", "null is no input")], ids=["no", "{", "null"]
)
def test_an_input_that_is_none(text: str | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    if text is not None:
        file.write_text(text)
    code, output = check("http://127.0.0.1:9", "--input", file)
    assert code == 2
    assert says in output


def test_inputs_and_assistants_that_the_target_does_not_take(steps: Path, tmp_path: Path) -> None:
    failing = tmp_path / "failing.json"
    failing.write_text('{"script": {"steps": 1}, "at": 0}')
    with reference_server(*serving()) as url:
        code, output = check(url, "--input", failing)
        assert code == 4
        assert "ended as 'error' and not with success" in output
        code, output = check(url, "--assistant", "nobody", "--input", steps)
        assert code == 4
        assert "--assistant" in output
        code, output = check(url)  # no input: it was to be the probe
        assert code == 4
        assert "--input FILE" in output
