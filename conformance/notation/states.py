"""What names, entries and states mean in one document, and what each run found."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

from conformance.facts import Entry
from conformance.notation.channels import Channels, readings
from conformance.notation.cursor import Words
from conformance.notation.document import Document
from conformance.notation.words import KEYWORDS, Item, Word

FAILED = ("lost", "never")
PHASES = ("body", "settle", "settled", "final", "older")


class States:
    """The meaning of a document's names and states; ``items`` in the order of their records."""

    def __init__(self, document: Document, items: Sequence[Item] = ()) -> None:
        self.document = document
        self.scripts = document.scripts
        self.items = items
        self.creates = {i.head[1].text: i for i in self.items if i.head[0].text == "create" and len(i.head) > 1}
        self.tags = set(self.scripts) | set(self.creates)
        self.instance = str(document.headers.get("instance", ""))
        self.checkpoints: dict[str, dict[str, Any]] = {}
        for name, words in document.checkpoints.items():
            self.checkpoints[name] = self._checkpoint(name, words)
        self.starts = self._starts()
        self.final: dict[str, list[Entry]] = {}
        self.found: dict[str, dict[str, Any]] = {}  # what each run found at its start
        self.based: dict[str, Channels] = {}  # the same, as channels

    # --- names -------------------------------------------------------------------------------------

    def run_id(self, tag: str) -> str:
        return self.document.ids.get(("run", tag), f"run-{tag}")

    def thread_of(self, tag: str) -> str:
        create = self.creates.get(tag)
        return option(create.head, "on", "t") if create is not None else "t"

    def strategy_of(self, tag: str) -> str | None:
        create = self.creates.get(tag)
        if create is None or len(create.head) < 3:
            return None
        word = create.head[2]
        return None if word.bare and word.text == "default" else word.text

    def entry(self, word: Word) -> Entry:
        """``A0``, ``A1:2`` or ``"a b:0"``."""
        tag, colon, step = word.text.rpartition(":")
        if colon:
            if not step.isdecimal():
                raise word.bad("an entry like A0 or A:0")
            return tag, int(step)
        found = readings(word.text, self.tags) if word.bare else []
        if len(found) != 1:
            what = "that can be read in two ways: write it as TAG:STEP" if found else "of a run that has a script"
            raise word.bad(f"an entry like A0 {what}")
        return found[0]

    # --- states ------------------------------------------------------------------------------------

    def channels(self, words: Words, stop: tuple[str, ...] = ()) -> dict[str, Any]:
        """``A0 A1 counter 2 note x of A run A source input inputs A B {…}`` with the defaults of the rest."""
        log: list[Entry] = []
        said: dict[str, Any] = {}
        inputs: list[list[str]] | None = None
        merged: dict[str, Any] = {}
        while (word := words.next) is not None and not (word.bare and word.text in stop):
            match words.keyword("counter", "note", "of", "run", "source", "inputs", "nothing"):
                case "counter":
                    said["counter"] = words.whole("a counter")
                case "note":
                    said["note"] = words.take("a note").text
                case "of":
                    said["tag"] = None if words.keyword("nobody") else words.take("a run's tag").text
                case "run":
                    said["run"] = None if words.keyword("nobody") else self.id_of(words.take("a run's tag or id"))
                case "source":
                    said["source"] = words.take("a source").text
                case "inputs":
                    inputs = []
                    while (more := words.next) is not None and not is_keyword(more):
                        inputs.append(["human", f"in-{more.text}", words.take("a tag").text])
                    words.keyword("nothing")
                case "nothing":
                    pass
                case None if isinstance(word.value, dict):
                    merged |= words.take("JSON").value
                case None:
                    log.append(self.entry(words.take("an entry")))
        channels = Channels.after(log, self.scripts)
        tag = said.get("tag", log[-1][0] if log else None)
        if tag is not None:
            channels.input(tag)
        value = {
            "run": None if tag is None else self.run_id(tag),
            "source": "loop",
            "tag": tag,
            "log": [f"{t}:{s}" for t, s in log],
            "counter": channels.counter,
            "note": channels.note,
            "messages": channels.messages if inputs is None else inputs,
        }
        return {**value, **said, **merged}

    def id_of(self, word: Word) -> str:
        return self.run_id(word.text) if word.bare and word.text in self.tags else word.text

    def _checkpoint(self, name: str, words: list[Word]) -> dict[str, Any]:
        line = Item(words[0].line if words else 0, 0)
        rest = Words(words, line)
        parent: str | None = None
        first = rest.next
        if first is not None and (
            (first.bare and first.text in self.document.checkpoints)
            or (not first.bare and isinstance(first.value, str))
        ):
            parent = self._checkpoint_id(rest.take("a parent"))
        own = self.document.ids.get(("checkpoint", name), name)
        return {"id": own, "parent": parent, **self.channels(rest)}

    def _checkpoint_id(self, word: Word) -> str:
        if word.bare and word.text in self.document.checkpoints:
            return self.document.ids.get(("checkpoint", word.text), word.text)
        return word.text

    def state_like(self, words: Words, stop: tuple[str, ...] = ()) -> dict[str, Any]:
        """A named checkpoint, or channels of a head without a name."""
        word = words.next
        if word is not None and word.bare and word.text in self.checkpoints:
            words.take("a checkpoint")
            return copy.deepcopy(self.checkpoints[word.text])
        return {"id": "head", "parent": None, **self.channels(words, stop)}

    # --- what runs find ----------------------------------------------------------------------------

    def _starts(self) -> list[str]:
        started = [i.head[0].text for i in self.items if len(i.head) > 2 and i.head[1].text == "enter"]
        return list(dict.fromkeys(started))

    def _final_log(self, thread: str) -> list[Entry]:
        """The log that the last read of the state shows; without one, what was left, in order."""
        if thread not in self.final:
            log: list[Entry] = []
            reads = [i for i in self.items if verb_of(i)[1] == "state" and option(i.head, "on", "t") == thread]
            shown = [i for i in reads if i.tail and not (i.tail[0].text.isdigit() or i.tail[0].text in FAILED)]
            if shown:
                answer = self.state_like(Words(shown[-1].tail or [], shown[-1]))
                log = [(t, int(s)) for t, _, s in (e.rpartition(":") for e in answer["log"]) if s.isdecimal()]
            else:
                left = [i.head for i in self.items if len(i.head) > 2 and i.head[1].text == "leave"]
                log = [(h[0].text, int(h[2].text)) for h in left if self.thread_of(h[0].text) == thread]
            self.final[thread] = log
        return self.final[thread]

    def _base(self, tag: str) -> Channels:
        """What a run found when it started, by default: what stands before it in the final log."""
        if tag not in self.based:
            log = self._final_log(self.thread_of(tag))
            own = next((i for i, (t, _) in enumerate(log) if t == tag), None)
            before = self.starts[: self.starts.index(tag)] if tag in self.starts else []
            log = log[:own] if own is not None else [e for e in log if e[0] in before]
            self.based[tag] = Channels.after(log, self.scripts)
        return self.based[tag]

    def what_it_found(self, tag: str, step: int, words: Words | None) -> dict[str, Any]:
        if words is not None:
            said = self.channels(words, ("last", "gate", "under", "clock", "t", "seq", "attempt"))
            log = [(t, int(s)) for t, _, s in (e.rpartition(":") for e in said["log"])]
            channels = Channels(log, said["counter"], said["note"], said["messages"])
            if step == 0:
                self.based[tag] = copy.deepcopy(channels)
        else:
            channels = copy.deepcopy(self._base(tag))
            for i in range(step):
                channels.step(tag, i, self.scripts)
        channels.input(tag)
        return {**channels.found_by(tag, self.instance), "last_input": tag}


def verb_of(item: Item) -> tuple[str | None, str]:
    """``final:get`` is the phase and the verb."""
    phase, colon, verb = item.head[0].text.partition(":")
    return (phase, verb) if colon and phase in PHASES else (None, item.head[0].text)


def is_keyword(word: Word) -> bool:
    return (word.bare and word.text in KEYWORDS) or not isinstance(word.value, str)


def option(words: Sequence[Word], name: str, default: str) -> str:
    for word, value in itertools.pairwise(words):
        if word.bare and word.text == name:
            return value.text
    return default
