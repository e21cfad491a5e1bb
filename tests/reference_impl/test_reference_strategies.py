"""Each strategy from end to end: over HTTP, with a first run that is held inside a known superstep."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from langgraph_sdk.errors import ConflictError
from reference_gated import script
from reference_serving import Bench

pytestmark = pytest.mark.anyio


async def test_reject_refuses_and_changes_nothing(server: Bench) -> None:
    thread = await server.thread()
    first = await server.hold(thread, "A", "say", "gate g", "say")
    before = (await server.sdk.threads.get(thread), await server.history(thread))
    with pytest.raises(ConflictError) as refusal:
        await server.start(thread, "B", "say", multitask_strategy="reject", metadata={"who": "B"})
    assert first in refusal.value.response.json()["detail"]
    assert (await server.sdk.threads.get(thread), await server.history(thread)) == before
    assert len(await server.sdk.runs.list(thread)) == 1
    server.gates["g"].open()
    await server.over(thread, first)
    assert await server.log(thread) == ["A0", "A1", "A2"]
    await server.start(thread, "C", "say", multitask_strategy="reject")


async def test_reject_sees_a_run_that_only_waits(server: Bench) -> None:
    thread = await server.thread()
    await server.start(thread, "A", "say", after_seconds=60)
    with pytest.raises(ConflictError):
        await server.start(thread, "B", "say", multitask_strategy="reject")


async def test_of_ten_simultaneous_rejects_one_wins(server: Bench) -> None:
    thread = await server.thread()
    body = {"assistant_id": "gated", "input": script("A", "gate g"), "multitask_strategy": "reject"}
    answers = await asyncio.gather(*(server.http.post(f"/threads/{thread}/runs", json=body) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}


async def test_enqueue_keeps_the_order_and_every_input(server: Bench) -> None:
    thread = await server.thread()
    await server.hold(thread, "A", "say", "gate g", "say")
    runs = [await server.start(thread, tag, "say", "say") for tag in "BCD"]
    assert [await server.status(thread, run) for run in runs] == ["pending"] * 3
    server.gates["g"].open()
    await server.over(thread, runs[-1])
    assert await server.log(thread) == ["A0", "A1", "A2", "B0", "B1", "C0", "C1", "D0", "D1"]
    listed = await server.sdk.runs.list(thread)
    assert [run["status"] for run in listed] == ["success"] * 4
    created = [run["created_at"] for run in listed]
    assert created == sorted(created, reverse=True)
    assert len(set(created)) == 4


async def test_the_queue_survives_a_failure(server: Bench) -> None:
    thread = await server.thread()
    first = await server.hold(thread, "A", "say", "gate g", "fail")
    second = await server.start(thread, "B", "say")
    server.gates["g"].open()
    await server.over(thread, second)
    assert await server.status(thread, first) == "error"
    assert await server.log(thread) == ["A0", "A1", "B0"]


async def test_interrupt_keeps_the_progress(server: Bench) -> None:
    thread = await server.thread()
    first = await server.hold(thread, "A", "add", "note", "gate g", "say")
    second = await server.start(thread, "B", "add", multitask_strategy="interrupt")
    assert await server.status(thread, first) == "interrupted"
    values = await server.over(thread, second)
    assert (values["log"], values["counter"], values["note"]) == (["A0", "A1", "B0"], 2, "A")
    assert [message["content"] for message in values["messages"]] == ["A", "B"]
    assert (await server.sdk.threads.get(thread))["status"] == "idle"


@pytest.mark.parametrize("earlier", [False, True])
async def test_rollback_restores_every_channel(server: Bench, earlier: bool) -> None:
    thread = await server.thread()
    if earlier:
        await server.over(thread, await server.start(thread, "O", "add", "note old"))
    before = await server.sdk.threads.get_state(thread)
    first = await server.hold(thread, "A", "add", "note new", "gate g")
    second = await server.start(thread, "B", "gate h", multitask_strategy="rollback")
    assert await server.status(thread, first) == 404
    await server.gates["h"].entered.wait()
    found = (await server.history(thread))[-1 if not earlier else 2]
    server.gates["h"].open()
    values = await server.over(thread, second)
    if earlier:
        assert found == {**before, "next": found["next"], "tasks": found["tasks"]}
        assert (values["counter"], values["note"]) == (1, "old")
    assert [m["content"] for m in values["messages"]] == (["O", "B"] if earlier else ["B"])
    assert values["log"] == (["O0", "O1", "B0"] if earlier else ["B0"])
    history = await server.history(thread)
    assert first not in {state["metadata"]["run_id"] for state in history}
    parents = [state["parent_checkpoint_id"] for state in history]
    assert parents == [*(state["checkpoint_id"] for state in history[1:]), None]


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_all_inflight_runs_are_displaced(server: Bench, strategy: str) -> None:
    thread = await server.thread()
    runs = [await server.hold(thread, "A", "gate g")]
    runs.append(await server.start(thread, "B", "say"))
    runs.append(await server.start(thread, "C", "say", after_seconds=60))
    last = await server.start(thread, "D", "say", multitask_strategy=strategy)
    expected = "interrupted" if strategy == "interrupt" else 404
    assert [await server.status(thread, run) for run in runs] == [expected] * 3
    await server.over(thread, last)
    assert await server.log(thread) == ["D0"]


async def test_a_scheduled_run_starts_when_it_is_due(server: Bench) -> None:
    thread = await server.thread()
    scheduled = await server.start(thread, "A", "say", after_seconds=0.2)
    await server.over(thread, await server.start(thread, "B", "say"))
    assert await server.status(thread, scheduled) == "pending"
    await server.over(thread, scheduled)
    assert await server.log(thread) == ["B0", "A0"]


async def test_threads_are_independent(server: Bench) -> None:
    one, other = await server.thread(), await server.thread()
    held = await server.hold(one, "A", "gate g")
    await server.over(other, await server.start(other, "B", "say", multitask_strategy="reject"))
    assert await server.status(one, held) == "running"
    assert await server.log(other) == ["B0"]


async def test_a_question_to_the_user_ends_the_run(server: Bench) -> None:
    thread = await server.thread()
    run = await server.start(thread, "A", "ask")
    values = await server.over(thread, run)
    assert values["__interrupt__"][0]["value"] == {"question": "A"}
    assert await server.status(thread, run) == "success"
    assert (await server.sdk.threads.get(thread))["status"] == "interrupted"
    values = await server.sdk.runs.wait(thread, "gated", command={"resume": "fine"})
    assert values["log"] == ["A0"]  # type: ignore[call-overload]
    assert (await server.sdk.threads.get(thread))["status"] == "idle"


async def test_undoing_an_answer_brings_the_question_back(server: Bench) -> None:
    thread = await server.thread()
    await server.over(thread, await server.start(thread, "A", "ask", "gate g"))
    before = await server.sdk.threads.get_state(thread)
    answer = await server.sdk.runs.create(thread, "gated", command={"resume": "fine"})
    await server.gates["g"].entered.wait()
    await server.sdk.runs.cancel(thread, answer["run_id"], wait=True, action="rollback")
    assert await server.sdk.threads.get_state(thread) == before
    assert (await server.sdk.threads.get(thread))["status"] == "interrupted"
