"""Every claim derived again from raw records, simply and independently of ``conformance.facts``.

``derive_KIND(given, cited)`` takes from the given arguments and the cited records only *what* the claim is about,
and returns all arguments and all records that prove it, or None where it is not so. It may look at every record of
the thread: that nothing else can have ended a run is a statement about all of them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from types import SimpleNamespace as Given
from typing import Any

from conformance.history import Call, Epilogue, GateOpened, History, Record, Remark, Told
from conformance.proof.reads import Reads
from conformance.proof.requests import Requests

ENDED = {"success", "error", "interrupted", "timeout", "gone"}
INFLIGHT = {"pending", "running"}
OWN_ENDS = {"success", "error", "timeout"}
WITHOUT_EFFECT = {429, 503}
IN_DOUBT = {502, 504}
GATE_BOUND_S = 60.0
HISTORY_PAGE = 200
NODE_CODE = {"enter", "leave", "raise", "effect", "cancelled", "swallowed"}  # what a node announces
HARMLESS = {"create_thread", "list_runs", "get_run", "get_thread", "get_state", "get_history", "join", "stream"}
HARMLESS |= {"stateless"}
CANCELS = {"cancel", "cancel_many"}
CHANNELS = ("log", "log_hash", "counter", "note", "messages", "messages_hash")

Derived = tuple[dict[str, Any], list[int]] | None
Cited = list[Record]
Moment = tuple[float, int]  # an instant, and the record that says so


def cancelled(call: Call) -> tuple[str, ...]:
    """The runs that a cancel names."""
    return tuple(call.request["tags"]) if call.op == "cancel_many" else (str(call.tag),)


def about(call: Call) -> str:
    return " and ".join(cancelled(call)) if call.op in CANCELS else str(call.tag)


def ended_otherwise(undisturbed: Any, final: Any) -> bool:
    """A run that nobody stopped did not end by itself: in the end of its script or, where it has none, in any."""
    own = {undisturbed.end} if undisturbed.end else OWN_ENDS
    return bool(undisturbed.run == final.run and final.status not in INFLIGHT | own)


def broke_down(status: int | None) -> bool:
    """An error of the server's own, after which nobody knows how far it came."""
    return status is not None and status >= 500 and status not in WITHOUT_EFFECT


