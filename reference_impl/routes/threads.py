"""``/threads``: create, read, search, change, delete. The state of a thread is in ``state``."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from reference_impl.house import House, house_of
from reference_impl.schemas import ThreadCreate, ThreadPatch, ThreadSearch
from reference_impl.storage import Thread
from reference_impl.views import thread_view

from .responses import Json
from .router import Router
from .state import current_state

router = Router(prefix="/threads", tags=["Threads"])


async def _view(house: House, thread: Thread) -> dict[str, object]:
    return thread_view(thread, house.multitask, await current_state(house, thread))


@router.post("", response_model=None)
async def create(request: Request, body: ThreadCreate) -> Json:
    """Create a thread; 409 if the id is taken, unless ``if_exists`` says that this is fine."""
    house = house_of(request)
    thread_id = str(body.thread_id) if body.thread_id else None
    if body.if_exists == "do_nothing" and thread_id in house.storage.threads:
        thread = house.storage.thread(thread_id)
    else:
        thread = house.storage.create_thread(thread_id, body.metadata)
    return Json(await _view(house, thread))


@router.post("/search", response_model=None)
async def search(request: Request, query: ThreadSearch) -> Json:
    """List threads; the fields of ``query`` that are given must match. Temporary threads never show."""
    house = house_of(request)
    ids = None if query.ids is None else {str(thread_id) for thread_id in query.ids}
    found = [
        thread
        for thread in house.storage.listed_threads()
        if (ids is None or thread.thread_id in ids)
        and query.status in (None, house.multitask.told_thread_status(thread))
        and all(thread.metadata.get(name) == value for name, value in (query.metadata or {}).items())
    ]
    if query.sort_by == "status":
        found.sort(key=house.multitask.told_thread_status)
    else:
        found.sort(key=lambda thread: str(getattr(thread, query.sort_by)))
    if query.sort_order == "desc":
        found.reverse()
    page = found[query.offset : query.offset + query.limit]
    return Json([await _view(house, thread) for thread in page])


@router.get("/{thread_id}", response_model=None)
async def get(request: Request, thread_id: UUID) -> Json:
    """Read a thread, with its current values."""
    house = house_of(request)
    return Json(await _view(house, house.storage.thread(str(thread_id))))


@router.patch("/{thread_id}", response_model=None)
async def patch(request: Request, thread_id: UUID, body: ThreadPatch) -> Json:
    """Merge ``metadata`` into the thread's."""
    house = house_of(request)
    thread = house.storage.thread(str(thread_id))
    thread.metadata |= body.metadata or {}
    thread.updated_at = house.storage.now()
    return Json(await _view(house, thread))


@router.delete("/{thread_id}", response_model=None)
async def delete(request: Request, thread_id: UUID) -> Response:
    """Delete a thread with its runs and its state; what executes on it is stopped."""
    house = house_of(request)
    thread = house.storage.thread(str(thread_id))
    async with thread.updating:
        house.multitask.delete_thread(thread)
    return Response(status_code=204)
