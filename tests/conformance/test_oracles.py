"""Every oracle on histories made by hand: one that is legal, one that breaks exactly that rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.requirements.base import Exercised, Hazard, Observed, Violation
from conformance.verdicts import judge
from tests.conformance.making import Making, checkpoint

GATED = [{"op": "emit", "gate": "g"}, {"op": "emit"}]
ONE = [{"op": "emit"}]


def held(m: Making | None = None) -> Making:
    """A is accepted at 1 ms and inside gate g from 5 ms."""
    m = m or Making()
    return m.create("A", "enqueue", 0, 1, steps=GATED).enter("A", 0, 5, gate="g", last_input="A")


def ends_well(m: Making, at: float = 100, log: tuple[str, ...] = ("A:0", "A:1")) -> Making:
    """A leaves its gate, executes to its end and is read as success."""
    m.told("leave", "A", 0, at + 1, gate_opened=True).enter("A", 1, at + 2, ["A:0"], last_input="A")
    m.told("leave", "A", 1, at + 3).settled(at + 10).read("A", "success", at + 20, "final")
    return m.state(list(log), at + 30)


def said(m: Making, id: str) -> tuple[list[Violation], int]:
    judged = judge(m.history(), [id])[id]
    assert judged.error is None
    return judged.violations, sum(isinstance(j, Exercised) for j in judged.judgements)


# --- reject ---------------------------------------------------------------------------------------


def rejecting(status: int = 409, opened: float = 50, answer: object = None) -> Making:
    """B is created with reject while A is held; D, afterwards, is the control."""
    m = held().create("B", "reject", 10, 12, status, ONE, answer).open("g", opened)
    ends_well(m).create("D", "reject", 200, 201, steps=ONE)
    return m


def test_a_refused_reject_is_legal() -> None:
    assert said(rejecting(), "reject.conflict") == ([], 1)
    assert said(rejecting(), "reject.code") == ([], 1)


@pytest.mark.parametrize("status", [200, 500, 404, 401])
def test_reject_while_inflight_must_be_refused(status: int) -> None:
    violations, exercised = said(rejecting(status), "reject.conflict")
    assert len(violations) == 1
    assert exercised == 0
    assert "A was inflight while create B took effect" in str(violations[0].proof[0])


def test_nothing_is_proven_when_the_gate_was_open_before_the_answer() -> None:
    assert said(rejecting(200, opened=11), "reject.conflict") == ([], 0)


def test_overload_is_neither_a_refusal_nor_a_violation() -> None:
    assert said(rejecting(503), "reject.conflict") == ([], 0)
    assert said(rejecting(429), "reject.conflict") == ([], 0)


def test_a_refusal_counts_only_with_a_control() -> None:
    m = held().create("B", "reject", 10, 12, 409, ONE).open("g", 50)
    assert said(ends_well(m), "reject.conflict") == ([], 0)


def test_another_code_is_only_a_matter_of_code() -> None:
    assert said(rejecting(422), "reject.conflict") == ([], 1)
    assert len(said(rejecting(422), "reject.code")[0]) == 1
    m = rejecting(422)
    m.dialect["refusal_code"] = 422
    assert said(m, "reject.code") == ([], 1)


def test_a_refusal_must_say_why() -> None:
    assert len(said(rejecting(answer={}), "reject.code")[0]) == 1


def test_a_refused_run_that_is_listed_is_a_phantom() -> None:
    violations, _ = said(rejecting().lists(300, B="pending"), "reject.no-effect")
    assert ["listed" in v.observed for v in violations] == [True]


def burst(*statuses: int, opened: float = 50) -> Making:
    m = Making()
    for i, status in enumerate(statuses):
        m.create(f"B{i}", "reject", 1, 5 + i, status, GATED, group="burst")
    return m.open("g", opened)


@pytest.mark.parametrize(
    ("statuses", "violated", "exercised"),
    [((200, 409, 409), 0, 1), ((200, 200, 409), 1, 0), ((409, 409), 1, 0), ((200, 500), 1, 0), ((200, 503), 0, 0)],
)
def test_one_winner(statuses: tuple[int, ...], violated: int, exercised: int) -> None:
    violations, n = said(burst(*statuses), "reject.one-winner")
    assert (len(violations), n) == (violated, exercised)


def test_two_winners_prove_nothing_if_the_first_may_have_ended_before_the_second_came() -> None:
    assert said(burst(200, 200, opened=3), "reject.one-winner") == ([], 0)


def test_reopens() -> None:
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).read("A", "success", 5)
    assert said(m.create("B", "reject", 10, 11, 200), "reject.reopens") == ([], 1)
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).read("A", "success", 5)
    assert len(said(m.create("B", "reject", 10, 11, 409), "reject.reopens")[0]) == 1
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).read("A", "running", 5)
    assert said(m.create("B", "reject", 10, 11, 409), "reject.reopens") == ([], 0)


# --- enqueue --------------------------------------------------------------------------------------


def queued(status: int = 200, fate: str | None = "success", log: tuple[str, ...] = ("A:0", "A:1", "B:0")) -> Making:
    """B is enqueued while A is held, and executes after it."""
    m = held().create("B", "enqueue", 10, 12, status, ONE).open("g", 50)
    m.told("leave", "A", 0, 51, gate_opened=True).enter("A", 1, 52, ["A:0"], last_input="A").told("leave", "A", 1, 53)
    m.enter("B", 0, 60, ["A:0", "A:1"], last_input="B").told("leave", "B", 0, 61).settled(70)
    return m.read("A", fate, 80, "final").read("B", "success", 81, "final").state(list(log), 90)


ENQUEUE = ("accepted", "first-completes", "separate-run", "conserves-input")


@pytest.mark.parametrize("name", ENQUEUE)
def test_a_legal_queue(name: str) -> None:
    violations, exercised = said(queued(), f"enqueue.{name}")
    assert violations == []
    assert exercised >= 1


@pytest.mark.parametrize(
    ("id", "m"),
    [
        ("enqueue.accepted", queued(409)),
        ("enqueue.accepted", queued(500)),
        ("enqueue.first-completes", queued(fate="interrupted")),
        ("enqueue.first-completes", queued(fate=None)),
        ("enqueue.first-completes", queued(log=("A:0", "B:0"))),
        ("enqueue.separate-run", queued(log=("B:0", "A:0", "A:1"))),
        ("enqueue.conserves-input", queued(log=("A:0", "A:1"))),
        ("enqueue.conserves-input", queued(log=("A:0", "A:1", "B:0", "B:0"))),
        ("thread.no-lost-update", queued(log=("B:0",))),
        ("thread.no-lost-update", queued(log=("A:0", "B:0", "A:1"))),
    ],
)
def test_broken_queues(id: str, m: Making) -> None:
    assert len(said(m, id)[0]) == 1


def test_one_at_a_time_is_proven_by_the_gate() -> None:
    m = held().create("B", "enqueue", 10, 12, steps=ONE).enter("B", 0, 20).open("g", 50)
    violations, _ = said(m, "thread.one-at-a-time")
    assert len(violations) == 1
    assert "while A was held at its gate" in violations[0].observed


def test_one_at_a_time_is_proven_by_one_clock_and_by_no_two() -> None:
    def overlapping(clock: str) -> Making:
        m = Making().create("A", "enqueue", 0, 1, steps=ONE).create("B", "enqueue", 0, 1, steps=ONE)
        return m.enter("A", 0, 5).enter("B", 0, 6, clock=clock).told("leave", "A", 0, 7)

    assert len(said(overlapping("k"), "thread.one-at-a-time")[0]) == 1
    assert said(overlapping("other"), "thread.one-at-a-time")[0] == []


def test_a_displaced_run_may_still_execute_beside_its_successor() -> None:
    m = held().create("B", "interrupt", 10, 12, steps=ONE).enter("B", 0, 20).open("g", 50)
    assert said(m, "thread.one-at-a-time")[0] == []


def test_fifo() -> None:
    def order(*log: str) -> Making:
        m = held().create("X", "enqueue", 10, 11, steps=ONE).create("Y", "enqueue", 12, 13, steps=ONE)
        m.lists(15, A="running", X="pending", Y="pending")
        return ends_well(m.open("g", 50), log=("A:0", "A:1", *log))

    assert said(order("X:0", "Y:0"), "enqueue.fifo") == ([], 1)
    assert len(said(order("Y:0", "X:0"), "enqueue.fifo")[0]) == 1


def test_simultaneous_creates_may_execute_in_any_order() -> None:
    m = held().create("X", "enqueue", 10, 13, steps=ONE).create("Y", "enqueue", 11, 12, steps=ONE)
    m = ends_well(m.open("g", 50), log=("A:0", "A:1", "Y:0", "X:0"))
    assert said(m, "enqueue.fifo")[0] == []


# --- interrupt and rollback -----------------------------------------------------------------------

THREE = [{"op": "emit"}, {"op": "emit", "gate": "g"}, {"op": "emit"}]


def displaced(
    kind: str, fate: str | None, log: tuple[str, ...], found: tuple[str, ...], went_on: bool = False
) -> Making:
    """A has completed superstep 0 and is held in 1; B displaces it."""
    m = Making().create("A", "enqueue", 0, 1, steps=THREE).enter("A", 0, 3, last_input="A")
    m.told("leave", "A", 0, 4).enter("A", 1, 5, ["A:0"], gate="g", last_input="A")
    m.create("B", kind, 10, 12, steps=ONE).stop_waited("A", 2100).open("g", 2200)
    if went_on:
        m.told("leave", "A", 1, 2201, gate_opened=True).enter("A", 2, 2202, ["A:0", "A:1"], last_input="A")
    m.enter("B", 0, 2300, list(found), last_input="B").told("leave", "B", 0, 2301).settled(2400)
    m.lists(2500, "final", B="success").read("A", fate, 2510, "final").read("B", "success", 2511, "final")
    return m.state(list(log), 2520)


INTERRUPTED = ("interrupt", "interrupted", ("A:0", "B:0"), ("A:0",))
ROLLED_BACK = ("rollback", None, ("B:0",), ())


@pytest.mark.parametrize("id", ["accepted", "status", "keeps-progress", "builds-on", "no-injection"])
def test_a_legal_interrupt(id: str) -> None:
    assert said(displaced(*INTERRUPTED), f"interrupt.{id}") == ([], 1)


@pytest.mark.parametrize("id", ["rollback.accepted", "rollback.deleted", "rollback.reverts"])
def test_a_legal_rollback(id: str) -> None:
    assert said(displaced(*ROLLED_BACK), id) == ([], 1)


@pytest.mark.parametrize(
    ("id", "m"),
    [
        ("interrupt.status", displaced("interrupt", "success", ("A:0", "B:0"), ("A:0",))),
        ("interrupt.status", displaced("interrupt", None, ("A:0", "B:0"), ("A:0",))),
        ("interrupt.keeps-progress", displaced("interrupt", "interrupted", ("B:0",), ())),
        ("interrupt.builds-on", displaced("interrupt", "interrupted", ("A:0", "B:0"), ())),
        ("interrupt.builds-on", displaced("interrupt", "interrupted", ("A:0", "B:0", "A:1"), ("A:0",))),
        ("rollback.deleted", displaced("rollback", "interrupted", ("B:0",), ())),
        ("rollback.reverts", displaced("rollback", None, ("A:0", "B:0"), ("A:0",))),
        ("rollback.reverts", displaced("rollback", None, ("B:0", "A:0"), ())),
        ("displaced.stops", displaced(*INTERRUPTED, went_on=True)),
        ("displaced.stops", displaced(*ROLLED_BACK, went_on=True)),
    ],
)
def test_broken_displacements(id: str, m: Making) -> None:
    violations, _ = said(m, id)
    assert len(violations) == 1
    assert all(fact.cites for fact in violations[0].proof)


def test_the_last_superstep_may_be_kept_or_not() -> None:
    for log, found in [(("A:0", "B:0"), ("A:0",)), (("A:0", "A:1", "B:0"), ("A:0", "A:1"))]:
        m = displaced("interrupt", "interrupted", log, found)
        assert said(m, "interrupt.keeps-progress") == ([], 1)
        assert said(m, "interrupt.builds-on") == ([], 1)


def test_a_run_that_two_kinds_of_calls_displaced_may_end_either_way() -> None:
    m = displaced(*INTERRUPTED)
    m.create("C", "rollback", 20, 21)
    assert said(m, "interrupt.status") == ([], 0)


def test_injection_is_seen_from_inside() -> None:
    m = displaced(*INTERRUPTED)
    m.enter("A", 2, 2600, ["A:0"], last_input="B")
    assert len(said(m, "interrupt.no-injection")[0]) == 1


def test_orphans_and_lineage() -> None:
    root, own = checkpoint("c0", None, [], "B"), checkpoint("head", "c0", ["B:0"], "B")
    clean = displaced(*ROLLED_BACK).checkpoints(own, root, at=2530)
    assert said(clean, "rollback.lineage") == ([], 1)
    assert said(clean, "rollback.no-orphans") == ([], 1)
    orphan = checkpoint("x", "c0", ["A:0"], "A")
    beside = displaced(*ROLLED_BACK).checkpoints(own, orphan, root, at=2530)
    assert said(beside, "rollback.lineage") == ([], 1)
    assert len(said(beside, "rollback.no-orphans")[0]) == 1
    under = displaced(*ROLLED_BACK).checkpoints(checkpoint("head", "x", ["B:0"], "B"), orphan, root, at=2530)
    assert len(said(under, "rollback.lineage")[0]) == 1


# --- runs, threads, checkpoints -------------------------------------------------------------------


def test_terminal_is_final() -> None:
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).read("A", "success", 5)
    assert said(m.read("A", "success", 10), "run.terminal-is-final") == ([], 1)
    assert len(said(m.read("A", "interrupted", 20), "run.terminal-is-final")[0]) == 1


def test_concurrent_reads_prove_no_flip() -> None:
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).read("A", "success", 5)
    assert said(m.read("A", "running", 5.5), "run.terminal-is-final")[0] == []


def test_a_deleted_run_never_comes_back() -> None:
    m = displaced(*ROLLED_BACK)
    assert len(said(m.read("A", "interrupted", 3000), "run.terminal-is-final")[0]) == 1


def test_a_write_after_the_successor_began() -> None:
    m = displaced(*INTERRUPTED)
    late = Making()
    late.records = [r for r in m.records if getattr(r, "key", None) != "g"]
    late.records = [type(r)(**{**{f: getattr(r, f) for f in r.__slots__}, "n": i}) for i, r in enumerate(late.records)]
    late.open("g", 2350).checkpoints(checkpoint("z", "c", ["A:0", "A:1"], "A"), at=2600)
    violations, _ = said(late, "run.terminal-is-final")
    assert ["it wrote superstep 1" in v.observed for v in violations] == [True]


def test_statuses() -> None:
    m = Making().create("A", "enqueue", 0, 1, steps=ONE)
    assert len(said(m.read("A", "cancelled", 5), "run.status-legal")[0]) == 1
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).read("A", "running", 5)
    assert len(said(m.read("A", "pending", 10), "run.status-legal")[0]) == 1


def test_success_only_at_the_end() -> None:
    m = held().read("A", "success", 20).open("g", 50)
    assert len(said(m, "run.status-truthful")[0]) == 1
    m = held().open("g", 50).read("A", "success", 60)
    assert len(said(m, "run.status-truthful")[0]) == 1
    assert said(ends_well(held().open("g", 50)), "run.status-truthful") == ([], 1)


def test_error_for_a_node_that_raised() -> None:
    def raising(status: str) -> Making:
        m = Making().create("A", "enqueue", 0, 1, steps=[{"op": "fail"}]).enter("A", 0, 5).told("raise", "A", 0, 6)
        return m.read("A", status, 20, "final")

    assert said(raising("error"), "run.status-truthful") == ([], 1)
    assert len(said(raising("success"), "run.status-truthful")[0]) == 1


def test_settles_is_judged_only_after_the_whole_deadline() -> None:
    def ending(waited: float) -> Making:
        m = Making().create("A", "enqueue", 0, 1, steps=ONE).lists(5, "settle", A="running")
        return m.settled(100, settled=False, waited=waited, unsettled=("A",))

    assert len(said(ending(20.0), "thread.settles")[0]) == 1
    assert said(ending(2.0), "thread.settles") == ([], 0)


@pytest.mark.parametrize(
    ("id", "chain"),
    [
        ("checkpoint.lineage", [("head", "b", ["A:0"]), ("a", None, [])]),
        ("checkpoint.lineage", [("head", "a", ["A:0", "A:1"]), ("a", None, [])]),
        ("checkpoint.one-chain", [("head", "a", ["A:0"]), ("f", "a", ["A:0"]), ("a", None, [])]),
    ],
)
def test_broken_chains(id: str, chain: list[tuple[str, str | None, list[str]]]) -> None:
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).settled(10).state(["A:0"], 20)
    m.checkpoints(*(checkpoint(c, p, log, "A") for c, p, log in chain), at=30)
    assert len(said(m, id)[0]) == 1


def test_a_whole_chain() -> None:
    m = Making().create("A", "enqueue", 0, 1, steps=ONE).settled(10).state(["A:0"], 20)
    m.checkpoints(checkpoint("head", "a", ["A:0"], "A"), checkpoint("a", None, [], "A"), at=30)
    assert said(m, "checkpoint.lineage") == ([], 1)
    assert said(m, "checkpoint.one-chain") == ([], 1)


def test_create_returns() -> None:
    m = Making().create("A", "enqueue", 0, 5000, steps=GATED).enter("A", 0, 5, gate="g").open("g", 4000)
    assert len(said(m, "create.returns")[0]) == 1
    assert said(held().open("g", 4000), "create.returns") == ([], 1)


# --- policies and hazards -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fate", "policy"),
    [
        (409, "success", "reject"),
        (200, "success", "enqueue"),
        (200, "interrupted", "interrupt"),
        (200, None, "rollback"),
    ],
)
def test_default_strategy(status: int, fate: str | None, policy: str) -> None:
    m = held().create("B", None, 10, 12, status, ONE).open("g", 50).settled(60).read("A", fate, 70, "final")
    judged = judge(m.history(), ["default.strategy"])["default.strategy"].judgements
    assert [j.policy for j in judged if isinstance(j, Observed)] == [policy]


def test_work_beside_the_successor_is_a_hazard() -> None:
    m = displaced(*INTERRUPTED)
    id = "thread.work-stops"
    assert judge(m.history(), [id])[id].judgements == (Hazard(None),)
    m.told("effect", "A", 1, 2302, name="pay", t=2302)
    (hazard,) = judge(m.history(), [id])[id].judgements
    assert isinstance(hazard, Hazard)
    assert "pay" in str(hazard.seen)


# --- what a lost answer may mean ------------------------------------------------------------------

MAKERS: list[Callable[[], Making]] = [
    lambda: (
        held().create("B", "interrupt", 10, None, None, ONE).open("g", 50).settled(60).read("A", "success", 70, "final")
    ),
    lambda: (
        held().create("B", "reject", 10, None, None, ONE).open("g", 50).settled(60).read("A", "success", 70, "final")
    ),
    lambda: held().create("B", "rollback", 10, 30, 504, ONE).open("g", 50).settled(60).read("A", None, 70, "final"),
    lambda: held().create("B", "enqueue", 10, 30, 502, ONE).open("g", 50).settled(60).read("A", "success", 70, "final"),
]


@pytest.mark.parametrize("make", MAKERS)
def test_a_lost_answer_alone_is_never_a_failure(make: Callable[[], Making]) -> None:
    judged = judge(ends_well(make()).history())
    violated = {id for id, j in judged.items() if j.violations} - {"run.terminal-is-final", "run.status-truthful"}
    assert violated == set()
