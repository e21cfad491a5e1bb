"""rollback: "interrupts the current execution AND rolls back all work done up until that point, including
the original run input" (S1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.facts import GONE, INFLIGHT, Displacement, Fact, Run, Thread, ms
from conformance.requirements.base import (
    HAZARD,
    MUST,
    SHOULD,
    Exercise,
    Exercised,
    Hazard,
    Judgement,
    Violation,
    requirement,
)
from conformance.requirements.enqueue import accepted_whatever
from conformance.requirements.interrupt import call_fact

RUNNING = ("rollback-running",)
CRACKS = (Exercise("rollback-crack", 20),)
CHANNELS = ("log", "log_hash", "counter", "note", "messages", "messages_hash")


def rolled_back(thread: Thread) -> Iterator[tuple[Run, Displacement, Fact]]:
    """Runs that an accepted create(rollback) certainly displaced, with the proof."""
    for run in thread.runs.values():
        forced = run.forced("rollback")
        if forced is not None and forced.must is not None:
            yield run, forced, forced.must


@requirement(
    "rollback.accepted",
    MUST,
    "create(rollback) is accepted whatever is inflight.",
    source="S0, S1, S2, S3",
    exercised_by=(*RUNNING, "rollback-pending", "burst-rollback-busy"),
    breaks="every strategy is treated as reject",
    advice="accept the run and displace what is inflight",
)
def accepted(thread: Thread) -> Iterator[Judgement]:
    """Judges every create(rollback)."""
    yield from accepted_whatever(thread, "rollback")


@requirement(
    "rollback.deleted",
    MUST,
    "A displaced run is gone once the thread has settled: GET answers 404, no list names it, for ever.",
    source='S2 "Rollback deletes the original run from the database entirely"',
    exercised_by=(*RUNNING, "rollback-pending", "rollback-joined", *CRACKS),
    breaks="the run is only marked, or a client that joins or streams it keeps it alive",
    advice="delete the run's row when it has stopped, and refuse to store its end afterwards",
)
def deleted(thread: Thread) -> Iterator[Judgement]:
    """Judges the final reads of runs that were certainly rolled back; of simultaneous ones, one was."""
    for burst, proof in thread.undisplaced_burst("rollback"):
        names = " and ".join(r.tag for r in burst)
        yield Violation("one of them was displaced and is deleted", f"{names} all ended by themselves", proof)
    for run, by, inflight in rolled_back(thread):
        final = run.final
        if final is None or not thread.settled:
            continue
        listed = next(
            (c for c in thread.lists if c.phase == "final" and any(r["tag"] == run.tag for r in c.answer)),
            None,
        )
        proof = (inflight, call_fact(thread, by), run.final_fact())
        if final.status != GONE:
            yield Violation(f"{run.tag} is deleted: GET answers 404", f"{run.tag} reads as {final.status}", proof)
        elif listed is not None:
            fact = Fact(f"the final list of runs names {run.tag}", (listed.n,))
            yield Violation(f"{run.tag} is listed no more", fact.text, (*proof, fact))
        else:
            yield Exercised()


@requirement(
    "rollback.reverts",
    MUST,
    "The state that the new run finds equals, in every channel, what the displaced run had found when it "
    "started, except for what the new run's own input writes.",
    source='S1 "rolls back all work done up until that point, including the original run input"',
    exercised_by=(*RUNNING, "rollback-earlier", "chain", *CRACKS),
    breaks="the run is deleted but its checkpoints, its input or some channels are not; or it reverts only "
    "where an earlier run exists",
    advice="delete all checkpoints of the run, or point the head at the checkpoint from before its input",
)
def reverts(thread: Thread) -> Iterator[Judgement]:
    """Compares what the two runs found, and looks for the displaced run in the final state."""
    if thread.head is None:
        return
    for run, by, inflight in rolled_back(thread):
        proof = (inflight, call_fact(thread, by))
        successor = thread.first_after(run)
        difference = _difference(thread, run, successor)
        if difference is not None:
            yield Violation(*difference[:2], (*proof, *difference[2]))
            continue
        head = thread.head.answer
        left = thread.entries_of(run.tag) or [m for m in head["messages"] if m[2] == run.tag] or head["tag"] == run.tag
        if left:
            observed = f"{run.tag} is still in the final state"
            yield Violation(f"nothing of {run.tag} in the state", observed, (*proof, thread.log_fact()))
        elif successor is not None and successor.found is not None:
            yield Exercised()


def _difference(thread: Thread, run: Run, new: Run | None) -> tuple[str, str, tuple[Fact, ...]] | None:
    """Expected, observed and proof where the successor did not find what the displaced run had found."""
    found = new.found if new is not None else None
    if new is None or found is None:
        return None
    at = Fact(f"{new.tag} found {_show(found)} when it started", (new.enters[0].n,))
    before = run.found
    if before is not None:
        began = Fact(f"{run.tag} had found {_show(before)} when it started", (run.enters[0].n,))
        differs = [c for c in CHANNELS if before[c] != found[c]]
        if not differs:
            return None
        shown = ", ".join(sorted({_channel(c) for c in differs}))
        return f"{new.tag} finds what {run.tag} had found", f"they differ in {shown}", (began, at)
    # The displaced run never started: nothing of it may be found, its input included.
    if any(str(m[2]) == run.tag for c in thread.checkpoints for m in c["messages"] if c["tag"] == new.tag):
        held = next(
            c for c in thread.checkpoints if c["tag"] == new.tag and any(m[2] == run.tag for m in c["messages"])
        )
        fact = Fact(f"checkpoint {held['id']} of {new.tag} holds {run.tag}'s input", (_history_n(thread),))
        return f"nothing of {run.tag} in what {new.tag} finds", fact.text, (fact, at)
    return None


def _history_n(thread: Thread) -> int:
    return thread.history_call.n if thread.history_call is not None else -1


def _channel(name: str) -> str:
    return {"log_hash": "log", "messages_hash": "messages"}.get(name, name)


def _show(found: dict[str, Any]) -> str:
    return f"log of {found['log']}, counter {found['counter']}, note {found['note']!r}, {found['messages']} messages"


@requirement(
    "rollback.lineage",
    MUST,
    "The head's ancestors hold exactly the surviving segments.",
    source='S2 "the thread reverts to the last checkpoint"',
    exercised_by=(*RUNNING, "rollback-earlier", *CRACKS),
    breaks="the old values are copied on top, while the displaced run's checkpoints stay ancestors or the head",
    advice="delete the run's checkpoints, or write the new run's input on the checkpoint from before the run",
)
def lineage(thread: Thread) -> Iterator[Judgement]:
    """Walks from the head back, looking for the displaced run and for every run that survives."""
    if thread.head is None or not thread.history_is_whole or not thread.lineage:
        return
    for run, by, inflight in rolled_back(thread):
        proof = (inflight, call_fact(thread, by))
        held = next((c for c in thread.lineage if thread.carries(c, run)), None)
        lost = next((r for r in _survivors(thread, run) if not thread.entries_of(r.tag)), None)
        if held is not None:
            fact = Fact(f"checkpoint {held['id']}, an ancestor of the head, carries {run.tag}", (_history_n(thread),))
            yield Violation(f"no ancestor of the head carries {run.tag}", fact.text, (*proof, fact))
        elif lost is not None:
            observed = f"nothing of {lost.tag} is in the head's lineage"
            yield Violation(
                f"{lost.tag}, which survives, is there",
                observed,
                (*proof, lost.final_fact(), thread.log_fact()),
            )
        else:
            yield Exercised()


def _survivors(thread: Thread, displaced: Run) -> Iterator[Run]:
    """Runs that had ended successfully before the displaced one was created."""
    for run in thread.runs.values():
        if run is not displaced and run.undisturbed and run.length and run.ended_before(displaced.create.sent):
            yield run


@requirement(
    "rollback.no-orphans",
    SHOULD,
    "No checkpoint of the deleted run is left anywhere in the history.",
    source='S2 "the original run is deleted from the database entirely"',
    exercised_by=(*RUNNING, *CRACKS),
    breaks="checkpoints are left beside the lineage, or written by the run while it stops",
    advice="delete by run id after the run has stopped, not before",
)
def no_orphans(thread: Thread) -> Iterator[Judgement]:
    """Looks for the displaced run in every checkpoint of the settled thread."""
    if thread.history_call is None or not thread.settled:
        return
    for run, by, inflight in rolled_back(thread):
        held = [c for c in thread.checkpoints if thread.carries(c, run)]
        if held:
            fact = Fact(
                f"{len(held)} checkpoints of the final history carry {run.tag}, the newest is {held[0]['id']}",
                (_history_n(thread),),
            )
            yield Violation(f"no checkpoint carries {run.tag}", fact.text, (inflight, call_fact(thread, by), fact))
        else:
            yield Exercised()


@requirement(
    "rollback.effects",
    HAZARD,
    "External effects of the displaced run remain.",
    source='S2 "rollback reverts thread state but cannot undo a committed external side effect"',
    exercised_by=("rollback-effect",),
    breaks="an effect is committed before the displacement, or by node code that had not stopped yet",
    advice="guard effects by an idempotency key, or commit them in a last superstep that nothing displaces",
)
def effects(thread: Thread) -> Iterator[Judgement]:
    """Lists effects of runs that were rolled back: before and after the displacing call's answer."""
    for run, by, _ in rolled_back(thread):
        if run.final is None or run.final.status in INFLIGHT:
            continue
        if not any(s["op"] == "effect" for s in run.script):
            continue
        done = [r for r in run.told if r.kind == "effect"]
        after = [r for r in done if _certainly_after(run, r.step, by)]
        if not done:
            yield Hazard(None)
            continue
        names = ", ".join(str(r.detail.get("name")) for r in done)
        text = f"effects of {run.tag}, which was rolled back, remain: {names}"
        if after:
            late = ", ".join(str(r.detail.get("name")) for r in after)
            text += f"; committed after the displacing call was answered at {ms(by.call.until)}: {late}"
        yield Hazard(text, (call_fact(thread, by), *(Fact(f"effect {r.detail.get('name')}", (r.n,)) for r in done)))


def _certainly_after(run: Run, step: int, by: Displacement) -> bool:
    """The effect's superstep was held at a gate that was opened only after the answer."""
    opened = run.release(step)
    return opened is not None and opened.at >= by.call.until
