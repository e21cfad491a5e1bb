"""One check for many tests: who comes first executes it, the others (xdist workers) wait for its answers."""

from __future__ import annotations

import contextlib
import json
import os
import random
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.baseline import of_options
from conformance.config import BadOption, Options, Plan
from conformance.dialects import UnknownDialect, find_dialect
from conformance.embedded import CannotServe, reference_server
from conformance.signals import BROKEN_OFF

Answers = dict[str, Any]
"""``error``: why there are none, or None; ``lost``: why the target was given up on the way, or None;
``requirements``: id to its part of ``result.json``, with the ``timeline`` of its first violation as text, or None.
"""
LONGEST_S = 3600.0
POLL_S = 0.2


def answers_once(
    url: str | None, options: Options, ids: Sequence[str], reports: Sequence[str], shared: Path | None
) -> Answers:
    """The answers of one check of ``ids``; with ``shared``, executed by one process of several only."""
    if shared is None:
        return _answers(url, options, ids, reports)
    lock, done = shared / "doubletext.lock", shared / "doubletext-answers.json"
    try:
        holder = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return _wait_for(done, lock)
    with os.fdopen(holder, "w") as file:
        file.write(str(os.getpid()))
    answers = _none("the check was broken off")
    try:
        answers = _answers(url, options, ids, reports)
    finally:
        unfinished = done.with_suffix(".part")
        unfinished.write_text(json.dumps(answers))
        unfinished.replace(done)
    return answers


def _wait_for(done: Path, lock: Path) -> Answers:
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        if done.exists():
            answers: Answers = json.loads(done.read_text())
            return answers
        if not _alive(lock):
            return _none("the worker that executed the check died")
        time.sleep(POLL_S)
    return _none(f"the check did not end within {LONGEST_S:g} s")


def _none(why: str) -> Answers:
    return {"error": why, "lost": None, "requirements": {}}


def _alive(lock: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        text = lock.read_text()
        if text:
            os.kill(int(text), 0)
        return True
    return False


def _answers(url: str | None, options: Options, ids: Sequence[str], reports: Sequence[str]) -> Answers:
    try:
        # What the project under test makes of warnings is not for the harness's own code.
        with warnings.catch_warnings(action="ignore"):
            if url is not None:
                return _checked(url, options, ids, reports)
            with reference_server() as own:
                return _checked(own, options, ids, reports, embedded=True)
    except (BadOption, UnknownDialect, CannotServe) as e:
        return _none(str(e))


def _checked(url: str, options: Options, ids: Sequence[str], reports: Sequence[str], embedded: bool = False) -> Answers:
    from conformance.cli import prepare

    folder = Path(options.report_dir)
    with tempfile.TemporaryDirectory(prefix="doubletext-") as scratch:
        histories = prepare(folder) if reports else Path(scratch)
        return _judged(url, options, ids, reports, histories, embedded)


def _judged(
    url: str, options: Options, ids: Sequence[str], reports: Sequence[str], histories: Path, embedded: bool
) -> Answers:
    from conformance.cli_common import own_failure
    from conformance.driver import Check
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.report.result import to_json
    from conformance.report.writers import writers

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    plan = Plan(
        url,
        replace(options, only=tuple(ids), skip=()),
        find_dialect(options.dialect),
        seed,
        histories=histories,
        baseline=of_options(options),
        embedded=embedded,
    )
    check = Check(plan, writers(reports, Path(options.report_dir), options.strict))
    try:
        run(check.run)
        outcome = check.outcome()
    except TargetUnusable as e:
        return _none(str(e))
    except KeyboardInterrupt:
        check.outcome(exit_code=BROKEN_OFF)
        raise
    except Exception as e:  # no traceback: it would show the values of the options
        return _none(check.redactor.text(own_failure(e)))
    requirements = {r["id"]: {**r, "timeline": _drawn(r, histories)} for r in to_json(outcome)["requirements"]}
    return {"error": None, "lost": outcome.lost, "requirements": requirements}


def _drawn(requirement: Mapping[str, Any], histories: Path) -> str | None:
    """The timeline of its first violation, as text, below what would have been legal."""
    from conformance.history import History
    from conformance.report.drawn import compared

    for violation in requirement["violations"][:1]:
        file = histories / Path(violation["history"]).name
        if file.is_file():
            return compared(History.load(file), requirement["id"], violation["proof"])
    return None
