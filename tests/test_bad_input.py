"""Malformed requests against live servers: what is sent, what is left, and that offline verdicts are the live ones."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from conformance.bad_input import CREATES, GENERATED, WRONG, bad_input_programs
from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.embedded import reference_server
from conformance.events import Outcome
from conformance.execution.curl import curl_of
from conformance.execution.generate import generate, harmless, operations, trimmed
from conformance.execution.generated import ask, packaged
from conformance.execution.loop import run
from conformance.history import Call, History
from conformance.programs import Program, Send
from conformance.requirements import REGISTRY
from conformance.requirements.base import Hazard
from conformance.verdicts import judge

IDS = [f"bad-input.{wrong}" for wrong in WRONG]
KEY = "sk-very-secret-0123456789"


def checked(url: str, histories: Path, seed: int = 1, **more: Any) -> Outcome:
    histories.mkdir(exist_ok=True)
    options = Options(only=("bad-input.*",), api_key=KEY)
    check = Check(Plan(url, options, Dialect(), seed, histories=histories, **more))
    run(check.run)
    return check.outcome()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with reference_server("--api-key", KEY) as url:
        yield url


@pytest.fixture(scope="module")
def live(server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, list[History]]:
    folder = tmp_path_factory.mktemp("bad-input") / "histories"
    outcome = checked(server, folder)
    return outcome, [History.load(file) for file in sorted(folder.glob("*.jsonl"))]


def test_the_correct_server_passes_and_keeps_nothing(server: str, live: tuple[Outcome, list[History]]) -> None:
    outcome, histories = live
    assert {r.requirement.id: r.verdict for r in outcome.results} == dict.fromkeys(IDS, "pass")
    assert outcome.leaked == 0
    assert any(h.program["family"] == GENERATED for h in histories)
    headers = {"x-api-key": KEY}
    assert httpx.post(f"{server}/threads/search", json={"limit": 1000}, headers=headers).json() == []


def test_every_request_is_answered_with_a_4xx_or_accepted(live: tuple[Outcome, list[History]]) -> None:
    requests = [c for h in live[1] for c in h.of(Call) if c.op == "request"]
    assert len(requests) > 100
    assert {c.error for c in requests} == {None}
    assert all((c.status or 0) < 500 for c in requests)
    assert {str(c.request["wrong"]) for c in requests} == {"", *WRONG}


def test_no_other_requirement_judges_them_but_for_the_texts_of_errors(live: tuple[Outcome, list[History]]) -> None:
    for history in live[1]:
        said = judge(history)
        texts = said.pop("error.discloses-nothing")
        assert texts.error is None
        assert set(texts.judgements) <= {Hazard(None)}, history.name
        assert {id for id, judged in said.items() if judged.judgements or judged.error} <= set(IDS), history.name


def test_offline_says_the_same(live: tuple[Outcome, list[History]]) -> None:
    outcome, histories = live
    counted = {id: sum(judge(h, IDS)[id].exercised for h in histories) for id in IDS}
    assert counted == {r.requirement.id: r.exercised for r in outcome.results}


def test_the_key_is_in_no_record(live: tuple[Outcome, list[History]]) -> None:
    assert all(KEY not in history.to_text() for history in live[1])


def test_the_refusal_of_a_strategy_names_the_field(live: tuple[Outcome, list[History]]) -> None:
    (strategy,) = [r for r in live[0].results if r.requirement.id == "bad-input.strategy"]
    assert strategy.policy is not None
    assert strategy.policy.startswith("the refusal names the field")


def test_without_schemathesis_the_others_are_sent_and_the_report_says_so(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "schemathesis" else found(name))
    outcome = checked(server, tmp_path / "h")
    results = {r.requirement.id: r for r in outcome.results}
    assert {r.verdict for r in outcome.results} == {"pass"}
    assert outcome.exit_code == 0
    assert "doubletext[schema]" in results["bad-input.types"].why
    assert results["bad-input.strategy"].why == ""


# --- what is generated -------------------------------------------------------------------------------------


def test_what_is_generated_follows_from_the_seed() -> None:
    async def thrice() -> list[list[Send]]:
        return [await ask(packaged(), "http://x", seed) for seed in (7, 7, 8)]

    one, same, other = anyio.run(thrice)
    assert one == same
    assert one != other
    assert {s.operation for s in one} >= set(CREATES)


def test_what_is_generated_concerns_nobody_else() -> None:
    for send in generate(packaged(), "http://x", 3):
        assert "THREAD_ID" in send.path or send.path.split("?")[0] in ("/threads", "/threads/search")
        assert send.method != "DELETE"
        try:
            body = json.loads(send.body or "null")
        except ValueError:
            continue
        if isinstance(body, dict) and send.operation in CREATES:
            assert not isinstance(body.get("webhook"), str)
            assert body.get("if_exists") != "do_nothing"
            assert not isinstance(body.get("assistant_id"), str) or body["assistant_id"] == "ASSISTANT_ID"


def test_what_would_concern_others_is_taken_out() -> None:
    body = {"assistant_id": "another", "webhook": "http://elsewhere", "input": {"a": 1}, "after_seconds": 1e9}
    kept = harmless(body, "wait-run")
    assert kept["assistant_id"] == "ASSISTANT_ID"
    assert "webhook" not in kept
    assert kept["after_seconds"] == 0
    assert kept["input"] != {"a": 1}
    thread = {"thread_id": "00000000-0000-0000-0000-000000000000", "if_exists": "do_nothing"}
    assert harmless(thread, "create-thread") == {"thread_id": "FRESH_ID", "if_exists": "raise"}
    assert harmless({}, "create-thread") == {"thread_id": "FRESH_ID"}  # found again, whatever the answer says


def test_a_description_is_read_without_what_leads_out_of_it() -> None:
    paths = {
        "/threads/{id}/runs": {"post": {"requestBody": {"$ref": "http://elsewhere/x.json"}}, "delete": {}},
        "/runs/cancel": {"post": {}},
    }
    document = {"openapi": "3.1.0", "paths": paths, "servers": [{"url": "http://elsewhere"}]}
    assert [(m, p) for m, p, _ in operations(document)] == [("POST", "/threads/{id}/runs")]
    assert "elsewhere" not in json.dumps(trimmed(document))


def test_the_description_that_ships_is_that_of_the_reference_server(server: str) -> None:
    served = trimmed(httpx.get(f"{server}/openapi.json", headers={"x-api-key": KEY}).json())
    assert packaged()["paths"] == served["paths"]
    assert packaged()["components"]["schemas"].items() <= served["components"]["schemas"].items()


# --- programs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", bad_input_programs(), ids=lambda p: p.name)
def test_a_program_is_read_back_equal(program: Program) -> None:
    assert Program.from_json(json.loads(json.dumps(program.to_json()))) == program


def test_every_program_has_a_control_and_every_request_its_own_thread() -> None:
    for program in bad_input_programs():
        assert any(not s.wrong for s in program.sends())
        threads = [s.thread for s in program.sends() if s.thread]
        assert len(threads) == len(set(threads))


def test_a_curl_command_holds_what_a_shell_can_pass_on() -> None:
    send = Send("a", "create-run", "POST", "/threads/THREAD_ID/runs", '{"it\'s": 1}')
    assert curl_of(send, "http://x/").endswith("http://x/threads/THREAD_ID/runs")
    assert shlex.split(curl_of(send, "http://x"))[-2] == send.body
    made, _, rest = curl_of(replace(send, body="\xff\0", encoding="latin-1"), "http://x").partition(" | ")
    assert subprocess.run(["sh", "-c", made], capture_output=True, check=True).stdout == b"\xff\0"
    assert "--data-binary @-" in rest
    stuffed = replace(send, body='{"x": @STUFFING@}', stuffing=("[", "]", 1000))
    assert len(curl_of(stuffed, "http://x")) < 300


def test_each_is_a_must_that_a_check_without_the_extra_can_judge() -> None:
    for id in IDS:
        assert any(e.least > 0 and e.family == f"{id.replace('.', '-')}" for e in REGISTRY[id].exercised_by)
