"""The router that all resources use: JSON is parsed strictly."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute


class StrictRequest(Request):
    """Refuses NaN and lone surrogates: they could be neither stored nor answered."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body by :class:`StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handler


Router = partial(APIRouter, route_class=StrictRoute)
