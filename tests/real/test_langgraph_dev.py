"""The suite against the real `langgraph dev`: every verdict as recorded, every recorded failure confirmed."""

from __future__ import annotations

import re
import subprocess

import anyio
import jsonschema
import pytest

from conformance.config import Options, Plan
from conformance.dialects import find_dialect
from conformance.driver import Check
from conformance.events import Outcome
from conformance.execution.client import Address
from conformance.execution.transport import StoreRoom
from conformance.report.result import schema
from conformance.requirements import REGISTRY

from .conftest import CONFIRM, Checked, DevServer
from .expectation import Expected, load

pytestmark = pytest.mark.real

MEASURED, EXPECTED = load()
SCRIPT_S = 120
CONFIRMING = sorted({s for e in EXPECTED.values() for s in e.confirmed_by})
ALWAYS = {s for e in EXPECTED.values() if e.verdict == "fail" for s in e.confirmed_by}


def _version(checked: Checked) -> str:
    return f"measured on langgraph-api {MEASURED['langgraph-api']}, this is {checked.result['target']['version']}"


@pytest.mark.parametrize("id", sorted({*EXPECTED, *REGISTRY}))
def test_verdict_is_the_recorded_one(checked: Checked, id: str) -> None:
    assert id in EXPECTED, f"{id} is new: record what langgraph dev does in expectation_langgraph_dev.toml"
    found, expected = checked.requirement(id), EXPECTED[id]
    assert found is not None, f"{id} is recorded, but the check does not know it any more"
    shown = "".join(f"\n\n{v['message']}" for v in found["violations"][:2])
    assert found["verdict"] in expected.accepted, (
        f"{id}: {found['verdict']} ({found['failed']} of {found['exercised']} failed; {found.get('why', '')}), "
        f"recorded is {expected.verdict} ({expected.rate or 'never'}); {_version(checked)}{shown}"
    )
    if expected.verdict == "not-applicable":
        return
    assert found["exercised"] > 0
    if expected.overlap:
        assert found["overlap"] > 0, f"{id} passed without any achieved overlap"
    if expected.verdict == "classified":
        _as_classified(found["policy"], found["hazard"], expected)


def _as_classified(policy: str | None, hazard: str | None, expected: Expected) -> None:
    policies = {re.sub(r" \(\d+\)$", "", p) for p in policy.split(", ")} if policy else set()
    assert policies == set(expected.policy)
    assert (hazard is not None) == expected.hazard, hazard


def test_nothing_is_left_open(checked: Checked) -> None:
    summary, recorded = checked.result["summary"], EXPECTED.values()
    assert (summary["inconclusive"], summary["could_not_run"], summary["harness_error"]) == (0, 0, 0), checked.output
    assert {r["id"] for r in checked.result["requirements"]} == {e.id for e in recorded}
    must_fail = any(e.verdict == "fail" and REGISTRY[e.id].level == "MUST" for e in recorded)
    assert checked.exit_code == checked.result["exit_code"] == (1 if must_fail else 0)


def test_result_is_what_the_schema_says(checked: Checked) -> None:
    jsonschema.validate(checked.result, schema())
    target = checked.result["target"]
    assert (target["server"], target["gate"]) == ("langgraph-api", "callback")


def test_every_failure_shows_its_proof(checked: Checked) -> None:
    for requirement in checked.result["requirements"]:
        for violation in requirement["violations"]:
            assert violation["proof"], violation["message"]
            assert all(re.search(r"\[#\d+", fact) for fact in violation["proof"]), violation["message"]


def test_duration_is_shown(checked: Checked, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = checked.result["duration_s"]
    with capsys.disabled():
        print(f"\nlanggraph dev {checked.result['target']['version']}: checked in {seconds:.0f} s (bar: 180 s)")
        for r in checked.result["requirements"]:
            if r["failed"]:
                print(f"  {r['id']}: {r['failed']} of {r['exercised']}, recorded {EXPECTED[r['id']].rate}")
    assert seconds > 0


@pytest.mark.parametrize("script", CONFIRMING)
def test_failure_is_confirmed_without_the_suite(dev_server: DevServer, script: str) -> None:
    done = subprocess.run(
        [dev_server.python, CONFIRM / script, dev_server.url], capture_output=True, text=True, timeout=SCRIPT_S
    )
    assert done.returncode in ((1,) if script in ALWAYS else (0, 1)), f"{done.stdout}\n{done.stderr}"
    assert "observed:" in done.stdout


# --- the other two ways in which gates and announcements travel ---------------------------------------------------


def _check(url: str, *only: str, cracks: int = 1, rounds: int = 3) -> Outcome:
    options = Options(only=only).checked()
    plan = Plan(url, options, find_dialect("agent-server"), seed=1, cracks=cracks, rounds=rounds)
    check = Check(plan)
    anyio.run(check.run)
    return check.outcome()


def test_gates_work_through_the_store_of_a_remote_target(
    dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Address, "loopback", property(lambda _: False))
    outcome = _check(dev_server.url, "reject.*")
    assert outcome.target["gate"] == "store"
    assert {r.requirement.id: (r.verdict, r.why) for r in outcome.results} == {
        id: ("pass", "") for id in REGISTRY if id.startswith("reject.")
    }
    assert (outcome.exit_code, outcome.leaked) == (0, 0)


def test_without_gates_nothing_is_failed_that_was_not_seen(
    dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: StoreRoom) -> None: ...

    monkeypatch.setattr(Address, "loopback", property(lambda _: False))
    monkeypatch.setattr(StoreRoom, "drain", nothing)  # as if the target had no store: no announcement arrives
    outcome = _check(dev_server.url, "reject.*", rounds=0)
    assert outcome.target["gate"] == "stream"
    assert [f.violation for r in outcome.results for f in r.found] == []
    # Gates are timed here: an overlap is proven by their bound or not at all, and nothing exercised is never a pass.
    assert {r.verdict for r in outcome.results} <= {"pass", "inconclusive"}
    assert all(r.exercised for r in outcome.results if r.verdict == "pass")
    assert (outcome.exit_code, outcome.leaked) in ((0, 0), (3, 0))
