"""For each requirement the ways in which it can be violated: the kinds of the premises, in order, and what links them.

``a|b`` is either kind, ``a+`` one or more, ``a*`` any number. The condition is given the claims in the same order; it
may rely on them, since each was derived again, and looks at nothing but them and the creates that they name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.proof import premises_of_calls, premises_of_endpoints, premises_of_reads
from conformance.proof.records import INFLIGHT, ended_otherwise
from conformance.proof.requests import BAD_INPUT
from conformance.proof.witness import Witness

Condition = Callable[..., bool]
Ways = tuple[tuple[str, Condition], ...]

NOT_THE_RUN = {401, 402, 403, 404, 405, 406, 408, 411, 413, 414, 415, 431}
LEGAL = {"pending", "running", "success", "error", "interrupted", "timeout", "gone"}
LONG_S = 1.5
RECEIPT_S = 10.0

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


def _steps(log: Any, run: str) -> list[int]:
    return [int(e.rpartition(":")[2]) for e in log.log if e.rpartition(":")[0] == run]


def _tags(log: Any) -> list[str]:
    return [e.rpartition(":")[0] for e in log.log]


def _missing(w: Witness, log: Any, run: str) -> bool:
    return len(set(_steps(log, run))) < w.length(run)


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
    tags = _tags(log)
    return x in tags and y in tags and tags.index(y) < tags.index(x)


def _conserved(w: Witness, a: Any, f: Any, settled: Any, log: Any) -> bool:
    same = a.run == f.run and settled.thread == log.thread == w.creates[a.run].thread
    kept = w.accepted(a.run) and f.status not in INFLIGHT and not w.taken_away(a.run)
    return bool(same and kept and _missing(w, log, a.run))


def _behind_failure(w: Witness, i: Any, b: Any, raised: Any, u: Any) -> bool:
    told = raised.what == "raise" and raised.run == i.run
    return bool(_met(w, i, b, "enqueue") and told and u.run == b.run)


def _base(w: Witness, log: Any, found: Any) -> bool:
    """A run found something else than what stands before its segment."""
    tags = _tags(log)
    before = log.log[: tags.index(found.run)] if found.run in tags else None
    return before is not None and w.hash_of(before) != found.log_hash


def _inside(w: Witness, log: Any, new: str) -> bool:
    """The run's segment begins inside another one's."""
    tags = _tags(log)
    at = tags.index(new) if new in tags else 0
    return any(t in w.others(new) and t in tags[at + 1 :] for t in tags[:at])


def _interleaved(w: Witness, log: Any) -> bool:
    """Some run's entries are not one piece 0, 1, 2 …, whatever clients wrote between them."""
    tags = [t for t in _tags(log) if t not in w.updates]
    pieces = {t: tags[tags.index(t) : tags.index(t) + tags.count(t)] for t in tags}
    return any(set(p) != {t} or _steps(log, t) != list(range(len(p))) for t, p in pieces.items())


def _miscounted(w: Witness, log: Any, counter: Any) -> bool:
    adds = [w.script(t)[int(e.rpartition(":")[2])] for e, t in zip(log.log, _tags(log), strict=True)]
    return bool(counter.value != sum(int(s.get("by", 1)) for s in adds if s["op"] == "add"))


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


def _ran_into(w: Witness, sent: Any, held: Any, told: Any) -> bool:
    """Created after the other was held at its gate, and started before that was opened."""
    other = sent.run == told.run and held.run in w.others(sent.run)
    return bool(other and told.what == "enter" and held.since <= sent.sent and told.at < held.until)


def _both_succeeded(x: str, y: str, fx: Any, fy: Any) -> bool:
    return bool((fx.run, fy.run) == (x, y) and fx.status == fy.status == "success")


def _neither_ended(x: str, y: str, since: float, by: float, ux: Any, uy: Any) -> bool:
    return bool((ux.run, ux.at, uy.run, uy.at) == (x, by, y, since))


