"""A graph of plain steps, for the confirming scripts of this folder; nothing of doubletext is in it.

Input: ``{"name": "A", "steps": 3, "ms": 50}``. Each step is one superstep and so one checkpoint: it sleeps
``ms`` milliseconds and appends ``"A0"``, ``"A1"`` … to ``log``. Then:

``first_ms``
    the first step sleeps so long instead
``stubborn``
    the steps ignore being cancelled and sleep on: as node code does that has a bare ``except``, shields a
    call, or retries it

Deploy it as ``steps`` in any LangGraph project::

    {"dependencies": ["."], "graphs": {"steps": "./steps_graph.py:graph"}}
"""

import asyncio
import operator
import time
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    """``script`` and ``at`` are overwritten by every run's input, ``log`` only ever grows."""

    script: dict[str, Any]
    at: int
    log: Annotated[list[str], operator.add]


async def step(state: State) -> dict[str, Any]:
    """Sleep, then append one entry."""
    script, at = state["script"], state["at"]
    ms = script.get("first_ms", script["ms"]) if at == 0 else script["ms"]
    end = time.monotonic() + ms / 1000
    while (left := end - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            if not script.get("stubborn"):
                raise
    return {"at": at + 1, "log": [f"{script['name']}{at}"]}


def more(state: State) -> str:
    """Go on until the script's number of steps is reached (or there is none: the state of an update)."""
    return "step" if state.get("at", 0) < state.get("script", {}).get("steps", 0) else END


_builder = StateGraph(State)
_builder.add_node("step", step)
_builder.add_conditional_edges(START, more, ["step", END])
_builder.add_conditional_edges("step", more, ["step", END])
graph = _builder.compile(name="steps")
