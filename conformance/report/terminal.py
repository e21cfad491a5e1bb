"""The terminal: what is being tried now, then the table, failures first and in full."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from conformance.events import Event, Executed, Lost, Outcome, Surveyed
from conformance.report.result import message, replay_command
from conformance.verdicts import Result

STYLE = {"pass": "green", "fail": "bold red", "harness-error": "bold magenta", None: "dim"}
SHOWN_PER_REQUIREMENT = 1


class TerminalReport:
    """Shows progress while the check goes on, and the verdicts at its end."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("surveying the target", total=None)
        self._violated: set[str] = set()
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Surveyed():
                self._begin(event)
            case Executed():
                self._advance(event)
            case Lost(why):
                self._console.print(Text(f"target lost: {why}", style="bold red"))
            case Outcome():
                self.stop()
                self._end(event)

    def _begin(self, event: Surveyed) -> None:
        if self._quiet:
            return
        target = event.target
        server = " ".join(str(target[k]) for k in ("server", "version") if target.get(k)) or "unknown server"
        line = (
            f"{target.get('url')}: {server}; gate {event.transport}, {event.slots} at once, {event.programs} programs"
        )
        self._console.print(Text(line))
        if event.transport == "stream":
            self._console.print(Text("no gate works on this target: timing is stretched, overlaps are not certain"))
        if self._console.is_terminal:
            self._live = Live(self._progress, console=self._console, transient=True)
            self._live.start()

    def _advance(self, event: Executed) -> None:
        new = [v for v in event.violated if v not in self._violated]
        self._violated.update(new)
        if self._quiet:
            return
        for id in new:
            self._console.print(Text(f"violated: {id} ({event.program})", style="red"))
        self._progress.update(self._task, description=event.program[:34], completed=event.done, total=event.planned)

    def stop(self) -> None:
        """Take the progress line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _end(self, outcome: Outcome) -> None:
        failed = [r for r in outcome.results if r.verdict == "fail"]
        for result in failed:
            for found in result.found[:SHOWN_PER_REQUIREMENT]:
                again = f"again: {replay_command(outcome, result)}\nadvice: {result.requirement.advice}\n"
                body = f"{message(result, found)}\n{again}"
                self._console.print(Text(body))
        if not self._quiet:
            self._console.print(Group(_table(outcome.results), *_remarks(outcome)))
        self._console.print(Text(_last_line(outcome), style="bold"))


def _table(results: tuple[Result, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("requirement", no_wrap=True)
    table.add_column("level", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("failed of", justify="right", no_wrap=True)
    table.add_column("overlap", justify="right", no_wrap=True)
    for result in sorted(results, key=lambda r: r.verdict != "fail"):
        seen = "hazard" if result.hazard else "policy" if result.policy else "nothing seen"
        table.add_row(
            result.requirement.id,
            str(result.requirement.level),
            Text(result.verdict or seen, style=STYLE.get(result.verdict, "yellow")),
            f"{result.failed}/{result.exercised}",
            f"{result.overlap}/{result.exercised}",
        )
    return table


def _remarks(outcome: Outcome) -> list[Text]:
    lines = []
    for result in outcome.results:
        if result.policy:
            lines.append(Text(f"policy {result.requirement.id}: {result.policy}"))
        if result.hazard:
            lines.append(Text(f"hazard {result.requirement.id}: {result.hazard}", style="yellow"))
        if result.why and result.verdict is not None:
            lines.append(Text(f"{result.verdict} {result.requirement.id}: {result.why}", style="yellow"))
    if outcome.cracks:
        hit, tried = (sum(v[i] for v in outcome.cracks.values()) for i in (0, 1))
        lines.append(Text(f"cracks: in {hit} of {tried} trials a superstep ended while the call was under way"))
    if outcome.spread_ms is not None:
        lines.append(Text(f"bursts: simultaneous calls were sent within {outcome.spread_ms} ms (median)"))
    if outcome.leaked:
        lines.append(Text(f"{outcome.leaked} threads could not be removed from the target", style="yellow"))
    return lines


def _last_line(outcome: Outcome) -> str:
    count = {
        v: sum(1 for r in outcome.results if r.verdict == v)
        for v in ("pass", "fail", "inconclusive", "could-not-run", "harness-error")
    }
    parts = [f"{n} {verdict}" for verdict, n in count.items() if n or verdict in ("pass", "fail")]
    hazards = sum(1 for r in outcome.results if r.hazard)
    broken = "broken off; so far " if outcome.interrupted else ""
    return f"{broken}{', '.join(parts)}, {hazards} hazards in {outcome.duration_s:.1f} s (seed {outcome.seed})"
