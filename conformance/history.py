"""A history: the record of one execution, and nothing else.

Times are seconds on the harness's monotonic clock since the execution began, except the probe's
``t``, which is a reading of the clock that the record names (rule 8 of the specification: readings
of different clocks are never compared). ``n`` numbers the records in the order in which they were
completed; proofs cite records as ``#n``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

SCHEMA = 1


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
    transport: str  # "callback", "store" or "stream": how the probe's announcements travelled
    dialect: Mapping[str, Any]
    instance: str = ""
    target: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the program that was executed."""
        return str(self.program["name"])

    def of(self, kind: type[Any]) -> Iterator[Any]:
        """The records of one kind."""
        return (r for r in self.records if isinstance(r, kind))

    def dump(self, path: Path) -> None:
        """Write JSON Lines: a header, the records, a footer by which a truncated file is noticed."""
        header = {
            "doubletext-history": SCHEMA,
            "instance": self.instance,
            "program": self.program,
            "transport": self.transport,
            "dialect": self.dialect,
            "target": self.target,
        }
        lines = [header, *map(_as_line, self.records), {"end": len(self.records)}]
        path.write_text("".join(json.dumps(line, default=str) + "\n" for line in lines))

    @staticmethod
    def load(path: Path) -> History:
        """Read what ``dump`` wrote.

        Raises:
            BadHistory: the file is foreign, truncated, reordered, or of another schema.
        """
        try:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as e:
            raise BadHistory(f"{path}: cannot be read: {e}") from e
        except ValueError as e:
            raise BadHistory(f"{path}: not JSON Lines: {e}") from e
        if not lines or not isinstance(lines[0], dict) or "doubletext-history" not in lines[0]:
            raise BadHistory(f"{path}: not a history: its first line has no 'doubletext-history'")
        header, *body = lines
        if header["doubletext-history"] != SCHEMA:
            raise BadHistory(f"{path}: schema {header['doubletext-history']}; this version reads schema {SCHEMA} only")
        if not body or not isinstance(body[-1], dict) or body[-1].get("end") != len(body) - 1:
            raise BadHistory(f"{path}: truncated: the footer with the number of records is missing or differs")
        records = []
        for i, line in enumerate(body[:-1]):
            try:
                records.append(_revive(line))
            except (KeyError, TypeError) as e:
                raise BadHistory(f"{path}: line {i + 2} is not a record: {e}") from e
            if records[-1].n != i:
                raise BadHistory(f"{path}: line {i + 2} is record #{records[-1].n}, expected #{i}: reordered")
        try:
            return History(
                header["program"],
                tuple(records),
                header["transport"],
                header["dialect"],
                header["instance"],
                header["target"],
            )
        except KeyError as e:
            raise BadHistory(f"{path}: the header lacks {e}") from e


def _as_line(record: Record) -> dict[str, Any]:
    return {"record": record.record, **{name: getattr(record, name) for name in type(record).__slots__}}


def _revive(line: dict[str, Any]) -> Record:
    kind = _KINDS[line.pop("record")]
    if kind is Epilogue:
        line["unsettled"] = tuple(line["unsettled"])
    revived: Record = kind(**line)
    return revived
