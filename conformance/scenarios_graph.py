"""Programs for graphs that are no probe: no gates and no scripts, the second run comes while the first may be inflight.

Whether it was is shown by reads. Each program is tried at once after the first create's answer, and when the first run
was read as running.
"""

from __future__ import annotations

from conformance.bad_input import bad_input_programs
from conformance.programs import (
    NOBODY,
    STRATEGIES,
    Action,
    Create,
    Program,
    Strategy,
    program,
)
from conformance.scenarios_calls import create_missing, create_unknown

TRIALS = 3
BURST = 5
WAITING = 3  # runs that wait in the queue
ACTIONS: tuple[Action, ...] = ("interrupt", "rollback")


def _first(name: str, family: str, started: bool, earlier: bool = False) -> Program:
    begun = program(name, family)
    begun = begun.create("P", "enqueue").until_ended("P") if earlier else begun
    begun = begun.create("A", "enqueue")
    return begun.until_started("A").read() if started else begun.read()


def _when(started: bool) -> str:
    return "running" if started else "at-once"


def meeting(strategy: Strategy, started: bool, trial: int) -> Program:
    """B comes while A may be inflight, in some trials on a thread with an earlier run; then C has a free thread."""
    family, earlier = f"graph-{strategy}", trial % 2 == 1
    begun = _first(f"{family}/{_when(started)}/{trial}", family, started, earlier).create("B", strategy).read()
    ended = begun.until_ended("A", needed=False)
    if strategy == "reject":
        return ended.create("C", "reject").until_ended("C", needed=False)
    return ended.read().until_ended("B", needed=False)


def queue(trial: int) -> Program:
    """Runs that wait, one created after the other was answered; the epilogue reads lists until all have ended."""
    begun = program(f"graph-queue/{trial}", "graph-queue").create("A", "enqueue")
    for i in range(WAITING):
        begun = begun.create(f"Q{i}", "enqueue").read()
    return begun


def default(started: bool, trial: int) -> Program:
    """B names no strategy."""
    begun = _first(f"graph-default/{_when(started)}/{trial}", "graph-default", started)
    return begun.create("B", None).read().until_ended("A", needed=False)


def burst(trial: int) -> Program:
    """Simultaneous creates with reject on an idle thread."""
    creates = [Create(f"B{i}", "reject", (), waits=False) for i in range(BURST)]
    return program(f"graph-burst/{trial}", "graph-burst").together(*creates).read().read()


def create(trial: int) -> Program:
    """One run, looked at while its create may be unanswered, and after that."""
    begun = program(f"graph-create/{trial}", "graph-create").create("A", "enqueue", waits=False)
    return begun.until_listed("A").read().until_answered("A").read().until_ended("A", needed=False)


def cancel(action: Action, started: bool, trial: int) -> Program:
    """A is cancelled while it may be inflight, and R, which waits behind it, is nobody's business."""
    begun = _first(f"graph-cancel/{action}/{_when(started)}/{trial}", "graph-cancel", started)
    return begun.create("R", "enqueue").read().cancel("A", action).read().until_ended("A", "R", needed=False)


def cancel_twice(first: Action, second: Action) -> Program:
    """A is cancelled two times, one after the other."""
    begun = program(f"graph-cancel-twice/{first}/{second}", "graph-cancel-twice").create("A", "enqueue")
    return begun.until_started("A").cancel("A", first).cancel("A", second).until_ended("A", needed=False)


def cancel_over(action: Action) -> Program:
    """A run that is over is cancelled, and one that does not exist."""
    begun = program(f"graph-cancel-over/{action}", "graph-cancel-over").create("A", "enqueue").until_ended("A")
    return begun.cancel("A", action).cancel(NOBODY, action).read()


def clients(action: Action, by: str, started: bool) -> Program:
    """Clients stay with A (one that waits for it or reads its stream from its creation on, two that come later) when it
    is displaced, or cancelled."""
    name = f"graph-clients/{action}/{by}/{_when(started)}"
    begun = program(name, "graph-clients").create("A", "enqueue", endpoint="wait" if started else "stream", waits=False)
    begun = begun.until_listed("A")
    begun = begun.until_started("A") if started else begun
    begun = begun.join("A", "join").join("A", "stream")
    ended = begun.cancel("A", action) if by == "cancel" else begun.create("B", action)
    return ended.read().until_ended("A", needed=False)


def two_threads(strategy: Strategy, trial: int) -> Program:
    """A runs on its thread while Y displaces X on another one."""
    begun = program(f"graph-two-threads/{strategy}/{trial}", "graph-two-threads").create("A", "enqueue")
    begun = begun.create("X", "enqueue", thread="u").until_started("A", "X").create("Y", strategy, thread="u")
    return begun.read().read("u").until_ended("A", needed=False)


def graph_programs() -> list[Program]:
    """All of them."""
    moments = [(started, trial) for started in (False, True) for trial in range(TRIALS)]
    programs = [meeting(strategy, *moment) for strategy in STRATEGIES for moment in moments]
    programs += [queue(trial) for trial in range(TRIALS)]
    programs += [default(started, 0) for started in (False, True)]
    programs += [burst(trial) for trial in range(TRIALS)]
    programs += [create(trial) for trial in range(TRIALS)]
    programs += [cancel(action, started, 0) for action in ACTIONS for started in (False, True)]
    programs += [cancel_twice(first, second) for first in ACTIONS for second in ACTIONS]
    programs += [cancel_over(action) for action in ACTIONS]
    programs += [clients(a, by, started) for a in ACTIONS for by in ("cancel", "create") for started in (False, True)]
    programs += [two_threads(action, trial) for action in ACTIONS for trial in range(TRIALS)]
    programs += [create_missing(strategy) for strategy in STRATEGIES]
    programs += [create_unknown(strategy) for strategy in STRATEGIES]
    return programs + bad_input_programs()
