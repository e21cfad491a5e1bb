"""The hand-written programs. Their job is to exercise the requirements; what must hold is said there.

Families name what a program exercises; requirements refer to them. First runs are held at gate ``g``,
second runs at gate ``b``, so that every overlap is known and not hoped for.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from conformance.bad_input import bad_input_programs
from conformance.programs import (
    STRATEGIES,
    Action,
    Cancel,
    Create,
    Endpoint,
    Program,
    Step,
    Strategy,
    add,
    ask,
    call_tool,
    effect,
    emit,
    fail,
    gate,
    note,
    program,
    tool_result,
)
from conformance.scenarios_calls import call_programs
from conformance.scenarios_endpoints import endpoint_programs

Where = Literal["first", "middle", "last", "nested"]
DISPLACING: tuple[Action, ...] = ("interrupt", "rollback")

HELD: dict[Where, tuple[Step, ...]] = {
    "first": (gate("g"), add(), note("A"), emit()),
    "middle": (add(), note("A"), call_tool("a"), gate("g", op="add"), tool_result("a"), emit()),
    "last": (emit(), add(), note("A"), gate("g", op="add")),
    "nested": (add(), note("A"), gate("g", op="add", nested=True), emit()),
}
SECOND: tuple[Step, ...] = (gate("b"), add(), note("B"))
SHORT: tuple[Step, ...] = (emit(), add())
FEW = 3  # trials of what does not depend on an instant, and may yet fail now and then


def _name(*parts: str | None) -> str:
    return "/".join(p for p in parts if p)


def _begin(name: str, family: str, earlier: bool) -> Program:
    """A program whose thread has, if ``earlier``, seen a successful run before."""
    begun = program(_name(name, "earlier" if earlier else None), family)
    if earlier:
        begun = begun.create("P", "enqueue", add(), note("P"), emit()).until_ended("P")
    return begun


def _second(begun: Program, strategy: Strategy) -> Program:
    """The second run over a first one that is inflight, and the way to the end."""
    if strategy == "reject":
        refused = begun.read().create("B", "reject", *SHORT).read().open("g").until_ended("A")
        return refused.create("D", "reject", emit()).until_ended("D")
    created = begun.create("B", strategy, *SECOND).read()
    if strategy == "enqueue":
        return created.open("g").until_inside("B", "b", needed=False).read().open("b").until_ended("A", "B")
    # B is held inside its first superstep while A is let go: whatever A still writes then is late.
    stopped = created.until_stopped("A", "B").until_inside("B", "b", needed=False)
    return stopped.open("g").read().open("b").until_ended("B")


def while_running(strategy: Strategy, where: Where, earlier: bool) -> Program:
    """A second run while the first is inside a superstep."""
    family = f"{strategy}-running"
    begun = _begin(_name(family, where), family, earlier)
    return _second(begun.create("A", "enqueue", *HELD[where], waits=False).until_inside("A", "g"), strategy)


def reject_behind_a_cancelled(action: Action) -> Program:
    """The newest run has ended, an older one is inflight: the create is refused."""
    begun = program(_name("reject-behind", action), "reject-behind")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", emit()).cancel("Q", action).until_ended("Q", needed=False)
    refused = begun.create("B", "reject", *SHORT).read().open("g").until_ended("A")
    return refused.create("D", "reject", emit()).until_ended("D")


def reject_behind_a_queue() -> Program:
    """Several runs are inflight, and all but one of them wait: the create is refused."""
    begun = program("reject-behind/queue", "reject-behind")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    for i in range(FEW):
        begun = begun.create(f"Q{i}", "enqueue", emit())
    refused = begun.create("B", "reject", *SHORT).read().open("g").until_ended("A", *(f"Q{i}" for i in range(FEW)))
    return refused.create("D", "reject", emit()).until_ended("D")


def while_pending(strategy: Strategy, earlier: bool) -> Program:
    """A second run right after the first was accepted, started or not."""
    family = f"{strategy}-pending"
    begun = _begin(family, family, earlier)
    return _second(begun.create("A", "enqueue", *HELD["first"]).until_answered("A"), strategy)


def while_joined(strategy: Strategy, how: Literal["join", "stream"], started: bool) -> Program:
    """As above, while a client joins or streams the first run."""
    family = f"{strategy}-joined"
    begun = program(_name(family, how, "running" if started else "pending"), family)
    begun = begun.create("A", "enqueue", *HELD["middle" if started else "first"]).until_answered("A").join("A", how)
    return _second(begun.until_inside("A", "g") if started else begun, strategy)


def after_end(strategy: Strategy, failed: bool, earlier: bool) -> Program:
    """A second run when the first has just ended."""
    family = f"{strategy}-{'failed' if failed else 'finished'}"
    script = (add(), note("A"), fail()) if failed else (add(), note("A"))
    begun = _begin(family, family, earlier).create("A", "enqueue", *script).until_ended("A")
    return begun.create("B", strategy, *SHORT).until_ended("B")


Earlier = Literal["success", "failed", "interrupted", "rolled-back", "update"]
EARLIER: tuple[Earlier, ...] = ("success", "failed", "interrupted", "rolled-back", "update")


def after_earlier(strategy: Strategy, last: Earlier) -> Program:
    """A run that finds something in every channel: an earlier run, and another one that ended this way, or a client's
    update of the state."""
    family = f"{strategy}-earlier"
    begun = program(_name(family, last), family)
    begun = begun.create("P", "enqueue", add(), note("P"), call_tool("p"), tool_result("p")).until_ended("P")
    match last:
        case "success":
            begun = begun.create("Q", "enqueue", add(), note("Q")).until_ended("Q")
        case "failed":
            begun = begun.create("Q", "enqueue", add(), note("Q"), fail()).until_ended("Q")
        case "interrupted":
            begun = begun.create("Q", "enqueue", add(), note("Q"), gate("q"), waits=False).until_inside("Q", "q")
            begun = begun.cancel("Q", "interrupt").until_ended("Q").open("q")
        case "rolled-back":
            begun = begun.create("Q", "enqueue", add(), note("Q"), gate("q"), waits=False).until_inside("Q", "q")
            begun = begun.create("R", "rollback", add(), note("R")).open("q").until_ended("R")
        case "update":
            begun = begun.update("U")
    return _second(begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g"), strategy)


def after_a_wait(strategy: Strategy) -> Program:
    """A has waited behind P when it executes: it was created on a state, and started on another one."""
    begun = program(_name(f"{strategy}-earlier", "waited"), f"{strategy}-earlier")
    begun = begun.create("P", "enqueue", add(), gate("p"), note("P"), add(), waits=False).until_inside("P", "p")
    begun = begun.create("A", "enqueue", *HELD["middle"]).open("p").until_ended("P").until_inside("A", "g")
    return _second(begun, strategy)


def three_runs(b: Strategy, c: Strategy) -> Program:
    """B and then C over a running A."""
    begun = program(_name("three", b, c), "three-runs")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("B", b, gate("b"), add()).read().create("C", c, gate("c"), add()).read()
    if b in DISPLACING or c in DISPLACING:
        begun = begun.until_stopped("A", "C" if c in DISPLACING else "B")
    return begun.open("g", "b", "c")


def chain(b: Action, c: Action) -> Program:
    """B displaces A, and when B is inside its own gate, C displaces B."""
    begun = program(_name("chain", b, c), "chain").create("P", "enqueue", add(), note("P")).until_ended("P")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("B", b, add(), note("B"), gate("b"), emit()).until_stopped("A", "B")
    begun = begun.until_inside("B", "b", needed=False).open("g").create("C", c, gate("c"), add(), note("C"))
    begun = begun.until_stopped("B", "C").until_inside("C", "c", needed=False)
    return begun.open("b").read().open("c").until_ended("C", needed=False)


def burst(strategy: Strategy | Literal["mixed"], size: int, busy: bool, trial: int = 0) -> Program:
    """Simultaneous creates on an idle or on a busy thread."""
    family = f"burst-{strategy}-{'busy' if busy else 'idle'}"
    begun = program(_name(family, str(size), str(trial)), family)
    if busy:
        begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
        if strategy == "reject":
            # The control of rule 4: the same call is accepted when no run is inflight.
            begun = begun.read()
    strategies: Iterator[Strategy] = itertools.cycle(STRATEGIES if strategy == "mixed" else (strategy,))
    creates = [Create(f"B{i}", next(strategies), (gate("b"), add()), waits=False) for i in range(size)]
    fired = begun.together(*creates).read()
    if busy and strategy in (*DISPLACING, "mixed"):
        fired = fired.until_stopped("A")
    fired = fired.open("g", "b") if busy else fired.open("b")
    if busy and strategy == "reject":
        return fired.until_ended("A").create("D", "reject", emit()).until_ended("D")
    return fired


def burst_of_short(trial: int) -> Program:
    """Simultaneous creates of runs that nothing holds: some are still being created when others end."""
    begun = program(_name("burst-enqueue-idle", "short", str(trial)), "burst-enqueue-idle")
    tags = [f"B{i}" for i in range(6)]
    return begun.together(*(Create(t, "enqueue", (add(),), waits=False) for t in tags)).until_ended(*tags, needed=False)


def queue(size: int) -> Program:
    """Several runs queued one after the other behind a running one."""
    begun = program(_name("queue", str(size)), "queue")
    begun = begun.create("A", "enqueue", *HELD["last"], waits=False).until_inside("A", "g")
    for i in range(size):
        begun = begun.create(f"B{i}", "enqueue", emit(), add())
    return begun.read().open("g").until_ended(*(f"B{i}" for i in range(size)), needed=False)


def queue_by_all_ways() -> Program:
    """The same, each created by another endpoint."""
    begun = program("queue/endpoints", "queue")
    begun = begun.create("A", "enqueue", *HELD["last"], waits=False).until_inside("A", "g")
    endpoints: tuple[Endpoint, ...] = ("runs", "wait", "runs", "stream", "runs")
    for i, endpoint in enumerate(endpoints):
        begun = begun.create(f"B{i}", "enqueue", emit(), add(), endpoint=endpoint, waits=False)
        begun = begun.until_answered(f"B{i}") if endpoint == "runs" else begun.until_listed(f"B{i}")
    return begun.read().open("g").until_ended(*(f"B{i}" for i in range(len(endpoints))), needed=False)


def queue_behind_failure() -> Program:
    """A run queued behind one that fails."""
    begun = program("queue-behind-failure").create("A", "enqueue", add(), gate("g", op="fail"), waits=False)
    begun = begun.until_inside("A", "g").create("B", "enqueue", *SHORT).create("C", "enqueue", emit())
    return begun.read().open("g").until_ended("A", needed=False).until_ended("B", "C", needed=False)


def queued_displaced(strategy: Action) -> Program:
    """A run that only waits, when another displaces the executing one."""
    begun = program(_name("queued-displaced", strategy), "queued-displaced")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", *SHORT).read().create("B", strategy, *SHORT).read()
    return begun.until_stopped("A", "B").open("g").until_ended("B", needed=False)


def default(earlier: bool) -> Program:
    """A create without a strategy while a run is inflight."""
    begun = _begin("default", "default", earlier)
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    return begun.create("B", None, *SHORT).read().until_stopped("A", "B").open("g").until_ended("A", needed=False)


def two_threads(strategy: Strategy, trial: int) -> Program:
    """What happens on thread ``t`` while another thread's run is held, and the other way round."""
    begun = program(_name("two-threads", strategy, str(trial)), "two-threads")
    begun = begun.create("X", "enqueue", add(), gate("x"), emit(), thread="u", waits=False).until_inside(
        "X", "x", needed=False
    )
    begun = begun.create("W", "enqueue", gate("x"), emit(), thread="w")  # on whose thread nothing else happens
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g", needed=False)
    begun = begun.create("B", strategy, *SHORT).create("Y", "enqueue", *SHORT, thread="u").read().read("u")
    if strategy in DISPLACING:
        begun = begun.until_stopped("A", "B")
    begun = begun.open("g").until_ended("A", needed=False).open("x").until_ended("X", "Y", "W", needed=False)
    # A third thread is new and idle, whatever t is busy with: a reject there is nobody else's business.
    begun = begun.create("H", "enqueue", gate("h"), waits=False).until_inside("H", "h", needed=False)
    return begun.create("Z", "reject", emit(), thread="v").until_ended("Z", needed=False).open("h")


