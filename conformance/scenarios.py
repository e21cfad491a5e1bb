"""The hand-written programs. Their job is to exercise the requirements; what must hold is said there.

Families name what a program exercises; requirements refer to them. First runs are held at gate ``g``,
second runs at gate ``b``, so that every overlap is known and not hoped for.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal

from conformance.programs import (
    STRATEGIES,
    Action,
    Cancel,
    Create,
    Program,
    Step,
    Strategy,
    add,
    call_tool,
    effect,
    emit,
    fail,
    gate,
    note,
    program,
    tool_result,
)

Where = Literal["first", "middle", "last"]
DISPLACING: tuple[Action, ...] = ("interrupt", "rollback")

HELD: dict[Where, tuple[Step, ...]] = {
    "first": (gate("g"), add(), note("A"), emit()),
    "middle": (add(), note("A"), call_tool("a"), gate("g", op="add"), tool_result("a"), emit()),
    "last": (emit(), add(), note("A"), gate("g", op="add")),
}
SECOND: tuple[Step, ...] = (gate("b"), add(), note("B"))
SHORT: tuple[Step, ...] = (emit(), add())


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


def after_earlier(strategy: Strategy, last: Literal["success", "failed", "interrupted"]) -> Program:
    """A run that finds something in every channel: two earlier runs, the second of which ended this way."""
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
    return _second(begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g"), strategy)


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


def queue(size: int) -> Program:
    """Several runs queued one after the other behind a running one."""
    begun = program(_name("queue", str(size)), "queue")
    begun = begun.create("A", "enqueue", *HELD["last"], waits=False).until_inside("A", "g")
    for i in range(size):
        begun = begun.create(f"B{i}", "enqueue", emit(), add())
    return begun.read().open("g").until_ended(*(f"B{i}" for i in range(size)), needed=False)


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


def two_threads(strategy: Strategy) -> Program:
    """What happens on thread ``t`` while another thread's run is held, and the other way round."""
    begun = program(_name("two-threads", strategy), "two-threads")
    begun = begun.create("X", "enqueue", add(), gate("x"), emit(), thread="u", waits=False).until_inside(
        "X", "x", needed=False
    )
    begun = begun.create("A", "enqueue", *HELD["middle"], waits=False).until_inside("A", "g", needed=False)
    begun = begun.create("B", strategy, *SHORT).create("Y", "enqueue", *SHORT, thread="u").read().read("u")
    if strategy in DISPLACING:
        begun = begun.until_stopped("A", "B")
    begun = begun.open("g").until_ended("A", needed=False).open("x").until_ended("X", "Y", needed=False)
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


def cancelled_last(action: Action, started: bool) -> Program:
    """A cancel that no other run follows: nothing comes to clear what it leaves."""
    begun = program(_name("cancelled-last", action, "running" if started else "pending"), "cancelled-last")
    begun = begun.create("A", "enqueue", *HELD["middle"]).until_answered("A")
    begun = begun.until_inside("A", "g") if started else begun
    return begun.cancel("A", action).until_ended("A", needed=False).open("g")


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
    """An external effect, committed before the run is rolled back."""
    begun = program("rollback-effect").create("A", "enqueue", effect("payment"), *HELD["first"], waits=False)
    return _second(begun.until_inside("A", "g"), "rollback")


def interrupt_tool_call() -> Program:
    """An interrupt between a tool call and its result."""
    begun = program("interrupt-tool-call").create(
        "A", "enqueue", call_tool("x"), gate("g"), tool_result("x"), waits=False
    )
    return _second(begun.until_inside("A", "g"), "interrupt")


CrackKind = Literal["interrupt", "rollback", "cancel-interrupt", "cancel-rollback"]
CRACK_KINDS: tuple[CrackKind, ...] = ("interrupt", "rollback", "cancel-interrupt", "cancel-rollback")


def crack(kind: CrackKind, how: Literal["gate", "quick-5", "quick-20"], trial: int, trials: int, seed: int) -> Program:
    """A displacing call around the instant at which a superstep ends.

    ``gate``: a gate is released and the call is sent together, swept over -10 … +30 ms around the measured
    gate latency. ``quick-…``: supersteps of 5 or 20 ms, and the call at a random instant around
    the end of a random one. A second gate
    holds the run later on, so that it certainly cannot have ended by itself.
    """
    family = f"{kind}-crack"
    begun = program(_name(family, how, str(trial)), family)
    action: Action = "rollback" if kind.endswith("rollback") else "interrupt"
    displacing: Create | Cancel
    if kind.startswith("cancel"):
        displacing = Cancel("A", action)
    else:
        displacing = Create("B", action, (add(), note("B")), waits=False)
    if how == "gate":
        script = (add(), gate("g", op="add"), *(add() for _ in range(8)), note("A"), gate("late"))
        offset = -10 + 40 * trial / max(1, trials - 1)
        begun = begun.create("A", "enqueue", *script, waits=False).until_inside("A", "g").crack(displacing, offset, "g")
    else:
        length, drawn = int(how.removeprefix("quick-")), random.Random(f"{seed} {family} {how} {trial}")
        script = (*(add(sleep=length) for _ in range(12)), gate("late"))
        # A random superstep, late enough that their length is measured, and a random instant around its end.
        begun = begun.create("A", "enqueue", *script, waits=False).until_entered("A", drawn.randrange(2, 8))
        begun = begun.crack(displacing, drawn.uniform(-4, 2))
    if kind.startswith("cancel"):
        begun = begun.create("B", "enqueue", add(), note("B"))
    return begun.until_entered("B", 0, needed=False).open("late").until_ended("B", needed=False)


def all_programs(seed: int, cracks: int = 30) -> list[Program]:
    """Every hand-written program; ``cracks`` trials for each displacing call and each way to hit the crack."""
    programs: list[Program] = []
    for strategy in STRATEGIES:
        for earlier in (False, True):
            programs += [while_running(strategy, where, earlier) for where in ("first", "middle", "last")]
            programs.append(while_pending(strategy, earlier))
            programs += [after_end(strategy, failed, earlier) for failed in (False, True)]
        programs += [while_joined(strategy, how, started) for how in ("join", "stream") for started in (True, False)]
        programs += [after_earlier(strategy, last) for last in ("success", "failed", "interrupted")]
        programs.append(two_threads(strategy))
        programs += [burst(strategy, 2, busy, trial) for busy in (False, True) for trial in range(3)]
        programs += [burst(strategy, 10, busy) for busy in (False, True)]
    programs += [three_runs(b, c) for b in STRATEGIES for c in STRATEGIES]
    programs += [chain(b, c) for b in DISPLACING for c in DISPLACING]
    programs += [burst("mixed", size, busy) for size in (2, 10) for busy in (False, True)]
    programs += [queue(3), queue(6), queue_behind_failure(), default(False), default(True)]
    programs += [queued_displaced(a) for a in DISPLACING]
    programs += [
        zombie(a, how, effects) for a in DISPLACING for how in ("swallows", "blocks") for effects in (False, True)
    ]
    programs += [zombie_last(a) for a in DISPLACING]
    programs += [cancelled_last(a, started) for a in DISPLACING for started in (True, False)]
    programs += [ending(a, trial, seed) for a in DISPLACING for trial in range(cracks)]
    programs += [rollback_effect(), interrupt_tool_call()]
    for kind in CRACK_KINDS:
        for how in ("gate", "quick-5", "quick-20"):
            programs += [crack(kind, how, trial, cracks, seed) for trial in range(cracks)]
    return programs
