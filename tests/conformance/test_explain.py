"""``explain`` against every order of the operations, and against the search without prunings; and contradictions."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.contradiction import contradiction, minimal, verify
from conformance.explain import Search, holds
from conformance.facts import Facts
from conformance.history import History
from conformance.known import known
from conformance.model import Model, State
from conformance.observed import Cancel, Create, Effect, Observed, Read, Refusal, Settled, observe
from conformance.programs import emit
from conformance.unpruned import reach
from tests.conformance import agreement
from tests.conformance.brute_force import explainable
from tests.conformance.random_histories import CORRUPTIONS, Shape, Walk, corrupted, valid

BURSTS = Path(__file__).parent / "bursts"


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_every_order(seed: int) -> None:
    tally = agreement.with_every_order(range(seed * 60, seed * 60 + 60), calls=4, limit=3000)
    assert not tally.disagree
    assert tally.explained > 20
    assert tally.impossible > 1


def test_what_was_forgotten_in_another_order_says_nothing() -> None:
    """A read of a run that was there only in an order that had been tried before once passed."""
    tally = agreement.with_every_order([1_001_917], calls=10)
    assert (tally.impossible, tally.disagree) == (1, [])


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_search_without_prunings(seed: int) -> None:
    tally = agreement.with_unpruned(range(seed * 15, seed * 15 + 15), calls=8, budget=1500)
    assert not tally.disagree
    assert tally.explained + tally.impossible > 2


@pytest.mark.parametrize("seed", range(25))
def test_what_the_model_does_is_explained(seed: int) -> None:
    """Longer ones than every order can be tried of."""
    answer = Search(valid(random.Random(seed), 14), 5_000).run()
    assert answer.verdict != "impossible"


def test_every_corruption_makes_something_impossible() -> None:
    """None of them is a corruption in name only."""
    for corruption in CORRUPTIONS:
        rng = random.Random(7)
        histories = (corruption(rng, valid(rng, 6)) for _ in range(80))
        assert any(Search(h).run().verdict == "impossible" for h in histories if h is not None), corruption.__name__


@pytest.mark.parametrize("seed", range(25))
def test_every_order_is_every_permutation(seed: int) -> None:
    """The enumeration itself, against the definition: all permutations of very short histories."""
    rng = random.Random(seed)
    history = Walk(rng, replace(agreement.SHORT, lost=0.0)).walk()
    history = corrupted(rng, history) if seed % 2 else history
    if len(history.ops) > 6:
        history = history.only(range(6), history.bounds)
    assert explainable(history) == any(
        _fits(history, order) for order in itertools.permutations(range(len(history.ops)))
    )


def _fits(history: Observed, order: tuple[int, ...]) -> bool:
    states: set[State] = {history.model.initial}
    for at, i in enumerate(order):
        op, until = history.ops[i], min(history.ops[n].hi for n in order[at:])
        if op.lo > until or (op.after is not None and op.after in order[at:]):
            return False
        reached, todo = set(states), list(states)
        while todo:
            for move in history.model.hidden(todo.pop(), history.ready(until)):
                if move.state not in reached:
                    reached.add(move.state)
                    todo.append(move.state)
        if isinstance(op, Effect):
            states = {after for s in reached for after in op.apply(history.model, s, history.held(op))}
        else:
            states = {s for s in reached if holds(history.model, s, op)}
    return bool(states)


# --- what the end tells -------------------------------------------------------------------------------------------


def test_a_displacement_that_is_shown_too_early_is_no_fate() -> None:
    model = Model({"A": [emit()], "B": [emit()]})
    creates = (Create(0, 0, 1, None, "A", "enqueue"), Create(1, 2, 3, None, "B", "rollback"))
    early = Read(2, 4, 5, None, (("A", "interrupted"),))
    assert known(Observed((*creates, early), model, {})).fate == {}
    final = Read(3, 6, 7, None, (("A", "gone"),), True)
    assert known(Observed((*creates, early, final), model, {})).fate == {"A": "gone"}


def test_the_last_displacer_is_displaced_by_nobody() -> None:
    """Ten creates at once, of which each displacing one is itself displaced by the other kind: no order to be tried."""
    tags = [f"B{i}" for i in range(10)]
    model = Model({tag: [emit()] for tag in tags})
    strategies = itertools.cycle(("enqueue", "interrupt", "rollback"))
    creates = [Create(i, 0, 1, None, tag, s) for i, (tag, s) in enumerate(zip(tags, strategies, strict=False))]
    fates = {"enqueue": "interrupted", "interrupt": "gone", "rollback": "interrupted"}
    reads = [Read(10 + c.n, 2 + c.n, 3 + c.n, None, ((c.tag, fates[c.strategy or ""]),), True) for c in creates]
    answer = Search(Observed((*creates, *reads), model, {})).run()
    assert (answer.verdict, answer.looked) == ("impossible", 0)
    few = [op for op in (*creates, *reads) if op.n % 10 < 6 and op is not reads[5]]
    assert Search(Observed(tuple(few), model, {})).run().verdict == "explained"


def test_the_budget_is_kept() -> None:
    """Sixteen clients, all overlapping, and nothing that tells their runs apart."""
    answer = Search(agreement.adversarial(16), budget=500).run()
    assert answer.verdict == "explained" or (answer.verdict == "gave up" and answer.looked == 501)


# --- contradictions ---------------------------------------------------------------------------------------------


def impossible_ones(count: int) -> list[Observed]:
    found = []
    for seed in itertools.count():
        rng = random.Random(seed)
        history = corrupted(rng, Walk(rng, Shape(rng.randint(2, 4), lost=0.0, deletes=False, steps=2)).walk())
        if Search(history).run().verdict == "impossible":
            found.append(history)
            if len(found) == count:
                return found
    raise AssertionError


@pytest.mark.parametrize("history", impossible_ones(12), ids=lambda _: "")
def test_contradictions_are_minimal_and_verified(history: Observed) -> None:
    said = contradiction(history)
    if said is None:
        assert not reach(minimal(history)).complete, "it was small enough to be told"
        return
    assert said.legal
    assert said.stuck in said.core.ops
    assert verify(history, said.facts) is None
    for i in range(len(said.facts)):
        assert verify(history, said.facts[:i] + said.facts[i + 1 :]) is not None
    checks = [i for i, op in enumerate(said.core.ops) if not isinstance(op, Effect)]
    everything = set(range(len(said.core.ops)))
    fewer = [said.core.only(everything - {i}, said.core.bounds) for i in checks]
    fewer += [said.core.only(everything, {k for k in said.core.bounds if k != key}) for key in said.core.bounds]
    for less in fewer:
        reached = reach(less)
        assert reached.stuck is None or not reached.complete


def test_a_contradiction_says_what_would_have_been_legal() -> None:
    model = Model({"A": [emit()], "B": [emit()]})
    ops = (Create(0, 0, 1, None, "A", "reject"), Refusal(1, 2, 3, None, "B", "reject"))
    unexplained = (ops[0], Read(2, 1.2, 1.5, None, (("A", "success"),)), ops[1])
    said = contradiction(Observed(unexplained, model, {}))
    assert said is not None
    assert said.legal == "create B (reject) is accepted: no run is inflight"
    assert [fact.cites for fact in said.facts] == [(0,), (2,), (1,)]
    assert Search(Observed(ops, model, {})).run().verdict == "explained"


def test_a_settled_state_that_lost_an_entry() -> None:
    history = next(h for s in itertools.count() if _has_log(h := valid(random.Random(s), 4)))
    settled = next(op for op in history.ops if isinstance(op, Settled))
    other = replace(settled, found=settled.found._replace(counter=settled.found.counter + 1))
    ops = tuple(other if op is settled else op for op in history.ops)
    said = contradiction(replace(history, ops=ops))
    assert said is not None
    assert "the settled state is log" in said.legal


def _has_log(history: Observed) -> bool:
    return any(isinstance(op, Settled) and op.log for op in history.ops) and not any(
        isinstance(op, Cancel) for op in history.ops
    )


@pytest.mark.parametrize("path", sorted(BURSTS.glob("*.jsonl")), ids=lambda p: p.stem)
def test_bursts_on_a_slow_machine_are_decided(path: Path) -> None:
    """Ten creates at once, answered one by one with random delays: once tens of thousands of states."""
    (thread,) = Facts(History.load(path)).threads.values()
    observed = observe(thread)
    assert observed is not None
    answer = Search(observed, budget=3_000).run()
    assert answer.verdict == "explained"
