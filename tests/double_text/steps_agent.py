"""Somebody's graph: it works through the steps of its input, one superstep each, and counts them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    steps: list[Any]
    counter: int


async def work(state: State) -> dict[str, Any]:
    """A number is slept, in seconds; ``fail`` raises; ``ask`` asks a human."""
    step, *rest = state["steps"]
    if step == "fail":
        raise RuntimeError("told to fail")
    if step == "ask":
        interrupt("may I?")
    if isinstance(step, float):
        await asyncio.sleep(step)
    return {"steps": rest, "counter": (state.get("counter") or 0) + 1, "messages": [AIMessage(f"did {step}")]}


async def beside(state: State) -> dict[str, Any]:
    """A second node of every superstep, which has its own ``updates`` event."""
    return {"messages": [AIMessage(f"beside {len(state['steps'])}")]}


def _next(state: State) -> list[Literal["work", "beside", "__end__"]]:
    return ["work", "beside"] if state["steps"] else [END]


_builder = StateGraph(State)
_builder.add_node("work", work)
_builder.add_node("beside", beside)
_builder.add_conditional_edges(START, _next, ["work", "beside", END])
_builder.add_conditional_edges("work", _next, ["work", "beside", END])
_builder.add_edge("beside", END)
graph = _builder.compile()


def does(text: str, *steps: float | str) -> dict[str, Any]:
    """An input: what the user says, and what is then done."""
    return {"messages": [{"role": "user", "content": text}], "steps": list(steps)}
