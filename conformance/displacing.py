"""What a displacing create does to runs that only wait: the sources leave it open (displaced.pending)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Displaces = Literal["any", "all", "executing", "interrupt-all", "rollback-all"]
"""It displaces ``all``, or only the ``executing`` one; an interrupt all, and a rollback the executing one
(``interrupt-all``), or the other way about; ``any`` of these, as far as is known."""
WAITING_TOO: Mapping[str, Displaces] = {"interrupt": "interrupt-all", "rollback": "rollback-all"}


SAID: Mapping[Displaces, str] = {
    "any": "",
    "all": "interrupt and rollback displace what waits, too",
    "executing": "interrupt and rollback displace only what executes",
    "interrupt-all": "interrupt displaces what waits, too, and rollback only what executes",
    "rollback-all": "rollback displaces what waits, too, and interrupt only what executes",
}
"""The same in words, where it is known."""


def takes_all(displaces: Displaces, kind: str) -> bool:
    """Whether a create of this strategy certainly displaces whatever waits, too."""
    return displaces in ("all", WAITING_TOO[kind])


def spares(displaces: Displaces, kind: str | None) -> bool:
    """Whether a create of this strategy (None: of some) leaves alone what has not started, even if it is the next."""
    if displaces in WAITING_TOO.values():
        return kind is None or displaces != WAITING_TOO[kind]
    return displaces == "executing"


def by_each(said: Mapping[str, bool]) -> Displaces:
    """``said``: of the strategies that were seen to displace, whether they displace what waits, too."""
    if not said:
        return "any"
    if len(set(said.values())) == 1:
        return "all" if all(said.values()) else "executing"
    return next(WAITING_TOO[kind] for kind, too in said.items() if too)
