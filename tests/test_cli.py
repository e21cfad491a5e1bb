"""The command line as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.embedded import stop
from conformance.facts import Fact
from conformance.history import History
from conformance.report.result import replay_command, schema
from conformance.requirements import REGISTRY
from conformance.requirements.base import Violation
from conformance.selftest import Kill, _each, _exit_code, _line, _summary
from conformance.verdicts import Found, judge
from reference_impl.defects import all_variants

DOUBLETEXT = (sys.executable, "-m", "conformance.cli")


def doubletext(*arguments: str, cwd: Path, expect: int = 0) -> str:
    done = subprocess.run([*DOUBLETEXT, *arguments], capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One check of the rejects on the embedded server: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("checked")
    said = doubletext("check", "--only", "reject.*", "--report", "json,junit", "--seed", "7", cwd=folder)
    return folder / "doubletext-report", said


def test_a_check_of_the_embedded_server_passes(checked: tuple[Path, str]) -> None:
    _, said = checked
    assert "5 pass, 0 fail" in said
    assert "(seed 7)" in said
    assert all(len(line) <= 80 for line in said.splitlines())


def test_result_json_is_what_its_schema_says(checked: tuple[Path, str]) -> None:
    result = json.loads((checked[0] / "result.json").read_text())
    jsonschema.validate(result, schema())
    assert {r["id"] for r in result["requirements"]} == {i for i in REGISTRY if i.startswith("reject.")}
    assert result["summary"]["pass"] == 5
    assert (result["exit_code"], result["seed"], result["target"]["gate"]) == (0, 7, "callback")
    assert all(r["exercised"] > 0 for r in result["requirements"])


def test_junit_counts_the_same(checked: tuple[Path, str]) -> None:
    suite = ET.parse(checked[0] / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "5",
        "0",
        "0",
        "0",
    )


def test_saved_histories_are_whole_and_judged_alike(checked: tuple[Path, str]) -> None:
    files = sorted((checked[0] / "histories").glob("*.jsonl"))
    assert len(files) > 10
    for file in files:
        judged = judge(History.load(file), [i for i in REGISTRY if i.startswith("reject.")])
        assert not any(j.violations or j.error for j in judged.values())


def test_a_failure_says_everything(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [*DOUBLETEXT, "serve", "--port", "0", "--defect", "refusal-without-reason"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().rpartition(" ")[2].strip()
        assert url.startswith("http://127.0.0.1:")
        said = doubletext("check", url, "--only", "reject.*", "--seed", "1", cwd=tmp_path, expect=1)
        with urllib.request.urlopen(f"{url}/ok", timeout=5) as answer:
            assert answer.status == 200
    finally:
        stop(server)
    for part in ("reject.code (MUST)", "expected:", "observed:", "because:", "again: doubletext check", "advice:"):
        assert part in said
    result = json.loads((tmp_path / "doubletext-report" / "result.json").read_text())
    jsonschema.validate(result, schema())
    (failed,) = [r for r in result["requirements"] if r["verdict"] == "fail"]
    assert failed["id"] == "reject.code"
    violation = failed["violations"][0]
    assert len(violation["proof"]) >= 2
    assert (tmp_path / "doubletext-report" / violation["history"]).is_file()


def replayed(options: Options, url: str = "http://127.0.0.1:4711", *, embedded: bool) -> str:
    outcome = Check(Plan(url, options, Dialect(), seed=7, embedded=embedded)).outcome()
    return replay_command(outcome, outcome.results[0])


def test_how_to_run_it_again() -> None:
    """The embedded server's URL is of no use afterwards; what was asked for otherwise is asked for again."""
    again = "--only reject.conflict --seed 7"
    assert replayed(Options(), embedded=True) == f"doubletext check {again}"
    assert replayed(Options(), embedded=False) == f"doubletext check http://127.0.0.1:4711 {again}"
    given = Options(assistant="my agent", dialect="agent-server-js", strict=True, settle_timeout=3.0, repeat=2)
    asked = "--assistant 'my agent' --dialect agent-server-js --repeat 2 --settle-timeout 3 --strict"
    assert replayed(given, embedded=True) == f"doubletext check {asked} {again}"
    secret = Options(api_key="very-secret", header=("X-A: very-secret",))
    assert replayed(secret, "http://joe:very-secret@h:1", embedded=False) == f"doubletext check http://h:1 {again}"


@pytest.mark.parametrize(("family", "command"), [("reject-running", "--only reject.conflict "), ("chain", "")])
def test_a_finding_of_anothers_programs_takes_all_to_be_seen_again(family: str, command: str) -> None:
    outcome = Check(Plan("http://127.0.0.1:4711", Options(), Dialect(), seed=7, embedded=True)).outcome()
    found = Found(Violation("409", "200", (Fact("so", (1,)),)), f"{family}/1", "~i~", family)
    result = replace(outcome.results[0], verdict="fail", failed=1, found=(found,))
    assert replay_command(outcome, result) == f"doubletext check {command}--seed 7"


def test_a_selftest_that_is_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*DOUBLETEXT, "selftest", "--report", "json", "--defect", "refus*"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while len(servers := [pid for pid in below(running.pid) if "reference_impl" in command_line(pid)]) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    started = below(running.pid)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130, out + err
    assert isinstance(json.loads(out), list)
    assert "Traceback" not in err
    end = time.monotonic() + 20
    while left := [pid for pid in (*started, *servers) if command_line(pid)]:
        assert time.monotonic() < end, [command_line(pid) for pid in left]
        time.sleep(0.1)


