"""The nearest legal history: what was seen up to the answer that is to blame, with answers that would have been legal.

Nothing is invented: the other answers are put into the history itself, which is then judged again. One is legal if the
requirement that was violated still applies and does not object to that record, no other requirement objects because of
it, and the model finds an order for it and for what had been seen until then. Where no answer passes, there is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from conformance.explain import explain
from conformance.facts import GONE, Fact, Facts
from conformance.history import WITHOUT_PROBE, Call, Epilogue, GateOpened, History, Record, Remark, Told
from conformance.lineage import Lineage
from conformance.observed import Create, Effect, Enter, Never, Observed, Read, observe
from conformance.otherwise import Other, left_out, others
from conformance.requirements import REGISTRY, Level
from conformance.requirements.base import Exercised, Violation
from conformance.unpruned import reach
from conformance.verdicts import EXPLAINABLE

BUDGET = 1_500  # configurations of one search
STATES = 3_000  # configurations that are followed at once to know what the state may be
MOST_BLAMED = 4  # records of a proof that are looked at, the latest first
MOST_RECORDS = 300  # of a history: longer ones take too long
MOST_TRIED = 40  # answers of one record
MOST_WRONG = 4  # answers beside it that nothing explains, and that are left out
MOST_SHOWN = 3


@dataclass(frozen=True)
class Instead:
    """``record``: the one whose answer is to blame; ``legal``: answers that it might have had, the first of several;
    ``more``: how many others."""

    record: int
    legal: tuple[str, ...]
    more: int = 0

    def text(self) -> str:
        """In one line."""
        others = f" or {self.more} other{'s' if self.more > 1 else ''}" if self.more else ""
        return f"{' or '.join(self.legal)}{others} instead of #{self.record}"


def cited(proof: Iterable[Fact]) -> set[int]:
    """The records that a proof cites."""
    return {n for fact in proof for n in fact.cites}


def nearest(history: History, id: str, cites: Collection[int]) -> Instead | None:
    """What would have been legal instead of the answer that violates a requirement, by a proof that cites these
    records; None where neither the requirements nor the model say."""
    if (
        history.transport == WITHOUT_PROBE  # the model has to know what runs do
        or len(history.records) > MOST_RECORDS
        or id not in REGISTRY
        or REGISTRY[id].level not in (Level.MUST, Level.SHOULD)
    ):
        return None
    answers = [r for r in history.records if r.n in cites and isinstance(r, Call | Told)]
    latest = sorted(answers, key=_by, reverse=True)[:MOST_BLAMED]
    # Of a run that was there, what came later counts, and not that it was created.
    latest = [r for i, r in enumerate(latest) if not (_creates(r) and any(o.tag == r.tag for o in latest[:i]))]
    for i, record in enumerate(latest):
        for seen in (_until(history, record, frozenset(cites)), history):
            if found := _legal(seen, id, record.n, last=all(isinstance(r, Told) for r in latest[:i])):
                return Instead(record.n, tuple(found[:MOST_SHOWN]), max(0, len(found) - MOST_SHOWN))
    return None


def _creates(record: Record) -> bool:
    return isinstance(record, Call) and record.op == "create"


def _by(record: Record) -> float:
    """When its answer had come."""
    match record:
        case Call():
            return record.received if record.received is not None else record.sent
        case GateOpened():
            return record.done
    return record.at


def _until(history: History, last: Record, cites: Collection[int]) -> History:
    """What had been seen when that answer came, and what the proof needs; the rest is left out."""
    at = _by(last)

    def seen(record: Record) -> bool:
        if record.n in cites or isinstance(record, GateOpened | Remark | Epilogue):
            return True
        return (record.sent if isinstance(record, Call) else record.at) <= at

    return replace(history, records=tuple(r if seen(r) else left_out(r) for r in history.records))


def _legal(before: History, id: str, n: int, last: bool) -> list[str]:
    """Answers that the record might legally have had, in words; none where it is not to blame. Only where it is the
    ``last``, but for announcements, it may be said that it need not have come at all: else it may be what something
    later is held against."""
    said = _judged(before, id, n)
    if said is None:
        return []
    # The state, and what a run finds of it, follow from everything else: the model alone says nothing of them where
    # something else is wrong, too.
    record = before.records[n]
    alone = id == EXPLAINABLE and not (isinstance(record, Call) and record.op != "get_state")
    by_model = id == EXPLAINABLE and not _explained_with(before, n, alone)
    if not by_model and id not in {i for i, _ in said.objections}:
        return []
    texts: list[str] = []
    for other in itertools.islice(others(before, n, lambda tag: _lineages(before, n, tag)), MOST_TRIED):
        if isinstance(other.record, Remark) and (texts or not last):
            continue  # another answer is nearer
        after = _with(before, other)
        then = _judged(after, id, n)
        if then is None or not then.objections <= said.objections or id in {i for i, _ in then.objections}:
            continue
        if (id == EXPLAINABLE or then.applies > said.applies) and _explained_with(after, n, alone):
            texts.append(other.text)
    return list(dict.fromkeys(texts))


def _with(history: History, other: Other) -> History:
    records = (other.record if r.n == other.record.n else r for r in history.records)
    return replace(history, records=tuple(records))


@dataclass(frozen=True)
class _Said:
    """What the named requirements say of a history. ``objections``: as far as a record has a part in them;
    ``applies``: how often the one that is asked about is met, or violated without that record."""

    objections: frozenset[tuple[str, str]]
    applies: int


def _judged(history: History, id: str, n: int) -> _Said | None:
    """None where an oracle fails at it, as it may at an answer that no server gives."""
    found, applies = set(), 0
    for thread in Facts(history).threads.values():
        for name, requirement in REGISTRY.items():
            if name == EXPLAINABLE or requirement.level not in (Level.MUST, Level.SHOULD):
                continue
            try:
                judgements = list(requirement.oracle(thread)) if requirement.judges(thread) else []
            except Exception:
                return None
            for said in judgements:
                if isinstance(said, Violation) and any(n in f.cites for f in said.proof):
                    found.add((name, said.observed))
                else:
                    applies += name == id and isinstance(said, Exercised | Violation)
    return _Said(frozenset(found), applies)


# --- by the model ------------------------------------------------------------------------------------------


class _GaveUp(Exception):
    """A search was not brought to an end."""


def _explained_with(history: History, n: int, alone: bool = False) -> bool:
    """Whether the model finds an order with this record; unless it shall be ``alone`` to blame, also beside other
    answers that nothing explains. Also where the model says nothing of the thread, and not where the search gave up."""
    try:
        return all(_explained(observed) if alone else _fits(observed, n) for observed in _observed(history))
    except _GaveUp:
        return False


def _observed(history: History) -> Iterator[Observed]:
    for thread in Facts(history).threads.values():
        if any(r.accepted for r in thread.runs.values()) and (observed := observe(thread)) is not None:
            yield observed


def _fits(observed: Observed, n: int) -> bool:
    if _explained(observed):
        return True
    own = {i for i, op in enumerate(observed.ops) if op.n == n}
    rest = _explainable_rest(observed, own)
    return rest is not None and _explained(observed.only(rest | own, set(observed.bounds)))


def _explainable_rest(observed: Observed, own: Collection[int]) -> set[int] | None:
    """Everything but these operations, and but those that nothing explains anyway; None where too many are wrong."""
    rest = {i for i in range(len(observed.ops)) if i not in own}
    for _ in range(MOST_WRONG):
        at = _contradicted_at(observed.only(rest, set(observed.bounds)))
        if at is None:
            return rest
        wrong = {i for i in rest if observed.ops[i].hi == at and not isinstance(observed.ops[i], Effect)}
        if not wrong:
            return None
        rest -= wrong
    return rest if _contradicted_at(observed.only(rest, set(observed.bounds))) is None else None


def _contradicted_at(observed: Observed) -> float | None:
    """The first instant by which no order explains what was seen; None if there is an order for all of it."""
    if _explained(observed):
        return None
    instants = sorted({op.hi for op in observed.ops if not op.lost})
    first, last = 0, len(instants) - 1  # what cannot be explained at one instant cannot be at any later one
    while first < last:
        middle = (first + last) // 2
        if _explained(_cut(observed, instants[middle])):
            first = middle + 1
        else:
            last = middle
    return instants[first]


def _cut(observed: Observed, at: float) -> Observed:
    """What was known at an instant: of calls that were under way, that they may have taken effect."""
    ops = tuple(
        replace(op, hi=float("inf")) if isinstance(op, Effect) and op.lo < at < op.hi else op for op in observed.ops
    )
    kept = {i for i, op in enumerate(ops) if op.hi <= at or (isinstance(op, Effect) and op.lo < at)}
    return replace(observed, ops=ops).only(kept, set(observed.bounds))


def _explained(observed: Observed) -> bool:
    verdict = explain(observed, BUDGET).verdict
    if verdict == "gave up":
        raise _GaveUp
    return verdict == "explained"


def _lineages(history: History, n: int, begun: str | None) -> Sequence[Lineage]:
    """What the state may hold just before a record, the longest first; ``begun``: what that run may have built on."""
    found: set[Lineage] = set()
    for observed in _observed(history):
        own = [i for i, op in enumerate(observed.ops) if op.n == n]
        if own:
            found.add(_in_order(observed, begun))
            with suppress(_GaveUp):
                found |= _reached(observed, own[0], begun)
    return sorted(found, key=lambda lineage: (-lineage.length, repr(lineage)))


def _reached(observed: Observed, i: int, begun: str | None) -> set[Lineage]:
    """By all orders of what came before, if they are few."""
    rest, op = _explainable_rest(observed, {i}), observed.ops[i]
    if rest is None:
        return set()
    never = Never(op.n, op.lo, op.hi, op.after, "to see what may come before")
    ops = (*observed.ops[:i], never, *observed.ops[i + 1 :])
    until = replace(observed, ops=ops).only(rest | {i}, set(observed.bounds))
    reached = reach(_cut(until, op.hi), STATES)
    if not reached.complete:
        return set()
    if begun is None:
        return {state.lineage for state in reached.states}
    runs = (state.run(begun) for state in reached.states)
    return {run.began for run in runs if run is not None and run.began is not None}


def _in_order(observed: Observed, begun: str | None) -> Lineage:
    """One run after the other, as they were created: what they wrote if each had the fate that was read last."""
    model, lineage = observed.model, observed.model.initial.lineage
    fates = {tag: status for op in observed.ops if isinstance(op, Read) for tag, status in op.rows}
    entered: dict[str, int] = {}
    for op in observed.ops:
        if isinstance(op, Enter):
            entered[op.tag] = max(op.step, entered.get(op.tag, 0))
    for create in sorted((op for op in observed.ops if isinstance(op, Create)), key=lambda op: op.hi):
        if create.tag == begun:
            break
        fate = fates.get(create.tag)
        steps = 0 if fate == GONE else entered.get(create.tag, 0) if fate == "interrupted" else model.end_of(create.tag)
        lineage = lineage.extend(create.tag, 0, steps) if steps else lineage
    return lineage
