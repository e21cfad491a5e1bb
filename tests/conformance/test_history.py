"""Histories and programs survive a round trip; damaged files are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.history import BadHistory, History
from conformance.programs import Program
from conformance.scenarios import all_programs
from conformance.verdicts import judge
from tests.conformance.making import Making

PROGRAMS = all_programs(seed=3, cracks=2)


def made() -> History:
    m = Making().create("A", "enqueue", 0, 1, steps=[{"op": "emit"}]).enter("A", 0, 5).settled(9)
    return m.open("g", 10).stop_waited("A", 11).history()


def test_a_history_survives_a_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    made().dump(file)
    assert History.load(file) == made()
    assert judge(History.load(file)) == judge(made())


@pytest.mark.parametrize("lines", [0, 1, 2, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, lines: int) -> None:
    file = tmp_path / "h.jsonl"
    made().dump(file)
    kept = file.read_text().splitlines(keepends=True)[:lines]
    file.write_text("".join(kept))
    with pytest.raises(BadHistory):
        History.load(file)


def test_reordered_foreign_and_newer_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    made().dump(file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(BadHistory, match="reordered"):
        History.load(file)
    file.write_text("not json")
    with pytest.raises(BadHistory, match="not JSON"):
        History.load(file)
    file.write_text('{"some": "thing"}\n')
    with pytest.raises(BadHistory, match="not a history"):
        History.load(file)
    file.write_text(lines[0].replace('"doubletext-history": 1', '"doubletext-history": 9') + "".join(lines[1:]))
    with pytest.raises(BadHistory, match="schema 9"):
        History.load(file)
    with pytest.raises(BadHistory, match="cannot be read"):
        History.load(tmp_path / "absent")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_a_program_survives_a_round_trip(program: Program) -> None:
    value = program.to_json()
    assert Program.from_json(value) == program
    assert set(program.scripts()) == {c.tag for c in program.creates()}


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(ValueError, match="not a program"):
        Program.from_json({"name": "x", "family": "x", "moves": [{"do": "dance"}]})


def test_names_of_programs_are_unique() -> None:
    names = [p.name for p in PROGRAMS]
    assert len(names) == len(set(names))