def zombie(strategy: Action, how: Literal["swallows", "blocks"], effects: bool) -> Program:
    """A displaced run whose node code cannot be stopped, let go only when its successor has started."""
    op = "effect" if effects else "add"
    held = gate("g", op=op, name="late", **({"swallow": "z"} if how == "swallows" else {"block": True}))
    family = f"zombie-{how}"
    begun = program(_name(family, strategy, "effect" if effects else None), family)
    begun = begun.create("A", "enqueue", add(), effect("early") if effects else emit(), held, emit(), waits=False)
    begun = begun.until_inside("A", "g").create("B", strategy, *SECOND)
    begun = begun.until_stopped("A") if how == "swallows" else begun
    begun = begun.until_inside("B", "b", needed=False).read().open("z", "g").until_left("A", 2)
    return begun.read(deep=True).open("b").until_ended("B", needed=False)


def zombie_last(strategy: Action) -> Program:
    """As above, but its successor has ended before it is let go: whatever it writes would be the newest."""
    family = "zombie-swallows"
    held = gate("g", op="add", swallow="z")
    begun = program(_name(family, strategy, "last"), family).create(
        "A", "enqueue", add(), emit(), held, emit(), waits=False
    )
    begun = begun.until_inside("A", "g").create("B", strategy, *SHORT).until_stopped("A").until_ended("B", needed=False)
    return begun.read(deep=True).open("z", "g").until_left("A", 2)


