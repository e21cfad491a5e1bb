"""Where reports find the histories of what they show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conformance.history import History

Find = Callable[[str], History | None]
"""The history of a violation, by the name of its file as ``result.json`` has it; None for one that is not there."""


def in_folder(folder: Path) -> Find:
    """Finds histories beside a result."""

    def find(name: str) -> History | None:
        file = folder / "histories" / Path(name).name
        return History.load(file) if file.is_file() else None

    return find
