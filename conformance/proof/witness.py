"""Every claim derived again from raw records, simply and independently of ``conformance.facts``.

``derive_KIND(given, cited)`` takes from the given arguments and the cited records only *what* the claim is about,
and returns all arguments and all records that prove it, or None where it is not so. It may look at every record of
the thread: that nothing else can have ended a run is a statement about all of them.
"""

from __future__ import annotations

from types import SimpleNamespace as Given
from typing import Any

from conformance.history import Call, Record, Remark, Told
from conformance.proof.reads import Reads
from conformance.proof.records import (
    CANCELS,
    CHANNELS,
    ENDED,
    HARMLESS,
    INFLIGHT,
    NODE_CODE,
    STOPPED,
    Cited,
    Derived,
    about,
    cancelled,
)
from conformance.proof.requests import Requests
from conformance.proof.threads import Threads


class Witness(Threads, Requests, Reads):
    """The records of one history, and all that is claimed of them."""

    # --- claims about calls ------------------------------------------------------------------------

    def derive_answered(self, g: Given, _: Cited) -> Derived:
        c = self.creates[g.run]
        said = {"strategy": c.request.get("strategy"), "endpoint": c.request.get("endpoint", "runs")}
        return {"run": g.run, **said, **self._answer(c)}, [c.n]

    def derive_stateless(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "stateless":
            return None
        said = {"strategy": c.request.get("strategy"), "endpoint": c.request.get("endpoint", "runs")}
        return {"run": c.tag, "thread": c.thread, **said, **self._answer(c)}, [c.n]

    def derive_strayed(self, g: Given, cited: Cited) -> Derived:
        c, call = cited
        if not isinstance(c, Call) or not c.ok or c.error or not isinstance(call, Call):
            return None
        if call.op != "stateless" or call.tag != g.run or call.tag in self.creates:
            return None
        where = None
        if c.op == "list_runs" and any(r["tag"] == g.run for r in c.answer):
            where = "list of runs"
        elif c.op == "get_state" and any(m[2] == g.run for m in c.answer["messages"]):
            where = "messages"
        args = {"thread": c.thread, "run": g.run, "where": where, "sent": c.sent, "of": call.thread}
        return ({**args, "answer": self._answer(call)["answer"]}, [c.n, call.n]) if where else None

    # --- claims about clients that stay --------------------------------------------------------------

    def _client(self, g: Given, call: Record) -> tuple[Call, dict[str, Any], dict[str, Any]]:
        """The call, what is said of it, and what it got."""
        if not isinstance(call, Call):
            raise ValueError("no call")
        how = {"create": call.request.get("endpoint"), "join": "join", "stream": "join stream"}[call.op]
        if how is None or call.thread != self.creates[str(call.tag)].thread:
            raise ValueError("no client that stays")
        got = call.answer.get("got") if call.ok and isinstance(call.answer, dict) else None
        return call, {"run": call.tag, "how": how}, got or {}

    def derive_unreleased(self, g: Given, cited: Cited) -> Derived:
        call, said, got = self._client(g, cited[0])
        if got.get("end") != "held" and not (call.status is None and call.error == "NotReleased"):
            return None
        return {**said, "sent": call.sent, "at": call.received}, [call.n]

    def derive_kept(self, g: Given, cited: Cited) -> Derived:
        (call, said, _), r = self._client(g, cited[0]), cited[-1]
        if not isinstance(r, Remark) or r.kind != "release-waited" or r.detail["tag"] != call.tag or r.detail["told"]:
            return None
        waited = float(r.detail["waited"])
        meanwhile = call.sent <= r.at - waited and (call.received is None or call.received > r.at)
        if waited < float(r.detail["deadline"]) or not meanwhile or (call.status or 0) >= 500:
            return None
        return {**said, "sent": call.sent, "at": r.at, "waited": waited}, [call.n, r.n]

    def derive_got(self, g: Given, cited: Cited) -> Derived:
        call, said, got = self._client(g, cited[0])
        if call.status is None or got.get("end", "answered") != "answered":
            return None
        return {**said, "status": call.status, "tells": bool(got.get("tells", True)), "at": call.until}, [call.n]

    def derive_event(self, g: Given, cited: Cited) -> Derived:
        call, said, got = self._client(g, cited[0])
        _, of, length = got["events"][g.index]
        return {**said, "sent": call.sent, "index": g.index, "of": of, "length": length}, [call.n]

    def derive_lacks(self, g: Given, cited: Cited) -> Derived:
        call, said, got = self._client(g, cited[0])
        first = self.entry(str(call.tag), 0)
        after = int(first.detail["found"]["log"]) + int(g.step) + 1
        whole = got.get("end") == "answered" and not got.get("tells")
        if not whole or any(e[0] == "values" and e[2] == after for e in got["events"]):
            return None
        return {**said, "sent": call.sent, "step": g.step, "connected": got["connected"]}, [call.n, first.n]

    def derive_sent(self, g: Given, _: Cited) -> Derived:
        c = self.creates[g.run]
        return {"run": g.run, "strategy": c.request.get("strategy"), "sent": c.sent}, [c.n]

    def derive_cancelled(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "cancel":
            return None
        wait = bool(c.request.get("wait"))
        said = {"run": c.tag, "thread": c.thread, "action": c.request["action"], "wait": wait}
        return {**said, **self._answer(c)}, [c.n]

    def derive_unreturned(self, g: Given, cited: Cited) -> Derived:
        c, create = cited[0], self.creates[g.run]
        if not isinstance(c, Call) or c.op != "cancel" or c.tag != g.run or not c.request.get("wait"):
            return None
        gave_up = c.status is None and str(c.error).startswith("ReadTimeout") and "fault" not in c.request
        if (
            not gave_up
            or c.thread != create.thread
            or self.of_run(g.run)
            or self.transport not in ("callback", "store")
        ):
            return None
        args = {"run": c.tag, "action": c.request["action"], "sent": c.sent, "at": c.received}
        return args, [c.n, create.n]

    def derive_bulk(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "cancel_many":
            return None
        said = {"runs": cancelled(c), "thread": c.thread, "action": c.request["action"]}
        return {**said, **self._answer(c)}, [c.n]

    def derive_unmade(self, g: Given, cited: Cited) -> Derived:
        """A create on a thread that is there only if this one, or one of its burst, made it."""
        (c,) = cited
        if not isinstance(c, Call) or c.op not in ("create", "stray") or c.thread in self.made:
            return None
        own = [o for o in self.of_thread(c.thread) if o.op in ("create", "stray")]
        if any(o.sent < c.sent and (o.group is None or o.group != c.group) for o in own):
            return None
        missing = str(c.request.get("if_not_exists", "reject"))
        if (missing == "create") != (c.op == "create"):
            return None
        said = {"strategy": c.request.get("strategy"), "endpoint": c.request.get("endpoint", "runs")}
        return {"thread": c.thread, "run": c.tag, "missing": missing, **said, **self._answer(c)}, [c.n]

    def derive_exists(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "get_thread" or c.status is None:
            return None
        return {"thread": c.thread, "op": c.op, "sent": c.sent, "status": c.status}, [c.n]

    def derive_deleted(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "delete" or not c.ok or c.error:
            return None
        if c.thread != self.creates[str(c.tag)].thread:
            return None
        return {"run": c.tag, **self._answer(c)}, [c.n]

    def derive_updated(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "update_state" or c.tag != g.update:
            return None
        return {"update": c.tag, **self._answer(c)}, [c.n]

    def derive_renewed(self, g: Given, _: Cited) -> Derived:
        done = [c for c in self.of_thread(g.thread) if c.ok and not c.error]
        gone = next(c for c in done if c.op == "delete_thread")
        again = next(c for c in done if c.op == "create_thread" and c.sent >= gone.until)
        times = {"sent": gone.sent, "at": gone.until, "again": again.sent, "there": again.until}
        return {"thread": g.thread, **times}, [gone.n, again.n]

    def derive_leftover(self, g: Given, cited: Cited) -> Derived:
        read, create = cited[0], self.creates[g.run]
        done = [c for c in self.of_thread(g.thread) if c.ok and not c.error]
        gone = next(c for c in done if c.op == "delete_thread")
        again = next(c for c in done if c.op == "create_thread" and c.sent >= gone.until)
        if not isinstance(read, Call) or read not in done or read.sent < again.until or create.until > gone.sent:
            return None
        if create.thread != g.thread:
            return None
        states = read.answer if read.op == "get_history" else [read.answer]
        if read.op == "list_runs":
            what, there = "the list of runs", any(row["tag"] == g.run for row in read.answer)
        elif read.op == "get_run":
            what, there = "the run itself", read.tag == g.run
        elif read.op in ("get_state", "get_history"):
            what = "the state" if read.op == "get_state" else "the history"
            there = any(
                s["tag"] == g.run
                or any(e.rpartition(":")[0] == g.run for e in s["log"])
                or any(m[2] == g.run for m in s["messages"])
                for s in states
            )
        else:
            return None
        times = {"sent": read.sent, "at": read.until, "before": gone.sent}
        args = {"thread": g.thread, "run": g.run, "what": what, **times}
        return (args, [read.n, create.n, gone.n]) if there else None

    def derive_given(self, g: Given, _: Cited) -> Derived:
        return ({"run": g.run, "id": self.run_id(g.run)}, [self.creates[g.run].n]) if self.accepted(g.run) else None

    # --- claims about when a run was inflight ------------------------------------------------------

    def derive_inflight(self, g: Given, cited: Cited) -> Derived:
        create = self.creates[g.run]
        calls = (c for c in cited if isinstance(c, Call) and c.op == g.op and c is not create)
        call = next(c for c in calls if about(c) == g.over)
        (since, accepted_n), (by, effect_n), (until, gate_n) = (
            self.effect(create),
            self.effect(call),
            self.last_gate(g.run),
        )
        first = {r.step: r for r in reversed(self.of_run(g.run, "enter"))}
        gated = sorted((r for r in first.values() if r.detail.get("gate") and r.at <= call.sent), key=lambda r: r.n)
        if not self.accepted(g.run) or call.thread != create.thread or since > call.sent or by > until:
            return None
        if self.cut_before(g.run, call.sent):
            return None
        early = [(c, s) for c, s in self.readings(g.run) if s in ENDED and c.until <= by]
        ends = any(c is call for c, _ in self.enders(g.run))
        if by == float("inf") or any(not ends or s not in STOPPED or c.sent < call.sent for c, s in early):
            return None
        if any(c is not call and c.sent < by for c, _ in self.enders(g.run)):
            return None
        args = {"run": g.run, "op": call.op, "over": about(call), "sent": call.sent, "since": since}
        inside = gated[-1].step if gated else None
        cites = [create.n, accepted_n, *(r.n for r in gated[-1:]), call.n, effect_n, gate_n]
        return {**args, "inside": inside, "until": until}, cites

    def derive_foremost(self, g: Given, cited: Cited) -> Derived:
        """Inflight, and executing already or with nobody before it."""
        create, over = self.creates[g.run], self.creates[g.over]
        executing = any(r.step == 0 and r.at <= over.sent for r in self.of_run(g.run, "enter"))
        before = [
            t
            for t, c in self.others(g.run, g.over).items()
            if not self.refused(t) and c.sent < create.until and not self.ended_before(t, create.sent)
        ]
        next_up = not before and not self.spares(over.request.get("strategy"))
        return self.derive_inflight(g, cited) if g.op == "create" and (executing or next_up) else None

    def derive_beside(self, g: Given, cited: Cited) -> Derived:
        create, over, listing = self.creates[g.run], self.creates[g.over], cited[-1]
        since, accepted_n = self.effect(create)
        if listing not in self.lists(create.thread) or not isinstance(listing, Call) or listing.sent < over.sent:
            return None
        rows = {r["tag"]: r["status"] for r in listing.answer}
        if not self.accepted(g.run) or since > over.sent or g.over not in rows or rows[g.run] not in INFLIGHT:
            return None
        args = {"run": g.run, "over": g.over, "status": rows[g.run], "since": since, "at": listing.sent}
        return args, [create.n, accepted_n, over.n, listing.n]

    def derive_throughout(self, g: Given, cited: Cited) -> Derived:
        create = self.creates[g.run]
        read = next(c for c in cited if isinstance(c, Call) and c.op == "get_thread")
        (since, accepted_n), (until, gate_n) = self.effect(create), self.last_gate(g.run)
        if not self.accepted(g.run) or not read.ok or read.error or read.thread != create.thread:
            return None
        if since > read.sent or until < read.until or self.ended_before(g.run, read.until):
            return None
        if any(c.sent < read.until for c, _ in self.enders(g.run)):
            return None
        times = {"from_": read.sent, "to": read.until, "since": since, "until": until}
        return {"run": g.run, "thread": read.thread, **times}, [create.n, accepted_n, read.n, gate_n]

    def derive_gated(self, g: Given, _: Cited) -> Derived:
        gates = [self.last_gate(r) for r in g.runs]
        cites = [n for r, (_, gate_n) in zip(g.runs, gates, strict=True) for n in (self.creates[r].n, gate_n)]
        return {"runs": g.runs, "until": min(at for at, _ in gates)}, cites

    def derive_held(self, g: Given, _: Cited) -> Derived:
        entered, opened = self.entry(g.run, g.step), self.opened(g.run, g.step)
        if opened is None:
            return None
        return {"run": g.run, "step": g.step, "since": entered.at, "until": opened[0]}, [entered.n, opened[1]]

    def derive_waited(self, g: Given, cited: Cited) -> Derived:
        (r,) = cited
        if not isinstance(r, Remark) or r.kind != "stop-waited":
            return None
        waited = r.detail["told"] or float(r.detail["waited"]) >= float(r.detail["deadline"])
        return ({"run": r.detail["tag"], "at": r.at}, [r.n]) if waited else None

    def derive_outwaited(self, g: Given, cited: Cited) -> Derived:
        (r,) = cited
        if not isinstance(r, Remark) or r.kind != "halt-waited":
            return None
        waited = r.detail["told"] or float(r.detail["waited"]) >= float(r.detail["deadline"])
        return ({"run": r.detail["tag"], "at": r.at}, [r.n]) if waited else None

    def derive_unbegun(self, g: Given, cited: Cited) -> Derived:
        """The wait ended in vain, and had ended before the first announcement of the run, if there ever was one."""
        (r,) = cited
        if not isinstance(r, Remark) or r.kind != "begin-waited" or r.detail["told"] or self.transport == "stream":
            return None
        if float(r.detail["waited"]) < float(r.detail["deadline"]) or any(t.at < r.at for t in self.of_run(g.run)):
            return None
        return {"run": r.detail["tag"], "at": r.at, "waited": r.detail["waited"]}, [r.n]

    def derive_hooked(self, g: Given, cited: Cited) -> Derived:
        (r,) = cited
        if not isinstance(r, Remark) or r.kind != "webhook" or r.detail["tag"] not in self.creates:
            return None
        return {"run": r.detail["tag"], "at": r.at}, [r.n]

    def derive_unhooked(self, g: Given, cited: Cited) -> Derived:
        """The wait ended in vain, and had ended before the first call of the webhook, if there ever was one."""
        (r,) = cited
        if not isinstance(r, Remark) or r.kind != "hook-waited" or r.detail["told"]:
            return None
        calls = (h for h in self.remarks if h.kind == "webhook" and h.detail["tag"] == g.run)
        if float(r.detail["waited"]) < float(r.detail["deadline"]) or any(h.at < r.at for h in calls):
            return None
        return {"run": r.detail["tag"], "at": r.at, "waited": r.detail["waited"]}, [r.n]

    def derive_unended(self, g: Given, _: Cited) -> Derived:
        if self.ended_before(g.run, g.at) or any(c.sent < g.at for c, _ in self.enders(g.run)):
            return None
        return {"run": g.run, "at": g.at}, [self.creates[g.run].n]

    def derive_undisturbed(self, g: Given, _: Cited) -> Derived:
        if not self.accepted(g.run) or self.enders(g.run):
            return None
        return {"run": g.run, "end": self.end(g.run)}, [self.creates[g.run].n]

    def derive_only(self, g: Given, _: Cited) -> Derived:
        enders = self.enders(g.run)
        kinds = {how for _, how in enders}
        if len(kinds) != 1:
            return None
        calls = tuple(f"{c.op} {about(c)}" for c, _ in enders)
        return {"run": g.run, "calls": calls, "kind": kinds.pop()}, [c.n for c, _ in enders]

    def derive_idle(self, g: Given, _: Cited) -> Derived:
        own = [self.creates[t] for t in g.besides]
        first, last = min(c.sent for c in own), max(c.until for c in own)
        if len({c.thread for c in own}) != 1:
            return None
        ended, cites = [], [c.n for c in own]
        for tag, c in self.others(g.besides[0], *g.besides).items():
            if self.refused(tag) or c.sent >= last:
                continue
            read, status = next((c, s) for c, s in self.readings(tag) if s in ENDED)
            if read.until > first:
                return None
            ended.append(f"{tag} was read as {status}")
            cites += [c.n, read.n]
        return {"thread": own[0].thread, "at": first, "besides": g.besides, "ended": tuple(ended)}, cites

    # --- claims about reads of runs ----------------------------------------------------------------

    def derive_read(self, g: Given, cited: Cited) -> Derived:
        call, status = next((c, s) for c, s in self.readings(g.run) if c is cited[0])
        return {"run": g.run, "status": status, "sent": call.sent, "at": call.until}, [call.n]

    def derive_final(self, g: Given, _: Cited) -> Derived:
        call, status = [(c, s) for c, s in self.readings(g.run) if c.phase == "final" and c.op == "get_run"][-1]
        return {"run": g.run, "status": status, "sent": call.sent}, [call.n]

    def derive_listed(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c not in self.lists(self.creates[g.run].thread):
            return None
        if not any(r["tag"] == g.run for r in c.answer):
            return None
        return {"run": g.run, "phase": c.phase, "sent": c.sent}, [c.n]

    # --- claims about what the probe told ----------------------------------------------------------

    def derive_told(self, g: Given, cited: Cited) -> Derived:
        (r,) = cited
        return ({"run": r.tag, "what": r.kind, "step": r.step, "at": r.at}, [r.n]) if isinstance(r, Told) else None

    def derive_under(self, g: Given, cited: Cited) -> Derived:
        (r,) = cited
        if not isinstance(r, Told) or r.kind not in NODE_CODE or not r.run:
            return None
        return {"run": r.tag, "step": r.step, "id": r.run, "at": r.at}, [r.n]

    def derive_found(self, g: Given, _: Cited) -> Derived:
        r = self.entry(g.run, 0)
        return {"run": g.run, **{c: r.detail["found"][c] for c in CHANNELS}}, [r.n]

    def derive_saw_input(self, g: Given, cited: Cited) -> Derived:
        (r,) = cited
        if not isinstance(r, Told) or r.kind != "enter" or r.tag == g.input or g.input not in self.creates:
            return None
        return {"run": r.tag, "input": r.detail["found"]["last_input"], "step": r.step}, [r.n]

    def derive_after(self, g: Given, _: Cited) -> Derived:
        entered, start = self.entry(g.other, g.step), self.entry(g.run, 0)
        if not self.precedes(entered, start) or g.other not in self.others(g.run):
            return None
        args = {"run": g.run, "other": g.other, "step": g.step, "at": start.at}
        return args, [entered.n, start.n, self.creates[g.run].n]

    def derive_next(self, g: Given, _: Cited) -> Derived:
        began, start = self.entry(g.other, 0), self.entry(g.run, 0)
        if not self.precedes(began, start):
            return None
        for tag, c in self.others(g.run, g.other).items():
            told = self.of_run(tag)
            entered = next((r for r in told if r.kind == "enter" and r.step == 0), None)
            apart = self.refused(tag) or c.sent >= start.at or self.ended_before(tag, self.creates[g.other].sent)
            silent = not told and self.transport != "stream" and not self.interruptible(tag)
            outside = entered and (self.precedes(entered, began) or self.precedes(start, entered))
            if not (apart or silent or outside):
                return None
        known, before = HARMLESS | {"create"} | CANCELS, self.creates[g.other].sent
        rest = (c for c in self.of_thread(self.creates[g.run].thread) if c.op not in known)
        if not all(c.op == "update_state" and c.ok and not c.error and c.until <= before for c in rest):
            return None
        return {"run": g.run, "other": g.other}, [began.n, start.n, self.creates[g.run].n]

    def derive_overlap(self, g: Given, cited: Cited) -> Derived:
        first, last, other = self.entry(g.run, 0), self.entry(g.run, g.last, "leave"), self.entry(g.other, g.step)
        once = len([r for r in self.of_run(g.run, "enter") if r.step == 0]) == 1 and first.attempt == last.attempt
        same = first.clock == last.clock == other.clock and g.other in self.others(g.run)
        if not once or not same or not first.t < other.t < last.t:
            return None
        between = {"begun": (other.t - first.t) * 1000, "left": (last.t - other.t) * 1000}
        args = {"run": g.run, "other": g.other, "step": g.step, "last": g.last, "since": first.at, "by": other.at}
        return {**args, **between}, [first.n, other.n, last.n]

    def derive_retry(self, g: Given, _: Cited) -> Derived:
        entered = self.of_run(g.run, "enter")
        twice = len({r.step for r in entered}) < len(entered)
        if self.transport == "none" or twice or len({r.attempt for r in self.of_run(g.run)}) > 1:
            return None
        return {"run": g.run}, [self.creates[g.run].n, *(r.n for r in entered)]

    def derive_no_end(self, g: Given, _: Cited) -> Derived:
        create, told, script = self.creates[g.run], self.of_run(g.run), self.script(g.run)
        if self.transport == "stream" or not script:
            return None
        if any(r.kind == "leave" and r.step == len(script) - 1 for r in told):
            return None
        states = [c for c in self.of_thread(create.thread) if c.op == "get_state" and c.phase == "final"]
        heads = [c for c in states if c.ok and not c.error][-1:]
        if any(sum(e.startswith(f"{g.run}:") for e in h.answer["log"]) >= self.length(g.run) for h in heads):
            return None
        settled = self.settled(str(create.thread)) is not None
        if any(not settled and not self.ended_before(g.run, h.sent) for h in heads):
            return None
        reached = max((r.step for r in told if r.kind == "enter"), default=None)
        cites = [create.n, *(r.n for r in told[-1:]), *(h.n for h in heads)]
        return {"run": g.run, "reached": reached, "of": len(script)}, cites
