"""Random histories of one thread, made by walking the model; and the same with one thing corrupted.

The walk plans the calls first (who sends what, when it takes effect, when the answer is received), then lets
them take effect in that order with hidden actions in between, and notes what a harness would see: answers,
reads that may lag, announcements that come late or not at all, the final reads and the settled state. What
comes out is explainable by construction; a corrupted one may or may not be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from conformance.displacing import Displaces
from conformance.facts import NEVER
from conformance.model import Found, Kind, Model, Move, State
from conformance.observed import (
    AnyOp,
    Bound,
    Cancel,
    Create,
    Enter,
    Key,
    Observed,
    Read,
    Refusal,
    Settled,
    Stopped,
    Writes,
)
from conformance.programs import Step, Strategy, add, emit, fail, note

STATUSES = ("pending", "running", "success", "error", "timeout", "interrupted", "gone")
PAGE = 10  # runs in a list
KINDS: tuple[Kind, ...] = ("interrupt", "rollback", "delete")


@dataclass(frozen=True)
class Shape:
    """What to make. The unit of time is the mean gap between two calls: ``overlap`` is how long a call lasts at most,
    ``pace`` how many hidden actions there are in it; ``gates``, ``lost``, ``announced``: how many supersteps have a
    gate, answers are lost, announcements arrive; ``settled``: the end is read, and
    ``final``: how many of the runs then. Scripts have ``steps`` instructions at most."""

    calls: int
    overlap: float = 2.0
    strategies: Sequence[Strategy | None] = ("reject", "enqueue", "interrupt", "rollback", None)
    gates: float = 0.4
    lost: float = 0.05
    announced: float = 0.8
    deletes: bool = True
    settled: bool = True
    pace: float = 1.5
    final: float = 0.9
    steps: int = 3


def shape(rng: random.Random, calls: int) -> Shape:
    """A random shape of at most so many calls."""
    everything: list[Strategy | None] = ["reject", "enqueue", "interrupt", "rollback", None]
    some = everything if rng.random() < 0.4 else rng.sample(everything, rng.randint(1, 3))
    return Shape(
        calls=rng.randint(min(2, calls), calls),
        overlap=rng.choice((0.3, 1.0, 2.0, 4.0)),
        strategies=some,
        gates=rng.choice((0.0, 0.3, 0.7)),
        lost=rng.choice((0.0, 0.0, 0.1)),
        announced=rng.choice((0.0, 0.7, 1.0)),
        deletes=rng.random() < 0.2,
        settled=rng.random() < 0.8,
        steps=3 if calls < 5 else rng.choice((1, 1, 2, 3)),
    )


def script(rng: random.Random, most: int) -> list[Step]:
    """Some instructions, now and then one that fails."""
    steps = [rng.choice((emit(), add(), add(by=3), note(f"n{rng.randint(1, 3)}"))) for _ in range(rng.randint(1, most))]
    return [*steps, fail()] if rng.random() < 0.15 else steps


@dataclass
class Walk:
    """One history in the making."""

    rng: random.Random
    shape: Shape
    model: Model = field(init=False)
    state: State = field(init=False)
    ops: list[AnyOp] = field(default_factory=list)
    bounds: dict[Key, Bound] = field(default_factory=dict)
    told: list[tuple[float, float, Enter]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        names = [f"R{i}" for i in range(self.shape.calls)]
        displaces: Displaces = self.rng.choice(("any", "any", "all", "executing", "interrupt-all", "rollback-all"))
        self.model = Model({name: script(self.rng, self.shape.steps) for name in names}, displaces=displaces)
        self.state = self.model.initial
        self.names = iter(names)

    def walk(self) -> Observed:
        """The whole history."""
        rng = self.rng
        planned = []
        for _ in range(self.shape.calls):
            sent = rng.uniform(0, self.shape.calls)
            lasts = rng.uniform(0.1, 1) * self.shape.overlap
            received = NEVER if rng.random() < self.shape.lost else sent + lasts
            planned.append((sent + rng.random() * lasts, sent, received))
        for at, sent, received in sorted(planned):
            self._go_on(at)
            self._call(at, sent, received)
        self._end()
        self._announce()
        return Observed(tuple(self.ops), self.model, self.bounds)

    # --- hidden actions ------------------------------------------------------------------------------------

    def _observed(self) -> Observed:
        return Observed((), self.model, self.bounds)

    def _moves(self, at: float) -> list[Move]:
        moves = list(self.model.hidden(self.state, self._observed().ready(at)))
        return [m for m in moves if m.what != "time out" or self.rng.random() < 0.03]

    def _go_on(self, until: float) -> None:
        """Some hidden actions before that instant."""
        while self.now < until:
            self.now = min(until, self.now + self.rng.expovariate(self.shape.pace))
            moves = self._moves(self.now)
            if moves and self.rng.random() < 0.8:
                self._take(self.rng.choice(moves))
            self._hurry_on()

    def _take(self, move: Move) -> None:
        before, self.state = self.state, move.state
        run = self.state.run(move.tag)
        assert run is not None
        self.happened.append(f"{self.now:.2f} {move.what} {move.tag}")
        if run.status == "running" and self.rng.random() < self.shape.announced:
            script = self.model.scripts[run.tag]
            if run.steps < len(script) and self.model.enters(run, run.steps, None, False, False):
                self._tell(run.tag, run.steps, False)
        owed = before.run(move.tag)
        if owed is not None and owed.owed and not run.inflight and self.rng.random() < 0.3:
            self.ops.append(Stopped(len(self.ops), self.now, self.now, None, move.tag))
        if run.owed and run.status == "running" and self.rng.random() < 0.3:  # it only completes its superstep
            self.ops.append(Stopped(len(self.ops), self.now, self.now, None, move.tag, run.steps))
        if move.what == "step" and self.rng.random() < 0.05:
            until = self.now + self.rng.random()
            self.ops.append(Writes(len(self.ops), max(0.0, self.now - 1), until, None, move.tag))

    def _hurry_on(self) -> None:
        """Node code of a run that was cut off still executes."""
        for run in self.state.runs[-PAGE:]:
            if run.began is not None and not run.inflight and self.rng.random() < 0.03:
                step = run.steps + 1
                if step < len(self.model.scripts[run.tag]) and self.model.enters(run, step, None, False, False):
                    self._tell(run.tag, step, False)

    def _tell(self, tag: str, step: int, late: bool) -> None:
        run = self.state.run(tag)
        assert run is not None
        found = None
        if run.began is not None and self.rng.random() < 0.8:
            lineage = run.began if step == 0 else self.state.lineage
            unsure = self.rng.randint(0, lineage.unsure)
            found = Found(lineage.length, lineage.digest(), lineage.counter, lineage.note, lineage.messages + unsure)
        received = self.now + self.rng.choice((0.0, 0.01, self.rng.random(), 3 * self.rng.random()))
        self.told.append((self.now, received, Enter(0, 0.0, 0.0, None, tag, step, found, late, False)))

    def _announce(self) -> None:
        """Announcements: in the order of one clock, or two; each not after those that follow it."""
        clocks: list[list[tuple[float, float, Enter]]] = [[], []]
        two = self.rng.random() < 0.3
        for one in self.told:
            clocks[self.rng.randint(0, 1) if two else 0].append(one)
        sent = {op.tag: op.lo for op in self.ops if isinstance(op, Create)}
        for chain in clocks:
            lo, previous = 0.0, None
            for i, (_, _, op) in enumerate(chain):
                lo = max(lo, sent[op.tag])
                hi = min(received for _, received, _ in chain[i:])
                self.ops.append(replace(op, n=len(self.ops), lo=lo, hi=hi, after=previous))
                previous = len(self.ops) - 1

    # --- calls -------------------------------------------------------------------------------------------------

    def _call(self, at: float, sent: float, received: float) -> None:
        self.now = at
        kind = self.rng.random()
        if kind < 0.6 or not self.state.runs:
            self._create(sent, received)
        elif kind < 0.75:
            self._cancel(sent, received)
        elif received != NEVER:
            self._read(sent, received)

    def _gates(self, tag: str, sent: float) -> None:
        for step, one in enumerate(self.model.scripts[tag]):
            if self.rng.random() < self.shape.gates:
                never = self.rng.random() < 0.1 and not self.shape.settled
                at = NEVER if never else sent + self.rng.expovariate(0.4)
                self.bounds[tag, step, self.rng.random() < 0.7] = Bound(at, len(self.ops))
            if one["op"] == "fail":
                break

    def _create(self, sent: float, received: float) -> None:
        tag, strategy, n = next(self.names), self.rng.choice(self.shape.strategies), len(self.ops)
        op = Create(n, sent, received, None, tag, strategy)
        if received == NEVER and self.rng.random() < 0.5:
            self.ops.append(op)  # it never took effect
            return
        self._gates(tag, sent)
        states = list(op.apply(self.model, self.state, self._observed().held(op)))
        refused = self.model.refuses(self.state, strategy)
        if received != NEVER and refused and (not states or self.rng.random() < 0.3):
            self.ops.append(Refusal(n, sent, received, None, tag, strategy))
        elif states:
            self.state = self.rng.choice(states)
            self.happened.append(f"{self.now:.2f} create {tag}")
            self.ops.append(op)

    def _cancel(self, sent: float, received: float) -> None:
        tag = self.rng.choice(self.state.runs).tag
        kind = self.rng.choice(KINDS if self.shape.deletes else KINDS[:2])
        op = Cancel(len(self.ops), sent, received, None, tag, kind)
        states = list(op.apply(self.model, self.state, self._observed().held(op)))
        if states and not (received == NEVER and self.rng.random() < 0.5):
            self.state = self.rng.choice(states)
            self.happened.append(f"{self.now:.2f} {kind} {tag}")
        self.ops.append(op)

    def _read(self, sent: float, received: float, exact: bool = False, everything: bool = False) -> None:
        some = [r for r in self.state.runs[-PAGE:] if everything or self.rng.random() < 0.5]
        rows = []
        for run in some or self.state.runs[-1:]:
            lagging = [s for s in STATUSES if self.model.reads(run, s, exact)]
            rows.append((run.tag, run.status if exact or self.rng.random() < 0.6 else self.rng.choice(lagging)))
        if everything or self.rng.random() < 0.5:
            self.ops.append(Read(len(self.ops), sent, received, None, tuple(rows), exact))
        else:
            self.ops.append(Read(len(self.ops), sent, received, None, (self.rng.choice(rows),), exact))

    # --- the end ---------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Until everything has ended: then it is read, exactly."""
        self.now = max([self.now, self.shape.calls * 2.0, *(b.at for b in self.bounds.values() if b.at != NEVER)]) + 5
        while any(r.inflight for r in self.state.runs):
            moves = self._moves(self.now)
            if not moves:
                moves = list(self.model.hidden(self.state, self._observed().ready(self.now)))
            self._take(self.rng.choice(moves))
            self.now += 0.01
        self.now += 5
        if self.shape.settled:
            for run in self.state.runs:
                if self.rng.random() < self.shape.final:
                    row = ((run.tag, run.status),)
                    self.ops.append(Read(len(self.ops), self.now, self.now + 1, None, row, True))
                    self.now += self.rng.choice((0.5, 2.0, 2.0))
            self._settle()
        elif self.state.runs:
            self._read(self.now, self.now + 1, False, True)

    def _settle(self) -> None:
        lineage = self.state.lineage
        found = Found(
            lineage.length,
            lineage.digest(),
            lineage.counter,
            lineage.note,
            lineage.messages + self.rng.randint(0, lineage.unsure),
        )
        tags = frozenset(t for t in lineage.tags() if self.rng.random() < 0.9)
        written = tuple((r.tag, self.rng.randint(0, r.steps)) for r in self.state.runs if r.steps)
        log = tuple(lineage.entries())
        self.ops.append(Settled(len(self.ops), self.now, self.now + 1, None, found, tags, written, log))


