"""enqueue: "continues the first run until it completes the whole run, then sends the new input as a
separate run" (S1)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, TERMINAL, Fact, Run, Thread, fact, show_log, shown
from conformance.history import Call, Told
from conformance.requirements.base import MUST, NO_SUCH_CALL, SHOULD, Exercised, Judgement, Violation, requirement

BUSY = ("enqueue-running", "enqueue-pending", "burst-enqueue-busy")


def _asks_for_more(create: Call) -> bool:
    """Whether it may be refused for what else it asks for: a webhook, a delay, a command, an endpoint of its own."""
    more = any(create.request.get(name) is not None for name in ("webhook", "after", "answers"))
    return more or (create.request.get("endpoint") is not None and create.status in NO_SUCH_CALL)


def accepted_whatever(thread: Thread, strategy: str) -> Iterator[Judgement]:
    """Judges that creates of this strategy are accepted, above all while another run is inflight."""
    for run in thread.creates(strategy):
        if run.unknown or run.create.status in (429, 503):
            continue
        if run.create.status == 404 and thread.may_be_gone(run.create):
            continue
        if not run.accepted and _asks_for_more(run.create):
            continue
        inflight = thread.inflight_during(run)
        met = inflight[0] if inflight is not None else thread.busy_at_burst(run)
        if not run.accepted:
            yield Violation(
                expected=f"accepted, although {met.tag} is inflight" if met else "accepted, whatever is inflight",
                observed=f"{run.tag}'s create was answered {shown(run.create)}",
                proof=(run.answered_fact(),),
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
        proof = (inflight, queued.answered_fact(), first.final_fact(), first.undisturbed_fact())
        wanted = first.ending
        if final.status != wanted:
            seen = "is gone (404)" if final.status == GONE else f"ended {final.status}"
            yield Violation(f"{first.tag} ends {wanted}", f"{first.tag} {seen}", proof)
        elif steps and len(set(steps)) < first.length:
            if not thread.settled:
                continue  # the state may have been read before its end
            observed = f"only supersteps {sorted(set(steps))} of {first.tag}'s {first.length} are in the state"
            yield Violation(
                f"{first.tag}'s complete segment", observed, (*proof, thread.settled_fact(), thread.log_fact())
            )
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
        if queued.run_id == first.run_id:
            observed = f"{queued.tag} was given {first.tag}'s id {first.run_id}"
            yield Violation("an id of its own", observed, (first.given_fact(), queued.given_fact()))
            continue
        ids = {r.run_id: r for r in thread.runs.values() if r is not queued and r.accepted}
        under = next((r for r in queued.told if r.run in ids), None)
        if under is not None and under.run is not None:
            observed = f"superstep {under.step} of {queued.tag} was executed under the id of {ids[under.run].tag}"
            proof = (ids[under.run].given_fact(), under_fact(under))
            yield Violation(f"{queued.tag} executes as its own run", observed, proof)
            continue
        if not first.undisturbed or not queued.undisturbed or thread.head is None:
            continue
        where = {tag: [i for i, (t, _) in enumerate(thread.log) if t == tag] for tag in (first.tag, queued.tag)}
        if where[first.tag] and where[queued.tag] and min(where[queued.tag]) < max(where[first.tag]):
            observed = f"the log reads {show_log(thread.log)}"
            undisturbed = (first.undisturbed_fact(), queued.undisturbed_fact())
            ordered = (inflight, queued.answered_fact(), *undisturbed, thread.log_fact())
            yield Violation(f"{queued.tag}'s segment after {first.tag}'s", observed, ordered)
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
            early = next((proof for other, proof in thread.after(y) if other is x), None)
            if not inverted and early is None:
                if met is not None and x.queued_at(y.create) and px is not None and py is not None:
                    yield Exercised()
                continue
            last = thread.log_fact() if inverted or early is None else early
            proof = (x.answered_fact(), y.answered_fact(), x.undisturbed_fact(), y.undisturbed_fact(), last)
            yield Violation(f"{x.tag} executes before {y.tag}", f"{y.tag} executed first", proof)


def under_fact(told: Told) -> Fact:
    """Under which run's id a superstep was executed."""
    return fact("under", (told.n,), at=told.at, run=told.tag, step=told.step, id=told.run)


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
        if thread.took_away(run) or (not run.undisturbed and not run.ended_itself):
            continue
        steps = thread.entries_of(run.tag)
        undisturbed = () if final.status == "success" else (run.undisturbed_fact(),)
        ended = (run.answered_fact(), run.final_fact(), *undisturbed)
        proof = (*ended, thread.settled_fact(), thread.log_fact())
        if final.status == GONE:
            yield Violation(f"{run.tag} is there: nobody ended it", f"{run.tag} is gone (404)", ended)
        elif run.length and not steps:
            yield Violation(f"{run.tag}'s segment is in the state", f"nothing of {run.tag} is in the state", proof)
        elif len(steps) != len(set(steps)):
            twice = (run.answered_fact(), thread.log_fact())
            yield Violation(f"{run.tag}'s segment exactly once", f"supersteps {steps} were written", twice)
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
        proof = (inflight, queued.answered_fact(), first.told_fact(raised), queued.undisturbed_fact())
        end, last = thread.epilogue, queued.readings[-1] if queued.readings else None
        if last is not None and last.status in INFLIGHT and not thread.settled:
            stuck = thread.unsettled_fact()
            if stuck is None or last.call.sent < end.at:
                continue  # thread.settles has said it already, or it was not read after the deadline
            observed = f"{queued.tag} is still {last.status}"
            yield Violation(f"{queued.tag} executes", observed, (*proof, queued.read_fact(last), stuck))
        elif queued.final is not None and queued.final.status in TERMINAL and not queued.enters:
            silent = queued.no_end_fact()
            if silent is not None:
                never = (*proof, queued.final_fact(), silent)
                yield Violation(f"{queued.tag} executes", f"{queued.tag} never started", never)
        elif queued.enters:
            yield Exercised()
