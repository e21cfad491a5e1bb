"""The judge: what it costs, and whether it agrees with its references. Both sides are printed.

    python -m tests.benchmarks.judge cost
    python -m tests.benchmarks.judge beside
    python -m tests.benchmarks.judge agree --histories 10000 --calls 10
    python -m tests.benchmarks.judge unpruned --histories 1000 --calls 30
    python -m tests.benchmarks.judge walk
    python -m tests.benchmarks.judge mutants

Rates stand beside the machine's own speed: a plain Python loop, timed in the same process.
"""

from __future__ import annotations

import inspect
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import click

from conformance import model
from conformance.explain import explain
from conformance.history import Call, History
from conformance.observed import Observed
from conformance.verdicts import judge
from tests.conformance import agreement
from tests.conformance.model_rules import FULL, Walk
from tests.conformance.mutants import mutants
from tests.conformance.random_histories import Shape
from tests.conformance.random_histories import Walk as HistoryWalk
from tests.conformance.test_model_mutants import EQUIVALENT, noticed

CLIENTS = 8
ENOUGH = 2_000_000


@click.group()
def main() -> None:
    """What judging costs, and how far it can be trusted."""


def loop_speed() -> float:
    """Millions of turns a second of a plain loop: how fast this machine is just now."""
    begun, total = time.process_time(), 0
    for i in range(ENOUGH):
        total += i & 7
    return ENOUGH / (time.process_time() - begun) / 1e6


def made(calls: int, seed: int, overlap: float) -> Observed:
    """A valid history: what eight clients did on one thread, and all that was seen of it."""
    shape = Shape(
        calls=calls,
        overlap=overlap,
        strategies=("reject", "enqueue", "interrupt", "rollback"),
        gates=0.2,
        lost=0.0,
        announced=1.0,
        deletes=False,
        settled=True,
        pace=4.0,
        final=1.0,
    )
    return HistoryWalk(random.Random(seed), shape).walk()


@main.command()
@click.option("--overlap", default=1.0, show_default=True, help="How long a call lasts at most, in mean gaps.")
@click.option("--seeds", default=3, show_default=True)
def cost(overlap: float, seeds: int) -> None:
    """Calls a second, at 200 and at 2,000 calls; memory; and the adversarial case."""
    each: dict[int, float] = {}
    for calls in (200, 2000):
        spent = ops = 0.0
        for seed in range(seeds):
            history = made(calls, seed, overlap)
            begun = time.process_time()
            answer = explain(history, 50_000)
            took = time.process_time() - begun
            spent, ops = spent + took, ops + len(history.ops)
            click.echo(
                f"{calls} calls, {len(history.ops)} operations: {answer.verdict}, looked {answer.looked}, {took:.2f} s"
            )
        each[calls] = spent / (seeds * calls)
        click.echo(
            f"{calls} calls: {1 / each[calls]:.0f} calls/s, {ops / spent:.0f} operations/s (asked for: 10000 calls/s); "
            f"a plain loop makes {loop_speed():.1f} million turns/s here"
        )
    click.echo(f"cost per call at 2,000 calls / at 200: {each[2000] / each[200]:.2f} (asked for: at most 1.5)")
    tracemalloc.start()
    explain(made(2000, 0, overlap), 50_000)
    click.echo(f"memory at 2,000 calls: {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB (asked for: at most 200)")
    tracemalloc.stop()
    begun = time.process_time()
    answer = explain(agreement.adversarial(16))
    click.echo(
        f"16 clients, all overlapping: {answer.verdict}, looked {answer.looked}, {time.process_time() - begun:.2f} s"
    )


@main.command()
@click.option("--seed", default=1, show_default=True)
def beside(seed: int) -> None:
    """Judging each history of a whole check of the reference, beside what its execution took."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "conformance.cli", "check", "--seed", str(seed), "--report", "json"]
        subprocess.run([*command, "--report-dir", scratch], check=False, stdout=subprocess.DEVNULL, timeout=600)
        histories = [History.load(path) for path in sorted(Path(scratch).rglob("*.jsonl"))]
    shares = []
    judged = executed = 0.0
    for history in histories:
        begun = time.process_time()
        judge(history)
        took = time.process_time() - begun
        calls = list(history.of(Call))
        lasted = max(c.received or c.sent for c in calls) - min(c.sent for c in calls)
        judged, executed = judged + took, executed + lasted
        shares.append((took / lasted, history.name))
    shares.sort()
    click.echo(
        f"{len(histories)} histories: executed in {executed:.0f} s (added up), judged in {judged:.1f} s: "
        f"{judged / executed:.1%} (asked for: at most 10 %); median {statistics.median(s for s, _ in shares):.1%}, "
        f"above 10 %: {sum(s > 0.1 for s, _ in shares)}, most: {shares[-1][0]:.1%} of {shares[-1][1]}"
    )


@main.command()
@click.option("--histories", default=10_000, show_default=True)
@click.option("--calls", default=10, show_default=True)
@click.option("--limit", default=50_000, show_default=True, help="States that the brute force may look at.")
@click.option("--seed", default=1_000_000, show_default=True)
def agree(histories: int, calls: int, limit: int, seed: int) -> None:
    """Against every order of the operations."""
    click.echo(str(agreement.with_every_order(range(seed, seed + histories), calls, limit)))


@main.command()
@click.option("--histories", default=1000, show_default=True)
@click.option("--calls", default=30, show_default=True)
@click.option("--budget", default=20_000, show_default=True, help="Configurations that the unpruned search may keep.")
@click.option("--seed", default=2_000_000, show_default=True)
def unpruned(histories: int, calls: int, budget: int, seed: int) -> None:
    """Against the search without prunings, wherever that ends."""
    click.echo(str(agreement.with_unpruned(range(seed, seed + histories), calls, budget)))


@main.command()
@click.option("--most", default=3_000_000, show_default=True, help="States of one world.")
def walk(most: int) -> None:
    """All states of up to four runs and three supersteps."""
    for world in FULL:
        begun, walked = time.process_time(), Walk(model, world)
        walked.run(most)
        lengths = [len(script) for script in world.scripts.values()]
        click.echo(
            f"scripts of {lengths}, {world.cancels} cancels, {world.updates} updates, {world.displaces}: "
            f"{walked.nodes} states, {walked.moves} steps, all hold; {time.process_time() - begun:.0f} s"
        )


@main.command("mutants")
def _mutants() -> None:
    """How many mutants of the model are noticed."""
    begun = time.process_time()
    found = list(mutants(inspect.getsource(model), "model"))
    alive = [m.what for m in found if not noticed(m)]
    click.echo(
        f"{len(found)} mutants, {len(found) - len(alive)} noticed; {len(EQUIVALENT)} are equivalent, "
        f"others alive: {[w for w in alive if w not in EQUIVALENT] or 'none'}; {time.process_time() - begun:.0f} CPU s"
    )


if __name__ == "__main__":
    main()
