"""A history: the record of one execution, and nothing else.

Times are seconds on the harness's monotonic clock since the execution began, except the probe's
``t``, which is a reading of the clock that the record names (rule 8 of the specification: readings
of different clocks are never compared). ``n`` numbers the records in the order in which they were
completed; proofs cite records as ``#n``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, get_args

from conformance.displacing import Displaces

SCHEMA = 1
OWN_GRAPH = "double-text"
"""The program family of double texting on a graph that is not the probe: no requirement is judged by it."""
WITHOUT_PROBE = "none"
"""The transport of a check whose runs are of the user's own graph: nothing is announced, no gate can be opened."""
OLDER = "older"
"""The phase of a read of what is older than the first page of a history."""


def history_file(instance: str) -> str:
    """The name of the file in which a history is kept beside a result."""
    return f"{instance.strip('~')}.jsonl"


class BadHistory(Exception):
    """The file is not a complete history of this schema; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the target: sent, received, and what was answered.

    ``received`` is None and ``error`` says why where no complete answer came: the call may have
    taken effect, at any later time, or never.
    """

    record: ClassVar[str] = "call"
    n: int
    client: str
    op: str
    thread: str
    tag: str | None
    sent: float
    received: float | None
    request: Mapping[str, Any]
    status: int | None
    answer: Any
    error: str | None = None
    phase: str = "body"
    group: str | None = None

    @property
    def ok(self) -> bool:
        """Accepted: answered with a 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def until(self) -> float:
        """The last instant at which the call can have taken effect, infinite if it was lost."""
        return self.received if self.received is not None and self.status is not None else float("inf")


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the probe announced from inside a run; ``at`` is when the harness learned it.

    On the callback transport the node waits for the harness's receipt, so what the node does next
    happens after ``at``. On other transports only "happened before ``at``" is known.
    """

    record: ClassVar[str] = "told"
    n: int
    at: float
    kind: str
    tag: str
    step: int
    op: str
    run: str | None
    clock: str
    t: float
    seq: int
    attempt: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateOpened:
    """The harness opened a gate: not before ``sent``, and certainly by ``done``."""

    record: ClassVar[str] = "gate"
    n: int
    key: str
    sent: float
    done: float


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the execution itself: a wait that ended without what it waited for, a spread."""

    record: ClassVar[str] = "remark"
    n: int
    at: float
    kind: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Epilogue:
    """How a thread ended: whether it settled within the deadline (seconds), and which runs had not."""

    record: ClassVar[str] = "epilogue"
    n: int
    at: float
    thread: str
    settled: bool
    waited: float
    deadline: float
    unsettled: tuple[str, ...] = ()
    thread_status: str | None = None

    @property
    def in_full(self) -> bool:
        """Whether it was waited for the whole deadline (later threads of a target that is stuck are not)."""
        return self.waited >= self.deadline


Record = Call | Told | GateOpened | Remark | Epilogue
_KINDS: dict[str, type[Any]] = {k.record: k for k in (Call, Told, GateOpened, Remark, Epilogue)}


@dataclass(frozen=True)
class History:
    """All records of one execution of one program, in order of completion, with what was executed."""

    program: Mapping[str, Any]
    records: tuple[Record, ...]
    transport: str  # "callback", "store", "stream": how the probe's announcements travelled; "none": there is no probe
    dialect: Mapping[str, Any]
    instance: str = ""
    target: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the program that was executed."""
        return str(self.program["name"])

    @property
    def displaces(self) -> Displaces:
        """By its dialect, or by what the survey of the target has seen."""
        said = self.dialect.get("displaced_pending") or self.target.get("displaces")
        return next((known for known in get_args(Displaces) if known == said), "any")

    def of(self, kind: type[Any]) -> Iterator[Any]:
        """The records of one kind."""
        return (r for r in self.records if isinstance(r, kind))

    def to_text(self) -> str:
        """JSON Lines: a header, the records, a footer by which a truncated file is noticed."""
        header = {
            "doubletext-history": SCHEMA,
            "instance": self.instance,
            "program": self.program,
            "transport": self.transport,
            "dialect": self.dialect,
            "target": self.target,
        }
        lines = [header, *map(_as_line, self.records), {"end": len(self.records)}]
        return "".join(json.dumps(line, default=str) + "\n" for line in lines)

    @staticmethod
    def from_text(text: str, where: str = "history") -> History:
        """Read what ``to_text`` gave; ``where`` is named in errors.

        Raises:
            BadHistory: it is foreign, truncated, reordered, of another schema, or holds what no execution records.
        """
        return read(text, where)

    def dump(self, path: Path) -> None:
        """Write ``to_text`` to a file."""
        path.write_text(self.to_text())

    @staticmethod
    def load(path: Path) -> History:
        """Read what ``dump`` wrote.

        Raises:
            BadHistory: as ``from_text``, or the file cannot be read.
        """
        try:
            text = path.read_bytes().decode()
        except OSError as e:
            raise BadHistory(f"{path}: cannot be read: {e.strerror or e}") from e
        except UnicodeDecodeError as e:
            raise BadHistory(f"{path}: not JSON Lines: {e}") from e
        return read(text, str(path))

    def as_saved(self) -> History:
        """What loading it would give: judging this, live and offline verdicts are the same by construction."""
        return read(self.to_text(), self.name)


