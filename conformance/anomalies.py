"""Named anomalies: what double texting goes wrong like, each with the requirement that catches it and an example.

The examples are histories in the notation of ``conformance.notation``; ``repaired`` is the same situation as it
should have been. Which anomaly a violation shows follows from its requirement, and in a few cases from what was
observed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from conformance.anomaly_examples import EXAMPLES
from conformance.requirements.base import Violation


@dataclass(frozen=True)
class Anomaly:
    """One way to go wrong. ``requirements`` reject the example, and ``companions`` may do so too."""

    name: str
    definition: str
    users: str  # what happens to them
    requirements: tuple[str, ...]
    companions: tuple[str, ...] = ()

    @property
    def example(self) -> str:
        """A minimal history that shows it."""
        return EXAMPLES[self.name][0]

    @property
    def repaired(self) -> str:
        """The same as it should have been."""
        return EXAMPLES[self.name][1]

    def to_json(self) -> dict[str, Any]:
        """As one JSON value."""
        return {
            "name": self.name,
            "definition": self.definition,
            "users": self.users,
            "requirements": list(self.requirements),
            "companions": list(self.companions),
            "example": self.example,
            "repaired": self.repaired,
        }

    def explained(self) -> str:
        """Everything about it, for people."""
        caught = ", ".join(self.requirements) + (f" (also: {', '.join(self.companions)})" if self.companions else "")
        example, repaired = (_indented(text) for text in (self.example, self.repaired))
        return (
            f"{self.name}\n\n{self.definition}\n\nfor users:    {self.users}\ncaught by:    {caught}\n\n"
            f"example:\n\n{example}\n\nas it should be:\n\n{repaired}"
        )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.strip("\n").splitlines())


ANOMALIES = (
    Anomaly(
        "double admission",
        "A create(reject) is accepted while another run is certainly inflight, or several of a simultaneous burst are.",
        "The second message is answered although the first is still being worked on: two answers, charged twice.",
        ("reject.conflict",),
    ),
    Anomaly(
        "phantom run",
        "A create was refused, and its run is there all the same: it is listed, executes, or is in the state.",
        "The client is told no and sends the message again: it is worked on twice.",
        ("reject.no-effect",),
    ),
    Anomaly(
        "lost update",
        "Supersteps that were completed are not in the state: another run wrote over them.",
        "An answer that was given, and maybe shown, is missing from the conversation; counters are too low.",
        ("thread.no-lost-update",),
        ("enqueue.conserves-input",),
    ),
    Anomaly(
        "interleaved segments",
        "Two runs of one thread execute at once, and their supersteps stand mixed in the state.",
        "Two half answers are woven into one conversation; the model sees tool results of another run.",
        ("thread.no-lost-update", "thread.one-at-a-time", "enqueue.separate-run"),
    ),
    Anomaly(
        "queue inversion",
        "Of two enqueued runs the one that was received later executes first.",
        "Messages are answered in the wrong order: a correction comes before what it corrects.",
        ("enqueue.fifo",),
    ),
    Anomaly(
        "vanished input",
        "A run was accepted and nobody ended it, and yet it is gone, or nothing of it is in the state.",
        "The message was acknowledged and is never answered.",
        ("enqueue.conserves-input",),
    ),
    Anomaly(
        "dirty rollback",
        "After a rollback something of the displaced run is still there: in the state, its lineage or its history.",
        "What the user took back is still known to the model, and may be answered once more.",
        ("rollback.reverts", "rollback.lineage", "rollback.no-orphans"),
        ("checkpoint.lineage",),
    ),
    Anomaly(
        "resurrected run",
        "A run that was deleted can be read, or is listed, again.",
        "A conversation that was taken back reappears in the client's list.",
        ("run.terminal-is-final",),
        ("rollback.deleted",),
    ),
    Anomaly(
        "zombie checkpoint",
        "A displaced run writes a checkpoint although its successor has begun, or it was read as ended.",
        "The old answer is written under the new one: what the user sees changes after the fact.",
        ("run.terminal-is-final",),
        ("checkpoint.one-chain",),
    ),
    Anomaly(
        "ignored displacement",
        "An accepted interrupt or rollback does not stop the run: it enters further supersteps, or ends by itself.",
        "The correction waits until the mistake has been finished: tokens and effects are spent on what nobody wants.",
        ("displaced.stops", "interrupt.status"),
    ),
    Anomaly(
        "relabelled run",
        "A run's status says something else than what became of it: a run that was rolled back is kept as "
        "interrupted, one that was interrupted reads error or is deleted, success is read before the end.",
        "Clients that look at statuses show the wrong thing, and retry or bill what they should not.",
        ("rollback.deleted",),
    ),
    Anomaly(
        "injected input",
        "The new input appears inside the run that it displaced, or is executed under that run's id.",
        "The model sees the correction in the middle of its work, without the graph having been written for it.",
        ("interrupt.no-injection",),
    ),
    Anomaly(
        "stuck busy",
        "Everything is over, and the thread stays busy or a run inflight for ever.",
        "The conversation cannot be continued: every further message waits or is refused.",
        ("thread.settles",),
    ),
    Anomaly(
        "stale refusal",
        "A create(reject) is refused although every earlier run was read as ended.",
        "The user sees the answer, writes the next message, and is told that the thread is busy.",
        ("reject.reopens",),
    ),
    Anomaly(
        "terminal flip",
        "A terminal status becomes another one.",
        "A webhook or a poll has reported an end that is taken back later.",
        ("run.terminal-is-final",),
    ),
    Anomaly(
        "cross-thread leak",
        "A run on one thread changes status, content or order of another thread.",
        "One user sees another's message, or is stopped by it.",
        ("thread.independent",),
    ),
    Anomaly(
        "broken lineage",
        "The head's ancestors are no chain: a parent is missing, a checkpoint does not extend its parent, or a fork "
        "is there that nobody made.",
        "Going back to an earlier point of the conversation fails, or leads to another one.",
        ("checkpoint.lineage",),
    ),
)
BY_NAME = {a.name: a for a in ANOMALIES}

_ALWAYS = {
    "reject.conflict": "double admission",
    "reject.reopens": "stale refusal",
    "enqueue.fifo": "queue inversion",
    "enqueue.survives-failure": "vanished input",
    "interrupt.keeps-progress": "lost update",
    "interrupt.no-injection": "injected input",
    "rollback.reverts": "dirty rollback",
    "rollback.no-orphans": "dirty rollback",
    "displaced.stops": "ignored displacement",
    "thread.one-at-a-time": "interleaved segments",
    "thread.independent": "cross-thread leak",
    "thread.settles": "stuck busy",
    "run.final-when-read": "zombie checkpoint",
    "run.status-truthful": "relabelled run",
    "checkpoint.one-chain": "broken lineage",
}
"""Requirements whose violations all show the same anomaly."""

_BY_WORDS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "reject.one-winner": (("were accepted", "double admission"), ("all were refused", "stale refusal")),
    "reject.no-effect": (("refused and yet", "phantom run"), ("changed the thread", None), ("did not end", None)),
    "enqueue.first-completes": (("only supersteps", "lost update"),),
    "enqueue.separate-run": (("the log reads", "interleaved segments"), ("id", "injected input")),
    "enqueue.conserves-input": (("were written", None), ("", "vanished input")),
    "interrupt.status": (("by themselves|ended success", "ignored displacement"), ("", "relabelled run")),
    "interrupt.builds-on": (("stand after", "zombie checkpoint"), ("", "lost update")),
    "rollback.deleted": (("by themselves|reads as success", "ignored displacement"), ("", "relabelled run")),
    "rollback.lineage": (("carries", "dirty rollback"), ("", "broken lineage")),
    "checkpoint.lineage": (("which was deleted", "dirty rollback"), ("", "broken lineage")),
    "thread.no-lost-update": (("the log reads|^superstep", "interleaved segments"), ("", "lost update")),
    "run.terminal-is-final": (("wrote|new checkpoints", "zombie checkpoint"), ("", "terminal flip")),
}
"""What is observed tells the anomaly: the first pattern that is found."""


def anomaly_of(requirement: str, violation: Violation) -> str | None:
    """The name of the anomaly that a violation of this requirement shows; None where it has none."""
    if requirement in _ALWAYS:
        return _ALWAYS[requirement]
    if requirement == "run.terminal-is-final" and "stays gone" in violation.expected:
        return "resurrected run"
    for pattern, name in _BY_WORDS.get(requirement, ()):
        if re.search(pattern, violation.observed):
            return name
    return None


def find_anomaly(name: str) -> Anomaly | None:
    """The anomaly of that name, written with blanks, dashes or underscores."""

    def plain(text: str) -> str:
        return re.sub(r"[\s_-]+", " ", text.strip().lower())

    return next((a for a in ANOMALIES if plain(a.name) == plain(name)), None)


def of_requirement(id: str) -> list[Anomaly]:
    """The anomalies that violations of a requirement can show."""
    names = {_ALWAYS[id]} if id in _ALWAYS else {name for _, name in _BY_WORDS.get(id, ())}
    if id == "run.terminal-is-final":
        names.add("resurrected run")
    return [a for a in ANOMALIES if a.name in names]
