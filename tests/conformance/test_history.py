"""Histories and programs survive a round trip; damaged files are refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.history import BadHistory, History
from conformance.notation import parse
from conformance.programs import Program, Stateless
from conformance.requirements import REGISTRY
from conformance.scenarios import all_programs
from conformance.verdicts import judge

PROGRAMS = all_programs(seed=3, cracks=2)


def made() -> History:
    return parse("A = emit\n\nc |create A enqueue ─200  A enter 0  settled  open g  stop-waited A\n")


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
    without_thread = {m.tag for m in program.moves if isinstance(m, Stateless)}
    assert set(program.scripts()) == {c.tag for c in program.creates()} | without_thread


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(ValueError, match="not a program"):
        Program.from_json({"name": "x", "family": "x", "moves": [{"do": "dance"}]})


def test_names_of_programs_are_unique() -> None:
    names = [p.name for p in PROGRAMS]
    assert len(names) == len(set(names))


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> list[str]:
    """A saved history with every kind of record and answer, line by line."""
    text = """
        A = emit@g add
        c0 < of A
        c1 < c0 A0

        harness  |new ─200  create A enqueue ─200  list ─A running  thread ─busy values c1  open g ─done  stop-waited A
        run A    |                                 enter 0          leave 0

        ms       |200
        harness  |settled  settled:history ─c1 c0  get A ─success  state ─c1  history ─c1 c0  cancel A rollback ─404
    """
    drawn = "\n".join(line.strip() for line in text.splitlines())
    return parse(drawn).to_text().splitlines(keepends=True)


def loaded(text: str) -> History | None:
    """The history of a text, None where it is refused; no other exception may come."""
    try:
        return History.from_text(text, "file")
    except BadHistory as e:
        if not str(e).startswith("file: line "):
            raise
        return None


@pytest.mark.parametrize("seed", range(3))
def test_a_truncation_at_any_byte_is_refused(whole: list[str], seed: int) -> None:
    text = "".join(whole)
    history = History.from_text(text)
    for length in range(seed, len(text), 3):
        assert loaded(text[:length]) in (None, history)
    assert loaded(text[:-1]) == history


@settings(deadline=None)
@given(st.data())
def test_a_missing_doubled_or_exchanged_line_is_refused(whole: list[str], data: st.DataObject) -> None:
    lines = list(whole)
    i = data.draw(st.integers(0, len(lines) - 1))
    j = data.draw(st.integers(0, len(lines) - 1))
    match data.draw(st.sampled_from(["missing", "doubled", "exchanged"])):
        case "missing":
            del lines[i]
        case "doubled":
            lines.insert(j, lines[i])
        case "exchanged":
            lines[i], lines[j] = lines[j], lines[i]
    history = loaded("".join(lines))
    assert history is None or lines == whole


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, part in inner for p in places(part, (*path, key)))]


def kind(value: Any) -> str:
    """The JSON type of a value."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_value_of_another_type_is_refused_or_of_no_consequence(whole: list[str], data: st.DataObject) -> None:
    values = [json.loads(line) for line in whole]
    i = data.draw(st.integers(0, len(values) - 1))
    path = data.draw(st.sampled_from([p for p in places(values[i]) if p]))
    at = values[i]
    for key in path[:-1]:
        at = at[key]
    new = data.draw(anything)
    changed = kind(new) != kind(at[path[-1]])
    at[path[-1]] = new
    history = loaded("".join(json.dumps(value) + "\n" for value in values))
    if history is None:
        return
    assert History.from_text(history.to_text()) == history
    judged = judge(history)  # never another exception: an oracle's own is a harness error, and accuses nobody
    assert set(judged) == set(REGISTRY)
    # What a target answers, what was asked, and what a remark or the probe tells beside has no fixed type.
    free = {"answer", "request", "detail", "dialect", "target", "program"}
    optional = {"tag", "error", "group", "received", "status", "run", "attempt", "thread_status"}
    assert not changed or path[0] in free | optional


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_garbage_is_refused(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    file = tmp_path_factory.mktemp("garbage") / "h.jsonl"
    file.write_bytes(garbage)
    with pytest.raises(BadHistory):
        History.load(file)


def test_deep_nesting_and_numbers_that_are_none_are_refused(whole: list[str]) -> None:
    assert loaded("[" * 100_000 + "\n") is None
    assert loaded("".join(whole).replace('"sent": 0.0', '"sent": NaN')) is None
    assert loaded("".join(whole).replace('"sent": 0.0', '"sent": 1e999')) is None
    assert loaded("".join(whole).replace('"sent": 0.0', '"sent": 9.0')) is None
    assert loaded("".join(whole).replace('"sent": 0.0', '"sent": true')) is None
    assert loaded("".join(whole).replace('"error": null, ', "")) is None
    assert loaded("".join(whole).replace('"error": null, ', '"error": null, "mood": 1, ')) is None


def test_what_is_not_a_number_is_kept_as_a_word(whole: list[str]) -> None:
    history = loaded("".join(whole).replace('"metadata": {"doubletext": true}', '"metadata": {"x": NaN}'))
    assert history is not None
    assert History.from_text(history.to_text()) == history
