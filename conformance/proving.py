"""A check that also tests the proofs of what it finds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from conformance.config import Plan
from conformance.contradiction import LONG
from conformance.driver import Check
from conformance.facts import Facts
from conformance.history import History
from conformance.programs import Program
from conformance.proof.mutants import weaknesses
from conformance.requirements import REGISTRY
from conformance.requirements.base import MUST, Violation
from conformance.verdicts import EXPLAINABLE, Judged, unexplained

MOST_MUTATED = 4  # violations of one requirement and one form of proof whose mutants are tried
SAFETY = ("reject.", "enqueue.", "interrupt.", "rollback.", "displaced.", "run.")
"""Sections whose rules the model knows too: what one of them rejects, the model rejects."""
OUTSIDE = {
    "reject.code": "the model knows that a create was refused, not with which words",
    "reject.no-effect": "it knows runs and their state: neither the thread's metadata nor what it is called",
    "run.terminal-is-final": "for it a displaced run may be read as ended before it is, and write so long",
}
"""Rules of these sections that the model does not know, and why."""


class ProvingCheck(Check):
    """Every violation is verified by ``judge`` already; of the first of each form, all mutants must be refused."""

    def __init__(self, plan: Plan, focus: Sequence[str] = (), share: float = 1.0) -> None:
        """``share``: how many of the programs that do not exercise a requirement of ``focus`` are executed, too."""
        super().__init__(plan)
        ids = [id for id in focus if id != EXPLAINABLE]  # which every program exercises
        self._focus = {e.family for id in ids for e in self._requirements[id].exercised_by}
        self._share = share
        self._kept: list[tuple[History, str, Violation]] = []
        self._seen: Counter[tuple[str, ...]] = Counter()
        self.unnoticed: dict[str, str] = {}  # requirement -> a history that it rejects, and the model explains
        self.unnamed: list[str] = []  # histories that only the model rejects

    def programs(self) -> list[Program]:
        """All that exercise what is in focus, and a share of the others: another one with another seed."""
        chosen = super().programs()
        dice = {p.name: random.Random(f"{self.plan.seed} {p.name}").random() for p in chosen}
        return [p for p in chosen if p.family in self._focus or dice[p.name] < self._share]

    def noted(self, history: History, judged: dict[str, Judged]) -> None:
        """Keep violations for ``weaknesses``, and hold the named rules against the model."""
        self._compare(history, judged)
        for id, said in judged.items():
            for violation in said.violations:
                form = (id, *(getattr(f.claim, "kind", "prose") for f in violation.proof))
                self._seen[form] += 1
                if self._seen[form] <= MOST_MUTATED:
                    self._kept.append((history, id, violation))

    def _compare(self, history: History, judged: dict[str, Judged]) -> None:
        broken = [id for id, said in judged.items() if said.violations]
        if EXPLAINABLE in broken:
            if len(broken) == 1:
                self.unnamed.append(history.name)
        elif (model := judged.get(EXPLAINABLE)) is not None and model.exercised:
            known = [id for id in broken if id.startswith(SAFETY) and id not in OUTSIDE]
            self.unnoticed.update({id: history.name for id in known if REGISTRY[id].level == MUST})

    def weaknesses(self) -> list[str]:
        """What is accepted of the mutants. Takes seconds: not while the check is running, which it would hold up."""
        return [f"{h.name}: {w}" for h, id, violation in self._kept for w in accepted_mutants(h, id, violation)]


def accepted_mutants(history: History, id: str, violation: Violation) -> Iterator[str]:
    """Proofs that are accepted although they were made wrong in one place, and what was done to them."""
    if id != EXPLAINABLE:
        yield from weaknesses(history, id, violation)
        return
    for i, left_out in enumerate(violation.proof):
        fewer = replace(violation, proof=violation.proof[:i] + violation.proof[i + 1 :])
        if unexplained(Facts(history), fewer, LONG) is None:
            yield f"{id} is accepted without the fact {left_out}"