def cancelled_pending(action: Action) -> Program:
    """A cancel of a run that only waits, while another one is held: the thread stays busy."""
    begun = program(_name("cancelled-pending", action), "cancelled-pending")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", *SHORT).read().cancel("Q", action).read().until_ended("Q", needed=False).read()
    return begun.open("g").until_ended("A", needed=False)


SOON = 1  # seconds after which a scheduled run is due


def scheduled_idle() -> Program:
    """A reject on a thread with nothing but a scheduled run."""
    begun = program("scheduled-idle").schedule("S", "enqueue", SOON, emit()).create("R", "reject", emit()).read()
    return begun.until_begun("S").until_ended("S", needed=False)


def scheduled_displacing(strategy: Action) -> Program:
    """A scheduled run that displaces, created over a held one."""
    begun = program(_name("scheduled-displacing", strategy), "scheduled-displacing")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    return begun.schedule("S", strategy, SOON, emit()).read().until_stopped("A", "S").open("g").read()


def scheduled_queued() -> Program:
    """A run that is enqueued behind a scheduled one, which is not due when the thread becomes free."""
    begun = program("scheduled-queued").create("A", "enqueue", *HELD["first"], waits=False).until_inside("A", "g")
    begun = begun.schedule("S", "enqueue", 2 * SOON, emit()).create("Q", "enqueue", emit()).open("g")
    return begun.until_ended("A", "Q", "S", needed=False)


