"""The grammar of generated programs: a few waves, each a run that is inflight and calls that meet it.

Most bugs need two to four calls within a millisecond, not long programs; so that is what is made. What is rarer, and
needs several calls in one order, stands in ``situations``.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from conformance.fuzz import situations
from conformance.fuzz.choosing import Chooser, Dice, chance, pick, weighted
from conformance.fuzz.reducing import tidy
from conformance.fuzz.scripts import MEETING, Shape, first_gate
from conformance.fuzz.writing import ACTIONS, FAULTS, MOST_RUNS, STRATEGIES, TAGS, Line, Writer
from conformance.programs import (
    Cancel,
    Crack,
    Create,
    Delete,
    Join,
    Move,
    Program,
    Renew,
    Strategy,
    Together,
    Until,
    Update,
)

__all__ = [
    "ACTIONS",
    "MOST_RUNS",
    "STRATEGIES",
    "TAGS",
    "Deck",
    "alone",
    "draw_program",
    "generate",
    "harms",
    "renamed",
]

FAMILY = "fuzz"
THREADS = ("t", "u", "v", "w")
EARLIER: tuple[tuple[int, Shape], ...] = ((6, "short"), (2, "failing"), (2, "held"))
AROUND: tuple[tuple[int, Strategy], ...] = ((4, "interrupt"), (4, "rollback"), (1, "reject"), (1, "enqueue"))
Meeting = Literal["one", "together", "crack", "cancel", "several", "join", "update", "delete"]
MEETINGS: tuple[tuple[int, Meeting], ...] = (
    (28, "one"),
    (26, "together"),
    (22, "crack"),
    (8, "cancel"),
    (12, "several"),
    (5, "join"),
    (5, "update"),
)
HARMING: tuple[tuple[int, Meeting], ...] = (*MEETINGS, (30, "delete"))
"""With what has harmed targets for good: deletions have used up the workers of some."""
UNREACHED = {
    "bad-input.*": "a malformed request needs no overlap: doubletext check sends them, written by hand and generated",
}
"""The requirements (globs) that no generated program exercises, and why; it exercises all others that can fail."""
SPECIAL = 30  # percent of the waves are a situation
HARM = 55  # percent of the programs that may do harm do it by a situation
ALONE, ALONE_HARMING = 1, 8  # percent of the programs have the target for themselves: all others wait meanwhile


def generate(
    seed: int | str,
    name: str = "fuzz",
    harming: bool = False,
    alone: bool = True,
    first: situations.Situation | None = None,
) -> Program:
    """The program of a seed: the same seed, the same program.

    ``harming``: with deletions, too; ``alone``: also such as have to be executed while no other is; ``first``: what
    it begins with.
    """
    return draw_program(Dice(seed), name, harming, alone, first)


def draw_program(
    chooser: Chooser,
    name: str = "fuzz",
    harming: bool = False,
    alone: bool = True,
    first: situations.Situation | None = None,
) -> Program:
    """A program by this chooser's decisions."""
    return tidy(Program(name, FAMILY, tuple(_Grammar(chooser, harming, alone, first).write())))


def harms(program: Program) -> bool:
    """Whether it does what has harmed targets for good."""
    return any(isinstance(m, Delete | Renew) for m in program.moves)


def alone(program: Program) -> bool:
    """Whether it must have the target for itself: what is said of a run that does not begin holds only then."""
    return any(isinstance(m, Until) and m.what == "begun" for m in program.moves)


