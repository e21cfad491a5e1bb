"""cancel: what a client that stops a run, or several, may rely on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.facts import GONE, INFLIGHT, STOPPED, Displacement, Fact, Kind, Run, Thread, fact, shown, targets
from conformance.facts.clients import RELEASE_S
from conformance.history import Call
from conformance.requirements.base import (
    MUST,
    SHOULD,
    Exercise,
    Exercised,
    Inapplicable,
    Judgement,
    Violation,
    requirement,
)
from conformance.requirements.interrupt import call_fact, cancel_fact
from conformance.requirements.rollback import difference

RUNNING, PENDING, SCHEDULED = "cancel-running", "cancel-pending", "cancel-scheduled"
PATIENCE_S = 3.0  # a cancel that waits longer than this may as well be answered: a wait may have a bound
NOT_NOW = frozenset({429, 502, 503, 504})  # answers that say nothing of the call
NO_SUCH_CALL = frozenset({405, 501})
NO_SUCH_ROUTE = NO_SUCH_CALL | {404}
TIMED_OUT = "ReadTimeout"  # the error of a call whose client gave up
AGAIN = frozenset({404, 410})  # what a cancel of a run that is over may be answered, besides success

Problem = tuple[str, str, tuple[Fact, ...]]


def _stopped(thread: Thread, kind: Kind, by: str) -> Iterator[tuple[Run, Displacement, Fact]]:
    """Runs that an accepted cancel of this kind certainly stopped, with the proof."""
    for run in thread.runs.values():
        forced = run.forced(kind, by)
        if forced is not None and forced.must is not None:
            yield run, forced, forced.must


def _fate(run: Run, by: Displacement, inflight: Fact) -> Problem | None:
    """It ended otherwise than its cancel says. Of a scheduled run, it is not said how it is kept, or whether."""
    final = run.final
    if final is None or final.status in INFLIGHT or (run.scheduled and final.status in STOPPED):
        return None
    wanted = "interrupted" if by.kind == "interrupt" else GONE
    if final.status == wanted or (by.kind == "rollback" and not run.thread.settled):
        return None
    settled = () if by.kind == "interrupt" else (run.thread.settled_fact(),)
    expected = f"{run.tag} ends interrupted, and is kept" if by.kind == "interrupt" else f"{run.tag} is deleted"
    seen = "is gone (404)" if final.status == GONE else f"reads as {final.status}"
    proof = (inflight, call_fact(run.thread, by), run.only_fact(), *settled, run.final_fact())
    return expected, f"{run.tag} {seen}", proof


def _executed(run: Run, by: Displacement, inflight: Fact) -> Problem | None:
    """It only waited when it was cancelled, and started all the same."""
    for other in run.thread.runs.values():
        for step, entered in other.enters.items() if other is not run else ():
            held, opened = other.held_fact(step), other.release(step)
            if held is None or opened is None or opened.at < by.call.until or entered.at > by.call.sent:
                continue
            after = next((a for r, a in run.thread.after(other, step + 1) if r is run), None)
            if after is not None:
                observed = f"{run.tag} started when {other.tag} had gone on, after its cancellation"
                proof = (inflight, call_fact(run.thread, by), held, after)
                return f"{run.tag}, which only waited, never starts", observed, proof
    return None


def _untouched(thread: Thread, call: Call) -> Iterator[Problem | None]:
    """What became of the runs that a cancel does not name, and that were inflight while it took effect."""
    for other in thread.runs.values():
        if other.tag in targets(call) or not other.undisturbed or other.final is None:
            continue
        inflight = other.held_during(call)
        if inflight is None:
            continue
        if other.final.status == other.ending:
            yield None
        elif other.final.status in STOPPED:
            observed = f"{other.tag} ended {other.final.status}"
            proof = (inflight, cancel_fact(call), other.undisturbed_fact(), other.final_fact())
            yield f"{other.tag}, which was not cancelled, ends by itself", observed, proof


def _others(thread: Thread, op: str, kind: Kind | None = None) -> Iterator[Judgement]:
    for call in thread.calls:
        if call.op == op and call.ok and kind in (None, call.request["action"]):
            for problem in _untouched(thread, call):
                yield Violation(*problem) if problem is not None else Exercised()


def _progress(run: Run, by: Displacement, inflight: Fact) -> Problem | None:
    """A superstep that it had completed is not in the settled state."""
    thread, done = run.thread, run.completed_before(by.call)
    if thread.head is None or not thread.settled or not done:
        return None
    missing = sorted(set(range(done)) - set(thread.entries_of(run.tag)))
    if not missing:
        return None
    went_on = run.told_fact(run.enters[done])
    proof = (inflight, call_fact(thread, by), run.only_fact(), went_on, thread.settled_fact(), thread.log_fact())
    observed = f"supersteps {missing} of {run.tag} are not in the final state"
    return f"supersteps 0..{done - 1} of {run.tag} are kept", observed, proof


@requirement(
    "cancel.interrupt",
    MUST,
    "A cancel (interrupt) of a running or pending run stops that run alone: it ends `interrupted`, what it completed "
    "stays, and a run that only waited never starts.",
    source="the API reference: cancelled runs; the guide: the run record remains, with status interrupted, and the "
    "thread state at the last completed step is preserved",
    exercised_by=(Exercise(RUNNING, 2), Exercise(PENDING, 2), Exercise(SCHEDULED, 0), Exercise("cancelled-last", 0)),
    breaks="a stop that comes before the run has started is lost, or the whole queue is stopped with the run",
    advice="mark the run in the transaction that accepts the cancel, and look at the mark before a run starts",
    scheduled=True,
)
def interrupt(thread: Thread) -> Iterator[Judgement]:
    """Judges runs that a gate held over an accepted cancel, and those beside them."""
    for run, by, inflight in _stopped(thread, "interrupt", "cancel"):
        problem = _fate(run, by, inflight) or _progress(run, by, inflight) or _executed(run, by, inflight)
        if problem is not None:
            yield Violation(*problem)
        elif run.final is not None and run.final.status == "interrupted":
            yield Exercised()
    yield from _others(thread, "cancel", "interrupt")


@requirement(
    "cancel.rollback-reverts",
    MUST,
    "A cancel (rollback) of a running or pending run deletes that run alone, and the thread's state is what it was "
    "before the run started.",
    source='the API reference: "state is reverted to what it was before the run started"',
    exercised_by=(Exercise(RUNNING, 2), Exercise(PENDING, 2), Exercise(SCHEDULED, 0), Exercise("cancelled-last", 0)),
    breaks="checkpoints are deleted while the run still executes, and the one that it is just writing stays; or the "
    "run is only marked",
    advice="stop the run first; then delete its checkpoints, the input's included",
    scheduled=True,
)
def rollback_reverts(thread: Thread) -> Iterator[Judgement]:
    """As cancel.interrupt; the state is judged by what the next run found and by what is left at the end."""
    for run, by, inflight in _stopped(thread, "rollback", "cancel"):
        problem = _fate(run, by, inflight) or _state_left(run, by, inflight) or _executed(run, by, inflight)
        if problem is not None:
            yield Violation(*problem)
        elif thread.settled and run.final is not None and run.final.status == GONE:
            yield Exercised()
    yield from _others(thread, "cancel", "rollback")


def _state_left(run: Run, by: Displacement, inflight: Fact) -> Problem | None:
    thread, proof = run.thread, (inflight, call_fact(run.thread, by), run.only_fact())
    following = thread.next_after(run)
    differs = difference(run, following) if following is not None else None
    if differs is not None:
        expected, observed, facts = differs
        return expected, observed, (*proof, *facts)
    left = thread.holds(run) if thread.settled else None
    if left is not None:
        settled = thread.settled_fact()
        return f"nothing of {run.tag} in the state", f"{run.tag} is still in the final state", (*proof, settled, left)
    return None


@requirement(
    "cancel.wait",
    SHOULD,
    "A cancel with wait=true is answered only when the run's work has stopped.",
    source='the API reference: "block until the run has been fully cancelled"',
    exercised_by=("cancel-wait",),
    breaks="the answer waits for the status, which is set at once, and not for the work",
    advice="wait for the run's task; until then, do not take the answer for the end of external effects",
)
def wait(thread: Thread) -> Iterator[Judgement]:
    """Judges cancels of runs whose node swallowed the cancellation, and was held by a gate and left its superstep; and
    of runs that have no work at all."""
    for call in thread.calls:
        run = thread.runs.get(call.tag or "")
        if call.op != "cancel" or not call.request.get("wait") or run is None:
            continue
        if call.status is None and (never := _never_returned(run, call)) is not None:
            yield Violation(f"answered when {run.tag} is over", never[-1].text, never)
        if not call.ok or call.error:
            continue
        for step, entered in run.enters.items():
            held, opened, left = run.held_fact(step), run.release(step), run.leaves.get(step)
            if held is None or opened is None or left is None or run.script[step].get("block"):
                continue
            if entered.at > call.sent or opened.at < call.sent or opened.at > call.sent + PATIENCE_S:
                continue
            if call.until < opened.at:
                observed = f"answered while a gate still held {run.tag}'s work in superstep {step}"
                proof = (cancel_fact(call), held, run.told_fact(left))
                yield Violation(f"answered when {run.tag} has stopped", observed, proof)
            else:
                yield Exercised(overlap=False)


def _never_returned(run: Run, call: Call) -> tuple[Fact, ...] | None:
    """A client that waits for the end of a run without work, and is not let go when that was read as ended."""
    ended, announced = run.ended_at, run.thread.facts.history.transport in ("callback", "store")
    if ended is None or run.told or not announced or call.received is None or "fault" in call.request:
        return None
    if not str(call.error).startswith(TIMED_OUT) or call.received - max(ended.call.until, call.sent) < RELEASE_S:
        return None
    args = {"run": run.tag, "action": call.request["action"], "sent": call.sent, "at": call.received}
    return run.read_fact(ended), fact("unreturned", (call.n, run.create.n), **args)


@requirement(
    "cancel.codes",
    SHOULD,
    "A cancel of a pending or running run is accepted; of a run that is over, or of none, it is an error of the "
    "client's or without effect, and never one of the server's.",
    source="the API reference; measured: 202 without wait, 200 with, 404 for runs that are over",
    exercised_by=(Exercise(RUNNING, 4), Exercise(PENDING, 4), "cancel-over"),
    breaks="a form of `wait` that clients use is not understood, or a run that is over is an internal error",
    advice="answer 202 or 204 (200 with wait), 404 where there is nothing to cancel",
)
def codes(thread: Thread) -> Iterator[Judgement]:
    """Judges each cancel of a run that was certainly inflight, certainly over, or never created."""
    yield from each_cancel(thread, of_run)


def each_cancel(thread: Thread, of: Callable[[Run, Call], Judgement | None]) -> Iterator[Judgement]:
    """Judges each cancel by what certainly was the case when it took effect; ``of`` judges one of a known run."""
    for call in thread.calls:
        if call.op != "cancel" or call.status is None or call.status in NOT_NOW:
            continue
        if call.status in NO_SUCH_CALL:
            yield Inapplicable(f"POST …/cancel is answered {call.status}")
            continue
        run = thread.runs.get(call.tag or "")
        judged = of_nobody(call) if run is None else of(run, call)
        if judged is not None:
            yield judged


def of_nobody(call: Call) -> Judgement:
    if 400 <= (call.status or 0) < 500:
        return Exercised(overlap=False)
    observed = f"a cancel of a run that does not exist was answered {shown(call)}"
    return Violation("404", observed, (cancel_fact(call),))


def of_run(run: Run, call: Call) -> Judgement | None:
    inflight, ended = run.held_during(call), run.ended_at
    if inflight is not None and not call.ok:
        observed = f"a cancel of {run.tag}, which was inflight, was answered {shown(call)}"
        return Violation("a 2xx", observed, (inflight, cancel_fact(call)))
    if ended is not None and ended.call.until <= call.sent and (call.status or 0) >= 500:
        observed = f"a cancel of {run.tag}, which was {ended.status}, was answered {shown(call)}"
        return Violation("404, or a 2xx without effect", observed, (run.read_fact(ended), cancel_fact(call)))
    if inflight is not None or (ended is not None and ended.call.until <= call.sent):
        return Exercised(overlap=False)
    return None


@requirement(
    "cancel.twice",
    SHOULD,
    "A second cancel of a run is harmless: it is accepted, or finds nothing to cancel (404, 410).",
    source="the API reference: success or 404; reported from the field: a retried cancel that is answered 409",
    exercised_by=("cancel-twice", "cancel-together"),
    breaks="a run that is being stopped is neither active nor over, and the second call runs into that",
    advice="let a cancel of a run that is stopping, or has stopped, do nothing",
)
def twice(thread: Thread) -> Iterator[Judgement]:
    """Judges every cancel that came after, or together with, an accepted one of the same run."""
    calls = [c for c in thread.calls if c.op == "cancel" and c.tag in thread.runs]
    for second in calls:
        code = second.status
        first = next(
            (c for c in calls if c is not second and c.tag == second.tag and c.ok and _not_later(c, second)), None
        )
        if first is None or code is None or code in NOT_NOW:
            continue
        over = 400 <= code < 500 and thread.runs[str(second.tag)].ended_before(second.sent)
        if second.ok or over or code in AGAIN or _conflicting(first, second):
            yield Exercised()
        else:
            observed = f"the second cancel of {second.tag} was answered {shown(second)}"
            yield Violation("a 2xx, or 404", observed, (cancel_fact(first), cancel_fact(second)))


def _not_later(first: Call, second: Call) -> bool:
    return (first.sent, first.n) < (second.sent, second.n) or not second.ok


def _conflicting(first: Call, second: Call) -> bool:
    """Two that were under way together, or want different things: a conflict may be called one."""
    apart = first.until <= second.sent and first.request["action"] == second.request["action"]
    return second.status == 409 and not apart


@requirement(
    "cancel.bulk",
    SHOULD,
    "Several runs of a thread that are cancelled by one call are each stopped, and no other.",
    source="the API reference: POST /runs/cancel; the guide: cancel multiple runs by thread",
    exercised_by=("cancel-bulk",),
    breaks="the bulk cancel sets statuses and tells no worker, so that the runs go on and succeed",
    advice="cancel each run on the same way as a single one",
)
def bulk(thread: Thread) -> Iterator[Judgement]:
    """As cancel.interrupt and cancel.rollback-reverts, for runs that one call names together."""
    for call in thread.calls:
        if call.op != "cancel_many" or call.status is None or call.status in NOT_NOW:
            continue
        if call.status in NO_SUCH_ROUTE:
            yield Inapplicable(f"POST /runs/cancel is answered {call.status}")
            continue
        for run in (r for r in thread.runs.values() if r.tag in targets(call) and not call.ok):
            if (inflight := run.held_during(call)) is not None:
                observed = f"answered {shown(call)}, though {run.tag} was inflight"
                yield Violation("a 2xx", observed, (inflight, cancel_fact(call)))
                break
    for kind in ("interrupt", "rollback"):
        for run, by, inflight in _stopped(thread, kind, "cancel_many"):
            problem = _fate(run, by, inflight) or _executed(run, by, inflight)
            if problem is not None:
                yield Violation(*problem)
            elif run.final is not None and run.final.status not in INFLIGHT:
                yield Exercised()
    yield from _others(thread, "cancel_many")
