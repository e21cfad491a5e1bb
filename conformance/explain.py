"""Is there an order of the calls, with hidden actions in between, that gives every observed answer?

``explain`` walks the instants at which operations were sent and received. What a received operation did must
have taken effect by then; nothing is decided earlier than that (least commitment first). Checks change
nothing, so each is ticked off in the first state that it fits. What is left to decide is the order of
overlapping effects and the hidden actions: depth-first, and no (event, state, decided operations) twice.

What the end of the history tells is used from the beginning: the fates of the runs, and the final log, which
is their serial order. ``unpruned`` is the same question without any of this; the tests hold one against the other.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from conformance.displacing import spares
from conformance.facts import NEVER
from conformance.foresight import Foresight
from conformance.known import BY_ITSELF, ENDS, MANY
from conformance.model import INFLIGHT, Kind, Model, Move, Run, State
from conformance.observed import (
    AnyOp,
    Cancel,
    Create,
    Effect,
    Enter,
    Never,
    Observed,
    Op,
    Read,
    Refusal,
    Settled,
    Stopped,
    Writes,
)

Verdict = Literal["explained", "impossible", "gave up"]
BUDGET = 10_000  # configurations that a search looks at before it gives up


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found. ``event``: how many sends and receives it explained at most; ``of`` how many;
    ``stuck``: the operation that it could not go beyond; ``looked``: configurations that it looked at."""

    verdict: Verdict
    event: int
    of: int
    stuck: int | None
    looked: int


def holds(model: Model, state: State, op: AnyOp) -> bool:
    """Whether a check fits a state; never asked of an effect."""
    match op:
        case Refusal():
            return model.refuses(state, op.strategy)
        case Read():
            return all(
                (run := state.run(tag)) is not None and model.reads(run, status, op.exact) for tag, status in op.rows
            )
        case Enter():
            run = state.run(op.tag)
            return run is not None and model.enters(run, op.step, op.found, op.late, op.again)
        case Stopped():
            run = state.run(op.tag)
            return run is None or model.has_stopped(run, op.within)
        case Writes():
            run = state.run(op.tag)
            return run is not None and run.status == "running"
        case Settled():
            return model.shows(state, op.found, op.tags, dict(op.written))
    return False


def explain(observed: Observed, budget: int = BUDGET) -> Answer:
    """Search for an order, looking at ``budget`` configurations at most."""
    with collector_paused():
        return Search(observed, budget).run()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Inside, Python does not look for cyclic garbage: in a search nothing becomes garbage, and looking for it costs
    more the longer the history is."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# --- the search -----------------------------------------------------------------------------------------


Config = tuple[int, State, frozenset[int]]
"""The event that is to be explained next, the state, and the pending operations that have taken effect."""