class Deck:
    """Every situation once, in a seeded order, before any comes again: none is left to luck in a short campaign."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)
        self._cards: dict[bool, list[situations.Situation]] = {False: [], True: []}

    def deal(self, harming: bool) -> situations.Situation:
        """The next one; ``harming``: of those with deletions."""
        if not self._cards[harming]:
            cards = list(situations.HARMING if harming else situations.SITUATIONS)
            self._random.shuffle(cards)
            self._cards[harming] = cards
        return self._cards[harming].pop()


class _Grammar(Writer):
    """Writes one program, wave by wave."""

    def __init__(self, chooser: Chooser, harming: bool, alone: bool, first: situations.Situation | None = None) -> None:
        super().__init__(chooser)
        self._harming = harming
        self._alone = alone
        self._first = first

    def write(self) -> list[Move]:
        """All moves."""
        chooser = self.chooser
        if self._first is None and self._alone and chance(chooser, ALONE_HARMING if self._harming else ALONE):
            (situations.deleted_wave if self._harming else situations.long_queue)(self)
            return self.moves
        lines = [Line(n) for n in THREADS[: weighted(chooser, ((74, 1), (20, 2), (4, 3), (2, 4)))]]
        for _ in range(weighted(chooser, ((45, 1), (35, 2), (20, 3)))):
            line = pick(chooser, lines)
            if not self.moves and chance(chooser, 35):
                self._earlier(line)
            if len(lines) > 1 and chance(chooser, 60):
                self.hold(pick(chooser, [other for other in lines if other is not line]))
            if self._first is not None:
                self._first(self, line)
                self._first = None
            elif self._harming and chance(chooser, HARM):
                pick(chooser, situations.HARMING)(self, line)
            elif chance(chooser, SPECIAL):
                pick(chooser, situations.SITUATIONS)(self, line)
            else:
                self._wave(line, lines)
        if not self.scripts:  # a situation that did not fit
            self._wave(lines[0], lines)
        return self.moves

    def _earlier(self, line: Line) -> None:
        """A run that has ended before anything happens, one way or another."""
        shape = weighted(self.chooser, EARLIER)
        create = self.new(line, "enqueue", shape)
        self.moves.append(create)
        if shape == "held":
            self.until("inside", create.tag, first_gate(create.tag))
            self.moves.append(Cancel(create.tag, pick(self.chooser, ACTIONS)))
        self.until("ended", create.tag)
        line.ended = True

    def _wave(self, line: Line, lines: list[Line]) -> None:
        holder = self.hold(line) if chance(self.chooser, 88) else None
        before = list(line.inflight)
        meeting = weighted(self.chooser, HARMING if self._harming else MEETINGS)
        if holder is None and meeting in ("crack", "cancel", "join", "delete"):
            meeting = "together"
        match meeting:
            case "one":
                self.single(line)
            case "several":
                for _ in range(2 + self.chooser.below(2)):
                    self.single(line)
            case "together":
                self._together(line, lines)
            case "crack":
                self._crack(line, str(holder))
            case "cancel":
                self._cancel(line)
            case "update":
                if self.runs_of(line):
                    fault = weighted(self.chooser, FAULTS) if chance(self.chooser, 8) else None
                    self.moves.append(Update(self.tag(), line.name, fault))
                self.single(line)
            case "delete":
                self._delete(line)
            case "join":
                self.moves.append(Join(str(holder), pick(self.chooser, ("join", "stream"))))
                self.single(line)
        self.release(line, before)

    def _delete(self, line: Line) -> None:
        """Delete a run of the thread, whatever has become of it."""
        tag = pick(self.chooser, self.runs_of(line))
        fault = weighted(self.chooser, FAULTS) if chance(self.chooser, 8) else None
        self.moves.append(Delete(tag, fault))
        line.end(tag)
        if chance(self.chooser, 60):
            self.single(line)

    def _together(self, line: Line, lines: list[Line]) -> None:
        """Two to four creates at once, of one strategy or of several, mostly on one thread."""
        chooser, size = self.chooser, 2 + self.chooser.below(3)
        if self.full(size):
            return
        same = weighted(chooser, STRATEGIES) if chance(chooser, 55) else False
        shape: Shape | None = "held" if chance(chooser, 60) else None
        creates = []
        for _ in range(size):
            home = pick(chooser, lines) if len(lines) > 1 and chance(chooser, 25) else line
            strategy = weighted(chooser, STRATEGIES) if same is False else same
            own: Shape = shape if shape is not None else weighted(chooser, MEETING)
            creates.append(self.new(home, strategy, own, waits=False))
        self.moves.append(Together(tuple(creates)))
        self.sent(*creates)

    def _crack(self, line: Line, holder: str) -> None:
        """A call around the instant at which a superstep of the holder ends."""
        chooser = self.chooser
        if self.full():
            return
        closed = self.closed(holder)
        call: Create | Cancel
        if chance(chooser, 30):
            call = Cancel(holder, pick(chooser, ACTIONS))
        else:
            call = self.new(line, weighted(chooser, AROUND), weighted(chooser, MEETING), waits=False)
        quick = not closed or closed[0] != first_gate(holder)
        offset = (chooser.below(61) - 40) / 10 if quick else (chooser.below(31) - 10) / 2
        self.moves.append(Crack(call, offset, None if quick else closed[0], holder))
        if not quick:
            self.opens(closed[0])
        if isinstance(call, Create):
            self.sent(call)
        else:
            line.end(holder)

    def _cancel(self, line: Line) -> None:
        """One or two cancels of runs that may be inflight."""
        for _ in range(1 + chance(self.chooser, 25)):
            if line.inflight:
                tag = pick(self.chooser, line.inflight)
                fault = weighted(self.chooser, FAULTS) if chance(self.chooser, 8) else None
                self.moves.append(Cancel(tag, pick(self.chooser, ACTIONS), wait=False, fault=fault))
                line.end(tag)


def renamed(program: Program, name: str) -> Program:
    """The same program under another name."""
    return replace(program, name=name)
