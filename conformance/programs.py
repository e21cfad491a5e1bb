"""Programs: what to do on a target, and when. Data with a fluent front; serialisable; no I/O.

A program is one director's list of moves over one or more fresh threads. Whoever made it (a hand
written scenario, a fuzzer, a finding) it is the same value, and the same director executes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

Strategy = Literal["reject", "enqueue", "interrupt", "rollback"]
STRATEGIES: tuple[Strategy, ...] = ("reject", "enqueue", "interrupt", "rollback")
Action = Literal["interrupt", "rollback"]
Step = Mapping[str, Any]  # one instruction of the probe's mini-language: see probe/graph.py

# --- the probe's instructions ----------------------------------------------------------------------


def emit(**modifiers: Any) -> Step:
    """Append an entry to the log."""
    return {"op": "emit", **modifiers}


def gate(key: str, op: str = "emit", **modifiers: Any) -> Step:
    """Wait inside the superstep until the gate ``key`` is opened, then do ``op``."""
    return {"op": op, "gate": key, **modifiers}


def add(**modifiers: Any) -> Step:
    """Read-modify-write the counter."""
    return {"op": "add", **modifiers}


def note(value: str) -> Step:
    """Overwrite the second channel."""
    return {"op": "note", "value": value}


def effect(name: str, **modifiers: Any) -> Step:
    """Commit an external effect."""
    return {"op": "effect", "name": name, **modifiers}


def call_tool(id: str) -> Step:
    """Add an AI message with a tool call."""
    return {"op": "call", "id": id}


def tool_result(id: str) -> Step:
    """Add the tool message that answers it."""
    return {"op": "result", "id": id}


def fail(**modifiers: Any) -> Step:
    """Raise inside the node."""
    return {"op": "fail", **modifiers}


# --- moves ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Create:
    """Create a run. ``waits`` False: go on at once, without its answer."""

    do: ClassVar[str] = "create"
    tag: str
    strategy: Strategy | None
    steps: tuple[Step, ...]
    thread: str = "t"
    waits: bool = True


@dataclass(frozen=True)
class Cancel:
    """Cancel a run."""

    do: ClassVar[str] = "cancel"
    tag: str
    action: Action
    wait: bool = False


@dataclass(frozen=True)
class Join:
    """A client joins a run (``join``) or its stream (``stream``), in the background."""

    do: ClassVar[str] = "join"
    tag: str
    how: Literal["join", "stream"]


@dataclass(frozen=True)
class Until:
    """Wait until something is known, boundedly; where it never comes, the rest is not executed.

    ``inside``: the run waits at the gate ``value`` · ``entered``, ``left``: its superstep ``value`` was ·
    ``answered``: its create was answered (or the stop deadline has passed: some answer at the run's end) ·
    ``ended``: it was read as terminal or gone · ``stopped``: its cancellation was announced (or, if it
    never started, the run ``value`` has), or the stop deadline has passed · ``status``: read with status
    ``value`` ·
    ``steady``: no further run has started for ``value`` seconds (of all runs; ``tag`` is empty).
    """

    do: ClassVar[str] = "until"
    what: Literal["inside", "entered", "left", "answered", "ended", "stopped", "status", "steady"]
    tag: str
    value: str | float | None = None
    needed: bool = True


@dataclass(frozen=True)
class Open:
    """Open a gate."""

    do: ClassVar[str] = "open"
    gate: str


@dataclass(frozen=True)
class Together:
    """Create runs simultaneously, on connections opened beforehand."""

    do: ClassVar[str] = "together"
    creates: tuple[Create, ...]


@dataclass(frozen=True)
class Crack:
    """Send a displacing call around the instant at which a superstep of the run ``of`` ends.

    With ``gate``: the gate is opened so that its release meets the call; ``offset_ms`` > 0 sends the
    call that much after the release is due. Without: ``offset_ms`` from the instant at which the
    superstep that the run is in is due to end, by the pace of those before it.
    """

    do: ClassVar[str] = "crack"
    call: Create | Cancel
    offset_ms: float
    gate: str | None = None
    of: str = "A"


@dataclass(frozen=True)
class Read:
    """Read the thread and its runs (and its state and history, with ``deep``)."""

    do: ClassVar[str] = "read"
    thread: str = "t"
    deep: bool = False


Move = Create | Cancel | Join | Until | Open | Together | Crack | Read
_MOVES: dict[str, type[Any]] = {m.do: m for m in (Create, Cancel, Join, Until, Open, Together, Crack, Read)}


@dataclass(frozen=True)
class Program:
    """A named list of moves. ``family`` groups programs that exercise the same thing."""

    name: str
    family: str
    moves: tuple[Move, ...] = ()
    weight: int = field(default=1, compare=False)

    def _then(self, *moves: Move) -> Program:
        return replace(self, moves=self.moves + moves)

    def create(
        self, tag: str, strategy: Strategy | None, *steps: Step, thread: str = "t", waits: bool = True
    ) -> Program:
        """Create a run with this script."""
        return self._then(Create(tag, strategy, steps, thread, waits))

    def together(self, *creates: Create) -> Program:
        """Create these runs simultaneously."""
        return self._then(Together(creates))

    def cancel(self, tag: str, action: Action, wait: bool = False) -> Program:
        """Cancel a run."""
        return self._then(Cancel(tag, action, wait))

    def join(self, tag: str, how: Literal["join", "stream"]) -> Program:
        """Let a client join the run, or its stream, from here on."""
        return self._then(Join(tag, how))

    def until_inside(self, tag: str, key: str, needed: bool = True) -> Program:
        """Wait until the run is held at the gate."""
        return self._then(Until("inside", tag, key, needed))

    def until_entered(self, tag: str, step: int, needed: bool = True) -> Program:
        """Wait until the run has entered the superstep."""
        return self._then(Until("entered", tag, step, needed))

    def until_answered(self, tag: str) -> Program:
        """Wait until the run's create was answered."""
        return self._then(Until("answered", tag))

    def until_ended(self, *tags: str, needed: bool = True) -> Program:
        """Wait until the runs are read as terminal or gone."""
        return self._then(*(Until("ended", tag, None, needed) for tag in tags))

    def until_stopped(self, tag: str, successor: str | None = None) -> Program:
        """Wait until the run announced its cancellation, at most for the stop deadline.

        A run that never started announces none: then the successor's start will do.
        """
        return self._then(Until("stopped", tag, successor))

    def until_left(self, tag: str, step: int) -> Program:
        """Wait until the run has left the superstep, at most for the stop deadline."""
        return self._then(Until("left", tag, step, needed=False))

    def until_steady(self, patience: float) -> Program:
        """Wait until no further run has started for ``patience`` seconds."""
        return self._then(Until("steady", "", patience))

    def open(self, *keys: str) -> Program:
        """Open gates."""
        return self._then(*(Open(key) for key in keys))

    def crack(self, call: Create | Cancel, offset_ms: float, key: str | None = None) -> Program:
        """Send the call around the end of a superstep."""
        return self._then(Crack(call, offset_ms, key))

    def read(self, thread: str = "t", deep: bool = False) -> Program:
        """Read the thread and its runs."""
        return self._then(Read(thread, deep))

    def scripts(self) -> dict[str, tuple[Step, ...]]:
        """The script of every run, by tag."""
        return {c.tag: c.steps for c in self.creates()}

    def creates(self) -> list[Create]:
        """Every create, in order of appearance."""
        found: list[Create] = []
        for move in self.moves:
            match move:
                case Create():
                    found.append(move)
                case Together(creates):
                    found.extend(creates)
                case Crack(call=Create() as create):
                    found.append(create)
        return found

    def threads(self) -> tuple[str, ...]:
        """Names of the threads that it uses."""
        return tuple(dict.fromkeys(c.thread for c in self.creates()))

    def to_json(self) -> dict[str, Any]:
        """The program as one JSON value."""
        return {"name": self.name, "family": self.family, "moves": [_move_to_json(m) for m in self.moves]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Program:
        """The program of a JSON value; raises ValueError where it is none."""
        try:
            moves = tuple(_move_from_json(m) for m in value["moves"])
            return Program(value["name"], value["family"], moves)
        except (KeyError, TypeError) as e:
            raise ValueError(f"not a program: {e}") from e


def program(name: str, family: str | None = None) -> Program:
    """Begin a program."""
    return Program(name, family or name)


def _move_to_json(move: Move) -> dict[str, Any]:
    value = {"do": move.do, **asdict(move)}
    match move:
        case Together(creates):
            value["creates"] = [_move_to_json(c) for c in creates]
        case Crack(call=call):
            value["call"] = _move_to_json(call)
    return value


def _move_from_json(value: Mapping[str, Any]) -> Any:
    fields = dict(value)
    kind = _MOVES[fields.pop("do")]
    if kind is Create:
        fields["steps"] = tuple(fields["steps"])
    elif kind is Together:
        fields["creates"] = tuple(_move_from_json(c) for c in fields["creates"])
    elif kind is Crack:
        fields["call"] = _move_from_json(fields["call"])
    return kind(**fields)


def tags_of(creates: Sequence[Create]) -> tuple[str, ...]:
    """The tags of some creates."""
    return tuple(c.tag for c in creates)
