"""``/runs``: runs without a thread of the client's. Each has a temporary one, deleted with it."""

from __future__ import annotations

import asyncio

from fastapi import Request
from fastapi.responses import Response

from reference_impl.house import House, house_of
from reference_impl.schemas import StatelessRunCreate
from reference_impl.storage import Run
from reference_impl.views import run_view

from .responses import EventStream, Json
from .router import Router
from .runs import answer_when_over, location, stream_of

router = Router(prefix="/runs", tags=["Stateless Runs"])

_cleaning: set[asyncio.Task[None]] = set()  # asyncio itself only holds its tasks weakly


async def _accept(request: Request, body: StatelessRunCreate) -> Run:
    house = house_of(request)
    assistant = house.assistant(body.assistant_id)
    thread = house.multitask.temporary_thread(kept=body.on_completion != "delete")
    run = await house.multitask.create(thread, body.spec(assistant.assistant_id, assistant.graph_id))
    if thread.temporary:
        task = asyncio.create_task(_delete_when_over(house, run))
        _cleaning.add(task)
        task.add_done_callback(_cleaning.discard)
    return run


async def _delete_when_over(house: House, run: Run) -> None:
    await run.events.wait_closed()
    house.multitask.delete_thread(run.thread)


@router.post("", response_model=None)
async def create(request: Request, body: StatelessRunCreate) -> Json:
    """Create a run on a temporary thread and answer at once."""
    run = await _accept(request, body)
    return Json(run_view(run, house_of(request).multitask), headers={"content-location": location(run)})


@router.post("/wait", response_model=None)
async def wait(request: Request, body: StatelessRunCreate) -> Response:
    """Create a run on a temporary thread, and answer with its final values when it is over."""
    return await answer_when_over(
        request, await _accept(request, body), how="wait", cancel=body.on_disconnect == "cancel"
    )


@router.post("/stream", response_model=None)
async def stream(request: Request, body: StatelessRunCreate) -> EventStream:
    """Create a run on a temporary thread and stream its events."""
    return stream_of(request, await _accept(request, body), how="stream", cancel=body.on_disconnect == "cancel")
