"""What the survey learns of a target before anything is judged."""

from __future__ import annotations

import anyio
import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address
from conformance.execution.preflight import count_slots
from conformance.fuzz.lab import laboratory
from conformance.programs import gate, program


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ((), "all"),
        (("--defect", "displaces-only-the-executing"), "executing"),
        (("--defect", "only-rollbacks-spare-what-waits"), "interrupt-all"),
    ],
)
def test_whether_runs_that_wait_are_displaced_is_known_here_and_to_whoever_is_told(
    arguments: tuple[str, ...], seen: str
) -> None:
    async def look(url: str) -> tuple[str, str]:
        address, options, dialect = Address(url), Options(), Dialect()
        async with laboratory(address, options, dialect) as lab:
            known = lab.known(4)
            here = lab.session.displaces
        async with laboratory(address, options, dialect, known=type(known).from_json(known.to_json())) as there:
            history = await there.execute(program("one").create("A", "enqueue", gate("g")).open("g"))
            return here, history.displaces

    with reference_server(*arguments) as url:
        assert anyio.run(look, url) == (seen, seen)


@pytest.mark.parametrize(("slots", "most", "counted"), [(5, 24, 5), (40, 24, 24), (40, 30, 30)])
def test_as_many_slots_are_counted_as_are_there_and_asked_for(slots: int, most: int, counted: int) -> None:
    async def look(url: str) -> int:
        async with laboratory(Address(url), Options(), Dialect()) as lab:
            return await count_slots(lab.session, lab.session.bounds.timed, most)

    with reference_server("--workers", str(slots)) as url:
        assert anyio.run(look, url) == counted