def scheduled_busy() -> Program:
    """A scheduled run that is due while another one executes: it waits."""
    begun = program("scheduled-busy").create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.schedule("S", "enqueue", SOON, add(), emit()).until_steady(1.5 * SOON).read().open("g")
    return begun.until_ended("A", "S", needed=False)


def asked(strategy: Strategy | None) -> Program:
    """A thread waits at a question: a new run comes, or (None) an answer."""
    begun = program(_name("asked", strategy or "answered"), "asked")
    begun = begun.create("A", "enqueue", emit(), ask(), emit()).until_ended("A").read(deep=True)
    begun = begun.create("B", strategy, emit()) if strategy else begun.answer("B", "yes")
    return begun.until_ended("B", needed=False)


def webhook_ended(failed: bool, trial: int) -> Program:
    """A run with a webhook comes to its end."""
    begun = program(_name("webhook-ended", "failed" if failed else "success", str(trial)), "webhook-ended")
    return begun.hook("A", "enqueue", add(), fail() if failed else emit()).until_ended("A").until_hooked("A")


def webhook_by(endpoint: Endpoint) -> Program:
    """A run with a webhook whose client waits for it, or reads its stream."""
    begun = program(_name("webhook-ended", endpoint), "webhook-ended")
    return begun.hook("A", "enqueue", add(), emit(), endpoint=endpoint).until_ended("A").until_hooked("A")


