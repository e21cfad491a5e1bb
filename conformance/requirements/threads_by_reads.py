"""Threads, runs and cancels on graphs that are no probe: the second part of ``by_reads``."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, OWN_ENDS, Fact, Run, Thread, shown
from conformance.facts.reads import (
    later_reading,
    outlasted_fact,
    still_fact,
    stopped,
    stopped_by_nobody,
    together_fact,
    waited_beside,
)
from conformance.history import Call
from conformance.requirements.base import (
    REGISTRY,
    Exercise,
    Exercised,
    Judgement,
    Violation,
    judged_by_reads,
)
from conformance.requirements.busy import status_fact
from conformance.requirements.by_reads import CANCEL, ENQUEUE, FEW, INTERRUPT, QUEUE, ROLLBACK, ends_against, stopped_by
from conformance.requirements.cancelling import each_cancel, of_run
from conformance.requirements.interrupt import cancel_fact
from conformance.requirements.runs import LEGAL, LONG_S
from conformance.requirements.threads import stopped_from_elsewhere

# --- threads and runs -------------------------------------------------------------------------------------


@judged_by_reads("thread.one-at-a-time", Exercise(ENQUEUE), Exercise(QUEUE))
def one_at_a_time(thread: Thread) -> Iterator[Judgement]:
    """Judges pairs of runs that came to their own ends and that lists show beside each other."""
    runs = [r for r in thread.runs.values() if r.undisturbed and r.final is not None and r.final.status in OWN_ENDS]
    for x in runs:
        for y in runs:
            if x.create.n >= y.create.n:
                continue
            together = together_fact(x, y)
            if together is not None:
                proof = (together, x.undisturbed_fact(), y.undisturbed_fact())
                yield Violation(f"{y.tag} waits for {x.tag}", together.text, proof)
                return
            if waited_beside(x, y):
                yield Exercised()


@judged_by_reads("thread.independent", Exercise("graph-two-threads", FEW))
def independent(thread: Thread) -> Iterator[Judgement]:
    """Judges as where the probe runs: what was stopped although nothing else was called on its thread."""
    yield from stopped_from_elsewhere(thread)


@judged_by_reads("thread.busy-iff-inflight", Exercise(ENQUEUE, FEW))
def busy_iff_inflight(thread: Thread) -> Iterator[Judgement]:
    """Judges reads of the thread that lie before a read of a run as inflight, and those when all had ended."""
    for read in thread.thread_reads:
        inflight = next((f for run in thread.runs.values() if (f := still_fact(run, read)) is not None), None)
        if inflight is None:
            continue
        if read.answer["status"] == "busy":
            yield Exercised(overlap=len(thread.runs) > 1)
            continue
        seen = status_fact(thread, read)
        yield Violation(f"thread {thread.name} is busy", seen.text, (inflight, seen))
    yield from (j for j in REGISTRY["thread.busy-iff-inflight"].oracle(thread) if isinstance(j, Violation))


@judged_by_reads("run.status-legal", Exercise(ENQUEUE), Exercise(INTERRUPT), Exercise(ROLLBACK))
def status_legal(thread: Thread) -> Iterator[Judgement]:
    """Judges every status read; whether a run was attempted again is not known."""
    for run in thread.runs.values():
        strange = next((r for r in run.readings if r.status not in LEGAL and r.status != GONE), None)
        if strange is not None:
            observed = f"{run.tag} was read as {strange.status!r}"
            yield Violation(f"one of {', '.join(sorted(LEGAL))}", observed, (run.read_fact(strange),))
        elif run.readings:
            yield Exercised(overlap=bool(run.displacements))


@judged_by_reads("create.returns", Exercise("graph-create", FEW))
def create_returns(thread: Thread) -> Iterator[Judgement]:
    """A create whose answer says that its run is over, and that came long after the run was seen; or one after whose
    answer the run was inflight still."""
    for run in thread.runs.values():
        if not run.accepted or run.create.request.get("endpoint", "runs") != "runs":
            continue
        late = outlasted_fact(run)
        if late is not None and run.create.until - _seen(late) > LONG_S:
            yield Violation("answered while the run is inflight", late.text, (late,))
        elif run.create.received is not None and later_reading(run, run.create.until) is not None:
            yield Exercised(overlap=False)


def _seen(late: Fact) -> float:
    return float(dict(late.claim.args)["seen"]) if not isinstance(late.claim, str) else float("inf")  # type: ignore[arg-type]


# --- cancel -----------------------------------------------------------------------------------------------


@judged_by_reads("cancel.codes", Exercise(CANCEL, FEW), "graph-cancel-over")
def cancel_codes(thread: Thread) -> Iterator[Judgement]:
    """As with a probe; whether a run was inflight only reads can tell."""
    yield from each_cancel(thread, lambda run, call: _of_inflight(run, call) or of_run(run, call))


def _of_inflight(run: Run, call: Call) -> Judgement | None:
    """Of a run that was inflight when it was cancelled: it was afterwards, or this cancel alone can have stopped it."""
    inflight = still_fact(run, call)
    alone = stopped(run) and [d.call for d in run.displacements] == [call] and not run.met_refusal
    if call.ok:
        return Exercised(overlap=False) if alone or inflight is not None else None
    if inflight is None and not alone:
        return None
    proof = (inflight, cancel_fact(call)) if inflight else (cancel_fact(call), run.only_fact(), run.final_fact())
    observed = f"a cancel of {run.tag}, which was inflight, was answered {shown(call)}"
    return Violation("a 2xx", observed, proof)


def _others_stopped(thread: Thread, action: str) -> Iterator[Judgement]:
    """Runs that no call names, and that were stopped with one that was cancelled."""
    for call in thread.calls:
        if call.op != "cancel" or not call.ok or call.request["action"] != action:
            continue
        for run in thread.runs.values():
            facts = stopped_by_nobody(run, call) if run.tag != call.tag else None
            if facts is not None and not run.met_refusal:
                observed = f"{run.tag} was stopped, too"
                proof = (facts[0], cancel_fact(call), facts[1], facts[2])
                yield Violation(f"{run.tag}, which was not cancelled, comes to its own end", observed, proof)


@judged_by_reads("cancel.interrupt")
def cancel_interrupt(thread: Thread) -> Iterator[Judgement]:
    """Judges that runs which were cancelled (interrupt) are kept."""
    for run, by, status in stopped_by(thread, "interrupt", "cancel"):
        if status == GONE:
            proof = ends_against(run, by, settled=False)
            yield Violation(f"{run.tag} ends interrupted, and is kept", f"{run.tag} is gone (404)", proof)
    yield from _others_stopped(thread, "interrupt")


@judged_by_reads("cancel.rollback-reverts")
def cancel_rollback(thread: Thread) -> Iterator[Judgement]:
    """Judges that runs which were cancelled (rollback) before their own end are gone."""
    for run, by, status in stopped_by(thread, "rollback", "cancel"):
        if status == "interrupted" and thread.settled:
            proof = ends_against(run, by, settled=True)
            yield Violation(f"{run.tag} is deleted", f"{run.tag} reads as {status}", proof)
    yield from _others_stopped(thread, "rollback")
