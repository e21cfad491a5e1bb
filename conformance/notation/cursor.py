"""The words of one item, taken one by one."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.notation.words import Item, Word


class Words:
    """Words of an item, taken one by one."""

    def __init__(self, words: Sequence[Word], item: Item) -> None:
        self.words, self.item, self.at = words, item, 0

    def __bool__(self) -> bool:
        return self.at < len(self.words)

    @property
    def next(self) -> Word | None:
        return self.words[self.at] if self else None

    def take(self, expected: str) -> Word:
        """The next word; ``expected`` says what it should be where there is none."""
        if not self:
            raise self.item.bad(f"expected {expected} at the end of it")
        self.at += 1
        return self.words[self.at - 1]

    def keyword(self, *names: str) -> str | None:
        """The next word if it is one of these, and bare."""
        word = self.next
        if word is not None and word.bare and word.text in names:
            self.at += 1
            return word.text
        return None

    def number(self, expected: str) -> float:
        """The next word as a number."""
        word = self.take(expected)
        try:
            return float(word.text)
        except ValueError:
            raise word.bad(expected) from None

    def whole(self, expected: str) -> int:
        """The next word as a whole number."""
        word = self.take(expected)
        try:
            return int(word.text)
        except ValueError:
            raise word.bad(expected) from None

    def end(self, expected: str) -> None:
        """There must be no more."""
        if (word := self.next) is not None:
            raise word.bad(expected)