def valid(rng: random.Random, calls: int) -> Observed:
    """A history that the model explains."""
    return Walk(rng, shape(rng, calls)).walk()


# --- corruptions -----------------------------------------------------------------------------------------------

Corruption = Callable[[random.Random, Observed], Observed | None]


def corrupted(rng: random.Random, observed: Observed) -> Observed:
    """The history with one thing changed."""
    for _ in range(20):
        changed = rng.choice(CORRUPTIONS)(rng, observed)
        if changed is not None:
            return changed
    return observed


def _with(observed: Observed, old: AnyOp, new: AnyOp) -> Observed:
    return replace(observed, ops=tuple(new if op is old else op for op in observed.ops))


def _pick(rng: random.Random, observed: Observed, *kinds: type) -> AnyOp | None:
    ops = [op for op in observed.ops if isinstance(op, kinds)]
    return rng.choice(ops) if ops else None


def status_changed(rng: random.Random, observed: Observed) -> Observed | None:
    """A read shows another status."""
    read = _pick(rng, observed, Read)
    if not isinstance(read, Read) or not read.rows:
        return None
    i = rng.randrange(len(read.rows))
    rows = [(t, rng.choice(STATUSES) if n == i else s) for n, (t, s) in enumerate(read.rows)]
    return _with(observed, read, replace(read, rows=tuple(rows)))


