"""What all executions of one check share: the target, the transport of the probe, the bounds."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from conformance.dialects import Dialect
from conformance.displacing import Displaces
from conformance.execution.aim import Aim
from conformance.execution.burst import Fire, volley
from conformance.execution.client import Client
from conformance.execution.listener import Listener

Transport = Literal["callback", "store", "stream", "none"]  # none: no probe, the user's own graph


@dataclass(frozen=True)
class Bounds:
    """Deadlines in seconds, stretched to what the target was measured to need (rule 5).

    ``reach``: something that the program waits for comes about · ``stop``: a displaced run is told ·
    ``settle``: everything is terminal · ``quiet``: how long nothing more may happen after that ·
    ``timed``: how long a gate holds where no gate can be opened · ``release``: from opening a gate to
    the node's going on.
    """

    reach: float = 8.0
    stop: float = 2.0
    settle: float = 20.0
    quiet: float = 0.6
    timed: float = 1.5
    release: float = 0.006

    @staticmethod
    def stretched(call: float, start: float, release: float, settle: float | None) -> Bounds:
        """Bounds for a target whose calls take ``call`` and whose runs start after ``start`` seconds."""
        return Bounds(
            reach=8.0 + 10 * start + 20 * call,
            stop=2.0 + start + 10 * call,
            settle=settle if settle is not None else 20.0 + 10 * start + 20 * call,
            quiet=0.6 + 0.5 * start + 10 * call,
            timed=max(1.0, 2 * start + 20 * call),
            release=release,
        )


@dataclass
class Session:
    """One check of one target."""

    client: Client
    transport: Transport
    bounds: Bounds
    dialect: Dialect
    listener: Listener | None = None
    store_prefix: tuple[str, ...] = ()
    target: Mapping[str, Any] = field(default_factory=dict)
    threads: set[str] = field(default_factory=set)  # created here, not yet removed
    displaces: Displaces = "any"  # as far as the survey has seen
    fire: Fire = volley  # how simultaneous calls are sent
    aim: Aim = field(default_factory=Aim)  # of calls that are to meet the end of a superstep
    stuck: int = 0  # threads that did not settle so far
    patient: bool = False  # however many did not: each is waited for in full
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    _instances: int = 0

    def next_instance(self) -> str:
        """A name for one execution that nothing else on the target has."""
        self._instances += 1
        return f"~{self.token}{self._instances:x}~"

    def by(self, transport: Transport) -> Session:
        """The same session over another transport."""
        return replace(self, transport=transport)

    def settle_deadline(self) -> float:
        """Once three threads were waited for in full and never settled, the others are given a tenth.

        Those are not judged by ``thread.settles``: the verdict stands already, only time is saved.
        """
        return self.bounds.settle if self.patient or self.stuck < 3 else self.bounds.settle / 10
