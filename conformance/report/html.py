"""``report.html``: one page that needs nothing else, with the timeline of what was found."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conformance.events import Event, Outcome
from conformance.history import History
from conformance.nearest import nearest
from conformance.report.finding import Find, in_folder
from conformance.report.fitting import fitting
from conformance.report.rendering import render_page
from conformance.report.result import to_json

FILE = "report.html"
COMPARED = 1  # violations of one requirement that are shown beside what would have been legal
SCRIPTS = ("timeline.js", "report.js")
FIRST_GROUPS = ("reject", "enqueue", "interrupt", "rollback")

_CITED = re.compile(r" \[(#\d+(?:, #\d+)*)\]$")


def cites(sentence: str) -> tuple[str, list[int]]:
    """A sentence of a proof without the records that it cites, and those."""
    found = _CITED.search(sentence)
    if found is None:
        return sentence, []
    return sentence[: found.start()], [int(n.strip("# ")) for n in found[1].split(",")]


def page(result: Mapping[str, Any], find: Find, more: Iterable[History] = ()) -> str:
    """The page of a result; ``more``: histories that are shown although nothing in them is violated."""
    timelines = list(_timelines(result, find, more))
    shown = {t["file"]: i for i, t in enumerate(timelines)}
    requirements = result["requirements"]
    return render_page(
        "report.html.j2",
        "report.css",
        SCRIPTS,
        source="result.json",
        data=result,
        result=result,
        groups=groups(requirements),
        failing=[r for r in requirements if r["verdict"] == "fail"],
        policies=[r for r in requirements if r["level"] == "POLICY"],
        hazards=[r for r in requirements if r["level"] == "HAZARD"],
        timelines=timelines,
        shown=shown,
        legal=dict(_legal(requirements, find, shown)),
        extra=[t for t in timelines if t["extra"]],
        cites=cites,
        meaning=meaning(result),
    )


def groups(requirements: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """What must and should hold, by strategy or theme; the four strategies first."""
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in FIRST_GROUPS}
    for r in requirements:
        if r["level"] in ("MUST", "SHOULD"):
            found.setdefault(r["id"].partition(".")[0], []).append(r)
    return [(name, sorted(rows, key=lambda r: r["verdict"] != "fail")) for name, rows in found.items() if rows]


def meaning(result: Mapping[str, Any]) -> str:
    """What came of it, in words; the numbers are those of the summary."""
    failed = [r for r in result["requirements"] if r["verdict"] == "fail" and "known" not in r]
    musts = sum(r["level"] == "MUST" for r in failed)
    stale = result["summary"].get("stale", 0)
    open_still = sum(result["summary"][k] for k in ("inconclusive", "could_not_run"))
    match result["exit_code"]:
        case 0:
            return "everything that was asked for passed"
        case 1 if musts:
            return f"violated: {musts} MUST" + (f", {len(failed) - musts} SHOULD" if len(failed) > musts else "")
        case 1:
            return f"{stale} stale in the baseline" if stale else f"violated: {len(failed)} SHOULD"
        case 3:
            return f"nothing that must hold is violated, but {open_still} could not be judged"
        case 4:
            return "the target was lost, or the harness itself failed"
        case 130:
            return "broken off; this is what was known then"
    return f"exit code {result['exit_code']}"


def _legal(
    requirements: Iterable[Mapping[str, Any]], find: Find, shown: Container[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What would have been legal instead, of the violations of each requirement that are looked at first."""
    for r in requirements:
        for i, v in enumerate(r["violations"][:COMPARED]):
            history = find(v["history"]) if v["history"] in shown else None
            if history is not None and (found := legal(history, r["id"], v["proof"])) is not None:
                yield f"{r['id']}:{i}", found


def legal(history: History, id: str, proof: Iterable[str]) -> dict[str, Any] | None:
    """What would have been legal instead of the answer that violates a requirement, if anybody can say."""
    found = nearest(history, id, {n for sentence in proof for n in cites(sentence)[1]})
    return None if found is None else asdict(found)


def _timelines(result: Mapping[str, Any], find: Find, more: Iterable[History]) -> Iterator[dict[str, Any]]:
    """Those of the violations, the first of each requirement first, as long as there is room."""
    violations = [r["violations"] for r in result["requirements"]]
    order = [v[i]["history"] for i in range(max(map(len, violations), default=0)) for v in violations if i < len(v)]
    wanted = list(dict.fromkeys(order))
    shown = ((name, find(name), False) for name in wanted)
    others = ((f"histories/{h.instance.strip('~')}.jsonl", h, True) for h in more)
    return fitting(itertools.chain(shown, (o for o in others if o[0] not in wanted)))


class HtmlReport:
    """Writes ``report.html``."""

    def __init__(self, folder: Path, find: Find | None = None, more: Iterable[History] = ()) -> None:
        self._folder = folder
        self._find = find or in_folder(folder)
        self._more = more

    def __call__(self, event: Event) -> None:
        if isinstance(event, Outcome):
            text = page(to_json(event), self._find, self._more)
            (self._folder / FILE).write_text(text, encoding="utf-8", errors="replace")
