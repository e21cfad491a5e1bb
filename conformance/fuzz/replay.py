"""``doubletext replay``: a saved finding, run again k of n times: still failing, fixed, or could not run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

import anyio

from conformance.court import CourtFailed
from conformance.dialects import Dialect, UnknownDialect
from conformance.fuzz.findings import BadFinding, Saved
from conformance.fuzz.inprocess.lab import AppLab, fingerprint
from conformance.fuzz.lab import Gone, Lab, Trial
from conformance.fuzz.shrinking import CONFIDENCE, repeats, shown
from conformance.history import Call
from conformance.requirements import REGISTRY
from conformance.verdicts import EXPLAINABLE

UNKNOWN = 10  # times, where it was never tried how often it fails
MOST_ROUNDS = 3  # of repeats, where the situation did not always come about
EXACT = {
    True: "; its history was made again exactly",
    False: "; not by the history that was saved: the application, its packages or this suite are not the same",
    None: "",
}
FAILING, FIXED, INCOMPLETE = 1, 0, 3


@dataclass(frozen=True)
class Verdict:
    """What became of a finding. ``exercised``: in so many of the ``tried`` the situation came about that it needs."""

    state: Literal["still failing", "fixed", "could not run"]
    failed: int
    exercised: int
    tried: int
    why: str = ""
    other: tuple[str, ...] = ()  # requirements that failed beside it
    shows: Trial | None = None
    exact: bool | None = None  # whether its own history was made again; None: where no schedule decides that

    @property
    def exit_code(self) -> int:
        """1: still failing, 0: fixed, 3: could not run."""
        return {"still failing": FAILING, "fixed": FIXED, "could not run": INCOMPLETE}[self.state]

    def text(self) -> str:
        """In one line."""
        match self.state:
            case "still failing":
                return f"still failing ({self.failed}/{self.tried}){EXACT[self.exact]}"
            case "fixed":
                return f"fixed (0/{self.exercised})"
        return f"could not run: {self.why}"


def dialect_of(saved: Saved) -> Dialect:
    """The dialect that the finding was judged by.

    Raises:
        BadFinding: this version does not know it.
    """
    try:
        return Dialect(**saved.history.dialect)
    except (TypeError, UnknownDialect) as e:
        raise BadFinding(f"{saved.folder}: its dialect is not known to this version: {e}") from e


def schedule_of(saved: Saved) -> str | None:
    """The schedule by which it was found, where one decides everything: in-process."""
    schedule = saved.history.target.get("schedule")
    return schedule if isinstance(schedule, str) else None


def times_of(saved: Saved) -> int:
    """How often to run it, to see it again with 95 % confidence if nothing was changed."""
    rate = saved.about.get("rate")
    if not (isinstance(rate, list) and len(rate) == 2 and rate[1] > 0 and rate[0] > 0):
        return UNKNOWN
    return max(5, repeats(rate[0] / rate[1]))


async def run_again(
    saved: Saved,
    where: str,
    laboratory: AbstractAsyncContextManager[Lab],
    times: int | None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Verdict:
    """Run a finding again at the target of the laboratory, which is called ``where``.

    Raises:
        BadFinding: this version has no such requirement.
        TargetUnusable: the target cannot be tested at all.
    """
    if saved.key.requirement not in REGISTRY:
        raise BadFinding(f"{saved.folder}: no requirement {saved.key.requirement!r} in this version")
    wanted = times or times_of(saved)
    async with laboratory as lab:
        tell(f"{saved.key.requirement} at {where}: {wanted} times")
        trials: list[Trial] = []
        lost: list[str] = []
        try:
            for _ in range(MOST_ROUNDS):
                missing = wanted - sum(_exercised(t, saved) for t in trials)
                if missing > 0 and not any(shown(t, saved.key) for t in trials):
                    await _round(lab, saved, missing, trials)
        except* Gone as e:
            lost.append(str(e.exceptions[0]))
    if lost and not trials:
        return Verdict("could not run", 0, 0, 0, f"the target stopped answering: {lost[0]}")
    found = verdict(saved, wanted, trials)
    if schedule_of(saved) is None or not isinstance(lab, AppLab):
        return found
    return replace(found, exact=any(fingerprint(t.history) == fingerprint(saved.history) for t in trials))


async def _round(lab: Lab, saved: Saved, times: int, trials: list[Trial]) -> None:
    async def once() -> None:
        try:
            trial = await lab.trial(saved.program, whole=saved.key.requirement == EXPLAINABLE)
        except CourtFailed:
            return
        if trial is not None:
            trials.append(trial)

    async with anyio.create_task_group() as tasks:
        for _ in range(times):
            tasks.start_soon(once)


def _exercised(trial: Trial, saved: Saved) -> bool:
    said = trial.judged.get(saved.key.requirement)
    if said is None or said.error is not None:
        return False
    return said.exercised or _all_accepted(trial, saved)


def _all_accepted(trial: Trial, saved: Saved) -> bool:
    """Whether the finding was a refusal where none is legal, and every such create is accepted now. Such a finding
    needs no run that certainly was inflight, so its program need not have one."""
    strategy, _, rest = saved.key.requirement.partition(".")
    creates = [c for c in trial.history.of(Call) if c.op == "create" and c.request.get("strategy") == strategy]
    return rest == "accepted" and bool(creates) and all(c.ok for c in creates)


def verdict(saved: Saved, wanted: int, trials: list[Trial]) -> Verdict:
    """What the trials say of a finding."""
    failed = [t for t in trials if shown(t, saved.key) is not None]
    exercised = sum(_exercised(t, saved) for t in trials)
    other = tuple(sorted({s.key.requirement for t in trials for s in t.sightings} - {saved.key.requirement}))
    if failed:
        return Verdict("still failing", len(failed), exercised, len(trials), other=other, shows=failed[0])
    if exercised >= wanted:
        return Verdict("fixed", 0, exercised, len(trials), other=other)
    why = (
        f"{saved.key.requirement} was judged in {exercised} of {len(trials)} executions; {wanted} are needed to say "
        f"with {CONFIDENCE:.0%} confidence that it is fixed"
    )
    return Verdict("could not run", 0, exercised, len(trials), why, other)


def as_json(saved: Saved, where: str, found: Verdict) -> dict[str, Any]:
    """A verdict as a JSON value."""
    return {
        "schema": 1,
        "finding": str(saved.folder),
        "requirement": saved.key.requirement,
        "target": where,
        "exact": found.exact,
        "state": found.state,
        "failed": found.failed,
        "exercised": found.exercised,
        "tried": found.tried,
        "why": found.why,
        "other": list(found.other),
        "exit_code": found.exit_code,
    }
