"""Each assertion passes and fails, and its text says what to do. Results are made by hand here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.double_text import BadArgument, Checkpoint, Result, Run
from conformance.history import History


def user(text: str, **more: Any) -> dict[str, Any]:
    """A message as an input has it."""
    return {"role": "user", "content": text, **more}


def human(text: str, id: str = "") -> dict[str, Any]:
    """The same as a server shows it."""
    return {"type": "human", "content": text, "id": id or f"id of {text}", "additional_kwargs": {}}


def ai(text: str, *calls: str) -> dict[str, Any]:
    return {"type": "ai", "content": text, "tool_calls": [{"name": "pay", "args": {"n": 1}, "id": c} for c in calls]}


def tool(id: str) -> dict[str, Any]:
    return {"type": "tool", "content": "done", "tool_call_id": id}


def checkpoint(id: str, parent: str | None, run: str | None, **values: Any) -> Checkpoint:
    return Checkpoint(id, parent, run, "loop", None, None, values)


def made(strategy: str = "interrupt", *, chain: tuple[Checkpoint, ...] = (), **more: Any) -> Result:
    """A result: the checkpoints from the oldest to the head."""
    given: dict[str, Any] = {
        "strategy": strategy,
        "when": "while the first run was running",
        "first": Run("first", "run-1", 200, "interrupted"),
        "second": Run("second", "run-2", 200, "success"),
        "ahead": None,
        "first_input": {"messages": [user("one")]},
        "second_input": {"messages": [user("two")]},
        "before": None,
        "head": chain[-1] if chain else None,
        "checkpoints": tuple(reversed(chain)),
        "overlap": "seen",
        "history": History({"name": "made", "family": "double-text", "moves": []}, (), "stream", {}),
    }
    return Result(**{**given, **more})


def holding(**values: Any) -> Result:
    return made(chain=(checkpoint("c1", None, "run-2", **values),))


def failing(check: Callable[[], None]) -> str:
    """The text of the failure, which has all the parts that every one has."""
    with pytest.raises(AssertionError) as caught:
        check()
    text = str(caught.value)
    for part in ("\nexpected: ", "\nobserved: ", "\nwhat to do: ", "\ntried: ", "\noverlap: "):
        assert part in text
    return text


# --- tool calls ---------------------------------------------------------------------------------------


def test_tool_calls_with_results_are_fine() -> None:
    holding(messages=[human("one"), ai("", "a", "b"), tool("b"), tool("a"), ai("done")]).assert_no_dangling_tool_calls()


@pytest.mark.parametrize(
    "messages",
    [
        [human("one"), ai("", "a"), human("two")],
        [human("one"), ai("", "b", "a"), tool("b")],
        [tool("a"), ai("", "a")],
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "pay", "arguments": '{"n": 1}'}}]}],
    ],
    ids=["none", "one of two", "before the call", "chat API"],
)
def test_a_tool_call_without_result(messages: list[Any]) -> None:
    text = failing(holding(messages=messages).assert_no_dangling_tool_calls)
    assert "calls pay(" in text
    assert "(id 'a'), and no tool message answers it" in text
    assert "'b'" not in text


def test_messages_may_be_elsewhere() -> None:
    result = holding(chat=[ai("", "a")], messages=[])
    result.assert_no_dangling_tool_calls()
    assert "chat[0] calls" in failing(lambda: result.assert_no_dangling_tool_calls("chat"))
    with pytest.raises(BadArgument, match=r"no list 'talk'.*it has: chat, messages"):
        result.assert_no_dangling_tool_calls("talk")


# --- effects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effects", "key"),
    [
        (["a", "b"], None),
        ([{"order": 1}, {"order": 2}], "order"),
        (lambda: iter([{"order": 1}, {"order": 2}]), "order"),
        ([("a", 1), ("b", 1)], lambda e: e[0]),
        ("paid", None),
    ],
    ids=["keys", "field", "callable", "function", "channel"],
)
def test_effects_that_happened_once(effects: Any, key: Any) -> None:
    holding(paid=["a", "b"]).assert_effects_at_most_once(effects, key)


@pytest.mark.parametrize(
    ("effects", "key", "named"),
    [
        (["a", "b", "a"], None, '"a" happened 2 times'),
        ([{"order": 1, "n": 1}, {"order": 1, "n": 2}, {"order": 1, "n": 3}], "order", "1 happened 3 times"),
        (lambda: [("a", 1), ("a", 2)], lambda e: e[0], '"a" happened 2 times'),
        ("paid", None, '"b" happened 2 times'),
        ([["x" * 300], ["y"], ["x" * 300]], None, "happened 2 times"),
    ],
)
def test_effects_that_happened_twice(effects: Any, key: Any, named: str) -> None:
    text = failing(lambda: holding(paid=["b", "b"]).assert_effects_at_most_once(effects, key))
    assert named in text
    assert "idempotency key" in text


def test_long_keys_are_told_apart_by_their_ends() -> None:
    holding().assert_effects_at_most_once(["x" * 300 + "1", "x" * 300 + "2"])


def test_no_effect_at_all_shows_nothing() -> None:
    text = failing(lambda: holding().assert_effects_at_most_once([]))
    assert "use the same sink" in text
    holding().assert_effects_at_most_once([], none_is_fine=True)


def test_effects_without_the_key() -> None:
    with pytest.raises(BadArgument, match="has no field 'order'"):
        holding().assert_effects_at_most_once([{"id": 1}], "order")
    with pytest.raises(BadArgument, match="no list 'paid'"):
        holding(messages=[]).assert_effects_at_most_once("paid")


# --- rollback -----------------------------------------------------------------------------------------

GONE = Run("first", "run-1", 200, "gone")
OLD = {"messages": [human("zero"), ai("0")], "counter": 3}
BEFORE = checkpoint("b", None, "run-0", **OLD)
NEW = {"messages": [*OLD["messages"], human("two"), ai("2")], "counter": 4}  # type: ignore[misc]


def rolled(*chain: Checkpoint, before: Checkpoint | None = None, **more: Any) -> Result:
    return made("rollback", chain=chain, before=before, **{"first": GONE, **more})


def test_a_rollback_of_a_threads_first_run() -> None:
    rolled(
        checkpoint("c1", None, "run-2"), checkpoint("c2", "c1", "run-2", messages=[human("two")])
    ).assert_rolled_back()


def test_a_rollback_to_an_earlier_state() -> None:
    chain = (BEFORE, checkpoint("c1", "b", "run-2", **OLD), checkpoint("c2", "c1", "run-2", **NEW))
    rolled(*chain, before=BEFORE).assert_rolled_back()


def test_a_rollback_on_a_server_that_does_not_say_whose_checkpoints_are() -> None:
    chain = (BEFORE, checkpoint("c1", "b", None, **OLD), checkpoint("c2", "c1", None, **NEW))
    rolled(*chain, before=BEFORE).assert_rolled_back()


def test_the_same_words_said_before_and_again_are_not_left_over() -> None:
    before = checkpoint("b", None, "run-0", messages=[human("one", "x")])
    after = checkpoint("c1", "b", "run-2", messages=[human("one", "x"), human("one", "y")])
    rolled(before, after, before=before, second_input={"messages": [user("one")]}).assert_rolled_back()


def test_a_message_with_an_id_is_known_by_it() -> None:
    after = checkpoint("c1", None, "run-2", messages=[human("one", "other")])
    rolled(after, first_input={"messages": [user("one", id="mine")]}).assert_rolled_back()
    left = checkpoint("c1", None, "run-2", messages=[human("one", "mine")])
    assert "nothing of the first run's input" in failing(
        rolled(left, first_input={"messages": [user("one", id="mine")]}).assert_rolled_back
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"first": Run("first", "run-1", 200, "interrupted")}, "doubletext explain rollback.deleted"),
        ({"first": Run("first", "run-1", 200, "success"), "overlap": None}, "let it last longer"),
        ({"first": Run("first", "run-1", 200, "success"), "strategy": "enqueue"}, "only rollback deletes the first"),
    ],
)
def test_a_first_run_that_is_not_gone(more: dict[str, Any], says: str) -> None:
    text = failing(made(**{"strategy": "rollback", **more}).assert_rolled_back)
    assert "expected: the first run is gone: GET answers 404" in text
    assert says in text


@pytest.mark.parametrize(
    "given",
    [
        user("one"),
        {"type": "human", "content": [{"type": "text", "text": "one"}]},
        ["user", "one"],
        "one",
    ],
    ids=["role", "blocks", "pair", "text"],
)
def test_an_input_that_is_left(given: Any) -> None:
    left = checkpoint("c1", None, None, messages=[human("one"), human("two")])
    text = failing(rolled(left, first_input={"messages": [given]}).assert_rolled_back)
    assert "observed: the final state has " in text
    assert "in 'messages'" in text


def test_a_message_that_stands_alone_is_an_input_too() -> None:
    left = checkpoint("c1", None, None, messages=[human("one"), human("two")])
    assert "the final state has" in failing(rolled(left, first_input={"messages": user("one")}).assert_rolled_back)


def test_an_input_that_is_left_in_the_lineage_only() -> None:
    chain = (checkpoint("c1", None, None, messages=[human("one")]), checkpoint("c2", "c1", None, messages=[]))
    assert "checkpoint c1 has" in failing(rolled(*chain).assert_rolled_back)


def test_a_checkpoint_of_the_first_run_that_is_left() -> None:
    chain = (checkpoint("c1", None, "run-1"), checkpoint("c2", "c1", "run-2", messages=[human("two")]))
    assert "1 of 2 were: c1" in failing(rolled(*chain).assert_rolled_back)


def test_orphans_outside_of_the_lineage_are_not_the_states() -> None:
    orphan = checkpoint("o", None, "run-1", messages=[human("one")])
    head = checkpoint("c1", None, "run-2", messages=[human("two")])
    rolled(head, checkpoints=(head, orphan)).assert_rolled_back()


def test_a_channel_that_was_not_reverted() -> None:
    touched = checkpoint("b", None, "run-0", **{**OLD, "counter": 9})
    text = failing(rolled(touched, checkpoint("c1", "b", "run-2", **NEW), before=BEFORE).assert_rolled_back)
    assert "it found something else in 'counter': before 3, found 9" in text


def test_a_thread_that_was_emptied() -> None:
    text = failing(rolled(checkpoint("c1", None, "run-2", messages=[human("two")]), before=BEFORE).assert_rolled_back)
    assert "it found something else in 'counter': before 3, found null; 'messages'" in text
    unattributed = checkpoint("c1", None, None, messages=[human("two")])
    assert "b is not among its 1 checkpoints" in failing(rolled(unattributed, before=BEFORE).assert_rolled_back)


def test_a_lineage_that_the_page_cuts_off_is_not_judged_by_what_is_missing() -> None:
    rolled(checkpoint("c9", "c8", "run-2", **NEW), before=BEFORE).assert_rolled_back()


# --- order --------------------------------------------------------------------------------------------


def test_both_inputs_in_order() -> None:
    holding(messages=[human("one"), ai("1"), human("two"), ai("2")]).assert_in_order()


def test_the_same_input_twice_must_be_there_twice() -> None:
    same = {"messages": [user("one")]}
    twice = checkpoint("c1", None, None, messages=[human("one", "x"), human("one", "y")])
    made(chain=(twice,), second_input=same).assert_in_order()
    once = checkpoint("c1", None, None, messages=[human("one", "x")])
    assert "the second run's" in failing(made(chain=(once,), second_input=same).assert_in_order)
    # and what was there before is neither
    assert "the second run's" in failing(made(chain=(twice,), before=once, second_input=same).assert_in_order)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([human("two"), human("one")], 'the second run\'s user "two" is not there behind what comes before it'),
        ([human("one")], 'the second run\'s user "two" is not there;'),
        ([human("two")], 'the first run\'s user "one" is not there;'),
    ],
)
def test_inputs_that_are_not_in_order(messages: list[Any], says: str) -> None:
    assert says in failing(holding(messages=messages).assert_in_order)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"strategy": "reject"}, "your client must send it again"),
        ({"strategy": "rollback"}, "rollback erases the first input"),
        ({"strategy": "enqueue", "when": "simultaneously with the first run"}, "either may come first"),
        ({"strategy": "enqueue"}, "enqueue.fifo"),
        ({"strategy": "interrupt"}, "displaced before it wrote anything"),
    ],
)
def test_what_to_do_about_the_order(more: dict[str, Any], says: str) -> None:
    assert says in failing(made(chain=(checkpoint("c1", None, "run-2", messages=[]),), **more).assert_in_order)


def test_order_needs_a_list() -> None:
    with pytest.raises(BadArgument, match="both write to no list"):
        made(first_input={"text": "one"}, second_input={"text": "two"}).assert_in_order()
    two = {"a": [1], "b": [2]}
    with pytest.raises(BadArgument, match="both write to 'a', 'b'"):
        made(first_input=two, second_input=two).assert_in_order()
    with pytest.raises(BadArgument, match="both inputs must write to the list 'c'"):
        made(first_input=two, second_input=two).assert_in_order("c")
    made(first_input=two, second_input=two, chain=(checkpoint("c1", None, None, b=[2, 2]),)).assert_in_order("b")
    texts = checkpoint("c1", None, None, log="text")
    result = made(first_input={"log": ["a"]}, second_input={"log": ["b"]}, chain=(texts,))
    with pytest.raises(BadArgument, match="no list 'log'"):
        result.assert_in_order()
