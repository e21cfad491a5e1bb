"""The specification of one thread as an executable model: what a server may do, and nothing beyond.

Pure: no I/O, no clock, no HTTP. A *state* is the runs in the order of their acceptance, and the lineage of
the head. *Calls* change it at one instant between their send and their receive (``create``, ``cancel``,
``delete``, ``update``); the server takes *hidden actions* by itself, whenever it likes (``hidden``);
*observations* only compare (``refuses``, ``reads``, ``enters``, ``shows``). Where several next states are
legal, all are given; none means that the answer is illegal in that state.

The model is relaxed to what is MUST: where the sources are silent (POLICY) or only imply something (SHOULD),
it allows everything. Each rule names the requirement that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from conformance.displacing import Displaces, spares, takes_all
from conformance.lineage import Lineage
from conformance.programs import Step, Strategy

Kind = Literal["interrupt", "rollback", "delete"]
Status = Literal["pending", "running", "success", "error", "timeout", "interrupted", "gone"]
Ready = Callable[[str, int], bool]
"""Whether a superstep of a run can be over by now: its gate was opened, its node was left."""

KINDS: tuple[Kind, ...] = ("interrupt", "rollback", "delete")
INFLIGHT: frozenset[Status] = frozenset({"pending", "running"})
CUT_OFF: frozenset[Status] = frozenset({"interrupted", "gone", "timeout"})  # ended while its node code went on


class Found(NamedTuple):
    """What a superstep found in the state, or what a read of it showed: channels, in short."""

    length: int
    digest: str
    counter: int
    note: str
    messages: int  # besides the reader's own input


class Run(NamedTuple):
    """A run. ``mark``: how it is to be displaced; ``owed``: certainly, otherwise it may as well go on."""

    tag: str
    status: Status = "pending"
    mark: frozenset[Kind] = frozenset()
    owed: bool = False
    steps: int = 0
    began: Lineage | None = None  # what it built on, once it has started

    @property
    def inflight(self) -> bool:
        return self.status in INFLIGHT

    def now(self, status: Status) -> Run:
        """The run with another status. (Made thousands of times: ``_replace`` takes five times as long.)"""
        return Run(self.tag, status, self.mark, self.owed, self.steps, self.began)


class State(NamedTuple):
    """A thread. ``disturbed``: a run was displaced, cancelled or deleted, and may still be stopping."""

    runs: tuple[Run, ...]
    lineage: Lineage
    disturbed: bool = False

    def run(self, tag: str) -> Run | None:
        """The run of that tag, if its create was accepted."""
        for run in self.runs:
            if run.tag == tag:
                return run
        return None

    def having(self, run: Run, lineage: Lineage | None = None) -> State:
        """The state with a run changed, and with another lineage if one is given."""
        runs = tuple([run if r.tag == run.tag else r for r in self.runs])
        return State(runs, self.lineage if lineage is None else lineage, self.disturbed)


class Move(NamedTuple):
    """A hidden action and the state after it."""

    what: str
    tag: str
    state: State


class Model:
    """The rules. ``scripts``: the probe's instructions of each run; ``displaces``: the dialect."""

    def __init__(self, scripts: Mapping[str, Sequence[Step]], suffix: str = "", displaces: Displaces = "any") -> None:
        self.scripts, self.displaces = scripts, displaces
        self.initial = State((), Lineage(scripts, suffix))
        self._ends = {tag: _end(script) for tag, script in scripts.items()}

    def end_of(self, tag: str) -> int:
        """How many supersteps the run completes when it ends by itself."""
        return self._ends[tag][0]

    # --- calls ---------------------------------------------------------------------------------------

    def create(self, state: State, tag: str, strategy: Strategy | None, held: Container[str]) -> Iterator[State]:
        """An accepted create. ``held``: the runs that cannot have ended by themselves before it had taken effect.

        Without a strategy it may do what any of the four does (default.strategy).
        """
        if strategy in ("enqueue", None) or (strategy == "reject" and self._is_free(state)):
            yield state._replace(runs=(*state.runs, Run(tag)))  # enqueue.accepted, reject.conflict
        for kind in ("interrupt", "rollback"):
            if strategy in (kind, None):  # interrupt.accepted, rollback.accepted
                displaced = self._displace_all(state, kind, held)
                yield displaced._replace(runs=(*displaced.runs, Run(tag)))

    def _is_free(self, state: State) -> bool:
        """reject.conflict: no run is inflight but those whose displacement is owed already."""
        return not any(r.inflight and not r.owed for r in state.runs)

    def refuses(self, state: State, strategy: Strategy | None) -> bool:
        """A refusal because of the active run: reject.conflict; reject.reopens while work may still be stopping."""
        return strategy in ("reject", None) and (state.disturbed or any(r.inflight for r in state.runs))

    def _displace_all(self, state: State, kind: Kind, held: Container[str]) -> State:
        """displaced.pending: of the inflight runs the first is displaced, the others by dialect.

        Owed is only what cannot have ended by itself (must-displace); the others may as well go on.
        """
        inflight = [r for r in state.runs if r.inflight]
        spared = spares(self.displaces, kind)
        stuck = False  # the thread is held: what waits behind a held run cannot have ended either
        for i, run in enumerate(inflight):
            stuck = stuck or run.tag in held
            if i > 0 and spared:
                break
            first = i == 0 and (run.status == "running" or not spared)
            state = state.having(_marked(run, kind, stuck and (first or takes_all(self.displaces, kind))))
        return state._replace(disturbed=state.disturbed or bool(inflight))

    def cancel(self, state: State, tag: str, kind: Kind, held: Container[str]) -> Iterator[State]:
        """An accepted cancel or deletion of one run: it alone is marked (cancel.interrupt, cancel.rollback-reverts,
        delete.stops-writes); when it has ended already a cancel changes nothing."""
        run = state.run(tag)
        if run is None:
            return
        if run.inflight:
            before = state.runs[: state.runs.index(run)]
            stuck = tag in held or any(r.inflight and r.tag in held for r in before)
            yield state.having(_marked(run, kind, stuck))._replace(disturbed=True)
        else:
            yield state.having(run.now("gone")) if kind == "delete" else state

    def update(self, state: State, tag: str) -> State:
        """An accepted update of the state by a client: it stays (state.update-not-lost)."""
        return state._replace(lineage=state.lineage.extend(tag, 0, 1))

    # --- hidden actions --------------------------------------------------------------------------------

    def hidden(self, state: State, ready: Ready) -> Iterator[Move]:
        """Everything that the server may do next by itself."""
        executing = False
        for run in state.runs:
            if not run.inflight:
                continue
            for kind in KINDS:
                if kind in run.mark:
                    yield from self._displace(state, run, kind)
            if run.status == "running":
                executing = True
                yield from self._go_on(state, run, ready)
        if not executing:  # thread.one-at-a-time
            yield from self._start(state)

    def _displace(self, state: State, run: Run, kind: Kind) -> Iterator[Move]:
        """A marked run ends: interrupt.status, interrupt.keeps-progress; rollback.deleted, rollback.reverts."""
        if kind != "rollback":
            status: Status = "interrupted" if kind == "interrupt" else "gone"
            yield Move("displace", run.tag, state.having(run.now(status)))
        if kind != "interrupt":  # whether a deleted run's work stays, the sources do not say
            lineage = state.lineage.without(run.tag) if run.began is not None else state.lineage
            yield Move("displace", run.tag, state.having(run.now("gone"), lineage))

    def _start(self, state: State) -> Iterator[Move]:
        """enqueue.fifo: the first in the queue starts, when no run is left before it whose displacement is owed.

        A run that may or may not have been displaced may also be overtaken.
        """
        for run in state.runs:
            if not run.inflight:
                continue
            if run.owed:
                return  # interrupt.builds-on, rollback.reverts: displaced before its successor starts
            lineage = state.lineage.extend(run.tag, 0, 0)
            begun = Run(run.tag, "running", run.mark, run.owed, run.steps, state.lineage)
            yield Move("start", run.tag, state.having(begun, lineage))
            if not run.mark:
                return

    def _go_on(self, state: State, run: Run, ready: Ready) -> Iterator[Move]:
        """A superstep, or the run's own end. Until it is displaced a marked run may do both, unless that is owed."""
        end, fails = self._ends[run.tag]
        if run.steps < end and ready(run.tag, run.steps):
            grown = Run(run.tag, run.status, run.mark, run.owed, run.steps + 1, run.began)
            yield Move("step", run.tag, state.having(grown, state.lineage.grow(run.tag)))
        if run.owed:
            return  # displaced.stops, interrupt.status, rollback.deleted: it cannot end by itself any more
        if run.steps == end and (not fails or ready(run.tag, end)):  # run.status-truthful
            status: Status = "error" if fails else "success"
            yield Move("end", run.tag, state.having(run.now(status)))
        yield Move("time out", run.tag, state.having(run.now("timeout")))

    # --- observations ----------------------------------------------------------------------------------

    def reads(self, run: Run, status: str, exact: bool) -> bool:
        """A read of a run's status. In the middle it may lag; ``exact`` ones (of a settled thread) may not.

        A displacement may be shown before it has come about; a run that is rolled back may first be shown
        as interrupted.
        """
        if status == run.status:
            return True
        if exact:
            return False
        match status:
            case "pending":
                return True
            case "running":
                return run.began is not None
            case "interrupted":
                return run.status == "gone" or (run.inflight and bool(run.mark))
            case "gone":
                return run.inflight and bool(run.mark - {"interrupt"})
        return False

    def enters(self, run: Run, step: int, found: Found | None, late: bool, again: bool) -> bool:
        """A superstep was entered. ``late``: after the time in which a displaced run has to stop; ``again``: the run
        was attempted more than once.

        Node code of a run that was cut off may hurry on (thread.work-stops), it may not write.
        """
        if run.began is None:
            return False
        if run.status == "running":
            fits = (run.steps >= step if again else run.steps == step) and not (late and run.owed)
        else:
            fits = run.status in CUT_OFF and not late  # displaced.stops
        return fits and (step > 0 or found is None or matches(run.began, found))

    def has_stopped(self, run: Run, within: int | None) -> bool:
        """Displaced.stops: the time is over in which a displaced run has to stop. One that a gate still holds in the
        superstep ``within`` may yet complete that."""
        if not (run.inflight and run.owed):
            return True
        return run.status == "running" and within is not None and run.steps >= within

    def shows(self, state: State, found: Found, tags: frozenset[str], written: Mapping[str, int]) -> bool:
        """The settled state: its channels (thread.no-lost-update), the ``tags`` that its messages and checkpoints carry
        (rollback.lineage), and how many supersteps of each run some checkpoint holds (run.terminal-is-final)."""
        if not matches(state.lineage, found) or not tags <= state.lineage.tags():
            return False
        return all((run := state.run(tag)) is not None and run.steps >= n for tag, n in written.items())


def _end(script: Sequence[Step]) -> tuple[int, bool]:
    """How many supersteps a run completes at most, and whether it fails then."""
    for i, step in enumerate(script):
        if step["op"] == "fail":
            return i, True
    return len(script), False


def _marked(run: Run, kind: Kind, owed: bool) -> Run:
    return Run(run.tag, run.status, run.mark | {kind}, run.owed or owed, run.steps, run.began)


def matches(lineage: Lineage, found: Found) -> bool:
    """Whether the channels hold what this lineage wrote: in every channel (rollback.reverts)."""
    return (
        lineage.length == found.length
        and lineage.counter == found.counter
        and lineage.note == found.note
        and lineage.messages <= found.messages <= lineage.messages + lineage.unsure
        and lineage.digest() == found.digest
    )
