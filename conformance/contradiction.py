"""Why a history cannot be explained: the few facts that contradict each other, and what would have been legal.

The history is made minimal first: only checks and bounds may be dropped (reads, refusals, announcements, closed
gates), since each of them only forbids something. An accepted call may not: without an interrupt a legal
history can become illegal. What is left is explained by the unpruned search, as far as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from conformance.explain import BUDGET, explain
from conformance.facts import NEVER, Fact, ms
from conformance.model import Model, State
from conformance.observed import (
    AnyOp,
    Bound,
    Cancel,
    Create,
    Effect,
    Enter,
    Key,
    Never,
    Observed,
    Read,
    Refusal,
    Settled,
    Stopped,
    Update,
    Writes,
)
from conformance.unpruned import reach

T = TypeVar("T")
STATUSES = ("pending", "running", "success", "error", "timeout", "interrupted", "gone")
MOST_SHOWN = 3
FEW = 2_000  # configurations that are followed at once to say what would have been legal
SHORT, LONG = 300, 3_000  # configurations: what takes longer to refute without a fact is kept with it


@dataclass(frozen=True)
class Contradiction:
    """``core``: what is left of the history; ``stuck``: the first of its operations that no order explains, with
    what would have been ``legal`` there; ``facts``: the core in words, in real time order."""

    core: Observed
    stuck: AnyOp
    legal: str
    facts: tuple[Fact, ...]


def minimal(observed: Observed) -> Observed:
    """The history without the checks and bounds that the contradiction does not need."""
    checks = [i for i, op in enumerate(observed.ops) if not isinstance(op, Effect)]
    effects = [i for i, op in enumerate(observed.ops) if isinstance(op, Effect)]
    keys = list(observed.bounds)

    budget = SHORT

    def impossible(ops: Collection[int], bounds: Collection[Key]) -> bool:
        return explain(observed.only({*effects, *ops}, bounds), budget).verdict == "impossible"

    keys = _shrunk(keys, lambda kept: impossible(checks, kept))
    checks = _shrunk(checks, lambda kept: impossible(kept, keys))
    budget = LONG  # few are left, and none of them shall be one too many
    checks = _shrunk(checks, lambda kept: impossible(kept, keys), 1)
    keys = _shrunk(keys, lambda kept: impossible(checks, kept), 1)
    return observed.only({*effects, *checks}, keys)


def _shrunk(parts: list[T], still: Callable[[Collection[T]], bool], size: int | None = None) -> list[T]:
    """Leave out ever smaller pieces, from ``size`` (half of them) on, as long as what is left is still impossible."""
    size = size or max(1, len(parts) // 2)
    while parts:
        at = 0
        while at < len(parts):
            kept = parts[:at] + parts[at + size :]
            if still(kept):
                parts = kept
            else:
                at += size
        if size == 1:
            break
        size = max(1, size // 2)
    return parts


def _fewer_rows(core: Observed) -> Observed:
    """Of lists of runs only the rows that are needed."""
    for i, op in enumerate(core.ops):
        if isinstance(op, Read) and len(op.rows) > 1:
            rows = _shrunk(list(op.rows), partial(_still_impossible, core, i))
            core = _with_rows(core, i, rows)
    return core


def _with_rows(core: Observed, i: int, rows: Collection[tuple[str, str]]) -> Observed:
    read = core.ops[i]
    assert isinstance(read, Read)
    return replace(core, ops=(*core.ops[:i], replace(read, rows=tuple(rows)), *core.ops[i + 1 :]))


def _still_impossible(core: Observed, i: int, rows: Collection[tuple[str, str]]) -> bool:
    return explain(_with_rows(core, i, rows), SHORT).verdict == "impossible"


def contradiction(observed: Observed) -> Contradiction:
    """Why no order explains the operations, of which ``explain`` has said that it is impossible."""
    core = minimal(observed)
    reached = reach(core, FEW)
    if reached.complete and reached.stuck is not None:
        stuck, legal = core.ops[reached.stuck], _legal(core.model, reached.states, core.ops[reached.stuck])
    else:  # too many orders to list what each of them allows
        at = explain(core).stuck
        stuck, legal = core.ops[at if at is not None else -1], "some order of these calls, each with its answer"
    return Contradiction(core, stuck, legal, tuple(_facts(core)))


def verify(observed: Observed, facts: Sequence[Fact], budget: int = BUDGET) -> str | None:
    """Check a proof again: what it states follows from the records that it cites and has no explanation, and nothing
    that changed the thread is left out. Returns what is wrong with it, or None. What a search of ``budget``
    configurations does not refute counts as explained."""
    ops = {i: op for i, op in enumerate(observed.ops) if any(_states(fact, op) for fact in facts)}
    bounds = [key for key, bound in observed.bounds.items() if any(_states_bound(f, key, bound) for f in facts)]
    for i, op in enumerate(observed.ops):
        if isinstance(op, Effect) and i not in ops:
            return f"#{op.n} changed the thread and is left out"
    for fact in facts:
        said_so = any(_states(fact, op) for op in ops.values())
        if not said_so and not any(_states_bound(fact, key, observed.bounds[key]) for key in bounds):
            return f"the records do not say this: {fact}"
    if explain(observed.only(ops, bounds), budget).verdict != "impossible":
        return "what is stated can be explained"
    return None


def _states(fact: Fact, op: AnyOp) -> bool:
    """Whether a fact states an operation; of a list of runs, at least a part of it."""
    if op.n not in fact.cites:
        return False
    if not isinstance(op, Read):
        return said(op) == fact.text
    begin, _, rows = said(op).partition(" showed ")
    shown, _, some = fact.text.partition(" showed ")
    return begin == shown and set(some.split(", ")) <= set(rows.split(", "))


def _states_bound(fact: Fact, key: Key, bound: Bound) -> bool:
    return bound.n in fact.cites and _held(key, bound) == fact.text


# --- in words ------------------------------------------------------------------------------------------------


def _legal(model: Model, states: Sequence[State], op: AnyOp) -> str:
    """What would have been legal instead, in the states that were possible then."""
    match op:
        case Create():
            return f"create {op.tag} ({op.strategy}) is refused"
        case Refusal():
            return f"create {op.tag} ({op.strategy}) is accepted: no run is inflight"
        case Read():
            return "; ".join(_legal_row(model, states, tag, op) for tag, _ in op.rows)
        case Enter():
            return f"{op.tag} does not enter superstep {op.step} then, or finds {_any_of(_logs(states))}"
        case Stopped():
            return f"{op.tag} stops"
        case Writes():
            return f"{op.tag} writes nothing then"
        case Settled():
            return f"the settled state is {_any_of(_logs(states))}"
    return "another answer"


def _legal_row(model: Model, states: Sequence[State], tag: str, op: Read) -> str:
    runs = [run for state in states if (run := state.run(tag)) is not None]
    legal = [s for s in STATUSES if any(model.reads(run, s, op.exact) for run in runs)]
    if legal == ["timeout"]:  # which may lose anything, and is what nobody meant
        return f"what else was answered of {tag} fits to how it reads"
    return f"{tag} reads as {' or '.join(s for s in legal if s != 'timeout')}" if legal else f"{tag} does not exist"


def _logs(states: Sequence[State]) -> list[str]:
    return sorted({f"log {s.lineage!r}, counter {s.lineage.counter}, note {s.lineage.note!r}" for s in states}, key=len)


def _any_of(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = f" or {len(texts) - MOST_SHOWN} others" if len(texts) > MOST_SHOWN else ""
    return " or ".join(texts[:MOST_SHOWN]) + more


def _facts(core: Observed) -> list[Fact]:
    """The core, in the order of its instants."""
    facts = [(op.lo, Fact(said(op), (op.n,))) for op in _fewer_rows(core).ops]
    facts += [(bound.at, Fact(_held(key, bound), (bound.n,))) for key, bound in core.bounds.items()]
    return [fact for _, fact in sorted(facts, key=lambda pair: pair[0])]


def _held(key: Key, bound: Bound) -> str:
    """A bound in words."""
    tag, step, gate = key
    when = f"before {ms(bound.at)}" if bound.at != NEVER else "at all"
    how = "was held at its gate, and not over" if gate else "was not left"
    return f"superstep {step} of {tag} {how} {when}"


def said(op: AnyOp) -> str:
    """An operation in words."""
    when = f"between {ms(op.lo)} and {ms(op.hi)}" if not op.lost else f"after {ms(op.lo)}, if at all"
    match op:
        case Create():
            return f"create {op.tag} ({op.strategy or 'no strategy'}) was accepted {when}"
        case Cancel():
            return f"{'delete' if op.kind == 'delete' else f'cancel ({op.kind})'} {op.tag} was accepted {when}"
        case Update():
            return f"the update {op.tag} of the state was accepted {when}"
        case Refusal():
            return f"create {op.tag} ({op.strategy or 'no strategy'}) was refused {when}"
        case Read():
            rows = ", ".join(f"{tag} {status}" for tag, status in op.rows)
            return f"a read {when} showed {rows}"
        case Enter():
            found = f", and found a log of {op.found.length}" if op.found is not None and op.step == 0 else ""
            return f"{op.tag} entered superstep {op.step} {when}{found}"
        case Stopped():
            return f"the time in which {op.tag} had to stop was over at {ms(op.hi)}"
        case Writes():
            return f"{op.tag} wrote a checkpoint {when}"
        case Settled():
            log = " ".join(f"{t}{s}" for t, s in op.log) or "(empty)"
            return f"the settled state holds the log {log}, counter {op.found.counter}, note {op.found.note!r}"
        case Never():
            return op.why
