"""Runs: that a status means what it says, and that an end is an end."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import (
    GONE,
    HISTORY_PAGE,
    INFLIGHT,
    RECEIPT_S,
    TERMINAL,
    Fact,
    Run,
    Thread,
    fact,
    gated_fact,
    lags,
    parse_log,
)
from conformance.history import Call
from conformance.requirements.base import (
    MUST,
    SHOULD,
    Exercise,
    Exercised,
    Judgement,
    Violation,
    requirement,
    without_history,
)

LEGAL = TERMINAL | INFLIGHT
LONG_S = 1.5  # a create is not called waiting for less


@requirement(
    "run.terminal-is-final",
    MUST,
    "A terminal status never changes, a deleted run never comes back, and once its successor has entered its "
    "first superstep, or the settle deadline has passed, a run writes nothing more.",
    source="S1, S2, S3",
    exercised_by=(
        "interrupt-running",
        "rollback-running",
        "zombie-swallows",
        "zombie-blocks",
        "interrupt-ending",
        "rollback-ending",
        Exercise("delete-ended", 0),
    ),
    breaks="the executing worker stores its end over the displacement, or its late checkpoint over the successor's",
    advice="make the terminal update conditional on the run being inflight, and fence checkpoint writes by run",
)
def terminal_is_final(thread: Thread) -> Iterator[Judgement]:
    """Judges the reads of every run in real time order, and writes that causes prove to be late."""
    for run in thread.runs.values():
        flip = _flip(run) or _there_again(thread, run) or _late_write(thread, run) or _write_after_settling(thread, run)
        if flip is not None:
            yield flip
        elif run.ended_at is not None and len(run.readings) > 1:
            yield Exercised(overlap=any(d.must for d in run.displacements))


def _flip(run: Run) -> Violation | None:
    ended = run.ended_at
    if ended is None:
        return None
    for later in run.readings:
        if later.call.sent < ended.call.until or later.status == ended.status or lags(ended, later):
            continue
        if later.status == GONE and any(d.kind in ("rollback", "delete") for d in run.displacements):
            ended = later  # stopped first, deleted then: both belong to one rollback; or it was deleted
            continue
        why: tuple[Fact, ...] = ()
        if later.status == GONE:  # no rollback explains it
            why = (run.only_fact() if run.displacements else run.undisturbed_fact(),)
        facts = (run.read_fact(ended), run.read_fact(later), *why)
        return Violation(f"{run.tag} stays {ended.status}", f"{run.tag} became {later.status}", facts)
    return None


def _there_again(thread: Thread, run: Run) -> Violation | None:
    """A run that a client deleted is there when all has come to rest."""
    deleted, final = next((c for c in thread.deletes if c.tag == run.tag), None), run.final
    if deleted is None or final is None or not thread.settled:
        return None
    if final.status == GONE or final.call.sent < deleted.until:
        return None
    facts = (thread.deleted_fact(deleted), thread.settled_fact(), run.final_fact())
    return Violation(f"{run.tag} is gone: it was deleted", f"{run.tag} reads as {final.status}", facts)


def _written(call: Call, run: Run, step: int) -> str | None:
    """A checkpoint in this read of the history that holds that superstep of the run."""
    for checkpoint in call.answer:
        if (run.tag, step) in parse_log(checkpoint["log"]):
            return str(checkpoint["id"])
    return None


def _late_write(thread: Thread, run: Run) -> Violation | None:
    """A superstep that a gate held until the successor had entered its first one is in some checkpoint."""
    call = thread.history_call
    if call is None or not run.displacements:
        return None
    for successor, after in thread.after(run):
        began = successor.enters[0]
        if any(d.call.sent > began.at for d in run.displacements):
            continue
        for step, opened, held in _held_steps(run):
            if opened < began.at or (checkpoint := _written(call, run, step)) is None:
                continue
            facts = (after, held, _written_fact(call, run, step, checkpoint))
            expected = f"{run.tag} writes nothing after {successor.tag} began"
            return Violation(expected, f"it wrote superstep {step}", facts)
    return None


def _held_steps(run: Run) -> Iterator[tuple[int, float, Fact]]:
    """Supersteps that were entered, with the instant before which a gate did not let them be left, and the proof."""
    for step in run.enters:
        opened, held = run.release(step), run.held_fact(step)
        if opened is not None and held is not None:
            yield step, opened.at, held


def _written_fact(call: Call, run: Run, step: int, checkpoint: str) -> Fact:
    return fact("written", (call.n,), run=run.tag, step=step, checkpoint=checkpoint)


def _write_after_settling(thread: Thread, run: Run) -> Violation | None:
    """A checkpoint of the run that was not there when everything had settled, and is there at the end."""
    early, late = thread.settled_history, thread.history_call
    if early is None or late is None or not thread.settled or not run.accepted:
        return None
    known = {c["id"] for c in early.answer}
    new = [c for c in late.answer if c["id"] not in known and thread.wrote(run, c)]
    if not new or len(early.answer) != len(known) or len(known) >= HISTORY_PAGE or thread.history_is_cut:
        return None
    facts = (
        thread.settled_fact(),
        fact("new", (early.n, late.n), run=run.tag, checkpoint=str(new[0]["id"])),
    )
    return Violation(f"{run.tag} writes nothing after the thread has settled", f"{len(new)} new checkpoints", facts)


@requirement(
    "run.final-when-read",
    SHOULD,
    "From the moment on at which a run was read as terminal or gone, it writes nothing more.",
    source="S1, S2, S3 imply it",
    exercised_by=("interrupt-running", "rollback-running"),
    breaks="the status is set when the displacement is accepted, the work stops some milliseconds later",
    advice="revoke the run's right to write in the transaction that sets its status",
)
def final_when_read(thread: Thread) -> Iterator[Judgement]:
    """A superstep that certainly was not left when the run was read as ended is in some checkpoint."""
    yield from without_history(thread)
    call = thread.history_call
    if call is None:
        return
    for run in thread.runs.values():
        ended = run.ended_at
        if ended is None or not run.accepted or not run.enters:
            continue
        late = None
        for step, instant, held in _not_left_before(thread, run):
            if instant > ended.call.until and (checkpoint := _written(call, run, step)) is not None:
                late = (step, (run.read_fact(ended), held, _written_fact(call, run, step, checkpoint)))
        if late is not None:
            expected = f"{run.tag} writes nothing after it was read as {ended.status}"
            yield Violation(expected, f"it wrote superstep {late[0]}", late[1])
        elif run.displacements:
            yield Exercised()


def _not_left_before(thread: Thread, run: Run) -> Iterator[tuple[int, float, Fact]]:
    yield from _held_steps(run)
    if thread.facts.causal_receipts:
        # The node waits for the receipt of its "leave", so its superstep ends after it; but not for ever.
        for step, left in run.leaves.items():
            if left.at - run.create.sent < RECEIPT_S:
                yield step, left.at, run.told_fact(left)


@requirement(
    "run.status-legal",
    MUST,
    "Only the listed statuses, and only legal transitions.",
    source="the SDK: pending, running, success, error, interrupted, timeout",
    exercised_by=("enqueue-running", "interrupt-running", "rollback-running"),
    breaks="a status of the server's own (cancelled, failed, completed …) reaches the API",
    advice="map internal states to the six that clients know",
)
def status_legal(thread: Thread) -> Iterator[Judgement]:
    """Judges every status read."""
    for run in thread.runs.values():
        strange = next((r for r in run.readings if r.status not in LEGAL and r.status != GONE), None)
        back = _back_to_pending(run)
        if strange is not None:
            observed = f"{run.tag} was read as {strange.status!r}"
            yield Violation(f"one of {', '.join(sorted(LEGAL))}", observed, (run.read_fact(strange),))
        elif back is not None:
            observed = f"{run.tag} was read as running, then as pending"
            yield Violation("running is followed by an end", observed, back)
        elif run.readings:
            yield Exercised(overlap=bool(run.displacements))


def _back_to_pending(run: Run) -> tuple[Fact, ...] | None:
    """``running`` then ``pending`` in real time, without a new attempt that would explain it."""
    running = next((r for r in run.readings if r.status == "running"), None)
    if running is None:
        return None
    for later in run.readings:
        if later.status == "pending" and later.call.sent >= running.call.until:
            executed = run.executed_over(later)
            if executed is not None:
                return run.read_fact(running), run.read_fact(later), *executed
    return None


@requirement(
    "run.status-truthful",
    MUST,
    "`success` only for a run that reached its end, `error` for one whose node raised.",
    source="the SDK's statuses",
    exercised_by=(
        "enqueue-running",
        "enqueue-failed",
        "queue-behind-failure",
        *(Exercise(family, 0) for family in ("scheduled-idle", "scheduled-queued", "scheduled-busy")),
    ),
    breaks="every end of the worker's loop is stored as success, or success is stored when the run is claimed",
    advice="store the status from the execution's outcome, after its last checkpoint",
    scheduled=True,
)
def status_truthful(thread: Thread) -> Iterator[Judgement]:
    """Compares statuses with what the probe announced."""
    for run in thread.runs.values():
        success = next((r for r in run.readings if r.status == "success"), None)
        raised, final = run.raises, run.final
        gate, no_end = (gated_fact((run,)), run.no_end_fact()) if success is not None else (None, None)
        if success is not None and gate is not None and success.call.until < run.cannot_end_before:
            early = run.read_fact(success)
            yield Violation(f"{run.tag} is not success before its end", early.text, (early, gate))
        elif success is not None and no_end is not None:
            yield Violation(f"{run.tag} reached its end", no_end.text, (run.read_fact(success), no_end))
        elif raised is not None and not run.displacements and final is not None and final.status in TERMINAL:
            if final.status != "error":
                proof = (run.told_fact(raised), run.final_fact(), run.undisturbed_fact())
                yield Violation(f"{run.tag} ends error", f"{run.tag} ended {final.status}", proof)
            else:
                yield Exercised(overlap=False)
        elif success is not None:
            yield Exercised(overlap=False)


@requirement(
    "create.returns",
    MUST,
    "POST /runs answers without waiting for the run's end.",
    source="the API reference: the run is created in the background",
    exercised_by=("enqueue-running", "interrupt-running"),
    breaks="the handler awaits the execution",
    advice="answer when the run is stored; execute it elsewhere",
)
def create_returns(thread: Thread) -> Iterator[Judgement]:
    """A create that is answered only after its run's gate was opened, though the run was inside it before."""
    for run in thread.runs.values():
        inside = [r for s, r in run.enters.items() if s < len(run.script) and run.script[s].get("gate")]
        if not inside or not run.accepted or run.create.request.get("endpoint", "runs") != "runs":
            continue
        first = min(inside, key=lambda r: r.at)
        opened = run.release(first.step)
        if opened is None or first.at > opened.at:
            continue
        if run.create.until <= opened.at:
            yield Exercised(overlap=False)
        elif opened.at - first.at > LONG_S and thread.facts.history.transport != "stream":
            held = run.held_fact(first.step)
            assert held is not None
            observed = f"answered {(run.create.until - first.at) * 1000:.0f} ms after the run had entered its gate"
            yield Violation("answered while the run is held", observed, (held, run.answered_fact()))
