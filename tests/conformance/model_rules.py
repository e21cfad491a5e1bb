"""What must hold in every state of the model and of every step it takes: the requirements, in code that shares
nothing with the model's. Used by the exhaustive walk, and by the mutants, which it must notice.

Every check takes the model's module, so that it can be a mutant, and fails with the requirement's name.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from conformance.lineage import Lineage
from conformance.programs import Step, add, call_tool, emit, fail, note, tool_result

STATUSES = ("pending", "running", "success", "error", "timeout", "interrupted", "gone")
UNENDED = ("pending", "running")
STRATEGIES = ("reject", "enqueue", "interrupt", "rollback", None)
KINDS = ("interrupt", "rollback", "delete")
UPDATE = "update"  # the tag of a client's update
Scripts = Mapping[str, Sequence[Step]]
Entries = list[tuple[str, int]]


def claim(holds: object, requirement: str, *about: object) -> None:
    """Fail with the requirement that does not hold."""
    if not holds:
        raise AssertionError(f"{requirement}: {' | '.join(map(str, about))}")


@dataclass(frozen=True)
class World:
    """What a walk goes through: the runs that may be created, in this order, and how many cancels and updates."""

    scripts: Scripts
    cancels: int = 1
    updates: int = 0
    displaces: str = "any"


class Node(NamedTuple):
    """A state, and what the walk remembers of the way to it."""

    state: Any
    created: int = 0
    cancels: int = 0
    updates: int = 0
    stirred: bool = False  # a run that was inflight was displaced, cancelled or deleted


@dataclass
class Walk:
    """All states of a world that can be reached. ``nodes`` and ``moves`` count them."""

    module: Any
    world: World
    nodes: int = 0
    moves: int = 0

    def __post_init__(self) -> None:
        self.model = self.module.Model(self.world.scripts, "~x", self.world.displaces)
        self.names = list(self.world.scripts)

    def run(self, most: int = 1_000_000) -> None:
        """Visit everything; each state and each step is checked."""
        first = Node(self.model.initial)
        claim(first.state.runs == () and not first.state.disturbed, "a thread begins empty")
        seen, todo = {first}, [first]
        while todo:
            node = todo.pop()
            self.nodes += 1
            check_state(self, node)
            for after in self.following(node):
                self.moves += 1
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
            claim(self.nodes < most, "the world is finite", most)

    def following(self, node: Node) -> Iterator[Node]:
        """Every step from here."""
        yield from self._creates(node)
        if node.cancels < self.world.cancels:
            yield from self._cancels(node)
        if node.updates < self.world.updates:
            after = self.model.update(node.state, UPDATE + str(node.updates))
            check_update(node.state, after, UPDATE + str(node.updates))
            yield node._replace(state=after, updates=node.updates + 1)
        for state in check_hidden(self, node.state):
            yield node._replace(state=state)

    def held(self, state: Any) -> list[frozenset[str]]:
        """Which runs may be held at gates: none, the first or the last that is inflight, all."""
        tags = [r.tag for r in state.runs if r.status in UNENDED]
        return list(dict.fromkeys([frozenset(), frozenset(tags[:1]), frozenset(tags[-1:]), frozenset(tags)]))

    def _creates(self, node: Node) -> Iterator[Node]:
        if node.created == len(self.names):
            return
        tag = self.names[node.created]
        unended = any(r.status in UNENDED for r in node.state.runs)
        for strategy in STRATEGIES:
            check_refusal(self.model, node, strategy)
            for held in self.held(node.state):
                accepted = list(self.model.create(node.state, tag, strategy, held))
                check_create(self.world, node.state, tag, strategy, held, accepted)
                for after in accepted:
                    displaced = after.runs[:-1] != node.state.runs or (unended and strategy in KINDS)
                    stirred = node.stirred or (unended and (displaced or after.disturbed))
                    yield node._replace(state=after, created=node.created + 1, stirred=stirred)

    def _cancels(self, node: Node) -> Iterator[Node]:
        claim(not list(self.model.cancel(node.state, "nobody", "delete", frozenset())), "cancel.codes", "no such run")
        for run in node.state.runs:
            for kind in KINDS:
                for held in self.held(node.state):
                    accepted = list(self.model.cancel(node.state, run.tag, kind, held))
                    check_cancel(node.state, run, kind, held, accepted)
                    for after in accepted:
                        stirred = node.stirred or run.status in UNENDED
                        yield node._replace(state=after, cancels=node.cancels + 1, stirred=stirred)


# --- states -----------------------------------------------------------------------------------------------------


def check_state(walk: Walk, node: Node) -> None:
    """What holds in every state."""
    state, scripts = node.state, walk.world.scripts
    running = [r for r in state.runs if r.status == "running"]
    claim(len(running) <= 1, "thread.one-at-a-time", state)
    claim(node.created >= len(state.runs) == len({r.tag for r in state.runs}), "run.terminal-is-final", state)
    entries = state.lineage.entries()
    check_lineage(state, scripts, entries)
    for run in state.runs:
        claim(state.run(run.tag) is run, "a run is found by its tag", run)
        claim(run.inflight == (run.status in UNENDED), "inflight is pending or running", run)
        claim(0 <= run.steps <= whole(scripts[run.tag]), "run.status-truthful", run)
        claim(run.began is not None or run.steps == 0, "a run writes after it has started", run)
        claim(run.status not in ("running", "success", "error") or run.began is not None, "run.status-legal", run)
        claim(run.status != "pending" or run.began is None, "run.status-legal", run)
        if run.status in ("success", "error"):
            claim(run.steps == whole(scripts[run.tag]), "run.status-truthful", run)
            claim((run.status == "error") == fails(scripts[run.tag]), "run.status-truthful", run)
    claim(state.disturbed == node.stirred, "reject.reopens", state, node.stirred)
    claim(state.run("nobody") is None, "a run is found by its tag")


def check_lineage(state: Any, scripts: Scripts, entries: Entries) -> None:
    """thread.no-lost-update: whole or legally cut segments, in one piece but for clients' updates."""
    for run in state.runs:
        mine = [step for tag, step in entries if tag == run.tag]
        if run.status == "gone":
            claim(mine in ([], list(range(run.steps))), "rollback.lineage", run, entries)
        else:
            claim(mine == list(range(run.steps)), "interrupt.keeps-progress", run, entries)
    runs_only = [tag for tag, _ in entries if not tag.startswith(UPDATE)]
    blocks = [tag for tag, _ in itertools.groupby(runs_only)]
    claim(len(blocks) == len(set(blocks)), "interrupt.no-injection", entries)
    claim(set(blocks) <= {r.tag for r in state.runs}, "thread.independent", entries)
    lineage = state.lineage
    counter, text, messages = replay(entries, scripts)
    found = (lineage.length, lineage.counter, lineage.note, lineage.messages)
    claim(found == (len(entries), counter, text, messages), "thread.no-lost-update", found, entries)
    silent = lineage.tags() - {tag for tag, _ in entries}
    claim(lineage.unsure == len(silent), "rollback.reverts", "input without supersteps", silent, lineage.unsure, state)
    shown = "\n".join(f"{tag}~x:{step}" for tag, step in entries)
    claim(lineage.digest() == hashlib.sha256(shown.encode()).hexdigest()[:16], "the probe's hash", entries)


