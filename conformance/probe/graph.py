# doubletext-probe: written by doubletext; safe to delete together with its entry in langgraph.json
"""The Doubletext probe: a graph that does what its input says, and tells what it really did.

The input is ``{"program": {"tag", "steps", "via"}, "pc": 0, "messages": [...]}``. Each step is one
superstep and so one checkpoint. A step is ``{"op": NAME, ...}`` with

======== ===============================================================================
op       what it writes (every step also appends one entry to ``log``)
======== ===============================================================================
emit     nothing more
add      read-modify-write of ``counter``: reads at entry, writes ``read + by`` at the end
note     ``note``, a last-value channel (``value``)
effect   announces an external effect (``name``): what no rollback can undo
call     an AI message with the tool call ``id``
result   the tool message that answers ``id``
fail     raises ``ProbeFailure``
ask      a human-in-the-loop ``interrupt()``
======== ===============================================================================

and any of: ``sleep`` (ms), ``gate`` (a key: wait there until the harness opens it, at most ``bound``
seconds), ``swallow`` (a second gate: a cancellation is swallowed and the step waits there instead,
then goes on), ``block`` (run in synchronous code, which nobody can cancel), ``nested`` (run in a subgraph, which
writes checkpoints in a namespace of its own; it is one superstep of the graph all the same).

Announcements leave by every transport named in ``via`` (``callback``: a URL, ``store``: a namespace,
``stream``: true) and never through the thread's state, so that the harness also knows what runs did
that were rolled back. Requires langgraph 0.2 or newer and Python 3.11 or newer.
"""

import asyncio
import collections
import hashlib
import http.client
import itertools
import json
import operator
import threading
import time
import uuid
from contextlib import suppress
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import urlsplit

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_store, get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt

PROBE_VERSION = 2
CLOCK = uuid.uuid4().hex[:12]  # names this process's monotonic clock: readings of others do not compare
_sequence = itertools.count()
_background: set[asyncio.Task[None]] = set()


class ProbeFailure(RuntimeError):
    """Raised by the ``fail`` instruction, on purpose."""


class State(TypedDict, total=False):
    """Channels of the probe; ``counter`` and ``note`` have no reducer: the last write wins."""

    program: dict[str, Any]
    pc: int
    log: Annotated[list[dict[str, Any]], operator.add]
    counter: int
    note: str
    messages: Annotated[list[AnyMessage], add_messages]


# --- what a step finds, and how it is announced ------------------------------------------------


def digest(parts: list[str]) -> str:
    """Short hash of a sequence of strings; the harness computes the same over what it reads."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _found(state: State, tag: str) -> dict[str, Any]:
    log = state.get("log") or []
    messages = state.get("messages") or []
    inputs = [str(m.content) for m in messages if isinstance(m, HumanMessage)]
    others = [f"{m.type}:{m.id}" for m in messages if str(m.content) != tag]
    return {
        "log": len(log),
        "log_hash": digest([f"{e['tag']}:{e['step']}" for e in log]),
        "counter": state.get("counter") or 0,
        "note": state.get("note") or "",
        "messages": len(others),
        "messages_hash": digest(others),
        "last_input": inputs[-1] if inputs else "",
    }


def _record(kind: str, state: State, config: RunnableConfig, **more: Any) -> dict[str, Any]:
    program = state["program"]
    pc = state["pc"]
    configurable = config.get("configurable") or {}
    metadata = config.get("metadata") or {}

    def known(name: str) -> Any:
        value = configurable.get(name) or metadata.get(name)
        return None if value is None else str(value)

    return {
        "kind": kind,
        "tag": program["tag"],
        "step": pc,
        "op": program["steps"][pc]["op"],
        "run": known("run_id"),
        "thread": known("thread_id"),
        "attempt": known("attempt") or known("run_attempt"),
        "clock": CLOCK,
        "t": time.monotonic(),
        "seq": next(_sequence),
        **more,
    }


# --- transports: a few lines of HTTP, because the target has no client library for certain ------


def _address(url: str, path: str) -> tuple[str, int, str]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80, parts.path.rstrip("/") + path


def _request(url: str, path: str, body: dict[str, Any], more: str = "") -> tuple[str, int, bytes]:
    host, port, target = _address(url, path)
    data = json.dumps(body).encode()
    head = f"POST {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n{more}"
    return host, port, f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


async def _post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask on a connection of its own: for what may be answered late."""
    host, port, request = _request(url, path, body, "Connection: close\r\n")
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        answer = (await reader.read()).partition(b"\r\n\r\n")[2]
    finally:
        writer.close()
    return dict(json.loads(answer)) if answer.strip() else {}


