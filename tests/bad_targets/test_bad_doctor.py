"""The doctor on targets that are not there, hang, or are something else: what is wrong, what to do, in bounded time."""

from __future__ import annotations

import socket
import time
from collections import Counter

import anyio
import pytest
from bad_servers import answering, http_answer, json_answer

from conformance.doctor import Diagnosis, examine
from conformance.execution.client import Address

SECRET = "hush-4711-hush"


def examined(url: str, patience: float = 10.0) -> Diagnosis:
    began = time.monotonic()
    address = Address(url, headers={"x-api-key": SECRET}, request_timeout=patience)
    diagnosis = anyio.run(examine, address)
    assert time.monotonic() - began < 30
    assert SECRET not in str(diagnosis.to_json())
    return diagnosis


def wrong(diagnosis: Diagnosis) -> tuple[str, str]:
    """The topic of the only no, and what is said of it."""
    assert not diagnosis.usable
    (no,) = [f for f in diagnosis.findings if not f.ok]
    assert no.advice
    return no.topic, no.text


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        topic, text = wrong(examined(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert topic == "reachable"
    assert "cannot be reached" in text


@pytest.mark.parametrize(
    ("answer", "topic"),
    [
        pytest.param(None, "reachable", id="hangs"),
        pytest.param(b"\xff\xfe", "reachable", id="garbage"),
        pytest.param(http_answer(200, b"<html>", "text/html"), "Agent Server", id="page"),
        pytest.param(json_answer(401, {"detail": f"not {SECRET}"}), "Agent Server", id="401"),
        pytest.param(json_answer(500, {"detail": SECRET}), "Agent Server", id="500"),
    ],
)
def test_what_is_no_agent_server(answer: bytes | None, topic: str) -> None:
    with answering(lambda *_: answer) as url:
        assert wrong(examined(url, 1.0 if answer is None else 10.0))[0] == topic


def test_a_server_whose_runs_do_nothing_has_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.execution.hello.TRANSPORTS", ("stream",))  # each takes its time
    run = {"run_id": "r", "thread_id": "t", "status": "success", "values": {}, "metadata": {}}

    def answer(method: str, path: str) -> bytes:
        if path.endswith("/runs") and method == "GET":
            return json_answer(200, [run])
        if path.endswith("/history"):
            return json_answer(200, [])
        return json_answer(200, {**run, "status": "idle"} if path.endswith("/t") or path == "/threads" else run)

    with answering(answer) as url:
        topic, text = wrong(examined(url))
    assert topic == "probe"
    assert "does not behave like the probe graph" in text


def test_a_server_that_hangs_in_the_middle_is_left_after_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.doctor.LONGEST_S", 1.0)

    def answer(_: str, path: str) -> bytes | None:
        return (
            json_answer(200, {"thread_id": "t"})
            if path == "/threads"
            else json_answer(200, {})
            if path == "/info"
            else None
        )

    with answering(answer) as url:
        address = Address(url, request_timeout=30.0)
        began = time.monotonic()
        diagnosis = anyio.run(examine, address)
        assert time.monotonic() - began < 10
    topic, text = wrong(diagnosis)
    assert topic == "time"
    assert text == "broken off after 1 s, while it was asked who it is: the rest is not known"


@pytest.mark.parametrize("status", [429, 503])
def test_who_refuses_for_now_is_asked_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr("conformance.doctor.LONGEST_S", 4.0)
    asked: Counter[str] = Counter()

    def answer(method: str, path: str) -> bytes | None:
        asked[f"{method} {path}"] += 1
        if method == "POST" and asked[f"{method} {path}"] < 3:
            return json_answer(status, {"detail": "later"})
        return json_answer(422, {}) if path.endswith("/runs") else json_answer(200, {"thread_id": "t"})

    with answering(answer) as url:
        topic, text = wrong(examined(url))
    assert topic == "assistant"
    assert "(422" in text
