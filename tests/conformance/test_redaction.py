"""Secrets are hidden, and what is judged stays what it was."""

from __future__ import annotations

import base64
import json

import pytest

from conformance.execution.answers import understand
from conformance.execution.client import Address
from conformance.execution.redaction import HIDDEN, MOST_KEPT, Redactor
from conformance.programs import add, call_tool, note, program

JUDGED = {
    "run_id": "0a1b2c3d-test-4e5f",
    "status": "success",
    "strategy": "enqueue",
    "tag": "A",
    "log": ["A:0", "A:1"],
    "note": "noted",
    "messages": [["human", "in-A", "A"], ["ai", "ai-A-2", ""]],
    "found": {"log_hash": "00abc00dead0beef", "counter": 2},
    "metadata": {"doubletext": True},
}
PROGRAM = program("p").create("A", "enqueue", add(), note("noted"), call_tool("c"))


def redactor(**headers: str) -> Redactor:
    return Address("http://h:1", headers={k.replace("_", "-"): v for k, v in headers.items()}).redactor(PROGRAM.words())


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Mode": "success", "X_Env": "enqueue", "X_Tenant": "A"},
        {"X_Mode": "run_id", "X_Tenant": "in-A", "X_Literal": "true", "X_Number": "12345"},
        {"x_api_key": "success"},
        {"x_api_key": "succ"},
        {"x_api_key": "tag"},
        {"x_api_key": "A:0"},
        {"x_api_key": "noted"},
        {"x_api_key": "abc", "Authorization": "Bearer dead"},
        {"Cookie": "status=running; log=A"},
    ],
    ids=str,
)
def test_what_is_judged_is_left_alone(headers: dict[str, str]) -> None:
    assert redactor(**headers).value(JUDGED) == JUDGED


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"x_api_key": "abc"}, "abc"),
        ({"x_api_key": "dev"}, "dev"),
        ({"X_Custom_Token": "q7"}, None),
        ({"X_Custom_Token": "q7z"}, "q7z"),
        ({"X_Tenant": "acme-4711"}, "acme-4711"),
        ({"X_Tenant": "acme"}, None),
        ({"Authorization": "Bearer tok-hidden"}, "tok-hidden"),
        ({"Authorization": "Basic " + base64.b64encode(b"joe:pw-83be").decode()}, "pw-83be"),
        ({"Cookie": 'sid="cafe-0815-babe"; theme=dark'}, "cafe-0815-babe"),
        ({"x_api_key": "1234567"}, "1234567"),
    ],
    ids=str,
)
def test_credentials_are_hidden_wherever_they_stand(headers: dict[str, str], secret: str | None) -> None:
    hides = redactor(**headers)
    said = {"status": f"running {secret}", "metadata": {"k": f"[{secret}]", f"x-{secret}": [secret]}, "detail": secret}
    shown = json.dumps(hides.value(said)) + hides.text(f"boom {secret}: no")
    if secret is None:
        assert hides.value(said) == said
    else:
        assert secret not in shown
        assert shown.count(HIDDEN) == 6


def test_a_number_is_hidden_as_a_number() -> None:
    assert redactor(x_api_key="1234567").value({"n": 1234567, "m": 12345678}) == {"n": HIDDEN, "m": 12345678}


def test_forms_of_a_secret() -> None:
    key = 'a"b/c<d>e f'
    hides = Redactor([key])
    for text in (key, json.dumps({"x": key}), "/x?key=a%22b%2Fc%3Cd%3Ee%20f", "<p>a&quot;b/c&lt;d&gt;e f</p>"):
        assert hides.text(text) != text
        assert "b/c" not in hides.text(text)
        assert "b%2F" not in hides.text(text)


def test_ids_that_hold_a_secret_stay_different_and_can_be_used() -> None:
    hides = redactor(x_api_key="sk-hidden-1")
    ids = [f"run-sk-hidden-1-{i}" for i in range(3)]
    shown = [hides.value(i) for i in ids]
    assert len(set(shown)) == 3
    assert [hides.original(s) for s in shown] == ids
    assert hides.original("another") == "another"


def test_text_is_cut_last() -> None:
    hides = redactor(x_api_key="sk-hidden-1")
    for filler in range(MOST_KEPT - 12, MOST_KEPT + 1):
        for status in (200, 500):
            answer, error = understand(status, "x" * filler + "sk-hidden-1" * 9, lambda value: value["run_id"])
            assert "sk-" not in hides.kept(answer) + hides.text(error or "")
