"""What the fuzzer finds, and how fast; and that it finds nothing where there is nothing.

    python -m tests.benchmarks.fuzz power [--defect GLOB] [--sample 10] [--side fuzz] [--max-time 60] [--seeds 1]
    python -m tests.benchmarks.fuzz scripts [--defect GLOB] [--shrink-time 10] [--times 3]
    python -m tests.benchmarks.fuzz silence [--minutes 10] [--jitter-ms 0] [--harming] [--variant NAME]

What they last printed, with commit, stands in RESULTS.md.
"""

from __future__ import annotations

import fnmatch
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.loop import run
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.lab import Trial
from conformance.fuzz.live import status
from reference_impl.defects import all_defects, all_variants
from reference_impl.defects.registry import Defect
from tests.benchmarks.baselines import Found, gather, said_by_schemathesis, stateful

SIDES = ("fuzz", "gather", "stateful")
KNOWN_RUNS = 2  # of schemathesis at the correct server, with other seeds


@click.group()
def main() -> None:
    """The fuzzer's bars."""


class UntilFound(Campaign):
    """Ends with the first finding."""

    def take(self, trial: Trial, seed: str) -> None:
        super().take(trial, seed)
        if self.findings:
            self.stop()


def _fuzz(url: str, seed: int, seconds: float) -> tuple[Found, UntilFound]:
    campaign = UntilFound(FuzzPlan(url, Options(settle_timeout=8.0), Dialect(), seed, seconds))
    run(campaign.run)
    first = campaign.stats.first_finding
    ids = sorted({key.requirement for key in campaign.findings})
    return (None if first is None else (first, ", ".join(ids))), campaign


def _known(seeds: range, seconds: float) -> set[str]:
    """What schemathesis says of the correct server."""
    with reference_server() as url:
        return {what for seed in seeds for what in said_by_schemathesis(url, seed, seconds)}


@main.command()
@click.option("--defect", "globs", multiple=True, metavar="GLOB", help="Only these.")
@click.option("--sample", type=int, metavar="N", help="Only so many of them, drawn by --sample-seed.")
@click.option("--sample-seed", default=1, show_default=True)
@click.option("--side", "sides", multiple=True, type=click.Choice(SIDES), help="Only these columns (repeatable).")
@click.option("--max-time", default=60.0, show_default=True, help="Seconds for each defect, seed and side.")
@click.option("--seeds", default=1, show_default=True)
def power(
    globs: tuple[str, ...], sample: int | None, sample_seed: int, sides: tuple[str, ...], max_time: float, seeds: int
) -> None:
    """Time to the first finding of every deliberate defect, without any hand-written scenario, beside two baselines."""
    sides = sides or SIDES
    defects: list[Defect | None] = [
        d for d in all_defects() if not globs or any(fnmatch.fnmatch(d.name, g) for g in globs)
    ]
    if sample is not None:
        defects = random.Random(sample_seed).sample(defects, min(sample, len(defects)))
    known = _known(range(1001, 1001 + KNOWN_RUNS), max_time) if "stateful" in sides else set()
    times: dict[str, list[float | None]] = {side: [] for side in sides}
    wrong = 0
    for defect in (None, *defects):  # the correct server first: what is found there is a false alarm
        for seed in range(1, seeds + 1):
            found: dict[str, Found] = {}
            remarks = ""
            for side in sides:
                arguments = ["--seed", str(seed), *(["--defect", defect.name] if defect is not None else [])]
                with reference_server(*arguments) as url:
                    if side == "gather":
                        found[side] = gather(url, seed, max_time)
                    elif side == "stateful":
                        found[side] = stateful(url, seed, max_time, known)
                    else:
                        found[side], campaign = _fuzz(url, seed, max_time)
                        may = {*defect.must_fail, *defect.may_fail} if defect is not None else set()
                        odd = sorted({key.requirement for key in campaign.findings} - may)
                        wrong += bool(odd)
                        remarks = f"  UNEXPECTED: {', '.join(odd)}" if odd else ""
                        remarks += f"  HARNESS: {'; '.join(campaign.stats.errors)}" if campaign.stats.errors else ""
                if defect is not None:
                    first = found[side]
                    times[side].append(first[0] if first is not None else None)
            row = "; ".join(f"{side} {_shown(found[side])}" for side in sides)
            click.echo(f"{defect.name if defect is not None else '(none)':32} seed {seed}: {row}{remarks}")
    for side in sides:
        hits = [t for t in times[side] if t is not None]
        median = f"{statistics.median(hits):.1f} s" if hits else "-"
        click.echo(f"{side}: found {len(hits)} of {len(times[side])} within {max_time:g} s, median {median}")
    click.echo(f"unexpected requirements in {wrong} campaigns")


