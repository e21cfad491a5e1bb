"""What is kept of the target's answers: an answer that cannot be understood is an observation, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.execution.redaction import MOST_KEPT

RUN_TAG = "doubletext_tag"  # names the run in its metadata, so that a lost answer can be attributed
Keep = Callable[[Any], dict[str, Any]]  # what is kept of a state's values


class Garbled(Exception):
    """The answer is not what this call answers with."""


def understand(status: int, text: str, read: Callable[[Any], Any]) -> tuple[Any, str | None]:
    """The answer's value and, where a success is not what it should be, what is wrong with it."""
    try:
        value = json.loads(text) if text.strip() else None
    except ValueError:
        value = text
        if 200 <= status < 300 and not text.lstrip().startswith(("event:", "id:", ":", "data:", "retry:")):
            return value, "garbled answer: not JSON"
    if not 200 <= status < 300:
        return value, None
    try:
        return read(value), None
    except (Garbled, KeyError, TypeError, AttributeError, IndexError) as e:
        return value if len(text) < MOST_KEPT else text, f"garbled answer: {e!r}"


def run_of(value: Any) -> dict[str, Any]:
    """Id, status and tag of a run."""
    if not isinstance(value, dict) or "run_id" not in value:
        raise Garbled("no run_id in the answer")
    return {
        "run_id": str(value["run_id"]),
        "status": value.get("status"),
        "tag": (value.get("metadata") or {}).get(RUN_TAG),
        "created_at": value.get("created_at"),
        "strategy": value.get("multitask_strategy"),
    }


def runs_of(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("the list of runs is not a list")
    return [run_of(v) for v in value]


def thread_of(value: Any, keep: Keep) -> dict[str, Any]:
    if not isinstance(value, dict) or "thread_id" not in value:
        raise Garbled("no thread_id in the answer")
    values = value.get("values")
    return {
        "thread_id": str(value["thread_id"]),
        "status": value.get("status"),
        "metadata": value.get("metadata"),
        "values": keep(values) if isinstance(values, dict) and values else None,
    }


def nothing(_: Any) -> dict[str, Any]:
    """What is kept of the channels of a graph that is no probe: they are the user's."""
    return channels({})


def channels(values: Any) -> dict[str, Any]:
    """What the probe's channels hold, in short."""
    values = values if isinstance(values, dict) else {}
    program = values.get("program") or {}
    return {
        "tag": program.get("tag"),
        "log": [f"{e['tag']}:{e['step']}" for e in values.get("log") or []],
        "counter": values.get("counter") or 0,
        "note": values.get("note") or "",
        "messages": [
            [
                m.get("type") or m.get("role"),
                m.get("id"),
                m.get("content") if isinstance(m.get("content"), str) else "",
            ]
            for m in values.get("messages") or []
        ],
    }


def checkpoint_of(value: Any, keep: Keep) -> dict[str, Any]:
    metadata = value.get("metadata") or {}
    own = value.get("checkpoint") or {}
    parent = value.get("parent_checkpoint") or {}
    return {
        "id": own.get("checkpoint_id") or value.get("checkpoint_id"),
        "parent": parent.get("checkpoint_id") or value.get("parent_checkpoint_id"),
        "run": metadata.get("run_id"),
        "source": metadata.get("source"),
        **keep(value.get("values")),
    }


def state_of(value: Any, keep: Keep) -> dict[str, Any]:
    if not isinstance(value, dict) or "values" not in value:
        raise Garbled("no values in the state")
    probed = keep is channels and isinstance(value["values"], dict)
    entries = (value["values"] or {}).get("log") or [] if probed else []
    unfinished = list((value["values"] or {}).get("messages") or []) if entries else []
    return {
        **checkpoint_of(value, keep),
        "entries": [{k: e.get(k) for k in ("tag", "step", "run", "found") if e.get(k) is not None} for e in entries],
        "tool_calls": sorted({c["id"] for m in unfinished for c in m.get("tool_calls") or []}),
        "tool_results": sorted({m["tool_call_id"] for m in unfinished if m.get("tool_call_id")}),
    }


def history_of(value: Any, keep: Keep) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("the history is not a list")
    return [checkpoint_of(v, keep) for v in value]
