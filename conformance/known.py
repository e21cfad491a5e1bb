"""What the whole history tells of each run: used by ``explain`` from the beginning, so that it need not find out late.

Each rule holds in every explanation of the history (the tests hold ``explain`` against every order): it may
only forbid what must fail later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.lineage import Lineage
from conformance.model import INFLIGHT, Found, Model, Run, matches
from conformance.observed import Cancel, Create, Enter, Observed, Read, Settled, Update, Writes

ENDS = {"interrupt": "interrupted", "rollback": "gone"}
BY_ITSELF = frozenset({"success", "error"})
MANY = 1 << 30


@dataclass(slots=True)
class Known:
    """Of each run, as far as it is known. ``fate``: the status in which it ends; ``starts``: it certainly starts, on a
    lineage that shows what it ``found``, of the length ``start``; ``least``: how many supersteps it completes at
    least, in the end.

    Of the time before the settled state was read: ``log``: what it showed; ``place``: where the run's segment begins
    in it; ``most``: how many supersteps the run completes at most; ``ended``: it had ended by then.
    """

    fate: dict[str, str] = field(default_factory=dict)
    starts: set[str] = field(default_factory=set)
    found: dict[str, Found] = field(default_factory=dict)
    start: dict[str, int] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    log: tuple[tuple[str, int], ...] | None = None
    place: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    contradicts: bool = False

    def allows_end(self, run: Run, unsettled: bool) -> bool:
        """Whether the run can have ended like this. ``unsettled``: the settled state is still to be read."""
        fate = self.fate.get(run.tag, run.status)
        return (
            fate == run.status
            and run.steps >= self.least.get(run.tag, 0)
            and (run.began is not None or run.tag not in self.starts)
            # All of it is in the log, unless it was rolled back.
            and (not unsettled or self.log is None or run.status == "gone" or run.steps == self.most.get(run.tag, 0))
        )

    def allows_step(self, tag: str, steps: int, lineage: Lineage) -> bool:
        """Whether the run can complete the superstep ``steps`` on this lineage, before the settled state is read."""
        if steps >= self.most.get(tag, MANY):
            return False
        at = lineage.length
        return self.log is None or tag not in self.place or (at < len(self.log) and self.log[at] == (tag, steps))

    def allows_start(self, tag: str, lineage: Lineage, unsettled: bool) -> bool:
        """Whether the run can start on this lineage.

        One that was rolled back without a trace need not start: nobody could start before it had ended, so that only
        the settled state could show it.
        """
        if tag not in self.starts and self.fate.get(tag) == "gone" and (not unsettled or tag in self.ended):
            return False
        if unsettled and self.place.get(tag, lineage.length) != lineage.length:
            return False
        return tag not in self.found or matches(lineage, self.found[tag])


def known(observed: Observed) -> Known:
    """What the whole history tells of each run."""
    found = Known()
    ops = observed.ops
    deleted = {op.tag for op in ops if isinstance(op, Cancel) and op.kind == "delete"}
    serial = not deleted and not any(isinstance(op, Update) for op in ops)  # the log is that of runs, one after another
    reads = [op for op in ops if isinstance(op, Read)]
    for op in reads:
        for tag, status in op.rows:
            if status == "running":
                found.starts.add(tag)
            # In the middle a displacement may be shown before it comes about, if it does: then it is no fate.
            if tag not in deleted and status not in INFLIGHT and (op.exact or status not in ("interrupted", "gone")):
                found.fate[tag] = status
    found.starts |= {op.tag for op in ops if isinstance(op, Enter | Writes)}
    found.found = {op.tag: op.found for op in ops if isinstance(op, Enter) and op.step == 0 and op.found is not None}
    if serial:
        found.start = {tag: seen.length for tag, seen in found.found.items()}
    settled = next((op for op in ops if isinstance(op, Settled)), None)
    if settled is not None:
        found.least = dict(settled.written)
        found.starts |= {tag for tag, n in settled.written if n > 0}
        ended = [(tag, status) for op in reads if op.hi < settled.lo for tag, status in op.rows]
        found.ended = {tag for tag, status in ended if found.fate.get(tag) == status}
        if serial:  # whether a deleted run's work stays, the sources do not say
            _of_log(found, observed, settled)
            found.contradicts = _contradicts(found, observed.model)
    return found


def _of_log(found: Known, observed: Observed, settled: Settled) -> None:
    found.log = settled.log
    for at, (tag, step) in enumerate(settled.log):
        found.place.setdefault(tag, at)
        found.most[tag] = step + 1
    found.start = {**found.place, **found.start}
    entered: dict[str, int] = {}
    for op in observed.ops:
        if isinstance(op, Enter):
            entered[op.tag] = max(op.step, entered.get(op.tag, 0))
    for op in observed.ops:
        if isinstance(op, Create):
            if found.fate.get(op.tag) == "gone":
                if op.tag not in found.ended:
                    continue
                # It was rolled back with all of it, and nothing else ran beside it: supersteps that nobody saw do not
                # matter.
                found.most[op.tag] = max(entered.get(op.tag, 0), found.least.get(op.tag, 0))
            elif op.tag in found.fate:
                found.most.setdefault(op.tag, 0)


def _contradicts(found: Known, model: Model) -> bool:
    """Whether a run that had ended by itself is not in the settled log as it must be, in whatever order."""
    return any(
        found.fate[tag] in BY_ITSELF and found.most.get(tag, 0) != model.end_of(tag)
        for tag in found.ended
        if tag in model.scripts
    )
