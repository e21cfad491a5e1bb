"""What must never be shown, and how it is kept out of everything that is recorded, judged and printed.

Answers are redacted before they are recorded, so that nothing downstream, a saved history included, ever
holds a secret, and a saved history is judged as the live one was. Judging still sees the truth:

- What the protocol or the program itself says (a status, a strategy, a tag, a key of an answer) is no secret,
  whatever header has the same value; a string that is exactly such a word is left alone.
- Equal strings stay equal and different ones different, as far as they differ in more than the secret.
- The calls go on with the ids as the target gave them: ``Redactor.original``.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"
MOST_KEPT = 500  # characters of an answer that is text and nothing else

_CREDENTIAL = re.compile(r"key|token|secret|auth|cookie|pass|session|credential|signature|jwt", re.IGNORECASE)
_PLAIN = ("accept", "content-", "user-agent")  # headers that hold no secret whatever they say
_SHORTEST = 3  # a shorter credential is found in everything
_SHORTEST_PART = 6  # of a word in a credential, and of a header that is not known to be one
_LONGEST_CHANCE = 8  # shorter hexadecimal secrets turn up in ids and hashes by chance: whole words only

_WORDS = """
pending running success error interrupted timeout idle busy gone
reject enqueue interrupt rollback multitask_strategy strategy action wait join cancel
callback store stream values updates custom messages debug events event data end
emit add note effect call result fail ask step block nested sleep gate swallow bound via program
enter leave swallowed cancelled raise log input loop update fork human user ai assistant system tool
runs threads thread run state history items search info assistants store create open create_thread get_run
list_runs get_thread get_state get_history harness doubletext doubletext_tag langgraph-api
run_id thread_id assistant_id checkpoint_id checkpoint parent_checkpoint parent_checkpoint_id created_at
updated_at status metadata tag id type role content name args key value namespace parent source entries
tool_calls tool_results tool_call_id tool_call probe_tool found log_hash messages_hash last_input counter
detail message kind op clock seq attempt gate_opened next tasks config configurable server version steps
cancel_many stray stateless endpoint form if_not_exists got held broken answered tells connected end
true false null none bearer basic digest negotiate token
"""
WORDS = frozenset(_WORDS.split())
"""What the protocol, the probe and this harness say of themselves: known to everybody."""


class Redactor:
    """Replaces secrets by ``***`` in whatever is recorded or shown; ``own`` strings are never changed."""

    def __init__(self, secrets: Iterable[str] = (), own: Iterable[str] = ()) -> None:
        found = sorted({form for s in secrets for form in _forms(s)}, key=len, reverse=True)
        self._secret = re.compile("|".join(map(_matching, found))) if found else None
        self._numbers = {s for s in found if s.isdigit()}
        self._own = WORDS | frozenset(own)
        self._originals: dict[str, str] = {}

    def text(self, text: str) -> str:
        """``text`` without the secrets."""
        return self._secret.sub(HIDDEN, text) if self._secret is not None else text

    def value(self, value: Any) -> Any:
        """A JSON value without the secrets, in keys and strings alike."""
        if self._secret is None:
            return value
        match value:
            case str():
                return self._string(value)
            case dict():
                return {self._string(str(k)): self.value(v) for k, v in value.items()}
            case list() | tuple():
                return [self.value(v) for v in value]
            case int() if str(value) in self._numbers:
                return HIDDEN
        return value

    def kept(self, answer: Any) -> Any:
        """What is recorded of an answer. Text is cut last: no part of a secret stands at its end."""
        shown = self.value(answer)
        return shown[:MOST_KEPT] if isinstance(shown, str) else shown

    def original(self, shown: str) -> str:
        """The string that was recorded as ``shown``, to go on with; never to be recorded or shown itself."""
        return self._originals.get(shown, shown)

    def _string(self, text: str) -> str:
        if text in self._own:
            return text
        shown = self.text(text)
        if shown != text:
            self._originals[shown] = text
        return shown


def _matching(secret: str) -> str:
    pattern = re.escape(secret)
    if len(secret) < _LONGEST_CHANCE and re.fullmatch(r"[0-9A-Fa-f]+", secret):
        return rf"(?<![0-9A-Za-z]){pattern}(?![0-9A-Za-z])"
    return pattern


def _forms(secret: str) -> set[str]:
    """The secret as it stands in text, in JSON within a string, in a URL and in HTML."""
    return {secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe=""), html.escape(secret)}


def secrets_of(headers: Mapping[str, str], url: str) -> Iterator[str]:
    """Every value that must not be shown: credentials, words in them, passwords, other headers' longer values."""
    for name, value in headers.items():
        if _CREDENTIAL.search(name):
            yield from (s for s in (value,) if _hidden(s, _SHORTEST))
        elif name.lower().startswith(_PLAIN):
            continue
        yield from (s for s in (value, *_parts(value)) if _hidden(s, _SHORTEST_PART))
    password = urlsplit(url).password
    if password:
        yield from (s for s in (password, unquote(password)) if _hidden(s, _SHORTEST))


def _parts(value: str) -> Iterator[str]:
    """Words of a header's value, values of its cookies or parameters, and what Basic hides."""
    for word in re.split(r"[\s;,]+", value):
        rest = word.partition("=")[2]
        yield rest.strip('"') if rest.strip("=") else word  # a parameter's value; padding of base64 is none
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return


def _hidden(value: str, shortest: int) -> bool:
    if len(value) < shortest or value in WORDS or value.lower() in WORDS:
        return False
    return not (value.isdigit() and len(value) < _SHORTEST_PART)
