"""Puts the server together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from langgraph.store.memory import InMemoryStore

from . import VERSION
from .checkpoints import CheckpointStore
from .errors import ApiError
from .house import House
from .middleware import ApiKey, BodyLimit, Jitter
from .multitask import Multitask
from .routes import ROUTERS
from .routes.responses import Json
from .storage import Storage
from .threadpool import DaemonThreads
from .worker import Graph, Worker

DEFAULT_WORKERS = 64


def create_app(
    graphs: Mapping[str, Graph],
    *,
    multitask: Multitask | None = None,
    defect: str | None = None,
    workers: int = DEFAULT_WORKERS,
    api_key: str | None = None,
    jitter: float = 0.0,
    seed: int | None = None,
) -> FastAPI:
    """Make the server, as an ASGI application.

    Args:
        graphs: The compiled graphs to serve, by graph id.
        multitask: The decisions about runs; a deliberately broken one to test testers.
        defect: The name of the defect that ``multitask`` has, for ``/info``.
        workers: How many runs execute at once.
        api_key: What clients must send as ``x-api-key``; None admits everybody.
        jitter: Up to this many seconds of random delay before each response.
        seed: Makes the delays repeatable.
    """
    app = FastAPI(title="Doubletext reference server", version=VERSION, lifespan=_lifespan)
    app.state.house = build_house(graphs, multitask or Multitask(), workers)
    app.state.defect = defect
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    app.add_exception_handler(ApiError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_input)
    app.state.house.multitask.furnish(app)
    app.add_middleware(BodyLimit)
    if api_key is not None:
        app.add_middleware(ApiKey, key=api_key)
    if jitter > 0:
        app.add_middleware(Jitter, maximum=jitter, dice=random.Random(seed))
    return app


def build_house(graphs: Mapping[str, Graph], multitask: Multitask, workers: int) -> House:
    """Make the parts of a server, and introduce them to one another."""
    storage, checkpoints, store = Storage(), CheckpointStore(), InMemoryStore()
    # The graphs are compiled already: their copies get this server's checkpointer and store.
    own = {name: graph.copy(update={"checkpointer": checkpoints, "store": store}) for name, graph in graphs.items()}
    worker = Worker(own, multitask, workers)
    multitask.attach(storage, checkpoints, worker)
    return House(
        storage=storage,
        checkpoints=checkpoints,
        multitask=multitask,
        worker=worker,
        graphs=own,
        store=store,
        started_at=storage.now(),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    yield
    await app.state.house.close()


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, ApiError)
    return Response(status_code=error.status) if error.body is None else Json(error.body, error.status)


async def _refuse_input(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Say where the input is wrong, and how; not repeat it."""
    assert isinstance(error, RequestValidationError)
    detail = [{name: found[name] for name in ("type", "loc", "msg")} for found in error.errors()]
    return Json({"detail": detail}, 422)
