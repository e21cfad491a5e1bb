"""Variations of a program that reached something new: one or a few small changes."""

from __future__ import annotations

from dataclasses import replace

from conformance.fuzz.choosing import Chooser, pick, weighted
from conformance.fuzz.reducing import tidy
from conformance.fuzz.scripts import HOLDING, MEETING, script
from conformance.fuzz.writing import ACTIONS, FAULTS, MOST_RUNS, STAYING, STRATEGIES, TAGS
from conformance.programs import Cancel, Crack, Create, Move, Program, Read, Together, Update

MOST_CHANGES = 3
MOST_MOVES = 40


def mutate(chooser: Chooser, program: Program, name: str) -> Program:
    """A variation; whatever it is, it speaks only of what is there."""
    moves = list(program.moves)
    for _ in range(1 + chooser.below(MOST_CHANGES)):
        change = weighted(
            chooser,
            (
                (4, _strategy),
                (3, _script),
                (3, _offset),
                (4, _added),
                (2, _left_out),
                (2, _swapped),
                (2, _endpoint),
                (2, _fault),
            ),
        )
        changed = change(chooser, replace(program, moves=tuple(moves)))
        if not replace(program, moves=tuple(changed)).creates():
            break  # nothing would be left to vary
        moves = changed
    made = tidy(Program(name, program.family, tuple(moves[:MOST_MOVES])))
    return made if made.creates() else Program(name, program.family, program.moves)


def _changed(program: Program, old: Create, new: Create) -> list[Move]:
    """The moves with another create in the place of one."""
    moves: list[Move] = []
    for move in program.moves:
        match move:
            case Create() if move == old:
                move = new
            case Together(creates):
                move = replace(move, creates=tuple(new if c == old else c for c in creates))
            case Crack(call=call) if call == old:
                move = replace(move, call=new)
        moves.append(move)
    return moves


def _strategy(chooser: Chooser, program: Program) -> list[Move]:
    create = pick(chooser, program.creates())
    return _changed(program, create, replace(create, strategy=weighted(chooser, STRATEGIES)))


def _script(chooser: Chooser, program: Program) -> list[Move]:
    create = pick(chooser, program.creates())
    if create.answers is not None:
        return list(program.moves)  # what it does is the script of the run that asked
    shape = weighted(chooser, HOLDING if create == program.creates()[0] else MEETING)
    return _changed(program, create, replace(create, steps=script(chooser, create.tag, shape)))


def _endpoint(chooser: Chooser, program: Program) -> list[Move]:
    create = pick(chooser, program.creates())
    if _together(program, create):
        return list(program.moves)
    return _changed(program, create, replace(create, endpoint=pick(chooser, STAYING), waits=False))


def _fault(chooser: Chooser, program: Program) -> list[Move]:
    create = pick(chooser, program.creates())
    if _together(program, create) or create.missing is not None:
        return list(program.moves)
    return _changed(program, create, replace(create, fault=weighted(chooser, FAULTS)))


def _together(program: Program, create: Create) -> bool:
    """Whether it is sent with others: those have connections of their own kind."""
    return any(isinstance(m, Together) and create in m.creates for m in program.moves)


def _offset(chooser: Chooser, program: Program) -> list[Move]:
    offset = (chooser.below(61) - 20) / 5
    return [replace(m, offset_ms=offset) if isinstance(m, Crack) else m for m in program.moves]


def _added(chooser: Chooser, program: Program) -> list[Move]:
    """One more move at a random place."""
    creates = program.creates()
    target = pick(chooser, creates)
    taken = {*program.scripts(), *(m.tag for m in program.moves if isinstance(m, Update))}
    free = [t for t in TAGS if t not in taken]
    what = weighted(chooser, ((3, "read"), (3, "cancel"), (5, "create"), (4, "together")))
    size = {"create": 1, "together": 2}.get(what, 0)
    new: Move
    if size and len(creates) + size <= MOST_RUNS:
        made = [_create(chooser, tag, target.thread) for tag in free[:size]]
        new = made[0] if size == 1 else Together(tuple(replace(c, waits=False) for c in made))
    elif what == "cancel":
        new = Cancel(target.tag, pick(chooser, ACTIONS))
    else:
        new = Read(target.thread)
    at = chooser.below(len(program.moves) + 1)
    return [*program.moves[:at], new, *program.moves[at:]]


def _create(chooser: Chooser, tag: str, thread: str) -> Create:
    return Create(tag, weighted(chooser, STRATEGIES), script(chooser, tag, weighted(chooser, MEETING)), thread)


def _left_out(chooser: Chooser, program: Program) -> list[Move]:
    at = chooser.below(len(program.moves))
    return [*program.moves[:at], *program.moves[at + 1 :]] if len(program.moves) > 1 else list(program.moves)


def _swapped(chooser: Chooser, program: Program) -> list[Move]:
    moves = list(program.moves)
    if len(moves) > 1:
        at = chooser.below(len(moves) - 1)
        moves[at], moves[at + 1] = moves[at + 1], moves[at]
    return moves
