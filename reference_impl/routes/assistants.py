"""``/assistants``: one for each graph."""

from __future__ import annotations

from fastapi import Request

from reference_impl.house import house_of
from reference_impl.schemas import AssistantSearch

from .responses import Json
from .router import Router

router = Router(prefix="/assistants", tags=["Assistants"])


@router.post("/search", response_model=None)
async def search(request: Request, query: AssistantSearch) -> Json:
    """List the assistants; the fields of ``query`` that are given must match."""
    house = house_of(request)
    views = [house.describe(assistant) for assistant in house.assistants()]
    found = [
        view
        for view in views
        if query.graph_id in (None, view["graph_id"])
        and (query.name or "").lower() in view["name"].lower()
        and (query.metadata or {}).items() <= view["metadata"].items()
    ]
    return Json(found[query.offset : query.offset + query.limit])


@router.get("/{assistant_id}", response_model=None)
async def get(request: Request, assistant_id: str) -> Json:
    """Read an assistant, by its id or the id of its graph."""
    house = house_of(request)
    return Json(house.describe(house.assistant(assistant_id)))
