"""Proofs made wrong in one place each, none of which the verifier may accept: how the verifier is tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance.history import History
from conformance.proof import verify
from conformance.proof.witness import Witness

SHIFT_S = 0.001


def mutants(violation: Any, records: int) -> Iterator[tuple[str, Any]]:
    """Violations with one fact taken away, given twice, altered in one argument, or cited otherwise; and what was
    done. ``records``: how many the history has."""
    proof = violation.proof
    for i, fact in enumerate(proof):
        kind = getattr(fact.claim, "kind", "prose")

        def changed(*facts: Any, at: int = i) -> Any:
            return replace(violation, proof=(*proof[:at], *facts, *proof[at + 1 :]))

        yield f"without {kind}", changed()
        yield f"{kind} twice", changed(fact, fact)
        for name, arg in getattr(fact.claim, "args", ()):
            for other in _others(arg):
                args = tuple((n, other if n == name else a) for n, a in fact.claim.args)
                yield f"{kind} with {name}={other!r}", changed(replace(fact, claim=replace(fact.claim, args=args)))
        for cites in _recited(fact.cites, records):
            yield f"{kind} with cites {cites}", changed(replace(fact, cites=cites))


def _others(arg: Any) -> list[Any]:
    """Other values for an argument."""
    match arg:
        case bool():
            return [not arg]
        case int():
            return [arg + 1, arg - 1]
        case float():
            return [arg + SHIFT_S, arg - SHIFT_S, arg + 1000.0, -1.0]
        case str():
            return [f"{arg}'", "A" if arg != "A" else "B", "success" if arg != "success" else "interrupted"]
        case tuple():
            return [(*arg, "A:0"), arg[:-1] if arg else ("B:0",)]
    return [0, "A"]


def _recited(cites: tuple[int, ...], records: int) -> Iterator[tuple[int, ...]]:
    for i, n in enumerate(cites):
        yield (*cites[:i], *cites[i + 1 :])
        yield (*cites[:i], n + 1, *cites[i + 1 :])
        yield (*cites[:i], n - 1, *cites[i + 1 :])
    yield (*cites, records)
    if 0 not in cites:
        yield (0, *cites)


def weaknesses(history: History, requirement_id: str, violation: Any) -> list[str]:
    """What the verifier accepts of a violation's mutants, or that it does not accept the violation itself."""
    witness = Witness(history)
    why = verify(witness, requirement_id, violation)
    if why is not None:
        return [why]
    made = mutants(violation, len(history.records))
    return [f"{requirement_id}: accepted {what}" for what, v in made if verify(witness, requirement_id, v) is None]
