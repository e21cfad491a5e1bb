"""The pages of a campaign and of a replay: the numbers are those of the JSON beside them; and in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.dialects import Dialect
from conformance.execution.client import Address
from conformance.fuzz.campaign import Began, Ended, Stats
from conformance.fuzz.findings import Finding, Saved, load, sightings
from conformance.fuzz.lab import Trial
from conformance.fuzz.pages import COUNTS, of_replay
from conformance.fuzz.replay import Verdict, as_json, verdict
from conformance.fuzz.summary import Summary
from conformance.history import History
from conformance.programs import Program
from conformance.requirements import REGISTRY
from conformance.verdicts import judge
from tests.report.browser import Watched, chromium
from tests.report.making import PAYLOADS, TARGET, malicious, violations

ADDRESS = Address.of("http://127.0.0.1:1", "doubletext", {}, 1.0)


def trial(history: History) -> Trial:
    judged = judge(history, list(REGISTRY))
    seen = sightings(judged, Dialect().to_json())
    return Trial(Program.from_json(history.program), history, judged, tuple(seen), frozenset())


def findings(histories: list[History]) -> list[Finding]:
    """What a campaign that made these histories would have found."""
    found: dict[Any, Finding] = {}
    for history in histories:
        made = trial(history)
        for s in made.sightings:
            requirement = REGISTRY[s.key.requirement]
            level, statement = str(requirement.level), requirement.statement
            found[s.key] = Finding(s.key, level, statement, s.violation, made.program, history, "1/2", 3, 40, (2, 5))
    return list(found.values())


def campaign(folder: Path, found: list[Finding], exit_code: int = 1) -> tuple[dict[str, Any], str]:
    """fuzz.json and fuzz.html of a campaign with these findings."""
    stats = Stats(programs=40, runs=120, calls=700, overlap=31)
    stats.cells[("enqueue", "running", "runs", "accepted")] = 7
    summary = Summary(folder, page=True)
    target = found[0].history.target if found else TARGET
    summary(Began(dict(target), "callback", 4, 1))
    summary(Ended(stats, tuple(found), exit_code, 1, False, None, folder / "findings"))
    return json.loads((folder / "fuzz.json").read_text()), (folder / "fuzz.html").read_text()


def replayed(folder: Path, found: Finding, again: list[History]) -> tuple[dict[str, Any], str, Verdict]:
    saved: Saved = load(found.save(folder))
    said = verdict(saved, 1, [trial(h) for h in again])
    value = as_json(saved, ADDRESS.shown, said)
    return value, of_replay(value, saved, said), said


def embedded(text: str) -> Any:
    return json.loads(text.partition('id="doubletext-result">')[2].partition("</script>")[0])


def counted(text: str) -> dict[str, str]:
    return dict(re.findall(r'data-count="(\w+)">([^<]*)<', text))


def test_a_campaigns_numbers_are_those_of_its_json(tmp_path: Path) -> None:
    found = findings(violations("re*") + violations("rollback*"))
    assert len(found) > 3
    value, text = campaign(tmp_path, found)
    assert embedded(text) == value
    numbers = counted(text)
    assert numbers == {
        "findings": str(len(found)),
        **{n: str(value[n]) for n in COUNTS},
        "cells_covered": str(len(value["cells"])),
    }
    for f in value["findings"]:
        part = text.partition(f'data-id="{f["folder"].rpartition("/")[2]}"')[2].partition("</summary>")[0]
        assert f"seen in {f['seen']} of {f['of']}<" in part
        assert f"reproduces {f['rate'][0]} of {f['rate'][1]}<" in part
    assert text.count('class="timeline"') == len(found)
    assert text.count('class="timeline-data"') == len(found)


def test_a_campaign_without_findings(tmp_path: Path) -> None:
    value, text = campaign(tmp_path, [], 0)
    assert counted(text)["findings"] == "0"
    assert "no finding" in text
    assert embedded(text) == value


def test_a_replays_numbers_are_those_of_its_json(tmp_path: Path) -> None:
    (history,) = violations("rollback.deleted-1")
    found = next(f for f in findings([history]) if f.key.requirement == "rollback.deleted")
    value, text, said = replayed(tmp_path, found, [history, history])
    assert said.state == value["state"] == "still failing"
    assert embedded(text) == value
    assert counted(text) == {n: str(value[n]) for n in ("failed", "exercised", "tried")}
    assert text.count('class="timeline"') == 2  # what was seen now, and what was found
    assert text.index("Seen again in") < text.index("As it was found")


def test_a_replay_that_shows_nothing_any_more_has_what_was_found(tmp_path: Path) -> None:
    (history,) = violations("rollback.deleted-1")
    found = next(f for f in findings([history]) if f.key.requirement == "rollback.deleted")
    value, text, _ = replayed(tmp_path, found, [])
    assert value["state"] == "could not run"
    assert "Seen again in" not in text
    assert text.count('class="timeline"') == 1


@pytest.mark.real
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_in_a_browser(tmp_path: Path, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = findings(violations("rollback*"))
    campaign(tmp_path, found)
    with chromium() as browser:
        watched = Watched(browser, (tmp_path / "fuzz.html").as_uri(), width=width, scheme=scheme)
        page = watched.page
        id = found[0].key.name
        place = page.locator(f'[data-id="{id}"]')
        place.locator("summary").first.click()
        place.locator("canvas").first.wait_for()
        assert f"{len(found)} of {len(found)} findings" in page.locator(".filters output").inner_text()
        page.fill("input[name=q]", id)
        assert page.locator(".finding:not([hidden])").count() == 1
        serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        again = Watched(browser, page.url)
        again.page.locator(f'[data-id="{id}"] canvas').first.wait_for()  # the permalink opens it
        assert watched.wrong == again.wrong == []


@pytest.mark.real
def test_the_only_finding_is_open_and_a_servers_texts_are_not_run(tmp_path: Path) -> None:
    (history,) = violations("rollback.deleted-1")
    with chromium() as browser:
        for i, payload in enumerate(PAYLOADS):
            poisoned = malicious(history, payload)
            found = next(f for f in findings([poisoned]) if f.key.requirement == "rollback.deleted")
            _, text, _ = replayed(tmp_path / str(i), found, [poisoned])
            file = tmp_path / f"{i}.html"
            file.write_text(text, errors="replace")
            watched = Watched(browser, file.as_uri())
            watched.page.locator(".finding canvas").first.wait_for()
            assert watched.page.evaluate("window.pwned === undefined")
            assert watched.page.locator("img, main svg, main script, iframe, a[href^=javascript]").count() == 0
            assert watched.wrong == []
            watched.context.close()
