"""Histories drawn in the notation, for tests of facts and oracles."""

from __future__ import annotations

from conformance.notation import parse
from conformance.requirements.base import Exercised, Judgement, Violation
from conformance.verdicts import judge


def filled(text: str, **parts: str) -> str:
    """The text with each ``<name>`` replaced; a line that holds ``<name>`` with the part ``-`` is left out."""
    lines = text.strip("\n").splitlines()
    for name, part in parts.items():
        mark = f"<{name}>"
        assert any(mark in line for line in lines), f"no {mark} in the drawing"
        lines = [line.replace(mark, part) for line in lines if mark not in line or part != "-"]
    return "\n".join(lines) + "\n"


def judgements(text: str, id: str) -> tuple[Judgement, ...]:
    """All that the oracle says of a drawing."""
    judged = judge(parse(text), [id])[id]
    assert judged.error is None, judged.error
    return judged.judgements


def said(text: str, id: str) -> tuple[list[Violation], int]:
    """The violations, and how often the requirement was exercised."""
    found = judgements(text, id)
    return [j for j in found if isinstance(j, Violation)], sum(isinstance(j, Exercised) for j in found)


def the_violation(text: str, id: str) -> Violation:
    """The one violation that there must be, with cited facts."""
    violations, _ = said(text, id)
    assert len(violations) == 1, violations
    assert all(fact.cites for fact in violations[0].proof)
    assert violations[0].proof
    return violations[0]
