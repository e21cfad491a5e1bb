"""``/store``: the key-value store that clients and nodes (``get_store()``) share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from langgraph.store.base import Item

from reference_impl.errors import BadInput, NotFound
from reference_impl.house import house_of
from reference_impl.schemas import NamespaceSearch, StoreDelete, StorePut, StoreSearch

from .responses import Json
from .router import Router

router = Router(prefix="/store", tags=["Store"])


def _view(item: Item) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


@contextmanager
def _understood() -> Iterator[None]:
    """The store says with a ValueError or a TypeError what it cannot do: labels that are empty or hold a period,
    unknown operators of a filter, values that cannot be compared.

    Raises:
        BadInput: instead of these.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise BadInput(str(error)) from error


@router.put("/items", response_model=None)
async def put(request: Request, body: StorePut) -> Response:
    """Write an item, in the place of an older one with the same key."""
    with _understood():
        await house_of(request).store.aput(tuple(body.namespace), body.key, body.value)
    return Response(status_code=204)


@router.get("/items", response_model=None)
async def get(request: Request, key: str, namespace: Annotated[list[str], Query()]) -> Json:
    """Read an item; ``namespace`` is its labels, joined by periods or given one by one."""
    item = await house_of(request).store.aget(tuple(".".join(namespace).split(".")), key)
    if item is None:
        raise NotFound("Item not found.")
    return Json(_view(item))


@router.delete("/items", response_model=None)
async def delete(request: Request, body: StoreDelete) -> Response:
    """Delete an item; harmless when there is none."""
    with _understood():
        await house_of(request).store.adelete(tuple(body.namespace), body.key)
    return Response(status_code=204)


@router.post("/items/search", response_model=None)
async def search(request: Request, query: StoreSearch) -> Json:
    """List the items below a namespace."""
    with _understood():
        items = await house_of(request).store.asearch(
            tuple(query.namespace_prefix),
            query=query.query,
            filter=query.filter,
            limit=query.limit,
            offset=query.offset,
        )
    return Json({"items": [{**_view(item), "score": item.score} for item in items]})


@router.post("/namespaces", response_model=None)
async def namespaces(request: Request, query: NamespaceSearch) -> Json:
    """List the namespaces that hold items."""
    found = await house_of(request).store.alist_namespaces(
        prefix=tuple(query.prefix) if query.prefix else None,
        suffix=tuple(query.suffix) if query.suffix else None,
        max_depth=query.max_depth,
        limit=query.limit,
        offset=query.offset,
    )
    return Json({"namespaces": found})
