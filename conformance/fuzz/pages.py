"""``fuzz.html`` and ``replay.html``: the same page as of a check, of findings. Pure functions of what ``fuzz.json`` or
the replay's verdict say, and of the histories."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.fuzz.findings import HISTORY, Saved, reproduces
from conformance.fuzz.live import remarks
from conformance.fuzz.replay import Verdict
from conformance.fuzz.shrinking import shown
from conformance.history import History
from conformance.report.fitting import fitting
from conformance.report.html import SCRIPTS, cites, legal
from conformance.report.rendering import render_page

FUZZ, REPLAY = "fuzz.html", "replay.html"
COUNTS = ("programs", "overlap", "runs", "requests")  # of fuzz.json, shown as they are there


def of_campaign(value: Mapping[str, Any], histories: Mapping[str, History], said: Sequence[str], where: Path) -> str:
    """The page of a campaign. ``value``: what ``fuzz.json`` says; ``histories``: of the findings, by their folders;
    ``said``: what else is to be known; ``where``: the folder of both."""
    rows = []
    for f in value["findings"]:
        again = f"doubletext replay {shlex.quote(str(where / f['folder']))} URL"
        folder = str(where / f["folder"])
        rows.append({**_row(f), "verdict": "fail", "folder": folder, "violations": [_violation(f, f["folder"], again)]})
    heading = {
        "kind": "fuzzing of double texting",
        "title": _server(value["target"]),
        "said": _came_of_it(value),
        "exit_code": value["exit_code"],
        "facts": _facts(value["target"], seed=value["seed"], took=f"{value['duration_s']} s"),
        "counts": {"findings": len(rows), **{n: value[n] for n in COUNTS}, "cells_covered": len(value["cells"])},
        "remarks": said,
    }
    found = {f"{folder}/{HISTORY}": history for folder, history in histories.items()}
    return _page("fuzz.json", value, heading, rows, found, value["cells"])


def of_replay(value: Mapping[str, Any], saved: Saved, found: Verdict) -> str:
    """The page of a replay. ``value``: its verdict as JSON."""
    about = saved.about
    again = f"doubletext replay {shlex.quote(str(saved.folder))} URL"
    recorded = f"{saved.folder}/{HISTORY}"
    histories = {recorded: saved.history}
    violations = [{**_violation(about, str(saved.folder), again), "label": "As it was found, in"}]
    target: Mapping[str, Any] = {"url": value["target"]}
    if found.shows is not None and (violation := shown(found.shows, saved.key)) is not None:
        histories = {"replay": found.shows.history, **histories}
        target = {**found.shows.history.target, **target}
        now: dict[str, Any] = {
            "expected": violation.expected,
            "observed": violation.observed,
            "anomaly": saved.key.anomaly,
        }
        now |= {"proof": [str(fact) for fact in violation.proof], "seed": found.shows.history.name}
        violations.insert(0, {**_violation(now, "", again), "history": "replay", "label": "Seen again in"})
    state = "fail" if found.state == "still failing" else "pass" if found.state == "fixed" else "could-not-run"
    row = {**_row(about), "id": saved.key.name, "verdict": state, "violations": violations, "folder": str(saved.folder)}
    heading = {
        "kind": "replay of a finding",
        "title": saved.key.requirement,
        "said": found.text(),
        "exit_code": value["exit_code"],
        "facts": [*_facts(target), ("found at", _server(about["target"]))],
        "counts": {name: value[name] for name in ("failed", "exercised", "tried")},
        "remarks": [f"other requirements failed beside it: {', '.join(found.other)}"] if found.other else [],
    }
    return _page("the replay's verdict", value, heading, [row], histories)


def remarks_of(ended: Any) -> list[str]:
    """What else is to be known of a campaign, in words."""
    lost = [f"target lost: {ended.lost}"] if ended.lost is not None else []
    return [*lost, *remarks(ended)]


def _page(
    source: str,
    data: Mapping[str, Any],
    heading: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    histories: Mapping[str, History],
    cells: Sequence[Sequence[Any]] = (),
) -> str:
    timelines = list(fitting((name, history, False) for name, history in histories.items()))
    return render_page(
        "findings.html.j2",
        "report.css",
        SCRIPTS,
        source=source,
        data=data,
        heading=heading,
        findings=findings,
        cells=cells,
        timelines=timelines,
        shown={t["file"]: i for i, t in enumerate(timelines)},
        legal=dict(_legal(findings, histories)),
        cites=cites,
    )


def _legal(
    findings: Sequence[Mapping[str, Any]], histories: Mapping[str, History]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for f in findings:
        for i, v in enumerate(f["violations"]):
            if (found := legal(histories[v["history"]], f["requirement"], v["proof"])) is not None:
                yield f"{f['id']}:{i}", found


def _row(about: Mapping[str, Any]) -> dict[str, Any]:
    """What the line of a finding says."""
    return {
        "id": str(about.get("folder", "")).rpartition("/")[2],
        "requirement": about["requirement"],
        "level": about["level"],
        "statement": about["statement"],
        "also": about["also"],
        "seen": f"seen in {about['seen']} of {about['of']}",
        "reproduces": reproduces(about["rate"], about.get("alone")),
    }


def _violation(about: Mapping[str, Any], folder: str, again: str) -> dict[str, Any]:
    texts = {name: about[name] for name in ("expected", "observed", "anomaly", "proof")}
    return {**texts, "program": f"program {about['seed']}", "history": f"{folder}/{HISTORY}", "replay": again}


def _server(target: Mapping[str, Any]) -> str:
    return " ".join(str(target[k]) for k in ("server", "version") if target.get(k)) or "unknown server"


def _facts(target: Mapping[str, Any], **more: Any) -> list[tuple[str, Any]]:
    known = [(name, target[name]) for name in ("url", "server", "version", "assistant", "gate") if target.get(name)]
    return [*known, *more.items()]


def _came_of_it(value: Mapping[str, Any]) -> str:
    """What came of a campaign, in words."""
    n = len(value["findings"])
    match value["exit_code"]:
        case 130:
            return f"broken off; {n} findings so far"
        case 0:
            return "no finding"
        case 1:
            return "1 finding" if n == 1 else f"{n} findings"
        case 3:
            return "no finding, but no two runs ever met: nothing is shown by this"
    return "the target was lost, or the harness itself failed"
