"""Every named anomaly: its example is rejected by what it names and by nothing else, its repaired twin by nobody."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from conformance.anomalies import ANOMALIES, BY_NAME, Anomaly, anomaly_of, find_anomaly, of_requirement
from conformance.cli import main
from conformance.notation import parse, render
from conformance.requirements import REGISTRY
from conformance.requirements.base import Violation
from conformance.verdicts import judge
from tests.conformance.test_oracles import ILLEGAL, the_violation

NAMES = [
    "double admission",
    "phantom run",
    "lost update",
    "interleaved segments",
    "queue inversion",
    "vanished input",
    "dirty rollback",
    "resurrected run",
    "zombie checkpoint",
    "ignored displacement",
    "relabelled run",
    "injected input",
    "stuck busy",
    "stale refusal",
    "terminal flip",
    "cross-thread leak",
    "broken lineage",
]
NAMELESS = {"reject.code", "enqueue.accepted", "interrupt.accepted", "rollback.accepted", "run.status-legal"} | {
    "create.returns"
}
each = pytest.mark.parametrize("anomaly", ANOMALIES, ids=lambda a: a.name)


def violations(text: str) -> dict[str, list[Violation]]:
    judged = judge(parse(text))
    assert not {id: j.error for id, j in judged.items() if j.error}
    return {id: j.violations for id, j in judged.items() if j.violations}


def test_all_of_them_are_there() -> None:
    assert [a.name for a in ANOMALIES] == NAMES


@each
def test_an_example_is_rejected_by_what_the_anomaly_names(anomaly: Anomaly) -> None:
    found = violations(anomaly.example)
    # The model knows runs and their lineage: neither deadlines nor the shape of the checkpoint chain.
    by_the_model = found.pop("history.explainable", None) is not None
    assert by_the_model == (anomaly.name not in ("stuck busy", "broken lineage"))
    assert set(anomaly.requirements) <= found.keys() <= {*anomaly.requirements, *anomaly.companions}
    for id in anomaly.requirements:
        assert {anomaly_of(id, v) for v in found[id]} == {anomaly.name}


@each
def test_its_repaired_twin_is_accepted_by_all(anomaly: Anomaly) -> None:
    assert violations(anomaly.repaired) == {}


@each
def test_examples_survive_being_drawn_again(anomaly: Anomaly) -> None:
    for text in (anomaly.example, anomaly.repaired):
        assert parse(render(parse(text))) == parse(text)
        assert all(len(line) <= 118 for line in text.splitlines())


@pytest.mark.parametrize(("id", "text", "observed"), ILLEGAL, ids=[f"{id}: {o}" for id, _, o in ILLEGAL])
def test_every_violation_has_the_name_that_its_requirement_lists(id: str, text: str, observed: str) -> None:
    name = anomaly_of(id, the_violation(text, id))
    assert name is None or BY_NAME[name] in of_requirement(id)
    if id in NAMELESS:
        assert name is None, observed


@pytest.mark.parametrize(
    ("id", "observed", "name"),
    [
        ("reject.one-winner", "2 were accepted: B0, B1", "double admission"),
        ("reject.one-winner", "all were refused on an idle thread", "stale refusal"),
        ("reject.no-effect", "A, which nobody displaced, did not end by itself", None),
        ("enqueue.separate-run", "the log reads B0 A0", "interleaved segments"),
        ("enqueue.separate-run", "superstep 0 of B was entered under the id of A", "injected input"),
        ("enqueue.conserves-input", "supersteps [0, 0] were written", None),
        ("interrupt.status", "A ended success", "ignored displacement"),
        ("interrupt.status", "A is gone (404)", "relabelled run"),
        ("interrupt.builds-on", "supersteps [1] of A stand after it", "zombie checkpoint"),
        ("rollback.lineage", "nothing of P is in the head's lineage", "broken lineage"),
        ("checkpoint.lineage", "checkpoint c1 in the lineage belongs to A, which was deleted", "dirty rollback"),
        ("thread.no-lost-update", "superstep 1: B1", "interleaved segments"),
        ("thread.no-lost-update", "the final counter is 3", "lost update"),
        ("run.terminal-is-final", "it wrote superstep 1", "zombie checkpoint"),
        ("run.terminal-is-final", "2 new checkpoints", "zombie checkpoint"),
        ("run.status-legal", "A was read as 'cancelled'", None),
    ],
)
def test_what_was_observed_decides_where_a_requirement_covers_two(id: str, observed: str, name: str | None) -> None:
    assert anomaly_of(id, Violation("this", observed, ())) == name


def test_names_are_found_however_they_are_written() -> None:
    for name in ("double admission", "double-admission", "Double_Admission"):
        assert find_anomaly(name) is BY_NAME["double admission"]
    assert find_anomaly("cross-thread leak") is BY_NAME["cross-thread leak"]
    assert find_anomaly("cross-thread-leak") is BY_NAME["cross-thread leak"]
    assert find_anomaly("double") is None


def test_every_requirement_named_exists() -> None:
    for anomaly in ANOMALIES:
        assert {*anomaly.requirements, *anomaly.companions} <= REGISTRY.keys()
        assert anomaly in [a for id in anomaly.requirements for a in of_requirement(id)]


def test_explain_and_list_show_them() -> None:
    run = CliRunner().invoke
    for name in ("double admission", "double-admission"):
        said = run(main, ["explain", name]).output
        assert "create B reject ─200" in said
        assert "create B reject ─409" in said
        assert "reject.conflict" in said
    assert "anomalies:    terminal flip" not in run(main, ["explain", "reject.conflict"]).output
    assert "anomalies:    double admission" in run(main, ["explain", "reject.conflict"]).output
    assert "resurrected run, zombie checkpoint, terminal flip" in run(main, ["explain", "run.terminal-is-final"]).output
    shown = run(main, ["list", "--anomalies"]).output
    assert all(name in shown for name in NAMES)
    rows = json.loads(run(main, ["list", "--anomalies", "--json"]).output)
    assert [r["name"] for r in rows] == NAMES
    assert rows[0]["requirements"] == ["reject.conflict"]
    near = run(main, ["explain", "dobble admission"])
    assert near.exit_code == 2
    assert "did you mean double admission" in near.output
