"""Requirements judged on graphs that are no probe: on histories drawn by hand."""

from __future__ import annotations

import json

import pytest

from conformance.any_graph import MEETING, overlap_achieved, overlaps_in_words, without_probe
from conformance.notation import parse
from conformance.requirements import REGISTRY
from conformance.requirements.base import POLICY, Observed
from conformance.scenarios_graph import graph_programs
from conformance.verdicts import Tally, judge
from tests.conformance import drawings_of_reads as drawings
from tests.conformance.drawn import judgements, said, the_violation

CASES = [pytest.param(id, text, id=f"{id}-{i}") for id, ts in drawings.VIOLATIONS.items() for i, text in enumerate(ts)]
LEGAL = [pytest.param(id, text, id=f"{id}-{i}") for id, ts in drawings.LEGAL.items() for i, text in enumerate(ts)]


@pytest.mark.parametrize(("id", "text"), CASES)
def test_what_breaks_it(id: str, text: str) -> None:
    the_violation(text, id)


@pytest.mark.parametrize(("id", "text"), CASES)
def test_what_breaks_it_breaks_nothing_else(id: str, text: str) -> None:
    """But for a wrong thread status, which may be the refusal's fault; and a 500, which is also no 409."""
    also = {"reject.no-effect", "thread.busy-iff-inflight"} if "thread ─idle" in text else set()
    also |= {"reject.code"} if "reject ─500" in text else set()
    broken = {other for other, j in judge(parse(text)).items() if j.violations}
    assert broken - also == {id} - also
    assert id in broken


@pytest.mark.parametrize(("id", "text"), LEGAL)
def test_what_does_not(id: str, text: str) -> None:
    violations, _ = said(text, id)
    assert violations == []


def test_the_same_reads_prove_nothing_where_there_is_a_probe() -> None:
    scripts = "transport: callback\nA = emit\nB = emit"
    text = drawings.displaced("interrupt", "404").replace("transport: none", scripts)
    assert said(text, "interrupt.status") == ([], 0)


EXERCISED = [
    ("reject.conflict", drawings.meets()),
    ("reject.code", drawings.meets()),
    ("reject.no-effect", drawings.meets()),
    ("reject.reopens", drawings.meets()),
    ("reject.one-winner", drawings.burst("409", "B0 running")),
    ("enqueue.accepted", drawings.meets("enqueue", "200", "A running B pending")),
    ("enqueue.first-completes", drawings.meets("enqueue", "200", "A running B pending")),
    ("enqueue.fifo", drawings.queue("running", "pending")),
    ("interrupt.accepted", drawings.displaced("interrupt", "interrupted")),
    ("interrupt.status", drawings.displaced("interrupt", "interrupted")),
    ("rollback.accepted", drawings.displaced("rollback", "404")),
    ("rollback.deleted", drawings.displaced("rollback", "404")),
    ("rollback.no-orphans", drawings.displaced("rollback", "404")),
    ("thread.one-at-a-time", drawings.displaced("enqueue", "success")),
    ("thread.busy-iff-inflight", drawings.meets()),
    ("create.returns", drawings.created("5", "pending")),
    ("cancel.codes", drawings.cancelled("interrupt", "interrupted", then="interrupted")),
]


@pytest.mark.parametrize(("id", "text"), EXERCISED, ids=[id for id, _ in EXERCISED])
def test_what_exercises_it(id: str, text: str) -> None:
    violations, times = said(text, id)
    assert (violations, times > 0) == ([], True)


NOT_EXERCISED = [
    # A was perhaps over when B was created.
    ("reject.conflict", drawings.meets(later="success", second="A success", shown="A success")),
    ("reject.no-effect", drawings.meets(later="success", second="A success", shown="A success")),
    ("reject.one-winner", drawings.burst("409", "B0 success")),
    ("enqueue.fifo", drawings.queue("success", "success")),
    ("interrupt.status", drawings.displaced("interrupt", "success")),
    ("rollback.deleted", drawings.displaced("rollback", "success")),
    ("create.returns", drawings.created("25")),
    # Too little can be seen to say that it holds.
    ("enqueue.conserves-input", drawings.queue("running", "pending")),
    ("cancel.interrupt", drawings.cancelled("interrupt", "interrupted", then="interrupted")),
]


