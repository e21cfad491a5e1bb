"""Clients that stay with a run until the target lets them go: who waits for its end, joins it, or reads its stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from conformance.facts.claims import Fact, fact
from conformance.facts.runs import Run
from conformance.history import Call, Remark

How = Literal["wait", "join", "stream"]
NOT_RELEASED = "NotReleased"
RELEASE_S = 5.0  # so long after a run was read as ended its clients may be held


@dataclass(frozen=True)
class Client:
    """One client of a run. ``how``: by what it stays; ``joined``: it came to a run that existed."""

    run: Run
    call: Call
    how: How
    joined: bool

    @property
    def name(self) -> str:
        """For people."""
        return ("join " if self.joined and self.how == "stream" else "") + self.how

    @property
    def got(self) -> dict[str, Any]:
        """What it got, in short; empty where it was refused, or heard nothing."""
        answer = self.call.answer
        got = answer.get("got") if self.call.ok and isinstance(answer, dict) else None
        return got if isinstance(got, dict) else {}

    @property
    def held(self) -> bool:
        """Whether the harness gave up: it was still held then."""
        return self.got.get("end") == "held" or (self.call.status is None and self.call.error == NOT_RELEASED)

    @property
    def answered(self) -> bool:
        """Whether it got a whole answer, of whatever kind."""
        return self.call.status is not None and self.got.get("end", "answered") == "answered"

    @property
    def tells(self) -> bool:
        """Whether what it got shows that the run did not finish."""
        return bool(self.got.get("tells", True))

    @property
    def events(self) -> list[list[Any]]:
        """The events of a stream: name, and of ``values`` whose input the state holds and the length of its log."""
        return [e for e in self.got.get("events") or [] if isinstance(e, list) and e]

    # --- facts -------------------------------------------------------------------------------------

    def unreleased_fact(self) -> Fact:
        """That it was still held when the harness gave up."""
        return self._fact("unreleased", sent=self.call.sent, at=self.call.received)

    def kept_fact(self, since: float) -> Fact | None:
        """That it was not let go while the harness waited for that in full, from ``since`` on or later; None where it
        was, or may have been."""
        since = max(since, self.call.sent)
        if (self.call.status or 0) >= 500:  # that it broke says nothing of its run
            return None
        for remark in self.run.thread.facts.history.of(Remark):
            if remark.kind != "release-waited" or remark.detail["tag"] != self.run.tag or remark.detail["told"]:
                continue
            waited, gone = float(remark.detail["waited"]), self.call.received
            in_full = waited >= float(remark.detail["deadline"]) and since + waited <= remark.at
            if in_full and (gone is None or gone > remark.at):
                return self._fact("kept", remark.n, sent=self.call.sent, at=remark.at, waited=waited)
        return None

    def got_fact(self) -> Fact:
        """How it was answered."""
        return self._fact("got", status=self.call.status, tells=self.tells, at=self.call.until)

    def event_fact(self, index: int) -> Fact:
        """One event of its stream."""
        _, of, length, *_ = self.events[index]
        return self._fact("event", index=index, of=of, length=length, sent=self.call.sent)

    def lacks_fact(self, step: int) -> Fact:
        """That no event shows the state after a superstep of the run."""
        cites = (self.call.n, self.run.enters[0].n)
        said = {"run": self.run.tag, "how": self.name}
        connected = self.got["connected"]
        return fact("lacks", cites, sent=self.call.sent, step=step, connected=connected, **said)

    def _fact(self, kind: str, *more: int, **args: Any) -> Fact:
        return fact(kind, (self.call.n, *more), run=self.run.tag, how=self.name, **args)


def clients_of(run: Run) -> Iterator[Client]:
    """All clients that stayed with a run."""
    endpoint = run.create.request.get("endpoint")
    if endpoint in ("wait", "stream"):
        yield Client(run, run.create, endpoint, joined=False)
    for call in run.thread.calls:
        if call.op in ("join", "stream") and call.tag == run.tag:
            yield Client(run, call, "join" if call.op == "join" else "stream", joined=True)