def _as_line(record: Record) -> dict[str, Any]:
    return {"record": record.record, **{name: getattr(record, name) for name in type(record).__slots__}}


# --- reading: only what an execution can have recorded ---------------------------------------------


def read(text: str, where: str) -> History:
    """The history of a text; see ``History.from_text``."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    values = [_json(line, f"{where}: line {i}") for i, line in enumerate(lines, 1)]
    if not values or not isinstance(values[0], dict) or "doubletext-history" not in values[0]:
        raise BadHistory(f"{where}: line 1: not a history: this is no header with 'doubletext-history'")
    header, body = values[0], values[1:]
    schema = header.pop("doubletext-history")
    if schema != SCHEMA or isinstance(schema, bool):
        raise BadHistory(f"{where}: line 1: schema {schema}; this version reads schema {SCHEMA} only")
    for name, fits in _HEADER.items():
        if name not in header:
            raise BadHistory(f"{where}: line 1: the header lacks {name!r}")
        if not fits(header[name]):
            raise BadHistory(f"{where}: line 1: {name!r} cannot be {_short(header[name])}")
    if strange := sorted(header.keys() - _HEADER.keys()):
        raise BadHistory(f"{where}: line 1: the header has the unknown field {strange[0]!r}")
    if not body or not isinstance(body[-1], dict) or body[-1].keys() != {"end"}:
        raise BadHistory(f"{where}: line {len(values)}: truncated: this is not the footer with the number of records")
    if body[-1]["end"] != len(body) - 1 or isinstance(body[-1]["end"], bool):
        end = _short(body[-1]["end"])
        raise BadHistory(
            f"{where}: line {len(values)}: truncated: the footer counts {end} records, not {len(body) - 1}"
        )
    records = tuple(_revive(line, i, f"{where}: line {i + 2}") for i, line in enumerate(body[:-1]))
    return History(
        header["program"], records, header["transport"], header["dialect"], header["instance"], header["target"]
    )


_DECODER = json.JSONDecoder(parse_constant=str)


def _json(line: str, where: str) -> Any:
    try:
        # NaN and Infinity are not JSON: some servers send them all the same, and NaN differs from itself.
        return _DECODER.decode(line)
    except (ValueError, RecursionError) as e:
        why = "nested too deeply" if isinstance(e, RecursionError) else e
        raise BadHistory(f"{where} is not JSON: {why}; was the file truncated?") from e


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _revive(line: Any, n: int, where: str) -> Record:
    kind = _KINDS.get(line["record"]) if isinstance(line, dict) and isinstance(line.get("record"), str) else None
    if kind is None:
        raise BadHistory(f"{where}: expected a record, one of {', '.join(_KINDS)}; this is {_short(line)}")
    values = {name: value for name, value in line.items() if name != "record"}
    known = _CHECKS[kind]
    for name, value in values.items():
        if name not in known:
            raise BadHistory(f"{where}: a {kind.record} has no field {name!r}")
        if not known[name](value):
            raise BadHistory(f"{where}: the {name} of a {kind.record} cannot be {_short(value)}")
    if missing := [name for name in known if name not in values]:
        raise BadHistory(f"{where}: the {kind.record} lacks its {missing[0]}")
    if values["n"] != n:
        raise BadHistory(f"{where}: record #{values['n']} where #{n} is expected: reordered, or a line is missing")
    if kind is Epilogue:
        values["unsettled"] = tuple(values["unsettled"])
    revived: Record = kind(**values)
    if (problem := _insane(revived)) is not None:
        raise BadHistory(f"{where}: record #{n}: {problem}")
    return revived


def well_formed(record: Record) -> str | None:
    """What is wrong with a record that a target may have had a hand in, or None."""
    for name, fits in _CHECKS[type(record)].items():
        if not fits(_plain(getattr(record, name))):
            return f"the {name} of a {record.record} cannot be {_short(getattr(record, name))}"
    return _insane(record)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


# By the annotations of the records' fields.
_TYPES: dict[str, Callable[[Any], bool]] = {
    "int": _whole,
    "float": _number,
    "str": _text,
    "bool": lambda v: isinstance(v, bool),
    "int | None": lambda v: v is None or _whole(v),
    "float | None": lambda v: v is None or _number(v),
    "str | None": lambda v: v is None or _text(v),
    "tuple[str, ...]": _texts,
    "Mapping[str, Any]": _object,
    "Any": lambda _: True,
}

_CHECKS = {kind: {f.name: _TYPES[str(f.type)] for f in fields(kind)} for kind in _KINDS.values()}

TRANSPORTS = ("callback", "store", "stream", WITHOUT_PROBE)


def _program(value: Any) -> bool:
    return _object(value) and _text(value.get("name")) and _text(value.get("family"))


_HEADER: dict[str, Callable[[Any], bool]] = {
    "instance": _text,
    "program": _program,
    "transport": lambda v: v in TRANSPORTS,
    "dialect": _object,
    "target": _object,
}

# What a successful answer holds at least: what the client keeps of it, whatever the target sent.
_RUN = ("run_id", "status", "tag")
_CHECKPOINT = ("id", "parent", "run", "tag", "log", "counter", "messages")
_WHOLE = ("id", "parent", "run", "values")  # a checkpoint of a team's own graph: with all its channels
_ANSWERS: dict[str, tuple[bool, tuple[str, ...]]] = {  # many of them, and with these keys
    "create": (False, _RUN),
    "get_run": (False, _RUN),
    "list_runs": (True, _RUN),
    "create_thread": (False, ("thread_id",)),
    "get_thread": (False, ("status", "metadata", "values")),
    "get_state": (False, (*_CHECKPOINT, "tool_calls", "tool_results")),
    "get_history": (True, _CHECKPOINT),
}


def _insane(record: Record) -> str | None:
    """What no execution can have recorded, in words."""
    match record:
        case Call(sent=sent, received=received) if received is not None and received < sent:
            return f"received at {received}, before it was sent at {sent}"
        case Call():
            return _bad_request(record) or _bad_answer(record)
        case GateOpened(sent=sent, done=done) if done < sent:
            return f"done at {done}, before it was sent at {sent}"
        case Told(kind="enter", detail=detail) if not _object(detail.get("found") or {}):
            return f"what it found cannot be {_short(detail['found'])}"
        case Remark(kind="burst", detail=detail) if not _number(detail.get("spread_ms")):
            return "a remark on a burst needs a number spread_ms"
        case Remark(kind="webhook", detail=detail) if not isinstance(detail.get("tag"), str):
            return "a webhook remark lacks its tag"
        case Remark(kind="stop-waited" | "halt-waited" | "begin-waited" | "hook-waited", detail=detail):
            if not (_number(detail.get("waited")) and _number(detail.get("deadline")) and "told" in detail):
                return "a remark on a stop-wait needs told, and the numbers waited and deadline"
            if "tag" not in detail:
                return "a remark on a stop-wait needs a tag"
    return None


def _bad_request(call: Call) -> str | None:
    if call.op in ("create", "stray", "stateless"):
        steps = call.request.get("steps", [])
        if not isinstance(steps, list) or not all(_object(s) and _text(s.get("op")) for s in steps):
            return f"the steps of a create cannot be {_short(steps)}"
    if call.op in ("cancel", "cancel_many") and "action" not in call.request:
        return "a cancel needs an action"
    if call.op == "cancel_many" and not _texts(call.request.get("tags")):
        return "a cancel of many needs their tags"
    return None


def _bad_answer(call: Call) -> str | None:
    if not call.ok or call.error or call.op not in _ANSWERS:
        return None
    many, keys = _ANSWERS[call.op]
    if many and not isinstance(call.answer, list):
        return f"the answer of {call.op} cannot be {_short(call.answer)}"
    for part in call.answer if many else [call.answer]:
        if not _object(part):
            return f"the answer of {call.op} cannot hold {_short(part)}"
        wanted = _WHOLE if "log" in keys and "values" in part else keys
        if missing := [k for k in wanted if k not in part]:
            return f"the answer of {call.op} lacks {missing[0]!r}"
        if "log" in wanted and not (_texts(part["log"]) and _messages(part["messages"])):
            return f"the log and messages in the answer of {call.op} are not those of the probe"
    return None


def _messages(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(m, list) and len(m) == 3 for m in value)
