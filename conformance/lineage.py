"""The lineage of a thread's head, as the model keeps it: which run wrote which supersteps, in order.

Every lineage is a node of one tree: its parent is the lineage without the newest part. Equal lineages are
the same object, so that comparing and hashing them costs nothing, however long the thread is.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.programs import Step

Entry = tuple[str, int]  # tag and superstep
UNNAMED = ""


class Lineage:
    """One part (supersteps ``first`` … ``first + steps - 1`` of the run ``tag``) on top of its ``parent``.

    ``length``, ``counter``, ``note`` and ``messages`` are what the probe's channels hold then; ``unsure`` counts
    the runs that wrote no superstep, whose input may be in the state or not.
    """

    __slots__ = (
        "_bits",
        "_grown",
        "_hasher",
        "_held",
        "counter",
        "first",
        "length",
        "messages",
        "note",
        "parent",
        "scripts",
        "steps",
        "suffix",
        "tag",
        "unsure",
    )

    def __init__(self, scripts: Mapping[str, Sequence[Step]], suffix: str = "") -> None:
        """The empty lineage. ``suffix`` follows every tag where the probe computes its hashes."""
        self.scripts, self.suffix = scripts, suffix
        self.parent: Lineage | None = None
        self._bits: dict[str, int] = {}  # of every tag of the tree
        self._held = 0  # the bits of the tags that have a part in this lineage
        self.tag, self.first, self.steps = "", 0, 0
        self.length, self.counter, self.note, self.messages, self.unsure = 0, 0, "", 0, 0
        self._grown: dict[tuple[str, int, int], Lineage] = {}
        self._hasher: Any = None

    def __repr__(self) -> str:
        return " ".join(f"{t}{s}" for t, s in self.entries()) or "(empty)"

    def extend(self, tag: str, first: int, steps: int) -> Lineage:
        """The lineage with one more part on top."""
        key = (tag, first, steps)
        node = self._grown.get(key)
        if node is None:
            node = self._grown[key] = object.__new__(Lineage)
            node.scripts, node.suffix, node.parent = self.scripts, self.suffix, self
            node._bits = self._bits
            node._held = self._held | self._bits.setdefault(tag, 1 << len(self._bits))
            node.tag, node.first, node.steps = tag, first, steps
            node._grown, node._hasher = {}, None
            node._fill(self)
        return node

    def _fill(self, below: Lineage) -> None:
        self.length = below.length + self.steps
        self.counter, self.note, self.messages = below.counter, below.note, below.messages
        self.unsure = below.unsure + (self.steps == 0 and self.first == 0)
        self.messages += self.first == 0 and self.steps > 0  # its input
        script = self.scripts.get(self.tag, ())
        for step in script[self.first : self.first + self.steps]:
            match step["op"]:
                case "add":
                    self.counter += int(step.get("by", 1))
                case "note":
                    self.note = str(step.get("value", ""))
                case "call" | "result":
                    self.messages += 1

    def grow(self, tag: str) -> Lineage:
        """The lineage after one more superstep of ``tag``, which has a part in it already."""
        if self.tag == tag and self.parent is not None:
            return self.parent.extend(tag, self.first, self.steps + 1)
        done = sum(part.steps for part in self.parts_of(tag))
        below = self if done else self.without(tag)  # it has written now: its input is not unsure any more
        return below.extend(tag, done, 1)

    def with_unnamed(self) -> Lineage:
        """The lineage with the input of one more run that wrote nothing and that nothing shows; whose, and at which
        place, does not matter."""
        node: Lineage = self
        above = []
        for part in self.parts():
            if part.tag == UNNAMED:
                node = part
                break
            above.append(part)
            node = part.parent or node
        node = node.extend(UNNAMED, 0, 0)
        for part in reversed(above):
            node = node.extend(part.tag, part.first, part.steps)
        return node

    def without(self, tag: str) -> Lineage:
        """The lineage without anything of ``tag``; what others wrote above it stays."""
        own = [*self.parts_of(tag)]
        if not own:
            return self
        node = own[-1].parent
        assert node is not None
        above = itertools.takewhile(lambda part: part is not own[-1], self.parts())
        for part in reversed([p for p in above if p.tag != tag]):
            node = node.extend(part.tag, part.first, part.steps)
        return node

    def parts_of(self, tag: str) -> Iterator[Lineage]:
        """The parts of one run, newest first."""
        if self._held & self._bits.get(tag, 0):
            for part in self.parts():
                if part.tag == tag:
                    yield part
                    if part.first == 0:
                        return

    def parts(self) -> Iterator[Lineage]:
        """The parts, newest first."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent

    def entries(self) -> list[Entry]:
        """The log, oldest first."""
        return [(p.tag, s) for p in [*self.parts()][::-1] for s in range(p.first, p.first + p.steps)]

    def tags(self) -> set[str]:
        """The runs and updates that have a part in it."""
        return {part.tag for part in self.parts()}

    def digest(self) -> str:
        """The probe's hash of the log."""
        return str(self._hash().hexdigest()[:16])

    def _hash(self) -> Any:
        chain = []
        node: Lineage | None = self
        while node is not None and node._hasher is None:
            chain.append(node)
            node = node.parent
        for node in reversed(chain):
            if node.parent is None:
                node._hasher = hashlib.sha256()
                continue
            node._hasher = node.parent._hasher.copy()
            for n in range(node.steps):
                line = f"{node.tag}{node.suffix}:{node.first + n}"
                node._hasher.update((line if node.parent.length + n == 0 else f"\n{line}").encode())
        return self._hasher
