"""``doubletext judge``: saved histories, judged and reported as a check would be."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from conformance.config import BadOption, Options
from conformance.events import Listener
from conformance.history import history_file
from conformance.offline import find, judge_saved
from conformance.report.terminal import TerminalReport
from conformance.report.writers import surroundings, writers

MOST_SHOWN = 20  # histories that the page shows although nothing in them is violated


def run_judge(paths: Sequence[Path], options: Options, report_dir: str | None) -> int:
    """Judge, report to the terminal and, where ``report_dir`` is given, to files there; returns the exit code.

    Raises:
        BadHistory: a file is no whole history.
        BadOption: an option cannot be used.
    """
    began = time.monotonic()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    saved = find(paths)
    console = Console(no_color=options.no_color or None, highlight=False)
    named = {f"histories/{history_file(h.instance)}": h for h in saved.histories}
    listeners: list[Listener] = [TerminalReport(console, options.quiet, options.verbose, named.get)]
    if report_dir is not None:
        folder = Path(report_dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise BadOption(f"--report-dir {folder}: {e.strerror or e}") from e
        strict = options.strict or (saved.kept is not None and saved.kept.strict)
        shown = saved.histories if len(saved.histories) <= MOST_SHOWN else ()
        listeners += writers(options.report, folder, strict, named.get, shown)
    listeners += surroundings()
    outcome = judge_saved(saved, options, started, round(time.monotonic() - began, 3))
    for listener in listeners:
        listener(outcome)
    return outcome.exit_code
