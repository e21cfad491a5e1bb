"""The same requirements on graphs that are no probe: judged by statuses, codes, order and the chain of checkpoints.

What a run does is not known there: it may come to an end of its own at any moment, well or not. So a run that was to be
displaced and ended by itself was perhaps just faster: that is neither right nor wrong, and exercises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, OWN_ENDS, Displacement, Fact, Kind, Run, Thread, fact, shown
from conformance.facts.reads import (
    at_once_fact,
    later_reading,
    met_fact,
    overtaken_fact,
    still_fact,
    stopped,
    stopped_by_nobody,
    waited_beside,
    waited_for,
)
from conformance.requirements.base import (
    REGISTRY,
    Exercise,
    Exercised,
    Judgement,
    Observed,
    Oracle,
    Violation,
    judged_by_reads,
)
from conformance.requirements.enqueue import accepted_whatever
from conformance.requirements.interrupt import call_fact
from conformance.requirements.reject import control_of, says_something, traces_of

REJECT, ENQUEUE, QUEUE, BURST = "graph-reject", "graph-enqueue", "graph-queue", "graph-burst"
INTERRUPT, ROLLBACK, CANCEL = "graph-interrupt", "graph-rollback", "graph-cancel"
FEW = 2

# --- oracles that need nothing but what reads show ------------------------------------------------------

AS_THEY_ARE: dict[str, tuple[Exercise, ...]] = {
    "reject.reopens": (Exercise(REJECT, FEW),),
    "thread.settles": (Exercise(ENQUEUE), Exercise(INTERRUPT), Exercise(ROLLBACK), Exercise(QUEUE), Exercise(CANCEL)),
    "run.terminal-is-final": (Exercise(ENQUEUE), Exercise(INTERRUPT), Exercise(ROLLBACK)),
    "checkpoint.lineage": (),
    "checkpoint.one-chain": (Exercise(ENQUEUE), Exercise(INTERRUPT)),
    "create.if-not-exists": (Exercise("create-missing", 4),),
    "create.unknown-thread": (Exercise("create-unknown"),),
    "cancel.twice": (Exercise("graph-cancel-twice"),),
    "endpoint.bounded.wait": (Exercise("graph-clients", FEW),),
    "endpoint.bounded.join": (Exercise("graph-clients", FEW),),
    "endpoint.bounded.stream": (Exercise("graph-clients", FEW),),
    "error.discloses-nothing": (Exercise(REJECT),),
    **{id: r.exercised_by for id, r in REGISTRY.items() if id.startswith("bad-input.")},
}
for _id, _exercises in AS_THEY_ARE.items():
    judged_by_reads(_id, *_exercises)(REGISTRY[_id].oracle)


# --- reject ---------------------------------------------------------------------------------------------


def _met(thread: Thread, run: Run) -> tuple[Run, Fact] | None:
    """A run that was certainly inflight while this one was created."""
    for other in thread.runs.values():
        if other is not run and (proof := met_fact(other, run.create)) is not None:
            return other, proof
    return None


def _rejects(thread: Thread) -> Iterator[tuple[Run, Run, Fact]]:
    """The creates with reject that met a run, which that was, and the proof."""
    for run in thread.creates("reject"):
        met = _met(thread, run)
        if met is not None and not run.unknown and run.create.status not in (429, 503):
            yield run, *met


@judged_by_reads("reject.conflict", Exercise(REJECT, FEW))
def conflict(thread: Thread) -> Iterator[Judgement]:
    """Judges every create(reject) during which reads show another run inflight."""
    for run, first, inflight in _rejects(thread):
        if not run.met_active_run:
            observed = f"{run.tag}'s create was answered {shown(run.create)}"
            proof = (inflight, run.answered_fact())
            yield Violation(f"a refusal, because {first.tag} was inflight", observed, proof)
        elif control_of(thread) is not None:
            yield Exercised()


@judged_by_reads("reject.code", Exercise(REJECT, FEW))
def code(thread: Thread) -> Iterator[Judgement]:
    """Judges the form of every refusal whose reason is certainly the active run."""
    wanted, control = int(thread.facts.history.dialect.get("refusal_code", 409)), control_of(thread)
    for run, _, inflight in _rejects(thread):
        if not run.refused or control is None:
            continue
        proof = (inflight, run.answered_fact(), control.answered_fact())
        if run.create.status != wanted:
            yield Violation(f"status {wanted}", f"{run.tag} was refused with {shown(run.create)}", proof)
        elif not says_something(run.create.answer):
            observed = f"{run.tag} was refused with {run.create.status} and the body {run.create.answer!r}"
            yield Violation("a body that says why", observed, proof)
        else:
            yield Exercised()


@judged_by_reads("reject.no-effect", Exercise(REJECT, FEW))
def no_effect(thread: Thread) -> Iterator[Judgement]:
    """Looks for the refused run in lists, and for what became of the thread's status and of the run that it met."""
    yield from _stopped_although(thread, "reject")
    for run, first, _ in _rejects(thread):
        if not run.met_active_run:
            continue
        listed = next((facts for _, facts in traces_of(thread, run)), None)
        changed = _status_changed(thread, run, first)
        final = first.final
        if listed is not None:
            proof = (run.answered_fact(), *listed)
            yield Violation("no effect at all", f"{run.tag} was refused and yet is listed as a run", proof)
        elif changed is not None:
            proof = (changed[0], run.answered_fact(), changed[1])
            yield Violation("no effect at all", f"the refusal changed the thread's status: {changed[1].text}", proof)
        elif first.displacements or final is None or final.status in INFLIGHT:
            continue
        elif final.status in OWN_ENDS:
            yield Exercised()


