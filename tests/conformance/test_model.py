"""The model of one thread: an exhaustive walk, with the requirements as invariants; and the tree of lineages."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from conformance import model
from conformance.facts import digest
from conformance.lineage import Lineage
from conformance.programs import add, call_tool, emit, note, tool_result
from tests.conformance.model_rules import OBSERVATIONS, SMALL, TINY, Walk, World

NAMES = "ABCD"


@pytest.mark.parametrize("check", OBSERVATIONS, ids=lambda c: c.__name__)
def test_observations(check: object) -> None:
    check(model)  # type: ignore[operator]


@pytest.mark.parametrize("world", SMALL, ids=["cancel", "update", "all", "executing"])
def test_every_state_that_can_be_reached(world: World) -> None:
    walk = Walk(model, world)
    walk.run()
    assert walk.nodes > 500, "the walk went nowhere"


def test_the_walk_meets_everything() -> None:
    """It would prove nothing of what it never meets."""
    met: Counter[str] = Counter()
    for world in TINY:
        walk = Walk(model, world)
        first_visit = walk.following

        def following(node, visit=first_visit):  # type: ignore[no-untyped-def]
            met.update(r.status for r in node.state.runs)
            met.update(f"owed {kind}" for r in node.state.runs if r.owed for kind in r.mark)
            met.update(["disturbed"] if node.state.disturbed else [])
            return visit(node)

        walk.following = following  # type: ignore[method-assign]
        walk.run()
    statuses = {"pending", "running", "success", "error", "timeout", "interrupted", "gone"}
    assert statuses | {"owed interrupt", "owed rollback", "owed delete", "disturbed"} <= set(met)


# --- lineages ------------------------------------------------------------------------------------------------

SCRIPTS = {"A": [add(), note("a"), emit()], "B": [call_tool("t"), tool_result("t")], "C": [add(by=5)], "D": [note("d")]}


def test_equal_lineages_are_one_object() -> None:
    empty = Lineage(SCRIPTS)
    one = empty.extend("A", 0, 0).grow("A").grow("A").extend("B", 0, 1)
    other = empty.extend("A", 0, 1).grow("A").extend("B", 0, 0).grow("B")
    assert one is other
    assert one is not empty.extend("A", 0, 1).extend("B", 0, 1)


def test_without_takes_out_all_of_a_run_and_nothing_else() -> None:
    empty = Lineage(SCRIPTS)
    full = empty.extend("A", 0, 2).extend("u", 0, 1).grow("A").extend("B", 0, 1)
    assert full.entries() == [("A", 0), ("A", 1), ("u", 0), ("A", 2), ("B", 0)]
    assert full.without("A") is empty.extend("u", 0, 1).extend("B", 0, 1)
    assert full.without("B") is empty.extend("A", 0, 2).extend("u", 0, 1).grow("A")
    assert full.without("C") is full
    assert full.without("A").without("u").without("B") is empty


def test_the_input_of_a_run_that_has_written_is_not_unsure() -> None:
    started = Lineage(SCRIPTS).extend("A", 0, 0)
    assert (started.messages, started.unsure) == (0, 1)
    grown = started.extend("u", 0, 1).grow("A")
    assert (grown.entries(), grown.messages, grown.unsure) == ([("u", 0), ("A", 0)], 2, 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_lineage_holds_what_the_probe_would_have_written(seed: int) -> None:
    rng = random.Random(seed)
    lineage, entries = Lineage(SCRIPTS, "~i"), []
    counter, text, messages = 0, "", 0
    for tag in rng.sample(NAMES, rng.randint(1, 4)):
        done = rng.randint(0, len(SCRIPTS[tag]))
        lineage = lineage.extend(tag, 0, 0)
        messages += done > 0
        for step in range(done):
            lineage = lineage.grow(tag)
            entries.append(f"{tag}~i:{step}")
            instruction = SCRIPTS[tag][step]
            counter += instruction.get("by", 1) if instruction["op"] == "add" else 0
            text = instruction["value"] if instruction["op"] == "note" else text
            messages += instruction["op"] in ("call", "result")
    assert (lineage.length, lineage.counter, lineage.note) == (len(entries), counter, text)
    assert lineage.messages == messages
    assert lineage.digest() == digest(entries)