def _shown(found: Found) -> str:
    return "not found" if found is None else f"{found[0]:.1f} s ({found[1]})"


@main.command()
@click.option("--defect", "globs", multiple=True, metavar="GLOB", help="Only these.")
@click.option("--max-time", default=60.0, show_default=True, help="Seconds for each search.")
@click.option("--shrink-time", default=10.0, show_default=True, help="Seconds for making what it found smaller.")
@click.option("--times", default=3, show_default=True, help="How often each script is run on either server.")
def scripts(globs: tuple[str, ...], max_time: float, shrink_time: float, times: int) -> None:
    """The first findings of every deliberate defect: does their reproduce.py see the bug on a fresh server that has
    it, and not on the correct one?"""
    counts: Counter[str] = Counter()
    for defect in (d for d in all_defects() if not globs or any(fnmatch.fnmatch(d.name, g) for g in globs)):
        with tempfile.TemporaryDirectory() as folder:
            with reference_server("--defect", defect.name, "--seed", "1") as url:
                _, campaign = _fuzz(url, 1, max_time)
                plan = replace(campaign.plan, folder=Path(folder), shrink_time=shrink_time, max_time=None)
                plan = replace(plan, max_examples=0)
                smaller = Campaign(plan)
                smaller.findings = campaign.findings
                run(smaller.run)
                smaller.outcome()
            for script in sorted(Path(folder).glob("*/reproduce.py")):
                with reference_server("--defect", defect.name, "--seed", "1") as url:
                    there = _seen(script, url, times)
                with reference_server() as url:
                    elsewhere = _seen(script, url, times)
                counts["shows it" if there[0] else "cannot tell" if there[1] == 3 else "does not show it"] += 1
                counts["sees it at the correct server"] += bool(elsewhere[0])
                click.echo(
                    f"{defect.name:32} {script.parent.name}: {there[0]} of {times} (exit {there[1]}), at the correct "
                    f"server {elsewhere[0]} (exit {elsewhere[1]})"
                )
    click.echo(f"{dict(counts)}")


def _seen(script: Path, url: str, times: int) -> tuple[int, int]:
    """How often a script saw the bug, and its exit code."""
    command = [sys.executable, "-I", str(script), url, str(times)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return shown.stdout.count("the bug was seen"), shown.returncode


@main.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--jitter-ms", default=0.0, show_default=True, help="Random delay of every response, 0 to this.")
@click.option("--seed", default=None, type=int)
@click.option("--harming", is_flag=True, help="With deletions from the beginning.")
@click.option("--variant", type=click.Choice([v.name for v in all_variants()]), help="Another server that is correct.")
@click.option("--keep", type=click.Path(path_type=Path), help="Where a finding is kept, to see what it came from.")
def silence(
    minutes: float, jitter_ms: float, seed: int | None, harming: bool, variant: str | None, keep: Path | None
) -> None:
    """A campaign over the correct reference: every finding would be a false alarm."""
    chosen = seed if seed is not None else int(time.time())
    with reference_server("--jitter-ms", str(jitter_ms), *(["--defect", variant] if variant else [])) as url:
        campaign = Campaign(FuzzPlan(url, Options(), Dialect(), chosen, minutes * 60, harming=harming or None))
        run(campaign.run)
    stats = campaign.stats
    click.echo("; ".join(status(stats, len(campaign.findings))))
    for finding in campaign.findings.values():
        click.echo(finding.text())
        if keep is not None:
            finding.save(keep)
    click.echo(
        f"{len(campaign.findings)} findings in {stats.seconds:.0f} s, {variant or 'the reference'}, "
        f"jitter 0..{jitter_ms:g} ms, seed {chosen}; "
        f"undecided {dict(stats.undecided)}, harness errors {dict(stats.errors)}, could not run {stats.could_not_run}, "
        f"leaked {stats.leaked}"
    )


if __name__ == "__main__":
    main()
