"""The ways to violate what is said of threads, runs and checkpoints, whatever the strategies."""

from __future__ import annotations

from typing import Any

from conformance.proof.premises_of_strategies import log_base, log_steps, log_tags, read_ended
from conformance.proof.records import HARMLESS, INFLIGHT, STOPPED, Ways
from conformance.proof.witness import Witness

LEGAL = {"pending", "running", "success", "error", "interrupted", "timeout", "gone"}
LONG_S = 1.5
LAG_S = 1.0
RECEIPT_S = 10.0


def _interleaved(w: Witness, log: Any) -> bool:
    """Some run's entries are not one piece 0, 1, 2 …, whatever clients wrote between them."""
    tags = [t for t in log_tags(log) if t not in w.updates]
    pieces = {t: tags[tags.index(t) : tags.index(t) + tags.count(t)] for t in tags}
    return any(set(p) != {t} or log_steps(log, t) != list(range(len(p))) for t, p in pieces.items())


def _miscounted(w: Witness, log: Any, counter: Any) -> bool:
    adds = [w.script(t)[int(e.rpartition(":")[2])] for e, t in zip(log.log, log_tags(log), strict=True)]
    return bool(counter.value != sum(int(s.get("by", 1)) for s in adds if s["op"] == "add"))


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
    lags = b.status in INFLIGHT and b.sent - a.at < LAG_S
    return bool(a.run == b.run and over and b.sent >= a.at and b.status != a.status and not lags)


def _acknowledged(w: Witness, read: Any, told: Any, written: Any) -> bool:
    """The node waited for the receipt of its leaving, which came in time, so that its superstep ended after that."""
    in_time = told.at - w.creates[told.run].sent < RECEIPT_S
    left = w.transport == "callback" and told.what == "leave" and told.at > read.at and in_time
    return bool(left and read.run == told.run == written.run and told.step == written.step) and read_ended(read)


def _outlived(held: Any, waited: Any, written: Any, sent: float, done: float) -> bool:
    """A gate held the run over a deletion and the deadline after it, and it wrote what it had been held in."""
    same = held.run == waited.run == written.run and written.step == held.step
    return bool(same and held.since <= sent and done <= waited.at <= held.until)


def _meets_elsewhere(w: Witness, displacing: Any, run: str) -> bool:
    """A create on another thread, that displaces what is inflight there, came while the run was inflight."""
    call, own = w.creates[displacing.run], w.creates[run]
    displaces = call.thread != own.thread and displacing.strategy in ("interrupt", "rollback")
    return displaces and call.until >= own.sent and not w.ended_before(run, call.sent)


def _untouched(w: Witness, run: str) -> bool:
    """Nothing else that changes anything was called on its thread until it was read as ended."""
    own = w.creates[run]
    others = (c for c in w.of_thread(own.thread) if c is not own and c.op not in HARMLESS)
    return not any(c.until >= own.sent and not w.ended_before(run, c.sent) for c in others)


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
    ended = b.run == read.run and read_ended(read) and read.at <= w.creates[u.run].sent and not w.others(b.run)
    late = idle.besides == (u.run,) and w.accepted(u.run) and u.at <= a.until
    return bool(apart and two and ended and late and not w.others(u.run))


WAYS: dict[str, Ways] = {
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
                and f.run not in log_tags(log)
            ),
        ),
        ("log counter", lambda w, log, c: log.thread == c.thread and _miscounted(w, log, c)),
        ("log found", lambda w, log, f: log.thread == w.creates[f.run].thread and log_base(w, log, f)),
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
                w.accepted(r.run)
                and _meets_elsewhere(w, r, u.run)
                and (u.run == f.run and f.status in STOPPED)
                and _untouched(w, u.run)
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
            lambda w, r, e, x: r.thread == x.thread and e.run == x.run and read_ended(e) and e.at <= r.sent,
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
                and u.update not in log_tags(log)
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
            lambda w, r, h, c: read_ended(r) and r.run == h.run and h.until > r.at and _late(h, c, r.at),
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
}
