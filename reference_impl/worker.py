"""Executes runs: starts what may start, cancels what must stop, and drives the graph in between.

A run starts as soon as it may, on the event loop's next turn: there is no polling.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import httpx
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, StateSnapshot, StreamMode

from .jsonio import dumps
from .multitask import Ending, Failure, Multitask
from .narrator import Narrator
from .storage import Run, RunSpec, Thread
from .views import run_view

STOP_GRACE: Final = 0.5
"""Seconds that a displaced run's code has to stop, before the thread goes on without it. The fence is
what makes this safe: code that is still executing then can do anything but write to the thread."""

Graph = Pregel[Any, Any, Any, Any]


WEBHOOK_TIMEOUT: Final = 10.0
"""Seconds that the receiver of a webhook has to answer."""


class Execution:
    """A run's task. It *occupies* its thread until it has stopped, or has been given up."""

    __slots__ = ("cancelled", "occupies", "run", "stopped", "task")

    def __init__(self, run: Run, task: asyncio.Task[None]) -> None:
        self.run = run
        self.task = task
        self.cancelled = False
        self.occupies = True
        self.stopped = asyncio.Event()


class Worker:
    """Executes at most ``capacity`` runs at once; threads that have to wait for it are served in turn."""

    def __init__(self, graphs: Mapping[str, Graph], multitask: Multitask, capacity: int) -> None:
        self._graphs = graphs
        self._multitask = multitask
        self._free = capacity
        self._executions: dict[Run, Execution] = {}
        self._starved: dict[Thread, None] = {}
        self._closing = False
        self._calls: set[asyncio.Task[None]] = set()

    # --- starting and stopping ------------------------------------------------------------------------

    def wake(self, thread: Thread) -> None:
        """Look, on the event loop's next turn, whether a run of this thread may start."""
        asyncio.get_running_loop().call_soon(self._advance, thread)

    def call_later(self, seconds: float, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, act)

    def executing(self, thread: Thread) -> list[Run]:
        """The runs of this thread whose code executes, as far as it was not given up."""
        return [e.run for e in self._executions.values() if e.occupies and e.run.thread is thread]

    def cancel(self, run: Run) -> None:
        """Tell the run's code to stop; harmless when it does not execute."""
        execution = self._executions.get(run)
        if execution is None or execution.cancelled:
            return
        execution.cancelled = True
        execution.task.cancel()
        asyncio.get_running_loop().call_later(STOP_GRACE, self._release, execution)

    async def wait_stopped(self, run: Run, timeout: float) -> None:
        """Return when no code of the run executes any more, or after ``timeout`` seconds."""
        if execution := self._executions.get(run):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(execution.stopped.wait(), timeout)

    async def close(self) -> None:
        """Stop everything that executes; does not wait for code that swallows its cancellation."""
        self._closing = True
        tasks = [execution.task for execution in self._executions.values()]
        for execution in [*self._executions.values()]:
            self.cancel(execution.run)
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_GRACE)

    def _advance(self, thread: Thread) -> None:
        while not self._closing and (run := self._multitask.next_run(thread)):
            if self._free <= 0:
                self._starved[thread] = None
                return
            self._start(run)

    def _start(self, run: Run) -> None:
        self._multitask.begin(run)
        self._free -= 1
        task = asyncio.create_task(self._execute(run), name=f"run {run.run_id}")
        execution = self._executions[run] = Execution(run, task)
        task.add_done_callback(lambda _: self._stopped(execution))

    def _stopped(self, execution: Execution) -> None:
        execution.stopped.set()
        self._executions.pop(execution.run, None)
        self._release(execution)

    def _release(self, execution: Execution) -> None:
        """Give the thread, and the place in the worker, to whoever is next."""
        if not execution.occupies:
            return
        execution.occupies = False
        self._free += 1
        self._starved.setdefault(execution.run.thread)  # behind the threads that wait already
        while self._starved and self._free > 0:
            thread = next(iter(self._starved))
            del self._starved[thread]
            self._advance(thread)

    def call_webhook(self, run: Run) -> None:
        """Post the run, as it is now, to its webhook, once; whether that succeeds is nobody's business here."""
        assert run.spec.webhook is not None
        call = asyncio.create_task(_post(run.spec.webhook, dumps(run_view(run, self._multitask))))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    # --- executing ----------------------------------------------------------------------------------------

    async def _execute(self, run: Run) -> None:
        """Drive a run to its end. What a displaced run comes to is nobody's business any more."""
        output, failure = b"null", None
        try:
            ending, output = await self._drive(run)
        except asyncio.CancelledError:
            # Not ours if the run is still inflight: then a node raised it.
            ending, failure = Ending.FAILED, Failure("CancelledError", "The graph cancelled itself.")
        except Exception as error:
            ending, failure = Ending.FAILED, Failure(type(error).__name__, str(error))
        if run.inflight and not self._closing:
            self._multitask.finish(run, ending, output, failure)

    async def _drive(self, run: Run) -> tuple[Ending, bytes]:
        """Execute the graph; return how it ended, and its final values as JSON."""
        graph = self._graphs[run.spec.graph_id]
        identity = self._multitask.writes_as(run)
        narrator = Narrator(run.events, run.spec.stream_mode)
        narrator.begin(run.run_id)
        async for item in graph.astream(
            _given(run.spec),
            _config(run.spec, identity),
            context=run.spec.context,
            stream_mode=cast("list[StreamMode]", [*narrator.graph_modes]),
            interrupt_before=_nodes(run.spec.interrupt_before),
            interrupt_after=_nodes(run.spec.interrupt_after),
            # A superstep is saved before the next one begins: what was followed is never lost.
            durability="sync",
            subgraphs=run.spec.stream_subgraphs,
        ):
            namespace, mode, payload = item if run.spec.stream_subgraphs else ((), *item)
            narrator.tell(namespace, mode, payload)
        final = await graph.aget_state({"configurable": {"thread_id": identity.thread.thread_id}})
        return Ending.WAITING if final.next else Ending.COMPLETED, _output(final)


