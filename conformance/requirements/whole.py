"""The whole history: the catch-all that finds what no named requirement foresaw."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.contradiction import contradiction, said
from conformance.displacing import SAID
from conformance.explain import explain
from conformance.facts import Thread
from conformance.observed import observe
from conformance.requirements.base import MUST, Exercised, Judgement, Undecided, Violation, requirement


@requirement(
    "history.explainable",
    MUST,
    "The whole history is legal: some order of the calls, with what the server does by itself in between, gives "
    "every observed answer.",
    source="the model of one thread: S0-S3, relaxed to what is MUST and to the dialect",
    exercised_by=("reject-running", "enqueue-running", "interrupt-running", "rollback-running", "three-runs", "queue"),
    breaks="anything that no order of the calls can bring about: an answer that was right at no instant, a superstep "
    "of a run that had stopped, a state that nobody wrote",
    advice="read the facts in their order: one of these answers must be wrong; the named requirements that fail beside "
    "it say which",
)
def explainable(thread: Thread) -> Iterator[Judgement]:
    """Searches for an order; where there is none, gives the few facts that contradict each other."""
    observed = observe(thread) if any(r.accepted for r in thread.runs.values()) else None
    if observed is None:
        return
    answer = explain(observed)
    if answer.verdict == "explained":
        yield Exercised(overlap=len(thread.runs) > 1)
        return
    if answer.verdict == "gave up":
        yield Undecided(f"the search gave up after {answer.looked} states, at event {answer.event} of {answer.of}")
        return
    why = contradiction(observed)
    known = SAID[thread.facts.displaces]
    legal = f"{why.legal} (seen at this target: {known})" if known else why.legal
    yield Violation(legal, said(why.stuck), why.facts)
