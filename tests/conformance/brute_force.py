"""Every order of the operations of a history: what ``explain`` is held against. Short, slow, and its own code.

An order is valid when every operation can take effect after those before it: ``lo`` of each is not after
``hi`` of any that follows. An operation may wait until the earliest ``hi`` of those that are still to come,
and so may the hidden actions before it: by that instant their bounds must have passed.

All orders of the same operations leave the same ones to come, so the states after them are kept together.
"""

from __future__ import annotations

from conformance.explain import holds
from conformance.facts import NEVER
from conformance.model import State
from conformance.observed import Effect, Observed


class TooMany(Exception):
    """More states than the limit."""


def explainable(observed: Observed, limit: int = 50_000) -> bool:
    """Whether any order gives every observed answer; raises TooMany."""
    ops, steps = observed.ops, _Steps(observed)
    layer: dict[frozenset[int], set[State]] = {frozenset(): {observed.model.initial}}
    needed = frozenset(i for i, op in enumerate(ops) if op.hi != NEVER)
    looked = 0
    while layer:
        following: dict[frozenset[int], set[State]] = {}
        for done, states in layer.items():
            if needed <= done:
                return True
            until = min(ops[i].hi for i in needed - done)
            reached = steps.hidden(states, until, limit)
            looked += len(reached)
            if looked > limit:
                raise TooMany
            for i, op in enumerate(ops):
                if i in done or op.lo > until or (op.after is not None and op.after not in done):
                    continue
                after = {s for state in reached for s in steps.taken(state, i)}
                if after:
                    following.setdefault(done | {i}, set()).update(after)
        layer = following
    return False


class _Steps:
    """What follows a state: worked out once, since the same states come in many orders."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self._moves: dict[tuple[State, int], list[State]] = {}
        self._taken: dict[tuple[State, int], list[State]] = {}

    def hidden(self, states: set[State], until: float, limit: int) -> set[State]:
        """Everything that hidden actions can make of these states by then."""
        passed = sum(bound.at <= until for bound in self.observed.bounds.values())
        reached, todo = set(states), list(states)
        while todo:
            key = (todo.pop(), passed)
            if key not in self._moves:
                moves = self.observed.model.hidden(key[0], self.observed.ready(until))
                self._moves[key] = [move.state for move in moves]
            for state in self._moves[key]:
                if state not in reached:
                    reached.add(state)
                    todo.append(state)
            if len(reached) > limit:
                raise TooMany
        return reached

    def taken(self, state: State, i: int) -> list[State]:
        """The states after an operation: none where it does not fit."""
        if (state, i) not in self._taken:
            op = self.observed.ops[i]
            if isinstance(op, Effect):
                self._taken[state, i] = list(op.apply(self.observed.model, state, self.observed.held(op)))
            else:
                self._taken[state, i] = [state] if holds(self.observed.model, state, op) else []
        return self._taken[state, i]
