"""What a search knows of a history before it begins: which effects may end a run, which runs nothing tells apart.

Each rule holds in every explanation of the history: it may only forbid what must fail later, or what another
explanation says as well. ``explain`` uses them; the tests hold it against ``unpruned``, which uses none.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from conformance.facts import NEVER
from conformance.known import BY_ITSELF, ENDS, known
from conformance.model import INFLIGHT, Run
from conformance.observed import AnyOp, Cancel, Create, Effect, Enter, Observed, Read, Settled, Stopped, Writes


class Enders(NamedTuple):
    """Of a run, the effects that mark it, if they come while it is inflight: ``must``: if it is the first of its thread
    then, it cannot end by itself any more; ``may``: its fate may come from it; ``any``: all."""

    must: list[int]
    may: list[int]
    any: list[int]


class Held:
    """The runs that cannot have ended by themselves at an instant: a gate was closed. (As ``Observed.held``.)"""

    def __init__(self, closed_until: Mapping[str, float], at: float) -> None:
        self.closed_until, self.at = closed_until, at

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, str) and self.closed_until.get(tag, -1.0) >= self.at


class Displacers:
    """The creates that may displace, to be looked up by the interval in which they take effect."""

    def __init__(self, ops: Sequence[AnyOp]) -> None:
        found = [
            (op.lo, i, op)
            for i, op in enumerate(ops)
            if isinstance(op, Create) and op.strategy not in ("reject", "enqueue")
        ]
        self._all = sorted(found, key=lambda f: f[:2])
        self._los = [lo for lo, _, _ in self._all]
        self._lost = [(i, op) for _, i, op in self._all if op.lost]
        self._longest = max((op.hi - op.lo for _, _, op in self._all if not op.lost), default=0.0)

    def between(self, lo: float, hi: float) -> list[tuple[int, Create]]:
        """Those that can take effect between two instants."""
        found = self._all[bisect_left(self._los, lo - self._longest) : bisect_right(self._los, hi)]
        lasting = [(i, op) for _, i, op in found if op.hi >= lo and op.hi != NEVER]
        return lasting + [(i, op) for i, op in self._lost if op.lo <= hi]


@dataclass(frozen=True, slots=True)
class Event:
    """An operation was sent, or its effect has come about by now."""

    at: float
    received: bool
    op: int


def timeline(ops: Sequence[AnyOp]) -> list[Event]:
    """Sends and receives in real time; at one instant the sends first, which leaves more orders open."""
    events = [Event(op.lo, False, i) for i, op in enumerate(ops)]
    events += [Event(op.hi, True, i) for i, op in enumerate(ops) if not op.lost]
    return sorted(events, key=lambda e: (e.at, e.received, e.op))


class Foresight:
    """What one history tells the search of it, from the beginning."""

    def __init__(self, observed: Observed) -> None:
        self.observed, self.model, self.ops = observed, observed.model, observed.ops
        self.events = timeline(self.ops)
        self.known = known(observed)
        self._closed_until: dict[str, float] = {}
        for (tag, _, gate), bound in observed.bounds.items():
            if gate:
                self._closed_until[tag] = max(bound.at, self._closed_until.get(tag, 0.0))
        self._held = [Held({} if op.lost else self._closed_until, op.hi) for op in self.ops]
        self._pending = self._pending_at()
        self._received = [len(self.events)] * len(self.ops)  # the event at which each was, or the end
        for e, event in enumerate(self.events):
            if event.received:
                self._received[event.op] = e
        self._settled = next((i for i, op in enumerate(self.ops) if isinstance(op, Settled)), -1)
        self._displacers = Displacers(self.ops)
        self._cancels: dict[str, list[int]] = {}
        self._created: dict[str, int] = {}
        self._last_enter: dict[str, int] = {}
        self._enters: dict[str, list[tuple[int, int]]] = {}
        self._starts_by: dict[str, float] = {}
        self._ends_by: dict[str, float] = {}
        self._lags: dict[str, float] = {}
        self._deleted: set[str] = set()
        self._last_reads: dict[str, dict[tuple[str, bool], int]] = {}
        self._own_end = self._own_ends()
        self._look()
        self._ended_before_the_next()
        self._epitaphs: dict[str, Run] = {}
        self._ends = {tag: self._what_ends(i) for tag, i in self._created.items()}
        self._never_free = self._cannot_become_free()
        self._serial = self._order_of_starts()
        self._traits = self._anonymous()
        self._groups = self._interchangeable()
        # Nobody could start before they had ended, and nothing shows that they ever did: they need not start.
        made = [op for i in self._traits if isinstance(op := self.ops[i], Create)]
        self._traceless = {op.tag for op in made if self.known.fate[op.tag] == "gone"}
        # Of these only an input may be in the state, and stays there.
        quiet = {op.tag for op in made if self.known.fate[op.tag] == "interrupted"} & self.known.ended
        self._unnamed = {tag for tag in quiet if self.known.most.get(tag) == 0}
        if not self._shows_more_inputs():
            self._traceless |= self._unnamed
        self._starters: dict[int, list[str]] = {}
        for tag, at in self.known.start.items():
            if tag in self.known.starts | set(self.known.place):
                self._starters.setdefault(at, []).append(tag)

    def _look(self) -> None:
        """Of each run: its create, its cancels, the event of its last announcement; the instants by which it has
        started and ended, and by which a read shows a displacement that need not have come about; and, if it ended by
        itself, the announcements (operation, superstep) that only fit while it is in that superstep: node code of a run
        that is cut off may hurry on."""
        fate = self.known.fate
        for e, event in enumerate(self.events):
            if isinstance(op := self.ops[event.op], Enter):
                self._last_enter[op.tag] = e
        for i, op in enumerate(self.ops):
            match op:
                case Create():
                    self._created[op.tag] = i
                case Cancel():
                    self._cancels.setdefault(op.tag, []).append(i)
                    if op.kind == "delete":
                        self._deleted.add(op.tag)
                case Enter():
                    self._starts_by[op.tag] = min(op.hi, self._starts_by.get(op.tag, NEVER))
                    if not op.again and fate.get(op.tag) in BY_ITSELF:
                        self._enters.setdefault(op.tag, []).append((i, op.step))
                case Read():
                    for tag, status in op.rows:
                        last = self._last_reads.setdefault(tag, {})
                        latest = last.setdefault((status, op.exact), i)
                        if self.ops[latest].hi < op.hi:
                            last[status, op.exact] = i
                        if not op.exact and status in ENDS.values():
                            self._lags[tag] = min(op.hi, self._lags.get(tag, NEVER))
                        elif status not in INFLIGHT:
                            self._ends_by[tag] = min(op.hi, self._ends_by.get(tag, NEVER))
                        elif status == "running":
                            self._starts_by[tag] = min(op.hi, self._starts_by.get(tag, NEVER))

    def _ended_before_the_next(self) -> None:
        """A run had ended when one started that found a longer log (it never becomes shorter between two starts)."""
        certain = self.known.starts | set(self.known.place)
        starts = sorted((at, tag) for tag, at in self.known.start.items() if tag in certain)
        soonest = NEVER
        for _, group in itertools.groupby(reversed(starts), key=lambda start: start[0]):
            tags = [tag for _, tag in group]
            for tag in tags:
                self._ends_by[tag] = min(soonest, self._ends_by.get(tag, NEVER))
            soonest = min([soonest, *(self._starts_by.get(tag, NEVER) for tag in tags)])

    def _what_ends(self, i: int) -> Enders:
        run = self.ops[i]
        assert isinstance(run, Create)
        fate, cancels = self.known.fate.get(run.tag), self._cancels.get(run.tag, [])
        until = self._closed_until.get(run.tag, -1.0)
        others = [(n, o) for n, o in self._displacers.between(run.lo, self._ends_by.get(run.tag, NEVER)) if n != i]
        return Enders(
            must=[n for n, o in others if o.hi <= until and o.strategy is not None and not o.lost],
            may=[n for n, o in others if fate is None or o.strategy is None or ENDS[o.strategy] == fate] + cancels,
            any=[n for n, _ in others] + cancels,
        )

    def _cannot_become_free(self) -> dict[str, list[int]]:
        """Of each run: the accepted creates(reject) that it is in the way of for good, once it is inflight.

        They are held at a gate until it has taken effect, and do not time out. Whatever displaces them is such a run
        itself, so that the last of these is in the way.
        """
        fates = self.known.fate
        made = [(tag, self.ops[n].lo, self._closed_until.get(tag, -1.0)) for tag, n in self._created.items()]
        lasting = [run for run in made if fates.get(run[0], "timeout") != "timeout"]
        found: dict[str, list[int]] = {}
        for i, op in enumerate(self.ops):
            if not isinstance(op, Create) or op.strategy != "reject" or op.lost:
                continue
            held = {tag for tag, lo, at in lasting if lo <= op.hi <= at}
            if not held or any(self.ops[n].lo <= op.hi for tag in held for n in self._cancels.get(tag, ())):
                continue
            first = min(self.ops[self._created[tag]].lo for tag in held)
            if all(o.tag in held for n, o in self._displacers.between(first, op.hi) if n != i):
                for tag in held:
                    found.setdefault(tag, []).append(i)
        return found

    def _order_of_starts(self) -> dict[str, int]:
        """Where nothing displaces, runs start in the order of their acceptance, which the log and the announcements
        show. Only of runs that ended by themselves: node code of one that timed out may hurry on later."""
        effects = [op for op in self.ops if isinstance(op, Effect)]
        if not all(isinstance(op, Create) and op.strategy in ("reject", "enqueue") for op in effects):
            return {}
        first = [op for op in self.ops if isinstance(op, Enter) and op.step == 0]
        place = self.known.place
        if self.known.log is None and sum(isinstance(op, Enter) and op.after is None for op in self.ops) == 1:
            place = {tag: i for i, tag in enumerate(dict.fromkeys(op.tag for op in first))}
        return {tag: at for tag, at in place.items() if self.known.fate.get(tag) in BY_ITSELF}

    def _anonymous(self) -> dict[int, tuple[object, frozenset[int]]]:
        """Of creates whose run does nothing that tells it from others: all that the search can see of it, and the
        effects over which it is held.

        Of two that are alike and both sent, the one that is received first may as well take effect first: in any
        explanation they can exchange their names.
        """
        if self.known.log is None:
            return {}
        reads: dict[str, list[object]] = {}
        for op in self.ops:
            if isinstance(op, Read):
                for tag, status in op.rows:
                    made = self._created.get(tag)
                    # In the middle every run may be read as pending, once it exists.
                    if op.exact or status != "pending" or made is None or self.ops[made].hi > op.lo:
                        reads.setdefault(tag, []).append(status if op.exact else (op.lo, op.hi, status))
        named = self.known.starts | set(self.known.place) | set(self.known.least)
        named |= {op.tag for op in self.ops if isinstance(op, Cancel | Stopped | Writes)}
        settled = self.ops[self._settled]
        assert isinstance(settled, Settled)
        named |= settled.tags
        found: dict[int, tuple[object, frozenset[int]]] = {}
        for i, op in enumerate(self.ops):
            if isinstance(op, Create) and not op.lost and op.tag not in named:
                fate = self.known.fate.get(op.tag)
                if fate in ("interrupted", "gone"):
                    seen = (op.strategy, fate, tuple(reads.get(op.tag, ())))
                    over = self._displacers.between(op.lo, self._closed_until.get(op.tag, -1.0))
                    found[i] = seen, frozenset(n for n, _ in over if op.tag in self._held[n])
        return found

    def _interchangeable(self) -> dict[str, tuple[object, ...]]:
        """Of the anonymous runs: what they have in common with those that can take their place in the queue.

        Not where an effect may come at any later time: the end of the history would not be the end of the effects.
        """
        if any(op.lost for op in self.ops if isinstance(op, Create | Cancel)):
            return {}
        found: dict[str, tuple[object, ...]] = {}
        for i, (seen, _) in self._traits.items():
            op = self.ops[i]
            assert isinstance(op, Create)
            script = [tuple(sorted(map(str, step.items()))) for step in self.model.scripts.get(op.tag, ())]
            found[op.tag] = (seen, self._closed_until.get(op.tag), tuple(script))
        return found

    def _shows_more_inputs(self) -> bool:
        """Whether some state that was seen may hold the input of a run that wrote no superstep."""
        if self.known.log is None or not self._unnamed:
            return True
        lineage = self.model.initial.lineage
        sure = {lineage.digest(): lineage.messages}
        for tag, _ in self.known.log:
            lineage = lineage.grow(tag)
            sure[lineage.digest()] = lineage.messages
        seen = [op.found for op in self.ops if isinstance(op, Settled)] + list(self.known.found.values())
        return any(found.messages > sure.get(found.digest, -1) for found in seen)

    def _alike(self, i: int, j: int) -> bool:
        one, other = self._traits.get(i), self._traits.get(j)
        if one is None or other is None or one[0] != other[0]:
            return False
        mine, its = self.ops[i], self.ops[j]
        assert isinstance(mine, Create)
        assert isinstance(its, Create)
        names, pair = {mine.tag, its.tag}, {i, j}
        return (
            one[1] - pair == other[1] - pair
            and (j in one[1]) == (i in other[1])
            and self.observed.held(mine) - names == self.observed.held(its) - names
        )

    def _pending_at(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """At each event: the checks and the effects that were sent and not yet received."""
        checks: list[int] = []  # few at a time: a dict would keep the places of all that were ever removed
        effects: list[int] = []
        at: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        for event in self.events:
            pool = effects if isinstance(self.ops[event.op], Effect) else checks
            if event.received:
                at.append((tuple(checks), tuple(effects)))
                pool.remove(event.op)
            else:
                pool.append(event.op)
                at.append(((), ()))
        return at

    def _own_ends(self) -> dict[str, tuple[str, float]]:
        """Of each run: how it ends if by itself, and before which instant it certainly has not."""
        over = {
            tag: ("error" if (last := self.model.end_of(tag)) < len(script) else "success", -1.0, last)
            for tag, script in self.model.scripts.items()
        }
        for (tag, step, _), bound in self.observed.bounds.items():
            status, at, last = over.get(tag, ("", -1.0, -1))
            if step < last + (status == "error"):  # it fails in the superstep after its last
                over[tag] = (status, max(at, bound.at), last)
        return {tag: (status, at) for tag, (status, at, _) in over.items()}

    def _ended_otherwise(self, read: Read) -> bool:
        """Whether it shows a run's own end that the run cannot have had: not this one, or not yet."""
        for tag, status in read.rows:
            if status in BY_ITSELF and tag in self._own_end:
                own, at = self._own_end[tag]
                if status != own or at > read.hi:
                    return True
        return False

    def _displaced_by_nobody(self) -> int | None:
        """A create whose run was displaced, or shown so, though nothing can have done it.

        What displaced it took effect after it. If that was a create whose own run was displaced, something took effect
        after that again, and so on: in the end there is one that was not, or was cancelled.
        """
        need = {i: ops for tag, i in self._created.items() if (ops := self._displacing(tag)) is not None}
        of: dict[int, list[int]] = {}
        for i, ops in need.items():
            for n in ops:
                of.setdefault(n, []).append(i)
        todo = [n for n in of if n not in need]
        while todo:
            for i in of.get(todo.pop(), ()):
                if need.pop(i, None) is not None:
                    todo.append(i)
        return min(need, default=None)

    def _displacing(self, tag: str) -> list[int] | None:
        """What may have displaced a run; None if it need not have been displaced."""
        if self.known.fate.get(tag) in ENDS.values():
            return self._ends[tag].may
        if tag in self._lags:
            return [n for n in self._ends[tag].any if self.ops[n].lo <= self._lags[tag]]
        return None
