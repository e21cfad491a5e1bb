"""Which reports there are, what their files are called, and who writes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.events import Listener

if TYPE_CHECKING:
    from conformance.history import History
    from conformance.report.finding import Find

FILES = {
    "json": "result.json",
    "junit": "junit.xml",
    "html": "report.html",
    "markdown": "summary.md",
    "sarif": "doubletext.sarif",
}


def writers(
    names: Sequence[str], folder: Path, strict: bool, find: Find | None = None, more: Iterable[History] = ()
) -> list[Listener]:
    """The reports of these names, written to a folder.

    ``find`` and ``more``: where the page's timelines come from; left out, from the histories beside it.
    """
    return [_writer(name, folder, strict, find, more) for name in names]


def surroundings(environment: Mapping[str, str] = os.environ) -> list[Listener]:
    """The reports that the place where this runs asks for by itself: a GitHub Action."""
    if environment.get("GITHUB_STEP_SUMMARY") or environment.get("GITHUB_ACTIONS") == "true":
        from conformance.report.markdown import GitHubReport

        return [GitHubReport(environment)]
    return []


def _writer(name: str, folder: Path, strict: bool, find: Find | None, more: Iterable[History]) -> Listener:
    match name:
        case "json":
            from conformance.report.result import JsonReport

            return JsonReport(folder)
        case "junit":
            from conformance.report.junit import JunitReport

            return JunitReport(folder, strict)
        case "html":
            from conformance.report.html import HtmlReport

            return HtmlReport(folder, find, more)
        case "markdown":
            from conformance.report.markdown import MarkdownReport

            return MarkdownReport(folder)
        case "sarif":
            from conformance.report.sarif import SarifReport

            return SarifReport(folder)
    raise ValueError(f"no report {name!r}")
