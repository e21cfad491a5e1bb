"""The ways to violate what is said of endpoints: creates by each of them, and clients that stay."""

from __future__ import annotations

from typing import Any

from conformance.proof.records import ENDED, INFLIGHT, STOPPED, Ways
from conformance.proof.witness import Witness

RELEASE_S = 5.0


def _meets(w: Witness, i: Any, b: Any, why: Any, f: Any) -> bool:
    """B was created while the other run was held; nothing else may have ended that, and it ended."""
    over = i.op == "create" and i.over == b.run and i.run == why.run == f.run and f.status not in INFLIGHT
    over = over and i.inside is not None
    only = not hasattr(why, "calls") or why.calls == (f"create {b.run}",)
    return bool(over and only and w.decided(b.run))


def _endpoints(w: Witness, i: Any, b: Any) -> set[str]:
    return {w.creates[run].request.get("endpoint", "runs") for run in (i.run, b.run)}


def _same(endpoint: str) -> Ways:
    def condition(w: Witness, i: Any, b: Any, why: Any, f: Any, j: Any, c: Any, whom: Any, g: Any) -> bool:
        both = _meets(w, i, b, why, f) and _meets(w, j, c, whom, g) and w.end(i.run) == w.end(j.run)
        both = both and w.creates[i.run].thread != w.creates[j.run].thread
        differ = (w.accepted(b.run), f.status) != (w.accepted(c.run), g.status)
        by = _endpoints(w, j, c)
        right = b.strategy == c.strategy and _endpoints(w, i, b) == {"runs"} and endpoint in by <= {"runs", endpoint}
        return both and differ and right

    part = "inflight answered undisturbed|only final"
    return ((f"{part} {part}", condition),)


def _bounded(how: str) -> Ways:
    def condition(_: Witness, r: Any, u: Any) -> bool:
        late = u.at - max(r.at, u.sent) >= RELEASE_S
        return bool(r.run == u.run and r.status in ENDED and u.how.split(" ")[-1] == how and late)

    def kept(_: Witness, r: Any, u: Any) -> bool:
        late = u.waited >= RELEASE_S and r.at + u.waited <= u.at
        return bool(r.run == u.run and r.status in ENDED and u.how.split(" ")[-1] == how and late)

    return (("read unreleased", condition), ("read kept", kept))


def _stopped(i: Any, call: Any) -> bool:
    """The call certainly stopped the run."""
    if hasattr(call, "runs"):
        return bool(i.op == "cancel_many" and i.sent == call.sent and i.run in call.runs)
    if hasattr(call, "action"):
        return bool(i.op == "cancel" and i.sent == call.sent and i.run == call.run)
    if not hasattr(call, "strategy"):
        return bool(i.op == "delete" and i.sent == call.sent and i.run == call.run)
    return bool(i.op == "create" and i.over == call.run and call.strategy in ("interrupt", "rollback"))


def _accepted(call: Any) -> bool:
    return str(call.answer).startswith("2")


WAYS: dict[str, Ways] = {
    "endpoint.same.wait": _same("wait"),
    "endpoint.same.stream": _same("stream"),
    "endpoint.bounded.wait": _bounded("wait"),
    "endpoint.bounded.join": _bounded("join"),
    "endpoint.bounded.stream": _bounded("stream"),
    "endpoint.tells": (
        (
            "foremost|inflight answered|cancelled|bulk|deleted final got",
            lambda w, i, c, f, g: (
                _stopped(i, c) and i.run == f.run == g.run and f.status in STOPPED and not g.tells and _accepted(c)
            ),
        ),
    ),
    "endpoint.own-events": (
        ("event", lambda w, e: e.of is not None and e.of != e.run),
        (
            "event event",
            lambda w, a, b: (
                (a.run, a.how, a.sent) == (b.run, b.how, b.sent) and a.index < b.index and a.length > b.length
            ),
        ),
        (
            "final held lacks",
            lambda w, f, h, x: (
                f.run == h.run == x.run
                and f.status == "success"
                and h.until >= x.connected
                and h.step <= x.step < w.length(f.run)
            ),
        ),
        (
            "final held after lacks",
            lambda w, f, h, a, x: (
                f.run == a.run == x.run
                and f.status == "success"
                and h.run == a.other
                and h.step < a.step
                and h.until >= x.connected
                and 0 <= x.step < w.length(f.run)
            ),
        ),
    ),
    "endpoint.stateless": (
        ("strayed", lambda w, s: True),
        (
            "held stateless",
            lambda w, h, s: h.since <= s.sent and s.at <= h.until and s.answer.startswith("409"),
        ),
        (
            "stateless told stateless",
            lambda w, s, t, o: (
                s.run == t.run != o.run and t.what == "enter" and t.at <= o.sent and o.answer.startswith("409")
            ),
        ),
        (
            "stateless stateless told",
            lambda w, s, o, t: (
                s.run == t.run != o.run
                and t.what in ("cancelled", "swallowed")
                and t.at >= o.sent
                and o.answer.startswith("2")
            ),
        ),
        (
            "held stateless undisturbed final",
            lambda w, h, s, u, f: (
                h.since <= s.sent and s.at <= h.until and h.run == u.run == f.run and f.status in STOPPED
            ),
        ),
    ),
}
