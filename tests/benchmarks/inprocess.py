"""The in-process mode: is the same seed the same history, and are defects found.

    python -m tests.benchmarks.inprocess identical [--times 100] [--seeds 3]
    python -m tests.benchmarks.inprocess power [--defect GLOB] [--max-time 60] [--seeds 1]
    python -m tests.benchmarks.inprocess silence [--programs 500]

What they last printed, with commit, stands in RESULTS.md.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import statistics
import time
from collections import Counter
from dataclasses import replace

import click

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.grammar import generate
from conformance.fuzz.inprocess.lab import fingerprint, in_process
from conformance.fuzz.lab import laboratory
from conformance.fuzz.live import status
from conformance.history import Call, History, Told
from conformance.programs import Program
from reference_impl.defects import all_defects
from tests.benchmarks.fuzz import UntilFound

APP = "reference_impl.asgi"
FORKS = 10  # executions of one process, before another one imports the application anew


@click.group()
def main() -> None:
    """The in-process mode's bars."""


def order(history: History) -> tuple[object, ...]:
    """What happened after what, without times and ids: which announcement and which answer."""
    return tuple(
        (r.kind, r.tag, r.step) if isinstance(r, Told) else (r.op, r.client, r.status)
        for r in history.records
        if isinstance(r, Told | Call)
    )


@main.command()
@click.option("--times", default=100, show_default=True)
@click.option("--seeds", default=3, show_default=True)
def identical(times: int, seeds: int) -> None:
    """How many of TIMES executions of a seed are identical, in many processes; and over HTTP."""
    for seed in range(1, seeds + 1):
        program = generate(f"identical/{seed}", f"fuzz identical/{seed}", harming=True)
        began = time.monotonic()
        histories = _in_many_processes(program, times)
        took = time.monotonic() - began
        prints = Counter(map(fingerprint, histories))
        texts = Counter(h.to_text() for h in histories)
        orders = Counter(map(order, _on_a_server(program, times)))
        click.echo(
            f"seed {seed} ({len(program.creates())} runs, {len(histories[0].records)} records): in-process "
            f"{prints.most_common(1)[0][1]} of {times} identical, {texts.most_common(1)[0][1]} byte for byte with "
            f"their ids, in {took:.1f} s; over HTTP the most frequent order of events came "
            f"{orders.most_common(1)[0][1]} of {times} times, {len(orders)} different ones"
        )


def _in_many_processes(program: Program, times: int) -> list[History]:
    histories: list[History] = []
    for i in range(0, times, FORKS):
        # Nothing of the process may matter: neither its environment, nor what it executed before.
        os.environ["DOUBLETEXT_NOTHING"] = "x" * (i * 97)
        histories += run(functools.partial(_in_memory, program, min(FORKS, times - i), i // FORKS % 3))
    return histories


def _on_a_server(program: Program, times: int) -> list[History]:
    with reference_server() as url:
        return run(functools.partial(_over_http, url, program, times))


async def _in_memory(program: Program, times: int, before: int) -> list[History]:
    async with in_process(f"{APP}:app", Options(), Dialect()) as lab:
        for i in range(before):
            await lab.by(f"before {i}", generate(f"before/{i}", f"before {i}"))
        return [await lab.by("same", program) for _ in range(times)]


async def _over_http(url: str, program: Program, times: int) -> list[History]:
    async with laboratory(Address(url), Options(), Dialect()) as lab:
        return [await lab.execute(program) for _ in range(times)]


@main.command()
@click.option("--defect", "globs", multiple=True, metavar="GLOB", help="Only these (default: all).")
@click.option("--max-time", default=60.0, show_default=True, help="Seconds for each defect and seed.")
@click.option("--seeds", default=1, show_default=True)
def power(globs: tuple[str, ...], max_time: float, seeds: int) -> None:
    """Time to the first finding of the deliberate defects, in-process; and whether it replays exactly."""
    times: list[float] = []
    trials = wrong = inexact = 0
    for defect in all_defects():
        if globs and not any(fnmatch.fnmatch(defect.name, g) for g in globs):
            continue
        for seed in range(1, seeds + 1):
            plan = FuzzPlan("", Options(), Dialect(), seed, max_time, app=f"{APP}:{defect.name}")
            campaign = UntilFound(replace(plan, harming=True))
            run(campaign.run)
            trials += 1
            found = sorted({key.requirement for key in campaign.findings})
            odd = [id for id in found if id not in (*defect.must_fail, *defect.may_fail)]
            wrong += bool(odd)
            exact = [f.history.target["exact"] for f in campaign.findings.values()]
            inexact += not all(exact)
            first = campaign.stats.first_finding
            times += [first] if first is not None else []
            when = f"{first:5.1f} s" if first is not None else "not found"
            click.echo(
                f"{defect.name:32} seed {seed}: {when} after {campaign.stats.programs:4} programs; {', '.join(found)}"
                f"{'' if all(exact) else '  NOT EXACT'}{'  UNEXPECTED: ' + ', '.join(odd) if odd else ''}"
                f"{'  HARNESS: ' + '; '.join(campaign.stats.errors) if campaign.stats.errors else ''}"
            )
    median = f"{statistics.median(times):.1f} s" if times else "-"
    click.echo(
        f"found {len(times)} of {trials} within {max_time:g} s, median {median}; unexpected in {wrong}, "
        f"not made again exactly in {inexact}"
    )


@main.command()
@click.option("--programs", default=500, show_default=True)
@click.option("--seed", default=1, show_default=True)
def silence(programs: int, seed: int) -> None:
    """A campaign over the correct reference, with deletions: every finding would be a false alarm."""
    plan = FuzzPlan("", Options(), Dialect(), seed, max_examples=programs, app=f"{APP}:app", harming=True)
    campaign = Campaign(plan)
    run(campaign.run)
    stats = campaign.stats
    click.echo("; ".join(status(stats, len(campaign.findings))))
    for finding in campaign.findings.values():
        click.echo(finding.text())
    click.echo(
        f"{len(campaign.findings)} findings in {stats.programs} programs, {stats.seconds:.0f} s, seed {seed}; "
        f"undecided {dict(stats.undecided)}, harness errors {dict(stats.errors)}, could not run {stats.could_not_run}"
    )


if __name__ == "__main__":
    main()
