"""The worked example: an agent with a payment tool, double texted under each strategy.

Two strategies hurt the naive agent: interrupt leaves a tool call without its result, rollback pays twice. The careful
agent survives all four. In a project of your own the fixture ``double_text`` stands where ``tried`` stands here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.double_text import Result, after_supersteps, double_text
from conformance.embedded import reference_server
from tests.examples.payment_agent import Ledger, says

pytestmark = pytest.mark.anyio

AGENT = Path(__file__).parent / "payment_agent.py"
FIRST, SECOND = says("pay order-17 40 to Ann"), says("pay order-17 40 to Ann, and say hello")
NAIVE_IN_THE_TOOL, NAIVE_PAID = after_supersteps(1), after_supersteps(2)
CAREFUL_IN_THE_TOOL, CAREFUL_PAID = after_supersteps(2), after_supersteps(3)  # its first superstep is the repair


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with reference_server("--graph", f"naive={AGENT}:naive", "--graph", f"careful={AGENT}:careful") as url:
        yield url


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "payments.jsonl")


@pytest.fixture
def tried(url: str, tmp_path: Path) -> Callable[..., Any]:
    fields = {"config": {"configurable": {"ledger": str(tmp_path / "payments.jsonl")}}}
    return functools.partial(double_text, FIRST, SECOND, url=url, run_fields=fields)


async def test_reject_keeps_the_second_message_out(tried: Callable[..., Any], ledger: Ledger) -> None:
    result: Result = await tried("reject", NAIVE_IN_THE_TOOL, assistant="naive")
    assert (result.second.code, result.second.run) == (409, None)
    assert result.first.status == "success"
    result.assert_effects_at_most_once(ledger.payments, key="order")
    result.assert_no_dangling_tool_calls()
    with pytest.raises(AssertionError, match="your client must send it again"):
        result.assert_in_order()


async def test_enqueue_answers_both(tried: Callable[..., Any], ledger: Ledger) -> None:
    result: Result = await tried("enqueue", NAIVE_PAID, assistant="naive")
    assert result.first.status == result.second.status == "success"
    result.assert_in_order()
    result.assert_effects_at_most_once(ledger.payments, key="order")
    result.assert_no_dangling_tool_calls()


async def test_interrupt_hurts_it_leaves_a_tool_call_without_result(tried: Callable[..., Any]) -> None:
    result: Result = await tried("interrupt", NAIVE_IN_THE_TOOL, assistant="naive")
    assert (result.first.status, result.second.status) == ("interrupted", "success")
    result.assert_in_order()
    with pytest.raises(AssertionError, match=r"messages\[1\] calls pay\(.*no tool message answers it"):
        result.assert_no_dangling_tool_calls()


async def test_rollback_hurts_it_pays_twice(tried: Callable[..., Any], ledger: Ledger) -> None:
    result: Result = await tried("rollback", NAIVE_PAID, assistant="naive")
    result.assert_rolled_back()
    with pytest.raises(AssertionError, match='"order-17" happened 2 times'):
        result.assert_effects_at_most_once(ledger.payments, key="order")


@pytest.mark.parametrize("when", [CAREFUL_IN_THE_TOOL, CAREFUL_PAID], ids=["in the tool", "paid"])
@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_the_careful_agent_survives(tried: Callable[..., Any], ledger: Ledger, strategy: str, when: Any) -> None:
    result: Result = await tried(strategy, when, assistant="careful")
    result.assert_effects_at_most_once(ledger.payments, key="order")
    result.assert_no_dangling_tool_calls()
    if strategy == "rollback":
        result.assert_rolled_back()
    elif strategy != "reject":
        result.assert_in_order()
