"""The search of ``explain`` without anything that makes it fast: the reference that it is tested against, and
the one that explains a failure, since it knows nothing of what comes later.

It decides nothing early and leaves nothing out: at every instant at which an operation must have taken
effect, every pending operation and every hidden action may come next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.explain import holds
from conformance.foresight import Event, timeline
from conformance.model import State
from conformance.observed import AnyOp, Effect, Observed

Config = tuple[State, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the history can be explained. ``stuck``: the first operation that cannot, None if all can;
    ``states``: the legal states of the thread just before it; ``complete``: nothing was left out for the budget."""

    stuck: int | None
    states: tuple[State, ...]
    complete: bool


def reach(observed: Observed, budget: int = 100_000) -> Reach:
    """Follow all legal configurations at once, from event to event, as far as there are any."""
    configs: set[Config] = {(observed.model.initial, frozenset())}
    pending: list[int] = []
    for event in timeline(observed.ops):
        if not event.received:
            pending.append(event.op)
            continue
        closed = _closure(observed, configs, pending, event, budget)
        if closed is None:
            return Reach(event.op, (), False)
        after = {(state, done - {event.op}) for state, done in closed if event.op in done}
        if not after:
            return Reach(event.op, tuple({state for state, _ in closed}), True)
        configs = after
        pending.remove(event.op)
    return Reach(None, (), True)


def _closure(
    observed: Observed, configs: set[Config], pending: list[int], event: Event, budget: int
) -> set[Config] | None:
    """Everything that can have come about by the event; None where that is more than the budget."""
    seen, todo = set(configs), list(configs)
    while todo:
        for config in _next(observed, *todo.pop(), pending, event.at):
            if config not in seen:
                seen.add(config)
                todo.append(config)
        if len(seen) > budget:
            return None
    return seen


def _next(observed: Observed, state: State, done: frozenset[int], pending: list[int], now: float) -> Iterator[Config]:
    for i in pending:
        op = observed.ops[i]
        if i not in done and (op.after is None or op.after in done or op.after not in pending):
            for after in effects(observed, state, op):
                yield after, done | {i}

    for move in observed.model.hidden(state, observed.ready(now)):
        yield move.state, done


def effects(observed: Observed, state: State, op: AnyOp) -> list[State]:
    """The legal states after the operation: none where it does not fit."""
    if isinstance(op, Effect):
        return list(op.apply(observed.model, state, observed.held(op)))
    return [state] if holds(observed.model, state, op) else []
