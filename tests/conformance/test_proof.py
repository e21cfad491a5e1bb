"""Proofs and their verifier, over stored histories.

``violations/ID-n.jsonl``: some requirement is violated, at least ID; together they violate every requirement in every
way. ``legal/ID--what.jsonl``: looks like a violation of ID and is none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import conformance.proof
from conformance.config import Options, Plan
from conformance.dialects import Dialect
from conformance.facts import VOCABULARY, Claim, Fact, Facts, Thread, fact
from conformance.history import Call, GateOpened, History, Record, Remark, Told
from conformance.notation import parse
from conformance.proof import verify
from conformance.proof.mutants import mutants, weaknesses
from conformance.proof.premises import WAYS
from conformance.proof.witness import Witness
from conformance.proving import ProvingCheck, accepted_mutants
from conformance.requirements import REGISTRY
from conformance.requirements.base import Judgement, Violation
from conformance.verdicts import EXPLAINABLE, Tally, judge

HERE = Path(__file__).parent
VIOLATIONS = sorted((HERE / "violations").glob("*.jsonl"))
LEGAL = sorted((HERE / "legal").glob("*.jsonl"))


@pytest.fixture(params=VIOLATIONS, ids=lambda p: p.stem)
def history(request: pytest.FixtureRequest) -> History:
    return History.load(request.param)


def violations(history: History) -> Iterator[tuple[str, Violation]]:
    """All of them that consist of claims."""
    for id, said in judge(history).items():
        assert said.error is None
        for violation in said.violations if id != EXPLAINABLE else ():
            yield id, violation


def kinds(violation: Violation) -> tuple[str, ...]:
    return tuple(f.claim.kind for f in violation.proof if isinstance(f.claim, Claim))


# --- proofs that stand, and none with a fact less --------------------------------------------------


def test_every_violation_is_proven_and_no_mutant_of_its_proof_is(history: History) -> None:
    found = list(violations(history))
    assert history.name.rpartition("-")[0] in {id for id, _ in found}
    found += [(EXPLAINABLE, violation) for violation in judge(history, [EXPLAINABLE])[EXPLAINABLE].violations]
    for id, violation in found:
        assert list(accepted_mutants(history, id, violation)) == []


def test_a_proof_is_of_its_own_requirement_and_history_only(history: History) -> None:
    elsewhere = History.load(next(p for p in VIOLATIONS if p.stem != history.name))
    for id, violation in violations(history):
        assert verify(elsewhere, id, violation) is not None
        accused = {other for other in WAYS if verify(history, other, violation) is None}
        assert accused == {id}


def test_every_cited_record_is_needed(history: History) -> None:
    for id, violation in violations(history):
        for n in {n for f in violation.proof for n in f.cites}:
            blank = Remark(n=n, at=0.0, kind="nothing", detail={})
            without = replace(history, records=(*history.records[:n], blank, *history.records[n + 1 :]))
            assert verify(without, id, violation) is not None, f"{id} is proven without #{n}"


def test_records_that_say_something_else_prove_nothing(history: History) -> None:
    """The proof stays as it was; what it cites was answered, told or opened otherwise."""
    for id, violation in violations(history):
        answers = {
            n for f in violation.proof if isinstance(f.claim, Claim) and f.claim.kind == "answered" for n in f.cites
        }
        for n in {n for f in violation.proof for n in f.cites}:
            for other in altered(history.records[n], n in answers):
                records = (*history.records[:n], other, *history.records[n + 1 :])
                changed = verify(replace(history, records=records), id, violation)
                assert changed is not None, f"{id} is proven by {other}"


def altered(record: Record, answer: bool) -> Iterator[Record]:
    match record:
        case Call(op="create"):
            yield replace(record, tag=f"{record.tag}'")
            if answer:
                yield replace(record, status=503 if record.ok else 200, answer={"run_id": "other", "status": "pending"})
                yield replace(record, status=None, received=None, error="lost")
        case Call():
            yield replace(record, status=599)
            yield replace(record, thread="elsewhere")
        case Told():
            yield replace(record, tag=f"{record.tag}'")
            yield replace(record, kind="something")
        case GateOpened():
            yield replace(record, sent=0.0)


def test_the_stored_violations_take_every_way() -> None:
    taken = {(id, kinds(v)) for p in VIOLATIONS for id, v in violations(History.load(p))}
    for id, ways in WAYS.items():
        for pattern, _ in ways:
            assert any(i == id and conformance.proof.fits(pattern, k) for i, k in taken), f"{id}: {pattern}"


@pytest.mark.parametrize(("status", "accused"), [(200, True), (404, True), (500, False)])
def test_who_is_let_go_late_was_held_whatever_it_is_told(status: int, accused: bool) -> None:
    """404: its run was rolled back meanwhile. 500: the call failed, which says nothing of the release."""
    path = next(p for p in VIOLATIONS if p.stem == "endpoint.bounded.join-2")
    history = History.load(path)
    late = [replace(r, status=status) if isinstance(r, Call) and r.op == "join" else r for r in history.records]
    said = judge(replace(history, records=tuple(late)), ["endpoint.bounded.join"])["endpoint.bounded.join"]
    assert (bool(said.violations), said.error) == (accused, None)


# --- what looked like a violation and is none -------------------------------------------------------


@pytest.mark.parametrize("path", LEGAL, ids=lambda p: p.stem)
def test_no_false_alarm(path: Path) -> None:
    id = path.stem.partition("--")[0]
    judged = judge(History.load(path), [id])[id]
    assert (judged.violations, judged.error) == ([], None)


# --- the vocabulary --------------------------------------------------------------------------------


def test_the_vocabulary_is_closed() -> None:
    derived = {name.removeprefix("derive_") for name in dir(Witness) if name.startswith("derive_")}
    premises = {k for ways in WAYS.values() for p, _ in ways for w in p.split() for k in w.rstrip("+*").split("|")}
    assert derived == premises == set(VOCABULARY)


def test_every_must_and_should_has_its_premises() -> None:
    named = {r.id for r in REGISTRY.values() if r.level in ("MUST", "SHOULD")} - {"history.explainable"}
    assert set(WAYS) == named  # the model proves the other one


def test_the_verifier_is_independent() -> None:
    """Of conformance it imports the history's records, and itself."""
    for path in Path(conformance.proof.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                own = (name or "").startswith("conformance.proof")
                assert own or name == "conformance.history" or not (name or "").startswith("conformance"), path


def test_a_text_is_made_from_its_claim(history: History) -> None:
    for _, violation in violations(history):
        for given in violation.proof:
            assert isinstance(given.claim, Claim)
            assert given.text == str(given.claim)
            for name, arg in given.claim.args:
                if name in ("run", "runs", "over", "checkpoint"):
                    assert all(t in given.text for t in (arg if isinstance(arg, tuple) else (str(arg),)))


def test_how_a_fact_reads() -> None:
    held = fact("inflight", (0, 3, 9), run="A", op="create", over="B", since=0.001, inside=1, until=0.05)
    assert str(held) == (
        "A was inflight while create B took effect: accepted by t=1.0 ms, inside its superstep 1, and its last gate "
        "was closed until t=50.0 ms [#0, #3, #9]"
    )
    assert (
        str(fact("final", (4,), run="A", status="gone", sent=1.0))
        == "A was finally read as gone (404) at t=1000.0 ms [#4]"
    )


# --- what is not proven accuses nobody --------------------------------------------------------------

ID = "run.status-legal"


def judged_by(oracle: object, monkeypatch: pytest.MonkeyPatch, history: History) -> tuple[list[Violation], str | None]:
    monkeypatch.setitem(REGISTRY, ID, replace(REGISTRY[ID], oracle=oracle))
    said = judge(history, [ID])[ID]
    return said.violations, said.error


def test_prose_accuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def oracle(_: Thread) -> Iterator[Judgement]:
        yield Violation("this", "that", (Fact("it is known", (0,)),))

    found, error = judged_by(oracle, monkeypatch, History.load(VIOLATIONS[0]))
    assert found == []
    assert error is not None
    assert "prose" in error


def test_a_proof_with_a_false_fact_accuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    history = next(h for p in VIOLATIONS if (h := History.load(p)).name.startswith(ID))
    real = REGISTRY[ID].oracle

    def oracle(thread: Thread) -> Iterator[Judgement]:
        for j in real(thread):
            yield replace(j, proof=j.proof[:-1]) if isinstance(j, Violation) else j

    assert len(judge(history, [ID])[ID].violations) == 1
    found, error = judged_by(oracle, monkeypatch, history)
    assert found == []
    assert error is not None
    assert "do not add up" in error


def test_what_is_not_proven_is_the_harness_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def oracle(_: Thread) -> Iterator[Judgement]:
        yield Violation("this", "that", ())

    monkeypatch.setitem(REGISTRY, ID, replace(REGISTRY[ID], oracle=oracle))
    history = replace(History.load(VIOLATIONS[0]), program={"name": "x", "family": "y", "moves": []})
    tally = Tally({ID: REGISTRY[ID]})
    tally.add(history, judge(history, [ID]))
    (result,) = tally.conclude()
    assert result.verdict == "harness-error"
    assert "unproven" in result.why
    assert ID in tally.errors


# --- the mutants themselves -------------------------------------------------------------------------


def test_mutants_touch_every_fact_argument_and_citation() -> None:
    history = next(h for p in VIOLATIONS if (h := History.load(p)).name.startswith("reject.conflict"))
    violation = judge(history, ["reject.conflict"])["reject.conflict"].violations[0]
    done = [what for what, _ in mutants(violation, len(history.records))]
    for given in violation.proof:
        assert isinstance(given.claim, Claim)
        assert f"without {given.claim.kind}" in done
        assert all(any(f"{given.claim.kind} with {n}=" in d for d in done) for n, _ in given.claim.args)
        assert any(f"{given.claim.kind} with cites" in d for d in done)


def test_a_verifier_that_accepts_everything_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History.load(VIOLATIONS[0])
    id, violation = next(violations(history))
    monkeypatch.setattr("conformance.proof.mutants.verify", lambda *_: None)
    assert len(weaknesses(history, id, violation)) > len(violation.proof)


def test_the_self_test_fails_where_a_proof_is_weak(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ProvingCheck(Plan("http://127.0.0.1:9", Options(), Dialect(), seed=1, cracks=1, rounds=0))
    for path in VIOLATIONS[:3]:
        history = History.load(path)
        check.noted(history, judge(history))
    assert check.weaknesses() == []
    monkeypatch.setattr("conformance.proof.mutants.verify", lambda *_: None)
    assert check.weaknesses() != []


STOPPED_BEFORE = """
A = emit@g emit
Q = emit
R = emit

client 1 |create A enqueue ─200 @0..5  create Q enqueue ─200 @20..25  create R enqueue ─200 @30..35
run A    |enter 0 @10
client 2 |cancel Q <action> ─204 @50..55  cancel A rollback ─204 @60..65
run R    |enter 0 found nothing @80  leave 0 @85
harness  |open g @100  settled @300
"""


def test_what_follows_a_run_is_certain_only_if_nothing_between_may_have_left_its_input() -> None:
    """A run that was interrupted before its first superstep announces nothing, and its input may be in the state."""
    for action, certain in (("rollback", True), ("interrupt", False)):
        history = parse(STOPPED_BEFORE.replace("<action>", action))
        (thread,) = Facts(history).threads.values()
        following = thread.next_after(thread.runs["A"])
        assert (following is not None) == certain
        derived = Witness(history).derive_next(SimpleNamespace(run="R", other="A"), [])
        assert (derived is not None) == certain
