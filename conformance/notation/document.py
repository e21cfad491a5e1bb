"""A text in the notation, taken apart: header lines, scripts, checkpoints, names, items with their instants, notes."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from conformance.dialects import Dialect
from conformance.notation.words import BadNotation, Item, Word, items_of, seconds_of, word_at, words_of

DEFAULT_DIALECT = Dialect().to_json()
HEADERS = ("program", "transport", "dialect", "instance", "target", "scale", "metadata", "clock")
_HEADER = re.compile(rf"({'|'.join(HEADERS)}):(?= |$)")
_STEP = re.compile(
    r"(?P<op>[a-z]+)(?P<gate>@[A-Za-z0-9_.]+)?(?P<swallow>~[A-Za-z0-9_.]+)?(?P<block>!)?(?P<arg>:[A-Za-z0-9_.]+)?"
)
ARGUMENT = {"note": "value", "effect": "name", "call": "id", "result": "id"}
ABSENT = object()


@dataclass(frozen=True)
class Note:
    """One value of a record that the drawing does not say: ``#n path=value``."""

    number: int
    path: tuple[str, ...]
    value: Any  # ABSENT: the key is not there
    line: int
    column: int


@dataclass
class Document:
    """Everything that a text says, before defaults."""

    headers: dict[str, Any] = field(default_factory=dict)
    scripts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checkpoints: dict[str, list[Word]] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)  # ("run", tag), ("thread", name), …
    items: list[Item] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Ruler:
    """Which instant a column stands for: exact at the ticks, in proportion between them."""

    def __init__(self, ticks: list[tuple[int, Decimal]], scale: Decimal) -> None:
        self.ticks, self.scale = ticks, scale

    def at(self, column: int) -> float | None:
        """The instant (seconds) of a column, None before the first tick."""
        known = dict(self.ticks)
        if column in known:
            return float(known[column].scaleb(-3))
        if column < self.ticks[0][0]:
            return None
        for (left, early), (right, late) in itertools.pairwise(self.ticks):
            if left < column < right:
                return round(float((early + (late - early) * (column - left) / (right - left)).scaleb(-3)), 6)
        left, early = self.ticks[-1]
        return round(float((early + self.scale * (column - left)).scaleb(-3)), 6)


def take_apart(text: str) -> Document:
    """The document of a text; raises BadNotation."""
    return _Reader(text).read()


Lane = tuple[int, str | None, int]  # its line, its label (None: the ruler), the place of its bar