def whole(script: Sequence[Step]) -> int:
    """How many supersteps a run completes when nothing stops it."""
    return next((i for i, step in enumerate(script) if step["op"] == "fail"), len(script))


def fails(script: Sequence[Step]) -> bool:
    return any(step["op"] == "fail" for step in script)


def replay(entries: Entries, scripts: Scripts) -> tuple[int, str, int]:
    """Counter, note and messages that these supersteps leave."""
    counter, text, messages = 0, "", 0
    for tag, step in entries:
        messages += step == 0
        match scripts[tag][step] if tag in scripts else {"op": "update"}:
            case {"op": "add", **more}:
                counter += more.get("by", 1)
            case {"op": "note", "value": value}:
                text = value
            case {"op": "call" | "result"}:
                messages += 1
    return counter, text, messages


# --- calls ------------------------------------------------------------------------------------------------------


def check_refusal(model: Any, node: Node, strategy: Any) -> None:
    """reject.conflict, reject.reopens: possible when a run is inflight, and never on an undisturbed idle thread."""
    unended = any(r.status in UNENDED for r in node.state.runs)
    legal = strategy in ("reject", None) and (unended or node.stirred)
    claim(model.refuses(node.state, strategy) == legal, "reject.conflict", strategy, node)


def check_create(world: World, state: Any, tag: str, strategy: Any, held: frozenset[str], accepted: list[Any]) -> None:
    """What an accepted create does, and whether it may be accepted at all."""
    unended = [r for r in state.runs if r.status in UNENDED]
    kinds = {"reject": ["reject"], "enqueue": ["enqueue"], None: ["enqueue", "interrupt", "rollback"]}
    expected = kinds.get(strategy, [strategy])
    if strategy == "reject" and not all(r.owed for r in unended):
        expected = []
    claim(len(accepted) == len(expected), f"{strategy}.accepted", state, accepted)
    for kind, after in zip(expected, accepted, strict=True):
        new = after.runs[-1]
        fresh = (new.tag, new.status, new.mark, new.owed, new.steps, new.began)
        claim(fresh == (tag, "pending", frozenset(), False, 0, None), "enqueue.separate-run", new)
        claim(after.lineage is state.lineage, "no create writes by itself", after)
        claim([r.tag for r in after.runs[:-1]] == [r.tag for r in state.runs], "enqueue.fifo", after)
        if kind in ("reject", "enqueue"):
            claim(after.runs[:-1] == state.runs, "enqueue.first-completes", after)
            claim(after.disturbed == state.disturbed, "enqueue.first-completes", after)
            continue
        claim(after.disturbed == (state.disturbed or bool(unended)), "reject.reopens", after)
        for old, now in zip(state.runs, after.runs, strict=False):
            check_displaced(world, unended, old, now, kind, held)


