"""Checks of graphs that are no probe: which requirements they exercise, and how often runs met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conformance.facts import Facts
from conformance.facts.reads import met_fact, stopped
from conformance.history import History
from conformance.requirements import Requirement

MEETING = ("graph-reject", "graph-enqueue", "graph-interrupt", "graph-rollback", "graph-queue", "graph-default")
"""The families of programs in which a second run is to meet a first one."""
DISPLACING = ("graph-interrupt", "graph-rollback")

NO_PROBE = "the assistant is no probe: it cannot be told from statuses, codes and order alone"
IN_PART = "the assistant is no probe: by statuses, codes and order alone it can be seen to fail, not to hold"
NEVER_MET = "The graph was through before a second run came: give it more to do, by --input or a model that is slow"
OWN_END = (
    "Where runs met, the first one came to its own end all the same, which is legal: give it more supersteps. "
    "If it always does, only the probe can tell whether anybody stops it"
)


def without_probe(requirements: Mapping[str, Requirement]) -> dict[str, Requirement]:
    """The requirements as they are exercised on graphs that are no probe."""
    return {
        id: replace(r, exercised_by=r.by_reads.exercised_by if r.by_reads is not None else ())
        for id, r in requirements.items()
    }


def overlap_achieved(history: History) -> bool:
    """Whether a run was certainly inflight while another one of its thread was created: by reads, or by its end."""
    for thread in Facts(history).threads.values():
        runs = list(thread.runs.values())
        if any(stopped(r) for r in runs) or any(met_fact(x, y.create) for x in runs for y in runs if x is not y):
            return True
    return False


def overlaps_in_words(family: str, met: int, trials: int) -> str:
    """How often runs met in the trials of a family, and what to do where that, or what came of it, was too little."""
    said = f"Overlap achieved in {met} of {trials} trials"
    if 2 * met < trials:
        return f"{said}. {NEVER_MET}"
    return f"{said}. {OWN_END}" if family in DISPLACING else said