async def _post(url: str, body: bytes) -> None:
    with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
        async with httpx.AsyncClient(trust_env=False, timeout=WEBHOOK_TIMEOUT) as client:
            await client.post(url, content=body, headers={"content-type": "application/json"})


def _given(spec: RunSpec) -> Any:
    """The run's input as the graph takes it: a state update, a command, or None to go on from the head."""
    if spec.command is None:
        return spec.input
    goto = spec.command.get("goto") or ()
    many = goto if isinstance(goto, list | tuple) else (goto,)
    return Command(
        update=spec.command.get("update"),
        resume=spec.command.get("resume"),
        goto=[Send(g["node"], g.get("input")) if isinstance(g, Mapping) else g for g in many],
    )


def _config(spec: RunSpec, identity: Run) -> RunnableConfig:
    """The ``config`` that nodes see. Its ``configurable`` names the run; the fence goes by that."""
    names = {
        "run_id": identity.run_id,
        "thread_id": identity.thread.thread_id,
        "assistant_id": spec.assistant_id,
        "graph_id": spec.graph_id,
    }
    configurable = {**spec.config.get("configurable", {}), **names, "attempt": 1}
    if spec.checkpoint_id is not None:
        configurable["checkpoint_id"] = spec.checkpoint_id
    metadata = {**spec.config.get("metadata", {}), **spec.metadata, **names}
    return cast("RunnableConfig", {**spec.config, "configurable": configurable, "metadata": metadata})


def _nodes(names: str | tuple[str, ...] | None) -> Any:
    return [*names] if isinstance(names, tuple) else names


def _output(final: StateSnapshot) -> bytes:
    values = final.values
    if final.interrupts and isinstance(values, Mapping):
        values = {**values, "__interrupt__": [*final.interrupts]}
    return dumps(values)
