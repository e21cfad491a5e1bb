"""What a thread's runs do to its status, and to the runs of other threads: `busy` while one is inflight, what it rests
in afterwards, and that its queue delays nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.facts import GONE, Claim, Fact, Run, Thread, fact
from conformance.history import Call
from conformance.requirements.base import (
    POLICY,
    SHOULD,
    Exercised,
    Inapplicable,
    Judgement,
    Observed,
    Violation,
    requirement,
)

MANY = 8  # runs: a long queue


@requirement(
    "thread.busy-iff-inflight",
    SHOULD,
    "A thread is `busy` while a run is inflight on it, and only then.",
    source="the SDK's thread statuses; measured",
    exercised_by=("cancelled-pending", "interrupt-pending", "rollback-pending", "queue"),
    breaks="whoever ends a pending run calls the thread idle, without looking at its other runs; or nobody computes "
    "the status after the last one was deleted",
    advice="derive the thread's status from its runs when it is read; do not store it beside them",
)
def busy_iff_inflight(thread: Thread) -> Iterator[Judgement]:
    """Judges reads of the thread while a gate held a run, and those when no run was left for the settle deadline."""
    for read in thread.thread_reads:
        held = thread.held_throughout(read)
        if held is None:
            continue
        if read.answer["status"] == "busy":
            yield Exercised(overlap=len(thread.runs) > 1)
            continue
        seen = status_fact(thread, read)
        yield Violation(f"thread {thread.name} is busy", seen.text, (held, seen))
    ended = thread.settled_fact() if thread.settled else thread.unsettled_fact()
    for read in thread.thread_reads:
        if ended is None or read.phase != "final" or not thread.all_over(read.sent):
            continue
        if read.answer["status"] == "busy":
            seen = status_fact(thread, read)
            yield Violation("not busy: every run has ended", seen.text, (ended, seen))


def status_fact(thread: Thread, read: Call) -> Fact:
    status = str(read.answer["status"])
    return fact("thread_status", (read.n,), thread=thread.name, status=status, sent=read.sent, at=read.until)


@requirement(
    "thread.status-after",
    POLICY,
    "What a thread is called after its last run was cancelled, deleted or failed: idle, interrupted or error.",
    source="the sources are silent; measured",
    exercised_by=("cancelled-last", "delete-last", "failed-last"),
    breaks="clients take a thread for one that waits for an answer, or for one that nothing ever went wrong on",
    advice="look at the last run's status, not at the thread's",
)
def status_after(thread: Thread) -> Iterator[Judgement]:
    """Classifies settled threads by the end of the run that was created last."""
    reads = [c for c in thread.thread_reads if c.phase == "final"]
    runs = list(thread.runs.values())
    if not thread.settled or not reads or not runs or thread.renewal is not None:
        return
    last = max(runs, key=lambda r: r.create.n)
    how = _ended_otherwise(last)
    if how is not None and thread.all_over(reads[-1].sent):
        status = str(reads[-1].answer["status"])
        yield Observed(f"{how}: {status}", (last.final_fact(), status_fact(thread, reads[-1])))


def _ended_otherwise(run: Run) -> str | None:
    """How it ended, if not by itself, with success."""
    final, kinds = run.final, {d.kind for d in run.displacements if d.must is not None and d.call.op != "create"}
    if final is None or len(kinds) > 1 or any(d.must is None for d in run.displacements):
        return None
    if final.status == "error" and run.undisturbed:
        return "failed"
    started = "" if run.enters else "pending "
    if final.status in ("interrupted", GONE) and kinds:
        return started + {"interrupt": "interrupted", "rollback": "rolled back", "delete": "deleted"}[kinds.pop()]
    return None


@requirement(
    "thread.not-starved",
    SHOULD,
    "A busy thread's queue does not delay an idle thread's run, while the target has room to execute it.",
    source="measured: field reports",
    exercised_by=("not-starved",),
    breaks="one queue for all threads whose head waits; or workers that take runs whose thread is busy, and wait",
    advice="take from the queue only runs whose thread executes nothing, and pass over the others",
)
def not_starved(thread: Thread) -> Iterator[Judgement]:
    """Judges a run that was created beside a held one and its long queue, on a target that had executed two at once."""
    threads = [t for t in thread.facts.threads.values() if t is not thread]
    busy = next((t for t in threads if len(t.runs) > MANY), None)
    other = next((t for t in threads if len(t.runs) == 1), None)
    if busy is None or other is None or len(threads) != 2 or len(thread.runs) != 1:
        return
    (run,), (before,), first = thread.runs.values(), other.runs.values(), next(iter(busy.runs.values()))
    if before.create.sent > run.create.sent or not run.accepted:
        return
    if before.unbegun_fact() is not None:
        yield Inapplicable("the target executes one run at a time")
        return
    held, beside, opened = _held(first), _held(before), first.last_release
    if held is None or beside is None or before.ended_at is None or opened is None:
        return
    if not before.ended_before(run.create.sent) or not _at_once(held, beside):
        return
    late, idle = run.unbegun_fact(), thread.idle_fact((run,))
    if late is not None and idle is not None and _waited_until(late) <= opened.at:
        proof = (held, beside, before.read_fact(before.ended_at), idle, late)
        yield Violation(f"{run.tag} starts beside {first.tag}", late.text, proof)
    elif 0 in run.enters and run.enters[0].at <= opened.at:
        yield Exercised()


def _held(run: Run) -> Fact | None:
    """That a gate held it in a superstep."""
    return next((held for step in run.enters if (held := run.held_fact(step)) is not None), None)


def _at_once(one: Fact, other: Fact) -> bool:
    """Whether gates held both runs at one instant."""
    (a, b), (c, d) = _interval(one), _interval(other)
    return max(a, c) <= min(b, d)


def _interval(held: Fact) -> tuple[float, float]:
    said: dict[str, Any] = dict(held.claim.args) if isinstance(held.claim, Claim) else {}
    return float(said["since"]), float(said["until"])


def _waited_until(unbegun: Fact) -> float:
    return float(dict(unbegun.claim.args)["at"]) if not isinstance(unbegun.claim, str) else float("inf")  # type: ignore[arg-type]