def _stopped_although(thread: Thread, strategy: str) -> Iterator[Judgement]:
    """Runs that were stopped though nobody was to, and that were inflight just before a create of this strategy."""
    for run in thread.creates(strategy):
        if not (run.met_active_run if strategy == "reject" else run.accepted):
            continue
        for other in thread.runs.values():
            facts = stopped_by_nobody(other, run.create) if other is not run else None
            if facts is not None and (strategy == "reject" or not other.met_refusal):
                read, final, undisturbed = facts
                proof = (read, run.answered_fact(), final, undisturbed)
                observed = f"{other.tag}, which nobody displaced, did not end by itself"
                yield Violation(f"{other.tag} ends by itself, untouched", observed, proof)


def _status_changed(thread: Thread, run: Run, first: Run) -> tuple[Fact, Fact] | None:
    """The thread was busy before the refusal and something else after it, though a run was inflight throughout."""
    before = [c for c in thread.thread_reads if first.effect_by <= c.sent and c.until <= run.create.sent]
    after = [c for c in thread.thread_reads if c.sent >= run.create.until]
    if not before or not after:
        return None
    old, new = before[-1].answer["status"], after[0].answer["status"]
    inflight = still_fact(first, run.create, after[0].until)
    between = (c for c in thread.calls if c is not run.create and c.op in ("create", "cancel"))
    if old != "busy" or new == "busy" or inflight is None:
        return None
    if any(c.sent < after[0].until and c.until > before[-1].sent for c in between):
        return None
    cites, times = (before[-1].n, run.create.n, after[0].n), {"since": before[-1].sent, "until": after[0].until}
    return inflight, fact("changed", cites, field="status", run=run.tag, old=str(old), new=str(new), **times)


