"""Before a check without the probe: does the user's graph take the input, does it end well, how long does it take."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import anyio
import httpx

from conformance.dialects import Dialect
from conformance.execution.client import Client
from conformance.execution.preflight import Surveyed, TargetUnusable, check_allowed, identify, new_thread
from conformance.execution.scene import INFLIGHT, clean_up
from conformance.execution.session import Bounds, Session
from conformance.history import WITHOUT_PROBE

SLOTS = 4  # programs at once: nobody knows how much the graph can take, or what it costs
LONGEST_S = 120.0  # one run alone, if --settle-timeout does not say otherwise
RUNS_OF_A_PROGRAM = 5  # the most that wait for each other on one thread
FIRST_PAUSE_S, MOST_PAUSE_S = 0.01, 0.25


async def survey_graph(client: Client, dialect: Dialect, settle: float | None) -> Surveyed:
    """Run the graph once, alone.

    Raises:
        TargetUnusable: it cannot be reached, is no Agent Server, or the run is refused or does not end with success.
    """
    made: set[str] = set()
    try:
        target = await identify(client, made, lambda _what, _value: None)
        call, start, whole = await _alone(client, made, settle or LONGEST_S)
    except httpx.HTTPError as e:
        why = client.address.redactor().text(str(e)) or type(e).__name__
        raise TargetUnusable(f"{client.address.shown} broke off during the survey ({why}). Look at its log.") from e
    finally:
        await clean_up(Session(client, "none", Bounds(), dialect, threads=made))
    bounds = Bounds.stretched(call, start, 0.0, settle)
    longer = RUNS_OF_A_PROGRAM * whole
    bounds = replace(bounds, reach=bounds.reach + longer, settle=bounds.settle + (longer if settle is None else 0.0))
    session = Session(client, WITHOUT_PROBE, bounds, dialect, target=target)  # type: ignore[arg-type]
    return Surveyed(session, SLOTS, {"call": call, "start": start, "run": whole})


async def _alone(client: Client, made: set[str], longest: float) -> tuple[float, float, float]:
    """What a call takes, after how long the run had started, and after how long it was over; in seconds."""
    name, shown = client.address.assistant, client.address.shown
    created = await new_thread(client, made)
    check_allowed(client, created)
    thread = str(created.json()["thread_id"]) if created.is_success else ""
    body = {"assistant_id": name, "input": client.address.input, "multitask_strategy": "enqueue"}
    began = time.monotonic()
    answer = await client.http.post(f"/threads/{thread}/runs", json=body)
    check_allowed(client, answer)
    run = _object(answer)
    if not answer.is_success or "run_id" not in run:
        said = client.address.redactor().text(answer.text)[:300]
        raise TargetUnusable(
            f"{shown} refuses a run of assistant {name!r} with this input ({answer.status_code}: {said}). Is the "
            "assistant called so (--assistant), and is this an input that its graph takes (--input)?"
        )
    start, status, pause = 0.0, "pending", FIRST_PAUSE_S
    calls: list[float] = []  # of reads: a create may be answered late
    path = f"/threads/{thread}/runs/{run['run_id']}"
    while time.monotonic() < began + longest:
        read = await client.http.get(path)
        calls.append(read.elapsed.total_seconds())
        status = str(_object(read).get("status"))
        if status == "pending" or not start:
            start = time.monotonic() - began
        if status not in INFLIGHT:
            break
        await anyio.sleep(pause)
        pause = min(pause * 1.4, MOST_PAUSE_S)
    if status in INFLIGHT:
        raise TargetUnusable(
            f"a run of assistant {name!r} on {shown} was still {status} after {longest:g} s. Are its workers busy? "
            "--settle-timeout gives it more time; an --input with less to do makes the check quicker."
        )
    if status != "success":
        ended = client.address.redactor().text(status)
        raise TargetUnusable(
            f"a run of assistant {name!r} on {shown}, alone on its thread, ended as {ended!r} and not with "
            "success: nothing can be tried with it. Does the graph take this --input?"
        )
    return statistics.median(calls), start, time.monotonic() - began


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
