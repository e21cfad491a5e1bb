"""The pytest plugin, in pytest processes of its own."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from conformance.embedded import reference_server

SUITE = ("--pyargs", "conformance.suite", "-p", "no:cacheprovider")


@pytest.fixture(scope="module")
def correct() -> Iterator[str]:
    with reference_server() as url:
        yield url


def test_the_plugin_imports_light() -> None:
    heavy = ("httpx", "hypothesis", "anyio", "rich", "langgraph", "h11")
    code = f"import sys, conformance.pytest_plugin; print([m for m in {heavy} if m in sys.modules])"
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert alone.stdout.strip() == "[]"


def test_one_test_a_requirement(pytester: pytest.Pytester, correct: str) -> None:
    result = pytester.runpytest_subprocess(*SUITE, "--doubletext-url", correct, "--doubletext-only", "reject.*", "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*test_requirement*reject.conflict* PASSED*"])


def test_under_xdist_the_check_is_executed_once(pytester: pytest.Pytester, correct: str) -> None:
    pytester.makeini("[pytest]\ndoubletext_only =\n    reject.code\n    reject.conflict\n")
    args = ("--doubletext-url", correct, "-n", "2", "--junitxml", "j.xml", "--doubletext-report", "json")
    result = pytester.runpytest_subprocess(*SUITE, *args)
    result.assert_outcomes(passed=2)
    suite = ET.parse(pytester.path / "j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "0")
    assert (pytester.path / "doubletext-report" / "result.json").is_file()


def test_a_broken_server_fails_its_test_and_says_why(pytester: pytest.Pytester) -> None:
    with reference_server("--defect", "refusal-without-reason") as url:
        result = pytester.runpytest_subprocess(*SUITE, "--doubletext-url", url, "-k", "reject.code or reject.conflict")
    result.assert_outcomes(passed=1, failed=1, deselected=36)
    result.stdout.fnmatch_lines(
        ["reject.code (MUST): *", "expected: a body that says why", "observed: *", "again: doubletext check *"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_target_that_is_not_there_is_said_once_and_clearly(pytester: pytest.Pytester) -> None:
    args = ("--doubletext-url", "http://127.0.0.1:9", "-k", "reject.code", "--doubletext-api-key", "very-secret", "-vv")
    result = pytester.runpytest_subprocess(*SUITE, *args, "--showlocals")
    result.assert_outcomes(failed=1, deselected=37)
    result.stdout.fnmatch_lines(["*http://127.0.0.1:9 cannot be reached*"])
    assert "very-secret" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--doubletext-only", "nope"), "*no requirement matches 'nope'*"),
        (("--doubletext-url", "ftp://x"), "*must start with http*"),
        (("--doubletext-repeat", "none"), "*repeat cannot be 'none'*"),
    ],
)
def test_options_that_make_no_sense(pytester: pytest.Pytester, args: tuple[str, ...], says: str) -> None:
    result = pytester.runpytest_subprocess(*SUITE, *args)
    assert result.ret != 0
    result.stdout.fnmatch_lines([says])