class _Line(asyncio.Protocol):
    """The connection on which all announcements of one event loop travel, so that they arrive in their order.

    A node waits for the receipt of its own. One that is cancelled meanwhile just waits no longer: receipts come in
    the order of the announcements, and what was announced stays announced.
    """

    def __init__(self) -> None:
        self.open = False
        self._transport: asyncio.WriteTransport | None = None
        self._data = b""
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._waiting and (end := self._data.find(b"\r\n\r\n")) >= 0:
            length = self._data[:end].lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            if len(self._data) < (stop := end + 4 + int(length or 0)):
                return
            self._data = self._data[stop:]
            receipt = self._waiting.popleft()
            if not receipt.done():
                receipt.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        for receipt in self._waiting:
            if not receipt.done():
                receipt.set_exception(exc or ConnectionResetError("the harness closed the connection"))

    async def send(self, request: bytes) -> None:
        """Send a request and return when it was answered."""
        assert self._transport is not None
        receipt = asyncio.get_running_loop().create_future()
        self._waiting.append(receipt)
        self._transport.write(request)
        await receipt


_lines = threading.local()  # an event loop has a thread of its own, for as long as it runs


async def _line(host: str, port: int) -> _Line:
    loop = asyncio.get_running_loop()
    if getattr(_lines, "loop", None) is not loop:
        _lines.loop, _lines.opening = loop, {}
    opening: dict[tuple[str, int], asyncio.Task[Any]] = _lines.opening
    task = opening.get((host, port))
    if task is None or (task.done() and (task.cancelled() or task.exception() or not task.result()[1].open)):
        # A task of its own: other nodes wait for it, too, when this one is cancelled.
        task = opening[host, port] = loop.create_task(loop.create_connection(_Line, host, port))
    line: _Line = (await asyncio.shield(task))[1]
    return line


async def _report(url: str, record: dict[str, Any]) -> None:
    """Announce to the harness; returns when it has recorded that."""
    host, port, request = _request(url, "/announce", record)
    try:
        await (await _line(host, port)).send(request)
    except ConnectionError:  # closed meanwhile; the harness takes the same announcement once
        await (await _line(host, port)).send(request)


