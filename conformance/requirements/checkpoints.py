"""Checkpoints: the head's lineage is one chain without holes, one superstep a link."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from conformance.facts import GONE, Fact, Thread, parse_log, show_log
from conformance.requirements.base import MUST, SHOULD, Exercised, Judgement, Violation, requirement

EXERCISES = ("enqueue-running", "interrupt-running", "rollback-earlier")


@requirement(
    "checkpoint.lineage",
    MUST,
    "From the head back, parents exist without holes; each checkpoint extends its parent by one superstep, "
    "input or state update, and belongs to a surviving run or to an update.",
    source='S2 "the thread reverts to the last checkpoint"',
    exercised_by=EXERCISES,
    breaks="checkpoints are deleted from the middle of the chain, or written on a parent that is not the head",
    advice="delete whole runs from the end of the chain only; write with the head as parent",
)
def lineage(thread: Thread) -> Iterator[Judgement]:
    """Walks from the head to the root."""
    call = thread.history_call
    if call is None or thread.head is None or not thread.settled or not thread.checkpoints:
        return
    if not thread.history_is_whole or any(c["id"] is None for c in thread.checkpoints):
        return
    problem = _hole(thread) or _broken_link(thread) or _of_the_dead(thread)
    if problem is not None:
        expected, fact = problem
        yield Violation(expected, fact.text, (fact,))
    else:
        yield Exercised(overlap=len(thread.runs) > 1)


def _n(thread: Thread) -> tuple[int, ...]:
    return (thread.history_call.n,) if thread.history_call is not None else ()


def _hole(thread: Thread) -> tuple[str, Fact] | None:
    chain = thread.lineage
    assert thread.head is not None
    if not chain:
        fact = Fact(f"the head {thread.head.answer['id']} is not in the history", (*_n(thread), thread.head.n))
        return "the head is the newest checkpoint of the history", fact
    parent = chain[-1]["parent"]
    if parent is not None:
        fact = Fact(
            f"checkpoint {chain[-1]['id']} has the parent {parent}, which the history does not hold",
            _n(thread),
        )
        return "every parent exists", fact
    return None


def _broken_link(thread: Thread) -> tuple[str, Fact] | None:
    chain = thread.lineage
    for child, parent in itertools.pairwise(chain):
        new, old = parse_log(child["log"]), parse_log(parent["log"])
        grown = new[len(old) :]
        if new[: len(old)] == old and len(grown) <= 1 and not _foreign_step(child, grown):
            continue
        text = f"checkpoint {child['id']} has the log {show_log(new)}, its parent {parent['id']} has {show_log(old)}"
        return "each checkpoint extends its parent by one superstep at most", Fact(text, _n(thread))
    return None


def _foreign_step(child: dict[str, Any], grown: list[tuple[str, int]]) -> bool:
    return bool(grown) and child["tag"] is not None and grown[0][0] != child["tag"]


def _of_the_dead(thread: Thread) -> tuple[str, Fact] | None:
    for run in thread.runs.values():
        if run.final is None or run.final.status != GONE:
            continue
        for checkpoint in thread.lineage:
            if checkpoint["tag"] == run.tag or (run.run_id is not None and checkpoint["run"] == run.run_id):
                text = f"checkpoint {checkpoint['id']} in the lineage belongs to {run.tag}, which was deleted"
                return "every checkpoint of the lineage belongs to a surviving run", Fact(
                    text, (*_n(thread), run.final.call.n)
                )
    return None


@requirement(
    "checkpoint.one-chain",
    SHOULD,
    "The history has no forks that no client made.",
    source='S2 "two concurrent runs that both read checkpoint C and then write back"',
    exercised_by=EXERCISES,
    breaks="a displaced run and its successor both write on the same parent",
    advice="refuse a checkpoint whose parent has a child already, unless the client asked for a fork",
)
def one_chain(thread: Thread) -> Iterator[Judgement]:
    """Looks for two checkpoints with one parent."""
    if thread.history_call is None or not thread.settled or not thread.checkpoints:
        return
    children: dict[str | None, dict[str, Any]] = {}
    ids = {c["id"] for c in thread.checkpoints}
    for checkpoint in thread.checkpoints:
        parent = checkpoint["parent"]
        other = children.get(parent)
        if other is not None and (parent is None or parent in ids):
            text = (
                f"checkpoints {checkpoint['id']} ({show_log(parse_log(checkpoint['log']))}) and {other['id']} "
                f"({show_log(parse_log(other['log']))}) have the same parent {parent}"
            )
            fact = Fact(text, _n(thread))
            yield Violation("every checkpoint has one child at most", text, (fact,))
            return
        children[parent] = checkpoint
    yield Exercised(overlap=len(thread.runs) > 1)
