"""Double texting tried on your own graph: any assistant, any input, any Agent Server; no probe graph.

    result = await double_text({"messages": [...]}, {"messages": [...]}, "interrupt", after_supersteps(1),
                               url="http://127.0.0.1:2024", assistant="agent")
    assert result.second.status == "success"
    result.assert_no_dangling_tool_calls()

In pytest the fixtures ``double_text`` and ``double_text_sync`` are the same, with the target from the options.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, overload

import anyio

from conformance.config import BadOption, Options, check_headers, check_url
from conformance.double_text.result import Checkpoint, Result, Run, timeline
from conformance.execution.client import Address, Client
from conformance.execution.double_texting import Performance
from conformance.execution.loop import in_a_task
from conformance.execution.moments import (
    BadArgument,
    DoubleTextError,
    DoubleTexting,
    Moment,
    MomentMissed,
    NotSettled,
    TargetFailed,
    positive,
)
from conformance.programs import STRATEGIES, Strategy

__all__ = [
    "BadArgument",
    "Checkpoint",
    "DoubleTextError",
    "Moment",
    "MomentMissed",
    "NotSettled",
    "Result",
    "Run",
    "TargetFailed",
    "after_supersteps",
    "double_text",
    "double_text_sync",
    "pending",
    "pending_behind",
    "running",
    "simultaneously",
]

pending = Moment("pending")
"""While the first run has not started. Servers that start runs at once need ``pending_behind``."""
running = Moment("running")
"""As soon as the first run's status is ``running``."""
simultaneously = Moment("simultaneously")
"""Both creates leave within a millisecond, both with the strategy; either may come first, and that is legal."""


def pending_behind(input: Any) -> Moment:
    """While the first run waits in the queue behind a third one, that has this input and must last long enough."""
    return Moment("pending", behind=input)


