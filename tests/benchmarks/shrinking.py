"""How small the fuzzer makes what it finds, beside what a person would have written by hand.

    python -m tests.benchmarks.shrinking [--defect GLOB] [--rate 1 --rate 0.5 --rate 0.1] [--shrink-time 60]

Each deliberate defect of the first pipeline is found by a campaign, which goes on for a little while, as a user's does;
its findings are then made smaller, the most frequent first, until one was seen again, where only so many executions
meet the server that has the defect: the others are sent to the correct one. What it last printed, with commit, stands
in RESULTS.md.
"""

from __future__ import annotations

import fnmatch
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import click

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.findings import Finding, reproduces
from conformance.fuzz.lab import Lab, Trial, laboratory
from conformance.fuzz.shrinking import Shrinker
from conformance.programs import (
    Cancel,
    CancelMany,
    Crack,
    Create,
    Delete,
    Join,
    Program,
    Renew,
    Stateless,
    Together,
    Update,
)
from reference_impl.defects import all_defects

USUAL = 2  # a run that is inflight, and what meets it
BY_HAND = {
    "create-waits-for-the-end": 1,
    "failure-called-success": 1,
    "success-called-error": 1,
    "success-before-the-end": 1,
    "queue-of-one": 3,
    "last-in-first-out": 3,
    "newest-replaces-waiting": 3,
    "stuck-pending": 3,
    "displaced-pending-run-executes": 3,
    "rollback-empties-the-thread": 3,
    "writes-to-the-neighbour": 3,
}
"""The calls of the smallest program that a person could write; USUAL for all other defects of the first pipeline."""
FIRST = (
    "no-strategy check-then-act refused-but-created refuses-every-strategy accepts-every-reject looks-at-an-old-list "
    "refusal-is-server-error refusal-is-bad-request refusal-without-reason refusal-changes-metadata "
    "refusal-changes-thread-status refusal-stops-the-run stays-closed enqueue-starts-at-once enqueue-interrupts "
    "stranded-by-failure merged-into-the-first shared-run-id interrupt-is-rollback interrupt-ignored "
    "relabelled-at-the-end never-told injected-into-the-running interrupt-drops-last-superstep "
    "interrupt-drops-all-supersteps interrupt-builds-on-the-start interrupted-run-forgotten interrupted-called-error "
    "stuck-busy leaves-a-hole wrong-parent rollback-is-interrupt rollback-ignored rollback-keeps-the-run "
    "rollback-keeps-the-input rollback-keeps-the-note rollback-keeps-the-counter rollback-leaves-orphans "
    "rollback-stacks-the-old-state rollback-needs-an-earlier-run deleted-run-returns unknown-status "
    "terminal-status-flips late-checkpoint late-checkpoint-in-the-cracks interrupts-all-threads"
)
MINIMA = {**dict.fromkeys(FIRST.split(), USUAL), **BY_HAND}
ALLOWED = 2  # calls more than by hand
OFTEN, AFTER_S = 4, 15.0
SETTLE_S = 8.0
OF_ONE_CALL = (Create, Cancel, CancelMany, Crack, Delete, Join, Renew, Stateless, Update)


class UntilSeen(Campaign):
    """Ends a little while after the first finding, or when one was seen several times."""

    def take(self, trial: Trial, seed: str) -> None:
        super().take(trial, seed)
        first = self.stats.first_finding
        often = any(f.seen >= OFTEN and f.level == "MUST" for f in self.findings.values())
        if often or (first is not None and self.stats.seconds > first + AFTER_S):
            self.stop()


def found(url: str, seed: int, seconds: float) -> list[Finding]:
    """What a campaign found, the weightiest first."""
    campaign = UntilSeen(FuzzPlan(url, Options(settle_timeout=SETTLE_S), Dialect(), seed, seconds))
    run(campaign.run)
    return list(campaign.outcome().findings)


class Sometimes:
    """A lab whose executions meet the broken server at this rate, and the correct one else."""

    def __init__(self, broken: Lab, correct: Lab, rate: float, seed: int) -> None:
        self._labs, self._rate, self._dice = (correct, broken), rate, random.Random(seed)
        self.at_once = broken.at_once

    @contextmanager
    def patient(self, share: float = 1.0) -> Iterator[None]:
        """As the lab's."""
        with self._labs[0].patient(share), self._labs[1].patient(share):
            yield

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """As the lab's."""
        with self._labs[0].one_by_one(), self._labs[1].one_by_one():
            yield

    async def trial(self, program: Program, only: str | None = None) -> Trial | None:
        """As the lab's."""
        return await self._labs[self._dice.random() < self._rate].trial(program, only=only)


def calls(program: Program) -> int:
    """How many calls a program makes, without those that only read."""
    together = sum(len(m.creates) + len(m.cancels) for m in program.moves if isinstance(m, Together))
    return together + sum(isinstance(m, OF_ONE_CALL) for m in program.moves)


async def shrunk(urls: Sequence[str], finding: Finding, rate: float, seconds: float) -> Finding:
    """The finding as small as it becomes in this time, where it fails at this rate."""
    options = Options(settle_timeout=SETTLE_S)
    async with (
        laboratory(Address(urls[0]), options, Dialect()) as broken,
        laboratory(Address(urls[1]), options, Dialect()) as correct,
    ):
        lab = Sometimes(broken, correct, rate, seed=1)
        return await Shrinker(lab, finding, time.monotonic() + seconds, lambda _trial: None).run()  # type: ignore[arg-type]


@click.command()
@click.option("--defect", "globs", multiple=True, metavar="GLOB", help="Only these.")
@click.option("--rate", "rates", multiple=True, type=float, default=[1.0, 0.5, 0.1], show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the search.")
@click.option("--max-time", default=60.0, show_default=True, help="Seconds for each search.")
@click.option("--shrink-time", default=60.0, show_default=True, help="Seconds for making one finding smaller.")
def main(globs: tuple[str, ...], rates: tuple[float, ...], seed: int, max_time: float, shrink_time: float) -> None:
    """The final program of each defect's first finding: its calls, and those of the smallest one by hand."""
    sums: Counter[tuple[float, str]] = Counter()
    for defect in all_defects():
        if defect.name not in MINIMA or (globs and not any(fnmatch.fnmatch(defect.name, g) for g in globs)):
            continue
        with reference_server("--defect", defect.name, "--seed", str(seed)) as url, reference_server() as correct:
            findings = found(url, seed, max_time)
            if not findings:
                click.echo(f"{defect.name:32} not found")
            for rate in rates if findings else ():
                began = time.monotonic()
                for finding in findings:  # one that a race showed may never come again: then the next one
                    best = run(partial(shrunk, (url, correct), finding, rate, shrink_time))
                    if best.rate is not None and best.rate[0]:
                        break
                made, most = calls(best.program), MINIMA[defect.name] + ALLOWED
                failed = best.rate is not None and best.rate[0] > 0
                verdict = "not seen again" if not failed else "small" if made <= most else "TOO LARGE"
                sums[rate, verdict] += 1
                click.echo(
                    f"{defect.name:32} at {rate:g}: {calls(finding.program)} -> {made} calls, by hand "
                    f"{MINIMA[defect.name]}: {verdict}, {time.monotonic() - began:.0f} s, "
                    f"{finding.key.requirement}; {reproduces(best.rate, best.alone)}"
                )
                if verdict == "TOO LARGE":
                    click.echo(f"    {json.dumps(best.program.to_json())}")
    for (rate, verdict), count in sorted(sums.items()):
        click.echo(f"at {rate:g}: {count} {verdict}")


if __name__ == "__main__":
    main()
