"""One check for many tests: who comes first executes it, the others (xdist workers) wait for its answers."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.config import BadOption, Options, Plan
from conformance.dialects import UnknownDialect, find_dialect
from conformance.embedded import CannotServe, reference_server

Answers = dict[str, Any]
"""``error``: why there are none, or None; ``lost``: why the target was given up on the way, or None;
``requirements``: id to its part of ``result.json``.
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
                return _checked(own, options, ids, reports)
    except (BadOption, UnknownDialect, CannotServe) as e:
        return _none(str(e))


def _checked(url: str, options: Options, ids: Sequence[str], reports: Sequence[str]) -> Answers:
    from conformance.cli import BROKEN_OFF, own_failure, prepare
    from conformance.driver import Check
    from conformance.events import Listener
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.report.junit import JunitReport
    from conformance.report.result import JsonReport, to_json

    folder = Path(options.report_dir)
    histories = prepare(folder) if reports else None
    writers: dict[str, Listener] = {"json": JsonReport(folder), "junit": JunitReport(folder, options.strict)}
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    plan = Plan(
        url, replace(options, only=tuple(ids), skip=()), find_dialect(options.dialect), seed, histories=histories
    )
    check = Check(plan, [writers[name] for name in reports])
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
    requirements = {r["id"]: r for r in to_json(outcome)["requirements"]}
    return {"error": None, "lost": outcome.lost, "requirements": requirements}