def after_supersteps(n: int) -> Moment:
    """As soon as the stream of the first run has shown ``n`` (≥ 1) completed supersteps, while it goes on."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise BadArgument(f"after_supersteps takes a number of at least 1, not {n!r}; when='running' is the one before")
    return Moment("supersteps", n)


MOMENTS = {m.kind: m for m in (pending, running, simultaneously)}
When = Moment | Literal["pending", "running", "simultaneously"]


@overload
async def double_text(
    first: Any,
    second: Any,
    strategy: Strategy,
    when: When,
    *,
    url: str,
    assistant: str,
    headers: Mapping[str, str] | None = ...,
    api_key: str | None = ...,
    before: Sequence[Any] = ...,
    run_fields: Mapping[str, Any] | None = ...,
    request_timeout: float = ...,
    settle_timeout: float = ...,
    must_overlap: bool = ...,
) -> Result: ...


@overload
async def double_text(
    first: Any,
    second: Any,
    strategy: Sequence[Strategy],
    when: When,
    *,
    url: str,
    assistant: str,
    headers: Mapping[str, str] | None = ...,
    api_key: str | None = ...,
    before: Sequence[Any] = ...,
    run_fields: Mapping[str, Any] | None = ...,
    request_timeout: float = ...,
    settle_timeout: float = ...,
    must_overlap: bool = ...,
) -> dict[Strategy, Result]: ...


async def double_text(
    first: Any,
    second: Any,
    strategy: Strategy | Sequence[Strategy],
    when: When,
    *,
    url: str,
    assistant: str,
    headers: Mapping[str, str] | None = None,
    api_key: str | None = None,
    before: Sequence[Any] = (),
    run_fields: Mapping[str, Any] | None = None,
    request_timeout: float = 10.0,
    settle_timeout: float = 20.0,
    must_overlap: bool = True,
) -> Result | dict[Strategy, Result]:
    """Start a run, create a second one on the same thread while it is inflight, and return what came of both.

    Args:
        first: The first run's input, as the assistant takes it.
        second: The second run's input.
        strategy: The second run's ``multitask_strategy``; of several, each is tried on a thread of its own, one after
            the other, and the results come as a dict by strategy.
        when: The moment of the second create: ``"pending"``, ``"running"``, ``"simultaneously"``,
            ``after_supersteps(n)`` or ``pending_behind(input)``.
        url: Where the Agent Server is.
        assistant: Id of an assistant, or of its graph.
        headers: Sent with every request.
        api_key: Sent as ``x-api-key``.
        before: Inputs of runs that are completed on the thread first, so that it has a state already.
        run_fields: Further fields of every create's body, such as ``{"config": {...}, "context": {...}}``.
        request_timeout: Bound of one request, in seconds.
        settle_timeout: By when the moment must have come, and then by when everything must have ended, in seconds.
        must_overlap: Refuse a result in which the first run was not provably inflight when the second was created,
            because it shows nothing. It may be off where either order is wanted; it is for ``simultaneously``.

    Raises:
        BadArgument: an argument makes no sense.
        TargetFailed: the target cannot be reached, refuses the first run, or stopped answering.
        MomentMissed: the first run was over before the moment came.
        NotSettled: a run did not end in time.
    """
    __tracebackhide__ = True
    moment = MOMENTS.get(when, when) if isinstance(when, str) else when
    if not isinstance(moment, Moment):
        raise BadArgument(
            f"when={when!r}: use {', '.join(map(repr, MOMENTS))}, after_supersteps(n) or pending_behind(input)"
        )
    several = not isinstance(strategy, str)
    strategies = cast("tuple[Strategy, ...]", tuple(strategy) if several else (strategy,))
    if not strategies or len(set(strategies)) < len(strategies) or not set(strategies) <= set(STRATEGIES):
        raise BadArgument(f"strategy={strategy!r}: use one of {', '.join(STRATEGIES)}, or a list of different ones")
    if isinstance(before, Mapping | str):
        raise BadArgument("before takes a list of inputs, also where it is one")
    positive("request_timeout", request_timeout)
    positive("settle_timeout", settle_timeout)
    address = _address(url, assistant, headers or {}, api_key, request_timeout)
    results: dict[Strategy, Result] = {}
    for name in strategies:
        plan = DoubleTexting(first, second, name, moment, tuple(before), run_fields or {}, settle_timeout)
        results[name] = await _try(address, plan, must_overlap and moment != simultaneously)
    return results if several else results[strategies[0]]


def _address(
    url: str, assistant: str, headers: Mapping[str, str], api_key: str | None, request_timeout: float
) -> Address:
    __tracebackhide__ = True
    lines = tuple(f"{name}: {value}" for name, value in headers.items())
    try:
        check_url(url)
        sent = Options(header=lines, api_key=api_key).headers()
        check_headers(sent)
    except BadOption as e:
        raise BadArgument(str(e)) from None
    return Address.of(url, assistant, sent, request_timeout)


async def _try(address: Address, plan: DoubleTexting, must_overlap: bool) -> Result:
    """One strategy on one thread. Errors leave without the frames below: those hold keys, and say nothing to a user."""
    __tracebackhide__ = True
    client, failure, result = Client(address), None, None
    performance = Performance(client, plan)
    try:
        result = Result.of(await performance.run())
    except DoubleTextError as e:
        failure = e
    except Exception as e:
        failure = DoubleTextError(address.redactor().text(f"doubletext itself failed: {type(e).__name__}: {e}"))
        failure.__cause__ = None
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await client.close()
    if performance.leaked:
        warnings.warn(f"doubletext: thread {performance.thread_id} could not be removed", ResourceWarning, stacklevel=3)
    if result is None:
        assert failure is not None
        raise _with_context(failure, plan) from None
    if must_overlap and not result.overlapped:
        missed = MomentMissed(
            f"the second run was created {plan.when}, but it is not certain that the first was still inflight: "
            f"it ended as {result.first.status!r}. Make it last longer after that moment, or choose an earlier one. "
            "must_overlap=False takes a result like this too."
        )
        missed.history = result.history
        raise _with_context(missed, plan)
    return result


def _with_context(error: DoubleTextError, plan: DoubleTexting) -> DoubleTextError:
    """The same error, without the frames below, with what was tried."""
    text = f"{error} (strategy {plan.strategy})"
    if error.history is not None and error.history.records:
        text += f"\n{timeline(error.history)}"
    told = type(error)(text)
    told.history = error.history
    return told


def double_text_sync(*args: Any, **kwargs: Any) -> Any:
    """``double_text`` for synchronous code: the same arguments, results and errors."""
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise BadArgument("double_text_sync is for synchronous code; in a coroutine use `await double_text(...)`")
    fast = importlib.util.find_spec("uvloop") is not None
    try:
        work = functools.partial(double_text, *args, **kwargs)
        return anyio.run(in_a_task, work, backend_options={"use_uvloop": fast})
    except DoubleTextError as e:
        raise e.with_traceback(None) from None
