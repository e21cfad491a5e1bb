"""What a campaign shows while it goes on, and at its end."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from conformance.fuzz.campaign import Began, Ended, Found, FuzzEvent, Note, Progress, Stats
from conformance.nearest import cited, nearest

LINE_S = 30.0  # between two lines where there is no terminal to repaint
PAINT_S = 0.25


class FuzzDisplay:
    """A block of a few lines that is repainted on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._live: Live | None = None
        self._painted = time.monotonic()

    def __call__(self, event: FuzzEvent) -> None:
        match event:
            case Began():
                self._begin(event)
            case Progress(stats, findings):
                self._advance(stats, findings)
            case Found(finding, folder):
                where = f" -> {folder}" if folder is not None else ""
                line = f"finding: {finding.key.requirement}: {finding.violation.observed}{where}"
                self._console.print(Text(line, style="red"))
            case Note(text):
                if not self._quiet:
                    self._console.print(Text(text))
            case Ended():
                self.stop()
                self._end(event)

    def stop(self) -> None:
        """Take the block away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _begin(self, event: Began) -> None:
        if self._quiet:
            return
        target = event.target
        server = " ".join(str(target[k]) for k in ("server", "version") if target.get(k)) or "unknown server"
        line = f"{target.get('url')}: {server}; gate {event.transport}, {event.slots} at once, seed {event.seed}"
        self._console.print(Text(line))
        if self._console.is_terminal:
            self._live = Live(Text(""), console=self._console, transient=True, auto_refresh=False)
            self._live.start()

    def _advance(self, stats: Stats, findings: int) -> None:
        now = time.monotonic()
        if self._quiet or now - self._painted < (PAINT_S if self._live is not None else LINE_S):
            return
        self._painted = now
        lines = status(stats, findings)
        if self._live is not None:
            self._live.update(Group(*map(Text, lines)), refresh=True)
        else:
            self._console.print(Text("; ".join(lines)))

    def _end(self, ended: Ended) -> None:
        if not self._quiet:
            for finding in ended.findings:
                self._console.print(Text(f"\n{finding.text()}"))
                if other := nearest(finding.history, finding.key.requirement, cited(finding.violation.proof)):
                    self._console.print(Text(f"legal: {other.text()}"))
                if ended.folder is not None:
                    self._console.print(Text(f"kept in: {ended.folder / finding.key.name}"))
            for line in remarks(ended):
                self._console.print(Text(line, style="yellow"))
        if ended.lost is not None:
            self._console.print(Text(f"target lost: {ended.lost}", style="bold red"))
        self._console.print(Text(last_line(ended), style="bold"))


def status(stats: Stats, findings: int) -> list[str]:
    """How it goes, in a few lines."""
    seconds = max(stats.seconds, 0.001)
    met = f"{stats.overlap / stats.programs:.0%}" if stats.programs else "-"
    spread = f", simultaneous calls within {stats.spread_ms} ms" if stats.spread_ms is not None else ""
    quiet = time.monotonic() - stats.last_new
    return [
        f"{stats.programs} programs ({stats.programs / seconds:.1f}/s), {stats.runs / seconds:.1f} runs/s, "
        f"{stats.calls / seconds:.0f} requests/s",
        f"overlap in {met} of them{spread}",
        f"{len(stats.cells)} cells covered, the last new one {quiet:.0f} s ago",
        f"{findings} findings",
    ]


def remarks(ended: Ended) -> list[str]:
    """What else the user should know."""
    stats, lines = ended.stats, []
    lines += [f"{n} times the harness itself failed: {error}" for error, n in stats.errors.items()]
    lines += [f"{n} histories could not be judged whole: {why}" for why, n in stats.undecided.items()]
    if stats.could_not_run:
        lines.append(f"{stats.could_not_run} programs could not run: no thread could be created")
    if stats.dropped:
        lines.append(f"{stats.dropped} more violations, of other shapes, were not kept")
    if stats.leaked:
        lines.append(f"{stats.leaked} threads could not be removed from the target")
    if not stats.overlap and not ended.findings:
        lines.append("no two runs ever met: nothing is shown by this")
    return lines


def last_line(ended: Ended) -> str:
    """The campaign in one line."""
    stats = ended.stats
    first = f", the first after {stats.first_finding:.1f} s" if stats.first_finding is not None else ""
    shrinking = stats.seconds - stats.searched if stats.searched is not None else 0.0
    shrunk = f", {shrinking:.1f} s of them shrinking" if ended.findings and shrinking >= 0.05 else ""
    broken = "broken off; so far " if ended.interrupted else ""
    return (
        f"{broken}{len(ended.findings)} findings{first}; {stats.programs} programs, {stats.overlap} with overlap, "
        f"{len(stats.cells)} cells in {stats.seconds:.1f} s{shrunk} (seed {ended.seed})"
    )
