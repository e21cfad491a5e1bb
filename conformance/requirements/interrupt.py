"""interrupt: "interrupts the current execution but saves all the work done up until that point. It then
inserts the user input and continues from there" (S1)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.displacing import spares
from conformance.facts import GONE, INFLIGHT, Displacement, Fact, Run, Thread, fact, show_log, shown, targets
from conformance.history import Call
from conformance.requirements.base import (
    HAZARD,
    MUST,
    Exercise,
    Exercised,
    Hazard,
    Inapplicable,
    Judgement,
    Violation,
    requirement,
)
from conformance.requirements.enqueue import accepted_whatever, under_fact

RUNNING = ("interrupt-running",)


def spared(thread: Thread, kind: str) -> Iterator[Judgement]:
    """Runs that have not started, on a target that displaces only those that execute: displaced.pending."""
    if spares(thread.facts.displaces, kind):
        yield Inapplicable("the target displaces a run only when it executes (displaced.pending)")


CRACKS = (Exercise("interrupt-crack", 20),)


def interrupted(thread: Thread) -> Iterator[tuple[Run, Displacement, Fact]]:
    """Runs that an accepted create(interrupt) certainly displaced, with the proof."""
    for run in thread.runs.values():
        forced = run.forced("interrupt")
        if forced is not None and forced.must is not None:
            yield run, forced, forced.must


def call_fact(thread: Thread, displacement: Displacement) -> Fact:
    """The displacing call, as a fact."""
    call = displacement.call
    if call.op == "create":
        return thread.runs[call.tag or ""].answered_fact()
    if displacement.kind == "delete":
        return thread.deleted_fact(call)
    return cancel_fact(call)


def cancel_fact(call: Call) -> Fact:
    """A cancel of one run or of several, and its answer, as a fact."""
    said = {"thread": call.thread, "action": str(call.request["action"]), "answer": shown(call)}
    if call.op == "cancel_many":
        return fact("bulk", (call.n,), runs=targets(call), sent=call.sent, at=call.until, **said)
    wait = bool(call.request.get("wait"))
    return fact("cancelled", (call.n,), run=str(call.tag), wait=wait, sent=call.sent, at=call.until, **said)


@requirement(
    "interrupt.accepted",
    MUST,
    "create(interrupt) is accepted whatever is inflight.",
    source="S0, S1, S2, S3",
    exercised_by=(*RUNNING, "interrupt-pending", "burst-interrupt-busy"),
    breaks="every strategy is treated as reject",
    advice="accept the run and displace what is inflight",
)
def accepted(thread: Thread) -> Iterator[Judgement]:
    """Judges every create(interrupt)."""
    yield from accepted_whatever(thread, "interrupt")


@requirement(
    "interrupt.status",
    MUST,
    "A displaced run ends `interrupted` and stays readable.",
    source="S2 \"Interrupt stops the in-progress run (status → 'interrupted', kept in DB)\"",
    exercised_by=(*RUNNING, "interrupt-pending", *CRACKS),
    breaks="interrupt deletes the run as rollback does, is ignored, or leaves the status of a normal end",
    advice="write `interrupted` in the transaction that displaces the run, and keep the row",
)
def status(thread: Thread) -> Iterator[Judgement]:
    """Judges the final status of runs that were certainly displaced; of simultaneous ones, one was."""
    for burst, proof in thread.undisplaced_burst("interrupt"):
        names = " and ".join(r.tag for r in burst)
        yield Violation("one of them was displaced and ends interrupted", f"{names} all ended by themselves", proof)
    yield from spared(thread, "interrupt")
    for run, by, inflight in interrupted(thread):
        final = run.final
        if final is None or final.status in INFLIGHT:
            continue
        if final.status != "interrupted":
            seen = "is gone (404)" if final.status == GONE else f"ended {final.status}"
            proof = (inflight, call_fact(thread, by), run.only_fact(), run.final_fact())
            yield Violation(f"{run.tag} ends interrupted, and is kept", f"{run.tag} {seen}", proof)
        else:
            yield Exercised()


@requirement(
    "interrupt.keeps-progress",
    MUST,
    "Every superstep that the displaced run had completed is in the state that the new run finds.",
    source='S1 "saves all the work done up until that point"',
    exercised_by=(*RUNNING, *CRACKS),
    breaks="checkpoints are written behind the execution and thrown away with it, or interrupt restores the "
    "state of before the run",
    advice="make a superstep durable before the next one starts (durability=sync), or flush on displacement",
)
def keeps_progress(thread: Thread) -> Iterator[Judgement]:
    """A superstep counts as completed when the same run was seen to enter a later one, before the displacing call."""
    if thread.head is None:
        return
    for run, by, inflight in interrupted(thread):
        done = run.completed_before(by.call)
        if done == 0:
            continue
        missing = sorted(set(range(done)) - set(thread.entries_of(run.tag)))
        proof = (inflight, call_fact(thread, by), run.only_fact(), run.told_fact(run.enters[done]))
        if missing and not thread.settled:
            continue  # the state may have been read before they were written
        if missing:
            observed = f"supersteps {missing} of {run.tag} are not in the final state"
            kept = (*proof, thread.settled_fact(), thread.log_fact())
            yield Violation(f"supersteps 0..{done - 1} of {run.tag} are kept", observed, kept)
            continue
        successor, after = next(thread.after(run, done), (None, None))
        if successor is None or after is None or successor.found is None or run.found is None:
            continue
        least = run.found["log"] + done
        if successor.found["log"] < least:
            observed = f"{successor.tag} found a log of {successor.found['log']} entries when it started"
            facts = (*proof, run.found_fact(), after, successor.found_fact())
            yield Violation(f"{successor.tag} finds at least {least} entries", observed, facts)
        else:
            yield Exercised()


@requirement(
    "interrupt.builds-on",
    MUST,
    "The new run's segment follows the displaced run's partial one; nothing of the displaced run comes after it.",
    source='S0 "new run builds on existing state"',
    exercised_by=(*RUNNING, "chain", *CRACKS),
    breaks="the displaced run goes on writing, or the new run starts from an older checkpoint",
    advice="fence the displaced run's writes before the successor starts",
)
def builds_on(thread: Thread) -> Iterator[Judgement]:
    """Judges the order of the segments, and that the successor found exactly what stands before its own."""
    if thread.head is None:
        return
    for run, by, inflight in interrupted(thread):
        successor, after = next(thread.after(run), (None, None))
        if successor is None or after is None or successor.found is None:
            continue
        start = thread.position(successor.tag)
        if start is None:
            continue
        proof = (inflight, call_fact(thread, by), after, thread.log_fact())
        if (done := run.completed_before(by.call)) and not thread.entries_of(run.tag):
            then = next((a for r, a in thread.after(run, done) if r is successor), None)
            if then is not None:
                went_on = run.told_fact(run.enters[done])
                facts = (inflight, call_fact(thread, by), run.only_fact(), went_on, then, thread.log_fact())
                observed = f"nothing of {run.tag} stands before {successor.tag}'s segment"
                yield Violation(f"{successor.tag} follows {run.tag}'s partial segment", observed, facts)
            continue
        late = [s for t, s in thread.log[start:] if t == run.tag]
        if late:
            observed = f"supersteps {late} of {run.tag} stand after it"
            yield Violation(f"nothing of {run.tag} after {successor.tag} began", observed, proof)
        elif successor.found["log_hash"] != thread.hash_of(thread.log[:start]):
            observed = (
                f"{successor.tag} found a log of {successor.found['log']} entries, another one than the final log's"
            )
            expected = f"{successor.tag} builds on {show_log(thread.log[:start])}"
            yield Violation(expected, observed, (*proof, successor.found_fact()))
        elif thread.entries_of(run.tag):
            yield Exercised()


@requirement(
    "interrupt.no-injection",
    MUST,
    "The new input never appears inside the displaced run's segment.",
    source='S2 "it does not inject mid-stream into a running graph"',
    exercised_by=(*RUNNING, *CRACKS),
    breaks="the new input is written into the state under the executing run, which then goes on with it",
    advice="stop the executing run first; the new input belongs to the new run",
)
def no_injection(thread: Thread) -> Iterator[Judgement]:
    """Looks for the new run's input in what the displaced run found, and under the displaced run's id."""
    for run in thread.runs.values():
        by = next((d for d in run.displacements if d.kind == "interrupt" and d.call.op == "create"), None)
        if by is None or not run.accepted:
            continue
        new = thread.runs[by.call.tag or ""]
        seen = next(
            (r for r in run.enters.values() if (r.detail.get("found") or {}).get("last_input") == new.tag),
            None,
        )
        under = next((r for r in new.told if run.run_id is not None and r.run == run.run_id), None)
        tags = [t for t, _ in thread.log]
        if seen is not None:
            saw = fact("saw_input", (seen.n,), run=run.tag, input=new.tag, step=seen.step)
            yield Violation(f"{new.tag}'s input comes after {run.tag} has stopped", saw.text, (new.sent_fact(), saw))
        elif under is not None:
            observed = f"superstep {under.step} of {new.tag} was executed under {run.tag}'s id"
            proof = (new.sent_fact(), run.given_fact(), under_fact(under))
            yield Violation(f"{new.tag} executes as its own run", observed, proof)
        elif run.tag in tags and new.tag in tags and _inside(tags, new.tag, run.tag):
            observed = f"the log reads {show_log(thread.log)}"
            expected = f"{new.tag} not inside {run.tag}'s segment"
            yield Violation(expected, observed, (new.sent_fact(), thread.log_fact()))
        elif run.enters and by.must is not None:
            yield Exercised()


def _inside(tags: list[str], inner: str, outer: str) -> bool:
    last = len(tags) - 1 - tags[::-1].index(outer)
    return tags.index(outer) < tags.index(inner) < last


@requirement(
    "interrupt.tool-calls",
    HAZARD,
    "A tool call without its result may be left in the state: the graph must handle it.",
    source="S1, S3",
    exercised_by=("interrupt-tool-call",),
    breaks="the run is stopped between a tool call and its result",
    advice="remove or answer dangling tool calls at the graph's entry, before the model sees the messages",
)
def tool_calls(thread: Thread) -> Iterator[Judgement]:
    """Lists tool calls of interrupted runs that have no result in the settled state."""
    if thread.head is None:
        return
    for run, by, _ in interrupted(thread):
        if not any(s["op"] == "call" for s in run.script):
            continue
        own = {s["id"] for s in run.script if s["op"] == "call"}
        head = thread.head.answer
        dangling = sorted(own & set(head["tool_calls"]) - set(head["tool_results"]))
        if dangling:
            seen = Fact(f"tool calls {dangling} of {run.tag} have no result in the final state", (thread.head.n,))
            yield Hazard(seen.text, (call_fact(thread, by), seen))
        else:
            yield Hazard(None)
