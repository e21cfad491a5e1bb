"""What can be asserted of a result. Each failure says what was expected, what was observed, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from conformance.execution.moments import BadArgument

if TYPE_CHECKING:
    from conformance.double_text.result import Result

SHOWN = 200  # characters of a value in a text
MOST_SHOWN = 5
ROLES = {"human": "user", "ai": "assistant"}  # LangChain's types of messages, as chat APIs call them


def no_dangling_tool_calls(result: Result, channel: str) -> None:
    """Every tool call has a result behind it."""
    __tracebackhide__ = True
    messages = _list(result, channel, "channel=… names the one with the messages")
    answered = [(i, m.get("tool_call_id")) for i, m in enumerate(messages) if isinstance(m, Mapping)]
    dangling = [
        (i, call)
        for i, message in enumerate(messages)
        for call in _tool_calls(message)
        if not any(j > i and id == call.get("id") for j, id in answered)
    ]
    if not dangling:
        return
    shown = [
        f"{channel}[{i}] calls {_tool(c)} (id {c.get('id')!r}), and no tool message answers it" for i, c in dangling
    ]
    _fail(
        result,
        "a tool call is left without its result",
        f"each tool call in {channel!r} has a tool message behind it",
        _some(shown),
        "model providers refuse such a conversation. Let the graph repair it before the model is asked: replace the "
        "AI message by one without tool calls, or insert a tool message that says the call was interrupted. Whether "
        "the tool took effect is not known from the state: ask whom it called.",
    )


def effects_at_most_once(
    result: Result,
    effects: str | Iterable[Any] | Callable[[], Iterable[Any]],
    key: str | Callable[[Any], Any] | None,
    none_is_fine: bool,
) -> None:
    """No two effects with the same key."""
    __tracebackhide__ = True
    if isinstance(effects, str):
        found = list(_list(result, effects, "effects=… takes a channel, a list, or a callable"))
    else:
        found = list(effects() if callable(effects) else effects)
    groups: dict[str, list[Any]] = {}
    for effect in found:
        groups.setdefault(_json(_key(effect, key)), []).append(effect)
    twice = {name: group for name, group in groups.items() if len(group) > 1}
    if twice:
        _fail(
            result,
            "an effect happened more than once",
            "each effect happens at most once" + (f" (by {key!r})" if isinstance(key, str) else ""),
            _some([f"{name} happened {len(g)} times: {', '.join(map(_shown, g))}" for name, g in twice.items()]),
            "no strategy takes back what was done outside of the state, and a rollback lets the graph forget that it "
            "was done. Give the effect an idempotency key that comes from the request itself (an order number; not a "
            "run's or a tool call's id, which are new the second time), or ask whether it was done before doing it.",
        )
    if not found and not none_is_fine:
        _fail(
            result,
            "no effect was recorded at all",
            "at least one effect, so that its happening only once means something",
            "none",
            "see that the graph reaches the effect, and that it and this test use the same sink; none_is_fine=True if "
            "none is right.",
        )


def rolled_back(result: Result) -> None:
    """The first run is gone with all it wrote."""
    __tracebackhide__ = True
    first = result.first
    if first.status != "gone":
        advice = "the server kept a run that rollback must delete: `doubletext explain rollback.deleted`."
        if result.strategy != "rollback":
            advice = f"the second run was created with {result.strategy!r}: only rollback deletes the first."
        elif not result.overlapped:
            advice = "the first had perhaps ended already: let it last longer, or choose an earlier moment."
        _fail(
            result,
            "the first run was not rolled back",
            "the first run is gone: GET answers 404",
            f"{first}" if first.run is None else f"it reads as {first.status!r}",
            advice,
        )
    for problem in (_written_by_first(result), _first_input_left(result), _other_base(result), _lost_base(result)):
        if problem is not None:
            _fail(
                result,
                "something of the first run is left",
                *problem,
                "the server deleted the run, and not all of what it wrote: `doubletext check` tells more "
                "(rollback.reverts, rollback.lineage).",
            )


def in_order(result: Result, channel: str | None) -> None:
    """Both inputs, the first's before the second's."""
    __tracebackhide__ = True
    mine, yours = _lists(result.first_input), _lists(result.second_input)
    name = channel or _common_list(mine, yours)
    if not (mine.get(name) and yours.get(name)):
        raise BadArgument(f"assert_in_order: both inputs must write to the list {name!r}")
    items = _list(result, name, "channel=… names another one")
    before = _items(result.before.values, name) if result.before else []
    if problem := _disorder(items, before, mine[name], yours[name]):
        _fail(
            result,
            "the inputs are not in the state in order",
            f"{name!r} holds the first run's input, and the second's behind it",
            f"{problem}; {name!r} holds {_some([_shown(i) for i in items])}",
            _order_advice(result),
        )


def _common_list(mine: Mapping[str, Any], yours: Mapping[str, Any]) -> str:
    """``messages``, or else the only list that both inputs write to: others may be overwritten, not appended to."""
    common = sorted({*mine} & {*yours})
    if "messages" in common:
        return "messages"
    if len(common) != 1:
        raise BadArgument(
            "assert_in_order needs channel=…, a list that both inputs are appended to; "
            f"both write to {', '.join(map(repr, common)) or 'no list'}"
        )
    return common[0]


def _disorder(items: Sequence[Any], before: Sequence[Any], mine: Sequence[Any], yours: Sequence[Any]) -> str | None:
    """What is wrong with the order of two inputs in a list, in words."""
    places: list[int] = []
    for wanted in (*mine, *yours):
        # Equal items from before do not count, nor the one that was just found.
        skip = sum(_same(wanted, i) for i in before) if not places else 0
        found = [n for n, item in enumerate(items) if _same(wanted, item)][skip:]
        later = [n for n in found if not places or n > places[-1]]
        if not later:
            whose = "first" if len(places) < len(mine) else "second"
            behind = " behind what comes before it" if found else ""
            return f"the {whose} run's {_shown(wanted)} is not there{behind}"
        places.append(later[0])
    return None


def _order_advice(result: Result) -> str:
    writers = {c.run for c in result.checkpoints} - {None}
    if result.strategy == "interrupt" and writers and result.first.run not in writers:
        return "the first run was displaced before it wrote anything, its input with it; enqueue keeps both whole."
    match result.strategy:
        case "reject":
            return "a refused input is nowhere: your client must send it again when the first run is over."
        case "rollback":
            return "rollback erases the first input; enqueue keeps both whole, interrupt keeps what was completed."
    if result.when.startswith("simultaneously"):
        return "of simultaneous creates either may come first; use another moment if the order matters."
    return (
        "if your graph rewrites or trims this list, name another one with channel=…; if not, the server lost or "
        "reordered an input: `doubletext check` tells more (enqueue.fifo, interrupt.keeps-progress)."
    )


# --- rollback: four ways to see what is wrong ------------------------------------------------

Problem = tuple[str, str]  # expected, observed


def _written_by_first(result: Result) -> Problem | None:
    own = [c.id for c in result.lineage if c.run is not None and c.run == result.first.run]
    if not own:
        return None
    return (
        "no checkpoint in the state's lineage was written by the first run",
        f"{len(own)} of {len(result.lineage)} were: {_some(list(map(str, own)))}",
    )


def _first_input_left(result: Result) -> Problem | None:
    """Counted item by item, so that a repeated message is told from one that was left over."""
    before: Mapping[str, Any] = result.before.values if result.before else {}
    second = _lists(result.second_input)
    states = [("the final state", result.state), *((f"checkpoint {c.id}", c.values) for c in result.lineage)]
    for channel, items in _lists(result.first_input).items():
        for item in items:
            allowed = sum(_same(item, i) for i in (*_items(before, channel), *second.get(channel, ())))
            for where, values in states:
                if sum(_same(item, i) for i in _items(values, channel)) > allowed:
                    return "nothing of the first run's input in the state", f"{where} has {_shown(item)} in {channel!r}"
    return None


def _other_base(result: Result) -> Problem | None:
    """What the second run built on, if checkpoints say whose they are, against the state before the first."""
    base = _base(result)
    if base is None:
        return None
    expected: Mapping[str, Any] = result.before.values if result.before else {}
    differ = [c for c in sorted({*expected, *base}) if _filled(expected.get(c)) != _filled(base.get(c))]
    if not differ:
        return None
    shown = [f"{c!r}: before {_shown(expected.get(c))}, found {_shown(base.get(c))}" for c in differ]
    return "the second run builds on the state from before the first", f"it found something else in {_some(shown)}"


def _lost_base(result: Result) -> Problem | None:
    """That the head from before is an ancestor of the final one, where the history shows the whole lineage."""
    lineage = result.lineage
    whole = bool(lineage) and lineage[-1].parent is None
    if result.before is None or result.before.id is None or not whole or result.ahead is not None:
        return None
    if any(c.id == result.before.id for c in lineage):
        return None
    return (
        "the checkpoint from before the first run is in the state's lineage",
        f"{result.before.id} is not among its {len(lineage)} checkpoints",
    )


def _base(result: Result) -> Mapping[str, Any] | None:
    """The values that the second run built on; None where that cannot be known."""
    lineage, second = result.lineage, result.second.run
    own = [i for i, c in enumerate(lineage) if second is not None and c.run == second]
    if not own or result.ahead is not None:
        return None
    oldest = lineage[own[-1]]
    if len(lineage) > own[-1] + 1:
        return lineage[own[-1] + 1].values
    return None if oldest.parent else {}  # a parent that the history does not show (its page ends) is not known


def _filled(value: Any) -> Any:
    """A channel that nobody wrote reads as missing on some servers and as empty on others."""
    return None if value in ("", [], {}) else value


# --- looking into states and inputs -----------------------------------------------------------------


def _list(result: Result, channel: str, hint: str) -> Sequence[Any]:
    value = result.state.get(channel)
    if value is None and channel in _lists(result.first_input):
        return []  # nobody wrote it
    if not isinstance(value, list):
        channels = ", ".join(sorted(result.state)) or "no channels at all"
        raise BadArgument(f"the final state has no list {channel!r} ({hint}); it has: {channels}")
    return value


def _items(values: Mapping[str, Any], channel: str) -> Sequence[Any]:
    value = values.get(channel)
    return value if isinstance(value, list) else []


def _lists(input: Any) -> dict[str, list[Any]]:
    """The lists that an input writes to. A single message is a list of one, as LangGraph takes it."""
    if not isinstance(input, Mapping):
        return {}
    lists = {k: v for k, v in input.items() if isinstance(v, list)}
    single = {k: [v] for k, v in input.items() if isinstance(v, Mapping) and _is_message(v)}
    return {**lists, **single}


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and "content" in value and ("role" in value or "type" in value)


def _same(given: Any, kept: Any) -> bool:
    """Whether an item of an input is this item of a state, where servers add ids and rename roles of messages."""
    match given:
        case [str() as role, content]:
            given = {"role": role, "content": content}
        case str() if _is_message(kept):
            given = {"role": "user", "content": given}
    if not (_is_message(given) and _is_message(kept)):
        return bool(given == kept)
    if given.get("id") is not None and given["id"] != kept.get("id"):
        return False
    return _role(given) == _role(kept) and _text(given) == _text(kept)


def _role(message: Mapping[str, Any]) -> str:
    name = str(message.get("role") or message.get("type"))
    return ROLES.get(name, name)


def _text(message: Mapping[str, Any]) -> Any:
    """Content as one text where it is text: a string, or blocks of text."""
    content = message["content"]
    if isinstance(content, list) and all(isinstance(b, Mapping) and b.get("type") == "text" for b in content):
        return "".join(str(b.get("text", "")) for b in content)
    return content


def _tool_calls(message: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(message, Mapping) and _role(message) == "assistant":
        yield from (c for c in message.get("tool_calls") or () if isinstance(c, Mapping))


def _tool(call: Mapping[str, Any]) -> str:
    """Name and arguments, in LangChain's form or in that of chat APIs."""
    call = call["function"] if isinstance(call.get("function"), Mapping) else call
    return f"{call.get('name')}({_shown(call.get('args', call.get('arguments')))})"


