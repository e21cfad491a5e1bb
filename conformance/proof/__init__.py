"""An independent verifier of proofs: it knows the records, and nothing of the facts' and oracles' code.

Three steps: every claim is derived again from the raw records that it cites (``witness``), and must come out
the same, to the last argument and the last cited record; the kinds of the claims must be exactly the premises of
one of the ways in which the requirement can be violated (``premises``); and that way's condition must link them.
So a proof of which any one fact is taken away is rejected, and so is one with a fact too many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from conformance.history import History
from conformance.proof.premises import WAYS
from conformance.proof.witness import Witness

__all__ = ["Witness", "fits", "unfounded", "verify"]

# What looking up something that is not in the records ends in.
UNFOUNDED = (KeyError, IndexError, AttributeError, TypeError, ValueError, StopIteration)


class Claim(Protocol):
    """A kind and its arguments."""

    @property
    def kind(self) -> str: ...
    @property
    def args(self) -> Sequence[tuple[str, Any]]: ...


def verify(history: History | Witness, requirement_id: str, violation: Any) -> str | None:
    """Why the violation is not proven by the records of the history; None if it is.

    A ``Witness`` of the history saves time where it has many violations.
    """
    witness = history if isinstance(history, Witness) else Witness(history)
    for i, fact in enumerate(violation.proof, 1):
        why = unfounded(witness, fact.claim, fact.cites)
        if why is not None:
            return f"fact {i} of {requirement_id} does not follow from its records: {why}"
    if adds_up(witness, requirement_id, [f.claim for f in violation.proof]):
        return None
    kinds = ", ".join(f.claim.kind for f in violation.proof) or "nothing"
    return f"the facts do not add up to a violation of {requirement_id}: {kinds}"


def unfounded(witness: Witness, claim: Claim | str, cites: Sequence[int]) -> str | None:
    """Why a claim does not follow from the records that it cites."""
    if isinstance(claim, str):
        return f"it is prose: {claim}"
    derive = getattr(Witness, f"derive_{claim.kind}", None)
    if derive is None or not all(isinstance(n, int) and 0 <= n < len(witness.records) for n in cites):
        return f"{claim.kind}: no such claim, or no such record"
    given = dict(claim.args)
    try:
        derived: tuple[Mapping[str, Any], Sequence[int]] | None
        derived = derive(witness, SimpleNamespace(**given), [witness.records[n] for n in cites])
    except UNFOUNDED as e:
        return f"{claim.kind}: the records do not say this ({type(e).__name__}: {e})"
    if derived is None:
        return f"{claim.kind}: it is not so"
    args, records = derived
    if args != given:
        return f"{claim.kind}: the records say {dict(args)}, not {given}"
    if tuple(dict.fromkeys(records)) != tuple(cites):
        return f"{claim.kind}: it is proven by the records {tuple(records)}, not {tuple(cites)}"
    return None


def adds_up(witness: Witness, requirement_id: str, claims: Sequence[Claim]) -> bool:
    """Whether these claims are the premises of one way to violate the requirement, linked as they must be."""
    for kinds, condition in WAYS.get(requirement_id, ()):
        premises = _matched(kinds, [(c.kind, SimpleNamespace(**dict(c.args))) for c in claims])
        try:
            if premises is not None and condition(witness, *premises):
                return True
        except UNFOUNDED:
            continue
    return False


def fits(pattern: str, kinds: Sequence[str]) -> bool:
    """Whether a proof of these kinds of claims has the form of these premises."""
    return _matched(pattern, [(kind, None) for kind in kinds]) is not None


def _matched(pattern: str, claims: Sequence[tuple[str, Any]]) -> list[Any] | None:
    """The claims, premise by premise; ``kind+`` and ``kind*`` take all neighbours of that kind, as a list."""
    loose = list(claims)
    premises: list[Any] = []
    for wanted in pattern.split():
        kinds = wanted.rstrip("+*").split("|")
        if wanted[-1] in "+*":
            taken = []
            while loose and loose[0][0] in kinds:
                taken.append(loose.pop(0)[1])
            if not taken and wanted[-1] == "+":
                return None
            premises.append(taken)
        elif loose and loose[0][0] in kinds:
            premises.append(loose.pop(0)[1])
        else:
            return None
    return None if loose else premises
