"""``/threads/{id}/runs``: create (in three ways), list, read, wait for, cancel, delete."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Header, Query, Request
from fastapi.responses import Response

from reference_impl.errors import NotFound
from reference_impl.house import House, house_of
from reference_impl.multitask import Attending, Endpoint
from reference_impl.schemas import Limit, Offset, RunCreate, RunsCancel
from reference_impl.storage import Run, RunStatus
from reference_impl.views import run_view

from .responses import EventStream, Json, still_there
from .router import Router

router = Router(tags=["Thread Runs"])


def location(run: Run) -> str:
    """The run's path, as the SDK expects it in ``Content-Location``."""
    return f"/threads/{run.thread.thread_id}/runs/{run.run_id}"


async def accept(request: Request, thread_id: UUID, body: RunCreate, endpoint: Endpoint) -> Run:
    """Create a run on a thread.

    Raises:
        NotFound: no such assistant; or no such thread, and ``if_not_exists`` is not ``create``.
        Conflict: refused because of an inflight run.
    """
    house = house_of(request)
    assistant = house.assistant(body.assistant_id)
    thread = await house.multitask.thread(str(thread_id), make=body.if_not_exists == "create")
    return await house.multitask.accept(thread, body.spec(assistant.assistant_id, assistant.graph_id), endpoint)


def interrupt_if_inflight(house: House, run: Run) -> None:
    """What ``on_disconnect=cancel`` means, when the client has left."""
    if run.inflight:
        house.multitask.cancel(run, keep_progress=True)


async def answer_when_over(request: Request, run: Run, *, how: Attending, cancel: bool) -> Response:
    """Wait for the run's end and answer with its final values, or with ``__error__`` that says why not."""
    headers = {"content-location": location(run), "location": f"{location(run)}/join"}
    events = house_of(request).multitask.events_of(run, how)
    if not await still_there(request, events) and cancel:
        interrupt_if_inflight(house_of(request), run)
    return Json(run.output, headers=headers)


def stream_of(
    request: Request, run: Run, *, how: Attending, cancel: bool, after: int = 0, modes: str = ""
) -> EventStream:
    """The run's events, from the one after the id ``after``; only those of the ``modes``, if given."""
    house = house_of(request)
    always = {"metadata", "error"}
    names = {"messages" if mode == "messages-tuple" else mode for mode in modes.split(",") if mode}

    def wanted(event: str) -> bool:
        return not names or event in always or event.split("|")[0].split("/")[0] in names

    return EventStream(
        house.multitask.events_of(run, how),
        after=after,
        wanted=wanted,
        on_disconnect=(lambda: interrupt_if_inflight(house, run)) if cancel else (lambda: None),
        headers={"content-location": location(run), "location": f"{location(run)}/stream"},
    )


@router.post("/threads/{thread_id}/runs", response_model=None)
async def create(request: Request, thread_id: UUID, body: RunCreate) -> Json:
    """Create a run and answer at once."""
    run = await accept(request, thread_id, body, "runs")
    return Json(run_view(run, house_of(request).multitask), headers={"content-location": location(run)})


@router.post("/threads/{thread_id}/runs/wait", response_model=None)
async def wait(request: Request, thread_id: UUID, body: RunCreate) -> Response:
    """Create a run, and answer with its final values when it is over."""
    run = await accept(request, thread_id, body, "wait")
    return await answer_when_over(request, run, how="wait", cancel=body.on_disconnect == "cancel")


@router.post("/threads/{thread_id}/runs/stream", response_model=None)
async def create_stream(request: Request, thread_id: UUID, body: RunCreate) -> EventStream:
    """Create a run and stream its events."""
    run = await accept(request, thread_id, body, "stream")
    return stream_of(request, run, how="stream", cancel=body.on_disconnect == "cancel")


@router.get("/threads/{thread_id}/runs", response_model=None)
async def list_runs(
    request: Request, thread_id: UUID, limit: Limit = 10, offset: Offset = 0, status: RunStatus | None = None
) -> Json:
    """List the thread's runs, newest first."""
    house = house_of(request)
    views = [run_view(run, house.multitask) for run in reversed(house.storage.thread(str(thread_id)).runs)]
    found = [view for view in views if status in (None, view["status"])]
    return Json(found[offset : offset + limit])


@router.get("/threads/{thread_id}/runs/{run_id}", response_model=None)
async def get(request: Request, thread_id: UUID, run_id: UUID) -> Json:
    """Read a run."""
    house = house_of(request)
    return Json(run_view(house.storage.run(str(thread_id), str(run_id)), house.multitask))


@router.get("/threads/{thread_id}/runs/{run_id}/join", response_model=None)
async def join(request: Request, thread_id: UUID, run_id: UUID, cancel_on_disconnect: bool = False) -> Response:
    """Wait for a run that exists already."""
    run = house_of(request).storage.run(str(thread_id), str(run_id))
    return await answer_when_over(request, run, how="join", cancel=cancel_on_disconnect)


@router.get("/threads/{thread_id}/runs/{run_id}/stream", response_model=None)
async def join_stream(
    request: Request,
    thread_id: UUID,
    run_id: UUID,
    stream_mode: Annotated[list[str] | None, Query()] = None,
    cancel_on_disconnect: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Stream the events of a run that exists already: all of them, or those after ``Last-Event-ID``."""
    run = house_of(request).storage.run(str(thread_id), str(run_id))
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0
    return stream_of(
        request, run, how="join-stream", cancel=cancel_on_disconnect, after=after, modes=",".join(stream_mode or ())
    )


@router.post("/threads/{thread_id}/runs/{run_id}/cancel", response_model=None)
async def cancel(
    request: Request, thread_id: UUID, run_id: UUID, wait: bool = False, action: str = "interrupt"
) -> Response:
    """Stop a run: ``interrupt`` keeps what it wrote, ``rollback`` undoes it and deletes the run.

    As on the Agent Server an unknown action is an interrupt. With ``wait`` it answers when the run's
    code has stopped. 404 if the run is over already.
    """
    house = house_of(request)
    run = house.storage.run(str(thread_id), str(run_id))
    house.multitask.cancel(run, keep_progress=action != "rollback")
    await house.multitask.cancelled(run, wait=wait)
    return Json({}) if wait else Response(status_code=202)


@router.post("/runs/cancel", response_model=None)
async def cancel_many(request: Request, body: RunsCancel, action: str = "interrupt") -> Response:
    """Stop several runs, in the order of their creation; those that are over are left alone."""
    house = house_of(request)
    threads = [*house.storage.threads.values()]
    if body.thread_id is not None:
        threads = [house.storage.thread(str(body.thread_id))]
    ids = None if body.run_ids is None else {str(run_id) for run_id in body.run_ids}
    chosen = [run for thread in threads for run in thread.runs if ids is None or run.run_id in ids]
    if ids is not None and not chosen:
        raise NotFound("None of these runs exists.")
    matching = [run for run in chosen if run.inflight and body.status in (None, "all", run.status)]
    house.multitask.cancel_many(matching, keep_progress=action != "rollback")
    return Response(status_code=204)


@router.delete("/threads/{thread_id}/runs/{run_id}", response_model=None)
async def delete(request: Request, thread_id: UUID, run_id: UUID) -> Response:
    """Delete a run; if it executes it is stopped."""
    house = house_of(request)
    house.multitask.delete(house.storage.run(str(thread_id), str(run_id)))
    return Response(status_code=204)
