"""The matrix of several results: requirements by targets, what they disagree on first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.report.finding import in_folder
from conformance.report.html import meaning, page
from conformance.report.rendering import render, render_page

SCHEMA = 1
PAGE, DATA, BADGE, REPORT = "index.html", "matrix.json", "badge.svg", "report.html"
DECIDED = ("pass", "fail")
_NEEDED = {"requirements": list, "summary": dict, "target": dict, "tool": dict, "started": str, "exit_code": int}
_ROW = ("id", "level", "statement", "source", "verdict", "hazard", "policy", "exercised", "overlap", "failed", "rate")


class BadResult(Exception):
    """A file is no result of this schema; the text says what is wrong with it."""


@dataclass(frozen=True)
class Target:
    """One result, and where it came from; ``slug`` is the name of its folder beside the matrix."""

    slug: str
    folder: Path
    result: Mapping[str, Any]

    @property
    def server(self) -> str:
        return str(self.result["target"].get("server") or "unknown server")

    @property
    def version(self) -> str:
        return str(self.result["target"].get("version") or "")

    def row(self, id: str) -> Mapping[str, Any] | None:
        """What it says of one requirement; None if it was not asked."""
        return next((r for r in self.result["requirements"] if r["id"] == id), None)

    def to_json(self) -> dict[str, Any]:
        """As the matrix names it."""
        target = self.result["target"]
        return {
            "slug": self.slug,
            "server": self.server,
            "version": self.version,
            "url": target.get("url"),
            "dialect": target.get("dialect", {}).get("name"),
            "started": self.result["started"],
            "exit_code": self.result["exit_code"],
            "meaning": meaning(self.result),
            "summary": dict(self.result["summary"]),
        }


def load(paths: Iterable[Path]) -> list[Target]:
    """The results in these files (or folders that hold a ``result.json``), by server, the oldest first.

    Raises:
        BadResult: a file cannot be read, or is none.
    """
    found = [(path if path.is_file() else path / "result.json") for path in paths]
    results = sorted(((file, _read(file)) for file in found), key=lambda pair: _order(pair[1]))
    targets: list[Target] = []
    for file, result in results:
        name = f"{result['target'].get('server') or 'unknown'}-{result['target'].get('version') or ''}"
        slug = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "unknown"
        taken = {t.slug for t in targets}
        slug = next(s for s in (slug, *(f"{slug}-{i}" for i in range(2, len(taken) + 3))) if s not in taken)
        targets.append(Target(slug, file.parent, result))
    return targets


def _order(result: Mapping[str, Any]) -> tuple[str, str]:
    return str(result["target"].get("server") or ""), str(result["started"])


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except OSError as e:
        raise BadResult(f"{file}: cannot be read: {e.strerror or e}") from e
    except (ValueError, RecursionError) as e:
        raise BadResult(f"{file}: not JSON: {e}") from e
    if not isinstance(value, dict) or (value.get("tool") or {}).get("name") != "doubletext":
        raise BadResult(f"{file}: not a result.json of doubletext")
    if value.get("schema") != 1:
        raise BadResult(f"{file}: schema {value.get('schema')}; this version reads schema 1 only")
    for name, kind in _NEEDED.items():
        if not isinstance(value.get(name), kind):
            raise BadResult(f"{file}: {name} is missing, or damaged")
    for r in value["requirements"]:
        if not isinstance(r, dict) or (missing := [k for k in _ROW if k not in r]):
            raise BadResult(
                f"{file}: a requirement is damaged{f': it lacks {missing[0]}' if isinstance(r, dict) else ''}"
            )
    return value


def matrix(targets: Sequence[Target]) -> dict[str, Any]:
    """Rows of cells; those on which the targets disagree stand first."""
    ids = dict.fromkeys(r["id"] for t in targets for r in t.result["requirements"])
    rows = [_row(id, targets) for id in ids]
    rows.sort(key=lambda r: (not r["disagreement"], not r["fails"]))
    return {"schema": SCHEMA, "targets": [t.to_json() for t in targets], "requirements": rows}


def _row(id: str, targets: Sequence[Target]) -> dict[str, Any]:
    own = [t.row(id) for t in targets]
    first = next(r for r in own if r is not None)
    cells: list[dict[str, Any] | None] = []
    for i, (target, r) in enumerate(zip(targets, own, strict=True)):
        if r is None:
            cells.append(None)
            continue
        before = next(
            (b for t, b in zip(targets[:i][::-1], own[:i][::-1], strict=True) if b and t.server == target.server), None
        )
        cells.append({**{k: r[k] for k in _ROW[4:]}, "known": r.get("known"), "change": _change(before, r)})
    said = {c["verdict"] for c in cells if c is not None and c["verdict"] in DECIDED}
    if first["level"] == "POLICY":
        said |= {_choice(c["policy"]) for c in cells if c is not None and c["policy"]}
    return {
        **{k: first[k] for k in ("id", "level", "statement", "source")},
        "disagreement": len(said) > 1,
        "fails": any(c is not None and c["verdict"] == "fail" for c in cells),
        "cells": cells,
    }


def _choice(policy: str) -> str:
    """What a target does, without how often that was seen."""
    return re.sub(r" \(\d+\)", "", policy)


def _change(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str | None:
    """What became of it since the result before of the same server."""
    match before and before["verdict"], now["verdict"]:
        case "pass", "fail":
            return "regression"
        case "fail", "pass":
            return "fixed"
        case "fail", "fail" if before and _rank(now) > _rank(before):
            return "more often"
    return None


def _rank(r: Mapping[str, Any]) -> int:
    return ("never", "sometimes", "always").index(r["rate"])


def badge(target: Target) -> str:
    """An SVG badge: how many of the requirements that were decided hold."""
    summary = target.result["summary"]
    musts = [r for r in target.result["requirements"] if r["verdict"] == "fail" and r["level"] == "MUST"]
    total = summary["pass"] + summary["fail"]
    value = f"{summary['pass']} of {total} pass" if total else "nothing judged"
    colour = "#b3162a" if musts else "#8a5a00" if summary["pass"] < total or not total else "#176f33"
    label = f"double texting: {target.server} {target.version}".strip()
    return render("badge.svg.j2", label=label, value=value, colour=colour, widths=(_width(label), _width(value)))


def _width(text: str) -> int:
    """Of a text in the badge's font, generously."""
    return 14 + round(6.9 * len(text))


def write(targets: Sequence[Target], out: Path) -> list[Path]:
    """The matrix, its JSON, and for each target its result, its page and its badge; returns what was written."""
    made = matrix(targets)
    out.mkdir(parents=True, exist_ok=True)
    written = [_put(out / DATA, json.dumps(made, indent=1, ensure_ascii=False) + "\n")]
    written.append(_put(out / PAGE, render_page("matrix.html.j2", "report.css", ("matrix.js",), matrix=made)))
    for target in targets:
        folder = out / target.slug
        folder.mkdir(exist_ok=True)
        result = json.dumps(target.result, indent=1, ensure_ascii=False) + "\n"
        written.append(_put(folder / "result.json", result))
        written.append(_put(folder / REPORT, page(target.result, in_folder(target.folder))))
        written.append(_put(folder / BADGE, badge(target)))
    return written


def _put(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8", errors="replace")
    return file
