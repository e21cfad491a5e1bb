"""What the survey learns of a target before anything is judged."""

from __future__ import annotations

import anyio
import pytest

from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address, Client
from conformance.execution.listener import listening
from conformance.execution.preflight import survey


@pytest.mark.parametrize(
    ("arguments", "seen"), [((), "all"), (("--defect", "displaces-only-the-executing"), "executing")]
)
def test_whether_runs_that_wait_are_displaced(arguments: tuple[str, ...], seen: str) -> None:
    async def look(url: str) -> str:
        async with listening() as listener:
            client = Client(Address(url))
            surveyed = await survey(client, listener, Dialect(), None)
            await client.close()
            return surveyed.session.displaces

    with reference_server(*arguments) as url:
        assert anyio.run(look, url) == seen
