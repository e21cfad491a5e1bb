"""The time in which the harness was awake: what deadlines are counted in.

A harness that was stopped (by the machine's load, a suspended laptop, work of its own) has looked at nothing meanwhile,
and the probe could tell it nothing. Such a pause says nothing of the target, so no deadline may pass in it.
"""

from __future__ import annotations

import time

import anyio

BEAT_S = 0.05
MOST_S = 0.5
"""A longer silence between two beats counts as this much: more of it was not spent awake."""


class Pulse:
    """A clock that stands still while the event loop does; exact as long as ``beat`` runs, real time before it did."""

    def __init__(self) -> None:
        self._awake = 0.0
        self._last = time.monotonic()
        self._beating = False

    def now(self) -> float:
        """Seconds awake since some instant."""
        passed = time.monotonic() - self._last
        return self._awake + (min(passed, MOST_S) if self._beating else passed)

    async def beat(self) -> None:
        """Run beside what has deadlines."""
        self._mark()
        self._beating = True
        try:
            while True:
                await anyio.sleep(BEAT_S)
                self._mark()
        finally:
            self._mark()
            self._beating = False

    def _mark(self) -> None:
        self._awake, self._last = self.now(), time.monotonic()