def check_displaced(world: World, unended: list[Any], old: Any, now: Any, kind: str, held: frozenset[str]) -> None:
    """displaced.pending: the first is displaced, the others by dialect; owed only where it cannot have ended."""
    same = old._replace(mark=now.mark, owed=now.owed) == now
    claim(same, "a displacing create only marks", old, now)
    everything = world.displaces in ("all", f"{kind}-all")
    spared = world.displaces not in ("any", "all") and not everything
    if old not in unended or (spared and old is not unended[0]):
        claim(now == old, "run.terminal-is-final", old, now)
        return
    at = unended.index(old)
    claim(now.mark == old.mark | {kind}, f"{kind}.status", old, now)
    stuck = any(r.tag in held for r in unended[: at + 1])
    first = at == 0 and (old.status == "running" or not spared)
    owed = stuck and (first or everything)
    claim(now.owed == (old.owed or owed), f"{kind}.status", old, now, held)


def check_cancel(state: Any, run: Any, kind: str, held: frozenset[str], accepted: list[Any]) -> None:
    """cancel.interrupt, cancel.rollback-reverts, delete.stops-writes: that run alone."""
    claim(len(accepted) == 1, "cancel.twice", accepted)
    after = accepted[0]
    now = after.run(run.tag)
    others = [(r, after.run(r.tag)) for r in state.runs if r is not run]
    claim(all(r == other for r, other in others), f"cancel.{kind}", "the other runs", after)
    claim([r.tag for r in after.runs] == [r.tag for r in state.runs], "enqueue.fifo", after)
    claim(after.lineage is state.lineage, "no cancel writes by itself", after)
    if run.status in UNENDED:
        before = [r for r in state.runs[: state.runs.index(run) + 1] if r.status in UNENDED]
        owed = run.owed or any(r.tag in held for r in before)
        claim(now == run._replace(mark=run.mark | {kind}, owed=owed), f"cancel.{kind}", run, now, held)
        claim(after.disturbed, "reject.reopens", after)
    else:
        claim(now == (run._replace(status="gone") if kind == "delete" else run), "run.terminal-is-final", run, now)
        claim(after.disturbed == state.disturbed, "reject.reopens", after)


def check_update(state: Any, after: Any, tag: str) -> None:
    """state.update-not-lost."""
    claim(after.runs == state.runs and after.disturbed == state.disturbed, "state.update-not-lost", after)
    claim(after.lineage.entries() == [*state.lineage.entries(), (tag, 0)], "state.update-not-lost", after)


# --- hidden actions -----------------------------------------------------------------------------------------------


