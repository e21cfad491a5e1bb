"""How threads, runs and states look from outside: the API's JSON objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import PregelTask, StateSnapshot

from .multitask import Multitask
from .storage import Run, Thread


def run_view(run: Run, multitask: Multitask) -> dict[str, Any]:
    """The API's ``Run``."""
    spec = run.spec
    return {
        "run_id": run.run_id,
        "thread_id": run.thread.thread_id,
        "assistant_id": spec.assistant_id,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "status": multitask.told_status(run),
        "metadata": spec.metadata,
        "multitask_strategy": spec.strategy,
        "kwargs": {
            "input": spec.input,
            "command": spec.command,
            "config": spec.config,
            "context": spec.context,
            "stream_mode": spec.stream_mode,
        },
    }


def thread_view(thread: Thread, multitask: Multitask, state: StateSnapshot | None) -> dict[str, Any]:
    """The API's ``Thread``; ``state`` is the current one, None for a thread without any."""
    return {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "metadata": thread.metadata,
        "status": multitask.told_thread_status(thread),
        "config": {},
        "values": (state.values or None) if state else None,
        "interrupts": {t.id: _interrupts(t) for t in state.tasks if t.interrupts} if state else {},
    }


def state_view(thread_id: str, state: StateSnapshot | None) -> dict[str, Any]:
    """The API's ``ThreadState``; that of a thread without any checkpoint is empty, with a null checkpoint."""
    empty = StateSnapshot({}, (), {}, None, None, None, (), ())
    state = state or empty
    checkpoint = _checkpoint(thread_id, state.config)
    parent = _checkpoint(thread_id, state.parent_config)
    return {
        "values": state.values,
        "next": state.next,
        "tasks": [_task(task) for task in state.tasks],
        "metadata": state.metadata,
        "created_at": state.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "checkpoint_id": checkpoint and checkpoint["checkpoint_id"],
        "parent_checkpoint_id": parent and parent["checkpoint_id"],
        "interrupts": [{"value": i.value, "id": i.id} for i in state.interrupts],
    }


def _checkpoint(thread_id: str, config: RunnableConfig | Mapping[str, Any] | None) -> dict[str, Any] | None:
    place = (config or {}).get("configurable", {})
    if not place.get("checkpoint_id"):
        return None
    return {
        "thread_id": thread_id,
        "checkpoint_ns": place.get("checkpoint_ns", ""),
        "checkpoint_id": place["checkpoint_id"],
    }


def _task(task: PregelTask) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": None if task.error is None else repr(task.error),
        "interrupts": _interrupts(task),
        "checkpoint": None,
        "state": None,
        "result": task.result,
    }


def _interrupts(task: PregelTask) -> list[dict[str, Any]]:
    return [{"value": i.value, "id": i.id} for i in task.interrupts]
