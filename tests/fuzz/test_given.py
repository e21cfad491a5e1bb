"""The public strategy: programs for people's own tests, that shrink."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import find, given

from conformance.fuzz.given import programs, settings
from conformance.programs import Program, Together
from tests.fuzz.test_fuzz_grammar import sound


@settings(max_examples=100)
@given(programs())
def test_drawn_programs_are_programs(program: Program) -> None:
    sound(program)
    assert Program.from_json(json.loads(json.dumps(program.to_json()))) == program


def test_hypothesis_makes_them_small() -> None:
    def two_at_once(program: Program) -> bool:
        return any(isinstance(m, Together) and len(m.creates) > 1 for m in program.moves)

    bounds = settings(max_examples=500, database=None)
    smallest = find(programs(), two_at_once, settings=bounds, random=random.Random(1))
    assert len(smallest.creates()) <= 3


def test_settings_suit_a_real_server() -> None:
    assert settings().deadline is None
    assert settings().print_blob
    assert settings(max_examples=7).max_examples == 7


@pytest.mark.parametrize("module", ["conformance.fuzz.commands", "conformance.fuzz.campaign"])
def test_the_campaign_does_not_need_hypothesis(module: str) -> None:
    import subprocess
    import sys

    code = (
        f"import sys, {module}; sys.exit(bool([m for m in ('hypothesis', 'distributed', 'redis') if m in sys.modules]))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
