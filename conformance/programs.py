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
Endpoint = Literal["runs", "wait", "stream"]
Missing = Literal["create", "refuse"]
Fault = Literal["dropped", "lost", "late"]
"""What goes wrong on the client's side of a call: its connection is closed as soon as the request is sent
(``dropped``), or when the answer begins to arrive (``lost``); or the answer is taken only after a while (``late``)."""
CRACK = "-crack"  # how the families end whose trials are to hit the end of a superstep
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


def ask(**modifiers: Any) -> Step:
    """Ask people, and wait for their answer: the run ends here until somebody answers."""
    return {"op": "ask", **modifiers}


def fail(**modifiers: Any) -> Step:
    """Raise inside the node."""
    return {"op": "fail", **modifiers}


# --- moves ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Create:
    """Create a run, by POST ``/runs``, ``/runs/wait`` or ``/runs/stream``.

    ``waits`` False: go on at once, without its answer. ``missing``: its thread does not exist; the target is asked to
    ``create`` it, or nothing is said, so that it has to ``refuse``.
    ``after``: it is to start that many seconds later. ``answers``: it has no input, but answers the question that a run
    of the thread has asked. ``webhook``: the target is to call the harness when the run has ended.
    ``fault``: of its connection; not for those that are sent simultaneously.
    """

    do: ClassVar[str] = "create"
    tag: str
    strategy: Strategy | None
    steps: tuple[Step, ...]
    thread: str = "t"
    waits: bool = True
    endpoint: Endpoint = "runs"
    missing: Missing | None = None
    after: int | None = None
    answers: str | None = None
    webhook: bool = False
    fault: Fault | None = None


@dataclass(frozen=True)
class Cancel:
    """Cancel a run; ``NOBODY`` is one that does not exist.

    ``form``: how ``wait`` is written in the query (``""``: not at all); by default as a digit, which all servers know.
    ``waits`` False: go on at once, without its answer.
    """

    do: ClassVar[str] = "cancel"
    tag: str
    action: Action
    wait: bool = False
    form: str | None = None
    waits: bool = True
    fault: Fault | None = None


@dataclass(frozen=True)
class CancelMany:
    """Cancel several runs of one thread by one call."""

    do: ClassVar[str] = "cancel-many"
    tags: tuple[str, ...]
    action: Action


@dataclass(frozen=True)
class Delete:
    """Delete a run."""

    do: ClassVar[str] = "delete"
    tag: str
    fault: Fault | None = None


@dataclass(frozen=True)
class Renew:
    """Delete a thread and, ``again``, at once create one with the same id. Without, nothing more is read of it."""

    do: ClassVar[str] = "renew"
    thread: str = "t"
    again: bool = True


@dataclass(frozen=True)
class Update:
    """A client updates the state: an entry of the log and a message, both named ``tag``."""

    do: ClassVar[str] = "update"
    tag: str
    thread: str = "t"
    fault: Fault | None = None


@dataclass(frozen=True)
class Join:
    """A client joins a run (``join``) or its stream (``stream``), in the background."""

    do: ClassVar[str] = "join"
    tag: str
    how: Literal["join", "stream"]


@dataclass(frozen=True)
class Stateless:
    """Create a run without a thread."""

    do: ClassVar[str] = "stateless"
    tag: str
    strategy: Strategy
    steps: tuple[Step, ...]
    endpoint: Endpoint = "runs"


@dataclass(frozen=True)
class Until:
    """Wait until something is known, boundedly; where it never comes, the rest is not executed.

    ``inside``: the run waits at the gate ``value`` · ``entered``, ``left``: its superstep ``value`` was ·
    ``answered``: its create was answered (or the stop deadline has passed: some answer at the run's end) ·
    ``ended``: it was read as terminal or gone · ``started``: it was read as anything but pending ·
    ``stopped``: its cancellation was announced (or, if it never started, the run ``value`` has), or the stop deadline
    has passed · ``halted``: its cancellation was announced, or the settle deadline has passed · ``begun``: it has
    entered a superstep · ``hooked``: its webhook was called · ``status``: read with status ``value`` ·
    ``steady``: no further run has started for ``value`` seconds (of all runs; ``tag`` is empty) · ``returned``: its
    cancel was answered, or ``value`` seconds have passed · ``released``: who stays with it was let go, or ``value``
    seconds have passed · ``listed``: a list of runs names it, or it was announced, or
    the stop deadline has passed.
    """

    do: ClassVar[str] = "until"
    what: Literal[
        "inside",
        "entered",
        "left",
        "answered",
        "ended",
        "started",
        "stopped",
        "halted",
        "begun",
        "hooked",
        "status",
        "steady",
        "returned",
        "released",
        "listed",
    ]
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
    """Create (or cancel) runs simultaneously, on connections opened beforehand."""

    do: ClassVar[str] = "together"
    creates: tuple[Create, ...] = ()
    cancels: tuple[Cancel, ...] = ()


