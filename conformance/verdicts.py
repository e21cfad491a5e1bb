"""Verdicts: what the judgements of all histories say of each requirement (rules 1 and 2)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from conformance.facts import Facts
from conformance.history import Call, History, Told
from conformance.requirements import REGISTRY, Level, Requirement
from conformance.requirements.base import Exercise, Hazard, Judgement, Observed, Violation

Verdict = Literal["pass", "fail", "inconclusive", "not-applicable", "could-not-run", "harness-error"]


@dataclass(frozen=True)
class Judged:
    """What one requirement's oracle said of one history."""

    requirement: str
    judgements: tuple[Judgement, ...]
    error: str | None = None  # the oracle itself failed

    @property
    def violations(self) -> list[Violation]:
        return [j for j in self.judgements if isinstance(j, Violation)]

    @property
    def exercised(self) -> bool:
        """It said anything at all."""
        return bool(self.judgements)


def judge(history: History, only: Iterable[str] | None = None) -> dict[str, Judged]:
    """Every oracle over one history: a pure function."""
    facts = Facts(history)
    judged: dict[str, Judged] = {}
    for id in REGISTRY if only is None else only:
        try:
            found = [j for thread in facts.threads.values() for j in REGISTRY[id].oracle(thread)]
            judged[id] = Judged(id, tuple(found))
        except Exception as e:  # an oracle's mistake is the harness's, never the target's
            judged[id] = Judged(id, (), f"{type(e).__name__}: {e} while judging {history.name}")
    return judged


@dataclass(frozen=True)
class Found:
    """A violation and where it was seen."""

    violation: Violation
    program: str
    instance: str


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

    @property
    def rate(self) -> str:
        """How often it failed where it was exercised."""
        if self.failed == 0:
            return "never"
        return "always" if self.failed >= self.exercised else "sometimes"


CRACK = "-crack"
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
        and (c.op == "cancel" or (c.op == "create" and c.request.get("strategy") in ("interrupt", "rollback")))
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
    could_not_run: dict[str, str] = field(default_factory=dict)  # family -> why
    _exercised: Counter[str] = field(default_factory=Counter)
    _overlap: Counter[str] = field(default_factory=Counter)
    _failed: Counter[str] = field(default_factory=Counter)
    _by_family: Counter[tuple[str, str]] = field(default_factory=Counter)
    _found: dict[str, list[Found]] = field(default_factory=dict)
    _policies: dict[str, Counter[str]] = field(default_factory=dict)
    _hazards: dict[str, Counter[str]] = field(default_factory=dict)
    _errors: dict[str, str] = field(default_factory=dict)

    def add(self, history: History, judged: Mapping[str, Judged]) -> None:
        """Count what was said of one history."""
        family = str(history.program["family"])
        self.trials[family] += 1
        self.cracked[family] += hit_the_crack(history)
        for id, said in judged.items():
            if id not in self.requirements:
                continue
            if said.error is not None:
                self._errors.setdefault(id, said.error)
            if not said.exercised:
                continue
            self._exercised[id] += 1
            self._overlap[id] += any(getattr(j, "overlap", True) for j in said.judgements)
            self._by_family[id, family] += 1
            if said.violations:
                self._failed[id] += 1
                found = self._found.setdefault(id, [])
                found += [Found(v, history.name, history.instance) for v in said.violations[:3]]
            for j in said.judgements:
                if isinstance(j, Observed):
                    self._policies.setdefault(id, Counter())[j.policy] += 1
                elif isinstance(j, Hazard) and j.seen is not None:
                    self._hazards.setdefault(id, Counter())[j.seen] += 1

    def missing(self, id: str) -> str | None:
        """Which program's minimum a requirement has not reached, in words; None if it has all."""
        return next((m for e in self.requirements[id].exercised_by if (m := self.misses(id, e))), None)

    def misses(self, id: str, exercise: Exercise) -> str | None:
        """What one of its exercises has not reached."""
        n = self._by_family[id, exercise.family]
        if n < exercise.least:
            return f"{exercise.family} exercised it {n} times, {exercise.least} are the minimum"
        share = self.cracked[exercise.family] / max(1, self.trials[exercise.family])
        if exercise.family.endswith(CRACK) and share < LEAST_CRACKED:
            return f"only {share:.0%} of the trials of {exercise.family} hit the end of a superstep"
        return None

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
        if requirement.level in (Level.POLICY, Level.HAZARD):
            return None, "" if self._exercised[id] else "never exercised"
        if self._failed[id]:
            return "fail", ""
        if id in self._errors:
            return "harness-error", self._errors[id]
        missing = self.missing(id)
        if missing is None:
            return "pass", ""
        families = [e.family for e in requirement.exercised_by if self.misses(id, e)]
        lost = next((self.could_not_run[f] for f in families if f in self.could_not_run), None)
        return ("inconclusive", missing) if lost is None else ("could-not-run", lost)


def decide(results: Sequence[Result], strict: bool, lost: bool) -> int:
    """Rule 2: a MUST fails: 1; else target or harness: 4; else anything left open: 3; else 0."""
    weighing = {Level.MUST, Level.SHOULD} if strict else {Level.MUST}
    if any(r.verdict == "fail" and r.requirement.level in weighing for r in results):
        return 1
    if lost or any(r.verdict == "harness-error" for r in results):
        return 4
    if any(r.verdict in ("inconclusive", "could-not-run") for r in results):
        return 3
    return 0
