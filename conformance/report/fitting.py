"""As many timelines as a page has room for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from conformance.history import History
from conformance.notation import timeline as drawing
from conformance.report import marks

MOST_BYTES = 5_000_000  # of a page
ROOM = 3_600_000  # of those for timelines; the rest is for the result and the page itself
LEAST_DETAIL = 60  # characters of a request or an answer that are kept even of very long histories
MOST_TEXT = 30_000  # of a timeline as text; longer ones nobody reads


def fitting(histories: Iterable[tuple[str, History | None, bool]]) -> Iterator[dict[str, Any]]:
    """The timelines of histories, with the names of their files, and whether nothing in them is violated; those that
    come first get their room first."""
    room = ROOM
    for name, history, extra in histories:
        if history is not None and (made := _fitting(history, room)) is not None:
            room -= made[1]
            yield {**made[0], "file": name, "extra": extra}


def _fitting(history: History, room: int) -> tuple[dict[str, Any], int] | None:
    """A timeline that takes no more than there is room, with shorter records where need be; and what it takes."""
    text = drawing(history) if len(history.records) <= 400 else ""
    for detail in (marks.DETAIL, 300, LEAST_DETAIL):
        made = {**marks.timeline(history, detail), "text": text if len(text) <= MOST_TEXT else ""}
        size = _size(made)
        if size <= room and (detail == LEAST_DETAIL or size <= max(room // 8, 120_000)):
            return made, size
    return None


def _size(made: Any) -> int:
    """Bytes on the page, where what could end a script is escaped."""
    text = json.dumps(made, ensure_ascii=False)
    return len(text.encode("utf-8", "replace")) + 5 * sum(map(text.count, "<>&'"))
