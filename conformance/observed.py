"""What a history says to the model: the operations on one thread, each between two instants.

*Effects* are calls that change the thread (an accepted create, a cancel); *checks* only compare (a read, a
refusal, a superstep that was entered). An operation takes effect once, not before ``lo`` and not after
``hi``; where the answer was lost ``hi`` is infinite: at any later time, or never.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from conformance.facts import CANCELS, GONE, NEVER, Run, Thread, lags, parse_log, targets, unsure
from conformance.history import Call, Remark, Told
from conformance.model import Found, Kind, Model, Ready, State
from conformance.programs import Strategy

PATIENCE = 10.0  # seconds: so long the probe waits at most until an announcement is received
EMPTY = Found(0, "", 0, "", 0)
RANK = {"pending": 0, "running": 1, GONE: 3}  # of a status; every other end: 2


@dataclass(frozen=True, slots=True)
class Op:
    """What all operations have. ``n``: the record that shows it; ``after``: the index of the operation that
    certainly came before it (announcements of one clock come in the order of their sequence)."""

    n: int
    lo: float
    hi: float
    after: int | None = None

    @property
    def lost(self) -> bool:
        """Whether it may never have taken effect."""
        return self.hi == NEVER


@dataclass(frozen=True, slots=True)
class Create(Op):
    """An accepted create (or one whose answer was lost)."""

    tag: str = ""
    strategy: Strategy | None = None

    def apply(self, model: Model, state: State, held: Container[str]) -> Iterator[State]:
        return model.create(state, self.tag, self.strategy, held)


@dataclass(frozen=True, slots=True)
class Cancel(Op):
    """An accepted cancel or deletion of a run."""

    tag: str = ""
    kind: Kind = "interrupt"

    def apply(self, model: Model, state: State, held: Container[str]) -> Iterator[State]:
        return model.cancel(state, self.tag, self.kind, held)


@dataclass(frozen=True, slots=True)
class Update(Op):
    """An accepted update of the state by a client (or one whose answer was lost)."""

    tag: str = ""

    def apply(self, model: Model, state: State, held: Container[str]) -> Iterator[State]:  # noqa: ARG002
        yield model.update(state, self.tag)


@dataclass(frozen=True, slots=True)
class Refusal(Op):
    """A create that was refused because of the active run."""

    tag: str = ""
    strategy: Strategy | None = None


@dataclass(frozen=True, slots=True)
class Read(Op):
    """Statuses of runs, all read at one instant."""

    rows: tuple[tuple[str, str], ...] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Enter(Op):
    """A superstep was entered."""

    tag: str = ""
    step: int = 0
    found: Found | None = None
    late: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Stopped(Op):
    """The time has passed in which a displaced run has to stop. ``within``: the superstep in which a gate still holds
    it, which it may complete."""

    tag: str = ""
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Writes(Op):
    """A run wrote a checkpoint."""

    tag: str = ""


@dataclass(frozen=True, slots=True)
class Settled(Op):
    """The settled state."""

    found: Found = EMPTY
    tags: frozenset[str] = frozenset()
    written: tuple[tuple[str, int], ...] = ()
    log: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Never(Op):
    """An answer that no state of any server explains."""

    why: str = ""


Effect = Create | Cancel | Update
AnyOp = Create | Cancel | Update | Refusal | Read | Enter | Stopped | Writes | Settled | Never


class Bound(NamedTuple):
    """The instant before which a superstep was not over, and the record that says so."""

    at: float
    n: int


Key = tuple[str, int, bool]
"""Tag, superstep, and whether a gate was the reason (else the node, which left it only then)."""
Bounds = Mapping[Key, Bound]


@dataclass(frozen=True, slots=True)
class Observed:
    """The operations on one thread, with the bounds of supersteps, which restrict hidden actions."""

    ops: tuple[AnyOp, ...]
    model: Model
    bounds: Bounds

    def ready(self, now: float) -> Ready:
        """Which supersteps can be over at an instant."""

        def ready(tag: str, step: int) -> bool:
            gate, left = self.bounds.get((tag, step, True)), self.bounds.get((tag, step, False))
            return (gate is None or gate.at <= now) and (left is None or left.at <= now)

        return ready

    def held(self, op: Op) -> frozenset[str]:
        """The runs that cannot have ended by themselves before the operation had taken effect: a gate was closed."""
        if op.lost:
            return frozenset()
        return frozenset(tag for (tag, _, gate), bound in self.bounds.items() if gate and bound.at >= op.hi)

    def only(self, ops: Collection[int], bounds: Collection[Key]) -> Observed:
        """What is left with these operations and bounds alone; announcements keep their order."""
        kept: list[AnyOp] = []
        index: dict[int, int] = {}
        for i, op in enumerate(self.ops):
            if i not in ops:
                continue
            after = op.after
            while after is not None and after not in index:
                after = self.ops[after].after
            index[i] = len(kept)
            kept.append(replace(op, after=None if after is None else index[after]))
        return Observed(tuple(kept), self.model, {k: b for k, b in self.bounds.items() if k in bounds})


def observe(thread: Thread) -> Observed | None:
    """The operations of a thread; None where the model does not know what its runs do (they ask, or are scheduled), or
    what a deletion does: of the thread, or of a run that may have ended before."""
    runs = [r for r in thread.runs.values() if not r.refused]
    if any(c.op == "delete_thread" for c in thread.calls) or any(_deleted_at_its_end(r) for r in runs):
        return None
    if thread.special:
        return None
    scripts: dict[str, Sequence[Mapping[str, Any]]] = {r.tag: r.script for r in runs}
    scripts |= {update: [{"op": "emit"}] for update in thread.updates}
    model = Model(scripts, thread.facts.history.instance, thread.facts.displaces)
    ops = [op for call in thread.calls for op in _of_call(thread, call)]
    ops += _stops(thread)
    ops += _flips(thread)
    ops += _announced(thread, len(ops))
    ops += _late_writes(thread)
    settled = _settled(thread)
    ops += [settled] if settled is not None else []
    return Observed(tuple(ops), model, _bounds(thread))


def _deleted_at_its_end(run: Run) -> bool:
    return any(d.kind == "delete" and d.must is None for d in run.displacements)


# --- calls ---------------------------------------------------------------------------------------------


def _of_call(thread: Thread, call: Call) -> Iterator[AnyOp]:
    if call.op == "create" and call.tag in thread.runs:
        yield from _of_create(thread, thread.runs[call.tag])
    elif call.op == "update_state" and call.tag is not None:
        if call.ok or unsure(call):
            yield Update(call.n, call.sent, _updated_by(thread, call), None, call.tag)
    elif call.op == "delete" and call.tag in thread.runs and (call.ok or unsure(call)):
        yield Cancel(call.n, call.sent, NEVER if unsure(call) else call.until, None, call.tag, "delete")
    elif call.op in CANCELS and (call.ok or unsure(call)):
        hi = NEVER if unsure(call) else call.until
        for tag in targets(call):
            if tag in thread.runs:
                yield Cancel(call.n, call.sent, hi, None, tag, call.request["action"])
    elif call.op == "get_run" and call.tag in thread.runs:
        rows = [r for r in thread.runs[call.tag].readings if r.call is call]
        if rows:
            yield Read(call.n, call.sent, call.until, None, ((call.tag, rows[0].status),), _exact(thread, call))
    elif call.op == "list_runs" and call.ok and not call.error:
        yield from _of_list(thread, call)


def _exact(thread: Thread, call: Call) -> bool:
    """Reads of a settled thread may not lag."""
    return thread.settled and call.phase == "final"


def _of_create(thread: Thread, run: Run) -> Iterator[AnyOp]:
    call = run.create
    if run.unknown or run.accepted:
        shared = next((r for r in thread.runs.values() if r is not run and r.accepted and r.run_id == run.run_id), None)
        if run.accepted and shared is not None and shared.create.n < call.n:
            yield Never(call.n, call.sent, call.until, None, f"{run.tag} was given {shared.tag}'s id")
        strategy: Strategy | None = run.strategy  # type: ignore[assignment]
        yield Create(call.n, call.sent, run.effect_by, None, run.tag, strategy)
    elif run.refused and run.strategy in ("reject", None) and run.met_active_run:
        yield Refusal(call.n, call.sent, call.until, None, run.tag, run.strategy)  # type: ignore[arg-type]
    elif run.refused:
        yield Never(call.n, call.sent, call.until, None, f"create({run.strategy}) is not refused in this way")


def _updated_by(thread: Thread, call: Call) -> float:
    """By when an update has taken effect. One that may have met a run may be put off until that is over: no MUST says
    more of it than that the settled state has it."""
    if unsure(call):
        return NEVER
    beside = any(r.create.sent < call.until and not r.ended_before(call.sent) for r in thread.runs.values())
    return max(call.until, thread.epilogue.at) if beside and thread.settled and thread.epilogue else call.until


def _of_list(thread: Thread, call: Call) -> Iterator[AnyOp]:
    rows = []
    for row in call.answer:
        run = thread.runs.get(row["tag"])
        if run is not None and run.refused:
            yield Never(call.n, call.sent, call.until, None, f"{run.tag}, which was refused, is listed")
        elif run is not None and row["status"] and row["run_id"] == run.run_id:
            rows.append((run.tag, str(row["status"])))
        elif run is None and _foreign(thread, row["tag"]):
            yield Never(call.n, call.sent, call.until, None, f"{row['tag']}, a run of another thread, is listed")
    yield Read(call.n, call.sent, call.until, None, tuple(rows), _exact(thread, call))


def _foreign(thread: Thread, tag: str | None) -> bool:
    return tag is not None and (
        "~" in tag or any(tag in other.runs for other in thread.facts.threads.values() if other is not thread)
    )


def _flips(thread: Thread) -> Iterator[AnyOp]:
    """Two reads of one run, one after the other, of which the second shows what comes before the first
    (run.terminal-is-final, run.status-legal)."""
    for run in thread.runs.values():
        latest = None
        for r in sorted(run.readings, key=lambda r: r.call.until):
            rank = RANK.get(r.status, 2)
            for earlier in run.readings:
                before = RANK.get(earlier.status, 2)
                if earlier.call.until > r.call.sent or (before, earlier.status) == (rank, r.status):
                    continue
                # From running to pending by a new attempt, after a fault.
                over = before == 2 and not lags(earlier, r)
                back = before > rank and (over or (before != 2 and run.executed_over(r) is not None))
                turned = before == rank == 2
                if back or turned:
                    latest = Never(r.call.n, r.call.sent, r.call.until, None, f"{run.tag} was {earlier.status} before")
                    break
            if latest is not None:
                yield latest
                break


# --- announcements ---------------------------------------------------------------------------------------


def _announced(thread: Thread, base: int) -> list[AnyOp]:
    """Supersteps that were entered, and failures; those of one clock in the order of their sequence."""
    told = [r for run in thread.runs.values() for r in run.told if r.kind == "enter"]
    ids = {r.run_id: r for r in thread.runs.values() if r.run_id is not None}
    ops: list[AnyOp] = []
    for _, group in itertools.groupby(sorted(told, key=lambda r: (r.clock, r.seq)), key=lambda r: r.clock):
        chain = list(group)
        lo, previous = 0.0, None
        for record, hi in zip(chain, _latest(chain), strict=True):
            run = thread.runs[record.tag]
            lo = max(lo, run.create.sent)
            op = _entered(thread, run, record, lo, max(lo, hi), ids)
            ops.append(replace(op, after=previous))
            previous = base + len(ops) - 1
    return ops


def _latest(chain: Sequence[Told]) -> list[float]:
    """The instants by which they had happened: each before all that follow it on its clock."""
    latest, bound = [], NEVER
    for record in reversed(chain):
        bound = min(bound, record.at)
        latest.append(bound)
    return latest[::-1]


def _entered(thread: Thread, run: Run, record: Told, lo: float, hi: float, ids: dict[str, Run]) -> Enter | Never:
    other = ids.get(str(record.run))
    if run.refused:
        return Never(record.n, lo, hi, None, f"{run.tag}, which was refused, executes")
    if other is not None and other is not run:
        return Never(record.n, lo, hi, None, f"{run.tag} executes as {other.tag}")
    found = record.detail.get("found")
    if found is not None and found.get("last_input") not in (run.tag, "", None) and found["last_input"] in thread.runs:
        return Never(record.n, lo, hi, None, f"{found['last_input']}'s input is in the state of {run.tag}")
    seen = found and Found(found["log"], found["log_hash"], found["counter"], found["note"], found["messages"])
    late = any(r.at < hi and r.at < record.at and _seq(run, r) < record.seq for r in _stop_remarks(thread, run))
    return Enter(record.n, lo, hi, None, run.tag, record.step, seen or None, late, run.attempted_again)


def _stop_remarks(thread: Thread, run: Run) -> Iterator[Remark]:
    """The ends of stop deadlines over which the run was held in a superstep that can be cancelled."""
    for remark in thread.facts.remarks:
        if remark.kind != "stop-waited" or remark.detail["tag"] != run.tag:
            continue
        if not remark.detail["told"] and float(remark.detail["waited"]) < float(remark.detail["deadline"]):
            continue
        step = _held_step(run, remark.at)
        if step is not None and not (run.script[step].get("swallow") or run.script[step].get("block")):
            yield remark


def _held_step(run: Run, at: float) -> int | None:
    """The superstep in which a gate held the run at that instant."""
    for step, entered in run.enters.items():
        opened = run.release(step)
        if opened is not None and entered.at <= at <= opened.at:
            return step
    return None


def _seq(run: Run, remark: Remark) -> int:
    step = _held_step(run, remark.at)
    return run.enters[step].seq if step is not None else -1


def _stops(thread: Thread) -> Iterator[AnyOp]:
    for run in thread.runs.values():
        if not run.refused:
            for remark in _stop_remarks(thread, run):
                # A node that was told does not complete its superstep; one that was not may.
                within = None if remark.detail["told"] else _held_step(run, remark.at)
                yield Stopped(remark.n, remark.at, remark.at, None, run.tag, within)


def _bounds(thread: Thread) -> Bounds:
    bounds: dict[Key, Bound] = {}
    for run in thread.runs.values():
        goes_on = _goes_on(run) if thread.facts.causal_receipts else {}
        for step, script in enumerate(run.script):
            if (released := run.release(step)) is not None:
                bounds[run.tag, step, True] = Bound(released.at, released.n)
            told = run.raises if script["op"] == "fail" else run.leaves.get(step)
            if told is not None and told.n in goes_on:
                bounds[run.tag, step, False] = Bound(goes_on[told.n], told.n)
            if script["op"] == "fail":
                break
    return bounds


def _goes_on(run: Run) -> dict[int, float]:
    """Of each announcement, the instant before which the node did not go on.

    It goes on when its announcement has been received, or when it has waited for that in vain; it cannot have sent it
    before it had gone on after the one before.
    """
    instants: dict[int, float] = {}
    at = run.create.sent
    if not run.attempted_again:
        for record in sorted(run.told, key=lambda r: r.seq):
            at = instants[record.n] = min(record.at, at + PATIENCE)
    return instants


# --- the state -------------------------------------------------------------------------------------------


def _late_writes(thread: Thread) -> Iterator[AnyOp]:
    """Checkpoints that were not there yet when everything had settled (run.terminal-is-final)."""
    early, late = thread.settled_history, thread.history_call
    if early is None or late is None or not thread.settled:
        return
    known = {c["id"] for c in early.answer}
    if len(known) != len(early.answer):
        return
    for run in thread.runs.values():
        if run.accepted and any(c["id"] not in known and thread.wrote(run, c) for c in late.answer):
            yield Writes(late.n, early.sent, late.until, None, run.tag)


def _settled(thread: Thread) -> AnyOp | None:
    head = thread.head
    if head is None or not thread.settled:
        return None
    state = head.answer
    known = {*thread.runs, *thread.updates}
    tags = {m[2] for m in state["messages"] if m[2] in known or _foreign(thread, m[2])}
    if thread.history_is_whole and thread.lineage:
        tags |= {t for c in thread.lineage for t in (c["tag"], *(t for t, _ in parse_log(c["log"]))) if t}
        ids = {r.run_id: r.tag for r in thread.runs.values() if r.run_id is not None}
        tags |= {ids[c["run"]] for c in thread.lineage if c["run"] in ids}
    written: dict[str, int] = {}
    for checkpoint in thread.checkpoints:
        for tag, step in parse_log(checkpoint["log"]):
            if tag in thread.updates:
                continue  # of runs alone
            written[tag] = max(written.get(tag, 0), step + 1)
    log = parse_log(state["log"])
    found = Found(len(log), thread.hash_of(log), state["counter"], state["note"], len(state["messages"]))
    return Settled(head.n, head.sent, head.until, None, found, frozenset(tags), tuple(written.items()), tuple(log))
