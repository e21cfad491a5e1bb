"""The suite against the real JavaScript server: the probe in TypeScript, the doctor, every verdict as recorded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from conformance.probe import graph as python_probe
from conformance.probe.install import KINDS
from conformance.report.result import schema
from conformance.requirements import REGISTRY

from .conftest import CHECK_S, Checked, locked
from .expectation import load
from .js_server import JS, node_modules, serving

pytestmark = pytest.mark.real

FILE = Path(__file__).parent / "expectation_langgraph_js.toml"
MEASURED, EXPECTED = load(FILE)
SCRIPT_S = 120
CONFIRMING = sorted({s for e in EXPECTED.values() for s in e.confirmed_by})
DIALECT = ("--dialect", "agent-server-js")


@pytest.fixture(scope="module")
def modules() -> Path:
    return node_modules()


@pytest.fixture(scope="module")
def js_server(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh server: some calls harm it for good."""
    with serving(tmp_path_factory.mktemp("langgraph-js"), modules) as url:
        yield url


@pytest.fixture(scope="module")
def js_checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The result of one check, made once, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "js-checked"
    with locked(folder.with_suffix(".lock")):
        if not (folder / "exit-code").exists():
            folder.mkdir(exist_ok=True)
            # A server of its own: what is checked last costs it its workers.
            with serving(tmp_path_factory.mktemp("js-checked"), request.getfixturevalue("modules")) as url:
                command = [sys.executable, "-m", "conformance.cli", "check", url, *DIALECT, "--no-color"]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=2 * CHECK_S)
            (folder / "output").write_text(done.stdout + done.stderr)
            (folder / "exit-code").write_text(str(done.returncode))
    output, result = (folder / "output").read_text(), folder / "doubletext-report" / "result.json"
    if not result.exists():
        pytest.fail(f"the check left no result:\n{output[-3000:]}")
    return Checked(int((folder / "exit-code").read_text()), json.loads(result.read_text()), output)


# --- the probe ------------------------------------------------------------------------------------


def _states() -> list[dict[str, Any]]:
    """Inputs of the pure functions, of every instruction."""
    log = [{"tag": "A~1~", "step": i, "op": "emit", "run": None} for i in range(3)]
    messages = [
        {"type": "human", "id": "in-A", "content": "A"},
        {"type": "ai", "id": "ai-A-0", "content": ""},
        {"type": "tool", "id": "tool-A-1", "content": "done"},
        {"type": "human", "id": "in-B", "content": "B"},
    ]
    steps = [
        {"op": "emit"},
        {"op": "add"},
        {"op": "add", "by": 3},
        {"op": "note", "value": "x"},
        {"op": "note"},
        {"op": "call", "id": "c1"},
        {"op": "result", "id": "c1"},
        {"op": "effect", "block": True},
    ]
    states: list[dict[str, Any]] = [{}, {"program": {"tag": "B", "steps": []}, "pc": 0}]
    for pc in range(len(steps) + 1):
        program = {"tag": "B", "steps": steps, "via": {}}
        states.append({"program": program, "pc": pc, "log": log, "counter": 4, "note": "äöü\n", "messages": messages})
    return states


def _by_python(state: dict[str, Any]) -> dict[str, Any]:
    kinds = {"human": HumanMessage, "ai": AIMessage, "tool": ToolMessage}
    messages = [
        kinds[m["type"]](**{"tool_call_id": "x", **m} if m["type"] == "tool" else m) for m in state.get("messages", [])
    ]
    alive: Any = {**state, "messages": messages}
    found = python_probe._found(alive, "B")
    steps = (state.get("program") or {}).get("steps") or []
    writes: dict[str, Any] = {}
    if steps and state["pc"] < len(steps):
        config: Any = {"configurable": {"run_id": "run-1"}}
        writes = python_probe._writes(alive, config, steps[state["pc"]], found)
    written = [
        [m.type, m.id, m.content, m.tool_calls[0]["id"] if isinstance(m, AIMessage) else m.tool_call_id]
        for m in writes.pop("messages", [])
    ]
    return {"found": found, "writes": writes, "messages": written}