def command_line(pid: int) -> str:
    """Of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def below(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    try:
        found = [int(p) for t in Path(f"/proc/{pid}/task").iterdir() for p in (t / "children").read_text().split()]
    except OSError:
        return []
    return [*found, *(p for child in found for p in below(child))]


def test_a_defect_that_cannot_be_checked_is_no_survivor() -> None:
    (kill,) = _each([("no-such-defect", ["reject.code"], [], 1, 1)], 1)
    assert kill.error is not None
    assert "no-such-defect" in kill.error
    assert _exit_code([kill]) == 4
    assert _exit_code([kill, Kill("d", ("reject.code",), (), {})]) == 1
    assert _exit_code([Kill("d", ("reject.code",), (), {"reject.code": "x"})]) == 0
    assert _exit_code([Kill("d", (), (), {"reject.code": "x"})]) == 1


def test_a_variant_is_right_if_nothing_fails() -> None:
    right, accused = Kill("v", (), (), {}), Kill("w", (), (), {"reject.code": "x"})
    killed = Kill("d", ("reject.code",), (), {"reject.code": "x"})
    assert (_line(right), _exit_code([right])) == ("passed    v: a variant", 0)
    assert (_line(accused), _exit_code([accused])) == ("WRONG     w: reject.code (x)", 1)
    assert _summary([right, accused], None) == "1 of 2 variants failed by none"
    both = "1 of 1 defects killed by exactly the right requirements, 1 of 1 variants failed by none"
    assert _summary([killed, right], None) == both
    assert _summary([killed, right], 7) == f"{both} (broken off; 7 planned)"


def test_list_and_explain(tmp_path: Path) -> None:
    assert [r["id"] for r in json.loads(doubletext("list", "--json", cwd=tmp_path))] == list(REGISTRY)
    defects = json.loads(doubletext("list", "--defects", "--json", cwd=tmp_path))
    # Also where only the suite is installed, without what the reference server needs.
    hidden = (
        "import sys; sys.modules |= dict.fromkeys(('starlette', 'fastapi', 'langgraph')); import reference_impl.defects"
    )
    subprocess.run([sys.executable, "-c", hidden], cwd=tmp_path, check=True, timeout=60)
    assert len(defects) >= 20
    assert all(set(d) == {"name", "description", "must_fail", "may_fail"} for d in defects)
    variants = {d.name for d in all_variants()}
    assert {d["name"] for d in defects if not d["must_fail"]} == variants
    assert doubletext("list", "--defects", cwd=tmp_path).count("a variant: nothing may fail") == len(variants)
    for id in REGISTRY:
        assert REGISTRY[id].statement in doubletext("explain", id, cwd=tmp_path)
        break  # the process is slow to start; the texts are tested below
    assert "did you mean" in doubletext("explain", "reject.conflit", cwd=tmp_path, expect=2)


@pytest.mark.parametrize("id", REGISTRY)
def test_every_requirement_explains_itself(id: str) -> None:
    requirement = REGISTRY[id]
    assert requirement.statement.endswith((".", ")"))
    assert len(requirement.source) > 1
    assert len(requirement.breaks) > 10
    assert len(requirement.advice) > 10
    assert requirement.oracle.__doc__
    assert requirement.exercised_by


def test_probe_is_written_once_and_never_over_a_strangers_file(tmp_path: Path) -> None:
    assert "does not exist" in doubletext("probe", ".", cwd=tmp_path, expect=2)
    (tmp_path / "langgraph.json").write_text('{"dependencies": ["."], "graphs": {"mine": "./a.py:graph"}}')
    assert "registered" in doubletext("probe", ".", cwd=tmp_path)
    config = json.loads((tmp_path / "langgraph.json").read_text())
    assert config["graphs"] == {"mine": "./a.py:graph", "doubletext": "./doubletext_probe.py:graph"}
    assert config["dependencies"] == ["."]
    doubletext("probe", ".", cwd=tmp_path)
    (tmp_path / "doubletext_probe.py").write_text("print('mine')\n")
    assert "did not write it" in doubletext("probe", ".", cwd=tmp_path, expect=2)
    assert (tmp_path / "doubletext_probe.py").read_text() == "print('mine')\n"


def test_the_javascript_probe_is_written_likewise_and_not_beside_the_python_one(tmp_path: Path) -> None:
    (tmp_path / "langgraph.json").write_text('{"node_version": "20", "graphs": {}}')
    assert "registered" in doubletext("probe", ".", "--language", "js", cwd=tmp_path)
    config = json.loads((tmp_path / "langgraph.json").read_text())
    assert config == {"node_version": "20", "graphs": {"doubletext": "./doubletext_probe.ts:graph"}}
    assert (tmp_path / "doubletext_probe.ts").read_text().startswith("// doubletext-probe:")
    doubletext("probe", ".", "--language", "js", cwd=tmp_path)
    assert "another language" in doubletext("probe", ".", cwd=tmp_path, expect=2)
    assert not (tmp_path / "doubletext_probe.py").exists()
    (tmp_path / "doubletext_probe.ts").write_text("mine\n")
    assert "did not write it" in doubletext("probe", ".", "--language", "js", cwd=tmp_path, expect=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--defect", "nope"),
        ("serve", "--graph", "nocolon"),
        ("serve", "--database", "sqlite:///x"),
        ("selftest", "--defect", "nope"),
    ],
)
def test_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    doubletext(*arguments, cwd=tmp_path, expect=2)


def test_the_embedded_server_ends_with_whoever_started_it(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom conformance.embedded import reference_server\n"
        "with reference_server() as url:\n    print(url, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    url = killed.stdout.strip()
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{url}/ok", timeout=1).close()
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail(f"{url} still answers")
