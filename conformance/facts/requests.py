"""Requests that were sent as they stand: what was answered, and what was found afterwards where nobody else was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.facts.claims import Fact, fact
from conformance.facts.words import shown
from conformance.history import Call

if TYPE_CHECKING:
    from conformance.facts.threads import Facts, Thread

REQUEST = "request"  # the operation
NOT_A_CRASH = frozenset({501, 502, 503, 504})  # not supported; a gateway's; not now
NOT_DECIDED = frozenset({408, 429})  # says nothing about what was asked for
DELAYED = "which is to wait"  # what is said of a control that must not start for a long time
PATIENCE_S = 0.5  # a run that is not delayed starts within this time once a later one has ended
STRANGERS = ("create", "cancel")  # operations after which what is found on a thread need not be the request's


@dataclass(frozen=True)
class Request:
    """One request, alone on its thread. ``wrong`` is empty where nothing is; ``owed``: see ``programs.Send``."""

    thread: Thread
    call: Call

    @property
    def wrong(self) -> str:
        return str(self.call.request.get("wrong") or "")

    @property
    def what(self) -> str:
        """In words, what is wrong."""
        return str(self.call.request.get("what") or "")

    @property
    def operation(self) -> str:
        return str(self.call.request.get("operation") or "")

    @property
    def generated(self) -> bool:
        return self.call.request.get("origin") == "schemathesis"

    @property
    def owes_refusal(self) -> bool:
        return self.call.request.get("owed") == "refusal"

    @property
    def crashed(self) -> bool:
        """The server said that it failed."""
        status = self.call.status or 0
        return status >= 500 and status not in NOT_A_CRASH

    @property
    def refused(self) -> bool:
        """Answered that it is not acceptable."""
        return 400 <= (self.call.status or 0) < 500 and self.call.status not in NOT_DECIDED

    @property
    def made(self) -> str | None:
        """The id of the run or thread that the answer says was made."""
        answer = self.call.answer
        if not self.call.ok or self.call.error or not isinstance(answer, dict):
            return None
        name = "thread_id" if self.operation == "create-thread" else "run_id"
        return str(answer[name]) if answer.get(name) is not None else None

    def fact(self) -> Fact:
        """What was sent and answered."""
        c = self.call
        args = {"what": self.what, "sent": c.sent, "at": c.until, "answer": shown(c), "curl": c.request.get("curl")}
        return fact("requested", (c.n,), request=c.tag, thread=c.thread, **args)

    def left_fact(self) -> Fact | None:
        """That something is there which only this request can have made."""
        for call in self.thread.calls if self._alone else ():
            if call.sent >= self.call.until and (what := self._left(call)) is not None:
                absent = self._absent if call.op == "get_thread" and not self._prepared else None
                cites = (self.call.n, *([absent.n] if absent is not None else []), call.n)
                return fact("left", cites, request=self.call.tag, op=call.op, what=what, sent=call.sent)
        return None

    @property
    def _alone(self) -> bool:
        others = [c for c in self.thread.calls if c is not self.call]
        return not any(c.op in (REQUEST, *STRANGERS) for c in others)

    def _left(self, call: Call) -> str | None:
        """What a read shows of it, in words."""
        if not call.ok or call.error:
            return None
        match call.op:
            case "list_runs" if call.answer:
                return f"run {call.answer[0]['run_id']} ({call.answer[0]['status']})"
            case "get_thread" if not self._prepared and self._absent is not None:
                return f"thread {call.answer['thread_id']} ({call.answer['status']})"
            case "get_thread" if self._prepared and call.answer["status"] == "busy":
                return f"thread {call.answer['thread_id']} ({call.answer['status']})"
            case "search_threads" if own := [t for t in call.answer if t["tag"] == self.call.tag]:
                return f"thread {own[0]['thread_id']} ({own[0]['status']})"
        return None

    @property
    def _absent(self) -> Call | None:
        """The read that shows that its thread did not exist before it was sent."""
        reads = (c for c in self.thread.calls if c.op == "get_thread" and c.status == 404)
        return next((c for c in reads if c.until <= self.call.sent), None)

    @property
    def _prepared(self) -> bool:
        """Its thread was made beforehand, by the harness."""
        return any(c.op == "create_thread" for c in self.thread.calls)


def requests_of(thread: Thread) -> Iterator[Request]:
    """The requests on a thread."""
    return (Request(thread, c) for c in thread.calls if c.op == REQUEST and c.tag is not None)


def controls(facts: Facts) -> list[Request]:
    """Creates of the same history that nothing is wrong with, and that were accepted."""
    found = [r for t in facts.threads.values() for r in requests_of(t) if not r.wrong and r.operation == "create-run"]
    return [r for r in found if r.made is not None]


def delays_fact(facts: Facts) -> Fact | None:
    """That the target delays runs: one with a delay was still pending when another, accepted later, had long ended."""
    right = controls(facts)
    for late in right:
        pending = _seen(late, ("pending",))
        for other in right:
            ended = _seen(other, ("success", "error"))
            if pending is None or ended is None or late.what != DELAYED:
                continue
            if other.call.sent >= late.call.until and pending.sent >= ended.until + PATIENCE_S:
                cites = (late.call.n, other.call.n, ended.n, pending.n)
                return fact("delays", cites, delayed=late.call.tag, other=other.call.tag, at=pending.sent)
    return None


def ignores_delays(facts: Facts) -> bool:
    """Whether the run that was to wait was seen to have started."""
    return any(r.what == DELAYED and _seen(r, ("running", "success", "error")) is not None for r in controls(facts))


def _seen(request: Request, statuses: tuple[str, ...]) -> Call | None:
    """The first list that shows its run to be over, or the last one that shows it pending."""
    shows = [
        c
        for c in request.thread.lists
        if any(r["run_id"] == request.made and r["status"] in statuses for r in c.answer)
    ]
    return (shows[-1] if statuses == ("pending",) else shows[0]) if shows else None