class _Reader:
    def __init__(self, text: str) -> None:
        self.document = Document()
        self.lines = text.split("\n")
        self.block: list[Lane] = []
        self.unfinished: list[Item] = []
        self.blocks = 0

    def read(self) -> Document:
        for number, line in enumerate(self.lines, 1):
            if not line.strip():
                self._end_block()
            elif not self._line(number, line):
                bar = _bar(number, line)
                self.block.append((number, bar[0], bar[1]))
        self._end_block()
        for item in self.unfinished:
            raise item.bad("expected an answer behind the dashes: a status, `lost`, or `never`")
        return self.document

    # --- lines that are no lanes -------------------------------------------------------------------

    def _line(self, number: int, line: str) -> bool:
        document = self.document
        if match := re.match(r"#(\d+)( = | )", line):
            if match[2] == " = ":
                self._undrawn(int(match[1]), line, match.end(), number)
            else:
                document.notes += _notes(int(match[1]), line, match.end(), number)
            return True
        if line.startswith("#"):
            return True
        if match := _HEADER.match(line):
            self._header(match[1], line[match.end() :].strip(), number)
            return True
        words = line.split(" ", 2)
        if len(words) > 1 and words[0] in ("id", "created") and "|" not in words[1]:
            self._name(line, number)
            return True
        if (head := _named(line, number)) is not None:
            name, sign, after = head
            if sign == "=":
                document.scripts[name] = _script(line, after, number)
            else:
                document.checkpoints[name] = words_of(line, after, number)
            return True
        return False

    def _header(self, name: str, text: str, number: int) -> None:
        value: Any = text
        if text.startswith(("{", '"')):
            try:
                value = json.loads(text)
            except ValueError as e:
                raise BadNotation(number, len(name) + 3, f"expected a JSON value: {e}") from e
        self.document.headers[name] = value

    def _name(self, line: str, number: int) -> None:
        words = words_of(line, 0, number)
        kinds = ("run", "thread", "checkpoint") if words[0].text == "id" else ("run",)
        if len(words) != 5 or words[1].text not in kinds or words[3].text != "=":
            raise words[0].bad(f"`{words[0].text} {'|'.join(kinds)} NAME = VALUE`")
        prefix = "" if words[0].text == "id" else "created "
        self.document.ids[prefix + words[1].text, words[2].text] = words[4].text

    def _undrawn(self, n: int, line: str, begin: int, number: int) -> None:
        items = items_of(line, begin, number)
        if len(items) != 1:
            raise BadNotation(number, begin + 1, "expected one item behind `=`, and its instant: `@12.5`")
        (item,) = items
        _suffixes(item)
        item.number = n
        if item.start is None:
            raise item.bad("expected the instant of what is not drawn: `@12.5`")
        self.document.items.append(item)

    # --- lanes -------------------------------------------------------------------------------------

    def _end_block(self) -> None:
        if not self.block:
            return
        lanes, self.block = self.block, []
        self.blocks += 1
        first = lanes[0][2]
        for number, _, bar in lanes:
            if bar != first:
                raise BadNotation(number, bar + 1, f"expected the bar in column {first + 1}, under the others")
        ruler = self._ruler([lane for lane in lanes if lane[1] is None], lanes)
        left, self.unfinished = self.unfinished, []
        for number, label, bar in lanes:
            if label is None:
                continue
            for item in items_of(self.lines[number - 1], bar + 1, number):
                self._item(item, label, bar, ruler, left)
        for item in left:
            raise item.bad("expected its answer in the next block, in a lane with the same name")

    def _ruler(self, found: list[Lane], lanes: list[Lane]) -> Ruler:
        scale = _decimal(str(self.document.headers.get("scale", "1")))
        if scale is None or scale <= 0:
            raise BadNotation(lanes[0][0], 1, "expected `scale:` to say how many milliseconds a column is")
        if not found:
            if self.blocks > 1:
                raise BadNotation(lanes[0][0], 1, "expected a ruler in every block but the first: `ms | 200`")
            return Ruler([(0, Decimal(0))], scale)
        (number, _, bar), *more = found
        if more:
            raise BadNotation(more[0][0], 1, "expected one ruler in a block")
        ticks: list[tuple[int, Decimal]] = []
        for word in words_of(self.lines[number - 1], bar + 1, number):
            value = _decimal(word.text) if word.bare else None
            if value is None or (ticks and value <= ticks[-1][1]):
                raise word.bad("a later instant in milliseconds")
            ticks.append((word.column - bar - 1, value))
        if not ticks:
            raise BadNotation(number, bar + 1, "expected an instant in milliseconds in the ruler")
        return Ruler(ticks, scale)

    def _item(self, item: Item, label: str, bar: int, ruler: Ruler, left: list[Item]) -> None:
        line = self.lines[item.line - 1]
        if not item.head:
            begun = next((i for i in left if i.client == label), None)
            if begun is None:
                raise item.bad("expected a call before the dashes: none of this lane is unanswered")
            left.remove(begun)
            begun.tail = item.tail
            item = begun
        else:
            item.client = label
            if label.startswith("run ") and len(item.head) > 1 and item.head[1].text.isdigit():
                item.head.insert(0, Word(label[4:], item.line, item.column, bare=False))
            item.start = self._instant(item, item.column - bar - 1, ruler)
        if item.tail == []:
            if line.rstrip()[-1] not in "─-":
                raise item.bad("expected the answer directly behind the dashes")
            self.unfinished.append(item)
            return
        begin = item.tail[0].column if item.tail else None
        item.end = item.start if begin is None else self._instant(item, begin - bar - 1, ruler)
        _suffixes(item)
        self.document.items.append(item)

    def _instant(self, item: Item, column: int, ruler: Ruler) -> float:
        instant = ruler.at(column)
        if instant is None:
            raise item.bad("expected nothing before the first tick of the ruler")
        return instant


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def _bar(number: int, line: str) -> tuple[str | None, int]:
    if line.startswith('"'):
        quoted, end = word_at(line, 0, number)
        bar = line.find("|", end)
        if bar >= 0 and not line[end:bar].strip():
            return quoted.text, bar
    bar = line.find("|")
    if bar < 0:
        lines = (
            "a lane (`client A | create A enqueue ─200`), a script (`A = emit@g add`), a checkpoint (`c1 < c0 A0`), "
            f"a note (`#3 step=1`), a comment (`# …`) or a header ({', '.join(HEADERS)})"
        )
        raise BadNotation(number, 1, f"expected {lines}")
    label = line[:bar].rstrip()
    return None if label == "ms" else label, bar


