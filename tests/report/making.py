"""Outcomes of saved histories, as a check would have them; and very long or malicious ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.events import Outcome
from conformance.history import Call, Epilogue, History, Record, history_file
from conformance.offline import Saved, judge_saved

VIOLATIONS = Path(__file__).parent.parent / "conformance" / "violations"
STARTED = "2026-11-24T12:00:00+00:00"
TARGET = {"server": "some-server", "version": "1.2.3", "url": "http://127.0.0.1:1", "assistant": "doubletext"}


def violations(glob: str = "*") -> list[History]:
    """The saved histories that violate something, each under a name of its own."""
    found = [History.load(file) for file in sorted(VIOLATIONS.glob(f"{glob}.jsonl"))]
    assert found
    dialect = Dialect().to_json()
    return [replace(h, instance=f"~{h.name}~", target=TARGET, dialect=dialect) for h in found]


def judged(histories: Sequence[History], **options: Any) -> Outcome:
    """What a check that recorded these histories would say."""
    return judge_saved(Saved(tuple(histories), None), Options(**options), STARTED, 12.5)


def finder(histories: Sequence[History]) -> Any:
    """Finds them by the names that a result gives them."""
    return {f"histories/{history_file(h.instance)}": h for h in histories}.get


def long_history(calls: int) -> History:
    """So many calls, on twenty clients, two at a time."""
    records: list[Record] = []
    for n in range(calls):
        at = n * 0.002
        records.append(
            Call(
                n=n,
                client=f"client {n % 20}",
                op="create" if n % 500 == 0 else "get_run",
                thread="t",
                tag=f"R{n // 500}",
                sent=at,
                received=at + 0.0035,
                request={"strategy": "enqueue", "steps": [{"op": "emit"}]} if n % 500 == 0 else {},
                status=200,
                answer={"run_id": f"run-{n // 500}", "status": "pending", "tag": f"R{n // 500}"},
            )
        )
    end = calls * 0.002
    records.append(Epilogue(calls, end, "t", False, 20.0, 20.0, ("R0",)))
    program = {"name": "long", "family": "made", "moves": []}
    return History(program, tuple(records), "callback", Dialect().to_json(), "~long~", TARGET)


PAYLOADS = (
    "</script><script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    "<svg/onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "{{ 7*7 }}{% raw %}",
    "<!--<script>window.pwned=1",
    "\u2028window.pwned=1;//\u202e\x00\ud800",
)


def malicious(history: History, payload: str) -> History:
    """The history of a server that puts the payload into every text that it may choose."""

    def poisoned(value: Any, keep: bool = False) -> Any:
        match value:
            case dict():
                return {
                    k: poisoned(v, k in ("log", "messages", "tag", "status", "id", "parent")) for k, v in value.items()
                }
            case list():
                return [poisoned(v, keep) for v in value]
            case str() if not keep:
                return f"{value}{payload}"
        return value

    records: list[Record] = []
    for record in history.records:
        if isinstance(record, Call):
            error = None if record.error is None else record.error + payload
            record = replace(record, answer=poisoned(record.answer), error=error)
        records.append(record)
    extra = Call(len(records), f"client {payload}", f"op {payload}", "t", f"tag {payload}", 0.0, 0.1, {}, 500, payload)
    records.append(replace(extra, request={"body": payload}))
    target = {k: v + payload for k, v in TARGET.items()}
    return replace(history, records=tuple(records), target=target, program={**history.program, "name": payload})
