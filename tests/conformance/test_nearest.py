"""What would have been legal instead: the answer that anybody would give, and never one that is illegal too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.history import History
from conformance.nearest import Instead, cited, nearest
from conformance.notation import parse
from conformance.otherwise import others
from conformance.requirements import REGISTRY
from conformance.requirements.base import Level, Violation
from conformance.verdicts import EXPLAINABLE, judge

VIOLATIONS = Path(__file__).parent / "violations"


def violation(history: History, id: str) -> Violation:
    return judge(history, [id])[id].violations[0]


def instead(history: History, id: str) -> Instead | None:
    return nearest(history, id, cited(violation(history, id).proof))


def saved(name: str) -> History:
    return History.load(VIOLATIONS / f"{name}.jsonl")


@pytest.mark.parametrize(
    ("name", "id", "legal"),
    [
        ("reject.one-winner-3", "reject.one-winner", "create B1 reject → 409"),
        ("reject.one-winner-1", "reject.one-winner", "create B1 reject → 200"),
        ("reject.code-1", "reject.code", "create B reject → 409"),
        ("reject.no-effect-3", "reject.no-effect", "list without B"),
        ("reject.no-effect-4", "reject.no-effect", "B does not enter 0"),
        ("reject.no-effect-5", "thread.busy-iff-inflight", "thread → busy"),
        ("enqueue.accepted-1", "enqueue.accepted", "create B enqueue → 200"),
        ("interrupt.accepted-1", "interrupt.accepted", "create B interrupt → 200"),
        ("interrupt.status-1", "interrupt.status", "get A → interrupted"),
        ("interrupt.builds-on-2", "interrupt.builds-on", "B finds A0"),
        ("displaced.stops-1", "displaced.stops", "A does not enter 2"),
        ("rollback.accepted-1", "rollback.accepted", "create B rollback → 200"),
        ("rollback.deleted-1", "rollback.deleted", "list without A"),
        ("rollback.deleted-3", "rollback.deleted", "get A → 404"),
        ("cancel.rollback-reverts-5", "cancel.rollback-reverts", "get R → success"),
        ("run.status-truthful-2", "run.status-truthful", "get A → error"),
        ("interrupt.status-1", EXPLAINABLE, "get A → interrupted"),
        ("reject.reopens-2", EXPLAINABLE, "create B reject → 200"),
    ],
)
def test_the_answer_that_anybody_would_give(name: str, id: str, legal: str) -> None:
    found = instead(saved(name), id)
    assert found is not None
    assert found.legal == (legal,)
    assert found.record in cited(violation(saved(name), id).proof)
    assert found.text() == f"{legal} instead of #{found.record}"


@pytest.mark.parametrize("name", ["checkpoint.lineage-2", "webhook.once-2", "enqueue.fifo-1", "thread.not-starved-1"])
def test_none_where_no_single_answer_would_do(name: str) -> None:
    id = name.rpartition("-")[0]
    assert instead(saved(name), id) is None


@pytest.mark.parametrize("file", sorted(VIOLATIONS.glob("*.jsonl")), ids=lambda f: f.stem)
def test_no_answer_that_is_called_legal_is_objected_to(file: Path) -> None:
    """Judged again, all of it, by the judge that checks use: the requirement no longer blames that record."""
    history = History.load(file)
    for id, said in judge(history).items():
        if REGISTRY[id].level not in (Level.MUST, Level.SHOULD) or id == EXPLAINABLE or not said.violations:
            continue
        cites = cited(said.violations[0].proof)
        found = nearest(history, id, cites)
        if found is None:
            continue
        assert found.record in cites
        for other in others(history, found.record, lambda _: ()):
            if other.text not in found.legal:
                continue
            records = tuple(other.record if r.n == found.record else r for r in history.records)
            again = judge(replace(history, records=records), [id])[id].violations
            assert all(found.record not in cited(v.proof) or v.observed != said.violations[0].observed for v in again)


def test_of_a_legal_history_nothing_is_to_blame() -> None:
    history = parse(
        """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B reject ─409
run A    |                   enter 0                             leave 0  enter 1  leave 1
harness  |                                              open g                             settled
"""
    )
    everything = range(len(history.records))
    assert all(not said.violations for said in judge(history).values())
    assert all(nearest(history, id, everything) is None for id in REGISTRY)


def test_a_dialect_that_refuses_with_another_code() -> None:
    history = saved("reject.one-winner-3")
    found = nearest(
        replace(history, dialect={**history.dialect, "refusal_code": 422}),
        "reject.one-winner",
        cited(violation(history, "reject.one-winner").proof),
    )
    assert found is not None
    assert found.legal == ("create B1 reject → 422",)


def test_records_that_are_not_there_blame_nobody() -> None:
    assert nearest(saved("rollback.deleted-3"), "rollback.deleted", {10_000}) is None
    assert nearest(saved("rollback.deleted-3"), "no.such-requirement", {1}) is None


def test_the_model_offers_no_timeout_which_nobody_meant_and_every_other_status() -> None:
    reads = [
        v.expected
        for path in sorted(VIOLATIONS.glob("*.jsonl"))
        for v in judge(History.load(path), [EXPLAINABLE])[EXPLAINABLE].violations
        if "reads as" in v.expected
    ]
    assert "A reads as pending or running or success or interrupted" in reads
    assert not any("timeout" in said or "others" in said for said in reads)
