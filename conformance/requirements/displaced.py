"""What becomes of the displaced: does it stop, and what happens to inputs that only wait."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, Displacement, Fact, Run, Thread, fact
from conformance.history import Call, Remark, Told
from conformance.requirements.base import (
    HAZARD,
    MUST,
    POLICY,
    Exercised,
    Hazard,
    Judgement,
    Observed,
    Violation,
    requirement,
)
from conformance.requirements.interrupt import call_fact


@requirement(
    "default.strategy",
    POLICY,
    "What a create without multitask_strategy does while a run is inflight (expected: enqueue).",
    source='S2 "Enqueue is the default strategy"; S0 "no global default"; older servers: reject',
    exercised_by=("default",),
    breaks="the default differs between servers and versions",
    advice="set multitask_strategy on every create",
)
def default_strategy(thread: Thread) -> Iterator[Judgement]:
    """Classifies creates without strategy by their answer and by the fate of the run they met."""
    for run in thread.creates(None):
        first = next((r for r in thread.runs.values() if r is not run and r.held_over(run.create)), None)
        if first is None or run.unknown or first.final is None or first.final.status in INFLIGHT:
            continue
        proof = (first.answered_fact(), run.answered_fact(), first.final_fact())
        if run.refused:
            yield Observed("reject", proof)
        elif first.final.status == GONE:
            yield Observed("rollback", proof)
        else:
            yield Observed("interrupt" if first.final.status == "interrupted" else "enqueue", proof)


def stopped_too_late(run: Run, by: Displacement) -> tuple[Told, tuple[Fact, ...]] | None:
    """A superstep that the run entered although it was displaced while the gate of an earlier one held it."""
    held = _held_at(run, by)
    if held is None:
        return None
    step, facts = held
    later = next((r for r in run.told if r.kind == "enter" and r.step > step), None)
    return (later, facts) if later is not None else None


def _held_at(run: Run, by: Displacement) -> tuple[int, tuple[Fact, ...]] | None:
    """The gated superstep that held the run over the call and for the stop deadline after it."""
    for step, entered in sorted(run.enters.items(), reverse=True):
        spec = run.script[step] if step < len(run.script) else {}
        held, opened = run.held_fact(step), run.release(step)
        if held is None or opened is None or entered.at > by.call.sent:
            continue
        if spec.get("swallow") or spec.get("block"):
            return None
        for remark in run.thread.facts.remarks:
            if _stop_waited(run, remark) and by.call.until <= remark.at <= opened.at:
                return step, (held, fact("waited", (remark.n,), run=run.tag, at=remark.at))
    return None


def _stop_waited(run: Run, remark: Remark) -> bool:
    """The harness waited until the run was told of its displacement, or for the whole stop deadline."""
    if remark.kind != "stop-waited" or remark.detail["tag"] != run.tag:
        return False
    return bool(remark.detail["told"]) or float(remark.detail["waited"]) >= float(remark.detail["deadline"])


@requirement(
    "displaced.stops",
    MUST,
    "A displaced run, held at its gate until the answer and then for the stop deadline, enters no further superstep.",
    source='S0 "stops active run mid-execution", S3 "halts the current execution"',
    exercised_by=("interrupt-running", "rollback-running"),
    breaks="the displacement is only a mark that the executing run never looks at, or looks at only in its end",
    advice="cancel the run's task, and check the mark between any two supersteps",
)
def stops(thread: Thread) -> Iterator[Judgement]:
    """Judges runs that were certainly displaced while a gate held them in node code that can be cancelled."""
    for run in thread.runs.values():
        by = next((d for d in run.displacements if d.must is not None and d.kind != "delete"), None)
        if by is None or by.must is None or _held_at(run, by) is None:
            continue
        late = stopped_too_late(run, by)
        if late is None:
            yield Exercised()
            continue
        entered, held = late
        observed = f"{run.tag} went on with superstep {entered.step} after it had been displaced"
        proof = (by.must, call_fact(thread, by), *held, run.told_fact(entered))
        yield Violation(f"{run.tag} enters no further superstep", observed, proof)


@requirement(
    "displaced.pending",
    POLICY,
    "What interrupt and rollback do to inputs that only wait in the queue: displace them too, or only the "
    "executing run.",
    source="measured: many servers displace all; the sources are silent",
    exercised_by=("queued-displaced",),
    breaks="users' queued messages disappear without an answer",
    advice="if queued messages must survive, use enqueue for follow-ups, or send them again after a displacement",
)
def pending(thread: Thread) -> Iterator[Judgement]:
    """Classifies the fate of runs that were queued when another run displaced the executing one."""
    for run in thread.runs.values():
        by = next((d for d in run.displacements if d.call.op == "create" and d.call.ok), None)
        if by is None or not run.accepted or not _only_waited(run, by.call) or run.create.until > by.call.sent:
            continue
        final = run.final
        if final is None or final.status in INFLIGHT or by.call.request.get("strategy") is None:
            continue
        proof = (run.answered_fact(), call_fact(thread, by), run.final_fact())
        displaced = final.status in (GONE, "interrupted")
        yield Observed(f"{by.kind}: {'displaces queued runs too' if displaced else 'leaves queued runs'}", proof)
        if displaced and not run.enters:
            text = f"{run.tag}, which only waited in the queue, was displaced by {by.call.tag}: its input is lost"
            yield Hazard(text, proof)


def _only_waited(run: Run, call: Call) -> bool:
    """It was certainly still in the queue when the call took effect: another run, that nobody had displaced before,
    was held inside a superstep. (A run whose predecessor was displaced just before may have started already.)
    """
    return run.queued_at(call) and any(
        other is not run
        and any(r.at <= call.sent for r in other.enters.values())
        and other.held_over(call)
        and all(d.call.sent >= call.sent for d in other.displacements)
        for other in run.thread.runs.values()
    )


@requirement(
    "thread.work-stops",
    HAZARD,
    "Node code of a displaced run still executes beside its successor.",
    source="measured: most servers; nodes that swallow cancellation or block cannot be stopped",
    exercised_by=("zombie-swallows", "zombie-blocks"),
    breaks="the node swallows the cancellation, blocks in synchronous code, or the server cannot cancel node code",
    advice="let long nodes check for cancellation; guard their effects by idempotency keys",
)
def work_stops(thread: Thread) -> Iterator[Judgement]:
    """Measures, on one clock, for how long a displaced run's node code went on beside its successor."""
    for run in thread.runs.values():
        by = next((d for d in run.displacements if d.must is not None), None)
        successor = thread.first_after(run)
        if by is None or successor is None or not run.enters:
            continue
        start = successor.enters[0]
        beside = [r for r in run.told if r.clock == start.clock and r.t > start.t and r.kind != "cancelled"]
        if not beside:
            yield Hazard(None)
            continue
        effects = [str(r.detail.get("name")) for r in beside if r.kind == "effect"]
        text = f"{run.tag} still executed {(beside[-1].t - start.t) * 1000:.0f} ms after {successor.tag} had started"
        if effects:
            text += f", and committed {', '.join(effects)}"
        proof = (
            call_fact(thread, by),
            Fact(f"{successor.tag} started", (start.n,)),
            Fact(f"{run.tag}: {beside[-1].kind}", (beside[-1].n,)),
        )
        yield Hazard(text, proof)
