"""What is to be tried with two runs of anybody's graph: inputs, strategy, moment; and the ways in which that fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from conformance.history import OWN_GRAPH, History
from conformance.programs import Strategy


class DoubleTextError(Exception):
    """Two runs could not be tried; the text says what was seen and what to do. ``history``: what was recorded."""

    history: History | None = None


class BadArgument(DoubleTextError, ValueError):
    """An argument makes no sense."""


class TargetFailed(DoubleTextError):
    """The target cannot be reached, refuses what is asked of it, or stopped answering."""


class MomentMissed(DoubleTextError):
    """The second run was not created while the first was in the state that was asked for: nothing is shown."""


class NotSettled(DoubleTextError):
    """A run did not end within the settle timeout."""


@dataclass(frozen=True)
class Moment:
    """When the second run is created."""

    kind: Literal["pending", "running", "supersteps", "simultaneously"]
    supersteps: int = 0
    behind: Any = None  # the input of a run that keeps the first one waiting

    def __str__(self) -> str:
        match self.kind:
            case "supersteps":
                return f"after {self.supersteps} superstep{'s' if self.supersteps != 1 else ''} of the first run"
            case "simultaneously":
                return "simultaneously with the first run"
        queued = ", queued behind another one" if self.behind is not None else ""
        return f"while the first run was {self.kind}{queued}"


@dataclass(frozen=True)
class DoubleTexting:
    """What is to be tried: inputs, strategy, moment. ``fields`` are further fields of every create's body."""

    first: Any
    second: Any
    strategy: Strategy
    when: Moment
    before: tuple[Any, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    settle_timeout: float = 20.0

    def to_json(self) -> dict[str, Any]:
        """As the header of a history has it: no program of the probe has moves here."""
        return {
            "name": f"double text: {self.strategy} {self.when}",
            "family": OWN_GRAPH,
            "moves": [],
            "first": self.first,
            "second": self.second,
            "before": list(self.before),
            "strategy": self.strategy,
            "when": str(self.when),
        }


def positive(name: str, value: float) -> None:
    """Raises BadArgument for a bound that bounds nothing."""
    if not (isinstance(value, int | float) and 0 < value < math.inf):
        raise BadArgument(f"{name} must be a number of seconds greater than 0, not {value!r}")
