"""A result in plain words, for those who build on that server: what works, what breaks, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.anomalies import find_anomaly
from conformance.report.html import meaning
from conformance.report.markdown import plain
from conformance.report.rendering import render

# What an application can do about it, by the beginning of the requirement's id; the longest that fits counts.
PRECAUTIONS = {
    "reject": "Do not rely on the refusal alone: send one run at a time for each thread, and retry.",
    "enqueue": "After a burst, compare the accepted runs with what the state shows, and send again what is missing.",
    "interrupt": "Before you build on an interrupted run, read the state, and repair it where it needs that.",
    "rollback": "Do not take a rolled back run for gone: wait until the thread is idle and read runs and state again.",
    "rollback.reverts": "Read the state after a rollback; where something is left, write the state that you want.",
    "rollback.lineage": "Do not fork from, or resume at, checkpoints that a rolled back run may have left.",
    "displaced": "Give external effects an idempotency key: a run that should have stopped may go on for a while.",
    "thread": "Do not take the thread's status for the whole truth: list its runs before you send the next one.",
    "thread.no-lost-update": "Keep counters and the like outside the state, or in channels whose reducers only append.",
    "thread.settles": "Poll with a deadline of your own, and cancel what does not end.",
    "run": "Read a run's status again after a moment before you act on it: it may change once more.",
    "checkpoint": "Read the head of the thread, not its history, where you need to know what counts.",
    "cancel": "After a cancel, wait for the run to be terminal before you send the next one.",
    "delete": "Cancel a run and wait for its end before you delete it, and do not use the thread's id again.",
    "bad-input": "Validate what you send before you send it.",
    "create": "Create the thread before the first run, with a call of its own.",
    "endpoint": "Give every waiting or streaming client a timeout, and read the run's status when it ends.",
    "history": "What is wrong here is said by the named requirements that fail beside it.",
}


def precaution(id: str) -> str:
    """What an application can do where this requirement is violated."""
    fitting = [name for name in PRECAUTIONS if id == name or id.startswith(f"{name}.")]
    return (
        PRECAUTIONS[max(fitting, key=len)] if fitting else "Test what your application depends on against this server."
    )


def plain_words(result: Mapping[str, Any], badge: str) -> str:
    """The result as a page in markdown."""
    rows = result["requirements"]
    failing = [r for r in rows if r["verdict"] == "fail"]
    return render(
        "plain.md.j2",
        result=result,
        badge=badge,
        meaning=meaning(result),
        plain=plain,
        works=[r for r in rows if r["verdict"] == "pass"],
        breaks=[(r, r["violations"][0], find_anomaly(r["violations"][0].get("anomaly") or "")) for r in failing],
        open_still=[r for r in rows if r["verdict"] not in ("pass", "fail", None)],
        policies=[r for r in rows if r["policy"]],
        hazards=[r for r in rows if r["hazard"]],
        precautions=list(dict.fromkeys(precaution(r["id"]) for r in failing)),
    )
