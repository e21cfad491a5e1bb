"""Words that all rooms of the facts use: statuses, log entries, and how instants and answers are shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from conformance.history import Call, Told

TERMINAL = frozenset({"success", "error", "interrupted", "timeout"})
INFLIGHT = frozenset({"pending", "running"})
OWN_ENDS = frozenset({"success", "error", "timeout"})  # in which a run ends if nobody stops it
GONE = "gone"
STOPPED = frozenset({"interrupted", GONE})  # how a run reads that others have stopped
NEVER = float("inf")
NO_EFFECT = frozenset({429, 503})  # refusals that say "not now": without effect, and of no meaning here
# A 4xx that is about something else than the active run (authorisation, routing, the request's form).
NOT_THE_RUN = frozenset({401, 402, 403, 404, 405, 406, 408, 411, 413, 414, 415, 431})
NO_SUCH_ENDPOINT = frozenset({405, 501})  # how a target says that it has not one of the ways in
WEBHOOK_REFUSED = frozenset({400, 403, 422})
PERHAPS = frozenset({502, 504})  # a gateway's: the call may have taken effect
CANCELS = frozenset({"cancel", "cancel_many"})
READS = frozenset({"list_runs", "get_run", "get_thread", "get_state", "get_history"})
HARMLESS = READS | {"create_thread", "join", "stream", "stateless"}  # calls that change no run and no state
MUTATING = frozenset({"create", *CANCELS})  # calls on runs, whose effects the facts know
BY_CLIENTS = ("update", "fork")  # sources of checkpoints that no run writes
PAGE = 100
HISTORY_PAGE = 200
GATE_BOUND_S = 60.0  # the probe's, where a script says nothing
LAG_S = 1.0  # for so long reads may show what was, while the thread has not settled
RECEIPT_S = 10.0  # for so long a node waits for the receipt of an announcement

Kind = Literal["interrupt", "rollback", "delete"]
Entry = tuple[str, int]  # tag and step of a log entry


def digest(parts: Iterable[str]) -> str:
    """The probe's hash of a sequence of strings."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def ms(t: float) -> str:
    """An instant for people."""
    return f"t={t * 1000:.1f} ms"


def shown(call: Call) -> str:
    """What a call was answered, for people."""
    if call.status is None:
        return f"no answer ({call.error})"
    if call.ok and not call.error:
        return str(call.status)
    return f"{call.status} {str(call.answer)[:160]}"


def parse_log(log: Iterable[str]) -> list[Entry]:
    """Entries as they are kept in records (``tag:step``)."""
    return [(tag, int(step)) for tag, _, step in (e.rpartition(":") for e in log)]


def unsure(call: Call) -> bool:
    """Whether the answer leaves open if the call took effect: none, a gateway's, or a cancel that broke down midway."""
    status = call.status
    if status is None or status in PERHAPS or (call.ok and bool(call.error)):
        return True
    return call.op in CANCELS and status >= 500 and status not in NO_EFFECT


def no_such_endpoint(call: Call, calls: Sequence[Call], told: Iterable[Told] = ()) -> bool:
    """A create by an endpoint beside ``/runs`` that the target has not, as it says: without effect, and no refusal.

    ``calls``: those of the thread, by which a 404 is about it or not; it is about the run where that was there
    (``told``, or listed), and is gone now.
    """
    if call.op not in ("create", "stray") or "endpoint" not in call.request:
        return False
    if call.status != 404:
        return call.status in NO_SUCH_ENDPOINT
    ops = {c.op: c.ok for c in calls if c.op in ("create_thread", "delete_thread")}
    lists = (c for c in calls if c.op == "list_runs" and c.ok and not c.error)
    seen = any(r.tag == call.tag for r in told) or any(row["tag"] == call.tag for c in lists for row in c.answer)
    return ops == {"create_thread": True} and not seen


def webhook_refused(call: Call) -> bool:
    """A create that is refused, as it may well be, for the address of its webhook: this machine's loopback."""
    return call.op == "create" and bool(call.request.get("webhook")) and call.status in WEBHOOK_REFUSED


def targets(call: Call) -> tuple[str, ...]:
    """The runs that a cancel names."""
    if call.op == "cancel_many":
        return tuple(map(str, call.request.get("tags") or ()))
    return (call.tag,) if call.op == "cancel" and call.tag is not None else ()


def named(call: Call) -> str:
    """What a call is about, in words."""
    return " and ".join(targets(call)) if call.op in CANCELS else str(call.tag)


def show_log(log: Sequence[Entry]) -> str:
    """A log for people: ``A0 A1 B0``."""
    return " ".join(f"{t}{s}" for t, s in log) or "(empty)"
