"""The pytest plugin, in pytest processes of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import httpx
import pytest

from conformance.embedded import reference_server
from conformance.requirements import REGISTRY

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
    pytester.makeconftest(
        "import conformance.driver as d\n"
        "run = d.Check.run\n"
        "async def counted(self):\n"
        "    with open('checks', 'a') as file:\n"
        "        file.write('one\\n')\n"
        "    await run(self)\n"
        "d.Check.run = counted\n"
    )
    args = ("--doubletext-url", correct, "-n", "2", "--junitxml", "j.xml", "--doubletext-report", "json")
    result = pytester.runpytest_subprocess(*SUITE, *args)
    result.assert_outcomes(passed=2)
    suite = ET.parse(pytester.path / "j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "0")
    assert (pytester.path / "doubletext-report" / "result.json").is_file()
    assert (pytester.path / "checks").read_text() == "one\n"


def test_a_broken_server_fails_its_test_and_says_why(pytester: pytest.Pytester) -> None:
    with reference_server("--defect", "refusal-without-reason") as url:
        result = pytester.runpytest_subprocess(*SUITE, "--doubletext-url", url, "-k", "reject.code or reject.conflict")
    result.assert_outcomes(passed=1, failed=1, deselected=len(REGISTRY) - 2)
    result.stdout.fnmatch_lines(
        ["reject.code (MUST): *", "expected: a body that says why", "observed: *", "again: doubletext check *"]
    )
    result.stdout.fnmatch_lines(["ms *|*", "create *|*create * reject *409 #*", "harness *|*"])  # its timeline
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_target_that_is_not_there_is_said_clearly(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    args = ("--doubletext-url", "http://joe:very-secret@127.0.0.1:9", "-k", "reject.co", "-vv", "--showlocals")
    keys = ("--doubletext-api-key", "very-secret", "--doubletext-header", "Authorization: Bearer very-secret")
    result = pytester.runpytest_subprocess(*SUITE, *args, *keys, *workers, "--junitxml", "j.xml")
    assert result.parseoutcomes()["errors"] == 2
    result.stdout.fnmatch_lines(["*http://127.0.0.1:9 cannot be reached*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    junit = (pytester.path / "j.xml").read_text()
    assert 'errors="2" failures="0"' in junit
    assert "very-secret" not in result.stdout.str() + result.stderr.str() + junit


def test_without_a_url_the_embedded_server_is_checked(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(*SUITE, "-k", "default.strategy", "-W", "error")
    result.assert_outcomes(passed=1, deselected=len(REGISTRY) - 1)
    result.stdout.fnmatch_lines(["*= doubletext =*", "policy default.strategy: enqueue*"])
    assert not (pytester.path / "doubletext-report").exists()


def test_what_policies_and_hazards_saw_is_a_property_also_under_xdist(pytester: pytest.Pytester, correct: str) -> None:
    args = ("--doubletext-url", correct, "-k", "default.strategy", "-n", "2", "--junitxml", "j.xml")
    result = pytester.runpytest_subprocess(*SUITE, *args)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["policy default.strategy: enqueue*"])
    assert 'value="default.strategy: enqueue' in (pytester.path / "j.xml").read_text()


@pytest.mark.parametrize(
    ("args", "outcomes"),
    [
        ((), {"xfailed": 1}),
        (("--doubletext-quiet",), {"xfailed": 1}),
        (("--runxfail",), {"failed": 1}),
        (("-o", "doubletext_strict=true"), {"failed": 1}),
    ],
    ids=["usual", "quiet", "runxfail", "strict"],
)
def test_a_violated_should(pytester: pytest.Pytester, args: tuple[str, ...], outcomes: dict[str, int]) -> None:
    with reference_server("--defect", "stranded-by-failure") as url:
        only = ("--doubletext-url", url, "-k", "enqueue.survives-failure", "--doubletext-settle-timeout", "2")
        result = pytester.runpytest_subprocess(*SUITE, *only, *args)
    result.assert_outcomes(**outcomes, deselected=len(REGISTRY) - 1)
    if "--doubletext-quiet" in args:
        result.stdout.no_fnmatch_line("*again: *")
    else:
        lines = ["*enqueue.survives-failure (SHOULD): *", "expected: *", "again: doubletext check *"]
        result.stdout.fnmatch_lines(lines)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_could_not_be_judged_is_an_error(
    pytester: pytest.Pytester, correct: str, workers: tuple[str, ...]
) -> None:
    """Where the command exits 3, a pytest gate is red too."""
    pytester.makeconftest(
        "import conformance.driver as d\n"
        "async def nothing(self, session, parallel, call):\n"
        "    self.tally.could_not_run['enqueue-failed'] = 'the disk is full'\n"
        "d.Check._all = nothing\n"
    )
    chosen = ("-k", "reject.code or enqueue.survives-failure or default.strategy")
    result = pytester.runpytest_subprocess(
        *SUITE, "--doubletext-url", correct, *chosen, *workers, "--junitxml", "j.xml"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["errors"] == 2, "a MUST and a SHOULD; a policy that saw nothing is no error"
    assert result.parseoutcomes()["passed"] == 1
    assert "skipped" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*doubletext: inconclusive: *"])
    assert 'errors="2" failures="0"' in (pytester.path / "j.xml").read_text()


def test_the_command_line_wins_over_the_ini_file_and_that_over_pyproject(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.doubletext]\nonly = ["rollback.*"]\nskip = ["*.code"]\nstrict = true\n')
    pytester.makeini("[pytest]\ndoubletext_only = reject.*\ndoubletext_skip = interrupt.*\ndoubletext_strict = false\n")
    pytester.makeconftest(
        "def pytest_collection_finish(session):\n"
        "    from conformance.suite.conftest import options_of\n"
        "    print('strict is', options_of(session.config)[1].strict)\n"
    )
    result = pytester.runpytest_subprocess(*SUITE, "--collect-only", "-q", "--doubletext-skip", "reject.reopens")
    shown = result.stdout.str()
    assert "[reject.code]" in shown, "the ini file's skip wins over that of pyproject, and the command line's over both"
    assert "[reject.reopens]" not in shown
    assert "[rollback." not in shown
    assert "strict is False" in shown


def test_a_target_that_is_lost_on_the_way_is_no_success(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import conformance.driver as d\n"
        "async def lost(self, session, parallel, call):\n"
        "    self._lost = 'POST /threads: ConnectError'\n"
        "d.Check._all = lost\n"
    )
    with reference_server() as url:
        result = pytester.runpytest_subprocess(*SUITE, "--doubletext-url", url, "-k", "reject.code")
    result.assert_outcomes(errors=1, deselected=len(REGISTRY) - 1)
    result.stdout.fnmatch_lines(["*the target was lost: POST /threads: ConnectError*"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_failure_of_the_harness_is_an_error_and_shows_no_key(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makeconftest(
        "import conformance.driver as d\n"
        "async def broken(self):\n"
        "    raise RuntimeError('broken with', self.plan.options.api_key)\n"
        "d.Check.run = broken\n"
    )
    args = ("-k", "reject.co", "-vv", "--showlocals", "--doubletext-api-key", "very-secret")
    result = pytester.runpytest_subprocess(*SUITE, "--doubletext-url", "http://127.0.0.1:9", *args, *workers)
    assert result.parseoutcomes()["errors"] == 2
    result.stdout.fnmatch_lines(["*the harness itself failed: RuntimeError*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert "very-secret" not in result.stdout.str() + result.stderr.str()


@pytest.fixture
def _heeds_ctrl_c() -> Iterator[None]:
    """New processes heed SIGINT, also where these tests are a job in the background, whose shell had it ignored."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("_heeds_ctrl_c")
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_ctrl_c(pytester: pytest.Pytester, correct: str, workers: tuple[str, ...]) -> None:
    def threads() -> int:
        return len(httpx.post(f"{correct}/threads/search", json={"limit": 1000}, timeout=10).json())

    args = (*SUITE, "--doubletext-url", correct, "--doubletext-report", "json", *workers)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = pytester.popen([sys.executable, "-m", "pytest", *args], **pipes)
    histories = pytester.path / "doubletext-report" / "histories"
    end = time.monotonic() + 50
    while not any(histories.glob("*.jsonl")) and time.monotonic() < end:
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=40)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, out + err
    assert b"Traceback" not in out + err
    end = time.monotonic() + 10  # xdist's controller does not wait for its workers
    while threads() and time.monotonic() < end:
        time.sleep(0.1)
    assert threads() == 0


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