def answer_flipped(rng: random.Random, observed: Observed) -> Observed | None:
    """What was refused was accepted, or the other way round."""
    op = _pick(rng, observed, Create, Refusal)
    if isinstance(op, Create) and not op.lost:
        return _with(observed, op, Refusal(op.n, op.lo, op.hi, None, op.tag, op.strategy))
    if isinstance(op, Refusal):
        return _with(observed, op, Create(op.n, op.lo, op.hi, None, op.tag, op.strategy))
    return None


def log_changed(rng: random.Random, observed: Observed) -> Observed | None:
    """An entry of the final log is lost, doubled, or swapped with the next one."""
    settled = _pick(rng, observed, Settled)
    if not isinstance(settled, Settled) or not settled.log:
        return None
    log, i = list(settled.log), rng.randrange(len(settled.log))
    match rng.randrange(3):
        case 0:
            del log[i]
        case 1:
            log.insert(i, log[i])
        case _:
            log[i - 1], log[i] = log[i], log[i - 1]
    lineage = observed.model.initial.lineage
    for tag, step in log:
        lineage = lineage.extend(tag, step, 1)
    counter, note = settled.found.counter, settled.found.note
    if rng.random() < 0.7:  # the channels agree with it
        counter, note = lineage.counter, lineage.note
    found = settled.found._replace(length=len(log), digest=lineage.digest(), counter=counter, note=note)
    return _with(observed, settled, replace(settled, found=found, log=tuple(log)))


