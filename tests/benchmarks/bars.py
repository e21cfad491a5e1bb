"""The bars of the project, one command each; every one prints both sides of what it compares.

    python -m tests.benchmarks.bars stability --runs 100
    python -m tests.benchmarks.bars stability --runs 30 --jitter-ms 50
    python -m tests.benchmarks.bars stability --runs 30 --workers 1
    python -m tests.benchmarks.bars stability --runs 30 --variant supersteps-are-not-cut-short
    python -m tests.benchmarks.bars crack --checks 20
    python -m tests.benchmarks.bars speed [URL] [--sample 60]

What they last printed, with commit, stands in RESULTS.md.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import anyio
import click

from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.driver import Check
from conformance.embedded import reference_server
from conformance.events import Outcome
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution, shuffled
from conformance.execution.listener import listening
from conformance.execution.loop import run
from conformance.execution.preflight import survey
from conformance.execution.scene import clean_up
from conformance.history import History
from conformance.programs import Program
from conformance.scenarios import all_programs
from conformance.verdicts import Judged
from reference_impl.defects import all_variants


@click.group()
def main() -> None:
    """The bars of the project."""


class Keeping(Check):
    """Keeps the histories in which a requirement was violated, to be looked at."""

    def noted(self, history: History, judged: dict[str, Judged]) -> None:
        broken = [id for id, said in judged.items() if said.violations]
        if broken:
            path = Path(tempfile.gettempdir()) / f"violated-{os.getpid()}-{self.plan.seed}-{broken[0]}.jsonl"
            history.dump(path)
            click.echo(f"{history.name} violates {', '.join(broken)}: {path}")


def _check(url: str, seed: int, keep: bool = False) -> Outcome:
    check = (Keeping if keep else Check)(Plan(url, Options(), Dialect(), seed))
    run(check.run)
    return check.outcome()


@main.command()
@click.option("--runs", default=100, show_default=True)
@click.option("--jitter-ms", default=0.0, show_default=True, help="Random delay of every response, 0 to this.")
@click.option("--workers", type=int, help="Runs that the server executes at once.")
@click.option("--variant", type=click.Choice([v.name for v in all_variants()]), help="Another server that is correct.")
@click.option("--first", default=0, show_default=True, help="The seed of the first run.")
def stability(runs: int, jitter_ms: float, workers: int | None, variant: str | None, first: int) -> None:
    """The correct reference server: how many of RUNS checks exit 0, each on a fresh server."""
    started = ["--jitter-ms", str(jitter_ms), *(["--workers", str(workers)] if workers else [])]
    started += ["--defect", variant] if variant else []
    codes: Counter[int] = Counter()
    durations = []
    for seed in range(first, first + runs):
        with reference_server(*started) as url:
            outcome = _check(url, seed, keep=True)
        codes[outcome.exit_code] += 1
        durations.append(outcome.duration_s)
        open_ones = [
            f"{r.requirement.id} {r.verdict} {r.why}"
            for r in outcome.results
            if r.verdict not in ("pass", "not-applicable", None)
        ]
        click.echo(
            f"run {seed - first + 1}: exit {outcome.exit_code} in {outcome.duration_s:.1f} s {'; '.join(open_ones)}"
        )
    click.echo(
        f"exit 0 in {codes[0]} of {runs} runs, {' '.join(started)}; other codes: "
        f"{ {c: n for c, n in codes.items() if c} or 'none' }; duration median {statistics.median(durations):.1f} s, "
        f"min {min(durations):.1f}, max {max(durations):.1f}"
    )


@main.command()
@click.option("--checks", default=20, show_default=True)
@click.option("--defect", default="late-checkpoint-in-the-cracks", show_default=True)
def crack(checks: int, defect: str) -> None:
    """The defect that breaks in one of ten cracks: in how many of CHECKS whole checks it is caught."""
    caught = 0
    for seed in range(checks):
        with reference_server("--defect", defect, "--seed", str(seed)) as url:
            outcome = _check(url, seed)
        failed = {r.requirement.id: f"{r.failed}/{r.exercised}" for r in outcome.results if r.verdict == "fail"}
        caught += bool(failed)
        click.echo(f"check {seed + 1}: {failed or 'nothing found'} in {outcome.duration_s:.1f} s")
    click.echo(f"{defect}: caught in {caught} of {checks} checks")


@main.command()
@click.argument("url", required=False)
@click.option("--sample", default=60, show_default=True, help="Programs that are timed both ways.")
@click.option("--seed", default=1, show_default=True)
def speed(url: str | None, sample: int, seed: int) -> None:
    """A whole check, and the same SAMPLE programs one after another and together."""
    if url is not None:
        _speed(url, sample, seed)
        return
    with reference_server() as own:
        _speed(own, sample, seed)


def _speed(url: str, sample: int, seed: int) -> None:
    outcome = _check(url, seed)
    click.echo(f"whole check: {outcome.duration_s:.1f} s, exit {outcome.exit_code}")
    programs = random.Random(seed).sample(shuffled(all_programs(seed), seed), sample)
    serial, together, slots = anyio.run(_both_ways, url, programs)
    click.echo(
        f"{sample} programs one after another {serial:.1f} s, together ({slots} at once) {together:.1f} s: "
        f"ratio {serial / together:.1f}"
    )


async def _both_ways(url: str, programs: list[Program]) -> tuple[float, float, int]:
    async with listening() as listener:
        client = Client(Address(url))
        surveyed = await survey(client, listener, Dialect(), None)
        session = surveyed.session

        async def execute(slots: int, at_once: int) -> float:
            begun, slot, running = time.monotonic(), anyio.CapacityLimiter(slots), anyio.CapacityLimiter(at_once)

            async def one(program: Program) -> None:
                async with running:
                    await Execution(session, program).run(slot)

            async with anyio.create_task_group() as tasks:
                for program in programs:
                    tasks.start_soon(one, program)
            return time.monotonic() - begun

        together = await execute(surveyed.slots, len(programs))
        serial = await execute(1, 1)
        await clean_up(session)
        await client.close()
        return serial, together, surveyed.slots


if __name__ == "__main__":
    main()