def _key(effect: Any, key: str | Callable[[Any], Any] | None) -> Any:
    if key is None:
        return effect
    if callable(key):
        return key(effect)
    if not isinstance(effect, Mapping) or key not in effect:
        raise BadArgument(f"the effect {_shown(effect)} has no field {key!r}: key=… names a field, or is a function")
    return effect[key]


def _json(value: Any) -> str:
    return json.dumps(value, default=repr, ensure_ascii=False, sort_keys=True)


def _shown(value: Any) -> str:
    text = _message(value) if _is_message(value) else _json(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _message(message: Mapping[str, Any]) -> str:
    """Whose it is, and what it says, without what servers add."""
    calls = "".join(f" calls {_tool(c)}" for c in _tool_calls(message))
    return f"{_role(message)} {_json(_text(message))}{calls}"


def _some(parts: Sequence[str]) -> str:
    if not parts:
        return "nothing"
    more = f"; and {len(parts) - MOST_SHOWN} more" if len(parts) > MOST_SHOWN else ""
    return "; ".join(parts[:MOST_SHOWN]) + more


def _fail(result: Result, what: str, expected: str, observed: str, advice: str) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError(
        f"{what}\n"
        f"expected: {expected}\n"
        f"observed: {observed}\n"
        f"what to do: {advice}\n"
        f"tried: {result.strategy}, the second run created {result.when}\n"
        f"overlap: {result.overlap or 'not proven'}\n"
        f"{result.first}; {result.second}\n"
        f"{result.timeline}"
    )
