"""The model's own test is tested: every rule is changed, one at a time, and each change must be noticed."""

from __future__ import annotations

import inspect

import pytest

from conformance import model
from tests.conformance.model_rules import battery
from tests.conformance.mutants import Mutant, mutants

EQUIVALENT = {
    "Model._displace_all: break -> continue": "under that dialect every run behind the first one is left alone too",
}

SOURCE = inspect.getsource(model)
MUTANTS = list(mutants(SOURCE, "model"))
PIECES = 8  # so that they can be run side by side


def noticed(mutant: Mutant) -> bool:
    """Whether anything fails with this mutant."""
    try:
        battery(mutant.module)
    except Exception:  # whatever it breaks
        return True
    return False


def test_the_model_itself_passes() -> None:
    battery(model)


@pytest.mark.parametrize("piece", range(PIECES))
def test_every_mutant_is_noticed(piece: int) -> None:
    survivors = [m.what for m in MUTANTS[piece::PIECES] if m.what not in EQUIVALENT and not noticed(m)]
    assert not survivors


def test_there_are_mutants_of_every_rule() -> None:
    """Of every method; and nothing is called equivalent that is no mutant, or is noticed."""
    where = {m.what.partition(":")[0] for m in MUTANTS}
    methods = {f"Model.{name}" for name, value in vars(model.Model).items() if inspect.isfunction(value)}
    assert methods <= where
    by_name = {m.what: m for m in MUTANTS}
    assert not [what for what in EQUIVALENT if what not in by_name or noticed(by_name[what])]
