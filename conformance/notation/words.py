"""The words of the notation: how a line is cut into items, and items into words. Knows no meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

DASHES = "─-"
BLANKS = " ·"
BARE = re.compile(r"[A-Za-z0-9_.~/+][A-Za-z0-9_.~/+-]*")
VERBS = frozenset(
    "create stray cancel cancel-many join stream get list thread state history new call open settled unsettled "  # noqa: SIM905
    "stop-waited answered remark".split()
)
KEYWORDS = VERBS | frozenset(
    "on in wait via if-missing form found counter note of run source inputs last under clock t seq attempt gate "  # noqa: SIM905
    "name expired values waited deadline status told nothing nobody none default lost never absent".split()
)


class BadNotation(Exception):
    """The text is no history; the message names line and column (from 1) and says what was expected."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(f"line {line}, column {column}: {text}")
        self.line, self.column = line, column


@dataclass(frozen=True)
class Word:
    """One word: ``bare`` ones may be keywords, quoted ones and JSON values never are."""

    value: Any
    line: int
    column: int
    bare: bool = True

    @property
    def text(self) -> str:
        """The word as text."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value)

    def bad(self, expected: str) -> BadNotation:
        """An error at this word."""
        return BadNotation(self.line, self.column + 1, f"expected {expected}, found {shortened(self.text)}")


def shortened(text: str) -> str:
    """At most 40 characters of it, for an error."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


@dataclass
class Item:
    """One item of a line: what happened, and behind a dash what was answered (``None``: no dash).

    Instants are seconds, set when the ruler is known; ``number`` is the record's ``#n`` where it is written.
    """

    line: int
    column: int
    head: list[Word] = field(default_factory=list)
    tail: list[Word] | None = None
    client: str = "harness"
    start: float | None = None
    end: float | None = None
    number: int | None = None

    def bad(self, text: str) -> BadNotation:
        """An error at its beginning."""
        return BadNotation(self.line, self.column + 1, text)


def word_at(text: str, at: int, line: int) -> tuple[Word, int]:
    """The word that begins at a place, and where it ends."""
    if text[at] in '"{[':
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError) as e:
            raise BadNotation(line, at + 1, f"expected a JSON value: {e}") from e
        return Word(value, line, at, bare=False), end
    end = at
    while end < len(text) and text[end] not in BLANKS:
        end += 1
    return Word(text[at:end], line, at), end


def words_of(text: str, begin: int, line: int) -> list[Word]:
    """All words from a place on, whatever is between them."""
    found, at = [], begin
    while at < len(text):
        if text[at] in BLANKS:
            at += 1
            continue
        word, at = word_at(text, at, line)
        found.append(word)
    return found


def items_of(text: str, begin: int, line: int) -> list[Item]:
    """The items of a line, two blanks or more between any two."""
    found: list[Item] = []
    at, gap = begin, 2
    while at < len(text):
        if text[at] in BLANKS:
            gap += 1 if text[at] == " " else 2
            at += 1
            continue
        if gap >= 2:
            found.append(Item(line, at))
        item = found[-1]
        if text[at] in DASHES and gap > 0 and item.tail is None:
            while at < len(text) and text[at] in DASHES:
                at += 1
            item.tail, gap = [], 0
            continue
        word, at = word_at(text, at, line)
        (item.head if item.tail is None else item.tail).append(word)
        gap = 0
    return found


# --- writing --------------------------------------------------------------------------------------


def written(text: str) -> str:
    """A string as one word: bare where that cannot be mistaken for something else."""
    plain = BARE.fullmatch(text) and text not in KEYWORDS and not text.isdigit() and ".." not in text
    return text if plain else quoted(text)


def quoted(value: Any) -> str:
    """A value as JSON on one line, in readable characters where they can be written to a file."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    safe = text.isprintable() and not any(0xD800 <= ord(c) <= 0xDFFF for c in text)
    return text if safe else json.dumps(value, sort_keys=True)


def join(*parts: str | Iterable[str]) -> str:
    """Words with one blank between them."""
    flat = [p for part in parts for p in ([part] if isinstance(part, str) else part)]
    return " ".join(p for p in flat if p)


def ms_of(seconds: float) -> str:
    """Seconds as milliseconds, exactly."""
    value = Decimal(repr(float(seconds))).scaleb(3).normalize()
    return f"{value:f}"


def seconds_of(text: str) -> float | None:
    """Milliseconds as seconds, exactly; None where it is no number."""
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return None
    return float(Decimal(text).scaleb(-3))