class Search(Foresight):
    """One search. ``run`` gives the answer."""

    def __init__(self, observed: Observed, budget: int = BUDGET) -> None:
        super().__init__(observed)
        self.budget = budget

    def run(self) -> Answer:
        """Search to the end, or to the budget."""
        if (alone := self._impossible_alone()) is not None:
            return Answer("impossible", 0, len(self.events), alone, 0)
        stack: list[Config] = [(0, self.model.initial, frozenset())]
        seen: set[Config] = set()
        furthest, looked, end = 0, 0, len(self.events)
        while stack:
            config = self._advance(*stack.pop())
            furthest = max(furthest, config[0])
            if config[0] == end:
                return Answer("explained", end, end, None, looked)
            if config in seen:
                continue
            seen.add(config)
            looked += 1
            if looked > self.budget:
                return Answer("gave up", furthest, end, self.events[furthest].op, looked)
            stack += self._next(*config)
        return Answer("impossible", furthest, end, self.events[furthest].op, looked)

    def _impossible_alone(self) -> int | None:
        """An operation that no order can explain, whatever came before it."""
        for i, op in enumerate(self.ops):
            if isinstance(op, Never) or (self.known.contradicts and isinstance(op, Settled)):
                return i
            if isinstance(op, Read) and op.exact and sum(status == "running" for _, status in op.rows) > 1:
                return i
            if isinstance(op, Read) and self._ended_otherwise(op):
                return i
        return self._displaced_by_nobody()

    def _advance(self, e: int, state: State, done: frozenset[int]) -> Config:
        """Go on to the next operation that was received and has not yet taken effect."""
        events = self.events
        while e < len(events):
            event = events[e]
            if event.received:
                if event.op not in done:
                    done = self._tick(e, state, done)
                if event.op not in done:
                    return e, state, done
                done = done - {event.op}
                state = self._forget(e, state)
            e += 1
        return e, state, done

    def _tick(self, e: int, state: State, done: frozenset[int]) -> frozenset[int]:
        """Tick off the pending checks that fit this state: they change nothing, so there is no better moment."""
        for i in self._pending[e][0]:
            op = self.ops[i]
            if i not in done and self._after(op, done, e) and self._holds(e, state, done, op):
                done = done | {i}
        return done

    def _after(self, op: Op, done: frozenset[int], e: int) -> bool:
        """Whether what must come before the operation has come."""
        return op.after is None or op.after in done or op.after not in self._pending[e][0]

    def _holds(self, e: int, state: State, done: frozenset[int], op: AnyOp) -> bool:
        if isinstance(op, Read):
            for tag, status in op.rows:
                run = state.run(tag) or self._forgotten(e, state, done, tag)
                if run is None or not self.model.reads(run, status, op.exact):
                    return False
            return True
        if isinstance(op, Settled):
            # Those that are forgotten were held against what they wrote when they ended.
            written = {tag: n for tag, n in op.written if self._forgotten(e, state, done, tag) is None}
            return self.model.shows(state, op.found, op.tags, written)
        return holds(self.model, state, op)

    def _forgotten(self, e: int, state: State, done: frozenset[int], tag: str) -> Run | None:
        """The epitaph of a run that was made on this way, and forgotten."""
        made = self._created.get(tag)
        if made is None or self._to_come(e, done, made) or state.run(tag) is not None:
            return None
        return self._epitaphs.get(tag)

    def _forget(self, e: int, state: State) -> State:
        """Drop the runs of which nothing is left to say: every read of them agrees with their fate."""
        kept = state.runs
        for run in state.runs:
            if run.status not in INFLIGHT and run.tag in self.known.fate and self._last_enter.get(run.tag, 0) <= e:
                kept = tuple(r for r in kept if r is not run)
                began = self.model.initial.lineage if run.began is not None else None
                self._epitaphs.setdefault(run.tag, run._replace(began=began))
        return state if kept is state.runs else state._replace(runs=kept)

    def _next(self, e: int, state: State, done: frozenset[int]) -> list[Config]:
        """What may come next; the last is tried first."""
        due = self.events[e].op
        nexts: list[Config] = []
        for i in sorted(self._pending[e][1], key=self._by_start, reverse=True):
            if i not in done and i != due:
                nexts += self._take(e, i, state, done)
        nexts += [(e, moved, done) for moved in self._hidden(e, state, done) if self._viable(e, moved, done)]
        if isinstance(self.ops[due], Effect):
            nexts += self._take(e, due, state, done)
        return nexts

    def _by_start(self, i: int) -> tuple[int, float]:
        op = self.ops[i]
        return (self.known.start.get(op.tag, MANY) if isinstance(op, Create) else MANY, op.hi)

    def _to_come(self, e: int, done: frozenset[int], i: int) -> bool:
        """Whether the operation has not taken effect yet."""
        return i not in done and self._received[i] >= e

    def _take(self, e: int, i: int, state: State, done: frozenset[int]) -> Iterator[Config]:
        op = self.ops[i]
        assert isinstance(op, Effect)
        if isinstance(op, Create) and not self._in_turn(e, i, op, done):
            return
        done |= {i}
        afters = list(op.apply(self.model, state, self._held[i]))
        if isinstance(op, Cancel) and self._forgotten(e, state, done, op.tag) is not None:
            afters = [state]  # forgotten: it had ended, and is not deleted
        for after in map(self._plain, afters):
            if self._viable(e, after, done):
                yield e, after, done

    def _plain(self, state: State) -> State:
        """Of marks only what makes a difference where the fate of the run is known: whether there is one, and
        whether it gives the run that fate."""
        for run in state.runs:
            if len(run.mark) > 1 or "delete" in run.mark:
                fate = self.known.fate.get(run.tag)
                if fate is not None and run.tag not in self._lags:
                    kind: Kind = "rollback" if fate == "gone" else "interrupt"
                    other: Kind = "interrupt" if fate == "gone" else "rollback"
                    fits = _ends_as(run, fate) or fate not in ENDS.values()
                    state = state.having(run._replace(mark=frozenset({kind if fits else other})))
        return state

    def _in_turn(self, e: int, i: int, op: Create, done: frozenset[int]) -> bool:
        """Whether no other create that was sent has to come before this one, or may as well."""
        place = self._serial.get(op.tag)
        for j in self._pending[e][1]:
            other = self.ops[j]
            if j == i or j in done or not isinstance(other, Create):
                continue
            if place is not None and self._serial.get(other.tag, place) < place:
                return False
            if (other.hi, j) < (op.hi, i) and self._alike(i, j):
                return False
        return True

    def _viable(self, e: int, state: State, done: frozenset[int]) -> bool:
        """Whether nothing that is still to come must fail."""
        first = True
        unmarked: list[Run] = []
        for run in state.runs:
            if not run.inflight:
                continue
            fate, ends = self.known.fate.get(run.tag), self._ends[run.tag]
            if fate in ENDS.values():
                if not _ends_as(run, fate) and not self._any_to_come(e, done, ends.may):
                    return False
            elif fate is not None:  # by itself
                if run.owed:
                    return False
                owes = run.status == "running" or not spares(self.model.displaces, None)
                if first and owes and fate in BY_ITSELF and self._any_to_come(e, done, ends.must):
                    return False
            if not run.owed and self._any_to_come(e, done, self._never_free.get(run.tag, ())):
                return False
            if unmarked and run.began is None and not self._can_start(e, done, run, unmarked):
                return False
            if not run.mark:
                unmarked.append(run)
            first = False
        return True

    def _any_to_come(self, e: int, done: frozenset[int], ops: Iterable[int], by: float = NEVER) -> bool:
        for i in ops:  # noqa: SIM110 (asked most of all: no generator, no call)
            if i not in done and self._received[i] >= e and self.ops[i].lo <= by:
                return True
        return False

    def _can_start(self, e: int, done: frozenset[int], run: Run, unmarked: Iterable[Run]) -> bool:
        """Whether the run can start by the time it must have, behind others that nothing has marked yet.

        One that starts on a longer log has to be marked before, to be overtaken; and so has one that is displaced in
        the end, since it does not end otherwise. (The log never becomes shorter between two starts.)
        """
        by, at = self._starts_by.get(run.tag, NEVER), self.known.start.get(run.tag, MANY)
        if run.tag not in self.known.starts and run.tag not in self.known.place:
            return True
        return all(
            self._any_to_come(e, done, self._ends[other.tag].any, by)
            for other in unmarked
            if self.known.fate.get(other.tag) in ENDS.values()
            or (other.began is None and MANY > self.known.start.get(other.tag, -1) > at)
        )

    def _hidden(self, e: int, state: State, done: frozenset[int]) -> Iterator[State]:
        known, unsettled = self.known, self._settled >= 0 and self._to_come(e, done, self._settled)
        behind = self._places(state) if self._groups else {}
        displaced: set[str] = set()
        for move in self.model.hidden(state, self.observed.ready(self.events[e].at)):
            run = move.state.run(move.tag)
            assert run is not None
            if move.what == "displace" and behind.get(move.tag) in displaced:
                displaced.add(move.tag)
                continue
            if move.what == "start":
                fits = move.tag not in self._traceless
                fits = fits and known.allows_start(move.tag, state.lineage, unsettled)
            else:
                fits = not any(
                    step < run.steps or not run.inflight
                    for i, step in self._enters.get(move.tag, ())
                    if self._to_come(e, done, i)
                )
                if move.what == "step":
                    fits = fits and (not unsettled or known.allows_step(move.tag, run.steps - 1, state.lineage))
                    fits = fits and self._all_began(e, state, done, move.tag)
                else:
                    fits = fits and known.allows_end(run, unsettled) and self._reads_fit(e, done, run)
            if fits:
                if move.what == "displace":
                    displaced.add(move.tag)
                yield self._unnaming(state, run, move)

    def _unnaming(self, state: State, run: Run, move: Move) -> State:
        """The state after a move. How many runs started that show nothing but, perhaps, an input matters; not which."""
        if move.what != "start" or run.tag not in self._unnamed:
            return move.state
        return move.state.having(run._replace(began=self.model.initial.lineage), state.lineage.with_unnamed())

    def _places(self, state: State) -> dict[str, str]:
        """Of each run that waits right behind one that can take its place: that one. Of such neighbours the first is
        displaced first: in any explanation they can exchange their names from there on."""
        waiting = [run for run in state.runs if run.inflight]
        return {
            run.tag: ahead.tag
            for ahead, run in itertools.pairwise(waiting)
            if ahead.began is None
            and run.began is None
            and ahead.owed == run.owed
            and run.tag in self._groups
            and self._groups[run.tag] == self._groups.get(ahead.tag)
        }

    def _reads_fit(self, e: int, done: frozenset[int], run: Run) -> bool:
        """Whether the reads that are still to come fit the end of a run, which is final unless the run is deleted."""
        return run.tag in self._deleted or all(
            self.model.reads(run, status, exact)
            for (status, exact), i in self._last_reads.get(run.tag, {}).items()
            if self._to_come(e, done, i)
        )

    def _all_began(self, e: int, state: State, done: frozenset[int], tag: str) -> bool:
        """Whether every run that starts on this log has started, when ``tag`` makes it longer for good."""
        if self.known.fate.get(tag, "gone") == "gone":
            return True
        for other in self._starters.get(state.lineage.length, ()):
            run, made = state.run(other), self._created.get(other)
            # One that was made and is forgotten has started.
            if run is None and (made is None or self._to_come(e, done, made)):
                return False
            if run is not None and run.began is None:
                return False
        return True


def _ends_as(run: Run, fate: str | None) -> bool:
    """Whether the marks that the run has can give it that end."""
    return bool(run.mark & {"interrupt"} if fate == "interrupted" else run.mark - {"interrupt"})
