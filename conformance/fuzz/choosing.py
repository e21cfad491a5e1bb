"""Where a generator's decisions come from: a seeded generator, or Hypothesis. The programs are the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Chooser(Protocol):
    """Makes one decision after the other; smaller numbers mean simpler programs."""

    def below(self, n: int) -> int:
        """A whole number from 0 to ``n`` - 1."""
        ...


class Dice:
    """Decisions of a seeded generator: the same seed, the same program."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def below(self, n: int) -> int:
        """A whole number from 0 to ``n`` - 1."""
        return self._random.randrange(n)


def chance(chooser: Chooser, percent: int) -> bool:
    """Whether something happens that happens in so many of a hundred cases."""
    return chooser.below(100) >= 100 - percent


def pick(chooser: Chooser, options: Sequence[T]) -> T:
    """One of them; the first is the simplest."""
    return options[chooser.below(len(options))]


def weighted(chooser: Chooser, options: Sequence[tuple[int, T]]) -> T:
    """One of them by weight; the first is the simplest."""
    at = chooser.below(sum(weight for weight, _ in options))
    for weight, option in options:
        at -= weight
        if at < 0:
            return option
    raise AssertionError("the weights do not add up")
