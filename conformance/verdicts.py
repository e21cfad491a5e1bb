"""Verdicts: what the judgements of all histories say of each requirement (rules 1 and 2)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from conformance import any_graph, contradiction
from conformance.dialects import pins_of
from conformance.explain import BUDGET
from conformance.facts import CANCELS, Facts, no_such_endpoint
from conformance.history import Call, History, Told, history_file
from conformance.observed import observe
from conformance.programs import CRACK
from conformance.proof import Witness, verify
from conformance.requirements import REGISTRY, Level, Requirement
from conformance.requirements.base import (
    Exercise,
    Hazard,
    Inapplicable,
    Judgement,
    Observed,
    Oracle,
    Undecided,
    Violation,
)

Verdict = Literal["pass", "fail", "inconclusive", "not-applicable", "could-not-run", "harness-error"]


EXPLAINABLE = "history.explainable"  # the one requirement whose proof is checked by the model


@dataclass(frozen=True)
class Judged:
    """What one requirement's oracle said of one history."""

    requirement: str
    judgements: tuple[Judgement, ...]
    error: str | None = None  # the oracle itself failed, or accused without proof

    @property
    def violations(self) -> list[Violation]:
        return [j for j in self.judgements if isinstance(j, Violation)]

    @property
    def exercised(self) -> bool:
        """It said anything at all."""
        return any(not isinstance(j, Undecided | Inapplicable) for j in self.judgements)


def judge(history: History, only: Iterable[str] | None = None) -> dict[str, Judged]:
    """Every oracle over one history: a pure function.

    A violation that the independent verifier does not find proven is the harness's error, and accuses nobody.
    """
    facts, pins = Facts(history), pins_of(history.dialect)
    proves = _Verifier(facts)
    judged: dict[str, Judged] = {}
    for id in REGISTRY if only is None else only:
        try:
            own = [t for t in facts.threads.values() if REGISTRY[id].judges(t)]
            oracle = _oracle(REGISTRY[id], facts.unprobed)
            found = [j for thread in own for j in oracle(thread)] if oracle is not None else []
            unproven = {j: why for j in found if isinstance(j, Violation) and (why := proves.lacks(id, j))}
            where = f"{history.name} ({history_file(history.instance)})"
            error = next((f"unproven in {where}: {why}" for why in unproven.values()), None)
            found = [j for j in found if j not in unproven]
            if id in pins:  # a pinned policy reuses the proof of what was observed, which is prose
                found = [held for j in found for held in pins[id].held_to(j)]
            judged[id] = Judged(id, tuple(found), error)
        except Exception as e:  # an oracle's mistake is the harness's, never the target's
            judged[id] = Judged(id, (), f"{type(e).__name__}: {e} while judging {history.name}")
    return judged


def _oracle(requirement: Requirement, unprobed: bool) -> Oracle | None:
    """What judges the requirement; None where that cannot be done without the probe."""
    if not unprobed:
        return requirement.oracle
    return requirement.by_reads.oracle if requirement.by_reads is not None else None


class _Verifier:
    """Holds violations against the records of one history."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._witness: Witness | None = None

    def lacks(self, id: str, violation: Violation) -> str | None:
        """What the violation's proof lacks; None if it stands. What nothing explains is proven by the model."""
        if id == EXPLAINABLE:
            return unexplained(self._facts, violation)
        self._witness = self._witness or Witness(self._facts.history)
        return verify(self._witness, id, violation)


def unexplained(facts: Facts, violation: Violation, budget: int = BUDGET) -> str | None:
    """What the proof lacks that a thread of the history cannot be explained; None if it stands."""
    observed = [o for thread in facts.threads.values() if (o := observe(thread)) is not None]
    refused = [contradiction.verify(o, violation.proof, budget) for o in observed]
    return None if None in refused else "; ".join(map(str, refused))


@dataclass(frozen=True)
class Found:
    """A violation and where it was seen."""

    violation: Violation
    program: str
    instance: str
    family: str


@dataclass(frozen=True)
class Known:
    """What a baseline says of a requirement.

    ``state``: it fails, as recorded (``failing``); it does not fail any more (``stale``); it was recorded as
    failing sometimes, and was not tried often enough to tell (``unseen``). ``note`` is for people.
    """

    state: Literal["failing", "stale", "unseen"]
    note: str
    reason: str
    rate: str
    failed: int
    exercised: int
    server: str
    version: str
    date: str


@dataclass(frozen=True)
class Result:
    """The verdict on one requirement."""

    requirement: Requirement
    verdict: Verdict | None
    why: str  # of an inconclusive verdict, a harness error …
    hazard: str | None
    policy: str | None
    exercised: int
    overlap: int
    failed: int
    found: tuple[Found, ...]
    known: Known | None = None  # where a baseline was given

    @property
    def rate(self) -> str:
        """How often it failed where it was exercised."""
        if self.failed == 0:
            return "never"
        return "always" if self.failed >= self.exercised else "sometimes"