def check_hidden(walk: Walk, state: Any) -> list[Any]:
    """What the server may do by itself: all that is legal and nothing else, with open gates and with closed ones."""
    scripts = walk.world.scripts
    unended = [r for r in state.runs if r.status in UNENDED]
    everything = {(tag, step) for tag, script in scripts.items() for step in range(len(script) + 1)}
    moves = list(walk.model.hidden(state, lambda _tag, _step: True))
    now = {(r.tag, r.steps) for r in state.runs}
    for closed in (set(), everything, now, everything - now):
        offered = moves if not closed else list(walk.model.hidden(state, lambda *at: at not in closed))  # noqa: B023
        shown = sorted(told(state, move) for move in offered)
        legal = sorted(legal_moves(state, scripts, closed))
        claim(shown == legal, "hidden actions", state, f"offered {shown}", f"legal {legal}", closed)
    claim(not unended or moves, "thread.settles", state)
    for move in moves:
        check_move(state, move)
    return [move.state for move in moves]


def told(state: Any, move: Any) -> tuple[Any, ...]:
    """A move in plain values: what, of which run, its status and supersteps, and the log then."""
    run = move.state.run(move.tag)
    claim(len(move.state.runs) == len(state.runs), "run.terminal-is-final", move)
    return move.what, move.tag, run.status, run.steps, str(move.state.lineage.entries()), len(move.state.lineage.tags())


def legal_moves(state: Any, scripts: Scripts, closed: set[tuple[str, int]]) -> Iterator[tuple[Any, ...]]:
    """The same, as the requirements allow it."""
    log, parts = state.lineage.entries(), state.lineage.tags()
    blocked = any(r.status == "running" for r in state.runs)  # thread.one-at-a-time
    for run in state.runs:
        if run.status not in UNENDED:
            continue
        tag, script = run.tag, scripts[run.tag]
        if "interrupt" in run.mark:  # interrupt.status, interrupt.keeps-progress
            yield "displace", tag, "interrupted", run.steps, str(log), len(parts)
        without = [entry for entry in log if entry[0] != tag]
        if "rollback" in run.mark:  # rollback.deleted, rollback.reverts
            yield "displace", tag, "gone", run.steps, str(without), len(parts - {tag})
        if "delete" in run.mark:  # POLICY: its work stays or not
            yield "displace", tag, "gone", run.steps, str(log), len(parts)
            yield "displace", tag, "gone", run.steps, str(without), len(parts - {tag})
        if run.status == "pending":
            if not blocked and not run.owed:
                yield "start", tag, "running", 0, str(log), len(parts | {tag})
            blocked = blocked or run.owed or not run.mark  # enqueue.fifo, interrupt.builds-on
            continue
        due = (tag, run.steps) not in closed
        if run.steps < whole(script):
            if due:
                yield "step", tag, "running", run.steps + 1, str([*log, (tag, run.steps)]), len(parts | {tag})
        elif not run.owed and (due or not fails(script)):  # run.status-truthful
            yield "end", tag, "error" if fails(script) else "success", run.steps, str(log), len(parts)
        if not run.owed:  # displaced.stops
            yield "time out", tag, "timeout", run.steps, str(log), len(parts)


def check_move(state: Any, move: Any) -> None:
    """One step of the server, held against the sentences of the requirements."""
    after = move.state
    claim(after.disturbed == state.disturbed, "reject.reopens", move)
    changed = [(a, b) for a, b in zip(state.runs, after.runs, strict=True) if a != b]
    claim(len(changed) == 1, "a hidden action is about one run", move)
    old, now = changed[0]
    claim(old.tag == now.tag == move.tag, "enqueue.fifo", move)
    claim(old.status in UNENDED, "run.terminal-is-final", old, now)
    claim((now.mark, now.owed) == (old.mark, old.owed), "a displacement stays owed", old, now)
    ended = now.status not in UNENDED
    claim(not (old.owed and ended) or move.what == "displace", "displaced.stops", old, now)
    if move.what == "start":
        earlier = itertools.takewhile(lambda r: r.tag != now.tag, state.runs)
        passed = [r for r in earlier if r.status in UNENDED]
        claim(all(r.mark and not r.owed for r in passed), "enqueue.fifo", passed, now)
        claim(now.began is state.lineage, "interrupt.builds-on", now)
    else:
        claim(now.began is old.began, "rollback.reverts", old, now)
    if now.status == "interrupted":
        claim(after.lineage is state.lineage, "interrupt.keeps-progress", move)
    if now.status == "gone" and "delete" not in old.mark and old.began is not None:
        updates = [e for e in state.lineage.entries() if e[0].startswith(UPDATE)]
        if not updates:
            claim(after.lineage is old.began, "rollback.reverts", move)


