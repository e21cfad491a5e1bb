"""The terminal: what is being tried now, then the table, failures first and in full."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from conformance.events import Event, Executed, Lost, Outcome, Surveyed, Trying
from conformance.history import WITHOUT_PROBE, history_file
from conformance.nearest import cited, nearest
from conformance.report.drawn import drawn, harmless
from conformance.report.finding import Find
from conformance.report.result import known_failure, message, replay_command
from conformance.verdicts import Result

STYLE = {"pass": "green", "fail": "bold red", "harness-error": "bold magenta", None: "dim"}
MOST_IN_FULL = 3  # so many failures are shown with their proofs; the others in a few lines, without --verbose
WIDTH_NOW = 28  # columns for what is being tried
MANY = 4  # requirements that are not applicable for one reason: they are named together
MOST_IDLE = 12  # requirements that nothing exercised: with more of them, each has no line of its own
SLOW_S = 0.5


class TerminalReport:
    """Shows progress while the check goes on, and the verdicts at its end."""

    def __init__(
        self,
        console: Console,
        quiet: bool,
        verbose: bool = False,
        find: Find | None = None,
        folder: Path | None = None,
    ) -> None:
        """``find``: the histories that ``verbose`` draws; ``folder``: where they are."""
        self._console = console
        self._quiet = quiet
        self._verbose = verbose
        self._find = find
        self._folder = folder
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
        )
        self._task = self._progress.add_task("surveying the target", total=None)
        self._violated: set[str] = set()
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Surveyed():
                self._begin(event)
            case Trying(programs):
                self._now(programs)
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
        if event.transport == WITHOUT_PROBE:
            self._console.print(Text("no probe: judged by statuses, codes, order and the chain of checkpoints alone"))
        if event.transport == "stream":
            self._console.print(Text("no gate works on this target: timing is stretched, overlaps are not certain"))
        if event.call >= SLOW_S:
            slow = f"its answers take {event.call:.1f} s each: this will take long; --only GLOB narrows it"
            self._console.print(Text(slow, style="yellow"))
        self._progress.update(self._task, total=event.programs)
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
        self._progress.update(self._task, completed=event.done, total=event.planned)

    def _now(self, programs: tuple[str, ...]) -> None:
        """Name what is being tried: the latest, and how many beside it."""
        if not programs:  # they have ended, and are judged
            self._progress.update(self._task, description="judging")
        else:
            beside = f" +{len(programs) - 1}" if len(programs) > 1 else ""
            name = programs[-1]
            if len(name) > (room := WIDTH_NOW - len(beside)):
                name = f"{name[: room - 1]}…"
            self._progress.update(self._task, description=name + beside)

    def stop(self) -> None:
        """Take the progress line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _failure(self, outcome: Outcome, result: Result, in_full: bool) -> str:
        """A failure in words: in full, or what was expected and observed."""
        found = result.found[0]
        lines = message(result, found).splitlines()
        if not in_full:
            because = lines.index("because:")
            lines = [*lines[:because], lines[-1]]
        file = history_file(found.instance)
        history = self._find(f"histories/{file}") if self._find is not None and in_full else None
        if history is not None and (other := nearest(history, result.requirement.id, cited(found.violation.proof))):
            lines.insert(lines.index("because:"), f"legal:    {other.text()}")
        if self._folder is not None:
            lines.append(f"timeline: doubletext timeline {self._folder}/histories/{file}")
        lines += [f"again: {replay_command(outcome, result)}", f"advice: {result.requirement.advice}"]
        if history is not None and self._verbose:
            lines += ["", drawn(history, self._console.width)]
        return "\n".join([*lines, ""])

    def _end(self, outcome: Outcome) -> None:
        failed = [r for r in outcome.results if r.verdict == "fail" and r.known is None]
        failed.sort(key=lambda r: r.requirement.level != "MUST")
        for i, result in enumerate(failed):
            self._console.print(Text(harmless(self._failure(outcome, result, i < MOST_IN_FULL or self._verbose))))
        if len(failed) > MOST_IN_FULL and not self._verbose:
            self._console.print(
                Text(f"(the proofs of the last {len(failed) - MOST_IN_FULL}: --verbose)\n", style="dim")
            )
        for result in outcome.results:
            if result.known is not None and result.known.state == "stale":
                self._console.print(Text(f"stale {result.requirement.id}: {result.known.note}\n", style="bold red"))
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
        table.add_row(
            result.requirement.id,
            str(result.requirement.level),
            _verdict(result),
            f"{result.failed}/{result.exercised}",
            f"{result.overlap}/{result.exercised}",
        )
    return table


def _verdict(result: Result) -> Text:
    if result.known is not None and result.known.state != "unseen":
        known = result.known.state == "failing"
        return Text("known" if known else "stale", style="yellow" if known else STYLE["fail"])
    seen = "hazard" if result.hazard else "policy" if result.policy else "nothing seen"
    return Text(result.verdict or seen, style=STYLE.get(result.verdict, "yellow"))


def _remarks(outcome: Outcome) -> list[Text]:
    lines = []
    without = [r for r in outcome.results if r.verdict == "not-applicable"]
    shared = {why for why, n in Counter(r.why for r in without).items() if n >= MANY}
    idle = [r for r in outcome.results if r.verdict == "inconclusive" and r.exercised == 0]
    idle = idle if len(idle) >= MOST_IDLE else []
    for result in outcome.results:
        if result.known is not None and result.known.state != "stale":
            lines.append(Text(f"known {result.requirement.id}: {known_failure(result)}", style="yellow"))
        if result.policy:
            lines.append(Text(f"policy {result.requirement.id}: {result.policy}"))
        if result.hazard:
            lines.append(Text(f"hazard {result.requirement.id}: {result.hazard}", style="yellow"))
        if result.why and result.verdict is not None and result.why not in shared and result not in idle:
            lines.append(Text(f"{result.verdict} {result.requirement.id}: {result.why}", style="yellow"))
    for why in sorted(shared):
        ids = ", ".join(r.requirement.id for r in without if r.why == why)
        lines.append(Text(f"not-applicable: {why}: {ids}", style="yellow"))
    if idle:
        lines.append(Text(f"inconclusive, as nothing exercised them: {', '.join(r.requirement.id for r in idle)}"))
    if any(r.verdict == "harness-error" for r in outcome.results):
        lines.append(Text("A harness-error is a fault of this suite, not of the target: please report it."))
    if outcome.cracks:
        hit, tried = (sum(v[i] for v in outcome.cracks.values()) for i in (0, 1))
        lines.append(Text(f"cracks: in {hit} of {tried} trials a superstep ended while the call was under way"))
    if outcome.overlaps is not None:
        met, of = outcome.overlaps
        lines.append(Text(f"overlap achieved in {met} of {of} trials, as far as reads of the runs' statuses show it"))
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
    states = [r.known.state for r in outcome.results if r.known is not None]
    parts = [f"{n} {verdict}" for verdict, n in count.items() if n or verdict in ("pass", "fail")]
    if states:
        parts[1] += f" ({states.count('failing')} of them known)"
        parts += [f"{states.count('stale')} stale in the baseline"]
    hazards = sum(1 for r in outcome.results if r.hazard)
    broken = "broken off; so far " if outcome.interrupted else ""
    return f"{broken}{', '.join(parts)}, {hazards} hazards in {outcome.duration_s:.1f} s (seed {outcome.seed})"
