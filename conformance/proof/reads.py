"""What reads alone prove of runs: the claims derived again, and the ways to violate requirements by them.

They are all that there is where the runs are of a graph that is no probe.
"""

from __future__ import annotations

from types import SimpleNamespace as Given

from conformance.history import Call, Record
from conformance.proof.records import Cited, Derived, Records

INFLIGHT = {"pending", "running"}
OVER = {"success", "error", "interrupted", "timeout"}
LONG_S = 1.5


class Reads(Records):
    """What the records say of statuses; a part of ``Witness``."""

    def derive_still(self, g: Given, cited: Cited) -> Derived:
        """Accepted before the call was sent, and inflight in a read that was sent when it had been answered."""
        create, read = self.creates[g.run], cited[-1]
        calls = (c for c in cited if isinstance(c, Call) and c not in (create, read) and c.op == g.op)
        call = next(c for c in calls if c.sent == g.sent)
        since, accepted_n = self.effect(create)
        status = next(s for c, s in self.readings(g.run) if c is read)
        if not isinstance(read, Call) or not self.accepted(g.run) or call.status is None or status not in INFLIGHT:
            return None
        if since > call.sent or read.sent < call.until or self.ended_before(g.run, read.sent):
            return None
        over = call.thread
        if call.tag is not None:
            over = " and ".join(call.request["tags"]) if call.op == "cancel_many" else call.tag
        args = {"run": g.run, "op": call.op, "over": over, "status": status}
        times = {"sent": call.sent, "since": since, "at": read.sent}
        return {**args, **times}, [create.n, accepted_n, call.n, read.n]

    def _rows(self, call: Record, *runs: str) -> list[str]:
        """How a list of the runs' thread shows them."""
        threads = {self.creates[run].thread for run in runs}
        if not isinstance(call, Call) or len(threads) != 1 or call not in self.lists(threads.pop()):
            raise ValueError("no such list")
        rows = {r["tag"]: r["status"] for r in call.answer}
        return [rows[run] for run in runs]

    def derive_at_once(self, g: Given, cited: Cited) -> Derived:
        (call,) = cited
        if g.runs[0] == g.runs[1] or not set(self._rows(call, *g.runs)) <= INFLIGHT or not isinstance(call, Call):
            return None
        return {"runs": g.runs, "at": call.sent}, [call.n]

    def derive_together(self, g: Given, cited: Cited) -> Derived:
        first, second = cited
        shown = {*self._rows(first, *g.runs), *self._rows(second, *g.runs)}
        if not isinstance(first, Call) or not isinstance(second, Call) or g.runs[0] == g.runs[1]:
            return None
        if shown != {"running"} or second.sent < first.until:
            return None
        return {"runs": g.runs, "since": first.until, "by": second.sent}, [first.n, second.n]

    def derive_overtaken(self, g: Given, cited: Cited) -> Derived:
        (call,) = cited
        own, status = self._rows(call, g.run, g.other)
        if not isinstance(call, Call) or own != "pending" or status not in OVER | {"running"}:
            return None
        return {"run": g.run, "other": g.other, "status": status, "at": call.sent}, [call.n]

    def derive_outlasted(self, g: Given, cited: Cited) -> Derived:
        create, read = self.creates[g.run], cited[-1]
        status = next(s for c, s in self.readings(g.run) if c is read)
        said = create.answer["status"] if create.ok and not create.error else None
        if not isinstance(read, Call) or said not in OVER or status not in INFLIGHT or read.until > create.until:
            return None
        times = {"sent": create.sent, "seen": read.until, "at": create.until}
        return {"run": g.run, "status": status, "said": said, **times}, [create.n, read.n]