@judged_by_reads("reject.one-winner", Exercise(BURST))
def one_winner(thread: Thread) -> Iterator[Judgement]:
    """Judges bursts of create(reject) on an idle thread whose winner was inflight after the last answer."""
    for burst in thread.bursts():
        idle = thread.idle_fact(burst)
        if any(r.strategy != "reject" for r in burst) or idle is None:
            continue
        accepted = [r for r in burst if r.accepted]
        decided = all(r.accepted or r.met_active_run for r in burst)
        pairs = ((x, y, at_once_fact(x, y)) for x in accepted for y in accepted if x.create.n < y.create.n)
        won = next(((x, y, both) for x, y, both in pairs if both is not None), None)
        expected = f"exactly one of {len(burst)} accepted"
        if won is not None:
            x, y, both = won
            proof: tuple[Fact, ...] = (x.answered_fact(), y.answered_fact(), both)
            yield Violation(expected, f"{x.tag} and {y.tag} were accepted, and inflight at once", proof)
        elif decided and not accepted:
            proof = (*(r.answered_fact() for r in burst), idle)
            yield Violation(expected, "all were refused on an idle thread", proof)
        elif decided and len(accepted) == 1 and later_reading(accepted[0], max(r.create.until for r in burst)):
            yield Exercised()


# --- accepted whatever is inflight ------------------------------------------------------------------------


def _accepted(strategy: str) -> Oracle:
    def oracle(thread: Thread) -> Iterator[Judgement]:
        """Judges every create of this strategy; it met a run if reads show it, or if it stopped one."""
        judged = list(accepted_whatever(thread, strategy))
        yield from judged
        creates = [r.create for r in thread.creates(strategy) if r.accepted]
        runs = thread.runs.values()
        met = any(met_fact(r, c) is not None for r in runs for c in creates)
        if not judged and (met or any(d.call in creates for r in runs if stopped(r) for d in r.displacements)):
            yield Exercised()

    return oracle


for _strategy, _family in (("enqueue", ENQUEUE), ("interrupt", INTERRUPT), ("rollback", ROLLBACK)):
    judged_by_reads(f"{_strategy}.accepted", Exercise(_family, FEW))(_accepted(_strategy))


# --- enqueue --------------------------------------------------------------------------------------------


@judged_by_reads("enqueue.first-completes", Exercise(ENQUEUE, FEW))
def first_completes(thread: Thread) -> Iterator[Judgement]:
    """Judges the end of runs that reads show inflight at an enqueue, and that nobody displaced."""
    yield from _stopped_although(thread, "enqueue")
    for queued in thread.creates("enqueue"):
        met = _met(thread, queued) if queued.accepted else None
        if met is None or met[0].queued_at(queued.create):
            continue
        first = met[0]
        if first.undisturbed and first.final is not None and first.final.status in OWN_ENDS:
            yield Exercised()


@judged_by_reads("enqueue.separate-run")
def separate_run(thread: Thread) -> Iterator[Judgement]:
    """Compares the ids of runs that were accepted."""
    runs = [r for r in thread.runs.values() if r.accepted and r.run_id is not None]
    for queued in runs:
        first = next((r for r in runs if r.create.n < queued.create.n and r.run_id == queued.run_id), None)
        if queued.strategy == "enqueue" and first is not None:
            observed = f"{queued.tag} was given {first.tag}'s id {first.run_id}"
            yield Violation("an id of its own", observed, (first.given_fact(), queued.given_fact()))


@judged_by_reads("enqueue.fifo", Exercise(QUEUE, FEW))
def fifo(thread: Thread) -> Iterator[Judgement]:
    """Judges pairs of undisturbed runs, of which one was answered before the other was sent, by what lists show."""
    runs = [r for r in thread.runs.values() if r.undisturbed]
    for x in runs:
        for y in runs:
            if x is y or x.create.until > y.create.sent:
                continue
            overtaken = overtaken_fact(x, y)
            if overtaken is None:
                if waited_for(x, y):
                    yield Exercised()
                continue
            proof = (x.answered_fact(), y.answered_fact(), x.undisturbed_fact(), y.undisturbed_fact(), overtaken)
            yield Violation(f"{x.tag} executes before {y.tag}", f"{y.tag} started first", proof)


@judged_by_reads("enqueue.conserves-input")
def conserves_input(thread: Thread) -> Iterator[Judgement]:
    """Judges that runs which nobody ended are still there."""
    for run in thread.runs.values():
        if thread.settled and run.undisturbed and run.final is not None and run.final.status == GONE:
            proof = (run.answered_fact(), run.final_fact(), run.undisturbed_fact())
            yield Violation(f"{run.tag} is there: nobody ended it", f"{run.tag} is gone (404)", proof)


