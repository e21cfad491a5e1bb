"""Dialects: switches with sources, files of them, and policies that they pin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.config import Options, Plan
from conformance.dialects import DIALECTS, SWITCHES, Dialect, UnknownDialect, find_dialect, pins_of, under
from conformance.driver import Check
from conformance.facts import Fact
from conformance.notation import parse
from conformance.requirements import REGISTRY, Level
from conformance.requirements.base import Exercised, Hazard, Observed, Violation
from conformance.verdicts import judge

PROOF = (Fact("so it was", (1,)),)
REFUSED_WITHOUT_STRATEGY = """
A = emit@g
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B default ─409
harness  |                                             open g  settled  get A ─success
"""
FOUR = ("reject.", "enqueue.", "interrupt.", "rollback.")


def test_the_built_in_ones() -> None:
    assert set(DIALECTS) == {"agent-server", "agent-server-js", "agent-protocol"}
    assert find_dialect("agent-server").refusal_code == 409
    assert find_dialect("agent-server-js").refusal_code == 422
    assert find_dialect("agent-protocol").default_strategy == "reject"
    assert pins_of(find_dialect("agent-server").to_json()) == {}
    for dialect in DIALECTS.values():
        for name, switch in SWITCHES.items():
            assert getattr(dialect, name) in (None, *switch.values), f"{dialect.name}: {name}"


def test_every_switch_has_a_source_and_none_hides_a_must_of_the_strategies() -> None:
    for name, switch in SWITCHES.items():
        assert len(switch.source) > 10
        if switch.requirement in REGISTRY and switch.pins:
            assert REGISTRY[switch.requirement].level == Level.POLICY, name
        if switch.requirement.startswith(FOUR):
            assert name == "refusal_code"


def test_a_file_of_switches(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('refusal_code = 422\ndefault_strategy = "enqueue"\n')
    assert find_dialect(str(file)) == Dialect("mine", refusal_code=422, default_strategy="enqueue")
    file.write_text('extends = "agent-protocol"\nname = "ours"\nrefusal_code = 423\n')
    assert find_dialect(str(file)) == replace(DIALECTS["agent-protocol"], name="ours", refusal_code=423)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("refusal_code = 'x'", "refusal_code takes one of 409, 422, 400, 423, not 'x'"),
        ("refusal_code = 200", "not 200"),
        ("refusal_code = true", "not True"),
        ("default_strategy = 'abort'", "takes one of 'reject', 'enqueue'"),
        ("displaced_pending = ['all']", "takes one of 'all', 'executing'"),
        ("refusal_cod = 422", "unknown switch 'refusal_cod'; did you mean 'refusal_code'"),
        ("klingon = 1", "known are refusal_code, default_strategy"),
        ("name = 7", "name takes a text"),
        ("extends = 'klingon'", "there are agent-server"),
        ("[rollback]\ndeleted = false", "unknown switch 'rollback'"),
        ("refusal_code", "mine.toml"),
    ],
)
def test_files_that_make_no_sense(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UnknownDialect, match=r"mine\.toml") as e:
        find_dialect(str(file))
    assert says in str(e.value)


def test_a_switch_that_nothing_would_judge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = {id: r for id, r in REGISTRY.items() if id != "default.strategy"}  # not out of it: its order would be lost
    monkeypatch.setattr("conformance.dialects.REGISTRY", rest)
    with pytest.raises(UnknownDialect, match="does not judge"):
        Dialect.from_json({"default_strategy": "enqueue"})


def test_names_and_folders_that_are_no_dialect(tmp_path: Path) -> None:
    for wrong in ("nope", str(tmp_path)):
        with pytest.raises(UnknownDialect, match="agent-server-js"):
            find_dialect(wrong)


def test_a_pinned_policy_is_a_must_that_says_so() -> None:
    pinned = under(Dialect("mine", default_strategy="reject"))["default.strategy"]
    assert pinned.level == Level.MUST
    assert pinned.statement.endswith("Pinned by the dialect mine: reject.")
    assert under(Dialect())["default.strategy"].level == Level.POLICY


def test_a_pin_keeps_what_was_seen_and_adds_whether_it_is_what_is_demanded() -> None:
    pin = pins_of(Dialect(displaced_pending="executing").to_json())["displaced.pending"]
    seen = Observed("interrupt: leaves queued runs", PROOF)
    assert list(pin.held_to(seen)) == [seen, Exercised()]
    other = Observed("rollback: displaces queued runs too", PROOF)
    expected = "leaves queued runs, as the dialect pins it"
    assert list(pin.held_to(other)) == [other, Violation(expected, other.policy, PROOF)]
    assert list(pin.held_to(Hazard("x"))) == [Hazard("x")]


def test_histories_are_judged_by_their_dialect() -> None:
    """A create without strategy that is refused while A is held."""
    drawn = parse(REFUSED_WITHOUT_STRATEGY)
    for pinned, kinds in ((None, [Observed]), ("reject", [Observed, Exercised]), ("enqueue", [Observed, Violation])):
        history = replace(drawn, dialect=Dialect(default_strategy=pinned).to_json())
        said = judge(history, ["default.strategy"])["default.strategy"]
        assert [type(j) for j in said.judgements] == kinds
        assert all(len(v.proof) == 3 for v in said.violations)


def test_the_driver_judges_by_the_dialect() -> None:
    for dialect, verdict in ((Dialect(), None), (Dialect(default_strategy="reject"), "inconclusive")):
        check = Check(Plan("http://127.0.0.1:9", Options(only=("default.strategy",)), dialect, 1))
        check._finished = True
        (result,) = check.outcome().results
        assert result.verdict == verdict
