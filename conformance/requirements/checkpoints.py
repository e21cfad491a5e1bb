"""Checkpoints: the head's lineage is one chain without holes, one superstep a link."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from conformance.facts import GONE, Fact, Run, Thread, fact, parse_log
from conformance.facts.words import BY_CLIENTS
from conformance.requirements.base import MUST, SHOULD, Exercised, Judgement, Violation, requirement, without_history

OF_RUNS = ("input", "loop")  # sources of checkpoints that runs write
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
    yield from without_history(thread, whole=True)
    call = thread.history_call
    if call is None or thread.head is None or not thread.settled or not thread.checkpoints:
        return
    if not thread.history_is_whole or any(c["id"] is None for c in thread.checkpoints):
        return
    problem = _hole(thread) or _broken_link(thread) or _of_the_dead(thread)
    if problem is not None:
        expected, *facts = problem
        yield Violation(expected, facts[-1].text, (thread.settled_fact(), *facts))
    else:
        yield Exercised(overlap=len(thread.runs) > 1)


def _read(thread: Thread) -> tuple[int, ...]:
    assert thread.history_call is not None
    assert thread.head is not None
    return thread.history_call.n, thread.head.n


def _hole(thread: Thread) -> tuple[str, Fact] | None:
    chain = thread.lineage
    assert thread.head is not None
    if not chain:
        head = fact("headless", _read(thread), thread=thread.name, checkpoint=str(thread.head.answer["id"]))
        return "the head is the newest checkpoint of the history", head
    oldest = chain[-1]
    if oldest["parent"] is not None:
        ids = {"checkpoint": oldest["id"], "parent": oldest["parent"]}
        return "every parent exists", fact("hole", _read(thread), thread=thread.name, **ids)
    return None


def _broken_link(thread: Thread) -> tuple[str, Fact] | None:
    chain = thread.lineage
    for child, parent in itertools.pairwise(chain):
        new, old = parse_log(child["log"]), parse_log(parent["log"])
        grown = new[len(old) :]
        if new[: len(old)] == old and len(grown) <= 1 and not _foreign_step(child, grown):
            continue
        if new[: len(old)] == old and len(grown) == 1 and grown[0][0] in thread.updates:
            continue
        logs = {"log": tuple(child["log"]), "before": tuple(parent["log"])}
        more = {"checkpoint": child["id"], "parent": parent["id"], "tag": child["tag"], **logs}
        link = fact("link", _read(thread), thread=thread.name, **more)
        return "each checkpoint extends its parent by one superstep at most", link
    return None


def _foreign_step(child: dict[str, Any], grown: list[tuple[str, int]]) -> bool:
    return bool(grown) and child["tag"] is not None and grown[0][0] != child["tag"]


def _of_the_dead(thread: Thread) -> tuple[str, Fact, Fact] | None:
    for run in thread.runs.values():
        if run.final is None or run.final.status != GONE or any(d.kind == "delete" for d in run.displacements):
            continue  # whether the work of a run that a client deleted stays, the sources do not say
        for checkpoint in thread.lineage:
            if checkpoint["tag"] == run.tag or (run.run_id is not None and checkpoint["run"] == run.run_id):
                dead = fact("dead", _read(thread), checkpoint=checkpoint["id"], run=run.tag)
                return "every checkpoint of the lineage belongs to a surviving run", run.final_fact(), dead
    return None


@requirement(
    "checkpoint.attributed",
    SHOULD,
    "Each checkpoint's metadata names the run that wrote it, where the dialect does not say that none is named.",
    source="the API reference: the history's metadata; measured",
    exercised_by=EXERCISES,
    breaks="the checkpointer is not given the run's id, or a queued input is executed under the id of another run",
    advice="put the run's id into the metadata of the config with which the graph is executed",
)
def attributed(thread: Thread) -> Iterator[Judgement]:
    """Judges the checkpoints of the final history that runs wrote: not those of a client's updates and forks."""
    yield from without_history(thread)
    call = thread.history_call
    if call is None or thread.facts.history.dialect.get("history_names_run", "yes") != "yes":
        return
    by_id = {c["id"]: c for c in thread.checkpoints}
    named = False
    for checkpoint in thread.checkpoints:
        if checkpoint["source"] not in OF_RUNS or checkpoint["tag"] is None:
            continue  # a client's, or empty still
        if checkpoint["run"] is None:
            more = {"checkpoint": str(checkpoint["id"]), "source": checkpoint["source"]}
            nobody = fact("unnamed", (call.n,), thread=thread.name, **more)
            yield Violation("it names the run that wrote it", nobody.text, (nobody,))
            return
        writer = _writer(thread, checkpoint, by_id)
        if writer is not None and writer[0].run_id != checkpoint["run"]:
            run, step = writer
            names = str(checkpoint["run"])
            other = fact("misnamed", (call.n,), checkpoint=str(checkpoint["id"]), run=run.tag, step=step, names=names)
            yield Violation(f"it names {run.tag}, {run.run_id}", other.text, (run.given_fact(), other))
            return
        named = True
    if named:
        yield Exercised(overlap=len(thread.runs) > 1)


def _writer(thread: Thread, checkpoint: dict[str, Any], by_id: dict[str, Any]) -> tuple[Run, int] | None:
    """The run, and its superstep, by which the checkpoint's log is longer than its parent's."""
    parent = by_id.get(checkpoint["parent"])
    if parent is None or len(checkpoint["log"]) != len(parent["log"]) + 1:
        return None
    (tag, step), *_ = parse_log(checkpoint["log"][-1:])
    run = thread.runs.get(tag)
    return (run, step) if run is not None and run.accepted else None


@requirement(
    "checkpoint.one-chain",
    SHOULD,
    "The history has no forks that no client made.",
    source='S2 "two concurrent runs that both read checkpoint C and then write back"',
    exercised_by=EXERCISES,
    breaks="a displaced run and its successor both write on the same parent",
    advice="refuse a checkpoint whose parent has a child already, unless the client asked for a fork",
    scheduled=True,
)
def one_chain(thread: Thread) -> Iterator[Judgement]:
    """Looks for two checkpoints with one parent."""
    yield from without_history(thread)
    if thread.history_call is None or not thread.settled or not thread.checkpoints:
        return
    children: dict[str | None, dict[str, Any]] = {}
    ids = {c["id"] for c in thread.checkpoints}
    for checkpoint in thread.checkpoints:
        if checkpoint["source"] in BY_CLIENTS:
            continue
        parent = checkpoint["parent"]
        other = children.get(parent)
        if other is not None and (parent is None or parent in ids):
            fork = fact(
                "fork",
                (thread.history_call.n,),
                thread=thread.name,
                checkpoint=checkpoint["id"],
                log=tuple(checkpoint["log"]),
                other=other["id"],
                other_log=tuple(other["log"]),
                parent=parent,
            )
            yield Violation("every checkpoint has one child at most", fork.text, (thread.settled_fact(), fork))
            return
        children[parent] = checkpoint
    yield Exercised(overlap=len(thread.runs) > 1)
