"""Deliberately broken servers: each defect changes one decision of :class:`reference_impl.Multitask`.

They test the tester: the suite has to fail each of them, for the right reason.
"""

from __future__ import annotations

from . import across_threads, admission, endings, interrupting, queueing, rolling_back
from .registry import REGISTRY, Defect

__all__ = ["Defect", "all_defects", "find"]

_THEMES = (admission, queueing, interrupting, rolling_back, endings, across_threads)


def all_defects() -> tuple[Defect, ...]:
    """Every defect, grouped by theme."""
    order = [theme.__name__ for theme in _THEMES]
    return tuple(sorted(REGISTRY.values(), key=lambda defect: order.index(defect.made_by.__module__)))


def find(name: str) -> Defect:
    """The defect with this name.

    Raises:
        KeyError: there is none.
    """
    return REGISTRY[name]
