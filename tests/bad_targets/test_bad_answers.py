"""Targets that are not there, not an Agent Server, or not ours to check: a clear message, exit 4."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from bad_cli import check, clear, reference
from bad_servers import SELF_SIGNED, answering, echoing, http_answer, json_answer, untrusted

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
        pytest.param(http_answer(302, b"", "text/plain"), ("Agent Server", "302", "URL"), id="302-to-nowhere"),
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


def redirect(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_says_where_to(status: int, tmp_path: Path) -> None:
    with answering(lambda _, path: redirect(status, f"https://joe:hush-4711@elsewhere.example{path}?x=1")) as url:
        said = check(tmp_path, f"{url}/prefix")
    clear(said, 4, str(status), "redirects to https://elsewhere.example/prefix/info", "-H or --api-key")
    assert "`doubletext check https://elsewhere.example/prefix`" in said.text
    assert "hush" not in said.everything()


def test_only_posts_are_redirected(tmp_path: Path) -> None:
    with answering(lambda method, _: json_answer(200, {}) if method == "GET" else redirect(308, "/login")) as url:
        clear(check(tmp_path, url), 4, "308", f"redirects to {url}/login", "login page")


def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    with untrusted() as url:
        clear(check(tmp_path, url), 4, url, "certificate is not trusted", "SSL_CERT_FILE")
        trusting = check(tmp_path, url, env={"SSL_CERT_FILE": str(SELF_SIGNED)})
    clear(trusting, 4, "does not look like an Agent Server")


def test_https_where_there_is_none_and_the_reverse(tmp_path: Path) -> None:
    with echoing("http://127.0.0.1:9") as url:
        clear(check(tmp_path, url.replace("http:", "https:")), 4, "does not speak TLS", "http://")
    with untrusted() as url:
        clear(check(tmp_path, url.replace("https:", "http:")), 4, "broke off", "https://")


def test_a_proxy_in_the_environment_is_not_used(tmp_path: Path) -> None:
    env = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    with reference() as server:
        clear(check(tmp_path, server.url, "--only", "reject.code", env=env), 0)
    clear(check(tmp_path, "http://127.0.0.1:9", env=env), 4, "HTTP_PROXY", "are not used")


def test_ipv6_and_a_path_before_the_api(tmp_path: Path) -> None:
    with reference("--host", "::1") as server:
        assert "//[::1]:" in server.url
        clear(check(tmp_path, server.url, "--only", "reject.one-winner"), 0)
    with reference() as server, echoing(server.url, prefix="/some/prefix", leaking=False) as url:
        clear(check(tmp_path, url, "--only", "reject.one-winner"), 0)
        clear(check(tmp_path, url.removesuffix("/prefix")), 4, "does not look like an Agent Server", "404")


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        ("success", ("does not behave like the probe graph", "status success", "doubletext probe DIR")),
        ("error", ("does not behave like the probe graph", "status error", "fail before its first step")),
        ("pending", ("did not come to its end", "status pending", "workers", "--settle-timeout")),
        ("running", ("did not come to its end", "status running", "workers", "--settle-timeout")),
    ],
)
def test_a_run_that_nobody_hears(status: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    """One that has ended is judged soon after; one that is under way is given its time."""
    seen: list[tuple[float, str, str]] = []

    def answer(method: str, path: str) -> bytes:
        seen.append((time.monotonic(), method, path))
        return json_answer(200, {"thread_id": "t1", "run_id": "r1", "status": status, "items": []})

    with answering(answer) as url:
        clear(check(tmp_path, url, "--settle-timeout", "5"), 4, "'doubletext'", *parts)
    first = next(at for at, method, path in seen if method == "GET" and path.endswith("/r1"))
    took = seen[-1][0] - first
    assert took < 4.5 if status in ("success", "error") else took > 4.5
    assert len(seen) < 60
    assert [method for _, method, path in seen if path == "/threads/t1"][-1] == "DELETE"


def test_the_graph_fails_at_once(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "from typing import TypedDict\n"
        "from langgraph.graph import END, START, StateGraph\n"
        "class State(TypedDict, total=False):\n    log: list\n"
        "def node(state):\n    raise RuntimeError('no model')\n"
        "graph = StateGraph(State).add_node('n', node).add_edge(START, 'n').add_edge('n', END).compile()\n"
    )
    with reference("--graph", f"failing={tmp_path / 'failing.py'}:graph") as server:
        said = check(tmp_path, server.url, "--assistant", "failing")
        clear(said, 4, "'failing'", "status error", "does not behave like the probe graph", "log")
        assert server.threads() == []


def test_threads_of_the_wrong_shape_in_the_survey(tmp_path: Path) -> None:
    seen = 0

    def answer(method: str, path: str) -> bytes:
        nonlocal seen
        seen += (method, path) == ("POST", "/threads")
        if (method, path) == ("POST", "/threads") and seen > 1:
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
