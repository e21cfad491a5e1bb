"""What the sources leave open is classified, not taken for granted: every POLICY and HAZARD is seen to change.

Each is reported otherwise on a server that decides otherwise. Where that is a variant, which is as correct as the
reference server, nothing fails either.
"""

from __future__ import annotations

import fnmatch
from functools import cache

import pytest

from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.execution.loop import run
from conformance.history import History
from conformance.proving import ProvingCheck
from conformance.requirements import REGISTRY
from conformance.requirements.base import Hazard, Observed
from conformance.verdicts import Judged
from reference_impl.defects import find
from tests.forked import forked_server

NOTHING = "nothing"  # a hazard could have been, and was not seen

# requirement, name of the variant or defect, what is reported of it, what is reported of the correct server
TABLE = (
    ("interrupt.tool-calls", "interrupt-ignored", NOTHING, "tool calls * of A have no result in the final state"),
    (
        "rollback.effects",
        "code-is-not-cancelled",
        "effects of A, * remain: payment, receipt; committed after * was answered at *: receipt",
        "effects of A, * remain: payment",
    ),
    ("default.strategy", "default-is-reject", "reject", "enqueue"),
    (
        "displaced.pending",
        "displaces-only-the-first",
        "interrupt: leaves queued runs",
        "interrupt: displaces queued runs too",
    ),
    (
        "displaced.pending",
        "displaces-only-the-first",
        "rollback: leaves queued runs",
        "rollback: displaces queued runs too",
    ),
    ("thread.work-stops", "supersteps-are-not-cut-short", NOTHING, "A still executed * ms after B had started*"),
    ("thread.status-after", "idle-after-an-interrupt", "interrupted: idle", "interrupted: interrupted"),
    ("delete.active", "only-the-ended-are-deleted", "running: refused", "running: allowed"),
    ("delete.active", "only-the-ended-are-deleted", "pending: refused", "pending: allowed"),
    ("state.update-busy", "update-beside-the-run", "accepted", "refused"),
    ("schedule.after-seconds", "scheduled-from-its-start", "inflight from its start", "inflight from its creation"),
    ("schedule.after-seconds", "scheduled-from-its-start", "displaces at its start", "displaces at its creation"),
    ("hitl.overtaken", "questions-come-first", "interrupt: refused", "interrupt: the question is dropped"),
    ("hitl.overtaken", "questions-come-first", "enqueue: refused", "the question * was dropped without a word by B *"),
    (
        "error.discloses-nothing",
        "refusal-quotes-the-input",
        "the text of an error * shows another run's input",
        NOTHING,
    ),
)
OPEN = tuple(id for id, r in REGISTRY.items() if r.level in ("POLICY", "HAZARD"))


class Watching(ProvingCheck):
    """Executes the programs that exercise some requirements, judges all, and keeps what these say there."""

    def __init__(self, plan: Plan, ids: tuple[str, ...]) -> None:
        super().__init__(plan, ids, share=0)
        self.said: dict[str, set[str]] = {id: set() for id in ids}
        self._families = {id: {e.family for e in REGISTRY[id].exercised_by} for id in ids}

    def noted(self, history: History, judged: dict[str, Judged]) -> None:
        super().noted(history, judged)
        for id, said in self.said.items():
            if history.program["family"] in self._families[id]:
                said |= {j.policy for j in judged[id].judgements if isinstance(j, Observed)}
                said |= {j.seen or NOTHING for j in judged[id].judgements if isinstance(j, Hazard)}


@cache
def watched(server: str | None) -> tuple[dict[str, set[str]], list[str]]:
    """By requirement, what is said of this server (None: the correct one); and all that fails there."""
    ids = tuple(dict.fromkeys(id for id, name, *_ in TABLE if server in (None, name)))
    arguments = () if server is None else ("--defect", server)
    with forked_server(*arguments) as url:
        check = Watching(
            Plan(url, Options(settle_timeout=8.0), Dialect(), seed=1, cracks=1, generated=False, rounds=0), ids
        )
        run(check.run)
    assert check.tally.errors == {}
    return check.said, [r.requirement.id for r in check.outcome().results if r.verdict == "fail"]


def says(said: set[str], pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for text in said)


@pytest.mark.parametrize(("id", "name", "then", "usually"), TABLE)
def test_what_is_left_open_is_reported_as_it_is(id: str, name: str, then: str, usually: str) -> None:
    (correct, failed), (other, failed_otherwise) = watched(None), watched(name)
    assert says(correct[id], usually), correct[id]
    assert not says(correct[id], then), correct[id]
    assert says(other[id], then), other[id]
    assert not says(other[id], usually), other[id]
    assert failed == []
    assert failed_otherwise == [] or not find(name).is_variant


def test_a_target_that_deletes_no_inflight_run_has_nothing_left_open() -> None:
    with forked_server("--defect", "only-the-ended-are-deleted") as url:
        check = Check(Plan(url, Options(only=("delete.*",)).checked(), Dialect(), seed=1, generated=False))
        run(check.run)
    outcome = check.outcome()
    verdicts = {r.requirement.id: (r.verdict, r.why) for r in outcome.results}
    refused = "the target deletes no run that is inflight: it answers 409"
    assert verdicts == {
        "delete.stops-writes": ("pass", ""),  # threads are deleted, with what executes on them
        "delete.thread-settles": ("not-applicable", refused),
        "delete.frees-worker": ("not-applicable", refused),
        "delete.active": (None, ""),
    }
    assert outcome.exit_code == 0


def test_every_policy_and_hazard_is_seen_to_change() -> None:
    assert {id for id, *_ in TABLE} == set(OPEN)
