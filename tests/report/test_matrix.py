"""The matrix: disagreements first, regressions marked, the same numbers; and its pages in a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from conformance.report.matrix import BadResult, badge, load, matrix, write
from conformance.report.result import JsonReport, to_json
from tests.report.browser import Watched, chromium, expect
from tests.report.making import PAYLOADS, judged, violations


def result(glob: str, **target: str) -> dict[str, Any]:
    value = to_json(judged(violations(glob)))
    return {**value, "target": {**value["target"], **target}}


def saved(folder: Path, value: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(value))
    return folder / "result.json"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One server in two versions, the newer with a regression; and another one that does all wrong."""
    folder = tmp_path_factory.mktemp("results")
    old, bad = result("enqueue*", version="1.0"), result("*", server="other", version="9")
    for r in old["requirements"]:
        if r["id"] == "reject.conflict":
            r |= {"verdict": "pass", "exercised": 8, "overlap": 8}
    new = deepcopy(old)
    new["started"], new["target"]["version"] = "2026-11-25T12:00:00+00:00", "1.1"
    for r in new["requirements"]:
        if r["id"] == "reject.conflict":
            r |= {"verdict": "fail", "failed": 3, "rate": "sometimes"}
            r["violations"] = next(b for b in bad["requirements"] if b["id"] == r["id"])["violations"]
        if r["id"] == "enqueue.fifo":
            r |= {"verdict": "pass", "failed": 0, "rate": "never", "violations": []}
    return [saved(folder / name, value) for name, value in (("new", new), ("bad", bad), ("old", old))]


def test_disagreements_first_and_what_became_of_it(results: list[Path]) -> None:
    targets = load(results)
    assert [(t.server, t.version) for t in targets] == [("other", "9"), ("some-server", "1.0"), ("some-server", "1.1")]
    made = matrix(targets)
    rows = {r["id"]: r for r in made["requirements"]}
    order = [r["disagreement"] for r in made["requirements"]]
    assert order == sorted(order, reverse=True)
    assert rows["reject.conflict"]["disagreement"]
    assert [c["change"] for c in rows["reject.conflict"]["cells"]] == [None, None, "regression"]
    assert [c["change"] for c in rows["enqueue.fifo"]["cells"]] == [None, None, "fixed"]
    for i, target in enumerate(targets):
        for r in target.result["requirements"]:
            cell = rows[r["id"]]["cells"][i]
            assert {k: cell[k] for k in ("verdict", "failed", "exercised", "overlap", "rate")} == {
                k: r[k] for k in ("verdict", "failed", "exercised", "overlap", "rate")
            }


def test_badges_are_svg_and_count_what_was_judged(results: list[Path]) -> None:
    for target in load(results):
        summary = target.result["summary"]
        text = badge(target)
        root = ET.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert f"{summary['pass']} of {summary['pass'] + summary['fail']} pass" in text


@pytest.mark.parametrize("payload", PAYLOADS[:6])
def test_hostile_servers_get_no_markup_and_no_path(tmp_path: Path, payload: str) -> None:
    value = result("reject*", server=f"../..{payload}", version=payload)
    (target,) = load([saved(tmp_path / "in", value)])
    assert "/" not in target.slug
    assert ".." not in target.slug
    ET.fromstring(badge(target))
    files = write([target], tmp_path / "out")
    assert all(f.resolve().is_relative_to(tmp_path / "out") for f in files)
    assert "<img src=x" not in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a result.json"),
        ('{"tool": {"name": "doubletext"}, "schema": 7}', "schema 7"),
        ('{"tool": {"name": "doubletext"}, "schema": 1}', "requirements is missing"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(BadResult, match=says):
        load([tmp_path / "r.json"])


def test_the_command(results: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "conformance.cli", "report", *map(str, results), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "matrix.json").read_text())["schema"] == 1
    assert (out / "some-server-1.1" / "report.html").is_file()
    assert json.loads((out / "other-9" / "result.json").read_text())["target"]["server"] == "other"
    wrong = subprocess.run([*command[:4], "none.json", "--out", str(out)], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix whose histories are there."""
    folder, histories = tmp_path_factory.mktemp("pages"), violations()
    (folder / "in" / "histories").mkdir(parents=True)
    for history in histories:
        history.dump(folder / "in" / "histories" / f"{history.name}.jsonl")
    JsonReport(folder / "in")(judged(histories))
    write(load([folder / "in"]), folder / "out")
    return folder / "out"


@pytest.fixture
def watched(pages: Path) -> Iterator[Watched]:
    with chromium() as browser:
        found = Watched(browser, (pages / "index.html").as_uri())
        yield found
        assert found.wrong == []


@pytest.mark.real
def test_from_a_cell_to_the_timeline(watched: Watched) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = watched.page
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    page.check("input[value=failures]")
    expect(page).to_have_url(re.compile("only=failures"))
    page.locator('tr[data-id="rollback.lineage"] a.cell, tr[data-fails="1"] a.cell').first.click()
    page.wait_for_selector("html[data-ready]")
    page.locator("details.requirement[open] canvas").first.wait_for()
