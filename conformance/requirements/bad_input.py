"""bad-input: what is no legal request is refused with a 4xx and leaves nothing behind. It is never a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator

from conformance.bad_input import GENERATED
from conformance.facts import Request, Thread, controls, delays_fact, ignores_delays, requests_of, shown
from conformance.requirements.base import MUST, Exercise, Exercised, Judgement, Observed, Violation, requirement

SOURCE = "the API reference: error answers, and the schemas of requests"
OWED = "refused with a 4xx"
FIELD = "multitask_strategy"


def _judged(thread: Thread, wrong: str) -> Iterator[Judgement]:
    """Judges every request that is wrong in this respect."""
    for request in requests_of(thread):
        if request.wrong == wrong:
            yield from _of_request(thread, request)


def _of_request(thread: Thread, request: Request) -> Iterator[Judgement]:
    left = request.left_fact()
    if request.crashed:
        observed = f"{request.what}: answered {shown(request.call)}"
        yield Violation("a 4xx: the server never fails at what it is sent", observed, (request.fact(),))
    elif request.refused and left is not None:
        observed = f"{request.what}: refused with {request.call.status}, and yet something was made"
        yield Violation(f"{OWED}, and nothing is left behind", observed, (request.fact(), left))
    elif request.refused:
        yield from _exercised(thread)
    elif request.call.ok and not request.owes_refusal:
        if not request.generated:
            yield Observed(f"accepted: {request.what}", overlap=False)
        yield from _exercised(thread)
    elif request.call.ok:
        yield from _accepted(thread, request)


def _accepted(thread: Thread, request: Request) -> Iterator[Judgement]:
    """What had to be refused was not, if the answer, or a run that is there, shows that it was accepted."""
    left = request.left_fact()
    proof = [request.fact()]
    if request.made is None:
        if left is None or left.cites[-1] not in {c.n for c in thread.lists} or request.operation == "create-thread":
            return
        proof.append(left)
    if request.wrong == "negative-delay":
        delays = delays_fact(thread.facts)
        if delays is None:  # perhaps a server without delays, which ignores the field
            if ignores_delays(thread.facts):
                yield Observed(f"accepted: {request.what} (no run is delayed by this target)", overlap=False)
            return
        proof.append(delays)
    yield Violation(OWED, f"{request.what}: accepted with {request.call.status}", tuple(proof))


def _exercised(thread: Thread) -> Iterator[Judgement]:
    """A refusal says something only where the same request, made right, is accepted."""
    if controls(thread.facts):
        yield Exercised(overlap=False)


@requirement(
    "bad-input.strategy",
    MUST,
    "A create with an unknown strategy is refused with a 4xx, and nothing is created.",
    source=SOURCE,
    exercised_by=("bad-input-strategy",),
    breaks="an unknown strategy is taken for the default, so that a misspelt rollback waits in the queue; or the "
    "thread is made before the run is looked at",
    advice="check the value against the four strategies before anything else, and name the field in the answer",
)
def strategy(thread: Thread) -> Iterator[Judgement]:
    """Judges creates whose strategy no server has; says whether the refusals name the field."""
    yield from _judged(thread, "strategy")
    for request in requests_of(thread):
        if request.wrong == "strategy" and request.refused:
            names = FIELD in json.dumps(request.call.answer, default=str)
            yield Observed(f"the refusal {'names' if names else 'does not name'} the field", overlap=False)


@requirement(
    "bad-input.json",
    MUST,
    "A body that is no JSON is refused with a 4xx, and nothing is created.",
    source=SOURCE,
    exercised_by=("bad-input-json", Exercise(GENERATED, least=0)),
    breaks="the parser's exception is nobody's, and becomes a 500",
    advice="parse inside the part that answers 400, before the thread is touched",
)
def no_json(thread: Thread) -> Iterator[Judgement]:
    """Judges bodies that are no JSON, of another content type, or hold text that stores stumble over."""
    yield from _judged(thread, "json")


@requirement(
    "bad-input.types",
    MUST,
    "Input of wrong types is no failure of the server, and creates nothing where it is refused.",
    source=SOURCE,
    exercised_by=("bad-input-types", Exercise(GENERATED, least=0)),
    breaks="a field is used before it is checked, so that a text where an object should be is a 500, or a run is "
    "stored and then found to be unusable",
    advice="validate the whole body against its schema first; send the request of the proof to see where it fails",
)
def types(thread: Thread) -> Iterator[Judgement]:
    """Judges requests with fields of wrong types, by hand and generated from the target's own description."""
    yield from _judged(thread, "types")


@requirement(
    "bad-input.unknown-assistant",
    MUST,
    "A create for an assistant that does not exist is refused with a 4xx, and nothing is created.",
    source=SOURCE,
    exercised_by=("bad-input-unknown-assistant",),
    breaks="the run is stored first and its assistant looked up when it starts: it fails there, or never ends",
    advice="look the assistant up before the run, and before the thread of if_not_exists, is made",
)
def unknown_assistant(thread: Thread) -> Iterator[Judgement]:
    """Judges creates for an id and for a name that nobody has."""
    yield from _judged(thread, "unknown-assistant")


@requirement(
    "bad-input.negative-delay",
    MUST,
    "A create with a negative after_seconds is refused with a 4xx, and nothing is created.",
    source=SOURCE,
    exercised_by=("bad-input-negative-delay", Exercise(GENERATED, least=0)),
    breaks="the start is computed without a look at the sign: the run counts as created in the past and overtakes "
    "those that wait",
    advice="demand after_seconds >= 0",
)
def negative_delay(thread: Thread) -> Iterator[Judgement]:
    """Judges creates that are to start before they were made, on a target that delays runs."""
    yield from _judged(thread, "negative-delay")


@requirement(
    "bad-input.oversize",
    MUST,
    "Input of any size and depth is no failure of the server, and creates nothing where it is refused.",
    source=SOURCE,
    exercised_by=("bad-input-oversize", Exercise(GENERATED, least=0)),
    breaks="recursion without a bound, numbers that fit no type, sizes that fit no buffer",
    advice="bound size and depth of bodies where they come in, and answer 413 or 422 beyond that",
)
def oversize(thread: Thread) -> Iterator[Judgement]:
    """Judges large, deep and extreme input; whether the target takes it is its policy."""
    yield from _judged(thread, "oversize")