# --- observations ---------------------------------------------------------------------------------------------------


def check_reads(module: Any) -> None:
    """Which status may be read of which run."""
    model = module.Model({"A": [emit()]})
    begun = model.initial.lineage
    subsets = [frozenset(s) for n in range(4) for s in itertools.combinations(KINDS, n)]
    for status, mark, owed, began in itertools.product(STATUSES, subsets, (False, True), (None, begun)):
        run = module.Run("A", status, mark, owed, 0, began)
        legal = {status}
        lagging = {status, "pending"}
        if began is not None:
            lagging.add("running")
        if status == "gone" or (status in UNENDED and mark):
            lagging.add("interrupted")  # a rolled back run may first be interrupted
        if status in UNENDED and mark & {"rollback", "delete"}:
            lagging.add("gone")
        for read in (*STATUSES, "unheard-of"):
            claim(model.reads(run, read, True) == (read in legal), "run.terminal-is-final", run, read)
            claim(model.reads(run, read, False) == (read in lagging), "run.status-legal", run, read)


def check_enters(module: Any) -> None:
    """Which superstep may be entered by which run, and with what it may have found."""
    scripts = {"A": [add(), emit()], "P": [note("p"), emit()]}
    model = module.Model(scripts)
    began = model.initial.lineage.extend("P", 0, 2)
    for status, owed, steps, step, late, again, start in itertools.product(
        STATUSES, (False, True), (0, 1, 2), (0, 1, 2), (False, True), (False, True), (None, began)
    ):
        run = module.Run("A", status, frozenset(), owed, steps, start)
        if status == "running":
            legal = (step == steps or (again and step <= steps)) and not (owed and late)
        else:
            legal = status in ("interrupted", "gone", "timeout") and not late  # thread.work-stops
        legal = legal and start is not None
        for found in (None, *founds(module, began)):
            agrees = found is None or step > 0 or is_shown(found, began)
            told = model.enters(run, step, found, late, again)
            claim(told == (legal and agrees), "displaced.stops", run, step, found, late, again)


def founds(module: Any, lineage: Lineage) -> Iterator[Any]:
    """What a lineage shows, and each channel changed."""
    shown = module.Found(lineage.length, lineage.digest(), lineage.counter, lineage.note, lineage.messages)
    yield shown
    yield shown._replace(length=shown.length + 1)
    yield shown._replace(length=shown.length - 1)
    yield shown._replace(digest="other")
    yield shown._replace(counter=shown.counter + 1)
    yield shown._replace(counter=shown.counter - 1)
    yield shown._replace(note="other")
    for more in (-1, 1, 2):
        yield shown._replace(messages=shown.messages + more)


def is_shown(found: Any, lineage: Lineage) -> bool:
    """Whether these channels are what the lineage wrote; of a run without supersteps the input may be there or not."""
    channels = (found.length, found.digest, found.counter, found.note)
    allowed = range(lineage.messages, lineage.messages + lineage.unsure + 1)
    return channels == (lineage.length, lineage.digest(), lineage.counter, lineage.note) and found.messages in allowed


def check_shows(module: Any) -> None:
    """rollback.lineage, thread.no-lost-update, run.terminal-is-final: what the settled state may show."""
    scripts = {"A": [add(), emit()], "B": [note("b")], "C": [emit()]}
    model = module.Model(scripts)
    lineage = model.initial.lineage.extend("A", 0, 2).extend("B", 0, 0)
    runs = (module.Run("A", "success", steps=2), module.Run("B", "interrupted"), module.Run("C", "gone", steps=1))
    state = module.State(runs, lineage)
    for found in founds(module, lineage):
        claim(model.shows(state, found, frozenset("A"), {"A": 2}) == is_shown(found, lineage), "thread.no-lost-update")
    shown = next(founds(module, lineage))
    for tags in map(frozenset, ("", "A", "B", "AB", "C", "AC", "Z")):
        claim(model.shows(state, shown, tags, {}) == (tags <= set("AB")), "rollback.lineage", tags)
    for written, legal in (
        ({"A": 1}, True),
        ({"A": 2, "C": 1}, True),
        ({"A": 3}, False),
        ({"C": 2}, False),
        ({"A": 2, "B": 1}, False),
        ({"Z": 1}, False),
        ({"Z": 0}, False),
    ):
        claim(model.shows(state, shown, frozenset(), written) == legal, "run.terminal-is-final", written)


