"""``/threads/{id}/state`` and ``/history``: what a thread's checkpoints hold, and updates to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Query, Request
from langchain_core.runnables import RunnableConfig
from langgraph.errors import InvalidUpdateError
from langgraph.types import StateSnapshot

from reference_impl.errors import BadInput, NotFound
from reference_impl.house import House, house_of
from reference_impl.jsonio import dumps
from reference_impl.schemas import HistoryQuery, Limit, StateAt, StateUpdate
from reference_impl.storage import Thread
from reference_impl.views import state_view

from .responses import Json
from .router import Router

router = Router(prefix="/threads/{thread_id}", tags=["Threads"])


def _place(thread: Thread, checkpoint_id: str | None = None) -> RunnableConfig:
    chosen = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {"configurable": {"thread_id": thread.thread_id, "checkpoint_ns": "", **chosen}}


async def current_state(house: House, thread: Thread) -> StateSnapshot | None:
    """The state at the head of the thread's lineage; None when there is no checkpoint."""
    graph = house.graph_of(thread)
    if graph is None or house.checkpoints.lineage(thread.thread_id).head() is None:
        return None
    return await graph.aget_state(_place(thread))


async def _state_at(request: Request, thread_id: UUID, checkpoint_id: str) -> Json:
    house = house_of(request)
    thread = house.storage.thread(str(thread_id))
    graph = house.graph_of(thread)
    if graph is None or ("", checkpoint_id) not in house.checkpoints.lineage(thread.thread_id).saved:
        raise NotFound(f"Checkpoint {checkpoint_id} not found.")
    return Json(state_view(thread.thread_id, await graph.aget_state(_place(thread, checkpoint_id))))


@router.get("/state", response_model=None)
async def get(request: Request, thread_id: UUID) -> Json:
    """Read the current state."""
    house = house_of(request)
    thread = house.storage.thread(str(thread_id))
    return Json(state_view(thread.thread_id, await current_state(house, thread)))


@router.get("/state/{checkpoint_id}", response_model=None)
async def get_at(request: Request, thread_id: UUID, checkpoint_id: str) -> Json:
    """Read the state at a checkpoint."""
    return await _state_at(request, thread_id, checkpoint_id)


@router.post("/state/checkpoint", response_model=None)
async def post_at(request: Request, thread_id: UUID, body: StateAt) -> Json:
    """Read the state at a checkpoint; without an id, the current one."""
    if body.checkpoint.checkpoint_id is None:
        return await get(request, thread_id)
    return await _state_at(request, thread_id, body.checkpoint.checkpoint_id)


@router.post("/state", response_model=None)
async def update(request: Request, thread_id: UUID, body: StateUpdate) -> Json:
    """Write a checkpoint on a client's behalf; 409 while a run is inflight, which it would race with."""
    house = house_of(request)
    thread = house.storage.thread(str(thread_id))
    graph = house.graph_to_update(thread)
    checkpoint_id = body.checkpoint_id or (body.checkpoint.checkpoint_id if body.checkpoint else None)
    # A run that is created meanwhile waits for this lock, and then builds on the update.
    async with thread.updating:
        house.multitask.admit_update(thread)
        try:
            config = await graph.aupdate_state(_place(thread, checkpoint_id), body.values, body.as_node)
        except (InvalidUpdateError, ValueError, TypeError, KeyError) as error:
            raise BadInput(f"The graph does not take this update: {error}") from error
        finally:
            house.worker.wake(thread)
    thread.graph_id = next(name for name, served in house.graphs.items() if served is graph)
    thread.updated_at = house.storage.now()
    state = state_view(thread.thread_id, await graph.aget_state(config))
    return Json({"checkpoint": state["checkpoint"], **(state["checkpoint"] or {})})


async def _history(house: House, thread: Thread, query: HistoryQuery) -> Json:
    graph = house.graph_of(thread)
    lineage = house.checkpoints.lineage(thread.thread_id)
    asked = (graph, query, lineage.content())
    if lineage.told is not None and lineage.told[0] == asked:
        return Json(lineage.told[1])
    before = query.before_id()
    states: list[dict[str, Any]] = []
    if graph is not None:
        async for state in graph.aget_state_history(
            _place(thread),
            filter=query.metadata,
            before=_place(thread, before) if before else None,
            limit=query.limit,
        ):
            states.append(state_view(thread.thread_id, state))
    answer = dumps(states)
    if lineage.content() == asked[-1]:  # langgraph awaits while it reads
        lineage.told = asked, answer
    return Json(answer)


@router.get("/history", response_model=None)
async def get_history(
    request: Request, thread_id: UUID, limit: Limit = 10, before: str | None = Query(default=None)
) -> Json:
    """List the checkpoints, newest first."""
    house = house_of(request)
    thread = house.storage.thread(str(thread_id))
    return await _history(house, thread, HistoryQuery(limit=limit, before=before))


@router.post("/history", response_model=None)
async def post_history(request: Request, thread_id: UUID, query: HistoryQuery) -> Json:
    """List the checkpoints, newest first; the fields of ``query`` that are given must match."""
    house = house_of(request)
    return await _history(house, house.storage.thread(str(thread_id)), query)
