"""Programs for single calls: cancels in every form and at every moment, creates on threads that do not exist."""

from __future__ import annotations

from conformance.facts.clients import RELEASE_S
from conformance.programs import (
    NOBODY,
    STRATEGIES,
    Action,
    Cancel,
    Create,
    Endpoint,
    Program,
    Strategy,
    add,
    emit,
    gate,
    note,
    program,
)

ACTIONS: tuple[Action, ...] = ("interrupt", "rollback")
ENDPOINTS: tuple[Endpoint, ...] = ("runs", "wait", "stream")
FORMS = (("", False), ("true", True), ("false", False), ("0", False))  # of `wait`, and what they mean
HELD = (add(), note("A"), gate("g", op="add"), emit())
TOGETHER_TRIALS = 2
DUE = 1  # seconds after which a scheduled run is due
SOON_S = 0.8  # so long a cancel that waits for work is given to answer too early: some servers look twice a second


def cancel_running(action: Action, form: str, wait: bool) -> Program:
    """A is cancelled inside a superstep; R, which is queued behind it, is nobody's business."""
    begun = program(f"cancel-running/{action}/{form or 'omitted'}", "cancel-running")
    begun = begun.create("P", "enqueue", add(), note("P")).until_ended("P")
    begun = begun.create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    begun = begun.create("R", "enqueue", gate("r"), add()).read().cancel("A", action, wait, form).read()
    stopped = begun.until_stopped("A", "R").until_inside("R", "r", needed=False).open("g").read()
    return stopped.open("r").until_ended("A", "R", needed=False)


def cancel_after_a_wait(action: Action) -> Program:
    """A has waited behind P when it executes, and is cancelled then."""
    begun = program(f"cancel-running/{action}/waited", "cancel-running")
    begun = begun.create("P", "enqueue", add(), gate("p"), note("P"), add(), waits=False).until_inside("P", "p")
    begun = begun.create("A", "enqueue", *HELD).open("p").until_ended("P").until_inside("A", "g")
    begun = begun.cancel("A", action).until_stopped("A").open("g").until_ended("A", needed=False)
    return begun.create("R", "enqueue", add()).until_ended("R")


def cancel_pending(action: Action, form: str, wait: bool) -> Program:
    """Q is cancelled while it waits behind A, which is held; R waits behind both."""
    begun = program(f"cancel-pending/{action}/{form or 'omitted'}", "cancel-pending")
    begun = begun.create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", gate("q"), add()).create("R", "enqueue", gate("r"), add()).read()
    begun = begun.cancel("Q", action, wait, form).read().open("g").until_ended("A", needed=False)
    return begun.until_inside("R", "r", needed=False).read().open("r").until_ended("R", "Q", needed=False)


def cancel_scheduled(action: Action) -> Program:
    """S is cancelled before it is due, behind A, which is held until S would have been due."""
    begun = program(f"cancel-scheduled/{action}", "cancel-scheduled")
    begun = begun.create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    begun = begun.schedule("S", "enqueue", DUE, gate("s"), add()).cancel("S", action).read()
    begun = begun.until_steady(1.5 * DUE).open("g").until_ended("A", needed=False)
    return begun.open("s").until_ended("S", needed=False)


def cancel_over(action: Action, wait: bool) -> Program:
    """A run that has ended by itself is cancelled, and one that does not exist."""
    begun = program(f"cancel-over/{action}/{'wait' if wait else 'go'}", "cancel-over")
    begun = begun.create("A", "enqueue", add(), note("A")).until_ended("A").cancel("A", action, wait)
    return begun.cancel(NOBODY, action, wait).read().create("B", "enqueue", add()).until_ended("B")


def cancel_twice(first: Action, second: Action, started: bool) -> Program:
    """The same run is cancelled two times, one after the other."""
    name = f"cancel-twice/{first}/{second}/{'running' if started else 'pending'}"
    begun = program(name, "cancel-twice").create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    tag = "A" if started else "Q"
    begun = begun.create("Q", "enqueue", gate("q"), add()).cancel(tag, first).cancel(tag, second).read()
    return begun.open("g", "q").until_ended("A", "Q", needed=False)


