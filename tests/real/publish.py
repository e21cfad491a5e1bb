"""Makes ``reports/``: checks the reference server and the current ``langgraph dev``, and writes what came of it.

    python -m tests.real.publish [--seed N] [--fuzz MINUTES]

Each gets a folder with ``result.json``, its page and a page in plain words; the front page is the matrix of both. What
a fuzzing campaign finds at ``langgraph dev`` stands in its folder ``fuzz``, each finding made smaller on a fresh server
and with its ``reproduce.py``, which was tried on another one.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.execution.loop import run
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.findings import Finding
from conformance.fuzz.findings import load as load_finding
from conformance.report.markdown import plain
from conformance.report.matrix import BADGE, Target, load, matrix, write
from conformance.report.plain import plain_words
from conformance.report.rendering import render
from tests.benchmarks.shrinking import calls
from tests.real.conftest import running_dev_server

REPORTS = Path(__file__).parent.parent.parent / "reports"
CHECK_S = 1800
SHRINK_S = 90.0  # for making one finding smaller
TRIES, SCRIPT_S = 5, 600  # of each finding's script
AT_ONCE = 3  # findings, each on servers of its own
LOOK = 3  # its exit code where it cannot tell by itself


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


def campaign(seed: int, url: str, minutes: float) -> Campaign:
    """A fuzzing campaign that only searches: what it did to the server would be in the way of all that comes later."""
    found = Campaign(FuzzPlan(url, Options(), Dialect(), seed, minutes * 60))
    run(found.run)
    found.outcome()
    return found


def smaller(finding: Finding, of: int, url: str, folder: Path) -> Path:
    """Make a finding of so many histories smaller, on a server that nothing was done to, and keep it."""
    plan = FuzzPlan(url, Options(), Dialect(), 1, max_examples=0, shrink_time=SHRINK_S, folder=folder)
    shrinking = Campaign(plan)
    shrinking.findings, shrinking.stats.programs = {finding.key: finding}, of
    run(shrinking.run)
    shrinking.outcome()
    return folder / finding.key.name


def shows(finding: Path, url: str) -> str:
    """How often the finding's script shows the bug without this suite."""
    command = [sys.executable, "-I", str(finding / "reproduce.py"), url, str(TRIES)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SCRIPT_S, check=False)
    except subprocess.TimeoutExpired:
        return "did not end in time"
    said = re.search(r"^seen (\d+) of \d+ times$", done.stdout, re.MULTILINE)
    if done.returncode == LOOK or said is None:
        return "cannot tell by itself" if done.returncode == LOOK else "could not be played"
    return f"shows it in {said[1]} of {TRIES} runs"


def publish_findings(found: Campaign, minutes: float, out: Path, scratch: Path) -> None:
    """A page of all of them, and of each what it says and its script.

    Each is made smaller on a server of its own, and its script tried on another one.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    numbers = f"{found.stats.programs} programs, {found.stats.calls} requests, {len(found.findings)} findings"
    lines = ["# What the fuzzer found", ""]
    lines += [f"A campaign of {minutes:g} minutes (seed {found.plan.seed}): {numbers}. Each was then made smaller on a"]
    lines += [f"fresh server, for at most {SHRINK_S:g} s, and its script was run on another fresh one.", ""]
    lines += [
        "| finding | level | observed | calls | reproduces | its script, on a fresh server |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def tried(finding: Finding) -> tuple[Path, str]:
        with running_dev_server(scratch / f"smaller-{finding.key.name}") as own:
            place = smaller(finding, found.stats.programs, own.url, scratch / "findings")
        with running_dev_server(scratch / f"shown-{finding.key.name}") as own:
            return place, shows(place, own.url)

    findings = sorted(found.findings.values(), key=lambda f: f.key.name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(tried, findings))
    for finding, (place, said) in zip(findings, results, strict=True):
        saved = load_finding(place)
        about, kept = saved.about, out / place.name
        shutil.copytree(place, kept, ignore=shutil.ignore_patterns("original.json", "timeline.txt"))
        text = (kept / "finding.txt").read_text()
        (kept / "finding.txt").write_text(text.replace(str(place), place.name))
        rate = "not tried again" if about["rate"] is None else f"{about['rate'][0]} of {about['rate'][1]}"
        link = f"[{about['requirement']}]({place.name}/finding.txt)"
        made = f"{calls(finding.program)} → {calls(saved.program)}"
        lines.append(f"| {link} | {about['level']} | {plain(about['observed'])} | {made} | {rate} | {said} |")
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
                found = campaign(seed, server.url, asked.fuzz)
            publish_findings(found, asked.fuzz, REPORTS / targets[-1].slug / "fuzz", folder)


if __name__ == "__main__":
    main()