@dataclass(frozen=True)
class Crack:
    """Send a displacing call around the instant at which a superstep of the run ``of`` ends.

    With ``gate``: the gate is opened so that its release meets the call; ``offset_ms`` > 0 sends the
    call that much after the release is due. Without: ``offset_ms`` from the instant at which the
    superstep that the run is in is due to end, by the pace of those before it. In the families of ``CRACK`` the
    director comes nearer to the offsets that hit, as long as few do.
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


@dataclass(frozen=True)
class Send:
    """Send one request as it stands: the only way to say something that no typed call can say.

    ``wrong``: in which respect it is (a word of ``bad_input.WRONG``; empty: it is right, a control) · ``what``: the
    same in words · ``owed``: ``refusal`` (a 4xx), or ``no-crash`` (a 4xx or an acceptance) · ``operation``: what it
    asks for · ``thread``: of its own, made beforehand; empty, with ``path`` naming no thread or an unknown one ·
    ``body`` is sent in ``encoding``; ``stuffing`` (opening, closing, times) takes the place of ``STUFFING`` in it ·
    ``curl``: how to send it again.

    In path and body ``THREAD_ID``, ``RUN_ID`` (of no run), ``FRESH_ID`` (of no thread), ``ASSISTANT_ID`` and ``TAG``
    are filled in when it is sent.
    """

    do: ClassVar[str] = "send"
    tag: str
    operation: str
    method: str
    path: str
    body: str | None = None
    wrong: str = ""
    what: str = ""
    owed: Literal["refusal", "no-crash"] = "no-crash"
    thread: str = ""
    content_type: str | None = "application/json"
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    stuffing: tuple[str, str, int] | None = None
    curl: str | None = None


Move = (
    Create
    | Stateless
    | Cancel
    | CancelMany
    | Delete
    | Renew
    | Update
    | Join
    | Until
    | Open
    | Together
    | Crack
    | Read
    | Send
)
_CALLS = (Create, Stateless, Cancel, CancelMany, Delete, Renew, Update, Join, Send)
_KINDS = (*_CALLS, Until, Open, Together, Crack, Read)
_MOVES: dict[str, type[Any]] = {m.do: m for m in _KINDS}
NOBODY = "nobody"  # the tag of a run that does not exist


@dataclass(frozen=True)
class Program:
    """A named list of moves. ``family`` groups programs that exercise the same thing."""

    name: str
    family: str
    moves: tuple[Move, ...] = ()
    weight: int = field(default=1, compare=False)
    stage: int = field(default=0, compare=False)  # 1: after all others, it may harm the target for good; 2: and alone

    def _then(self, *moves: Move) -> Program:
        return replace(self, moves=self.moves + moves)

    def create(
        self,
        tag: str,
        strategy: Strategy | None,
        *steps: Step,
        thread: str = "t",
        waits: bool = True,
        endpoint: Endpoint = "runs",
        missing: Missing | None = None,
    ) -> Program:
        """Create a run with this script."""
        return self._then(Create(tag, strategy, steps, thread, waits, endpoint, missing))

    def schedule(self, tag: str, strategy: Strategy, after: int, *steps: Step) -> Program:
        """Create a run that is to start later."""
        return self._then(Create(tag, strategy, steps, after=after))

    def hook(
        self, tag: str, strategy: Strategy, *steps: Step, waits: bool = True, endpoint: Endpoint = "runs"
    ) -> Program:
        """Create a run with a webhook."""
        return self._then(Create(tag, strategy, steps, waits=waits, endpoint=endpoint, webhook=True))

    def until_hooked(self, *tags: str) -> Program:
        """Wait until the runs' webhooks were called; if they are not, that is remarked."""
        return self._then(*(Until("hooked", tag, needed=False) for tag in tags))

    def answer(self, tag: str, answers: str) -> Program:
        """Create a run that answers the question which the thread waits at."""
        return self._then(Create(tag, "enqueue", (), answers=answers))

    def stateless(self, tag: str, strategy: Strategy, *steps: Step, endpoint: Endpoint = "runs") -> Program:
        """Create a run without a thread, and go on at once."""
        return self._then(Stateless(tag, strategy, steps, endpoint))

    def together(self, *creates: Create) -> Program:
        """Create these runs simultaneously."""
        return self._then(Together(creates))

    def cancel(
        self, tag: str, action: Action, wait: bool = False, form: str | None = None, waits: bool = True
    ) -> Program:
        """Cancel a run."""
        return self._then(Cancel(tag, action, wait, form, waits))

    def cancel_many(self, action: Action, *tags: str) -> Program:
        """Cancel several runs by one call."""
        return self._then(CancelMany(tags, action))

    def cancel_together(self, *cancels: Cancel) -> Program:
        """Cancel simultaneously."""
        return self._then(Together((), cancels))

    def until_returned(self, tag: str, patience: float) -> Program:
        """Wait until the run's cancel was answered, at most for so many seconds."""
        return self._then(Until("returned", tag, patience, needed=False))

    def until_released(self, tag: str, patience: float) -> Program:
        """Wait until the clients that stay with the run were let go; if they are not, that is remarked."""
        return self._then(Until("released", tag, patience, needed=False))

    def delete(self, tag: str) -> Program:
        """Delete a run."""
        return self._then(Delete(tag))

    def renew(self, thread: str = "t") -> Program:
        """Delete a thread and create one with the same id."""
        return self._then(Renew(thread))

    def drop(self, *threads: str) -> Program:
        """Delete threads, for good."""
        return self._then(*(Renew(thread, again=False) for thread in threads))

    def update(self, tag: str, thread: str = "t") -> Program:
        """Update the state, as a client."""
        return self._then(Update(tag, thread))

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

    def until_listed(self, *tags: str) -> Program:
        """Wait until lists of runs name the runs, at most for the stop deadline: creates that are answered late."""
        return self._then(*(Until("listed", tag, needed=False) for tag in tags))

    def until_ended(self, *tags: str, needed: bool = True) -> Program:
        """Wait until the runs are read as terminal or gone."""
        return self._then(*(Until("ended", tag, None, needed) for tag in tags))

    def until_started(self, *tags: str) -> Program:
        """Wait until the runs are read as anything but pending."""
        return self._then(*(Until("started", tag, None, needed=False) for tag in tags))

    def until_stopped(self, tag: str, successor: str | None = None) -> Program:
        """Wait until the run announced its cancellation, at most for the stop deadline.

        A run that never started announces none: then the successor's start will do.
        """
        return self._then(Until("stopped", tag, successor))

    def until_halted(self, tag: str) -> Program:
        """Wait until the run announced its cancellation, at most for the settle deadline."""
        return self._then(Until("halted", tag, needed=False))

    def until_begun(self, *tags: str) -> Program:
        """Wait until the runs have entered a superstep; if they do not, that is remarked."""
        return self._then(*(Until("begun", tag, needed=False) for tag in tags))

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
        return {m.tag: m.steps for m in (*self.creates(), *self.moves) if isinstance(m, Create | Stateless)}

    def creates(self) -> list[Create]:
        """Every create, in order of appearance."""
        found: list[Create] = []
        for move in self.moves:
            match move:
                case Create():
                    found.append(move)
                case Together(creates=creates):
                    found.extend(creates)
                case Crack(call=Create() as create):
                    found.append(create)
        return found

    def sends(self) -> list[Send]:
        """Every request that is sent as it stands."""
        return [m for m in self.moves if isinstance(m, Send)]

    def threads(self) -> tuple[str, ...]:
        """Names of the threads that are made for it."""
        named = [*(c.thread for c in self.creates()), *(s.thread for s in self.sends())]
        return tuple(dict.fromkeys(name for name in named if name))

    def missing(self) -> dict[str, Missing]:
        """The threads that are not made beforehand, and what the target has to do about that."""
        return {c.thread: c.missing for c in self.creates() if c.missing is not None}

    def words(self) -> set[str]:
        """Every name and value that its runs leave in the state, as records have them."""
        found = {*self.threads(), *(s.tag for s in self.sends()), NOBODY}
        for tag, steps in self.scripts().items():
            found |= {tag, f"in-{tag}"}
            for i, step in enumerate(steps):
                found |= {
                    f"{tag}:{i}",
                    f"ai-{tag}-{i}",
                    f"tool-{tag}-{i}",
                    *(v for v in step.values() if isinstance(v, str)),
                }
        for move in self.moves:
            if isinstance(move, Update):
                found |= {move.tag, f"{move.tag}:0", f"in-{move.tag}"}
        return found

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
        case Together(creates, cancels):
            value["creates"] = [_move_to_json(c) for c in creates]
            value["cancels"] = [_move_to_json(c) for c in cancels]
        case Crack(call=call):
            value["call"] = _move_to_json(call)
    return value


def _move_from_json(value: Mapping[str, Any]) -> Any:
    fields = dict(value)
    kind = _MOVES[fields.pop("do")]
    if kind in (Create, Stateless):
        fields["steps"] = tuple(fields["steps"])
    elif kind is Together:
        for calls in ("creates", "cancels"):
            fields[calls] = tuple(_move_from_json(c) for c in fields.get(calls, ()))
    elif kind is CancelMany:
        fields["tags"] = tuple(fields["tags"])
    elif kind is Crack:
        fields["call"] = _move_from_json(fields["call"])
    elif kind is Send and fields.get("stuffing") is not None:
        fields["stuffing"] = tuple(fields["stuffing"])
    return kind(**fields)


def tags_of(creates: Sequence[Create]) -> tuple[str, ...]:
    """The tags of some creates."""
    return tuple(c.tag for c in creates)
