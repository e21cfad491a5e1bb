"""Deliberately broken servers: each defect changes one decision of :class:`reference_impl.Multitask`.

They test the tester: the suite has to fail each of them, for the right reason. The variants decide otherwise
where that is open: the suite has to say so, and to fail none of them.
"""

from __future__ import annotations

from . import (
    across_threads,
    admission,
    bad_input,
    calls,
    deleting,
    endings,
    endpoints,
    interrupting,
    queueing,
    rolling_back,
    scheduling,
    statuses,
    subgraphs,
    telling,
    variants,
)
from .registry import REGISTRY, Defect

__all__ = ["Defect", "all_defects", "all_variants", "find"]

_THEMES = (
    admission,
    queueing,
    interrupting,
    rolling_back,
    endings,
    deleting,
    statuses,
    subgraphs,
    across_threads,
    calls,
    scheduling,
    endpoints,
    bad_input,
    telling,
    variants,
)


def all_defects() -> tuple[Defect, ...]:
    """Every defect, grouped by theme."""
    return tuple(defect for defect in _all() if not defect.is_variant)


def all_variants() -> tuple[Defect, ...]:
    """Every variant."""
    return tuple(defect for defect in _all() if defect.is_variant)


def _all() -> list[Defect]:
    order = [theme.__name__ for theme in _THEMES]
    return sorted(REGISTRY.values(), key=lambda defect: order.index(defect.made_by.__module__))


def find(name: str) -> Defect:
    """The defect, or the variant, with this name.

    Raises:
        KeyError: there is none.
    """
    return REGISTRY[name]
