"""Test the tester: the kill matrix of deliberate defects against requirements.

A defect is killed when every requirement that it *must* break fails. A failure of any requirement that
it neither must nor may break is a false alarm; so is any failure of a *variant*, a server that decides otherwise where
the sources leave it open. Both make the self-test fail, and so does a violation that is not
proven, or whose proof stands with a fact less, or that a rule of safety sees and the model does not. What only the
model rejects is printed as unnamed: it wants a name.
"""

from __future__ import annotations

import fnmatch
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import click

from conformance.config import BadOption, Options, Plan
from conformance.dialects import Dialect
from conformance.embedded import command, reference_server
from conformance.signals import BROKEN_OFF

FEW_CRACKS = 4  # trials that exercise every requirement, when the defect does not live in the cracks
CRACKS = 30
SETTLE_S = 8.0
Job = tuple[str, Sequence[str], Sequence[str], int, int, float]  # the arguments of check_defect


@dataclass(frozen=True)
class Kill:
    """What became of one defect, or of one variant (nothing must fail)."""

    defect: str
    must_fail: tuple[str, ...]
    may_fail: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)  # requirement -> what was observed
    error: str | None = None
    unnamed: tuple[str, ...] = ()  # histories that only the model rejects

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
            "unnamed": list(self.unnamed),
        }


def cracks_for(defect: str) -> int:
    """How many trials it takes to see it: those that live in the cracks say so in their name."""
    return CRACKS if defect.endswith("in-the-cracks") else FEW_CRACKS


def generates(must_fail: Sequence[str]) -> bool:
    """Whether requests are generated, which takes seconds: where the defect is one of those that they look for."""
    return any(id.startswith("bad-input.") for id in must_fail)


def check_defect(
    name: str, must_fail: Sequence[str], may_fail: Sequence[str], cracks: int, seed: int, share: float = 1.0
) -> Kill:
    """Run the suite against the reference server with one defect: whole, or all programs that exercise what must fail
    and a ``share`` of the others.
    """
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.proving import ProvingCheck

    kill = Kill(name, tuple(must_fail), tuple(may_fail))
    with reference_server("--defect", name) as url:
        plan = Plan(url, Options(settle_timeout=SETTLE_S), Dialect(), seed, cracks, generates(must_fail), rounds=0)
        check = ProvingCheck(plan, must_fail, share)
        try:
            run(check.run)
        except TargetUnusable as e:
            return Kill(name, kill.must_fail, kill.may_fail, {}, str(e))
        outcome = check.outcome()
    failed = {r.requirement.id: r.found[0].violation.observed for r in outcome.results if r.verdict == "fail"}
    errors = [*(f"{id}: {why}" for id, why in check.tally.errors.items()), *check.weaknesses()[:5]]
    errors += [f"{id} rejects {history}, and the model explains it" for id, history in check.unnoticed.items()]
    error = "; ".join(errors) or outcome.lost
    return Kill(name, kill.must_fail, kill.may_fail, failed, error, tuple(check.unnamed))


def run_selftest(globs: Sequence[str], *, as_json: bool, parallel: int, seed: int = 1, share: float = 1.0) -> int:
    """The kill matrix; returns the exit code: 1 if a defect survives, or is killed by the wrong requirement.

    With ``as_json`` the only output is one JSON list, also of what is known when it is broken off.

    Raises:
        BadOption: no defect matches.
        CannotServe: the reference server cannot run here.
    """
    command()  # raises where its packages are missing
    from reference_impl.defects import all_defects, all_variants

    chosen = [
        d for d in (*all_defects(), *all_variants()) if not globs or any(fnmatch.fnmatch(d.name, g) for g in globs)
    ]
    if not chosen:
        raise BadOption("no defect matches; `doubletext list --defects` shows them all")
    jobs = [(d.name, d.must_fail, d.may_fail, cracks_for(d.name), seed, share) for d in chosen]
    kills: list[Kill] = []
    broken_off = False
    try:
        for kill in _each(jobs, parallel):
            kills.append(kill)
            if not as_json:
                click.echo(_line(kill))
    except KeyboardInterrupt:
        broken_off = True
    kills.sort(key=lambda k: k.defect)
    if as_json:
        click.echo(json.dumps([k.to_json() for k in kills], indent=1, ensure_ascii=False))
    else:
        click.echo(_summary(kills, len(chosen) if broken_off else None))
    return BROKEN_OFF if broken_off else _exit_code(kills)


def _summary(kills: Sequence[Kill], planned: int | None) -> str:
    """How many are as they should be; ``planned``: of how many, where it was broken off."""
    defects, variants = [k for k in kills if k.must_fail], [k for k in kills if not k.must_fail]
    said = []
    if defects or not variants:
        killed = sum(k.ok for k in defects)
        said.append(f"{killed} of {len(defects)} defects killed by exactly the right requirements")
    if variants:
        said.append(f"{sum(k.ok for k in variants)} of {len(variants)} variants failed by none")
    return ", ".join(said) + (f" (broken off; {planned} planned)" if planned is not None else "")


def _exit_code(kills: Sequence[Kill]) -> int:
    """1: a defect survived or was killed by the wrong requirement; 4: some could not be checked; else 0."""
    if any(k.error is None and not k.ok for k in kills):
        return 1
    return 4 if any(k.error is not None for k in kills) else 0


def _each(jobs: Sequence[Job], parallel: int) -> Iterator[Kill]:
    """The defects' kills in order of completion, each checked in a process of its own kind."""
    pool = ProcessPoolExecutor(
        max(1, min(parallel, len(jobs))),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=os.setsid,  # a terminal's Ctrl-C reaches everybody in it; who started them ends them
    )
    try:
        running = {pool.submit(check_defect, *job): job for job in jobs}
        for done in as_completed(running):
            name, must_fail, may_fail, *_ = running[done]
            try:
                yield done.result()
            except Exception as e:  # nothing is known of this defect; the others are checked all the same
                yield Kill(name, tuple(must_fail), tuple(may_fail), {}, f"{type(e).__name__}: {e}")
    except BaseException:
        # Their servers end with them: see embedded.reference_server.
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _line(kill: Kill) -> str:
    if kill.error is not None:
        return f"ERROR     {kill.defect}: {kill.error}"
    if kill.survived:
        return f"SURVIVED  {kill.defect}: {', '.join(kill.survived)} did not fail; failed: {', '.join(kill.failed)}"
    if kill.wrong:
        return f"WRONG     {kill.defect}: {', '.join(f'{i} ({kill.failed[i]})' for i in kill.wrong)}"
    if not kill.must_fail:
        return f"passed    {kill.defect}: a variant"
    unnamed = f" (unnamed: {', '.join(kill.unnamed[:3])})" if kill.unnamed else ""
    return f"killed    {kill.defect}: {', '.join(kill.failed)}{unnamed}"
