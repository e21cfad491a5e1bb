"""Keys, authorization headers and passwords are never shown: not even by a target that repeats them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from bad_cli import Running, check, clear, reference, without
from bad_servers import answering, echoing, http_answer

from conformance.history import Call, History
from conformance.verdicts import judge

KEY, TOKEN, PASSWORD = "sk-7f3a90-KEY-hidden", "tok-55c1-BEARER-hidden", "pw-83be-hidden"
BASIC = base64.b64encode(f"joe:{PASSWORD}".encode()).decode()
SECRETS = (KEY, TOKEN, PASSWORD, BASIC, "hidden")
GIVEN = ("--api-key", KEY, "-H", f"Authorization: Bearer {TOKEN}", "--report", "json,junit", "--only", "reject.*")


def with_password(url: str) -> str:
    return url.replace("http://", f"http://joe:{PASSWORD}@")


def test_a_target_that_repeats_all_headers(tmp_path: Path) -> None:
    with reference(key=KEY) as server, echoing(server.url) as url:
        said = check(tmp_path, url, *GIVEN)
    clear(said, 0)
    assert said.result()["summary"]["pass"] > 0
    assert "***" in said.everything()
    without(said, SECRETS)


def test_a_password_in_the_url(tmp_path: Path) -> None:
    with reference(key=KEY) as server, echoing(server.url) as url:
        said = check(tmp_path, with_password(url), "--only", "reject.one-winner", env={"DOUBLETEXT_API_KEY": KEY})
    clear(said, 0)
    assert "***" in said.everything()
    without(said, SECRETS)


@pytest.mark.parametrize("defect", ["accepts-every-reject", "refusal-is-server-error"])
def test_failures_on_a_target_that_repeats_all_headers(defect: str, tmp_path: Path) -> None:
    others = ("--skip", "reject.no-effect", "--skip", "reject.reopens", "--skip", "reject.one-winner")
    with reference("--defect", defect, key=KEY) as server, echoing(server.url) as url:
        said = check(tmp_path, url, *GIVEN, *others)
    clear(said, 1, "reject.")
    without(said, SECRETS)


def test_the_survey_fails_with_the_headers_in_its_text(tmp_path: Path) -> None:
    def broken(method: str, path: str) -> bool:
        return method == "POST" and path.endswith("/runs")

    with reference(key=KEY) as server, echoing(server.url, broken) as url:
        said = check(tmp_path, url, *GIVEN)
    clear(said, 4, "500", "boom", "***")
    without(said, SECRETS)


def test_errors_in_the_middle_with_the_headers_in_their_text(tmp_path: Path) -> None:
    calls = 0

    def broken(method: str, path: str) -> bool:
        nonlocal calls
        calls += (new := method == "POST" and path == "/threads")
        return new and calls > 31  # the survey creates 29

    with reference(key=KEY) as server, echoing(server.url, broken) as url:
        said = check(tmp_path, url, *GIVEN, "--settle-timeout", "2")
    assert said.code in (3, 4), said.text  # 4 where so many programs were left that the target was given up
    clear(said, said.code, "could-not-run", "boom", "***")
    without(said, SECRETS)


def test_plain_text_that_is_cut_in_the_middle_of_a_secret(tmp_path: Path) -> None:
    """Whatever length is kept of a text, no part of a secret may stand at its end."""
    for filler in (150, 290, 490):
        body = ("x" * filler + KEY * 30).encode()
        with answering(lambda *_, body=body: http_answer(500, body, "text/plain")) as url:  # type: ignore[misc]
            without(check(tmp_path, url, *GIVEN), (KEY[:8],))


def test_headers_that_are_refused(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    for arguments in (("-H", f"Authorization Bearer {TOKEN}"), ("-H", f"Bearer {TOKEN}: "), ("-H", f"A: {TOKEN}\x01")):
        said = check(tmp_path, url, *arguments)
        clear(said, 2)
        without(said, SECRETS)
    said = check(tmp_path, url, "--api-key", f"{KEY}\n")
    clear(said, 2)
    without(said, SECRETS)


def test_ctrl_c(tmp_path: Path) -> None:
    with reference(key=KEY) as server, echoing(server.url) as url:
        running = Running(tmp_path, url, *GIVEN)
        running.until(lambda: running.histories() >= 1)
        running.interrupt()
        said = running.end()
    clear(said, 130)
    without(said, SECRETS)


def test_headers_with_words_of_the_protocol_change_no_verdict(tmp_path: Path) -> None:
    """The key stands in every run id, in metadata, in error bodies; other headers say what statuses say."""
    words = ("-H", "X-Mode: success", "-H", "X-Env: enqueue", "-H", "X-Tenant: A", "-H", "X-Kind: run_id")
    chosen = ("--only", "reject.*", "--only", "enqueue.fifo")
    with reference(key=KEY) as server, echoing(server.url, in_ids=f"{KEY}-") as url:
        said = check(tmp_path, url, "--api-key", KEY, *words, *chosen)
        assert server.threads() == []
    clear(said, 0)
    assert set(said.verdicts().values()) == {"pass"}
    without(said, (KEY,))
    for file in (tmp_path / "doubletext-report" / "histories").glob("*.jsonl"):
        history = History.load(file)
        creates = [c for c in history.of(Call) if c.op == "create" and c.ok and "endpoint" not in c.request]
        assert {c.answer["status"] for c in creates} <= {"pending", "running"}
        offline = judge(history, list(said.verdicts()))
        assert not any(j.violations or j.error for j in offline.values())
    assert "***-" in said.everything(), "the ids are shown without the key"
