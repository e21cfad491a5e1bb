"""Targets that are not there, not an Agent Server, or not ours to check: a clear message, exit 4."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from bad_cli import check, clear, reference
from bad_servers import answering, http_answer, json_answer

PAGE = b"<!doctype html><title>Welcome to nginx</title><h1>It works!</h1>"


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, so that nobody else gets it, and not listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        clear(check(tmp_path, url), 4, url, "cannot be reached", "Is the server running")


def test_an_unknown_host(tmp_path: Path) -> None:
    clear(check(tmp_path, "http://no-such-host.invalid:2024"), 4, "cannot be reached")


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        pytest.param(
            http_answer(200, PAGE, "text/html"), ("does not look like an Agent Server", "text/html", "URL"), id="page"
        ),
        pytest.param(http_answer(404, b"Not Found", "text/plain"), ("Agent Server", "404", "URL"), id="404"),
        pytest.param(json_answer(404, {"detail": "Not Found"}), ("Agent Server", "404", "URL"), id="404-json"),
        pytest.param(http_answer(302, b"", "text/plain"), ("Agent Server", "302", "URL"), id="redirect"),
        pytest.param(http_answer(500, b"oops", "text/plain"), ("500", "failing", "log"), id="500"),
        pytest.param(json_answer(503, {"detail": "x"}), ("503", "failing", "log"), id="503"),
        pytest.param(json_answer(401, {"detail": "who are you"}), ("401", "API key", "--api-key"), id="401"),
        pytest.param(json_answer(200, []), ("Agent Server", "thread_id"), id="json-list"),
        pytest.param(json_answer(200, "thread_id"), ("Agent Server", "thread_id"), id="json-text"),
        pytest.param(json_answer(200, {"id": 7}), ("Agent Server", "thread_id"), id="json-object"),
        pytest.param(http_answer(200, b"{nope", "application/json"), ("Agent Server", "thread_id"), id="half-json"),
        pytest.param(http_answer(200, b"\xff\xfe\x00"), ("Agent Server", "thread_id"), id="not-utf-8"),
        pytest.param(b"", ("broke off", "HTTP server"), id="closes-at-once"),
        pytest.param(http_answer(200, b"{", length=1000), ("broke off", "HTTP server"), id="closes-mid-answer"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n" + bytes(range(256)), ("broke off", "HTTP server"), id="garbage"),
        pytest.param(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", ("broke off", "HTTP server"), id="bad-header"),
        pytest.param(
            b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\nnot gzip",
            ("broke off", "HTTP server"),
            id="bad-gzip",
        ),
    ],
)
def test_answers_that_no_agent_server_gives(answer: bytes, parts: tuple[str, ...], tmp_path: Path) -> None:
    with answering(lambda *_: answer) as url:
        clear(check(tmp_path, url), 4, url, *parts)


@pytest.mark.parametrize(
    ("run", "parts"),
    [
        pytest.param(json_answer(200, []), ("does not behave like the probe graph", "doubletext probe"), id="list"),
        pytest.param(json_answer(200, {"run_id": 1}), ("probe graph", "doubletext probe"), id="run-that-never-is"),
        pytest.param(json_answer(500, {"detail": "x"}), ("500", "assistant"), id="500"),
        pytest.param(
            json_answer(422, {"detail": "no such assistant"}), ("422", "no such assistant", "probe"), id="422"
        ),
        pytest.param(http_answer(200, b"{", length=9), ("broke off", "run"), id="closes"),
    ],
)
def test_threads_can_be_made_but_runs_cannot(run: bytes, parts: tuple[str, ...], tmp_path: Path) -> None:
    def answer(method: str, path: str) -> bytes:
        if method == "POST" and path.endswith("/runs"):
            return run
        return json_answer(200, {"thread_id": "t1", "status": "idle", "values": None, "run_id": "r", "items": []})

    with answering(answer) as url:
        clear(check(tmp_path, url, "--settle-timeout", "1"), 4, url, *parts)


def test_threads_of_the_wrong_shape_in_the_survey(tmp_path: Path) -> None:
    seen = 0

    def answer(method: str, path: str) -> bytes:
        nonlocal seen
        seen += (method, path) == ("POST", "/threads")
        if (method, path) == ("POST", "/threads") and seen > 2:
            return json_answer(500, {"detail": "the disk is full"})
        return json_answer(200, {"thread_id": "t1", "run_id": "r1"})

    with answering(answer) as url:
        clear(check(tmp_path, url), 4, url, "the disk is full", "survey")


def test_a_server_that_hangs(tmp_path: Path) -> None:
    with answering(lambda *_: None) as url:
        said = check(tmp_path, url, "--request-timeout", "1")
        clear(said, 4, url, "did not answer", "--request-timeout")
        assert said.seconds < 15


def test_a_server_that_hangs_on_threads_only(tmp_path: Path) -> None:
    with answering(lambda method, _: json_answer(200, {}) if method == "GET" else None) as url:
        clear(check(tmp_path, url, "--request-timeout", "1"), 4, url, "POST /threads", "ReadTimeout")


def test_the_assistant_is_missing(tmp_path: Path) -> None:
    with reference(graph="another") as server:
        clear(check(tmp_path, server.url), 4, "'doubletext'", "404", "doubletext probe DIR", "--assistant")
        assert server.threads() == []


def test_the_assistant_is_another_graph(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        "from typing import TypedDict\n"
        "from langgraph.graph import END, START, StateGraph\n"
        "class State(TypedDict, total=False):\n    log: list\n"
        "graph = StateGraph(State).add_node('n', lambda s: {'log': ['hello']})\n"
        "graph = graph.add_edge(START, 'n').add_edge('n', END).compile()\n"
    )
    with reference("--graph", f"other={tmp_path / 'other.py'}:graph") as server:
        said = check(tmp_path, server.url, "--assistant", "other")
        clear(said, 4, "'other'", "does not behave like the probe graph", "doubletext probe DIR")
        assert server.threads() == []


@pytest.mark.parametrize(
    ("arguments", "given"),
    [((), "was not given"), (("--api-key", "wrong-key-7319"), "was given")],
    ids=["none", "wrong"],
)
def test_the_key_is_wrong(arguments: tuple[str, ...], given: str, tmp_path: Path) -> None:
    with reference(key="right-key-5521") as server:
        said = check(tmp_path, server.url, *arguments)
        clear(said, 4, "401", "API key", given, "--api-key", "DOUBLETEXT_API_KEY")
        assert "wrong-key-7319" not in said.everything()
