"""Programs for endpoints: each strategy by each of them, clients that stay with stopped runs, whole streams."""

from __future__ import annotations

from typing import Literal

from conformance.facts.clients import RELEASE_S
from conformance.programs import STRATEGIES, Action, Endpoint, Program, Strategy, add, emit, gate, note, program

ACTIONS: tuple[Action, ...] = ("interrupt", "rollback")
STAYING: tuple[Endpoint, ...] = ("wait", "stream")
HELD = (add(), note("A"), gate("g", op="add"), emit())
STEADY_S = 0.5
SECOND = (gate("b"), add())
Stop = Literal["interrupt", "rollback", "cancel-interrupt", "cancel-rollback", "delete"]
STOPS: tuple[Stop, ...] = ("interrupt", "rollback", "cancel-interrupt", "cancel-rollback", "delete")


def same(strategy: Strategy, endpoint: Endpoint, second: bool) -> Program:
    """The same on two threads, on one of them with the endpoint: by it, the first or the second run is created. One
    after the other, for targets that execute one run at a time."""
    family = f"same-{endpoint}"
    begun = program(f"{family}/{strategy}/{'second' if second else 'first'}", family)
    begun = _met(begun, strategy, "t", ("A", "B"), ("runs", "runs"))
    begun = _met(begun, strategy, "u", ("C", "D"), ("runs", endpoint) if second else (endpoint, "runs"))
    if strategy != "reject":
        return begun
    last: Endpoint = endpoint if second else "runs"
    return begun.create("E", strategy, emit(), thread="u", endpoint=last).until_ended("E", needed=False)


def _met(
    begun: Program, strategy: Strategy, thread: str, tags: tuple[str, str], by: tuple[Endpoint, Endpoint]
) -> Program:
    """A run that is held, and one that meets it."""
    (first, second), refused = tags, strategy == "reject"
    key, then = f"g-{first}", f"g-{second}"
    held = (add(), note(first), gate(key, op="add"), emit())
    begun = begun.create(first, "enqueue", *held, thread=thread, endpoint=by[0], waits=False).until_inside(first, key)
    waits = refused or by[1] == "runs"
    begun = begun.create(second, strategy, gate(then), add(), thread=thread, endpoint=by[1], waits=waits)
    begun = begun if refused else begun.until_listed(second)
    begun = begun.until_steady(STEADY_S) if strategy == "enqueue" else begun  # the second has time to start beside it
    begun = begun.read(thread)
    if strategy in ACTIONS:
        begun = begun.until_stopped(first, second).until_inside(second, then, needed=False)
    return begun.open(key, then).until_ended(*(tags[:1] if refused else tags), needed=False)


def clients(endpoint: Endpoint, stop: Stop, started: bool) -> Program:
    """A run that is stopped while three clients stay with it: who created it, who joins it, who reads its stream."""
    family = f"clients-{endpoint}"
    begun = program(f"{family}/{stop}/{'running' if started else 'pending'}", family)
    tag = "A"
    if not started:
        begun = begun.create("P", "enqueue", *HELD, waits=False).until_inside("P", "g")
        tag = "Q"
    begun = begun.create(tag, "enqueue", *(HELD if started else SECOND), endpoint=endpoint, waits=False)
    begun = begun.until_inside("A", "g") if started else begun.until_listed("Q")
    begun = begun.join(tag, "join").join(tag, "stream").read()
    match stop:
        case "interrupt" | "rollback":
            begun = begun.create("B", stop, *SECOND)
        case "cancel-interrupt":
            begun = begun.cancel(tag, "interrupt")
        case "cancel-rollback":
            begun = begun.cancel(tag, "rollback")
        case "delete":
            begun = begun.delete(tag)
    begun = begun.until_stopped(tag, "B") if started and stop != "delete" else begun
    # The thread goes on, with what displaced the run or with what was before it: its clients are let go all the same.
    return begun.until_ended(tag, needed=False).until_released(tag, RELEASE_S).open("g", "b").read()


def late_clients(stop: Stop | None) -> Program:
    """A client joins a run, and another one its stream, when the run is over: by itself, or stopped by others."""
    begun = program(f"clients-late/{stop or 'success'}", "clients-late")
    begun = begun.create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    match stop:
        case None:
            begun = begun.open("g")
        case "interrupt" | "rollback":
            begun = begun.create("B", stop, *SECOND)
        case _:
            begun = begun.cancel("A", "interrupt")
    begun = begun.until_ended("A", needed=False).join("A", "join").join("A", "stream")
    return begun.until_released("A", RELEASE_S).open("g", "b").read()


def own_events(endpoint: Endpoint) -> Program:
    """Two runs of a thread, each with two readers, and one that nothing holds, with one reader who comes early; one
    more comes when the first of them is over."""
    begun = program(f"own-events/{endpoint}", "own-events").create("P", "enqueue", add(), note("P")).until_ended("P")
    begun = begun.create("A", "enqueue", *HELD, endpoint=endpoint, waits=False).until_inside("A", "g")
    begun = begun.join("A", "stream").join("A", "stream")
    begun = begun.create("B", "enqueue", *SECOND, endpoint=endpoint, waits=False).until_listed("B")
    begun = begun.join("B", "stream").join("B", "stream").read()
    begun = begun.create("C", "enqueue", add(), note("C"), emit()).join("C", "stream").read()
    begun = begun.open("g").until_inside("B", "b", needed=False)
    begun = begun.read().open("b").until_ended("A", "B", "C", needed=False)
    return begun.join("A", "stream").until_released("A", RELEASE_S).read()


def stateless() -> Program:
    """Runs without a thread, by each endpoint and with each strategy, beside one that is held and one that waits."""
    begun = program("stateless").create("A", "enqueue", *HELD, waits=False).until_inside("A", "g")
    begun = begun.create("B", "enqueue", *SECOND).read()
    ways: tuple[tuple[Strategy, Endpoint], ...] = (
        ("reject", "runs"),
        ("enqueue", "wait"),
        ("interrupt", "runs"),
        ("rollback", "stream"),
    )
    for i, (strategy, endpoint) in enumerate(ways):
        begun = begun.stateless(f"S{i}", strategy, emit(), endpoint=endpoint).until_answered(f"S{i}")
    return begun.read().open("g", "b").until_ended("A", "B", needed=False)


def stateless_beside() -> Program:
    """Runs without a thread, with each strategy, while another such run is held."""
    begun = program("stateless/beside", "stateless-beside").create("A", "enqueue", emit()).until_ended("A")
    begun = begun.stateless("S", "reject", gate("g"), emit()).until_inside("S", "g")
    for i, strategy in enumerate(STRATEGIES):
        begun = begun.stateless(f"S{i}", strategy, emit()).until_answered(f"S{i}")
    return begun.open("g").read()


def endpoint_programs() -> list[Program]:
    """All of them."""
    programs = [same(s, e, second) for s in STRATEGIES for e in STAYING for second in (True, False)]
    programs += [clients(e, stop, started) for e in STAYING for stop in STOPS for started in (True, False)]
    programs += [late_clients(stop) for stop in (None, "interrupt", "rollback", "cancel-interrupt")]
    return [*programs, *(own_events(e) for e in ("runs", "stream")), stateless(), stateless_beside()]
