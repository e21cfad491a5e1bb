"""A history as marks on lanes: what the page draws. A pure function; JSON, with a version of its own.

Lanes: one a client, one a run, the gates, and what is derived for each thread: who holds it, who waits, its state, its
status. A mark is ``[lane, row, kind, from, to, label, records]``, times in milliseconds since the execution began.
What changed between two reads changed at an instant that nobody saw: such marks are ``unsure``, and as wide as the
reads that bound them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.facts import Facts, Run, Thread, parse_log, show_log
from conformance.history import Call, Epilogue, GateOpened, History, Record, Remark, Told

VERSION = 1
DETAIL = 1500  # characters of a request or an answer that are shown, where there is room
MOST_ROWS = 6  # of one lane, for marks that overlap


@dataclass
class Mark:
    """Something on a lane, from one instant to another (seconds), and the records that say so."""

    kind: str
    start: float
    end: float
    label: str
    records: tuple[int, ...]


@dataclass
class Lane:
    """One line of the drawing: ``kind`` is client, run, gates, harness or derived."""

    name: str
    kind: str
    marks: list[Mark] = field(default_factory=list)


def timeline(history: History, detail: int = DETAIL) -> dict[str, Any]:
    """Lanes, marks and records of a history; ``detail``: characters of a request or an answer that are kept."""
    facts = Facts(history)
    times = [t for r in history.records for t in _instants(r)] or [0.0]
    begin, end = min(times), max(times)
    lanes = [*_derived(facts, end), *_with_statuses(_lanes(facts, end), facts)]
    marks = []
    for i, lane in enumerate(lanes):
        for row, mark in _rows(lane.marks):
            times_ms = (_ms(mark.start), _ms(min(max(mark.end, mark.start), end)))
            marks.append([i, row, mark.kind, *times_ms, mark.label[:160], list(mark.records)])
    return {
        "timeline": VERSION,
        "name": history.name,
        "instance": history.instance,
        "transport": history.transport,
        "from": _ms(begin),
        "to": _ms(end),
        "lanes": [[lane.name, lane.kind] for lane in lanes],
        "marks": marks,
        "overlaps": list(_overlaps(facts)),
        "records": [_shown(r, detail) for r in history.records],
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _instants(record: Record) -> Iterator[float]:
    match record:
        case Call():
            yield record.sent
            if record.received is not None:
                yield record.received
        case GateOpened():
            yield from (record.sent, record.done)
        case _:
            yield record.at


def _rows(marks: Sequence[Mark]) -> Iterator[tuple[int, Mark]]:
    """Marks that overlap stand under each other; bands (``is …`` and ``unsure``) may touch the marks of a run."""
    ends: list[float] = []
    for mark in sorted(marks, key=lambda m: (m.start, m.end)):
        free = next((i for i, end in enumerate(ends) if end <= mark.start), len(ends))
        free = min(free, MOST_ROWS - 1)
        if free == len(ends):
            ends.append(mark.end)
        ends[free] = max(ends[free], mark.end)
        yield free, mark


# --- what was done -----------------------------------------------------------------------------------


def _lanes(facts: Facts, end: float) -> list[Lane]:
    """Clients, each before the run that it made; then gates and the harness."""
    lanes: dict[str, Lane] = {}
    for record in facts.history.records:
        match record:
            case Call():
                lane = lanes.setdefault(record.client, Lane(record.client, "client"))
                lane.marks.append(_call(record, end))
                if record.op == "create" and record.tag is not None:
                    lanes.setdefault(f"run {record.tag}", Lane(f"run {record.tag}", "run"))
            case Told():
                lanes.setdefault(f"run {record.tag}", Lane(f"run {record.tag}", "run"))
    for name, lane in lanes.items():
        if lane.kind == "run":
            lane.marks += _supersteps([r for r in facts.told if f"run {r.tag}" == name], end)
    harness = lanes.pop("harness", Lane("harness", "client"))
    harness = Lane("harness", "harness", harness.marks)
    for record in facts.history.records:
        match record:
            case Remark() if record.kind != "answered":
                harness.marks.append(Mark("remark", record.at, record.at, _remark(record), (record.n,)))
            case Epilogue():
                what = "settled" if record.settled else f"not settled: {', '.join(record.unsettled) or 'busy'}"
                kind = "remark" if record.settled else "alarm"
                harness.marks.append(Mark(kind, record.at, record.at, what, (record.n,)))
    gates = Lane("gates", "gates", list(_gates(facts, end)))
    return [*lanes.values(), gates, harness]


def _call(call: Call, end: float) -> Mark:
    what = " ".join(p for p in (call.op, call.tag or "", str(call.request.get("strategy") or "")) if p)
    what += f" {call.request['action']}" if call.op == "cancel" and "action" in call.request else ""
    if call.status is None:
        return Mark("lost", call.sent, end if call.received is None else call.received, f"{what}: no answer", (call.n,))
    kind = "ok" if call.ok and not call.error else "failed" if call.status >= 500 or call.error else "refused"
    return Mark(kind, call.sent, call.until, f"{what} → {_said(call)}", (call.n,))


def _said(call: Call) -> str:
    answer = call.answer
    match call.op, answer:
        case (("get_run" | "get_thread" | "create"), {"status": str(status)}) if call.ok:
            return f"{call.status} {status}"
        case "list_runs", list() if call.ok:
            rows = [f"{r.get('tag')} {r.get('status')}" for r in answer if isinstance(r, dict)]
            return ", ".join(rows) or "no runs"
        case "get_state", {"log": list(log)} if call.ok:
            return _log(log)
    return str(call.status)


def _log(log: Iterable[str]) -> str:
    try:
        return show_log(parse_log(log))
    except ValueError:
        return " ".join(map(str, log))


def _supersteps(told: Sequence[Told], end: float) -> Iterator[Mark]:
    """A bar from each entering of a superstep to its leaving, and a point for whatever else was announced."""
    entered: dict[tuple[int, str], Told] = {}
    ends = {"leave", "raise", "cancelled"}
    for record in sorted(told, key=lambda r: (r.clock, r.seq)):
        key = (record.step, record.clock)
        if record.kind == "enter":
            entered[key] = record
        elif record.kind in ends and key in entered:
            first = entered.pop(key)
            label = f"{record.step} {first.op}" + ("" if record.kind == "leave" else f" {record.kind}")
            kind = "step" if record.kind == "leave" else "broken"
            yield Mark(kind, min(first.at, record.at), max(first.at, record.at), label, (first.n, record.n))
        else:
            yield Mark("told", record.at, record.at, f"{record.kind} {record.step} {record.op}", (record.n,))
    for first in entered.values():  # nothing is known of when it was left
        yield Mark("open", first.at, end, f"{first.step} {first.op}, never left", (first.n,))


def _gates(facts: Facts, end: float) -> Iterator[Mark]:
    """Each gate from when the first run came to it until it was opened; the opening itself."""
    reached: dict[str, Told] = {}
    for record in facts.told:
        gate = record.detail.get("gate")
        if record.kind == "enter" and isinstance(gate, str):
            reached.setdefault(gate, record)
    for key, record in reached.items():
        opened = facts.gates.get(key)
        until = opened.sent if opened is not None else end
        if until > record.at:
            cites = (record.n, *((opened.n,) if opened is not None else ()))
            yield Mark("gate", record.at, until, f"{key} holds {record.tag}{record.step}", cites)
    for key, opened in facts.gates.items():
        yield Mark("opens", opened.sent, opened.done, f"open {key}", (opened.n,))


def _remark(remark: Remark) -> str:
    tag = remark.detail.get("tag")
    return " ".join(str(p) for p in (remark.kind, tag) if p)


# --- what follows ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """One read: it happened between two instants, and showed a value."""

    sent: float
    until: float
    value: str
    n: int


def _derived(facts: Facts, end: float) -> Iterator[Lane]:
    several = len(facts.threads) > 1
    for thread in facts.threads.values():
        of = f" {thread.name}" if several else ""
        yield Lane(f"thread{of}", "derived", list(_bands(_statuses(thread), "thread")))
        yield Lane(f"holds it{of}", "derived", [m for r in thread.runs.values() for m in _holding(r, end)])
        yield Lane(f"queue{of}", "derived", [m for r in thread.runs.values() for m in _waiting(r, end)])
        yield Lane(f"state{of}", "derived", list(_bands(_states(thread), "state")))


def _with_statuses(lanes: Sequence[Lane], facts: Facts) -> Iterator[Lane]:
    """Below each run what was read of its status."""
    runs = {f"run {tag}": run for thread in facts.threads.values() for tag, run in thread.runs.items()}
    for lane in lanes:
        if lane.marks:
            yield lane
        if lane.name in runs:
            run = runs[lane.name]
            seen = [_Seen(r.call.sent, r.call.until, r.status, r.call.n) for r in run.readings]
            if marks := [*_bands(seen, "run"), *_displaced(run)]:
                yield Lane(f"status {run.tag}", "status", marks)


def _bands(reads: Iterable[_Seen], what: str) -> Iterator[Mark]:
    """What reads in a row say alike held between them; where they differ, it changed somewhere between."""
    reads = sorted((r for r in reads if r.until != float("inf")), key=lambda r: r.until)
    groups: list[list[_Seen]] = []
    for read in reads:
        if groups and groups[-1][-1].value == read.value:
            groups[-1].append(read)
        else:
            groups.append([read])
    for group in groups:
        first, last = group[0], group[-1]
        cites = tuple(dict.fromkeys((first.n, last.n)))
        kind = f"is {first.value}" if what != "state" else "is state"
        yield Mark(
            kind, first.until if last is not first else first.sent, max(last.sent, first.until), first.value, cites
        )
    for before, after in itertools.pairwise(groups):
        a, b = before[-1], after[0]
        if b.sent > a.until:
            yield Mark("unsure", a.until, b.sent, f"{a.value} → {b.value}", (a.n, b.n))


def _statuses(thread: Thread) -> Iterator[_Seen]:
    for call in thread.calls:
        if call.op == "get_thread" and call.ok and not call.error and isinstance(call.answer.get("status"), str):
            yield _Seen(call.sent, call.until, call.answer["status"], call.n)


def _states(thread: Thread) -> Iterator[_Seen]:
    """The log at the head, as any read shows it."""
    for call in thread.calls:
        if not call.ok or call.error:
            continue
        answer = call.answer
        if call.op == "get_history":
            answer = answer[0] if answer else None
        elif call.op == "get_thread":
            answer = answer.get("values")
        elif call.op != "get_state":
            continue
        if isinstance(answer, dict) and isinstance(answer.get("log"), list):
            yield _Seen(call.sent, call.until, _log(answer["log"]), call.n)


def _holding(run: Run, end: float) -> Iterator[Mark]:
    """It executes at least from its first announcement to its last, and at most from its create to its end."""
    first = min(run.told, key=lambda r: r.at, default=None)
    if first is None:
        return
    last = max(run.told, key=lambda r: r.at)
    ended = run.ended_at
    yield Mark("holds", first.at, last.at, run.tag, (first.n, last.n))
    until = ended.call.until if ended is not None else end
    if until > last.at:
        cites = (last.n, *((ended.call.n,) if ended is not None else ()))
        yield Mark("unsure", last.at, until, f"{run.tag} may still execute", cites)


def _waiting(run: Run, end: float) -> Iterator[Mark]:
    """It waits at least until it was last read as pending, and at most until its first announcement."""
    if run.refused or run.effect_by == float("inf"):
        return
    started = min((r.at for r in run.told), default=None)
    ended = run.ended_at.call.until if run.ended_at is not None else end
    until = ended if started is None else started
    pending = [r.call for r in run.readings if r.status == "pending" and r.call.sent < until]
    since = run.effect_by
    if pending and pending[-1].sent > since:
        yield Mark("waits", since, pending[-1].sent, run.tag, (run.create.n, pending[-1].n))
        since = pending[-1].sent
    if until > since:
        yield Mark("unsure", since, until, f"{run.tag} waits, or is being started", (run.create.n,))


def _displaced(run: Run) -> Iterator[Mark]:
    for d in run.displacements:
        until = min(d.call.until, run.thread.effect_by(d.call))
        sure = "displaced" if d.must is not None else "perhaps displaced"
        until = until if until != float("inf") else d.call.sent
        by = d.call.tag if d.call.op == "create" else d.call.op
        yield Mark("displaced" if d.must is not None else "unsure", d.call.sent, until, f"{sure} by {by}", (d.call.n,))


def _overlaps(facts: Facts) -> Iterator[list[Any]]:
    """When a create took effect while another run was certainly inflight."""
    for thread in facts.threads.values():
        for run in thread.runs.values():
            other = thread.inflight_during(run)
            if other is not None and run.create.until != float("inf"):
                text = f"{run.tag} created while {other[0].tag} was inflight"
                yield [_ms(run.create.sent), _ms(run.create.until), text, list(other[1].cites)]


# --- the records themselves --------------------------------------------------------------------------


def _shown(record: Record, most: int) -> dict[str, Any]:
    """A record for people: texts only, none longer than ``most``."""
    shown: dict[str, Any] = {"record": record.record}
    for name in type(record).__slots__:
        value = getattr(record, name)
        if name == "n" or value is None or value == {} or value == ():
            continue
        if name in ("sent", "received", "at", "done"):
            shown[name] = f"{value * 1000:.3f} ms"
        elif isinstance(value, str):
            shown[name] = _cut(value, most)
        else:
            shown[name] = _cut(json.dumps(value, ensure_ascii=False, default=str), most)
    return shown


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"
