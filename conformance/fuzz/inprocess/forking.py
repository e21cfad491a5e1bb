"""The process that has imported the server, and forks: each execution finds the server as it was imported.

Reads one request a line from its standard input, answers with one line each. A fork executes the request and ends, so
nothing of one execution is left for the next: no state of the server, no clock, no allocated memory. Strings hash alike
in all of these processes (``PYTHONHASHSEED``), and no garbage collector interferes while a fork executes.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from conformance.fuzz.inprocess.sources import Clock, Entropy

LONGEST_S = 120  # of real time, for one execution


class NoSuchApp(Exception):
    """``module:attribute`` names nothing that can be called."""


def main(spec: str) -> None:
    """Import the server, and execute what is asked for until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else may write between the answers
    bound = time.monotonic  # the real one
    clock, entropy = Clock(), Entropy()
    entropy.install()
    clock.install()
    try:
        app = load(spec)
        from conformance.fuzz.inprocess import world  # imports much: once, for all forks

        del world
    except Exception as e:
        _say(answers, {"error": f"{spec} cannot be imported: {type(e).__name__}: {e}", "kind": "NoSuchApp"})
        return
    _say(answers, {"ready": True})
    gc.collect()
    gc.freeze()
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            gc.disable()
            try:
                _say(answers, execute(app, clock, entropy, json.loads(line)))
                os._exit(0)
            finally:
                os._exit(1)
        _await(pid, answers, bound() + LONGEST_S, bound)


def load(spec: str) -> Any:
    """The ASGI application that ``module:attribute`` names; attributes may have dots.

    Raises:
        NoSuchApp: there is none.
    """
    place, colon, name = spec.partition(":")
    if not colon or not place or not name:
        raise NoSuchApp("expected MODULE:ATTRIBUTE")
    sys.path.insert(0, str(Path.cwd()))  # as every ASGI server does
    found: Any = importlib.import_module(place)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise NoSuchApp(f"{place} has no application {name!r}")
    return found


def execute(app: Any, clock: Clock, entropy: Entropy, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Execute a request in this process, which is of no use after it."""
    from conformance.dialects import Dialect
    from conformance.execution.client import Address
    from conformance.execution.preflight import TargetUnusable
    from conformance.execution.scene import TargetLost
    from conformance.fuzz.inprocess.asgi import DidNotStart
    from conformance.fuzz.inprocess.loop import NotDeterministic, Stalled
    from conformance.fuzz.inprocess.threads import Stuck
    from conformance.fuzz.inprocess.world import URL, Target, World
    from conformance.fuzz.lab import Known
    from conformance.programs import Program

    address = Address(URL, asked["assistant"], asked["headers"], asked["request_timeout"])
    world = World(Target(app, address, Dialect(**asked["dialect"])), clock, entropy, asked["schedule"])
    try:
        if "program" not in asked:
            surveyed = world.survey(asked["settle"])
            return {"known": Known.of(surveyed.session, surveyed.slots).to_json(), "refusals": world.refusals}
        history = world.execute(Program.from_json(asked["program"]), Known.from_json(asked["known"]))
        return {"history": history.to_text(), "refusals": world.refusals}
    except (TargetLost, TargetUnusable, DidNotStart, NotDeterministic, Stalled, Stuck) as e:
        return {"error": str(e), "kind": type(e).__name__, "refusals": world.refusals}
    except BaseException as e:
        import traceback

        traceback.print_exc()
        return {"error": f"{type(e).__name__}: {e}", "kind": "harness", "refusals": world.refusals}


def _await(pid: int, answers: IO[str], end: float, now: Any) -> None:
    """Wait for a fork; one that gives no answer is answered for."""
    import select
    import signal

    handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    if handle is not None:
        ready = select.select([handle], [], [], max(0.0, end - now()))[0]
        os.close(handle)
        if not ready:
            os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if status != 0:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
        why = f"an execution ended with {how}, within {LONGEST_S} s of real time or because of those"
        _say(answers, {"error": why, "kind": "ended"})


def _say(answers: IO[str], value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()