class Witness(Requests, Reads):
    """The records of one history, and what can be read off them."""

    def __init__(self, history: History) -> None:
        self.records = history.records
        self.calls: list[Call] = list(history.of(Call))
        self.told: list[Told] = list(history.of(Told))
        self.remarks: list[Remark] = list(history.of(Remark))
        self.ends: list[Epilogue] = list(history.of(Epilogue))
        self.gates: dict[str, GateOpened] = {g.key: g for g in reversed(list(history.of(GateOpened)))}
        self.creates = {c.tag: c for c in self.calls if c.op == "create" and c.tag is not None}
        self.updates = {c.tag for c in self.calls if c.op == "update_state"}
        self.transport, self.instance = history.transport, history.instance
        self.names_run = history.dialect.get("history_names_run", "yes") == "yes"
        self.made = {c.thread for c in self.calls if c.op == "create_thread"}
        self.refusal_code = int(history.dialect.get("refusal_code", 409))

    # --- creates and scripts -----------------------------------------------------------------------

    def of_thread(self, thread: str) -> list[Call]:
        return [c for c in self.calls if c.thread == thread]

    def others(self, run: str, *but: str) -> dict[str, Call]:
        """The other runs of the run's thread."""
        thread = self.creates[run].thread
        return {t: c for t, c in self.creates.items() if c.thread == thread and t != run and t not in but}

    def accepted(self, run: str) -> bool:
        create = self.creates[run]
        if create.ok or create.request.get("endpoint") not in ("wait", "stream"):
            return create.ok and not create.error
        # Whoever waits for the run's end may be told late, or something else; the run was there before.
        told = any(r.at <= create.until for r in self.of_run(run))
        lists = (c for c in self.lists(create.thread) if any(r["tag"] == run for r in c.answer))
        return told or any(c.until <= create.until for c in lists)

    def decided(self, run: str) -> bool:
        """Its answer says whether it took effect, and is about this call."""
        status = self.creates[run].status
        if self.accepted(run):
            return True
        if status is None or status in WITHOUT_EFFECT | IN_DOUBT:
            return False
        return self.accepted(run) or not self.creates[run].ok

    def refused(self, run: str) -> bool:
        return self.decided(run) and not self.accepted(run)

    def all_over(self, thread: str, instant: float) -> bool:
        """Every run of the thread was read as ended by then, or deleted, and no create is in doubt."""
        deletes = (c for c in self.of_thread(thread) if c.op == "delete" and c.ok and not c.error)
        deleted = {c.tag for c in deletes if c.until <= instant}
        own = [t for t, c in self.creates.items() if c.thread == thread and not self.refused(t)]
        return all(self.accepted(t) and (t in deleted or self.ended_before(t, instant)) for t in own)

    def accepted_update(self, update: str, thread: str) -> bool:
        """An update of the thread's state was accepted."""
        made = [c for c in self.of_thread(thread) if c.op == "update_state" and c.tag == update]
        return [c.ok and not c.error for c in made] == [True]

    def taken_away(self, run: str) -> bool:
        """The run's thread was, or may have been, deleted since it was created."""
        create = self.creates[run]
        deletions = (c for c in self.of_thread(create.thread) if c.op == "delete_thread")
        return any(c.until > create.sent and (c.ok or not 400 <= (c.status or 0) < 500) for c in deletions)

    def takes_back(self, thread: str, since: float) -> bool:
        """A call that was not over by then may take something off the state: a rollback, a deletion, who knows what."""
        return any(c.until > since and self._takes_back(c) for c in self.of_thread(thread))

    def _takes_back(self, call: Call) -> bool:
        if call.op == "create":
            return call.request.get("strategy") not in ("reject", "enqueue", "interrupt")
        if call.op == "cancel":
            return str(call.request["action"]) != "interrupt"
        return call.op not in HARMLESS | {"update_state"}

    def script(self, run: str) -> list[dict[str, Any]]:
        return list(self.creates[run].request.get("steps") or [])

    def length(self, run: str) -> int:
        """Entries of a whole segment."""
        ops = [s["op"] for s in self.script(run)]
        return ops.index("fail") if "fail" in ops else len(ops)

    def end(self, run: str) -> str:
        if self.transport == "none":
            return ""
        return "error" if any(s["op"] == "fail" for s in self.script(run)) else "success"

    def of_run(self, run: str, kind: str | None = None) -> list[Told]:
        return [r for r in self.told if r.tag == run and kind in (None, r.kind)]

    def entry(self, run: str, step: int, kind: str = "enter") -> Told:
        return next(r for r in self.of_run(run, kind) if r.step == step)

    # --- reads -------------------------------------------------------------------------------------

    def lists(self, thread: str) -> list[Call]:
        return [c for c in self.of_thread(thread) if c.op == "list_runs" and c.ok and not c.error]

    def run_id(self, run: str) -> str | None:
        create = self.creates[run]
        if create.ok and not create.error and create.answer["run_id"] is not None:
            return str(create.answer["run_id"])
        return next((str(r["run_id"]) for c in self.lists(create.thread) for r in c.answer if r["tag"] == run), None)

    def readings(self, run: str) -> Iterator[tuple[Call, str]]:
        for c in self.of_thread(self.creates[run].thread):
            good = c.ok and not c.error
            if c.op == "get_run" and c.tag == run and c.status == 404:
                yield c, "gone"
            elif c.op == "get_run" and c.tag == run and good:
                if c.answer["status"] and c.answer.get("tag") in (None, run):
                    yield c, str(c.answer["status"])
            elif c.op == "list_runs" and good:
                own = [r for r in c.answer if r["run_id"] == self.run_id(run)]
                if [r["tag"] in (None, run) for r in own] == [True] and own[0]["status"]:
                    yield c, str(own[0]["status"])

    def ended_before(self, run: str, instant: float) -> bool:
        return any(s in ENDED and c.until <= instant for c, s in self.readings(run))

    def interruptible(self, run: str) -> bool:
        """Whether a call may have interrupted it: then it may have left its input, without a superstep."""
        own = self.creates[run]
        for c in self.of_thread(own.thread):
            takes = c.op == "create" and c.tag != run and c.request.get("strategy") == "interrupt"
            takes |= c.op in CANCELS and run in cancelled(c) and c.request["action"] == "interrupt"
            doubtful = c.status is None or c.status in IN_DOUBT or (c.op in CANCELS and broke_down(c.status))
            if takes and (c.ok or doubtful) and c.until >= own.sent and not self.ended_before(run, c.sent):
                return True
        return False

    def last(self, thread: str, op: str, phase: str = "final") -> Call:
        good = [c for c in self.of_thread(thread) if c.op == op and c.phase == phase and c.ok and not c.error]
        return good[-1]

    def head(self, thread: str) -> Call:
        return self.last(thread, "get_state")

    def lineage(self, thread: str) -> list[dict[str, Any]]:
        known = {c["id"]: c for c in self.last(thread, "get_history").answer}
        at, chain = self.head(thread).answer["id"], []
        while at in known:
            chain.append(known.pop(at))
            at = chain[-1]["parent"]
        return chain

    def hash_of(self, log: tuple[str, ...]) -> str:
        parts = [e if "~" in e else f"{e.rpartition(':')[0]}{self.instance}:{e.rpartition(':')[2]}" for e in log]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    # --- when --------------------------------------------------------------------------------------

    def effect(self, call: Call) -> Moment:
        """By when a call had taken effect: answered or, of an accepted create, executing or listed."""
        moments = [(call.until, call.n)]
        if call.op == "create" and call.tag is not None and self.accepted(call.tag):
            moments += [(r.at, r.n) for r in self.of_run(call.tag)[:1]]
            naming = (c for c in self.lists(call.thread) if any(r["tag"] == call.tag for r in c.answer))
            moments += [(c.until, c.n) for c in naming][:1]
        return min(moments, key=lambda m: m[0])

    def opened(self, run: str, step: int) -> Moment | None:
        """Before when a gate did not let it leave a superstep."""
        create, spec = self.creates[run], self.script(run)[step]
        swallowed = any(r.step == step for r in self.of_run(run, "swallowed"))
        key = spec.get("swallow" if swallowed else "gate")
        if key is None:
            return None
        if self.transport == "stream":  # every gate holds for its bound
            bounds = [float(s.get("bound", 0)) for s in self.script(run)[: step + 1] if "gate" in s]
            return create.sent + sum(bounds), create.n
        if any(r.step == step and r.detail.get("gate_opened") is False for r in self.of_run(run, "leave")):
            return None
        bound = create.sent + float(spec.get("bound", GATE_BOUND_S))
        gate = self.gates.get(key)
        return (gate.sent, gate.n) if gate is not None and gate.sent < bound else (bound, create.n)

    def last_gate(self, run: str) -> Moment:
        """Before when it cannot have come to its end: the latest opening on its way."""
        reached = [s["op"] for s in self.script(run)]
        way = range(reached.index("fail") + 1 if "fail" in reached else len(reached))
        return max((m for i in way if (m := self.opened(run, i)) is not None), key=lambda m: m[0])

    def enders(self, run: str) -> list[tuple[Call, str]]:
        """Every call that may have ended it, and how."""
        create, found = self.creates[run], []
        for c in self.of_thread(self.creates[run].thread):
            how = self._ends(c, run)
            doubtful = c.status is None or c.status in IN_DOUBT or (c.op in CANCELS and broke_down(c.status))
            if how is None or not (c.ok or doubtful) or c.until < create.sent:
                continue
            if how != "delete" and self.ended_before(run, c.sent):
                continue
            found.append((c, how))
        return found

    def _ends(self, call: Call, run: str) -> str | None:
        if call.op in HARMLESS or (call.op == "create" and call.tag == run):
            return None
        if call.op in CANCELS:
            return str(call.request["action"]) if run in cancelled(call) else None
        if call.op == "update_state":
            return None
        if call.op in ("delete", "delete_thread"):
            return "delete" if call.tag in (run, None) else None
        if call.op != "create":
            return "something else"
        strategy = call.request.get("strategy")
        if strategy is None:  # it did to others what it may have done to this one
            earlier = [t for t, c in self.others(call.tag or "").items() if c.sent < call.until]
            finals = {s for t in earlier for c, s in self.readings(t) if c.phase == "final" and c.op == "get_run"}
            return "rollback" if "gone" in finals else "interrupt" if "interrupted" in finals else None
        return strategy if strategy in ("interrupt", "rollback") else None

    def precedes(self, earlier: Told, start: Told) -> bool:
        """On one clock, or the later run was created when the earlier announcement had been heard."""
        if earlier.clock == start.clock and earlier.t < start.t:
            return True
        return earlier.at <= self.creates[start.tag].sent

    # --- claims about calls ------------------------------------------------------------------------

    def _answer(self, call: Call) -> dict[str, Any]:
        if call.status is None:
            answer = f"no answer ({call.error})"
        else:
            answer = str(call.status) if call.ok and not call.error else f"{call.status} {str(call.answer)[:160]}"
        return {"sent": call.sent, "at": call.until, "answer": answer}

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
        if by == float("inf") or self.ended_before(g.run, by):
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
        return self.derive_inflight(g, cited) if g.op == "create" and (executing or not before) else None

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
        if (
            self.transport == "none"
            or len({r.attempt for r in self.of_run(g.run)}) > 1
            or len([r for r in entered if r.step == 0]) > 1
        ):
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
        settled = any(e.settled for e in self.ends if e.thread == create.thread)
        if any(not settled and not self.ended_before(g.run, h.sent) for h in heads):
            return None
        reached = max((r.step for r in told if r.kind == "enter"), default=None)
        cites = [create.n, *(r.n for r in told[-1:]), *(h.n for h in heads)]
        return {"run": g.run, "reached": reached, "of": len(script)}, cites

    # --- claims about threads ----------------------------------------------------------------------

    def derive_log(self, g: Given, _: Cited) -> Derived:
        head = self.head(g.thread)
        return {"thread": g.thread, "log": tuple(head.answer["log"])}, [head.n]

    def derive_counter(self, g: Given, _: Cited) -> Derived:
        head = self.head(g.thread)
        return {"thread": g.thread, "value": head.answer["counter"]}, [head.n]

    def derive_holds(self, g: Given, _: Cited) -> Derived:
        head = self.head(self.creates[g.run].thread)
        state = head.answer
        places = {
            "log": any(e.rpartition(":")[0] == g.run for e in state["log"]),
            "messages": any(m[2] == g.run for m in state["messages"]),
            "input": state["tag"] == g.run,
        }
        where, log = tuple(p for p, is_there in places.items() if is_there), tuple(state["log"])
        return ({"thread": head.thread, "run": g.run, "where": where, "log": log}, [head.n]) if where else None

    def derive_foreign(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or not c.ok or c.error:
            return None
        if not (g.run in self.creates or "~" in g.run) or (
            g.run in self.creates and self.creates[g.run].thread == c.thread
        ):
            return None
        named = {"list of runs": [], "log": [], "messages": []}  # type: dict[str, list[Any]]
        if c.op == "list_runs":
            named["list of runs"] = [r["tag"] for r in c.answer]
        elif c is self.head(c.thread):
            named["log"] = [e.rpartition(":")[0] for e in c.answer["log"]]
            named["messages"] = [m[2] for m in c.answer["messages"]]
        where = next(w for w, tags in named.items() if g.run in tags)
        return {"thread": c.thread, "run": g.run, "where": where}, [c.n]

    def derive_thread_status(self, g: Given, cited: Cited) -> Derived:
        (c,) = cited
        if not isinstance(c, Call) or c.op != "get_thread" or not c.ok or c.error:
            return None
        return {"thread": c.thread, "status": str(c.answer["status"]), "sent": c.sent, "at": c.until}, [c.n]

    def derive_changed(self, g: Given, cited: Cited) -> Derived:
        before, create, after = cited
        if not isinstance(before, Call) or not isinstance(after, Call) or create is not self.creates[g.run]:
            return None
        own = all(c.thread == create.thread for c in (before, after))
        reads = own and all(c.op == "get_thread" and c.ok and not c.error for c in (before, after))
        if not reads or before.until > create.sent or after.sent < create.until:
            return None
        calls = self.of_thread(create.thread)
        between = [c for c in calls if c.sent < after.until and c.until > before.sent and c.op not in HARMLESS]
        old, new = before.answer[g.field], after.answer[g.field]
        if between != [create] or old == new or (g.field == "status" and old != "busy"):
            return None
        args = {"field": g.field, "run": g.run, "old": str(old), "new": str(new)}
        args = {**args, "since": before.sent, "until": after.until}
        return args, [before.n, create.n, after.n]

    def derive_settled(self, g: Given, _: Cited) -> Derived:
        end = next(e for e in self.ends if e.thread == g.thread)
        return ({"thread": g.thread, "at": end.at}, [end.n]) if end.settled else None

    def derive_unsettled(self, g: Given, _: Cited) -> Derived:
        end = next(e for e in self.ends if e.thread == g.thread)
        read = self.last(g.thread, "list_runs", "settle")
        open_still = [r for r in read.answer if r["status"] in INFLIGHT]
        what = ", ".join(f"{r['tag'] or r['run_id']} is {r['status']}" for r in open_still)
        if not open_still:
            read, what = self.last(g.thread, "get_thread", "settle"), "the thread is busy"
        if end.settled or end.waited < end.deadline or (not open_still and read.answer["status"] != "busy"):
            return None
        return {"thread": g.thread, "at": end.at, "waited": end.waited, "what": what}, [end.n, read.n]

    # --- claims about checkpoints ------------------------------------------------------------------

    def _checkpoint(self, run: str, id: str) -> tuple[dict[str, Any], Call]:
        history = self.last(self.creates[run].thread, "get_history")
        return next(c for c in history.answer if str(c["id"]) == id), history

    def derive_written(self, g: Given, _: Cited) -> Derived:
        checkpoint, history = self._checkpoint(g.run, g.checkpoint)
        args = {"run": g.run, "step": g.step, "checkpoint": g.checkpoint}
        return (args, [history.n]) if f"{g.run}:{g.step}" in checkpoint["log"] else None

    def derive_carries(self, g: Given, _: Cited) -> Derived:
        c, history = self._checkpoint(g.run, g.checkpoint)
        named = c["tag"] == g.run or (c["run"] is not None and c["run"] == self.run_id(g.run))
        inside = any(e.rpartition(":")[0] == g.run for e in c["log"]) or any(m[2] == g.run for m in c["messages"])
        ancestor = bool(g.ancestor)
        if not (named or inside) or (ancestor and c not in self.lineage(history.thread)):
            return None
        cites = [history.n, self.head(history.thread).n] if ancestor else [history.n]
        return {"checkpoint": g.checkpoint, "run": g.run, "ancestor": ancestor}, cites

    def derive_input_in(self, g: Given, _: Cited) -> Derived:
        c, history = self._checkpoint(g.run, g.checkpoint)
        if c["tag"] in (None, g.run) or not any(m[2] == g.run for m in c["messages"]):
            return None
        return {"checkpoint": g.checkpoint, "of": c["tag"], "run": g.run}, [history.n]

    def derive_new(self, g: Given, _: Cited) -> Derived:
        c, late = self._checkpoint(g.run, g.checkpoint)
        early = self.last(late.thread, "get_history", "settled")
        ids = [str(e["id"]) for e in early.answer]
        own = c["tag"] == g.run or (c["run"] is not None and c["run"] == self.run_id(g.run))
        if not own or not self.accepted(g.run) or g.checkpoint in ids or len(ids) >= HISTORY_PAGE:
            return None
        return {"run": g.run, "checkpoint": g.checkpoint}, [early.n, late.n]

    def derive_headless(self, g: Given, _: Cited) -> Derived:
        history, head = self.last(g.thread, "get_history"), self.head(g.thread)
        if len(history.answer) >= HISTORY_PAGE or self.lineage(g.thread) or not history.answer:
            return None
        return {"thread": g.thread, "checkpoint": str(head.answer["id"])}, [history.n, head.n]

    def derive_hole(self, g: Given, _: Cited) -> Derived:
        history, oldest = self.last(g.thread, "get_history"), self.lineage(g.thread)[-1]
        if len(history.answer) >= HISTORY_PAGE or oldest["parent"] is None:
            return None
        args = {"thread": g.thread, "checkpoint": oldest["id"], "parent": oldest["parent"]}
        return args, [history.n, self.head(g.thread).n]

    def derive_link(self, g: Given, _: Cited) -> Derived:
        chain = self.lineage(g.thread)
        child, parent = next((c, p) for c, p in itertools.pairwise(chain) if c["id"] == g.checkpoint)
        new, old = tuple(child["log"]), tuple(parent["log"])
        grown = [e.rpartition(":")[0] for e in new[len(old) :]]
        whole = new[: len(old)] == old and (not grown or (len(grown) == 1 and child["tag"] in (None, grown[0])))
        if whole or (new[: len(old)] == old and len(grown) == 1 and grown[0] in self.updates):
            return None
        args = {"thread": g.thread, "checkpoint": child["id"], "parent": parent["id"], "tag": child["tag"]}
        cites = [self.last(g.thread, "get_history").n, self.head(g.thread).n]
        return {**args, "log": new, "before": old}, cites

    def derive_unnamed(self, g: Given, _: Cited) -> Derived:
        history = self.last(g.thread, "get_history")
        c = next(c for c in history.answer if str(c["id"]) == g.checkpoint)
        if c["run"] is not None or c["tag"] is None or c["source"] not in ("input", "loop"):
            return None
        return {"thread": g.thread, "checkpoint": g.checkpoint, "source": c["source"]}, [history.n]

    def derive_misnamed(self, g: Given, _: Cited) -> Derived:
        c, history = self._checkpoint(g.run, g.checkpoint)
        parent = next(p for p in history.answer if p["id"] == c["parent"])
        if len(c["log"]) != len(parent["log"]) + 1 or c["log"][-1] != f"{g.run}:{g.step}":
            return None
        if c["run"] is None or c["tag"] is None or c["source"] not in ("input", "loop"):
            return None
        return {"checkpoint": g.checkpoint, "run": g.run, "step": g.step, "names": str(c["run"])}, [history.n]

    def derive_dead(self, g: Given, _: Cited) -> Derived:
        c, history = self._checkpoint(g.run, g.checkpoint)
        own = c["tag"] == g.run or (c["run"] is not None and c["run"] == self.run_id(g.run))
        if not own or c not in self.lineage(history.thread) or any(how == "delete" for _, how in self.enders(g.run)):
            return None
        return {"checkpoint": g.checkpoint, "run": g.run}, [history.n, self.head(history.thread).n]

    def derive_fork(self, g: Given, _: Cited) -> Derived:
        history = self.last(g.thread, "get_history")
        a, b = [next(c for c in history.answer if c["id"] == id) for id in (g.checkpoint, g.other)]
        known = {c["id"] for c in history.answer} | {None}
        if {a["source"], b["source"]} & {"update", "fork"}:
            return None
        if a is b or a["parent"] != b["parent"] or a["parent"] not in known:
            return None
        logs = {"log": tuple(a["log"]), "other_log": tuple(b["log"])}
        args = {"thread": g.thread, "checkpoint": a["id"], "other": b["id"], "parent": a["parent"], **logs}
        return args, [history.n]
