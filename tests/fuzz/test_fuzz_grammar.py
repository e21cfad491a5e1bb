"""Generated programs: seeded, serialisable, small, and never speaking of what is not there."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from conformance.fuzz.coverage import cells
from conformance.fuzz.grammar import alone, generate, harms
from conformance.fuzz.reducing import cost, reductions, tidy
from conformance.fuzz.writing import MOST_RUNS, TAGS
from conformance.history import History
from conformance.notation import parse
from conformance.programs import (
    NOBODY,
    Action,
    Cancel,
    CancelMany,
    Crack,
    Create,
    Delete,
    Endpoint,
    Fault,
    Join,
    Missing,
    Move,
    Open,
    Program,
    Read,
    Renew,
    Send,
    Stateless,
    Strategy,
    Together,
    Until,
    Update,
)

PROGRAMS = [generate(f"test/{i}", harming=i >= 250) for i in range(400)]


def sound(program: Program) -> None:
    """Every move speaks of runs, gates and threads of the program, and of runs that were created before."""
    created: set[str] = set()
    gates = {s[k] for steps in program.scripts().values() for s in steps for k in ("gate", "swallow") if k in s}
    for move in program.moves:
        match move:
            case Create(tag=tag) | Stateless(tag=tag):
                created.add(tag)
            case Together(creates, cancels):
                created |= {c.tag for c in creates}
                assert all(c.tag in created for c in cancels)
                assert not any(c.fault or c.endpoint != "runs" for c in creates)
            case CancelMany(tags=tags):
                assert tags
                assert created.issuperset(tags)
                assert len({c.thread for c in program.creates() if c.tag in tags}) == 1
            case Cancel(tag="nobody"):
                assert "t" in program.threads()
            case Crack(call=call, gate=key, of=of):
                assert of in created
                assert key is None or key in gates
                assert isinstance(call, Create) or call.tag in created
                created.add(call.tag)
            case Cancel(tag=tag) | Delete(tag=tag) | Join(tag=tag) | Until(tag=tag):
                assert tag in created
            case Open(gate=key):
                assert key in gates
            case Read(thread=thread) | Renew(thread=thread) | Update(thread=thread):
                assert thread in program.threads() or not program.threads()
    assert all(c.missing == program.missing().get(c.thread) for c in program.creates())
    tags = [*program.scripts(), *(m.tag for m in program.moves if isinstance(m, Update))]
    assert len(tags) == len(set(tags)) <= MOST_RUNS + 4 <= len(TAGS)
    assert NOBODY not in tags
    assert program.creates()


def test_the_same_seed_gives_the_same_program() -> None:
    assert [generate(f"test/{i}") for i in range(50)] == PROGRAMS[:50]
    assert len({repr(p.moves) for p in PROGRAMS}) > 350


def test_a_program_is_one_json_value() -> None:
    for program in PROGRAMS:
        assert Program.from_json(json.loads(json.dumps(program.to_json()))) == program


def test_what_may_harm_a_target_comes_only_when_it_is_asked_for() -> None:
    assert not any(harms(p) for p in PROGRAMS[:250])
    assert any(harms(p) for p in PROGRAMS[250:])


def test_programs_speak_of_what_is_there() -> None:
    for program in PROGRAMS:
        sound(tidy(program))


def test_the_grammar_has_every_kind_of_move_and_every_strategy() -> None:
    moves = [m for p in PROGRAMS for m in p.moves]
    assert {type(m) for m in moves} == set(get_args(Move)) - {Send}  # malformed requests are the check's
    creates = [c for p in PROGRAMS for c in p.creates()]
    assert {c.strategy for c in creates} == {*get_args(Strategy), None}
    assert {c.endpoint for c in creates} == set(get_args(Endpoint))
    assert {c.missing for c in creates} == {*get_args(Missing), None}
    assert {c.fault for c in creates} == {*get_args(Fault), None}
    assert any(c.after for c in creates)
    assert any(c.answers for c in creates)
    assert any(c.webhook for c in creates)
    cancels = [m for m in moves if isinstance(m, Cancel)]
    assert {(m.wait, m.form) for m in cancels} >= {(True, None), (True, "true"), (False, ""), (False, "false")}
    assert {m.action for m in cancels} == set(get_args(Action))
    assert any(m.tag == NOBODY for m in cancels)
    assert any(isinstance(m, Together) and m.cancels for m in moves)
    steps = [s for c in creates for s in c.steps]
    assert {s["op"] for s in steps} == {"emit", "add", "note", "effect", "call", "result", "fail", "ask"}
    assert {"gate", "swallow", "block", "sleep"} <= {k for s in steps for k in s}


def test_what_must_have_the_target_for_itself_comes_only_when_it_is_asked_for() -> None:
    assert any(alone(p) for p in PROGRAMS)
    assert not any(alone(generate(f"test/{i}", harming=i % 2 == 0, alone=False)) for i in range(200))


@pytest.mark.parametrize("i", range(0, 400, 20))
def test_reductions_are_smaller_and_still_programs(i: int) -> None:
    program = tidy(PROGRAMS[i])
    for smaller in reductions(program):
        assert cost(smaller) < cost(program)
        sound(smaller)


def test_cells_say_what_a_call_met_and_what_came_of_it() -> None:
    history: History = parse(
        "A = emit@g emit\nB = emit\n\n"
        "client 1 |create A enqueue ─200\n"
        "client 2 |                             create B reject ─409\n"
        "run A    |                   enter 0                           leave 0  enter 1  leave 1\n"
        "harness  |                                             open g             final:get A ─success\n"
    )
    assert ("reject", "running, held", "runs", "answered 409, first success") in cells(history)
    assert ("enqueue", "nothing", "runs", "success, first none") in cells(history)