def found_changed(rng: random.Random, observed: Observed) -> Observed | None:
    """A channel holds another value: in the settled state, or as a run found it."""
    op = _pick(rng, observed, Settled, Enter)
    if not isinstance(op, Settled | Enter) or op.found is None:
        return None
    found = op.found
    match rng.randrange(4):
        case 0:
            found = found._replace(counter=found.counter + rng.choice((-1, 1, 3)))
        case 1:
            found = found._replace(note=rng.choice(("", "n1", "n2", "other")))
        case 2:
            found = found._replace(messages=max(0, found.messages + rng.choice((-1, 1))))
        case _ if isinstance(op, Enter):
            found = found._replace(length=max(0, found.length - 1))
    return _with(observed, op, replace(op, found=found))


def instant_shifted(rng: random.Random, observed: Observed) -> Observed | None:
    """An operation was sent or received at another instant."""
    op = _pick(rng, observed, Create, Cancel, Refusal, Read)
    if op is None:
        return None
    by = rng.uniform(-3, 3)
    if op.lost:
        return _with(observed, op, replace(op, hi=op.lo + abs(by)))
    lo = max(0.0, op.lo + rng.choice((0.0, by)))
    return _with(observed, op, replace(op, lo=lo, hi=max(lo, op.hi + by)))


def bound_moved(rng: random.Random, observed: Observed) -> Observed | None:
    """A gate was opened at another instant, or there was one more."""
    bounds = dict(observed.bounds)
    creates = [op for op in observed.ops if isinstance(op, Create)]
    if bounds and rng.random() < 0.7:
        key = rng.choice(list(bounds))
        bounds[key] = bounds[key]._replace(at=max(0.0, bounds[key].at + rng.uniform(-5, 5)))
    elif creates:
        op = rng.choice(creates)
        step = rng.randrange(len(observed.model.scripts[op.tag]))
        bounds[op.tag, step, True] = Bound(op.lo + rng.uniform(0, 5), op.n)
    return replace(observed, bounds=bounds)


def strategy_changed(rng: random.Random, observed: Observed) -> Observed | None:
    """Another strategy, or another kind of cancel, was asked for."""
    op = _pick(rng, observed, Create, Refusal, Cancel)
    if isinstance(op, Cancel):
        return _with(observed, op, replace(op, kind=rng.choice(KINDS)))
    if isinstance(op, Create | Refusal):
        strategies: tuple[Strategy | None, ...] = ("reject", "enqueue", "interrupt", "rollback", None)
        return _with(observed, op, replace(op, strategy=rng.choice(strategies)))
    return None


def tag_injected(rng: random.Random, observed: Observed) -> Observed | None:
    """Something of another run is in the settled state, or was written."""
    settled, create = _pick(rng, observed, Settled), _pick(rng, observed, Create)
    if not isinstance(settled, Settled) or not isinstance(create, Create):
        return None
    if rng.random() < 0.5:
        return _with(observed, settled, replace(settled, tags=settled.tags | {create.tag}))
    written = {**dict(settled.written), create.tag: rng.randint(1, 3)}
    return _with(observed, settled, replace(settled, written=tuple(written.items())))


def entered_otherwise(rng: random.Random, observed: Observed) -> Observed | None:
    """Another superstep was entered, or it was late, or there was another attempt."""
    op = _pick(rng, observed, Enter)
    if not isinstance(op, Enter):
        return None
    match rng.randrange(3):
        case 0:
            return _with(observed, op, replace(op, step=max(0, op.step + rng.choice((-1, 1)))))
        case 1:
            return _with(observed, op, replace(op, late=not op.late))
    return _with(observed, op, replace(op, again=not op.again))


CORRUPTIONS: tuple[Corruption, ...] = (
    status_changed,
    answer_flipped,
    log_changed,
    found_changed,
    instant_shifted,
    bound_moved,
    strategy_changed,
    tag_injected,
    entered_otherwise,
)
