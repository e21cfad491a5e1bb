"""Smaller programs: fewer threads, runs, calls and supersteps, plainer scripts, gates instead of luck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from conformance.fuzz.scripts import first_gate
from conformance.programs import (
    NOBODY,
    Cancel,
    CancelMany,
    Crack,
    Create,
    Delete,
    Join,
    Missing,
    Move,
    Open,
    Program,
    Read,
    Renew,
    Stateless,
    Step,
    Together,
    Until,
    Update,
    emit,
)

Change = tuple[tuple[str, ...], tuple[str, ...]]
MODIFIERS = ("sleep", "swallow", "block", "nested", "bound")


def cost(program: Program) -> int:
    """How much there is to understand: less is better."""
    creates = program.creates()
    steps = [s for c in creates for s in c.steps]
    luck = sum(isinstance(m, Crack) for m in program.moves)
    together = sum(len(m.creates) for m in program.moves if isinstance(m, Together))
    return (
        30 * len(program.threads())
        + 20 * len(creates)
        + 4 * len(program.moves)
        + 2 * len(steps)
        + sum(1 for s in steps for name in (*MODIFIERS, "gate") if name in s)
        + 3 * sum(1 for s in steps if "sleep" in s)  # to be met while it sleeps is luck
        + sum(1 for s in steps if s["op"] != "emit")
        + 6 * luck
        + 2 * together
        + sum(1 for c in creates if c.strategy not in ("enqueue",))
        + sum(1 for m in program.moves if isinstance(m, Read) and m.deep)
        + sum(1 for m in program.moves if isinstance(m, Crack) and m.offset_ms)
        + sum(_extras(m) for m in (*creates, *(m for m in program.moves if not isinstance(m, Create))))
    )


def _extras(move: Move) -> int:
    """What is asked for or goes wrong with a single call beyond the plain one."""
    match move:
        case Create():
            extras = (move.endpoint != "runs", move.missing is not None, move.after, move.webhook, move.answers)
            return 2 * sum(map(bool, extras)) + 4 * bool(move.fault)
        case Cancel() | Crack(call=Cancel()):
            call = move.call if isinstance(move, Crack) else move
            assert isinstance(call, Cancel)
            return call.wait + (call.form is not None) + 4 * bool(call.fault)
        case Delete(fault=fault) | Update(fault=fault):
            return 4 * bool(fault)
        case Together(cancels=cancels):
            return 20 * len(cancels)
        case CancelMany(tags=tags):
            return 2 * len(tags)
        case Stateless():
            return 20 + (move.endpoint != "runs")
    return 0


def reductions(program: Program) -> list[Program]:
    """Programs that are one step smaller, the smallest first, each once."""
    there: dict[str, Program] = {}
    for moves in _reduced(program):
        made = tidy(replace(program, moves=tuple(moves)))
        if made.creates() and cost(made) < cost(program):
            there.setdefault(repr(made.moves), made)
    return sorted(there.values(), key=cost)


def change(program: Program, smaller: Program) -> Change:
    """Which moves a smaller program does without, and which it has instead; wherever they stand."""
    before, after = Counter(map(repr, program.moves)), Counter(map(repr, smaller.moves))
    return tuple(sorted((before - after).elements())), tuple(sorted((after - before).elements()))


def jointly(program: Program, smaller: Sequence[Program]) -> Program:
    """The program with what each of the smaller ones changed; of changes at one place those that came first."""
    moves, edits = program.moves, list[tuple[int, int, Sequence[Move]]]()
    for other in smaller:
        matcher = SequenceMatcher(None, list(map(repr, moves)), list(map(repr, other.moves)), autojunk=False)
        own = [(i, j, other.moves[k:m]) for what, i, j, k, m in matcher.get_opcodes() if what != "equal"]
        if all(j <= k or m <= i for i, j, _ in own for k, m, _ in edits):
            edits += own
    for i, j, instead in sorted(edits, key=lambda edit: edit[0], reverse=True):
        moves = (*moves[:i], *instead, *moves[j:])
    return tidy(replace(program, moves=moves))


def tidy(program: Program) -> Program:
    """Without moves that speak of runs, gates or threads that are not there (any more)."""
    while (tidier := _tidier(program)) != program:  # what is left out may have been spoken of itself
        program = tidier
    return program


def _tidier(program: Program) -> Program:
    tags = set(program.scripts())
    gates = {
        step[k] for steps in program.scripts().values() for step in steps for k in ("gate", "swallow") if k in step
    }
    known = _Known(tags, gates, set(program.threads()), program.missing())
    kept: list[Move] = []
    for move in program.moves:
        tidied = known.tidied(move)
        if tidied is not None:
            kept.append(tidied)
    return replace(program, moves=tuple(kept))


class _Known:
    """What may be spoken of at some place of a program: runs that were created, threads that were not deleted."""

    def __init__(self, tags: set[str], gates: set[str], threads: set[str], missing: Mapping[str, Missing]) -> None:
        self._tags, self._gates, self._missing = tags, gates, missing
        self._threads = {name for name in threads if missing.get(name) != "refuse"}
        self._created: set[str] = set()
        self._dropped: set[str] = set()  # threads
        self._home: dict[str, str] = {}

    def tidied(self, move: Move) -> Move | None:
        """The move, with what is there alone; None where nothing is left of it."""
        match move:
            case Create():
                return self._create(move)
            case Stateless(tag=tag):
                self._created.add(tag)
            case Together():
                return self._together(move)
            case Cancel(tag=tag) | Join(tag=tag) | Delete(tag=tag):
                return move if self._runs(tag) else None
            case CancelMany(tags=tags):
                there = tuple(tag for tag in tags if self._runs(tag))
                same = tuple(tag for tag in there if self._home[tag] == self._home[there[0]])
                return replace(move, tags=same) if same else None
            case Until():
                return self._until(move)
            case Open(gate=key):
                return move if key in self._gates else None
            case Crack():
                return self._crack(move)
            case Renew(thread=thread, again=again):
                if thread not in self._threads:
                    return None
                if not again:
                    self._threads, self._dropped = self._threads - {thread}, self._dropped | {thread}
            case Update(thread=thread):
                return move if thread in self._threads else None
            case Read(thread=thread):
                # Of one that does not exist it can be read, too.
                return (
                    move if thread not in self._dropped and thread in self._threads | set(self._home.values()) else None
                )
        return move

    def _create(self, create: Create) -> Create | None:
        if create.thread in self._dropped:
            return None
        self._created.add(create.tag)
        self._home[create.tag] = create.thread
        # One thread is made beforehand, or by all of its creates, or by none.
        return replace(create, missing=self._missing.get(create.thread))

    def _runs(self, tag: str) -> bool:
        """Whether there is such a run on a thread that was not deleted; nobody is on the first thread."""
        if tag == NOBODY:
            return "t" in self._threads
        return tag in self._created and self._home.get(tag) in self._threads

    def _together(self, move: Together) -> Move | None:
        creates = tuple(c for c in map(self._create, move.creates) if c is not None)
        cancels = tuple(c for c in move.cancels if self._runs(c.tag))
        if len(creates) == 1 and not cancels:
            return replace(creates[0], waits=True)
        if len(cancels) == 1 and not creates:
            return cancels[0]
        return replace(move, creates=creates, cancels=cancels) if creates or cancels else None

    def _until(self, move: Until) -> Until | None:
        if move.tag and move.tag not in self._created:
            return None
        if move.what in ("listed", "ended", "status") and not self._runs(move.tag):
            return None
        if move.what == "inside" and move.value not in self._gates:
            return None
        if move.what == "stopped" and move.value not in self._tags:
            return replace(move, value=None)
        return move

    def _crack(self, move: Crack) -> Crack | None:
        if not self._runs(move.of):
            return None
        if isinstance(move.call, Cancel) and not self._runs(move.call.tag):
            return None
        if isinstance(move.call, Create):
            call = self._create(move.call)
            if call is None:
                return None
            move = replace(move, call=call)
        if move.gate is not None and move.gate not in self._gates:
            return replace(move, gate=None)
        return move


def _reduced(program: Program) -> Iterator[Sequence[Move]]:
    moves = program.moves
    for thread in program.threads():
        yield from (_without(moves, {c.tag for c in program.creates() if c.thread == thread}),)
    for create in program.creates():
        fewer = _without(moves, {create.tag})
        yield fewer
        if create.waits:  # which may be what the others were made in order by
            yield [replace(m, waits=True) if isinstance(m, Create) and m.endpoint == "runs" else m for m in fewer]
    for size in (len(moves) // 2, len(moves) // 4, 1):
        for at in range(0, len(moves), size) if size else ():
            yield (*moves[:at], *moves[at + size :])
    yield from _gated(moves)
    yield from _made_before(program)
    for i, move in enumerate(moves):
        for other in _plainer(move):
            yield (*moves[:i], *other, *moves[i + 1 :])


def _gated(moves: Sequence[Move]) -> Iterator[Sequence[Move]]:
    """Gates instead of luck: a run that is met while it is fast is held instead in the superstep that it was in."""
    for i, move in enumerate(moves):
        if not isinstance(move, Until) or move.what != "entered" or not isinstance(move.value, int | float):
            continue
        step = int(move.value)
        for at, create in enumerate(moves):
            if isinstance(create, Create) and create.tag == move.tag and step < len(create.steps):
                plain = [{k: v for k, v in s.items() if k != "sleep"} for s in create.steps]
                key = plain[step].setdefault("gate", first_gate(move.tag))
                held = replace(create, steps=tuple(plain))
                inside = Until("inside", move.tag, key, move.needed)
                yield tuple(held if j == at else inside if j == i else m for j, m in enumerate(moves))


def _made_before(program: Program) -> Iterator[Sequence[Move]]:
    """Threads that are made beforehand instead of by who needs them first."""
    for thread in [t for t, missing in program.missing().items() if missing == "create"]:

        def made(create: Create, name: str = thread) -> Create:
            return replace(create, missing=None) if create.thread == name else create

        yield tuple(
            made(m)
            if isinstance(m, Create)
            else replace(m, creates=tuple(map(made, m.creates)))
            if isinstance(m, Together)
            else replace(m, call=made(m.call))
            if isinstance(m, Crack) and isinstance(m.call, Create)
            else m
            for m in program.moves
        )


def _without(moves: Sequence[Move], tags: set[str]) -> Sequence[Move]:
    """The moves without these runs; what speaks of them is tidied away later."""
    kept: list[Move] = []
    for move in moves:
        match move:
            case (
                Create(tag=tag)
                | Cancel(tag=tag)
                | Delete(tag=tag)
                | Join(tag=tag)
                | Until(tag=tag)
                | Stateless(tag=tag)
            ):
                if tag in tags:
                    continue
            case CancelMany(tags=named):
                move = replace(move, tags=tuple(tag for tag in named if tag not in tags))
            case Together(creates, cancels):
                move = Together(
                    tuple(c for c in creates if c.tag not in tags), tuple(c for c in cancels if c.tag not in tags)
                )
            case Crack(call=call, of=of):
                if call.tag in tags or of in tags:
                    continue
        kept.append(move)
    return kept


def _plainer(move: Move) -> Iterator[Sequence[Move]]:
    """What a single move could be replaced by."""
    match move:
        case Create():
            yield from ((c,) for c in _plainer_create(move))
        case Together(creates, cancels):
            yield (*(replace(c, waits=True) for c in creates), *cancels)
            for i in range(len(cancels)):
                yield (Together(creates, (*cancels[:i], *cancels[i + 1 :])),)
            for i, create in enumerate(creates):
                for other in _plainer_create(create):
                    yield (Together((*creates[:i], other, *creates[i + 1 :]), cancels),)
        case Cancel():
            yield from ((c,) for c in _plainer_cancel(move))
        case CancelMany(tags=tags) if len(tags) > 1:
            for i in range(len(tags)):
                yield (replace(move, tags=(*tags[:i], *tags[i + 1 :])),)
        case Delete(fault=fault) | Update(fault=fault) if fault is not None:
            yield (replace(move, fault=None),)
        case Stateless() if move.endpoint != "runs":
            yield (replace(move, endpoint="runs"),)
        case Crack(call=call, gate=key):
            # Gates instead of luck: the call while the superstep is certainly not over, or when it certainly is.
            settled = replace(call, waits=True) if isinstance(call, Create) else call
            yield (settled, *((Open(key),) if key is not None else ()))
            if move.offset_ms:
                yield (replace(move, offset_ms=0.0),)
            plainer = _plainer_create(call) if isinstance(call, Create) else _plainer_cancel(call)
            yield from ((replace(move, call=other),) for other in plainer)
        case Read(deep=True):
            yield (replace(move, deep=False),)


def _plainer_cancel(cancel: Cancel) -> Iterator[Cancel]:
    if cancel.fault is not None:
        yield replace(cancel, fault=None)
    if cancel.wait or cancel.form is not None:
        yield replace(cancel, wait=False, form=None, waits=True)


def _plainer_create(create: Create) -> Iterator[Create]:
    steps = create.steps
    if create.fault is not None:
        yield replace(create, fault=None)
    if create.webhook:
        yield replace(create, webhook=False)
    if create.after is not None:
        yield replace(create, after=None)
    if create.endpoint != "runs":
        yield replace(create, endpoint="runs")
    for i in range(len(steps)):
        if len(steps) > 1:
            yield replace(create, steps=(*steps[:i], *steps[i + 1 :]))
    if len(steps) > 3:
        yield replace(create, steps=steps[: len(steps) // 2])
        yield replace(create, steps=steps[len(steps) // 2 :])
    for i, step in enumerate(steps):
        for other in _plainer_step(step):
            yield replace(create, steps=(*steps[:i], other, *steps[i + 1 :]))
    if create.strategy != "enqueue":
        yield replace(create, strategy="enqueue")


def _plainer_step(step: Step) -> Iterator[Step]:
    for name in (*MODIFIERS, "gate"):
        if name in step and not (name == "gate" and "swallow" in step):
            yield {k: v for k, v in step.items() if k != name}
    if step["op"] != "emit":
        kept = {k: v for k, v in step.items() if k in (*MODIFIERS, "gate")}
        yield emit(**kept)
