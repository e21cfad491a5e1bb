"""What the text of an error shows to whoever provoked it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from conformance.facts import Fact, Thread
from conformance.history import Call
from conformance.requirements.base import HAZARD, Hazard, Judgement, requirement

INTERNALS = {
    "a stack trace": r'Traceback \(most recent call last\)|File \\*"[^"]+\\*", line \d+|\n\s+at \S.*:\d+:\d+\)?',
    "a path of the server's installation": r"/site-packages/|/dist-packages/|/node_modules/",
    "an address of its database": r"\b(?:postgres(?:ql)?|mysql|mongodb|redis)(?:\+\w+)?://",
    "a statement to its database": r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.+\b(?:FROM|VALUES|SET|WHERE)\b",
}
HIDDEN = "***"  # what records show in place of credentials


@requirement(
    "error.discloses-nothing",
    HAZARD,
    "The text of an error shows other runs' inputs, credentials or internals.",
    source="measured: field reports",
    exercised_by=("reject-running",),
    breaks="an exception's text is sent as it is, with the values that it was about",
    advice="answer with a text that was written for clients, and keep the exception's for the log",
    special=True,
)
def discloses_nothing(thread: Thread) -> Iterator[Judgement]:
    """Reads the text of every error that a call on the thread was answered with."""
    for call in thread.calls:
        if call.status is None or call.status < 400 or call.answer in (None, "", {}):
            continue
        shown = list(_shown(thread, call))
        if not shown:
            yield Hazard(None)
        for what in shown:
            text = f"the text of an error ({call.op.replace('_', ' ')}: {call.status}) shows {what}"
            yield Hazard(text, (Fact(text, (call.n,)),))


def _shown(thread: Thread, call: Call) -> Iterator[str]:
    text = call.answer if isinstance(call.answer, str) else json.dumps(call.answer, ensure_ascii=False)
    for other in thread.runs.values():
        # The id of the message that is the run's input.
        if other.tag != call.tag and re.search(rf"(?<![\w-])in-{re.escape(other.tag)}(?![\w-])", text):
            yield "another run's input"
            break
    sent = json.dumps(call.request, ensure_ascii=False)  # an answer may quote what it is about
    if HIDDEN in text and HIDDEN not in sent:
        yield "credentials"
    for what, pattern in INTERNALS.items():
        if re.search(pattern, _plain(text)) and not re.search(pattern, _plain(sent)):
            yield what


def _plain(text: str) -> str:
    return text.replace("\\n", "\n")
