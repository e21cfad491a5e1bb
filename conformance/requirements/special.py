"""What no strategy is defined for: runs that are scheduled for later, and threads that wait for people's answers."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, Fact, Run, Thread
from conformance.requirements.base import POLICY, Hazard, Inapplicable, Judgement, Observed, requirement


@requirement(
    "schedule.after-seconds",
    POLICY,
    "Whether a scheduled run counts as inflight, and displaces, from its creation on or from its start, and whether it "
    "keeps its place in the queue.",
    source="the API reference: after_seconds; the sources are silent; measured",
    exercised_by=("scheduled-idle", "scheduled-displacing", "scheduled-queued"),
    breaks="a reminder that is scheduled for tomorrow stops what the user does today, or makes every reject fail",
    advice="schedule with enqueue, on a thread of its own",
    special=True,
)
def after_seconds(thread: Thread) -> Iterator[Judgement]:
    """Classifies what was seen before a scheduled run was due, and the order in which it started."""
    for run in thread.runs.values():
        after = run.create.request.get("after")
        if after is None:
            continue
        if run.refused and (run.create.status or 0) in (404, 405, 422, 501):
            yield Inapplicable(f"a scheduled run is refused: {run.create.status}")
        if not run.accepted:
            continue
        due = run.create.sent + float(after)
        yield from _inflight(thread, run, due)
        yield from _displacing(thread, run, due)
        yield from _queued(thread, run, due)


def _inflight(thread: Thread, scheduled: Run, due: float) -> Iterator[Judgement]:
    for other in thread.creates("reject"):
        if (
            other.create.sent >= scheduled.create.until
            and other.create.until < due
            and not _others(thread, scheduled, other)
        ):
            proof = (scheduled.answered_fact(), other.answered_fact())
            if other.accepted:
                yield Observed("inflight from its start", proof)
            elif other.met_active_run:
                yield Observed("inflight from its creation", proof)


def _others(thread: Thread, *besides: Run) -> list[Run]:
    return [r for r in thread.runs.values() if r not in besides and not r.refused]


def _displacing(thread: Thread, scheduled: Run, due: float) -> Iterator[Judgement]:
    if scheduled.strategy not in ("interrupt", "rollback"):
        return
    for other in _others(thread, scheduled):
        final = other.final
        if not other.accepted or final is None or final.status in INFLIGHT:
            continue
        early = other.ended_before(due) and final.status in (GONE, "interrupted")
        later = any(r.status in INFLIGHT and r.call.sent >= scheduled.create.until for r in other.readings)
        if not early and (not later or other.cannot_end_before < due):
            continue  # it may have been displaced earlier, or have ended by itself before that
        when = "at its creation" if early else "at its start" if final.status in (GONE, "interrupted") else "nobody"
        yield Observed(f"displaces {when}", (scheduled.answered_fact(), other.final_fact()))


def _queued(thread: Thread, scheduled: Run, due: float) -> Iterator[Judgement]:
    for other in thread.creates("enqueue"):
        if other.create.sent < scheduled.create.until or other.scheduled:
            continue
        began, start = scheduled.enters.get(0), other.enters.get(0)
        if began is None or start is None or began.clock != start.clock:
            continue
        proof = (scheduled.answered_fact(), other.answered_fact(), scheduled.told_fact(began), other.told_fact(start))
        if start.t < began.t:
            yield Observed("is overtaken before it is due", proof)
        elif all(r.ended_before(due) for r in _others(thread, scheduled, other)):
            yield Observed("keeps its place in the queue", proof)


@requirement(
    "hitl.overtaken",
    POLICY,
    "What a new run under each strategy does to a thread that waits at a human-in-the-loop interrupt(): is it refused, "
    "is the waiting run resumed, does the question stay, or is it dropped.",
    source="the sources are silent; measured: new input starts the graph again",
    exercised_by=("asked",),
    breaks="the pending question disappears with the new input, and whoever answers it later starts something else",
    advice="look at the thread's status before new input is sent; answer the question by a command, not by an input",
    special=True,
)
def overtaken(thread: Thread) -> Iterator[Judgement]:
    """Classifies the run that follows one that had asked, by its answer, by what the waiting run did then, and by the
    thread's status in the end."""
    asking = next((r for r in thread.runs.values() if _question(r) is not None), None)
    following = [r for r in thread.runs.values() if r is not asking]
    reads = [c for c in thread.thread_reads if c.phase == "final"]
    if asking is None or len(following) != 1 or asking.ended_at is None or not reads or not thread.settled:
        return
    (new,), question = following, _question(asking)
    if question not in asking.enters or not asking.ended_before(new.create.sent):
        return
    how = "an answer" if new.create.request.get("answers") is not None else str(new.strategy)
    proof = (asking.read_fact(asking.ended_at), new.answered_fact())
    went_on = next((r for r in asking.told if r.kind == "enter" and r.step > question), None)
    if new.refused:
        yield Observed(f"{how}: refused", proof)
    elif not new.accepted:
        return
    elif went_on is not None:
        yield Observed(f"{how}: resumes the waiting run", (*proof, asking.told_fact(went_on)))
    elif reads[-1].answer["status"] == "interrupted":
        yield Observed(f"{how}: the question stays", (*proof, Fact("the thread is interrupted", (reads[-1].n,))))
    else:
        status = Fact(f"the thread is {reads[-1].answer['status']}", (reads[-1].n,))
        yield Observed(f"{how}: the question is dropped", (*proof, status))
        text = f"the question that {asking.tag} had asked was dropped without a word by {new.tag} ({how})"
        yield Hazard(text, (*proof, status))


def _question(run: Run) -> int | None:
    """The superstep in which it asks."""
    return next((i for i, step in enumerate(run.script) if step["op"] == "ask"), None)
