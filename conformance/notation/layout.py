"""Where in the drawing each record stands: one tick of the ruler for each instant, as narrow as the texts allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.notation.drawing import Drawn
from conformance.notation.words import BARE, ms_of, quoted

RULER = "ms"
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./~+- "


@dataclass
class _Line:
    """One line of a block; ``open``: the call that is not answered yet, and how far its text goes."""

    label: str
    text: str = ""
    open: Drawn | None = None
    busy_at: float | None = None  # the instant at which something on it began or ended last

    def put(self, column: int, text: str, fill: str = " ") -> None:
        self.text = self.text.ljust(column, fill) + text


@dataclass
class Layout:
    """Draws blocks of at most ``width`` columns, as far as single items are not wider."""

    width: int
    lines: list[str] = field(default_factory=list)

    def draw(self, items: Sequence[Drawn]) -> list[str]:
        """The blocks, an empty line between any two."""
        labels = {i.lane: _label(i.lane) for i in items}
        margin = max((len(label) for label in labels.values()), default=0) + 1
        begins: dict[float, list[Drawn]] = defaultdict(list)
        ends: dict[float, list[Drawn]] = defaultdict(list)
        for item in sorted(items, key=lambda i: (i.start, i.n)):
            begins[item.start].append(item)
            if item.tail is not None and item.end != item.start:
                ends[item.end].append(item)
        block = _Block(labels)
        for instant in sorted({*begins, *ends}):
            if block.ticks and not block.fits(instant, begins[instant], ends[instant], self.width - margin - 1):
                self.lines += [*block.shown(margin), ""]
                block = block.next()
            block.add(instant, begins[instant], ends[instant])
        self.lines += block.shown(margin)
        return self.lines


class _Block:
    def __init__(self, labels: dict[str, str], lines: list[_Line] | None = None) -> None:
        self.labels = labels
        self.carried = [] if lines is None else lines
        self.lines: list[_Line] = [*self.carried]
        self.ticks: list[tuple[int, str]] = []

    def next(self) -> _Block:
        """A block that goes on with the calls that are not answered yet."""
        return _Block(self.labels, [_Line(line.label, "", line.open) for line in self.lines if line.open is not None])

    def _column(self, starting: list[Drawn], ending: list[Drawn]) -> int:
        column = self.ticks[-1][0] + len(self.ticks[-1][1]) + 1 if self.ticks else 0
        for item in ending:
            line = next(line for line in self.lines if line.open is item)
            column = max(column, len(line.text) + 2 if line.text else 1)
        taken: list[_Line] = [line for line in self.lines if line.open in ending]
        for item in starting:
            free = self._free(item, taken)
            if free is not None:
                taken.append(free)
                column = max(column, len(free.text) + 2 if free.text else 0)
        return column

    def _free(self, item: Drawn, taken: Sequence[_Line] = ()) -> _Line | None:
        return next(
            (
                line
                for line in self.lines
                if line.label == item.lane and line.open is None and line.busy_at != item.start and line not in taken
            ),
            None,
        )

    def fits(self, instant: float, starting: list[Drawn], ending: list[Drawn], width: int) -> bool:
        """Whether what happens at that instant has room in this block."""
        column = self._column(starting, ending)
        widest = max([len(ms_of(instant)), *(len(_whole(i)) for i in starting), *(len(_tail(i)) for i in ending)])
        return column + widest <= width

    def add(self, instant: float, starting: list[Drawn], ending: list[Drawn]) -> None:
        """Place what begins and ends at an instant."""
        for item in ending:
            line = next(line for line in self.lines if line.open is item)
            line.busy_at = instant
        column = self._column(starting, ending)
        self.ticks.append((column, ms_of(instant)))
        for item in ending:
            line = next(line for line in self.lines if line.open is item)
            if line.text:
                line.text += " "
            line.put(column, _tail(item), "─")
            line.open = None
        for item in starting:
            free = self._free(item)
            if free is None:
                free = _Line(item.lane)
                self.lines.append(free)
            line = free
            line.put(column, _whole(item))
            line.busy_at = instant
            if item.tail is not None and item.end != item.start:
                line.open = item

    def shown(self, margin: int) -> list[str]:
        """The block as lines: the ruler, then the lanes in order of appearance."""
        ruler = ""
        for column, text in self.ticks:
            ruler = ruler.ljust(column) + text
        width = max([len(ruler), *(len(line.text) for line in self.lines)])
        shown = [f"{RULER.ljust(margin)}|{ruler}"]
        for line in sorted(self.lines, key=lambda line: _rank(line.label, self)):
            text = line.text
            if line.open is not None:
                text = f"{text} ".ljust(width + 1, "─") + "─" if text else "─" * (width + 2)
            shown.append(f"{self.labels[line.label].ljust(margin)}|{text}".rstrip())
        return shown


def _rank(label: str, block: _Block) -> tuple[int, int]:
    kind = 2 if label == "harness" else 1 if label.startswith("run ") or label == "probe" else 0
    return kind, list(block.labels).index(label)


def _tail(item: Drawn) -> str:
    return f"{item.tail} #{item.n}"


def _whole(item: Drawn) -> str:
    """What is written where it begins: all of it, where it takes no time."""
    if item.tail is None:
        return f"{item.head} #{item.n}"
    return f"{item.head} ─{_tail(item)} @{ms_of(item.start)}" if item.end == item.start else item.head


def _label(lane: str) -> str:
    plain = lane.strip() == lane and "  " not in lane and lane and all(c in PLAIN for c in lane)
    if plain and lane != RULER and lane.split()[0] not in ("id", "created") and BARE.match(lane):
        return lane
    return quoted(lane)
