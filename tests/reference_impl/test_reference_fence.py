"""The fence: whatever code of a displaced run still does, it does not reach the thread."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from reference_gated import Gates, build, script
from reference_serving import Bench

from reference_impl.checkpoints import CheckpointStore
from reference_impl.errors import WriteRefused

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
@pytest.mark.parametrize("op", ["swallow", "block"])
async def test_code_that_does_not_stop_cannot_write(server: Bench, op: str, strategy: str) -> None:
    thread = await server.thread()
    await server.hold(thread, "A", "say", f"{op} g", "say", "say")
    second = await server.start(thread, "B", "say", "gate h", multitask_strategy=strategy)
    await server.gates["h"].entered.wait()  # the successor does not wait for ever
    server.gates["g"].open()
    server.gates["h"].open()
    await server.over(thread, second)
    await server.house.close()
    expected = ["B0", "B1"] if strategy == "rollback" else ["A0", "B0", "B1"]
    assert await server.log(thread) == expected


async def test_a_thread_created_again_starts_empty(server: Bench) -> None:
    thread = await server.thread()
    await server.hold(thread, "A", "say", "swallow g", "say")
    await server.sdk.threads.delete(thread)
    await server.gates["g"].cancelled.wait()
    await server.sdk.threads.create(thread_id=thread)
    server.gates["g"].open()
    await server.over(thread, await server.start(thread, "B", "say"))
    assert await server.log(thread) == ["B0"]


async def test_only_the_entitled_write() -> None:
    store = CheckpointStore()
    graph = build(Gates()).copy(update={"checkpointer": store})
    config = {"configurable": {"thread_id": "t", "run_id": "r"}}
    with pytest.raises(WriteRefused):
        await graph.ainvoke(script("A", "say"), config, durability="sync")
    assert store.lineage("t").head() is None
    store.entitle("r")
    await graph.ainvoke(script("A", "say"), config, durability="sync")
    store.revoke("r")
    config = {"configurable": {"thread_id": "t", "run_id": "s"}}
    with pytest.raises(WriteRefused):
        await graph.ainvoke(script("B", "say"), config, durability="sync")
    assert {saved.run_id for saved in store.lineage("t").saved.values()} == {"r"}


async def test_the_saver_reads_as_langgraphs_own() -> None:
    """The same conversation in both savers gives the same history, checkpoint by checkpoint."""
    histories = []
    for saver in (InMemorySaver(), CheckpointStore()):
        graph = build(Gates()).copy(update={"checkpointer": saver})
        config = {"configurable": {"thread_id": "t"}}
        for tag, steps in (("A", ("add", "note x")), ("B", ("add", "ask"))):
            await graph.ainvoke(script(tag, *steps), config)
        await graph.aupdate_state(config, {"note": "by hand"})
        seen = [
            (state.values, state.next, state.metadata["source"], state.metadata["step"], len(state.tasks))
            async for state in graph.aget_state_history(config)
        ]
        histories.append(seen)
    assert histories[0] == histories[1]
    assert len(histories[0]) > 6
