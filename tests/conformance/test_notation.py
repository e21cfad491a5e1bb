"""The notation: what is drawn can be read back, equal; and mistakes are told with their place."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from conformance.history import Call, GateOpened, History, Told
from conformance.notation import BadNotation, parse, render, timeline
from conformance.verdicts import judge
from tests.conformance.generating import histories

EXAMPLE = """
A = emit@g emit
B = emit

ms        | 0                    20                             50
client 1  | create A enqueue ─200
client 2  |                      create B reject ─200
run A     |                    enter 0                                    leave 0   enter 1  leave 1
harness   |                                                     open g
harness   |                                                                                          settled
"""


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_whatever_can_be_recorded_is_read_back_equal(history: History) -> None:
    history = history.as_saved()
    text = render(history)
    again = parse(text)
    assert again == history
    assert render(again) == text
    assert timeline(history)


def test_the_example_of_the_docstring_says_what_it_shows() -> None:
    history = parse(EXAMPLE)
    a, b = (c for c in history.of(Call) if c.op == "create")
    (gate,) = history.of(GateOpened)
    assert (a.sent, b.sent, b.client) == (0, 0.02, "client 2")
    assert a.received is not None
    assert a.received < b.sent
    assert b.received is not None
    assert b.received < gate.sent
    assert [r.n for r in history.records] == list(range(len(history.records)))
    assert "A was inflight" in str(judge(history)["reject.conflict"].violations[0].proof[0])


def test_columns_are_in_proportion_between_ticks_and_scaled_behind_them() -> None:
    text = (
        "scale: 10\nA =\n\nms |0         100\nc  |     get A ─success @<at>\nh  |open g              open h    open i\n"
    )
    gates = {g.key: g.sent for g in parse(text.replace(" @<at>", "")).of(GateOpened)}
    assert gates == {"g": 0.0, "h": 0.2, "i": 0.3}
    (call,) = parse(text.replace(" @<at>", "")).of(Call)
    assert call.sent == 0.05
    (call,) = parse(text.replace("<at>", "3..4.25")).of(Call)
    assert (call.sent, call.received) == (0.003, 0.00425)


def test_a_call_can_be_answered_in_a_later_block() -> None:
    text = "A = emit\n\nc |create A enqueue ────\n\nms |500\nc  |────\n\nms |900\nc  |────200\n"
    (call,) = parse(text).of(Call)
    assert (call.sent, call.received, call.status) == (0.0, 0.904, 200)


def test_what_a_run_found_is_by_default_what_stands_before_it() -> None:
    lane = "r |A enter 0  A leave 0  B enter 0  B leave 0  B enter 1  B leave 1  state ─A0 B0 B1"
    text = f"A = add\nB = add note:x\n\n{lane}\n"
    found = {(r.tag, r.step): r.detail["found"] for r in parse(text).of(Told) if r.kind == "enter"}
    assert [(f["log"], f["counter"], f["messages"]) for f in found.values()] == [(0, 0, 0), (1, 1, 1), (2, 2, 1)]
    (state,) = (c.answer for c in parse(text).of(Call))
    assert (state["counter"], state["note"], state["tag"]) == (2, "x", "B")


def test_notes_change_what_a_record_says() -> None:
    text = 'A = emit\n\nc |create A enqueue ─200\n\n#0 answer.status="running" answer.created_at="now" group="g"\n'
    (call,) = parse(text).of(Call)
    assert (call.answer["status"], call.answer["created_at"], call.group) == ("running", "now", "g")


def test_the_same_history_is_always_drawn_alike() -> None:
    text = render(parse(EXAMPLE))
    assert text == render(parse(text)) == render(parse(text))
    assert text.splitlines()[3].startswith("ms       |0")


def test_a_timeline_leaves_out_polls_that_say_nothing_new() -> None:
    polls = "  ".join(f"get A ─{s}" for s in ["pending", "running", "running", "running", "running", "success"])
    history = parse(f"A = emit\n\nc |create A enqueue ─200  {polls}\n")
    shown = timeline(history)
    assert [f"#{n}" in shown for n in range(7)] == [True, True, True, False, False, True, True]
    assert "instance" not in shown


BAD = [
    ("dance", 1, 1, "expected a lane"),
    ("c |create A enqueue ─200", 1, 11, "write `A = emit`"),
    ("A = emit\n\nc |create A enqueue", 3, 4, "expected its answer"),
    ("A = emit\n\nc |create A enqueue ─", 3, 4, "expected an answer behind the dashes"),
    ("A = emit\n\nc |create A enqueue ─2x0", 3, 22, "expected a status of three digits"),
    ("A = emit@\n", 1, 5, "an instruction"),
    ("A = emit:x\n", 1, 5, "an instruction"),
    ('A = {"op": \n', 1, 5, "a JSON value"),
    ("c |get A ─success\ndd |open g\n", 2, 4, "expected the bar in column 3"),
    ("c |A enter\n", 1, 4, "TAG enter|leave"),
    ("c |state ─A0\n", 1, 11, "an entry like A0"),
    ("A =\nA1 =\n\nc |state ─A11\n", 4, 11, "read in two ways"),
    ("c |history ─c1\n", 1, 13, "a checkpoint that is defined"),
    ("c |open g\n\nd |open h\n", 3, 1, "a ruler in every block but the first"),
    ("ms |5  5\nc  |open g\n", 1, 8, "a later instant"),
    ("ms |  5\nc  |open g\n", 2, 5, "nothing before the first tick"),
    ("c |open g #0  open h\n", 1, 15, "expected its number"),
    ("c |open g #0  open h #2\n", 1, 15, "numbers of all records"),
    ("c |open g\n#4 key=1\n", 2, 4, "expected the number of a record below #1"),
    ("c |open g\n#0 kay=1\n", 2, 4, "expected a field of a gate"),
    ("c |open g\n#0 key=1\n", 2, 4, "cannot be 1"),
    ("c |open g\n#0 key\n", 2, 4, "expected `field=value`"),
    ("c |get A ─success @5..2\n", 1, 4, "expected its end after its beginning"),
    ("c |get A ─success now\n", 1, 19, "expected nothing more"),
    ("c |get A with B ─success\n", 1, 10, "expected `on THREAD`"),
    ("c |stop-waited A for 3\n", 1, 18, "`waited S`"),
    ("id boat A = 1\n", 1, 1, "run|thread|checkpoint"),
    ("scale: 0\nc |open g\n", 2, 1, "how many milliseconds"),
    ("#1 = answered A\n", 1, 6, "expected the instant"),
]


@pytest.mark.parametrize(("text", "line", "column", "said"), BAD, ids=[b[3] for b in BAD])
def test_mistakes_are_told_with_their_place(text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(BadNotation) as caught:
        parse(text)
    assert said in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column), str(caught.value)