def test_both_probes_compute_the_same(modules: Path, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(KINDS["js"].source, tmp_path / KINDS["js"].file)
    shutil.copy(JS / "same_as_python.ts", tmp_path)
    digests, states = [[], [""], ["A:0", "B:1"], ["ä", "\U0001f600", "x\ny"]], _states()
    given = json.dumps({"digests": digests, "states": [{"state": s, "tag": "B"} for s in states]})
    command = ["node", str(modules / "tsx" / "dist" / "cli.mjs"), "same_as_python.ts"]
    done = subprocess.run(command, cwd=tmp_path, input=given, capture_output=True, text=True, timeout=SCRIPT_S)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["digests"] == [python_probe.digest(d) for d in digests]
    for state, answer in zip(states, said["answers"], strict=True):
        by_python = {**_by_python(state), "route": anyio.run(python_probe.route, state)}
        assert answer == by_python, state.get("pc")


def test_the_probe_type_checks(modules: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(KINDS["js"].source, tmp_path / KINDS["js"].file)
    tsc = ["node", str(modules / "typescript" / "bin" / "tsc"), "--noEmit", "--strict", "--skipLibCheck"]
    tsc += ["--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", KINDS["js"].file]
    done = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=SCRIPT_S)
    assert done.returncode == 0, done.stdout


# --- the target -----------------------------------------------------------------------------------


def test_the_doctor_knows_it(js_server: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conformance.cli", "doctor", js_server, "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SCRIPT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["server"], said["dialect"]) == ("@langchain/langgraph-api", "agent-server-js")
    assert said["gates"] == {"callback": True, "store": True, "stream": True}
    assert {name for name, ok in said["features"].items() if not ok} == {
        "bulk cancel",
        "openapi.json",
        "update-state while busy",
    }
    assert (said["measured"]["default_strategy"], said["measured"]["refusal_code"]) == ("reject", 422)


@pytest.mark.parametrize("id", sorted({*EXPECTED, *REGISTRY}))
def test_verdict_is_the_recorded_one(js_checked: Checked, id: str) -> None:
    assert id in EXPECTED, f"{id} is new: record what the JavaScript server does in {FILE.name}"
    found, expected = js_checked.requirement(id), EXPECTED[id]
    assert found is not None
    shown = "".join(f"\n\n{v['message']}" for v in found["violations"][:2])
    assert found["verdict"] in expected.accepted, (
        f"{id}: {found['verdict']} ({found['failed']} of {found['exercised']} failed; {found.get('why', '')}), "
        f"recorded is {expected.verdict} ({expected.rate or 'never'}){shown}"
    )
    if expected.verdict == "not-applicable":
        return
    if found["verdict"] == "inconclusive":
        return
    assert found["exercised"] > 0
    if expected.overlap:
        assert found["overlap"] > 0
    for policy in expected.policy:
        assert policy in (found["policy"] or "")


def test_result(js_checked: Checked) -> None:
    jsonschema.validate(js_checked.result, schema())
    summary = js_checked.result["summary"]
    assert (summary["could_not_run"], summary["harness_error"]) == (0, 0), js_checked.output
    undecided = {r["id"] for r in js_checked.result["requirements"] if r["verdict"] == "inconclusive"}
    assert undecided <= {e.id for e in EXPECTED.values() if "inconclusive" in e.accepted}, js_checked.output
    assert js_checked.exit_code == js_checked.result["exit_code"] == 1


@pytest.mark.parametrize("script", CONFIRMING)
def test_failure_is_confirmed_without_the_suite(modules: Path, tmp_path: Path, script: str) -> None:
    with serving(tmp_path, modules) as url:  # a fresh one: some of them harm it
        command = [sys.executable, JS / "confirm" / script, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SCRIPT_S)
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr}"
    assert "observed:" in done.stdout
