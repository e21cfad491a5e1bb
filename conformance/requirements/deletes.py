"""Deletions: of runs that execute, wait or have ended, and of threads, whose ids may be used again."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import INFLIGHT, Fact, Run, Thread, fact, parse_log
from conformance.history import Call, Remark
from conformance.requirements.base import (
    MUST,
    NO_SUCH_CALL,
    POLICY,
    SHOULD,
    Exercised,
    Inapplicable,
    Judgement,
    Observed,
    Violation,
    requirement,
    without_history,
)


@requirement(
    "delete.stops-writes",
    MUST,
    "A deleted run, or a run of a deleted thread, writes nothing after the settle deadline; a thread id that is "
    "created again starts empty.",
    source="the API reference: delete a run, delete a thread",
    exercised_by=("delete-running", "thread-renewed"),
    breaks="the row is deleted and the executing worker is told nothing; or the thread is deleted and its checkpoints "
    "are not",
    advice="stop the run, and revoke its right to write, before its row is deleted; delete checkpoints with the thread",
)
def stops_writes(thread: Thread) -> Iterator[Judgement]:
    """Judges runs that a gate held over the deletion and the settle deadline, and what the new thread shows."""
    yield from _without(thread)
    yield from without_history(thread)
    for call in thread.deletes:
        run = thread.runs[str(call.tag)]
        held = _held_for_long(thread, run, call.sent, call.until)
        if held is not None and thread.history_call is not None:
            late = _written(thread.history_call, run, held[0])
            if late is None:
                yield Exercised()
                continue
            proof = (thread.deleted_fact(call), *held[1], late)
            yield Violation(f"{run.tag} writes nothing any more", late.text, proof)
    if thread.renewal is not None:
        yield from _renewed(thread, *thread.renewal)


def _renewed(thread: Thread, gone: Call, again: Call) -> Iterator[Judgement]:
    history = thread.history_call
    for run in thread.runs.values():
        held = _held_for_long(thread, run, gone.sent, again.until)
        late = _written(history, run, held[0]) if held is not None and history is not None else None
        if held is not None and late is not None:
            proof = (thread.renewed_fact(), *held[1], late)
            yield Violation(f"{run.tag} writes nothing into the new thread", late.text, proof)
            return
    for run, read, leftover in thread.leftovers():
        why = _cannot_have_written_since(run, gone, read) or _only_waited(run, again)
        if why is not None:
            yield Violation("the new thread is empty", leftover.text, (thread.renewed_fact(), why, leftover))
            return
    if thread.settled and history is not None:
        inflight = (r for r in thread.runs.values() if r.create.until <= gone.sent and not r.ended_before(gone.sent))
        yield Exercised(overlap=any(True for _ in inflight))


def _cannot_have_written_since(run: Run, gone: Call, read: Call) -> Fact | None:
    """That the run had ended before its thread was deleted, or was held by a gate from then until it was read of."""
    if run.ended_at is not None and run.ended_before(gone.sent):
        return run.read_fact(run.ended_at)
    for step, entered in run.enters.items():
        held, opened = run.held_fact(step), run.release(step)
        if held is not None and opened is not None and entered.at <= gone.sent and opened.at >= read.until:
            return held
    return None


def _only_waited(run: Run, again: Call) -> Fact | None:
    """That it executed only when the new thread was there: that is no work which is still stopping."""
    first = min(run.told, key=lambda r: r.seq, default=None)
    late = first is not None and first.at >= again.until and run.thread.facts.causal_receipts
    return run.told_fact(first) if first is not None and late and first.step == 0 else None


def _held_for_long(thread: Thread, run: Run, sent: float, done: float) -> tuple[int, tuple[Fact, Fact]] | None:
    """The superstep in which a gate held the run over a deletion, and for the settle deadline after it."""
    for step, entered in run.enters.items():
        held, opened = run.held_fact(step), run.release(step)
        if held is None or opened is None or entered.at > sent:
            continue
        for remark in thread.facts.remarks:
            if _halt_waited(remark, run) and done <= remark.at <= opened.at:
                return step, (held, fact("outwaited", (remark.n,), run=run.tag, at=remark.at))
    return None


def _halt_waited(remark: Remark, run: Run) -> bool:
    if remark.kind != "halt-waited" or remark.detail["tag"] != run.tag:
        return False
    return bool(remark.detail["told"]) or float(remark.detail["waited"]) >= float(remark.detail["deadline"])


def _written(history: Call, run: Run, step: int) -> Fact | None:
    """A checkpoint that holds this superstep of the run."""
    for checkpoint in history.answer:
        if (run.tag, step) in parse_log(checkpoint["log"]):
            return fact("written", (history.n,), run=run.tag, step=step, checkpoint=str(checkpoint["id"]))
    return None


def _without(thread: Thread) -> Iterator[Judgement]:
    """Whether the target has no such call, and says so, or deletes no inflight run, which ``delete.active`` reports."""
    for call in thread.calls:
        if call.op not in ("delete", "delete_thread"):
            continue
        run = thread.runs.get(call.tag or "")  # of a thread's deletion there is none
        if run is not None and _refused(run, call):
            yield Inapplicable(f"the target deletes no run that is inflight: it answers {call.status}")
        elif call.status in NO_SUCH_CALL and (run is None or run.held_over(call)):  # the path is what was not found
            yield Inapplicable(f"the target has no such call: {call.op.replace('_', ' ')} answers {call.status}")


def _refused(run: Run, call: Call) -> bool:
    """Whether the deletion of a run that was certainly inflight was refused, and the run is still there."""
    if call.status is None or call.status in NO_SUCH_CALL or not 400 <= call.status < 500 or not run.held_over(call):
        return False
    later = next((r for r in run.readings if r.call.sent >= call.until), None)
    return later is None or later.status in INFLIGHT


@requirement(
    "delete.thread-settles",
    SHOULD,
    "When an inflight run has been deleted, the thread leaves `busy`, and the queue behind it goes on.",
    source="measured: field reports",
    exercised_by=("delete-last", "delete-queued"),
    breaks="nobody computes the thread's status, or advances its queue, when the run that does so at its end is gone",
    advice="derive the thread's status from its runs; advance the queue in the code path that every end of a run takes",
)
def thread_settles(thread: Thread) -> Iterator[Judgement]:
    """Judges threads on which a run was deleted that was certainly inflight."""
    yield from _without(thread)
    for call in thread.deletes:
        run = thread.runs[str(call.tag)]
        must = next((d.must for d in run.displacements if d.call is call and d.must is not None), None)
        if must is None or thread.epilogue is None:
            continue
        stuck = thread.unsettled_fact()
        if stuck is not None:
            expected = "every other run ends, and the thread is not busy"
            yield Violation(expected, stuck.text, (must, thread.deleted_fact(call), stuck))
        elif thread.settled:
            yield Exercised(overlap=len(thread.runs) > 1)


@requirement(
    "delete.frees-worker",
    SHOULD,
    "After more deletes of running runs than the target has workers, new runs still execute as before.",
    source="measured: field reports",
    exercised_by=("delete-many",),
    breaks="the worker that executed the deleted run fails to store its end, and is lost with it",
    advice="expect that a run is gone when its end is stored; start a worker again when it fails",
)
def frees_worker(thread: Thread) -> Iterator[Judgement]:
    """Judges a run on a fresh thread, created after the deletes, beside no more than had executed at once before."""
    yield from _without(thread)
    deletes = [c for other in thread.facts.threads.values() for c in other.deletes]
    if len(deletes) < 2:
        return
    first, last = min(c.sent for c in deletes), max(c.until for c in deletes)
    runs = [r for other in thread.facts.threads.values() for r in other.runs.values()]
    before = [r for r in runs if r.create.sent < first and any(e.at <= first for e in r.enters.values())]
    after = [r for r in runs if r.create.sent > last]
    if not before or len(before) < len(after):
        return
    quickest = min(before, key=lambda r: r.enters[0].at - r.create.sent if 0 in r.enters else float("inf"))
    for run in thread.runs.values():
        if run.create.sent <= last or not run.accepted:
            continue
        waited, idle = run.unbegun_fact(), thread.idle_fact((run,))
        if waited is None or idle is None:
            if run.enters:
                yield Exercised()
            continue
        gone = [other.deleted_fact(c) for other in thread.facts.threads.values() for c in other.deletes]
        proof = (*gone, quickest.told_fact(quickest.enters[0]), idle, waited)
        yield Violation(f"{run.tag} starts, as {quickest.tag} did", waited.text, proof)


@requirement(
    "delete.active",
    POLICY,
    "Whether a run that executes or waits can be deleted.",
    source="the sources are silent; measured: allowed, or refused unless forced",
    exercised_by=("delete-last", "delete-queued"),
    breaks="clients that delete what they have just created meet a refusal, or leave work that nobody can stop",
    advice="cancel a run before it is deleted, and wait for that",
)
def active(thread: Thread) -> Iterator[Judgement]:
    """Classifies the answer to the deletion of a run that was certainly inflight."""
    yield from _without(thread)
    for call in thread.calls:
        run = thread.runs.get(call.tag or "") if call.op == "delete" else None
        if run is None or not run.held_over(call):
            continue
        what = "running" if any(r.at <= call.sent for r in run.enters.values()) else "pending"
        cites = (run.create.n, call.n)
        if call.ok:
            yield Observed(f"{what}: allowed", (Fact(f"delete of {run.tag} answers {call.status}", cites),))
        elif _refused(run, call):
            yield Observed(f"{what}: refused", (Fact(f"delete of {run.tag} answers {call.status}", cites),))
