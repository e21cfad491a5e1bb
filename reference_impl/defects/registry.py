"""What a deliberate defect is, and how one is declared.

A defect is a subclass of :class:`~reference_impl.multitask.Multitask` that changes one decision; its
docstring is its description, its name in kebab case its name. It also says which requirements of the
suite *must* fail on a server that has it, and which *may* as a consequence: that is what makes it a
test of the suite. A *variant* is declared in the same way: it decides otherwise where the sources leave
it open, so it is as correct as any, and nothing may fail. (Nothing here imports langgraph: the list is
read where only the suite is installed.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reference_impl.multitask import Multitask


class Defective(Multitask):
    """A ``Multitask`` with dice, for defects that only show now and then."""

    window_s = 0.005
    """Between a look and what is done by it, where these are two steps."""

    def __init__(self, seed: int | None = None) -> None:
        self.dice = random.Random(seed)


@dataclass(frozen=True, slots=True)
class Defect:
    """One deliberate defect; ``must_fail`` and ``may_fail`` are ids of requirements, both empty for a variant."""

    name: str
    description: str
    must_fail: tuple[str, ...]
    may_fail: tuple[str, ...]
    made_by: type[Defective]

    @property
    def is_variant(self) -> bool:
        """Whether it is no defect, but another correct server."""
        return not self.must_fail

    def multitask(self, seed: int | None = None) -> Multitask:
        """A fresh set of decisions that has this defect, for one server."""
        return self.made_by(seed)


REGISTRY: dict[str, Defect] = {}

C = TypeVar("C", bound=type[Defective])


def defect(must_fail: Sequence[str], may_fail: Sequence[str] = ()) -> Callable[[C], C]:
    """Declare a defect; ``must_fail`` names at least one requirement."""
    if not must_fail:
        raise ValueError("a defect has to break something; a server that breaks nothing is a variant")
    return _declared(tuple(must_fail), tuple(may_fail))


def variant(made_by: C) -> C:
    """Declare a variant."""
    return _declared((), ())(made_by)


def _declared(must_fail: tuple[str, ...], may_fail: tuple[str, ...]) -> Callable[[C], C]:

    def declare(made_by: C) -> C:
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", made_by.__name__).lower()
        description = (made_by.__doc__ or "").strip()
        REGISTRY[name] = Defect(name, description, must_fail, may_fail, made_by)
        return made_by

    return declare
