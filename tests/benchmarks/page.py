"""How long a page takes to open, its timeline to be drawn, and a frame of it: 10,000 calls beside 100, in one browser.

    python -m tests.benchmarks.page [--rounds 5]

What it last printed stands in RESULTS.md.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click

from conformance.report.html import page
from conformance.report.result import to_json
from tests.report.browser import KEYS, Watched, chromium, opened_first
from tests.report.making import finder, judged, long_history

FRAMES = """async keys => { const c = document.querySelector('canvas'), took = []; c.focus();
for (const key of keys) {
  const t = performance.now();
  c.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
  await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
  took.push(performance.now() - t); }
return took; }"""


def measured(browser: Any, file: Path) -> tuple[float, float, float]:
    """Milliseconds until the page is ready, until its timeline is drawn, and of a middle frame."""
    began = time.perf_counter()
    watched = Watched(browser, file.as_uri())
    ready = time.perf_counter()
    opened_first(watched.page)
    drawn = time.perf_counter()
    frame = median(watched.page.evaluate(FRAMES, KEYS))
    watched.context.close()
    return (ready - began) * 1000, (drawn - ready) * 1000, frame


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True)
def main(rounds: int) -> None:
    sizes = (100, 10_000)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        files = {}
        for calls in sizes:
            history = long_history(calls)
            files[calls] = Path(folder, f"{calls}.html")
            files[calls].write_text(page(to_json(judged([history])), finder([history]), [history]))
        rows: dict[int, list[tuple[float, float, float]]] = {calls: [] for calls in sizes}
        for _ in range(rounds):
            for calls in sizes:
                rows[calls].append(measured(browser, files[calls]))
        middle = {calls: [median(column) for column in zip(*rows[calls], strict=True)] for calls in sizes}
        for calls in sizes:
            opens, draws, frame = middle[calls]
            click.echo(
                f"{calls:>6} calls: {files[calls].stat().st_size / 1e6:.2f} MB, opens in {opens:.0f} ms, "
                f"draws in {draws:.0f} ms, a frame {frame:.0f} ms (medians of {rounds})"
            )
        ratios = " / ".join(f"{b / a:.1f}" for a, b in zip(middle[sizes[0]], middle[sizes[1]], strict=True))
        click.echo(f"10,000 by 100: {ratios}")


if __name__ == "__main__":
    main()