LEAST_CRACKED = 0.3  # share of crack trials in which a superstep must have ended while the call was under way


def hit_the_crack(history: History) -> bool:
    """Whether a superstep ended while the displacing call of a crack program was under way.

    Only counted, never judged by: the probe's clock is mapped to the harness's by its fastest announcement.
    """
    if not str(history.program["family"]).endswith(CRACK):
        return False
    told = [r for r in history.of(Told) if r.tag == "A" and r.kind in ("enter", "leave")]
    calls = [
        c
        for c in history.of(Call)
        if c.received is not None
        and (c.op in CANCELS or (c.op == "create" and c.request.get("strategy") in ("interrupt", "rollback")))
    ]
    for clock in {r.clock for r in told}:
        own = sorted((r for r in told if r.clock == clock), key=lambda r: r.seq)
        offset = min(r.at - r.t for r in own)
        for record, following in itertools.zip_longest(own, own[1:]):
            # The superstep ends, checkpoint and all, between its leaving and the next one's entry.
            if record.kind == "leave":
                left, entered = record.t + offset, following.t + offset if following else float("inf")
                if any(c.sent <= entered and left <= (c.received or 0) for c in calls):
                    return True
    return False


@dataclass
class Tally:
    """Collects judgements; ``conclude`` turns them into verdicts."""

    requirements: Mapping[str, Requirement]
    cracked: Counter[str] = field(default_factory=Counter)
    trials: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)  # without the probe: in how many trials runs certainly met
    could_not_run: dict[str, str] = field(default_factory=dict)  # family -> why
    _exercised: Counter[str] = field(default_factory=Counter)
    _overlap: Counter[str] = field(default_factory=Counter)
    _failed: Counter[str] = field(default_factory=Counter)
    _by_family: Counter[tuple[str, str]] = field(default_factory=Counter)
    _found: dict[str, list[Found]] = field(default_factory=dict)
    _policies: dict[str, Counter[str]] = field(default_factory=dict)
    _hazards: dict[str, Counter[str]] = field(default_factory=dict)
    _errors: dict[str, str] = field(default_factory=dict)
    _undecided: dict[tuple[str, str], str] = field(default_factory=dict)  # requirement, program -> why
    _decided: set[tuple[str, str]] = field(default_factory=set)
    _inapplicable: dict[tuple[str, str], str] = field(default_factory=dict)  # requirement and family -> why
    _absent: dict[str, str] = field(default_factory=dict)  # families that ask for what the target has not, and what

    def add(self, history: History, judged: Mapping[str, Judged]) -> None:
        """Count what was said of one history."""
        family = str(history.program["family"])
        self.trials[family] += 1
        self.cracked[family] += hit_the_crack(history)
        calls, told = list(history.of(Call)), list(history.of(Told))
        for call in (c for c in calls if no_such_endpoint(c, [o for o in calls if o.thread == c.thread], told)):
            why = f"POST …/runs/{call.request['endpoint']} is answered {call.status}: there is no such call"
            self._absent.setdefault(family, why)
        self.met[family] += family in any_graph.MEETING and any_graph.overlap_achieved(history)
        for id, said in judged.items():
            if id not in self.requirements:
                continue
            if said.error is not None:
                self._errors.setdefault(id, said.error)
            for j in said.judgements:
                if isinstance(j, Undecided):
                    self._undecided.setdefault((id, history.name), f"{j.why} (in {history.name})")
                elif isinstance(j, Inapplicable):
                    self._inapplicable.setdefault((id, family), j.why)
            if not said.exercised:
                continue
            if not any(isinstance(j, Undecided) for j in said.judgements):
                self._decided.add((id, history.name))
            self._exercised[id] += 1
            self._overlap[id] += any(getattr(j, "overlap", True) for j in said.judgements)
            self._by_family[id, family] += 1
            if said.violations:
                self._failed[id] += 1
                found = self._found.setdefault(id, [])
                found += [Found(v, history.name, history.instance, family) for v in said.violations[:3]]
            for j in said.judgements:
                if isinstance(j, Observed):
                    self._policies.setdefault(id, Counter())[j.policy] += 1
                elif isinstance(j, Hazard) and j.seen is not None:
                    self._hazards.setdefault(id, Counter())[j.seen] += 1

    def undecided(self, id: str) -> dict[str, str]:
        """Programs that were not decided in any trial, as far as one was too much for the oracle, and why (rule 1)."""
        found = {p: why for (i, p), why in self._undecided.items() if i == id}
        return {p: why for p, why in found.items() if (id, p) not in self._decided}

    def missing(self, id: str) -> str | None:
        """Which program's minimum a requirement has not reached, in words; None if it has all."""
        return next((m for e in self.requirements[id].exercised_by if (m := self.misses(id, e))), None)

    def misses(self, id: str, exercise: Exercise) -> str | None:
        """What one of its exercises has not reached."""
        n = self._by_family[id, exercise.family]
        if n == 0 and ((id, exercise.family) in self._inapplicable or exercise.family in self._absent):
            return None
        if n < exercise.least:
            said = f"{exercise.family} exercised it {n} times, {exercise.least} are the minimum"
            return f"{said}. {self._overlaps(exercise.family)}" if exercise.family in any_graph.MEETING else said
        share = self.cracked[exercise.family] / max(1, self.trials[exercise.family])
        if exercise.family.endswith(CRACK) and share < LEAST_CRACKED:
            return f"only {share:.0%} of the trials of {exercise.family} hit the end of a superstep"
        return None

    def _overlaps(self, family: str) -> str:
        return any_graph.overlaps_in_words(family, self.met[family], self.trials[family])

    def overlaps(self) -> tuple[int, int] | None:
        """In how many trials of a check without the probe runs met, and how many were to; None of other checks."""
        families = [f for f in self.trials if f in any_graph.MEETING]
        return (sum(self.met[f] for f in families), sum(self.trials[f] for f in families)) if families else None

    @property
    def errors(self) -> dict[str, str]:
        """Oracles that failed, or accused without proof: also where others of their violations are proven."""
        return dict(self._errors)

    def crack_trials(self) -> dict[str, tuple[int, int]]:
        """How many trials of each crack program hit the end of a superstep, and how many there were."""
        return {f: (self.cracked[f], n) for f, n in self.trials.items() if f.endswith(CRACK)}

    def failed(self, id: str) -> bool:
        """Whether any history violated the requirement."""
        return self._failed[id] > 0

    def conclude(self) -> list[Result]:
        """The verdicts, in the order of the specification."""
        return [self._result(r) for r in self.requirements.values()]

    def _result(self, requirement: Requirement) -> Result:
        id = requirement.id
        verdict, why = self._verdict(requirement)
        found = sorted(self._found.get(id, ()), key=lambda f: (len(f.violation.proof), f.program))
        policy = self._policies.get(id)
        hazards = self._hazards.get(id)
        hazard = None
        if hazards:
            seen, _ = hazards.most_common(1)[0]
            hazard = f"{seen} (seen in {sum(hazards.values())} of {self._exercised[id]}). {requirement.advice}."
        return Result(
            requirement,
            verdict,
            why,
            hazard,
            ", ".join(f"{p} ({n})" for p, n in policy.most_common()) if policy else None,
            self._exercised[id],
            self._overlap[id],
            self._failed[id],
            tuple(found),
        )

    def _verdict(self, requirement: Requirement) -> tuple[Verdict | None, str]:
        id = requirement.id
        without = next((why for (i, _), why in self._inapplicable.items() if i == id), None)
        absent = (self._absent[e.family] for e in requirement.exercised_by if e.family in self._absent)
        without = without or next(absent, None)
        if not requirement.exercised_by:  # as ``without_probe`` has it
            without = any_graph.NO_PROBE if requirement.by_reads is None else any_graph.IN_PART
        if requirement.level in (Level.POLICY, Level.HAZARD):
            return None, "" if self._exercised[id] else without or "never exercised"
        if self._failed[id]:
            return "fail", ""
        if id in self._errors:
            return "harness-error", self._errors[id]
        undecided = self.undecided(id)
        if undecided:
            return "inconclusive", min(undecided.values())
        missing = self.missing(id)
        if without is not None and not self._exercised[id]:
            return "not-applicable", without
        if missing is None:
            left_out = [e.family for e in requirement.exercised_by if e.least == 0]
            return "pass", next((self.could_not_run[f] for f in left_out if f in self.could_not_run), "")
        families = [e.family for e in requirement.exercised_by if self.misses(id, e)]
        lost = next((self.could_not_run[f] for f in families if f in self.could_not_run), None)
        return ("inconclusive", missing) if lost is None else ("could-not-run", lost)


def decide(results: Sequence[Result], strict: bool, lost: bool) -> int:
    """Rule 2: a MUST fails, or a baseline's entry is stale: 1; else target or harness: 4; else anything left
    open: 3; else 0. A failure that a baseline knows weighs nothing.
    """
    weighing = {Level.MUST, Level.SHOULD} if strict else {Level.MUST}
    if any(r.verdict == "fail" and r.known is None and r.requirement.level in weighing for r in results):
        return 1
    if any(r.known is not None and r.known.state == "stale" for r in results):
        return 1
    if lost or any(r.verdict == "harness-error" for r in results):
        return 4
    if any(r.verdict in ("inconclusive", "could-not-run") for r in results):
        return 3
    return 0
