"""One check for many tests: who comes first executes it, the others (xdist workers) wait for its answers."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.config import BadOption, Options, Plan
from conformance.dialects import UnknownDialect, find_dialect
from conformance.embedded import CannotServe, reference_server

Answers = dict[str, Any]  # {"error": text or None, "requirements": {id: its part of result.json}}
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
    answers: Answers = {"error": "the check was broken off", "requirements": {}}
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
            return {"error": "the worker that executed the check died", "requirements": {}}
        time.sleep(POLL_S)
    return {"error": f"the check did not end within {LONGEST_S:g} s", "requirements": {}}


def _alive(lock: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        text = lock.read_text()
        if text:
            os.kill(int(text), 0)
        return True
    return False


def _answers(url: str | None, options: Options, ids: Sequence[str], reports: Sequence[str]) -> Answers:
    try:
        if url is not None:
            return _checked(url, options, ids, reports)
        with reference_server() as own:
            return _checked(own, options, ids, reports)
    except (BadOption, UnknownDialect, CannotServe) as e:
        return {"error": str(e), "requirements": {}}


def _checked(url: str, options: Options, ids: Sequence[str], reports: Sequence[str]) -> Answers:
    from conformance.cli import prepare
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
    except TargetUnusable as e:
        return {"error": str(e), "requirements": {}}
    result = to_json(check.outcome())
    return {"error": None, "requirements": {r["id"]: r for r in result["requirements"]}}
