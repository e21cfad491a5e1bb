"""Programs for people's own ``@given`` tests: the same grammar, drawn and shrunk by Hypothesis.

    from conformance.fuzz.given import programs, settings

    @settings(max_examples=200)
    @given(programs())
    def test_my_server(program):
        ...

``settings`` are Hypothesis's with what suits a real server: no deadline, and the blob by which a failure is run again.
"""

from __future__ import annotations

from typing import Any

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st

from conformance.fuzz.grammar import draw_program
from conformance.fuzz.reducing import tidy
from conformance.programs import Program


class _Drawn:
    """Decisions that Hypothesis makes, and makes smaller."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, n: int) -> int:
        """A whole number from 0 to ``n`` - 1."""
        return self._draw(st.integers(0, n - 1))


@st.composite
def _programs(draw: st.DrawFn, name: str, harming: bool) -> Program:
    return tidy(draw_program(_Drawn(draw), name, harming))


def programs(name: str = "given", harming: bool = False) -> st.SearchStrategy[Program]:
    """Small programs of concurrent runs, biased to tight overlaps; ``harming``: with deletions, too."""
    return _programs(name, harming).filter(lambda program: bool(program.creates()))


def settings(**more: Any) -> hypothesis.settings:
    """Hypothesis's settings without deadline, with the blob printed, and with patience for a real server."""
    return hypothesis.settings(
        **{
            "deadline": None,
            "print_blob": True,
            "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            **more,
        }
    )
