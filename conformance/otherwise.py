"""Other answers that a record might have held: candidates, of which ``nearest`` keeps those that are legal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.facts import GONE, INFLIGHT
from conformance.history import Call, History, Record, Remark, Told
from conformance.lineage import Lineage

STATUSES = ("success", "error", "interrupted", GONE, "pending", "running")  # a timeout is legal, and never the nearest
CODES = (200, 204, 404, 409, 422)  # what calls that change runs are usually answered
THREAD = ("idle", "busy", "interrupted", "error")
LEFT_OUT = "left-out"  # the kind of a remark in the place of a record that is not there

Lineages = Callable[[str | None], Sequence[Lineage]]
"""What the state may hold, by the model, just before a record; of a run's tag: what that run may have built on."""


@dataclass(frozen=True)
class Other:
    """A record as it might have been, and what it then says."""

    text: str
    record: Record


def left_out(record: Record) -> Remark:
    """What stands in the place of a record, so that the numbers of the others stay."""
    at = record.received or record.sent if isinstance(record, Call) else getattr(record, "at", 0.0)
    return Remark(record.n, at, LEFT_OUT, {})


def others(history: History, n: int, lineages: Lineages) -> Iterator[Other]:
    """Other answers of the record ``n``."""
    record = history.records[n]
    match record:
        case Call(op="create"):
            yield from _of_create(record, int(history.dialect.get("refusal_code", 409)))
        case Call(op="get_run") if record.tag is not None and (record.ok or record.status == 404):
            yield from _of_run(record, _id_of(history, record.tag))
        case Call(op="list_runs", answer=list(rows)) if record.ok:
            yield from _of_list(record, rows)
        case Call(op="get_thread", answer=Mapping() as answer) if record.ok:
            for status in THREAD:
                if status != answer.get("status"):
                    yield Other(f"thread → {status}", replace(record, answer={**answer, "status": status}))
        case Call(op="get_state", answer=Mapping() as answer) if record.ok and "log" in answer:
            for lineage in lineages(None):
                if (held := _state(answer, lineage)) is not None:
                    yield Other(f"state → {_channels(lineage)}", replace(record, answer=held))
        case Call(op="cancel" | "cancel_many" | "delete" | "update_state", status=int(status)):
            for code in CODES:
                if code != status:
                    yield Other(f"{_what(record)} → {code}", replace(record, status=code))
        case Told(kind="enter"):
            yield from _of_enter(history, record, lineages)


def _what(call: Call) -> str:
    return " ".join(p for p in (call.op.replace("_", " "), call.tag or "") if p)


def _of_create(call: Call, code: int) -> Iterator[Other]:
    what = f"create {call.tag} {call.request.get('strategy') or 'default'}"
    if call.status is None:
        return
    if call.status != code:
        yield Other(f"{what} → {code}", replace(call, status=code, answer={"detail": "the thread is busy"}, error=None))
    if not call.ok:
        answer = {"run_id": f"run-{call.tag}-accepted", "status": "pending", "tag": call.tag}
        yield Other(f"{what} → 200", replace(call, status=200, answer=answer, error=None))


def _id_of(history: History, tag: str) -> str | None:
    """The id that a run was given when it was created."""
    made = (c for c in history.of(Call) if c.op == "create" and c.tag == tag and c.ok and isinstance(c.answer, Mapping))
    return next((c.answer.get("run_id") for c in made), None)


def _of_run(call: Call, id: str | None) -> Iterator[Other]:
    seen = call.answer.get("status") if call.ok and isinstance(call.answer, Mapping) else GONE
    answer = call.answer if call.ok and isinstance(call.answer, Mapping) else {"run_id": id, "tag": call.tag}
    for status in STATUSES:
        if status == seen or (call.phase == "final" and status in INFLIGHT):
            continue  # the final reads are made when everything has ended
        if status == GONE:
            yield Other(f"get {call.tag} → 404", replace(call, status=404, answer={"detail": "not found"}))
        elif answer["run_id"] is not None:
            other = replace(call, status=200, answer={**answer, "status": status})
            yield Other(f"get {call.tag} → {status}", other)


def _of_list(call: Call, rows: list[Any]) -> Iterator[Other]:
    for i, row in enumerate(rows):
        tag = row.get("tag") or "that run"
        yield Other(f"list without {tag}", replace(call, answer=[*rows[:i], *rows[i + 1 :]]))
        for status in STATUSES:
            if status not in (GONE, row.get("status")):
                changed = [*rows[:i], {**row, "status": status}, *rows[i + 1 :]]
                yield Other(f"list with {tag} {status}", replace(call, answer=changed))


def _of_enter(history: History, told: Told, lineages: Lineages) -> Iterator[Other]:
    found = told.detail.get("found")
    if isinstance(found, Mapping) and told.step == 0:
        seen = [found]
        for text, channels in _findings(history, told, lineages):
            other = {**found, **channels, "last_input": told.tag}
            if other not in seen:
                seen.append(other)
                yield Other(f"{told.tag} finds {text}", replace(told, detail={**told.detail, "found": other}))
    yield Other(f"{told.tag} does not enter {told.step}", left_out(told))


def _findings(history: History, told: Told, lineages: Lineages) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What runs before it found when they started; then what the model says of the state."""
    for other in history.of(Told):
        if other.kind == "enter" and other.step == 0 and other.tag != told.tag and other.at <= told.at:
            yield f"what {other.tag} found", other.detail.get("found") or {}
    for lineage in lineages(told.tag):
        channels = {"log": lineage.length, "log_hash": lineage.digest(), "counter": lineage.counter}
        yield _channels(lineage), {**channels, "note": lineage.note, "messages": lineage.messages}


def _state(answer: Mapping[str, Any], lineage: Lineage) -> dict[str, Any] | None:
    """The state with that lineage's channels; None where its messages are not known."""
    messages = [m for m in answer["messages"] if m[2] in lineage.tags()]
    if not lineage.messages <= len(messages) <= lineage.messages + lineage.unsure:
        return None
    log = [f"{tag}:{step}" for tag, step in lineage.entries()]
    return {**answer, "log": log, "counter": lineage.counter, "note": lineage.note, "messages": messages}


def _channels(lineage: Lineage) -> str:
    counter = f", counter {lineage.counter}" if lineage.counter else ""
    return f"{lineage!r}{counter}" + (f", note {lineage.note}" if lineage.note else "")
