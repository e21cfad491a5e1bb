"""Histories made by hand, for tests of facts and oracles. Times are milliseconds."""

from __future__ import annotations

from typing import Any

from conformance.facts import digest
from conformance.history import Call, Epilogue, GateOpened, History, Record, Remark, Told

Log = list[str]


class Making:
    """Collects records in the order in which they are made."""

    def __init__(self, transport: str = "callback", dialect: dict[str, Any] | None = None) -> None:
        self.records: list[Record] = []
        self.transport = transport
        self.dialect = dialect or {"name": "agent-server", "refusal_code": 409}
        self._seq = 0

    def _add(self, kind: Any, /, **fields: Any) -> Making:
        self.records.append(kind(n=len(self.records), **fields))
        return self

    def call(
        self, op: str, sent: float, received: float | None, status: int | None, answer: Any = None, **more: Any
    ) -> Making:
        """Any call."""
        fields: dict[str, Any] = {"client": "c", "thread": "t", "tag": None, "request": {}, **more}
        done = None if received is None else received / 1000
        return self._add(Call, op=op, sent=sent / 1000, received=done, status=status, answer=answer, **fields)

    def create(
        self,
        tag: str,
        strategy: str | None,
        sent: float,
        received: float | None,
        status: int | None = 200,
        steps: Any = (),
        answer: Any = None,
        **more: Any,
    ) -> Making:
        """A create; 200 answers the run ``run-TAG``."""
        if answer is None:
            answer = {"run_id": f"run-{tag}", "status": "pending", "tag": tag} if status == 200 else {"detail": "busy"}
        request = {"strategy": strategy, "steps": list(steps)}
        return self.call("create", sent, received, status, answer, tag=tag, request=request, **more)

    def read(self, tag: str, status: str | None, sent: float, phase: str = "body", **more: Any) -> Making:
        """A read of a run: its status, or None for a 404."""
        answer = None if status is None else {"run_id": f"run-{tag}", "status": status, "tag": tag}
        code = 404 if status is None else 200
        return self.call("get_run", sent, sent + 1, code, answer, tag=tag, phase=phase, **more)

    def lists(self, sent: float, phase: str = "body", **statuses: str) -> Making:
        """A list of runs."""
        rows = [{"run_id": f"run-{t}", "status": s, "tag": t} for t, s in statuses.items()]
        return self.call("list_runs", sent, sent + 1, 200, rows, phase=phase)

    def told(self, kind: str, tag: str, step: int, at: float, **detail: Any) -> Making:
        """An announcement; the probe's clock runs with the harness's here."""
        self._seq += 1
        run = detail.pop("run", f"run-{tag}")
        return self._add(
            Told,
            at=at / 1000,
            kind=kind,
            tag=tag,
            step=step,
            op="emit",
            run=run,
            clock=detail.pop("clock", "k"),
            t=detail.pop("t", at) / 1000,
            seq=self._seq,
            attempt="1",
            detail=detail,
        )

    def enter(self, tag: str, step: int, at: float, found: Log | None = None, **detail: Any) -> Making:
        """A superstep is entered; ``found`` is the log that it found."""
        value = found_of(found or [], **{k: detail.pop(k) for k in ("counter", "note", "last_input") if k in detail})
        return self.told("enter", tag, step, at, found=value, **detail)

    def open(self, key: str, at: float) -> Making:
        """A gate is opened."""
        return self._add(GateOpened, key=key, sent=at / 1000, done=at / 1000)

    def stop_waited(self, tag: str, at: float) -> Making:
        """The stop deadline was waited for."""
        detail = {"tag": tag, "waited": 2.0, "deadline": 2.0, "told": False}
        return self._add(Remark, at=at / 1000, kind="stop-waited", detail=detail)

    def settled(self, at: float, settled: bool = True, waited: float = 1.0, unsettled: tuple[str, ...] = ()) -> Making:
        """The epilogue of the thread."""
        return self._add(
            Epilogue, at=at / 1000, thread="t", settled=settled, waited=waited, deadline=20.0, unsettled=unsettled
        )

    def state(self, log: Log, at: float, counter: int = 0, messages: Log = (), tag: str | None = None) -> Making:  # type: ignore[assignment]
        """The final state."""
        return self.call(
            "get_state",
            at,
            at + 1,
            200,
            {**checkpoint("head", None, log, tag, counter, messages), "tool_calls": [], "tool_results": []},
            phase="final",
        )

    def checkpoints(self, *chain: dict[str, Any], at: float, phase: str = "final") -> Making:
        """A read of the history, newest first."""
        return self.call("get_history", at, at + 1, 200, list(chain), phase=phase)

    def history(self) -> History:
        """All of it."""
        return History(
            {"name": "made", "family": "made", "moves": []}, tuple(self.records), self.transport, self.dialect
        )


def checkpoint(
    id: str,
    parent: str | None,
    log: Log,
    tag: str | None = None,
    counter: int = 0,
    messages: Any = (),
    run: str | None = None,
) -> dict[str, Any]:
    """A checkpoint as the client keeps it."""
    kept = [["human", f"in-{m}", m] for m in messages]
    return {
        "id": id,
        "parent": parent,
        "run": run,
        "source": "loop",
        "tag": tag,
        "log": log,
        "counter": counter,
        "note": "",
        "messages": kept,
    }


def found_of(log: Log, counter: int = 0, note: str = "", last_input: str = "") -> dict[str, Any]:
    """What a superstep announces to have found."""
    return {
        "log": len(log),
        "log_hash": digest(log),
        "counter": counter,
        "note": note,
        "messages": 0,
        "messages_hash": digest([]),
        "last_input": last_input,
    }
