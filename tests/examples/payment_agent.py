"""An agent that pays: what the worked example of ``double_text`` is about. Its model is a fake, always the same.

``naive`` is how such agents are often written; ``careful`` survives double texting. They differ in two places:
the payment's idempotency key, and what is done about a tool call that was cut off.

    "pay order-17 40 to Ann"  ->  tool call pay(order-17, 40, Ann)  ->  payment  ->  "Paid order-17: 40 to Ann."
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph

CONFIRMATION_S = 0.6  # the bank commits a payment at once, and takes this long to say so
WRITING_S = 0.6  # how long the model takes for its last words


class Ledger:
    """The bank: a file outside of the thread's state, which no rollback can undo."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def payments(self) -> list[dict[str, Any]]:
        """All payments that were committed."""
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    def pay(self, payment: dict[str, Any], idempotency_key: str | None = None) -> bool:
        """Commit a payment, unless one with this key was; says whether it is new."""
        if idempotency_key is not None and any(p["key"] == idempotency_key for p in self.payments()):
            return False
        with self._file.open("a") as file:
            file.write(json.dumps({**payment, "key": idempotency_key}) + "\n")
        return True


def unanswered(messages: list[AnyMessage]) -> list[AIMessage]:
    """AI messages with a tool call that has no result."""
    answered = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
    return [m for m in messages if isinstance(m, AIMessage) and any(c["id"] not in answered for c in m.tool_calls)]


async def model(state: MessagesState) -> dict[str, Any]:
    """The fake model: asks for the payment that the user wants, unless a tool message says that it was made."""
    messages = state["messages"]
    last = messages[-1]
    if isinstance(last, ToolMessage):
        await asyncio.sleep(WRITING_S)
        return {"messages": [AIMessage(f"Done. {last.content}")]}
    order, amount, payee = re.findall(r"pay (\S+) (\d+) to (\w+)", str(last.content))[0]
    if any(isinstance(m, ToolMessage) and order in str(m.content) for m in messages):
        return {"messages": [AIMessage(f"{order} has been paid already.")]}
    call = {"name": "pay", "args": {"order": order, "amount": int(amount), "payee": payee}, "id": f"call-{last.id}"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


async def _pay(state: MessagesState, config: RunnableConfig, key: Literal["order"] | None) -> dict[str, Any]:
    call = state["messages"][-1].tool_calls[0]  # type: ignore[union-attr]
    payment = call["args"]
    new = Ledger(Path(config["configurable"]["ledger"])).pay(payment, payment[key] if key else None)
    await asyncio.sleep(CONFIRMATION_S)
    text = f"{payment['order']}: {payment['amount']} to {payment['payee']}" + ("" if new else " (paid before)")
    return {"messages": [ToolMessage(text, tool_call_id=call["id"])]}


async def pay_naively(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    """The tool without an idempotency key: whoever asks twice pays twice."""
    return await _pay(state, config, key=None)


async def pay_once(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    """The tool with one: the order's number, which is the same whichever run asks."""
    return await _pay(state, config, key="order")


async def repair(state: MessagesState) -> dict[str, Any]:
    """Take back tool calls that were cut off: the message with the same id is replaced, in its place."""
    told = "I was interrupted before I knew whether this was done."
    return {"messages": [AIMessage(told, id=message.id) for message in unanswered(state["messages"])]}


def _next(state: MessagesState) -> Literal["tool", "__end__"]:
    last = state["messages"][-1]
    return "tool" if isinstance(last, AIMessage) and last.tool_calls else END


def _build(tool: Any, *, repaired: bool) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("model", model)
    builder.add_node("tool", tool)
    if repaired:
        builder.add_node("repair", repair)
        builder.add_edge(START, "repair")
        builder.add_edge("repair", "model")
    else:
        builder.add_edge(START, "model")
    builder.add_conditional_edges("model", _next, {"tool": "tool", END: END})
    builder.add_edge("tool", "model")
    return builder.compile()


naive = _build(pay_naively, repaired=False)
careful = _build(pay_once, repaired=True)


def says(text: str) -> dict[str, Any]:
    """An input: what the user says."""
    return {"messages": [{"role": "user", "content": text}]}
