"""Coverage cells of a history: strategy × what the call met × endpoint × what came of it.

They guide the search and are shown; nothing is judged by them, so what is known roughly is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.history import Call, History, Told

Cell = tuple[str, str, str, str]
"""Strategy (of a cancel or a deletion: its action), state of the runs that the call met, endpoint, outcome."""

ASKED = ("fault", "if_not_exists", "after", "answers", "webhook")
OTHERS = frozenset({"join", "stream", "cancel_many", "stateless", "stray", "update_state", "delete_thread"})
_OVER = ("raise", "cancelled")


def cells(history: History) -> frozenset[Cell]:
    """The cells that a history covers."""
    calls: list[Call] = list(history.of(Call))
    told: dict[str, list[Told]] = {}
    for record in history.of(Told):
        told.setdefault(record.tag, []).append(record)
    finals = {str(c.tag): _final(c) for c in calls if c.op == "get_run" and c.phase == "final"}
    covered: set[Cell] = set()
    for thread in {c.thread for c in calls}:
        own = [c for c in calls if c.thread == thread]
        creates = sorted((c for c in own if c.op == "create"), key=lambda c: c.sent)
        for call in own:
            if call.op == "create":
                others = [c for c in creates if c is not call and c.sent <= call.sent]
                met = _met(call, others, told, finals)
                fate = finals.get(str(call.tag), "unread") if call.ok else _answer(call)
                first = finals.get(str(others[0].tag), "refused") if others else "none"
                strategy = str(call.request.get("strategy") or "default")
                endpoint = "burst" if call.group else _endpoint(call)
                endpoint += "".join(f", {said}" for said in ASKED if call.request.get(said))
                covered.add((strategy, met, endpoint, f"{fate}, first {first}"))
            elif call.op in ("cancel", "delete"):
                own_run = [c for c in creates if c.tag == call.tag]
                met = _met(call, own_run, told, finals)
                fate = finals.get(str(call.tag), "unread")
                waits = ", waits" if call.request.get("wait") else ""
                action = str(call.request.get("action") or "delete")
                covered.add((action, met, call.op + waits, f"{_answer(call)}, {fate}"))
            elif call.op in OTHERS:
                covered.add((str(call.request.get("strategy") or "-"), "-", call.op, _answer(call)))
    return frozenset(covered)


def _endpoint(call: Call) -> str:
    return str(call.request.get("endpoint") or "runs")


def _final(call: Call) -> str:
    if call.ok and not call.error and isinstance(call.answer, Mapping):
        return str(call.answer.get("status"))
    return "gone" if call.status == 404 else "unread"


def _answer(call: Call) -> str:
    if call.status is None:
        return "lost"
    return "accepted" if call.ok else f"answered {call.status}"


def _met(call: Call, others: list[Call], told: Mapping[str, list[Told]], finals: Mapping[str, str]) -> str:
    """What the earlier runs of the thread were doing when the call was sent, as far as it was known then."""
    seen = {s for c in others if (s := _state(call.sent, c, told.get(str(c.tag), []), finals)) is not None}
    active = sorted(s for s in seen if not s.startswith("after"))
    return "+".join(active or sorted(seen)[-1:]) or "nothing"


def _state(at: float, create: Call, told: list[Told], finals: Mapping[str, str]) -> str | None:
    if create.received is None or create.received > at:
        return "simultaneous"
    if not create.ok:
        return None
    before = [r for r in told if r.at <= at]
    steps: Any = create.request.get("steps") or ()
    if not before:
        return "pending"
    last = max(before, key=lambda r: r.seq)
    if last.kind in _OVER or (last.kind == "leave" and last.step == len(steps) - 1):
        return f"after {finals.get(str(create.tag), 'unread')}"
    if last.kind == "swallowed":
        return "swallowing"
    if last.kind == "leave":
        return "between supersteps"
    return "running, held" if last.detail.get("gate") else "running"
