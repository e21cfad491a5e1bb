"""``double_text`` on somebody's graph, against the reference server, correct and broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from conformance.double_text import (
    BadArgument,
    DoubleTextError,
    MomentMissed,
    NotSettled,
    Result,
    TargetFailed,
    after_supersteps,
    double_text,
    double_text_sync,
    pending,
    pending_behind,
    running,
    simultaneously,
)
from conformance.embedded import reference_server
from conformance.history import BadHistory, History
from conformance.offline import find
from tests.double_text.faulty import proxy
from tests.double_text.steps_agent import does

pytestmark = pytest.mark.anyio

AGENT = Path(__file__).parent / "steps_agent.py"
GRAPH = ("--graph", f"steps={AGENT}:graph")
LONG, SHORT = does("first", "a", 0.6, "c"), does("second", "x")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with reference_server(*GRAPH) as url:
        yield url


@pytest.fixture
def tried(url: str) -> Iterator[Callable[..., Any]]:
    """``double_text`` on the correct server; whatever happens, no thread is left."""

    async def work(strategy: Any, when: Any, first: Any = LONG, second: Any = SHORT, **more: Any) -> Any:
        return await double_text(first, second, strategy, when, **{"url": url, "assistant": "steps", **more})

    yield work
    assert threads(url) == []


def threads(url: str) -> list[Any]:
    found: list[Any] = httpx.post(f"{url}/threads/search", json={"limit": 100}, timeout=10).json()
    return found


# --- strategies and moments -----------------------------------------------------------------------------


async def test_all_strategies_at_once(tried: Callable[..., Any]) -> None:
    results = await tried(strategy=["reject", "enqueue", "interrupt", "rollback"], when="running")
    assert list(results) == ["reject", "enqueue", "interrupt", "rollback"]
    fates = {s: (r.first.status, r.second.status, r.second.code) for s, r in results.items()}
    assert fates == {
        "reject": ("success", None, 409),
        "enqueue": ("success", "success", 200),
        "interrupt": ("interrupted", "success", 200),
        "rollback": ("gone", "success", 200),
    }
    assert len({r.thread for r in results.values()}) == 4
    assert all(r.overlapped for r in results.values())
    refused = results["reject"].second
    assert refused.run is None
    assert "Thread is busy" in str(refused.error)
    results["enqueue"].assert_in_order()
    assert results["enqueue"].state["counter"] == 4
    results["rollback"].assert_rolled_back()
    assert results["rollback"].state["counter"] == 1


async def test_the_result(tried: Callable[..., Any], tmp_path: Path) -> None:
    result: Result = await tried(strategy="interrupt", when=after_supersteps(1))
    assert result.strategy == "interrupt"
    assert result.when == "after 1 superstep of the first run"
    assert result.first.run != result.second.run
    assert result.first.created_at < result.second.created_at
    assert result.first.code == 200
    assert result.first.error is None
    assert [m["content"] for m in result.state["messages"] if m["type"] == "human"] == ["first", "second"]
    assert result.checkpoints[0].id == result.lineage[0].id
    assert {c.run for c in result.lineage} == {result.first.run, result.second.run}
    assert result.lineage[-1].parent is None
    lines = result.timeline.splitlines()
    places = [
        next(i for i, line in enumerate(lines) if part in line)
        for part in ("create first", "superstep 1", "create second")
    ]
    assert places == sorted(places)
    # what was seen can be kept, and read again
    result.history.dump(tmp_path / "h.jsonl")
    again = Result.of(History.load(tmp_path / "h.jsonl"))
    assert (again.first, again.second, again.state) == (result.first, result.second, result.state)
    again.assert_in_order()
    with pytest.raises(BadHistory, match="a graph of one's own"):  # no requirement is judged by it
        find([tmp_path / "h.jsonl"])


async def test_after_supersteps_counts_each_once_though_two_nodes_write(tried: Callable[..., Any]) -> None:
    result: Result = await tried(first=does("first", "a", "b", 0.6), strategy="interrupt", when=after_supersteps(2))
    done = [m["content"] for m in result.state["messages"] if str(m["content"]).startswith("did")]
    assert done == ["did a", "did b", "did x"]


async def test_pending_behind_another_run(tried: Callable[..., Any]) -> None:
    result: Result = await tried(strategy="enqueue", when=pending_behind(does("ahead", 0.6)))
    assert result.ahead is not None
    assert [r.status for r in (result.ahead, result.first, result.second)] == ["success"] * 3
    said = [m["content"] for m in result.state["messages"] if m["type"] == "human"]
    assert said == ["ahead", "first", "second"]
    assert "'pending'" in str(result.overlap)
    result.assert_in_order()


async def test_a_pending_run_that_is_rolled_back_leaves_nothing(tried: Callable[..., Any]) -> None:
    result: Result = await tried(strategy="rollback", when=pending_behind(does("ahead", 0.6)))
    result.assert_rolled_back()


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_simultaneously(tried: Callable[..., Any], strategy: str) -> None:
    result: Result = await tried(
        first=does("first", 0.3), second=does("second", 0.3), strategy=strategy, when="simultaneously"
    )
    assert result.overlapped
    runs = [r for r in (result.first, result.second) if r.status not in (None, "interrupted", "gone")]
    assert len(runs) == (2 if strategy == "enqueue" else 1)
    assert {r.status for r in runs} == {"success"}


async def test_a_thread_that_has_a_state_already(tried: Callable[..., Any]) -> None:
    result: Result = await tried(
        strategy="rollback", when=after_supersteps(1), before=[does("zero", "z"), does("0", "y")]
    )
    assert result.before is not None
    assert result.before.values["counter"] == 2
    assert result.state["counter"] == 3
    result.assert_rolled_back()
    result.assert_no_dangling_tool_calls()


async def test_the_same_in_synchronous_code(url: str) -> None:
    with pytest.raises(BadArgument, match="in a coroutine use"):
        double_text_sync(LONG, SHORT, "reject", running, url=url, assistant="steps")


def test_synchronous(url: str) -> None:
    result = double_text_sync(LONG, SHORT, "reject", running, url=url, assistant="steps")
    assert result.second.code == 409


# --- moments that do not come -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "when", "says"),
    [
        (does("first", "a"), after_supersteps(3), "after 1 superstep, and the second was to come after 3 of them"),
        (does("first", "a", "fail"), after_supersteps(3), r"status 'error'; .*after 1 superstep, and"),
        (does("first", "a", "ask"), after_supersteps(2), "after 1 superstep, and"),
        (does("first", 0.6), pending, "starts runs at once. when=pending_behind"),
    ],
    ids=["too short", "fails", "asks a human", "starts at once"],
)
async def test_a_moment_that_is_missed(tried: Callable[..., Any], first: Any, when: Any, says: str) -> None:
    with pytest.raises(MomentMissed, match=says) as caught:
        await tried(first=first, strategy="enqueue", when=when)
    assert "(strategy enqueue)" in str(caught.value)
    assert "create first" in str(caught.value), "the timeline shows what was seen"
    assert caught.value.history is not None


async def test_pending_behind_a_run_that_is_over_already(url: str) -> None:
    waits: dict[str, Any] = {"strategy": "enqueue", "when": pending_behind(does("ahead", 0.3)), "assistant": "steps"}
    with (
        proxy(url, late_second_creates(1.5)) as there,
        pytest.raises(MomentMissed, match="the run before it is over already"),
    ):
        await double_text(LONG, SHORT, url=there, **waits)


async def test_a_first_run_that_ends_before_the_second_is_created_proves_nothing(url: str) -> None:
    """It was running when it was looked at, and over when the create came through."""
    late: dict[str, Any] = {"strategy": "enqueue", "when": "running", "assistant": "steps"}
    with proxy(url, late_second_creates(1.5)) as there:
        with pytest.raises(MomentMissed, match="not certain that the first was still inflight: it ended as 'success'"):
            await double_text(LONG, SHORT, url=there, **late)
        result = await double_text(LONG, SHORT, url=there, **late, must_overlap=False)
    assert result.second.status == "success"
    assert result.overlap is None


def late_second_creates(seconds: float) -> Callable[[str, str], None]:
    """Every other create of a run takes so long to arrive."""
    seen: list[str] = []

    def fault(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/runs"):
            seen.append(path)
            time.sleep(seconds if len(seen) % 2 == 0 else 0)

    return fault


@pytest.mark.parametrize("when", ["running", after_supersteps(2)], ids=str)
async def test_a_run_that_does_not_settle(tried: Callable[..., Any], when: Any) -> None:
    expected = NotSettled if when == "running" else MomentMissed
    with pytest.raises(expected, match=r"after 0.4 s the first run is still 'running'|had 1 superstep within 0.4 s"):
        await tried(first=does("first", "a", 30.0), strategy="enqueue", when=when, settle_timeout=0.4)


async def test_a_thread_that_cannot_be_prepared(tried: Callable[..., Any]) -> None:
    with pytest.raises(TargetFailed, match=r"before\[1\]\) ended as 'error'"):
        await tried(strategy="reject", when="running", before=[does("zero"), does("one", "fail")])


# --- arguments that make no sense ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"strategy": "replace"}, "use one of reject, enqueue, interrupt, rollback"),
        ({"strategy": []}, "or a list of different ones"),
        ({"strategy": ["reject", "reject"]}, "or a list of different ones"),
        ({"when": "later"}, "use 'pending', 'running', 'simultaneously', after_supersteps"),
        ({"when": 2}, "after_supersteps"),
        ({"before": does("zero")}, "before takes a list"),
        ({"settle_timeout": 0}, "settle_timeout must be a number of seconds greater than 0"),
        ({"request_timeout": float("inf")}, "request_timeout must be"),
        ({"url": "ftp://x"}, "must start with http"),
        ({"headers": {"a b": "c"}}, "a name that HTTP does not allow"),
    ],
)
async def test_bad_arguments(more: dict[str, Any], says: str) -> None:
    given = {"strategy": "reject", "when": running, "url": "http://127.0.0.1:9", "assistant": "steps", **more}
    with pytest.raises(BadArgument, match=says):
        await double_text(LONG, SHORT, **given)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "1"])
def test_bad_numbers_of_supersteps(n: Any) -> None:
    with pytest.raises(BadArgument, match="at least 1"):
        after_supersteps(n)


# --- targets that refuse ------------------------------------------------------------------------------------


async def test_an_assistant_that_is_missing(tried: Callable[..., Any]) -> None:
    for when in (running, simultaneously):
        with pytest.raises(TargetFailed, match=r"'nobody'.*404.*Is the assistant called so"):
            await tried(strategy="reject", when=when, assistant="nobody")


async def test_an_input_that_is_refused(tried: Callable[..., Any]) -> None:
    with pytest.raises(TargetFailed, match=r"refuses the first run of assistant 'steps' .422"):
        await tried(first="text", strategy="reject", when="running")
    result = await tried(second="text", strategy="enqueue", when="running")
    assert (result.second.code, result.second.run) == (422, None)


async def test_keys() -> None:
    with reference_server(*GRAPH, "--api-key", "the-right-key") as url:
        given: dict[str, Any] = {"strategy": "reject", "when": "running", "url": url, "assistant": "steps"}
        with pytest.raises(TargetFailed, match="wants an API key, and none was given"):
            await double_text(LONG, SHORT, **given)
        with pytest.raises(TargetFailed, match="what was given is not taken") as caught:
            await double_text(LONG, SHORT, **given, api_key="the-wrong-key")
        assert "the-wrong-key" not in str(caught.value)
        for right in ({"api_key": "the-right-key"}, {"headers": {"X-Api-Key": "the-right-key"}}):
            result = await double_text(LONG, does("second says the-right-key"), **given, **right)
            assert result.second.code == 409
            assert "the-right-key" not in result.timeline + repr(result) + repr(result.history)


# --- servers that are broken --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defect", "before", "says"),
    [
        ("rollback-is-interrupt", [], "it reads as 'interrupted'"),
        ("rollback-keeps-the-input", [], "2 of 5 were: "),
        ("rollback-keeps-the-counter", [does("zero", "z")], "'counter': before 1, found 2"),
        ("rollback-empties-the-thread", [does("zero", "z")], "found null"),
    ],
)
async def test_a_broken_rollback_is_seen(defect: str, before: list[Any], says: str) -> None:
    with reference_server(*GRAPH, "--defect", defect) as url:
        result = await double_text(
            LONG, SHORT, "rollback", after_supersteps(1), url=url, assistant="steps", before=before
        )
        with pytest.raises(AssertionError) as caught:
            result.assert_rolled_back()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("defect", "error", "says"),
    [
        ("stuck-busy", NotSettled, "all runs are over, yet the thread is busy"),
        ("create-waits-for-the-end", MomentMissed, "was over .'success'. before it was seen to run"),
    ],
)
async def test_a_broken_server_is_said(defect: str, error: type[DoubleTextError], says: str) -> None:
    with reference_server(*GRAPH, "--defect", defect) as url:
        with pytest.raises(error, match=says):
            await double_text(LONG, SHORT, "interrupt", "running", url=url, assistant="steps", settle_timeout=2)
        assert threads(url) == []


# --- connections that fail ----------------------------------------------------------------------------------


async def test_a_server_without_streams(url: str) -> None:
    with proxy(url, lambda _, path: 404 if path.partition("?")[0].endswith("/stream") else None) as there:
        with pytest.raises(MomentMissed, match=r"stream answers 404. Use when='running'"):
            await double_text(LONG, SHORT, "reject", after_supersteps(1), url=there, assistant="steps")
        assert (await double_text(LONG, SHORT, "reject", "running", url=there, assistant="steps")).second.code == 409
    assert threads(url) == []


def nth_create(n: int, what: str) -> Callable[[str, str], str | None]:
    """A fault of the n-th create of a run."""
    seen: list[str] = []

    def fault(method: str, path: str) -> str | None:
        if method == "POST" and path.endswith("/runs"):
            seen.append(path)
            return what if len(seen) == n else None
        return None

    return fault


@pytest.mark.parametrize("what", ["lost", "silent"])
async def test_the_answer_to_the_first_create_is_lost(url: str, what: str) -> None:
    with (
        proxy(url, nth_create(1, what)) as there,
        pytest.raises(TargetFailed, match="the answer to the first run's create was lost"),
    ):
        await double_text(LONG, SHORT, "reject", "running", url=there, assistant="steps", request_timeout=0.5)
    assert threads(url) == []


async def test_the_answer_to_the_second_create_is_lost(url: str) -> None:
    """The run is there all the same, and is found by its tag."""
    with proxy(url, nth_create(2, "lost")) as there:
        result = await double_text(LONG, SHORT, "enqueue", "running", url=there, assistant="steps")
    assert result.second.code is None
    assert "RemoteProtocolError" in result.second.error
    assert result.second.run is not None
    assert result.second.status == "success"
    result.assert_in_order()


async def test_the_second_create_never_arrives(url: str) -> None:
    with proxy(url, nth_create(2, "unsent")) as there:
        result = await double_text(LONG, SHORT, "enqueue", "running", url=there, assistant="steps")
    assert (result.second.code, result.second.run, result.second.status) == (None, None, None)
    with pytest.raises(AssertionError, match="the second run was not created"):
        result.assert_in_order()


async def test_a_stream_that_breaks_off(url: str) -> None:
    with (
        proxy(url, lambda _, path: "unsent" if "/stream" in path else None) as there,
        pytest.raises(MomentMissed, match="its stream broke off: RemoteProtocolError"),
    ):
        await double_text(LONG, SHORT, "enqueue", after_supersteps(1), url=there, assistant="steps")
    assert threads(url) == []


async def test_a_server_that_dies_in_the_middle() -> None:
    dead: list[bool] = []

    def dies(method: str, path: str) -> str | None:
        if method == "POST" and path.endswith("/runs"):
            dead.append(True)
        return "unsent" if len(dead) > 1 else None

    with (
        reference_server(*GRAPH) as url,
        proxy(url, dies) as there,
        pytest.warns(ResourceWarning, match="could not be removed"),
        pytest.raises(TargetFailed, match=r"does not say how the first run is .*Is it still up"),
    ):
        await double_text(LONG, SHORT, "enqueue", "running", url=there, assistant="steps")


@pytest.mark.parametrize("when", [running, simultaneously], ids=str)
async def test_nobody_is_there(when: Any) -> None:
    with pytest.raises(TargetFailed, match=r"http://127.0.0.1:9 cannot be reached .*Is the server running"):
        await double_text(LONG, SHORT, "reject", when, url="http://joe:secret@127.0.0.1:9", assistant="steps")


async def test_a_server_that_never_answers(url: str) -> None:
    with (
        proxy(url, lambda *_: "silent") as there,
        pytest.raises(TargetFailed, match=r"cannot be reached .POST /threads: ReadTimeout"),
    ):
        await double_text(LONG, SHORT, "reject", "running", url=there, assistant="steps", request_timeout=0.3)


async def test_no_agent_server(url: str) -> None:
    with (
        proxy(url, lambda *_: 404) as there,
        pytest.raises(TargetFailed, match="does not look like an Agent Server"),
    ):
        await double_text(LONG, SHORT, "reject", "running", url=there, assistant="steps")


async def test_who_is_cancelled_leaves_nothing(url: str) -> None:
    with anyio.move_on_after(0.5) as scope:
        await double_text(does("first", 30.0), SHORT, "enqueue", "running", url=url, assistant="steps")
    assert scope.cancelled_caught
    assert threads(url) == []
