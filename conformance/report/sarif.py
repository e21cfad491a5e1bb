"""``doubletext.sarif``: failures and hazards as SARIF 2.1.0 (OASIS), for code scanning.

A result points into the history in which it was seen: record ``#n`` is line n + 2 of that file. The proof is its code
flow, one step a fact.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.events import Event, Outcome
from conformance.report.html import cites
from conformance.report.result import to_json

FILE = "doubletext.sarif"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"MUST": "error", "SHOULD": "warning", "HAZARD": "note", "POLICY": "none"}
HEADER_LINES = 2  # the header, and that lines are counted from 1


def to_sarif(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result as a SARIF log of one run."""
    rows = result["requirements"]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "doubletext",
                        "version": result["tool"]["version"],
                        "rules": [_rule(r) for r in rows],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": result["exit_code"] in (0, 1, 3),
                        "exitCode": result["exit_code"],
                        "startTimeUtc": result["started"].replace("+00:00", "Z"),
                    }
                ],
                "results": [found for i, r in enumerate(rows) for found in _results(i, r)],
                "properties": {
                    "summary": result["summary"],
                    "target": result["target"],
                    "seed": result["seed"],
                    "duration_s": result["duration_s"],
                },
            }
        ],
    }


def _rule(r: Mapping[str, Any]) -> dict[str, Any]:
    counts = {k: r[k] for k in ("level", "verdict", "exercised", "overlap", "failed", "rate")}
    return {
        "id": r["id"],
        "shortDescription": {"text": r["statement"]},
        "fullDescription": {"text": f"{r['level']}: {r['statement']} Source: {r['source']}"},
        "help": {"text": r.get("advice") or r["statement"]},
        "defaultConfiguration": {"level": LEVELS[r["level"]]},
        "properties": counts,
    }


def _results(index: int, r: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rule = {"ruleId": r["id"], "ruleIndex": index, "level": LEVELS[r["level"]]}
    marks = {"partialFingerprints": {"requirement/v1": r["id"]}}
    if r["verdict"] == "fail":
        first = r["violations"][0]
        known = r.get("known", {})
        suppressed = {"suppressions": [{"kind": "external", "justification": known["reason"]}]} if known else {}
        yield {
            **rule,
            "message": {"text": first["message"]},
            "occurrenceCount": max(1, r["failed"]),
            "locations": [_location(first["history"], (n for s in first["proof"] for n in cites(s)[1]))],
            "codeFlows": [_flow(v) for v in r["violations"]],
            **marks,
            **(suppressed if known.get("state") == "failing" else {}),
        }
    elif r["hazard"]:
        yield {**rule, "message": {"text": r["hazard"]}, "locations": [_location("result.json", ())], **marks}


def _location(file: str, records: Iterable[int]) -> dict[str, Any]:
    line = min(records, default=-1) + HEADER_LINES
    return {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": max(1, line)}}}


def _flow(violation: Mapping[str, Any]) -> dict[str, Any]:
    steps = []
    for sentence in violation["proof"]:
        text, records = cites(sentence)
        location = {**_location(violation["history"], records[-1:]), "message": {"text": text}}
        steps.append({"location": location})
    return {"message": {"text": violation["observed"]}, "threadFlows": [{"locations": steps}]}


class SarifReport:
    """Writes ``doubletext.sarif``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def __call__(self, event: Event) -> None:
        if isinstance(event, Outcome):
            text = json.dumps(to_sarif(to_json(event)), indent=1, ensure_ascii=False) + "\n"
            self._file.write_text(text, encoding="utf-8", errors="replace")