@pytest.mark.parametrize(("id", "text"), NOT_EXERCISED, ids=[id for id, _ in NOT_EXERCISED])
def test_what_does_not_exercise_it(id: str, text: str) -> None:
    assert said(text, id) == ([], 0)


@pytest.mark.parametrize(
    ("fate", "shown", "answer", "policy"),
    [
        ("success", "A running B pending", "200", "enqueue"),
        ("success", "A running", "409", "reject"),
        ("interrupted", "A running B pending", "200", "interrupt"),
        ("404", "A running B pending", "200", "rollback"),
    ],
)
def test_the_default_strategy(fate: str, shown: str, answer: str, policy: str) -> None:
    found = judgements(drawings.meets("default", answer, shown, fate=fate, ended=""), "default.strategy")
    assert [j.policy for j in found if isinstance(j, Observed)] == [policy]


def test_overlaps_are_counted_from_reads() -> None:
    assert overlap_achieved(parse(drawings.meets()))
    assert overlap_achieved(parse(drawings.displaced("interrupt", "interrupted")))
    assert not overlap_achieved(parse(drawings.meets(later="success", second="A success", shown="A success")))


def test_too_quick_a_graph_is_inconclusive_and_gets_advice() -> None:
    tally = Tally({id: r for id, r in without_probe(REGISTRY).items() if id == "reject.conflict"})
    text = drawings.meets(later="success", second="A success", shown="A success")
    program = json.dumps({"name": "graph-reject/x", "family": "graph-reject", "moves": []})
    for _ in range(3):
        history = parse(f"program: {program}\n{text}")
        tally.add(history, judge(history, ["reject.conflict"]))
    (result,) = tally.conclude()
    assert result.verdict == "inconclusive"
    assert "Overlap achieved in 0 of 3 trials" in result.why
    assert "--input" in result.why
    assert tally.overlaps() == (0, 3)


def test_advice_where_runs_met_and_the_first_was_never_stopped() -> None:
    assert "more supersteps" in overlaps_in_words("graph-interrupt", 3, 3)
    assert "more" not in overlaps_in_words("graph-reject", 3, 3)


def test_each_requirement_is_judged_in_part_or_not_at_all_and_says_so() -> None:
    tally = Tally(without_probe(REGISTRY))
    for result in tally.conclude():
        by_reads = result.requirement.by_reads
        if by_reads is not None and by_reads.exercised_by:
            assert result.verdict in ("inconclusive", None)
        else:
            assert result.verdict == (None if result.requirement.level in ("POLICY", "HAZARD") else "not-applicable")
            assert "the assistant is no probe" in result.why


def test_what_exercises_requirements_exists_and_has_no_scripts() -> None:
    families = {p.family for p in graph_programs()}
    named = {e.family for r in REGISTRY.values() if r.by_reads is not None for e in r.by_reads.exercised_by if e.least}
    assert named <= families
    assert set(MEETING) <= families
    own = [p for p in graph_programs() if p.family.startswith("graph-")]
    assert not any(steps for p in own for steps in p.scripts().values())


def test_every_requirement_that_can_fail_is_seen_to_fail() -> None:
    """By drawings here, or by the drawings of its oracle, where that is the same with a probe."""
    own = {
        id
        for id, r in REGISTRY.items()
        if r.by_reads is not None and r.level != POLICY and r.by_reads.oracle != r.oracle
    }
    assert own - set(drawings.VIOLATIONS) <= {
        "interrupt.accepted",  # as enqueue.accepted
        "rollback.accepted",
        "enqueue.separate-run",  # the same proofs as with a probe
        "enqueue.conserves-input",
        "thread.independent",
        "checkpoint.lineage",
        "run.status-legal",
    }
