"""``explain`` and its references over the same random histories: how often they agree."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.explain import explain
from conformance.model import Model
from conformance.observed import Bound, Create, Observed, Read
from conformance.programs import emit
from conformance.unpruned import reach
from tests.conformance.brute_force import TooMany, explainable
from tests.conformance.random_histories import Shape, corrupted, valid

SHORT = Shape(calls=2, announced=0.5)


@dataclass
class Tally:
    """What came out: how many both explain, how many both call impossible, on which seeds they disagree; how often one
    of the two gave up; the CPU seconds of both."""

    explained: int = 0
    impossible: int = 0
    disagree: list[int] = field(default_factory=list)
    search_gave_up: int = 0
    reference_gave_up: int = 0
    search_s: float = 0.0
    reference_s: float = 0.0

    def count(self, seed: int, search: bool | None, reference: bool | None) -> None:
        """Count one history: whether each calls it explainable, None where it gave up."""
        if search is None or reference is None:
            self.search_gave_up += search is None
            self.reference_gave_up += reference is None
        elif search != reference:
            self.disagree.append(seed)
        elif search:
            self.explained += 1
        else:
            self.impossible += 1

    def __str__(self) -> str:
        return (
            f"{self.explained} explained and {self.impossible} impossible by both, disagreements {self.disagree or 0}, "
            f"search gave up {self.search_gave_up}, reference gave up {self.reference_gave_up}; "
            f"search {self.search_s:.1f} s, reference {self.reference_s:.1f} s"
        )


def history(seed: int, calls: int) -> Observed:
    """One of up to so many calls; every second one is corrupted."""
    rng = random.Random(seed)
    made = valid(rng, rng.randint(1, calls))
    return corrupted(rng, made) if seed % 2 else made


def with_every_order(seeds: Iterable[int], calls: int, limit: int = 50_000) -> Tally:
    """Against the brute force."""
    tally = Tally()
    for seed in seeds:
        made = history(seed, calls)
        answer = _search(tally, made)
        begun = time.process_time()
        try:
            reference: bool | None = explainable(made, limit)
        except TooMany:
            reference = None
        tally.reference_s += time.process_time() - begun
        if seed % 2 == 0 and reference is False:
            raise AssertionError(f"history {seed} was made by the model, and no order explains it")
        tally.count(seed, answer, reference)
    return tally


def with_unpruned(seeds: Iterable[int], calls: int, budget: int) -> Tally:
    """Against the search without prunings."""
    tally = Tally()
    for seed in seeds:
        made = history(seed, calls)
        answer = _search(tally, made)
        begun = time.process_time()
        reached = reach(made, budget)
        tally.reference_s += time.process_time() - begun
        tally.count(seed, answer, (reached.stuck is None) if reached.complete else None)
    return tally


def _search(tally: Tally, made: Observed) -> bool | None:
    begun = time.process_time()
    verdict = explain(made).verdict
    tally.search_s += time.process_time() - begun
    return None if verdict == "gave up" else verdict == "explained"


def adversarial(clients: int) -> Observed:
    """All calls overlap, and no read tells their runs apart: one of them contradicts another in the end."""
    tags = [f"R{i}" for i in range(clients)]
    strategies = ("enqueue", "interrupt", "rollback", "reject")
    model = Model({tag: [emit()] for tag in tags})
    ops: list[Create | Read] = [
        Create(i, 0.0, 10.0 + i, None, tag, strategies[i % len(strategies)]) for i, tag in enumerate(tags)
    ]
    ops += [Read(clients + i, 40.0 + i, 41.0 + i, None, ((tag, "pending"),)) for i, tag in enumerate(tags)]
    bounds = {(tag, 0, True): Bound(50.0, i) for i, tag in enumerate(tags)}
    return Observed(tuple(ops), model, bounds)
