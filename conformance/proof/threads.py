"""Claims about threads and their checkpoints, derived again from the records."""

from __future__ import annotations

import itertools
from types import SimpleNamespace as Given
from typing import Any

from conformance.history import Call
from conformance.proof.records import (
    HARMLESS,
    INFLIGHT,
    Cited,
    Derived,
    Records,
)


class Threads(Records):
    """What the records say of states and histories; a part of ``Witness``."""

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
        end = self.settled(g.thread)
        return ({"thread": g.thread, "at": end.at}, [end.n]) if end is not None else None

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
        own = own and c["source"] not in ("update", "fork")
        if not own or not self.accepted(g.run) or g.checkpoint in ids or self.cut(late):
            return None
        return {"run": g.run, "checkpoint": g.checkpoint}, [early.n, late.n]

    def derive_headless(self, g: Given, _: Cited) -> Derived:
        history, head = self.last(g.thread, "get_history"), self.head(g.thread)
        if self.cut(history) or self.lineage(g.thread) or not history.answer:
            return None
        return {"thread": g.thread, "checkpoint": str(head.answer["id"])}, [history.n, head.n]

    def derive_hole(self, g: Given, _: Cited) -> Derived:
        history, oldest = self.last(g.thread, "get_history"), self.lineage(g.thread)[-1]
        if self.cut(history) or oldest["parent"] is None:
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
