"""The event loop that executions run on."""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any

import anyio


def run(work: Callable[[], Awaitable[Any]]) -> None:
    """Run ``work`` to its end, on uvloop where it is installed (it comes with the extra ``reference``)."""
    fast = importlib.util.find_spec("uvloop") is not None
    anyio.run(work, backend_options={"use_uvloop": fast})