# --- interrupt and rollback -------------------------------------------------------------------------------


def stopped_by(thread: Thread, kind: Kind, op: str) -> Iterator[tuple[Run, Displacement, str]]:
    """Runs with an end that they do not come to by themselves, and that only accepted calls of this kind may have
    displaced: the first of these, and the end."""
    for run in thread.runs.values():
        if not stopped(run) or run.met_refusal or run.final is None:
            continue
        if all((d.kind, d.call.op, d.call.ok) == (kind, op, True) for d in run.displacements):
            yield run, run.displacements[0], run.final.status


def ends_against(run: Run, by: Displacement, settled: bool) -> tuple[Fact, ...]:
    """The proof of such an end: the call, that nothing else can have displaced the run, and how it was read last."""
    return (
        call_fact(run.thread, by),
        run.only_fact(),
        *((run.thread.settled_fact(),) if settled else ()),
        run.final_fact(),
    )


@judged_by_reads("interrupt.status", Exercise(INTERRUPT, FEW))
def interrupt_status(thread: Thread) -> Iterator[Judgement]:
    """Judges the final status of runs that were displaced and did not end by themselves."""
    for run, by, status in stopped_by(thread, "interrupt", "create"):
        if status == GONE:
            proof = ends_against(run, by, settled=False)
            yield Violation(f"{run.tag} ends interrupted, and is kept", f"{run.tag} is gone (404)", proof)
        else:
            yield Exercised()


@judged_by_reads("rollback.deleted", Exercise(ROLLBACK, FEW))
def rollback_deleted(thread: Thread) -> Iterator[Judgement]:
    """Judges the final reads of runs that were displaced and did not end by themselves."""
    for run, by, status in stopped_by(thread, "rollback", "create"):
        if not thread.settled:
            continue
        if status == GONE:
            yield Exercised()
        else:
            proof = ends_against(run, by, settled=True)
            yield Violation(f"{run.tag} is deleted: GET answers 404", f"{run.tag} reads as {status}", proof)


@judged_by_reads("rollback.no-orphans", Exercise(ROLLBACK, FEW))
def no_orphans(thread: Thread) -> Iterator[Judgement]:
    """Looks for the ids of deleted runs in the checkpoints of a settled thread whose checkpoints name their runs."""
    call = thread.history_call
    ids = {r.run_id for r in thread.runs.values()}
    if call is None or not thread.settled or not any(c["run"] in ids for c in thread.checkpoints if c["run"]):
        return
    for run, by, status in stopped_by(thread, "rollback", "create"):
        if status != GONE or run.run_id is None or run.create.group is not None:
            continue
        left = next((c for c in thread.checkpoints if c["run"] == run.run_id), None)
        if left is None:
            yield Exercised()
            continue
        carries = fact("carries", (call.n,), checkpoint=str(left["id"]), run=run.tag, ancestor=False)
        yield Violation(
            f"no checkpoint carries {run.tag}", carries.text, (*ends_against(run, by, settled=True), carries)
        )


@judged_by_reads("default.strategy", "graph-default")
def default_strategy(thread: Thread) -> Iterator[Judgement]:
    """Classifies creates without strategy by their answer and by the fate of the run that they met."""
    for run in thread.creates(None):
        met = _met(thread, run)
        if met is None or run.unknown or met[0].final is None or met[0].final.status in INFLIGHT:
            continue
        first, status = met[0], met[0].final.status
        proof = (first.answered_fact(), run.answered_fact(), first.final_fact())
        if run.refused:
            yield Observed("reject", proof)
        elif status in (GONE, "interrupted"):
            yield Observed("rollback" if status == GONE else "interrupt", proof)
        elif waited_beside(first, run):
            yield Observed("enqueue", proof)