def webhook_displaced(strategy: Strategy) -> Program:
    """A run with a webhook comes while another one, with a webhook too, is held."""
    begun = program(_name("webhook-displaced", strategy), "webhook-displaced")
    begun = begun.hook("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.hook("B", strategy, *SHORT)
    begun = begun.until_stopped("A", "B") if strategy in DISPLACING else begun
    return begun.open("g").until_ended("A", "B", needed=False).until_hooked("B")


def failed_last() -> Program:
    """A run that fails, and that no other follows."""
    return program("failed-last").create("A", "enqueue", add(), fail()).until_ended("A", needed=False)


def not_starved(slots: int) -> Program:
    """A run on an idle thread beside a held one with a long queue; W shows that two can execute at once."""
    begun = program("not-starved").create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("W", "enqueue", gate("w"), thread="w").until_begun("W").open("w")
    begun = begun.until_ended("W", needed=False)
    for i in range(max(12, slots + 2)):
        begun = begun.create(f"B{i}", "enqueue", emit(), waits=False)
    begun = begun.until_answered(f"B{max(12, slots + 2) - 1}").read()
    return begun.create("X", "enqueue", emit(), thread="u", waits=False).until_begun("X").open("g")


def cancelled_last(action: Action, started: bool) -> Program:
    """A cancel that no other run follows: nothing comes to clear what it leaves, or what is known of the run before."""
    begun = program(_name("cancelled-last", action, "running" if started else "pending"), "cancelled-last")
    begun = begun.create("P", "enqueue", add(), note("P")).until_ended("P").read(deep=True)
    begun = begun.create("A", "enqueue", *HELD["middle"]).until_answered("A")
    begun = begun.until_inside("A", "g") if started else begun
    return begun.cancel("A", action).until_ended("A", needed=False).open("g")


def update_running(queued: bool) -> Program:
    """A client updates the state while a gate holds a run, alone or with another one behind it."""
    family = "update-queued" if queued else "update-running"
    begun = program(family).create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("B", "enqueue", *SHORT) if queued else begun
    begun = begun.update("U").read(deep=True).open("g").until_ended("A", *("B" for _ in range(queued)), needed=False)
    return begun if queued else begun.create("B", "enqueue", *SHORT).until_ended("B", needed=False)


def update_idle() -> Program:
    """A client updates the state of a thread whose run has ended: the next run finds it."""
    begun = program("update-idle").create("A", "enqueue", add(), note("A")).until_ended("A").update("U")
    return begun.read(deep=True).create("B", "enqueue", *SHORT).until_ended("B", needed=False)


def delete_running(queued: bool) -> Program:
    """A run is deleted while a gate holds it, which is opened when the settle deadline has passed, or it was told."""
    begun = program(_name("delete-running", "queued" if queued else None), "delete-running")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    if queued:
        begun = begun.create("B", "enqueue", *SECOND).read().delete("A").read().until_halted("A")
    else:
        begun = begun.read().delete("A").read().until_halted("A").create("B", "enqueue", *SECOND)
    return begun.until_inside("B", "b", needed=False).open("g", "b").until_ended("B", needed=False)


def delete_last(started: bool) -> Program:
    """A thread's only run is deleted: nothing comes to clear what it leaves."""
    begun = program(_name("delete-last", "running" if started else "pending"), "delete-last")
    begun = begun.create("A", "enqueue", *HELD["middle"]).until_answered("A")
    begun = begun.until_inside("A", "g") if started else begun
    begun = begun.delete("A").read()
    return (begun.until_stopped("A") if started else begun).open("g")


def delete_queued(which: Literal["head", "first", "last"]) -> Program:
    """Of a queue the executing run, or one that waits, is deleted: the others go on."""
    begun = program(_name("delete-queued", which), "delete-queued")
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", gate("q"), add()).create("R", "enqueue", gate("r"), emit()).read()
    begun = begun.delete({"head": "A", "first": "Q", "last": "R"}[which]).read()
    begun = begun.until_stopped("A", "Q") if which == "head" else begun
    return begun.open("g", "q", "r").until_ended("A", "Q", "R", needed=False)


def delete_ended() -> Program:
    """A run that has ended is deleted, and another follows."""
    begun = program("delete-ended").create("A", "enqueue", add(), note("A")).until_ended("A").delete("A").read()
    return begun.create("B", "enqueue", *SHORT).until_ended("B", needed=False)


def thread_renewed(started: bool, queued: bool = False) -> Program:
    """A thread is deleted, with a run that is held (and one that waits) or one that has ended, and created again under
    its id."""
    name = _name("thread-renewed", "running" if started else "ended", "queued" if queued else None)
    begun = program(name, "thread-renewed")
    if not started:
        begun = begun.create("A", "enqueue", add(), note("A")).until_ended("A").renew().read(deep=True)
        return begun.create("B", "enqueue", *SHORT).until_ended("B", needed=False)
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g")
    begun = begun.create("Q", "enqueue", *SHORT) if queued else begun
    begun = begun.renew().read(deep=True)
    begun = begun.until_halted("A").create("B", "enqueue", *SECOND).until_inside("B", "b", needed=False)
    return begun.open("g", "b").until_ended("B", needed=False)


def delete_many(slots: int) -> Program:
    """More running runs are deleted than the target executes at once; then as many new ones are created as at first."""
    begun, wave = program("delete-many"), min(slots, 4)
    for i in range(0, slots + 1, wave):
        names = [f"D{j}" for j in range(i, i + wave)]
        for name in names:
            begun = begun.create(name, "enqueue", gate(f"g{i}"), thread=f"t{name}", waits=False)
        for name in names:
            begun = begun.until_inside(name, f"g{i}", needed=i == 0) if i == 0 or name == names[-1] else begun
        for name in names:
            begun = begun.until_answered(name).delete(name)
        begun = begun.open(f"g{i}").until_steady(0.1).drop(*(f"t{name}" for name in names))
    for i in range(wave):
        begun = begun.create(f"X{i}", "enqueue", emit(), thread=f"u{i}", waits=False)
    return begun.until_begun(*(f"X{i}" for i in range(wave)))


def ending(strategy: Action, trial: int, seed: int) -> Program:
    """A displacing create around the end of the run itself: either of the two may come first."""
    family = f"{strategy}-ending"
    drawn = random.Random(f"{seed} {family} {trial}")
    script = tuple(add(sleep=10) for _ in range(4))
    begun = program(_name(family, str(trial)), family).create("A", "enqueue", *script, waits=False)
    begun = begun.until_entered("A", 1).read().until_entered("A", 3)  # read as running: what follows must fit
    displacing = Create("B", strategy, (add(), note("B")), waits=False)
    return begun.crack(displacing, drawn.uniform(-4, 8)).read().read().until_ended("B", needed=False)


def rollback_effect() -> Program:
    """An external effect that is committed before the run is rolled back, and one that may be, after that."""
    held = (effect("payment"), gate("g", op="effect", name="receipt"), emit())
    begun = program("rollback-effect").create("A", "enqueue", *held, waits=False)
    return _second(begun.until_inside("A", "g"), "rollback")


def interrupt_tool_call() -> Program:
    """An interrupt between a tool call and its result."""
    begun = program("interrupt-tool-call").create(
        "A", "enqueue", call_tool("x"), gate("g"), tool_result("x"), waits=False
    )
    return _second(begun.until_inside("A", "g"), "interrupt")


CrackKind = Literal["interrupt", "rollback", "cancel-interrupt", "cancel-rollback"]
CRACK_KINDS: tuple[CrackKind, ...] = ("interrupt", "rollback", "cancel-interrupt", "cancel-rollback")


def crack(kind: CrackKind, how: Literal["gate", "quick-5", "quick-20"], trial: int, seed: int) -> Program:
    """A displacing call around the instant at which a superstep ends.

    ``gate``: a gate is released and the call is sent together, -10 … +30 ms around the measured gate latency.
    ``quick-…``: supersteps of 5 or 20 ms, and the call at a random instant around the end of a random one. Most come
    at the instants that hit most ends of fast servers; of slow ones all hit. A second gate holds the run later on, so
    that it certainly cannot have ended by itself.
    """
    family = f"{kind}-crack"
    drawn = random.Random(f"{seed} {family} {how} {trial}")
    begun = program(_name(family, how, str(trial)), family)
    action: Action = "rollback" if kind.endswith("rollback") else "interrupt"
    displacing: Create | Cancel
    if kind.startswith("cancel"):
        displacing = Cancel("A", action)
    else:
        displacing = Create("B", action, (add(), note("B")), waits=False)
    if how == "gate":
        script = (add(), gate("g", op="add"), *(add() for _ in range(8)), note("A"), gate("late"))
        begun = begun.create("A", "enqueue", *script, waits=False).until_inside("A", "g")
        begun = begun.crack(displacing, drawn.triangular(-10, 30, 8), "g")
    else:
        length = int(how.removeprefix("quick-"))
        script = (*(add(sleep=length) for _ in range(12)), gate("late"))
        # A random superstep, late enough that their length is measured, and a random instant around its end.
        begun = begun.create("A", "enqueue", *script, waits=False).until_entered("A", drawn.randrange(2, 8))
        begun = begun.crack(displacing, drawn.triangular(-4, 2, -1.5))
    if kind.startswith("cancel"):
        begun = begun.create("B", "enqueue", add(), note("B"))
    return begun.until_entered("B", 0, needed=False).open("late").until_ended("B", needed=False)


def all_programs(seed: int, cracks: int = 30, slots: int = 8) -> list[Program]:
    """Every hand-written program.

    ``cracks``: trials for each displacing call and each way to hit the crack; ``slots``: how many runs the target
    executes at once. Those of later stages are the last, in their order.
    """
    programs: list[Program] = []
    for strategy in STRATEGIES:
        for earlier in (False, True):
            programs += [while_running(strategy, where, earlier) for where in HELD]
            programs.append(while_pending(strategy, earlier))
            programs += [after_end(strategy, failed, earlier) for failed in (False, True)]
        programs += [while_joined(strategy, how, started) for how in ("join", "stream") for started in (True, False)]
        programs += [*(after_earlier(strategy, last) for last in EARLIER), after_a_wait(strategy)]
        programs += [two_threads(strategy, trial) for trial in range(FEW)]
        programs += [burst(strategy, 2, busy, trial) for busy in (False, True) for trial in range(3)]
        programs += [burst(strategy, 10, busy) for busy in (False, True)]
    programs += [burst_of_short(trial) for trial in range(2 * FEW)]
    programs += [*(reject_behind_a_cancelled(a) for a in DISPLACING), reject_behind_a_queue()]
    programs += [three_runs(b, c) for b in STRATEGIES for c in STRATEGIES]
    programs += [chain(b, c) for b in DISPLACING for c in DISPLACING]
    programs += [burst("mixed", size, busy) for size in (2, 10) for busy in (False, True)]
    programs += [
        queue(3),
        queue(6),
        queue(12),
        queue_by_all_ways(),
        queue_behind_failure(),
        default(False),
        default(True),
    ]
    programs += [queued_displaced(a) for a in DISPLACING]
    programs += [
        zombie(a, how, effects) for a in DISPLACING for how in ("swallows", "blocks") for effects in (False, True)
    ]
    programs += [zombie_last(a) for a in DISPLACING]
    programs += [scheduled_idle(), *(scheduled_displacing(a) for a in DISPLACING), scheduled_queued(), scheduled_busy()]
    programs += [webhook_ended(failed, trial) for failed in (False, True) for trial in range(FEW)]
    programs += [webhook_by("wait"), webhook_by("stream")]
    programs += [webhook_displaced("enqueue"), *(webhook_displaced(strategy) for strategy in DISPLACING)]
    programs += [asked(strategy) for strategy in (*STRATEGIES, None)]
    programs.append(failed_last())
    programs += [cancelled_pending(a) for a in DISPLACING]
    programs += [cancelled_last(a, started) for a in DISPLACING for started in (True, False)]
    programs += [ending(a, trial, seed) for a in DISPLACING for trial in range(cracks)]
    programs += [rollback_effect(), interrupt_tool_call()]
    programs += [update_running(False), update_running(True), update_idle()]
    programs += [*call_programs(), *endpoint_programs()]
    for kind in CRACK_KINDS:
        for how in ("gate", "quick-5", "quick-20"):
            programs += [crack(kind, how, trial, seed) for trial in range(cracks)]
    harming = [delete_queued(which) for which in ("first", "last", "head")]
    harming += [delete_last(False), delete_last(True), delete_ended(), thread_renewed(False), thread_renewed(True)]
    harming.append(thread_renewed(True, queued=True))
    harming += [delete_running(False), delete_running(True)]
    harming += bad_input_programs()  # deep and large input is hard work for some
    alone = [not_starved(slots), delete_many(slots)]
    return programs + [replace(p, stage=1) for p in harming] + [replace(p, stage=2) for p in alone]