DISPLACES = ("any", "all", "executing", "interrupt-all", "rollback-all")


def check_marks(module: Any) -> None:
    """Which runs a displacing call marks, in every dialect, whatever is held."""
    scripts = {tag: [emit()] for tag in "ABCDE"}
    begun = module.Model(scripts).initial.lineage
    over = module.Run("A", "interrupted", steps=0, began=begun)
    running = module.Run("B", "running", began=begun)
    waiting = (module.Run("C"), module.Run("D", "pending", frozenset({"interrupt"}), True))
    for displaces, executing in itertools.product(DISPLACES, ((running,), ())):
        runs = (over, *executing, *waiting)
        state = module.State(runs, begun.extend("B", 0, 0) if executing else begun, True)
        model = module.Model(scripts, "", displaces)
        world = World(scripts, displaces=displaces)
        for held in (frozenset(s) for n in range(5) for s in itertools.combinations("ABCD", n)):
            for strategy in STRATEGIES:
                check_create(world, state, "E", strategy, held, list(model.create(state, "E", strategy, held)))
            for run, kind in itertools.product(runs, KINDS):
                check_cancel(state, run, kind, held, list(model.cancel(state, run.tag, kind, held)))


def check_ends(module: Any) -> None:
    """How many supersteps a run completes by itself."""
    model = module.Model({"A": [emit(), fail(), emit()], "B": [emit(), emit()], "C": [fail()]})
    claim([model.end_of(tag) for tag in "ABC"] == [1, 2, 0], "run.status-truthful")
    digest = module.Model({"A": [emit()]}).initial.lineage.extend("A", 0, 1).digest()
    claim(digest == hashlib.sha256(b"A:0").hexdigest()[:16], "the probe's hash")
    claim(model.displaces == "any", "displaced.pending is POLICY")
    claim(model.initial.lineage.digest() == hashlib.sha256(b"").hexdigest()[:16], "a thread begins empty")


def check_stopped(module: Any) -> None:
    """displaced.stops: after the time for that it is over, or where a gate still holds it."""
    model = module.Model({"A": [add(), emit()]})
    for status, owed, steps, within in itertools.product(STATUSES, (False, True), (0, 1, 2), (None, 0, 1)):
        run = module.Run("A", status, frozenset(), owed, steps, model.initial.lineage)
        if status in ("pending", "running") and owed:
            legal = status == "running" and within is not None and steps >= within
        else:
            legal = True
        claim(model.has_stopped(run, within) == legal, "displaced.stops", run, within)


OBSERVATIONS: Sequence[Callable[[Any], None]] = (
    check_reads,
    check_enters,
    check_stopped,
    check_shows,
    check_marks,
    check_ends,
)

TINY = (
    World({"A": [add(), fail()], "B": []}, cancels=0, updates=1),
    World({"A": [emit()], "B": [fail()]}, cancels=1),
)
"""A few thousand states: enough to notice every change of a rule."""

SMALL = (
    World({"A": [add(by=2), fail()], "B": [note("b")]}, cancels=1),
    World({"A": [add(), note("a"), emit()], "B": [call_tool("c"), tool_result("c")]}, cancels=0, updates=1),
    World({"A": [emit()], "B": [], "C": []}, cancels=0, displaces="all"),
    World({"A": [emit()], "B": [], "C": [emit()]}, cancels=0, displaces="executing"),
)

FULL = (
    World({"A": [add(), note("a"), emit()], "B": [call_tool("c"), tool_result("c"), fail()]}, cancels=2, updates=1),
    World({"A": [emit(), emit(), emit()], "B": [add(), emit()], "C": [note("c")]}, cancels=0),
    World({"A": [emit()], "B": [emit()], "C": [fail()]}, cancels=1, displaces="all"),
    World({"A": [emit()], "B": [], "C": [], "D": []}, cancels=0, displaces="executing"),
)
"""Up to four runs and three supersteps."""


def battery(module: Any, worlds: Sequence[World] = TINY) -> None:
    """Everything; raises AssertionError at the first that does not hold."""
    for check in OBSERVATIONS:
        check(module)
    for world in worlds:
        Walk(module, world).run()
