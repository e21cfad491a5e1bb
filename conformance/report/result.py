"""``result.json``, schema version 1: the one source of every other report's numbers."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.anomalies import anomaly_of
from conformance.events import Event, Outcome
from conformance.history import history_file
from conformance.verdicts import Found, Result

MOST_VIOLATIONS = 10  # of one requirement; ``failed`` counts them all


def schema() -> dict[str, Any]:
    """The JSON Schema that every result validates against."""
    text = files("conformance.report").joinpath("result.schema.json").read_text()
    value: dict[str, Any] = json.loads(text)
    return value


def message(result: Result, found: Found) -> str:
    """A failure in words (rule 10): requirement, sentence, expected, observed, facts in order."""
    name = anomaly_of(result.requirement.id, found.violation)
    lines = [
        f"{result.requirement.id} ({result.requirement.level}): {result.requirement.statement}",
        f"expected: {found.violation.expected}",
        f"observed: {found.violation.observed}",
        *([f"anomaly:  {name}"] if name is not None else []),
        "because:",
        *(f"  {i}. {fact}" for i, fact in enumerate(found.violation.proof, 1)),
        f"seen in: {found.program}; failed {result.failed} of {result.exercised} times ({result.rate})",
    ]
    return "\n".join(lines)


def known_failure(result: Result) -> str:
    """What a baseline knows of a failure, or of one that was not seen, in one line."""
    known = result.known
    assert known is not None
    recorded = " ".join(part for part in (known.server, known.version, known.date) if part)
    rate = f"recorded {known.rate}, {known.failed} of {known.exercised}{f' ({recorded})' if recorded else ''}"
    note = f"; {known.note}" if known.note else ""
    return f"{known.reason.strip()} [{rate}; now {result.failed} of {result.exercised}{note}]"


def replay_command(outcome: Outcome, result: Result) -> str:
    """How to run it again: all programs, where the one that showed it is not among the requirement's own."""
    own = {e.family for e in result.requirement.exercised_by}
    elsewhere = bool(result.found) and result.found[0].family not in own
    only = () if elsewhere else ("--only", result.requirement.id)
    return shlex.join([*outcome.again, *only, "--seed", str(outcome.seed)])


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as the value of ``result.json``."""
    target = outcome.target
    counted = Counter(r.verdict for r in outcome.results)
    known = Counter(r.known.state for r in outcome.results if r.known is not None)
    return {
        "schema": 1,
        "tool": {"name": "doubletext", "version": __version__},
        "started": outcome.started,
        "duration_s": outcome.duration_s,
        "seed": outcome.seed,
        "target": {
            "url": target.get("url"),
            "server": target.get("server"),
            "version": target.get("version"),
            "assistant": target.get("assistant"),
            "gate": target.get("gate"),
            "dialect": target.get("dialect", {}),
        },
        "requirements": [_requirement(outcome, r) for r in outcome.results],
        "summary": {
            "pass": counted["pass"],
            "fail": counted["fail"],
            "inconclusive": counted["inconclusive"],
            "not_applicable": counted["not-applicable"],
            "could_not_run": counted["could-not-run"],
            "harness_error": counted["harness-error"],
            "hazards": sum(1 for r in outcome.results if r.hazard is not None),
            **({"known": known["failing"], "stale": known["stale"]} if any(r.known for r in outcome.results) else {}),
        },
        "exit_code": outcome.exit_code,
    }


def _requirement(outcome: Outcome, result: Result) -> dict[str, Any]:
    requirement = result.requirement
    return {
        "id": requirement.id,
        "level": str(requirement.level),
        "statement": requirement.statement,
        "source": requirement.source,
        "advice": requirement.advice,
        "verdict": result.verdict,
        "why": result.why,
        "hazard": result.hazard,
        "policy": result.policy,
        "exercised": result.exercised,
        "overlap": result.overlap,
        "failed": result.failed,
        "rate": result.rate,
        **({"known": asdict(result.known)} if result.known is not None else {}),
        "violations": [
            {
                "message": message(result, found),
                "expected": found.violation.expected,
                "observed": found.violation.observed,
                "anomaly": anomaly_of(requirement.id, found.violation),
                "program": found.program,
                "proof": [str(fact) for fact in found.violation.proof],
                "history": f"histories/{history_file(found.instance)}",
                "replay": replay_command(outcome, result),
            }
            for found in result.found[:MOST_VIOLATIONS]
        ],
    }


class JsonReport:
    """Writes ``result.json``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "result.json"

    def __call__(self, event: Event) -> None:
        if isinstance(event, Outcome):
            text = json.dumps(to_json(event), indent=1, ensure_ascii=False) + "\n"
            self._file.write_text(text, encoding="utf-8", errors="replace")  # servers send halves of surrogate pairs
