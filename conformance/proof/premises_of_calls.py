"""The ways to violate what is said of single calls: cancels, and creates on threads that do not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.proof.premises_of_endpoints import RELEASE_S
from conformance.proof.records import ENDED, INFLIGHT, STOPPED, Ways
from conformance.proof.witness import Witness

NOBODY = "nobody"
SILENT = {429, 502, 503, 504}
NOT_THE_RUN = {401, 402, 403, 404, 405, 406, 408, 411, 413, 414, 415, 431}


def _code(claim: Any) -> int:
    return int(claim.answer.split(" ")[0])


def _ok(claim: Any) -> bool:
    return 200 <= _code(claim) < 300


def _over(i: Any, c: Any) -> bool:
    """The run was inflight over its own cancel."""
    return bool(i.op == "cancel" and i.over == c.run == i.run and i.sent == c.sent)


def _over_bulk(i: Any, b: Any) -> bool:
    return bool(i.op == "cancel_many" and i.sent == b.sent and i.run in b.runs)


def _solely(i: Any, c: Any, only: Any, kind: str) -> bool:
    return _over(i, c) and _ok(c) and c.action == only.kind == kind and only.run == i.run


def _stopped(i: Any, u: Any, f: Any) -> bool:
    """A run that was not cancelled was stopped."""
    return bool(i.run == u.run == f.run and f.status in STOPPED)


def _beside(w: Witness, i: Any, c: Any, u: Any, f: Any, kind: str) -> bool:
    apart = i.op == "cancel" and i.over == c.run != i.run and i.sent == c.sent
    same = w.creates[c.run].thread == w.creates[i.run].thread
    return apart and same and _ok(c) and c.action == kind and _stopped(i, u, f)


def _started(i: Any, at: float, held: Any, after: Any) -> bool:
    """It started after a superstep of another run that began only when the cancel had been answered."""
    return bool(i.run == after.run and held.run == after.other and after.step > held.step and held.until >= at)


def _steps(log: Any, run: str) -> set[int]:
    return {int(e.rpartition(":")[2]) for e in log.log if e.rpartition(":")[0] == run}


def _waiting(kind: str) -> tuple[str, Callable[..., bool]]:
    def condition(_: Witness, i: Any, c: Any, held: Any, after: Any) -> bool:
        return _over(i, c) and _ok(c) and c.action == kind and _started(i, c.at, held, after)

    return "inflight cancelled held after", condition


def _others(kind: str) -> tuple[str, Callable[..., bool]]:
    return "inflight cancelled undisturbed final", lambda w, i, c, u, f: _beside(w, i, c, u, f, kind)


def _refused(c: Any) -> bool:
    return not _ok(c) and _code(c) not in SILENT


def _again(a: Any, b: Any) -> bool:
    """The second cancel of a run was answered as nothing harmless is."""
    apart = a.at <= b.sent and a.action == b.action
    harmless = _ok(b) or _code(b) in {404, 410} | SILENT or (_code(b) == 409 and not apart)
    return bool(a.run == b.run and _ok(a) and not harmless)


def _wrong_end(f: Any, kind: str) -> bool:
    return bool(f.status not in INFLIGHT and f.status != ("interrupted" if kind == "interrupt" else "gone"))


def _made(m: Any, missing: str) -> bool:
    return bool(m.missing == missing and _code(m) not in SILENT)


def _unaccepted(m: Any) -> bool:
    met = m.strategy == "reject" and 400 <= _code(m) < 500 and _code(m) not in NOT_THE_RUN
    return _made(m, "create") and not _ok(m) and not met


WAYS: dict[str, Ways] = {
    "cancel.interrupt": (
        (
            "inflight cancelled only final",
            lambda w, i, c, o, f: _solely(i, c, o, "interrupt") and f.run == i.run and _wrong_end(f, "interrupt"),
        ),
        (
            "inflight cancelled only told settled log",
            lambda w, i, c, o, t, s, log: (
                _solely(i, c, o, "interrupt")
                and (t.run, t.what) == (i.run, "enter")
                and t.at <= c.sent
                and s.thread == log.thread == w.creates[i.run].thread
                and not set(range(t.step)) <= _steps(log, i.run)
            ),
        ),
        _waiting("interrupt"),
        _others("interrupt"),
    ),
    "cancel.rollback-reverts": (
        (
            "inflight cancelled only settled final",
            lambda w, i, c, o, s, f: _solely(i, c, o, "rollback") and f.run == i.run and _wrong_end(f, "rollback"),
        ),
        (
            "inflight cancelled only next found found",
            lambda w, i, c, o, n, old, new: (
                _solely(i, c, o, "rollback")
                and (n.other, old.run, new.run) == (i.run, i.run, n.run)
                and {**vars(old), "run": ""} != {**vars(new), "run": ""}
            ),
        ),
        (
            "inflight cancelled only settled holds",
            lambda w, i, c, o, s, h: _solely(i, c, o, "rollback") and h.run == i.run and s.thread == h.thread,
        ),
        _waiting("rollback"),
        _others("rollback"),
    ),
    "cancel.wait": (
        (
            "read unreturned",
            lambda w, r, u: r.run == u.run and r.status in ENDED and u.at - max(r.at, u.sent) >= RELEASE_S,
        ),
        (
            "cancelled held told",
            lambda w, c, h, t: (
                c.wait
                and _ok(c)
                and c.run == h.run == t.run
                and (t.what, t.step) == ("leave", h.step)
                and h.since <= c.sent
                and c.at < h.until
                and not w.script(c.run)[h.step].get("block")
            ),
        ),
    ),
    "cancel.codes": (
        ("inflight cancelled", lambda w, i, c: _over(i, c) and _refused(c)),
        (
            "read cancelled",
            lambda w, r, c: (
                r.run == c.run and r.status in ENDED and r.at <= c.sent and _code(c) >= 500 and _code(c) not in SILENT
            ),
        ),
        ("cancelled", lambda w, c: c.run not in w.creates and not 400 <= _code(c) < 500 and _code(c) not in SILENT),
    ),
    "cancel.twice": (("cancelled cancelled", lambda w, a, b: _again(a, b)),),
    "cancel.bulk": (
        ("inflight bulk", lambda w, i, b: _over_bulk(i, b) and _refused(b) and _code(b) not in {404, 405, 501}),
        (
            "inflight bulk only final",
            lambda w, i, b, o, f: (
                _over_bulk(i, b)
                and _ok(b)
                and b.action == o.kind == "interrupt"
                and o.run == f.run == i.run
                and _wrong_end(f, "interrupt")
            ),
        ),
        (
            "inflight bulk only settled final",
            lambda w, i, b, o, s, f: (
                _over_bulk(i, b)
                and _ok(b)
                and b.action == o.kind == "rollback"
                and o.run == f.run == i.run
                and _wrong_end(f, "rollback")
            ),
        ),
        (
            "inflight bulk held after",
            lambda w, i, b, h, a: _over_bulk(i, b) and _ok(b) and _started(i, b.at, h, a),
        ),
        (
            "inflight bulk undisturbed final",
            lambda w, i, b, u, f: (
                i.op == "cancel_many" and i.sent == b.sent and i.run not in b.runs and _ok(b) and _stopped(i, u, f)
            ),
        ),
    ),
    "create.if-not-exists": (
        ("unmade", lambda w, m: _unaccepted(m)),
        (
            "unmade exists",
            lambda w, m, x: (
                _made(m, "create") and _ok(m) and x.thread == m.thread and x.status == 404 and x.sent >= m.at
            ),
        ),
        (
            "unmade undisturbed final",
            lambda w, m, u, f: _made(m, "create") and _ok(m) and m.run == u.run == f.run and f.status == "gone",
        ),
    ),
    "create.unknown-thread": (
        ("unmade", lambda w, m: _made(m, "reject") and not 400 <= _code(m) < 500),
        (
            "unmade exists",
            lambda w, m, x: (
                _made(m, "reject")
                and 400 <= _code(m) < 500
                and x.thread == m.thread
                and x.status == 200
                and x.sent >= m.at
            ),
        ),
    ),
}
