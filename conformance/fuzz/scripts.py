"""Scripts of generated runs: what the probe does inside the overlap."""

from __future__ import annotations

from typing import Literal

from conformance.fuzz.choosing import Chooser, chance, pick, weighted
from conformance.programs import Step, add, call_tool, effect, emit, fail, gate, note, tool_result

Shape = Literal["short", "held", "held-twice", "quick", "failing", "tool", "swallows", "blocks", "nested"]

HOLDING: tuple[tuple[int, Shape], ...] = (
    (50, "held"),
    (14, "held-twice"),
    (18, "quick"),
    (8, "tool"),
    (7, "swallows"),
    (3, "blocks"),
    (4, "nested"),
)
"""Of a run that is to be met by others."""

MEETING: tuple[tuple[int, Shape], ...] = ((45, "short"), (40, "held"), (5, "held-twice"), (5, "failing"), (5, "tool"))
"""Of a run that meets it."""

LENGTHS_MS = (5, 10, 20)


def first_gate(tag: str) -> str:
    """The key of a run's first gate."""
    return f"g{tag}"


def second_gate(tag: str) -> str:
    """The key of the gate behind it."""
    return f"h{tag}"


def swallow_gate(tag: str) -> str:
    """The key of the gate at which a swallowed cancellation waits."""
    return f"z{tag}"


def script(chooser: Chooser, tag: str, shape: Shape) -> tuple[Step, ...]:
    """A script of this shape for the run of that tag."""
    key = first_gate(tag)
    match shape:
        case "short":
            return _plain(chooser, tag, 1, 2)
        case "held":
            op = weighted(chooser, ((5, "add"), (3, "emit"), (1, "fail")))
            after = () if op == "fail" else _plain(chooser, tag, 0, 2)
            return (*_plain(chooser, tag, 0, 2), gate(key, op=op), *after)
        case "held-twice":
            between = _plain(chooser, tag, 0, 4)
            return (*_plain(chooser, tag, 0, 2), gate(key, op="add"), *between, gate(second_gate(tag)))
        case "quick":
            length = pick(chooser, LENGTHS_MS)
            quick = tuple(add(sleep=length) for _ in range(4 + chooser.below(7)))
            return (*quick, gate(second_gate(tag))) if chance(chooser, 60) else quick
        case "failing":
            return (*_plain(chooser, tag, 0, 2), fail())
        case "tool":
            return (call_tool(tag.lower()), gate(key), tool_result(tag.lower()))
        case "swallows":
            held = gate(key, op="add", swallow=swallow_gate(tag))
            return (*_plain(chooser, tag, 0, 1), held, *_plain(chooser, tag, 0, 2))
        case "blocks":
            return (*_plain(chooser, tag, 0, 1), gate(key, op="add", block=True), *_plain(chooser, tag, 0, 2))
        case "nested":
            return (*_plain(chooser, tag, 0, 1), gate(key, op="add", nested=True), *_plain(chooser, tag, 0, 2))


def _plain(chooser: Chooser, tag: str, least: int, most: int) -> tuple[Step, ...]:
    """Steps that hold nobody."""
    made: list[Step] = []
    for i in range(least + chooser.below(most - least + 1)):
        what = weighted(chooser, ((4, "add"), (3, "emit"), (3, "note"), (1, "effect")))
        made.append({"add": add(), "emit": emit(), "note": note(tag), "effect": effect(f"pay-{tag}-{i}")}[what])
    return tuple(made)
