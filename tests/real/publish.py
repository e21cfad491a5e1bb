"""Makes ``reports/``: checks the reference server and the current ``langgraph dev``, and writes what came of it.

    python -m tests.real.publish [--seed N]

Each gets a folder with ``result.json``, its page and a page in plain words; the front page is the matrix of both.
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    """Check both, and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    with tempfile.TemporaryDirectory(prefix="doubletext-publish-") as scratch:
        folder = Path(scratch)
        results = [check(folder / "reference", seed)]
        with running_dev_server(folder / "langgraph-dev") as server:
            results.append(check(folder / "dev", seed, server.url))
        publish(load(results), REPORTS)


if __name__ == "__main__":
    main()
