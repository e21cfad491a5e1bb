"""Supersteps, counted in the stream of a run (``values`` and ``updates`` events)."""

from __future__ import annotations


class Supersteps:
    """Counts the supersteps that a run has completed.

    LangGraph sends ``values`` once for the input and once after each superstep, and ``updates`` for each node of a
    superstep before that. So a superstep is a ``values`` that follows ``updates``; where the stream has no
    ``updates`` at all, every ``values`` but the first. Events of subgraphs (``values|…``) are not the run's own.
    """

    def __init__(self) -> None:
        self._values = self._updates = self._whole = 0
        self._open = self._asked = False

    @property
    def count(self) -> int:
        """How many are over."""
        return self._whole if self._updates else max(0, self._values - 1)

    def see(self, name: str, data: str) -> bool:
        """Take an event; says whether it ended a superstep."""
        before = self.count
        self._asked |= '"__interrupt__"' in data
        if self._asked:  # the run stops for a human in the middle of a superstep: none is over by this
            return False
        if name == "updates":
            self._updates += 1
            self._open = True
        elif name == "values":
            self._values += 1
            self._whole += self._open
            self._open = False
        return self.count > before
