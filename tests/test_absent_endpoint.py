"""A target that has not every way in: what that way is for is not applicable, and nothing else is any worse."""

from __future__ import annotations

from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.embedded import reference_server
from conformance.execution.loop import run

WITHOUT = ("endpoint.same.stream",)
JUDGED = ("endpoint.same.wait", "endpoint.bounded.wait", "reject.code", "reject.conflict", "create.unknown-thread")


def test_a_target_without_streamed_creates_is_judged_by_the_others() -> None:
    with reference_server("--defect", "no-streamed-creates") as url:
        options = Options(only=(*WITHOUT, *JUDGED), settle_timeout=8.0)
        check = Check(Plan(url, options, Dialect(), seed=1, cracks=1, generated=False, rounds=0))
        run(check.run)
    results = {r.requirement.id: r for r in check.outcome().results}
    assert {id: results[id].verdict for id in JUDGED} == dict.fromkeys(JUDGED, "pass")
    assert results["endpoint.same.stream"].verdict == "not-applicable"
    assert results["endpoint.same.stream"].why == "POST …/runs/stream is answered 501: there is no such call"
    assert check.outcome().exit_code == 0
