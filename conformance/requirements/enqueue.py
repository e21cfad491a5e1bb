"""enqueue: "continues the first run until it completes the whole run, then sends the new input as a
separate run" (S1)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, TERMINAL, Fact, Run, Thread, ms, show_log, shown
from conformance.requirements.base import (
    MUST,
    SHOULD,
    Exercised,
    Judgement,
    Violation,
    nothing_else,
    requirement,
)

BUSY = ("enqueue-running", "enqueue-pending", "burst-enqueue-busy")


def accepted_whatever(thread: Thread, strategy: str) -> Iterator[Judgement]:
    """Judges that creates of this strategy are accepted, above all while another run is inflight."""
    for run in thread.creates(strategy):
        if run.unknown or run.create.status in (429, 503):
            continue
        met = thread.inflight_during(run) or thread.busy_at_burst(run)
        if not run.accepted:
            what = f"{met[0].tag} is inflight" if met is not None else "the thread is idle"
            yield Violation(
                expected=f"accepted, although {what}" if met else "accepted",
                observed=f"{run.tag}'s create was answered {shown(run.create)}",
                proof=nothing_else(met[1] if met else None, run.accepted_fact()),
            )
        elif met is not None:
            yield Exercised()


@requirement(
    "enqueue.accepted",
    MUST,
    "create(enqueue) is accepted whatever is inflight.",
    source="S0, S1, S2, S3",
    exercised_by=BUSY,
    breaks="every strategy is treated as reject",
    advice="accept the run and append it to the thread's queue",
)
def accepted(thread: Thread) -> Iterator[Judgement]:
    """Judges every create(enqueue)."""
    yield from accepted_whatever(thread, "enqueue")


def queued_behind(thread: Thread) -> Iterator[tuple[Run, Run, Fact]]:
    """Pairs of runs: the second was accepted by enqueue while the first was certainly executing or the head of
    the queue. (What becomes of two that wait is for enqueue.fifo and enqueue.conserves-input to say.)"""
    for queued in thread.creates("enqueue"):
        met = thread.inflight_during(queued) if queued.accepted else None
        if met is not None and not met[0].queued_at(queued.create):
            yield met[0], queued, met[1]


@requirement(
    "enqueue.first-completes",
    MUST,
    "The first run runs to its own end, with its complete segment.",
    source='S1 "continues the first run until it completes the whole run"',
    exercised_by=("enqueue-running", "enqueue-pending"),
    breaks="the new run stops or replaces the one that is executing",
    advice="enqueue must not touch the executing run",
)
def first_completes(thread: Thread) -> Iterator[Judgement]:
    """Judges runs that were inflight at an enqueue and that nobody displaced."""
    for first, queued, inflight in queued_behind(thread):
        final = first.final
        if not first.undisturbed or final is None or final.status in INFLIGHT or thread.head is None:
            continue
        steps = thread.entries_of(first.tag)
        proof = (inflight, queued.accepted_fact(), first.final_fact())
        wanted = "error" if first.fails else "success"
        if final.status != wanted:
            seen = "is gone (404)" if final.status == GONE else f"ended {final.status}"
            yield Violation(f"{first.tag} ends {wanted}", f"{first.tag} {seen}", proof)
        elif steps and len(set(steps)) < first.length:
            observed = f"only supersteps {sorted(set(steps))} of {first.tag}'s {first.length} are in the state"
            yield Violation(f"{first.tag}'s complete segment", observed, (*proof, thread.log_fact()))
        else:
            yield Exercised()


@requirement(
    "enqueue.separate-run",
    MUST,
    "The queued input runs as its own run, with its own id and its own segment, after the first.",
    source='S1 "sends the new input as a separate run"',
    exercised_by=("enqueue-running", "enqueue-pending"),
    breaks="the queued input is merged into the run that is executing, or starts beside it",
    advice="one run row and one execution an accepted create",
)
def separate_run(thread: Thread) -> Iterator[Judgement]:
    """Judges ids, the run in which the queued script executed, and the order of the segments."""
    for first, queued, inflight in queued_behind(thread):
        proof = (inflight, queued.accepted_fact())
        if queued.run_id == first.run_id:
            observed = f"{queued.tag} was given {first.tag}'s id {first.run_id}"
            yield Violation("an id of its own", observed, (*proof, first.accepted_fact()))
            continue
        ids = {r.run_id: r for r in thread.runs.values() if r is not queued and r.run_id is not None}
        under = next((r for r in queued.told if r.run in ids), None)
        if under is not None and under.run is not None:
            fact = Fact(
                f"superstep {under.step} of {queued.tag} was entered under the id of {ids[under.run].tag}",
                (under.n,),
            )
            yield Violation(f"{queued.tag} executes as its own run", fact.text, (*proof, fact))
            continue
        if not first.undisturbed or not queued.undisturbed or thread.head is None:
            continue
        where = {tag: [i for i, (t, _) in enumerate(thread.log) if t == tag] for tag in (first.tag, queued.tag)}
        if where[first.tag] and where[queued.tag] and min(where[queued.tag]) < max(where[first.tag]):
            observed = f"the log reads {show_log(thread.log)}"
            yield Violation(f"{queued.tag}'s segment after {first.tag}'s", observed, (*proof, thread.log_fact()))
        elif where[queued.tag]:
            yield Exercised()


@requirement(
    "enqueue.fifo",
    MUST,
    "Runs execute in the order in which they were received: X answered before Y was sent, X executes first.",
    source='S0 "preserves ordering"; the API reference "in the order they are received"',
    exercised_by=("queue",),
    breaks="the queue is a stack, or is sorted by something else than its order of arrival",
    advice="order the queue by a sequence that is drawn in the transaction that accepts the run",
)
def fifo(thread: Thread) -> Iterator[Judgement]:
    """Judges pairs of undisturbed runs of which one was answered before the other was sent."""
    runs = [r for r in thread.runs.values() if r.undisturbed]
    for x in runs:
        for y in runs:
            if x is y or x.create.until > y.create.sent:
                continue
            met = x.inflight_during(y.create)
            px, py = thread.position(x.tag), thread.position(y.tag)
            inverted = px is not None and py is not None and py < px
            if not inverted and (early := _entered_before(y, x)) is None:
                if met is not None and x.queued_at(y.create) and px is not None and py is not None:
                    yield Exercised()
                continue
            proof = [x.accepted_fact(), y.accepted_fact()]
            proof.append(thread.log_fact() if inverted else early)  # type: ignore[arg-type]
            yield Violation(f"{x.tag} executes before {y.tag}", f"{y.tag} executed first", tuple(proof))


def _entered_before(y: Run, x: Run) -> Fact | None:
    ex, ey = x.enters.get(0), y.enters.get(0)
    if ex is None or ey is None or ex.clock != ey.clock or ey.t >= ex.t:
        return None
    return Fact(f"on one clock, {y.tag} entered its first superstep before {x.tag} did", (ey.n, ex.n))


@requirement(
    "enqueue.conserves-input",
    MUST,
    "No accepted run vanishes: unless it was legally ended, its segment appears in the state exactly once.",
    source='S3 "Incoming requests are queued and executed sequentially"',
    exercised_by=("enqueue-running", "enqueue-pending", "queue", "burst-enqueue-busy", "burst-enqueue-idle"),
    breaks="a queued run is dropped, overwritten by another, executed twice, or lost in a restart",
    advice="take a run from the queue only in the transaction that ends it; make its write idempotent",
)
def conserves_input(thread: Thread) -> Iterator[Judgement]:
    """Judges the segment of every run in the settled state that nobody ended, or that ended with success."""
    if not thread.settled or thread.head is None:
        return
    for run in thread.runs.values():
        final = run.final
        if not run.accepted or final is None or final.status in INFLIGHT:
            continue
        if not run.undisturbed and not run.ended_itself:
            continue
        steps = thread.entries_of(run.tag)
        proof = (run.accepted_fact(), run.final_fact(), thread.log_fact())
        if final.status == GONE:
            yield Violation(f"{run.tag} is there: nobody ended it", f"{run.tag} is gone (404)", proof)
        elif run.length and not steps:
            yield Violation(f"{run.tag}'s segment is in the state", f"nothing of {run.tag} is in the state", proof)
        elif len(steps) != len(set(steps)):
            yield Violation(f"{run.tag}'s segment exactly once", f"supersteps {steps} were written", proof)
        elif len(steps) < run.length:
            observed = f"only supersteps {steps} of {run.length} are in the state"
            yield Violation(f"{run.tag}'s whole segment is in the state", observed, proof)
        elif run.strategy == "enqueue":
            yield Exercised(overlap=thread.inflight_during(run) is not None)


@requirement(
    "enqueue.survives-failure",
    SHOULD,
    "A failing run does not strand the queue behind it.",
    source="measured: field reports",
    exercised_by=("queue-behind-failure",),
    breaks="the queue is advanced only by a run that succeeds",
    advice="advance the queue in the code path that every end of a run takes",
)
def survives_failure(thread: Thread) -> Iterator[Judgement]:
    """Judges runs that were queued behind one that raised."""
    for first, queued, inflight in queued_behind(thread):
        raised = first.raises
        if raised is None or not queued.undisturbed or thread.epilogue is None or queued.run_id == first.run_id:
            continue
        failed = Fact(f"{first.tag} raised in its superstep {raised.step} at {ms(raised.at)}", (raised.n,))
        proof = (inflight, queued.accepted_fact(), failed)
        last = queued.readings[-1] if queued.readings else None
        stranded = last is not None and last.status in INFLIGHT and not thread.settled
        if stranded and last is not None:
            if not thread.epilogue.in_full:
                continue  # thread.settles has said it already
            end = Fact(f"{queued.tag} was still {last.status} when the settle deadline had passed", (last.call.n,))
            yield Violation(f"{queued.tag} executes", f"{queued.tag} is still {last.status}", (*proof, end))
        elif queued.final is not None and queued.final.status in TERMINAL and not queued.enters:
            yield Violation(f"{queued.tag} executes", f"{queued.tag} never started", (*proof, queued.final_fact()))
        elif queued.enters:
            yield Exercised()
