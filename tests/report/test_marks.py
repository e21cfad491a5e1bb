"""A history as marks: every record is there, and what nobody saw is not drawn as certain."""

from __future__ import annotations

import json

import pytest

from conformance.history import Call, GateOpened, History, Told
from conformance.notation import parse
from conformance.report.html import cites
from conformance.report.marks import timeline
from tests.report.making import long_history, violations

DRAWING = """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                        create B enqueue ─200
run A    |                   enter 0                                      leave 0  enter 1  leave 1
run B    |                                                                                          enter 0
harness  |   thread ─busy              get A ─running  open g

ms       |102      106      112              118
run B    |leave 0
harness  |         get A ─success  thread ─idle
"""


def marks_of(history: History, kind: str) -> list[list[object]]:
    return [m for m in timeline(history)["marks"] if m[2] == kind]


@pytest.mark.parametrize("history", violations(), ids=lambda h: h.name)
def test_every_call_gate_and_announcement_is_a_mark(history: History) -> None:
    made = timeline(history)
    assert made == json.loads(json.dumps(made))
    marked = {n for m in made["marks"] for n in m[6]}
    assert marked >= {r.n for r in history.records if isinstance(r, Call | GateOpened | Told)}
    assert len(made["records"]) == len(history.records)
    for _, row, _, start, end, _, _ in made["marks"]:
        assert made["from"] <= start <= end <= made["to"]
        assert 0 <= row < 8


def test_a_change_is_as_wide_as_the_reads_that_bound_it() -> None:
    history = parse(DRAWING)
    reads = [c for c in history.of(Call) if c.op == "get_run"]
    (change,) = [m for m in marks_of(history, "unsure") if m[5] == "running → success"]
    assert change[3] == pytest.approx(reads[0].received * 1000)
    assert change[4] == pytest.approx(reads[1].sent * 1000)
    assert change[6] == [reads[0].n, reads[1].n]


def test_gates_and_overlaps() -> None:
    history = parse(DRAWING)
    made = timeline(history)
    (gate,) = marks_of(history, "gate")
    assert gate[5] == "g holds A0"
    (overlap,) = made["overlaps"]
    assert overlap[2] == "B created while A was inflight"
    lanes = [lane[0] for lane in made["lanes"]]
    assert lanes[:4] == ["thread", "holds it", "queue", "state"]
    assert lanes.index("client 1") < lanes.index("run A") < lanes.index("status A")


def test_marks_of_one_row_do_not_overlap() -> None:
    made = timeline(parse(DRAWING))
    last: dict[tuple[int, int], float] = {}
    for lane, row, _, start, end, _, _ in sorted(made["marks"], key=lambda m: m[3]):
        assert start >= last.get((lane, row), float("-inf")) - 1e-6 or row == 5
        last[lane, row] = end


def test_long_answers_are_cut_and_say_so() -> None:
    history = violations("rollback*")[0]
    cut = [v for r in timeline(history, 10)["records"] for v in r.values() if "more characters" in v]
    assert cut
    assert all(len(v) < 60 for v in cut)


def test_ten_thousand_calls_are_drawn() -> None:
    assert len(timeline(long_history(10_000), 60)["records"]) == 10_001


def test_the_records_that_a_sentence_cites() -> None:
    assert cites("A was read [sic] as success [#3, #14]") == ("A was read [sic] as success", [3, 14])
    assert cites("nothing cited") == ("nothing cited", [])
