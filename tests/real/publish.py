"""Makes ``reports/``: checks the reference server and the current ``langgraph dev``, and writes what came of it.

    python -m tests.real.publish [--seed N] [--fuzz MINUTES]

Each gets a folder with ``result.json``, its page and a page in plain words; the front page is the matrix of both. What
a fuzzing campaign finds at ``langgraph dev`` stands in its folder ``fuzz``, each finding with its ``reproduce.py``,
which was tried on a fresh server.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.report.markdown import plain
from conformance.report.matrix import BADGE, Target, load, matrix, write
from conformance.report.plain import plain_words
from conformance.report.rendering import render
from tests.real.conftest import running_dev_server

REPORTS = Path(__file__).parent.parent.parent / "reports"
CHECK_S = 1800
TRIES, SCRIPT_S = 3, 180  # of each finding's script
SHOWN = 1  # its exit code where the bug is there


def check(out: Path, seed: int, url: str | None = None) -> Path:
    """One check with its histories; returns its folder."""
    command = [sys.executable, "-m", "conformance.cli", "check", *([url] if url else [])]
    command += ["--seed", str(seed), "--report", "json", "--report-dir", str(out)]
    done = subprocess.run(command, cwd=out.parent, timeout=CHECK_S, check=False)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: nothing is published")
    return out


def publish(targets: list[Target], out: Path) -> None:
    """Replace what is published of these servers; what is published of others stays, and is in the matrix too."""
    published = load(sorted(p.parent for p in out.glob("*/result.json")))
    new = {t.server for t in targets}
    pages = {t.slug: (t.folder / "report.html").read_text() for t in published if t.server not in new}
    every = load([*(t.folder for t in published if t.server not in new), *(t.folder for t in targets)])
    for target in published:
        if target.server in new:
            shutil.rmtree(target.folder)
    write(every, out)
    for slug, text in pages.items():
        (out / slug / "report.html").write_text(text)  # its histories are not there any more
    for target in every:
        (out / target.slug / "README.md").write_text(plain_words(target.result, BADGE))
    (out / "README.md").write_text(render("front.md.j2", matrix=matrix(every), plain=plain))


def campaign(out: Path, seed: int, url: str, minutes: float) -> tuple[list[Path], str]:
    """The findings of a fuzzing campaign, and its last words."""
    command = [sys.executable, "-m", "conformance.cli", "fuzz", url, "--seed", str(seed), "--max-time", f"{minutes:g}m"]
    command += ["--database", str(out / "database"), "--report-dir", str(out), "--no-color"]
    bound = minutes * 60 + CHECK_S
    done = subprocess.run(command, cwd=out.parent, timeout=bound, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    said = re.search(r"\d+ findings?; [^()]*\(seed [^)]*\)", " ".join(done.stdout.split()))
    return sorted(p.parent for p in out.glob("findings/*/finding.json")), said[
        0
    ] if said else "what it said last is lost"


def shows(finding: Path, url: str) -> int:
    """How often, of ``TRIES``, the finding's script shows the bug without this suite."""
    command = [sys.executable, "-I", str(finding / "reproduce.py"), url]
    shown = 0
    for _ in range(TRIES):
        try:
            done = subprocess.run(command, capture_output=True, timeout=SCRIPT_S, check=False)
        except subprocess.TimeoutExpired:
            continue
        shown += done.returncode == SHOWN
    return shown


def publish_findings(findings: list[Path], numbers: str, minutes: float, out: Path) -> None:
    """A page of all of them, and of each what it says and its script; each script is tried on a server of its own."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    lines = ["# What the fuzzer found", "", f"A campaign of {minutes:g} minutes: {numbers}.", ""]
    lines += [
        "| finding | level | observed | reproduces | its script, on a fresh server |",
        "| --- | --- | --- | --- | --- |",
    ]
    for finding in findings:
        with (
            tempfile.TemporaryDirectory(prefix="doubletext-verify-") as scratch,
            running_dev_server(Path(scratch)) as own,
        ):
            shown = shows(finding, own.url)
        about = json.loads((finding / "finding.json").read_text())
        place = out / finding.name
        shutil.copytree(finding, place, ignore=shutil.ignore_patterns("original.json", "timeline.txt"))
        text = (place / "finding.txt").read_text()
        (place / "finding.txt").write_text(text.replace(str(finding), finding.name))
        rate = "not tried again" if about["rate"] is None else f"{about['rate'][0]} of {about['rate'][1]}"
        link = f"[{about['requirement']}]({finding.name}/finding.txt)"
        said = f"shows it in {shown} of {TRIES} runs"
        lines.append(f"| {link} | {about['level']} | {plain(about['observed'])} | {rate} | {said} |")
    (out / "README.md").write_text("\n".join(lines) + "\n")
    with (out.parent / "README.md").open("a") as page:
        page.write(f"\nWhat a fuzzing campaign of {minutes:g} minutes found: [fuzz](fuzz/README.md).\n")


def main() -> None:
    """Check both, publish, and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fuzz", type=float, default=10.0, metavar="MINUTES", help="0: not at all (default: 10)")
    asked = parser.parse_args()
    seed: int = asked.seed
    with tempfile.TemporaryDirectory(prefix="doubletext-publish-") as scratch:
        folder = Path(scratch)
        results = [check(folder / "reference", seed)]
        with running_dev_server(folder / "langgraph-dev") as server:
            results.append(check(folder / "dev", seed, server.url))
        targets = load(results)
        publish(targets, REPORTS)
        if asked.fuzz:
            with running_dev_server(folder / "fuzzed") as server:
                found, numbers = campaign(folder / "fuzz", seed, server.url, asked.fuzz)
            publish_findings(found, numbers, asked.fuzz, REPORTS / targets[-1].slug / "fuzz")


if __name__ == "__main__":
    main()
