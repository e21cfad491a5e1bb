"""``summary.md``: the result for a page that shows markdown, such as the summary of a CI job."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.events import Event, Outcome
from conformance.report.html import meaning
from conformance.report.rendering import render
from conformance.report.result import to_json

FILE = "summary.md"
MOST_BYTES = 1_000_000  # GitHub drops a step's summary that is longer than 1 MiB
_SPECIAL = re.compile(r"[\\`*_\[\]<>|&~@#$!]|(?<=:)//")


def plain(text: Any) -> str:
    """A text that markdown and HTML take as it is: not as markup, a link, or a mention of somebody."""
    return _SPECIAL.sub(lambda found: "".join(f"&#{ord(c)};" for c in found[0]), " ".join(str(text).split()))


def to_markdown(result: Mapping[str, Any], most: int = MOST_BYTES, link: str | None = None) -> str:
    """The result as markdown, cut between two parts where it would be longer than ``most`` bytes.

    ``link``: where the whole report is, for one that had to be cut.
    """
    parts = list(_parts(result))
    more = f" The whole report: {link}" if link else " The whole report is beside `result.json`."
    text, room = "", most - 300 - len(more.encode())
    for i, part in enumerate(parts):
        if len((text + part).encode("utf-8", "replace")) > room:
            return f"{text}\n… {len(parts) - i} more parts are left out, for want of room.{more}\n"
        text += part
    return text


def _parts(result: Mapping[str, Any]) -> Iterator[str]:
    rows = result["requirements"]
    failing = [r for r in rows if r["verdict"] == "fail"]
    yield render("summary.md.j2", part="head", result=result, meaning=meaning(result), plain=plain, failing=failing)
    for r in failing:
        yield render("summary.md.j2", part="failure", r=r, plain=plain)
    yield render("summary.md.j2", part="rest", rows=[r for r in rows if r["verdict"] != "fail"], plain=plain)


class MarkdownReport:
    """Writes ``summary.md``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def __call__(self, event: Event) -> None:
        if isinstance(event, Outcome):
            self._file.write_text(to_markdown(to_json(event)), encoding="utf-8", errors="replace")


class GitHubReport:
    """In a GitHub Action: the markdown goes to the job's summary, and each failure becomes an annotation."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Outcome):
            return
        result, environment = to_json(event), self._environment
        if summary := environment.get("GITHUB_STEP_SUMMARY"):
            try:
                with Path(summary).open("a", encoding="utf-8", errors="replace") as file:
                    file.write(to_markdown(result, link=_run(environment)))
            except OSError as e:
                print(f"doubletext: GITHUB_STEP_SUMMARY cannot be written: {e.strerror or e}")
        if environment.get("GITHUB_ACTIONS") == "true":
            for line in commands(result):
                print(line)


def _run(environment: Mapping[str, str]) -> str | None:
    server, repository, run = (environment.get(f"GITHUB_{k}") for k in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None


def commands(result: Mapping[str, Any]) -> Iterator[str]:
    """Workflow commands of GitHub Actions: an error for a violated MUST, a warning for a SHOULD and what is open."""
    for r in result["requirements"]:
        known = r.get("known", {}).get("state")
        if known == "stale":
            yield _command("error", f"{r['id']}: stale in the baseline", r["known"]["note"] or "it fails no more")
        elif r["verdict"] == "fail" and known != "failing":
            first = r["violations"][0]
            text = f"{r['statement']} Observed: {first['observed']}. Failed {r['failed']} of {r['exercised']} times."
            kind = "error" if r["level"] == "MUST" else "warning"
            yield _command(kind, f"{r['id']} ({r['level']})", f"{text}\nAgain: {first['replay']}")
        elif r["verdict"] in ("inconclusive", "could-not-run", "harness-error"):
            yield _command("warning", f"{r['id']}: {r['verdict']}", r["why"])


def _command(kind: str, title: str, text: str) -> str:
    def escaped(value: str, more: str = "") -> str:
        value = value.encode("utf-8", "replace").decode()
        return "".join(f"%{ord(c):02X}" if c in f"%\r\n{more}" else c for c in value)

    return f"::{kind} title={escaped(title, ':,')}::{escaped(text)}"
