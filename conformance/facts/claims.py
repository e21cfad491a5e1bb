"""What a proof consists of: claims, each with one exact meaning, and facts, which cite the records that prove them.

The vocabulary is closed. A claim's text is made here and nowhere else, from its kind and its arguments, so
that what people read and what the verifier (``conformance.proof``) derives again cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from conformance.facts.words import GONE, ms

Arg = str | int | float | bool | tuple[str, ...] | None

VOCABULARY: dict[str, str] = {
    # calls
    "answered": "{run}'s create ({strategy:strategy}{endpoint:endpoint}) was sent at {sent:ms} and answered {answer} "
    "at {at:ms}",
    "sent": "{run}'s create ({strategy:strategy}) was sent at {sent:ms}",
    "cancelled": "cancel {run} ({action}{wait:wait}) was sent at {sent:ms} and answered {answer} at {at:ms}",
    "unreturned": "cancel {run} ({action}, wait), sent at {sent:ms}, was not answered when the client gave up at "
    "{at:ms}, and {run} had entered no superstep",
    "bulk": "cancel {runs:and} by one call ({action}) was sent at {sent:ms} and answered {answer} at {at:ms}",
    "unmade": "thread {thread} was made by nobody before {run}'s create ({strategy:strategy}{endpoint:endpoint}, "
    "if_not_exists={missing}) was sent at {sent:ms} and answered {answer} at {at:ms}",
    "exists": "a read of thread {thread} ({op}) from {sent:ms} was answered {status}",
    "stateless": "{run} was created without a thread ({strategy:strategy}{endpoint:endpoint}), sent at {sent:ms} and "
    "answered {answer} at {at:ms}",
    "strayed": "thread {thread} names {run}, a run without a thread ({where})",
    # clients that stay
    "unreleased": "a client of {run} ({how}), connected since {sent:ms}, was still held at {at:ms}",
    "kept": "a client of {run} ({how}), connected since {sent:ms}, was still held at {at:ms}, when the harness had "
    "waited {waited:.1f} s for its release",
    "got": "a client of {run} ({how}) was answered {status} at {at:ms}{tells:tells}",
    "event": "event {index} of a stream of {run} ({how}) shows a state with {of}'s input and {length} entries",
    "lacks": "a stream of {run} ({how}), open since {connected:ms}, ended without the state after its superstep {step}",
    "given": "{run} has the run id {id}",
    "deleted": "delete {run} was sent at {sent:ms} and answered {answer} at {at:ms}",
    "updated": "an update of the state, {update}, was sent at {sent:ms} and answered {answer} at {at:ms}",
    "renewed": "thread {thread} was deleted by a call from {sent:ms} to {at:ms}, and created again under its id by one "
    "from {again:ms} to {there:ms}",
    # when a run was inflight, and what can have ended it
    "inflight": "{run} was inflight while {op} {over} took effect: accepted by {since:ms}{inside:inside}, and its last "
    "gate was closed until {until:ms}",
    "foremost": "{run} was inflight, behind no other run, while {op} {over} took effect: accepted by "
    "{since:ms}{inside:inside}, and its last gate was closed until {until:ms}",
    "beside": "one list, from {at:ms}, shows {over} and, beside it, {run} still {status}; {run} had been accepted by "
    "{since:ms}",
    "still": "{run} was inflight while {op} {over}, sent at {sent:ms}, took effect: accepted by {since:ms}, and read "
    "as {status} by a read that was sent at {at:ms}, after the answer",
    "at_once": "one list, from {at:ms}, shows {runs:and} inflight at once",
    "together": "{runs:and} are both running in a list that was received at {since:ms}, and in one that was sent at "
    "{by:ms}",
    "overtaken": "one list, from {at:ms}, shows {other} as {status} and {run} as pending",
    "outlasted": "{run}'s create, sent at {sent:ms}, was answered only at {at:ms}, with the status {said}; by "
    "{seen:ms} a read had shown {run} as {status}",
    "throughout": "{run} was inflight throughout the read of thread {thread} from {from_:ms} to {to:ms}: accepted by "
    "{since:ms}, and its last gate was closed until {until:ms}",
    "gated": "the last gate of {runs:and} was closed until {until:ms}",
    "held": "{run} was held at its gate in superstep {step} from {since:ms} until {until:ms}",
    "waited": "the harness had waited until {at:ms} for {run} to stop",
    "outwaited": "the harness had waited until {at:ms} for {run} to stop, which was told to, or for the settle "
    "deadline",
    "unended": "nothing that may end {run} was sent before {at:ms}, and until then no read showed it ended",
    "undisturbed": "nothing was sent that may have displaced or cancelled {run}{end:end}",
    "only": "nothing but {calls:and} may have displaced {run}: {kind} is its only legal end by others",
    "idle": "no run of thread {thread} but {besides:and} can have been inflight at {at:ms}{ended:ended}",
    # what was read of runs
    "read": "{run} was read as {status:status} by a read from {sent:ms} to {at:ms}",
    "final": "{run} was finally read as {status:status} at {sent:ms}",
    "listed": "a list of runs ({phase}) from {sent:ms} names {run}",
    # what the probe told
    "told": "{run} {what:verb} superstep {step} by {at:ms}",
    "under": "superstep {step} of {run} was executed under the run id {id}",
    "found": "{run} found a log of {log} (hash {log_hash}), counter {counter}, note {note!r} and {messages} messages "
    "(hash {messages_hash}) when it started",
    "saw_input": "{run} found {input}'s input in the state when it entered superstep {step}",
    "after": "{run} entered its first superstep, by {at:ms}, after {other} had entered superstep {step}",
    "next": "{run} started after {other}, and no other run of the thread between them",
    "overlap": "on one clock, {run} began {begun:.1f} ms before {other} entered superstep {step}, and left its "
    "superstep {last} {left:.1f} ms after that",
    "retry": "{run} announced no second attempt",
    "no_end": "{run} {reached:reached} of {of}, and its whole segment is not in the state",
    # what was read of threads
    "log": "the final log of thread {thread} is {log:log}",
    "counter": "the final counter of thread {thread} is {value}",
    "holds": "the final state of thread {thread} holds {run} ({where:and}); its log is {log:log}",
    "foreign": "thread {thread} names {run}, a run of another thread ({where})",
    "thread_status": "thread {thread} was read as {status} by a read from {sent:ms} to {at:ms}",
    "changed": "the thread's {field} was {old} before {run}'s call (read at {since:ms}), and {new} after it (read by "
    "{until:ms}), with no other call between",
    "settled": "thread {thread} had settled by {at:ms}: all runs ended, and not busy",
    "unsettled": "thread {thread} had not settled at {at:ms}, {waited:.1f} s after the last sign of life with all "
    "gates open: {what}",
    "leftover": "{what} of thread {thread}, read from {sent:ms} to {at:ms}, holds {run}, which was created before "
    "{before:ms}",
    "unbegun": "{run} had entered no superstep at {at:ms}, when the harness had waited {waited:.1f} s for that",
    # requests that were sent as they stand
    "requested": "{request}, in which {what}, was sent for thread {thread} at {sent:ms} and answered {answer} at "
    "{at:ms}; to send it again: {curl}",
    "left": "a read ({op}) from {sent:ms}, where {request} alone can have made anything, shows {what}",
    "delays": "{delayed}, which was to wait, was pending at {at:ms}, when {other}, accepted after it, had long ended",
    "hooked": "a call of {run}'s webhook was received at {at:ms}",
    "unhooked": "no call of {run}'s webhook had come by {at:ms}, when the harness had waited {waited:.1f} s for it",
    # checkpoints
    "written": "checkpoint {checkpoint} of the final history holds superstep {step} of {run}",
    "carries": "checkpoint {checkpoint} of the final history{ancestor:ancestor} carries {run}",
    "input_in": "checkpoint {checkpoint} of {of} in the final history holds {run}'s input",
    "new": "checkpoint {checkpoint} of {run} is in the final history, and was not in the one that was read when the "
    "thread had settled",
    "headless": "the head {checkpoint} of thread {thread} is not in its history",
    "hole": "checkpoint {checkpoint}, an ancestor of the head of thread {thread}, has the parent {parent}, which the "
    "history does not hold",
    "link": "checkpoint {checkpoint} of {tag}, an ancestor of the head of thread {thread}, has the log {log:log}, its "
    "parent {parent} has {before:log}",
    "unnamed": "checkpoint {checkpoint} of the final history of thread {thread}, written by a run ({source}), names no "
    "run",
    "misnamed": "checkpoint {checkpoint} of the final history, which adds superstep {step} of {run} to its parent's "
    "log, names the run {names}",
    "dead": "checkpoint {checkpoint}, an ancestor of the head, belongs to {run}",
    "fork": "checkpoints {checkpoint} ({log:log}) and {other} ({other_log:log}) of thread {thread} have the same "
    "parent {parent}",
}

VERBS = {
    "enter": "entered",
    "leave": "left",
    "raise": "raised in",
    "effect": "committed an effect in",
    "cancelled": "was told to stop in",
    "swallowed": "was told to stop in",
}


class _Prose(Formatter):
    """Formats for the kinds of arguments."""

    def format_field(self, value: Any, spec: str) -> str:
        match spec:
            case "ms":
                return ms(value)
            case "tells":
                return ", with an error" if value else ", with nothing that says an error"
            case "wait":
                return ", wait" if value else ""
            case "endpoint":
                return "" if value == "runs" else f" on /runs/{value}"
            case "strategy":
                return value or "no strategy"
            case "status":
                return "gone (404)" if value == GONE else str(value)
            case "verb":
                return VERBS.get(value, f"announced {value} in")
            case "inside":
                return "" if value is None else f", inside its superstep {value}"
            case "and":
                return " and ".join(value)
            case "log":
                return " ".join(e.replace(":", "") for e in value) or "(empty)"
            case "ended":
                return f": {', '.join(value)} before" if value else ""
            case "end":
                return f", whose script ends in {value}" if value else ""
            case "reached":
                return "never started" if value is None else f"went no further than superstep {value}"
            case "ancestor":
                return ", an ancestor of the head," if value else ""
        return str(super().format_field(value, spec))


_PROSE = _Prose()


@dataclass(frozen=True)
class Claim:
    """A kind of the vocabulary and its arguments, by name."""

    kind: str
    args: tuple[tuple[str, Arg], ...]

    def __str__(self) -> str:
        return _PROSE.vformat(VOCABULARY[self.kind], (), dict(self.args))


@dataclass(frozen=True)
class Fact:
    """One certain statement and the records (``#n``) that prove it.

    ``claim`` is mere prose where nothing is accused: in policies and hazards. A violation's proof consists of
    claims, or it is no proof.
    """

    claim: Claim | str
    cites: tuple[int, ...]

    @property
    def text(self) -> str:
        """The statement, for people."""
        return str(self.claim)

    def __str__(self) -> str:
        return f"{self.text} [{', '.join(f'#{n}' for n in self.cites)}]"


def fact(kind: str, cites: Sequence[int], /, **args: Arg) -> Fact:
    """A fact of this kind; a record that proves it twice over is cited once."""
    return Fact(Claim(kind, tuple(args.items())), tuple(dict.fromkeys(cites)))
