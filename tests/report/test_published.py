"""What is published: a folder a server, in plain words, with the numbers of its result; others' results stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conformance.report.matrix import load
from conformance.report.plain import plain_words, precaution
from conformance.report.result import to_json
from conformance.requirements import REGISTRY
from tests.real.publish import publish
from tests.report.making import judged, violations


def saved(folder: Path, glob: str, **target: str) -> Path:
    value = to_json(judged(violations(glob)))
    folder.mkdir(parents=True)
    text = json.dumps({**value, "target": {**value["target"], **target}})
    (folder / "result.json").write_text(text)
    return folder


def test_plain_words_have_the_numbers_of_the_result() -> None:
    result: dict[str, Any] = to_json(judged(violations()))
    text = plain_words(result, "badge.svg")
    summary = result["summary"]
    assert f"{summary['pass']} requirements pass, {summary['fail']} fail" in text.replace("\n", " ")
    for r in result["requirements"]:
        if r["verdict"] == "fail":
            assert f"- **{r['id']}** ({r['level']}), {r['failed']} of {r['exercised']} times:" in text
            assert precaution(r["id"]) in text


def test_every_requirement_that_can_fail_has_a_precaution_of_its_theme() -> None:
    fallback = precaution("no.such")
    lacking = {i.partition(".")[0] for i, r in REGISTRY.items() if r.level == "MUST" and precaution(i) == fallback}
    assert lacking <= {"state", "schedule", "webhook", "crash", "error", "hitl"}


def test_published_results_are_replaced_and_those_of_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "reports"
    out.mkdir()
    publish(
        load([saved(tmp_path / "a1", "reject*", server="a", version="1"), saved(tmp_path / "b", "run*", server="b")]),
        out,
    )
    page = (out / "b-1.2.3" / "report.html").read_text()
    publish(load([saved(tmp_path / "a2", "enqueue*", server="a", version="2")]), out)
    assert {p.name for p in out.iterdir()} == {"a-2", "b-1.2.3", "index.html", "matrix.json", "README.md"}
    assert (out / "b-1.2.3" / "report.html").read_text() == page
    front = (out / "README.md").read_text()
    assert "a-2/README.md" in front
    assert "b-1.2.3/badge.svg" in front
    for folder in ("a-2", "b-1.2.3"):
        assert {f.name for f in (out / folder).iterdir()} == {"result.json", "report.html", "README.md", "badge.svg"}
