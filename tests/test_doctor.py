"""`doubletext doctor` on the reference server, and what it proposes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.dialects import DIALECTS
from conformance.doctor import WITHOUT, propose
from conformance.embedded import reference_server

from .test_cli import doubletext


@pytest.fixture(scope="module")
def correct() -> Iterator[str]:
    with reference_server() as url:
        yield url


def threads(url: str) -> list[Any]:
    request = urllib.request.Request(f"{url}/threads/search", b"{}", {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[Any] = json.load(answer)
    return found


def test_everything_that_is_asked_of_a_target_that_has_everything(tmp_path: Path, correct: str) -> None:
    value = json.loads(doubletext("doctor", correct, "--json", cwd=tmp_path))
    assert (value["usable"], value["server"], value["dialect"]) == (True, "doubletext-reference", "agent-server")
    assert value["gates"] == {"callback": True, "store": True, "stream": True}
    assert set(value["latency_ms"]) == {"call", "start", "release"}
    assert min(value["latency_ms"].values()) > 0
    assert value["slots"] >= 10
    assert set(WITHOUT) <= set(value["features"])
    assert all(value["features"][name] for name in WITHOUT), value["features"]
    assert value["measured"] == {
        "refusal_code": 409,
        "default_strategy": "enqueue",
        "displaced_pending": "all",
        "update_state_busy": "refused",
        "cancel_code": 202,
        "history_names_run": "yes",
    }
    assert all(f["ok"] and not f["advice"] for f in value["findings"] if f["topic"] != "latency")
    assert threads(correct) == [], "it leaves nothing behind"


def test_what_a_person_reads(tmp_path: Path, correct: str) -> None:
    said = doubletext("doctor", correct, "--no-color", cwd=tmp_path)
    assert "yes  Agent Server" in said
    assert "yes  gate: callback    works, and is used" in said
    assert f"it can be checked: doubletext check {correct}\n" in said


def test_an_assistant_that_is_not_there(tmp_path: Path, correct: str) -> None:
    said = doubletext("doctor", correct, "--assistant", "klingon", cwd=tmp_path, expect=4)
    assert "yes  reachable" in said
    assert "no   assistant" in said
    assert "doubletext probe DIR" in said
    assert said.rstrip().endswith("it cannot be checked")


def test_a_key_that_is_missing_or_given(tmp_path: Path) -> None:
    with reference_server("--api-key", "very-secret") as url:
        said = doubletext("doctor", url, cwd=tmp_path, expect=4)
        assert "no   Agent Server" in said
        assert "--api-key" in said
        said = doubletext("doctor", url, "--api-key", "very-secret", cwd=tmp_path)
        assert "it can be checked" in said
        assert "very-secret" not in said


@pytest.mark.parametrize(
    ("measured", "name", "says"),
    [
        ({"refusal_code": 409, "default_strategy": "enqueue"}, "agent-server", "answered 409"),
        ({"refusal_code": 422, "default_strategy": "reject"}, "agent-server-js", "answered 422"),
        ({"refusal_code": 423}, "custom", "refusal_code = 423"),
        ({"refusal_code": 500}, "agent-server", "reject.code will fail"),
        ({}, "agent-server", "no refusal"),
    ],
)
def test_the_dialect_that_is_proposed(measured: dict[str, Any], name: str, says: str) -> None:
    dialect, why = propose(measured)
    assert dialect == name
    assert dialect in DIALECTS or dialect == "custom"
    assert says in why
