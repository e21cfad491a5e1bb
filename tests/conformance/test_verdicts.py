"""From judgements to verdicts and exit codes (rules 1 and 2 of the specification)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.bad_input import GENERATED
from conformance.facts import Fact
from conformance.history import History
from conformance.requirements import REGISTRY
from conformance.requirements.base import Exercise, Exercised, Judgement, Undecided, Violation
from conformance.scenarios import all_programs
from conformance.verdicts import Judged, Result, Tally, decide

BROKEN = Violation("this", "that", (Fact("so it was", (1,)),))
MUST_ID, SHOULD_ID = "reject.one-winner", "enqueue.survives-failure"


def tally_of(*trials: Judgement | None, id: str = MUST_ID, least: int = 1) -> Tally:
    family = REGISTRY[id].exercised_by[0].family
    requirement = replace(REGISTRY[id], exercised_by=(Exercise(family, least),))
    tally = Tally({id: requirement})
    for judgement in trials:
        history = History({"name": "x", "family": family, "moves": []}, (), "callback", {})
        tally.add(history, {id: Judged(id, (judgement,) if judgement is not None else ())})
    return tally


def only(tally: Tally) -> Result:
    (result,) = tally.conclude()
    return result


def test_nothing_exercised_is_never_a_pass() -> None:
    assert only(tally_of(None, None)).verdict == "inconclusive"
    assert only(tally_of()).verdict == "inconclusive"


def test_the_minimum_must_be_reached() -> None:
    assert only(tally_of(Exercised(), least=2)).verdict == "inconclusive"
    assert only(tally_of(Exercised(), Exercised(), least=2)).verdict == "pass"


def test_one_violation_is_a_failure_with_a_rate() -> None:
    result = only(tally_of(Exercised(), BROKEN, Exercised()))
    assert (result.verdict, result.failed, result.exercised, result.rate) == ("fail", 1, 3, "sometimes")
    assert only(tally_of(BROKEN)).rate == "always"
    assert only(tally_of(Exercised())).rate == "never"


def test_an_oracle_that_raises_is_the_harness_fault() -> None:
    tally = tally_of(Exercised())
    history = History({"name": "x", "family": "y", "moves": []}, (), "callback", {})
    tally.add(history, {MUST_ID: Judged(MUST_ID, (), "KeyError: 'x'")})
    assert only(tally).verdict == "harness-error"


def test_a_trial_that_was_too_much_for_the_oracle_is_made_up_for_by_another_of_the_same_program() -> None:
    too_much = Undecided("the search gave up")
    assert only(tally_of(too_much)).verdict == "inconclusive"
    assert only(tally_of(too_much, Exercised())).verdict == "pass"
    assert only(tally_of(too_much, BROKEN)).verdict == "fail"
    tally = tally_of(Exercised())
    other = History(
        {"name": "y", "family": tally.requirements[MUST_ID].exercised_by[0].family, "moves": []}, (), "callback", {}
    )
    tally.add(other, {MUST_ID: Judged(MUST_ID, (too_much,))})
    assert only(tally).verdict == "inconclusive"
    assert only(tally).why == "the search gave up (in y)"
    assert tally.undecided(MUST_ID) == {"y": "the search gave up (in y)"}


def test_what_could_not_run_is_said() -> None:
    tally = tally_of()
    tally.could_not_run[REGISTRY[MUST_ID].exercised_by[0].family] = "the target was lost"
    assert (only(tally).verdict, only(tally).why) == ("could-not-run", "the target was lost")


def result(verdict: str, id: str = MUST_ID) -> Result:
    return Result(REGISTRY[id], verdict, "", None, None, 1, 1, 0, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("results", "strict", "lost", "code"),
    [
        ([result("pass")], False, False, 0),
        ([result("fail")], False, False, 1),
        ([result("fail"), result("harness-error")], False, True, 1),
        ([result("pass"), result("harness-error")], False, False, 4),
        ([result("pass")], False, True, 4),
        ([result("pass"), result("inconclusive")], False, False, 3),
        ([result("pass"), result("could-not-run")], False, False, 3),
        ([result("fail", SHOULD_ID)], False, False, 0),
        ([result("fail", SHOULD_ID)], True, False, 1),
        ([result("fail", SHOULD_ID), result("inconclusive")], False, False, 3),
        ([result("not-applicable")], False, False, 0),
    ],
)
def test_exit_codes(results: list[Result], strict: bool, lost: bool, code: int) -> None:
    assert decide(results, strict, lost) == code


def test_every_requirement_is_exercised_by_programs_that_exist() -> None:
    families = {p.family for p in all_programs(seed=1)} | {GENERATED}
    for requirement in REGISTRY.values():
        missing = {e.family for e in requirement.exercised_by} - families
        assert not missing, f"{requirement.id} names {missing}"
