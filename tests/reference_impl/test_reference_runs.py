"""Runs: every way to create one, wait for it, read its events, cancel and delete it."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from langgraph_sdk.errors import NotFoundError
from reference_gated import script
from reference_serving import Bench, bench

pytestmark = pytest.mark.anyio


def parse(text: str) -> list[tuple[str, Any]]:
    """The events of a server-sent stream."""
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        events.append((fields["event"], json.loads(fields["data"])))
    return events


async def test_a_run_is_stored_as_it_was_asked_for(server: Bench) -> None:
    thread = await server.thread()
    config = {"recursion_limit": 50, "configurable": {"mine": 1}}
    run = await server.sdk.runs.create(
        thread,
        "gated",
        input=script("A", "say"),
        metadata={"who": "me"},
        config=config,
        multitask_strategy="reject",
    )
    assert (run["metadata"], run["multitask_strategy"], run["status"]) == ({"who": "me"}, "reject", "pending")
    await server.over(thread, run["run_id"])
    state = await server.sdk.threads.get_state(thread)
    assert isinstance(state["metadata"], dict)
    assert (
        state["metadata"].items()
        >= {
            "who": "me",
            "mine": 1,
            "run_id": run["run_id"],
            "thread_id": thread,
            "assistant_id": run["assistant_id"],
            "graph_id": "gated",
            "attempt": 1,
        }.items()
    )


async def test_creating_answers_at_once_and_says_where(server: Bench) -> None:
    thread = await server.thread()
    created: list[Any] = []
    await server.sdk.runs.create(thread, "gated", input=script("A", "gate g"), on_run_created=created.append)
    assert created[0]["thread_id"] == thread


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_who_waits_for_a_displaced_run_is_told(server: Bench, strategy: str) -> None:
    thread = await server.thread()
    path = f"/threads/{thread}/runs"
    waiting = asyncio.create_task(
        server.http.post(f"{path}/wait", json={"assistant_id": "gated", "input": script("A", "gate g")})
    )
    await server.gates["g"].entered.wait()
    first = (await server.sdk.runs.list(thread))[0]["run_id"]
    joining = asyncio.create_task(server.http.get(f"{path}/{first}/join"))
    streaming = asyncio.create_task(server.http.get(f"{path}/{first}/stream"))
    await server.readers(thread, first, 3)
    await server.start(thread, "B", "say", multitask_strategy=strategy)
    answers = [(await waiting).json(), (await joining).json()]
    expected = "RunInterrupted" if strategy == "interrupt" else "RunRolledBack"
    assert [answer["__error__"]["error"] for answer in answers] == [expected] * 2
    events = parse((await streaming).text)
    assert [name for name, _ in events[-2:]] == ["error", "end"]
    assert events[-2][1]["error"] == expected


async def test_a_stream_tells_the_whole_run_in_order(server: Bench) -> None:
    thread = await server.thread()
    parts = [
        (part.event, part.data)
        async for part in server.sdk.runs.stream(
            thread, "gated", input=script("A", "say", "note x"), stream_mode=["values", "updates"]
        )
    ]
    assert [event for event, _ in parts] == [
        "metadata",
        "values",
        "updates",
        "values",
        "updates",
        "values",
        "end",
    ]
    assert parts[-2][1]["log"] == ["A0", "A1"]
    assert parts[4][1] == {"step": {"pc": 2, "log": ["A1"], "note": "x"}}


async def test_late_readers_get_everything_or_what_they_missed(server: Bench) -> None:
    thread = await server.thread()
    run = await server.start(thread, "A", "say", stream_mode=["values", "updates"])
    await server.over(thread, run)
    path = f"/threads/{thread}/runs/{run}/stream"
    everything = parse((await server.http.get(path)).text)
    assert [name for name, _ in everything] == ["metadata", "values", "updates", "values", "end"]
    rest = parse((await server.http.get(path, headers={"Last-Event-ID": "3"})).text)
    assert rest == everything[3:]
    only = parse((await server.http.get(path, params={"stream_mode": "updates"})).text)
    assert [name for name, _ in only] == ["metadata", "updates", "end"]


async def test_a_failure_is_told(server: Bench) -> None:
    thread = await server.thread()
    body = {"assistant_id": "gated", "input": script("A", "say", "fail")}
    answer = (await server.http.post(f"/threads/{thread}/runs/wait", json=body)).json()
    assert answer == {"__error__": {"error": "RuntimeError", "message": "A was told to fail"}}
    assert (await server.sdk.threads.get(thread))["status"] == "error"
    assert await server.log(thread) == ["A0"]


@pytest.mark.parametrize("endpoint", ["wait", "stream"])
async def test_leaving_cancels_if_wanted(server: Bench, endpoint: str) -> None:
    thread = await server.thread()
    for mode, expected in (("continue", "running"), ("cancel", "interrupted")):
        gate = server.gates[mode]
        body = {"assistant_id": "gated", "input": script("A", f"gate {mode}"), "on_disconnect": mode}
        leaving = asyncio.create_task(server.http.post(f"/threads/{thread}/runs/{endpoint}", json=body))
        await gate.entered.wait()
        leaving.cancel()
        run = (await server.sdk.runs.list(thread))[0]["run_id"]
        if mode == "cancel":
            await gate.cancelled.wait()
        assert await server.status(thread, run) == expected
        gate.open()
        await server.house.storage.run(thread, run).events.wait_closed()


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
@pytest.mark.parametrize("wait", [False, True])
async def test_cancelling_the_executing_run(server: Bench, action: str, wait: bool) -> None:
    thread = await server.thread()
    first = await server.hold(thread, "A", "say", "gate g", "say")
    second = await server.start(thread, "B", "say")
    path = f"/threads/{thread}/runs/{first}/cancel"
    answer = await server.http.post(path, params={"action": action, "wait": int(wait)})
    assert (answer.status_code, answer.text) == ((200, "{}") if wait else (202, ""))
    if wait:
        assert server.gates["g"].cancelled.is_set()
    await server.over(thread, second)
    assert await server.status(thread, first) == ("interrupted" if action == "interrupt" else 404)
    assert await server.log(thread) == (["A0", "B0"] if action == "interrupt" else ["B0"])
    assert (await server.http.post(path)).status_code == 404


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_cancelling_a_waiting_run(server: Bench, action: str) -> None:
    thread = await server.thread()
    first = await server.hold(thread, "A", "gate g")
    second, third = await server.start(thread, "B", "say"), await server.start(thread, "C", "say")
    await server.sdk.runs.cancel(thread, second, wait=True, action=action)  # type: ignore[arg-type]
    assert await server.status(thread, second) == ("interrupted" if action == "interrupt" else 404)
    assert (await server.sdk.threads.get(thread))["status"] == "busy"
    server.gates["g"].open()
    await server.over(thread, third)
    assert await server.log(thread) == ["A0", "C0"]
    assert await server.status(thread, first) == "success"


async def test_cancelling_many(server: Bench) -> None:
    thread = await server.thread()
    runs = [await server.hold(thread, "A", "gate g"), await server.start(thread, "B", "say")]
    await server.sdk.runs.cancel_many(thread_id=thread, run_ids=runs)
    assert [await server.status(thread, run) for run in runs] == ["interrupted"] * 2
    runs = [await server.hold(thread, "C", "gate h", gate="h"), await server.start(thread, "D", "say")]
    await server.sdk.runs.cancel_many(status="pending")
    assert [await server.status(thread, run) for run in runs] == ["running", "interrupted"]


async def test_deleting_the_executing_run(server: Bench) -> None:
    thread = await server.thread()
    first = await server.hold(thread, "A", "say", "gate g", "say")
    second = await server.start(thread, "B", "say")
    joining = asyncio.create_task(server.http.get(f"/threads/{thread}/runs/{first}/join"))
    await server.readers(thread, first, 1)
    await server.sdk.runs.delete(thread, first)
    assert (await joining).json()["__error__"]["error"] == "RunDeleted"
    await server.over(thread, second)
    assert await server.status(thread, first) == 404
    assert await server.log(thread) == ["A0", "B0"]


async def test_deleting_a_busy_thread(server: Bench) -> None:
    thread = await server.thread()
    await server.hold(thread, "A", "gate g")
    await server.sdk.threads.delete(thread)
    await server.gates["g"].cancelled.wait()
    with pytest.raises(NotFoundError):
        await server.sdk.threads.get(thread)


async def test_stateless_runs_leave_nothing(server: Bench) -> None:
    assert (await server.sdk.runs.wait(None, "gated", input=script("A", "say")))["log"] == ["A0"]  # type: ignore[call-overload]
    run = await server.sdk.runs.create(None, "gated", input=script("B", "gate g"))
    await server.gates["g"].entered.wait()
    assert await server.sdk.threads.search() == []
    server.gates["g"].open()
    await server.house.storage.run(run["thread_id"], run["run_id"]).events.wait_closed()
    assert (await server.http.get("/ok")).status_code == 200
    assert server.house.storage.threads == {}
    events = [part.event async for part in server.sdk.runs.stream(None, "gated", input=script("C", "say"))]
    assert events == ["metadata", "values", "values", "end"]
    answer = await server.http.post("/runs/wait", json={"assistant_id": "gated", "input": script("D", "fail")})
    assert answer.json()["__error__"]["error"] == "RuntimeError"


async def test_simultaneous_creates_make_one_thread(server: Bench) -> None:
    thread = str(uuid.uuid4())
    body = {"assistant_id": "gated", "input": script("A", "say"), "if_not_exists": "create"}
    answers = await asyncio.gather(*(server.http.post(f"/threads/{thread}/runs", json=body) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["created_at"] for answer in answers}) == 10
    runs = await server.sdk.runs.list(thread, limit=100)
    await server.over(thread, runs[0]["run_id"])
    assert await server.log(thread) == ["A0"] * 10
    assert len(await server.sdk.runs.list(thread, limit=3, offset=8)) == 2
    assert await server.sdk.runs.list(thread, status="pending") == []


async def test_no_more_runs_at_once_than_workers() -> None:
    async with bench(workers=2) as server:
        threads = [await server.thread() for _ in range(4)]
        runs = [await server.start(thread, "A", f"gate {i}") for i, thread in enumerate(threads)]
        for i in (0, 1):
            await server.gates[str(i)].entered.wait()
        statuses = [await server.status(*place) for place in zip(threads, runs, strict=True)]
        assert statuses == ["running", "running", "pending", "pending"]
        server.gates["0"].open()
        await server.gates["2"].entered.wait()
        server.gates["1"].open()
        await server.gates["3"].entered.wait()