def _post_sync(url: str, path: str, body: dict[str, Any], timeout: float) -> dict[str, Any]:
    host, port, target = _address(url, path)
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("POST", target, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
    finally:
        connection.close()
    return dict(json.loads(answer)) if answer.strip() else {}


def _store_key(record: dict[str, Any]) -> str:
    return f"{record['clock']}-{record['seq']:08d}"


async def _announce(via: dict[str, Any], record: dict[str, Any]) -> None:
    """Send one record by every transport; a dead transport must not fail the run that is observed."""
    if via.get("stream"):
        get_stream_writer()({"doubletext": record})
    if url := via.get("callback"):
        with suppress(OSError, ValueError):
            async with asyncio.timeout(10):  # wait_for can swallow a cancellation on Python 3.11
                await _report(url, record)
    if namespace := via.get("store"):
        with suppress(Exception):
            await get_store().aput((*namespace, "records"), _store_key(record), record)


def _announce_sync(via: dict[str, Any], record: dict[str, Any]) -> None:
    if via.get("stream"):
        get_stream_writer()({"doubletext": record})
    if url := via.get("callback"):
        with suppress(OSError, ValueError):
            _post_sync(url, "/announce", record, 10)
    if namespace := via.get("store"):
        with suppress(Exception):
            get_store().put((*namespace, "records"), _store_key(record), record)


async def _wait_at_gate(via: dict[str, Any], key: str, bound: float) -> bool:
    """Wait until the harness opens gate ``key``; False when ``bound`` (seconds) expired first."""
    end = time.monotonic() + bound
    url, namespace = via.get("callback"), via.get("store")
    while (left := end - time.monotonic()) > 0:
        if url:
            try:
                async with asyncio.timeout(left + 1):
                    if (await _post(url, "/wait", {"key": key, "for": left})).get("open"):
                        return True
            except (OSError, ValueError):
                await asyncio.sleep(0.05)
        elif namespace:
            if await get_store().aget((*namespace, "gates"), key) is not None:
                return True
            await asyncio.sleep(0.01)
        else:
            await asyncio.sleep(left)
    return False


def _wait_at_gate_sync(via: dict[str, Any], key: str, bound: float) -> bool:
    end = time.monotonic() + bound
    url, namespace = via.get("callback"), via.get("store")
    while (left := end - time.monotonic()) > 0:
        if url:
            try:
                if _post_sync(url, "/wait", {"key": key, "for": left}, left + 1).get("open"):
                    return True
            except (OSError, ValueError):
                time.sleep(0.05)
        elif namespace:
            if get_store().get((*namespace, "gates"), key) is not None:
                return True
            time.sleep(0.01)
        else:
            time.sleep(left)
    return False


# --- the nodes: the same instruction, in asynchronous and in synchronous code, and in a subgraph ----


def _instruction(state: State) -> tuple[dict[str, Any], dict[str, Any]]:
    program = state["program"]
    return program["steps"][state["pc"]], program.get("via") or {}


def _writes(state: State, config: RunnableConfig, step: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    tag, pc, op = state["program"]["tag"], state["pc"], step["op"]
    entry = {"tag": tag, "step": pc, "op": op, "run": _record("log", state, config)["run"]}
    if pc == 0:
        entry["found"] = found  # the second witness, inside the state itself
    writes: dict[str, Any] = {"pc": pc + 1, "log": [entry]}
    if op == "add":
        writes["counter"] = found["counter"] + step.get("by", 1)
    elif op == "note":
        writes["note"] = step.get("value", f"{tag}:{pc}")
    elif op == "call":
        call = {"name": "probe_tool", "args": {}, "id": step["id"], "type": "tool_call"}
        writes["messages"] = [AIMessage(content="", id=f"ai-{tag}-{pc}", tool_calls=[call])]
    elif op == "result":
        writes["messages"] = [ToolMessage(content="done", id=f"tool-{tag}-{pc}", tool_call_id=step["id"])]
    elif op == "ask":
        entry["answer"] = interrupt({"tag": tag, "step": pc})
    return writes


def _bound(step: dict[str, Any]) -> float:
    return float(step.get("bound", 60))


async def run_step(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Execute one instruction in asynchronous code, announcing entry, cancellation and leaving."""
    step, via = _instruction(state)
    found = _found(state, state["program"]["tag"])
    gate: bool | None = None

    async def tell(kind: str, **more: Any) -> None:
        await _announce(via, _record(kind, state, config, **more))

    await tell("enter", found=found, gate=step.get("gate"))
    try:
        if step.get("sleep"):
            await asyncio.sleep(step["sleep"] / 1000)
        if step.get("gate"):
            gate = await _wait_at_gate(via, step["gate"], _bound(step))
    except asyncio.CancelledError:
        if not step.get("swallow"):
            # Told in the background: awaiting here would itself delay the cancellation.
            task = asyncio.create_task(tell("cancelled"))
            _background.add(task)
            task.add_done_callback(_background.discard)
            raise
        await tell("swallowed")
        gate = await _wait_at_gate(via, step["swallow"], _bound(step))
    if step["op"] == "effect":
        await tell("effect", name=step.get("name", "effect"))
    if step["op"] == "fail":
        await tell("raise")
        raise ProbeFailure(f"the probe was told to fail (tag {state['program']['tag']})")
    writes = _writes(state, config, step, found)
    await tell("leave", gate_opened=gate)
    return writes


def run_step_blocking(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Execute one instruction in synchronous code (a worker thread), which cannot be cancelled."""
    step, via = _instruction(state)
    found = _found(state, state["program"]["tag"])
    gate: bool | None = None
    _announce_sync(via, _record("enter", state, config, found=found, gate=step.get("gate")))
    if step.get("sleep"):
        time.sleep(step["sleep"] / 1000)
    if step.get("gate"):
        gate = _wait_at_gate_sync(via, step["gate"], _bound(step))
    if step["op"] == "effect":
        _announce_sync(via, _record("effect", state, config, name=step.get("name", "effect")))
    if step["op"] == "fail":
        _announce_sync(via, _record("raise", state, config))
        raise ProbeFailure(f"the probe was told to fail (tag {state['program']['tag']})")
    writes = _writes(state, config, step, found)
    _announce_sync(via, _record("leave", state, config, gate_opened=gate))
    return writes


class Inner(TypedDict, total=False):
    """Channels of the subgraph: what its parent found, and what its parent is to write."""

    outer: State
    writes: dict[str, Any]


async def prepare(state: Inner) -> Inner:
    """The subgraph's first superstep: a checkpoint of its own stands before the instruction begins."""
    return {"outer": state["outer"]}


async def work(state: Inner, config: RunnableConfig) -> Inner:
    """The subgraph's second superstep: the instruction."""
    return {"writes": await run_step(state["outer"], config)}


_inner = StateGraph(Inner)
_inner.add_node("prepare", prepare)
_inner.add_node("work", work)
_inner.add_edge(START, "prepare")
_inner.add_edge("prepare", "work")
_inner.add_edge("work", END)
subgraph = _inner.compile(name="doubletext-nested")


async def run_step_nested(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Execute one instruction in a subgraph."""
    inner: dict[str, Any] = await subgraph.ainvoke({"outer": state}, config)
    return dict(inner["writes"])


async def route(state: State) -> Literal["step", "block", "nested", "__end__"]:
    """Choose the node that executes the instruction at ``pc``, or end after the last one."""
    steps = (state.get("program") or {}).get("steps") or []
    pc = state.get("pc") or 0
    if pc >= len(steps):
        return "__end__"
    if steps[pc].get("block"):
        return "block"
    return "nested" if steps[pc].get("nested") else "step"


_builder = StateGraph(State)
_builder.add_node("step", run_step)
_builder.add_node("block", run_step_blocking)
_builder.add_node("nested", run_step_nested)
for _source in (START, "step", "block", "nested"):
    _builder.add_conditional_edges(
        _source, route, {"step": "step", "block": "block", "nested": "nested", "__end__": END}
    )
graph = _builder.compile(name="doubletext")