def cancel_together(started: bool, trial: int) -> Program:
    """Two clients cancel a run at once, and want different things."""
    name = f"cancel-together/{'running' if started else 'pending'}/{trial}"
    begun = program(name, "cancel-together").create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    tag = "A" if started else "Q"
    begun = begun.create("Q", "enqueue", gate("q"), add())
    order = ACTIONS if trial % 2 else ACTIONS[::-1]
    begun = begun.cancel_together(*(Cancel(tag, action, form="") for action in order)).read()
    return begun.open("g", "q").until_ended("A", "Q", needed=False)


def cancel_wait(action: Action) -> Program:
    """A client waits for the end of work that swallows its cancellation for a while."""
    begun = program(f"cancel-wait/{action}", "cancel-wait")
    begun = begun.create("A", "enqueue", add(), gate("g", op="add", swallow="z"), emit(), waits=False)
    begun = begun.until_inside("A", "g").cancel("A", action, True, waits=False).until_stopped("A")
    return begun.until_returned("A", SOON_S).open("z", "g").until_left("A", 1).until_returned("A", 2.0)


def cancel_wait_pending(action: Action) -> Program:
    """A client waits for the end of a run that only waits: it has no work that could last."""
    begun = program(f"cancel-wait/{action}/pending", "cancel-wait")
    begun = begun.create("A", "enqueue", *HELD, waits=False).until_inside("A", "g").create("Q", "enqueue", add())
    begun = begun.cancel("Q", action, True, waits=False).until_ended("Q", needed=False)
    return begun.until_returned("Q", 2 * RELEASE_S).open("g").until_ended("A", needed=False)


def cancel_bulk(action: Action) -> Program:
    """A running and a pending run are cancelled by one call; R is not."""
    begun = program(f"cancel-bulk/{action}", "cancel-bulk")
    begun = begun.create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", gate("q"), add()).create("R", "enqueue", gate("r"), add()).read()
    begun = begun.cancel_many(action, "A", "Q").read().until_stopped("A", "R")
    begun = begun.until_inside("R", "r", needed=False).open("g", "q").read().open("r")
    return begun.until_ended("A", "Q", "R", needed=False)


def create_missing(strategy: Strategy, size: int = 5) -> Program:
    """Simultaneous creates that all ask for their thread."""
    creates = [Create(f"B{i}", strategy, (gate("b"), add()), waits=False, missing="create") for i in range(size)]
    return program(f"create-missing/{strategy}", "create-missing").together(*creates).read().open("b")


def create_unknown(strategy: Strategy) -> Program:
    """Creates on threads that do not exist, by each endpoint."""
    begun = program(f"create-unknown/{strategy}", "create-unknown")
    for endpoint in ENDPOINTS:
        thread = f"n-{endpoint}"
        begun = begun.create(f"N-{endpoint}", strategy, emit(), thread=thread, endpoint=endpoint, missing="refuse")
        begun = begun.read(thread)
    return begun


def call_programs() -> list[Program]:
    """All of them."""
    programs = [
        make(a, form, wait) for make in (cancel_running, cancel_pending) for a in ACTIONS for form, wait in FORMS
    ]
    programs += [cancel_after_a_wait(a) for a in ACTIONS]
    programs += [cancel_scheduled(a) for a in ACTIONS]
    programs += [cancel_over(a, wait) for a in ACTIONS for wait in (False, True)]
    programs += [cancel_twice(a, b, started) for a in ACTIONS for b in ACTIONS for started in (True, False)]
    programs += [cancel_together(started, trial) for started in (True, False) for trial in range(TOGETHER_TRIALS)]
    programs += [make(a) for make in (cancel_wait, cancel_wait_pending) for a in ACTIONS]
    programs += [cancel_bulk(a) for a in ACTIONS]
    programs += [create_missing(s) for s in STRATEGIES]
    programs += [create_unknown(s) for s in STRATEGIES]
    return programs
