"""The writer of a generated program: its threads as a correct server would have them, roughly, and single moves.

``Line`` guesses what a correct server would be doing, only so that no program waits for what cannot come; nothing is
judged by it.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from conformance.fuzz.choosing import Chooser, chance, pick, weighted
from conformance.fuzz.scripts import HOLDING, MEETING, Shape, first_gate, script
from conformance.programs import Action, Create, Endpoint, Fault, Move, Open, Read, Step, Strategy, Until

TAGS = string.ascii_uppercase
MOST_RUNS = 14  # of one program; what is small is judged fast and read fast
ACTIONS: tuple[Action, ...] = ("interrupt", "rollback")
STAYING: tuple[Endpoint, ...] = ("wait", "stream")
STRATEGIES: tuple[tuple[int, Strategy | None], ...] = (
    (24, "enqueue"),
    (24, "reject"),
    (24, "interrupt"),
    (24, "rollback"),
    (4, None),
)
FIRST: tuple[tuple[int, Strategy], ...] = ((76, "enqueue"), (8, "reject"), (8, "interrupt"), (8, "rollback"))
FAULTS: tuple[tuple[int, Fault], ...] = ((3, "late"), (4, "lost"), (3, "dropped"))
Waited = Literal[
    "inside", "entered", "answered", "ended", "stopped", "left", "listed", "halted", "begun", "hooked", "released"
]


@dataclass
class Line:
    """What a correct server would be doing on a thread: its inflight runs in order. ``made``: before the program."""

    name: str
    made: bool = True
    inflight: list[str] = field(default_factory=list)
    ended: bool = False  # some run has been on it before

    def create(self, tag: str, strategy: Strategy | None) -> bool:
        """Note a create; says whether it was accepted."""
        if strategy == "reject" and self.inflight:
            return False
        if strategy in ACTIONS:
            self.ended = self.ended or bool(self.inflight)
            self.inflight = []
        self.inflight.append(tag)
        return True

    def end(self, tag: str) -> None:
        """Note that a run was cancelled, or can have ended by itself."""
        if tag in self.inflight:
            self.inflight.remove(tag)
            self.ended = True


class Writer:
    """Writes one program, move by move."""

    def __init__(self, chooser: Chooser) -> None:
        self.chooser = chooser
        self.moves: list[Move] = []
        self.scripts: dict[str, tuple[Step, ...]] = {}
        self.home: dict[str, Line] = {}
        self._tags = iter(TAGS)
        self._opened: set[str] = set()

    # --- runs --------------------------------------------------------------------------------------

    def tag(self) -> str:
        """The name of one more run, or update."""
        return next(self._tags)

    def full(self, more: int = 1) -> bool:
        """Whether so many runs more would be too many."""
        return len(self.scripts) + more > MOST_RUNS

    def new(self, line: Line, strategy: Strategy | None, shape: Shape, waits: bool = True, steps: Any = None) -> Create:
        """A create of one more run, with a script of this shape, or with these steps."""
        tag = self.tag()
        self.scripts[tag] = script(self.chooser, tag, shape) if steps is None else steps
        self.home[tag] = line
        missing: Literal["create"] | None = None if line.made else "create"
        return Create(tag, strategy, self.scripts[tag], line.name, waits, missing=missing)

    def dressed(self, create: Create) -> Create:
        """The create by another endpoint, with a webhook, or with something wrong on its connection, now and then."""
        if chance(self.chooser, 12):
            create = replace(create, endpoint=pick(self.chooser, STAYING), waits=False)
        if chance(self.chooser, 3):
            create = replace(create, webhook=True)
        if chance(self.chooser, 8) and not (create.missing and not self.home[create.tag].inflight):
            create = replace(create, fault=weighted(self.chooser, FAULTS))
        return create

    def sent(self, *creates: Create) -> None:
        """Note creates that are among the moves."""
        for create in creates:
            if create.fault != "dropped":  # it may take effect all the same, and mostly does not
                self.home[create.tag].create(create.tag, create.strategy)

    def add(self, create: Create) -> None:
        """Create a run now."""
        self.moves.append(create)
        self.sent(create)
        if (create.endpoint != "runs" or create.fault in ("lost", "dropped")) and chance(self.chooser, 55):
            self.until("listed", create.tag)

    def runs_of(self, line: Line) -> list[str]:
        """The runs that were created on the thread so far."""
        return [tag for tag, home in self.home.items() if home is line]

    # --- gates and waits ---------------------------------------------------------------------------

    def closed(self, tag: str) -> list[str]:
        """The gates of a run that are not open yet, in the order in which it meets them."""
        return [s["gate"] for s in self.scripts[tag] if "gate" in s and s["gate"] not in self._opened]

    def opens(self, key: str) -> None:
        """Note that a move opens a gate."""
        self._opened.add(key)

    def until(self, what: Waited, tag: str, value: str | float | None = None) -> None:
        """Wait until something is known of a run; go on if it does not come."""
        self.moves.append(Until(what, tag, value, needed=False))

    def open(self, tag: str) -> None:
        """Open all gates of a run."""
        for key in dict.fromkeys(s[k] for s in self.scripts[tag] for k in ("swallow", "gate") if k in s):
            if key not in self._opened:
                self.moves.append(Open(key))
                self.opens(key)

    def inside(self, tag: str) -> None:
        """Wait until the run is held at its first gate."""
        if closed := self.closed(tag):
            self.until("inside", tag, closed[0])

    # --- what most programs are made of --------------------------------------------------------------

    def hold(self, line: Line, shape: Shape | None = None) -> str | None:
        """Let a run be inflight on the thread, if none is; its tag. ``shape``: and let it wait at a gate."""
        if line.inflight:
            return line.inflight[0]
        if self.full():
            return None
        chosen = weighted(self.chooser, HOLDING) if shape is None else shape
        create = self.new(line, weighted(self.chooser, FIRST), chosen, waits=chance(self.chooser, 30))
        if chance(self.chooser, 8) and line.made:
            create = replace(self.dressed(create), fault=None)
        self.moves.append(create)
        self.sent(create)
        if chosen == "quick":
            self.until("entered", create.tag, 1 + self.chooser.below(len(create.steps) - 2))
            return create.tag
        how = weighted(self.chooser, ((70, "inside"), (18, "answered"), (12, "nothing"))) if shape is None else "inside"
        if how == "inside":
            self.until("inside", create.tag, first_gate(create.tag))
        elif how == "answered":
            self.until("answered", create.tag)
        return create.tag

    def single(self, line: Line, strategy: Strategy | None = None, shape: Shape | None = None) -> Create | None:
        """One create, between two reads or not; None where there are too many already."""
        if self.full():
            return None
        strategy = weighted(self.chooser, STRATEGIES) if strategy is None else strategy
        reads = chance(self.chooser, 60 if strategy == "reject" else 25)
        chosen = weighted(self.chooser, MEETING) if shape is None else shape
        create = self.dressed(self.new(line, strategy, chosen, waits=reads or chance(self.chooser, 75)))
        around = [Read(line.name)] if reads else []
        self.moves += around
        self.add(create)
        if create.fault in ("lost", "dropped") and chance(self.chooser, 60):
            self.again(create)
        self.moves += around
        return create

    def again(self, create: Create) -> None:
        """The same call once more, as a client sends it whose call seems to have failed: a run of its own."""
        if self.full():
            return
        more = self.new(self.home[create.tag], create.strategy, "short", create.waits, create.steps)
        self.moves.append(replace(more, endpoint=create.endpoint))
        self.sent(more)

    def release(self, line: Line, before: list[str]) -> None:
        """Reads, waits and opened gates after the overlap, in several orders. ``before``: what was inflight then."""
        displaced = [tag for tag in before if tag not in line.inflight]
        if chance(self.chooser, 30):
            self.moves.append(Read(line.name, deep=chance(self.chooser, 30)))
        for tag in displaced[:1]:
            if self.closed(tag) and chance(self.chooser, 65):
                self.moves.append(Until("stopped", tag, line.inflight[0] if line.inflight else None, needed=False))
        if line.inflight and chance(self.chooser, 35):
            self.inside(line.inflight[0])
        for tag in displaced:
            if chance(self.chooser, 70):
                self.open(tag)
        for tag in list(line.inflight):
            if not chance(self.chooser, 75):
                break
            self.open(tag)
            line.end(tag)
            if chance(self.chooser, 45):
                self.until("ended", tag)
        if chance(self.chooser, 20):
            self.moves.append(Read(line.name))
