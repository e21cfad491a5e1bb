"""Units of work: a seeded range of programs, executed and judged in a process of its own, wherever that is.

``execute`` starts the process, hands it the unit on its standard input, and waits for what it counted and found. When
the input closes before the end (whoever waits was killed, or does not want the answer any more), the unit cleans up
after itself and ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.fuzz.campaign import Campaign, FuzzPlan, Stats
from conformance.fuzz.corpus import Corpus
from conformance.fuzz.findings import Key
from conformance.fuzz.lab import Known
from conformance.history import History
from conformance.programs import Program

STOP_S = 15.0  # so long a unit that is not wanted any more may take to clean up
LOOK_S = 0.2
_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from conformance.fuzz.units import main; main()"


class UnitFailed(Exception):
    """The process of a unit ended without an answer; the text is the end of what it said."""


@dataclass(frozen=True)
class Unit:
    """The programs ``start`` to ``start`` + ``count`` of a campaign; ``seconds``: no longer than that."""

    start: int
    count: int
    seconds: float | None
    first: tuple[Program, ...] = ()  # to be tried before new ones
    varied: tuple[Program, ...] = ()  # to be varied
    harming: bool = False  # with deletions

    def to_json(self, plan: FuzzPlan, known: Known) -> dict[str, Any]:
        """With everything that its process needs. Holds secrets: not to be shown, nor to be put on a command line."""
        options = plan.options
        return {
            "url": plan.url,
            "app": plan.app,
            "pid": plan.pid,
            "seed": plan.seed,
            "rate": plan.rate,
            "start": self.start,
            "count": self.count,
            "seconds": self.seconds,
            "harming": self.harming,
            "first": [p.to_json() for p in self.first],
            "varied": [p.to_json() for p in self.varied],
            "dialect": plan.dialect.to_json(),
            "known": known.to_json(),
            "options": {
                "assistant": options.assistant,
                "header": [f"{name}: {value}" for name, value in options.headers().items()],
                "request_timeout": options.request_timeout,
                "only": list(options.only),
                "skip": list(options.skip),
            },
        }


@dataclass
class Done:
    """What a unit counted and found."""

    stats: dict[str, Any]
    corpus: list[tuple[Program, tuple[tuple[str, str, str, str], ...]]]
    found: list[tuple[Key, int, str, History, list[Program]]]  # how often; seed and history of the first; others
    lost: str | None

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Done:
        """What a unit's process printed."""
        return Done(
            value["stats"],
            [(Program.from_json(p), tuple(tuple(c) for c in cells)) for p, cells in value["corpus"]],
            [
                (Key(*key), seen, seed, History.from_text(text), [Program.from_json(p) for p in others])
                for key, seen, seed, text, others in value["found"]
            ],
            value["lost"],
        )


# --- in the process of the unit ------------------------------------------------------------------------------


class _Kept(Corpus):
    """Remembers what is to be told."""

    def __init__(self, first: list[Program], varied: list[Program]) -> None:
        super().__init__()
        self.first.extend(first)
        self._kept = [(p, ()) for p in varied]
        self.told: list[tuple[Program, list[tuple[str, str, str, str]]]] = []

    def reached(self, program: Program, cells: Any) -> None:
        self.told.append((program, list(cells)))
        super().reached(program, cells)


def run_unit(value: Mapping[str, Any]) -> dict[str, Any]:
    """Execute a unit here and now."""
    from conformance.execution.loop import run

    given = value["options"]
    options = Options(**{**given, **{k: tuple(given[k]) for k in ("header", "only", "skip")}})
    plan = FuzzPlan(
        value["url"],
        options,
        Dialect(**value["dialect"]),
        value["seed"],
        value["seconds"],
        value["count"],
        value["rate"],
        start=value["start"],
        harming=value["harming"],
        known=Known.from_json(value["known"]),
        alone=False,
        app=value["app"],
        pid=value["pid"],
    )
    first, varied = ([Program.from_json(p) for p in value[name]] for name in ("first", "varied"))
    corpus = _Kept(first, varied)
    campaign = Campaign(plan, corpus=corpus)
    run(campaign.run)
    stats = campaign.stats
    counted = {name: getattr(stats, name) for name in COUNTED}
    counters = {name: list(getattr(stats, name).items()) for name in COUNTERS}
    return {
        "stats": {**counted, **counters, "spreads": stats.spreads},
        "corpus": [[p.to_json(), cells] for p, cells in corpus.told],
        "found": [
            [
                [k.requirement, k.anomaly, k.shape],
                f.seen,
                f.seed,
                f.history.to_text(),
                [p.to_json() for p in f.shown_by],
            ]
            for k, f in campaign.findings.items()
        ],
        "lost": campaign.outcome().lost,
    }


COUNTED = ("programs", "runs", "calls", "overlap", "could_not_run", "leaked", "dropped")
COUNTERS = ("undecided", "errors", "cells")


def merge(stats: Stats, told: Mapping[str, Any]) -> None:
    """Add what a unit counted."""
    for name in COUNTED:
        setattr(stats, name, getattr(stats, name) + told[name])
    stats.spreads += told["spreads"]
    for name in COUNTERS:
        counted: Counter[Any] = Counter({tuple(k) if isinstance(k, list) else k: n for k, n in told[name]})
        if name == "cells" and counted.keys() - stats.cells.keys():
            stats.last_new = time.monotonic()
        getattr(stats, name).update(counted)


def main() -> None:
    """Read a unit from standard input, execute it, and print what came of it; ends early when the input closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else may write into the answer
    line = sys.stdin.readline()

    def watch() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)  # nobody waits any more: clean up, and end
        time.sleep(STOP_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        answer = run_unit(json.loads(line))
    except KeyboardInterrupt:
        os._exit(1)
    json.dump(answer, answers)
    answers.flush()
    os._exit(0)  # the watcher must not mistake the end for a call to stop


# --- for who wants the unit done -----------------------------------------------------------------------------


def execute(value: Mapping[str, Any], wanted: Callable[[], bool] = lambda: True) -> dict[str, Any] | None:
    """Do a unit in a process of its own; None if it was not ``wanted`` any more before it was done.

    Raises:
        UnitFailed: the process ended without an answer.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *sys.path],
        stdin=subprocess.PIPE,  # closes with this process, however it ends
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for who started the campaign
    )
    assert process.stdin is not None
    said: dict[str, str] = {}
    readers = [
        threading.Thread(target=_collect, args=(process, name, said), daemon=True) for name in ("stdout", "stderr")
    ]
    for reader in readers:
        reader.start()
    try:
        process.stdin.write(json.dumps(value) + "\n")
        process.stdin.flush()
        while process.poll() is None and wanted():
            time.sleep(LOOK_S)
        if process.poll() is None:
            return None
        for reader in readers:
            reader.join(STOP_S)
        answer: dict[str, Any] = json.loads(said["stdout"])
        return answer
    except (ValueError, KeyError, OSError) as e:
        last = said.get("stderr", "").strip().splitlines()[-1:] or [type(e).__name__]
        raise UnitFailed(f"a unit ended with exit code {process.poll()}: {last[0][:300]}") from None
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_S + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _collect(process: subprocess.Popen[str], name: str, said: dict[str, str]) -> None:
    said[name] = getattr(process, name).read()


def share(plan: FuzzPlan, workers: int) -> FuzzPlan:
    """The plan of each of so many workers: bounds are shared out."""
    return replace(plan, rate=None if plan.rate is None else plan.rate / workers)
