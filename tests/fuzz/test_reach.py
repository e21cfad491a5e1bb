"""What generated programs can express: every requirement that can fail, but for a list; and so every defect."""

from __future__ import annotations

import fnmatch

import anyio
import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.fuzz.grammar import UNREACHED, generate
from conformance.fuzz.lab import Lab, laboratory
from conformance.requirements import REGISTRY
from conformance.requirements.base import Exercised, Inapplicable
from reference_impl.defects import all_defects

BATCH, BATCHES = 80, 8


def listed(id: str) -> bool:
    return any(fnmatch.fnmatch(id, glob) for glob in UNREACHED)


CAN_FAIL = {id for id, r in REGISTRY.items() if r.level in ("MUST", "SHOULD")}
WANTED = {id for id in CAN_FAIL if not listed(id)}


@pytest.fixture(scope="module")
def exercised() -> set[str]:
    """The requirements that generated programs exercise on the correct server."""
    found: set[str] = set()

    async def one(lab: Lab, i: int) -> None:
        trial = await lab.trial(generate(f"reach/{i}", f"reach {i}", harming=i % 4 == 3), whole=True)
        assert trial is not None
        assert not trial.sightings
        for id, said in trial.judged.items():
            if any(isinstance(j, Exercised | Inapplicable) for j in said.judgements):  # this server refuses some calls
                found.add(id)

    async def search(url: str) -> None:
        async with laboratory(Address(url), Options(), Dialect()) as lab:
            for batch in range(BATCHES):
                async with anyio.create_task_group() as tasks:
                    for i in range(BATCH):
                        tasks.start_soon(one, lab, batch * BATCH + i)
                if found >= WANTED:
                    return

    with reference_server() as url:
        run(lambda: search(url))
    return found


def test_generated_programs_exercise_all_that_can_fail_but_what_is_listed(exercised: set[str]) -> None:
    assert WANTED - exercised == set()
    assert {id for id in exercised if listed(id)} == set()
    assert all(any(fnmatch.fnmatch(id, glob) for id in CAN_FAIL) and why for glob, why in UNREACHED.items())


@pytest.mark.parametrize("defect", all_defects(), ids=lambda d: d.name)
def test_what_a_defect_breaks_is_exercised_or_listed(defect: object, exercised: set[str]) -> None:
    must: tuple[str, ...] = defect.must_fail  # type: ignore[attr-defined]
    assert exercised.intersection(must) or all(map(listed, must))
