"""What the probe's channels hold after a log: the defaults of states, checkpoints and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.facts import Entry, digest
from conformance.notation.words import BARE, KEYWORDS, quoted

Step = Mapping[str, Any]
Scripts = Mapping[str, Sequence[Step]]


@dataclass
class Channels:
    """Log, counter, note and messages (``[type, id, content]``), as the probe's graph would have them."""

    log: list[Entry] = field(default_factory=list)
    counter: int = 0
    note: str = ""
    messages: list[list[Any]] = field(default_factory=list)

    @staticmethod
    def after(log: Sequence[Entry], scripts: Scripts) -> Channels:
        """Those that a serial execution of these entries leaves."""
        channels = Channels()
        for tag, step in log:
            channels.input(tag)
            channels.step(tag, step, scripts)
        return channels

    def input(self, tag: str) -> None:
        """The run's input is written, once."""
        message = ["human", f"in-{tag}", tag]
        if message not in self.messages:
            self.messages.append(message)

    def step(self, tag: str, step: int, scripts: Scripts) -> None:
        """One superstep is written."""
        self.log.append((tag, step))
        script = scripts.get(tag, ())
        match script[step] if 0 <= step < len(script) else {}:
            case {"op": "add", **rest}:
                by = rest.get("by", 1)
                self.counter += by if isinstance(by, int) else 1
            case {"op": "note", **rest}:
                self.note = str(rest.get("value", f"{tag}:{step}"))
            case {"op": "call"}:
                self.messages.append(["ai", f"ai-{tag}-{step}", ""])
            case {"op": "result"}:
                self.messages.append(["tool", f"tool-{tag}-{step}", "done"])

    def found_by(self, tag: str, suffix: str) -> dict[str, Any]:
        """What a run announces to have found; ``suffix`` makes tags unique on the target."""
        others = [f"{kind}:{_on_target(id, tag_of, suffix)}" for kind, id, tag_of in self._others(tag)]
        inputs = [m[2] for m in self.messages if m[0] == "human"]
        return {
            "log": len(self.log),
            "log_hash": digest(f"{t}{suffix}:{s}" if "~" not in t else f"{t}:{s}" for t, s in self.log),
            "counter": self.counter,
            "note": self.note,
            "messages": len(others),
            "messages_hash": digest(others),
            "last_input": inputs[-1] if inputs else "",
        }

    def _others(self, tag: str) -> list[tuple[str, str, str]]:
        found = []
        for kind, id, content in self.messages:
            if content != tag:
                prefix, _, rest = id.partition("-")
                found.append((kind, prefix, rest))
        return found


def _on_target(prefix: str, rest: str, suffix: str) -> str:
    """A message's id as the target knows it."""
    if prefix == "in":
        return f"in-{rest}{suffix}"
    tag, _, step = rest.rpartition("-")
    return f"{prefix}-{tag}{suffix}-{step}"


def show_entry(entry: Entry, tags: set[str]) -> str:
    """``A0``; ``A1:2`` where that could be read in another way, quoted where it cannot be bare."""
    tag, step = entry
    short, plain = f"{tag}{step}", BARE.fullmatch(tag) and ":" not in tag
    if plain and short not in KEYWORDS and not short.isdigit() and readings(short, tags) == [entry]:
        return short
    long = f"{tag}:{step}"
    return long if plain else quoted(long)


def readings(text: str, tags: set[str]) -> list[Entry]:
    """The entries that a short word can mean."""
    found = []
    for tag in sorted(tags):
        rest = text[len(tag) :]
        if text.startswith(tag) and rest.isdecimal() and str(int(rest)) == rest:
            found.append((tag, int(rest)))
    return found
