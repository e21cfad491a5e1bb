"""The ways to violate what is said of the strategies, and of what they displace."""

from __future__ import annotations

from typing import Any

from conformance.proof.records import INFLIGHT, STOPPED, Condition, Ways, ended_otherwise
from conformance.proof.witness import Witness

NOT_THE_RUN = {401, 402, 403, 404, 405, 406, 408, 411, 413, 414, 415, 431}
LEGAL = {"pending", "running", "success", "error", "interrupted", "timeout", "gone"}
MET = "inflight|beside|still answered"  # a run was inflight while this create took effect


def _status(w: Witness, run: str) -> int:
    return w.creates[run].status or 0


def _refusal(w: Witness, b: Any) -> bool:
    """A create(reject) answered with a 4xx that can be about the active run."""
    about = _status(w, b.run) < 500 and _status(w, b.run) not in NOT_THE_RUN
    return bool(b.strategy == "reject" and w.refused(b.run) and about)


def _over(i: Any, b: Any) -> bool:
    return bool(getattr(i, "op", "create") == "create" and i.over == b.run)


def _met(w: Witness, i: Any, b: Any, strategy: str) -> bool:
    return _over(i, b) and b.strategy == strategy and w.accepted(b.run)


def _displaced(w: Witness, i: Any, b: Any, kind: str) -> bool:
    """An accepted create of this strategy certainly displaced the run."""
    return _met(w, i, b, kind)


def _solely(w: Witness, i: Any, b: Any, only: Any, kind: str) -> bool:
    return _displaced(w, i, b, kind) and bool(only.run == i.run and only.kind == kind)


def log_steps(log: Any, run: str) -> list[int]:
    return [int(e.rpartition(":")[2]) for e in log.log if e.rpartition(":")[0] == run]


def log_tags(log: Any) -> list[str]:
    return [e.rpartition(":")[0] for e in log.log]


def _missing(w: Witness, log: Any, run: str) -> bool:
    return len(set(log_steps(log, run))) < w.length(run)


def _says(body: Any) -> bool:
    if isinstance(body, dict | list):
        return any(map(_says, body.values() if isinstance(body, dict) else body))
    return isinstance(body, str) and any(map(str.isalpha, body))


def _burst(w: Witness, runs: list[str]) -> bool:
    """All creates of one burst on one thread, and nothing else."""
    first = w.creates[runs[0]]
    own = (t for t, c in w.creates.items() if c.group == first.group and c.thread == first.thread)
    return first.group is not None and sorted(runs) == sorted(own)


def _undisplaced(strategy: str) -> tuple[str, Condition]:
    """A whole burst of a displacing strategy on an idle thread, all held until the last answer, all ended in success:
    whichever took effect first had to be displaced by the second."""

    def condition(w: Witness, creates: list[Any], finals: list[Any], gated: Any, idle: Any) -> bool:
        runs = [c.run for c in creates]
        same = tuple(runs) == tuple(f.run for f in finals) == gated.runs == idle.besides
        right = all(c.strategy == strategy and w.accepted(c.run) for c in creates)
        held = gated.until >= max(c.at for c in creates) and all(f.status == "success" for f in finals)
        owed = not w.spares(strategy)
        return len(runs) > 1 and _burst(w, runs) and same and right and held and owed

    return "answered+ final+ gated idle", condition


def _whatever(strategy: str) -> Ways:
    return (("answered", lambda w, b: b.strategy == strategy and w.refused(b.run)),)


def _both_won(w: Witness, x: Any, y: Any, gated: Any, ux: Any, uy: Any) -> bool:
    last, runs = max(x.at, y.at), (x.run, y.run)
    accepted = all(c.strategy == "reject" and w.accepted(c.run) for c in (x, y)) and y.run in w.others(x.run)
    held = gated.runs == runs == (ux.run, uy.run) and gated.until >= last
    return bool(accepted and held and ux.at == uy.at == last)


def _reopens(w: Witness, idle: Any, ended: list[Any], b: Any) -> bool:
    earlier = [t for t, c in w.others(b.run).items() if c.sent < b.at and not w.refused(t)]
    refused = b.strategy == "reject" and w.refused(b.run) and idle.besides == (b.run,)
    return bool(refused and [u.run for u in ended] == earlier)


