"""Baselines and dialects as a user has them: on the command line, in the reports, and in pytest."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.embedded import reference_server
from conformance.report.result import schema

from .test_cli import doubletext

ONLY = ("--only", "reject.co*", "--seed", "7")
REPORT = Path("doubletext-report")


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    with reference_server("--defect", "refusal-without-reason") as url:
        yield url


@pytest.fixture(scope="module")
def correct() -> Iterator[str]:
    with reference_server() as url:
        yield url


def result(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / REPORT / "result.json").read_text())
    jsonschema.validate(value, schema())
    return value


def test_a_baseline_from_its_writing_to_its_end(tmp_path: Path, broken: str, correct: str) -> None:
    baseline = ("--baseline", "known.toml")
    said = doubletext("check", broken, *ONLY, *baseline, "--write-baseline", cwd=tmp_path, expect=1)
    assert "wrote known.toml: 1 known failures; give the reason of 1 of them" in said
    assert "known" not in result(tmp_path)["requirements"][0], "the verdict is that of before the writing"
    file = tmp_path / "known.toml"
    file.write_text(file.read_text().replace("not explained yet", "vendor's ticket 7"))

    said = doubletext("check", broken, *ONLY, *baseline, "--report", "json,junit", cwd=tmp_path)
    assert "1 pass, 1 fail (1 of them known), 0 stale in the baseline" in said
    assert "known reject.code: vendor's ticket 7" in said
    assert "expected:" not in said, "a known failure is not shown in full"
    value = result(tmp_path)
    failed = next(r for r in value["requirements"] if r["id"] == "reject.code")
    assert (failed["verdict"], failed["known"]["state"], failed["known"]["rate"]) == ("fail", "failing", "always")
    assert failed["violations"]
    assert (value["exit_code"], value["summary"]["fail"], value["summary"]["known"]) == (0, 1, 1)
    suite = ET.parse(tmp_path / REPORT / "junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")

    args = (*ONLY, *baseline, "--report", "json,junit", "--write-baseline")
    said = doubletext("check", correct, *args, cwd=tmp_path, expect=1)
    assert "stale reject.code: recorded as failing always" in said
    assert (result(tmp_path)["exit_code"], result(tmp_path)["summary"]["stale"]) == (1, 1)
    suite = ET.parse(tmp_path / REPORT / "junit.xml").getroot()[0]
    assert suite.get("failures") == "1"
    doubletext("check", correct, *ONLY, *baseline, cwd=tmp_path)


def test_usage(tmp_path: Path) -> None:
    assert "needs --baseline" in doubletext("check", "--write-baseline", cwd=tmp_path, expect=2)
    url = "http://127.0.0.1:9"
    assert "no such file" in doubletext("check", url, "--baseline", "known.toml", cwd=tmp_path, expect=2)


@pytest.mark.parametrize(
    ("server", "args", "outcome", "says"),
    [
        ("broken", (), {"xfailed": 1, "passed": 1}, "known reject.code: vendor's ticket 7"),
        ("broken", ("--runxfail",), {"failed": 1, "passed": 1}, "*observed: *"),
        ("correct", (), {"failed": 1, "passed": 1}, "*stale in the baseline: reject.code: vendor's ticket 7*"),
    ],
)
def test_in_pytest_a_known_failure_is_an_xfail_and_a_stale_entry_fails(
    server: str, args: tuple[str, ...], outcome: dict[str, int], says: str, pytester: pytest.Pytester, request: Any
) -> None:
    entry = 'reason = "vendor\'s ticket 7"\nrate = "always"\nfailed = 3\nexercised = 3\n'
    (pytester.path / "known.toml").write_text(f'[requirements."reject.code"]\n{entry}')
    suite = ("--pyargs", "conformance.suite", "-p", "no:cacheprovider", "--doubletext-only", "reject.co*")
    url = ("--doubletext-url", request.getfixturevalue(server))
    ran = pytester.runpytest_subprocess(*suite, *url, "--doubletext-baseline", "known.toml", *args)
    ran.assert_outcomes(**outcome)
    ran.stdout.fnmatch_lines([says])


def test_in_pytest_a_baseline_that_makes_no_sense_is_said(pytester: pytest.Pytester) -> None:
    suite = ("--pyargs", "conformance.suite", "-p", "no:cacheprovider", "--doubletext-baseline", "nope.toml")
    ran = pytester.runpytest_subprocess(*suite)
    assert ran.ret != 0
    ran.stdout.fnmatch_lines(["*no such file*"])


@pytest.mark.parametrize(("pin", "verdict", "code"), [("enqueue", "pass", 0), ("reject", "fail", 1)])
def test_a_pinned_policy_has_a_verdict(pin: str, verdict: str, code: int, tmp_path: Path, correct: str) -> None:
    (tmp_path / "ours.toml").write_text(f'default_strategy = "{pin}"\n')
    args = ("--dialect", "ours.toml", "--only", "default.strategy")
    doubletext("check", correct, *args, cwd=tmp_path, expect=code)
    (said,) = result(tmp_path)["requirements"]
    assert (said["level"], said["verdict"]) == ("MUST", verdict)
    assert said["policy"].startswith("enqueue (")
    assert "Pinned by the dialect ours" in said["statement"]
    assert result(tmp_path)["target"]["dialect"]["default_strategy"] == pin
