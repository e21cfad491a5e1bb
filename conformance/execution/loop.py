"""The event loop that executions run on."""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from conformance.signals import second_one_ends_at_once, terminated_like_ctrl_c

T = TypeVar("T")


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` to its end, on uvloop where it is installed (it comes with the extra ``reference``).

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM, after ``work`` was cancelled and has cleaned up. A second one ends
            the process at once.
    """

    async def whole() -> T:
        with second_one_ends_at_once():  # here, where the loop has put its own handler in place
            return await in_a_task(work)

    fast = importlib.util.find_spec("uvloop") is not None
    with terminated_like_ctrl_c():
        return anyio.run(whole, backend_options={"use_uvloop": fast})


async def in_a_task(work: Callable[[], Awaitable[T]]) -> T:
    """Await ``work``, whose shielded parts are not broken off by Ctrl-C.

    On Ctrl-C asyncio cancels the task that it was given directly, which no shield of anyio's holds off; a task of a
    group is cancelled by its scope.
    """
    ended: list[T] = []
    failed: list[Exception] = []

    async def task() -> None:
        try:
            ended.append(await work())
        except Exception as e:  # as it is, not in a group
            failed.append(e)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(task)
    if failed:
        raise failed[0]
    return ended[0]
