"""Requests that were sent as they stand: their claims derived again, and the ways to violate bad-input."""

from __future__ import annotations

from types import SimpleNamespace as Given
from typing import Any

from conformance.history import Call
from conformance.proof.records import Cited, Derived, Records, Ways


class Requests(Records):
    """What the records say of such requests; a part of ``Witness``."""

    def request(self, tag: str) -> Call:
        return next(c for c in self.calls if c.op == "request" and c.tag == tag)

    def derive_requested(self, g: Given, _: Cited) -> Derived:
        c = self.request(g.request)
        said = {"what": c.request["what"], "curl": c.request.get("curl")}
        return {"request": c.tag, "thread": c.thread, **said, **self._answer(c)}, [c.n]

    def derive_left(self, g: Given, cited: Cited) -> Derived:
        """On a thread where nothing else was asked for that could have made it."""
        c, read = self.request(g.request), cited[-1]
        own = [x for x in self.of_thread(c.thread) if x is not c]
        if not isinstance(read, Call) or read not in own or any(x.op in ("request", "create", "cancel") for x in own):
            return None
        if read.sent < c.until or not read.ok or read.error or read.op != g.op:
            return None
        prepared, before = any(x.op == "create_thread" for x in own), []
        if read.op == "get_thread" and not prepared:  # it did not exist before
            before = [x.n for x in own if x.op == "get_thread" and x.status == 404 and x.until <= c.sent][:1]
            if not before:
                return None
        shown = self._shown(read, c.tag, prepared)
        return {"request": c.tag, "op": read.op, "what": shown, "sent": read.sent}, [c.n, *before, read.n]

    @staticmethod
    def _shown(read: Call, tag: str | None, prepared: bool) -> str:
        if read.op == "list_runs":
            return f"run {read.answer[0]['run_id']} ({read.answer[0]['status']})"
        threads = [read.answer] if read.op == "get_thread" else [t for t in read.answer if t["tag"] == tag]
        if read.op not in ("get_thread", "search_threads") or (prepared and threads[0]["status"] != "busy"):
            raise ValueError("nothing that the request has left")
        return f"thread {threads[0]['thread_id']} ({threads[0]['status']})"

    def derive_delays(self, g: Given, cited: Cited) -> Derived:
        late, other, ended, pending = (r for r in cited if isinstance(r, Call))
        for request, tag in ((late, g.delayed), (other, g.other)):
            if request is not self.request(tag) or request.request["wrong"] or not request.ok or request.error:
                return None
        if late.request["what"] != "which is to wait" or other.sent < late.until or pending.sent < ended.until + 0.5:
            return None
        for request, read, legal in ((late, pending, {"pending"}), (other, ended, {"success", "error"})):
            rows = {r["run_id"]: r["status"] for r in read.answer} if read in self.lists(request.thread) else {}
            if rows[request.answer["run_id"]] not in legal:
                return None
        return {"delayed": g.delayed, "other": g.other, "at": pending.sent}, [r.n for r in cited]


def _wrong(w: Requests, r: Any, wrong: str) -> bool:
    return bool(w.request(r.request).request["wrong"] == wrong)


def _crash(w: Requests, r: Any) -> bool:
    status = w.request(r.request).status or 0
    return status >= 500 and status not in {501, 502, 503, 504}


def _taken(w: Requests, r: Any) -> bool:
    """What had to be refused was answered as accepted, and the answer names what was made."""
    call = w.request(r.request)
    made = "thread_id" if call.request["operation"] == "create-thread" else "run_id"
    return bool(call.request["owed"] == "refusal" and call.ok and not call.error and call.answer[made] is not None)


def _left_behind(w: Requests, r: Any, left: Any) -> bool:
    status = w.request(r.request).status or 0
    return bool(left.request == r.request and 400 <= status < 500 and status not in {408, 429})


def _begun(w: Requests, r: Any, left: Any) -> bool:
    """Accepted by an endpoint whose answer names no run: there is one."""
    call = w.request(r.request)
    owed = call.request["owed"] == "refusal" and call.request["operation"] in ("wait-run", "stream-run")
    return bool(left.request == r.request and owed and call.ok and left.op == "list_runs")


def _bad_input(wrong: str) -> Ways:
    if wrong == "negative-delay":  # a server that knows no delays ignores the field
        taken: Ways = (
            ("requested delays", lambda w, r, _: _wrong(w, r, wrong) and _taken(w, r)),
            ("requested left delays", lambda w, r, left, _: _wrong(w, r, wrong) and _begun(w, r, left)),
        )
    else:
        taken = (
            ("requested", lambda w, r: _wrong(w, r, wrong) and _taken(w, r)),
            ("requested left", lambda w, r, left: _wrong(w, r, wrong) and _begun(w, r, left)),
        )
    return (
        ("requested", lambda w, r: _wrong(w, r, wrong) and _crash(w, r)),
        ("requested left", lambda w, r, left: _wrong(w, r, wrong) and _left_behind(w, r, left)),
        *taken,
    )


BAD_INPUT: dict[str, Ways] = {
    f"bad-input.{wrong}": _bad_input(wrong)
    for wrong in ("strategy", "json", "types", "unknown-assistant", "negative-delay", "oversize")
}