def _late(held: Any, written: Any, instant: float) -> bool:
    """A superstep that a gate held until then was written."""
    return bool(held.run == written.run and held.step == written.step and held.until >= instant)


def _flip(a: Any, b: Any) -> bool:
    over = a.status not in INFLIGHT and a.status in LEGAL
    return bool(a.run == b.run and over and b.sent >= a.at and b.status != a.status)


def _acknowledged(w: Witness, read: Any, told: Any, written: Any) -> bool:
    """The node waited for the receipt of its leaving, which came in time, so that its superstep ended after that."""
    in_time = told.at - w.creates[told.run].sent < RECEIPT_S
    left = w.transport == "callback" and told.what == "leave" and told.at > read.at and in_time
    return bool(left and read.run == told.run == written.run and told.step == written.step) and _ended(read)


def _ended(read: Any) -> bool:
    return read.status in LEGAL - INFLIGHT


def _outlived(held: Any, waited: Any, written: Any, sent: float, done: float) -> bool:
    """A gate held the run over a deletion and the deadline after it, and it wrote what it had been held in."""
    same = held.run == waited.run == written.run and written.step == held.step
    return bool(same and held.since <= sent and done <= waited.at <= held.until)


def _starved_by_deletes(w: Witness, deletes: list[Any], told: Any, idle: Any, u: Any) -> bool:
    """All deletions, before each of which more ran at once than do now; and one of those, that started in less time."""
    made = {c.n for c in w.calls if c.op == "delete" and c.ok and not c.error and c.tag in w.creates}
    first, last = min(d.sent for d in deletes), max(d.at for d in deletes)
    started = {r.tag for r in w.told if r.kind == "enter" and r.at <= first}
    before = [t for t, c in w.creates.items() if c.sent < first and t in started]
    after = [t for t, c in w.creates.items() if c.sent > last]
    quick = told.what == "enter" and told.step == 0 and told.run in before
    soon = told.at - w.creates[told.run].sent < u.waited
    complete = len(deletes) == len(made) > 1
    alone = idle.besides == (u.run,) and u.run in after and w.accepted(u.run)
    return bool(complete and quick and soon and alone and len(before) >= len(after))


def _asks_for_a_call(w: Witness, run: str) -> bool:
    return w.accepted(run) and bool(w.creates[run].request.get("webhook"))


