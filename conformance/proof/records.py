"""What raw records say, read simply and independently of ``conformance.facts``: the ground of every claim."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from conformance.history import OLDER, Call, Epilogue, GateOpened, History, Record, Remark, Told

ENDED = {"success", "error", "interrupted", "timeout", "gone"}
STOPPED = {"interrupted", "gone"}
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
Condition = Callable[..., bool]  # whether premises are linked as they must be
Ways = tuple[tuple[str, Condition], ...]  # to violate a requirement: the kinds of the premises, and what links them


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


class Records:
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
        self.displaces = history.displaces
        self.made = {c.thread for c in self.calls if c.op == "create_thread"}
        self.refusal_code = int(history.dialect.get("refusal_code", 409))

    def spares(self, strategy: str | None) -> bool:
        """Whether a create of this strategy (None: of some) may leave alone what has not started."""
        by_each = self.displaces.endswith("-all") and self.displaces != f"{strategy}-all"
        return self.displaces == "executing" or by_each

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

    def _answer(self, call: Call) -> dict[str, Any]:
        if call.status is None:
            answer = f"no answer ({call.error})"
        else:
            answer = str(call.status) if call.ok and not call.error else f"{call.status} {str(call.answer)[:160]}"
        return {"sent": call.sent, "at": call.until, "answer": answer}

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

    def cut_before(self, run: str, instant: float) -> bool:
        """Its node was cancelled by then, and it entered none after that."""
        cuts = [r.n for r in self.of_run(run, "cancelled") if r.at <= instant]
        return bool(cuts) and not any(r.n > cuts[-1] for r in self.of_run(run, "enter"))

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

    def cut(self, history: Call) -> bool:
        """Whether there may be more of a history than was read."""
        older = (c for c in self.of_thread(str(history.thread)) if c.op == "get_history" and c.phase == OLDER)
        return len(history.answer) >= HISTORY_PAGE or any(c.answer != [] for c in older)

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

    def settled(self, thread: str) -> Epilogue | None:
        """The end of a thread of which everything had ended: what was accepted had all arrived by then."""
        arrived = [self.effect(c)[0] for t, c in self.creates.items() if c.thread == thread and self.accepted(t)]
        ends = (e for e in self.ends if e.thread == thread and e.settled)
        return next((e for e in ends if not any(e.at < at < float("inf") for at in arrived)), None)

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
