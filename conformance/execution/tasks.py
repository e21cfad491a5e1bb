"""Background work that ends with the block it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc


@asynccontextmanager
async def background() -> AsyncIterator[anyio.abc.TaskGroup]:
    """A task group that is cancelled at the end of the block; the block's own error comes out bare."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as e:
            failure = e
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
