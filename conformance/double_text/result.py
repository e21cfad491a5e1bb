"""What came of two runs, read off the history of the try: a pure function of it, also of a saved one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.double_text import assertions
from conformance.history import Call, History, Remark

INFLIGHT = ("pending", "running")
DISPLACING = ("interrupt", "rollback")


@dataclass(frozen=True)
class Run:
    """One of the runs, as it was in the end.

    ``run``: its id, None if it was refused · ``code``: the HTTP status of its create, None if no answer came ·
    ``status``: at the end, ``gone`` if the server does not know it any more, None if there never was one ·
    ``error``: what the server said where it refused the create, or what became of the connection.
    """

    name: str
    run: str | None = None
    code: int | None = None
    status: str | None = None
    created_at: str | None = None
    error: Any = None

    def __str__(self) -> str:
        if self.run is None:
            return f"the {self.name} run was not created ({self.code if self.code is not None else self.error})"
        return f"the {self.name} run ended as {self.status!r}"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of the thread; ``run`` and ``step`` are None where the server does not say.

    ``next``: the nodes that were to come · ``asks``: one of them waits for a human's answer.
    """

    id: str | None
    parent: str | None
    run: str | None
    source: str | None
    step: int | None
    created_at: str | None
    values: Mapping[str, Any] = field(repr=False)
    next: tuple[str, ...] = ()
    asks: bool = False

    @staticmethod
    def of(value: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint in a record."""
        return Checkpoint(**{**value, "next": tuple(value["next"])})


@dataclass(frozen=True)
class Result:
    """Both runs, the state they left, and assertions about it.

    ``before``: the state before the first run · ``state``: the final one, by channel · ``checkpoints``: the thread's
    history, the newest first · ``overlap``: the proof that the first run was inflight when the second was created,
    None if there is none · ``ahead``: with ``pending_behind``, the run that the first one waited for.
    """

    strategy: str
    when: str
    first: Run
    second: Run
    ahead: Run | None
    first_input: Any = field(repr=False)
    second_input: Any = field(repr=False)
    before: Checkpoint | None = field(repr=False)
    head: Checkpoint | None = field(repr=False)
    checkpoints: tuple[Checkpoint, ...] = field(repr=False)
    overlap: str | None
    history: History = field(repr=False)

    @staticmethod
    def of(history: History) -> Result:
        """Read a history that ``double_text`` made."""
        program = history.program
        runs = {name: _run(history, name) for name in ("first", "second", "ahead")}
        created = {c.tag for c in _calls(history, "create")}
        before, head = _read(history, "get_state", "before"), _read(history, "get_state", "final")
        checkpoints = _read(history, "get_history", "final")
        return Result(
            strategy=program["strategy"],
            when=program["when"],
            first=runs["first"],
            second=runs["second"],
            ahead=runs["ahead"] if "ahead" in created else None,
            first_input=program["first"],
            second_input=program["second"],
            before=Checkpoint.of(before) if before else None,
            head=Checkpoint.of(head) if head else None,
            checkpoints=tuple(Checkpoint.of(c) for c in checkpoints or ()),
            overlap=overlap_of(history, runs["first"], runs["second"]),
            history=history,
        )

    @property
    def state(self) -> Mapping[str, Any]:
        """The final values of all channels."""
        return self.head.values if self.head else {}

    @property
    def overlapped(self) -> bool:
        """Whether the first run was provably inflight when the second was created."""
        return self.overlap is not None

    @property
    def thread(self) -> str:
        """The id of the thread on which it was tried; it has been removed."""
        made = next(_calls(self.history, "create_thread"), None)
        return str(made.answer["thread_id"]) if made else ""

    @property
    def lineage(self) -> tuple[Checkpoint, ...]:
        """The head and its ancestors, the newest first; what the history does not show ends it."""
        known = {c.id: c for c in self.checkpoints}
        found: list[Checkpoint] = []
        place = known.get(self.head.id) if self.head else None
        while place is not None and place not in found:
            found.append(place)
            place = known.get(place.parent)
        return tuple(found)

    @property
    def timeline(self) -> str:
        """Every call and what was answered, in order, as text."""
        return timeline(self.history)

    # --- assertions ----------------------------------------------------------------------------------

    def assert_no_dangling_tool_calls(self, channel: str = "messages") -> None:
        """Every tool call of an AI message in the final state has its result.

        Model providers refuse a conversation with a tool call that has none: the thread cannot be used any more.

        Raises:
            AssertionError: one has none.
            BadArgument: the state has no such channel of messages.
        """
        __tracebackhide__ = True
        assertions.no_dangling_tool_calls(self, channel)

    def assert_effects_at_most_once(
        self,
        effects: str | Iterable[Any] | Callable[[], Iterable[Any]],
        key: str | Callable[[Any], Any] | None = None,
        *,
        none_is_fine: bool = False,
    ) -> None:
        """No external effect happened twice, whatever was displaced, rolled back and done again.

        Args:
            effects: What your effect sink recorded (a list), how to ask it (a callable), or the name of a channel of
                the final state; a rollback takes effects off the state, never off the world, so prefer the sink.
            key: What makes two of them the same: a field's name, or a function; None if they are keys themselves.
            none_is_fine: Pass also if no effect was recorded; without it that fails, since it shows nothing.

        Raises:
            AssertionError: one happened more than once, or none was recorded.
            BadArgument: the state has no such channel, or an effect no such field.
        """
        __tracebackhide__ = True
        assertions.effects_at_most_once(self, effects, key, none_is_fine)

    def assert_rolled_back(self) -> None:
        """The first run is gone, with its input and all it wrote; the second built on what there was before.

        Judged: the first reads as 404; nothing of its input stands in the state or its lineage (items of lists, such
        as messages, beyond those that were there before and that the second brought); no checkpoint of the lineage is
        its; the checkpoint that the second run built on has exactly the values from before. The last two need
        checkpoints whose metadata names their run; servers that leave it out are judged by the rest.

        Raises:
            AssertionError: something of it is left.
        """
        __tracebackhide__ = True
        assertions.rolled_back(self)

    def assert_in_order(self, channel: str | None = None) -> None:
        """Both inputs are in the final state, the first's before the second's.

        Args:
            channel: The list to look in; without it ``messages``, or the only list that both inputs write to.

        Raises:
            AssertionError: one is missing, or they stand the other way round.
            BadArgument: there is no such list, or more than one.
        """
        __tracebackhide__ = True
        assertions.in_order(self, channel)


def _calls(history: History, *ops: str) -> Iterator[Call]:
    return (c for c in history.of(Call) if c.op in ops)


def _read(history: History, op: str, phase: str) -> Any:
    """The last good answer to a read of that phase."""
    answers = [c.answer for c in _calls(history, op) if c.phase == phase and c.ok and not c.error]
    return answers[-1] if answers else None


def _run(history: History, name: str) -> Run:
    create = next((c for c in _calls(history, "create") if c.tag == name), None)
    if create is None:
        return Run(name)
    made = create.answer if create.ok and not create.error else None
    if made is None:  # its answer was lost, and a list of runs may know it
        rows = (r for c in _calls(history, "list_runs") if c.ok and not c.error for r in c.answer)
        made = next((r for r in rows if r["tag"] == name), None)
    error = create.error if create.error else None if create.ok else create.answer
    if made is None:
        return Run(name, code=create.status, error=error)
    status = None
    for read in _calls(history, "get_run"):
        if read.tag == name and (read.status == 404 or (read.ok and not read.error)):
            status = "gone" if read.status == 404 else read.answer["status"]
    return Run(name, made["run_id"], create.status, status or made["status"], made["created_at"], error)


def overlap_of(history: History, first: Run, second: Run) -> str | None:
    """The proof that the first run was inflight when the second's create was sent, or None.

    A run that reads as inflight has been so since its create (the specification: a terminal status never changes).
    For simultaneous creates either may be the earlier one: then one list that shows both, or what one did to the other.
    """
    creates = {c.tag: c for c in _calls(history, "create")}
    if "second" not in creates:
        return None
    both = creates["second"].group is not None
    sent = max(c.sent for tag, c in creates.items() if tag in ("first", "second"))
    for read in _calls(history, "get_run", "list_runs"):
        if read.sent < sent or not read.ok or read.error:
            continue
        rows = read.answer if read.op == "list_runs" else [read.answer]
        states = {r["run_id"]: r["status"] for r in rows}
        inflight = [r for r in (first, second) if r.run and states.get(r.run) in INFLIGHT]
        if len(inflight) == 2 or (first in inflight and not both):
            return f"the first run still read as {states[first.run]!r} after the second was sent [#{read.n}]"
    for run, other in ((second, first), (first, second)) if both else ((second, first),):
        if run.code == 409:
            return f"the {run.name} run was refused with 409, because of the {other.name} one [#{creates[run.name].n}]"
        displaced = other.status == "gone" or (other.status == "interrupted" and not _asked(history, other))
        if history.program["strategy"] in DISPLACING and run.run and displaced:
            return f"the {run.name} run displaced the {other.name} one, which is {other.status!r} now"
    return None


def _asked(history: History, run: Run) -> bool:
    """Whether the run stopped for a human's answer, which some servers call ``interrupted`` too."""
    return any(c["asks"] for c in _read(history, "get_history", "final") or () if c["run"] in (run.run, None))


def timeline(history: History) -> str:
    """Every call and what was answered, in order, as text; polls that saw nothing new are left out."""
    lines: list[str] = []
    seen: dict[tuple[str, str | None], str] = {}
    for record in sorted(history.records, key=lambda r: r.sent if isinstance(r, Call) else getattr(r, "at", 0.0)):
        if isinstance(record, Remark):
            lines.append(_line(record.n, record.at, _remark(record)))
        elif isinstance(record, Call):
            what, said = f"{record.op} {record.tag or ''}".strip(), _said(record)
            poll = record.op in ("get_run", "get_thread")
            if poll and seen.get((record.op, record.tag)) == said and record.phase != "final":
                continue
            seen[record.op, record.tag] = said
            if record.op == "create" and record.tag in ("first", "second"):
                what += f" ({record.request['strategy']})"
            took = f", {(record.received - record.sent) * 1000:.1f} ms" if record.received is not None else ""
            lines.append(_line(record.n, record.sent, f"{what} -> {said}{took}"))
    return "\n".join(lines)


def _line(n: int, at: float, text: str) -> str:
    return f"{at * 1000:9.1f} ms  {f'#{n}':<4} {text}"


def _said(call: Call) -> str:
    if call.status is None or call.error:
        return str(call.error)
    if not call.ok:
        return f"{call.status} {str(call.answer)[:160]}"
    match call.op:
        case "create" | "get_run" | "get_thread":
            return f"{call.status} {call.answer['status']}"
        case "list_runs":
            return f"{call.status} " + ", ".join(
                f"{r['tag'] or r['run_id']} {r['status']}" for r in reversed(call.answer)
            )
        case "get_state":
            return f"{call.status} channels {', '.join(call.answer['values']) or 'none'}"
        case "get_history":
            return f"{call.status} {len(call.answer)} checkpoints"
    return str(call.status)


def _remark(remark: Remark) -> str:
    detail = remark.detail
    match remark.kind:
        case "superstep":
            return f"stream of {detail['tag']}: superstep {detail['count']} is over"
        case "stream-ended":
            return f"stream of {detail['tag']}: {detail['why']}; supersteps seen: {detail['count']}"
        case "not-removed":
            return f"thread {detail['thread']} could not be removed"
    return f"{remark.kind} {dict(detail)}"