def _code(w: Witness, i: Any, b: Any, control: Any) -> bool:
    wrong = _status(w, b.run) != w.refusal_code or not _says(w.creates[b.run].answer)
    controlled = control.strategy == "reject" and w.accepted(control.run)
    return _over(i, b) and b.strategy == "reject" and w.refused(b.run) and wrong and controlled


def _changed(w: Witness, b: Any, held: Any, changed: Any) -> bool:
    """The thread changed between two reads during which the other run was held."""
    held_over = held.run in w.others(b.run) and held.since <= changed.since and changed.until <= held.until
    return bool(_refusal(w, b) and changed.run == b.run and held_over)


def _under(g: Any, u: Any) -> bool:
    return bool(g.id == u.id and g.run != u.run)


def _first_to_run(w: Witness, x: Any, y: Any, ux: Any, uy: Any) -> bool:
    return bool(x.run == ux.run and y.run == uy.run and x.at <= y.sent and y.run in w.others(x.run))


def _log_order(log: Any, x: str, y: str) -> bool:
    """Y's segment begins before X's."""
    tags = log_tags(log)
    return x in tags and y in tags and tags.index(y) < tags.index(x)


def _conserved(w: Witness, a: Any, f: Any, settled: Any, log: Any) -> bool:
    same = a.run == f.run and settled.thread == log.thread == w.creates[a.run].thread
    kept = w.accepted(a.run) and f.status not in INFLIGHT and not w.taken_away(a.run)
    return bool(same and kept and _missing(w, log, a.run))


def _behind_failure(w: Witness, i: Any, b: Any, raised: Any, u: Any) -> bool:
    told = raised.what == "raise" and raised.run == i.run
    return bool(_met(w, i, b, "enqueue") and told and u.run == b.run)


def log_base(w: Witness, log: Any, found: Any) -> bool:
    """A run found something else than what stands before its segment."""
    tags = log_tags(log)
    before = log.log[: tags.index(found.run)] if found.run in tags else None
    return before is not None and w.hash_of(before) != found.log_hash


def _inside(w: Witness, log: Any, new: str) -> bool:
    """The run's segment begins inside another one's."""
    tags = log_tags(log)
    at = tags.index(new) if new in tags else 0
    return any(t in w.others(new) and t in tags[at + 1 :] for t in tags[:at])


def _cancelled_over(i: Any, call: Any) -> bool:
    """The run was inflight over this cancel, of it alone or of several."""
    if hasattr(call, "runs"):
        return bool(i.op == "cancel_many" and i.sent == call.sent and i.run in call.runs)
    return bool(i.op == "cancel" and i.over == call.run == i.run and i.sent == call.sent)


def _went_on(w: Witness, i: Any, call: Any, held: Any, waited: Any, told: Any) -> bool:
    spec = w.script(held.run)[held.step]
    cancel = hasattr(call, "action")
    displacing = cancel or (_over(i, call) and call.strategy in ("interrupt", "rollback") and w.accepted(call.run))
    if cancel and not _cancelled_over(i, call):
        return False
    same = i.run == held.run == waited.run == told.run and not (spec.get("swallow") or spec.get("block"))
    timely = held.since <= call.sent and call.at <= waited.at <= held.until
    return bool(displacing and same and timely and told.what == "enter" and told.step > held.step)


def read_ended(read: Any) -> bool:
    return read.status in LEGAL - INFLIGHT


