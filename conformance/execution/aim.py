"""Aiming: when to begin a call that is to meet the end of a superstep, from what became of those before it."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

RECENT = 20  # calls: the machine may be busier, or less so, than it was
LEAST = 3
MOST_S = 0.02  # what is later than that was held up by something else
ENOUGH = 0.5  # share of calls that hit; with fewer, the next ones come nearer to where others hit
NEARER = 0.5


class Aim:
    """Learns how late aimed calls are sent, and at which offsets they hit. Offsets at a gate that is opened, and at a
    superstep that ends by itself, are of different kinds."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=RECENT)
        self._tried: defaultdict[str, deque[tuple[float, bool]]] = defaultdict(lambda: deque(maxlen=RECENT))

    def sent(self, late: float) -> None:
        """A call was sent ``late`` seconds after it was begun."""
        self._late.append(min(MOST_S, max(0.0, late)))

    @property
    def lead(self) -> float:
        """By how many seconds to begin a call before the instant at which it is to be sent."""
        return statistics.median(self._late) if len(self._late) >= LEAST else 0.0

    def tried(self, kind: str, offset_ms: float, hit: bool) -> None:
        """A call with this offset hit the end of a superstep, or did not."""
        self._tried[kind].append((offset_ms, hit))

    def sharpened(self, kind: str, offset_ms: float) -> float:
        """The offset to use for this one: nearer to those that hit, as long as few do."""
        tried = self._tried[kind]
        hits = [offset for offset, hit in tried if hit]
        if len(hits) < LEAST or len(hits) >= ENOUGH * len(tried):
            return offset_ms
        middle = statistics.median(hits)
        return middle + NEARER * (offset_ms - middle)