def _starved(w: Witness, a: Any, b: Any, read: Any, idle: Any, u: Any) -> bool:
    """Two were executed at once, of which one has ended, and then, beside the other and its queue, a third not."""
    threads = [w.creates[t].thread for t in (a.run, b.run, u.run)]
    apart = len(set(threads)) == 3 and {c.thread for c in w.creates.values()} == set(threads)
    two = max(a.since, b.since) <= min(a.until, b.until)
    ended = b.run == read.run and _ended(read) and read.at <= w.creates[u.run].sent and not w.others(b.run)
    late = idle.besides == (u.run,) and w.accepted(u.run) and u.at <= a.until
    return bool(apart and two and ended and late and not w.others(u.run))


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
            lambda w, i, b, f, u: (
                _over(i, b) and _refusal(w, b) and i.run == u.run and u.end != "error" and ended_otherwise(u, f)
            ),
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
                and b.run in _tags(log)
                and i.run in _tags(log)[_tags(log).index(b.run) :]
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
            lambda w, a, log: w.accepted(a.run) and len(_steps(log, a.run)) > len(set(_steps(log, a.run))),
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
                _behind_failure(w, i, b, t, u) and f.run == n.run == b.run and _ended(f) and n.reached is None
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
                and not set(range(t.step)) <= set(_steps(log, i.run))
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
                and a.run in _tags(log)
                and i.run not in _tags(log)
            ),
        ),
        (
            "foremost answered after log",
            lambda w, i, b, a, log: (
                _displaced(w, i, b, "interrupt")
                and a.other == i.run
                and a.run in _tags(log)
                and i.run in _tags(log)[_tags(log).index(a.run) :]
            ),
        ),
        (
            "foremost answered after log found",
            lambda w, i, b, a, log, found: (
                _displaced(w, i, b, "interrupt") and a.other == i.run and found.run == a.run and _base(w, log, found)
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
                and r.run not in _tags(log)
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
    "thread.one-at-a-time": (
        (
            "sent held told final final",
            lambda w, s, h, t, fx, fy: _ran_into(w, s, h, t) and _both_succeeded(h.run, s.run, fx, fy),
        ),
        (
            "sent held told unended unended",
            lambda w, s, h, t, ux, uy: _ran_into(w, s, h, t) and _neither_ended(h.run, s.run, h.since, t.at, ux, uy),
        ),
        ("overlap final final", lambda w, o, fx, fy: _both_succeeded(o.run, o.other, fx, fy)),
        ("overlap unended unended", lambda w, o, ux, uy: _neither_ended(o.run, o.other, o.since, o.by, ux, uy)),
    ),
    "thread.no-lost-update": (
        ("log", lambda w, log: _interleaved(w, log)),
        (
            "final told settled log",
            lambda w, f, t, s, log: (
                f.run == t.run
                and (
                    (f.status == "success" and t.what == "leave" and t.step == len(w.script(f.run)) - 1)
                    or (f.status == "error" and t.what == "enter" and t.step > 0)
                )
                and w.creates[f.run].thread == s.thread == log.thread
                and w.length(f.run) > 0
                and not w.taken_away(f.run)
                and f.run not in _tags(log)
            ),
        ),
        ("log counter", lambda w, log, c: log.thread == c.thread and _miscounted(w, log, c)),
        ("log found", lambda w, log, f: log.thread == w.creates[f.run].thread and _base(w, log, f)),
    ),
    "thread.independent": (
        ("foreign", lambda w, f: True),
        (
            "idle answered answered",
            lambda w, idle, r, b: (
                idle.besides == (b.run,)
                and w.refused(b.run)
                and w.accepted(r.run)
                and w.creates[r.run].thread != idle.thread
                and all(c.sent > b.at for c in w.others(b.run).values())
            ),
        ),
        (
            "answered undisturbed final",
            lambda w, r, u, f: (
                w.accepted(r.run) and w.creates[r.run].thread != w.creates[u.run].thread and ended_otherwise(u, f)
            ),
        ),
    ),
    "thread.busy-iff-inflight": (
        (
            "throughout thread_status",
            lambda w, i, s: i.thread == s.thread and (i.from_, i.to) == (s.sent, s.at) and s.status != "busy",
        ),
        (
            "settled|unsettled thread_status",
            lambda w, e, s: (
                e.thread == s.thread and s.sent >= e.at and s.status == "busy" and w.all_over(s.thread, s.sent)
            ),
        ),
    ),
    "delete.stops-writes": (
        (
            "deleted held outwaited written",
            lambda w, d, h, o, c: d.run == h.run and _outlived(h, o, c, d.sent, d.at),
        ),
        (
            "renewed held outwaited written",
            lambda w, r, h, o, c: (
                r.thread == w.creates[h.run].thread
                and w.creates[h.run].until <= r.sent
                and _outlived(h, o, c, r.sent, r.there)
            ),
        ),
        (
            "renewed told leftover",
            lambda w, r, t, x: (
                r.thread == x.thread
                and t.run == x.run
                and t.at >= r.there
                and w.transport == "callback"  # whose receipts a node waits for
                and (t.what, t.step) == ("enter", 0)
                and all(o.at >= t.at for o in w.of_run(x.run))
            ),
        ),
        (
            "renewed held leftover",
            lambda w, r, h, x: r.thread == x.thread and h.run == x.run and h.since <= r.sent and x.at <= h.until,
        ),
        (
            "renewed read leftover",
            lambda w, r, e, x: r.thread == x.thread and e.run == x.run and _ended(e) and e.at <= r.sent,
        ),
    ),
    "delete.thread-settles": (
        (
            "inflight deleted unsettled",
            lambda w, i, d, u: (
                i.op == "delete" and i.run == i.over == d.run and u.thread == w.creates[d.run].thread and d.sent < u.at
            ),
        ),
    ),
    "delete.frees-worker": (("deleted+ told idle unbegun", _starved_by_deletes),),
    "state.update-not-lost": (
        (
            "inflight updated settled log",
            lambda w, i, u, s, log: (
                i.op == "update_state"
                and i.over == u.update
                and s.thread == log.thread == w.creates[i.run].thread
                and not w.takes_back(s.thread, u.sent)
                and w.accepted_update(u.update, s.thread)
                and u.update not in _tags(log)
            ),
        ),
    ),
    "webhook.once": (
        ("hooked hooked", lambda w, a, b: a.run == b.run and a.at < b.at and _asks_for_a_call(w, a.run)),
        (
            "read unhooked",
            lambda w, r, u: (
                r.run == u.run
                and r.status in ("success", "error")
                and r.at + u.waited <= u.at
                and _asks_for_a_call(w, r.run)
            ),
        ),
    ),
    "thread.not-starved": (("held held read idle unbegun", _starved),),
    "thread.settles": (("unsettled", lambda w, u: True),),
    "run.terminal-is-final": (
        ("read read", lambda w, a, b: _flip(a, b) and b.status != "gone"),
        (
            "read read undisturbed|only",
            lambda w, a, b, u: (
                _flip(a, b) and b.status == "gone" and u.run == a.run and getattr(u, "kind", "") != "rollback"
            ),
        ),
        (
            "deleted settled final",
            lambda w, d, s, f: (
                d.run == f.run and d.at <= f.sent and f.status != "gone" and s.thread == w.creates[f.run].thread
            ),
        ),
        ("after held written", lambda w, a, h, c: a.other == h.run and _late(h, c, a.at)),
        ("settled new", lambda w, s, n: s.thread == w.creates[n.run].thread),
    ),
    "run.final-when-read": (
        (
            "read held written",
            lambda w, r, h, c: _ended(r) and r.run == h.run and h.until > r.at and _late(h, c, r.at),
        ),
        ("read told written", _acknowledged),
    ),
    "run.status-legal": (
        ("read", lambda w, r: r.status not in LEGAL),
        (
            "read read held retry undisturbed",
            lambda w, a, b, h, x, u: (
                a.run == b.run == h.run == x.run == u.run
                and (a.status, b.status) == ("running", "pending")
                and b.sent >= a.at
                and h.since <= b.sent
                and b.at <= h.until
            ),
        ),
    ),
    "run.status-truthful": (
        ("read gated", lambda w, r, g: r.status == "success" and g.runs == (r.run,) and r.at < g.until),
        ("read no_end", lambda w, r, n: r.status == "success" and n.run == r.run),
        (
            "told final undisturbed",
            lambda w, t, f, u: t.what == "raise" and t.run == f.run == u.run and f.status not in INFLIGHT | {"error"},
        ),
    ),
    "create.returns": (
        (
            "held answered",
            lambda w, h, a: (
                h.run == a.run
                and a.endpoint == "runs"
                and w.accepted(a.run)
                and a.at > h.until
                and h.until - h.since > LONG_S
                and w.transport != "stream"
            ),
        ),
    ),
    "checkpoint.lineage": (
        ("settled headless|hole|link", lambda w, s, x: s.thread == x.thread),
        (
            "settled final dead",
            lambda w, s, f, d: f.run == d.run and f.status == "gone" and s.thread == w.creates[f.run].thread,
        ),
    ),
    "checkpoint.attributed": (
        ("unnamed", lambda w, c: w.names_run),
        ("given misnamed", lambda w, g, c: w.names_run and g.run == c.run and g.id != c.names),
    ),
    "checkpoint.one-chain": (("settled fork", lambda w, s, x: s.thread == x.thread),),
    **BAD_INPUT,
}
WAYS |= premises_of_calls.WAYS | premises_of_endpoints.WAYS
WAYS |= {id: WAYS[id] + ways for id, ways in premises_of_reads.WAYS.items()}
