from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from reference_serving import Bench, bench


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running