def _named(line: str, number: int) -> tuple[str, str, int] | None:
    """``NAME =`` or ``NAME <`` at the beginning of a line: the name, the sign, and where it goes on."""
    if line.startswith('"'):
        try:
            word, end = word_at(line, 0, number)
        except BadNotation:
            return None
        name = word.text
    else:
        end = line.find(" ")
        name = line[:end]
    if end > 0 and line[end : end + 2] in (" =", " <") and line[end + 2 : end + 3] in (" ", ""):
        return name, line[end + 1], end + 2
    return None


def _script(line: str, begin: int, number: int) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for word in words_of(line, begin, number):
        if not word.bare:
            if not isinstance(word.value, dict) or not isinstance(word.value.get("op"), str):
                raise word.bad('an instruction: `emit@g`, `note:A`, or `{"op": "emit", "sleep": 5}`')
            steps.append(word.value)
            continue
        match = _STEP.fullmatch(word.text)
        if match is None or (match["arg"] is not None and match["op"] not in ARGUMENT):
            raise word.bad('an instruction: `emit`, `emit@gate~swallow!`, `note:A`, or `{"op": "emit", "sleep": 5}`')
        step: dict[str, Any] = {"op": match["op"]}
        for name in ("gate", "swallow"):
            if match[name] is not None:
                step[name] = match[name][1:]
        if match["block"]:
            step["block"] = True
        if match["arg"] is not None:
            step[ARGUMENT[match["op"]]] = match["arg"][1:]
        steps.append(step)
    return steps


def show_step(step: dict[str, Any]) -> str | None:
    """A step in short, None where only JSON says it."""
    argument = ARGUMENT.get(str(step.get("op")), "")
    text = str(step.get("op"))
    text += f"@{step['gate']}" if "gate" in step else ""
    text += f"~{step['swallow']}" if "swallow" in step else ""
    text += "!" if step.get("block") is True else ""
    text += f":{step[argument]}" if argument in step else ""
    if " " in text or "|" in text or not _STEP.fullmatch(text):
        return None
    return text if _script(text, 0, 0) == [step] else None


def _notes(n: int, line: str, begin: int, number: int) -> list[Note]:
    notes, at = [], begin
    while at < len(line):
        if line[at] == " ":
            at += 1
            continue
        match = re.compile(r"([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)=").match(line, at)
        if match is None:
            raise BadNotation(number, at + 1, "expected `field=value` or `field.key=value`")
        value: Any = ABSENT
        end = match.end() + len("absent")
        if line[match.end() : end] != "absent":
            try:
                value, end = json.JSONDecoder().raw_decode(line, match.end())
            except (ValueError, RecursionError) as e:
                raise BadNotation(number, match.end() + 1, f"expected a JSON value or `absent`: {e}") from e
        notes.append(Note(n, tuple(match[1].split(".")), value, number, at))
        at = end
    return notes


def _suffixes(item: Item) -> None:
    """Take ``#7`` and ``@10..12`` from the end of an item."""
    words = item.tail if item.tail else item.head
    while len(words) > 1 or words is item.tail:
        last = words[-1] if words else None
        if last is None or not last.bare:
            return
        if match := re.fullmatch(r"#(\d+)", last.text):
            item.number = int(match[1])
        elif match := re.fullmatch(r"@(-?[\d.]+?)(?:\.\.(-?[\d.]+))?", last.text):
            item.start = seconds_of(match[1])
            item.end = seconds_of(match[2]) if match[2] is not None else item.start
            if item.start is None or item.end is None:
                raise last.bad("instants in milliseconds: `@10` or `@10..12.5`")
        else:
            return
        words.pop()