WAYS: dict[str, Ways] = {
    "reject.conflict": (
        (MET, lambda w, i, b: _over(i, b) and b.strategy == "reject" and w.decided(b.run) and not _refusal(w, b)),
    ),
    "reject.code": ((f"{MET} answered", _code),),
    "reject.no-effect": (
        ("answered listed", lambda w, b, x: _refusal(w, b) and x.run == b.run and x.sent >= b.sent),
        ("answered told", lambda w, b, x: _refusal(w, b) and x.run == b.run),
        ("answered holds", lambda w, b, x: _refusal(w, b) and x.run == b.run),
        ("answered held changed", _changed),
        (
            f"{MET} final undisturbed",
            lambda w, i, b, f, u: _over(i, b) and _refusal(w, b) and i.run == u.run == f.run and f.status in STOPPED,
        ),
    ),
    "reject.one-winner": (
        ("answered answered gated unended unended", _both_won),
        (
            "answered",
            lambda w, b: (
                b.strategy == "reject" and w.creates[b.run].group and w.refused(b.run) and _status(w, b.run) >= 500
            ),
        ),
        (
            "answered+ idle",
            lambda w, bs, idle: (
                all(_refusal(w, b) for b in bs)
                and idle.besides == tuple(b.run for b in bs)
                and _burst(w, list(idle.besides))
            ),
        ),
    ),
    "reject.reopens": (("idle undisturbed* answered", _reopens),),
    "enqueue.accepted": _whatever("enqueue"),
    "interrupt.accepted": _whatever("interrupt"),
    "rollback.accepted": _whatever("rollback"),
    "enqueue.first-completes": (
        (
            f"{MET} final undisturbed",
            lambda w, i, b, f, u: _met(w, i, b, "enqueue") and i.run == u.run and ended_otherwise(u, f),
        ),
        (
            f"{MET} final undisturbed settled log",
            lambda w, i, b, f, u, s, log: (
                _met(w, i, b, "enqueue")
                and i.run == f.run == u.run
                and u.end == f.status
                and s.thread == log.thread == w.creates[i.run].thread
                and _missing(w, log, i.run)
            ),
        ),
    ),
    "enqueue.separate-run": (
        ("given given", lambda w, a, b: a.id == b.id and a.run != b.run),
        ("given under", lambda w, g, u: _under(g, u)),
        (
            f"{MET} undisturbed undisturbed log",
            lambda w, i, b, ui, ub, log: (
                _met(w, i, b, "enqueue")
                and (ui.run, ub.run) == (i.run, b.run)
                and b.run in log_tags(log)
                and i.run in log_tags(log)[log_tags(log).index(b.run) :]
            ),
        ),
    ),
    "enqueue.fifo": (
        (
            "answered answered undisturbed undisturbed log",
            lambda w, x, y, ux, uy, log: _first_to_run(w, x, y, ux, uy) and _log_order(log, x.run, y.run),
        ),
        (
            "answered answered undisturbed undisturbed after",
            lambda w, x, y, ux, uy, a: _first_to_run(w, x, y, ux, uy) and (a.run, a.other, a.step) == (x.run, y.run, 0),
        ),
    ),
    "enqueue.conserves-input": (
        (
            "answered final undisturbed",
            lambda w, a, f, u: a.run == f.run == u.run and w.accepted(a.run) and f.status == "gone",
        ),
        (
            "answered log",
            lambda w, a, log: w.accepted(a.run) and len(log_steps(log, a.run)) > len(set(log_steps(log, a.run))),
        ),
        (
            "answered final settled log",
            lambda w, a, f, s, log: f.status == "success" and _conserved(w, a, f, s, log),
        ),
        (
            "answered final undisturbed settled log",
            lambda w, a, f, u, s, log: f.status != "success" and u.run == a.run and _conserved(w, a, f, s, log),
        ),
    ),
    "enqueue.survives-failure": (
        (
            f"{MET} told undisturbed read unsettled",
            lambda w, i, b, t, u, r, e: (
                _behind_failure(w, i, b, t, u) and r.run == b.run and r.status in INFLIGHT and r.sent >= e.at
            ),
        ),
        (
            f"{MET} told undisturbed final no_end",
            lambda w, i, b, t, u, f, n: (
                _behind_failure(w, i, b, t, u) and f.run == n.run == b.run and read_ended(f) and n.reached is None
            ),
        ),
    ),
    "interrupt.status": (
        _undisplaced("interrupt"),
        (
            "foremost answered only final",
            lambda w, i, b, o, f: (
                _solely(w, i, b, o, "interrupt") and f.run == i.run and f.status not in INFLIGHT | {"interrupted"}
            ),
        ),
    ),
    "interrupt.keeps-progress": (
        (
            "foremost answered only told settled log",
            lambda w, i, b, o, t, s, log: (
                _solely(w, i, b, o, "interrupt")
                and (t.run, t.what) == (i.run, "enter")
                and t.at <= b.sent
                and s.thread == log.thread == w.creates[i.run].thread
                and not set(range(t.step)) <= set(log_steps(log, i.run))
            ),
        ),
        (
            "foremost answered only told found after found",
            lambda w, i, b, o, t, old, a, new: (
                _solely(w, i, b, o, "interrupt")
                and (t.run, t.what) == (i.run, "enter")
                and t.at <= b.sent
                and (old.run, a.other, a.step, new.run) == (i.run, i.run, t.step, a.run)
                and new.log < old.log + t.step
            ),
        ),
    ),
    "interrupt.builds-on": (
        (
            "foremost answered only told after log",
            lambda w, i, b, o, t, a, log: (
                _solely(w, i, b, o, "interrupt")
                and (t.run, t.what, a.other, a.step) == (i.run, "enter", i.run, t.step)
                and t.step > 0
                and t.at <= b.sent
                and a.run in log_tags(log)
                and i.run not in log_tags(log)
            ),
        ),
        (
            "foremost answered after log",
            lambda w, i, b, a, log: (
                _displaced(w, i, b, "interrupt")
                and a.other == i.run
                and a.run in log_tags(log)
                and i.run in log_tags(log)[log_tags(log).index(a.run) :]
            ),
        ),
        (
            "foremost answered after log found",
            lambda w, i, b, a, log, found: (
                _displaced(w, i, b, "interrupt") and a.other == i.run and found.run == a.run and log_base(w, log, found)
            ),
        ),
    ),
    "interrupt.no-injection": (
        ("sent saw_input", lambda w, b, x: b.strategy == "interrupt" and x.input == b.run and x.run in w.others(b.run)),
        ("sent given under", lambda w, b, g, u: b.strategy == "interrupt" and u.run == b.run and _under(g, u)),
        ("sent log", lambda w, b, log: b.strategy == "interrupt" and _inside(w, log, b.run)),
    ),
    "rollback.deleted": (
        _undisplaced("rollback"),
        (
            "foremost answered only settled final",
            lambda w, i, b, o, s, f: _solely(w, i, b, o, "rollback") and f.run == i.run and f.status != "gone",
        ),
        (
            "foremost answered only settled listed",
            lambda w, i, b, o, s, x: (
                _solely(w, i, b, o, "rollback") and x.run == i.run and x.phase == "final" and x.sent >= s.at
            ),
        ),
    ),
    "rollback.reverts": (
        (
            "foremost answered only next found found",
            lambda w, i, b, o, a, old, new: (
                _solely(w, i, b, o, "rollback")
                and (a.other, old.run, new.run) == (i.run, i.run, a.run)
                and {**vars(old), "run": ""} != {**vars(new), "run": ""}
            ),
        ),
        (
            "foremost answered only input_in",
            lambda w, i, b, o, x: _solely(w, i, b, o, "rollback") and x.run == i.run,
        ),
        (
            "foremost answered only settled holds",
            lambda w, i, b, o, s, h: _solely(w, i, b, o, "rollback") and h.run == i.run and s.thread == h.thread,
        ),
    ),
    "rollback.lineage": (
        (
            "foremost answered only settled carries",
            lambda w, i, b, o, s, c: _solely(w, i, b, o, "rollback") and c.run == i.run and c.ancestor,
        ),
        (
            "foremost answered read log",
            lambda w, i, b, r, log: (
                _displaced(w, i, b, "rollback")
                and r.run in w.others(i.run)
                and r.status == "success"
                and r.at <= w.creates[i.run].sent
                and w.length(r.run) > 0
                and r.run not in log_tags(log)
            ),
        ),
    ),
    "rollback.no-orphans": (
        (
            "foremost answered only settled carries",
            lambda w, i, b, o, s, c: _solely(w, i, b, o, "rollback") and c.run == i.run and not c.ancestor,
        ),
    ),
    "displaced.stops": (("foremost|inflight answered|cancelled|bulk held waited told", _went_on),),
}
