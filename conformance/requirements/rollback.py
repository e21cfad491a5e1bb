"""rollback: "interrupts the current execution AND rolls back all work done up until that point, including
the original run input" (S1)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, Displacement, Fact, Run, Thread, fact, ms
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
    without_history,
)
from conformance.requirements.enqueue import accepted_whatever
from conformance.requirements.interrupt import call_fact, spared

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
    yield from spared(thread, "rollback")
    for run, by, inflight in rolled_back(thread):
        final = run.final
        if final is None or not thread.settled:
            continue
        listed = next(
            (c for c in thread.lists if c.phase == "final" and any(r["tag"] == run.tag for r in c.answer)),
            None,
        )
        proof = (inflight, call_fact(thread, by), run.only_fact(), thread.settled_fact())
        if final.status != GONE:
            yield Violation(
                f"{run.tag} is deleted: GET answers 404",
                f"{run.tag} reads as {final.status}",
                (*proof, run.final_fact()),
            )
        elif listed is not None:
            seen = fact("listed", (listed.n,), run=run.tag, phase=listed.phase, sent=listed.sent)
            yield Violation(f"{run.tag} is listed no more", seen.text, (*proof, seen))
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
        proof = (inflight, call_fact(thread, by), run.only_fact())
        following = thread.next_after(run)
        differs = difference(run, following) if following is not None else _input_left(thread, run)
        if differs is not None:
            expected, observed, facts = differs
            yield Violation(expected, observed, (*proof, *facts))
            continue
        left = thread.holds(run) if thread.settled else None
        if left is not None:
            observed = f"{run.tag} is still in the final state"
            yield Violation(f"nothing of {run.tag} in the state", observed, (*proof, thread.settled_fact(), left))
        elif (following is not None and following[0].found is not None) or not run.enters:
            yield Exercised()


Difference = tuple[str, str, tuple[Fact, ...]]


def difference(run: Run, following: tuple[Run, Fact]) -> Difference | None:
    """Expected, observed and proof where the next run did not find what the displaced run had found."""
    new, after = following
    before, found = run.found, new.found
    if before is None or found is None:
        return None
    differs = sorted({_channel(c) for c in CHANNELS if before[c] != found[c]})
    if not differs:
        return None
    facts = (after, run.found_fact(), new.found_fact())
    return f"{new.tag} finds what {run.tag} had found", f"they differ in {', '.join(differs)}", facts


def _input_left(thread: Thread, run: Run) -> Difference | None:
    """A checkpoint of another run that holds the input of one that was rolled back."""
    call = thread.history_call
    for c in thread.checkpoints:
        if call is not None and c["tag"] not in (None, run.tag) and any(m[2] == run.tag for m in c["messages"]):
            held = fact("input_in", (call.n,), checkpoint=str(c["id"]), of=c["tag"], run=run.tag)
            return f"nothing of {run.tag} in what {c['tag']} finds", held.text, (held,)
    return None


def _channel(name: str) -> str:
    return {"log_hash": "log", "messages_hash": "messages"}.get(name, name)


def _carries(thread: Thread, run: Run, *, ancestor: bool) -> Fact | None:
    """The newest checkpoint of the history, or of the head's lineage, that carries the run."""
    call, head = thread.history_call, thread.head
    held = next((c for c in (thread.lineage if ancestor else thread.checkpoints) if thread.carries(c, run)), None)
    if held is None or call is None:
        return None
    cites = (call.n, head.n) if ancestor and head is not None else (call.n,)
    return fact("carries", cites, checkpoint=str(held["id"]), run=run.tag, ancestor=ancestor)


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
    yield from without_history(thread, whole=True)
    if thread.head is None or not thread.history_is_whole or not thread.lineage:
        return
    for run, by, inflight in rolled_back(thread):
        proof = (inflight, call_fact(thread, by))
        held = _carries(thread, run, ancestor=True)
        lost = next((r for r in _survivors(thread, run) if not thread.entries_of(r.tag)), None)
        if held is not None and not thread.settled:
            continue  # it may have been read before it was reverted
        if held is not None:
            facts = (*proof, run.only_fact(), thread.settled_fact(), held)
            yield Violation(f"no ancestor of the head carries {run.tag}", held.text, facts)
        elif lost is not None and lost.ended_at is not None:
            observed = f"nothing of {lost.tag} is in the head's lineage"
            survives = (*proof, lost.read_fact(lost.ended_at), thread.log_fact())
            yield Violation(f"{lost.tag}, which survives, is there", observed, survives)
        else:
            yield Exercised()


def _survivors(thread: Thread, displaced: Run) -> Iterator[Run]:
    """Runs that had ended successfully before the displaced one was created."""
    for run in thread.runs.values():
        if run is displaced or not run.undisturbed or not run.length or not run.ended_before(displaced.create.sent):
            continue
        if run.ended_at is not None and run.ended_at.status == "success":
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
    yield from without_history(thread)
    if thread.history_call is None or not thread.settled:
        return
    for run, by, inflight in rolled_back(thread):
        held = _carries(thread, run, ancestor=False)
        if held is not None:
            proof = (inflight, call_fact(thread, by), run.only_fact(), thread.settled_fact(), held)
            yield Violation(f"no checkpoint carries {run.tag}", held.text, proof)
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
