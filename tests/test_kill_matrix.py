"""The kill matrix: every deliberate defect is found by the requirements that it must break, and by no other; a variant,
which breaks nothing, by none.

Here with a share of the programs that exercise other requirements, another one for each defect; `doubletext selftest`
executes all of them.
"""

from __future__ import annotations

import pytest

from conformance import selftest
from conformance.requirements import REGISTRY
from conformance.selftest import check_defect, cracks_for
from reference_impl.defects import all_defects, all_variants
from reference_impl.defects.registry import Defect
from tests.forked import forked_server

DEFECTS = (*all_defects(), *all_variants())
SHARE, OF_A_CRACK = 0.05, 0.4
"""One that lives in the cracks breaks in one of ten: a small share of their programs shows it every second time."""
TRIES = 3


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.name)
def test_defect_is_killed_by_exactly_the_right_requirements(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "reference_server", forked_server)
    seed, survived = DEFECTS.index(defect), set(defect.must_fail)
    cracks, share = cracks_for(defect.name), OF_A_CRACK if defect.name.endswith("in-the-cracks") else SHARE
    for again in range(TRIES):
        # What a race did not show is tried again; a wrong accusation never is.
        kill = check_defect(defect.name, defect.must_fail, defect.may_fail, cracks, seed + again * len(DEFECTS), share)
        assert kill.error is None
        assert kill.wrong == (), f"failed without cause: {kill.failed}"
        survived &= set(kill.survived)
        if not survived:
            break
    assert survived == set(), f"failed instead: {kill.failed}"


def test_every_must_and_should_is_killed_by_some_defect() -> None:
    killed = {id for d in DEFECTS for id in d.must_fail}
    alive = {r.id for r in REGISTRY.values() if r.level in ("MUST", "SHOULD")} - killed
    assert alive == set()


def test_defects_name_requirements_that_exist() -> None:
    named = {id for d in DEFECTS for id in (*d.must_fail, *d.may_fail)}
    assert named <= set(REGISTRY)
