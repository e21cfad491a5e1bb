"""Many workers: every unit is counted once, whatever dies; findings merge; nothing is left on the target."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server, stop
from conformance.execution.loop import run
from conformance.fuzz.campaign import FuzzEvent, FuzzPlan, Progress, Stats
from conformance.fuzz.distribution import DistributedCampaign
from conformance.fuzz.units import execute, merge

pytest.importorskip("distributed")


def dask(kind: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, "--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler and two workers, as a cluster has them: its address, and the workers."""
    file = tmp_path / "scheduler.json"
    processes = [dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))]
    try:
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().strip()):
            assert time.monotonic() < end, "the scheduler did not start"
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        own = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path), "--host", "127.0.0.1")
        workers = [dask("worker", address, *own) for _ in range(2)]
        processes += workers
        yield address, workers
    finally:
        for process in processes:
            stop(process)


def threads_on(url: str) -> int:
    request = urllib.request.Request(
        f"{url}/threads/search", data=b'{"limit": 1000}', headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return len(json.load(answer))


def test_a_worker_that_is_killed_loses_nothing_and_nothing_counts_twice(
    cluster: tuple[str, list[subprocess.Popen[str]]],
) -> None:
    address, workers = cluster
    told: list[int] = []

    def listen(event: FuzzEvent) -> None:
        if isinstance(event, Progress):
            told.append(event.stats.programs)
            if len(told) == 1:
                workers[0].kill()  # it has a unit under way, and one that waits

    with reference_server() as url:
        plan = FuzzPlan(url, Options(), Dialect(), 3, max_examples=60)
        campaign = DistributedCampaign(plan, listen, workers=None, cluster=address, unit=10)
        run(campaign.run)
        outcome = campaign.outcome()
        assert outcome.stats.programs + outcome.stats.could_not_run == 60
        assert told == sorted(set(told))
        assert len(told) == 6
        assert not outcome.stats.errors
        assert outcome.exit_code == 0
        end = time.monotonic() + 30  # what the killed worker had begun cleans up after itself
        while threads_on(url) and time.monotonic() < end:
            time.sleep(0.5)
        assert threads_on(url) == 0


def test_findings_of_workers_merge(tmp_path: Path) -> None:
    """Found in the processes of two workers, kept here, with one count."""
    command = [sys.executable, "-m", "conformance.cli", "fuzz"]
    with reference_server("--defect", "refuses-every-strategy") as url:
        done = subprocess.run(
            [*command, url, "--workers", "2", "--max-examples", "100", "--seed", "4", "--shrink-time", "1s"],
            capture_output=True, text=True, cwd=tmp_path, timeout=170, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    result = json.loads((tmp_path / "doubletext-report" / "fuzz.json").read_text())
    assert result["programs"] == 100
    shapes = [(f["requirement"], f["anomaly"], f["shape"]) for f in result["findings"]]
    assert len(shapes) == len(set(shapes))
    assert {"enqueue.accepted", "interrupt.accepted", "rollback.accepted"} <= {s[0] for s in shapes}
    assert max(f["seen"] for f in result["findings"]) > 10
    for found in result["findings"]:
        assert (tmp_path / "doubletext-report" / found["folder"] / "reproduce.py").exists()


def test_what_is_not_wanted_any_more_is_given_up() -> None:
    begun = time.monotonic()
    assert execute({"not": "read yet"}, wanted=lambda: False) is None
    assert time.monotonic() - begun < 30


def test_what_units_counted_adds_up() -> None:
    stats = Stats()
    one = {
        "programs": 2, "runs": 5, "calls": 40, "overlap": 1, "could_not_run": 0, "leaked": 0, "dropped": 0,
        "spreads": [0.5], "undecided": [], "errors": [["x", 1]], "cells": [[["reject", "a", "runs", "b"], 3]],
    }  # fmt: skip
    merge(stats, one)
    merge(stats, one)
    assert (stats.programs, stats.runs, stats.calls, stats.overlap) == (4, 10, 80, 2)
    assert stats.cells == {("reject", "a", "runs", "b"): 6}
    assert stats.errors == {"x": 2}
