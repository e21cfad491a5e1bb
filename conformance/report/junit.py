"""JUnit XML: one test case a requirement."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from conformance.events import Event, Outcome
from conformance.report.result import known_failure, message, replay_command
from conformance.verdicts import Result

NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(outcome: Outcome, strict: bool) -> ET.Element:
    """The outcome as a ``testsuites`` element: a SHOULD that fails is a skip unless ``strict``."""
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites, "testsuite", name="doubletext", time=str(outcome.duration_s), timestamp=outcome.started
    )
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for result in outcome.results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"doubletext.{result.requirement.id.partition('.')[0]}",
            name=result.requirement.id,
            time="0",
        )
        counts["tests"] += 1
        kind = _add(case, outcome, result, strict)
        if kind is not None:
            counts[kind] += 1
    for name, count in counts.items():
        suite.set(name, str(count))
    return suites


def _add(case: ET.Element, outcome: Outcome, result: Result, strict: bool) -> str | None:
    if result.known is not None and result.known.state == "failing":
        ET.SubElement(case, "skipped", message=_clean(f"known failure: {known_failure(result)}"))
        return "skipped"
    if result.known is not None and result.known.state == "stale":
        ET.SubElement(case, "failure", type="stale", message=_clean(f"stale in the baseline: {result.known.note}"))
        return "failures"
    match result.verdict:
        case "fail" if result.requirement.level == "MUST" or strict:
            first = result.found[0]
            failure = ET.SubElement(case, "failure", type="violation", message=_clean(first.violation.observed))
            failure.text = _clean(f"{message(result, first)}\nagain: {replay_command(outcome, result)}")
            return "failures"
        case "fail":
            ET.SubElement(case, "skipped", message=_clean(f"SHOULD violated: {result.found[0].violation.observed}"))
            return "skipped"
        case "harness-error":
            ET.SubElement(case, "error", type="harness", message=_clean(result.why))
            return "errors"
        case "inconclusive" | "could-not-run" | "not-applicable" as verdict:
            ET.SubElement(case, "skipped", message=_clean(f"{verdict}: {result.why}"))
            return "skipped"
    said = result.hazard or result.policy
    if said:
        ET.SubElement(case, "system-out").text = _clean(said)
    return None


def _clean(text: str) -> str:
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


class JunitReport:
    """Writes ``junit.xml``."""

    def __init__(self, folder: Path, strict: bool) -> None:
        self._file = folder / "junit.xml"
        self._strict = strict

    def __call__(self, event: Event) -> None:
        if isinstance(event, Outcome):
            ET.ElementTree(to_xml(event, self._strict)).write(self._file, encoding="utf-8", xml_declaration=True)
