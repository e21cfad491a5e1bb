"""A history as text, for terminals, test failures and bug reports: the notation's drawing, without formalities."""

from __future__ import annotations

import re
from collections.abc import Iterable

from conformance.history import OWN_GRAPH, History
from conformance.nearest import nearest
from conformance.notation import WIDTH, timeline
from conformance.report.html import cites

FORMALITIES = ("instance:", "dialect:", "transport: callback")
LEAST = 60  # columns; below that no item fits
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def drawn(history: History, width: int = WIDTH) -> str:
    """The drawing, at most ``width`` columns as far as single items are not wider. Not to be parsed."""
    if history.program.get("family") == OWN_GRAPH:
        from conformance.double_text.result import timeline as of_own_graph

        return harmless(of_own_graph(history))
    lines = timeline(history, max(LEAST, width - 2)).splitlines()
    return harmless("\n".join(line for line in lines if not line.startswith(FORMALITIES)).strip("\n"))


def compared(history: History, id: str, proof: Iterable[str]) -> str:
    """The drawing of a violation, below what would have been legal instead, where that can be said."""
    other = nearest(history, id, {n for sentence in proof for n in cites(sentence)[1]})
    return drawn(history) if other is None else f"legal: {other.text()}\n\n{drawn(history)}"


def harmless(text: str) -> str:
    """A text that a terminal shows and does not obey."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
