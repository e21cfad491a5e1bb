"""The fixtures, in pytest processes of their own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.embedded import reference_server

AGENT = Path(__file__).parent / "steps_agent.py"
GRAPH = f"{AGENT}:graph"
KEY = "very-secret-key"
HEAD = """
    import pytest
    from conformance.double_text import after_supersteps

    def does(text, *steps):
        return {"messages": [{"role": "user", "content": text}], "steps": list(steps)}

    FIRST, SECOND = does("first", "a", 0.5), does("second", "x")
"""
BOTH = """
    @pytest.mark.anyio
    async def test_async(double_text):
        results = await double_text(first=FIRST, second=SECOND, strategy=["reject", "interrupt"], when="running")
        assert [r.second.code for r in results.values()] == [409, 200]

    def test_sync(double_text_sync):
        result = double_text_sync(FIRST, SECOND, "interrupt", after_supersteps(1))
        assert result.first.status == "interrupted"
        result.assert_in_order()
"""
FAILS = """
    def test_order(double_text_sync):
        result = double_text_sync(FIRST, SECOND, "reject", "running")
        result.assert_in_order()

    @pytest.mark.anyio
    async def test_order_too(double_text):
        result = await double_text(FIRST, SECOND, "reject", "running")
        result.assert_in_order()

    def test_missed(double_text_sync):
        double_text_sync(FIRST, SECOND, "reject", after_supersteps(9))

    @pytest.mark.anyio
    async def test_missed_too(double_text):
        await double_text(FIRST, SECOND, "reject", after_supersteps(9))
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A server that wants a key."""
    with reference_server("--graph", f"steps={GRAPH}", "--api-key", KEY) as url:
        yield url


def ran(pytester: pytest.Pytester, body: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(textwrap.dedent(HEAD) + textwrap.dedent(body))
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n")
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_graph_without_any_deployment(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    result = ran(pytester, BOTH, "--doubletext-graph", GRAPH, *workers)
    result.assert_outcomes(passed=2)


def test_a_graph_finds_the_projects_own_modules(pytester: pytest.Pytester) -> None:
    package = pytester.mkpydir("mine")
    (package / "helping.py").write_text(AGENT.read_text())
    (package / "agent.py").write_text("from mine.helping import graph\n")
    pytester.makeini("[pytest]\npythonpath = .\ndoubletext_graph = steps=mine.agent:graph\n")
    assistant = (
        "def test(double_text_sync):\n    double_text_sync(FIRST, SECOND, 'reject', 'running', assistant='steps')"
    )
    ran(pytester, assistant).assert_outcomes(passed=1)


def test_a_server_by_ini_keys(pytester: pytest.Pytester, guarded: str) -> None:
    target = f"doubletext_url = {guarded}\ndoubletext_assistant = steps"
    pytester.makeini(f"[pytest]\n{target}\ndoubletext_header =\n    X-Api-Key: {KEY}\n")
    ran(pytester, BOTH).assert_outcomes(passed=2)


def test_without_a_target_it_is_an_error_that_says_what_to_give(pytester: pytest.Pytester) -> None:
    result = ran(pytester, BOTH)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*the fixture has no target: give either --doubletext-url URL *--doubletext-graph *"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--doubletext-url", "http://127.0.0.1:9", "--doubletext-graph", GRAPH), "*were both given: give either *"),
        (("--doubletext-graph", f"{AGENT}:nothing"), "*the reference server ended at once: *has no graph 'nothing'*"),
        (("--doubletext-url", "ftp://x"), "*must start with http*"),
    ],
)
def test_targets_that_cannot_be_had(pytester: pytest.Pytester, args: tuple[str, ...], says: str) -> None:
    result = ran(pytester, BOTH, *args)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([says])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_failures_show_the_users_test_and_no_key(pytester: pytest.Pytester, guarded: str) -> None:
    options = ("--doubletext-url", guarded, "--doubletext-assistant", "steps", "--doubletext-api-key", KEY)
    result = ran(pytester, FAILS, *options, "-vv", "--showlocals")
    result.assert_outcomes(failed=4)
    shown = result.stdout.str()
    for line in (
        ">       result.assert_in_order()",
        "E       AssertionError: the inputs are not in the state in order",
        "E       expected: 'messages' holds the first run's input, and the second's behind it",
        "E       what to do: a refused input is nowhere: your client must send it again when the first run is over.",
        '>       await double_text(FIRST, SECOND, "reject", after_supersteps(9))',
        "*MomentMissed: the first run ended (status 'success'; its stream ended) after 2 supersteps, *",
    ):
        result.stdout.fnmatch_lines([line.replace("[", "[[]")])
    assert KEY not in shown
    assert "conformance/execution" not in shown, "no frames of ours"
    assert "site-packages" not in shown, "nor of libraries"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--doubletext-api-key", "the-wrong-key"), "*answers 401: it wants an API key, and what was given is not*"),
        (("--doubletext-api-key", KEY, "--doubletext-assistant", "nobody"), "*refuses the first run of *'nobody'*404*"),
    ],
)
def test_targets_that_refuse(pytester: pytest.Pytester, guarded: str, options: tuple[str, ...], says: str) -> None:
    result = ran(pytester, BOTH, "--doubletext-url", guarded, *options, "-vv", "--showlocals")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([says])
    assert "the-wrong-key" not in result.stdout.str()
    assert KEY not in result.stdout.str()
