"""The ways to violate requirements by runs of a graph that is no probe, of which reads alone tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.proof.reads import LONG_S
from conformance.proof.records import INFLIGHT, Ways, ended_otherwise
from conformance.proof.witness import Witness

NOT_THE_RUN = {401, 402, 403, 404, 405, 406, 408, 411, 413, 414, 415, 431}
SILENT = {429, 502, 503, 504}


def _over(i: Any, b: Any) -> bool:
    return bool(getattr(i, "op", "create") == "create" and i.over == b.run)


def _refusal(w: Witness, b: Any) -> bool:
    status = w.creates[b.run].status or 0
    return bool(b.strategy == "reject" and w.refused(b.run) and status < 500 and status not in NOT_THE_RUN)


def _stopped(w: Witness, b: Any, only: Any, f: Any, kind: str, end: str) -> bool:
    """Only accepted calls of one kind may have displaced the run, and it came to an end that is not its own, nor the
    one that they owe."""
    call = w.creates[b.run] if hasattr(b, "strategy") else None
    right = b.strategy == kind and w.accepted(b.run) if call is not None else _ok(b) and b.action == kind
    named = f"create {b.run}" if call is not None else f"cancel {b.run}"
    same = only.run == f.run and only.calls[0] == named and only.kind == kind
    return bool(right and same and f.status == end and all(c.split(" ")[0] == named.split(" ")[0] for c in only.calls))


def _changed(b: Any, still: Any, changed: Any) -> bool:
    """The thread's status changed between two reads, and a run was inflight from before the first to after the last."""
    throughout = still.since <= changed.since and changed.until <= still.at
    return bool(still.over == b.run == changed.run and changed.field == "status" and throughout)


def _stopped_by_nobody(w: Witness, read: Any, b: Any, f: Any, u: Any) -> bool:
    """A run that was inflight just before this create was stopped, and this create had no right to stop it."""
    before = read.run == f.run and read.status in INFLIGHT and read.at <= b.sent and f.run in w.others(b.run)
    return bool(before and f.status in {"interrupted", "gone"} and ended_otherwise(u, f))


def _both_won(w: Witness, x: Any, y: Any, at_once: Any) -> bool:
    accepted = all(c.strategy == "reject" and w.accepted(c.run) for c in (x, y))
    return bool(accepted and at_once.runs == (x.run, y.run))


def _overtaken(w: Witness, x: Any, y: Any, ux: Any, uy: Any, o: Any) -> bool:
    same = (ux.run, uy.run) == (x.run, y.run) == (o.run, o.other)
    return bool(same and x.at <= y.sent and y.run in w.others(x.run))


def _code(claim: Any) -> int:
    return int(claim.answer.split(" ")[0])


def _ok(claim: Any) -> bool:
    return 200 <= _code(claim) < 300


def _failed_and_done(c: Any, only: Any, f: Any) -> bool:
    """The cancel was answered with an error, and it alone can have stopped the run, which was stopped."""
    alone = only.calls == (f"cancel {c.run}",) and c.run == only.run == f.run
    wrong = not _ok(c) and _code(c) not in SILENT
    return bool(alone and wrong and f.status in {"interrupted", "gone"})


def _there(w: Witness, settled: Any, f: Any) -> bool:
    return bool(settled.thread == w.creates[f.run].thread)


def _with_another(action: str) -> tuple[str, Callable[..., bool]]:
    """A run was stopped with another one that was cancelled."""

    def condition(w: Witness, r: Any, c: Any, f: Any, u: Any) -> bool:
        return bool(_ok(c) and c.action == action and _stopped_by_nobody(w, r, c, f, u))

    return "read cancelled final undisturbed", condition


def _without_probe(condition: Callable[..., bool]) -> Callable[..., bool]:
    """Where there is a probe, more is known of runs, and more is asked of proofs."""
    return lambda w, *premises: w.transport == "none" and condition(w, *premises)


_WAYS: dict[str, Ways] = {
    "reject.no-effect": (
        (
            "read answered final undisturbed",
            lambda w, r, b, f, u: _refusal(w, b) and _stopped_by_nobody(w, r, b, f, u),
        ),
        ("still answered changed", lambda w, i, b, c: _refusal(w, b) and _over(i, b) and _changed(b, i, c)),
    ),
    "enqueue.first-completes": (
        (
            "read answered final undisturbed",
            lambda w, r, b, f, u: b.strategy == "enqueue" and w.accepted(b.run) and _stopped_by_nobody(w, r, b, f, u),
        ),
    ),
    "reject.one-winner": (("answered answered at_once", _both_won),),
    "enqueue.fifo": (("answered answered undisturbed undisturbed overtaken", _overtaken),),
    "interrupt.status": (("answered only final", lambda w, b, o, f: _stopped(w, b, o, f, "interrupt", "gone")),),
    "rollback.deleted": (
        (
            "answered only settled final",
            lambda w, b, o, s, f: _stopped(w, b, o, f, "rollback", "interrupted") and _there(w, s, f),
        ),
    ),
    "rollback.no-orphans": (
        (
            "answered only settled final carries",
            lambda w, b, o, s, f, c: (
                _stopped(w, b, o, f, "rollback", "gone") and _there(w, s, f) and c.run == f.run and not c.ancestor
            ),
        ),
    ),
    "thread.one-at-a-time": (("together undisturbed undisturbed", lambda w, t, x, y: t.runs == (x.run, y.run)),),
    "thread.busy-iff-inflight": (
        (
            "still thread_status",
            lambda w, i, s: i.op == "get_thread" and i.over == s.thread and i.sent == s.sent and s.status != "busy",
        ),
    ),
    "create.returns": (("outlasted", lambda w, o: o.at - o.seen > LONG_S),),
    "cancel.codes": (
        (
            "still cancelled",
            lambda w, i, c: (
                i.op == "cancel"
                and i.over == c.run == i.run
                and i.sent == c.sent
                and not _ok(c)
                and _code(c) not in SILENT
            ),
        ),
        ("cancelled only final", lambda w, c, o, f: _failed_and_done(c, o, f)),
    ),
    "cancel.interrupt": (
        ("cancelled only final", lambda w, c, o, f: _stopped(w, c, o, f, "interrupt", "gone")),
        _with_another("interrupt"),
    ),
    "cancel.rollback-reverts": (
        (
            "cancelled only settled final",
            lambda w, c, o, s, f: _stopped(w, c, o, f, "rollback", "interrupted") and _there(w, s, f),
        ),
        _with_another("rollback"),
    ),
}

WAYS = {id: tuple((kinds, _without_probe(condition)) for kinds, condition in ways) for id, ways in _WAYS.items()}
