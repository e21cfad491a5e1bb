"""A tiny graph that the tests hold and release: one superstep for each instruction of its input.

Instructions: ``say`` (append to the log), ``add`` (read-modify-write of the counter), ``note`` (overwrite
the note), ``gate NAME`` (wait), ``swallow NAME`` (the same, but ignore a cancellation), ``block NAME``
(the same, in synchronous code), ``fail``, ``ask`` (a human-in-the-loop interrupt).
"""

from __future__ import annotations

import asyncio
import operator
import threading
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt


class State(TypedDict, total=False):
    tag: str
    steps: list[str]
    pc: int
    log: Annotated[list[str], operator.add]
    counter: int
    note: str
    messages: Annotated[list[Any], add_messages]


class Gate:
    """Where a run waits: ``entered`` tells that it does, ``open`` lets it go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.opened = asyncio.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        self.opened.set()
        self._opened.set()

    def wait_blocking(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self.entered.set)
        self._opened.wait(10)


class Gates(dict[str, Gate]):
    def __missing__(self, name: str) -> Gate:
        self[name] = Gate()
        return self[name]

    def open_all(self) -> None:
        for gate in self.values():
            gate.open()


def build(gates: Gates) -> Any:
    async def step(state: State) -> dict[str, Any]:
        tag, pc = state["tag"], state["pc"]
        op, _, argument = state["steps"][pc].partition(" ")
        writes: dict[str, Any] = {"pc": pc + 1, "log": [f"{tag}{pc}"]}
        counter = state.get("counter", 0)
        if op in ("gate", "swallow"):
            gates[argument].entered.set()
            try:
                await gates[argument].opened.wait()
            except asyncio.CancelledError:
                gates[argument].cancelled.set()
                if op == "gate":
                    raise
                await gates[argument].opened.wait()
        elif op == "block":
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, gates[argument].wait_blocking, loop)
        elif op == "add":
            writes["counter"] = counter + 1
        elif op == "note":
            writes["note"] = argument or tag
        elif op == "fail":
            raise RuntimeError(f"{tag} was told to fail")
        elif op == "ask":
            interrupt({"question": tag})
        return writes

    def route(state: State) -> str:
        return "step" if state["pc"] < len(state["steps"]) else END

    builder = StateGraph(State)
    builder.add_node("step", step)
    builder.add_conditional_edges(START, route, ["step", END])
    builder.add_conditional_edges("step", route, ["step", END])
    return builder.compile()


def script(tag: str, *steps: str) -> dict[str, Any]:
    """The input that makes a run execute these instructions."""
    message = {"role": "user", "content": tag, "id": f"input-{tag}"}
    return {"tag": tag, "steps": list(steps), "pc": 0, "messages": [message]}
