"""The four code examples of "Handle concurrent user messages with double-texting strategies", verbatim.

An unmodified ``langgraph_sdk`` client against the reference server, at the address of the examples
if it is free, with one user's first message still being answered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph_sdk import errors
from reference_gated import Gate
from reference_serving import running

from reference_impl.app import create_app

pytestmark = pytest.mark.anyio

PORT = 2024


def agent(gate: Gate) -> Any:
    """Thinks about "Analyze Q1 data" until told to stop; answers everything else at once."""

    async def think(state: MessagesState) -> dict[str, Any]:
        asked = state["messages"][-1].content
        if asked == "Analyze Q1 data":
            gate.entered.set()
            await gate.opened.wait()
        return {"messages": [{"role": "assistant", "content": f"answer to: {asked}"}]}

    return StateGraph(MessagesState).add_node(think).add_edge(START, "think").add_edge("think", END).compile()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Conversation:
    def __init__(self, client: Any, thread: dict[str, Any], first: dict[str, Any], gate: Gate) -> None:
        self.client, self.thread, self.first, self.gate = client, thread, first, gate

    async def first_status(self) -> Any:
        try:
            return (await self.client.runs.get(self.thread["thread_id"], self.first["run_id"]))["status"]
        except errors.NotFoundError:
            return 404

    async def messages(self, run: Any) -> list[str]:
        values = await self.client.runs.join(self.thread["thread_id"], run["run_id"])
        return [message["content"] for message in values["messages"]]


@pytest.fixture
async def conversation(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Conversation]:
    """The user has sent "Analyze Q1 data", and the agent thinks."""
    import langgraph_sdk

    gate = Gate()
    port = PORT if _free(PORT) else 0
    async with running(create_app({"my_agent": agent(gate)}), port) as url:
        if port != PORT:  # somebody else is there: the only change is the address
            original = langgraph_sdk.get_client
            monkeypatch.setattr(langgraph_sdk, "get_client", lambda **_: original(url=url))
        from langgraph_sdk import get_client

        client = get_client(url="http://localhost:2024")
        thread = await client.threads.create()
        first = await client.runs.create(
            thread["thread_id"],
            "my_agent",
            input={"messages": [{"role": "user", "content": "Analyze Q1 data"}]},
        )
        await asyncio.wait_for(gate.entered.wait(), 5)
        yield Conversation(client, dict(thread), dict(first), gate)
        gate.open()
        await client.aclose()


async def test_strategy_1_reject(conversation: Conversation) -> None:
    client, thread = conversation.client, conversation.thread
    with pytest.raises(errors.ConflictError) as refusal:
        # New input rejected while run is active
        run = await client.runs.create(  # noqa: F841
            thread_id=thread["thread_id"],
            assistant_id="my_agent",
            input={"messages": [{"role": "user", "content": "Analyze Q2"}]},
            multitask_strategy="reject",
        )
        # Raises 409 Conflict if a run is already active
    assert refusal.value.response.status_code == 409
    assert await conversation.first_status() == "running"
    conversation.gate.open()
    assert await conversation.messages(conversation.first) == [
        "Analyze Q1 data",
        "answer to: Analyze Q1 data",
    ]


async def test_strategy_2_rollback(conversation: Conversation) -> None:
    client, thread = conversation.client, conversation.thread
    # Cancel current run, roll back state, start fresh with new input
    run = await client.runs.create(
        thread_id=thread["thread_id"],
        assistant_id="my_agent",
        input={"messages": [{"role": "user", "content": "Use Q2 data instead"}]},
        multitask_strategy="rollback",
    )
    # Previous run cancelled, state rolled back to before it started
    assert await conversation.first_status() == 404
    assert await conversation.messages(run) == ["Use Q2 data instead", "answer to: Use Q2 data instead"]


async def test_strategy_3_enqueue(conversation: Conversation) -> None:
    client, thread = conversation.client, conversation.thread
    # Queue new input to run after current run completes
    run = await client.runs.create(
        thread_id=thread["thread_id"],
        assistant_id="my_agent",
        input={"messages": [{"role": "user", "content": "Also check Q3"}]},
        multitask_strategy="enqueue",
    )
    # Runs sequentially: current run finishes, then queued run starts
    assert await conversation.first_status() == "running"
    conversation.gate.open()
    assert await conversation.messages(run) == [
        "Analyze Q1 data",
        "answer to: Analyze Q1 data",
        "Also check Q3",
        "answer to: Also check Q3",
    ]
    assert await conversation.first_status() == "success"


async def test_strategy_4_interrupt(conversation: Conversation) -> None:
    client, thread = conversation.client, conversation.thread
    # Interrupt current run but keep its state, then continue with new input
    run = await client.runs.create(
        thread_id=thread["thread_id"],
        assistant_id="my_agent",
        input={"messages": [{"role": "user", "content": "Focus on revenue"}]},
        multitask_strategy="interrupt",
    )
    # Current run stops mid-execution, new run builds on existing state
    assert await conversation.first_status() == "interrupted"
    assert await conversation.messages(run) == [
        "Analyze Q1 data",
        "Focus on revenue",
        "answer to: Focus on revenue",
    ]
