"""Test the tester: the kill matrix of deliberate defects against requirements.

A defect is killed when every requirement that it *must* break fails. A failure of any requirement that
it neither must nor may break is a false alarm. Both make the self-test fail.
"""

from __future__ import annotations

import fnmatch
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import click

from conformance.config import BadOption, Options, Plan
from conformance.dialects import Dialect
from conformance.embedded import reference_server

FEW_CRACKS = 4  # trials that exercise every requirement, when the defect does not live in the cracks
CRACKS = 30
SETTLE_S = 8.0


@dataclass(frozen=True)
class Kill:
    """What became of one defect."""

    defect: str
    must_fail: tuple[str, ...]
    may_fail: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)  # requirement -> what was observed
    error: str | None = None

    @property
    def survived(self) -> tuple[str, ...]:
        """Requirements that had to fail and did not."""
        return tuple(i for i in self.must_fail if i not in self.failed)

    @property
    def wrong(self) -> tuple[str, ...]:
        """Requirements that failed without cause."""
        return tuple(i for i in self.failed if i not in self.must_fail and i not in self.may_fail)

    @property
    def ok(self) -> bool:
        return not self.survived and not self.wrong and self.error is None

    def to_json(self) -> dict[str, Any]:
        """As one JSON value."""
        return {
            "defect": self.defect,
            "ok": self.ok,
            "must_fail": list(self.must_fail),
            "may_fail": list(self.may_fail),
            "failed": self.failed,
            "survived": list(self.survived),
            "wrong": list(self.wrong),
            "error": self.error,
        }


def cracks_for(defect: str) -> int:
    """How many trials it takes to see it: those that live in the cracks say so in their name."""
    return CRACKS if defect.endswith("in-the-cracks") else FEW_CRACKS


def check_defect(name: str, must_fail: Sequence[str], may_fail: Sequence[str], cracks: int, seed: int) -> Kill:
    """Run the whole suite against the reference server with one defect."""
    from conformance.driver import Check
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable

    kill = Kill(name, tuple(must_fail), tuple(may_fail))
    with reference_server("--defect", name) as url:
        plan = Plan(url, Options(settle_timeout=SETTLE_S), Dialect(), seed, cracks, rounds=0)
        check = Check(plan)
        try:
            run(check.run)
        except TargetUnusable as e:
            return Kill(name, kill.must_fail, kill.may_fail, {}, str(e))
        outcome = check.outcome()
    failed = {r.requirement.id: r.found[0].violation.observed for r in outcome.results if r.verdict == "fail"}
    errors = [f"{r.requirement.id}: {r.why}" for r in outcome.results if r.verdict == "harness-error"]
    return Kill(name, kill.must_fail, kill.may_fail, failed, "; ".join(errors) or outcome.lost)


def run_selftest(globs: Sequence[str], *, as_json: bool, parallel: int, seed: int = 1) -> int:
    """The kill matrix; returns the exit code: 1 if a defect survives, or is killed by the wrong requirement.

    Raises:
        BadOption: no defect matches.
        CannotServe: the reference server does not start here.
    """
    from reference_impl.defects import all_defects

    chosen = [d for d in all_defects() if not globs or any(fnmatch.fnmatch(d.name, g) for g in globs)]
    if not chosen:
        raise BadOption("no defect matches; `doubletext list --defects` shows them all")
    kills = []
    with ProcessPoolExecutor(max(1, parallel), mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(
                check_defect,
                d.name,
                d.must_fail,
                d.may_fail,
                cracks_for(d.name),
                seed,
            )
            for d in chosen
        ]
        for job in as_completed(jobs):
            kill = job.result()
            kills.append(kill)
            if not as_json:
                click.echo(_line(kill))
    kills.sort(key=lambda k: k.defect)
    if as_json:
        click.echo(json.dumps([k.to_json() for k in kills], indent=1, ensure_ascii=False))
    else:
        bad = [k for k in kills if not k.ok]
        click.echo(f"{len(kills) - len(bad)} of {len(kills)} defects killed by exactly the right requirements")
    return 0 if all(k.ok for k in kills) else 1


def _line(kill: Kill) -> str:
    if kill.error is not None:
        return f"ERROR     {kill.defect}: {kill.error}"
    if kill.survived:
        return f"SURVIVED  {kill.defect}: {', '.join(kill.survived)} did not fail; failed: {', '.join(kill.failed)}"
    if kill.wrong:
        return f"WRONG     {kill.defect}: {', '.join(f'{i} ({kill.failed[i]})' for i in kill.wrong)}"
    return f"killed    {kill.defect}: {', '.join(kill.failed)}"
