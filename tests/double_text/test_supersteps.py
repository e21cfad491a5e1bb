"""Counting supersteps in a stream."""

from __future__ import annotations

import pytest

from conformance.execution.supersteps import Supersteps


def counts(*names: str) -> list[int]:
    """The count after each event."""
    seen, found = Supersteps(), []
    for name in names:
        before = seen.count
        assert seen.see(name, "{}") == (seen.count > before)
        found.append(seen.count)
    return found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("metadata", "values", "updates", "values", "updates", "values"), [0, 0, 0, 1, 1, 2]),
        (("values", "updates", "updates", "updates", "values"), [0, 0, 0, 0, 1]),  # three nodes side by side
        (("updates", "values"), [0, 1]),  # joined too late to see the input
        (("values", "values", "values"), [0, 1, 2]),  # a server without updates
        (("values", "values|sub:1", "updates|sub:1", "updates", "values"), [0, 0, 0, 0, 1]),
        (("updates", "updates"), [0, 0]),  # how many supersteps these are, nobody knows
    ],
)
def test_counts(names: tuple[str, ...], expected: list[int]) -> None:
    assert counts(*names) == expected


def test_a_question_to_a_human_ends_no_superstep() -> None:
    seen = Supersteps()
    seen.see("values", "{}")
    seen.see("updates", "{}")  # of a node beside the one that asks
    assert not seen.see("updates", '{"__interrupt__": []}')
    assert not seen.see("values", '{"__interrupt__": []}')
    assert not seen.see("values", "{}")
    assert seen.count == 0
