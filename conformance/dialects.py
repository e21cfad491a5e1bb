"""Dialects: the switches in which servers legitimately differ. A dialect never hides a MUST of the
four strategies; it only says which of several documented forms a server has chosen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


class UnknownDialect(Exception):
    """Neither the name of a dialect nor a readable file of switches; the text says what was wrong."""


@dataclass(frozen=True)
class Dialect:
    """Named switches, each with the source of the contradiction.

    ``refusal_code``: the status of a refused create (S0, S2: 409; measured: some answer 422).
    """

    name: str = "agent-server"
    refusal_code: int = 409

    def to_json(self) -> dict[str, Any]:
        """The switches as one JSON value."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Dialect:
        """The dialect that a history or a file holds; raises UnknownDialect for unknown switches."""
        known = {f.name: type(getattr(Dialect(), f.name)) for f in fields(Dialect)}
        for name, given in value.items():
            if name not in known:
                raise UnknownDialect(f"unknown switch {name!r}; known are {', '.join(known)}")
            if not isinstance(given, known[name]):
                raise UnknownDialect(f"switch {name!r} takes a {known[name].__name__}, not {given!r}")
        return Dialect(**value)


DIALECTS = {d.name: d for d in (Dialect(), Dialect("agent-server-js", refusal_code=422))}


def find_dialect(name_or_file: str) -> Dialect:
    """The dialect of that name, or the one in a TOML file of switches.

    Raises:
        UnknownDialect: it is neither.
    """
    if name_or_file in DIALECTS:
        return DIALECTS[name_or_file]
    path = Path(name_or_file)
    if not path.is_file():
        raise UnknownDialect(
            f"no dialect {name_or_file!r}: use one of {', '.join(DIALECTS)}, or the path of a TOML file"
        )
    try:
        value = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise UnknownDialect(f"{path}: {e}") from e
    return Dialect.from_json({"name": path.stem, **value})
