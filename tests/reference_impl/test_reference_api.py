"""The rest of the API: threads, state, store, assistants, and what is refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError
from reference_gated import script
from reference_serving import Bench, bench

pytestmark = pytest.mark.anyio


async def test_system(server: Bench) -> None:
    assert (await server.http.get("/ok")).json() == {"ok": True}
    info = (await server.http.get("/info")).json()
    assert info["server"] == "doubletext-reference"
    assert info["defect"] is None
    schema = (await server.http.get("/openapi.json")).json()["components"]["schemas"]
    assert schema["RunCreate"]["required"] == ["assistant_id"]
    assert schema["Strategy"]["enum"] == ["reject", "enqueue", "interrupt", "rollback"]


async def test_assistants(server: Bench) -> None:
    (found,) = await server.sdk.assistants.search(graph_id="gated")
    assert await server.sdk.assistants.get(found["assistant_id"]) == found
    assert await server.sdk.assistants.get("gated") == found
    assert await server.sdk.assistants.search(graph_id="other") == []
    with pytest.raises(NotFoundError):
        await server.sdk.assistants.get("other")
    thread = await server.thread()
    values = await server.sdk.runs.wait(thread, found["assistant_id"], input=script("A", "say"))
    assert values["log"] == ["A0"]  # type: ignore[call-overload]


async def test_threads(server: Bench) -> None:
    thread_id = str(uuid.uuid4())
    made = await server.sdk.threads.create(thread_id=thread_id, metadata={"a": 1})
    assert (made["thread_id"], made["metadata"], made["status"], made["values"]) == (
        thread_id,
        {"a": 1},
        "idle",
        None,
    )
    with pytest.raises(ConflictError):
        await server.sdk.threads.create(thread_id=thread_id)
    assert await server.sdk.threads.create(thread_id=thread_id, if_exists="do_nothing") == made
    changed = await server.sdk.threads.update(thread_id, metadata={"b": 2})
    assert changed["metadata"] == {"a": 1, "b": 2}
    other = await server.thread()
    assert [t["thread_id"] for t in await server.sdk.threads.search()] == [other, thread_id]
    assert [t["thread_id"] for t in await server.sdk.threads.search(metadata={"b": 2})] == [thread_id]
    await server.hold(other, "A", "gate g")
    assert [t["thread_id"] for t in await server.sdk.threads.search(status="busy")] == [other]
    await server.sdk.threads.delete(thread_id)
    assert (await server.http.delete(f"/threads/{thread_id}")).status_code == 404


async def test_state_and_history(server: Bench) -> None:
    thread = await server.thread()
    empty = await server.sdk.threads.get_state(thread)
    assert (empty["values"], empty["next"], empty["checkpoint"]) == ({}, [], None)
    await server.over(thread, await server.start(thread, "A", "say", "note x"))
    history = await server.history(thread)
    assert [state["metadata"]["step"] for state in history] == [2, 1, 0, -1]
    assert [state["next"] for state in history] == [[], ["step"], ["step"], ["__start__"]]
    at = await server.sdk.threads.get_state(thread, checkpoint_id=history[1]["checkpoint_id"])
    assert at["values"]["log"] == ["A0"]  # type: ignore[call-overload]
    assert await server.sdk.threads.get_state(thread, checkpoint=history[1]["checkpoint"]) == at
    older = await server.sdk.threads.get_history(thread, before=history[1]["checkpoint"], limit=1)
    assert older == [history[2]]
    page = await server.http.get(
        f"/threads/{thread}/history", params={"limit": 2, "before": history[0]["checkpoint_id"]}
    )
    assert page.json() == history[1:3]


async def test_update_state(server: Bench) -> None:
    thread = await server.thread()
    run = await server.hold(thread, "A", "gate g")
    with pytest.raises(ConflictError):
        await server.sdk.threads.update_state(thread, {"note": "by hand"})
    server.gates["g"].open()
    await server.over(thread, run)
    answer = await server.sdk.threads.update_state(thread, {"note": "by hand"})
    state = await server.sdk.threads.get_state(thread)
    assert state["values"]["note"] == "by hand"  # type: ignore[call-overload]
    assert state["checkpoint"] == answer["checkpoint"]
    assert "run_id" not in (state["metadata"] or {})
    values = await server.over(thread, await server.start(thread, "B", "say"))
    assert (values["note"], values["log"]) == ("by hand", ["A0", "B0"])
    wrong = await server.http.post(f"/threads/{thread}/state", json={"values": {"note": 1}, "as_node": "nobody"})
    assert wrong.status_code == 422


async def test_a_history_is_never_an_old_one(server: Bench) -> None:
    thread = await server.thread()
    path = f"/threads/{thread}/history"

    async def notes(**query: Any) -> list[Any]:
        read = [(await server.http.post(path, json={"limit": 200, **query})).json() for _ in range(2)]
        assert read[0] == read[1]
        return [state["values"].get("note") for state in read[0]]

    assert await notes() == []
    await server.over(thread, await server.start(thread, "A", "say"))
    first = await notes()
    assert len(first) > 2
    assert await notes(limit=1) == first[:1]
    await server.http.post(f"/threads/{thread}/state", json={"values": {"note": "by hand"}})
    assert await notes() == ["by hand", *first]
    held = await server.hold(thread, "B", "gate g")
    assert len(await notes()) > 1 + len(first)
    await server.http.post(f"/threads/{thread}/runs/{held}/cancel", params={"action": "rollback"})
    assert await notes() == ["by hand", *first]
    await server.http.delete(f"/threads/{thread}")
    await server.http.post("/threads", json={"thread_id": thread})
    assert await notes() == []


@pytest.mark.parametrize(
    "asked",
    [
        {"namespace_prefix": ["a."]},
        {"namespace_prefix": [""]},
        {"namespace_prefix": ["a"], "filter": {"v": {"$gt": 1}}},
        {"namespace_prefix": ["a"], "filter": {"v": {"$like": 1}}},
    ],
)
async def test_searches_of_the_store_that_mean_nothing_are_refused(server: Bench, asked: dict[str, Any]) -> None:
    await server.sdk.store.put_item(["a"], "k", {"v": "text"})
    assert (await server.http.post("/store/items/search", json=asked)).status_code == 422


async def test_store(server: Bench) -> None:
    store = server.sdk.store
    await store.put_item(["a", "b"], "k", {"v": 1})
    assert (await store.get_item(["a", "b"], "k"))["value"] == {"v": 1}
    await store.put_item(["a", "c"], "k", {"v": 2})
    found = await store.search_items(["a"], filter={"v": 2})
    assert [item["namespace"] for item in found["items"]] == [["a", "c"]]
    assert (await store.list_namespaces(prefix=["a"]))["namespaces"] == [["a", "b"], ["a", "c"]]
    await store.delete_item(["a", "b"], "k")
    with pytest.raises(NotFoundError):
        await store.get_item(["a", "b"], "k")
    assert (
        await server.http.put("/store/items", json={"namespace": ["a.b"], "key": "k", "value": {}})
    ).status_code == 422


RUN: dict[str, Any] = {"assistant_id": "gated", "input": script("A", "say")}


@pytest.mark.parametrize(
    "change",
    [
        {"multitask_strategy": "unheard-of"},
        {"multitask_strategy": None},
        {"multitask_strategy": ""},
        {"multitask_strategy": "ENQUEUE"},
        {"multitask_strategy": ["reject"]},
        {"after_seconds": -1},
        {"after_seconds": "1"},
        {"input": "text"},
        {"config": "text"},
        {"metadata": ["list"]},
        {"stream_mode": "everything"},
        {"assistant_id": None},
        {"if_not_exists": "maybe"},
    ],
)
@pytest.mark.parametrize("endpoint", ["", "/wait", "/stream"])
async def test_bad_input_creates_nothing(server: Bench, endpoint: str, change: dict[str, Any]) -> None:
    thread = await server.thread()
    answer = await server.http.post(f"/threads/{thread}/runs{endpoint}", json={**RUN, **change})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", *change]
    assert await server.sdk.runs.list(thread) == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"assistant_id": "\\ud800"}', b'{"assistant_id": NaN}'])
async def test_malformed_json(server: Bench, body: bytes) -> None:
    thread = await server.thread()
    headers = {"content-type": "application/json"}
    answer = await server.http.post(f"/threads/{thread}/runs", content=body, headers=headers)
    assert answer.status_code == 422


async def test_deep_and_large_bodies(server: Bench) -> None:
    thread = await server.thread()
    headers = {"content-type": "application/json"}
    deep = b'{"assistant_id": "gated", "input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = await server.http.post(f"/threads/{thread}/runs", content=deep, headers=headers)
    assert 400 <= answer.status_code < 500
    large = b'{"assistant_id": "' + b"x" * (17 * 1024 * 1024) + b'"}'
    answer = await server.http.post(f"/threads/{thread}/runs", content=large, headers=headers)
    assert answer.status_code == 413


async def test_what_does_not_exist(server: Bench) -> None:
    nobody, thread = uuid.uuid4(), await server.thread()
    post, get = server.http.post, server.http.get
    for strategy in ("reject", "enqueue", "interrupt", "rollback"):
        for endpoint in ("", "/wait", "/stream"):
            body = {**RUN, "multitask_strategy": strategy}
            assert (await post(f"/threads/{nobody}/runs{endpoint}", json=body)).status_code == 404
    assert (await post(f"/threads/{thread}/runs", json={**RUN, "assistant_id": "x"})).status_code == 404
    assert (await post(f"/threads/{thread}/runs/{nobody}/cancel")).status_code == 404
    assert (await get(f"/threads/{thread}/runs/{nobody}/join")).status_code == 404
    assert (await get(f"/threads/{thread}/runs/{nobody}/stream")).status_code == 404
    assert (await get(f"/threads/{thread}/state/{nobody}")).status_code == 404
    assert (await get("/threads/not-a-uuid")).status_code == 422
    assert (await get(f"/threads/{thread}/runs/not-a-uuid")).status_code == 422
    assert len(await server.sdk.threads.search()) == 1


async def test_api_key() -> None:
    async with bench(api_key="secret") as server:
        thread = await server.thread()
        strangers: list[dict[str, str]] = [{"x-api-key": ""}, {"x-api-key": "wrong"}]
        for headers in strangers:
            assert (await server.http.get(f"/threads/{thread}", headers=headers)).status_code == 401
            assert (await server.http.get("/ok", headers=headers)).status_code == 200


async def test_jitter_delays_answers_only() -> None:
    async with bench(jitter=0.01, seed=1) as server:
        thread = await server.thread()
        await server.over(thread, await server.start(thread, "A", "say"))
        assert await server.log(thread) == ["A0"]
