"""reject: "This is the simplest option, this just rejects any follow-up runs" (S1)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import HARMLESS, STOPPED, Fact, Run, Thread, fact, gated_fact, shown
from conformance.requirements.base import MUST, Exercised, Judgement, Violation, requirement

BUSY = ("reject-running", "reject-pending", "burst-reject-busy")


def control_of(thread: Thread) -> Run | None:
    """A create(reject) of the same history that was accepted: the target does not refuse everything."""
    return next((r for r in thread.creates("reject") if r.accepted), None)


@requirement(
    "reject.conflict",
    MUST,
    "While a run is inflight on the thread, create(reject) is refused.",
    source='S0 "Raises 409 Conflict if a run is already active", S1, S2, S3',
    exercised_by=(*BUSY, "reject-behind"),
    breaks="the strategy is ignored, or the check for an active run and the insertion are two steps",
    advice="decide and insert in one transaction or under one lock per thread; until then, let clients "
    "serialise their own calls",
)
def refused_while_inflight(thread: Thread) -> Iterator[Judgement]:
    """Judges every create(reject) during which another run was certainly inflight."""
    for run in thread.creates("reject"):
        met = thread.inflight_during(run)
        if met is None or run.unknown or run.create.status in (429, 503):
            continue
        blocker, inflight = met
        if not run.met_active_run:
            yield Violation(
                expected=f"a refusal, because {blocker.tag} was inflight",
                observed=f"{run.tag}'s create was answered {shown(run.create)}",
                proof=(inflight, run.answered_fact()),
            )
        elif control_of(thread) is not None:
            yield Exercised()


@requirement(
    "reject.code",
    MUST,
    "The refusal is 409 Conflict (or the dialect's code), with a body that says why.",
    source='S0 "Raises 409 Conflict if a run is already active", S2; measured: some servers answer 422',
    exercised_by=(*BUSY, "same-wait", "same-stream"),
    breaks="another status, or an empty body, so that clients cannot tell a conflict from a mistake of theirs",
    advice="answer 409 with a JSON body whose detail names the active run; if 422 is on purpose, say so with --dialect",
)
def refusal_says_why(thread: Thread) -> Iterator[Judgement]:
    """Judges the form of every refusal whose reason is certainly the active run."""
    code = int(thread.facts.history.dialect.get("refusal_code", 409))
    for run in thread.creates("reject"):
        met = thread.inflight_during(run)
        control = control_of(thread)
        if met is None or not run.refused or control is None:
            continue
        proof = (met[1], run.answered_fact(), control.answered_fact())
        if run.create.status != code:
            yield Violation(f"status {code}", f"{run.tag} was refused with {shown(run.create)}", proof)
        elif not says_something(run.create.answer):
            observed = f"{run.tag} was refused with {run.create.status} and the body {run.create.answer!r}"
            yield Violation("a body that says why", observed, proof)
        else:
            yield Exercised()


def says_something(body: object) -> bool:
    match body:
        case str():
            return any(c.isalpha() for c in body)
        case dict():
            return any(says_something(v) for v in body.values())
        case list():
            return any(says_something(v) for v in body)
    return False


@requirement(
    "reject.no-effect",
    MUST,
    "A refused create changes nothing that the inflight run's own execution does not explain.",
    source='S1 "this just rejects any follow-up runs"; the API reference',
    exercised_by=BUSY,
    breaks="the run is stored before the check, or the refusal resets the thread's status or metadata, or "
    "stops the run that was there",
    advice="refuse before anything is written",
)
def refusal_changes_nothing(thread: Thread) -> Iterator[Judgement]:
    """Looks for anything of a refused run, and for what became of the thread and of the run it met."""
    for run in thread.creates("reject"):
        if not run.met_active_run:
            continue
        met = thread.inflight_during(run)
        traces = [*traces_of(thread, run), *_changes_of_thread(thread, run, met)]
        for observed, facts in traces:
            yield Violation("no effect at all", observed, (run.answered_fact(), *facts))
        if met is not None and not traces:
            blocker = met[0]
            if _stopped(blocker) and not _met_accepted(thread, blocker):
                observed = f"{blocker.tag}, which nobody displaced, did not end by itself"
                proof = (met[1], run.answered_fact(), blocker.final_fact(), blocker.undisturbed_fact())
                yield Violation(f"{blocker.tag} ends by itself, untouched", observed, proof)
            else:
                yield Exercised()


def _met_accepted(thread: Thread, run: Run) -> bool:
    """An accepted create was made beside it too, which may just as well be what ended it."""
    return any(o is not run and o.accepted and not run.ended_before(o.create.sent) for o in _later(thread, run))


def _later(thread: Thread, run: Run) -> list[Run]:
    return [o for o in thread.runs.values() if o.create.until > run.create.sent]


def _stopped(run: Run) -> bool:
    """Nobody displaced it, and yet it was stopped. Another wrong end is no trace of somebody else's call."""
    return not run.displacements and run.final is not None and run.final.status in STOPPED


Traces = Iterator[tuple[str, tuple[Fact, ...]]]


def traces_of(thread: Thread, run: Run) -> Traces:
    for call in thread.lists:
        if call.sent >= run.create.sent and any(row["tag"] == run.tag for row in call.answer):
            listed = fact("listed", (call.n,), run=run.tag, phase=call.phase, sent=call.sent)
            yield f"{run.tag} was refused and yet is listed as a run", (listed,)
            break
    if run.told:
        yield f"{run.tag} was refused and yet executed", (run.told_fact(run.told[0]),)
    if (held := thread.holds(run)) is not None:
        yield f"{run.tag} was refused and yet its input is in the state", (held,)


def _changes_of_thread(thread: Thread, run: Run, met: tuple[Run, Fact] | None) -> Traces:
    """Thread as read before and after the refusal, both while the other run was held inside a superstep."""
    if met is None:
        return
    blocker = met[0]
    reads = [c for c in thread.calls if c.op == "get_thread" and c.ok and not c.error]
    inside = [r for r in blocker.enters.values() if r.detail.get("gate") and r.at <= run.create.sent]
    held = blocker.held_fact(inside[-1].step) if inside else None
    opened = blocker.release(inside[-1].step) if inside else None
    if held is None or opened is None:
        return
    before = [c for c in reads if c.sent >= inside[-1].at and c.until <= run.create.sent]
    after = [c for c in reads if c.sent >= run.create.until and c.until <= opened.at]
    if not before or not after:
        return
    # Another call between the reads would leave it open which of them changed the thread.
    others = [c for c in thread.calls if c is not run.create and c.op not in HARMLESS]
    if any(c.sent < after[0].until and c.until > before[-1].sent for c in others):
        return
    old, new = before[-1].answer, after[0].answer
    for field in ("metadata", "status"):
        if old[field] == new[field] or (field == "status" and old[field] != "busy"):
            continue
        values = {"old": str(old[field]), "new": str(new[field])}
        times = {"since": before[-1].sent, "until": after[0].until}
        changed = fact("changed", (before[-1].n, run.create.n, after[0].n), field=field, run=run.tag, **values, **times)
        yield f"the refusal changed the thread's {field}: {changed.text}", (held, changed)


@requirement(
    "reject.one-winner",
    MUST,
    "Of N simultaneous create(reject) on an idle thread, exactly one is accepted.",
    source='S3 "prevents concurrent execution"',
    exercised_by=("burst-reject-idle",),
    breaks="check-then-act: two calls both see an idle thread before either has inserted its run",
    advice="a unique constraint or a lock per thread around check and insertion",
)
def one_winner(thread: Thread) -> Iterator[Judgement]:
    """Judges bursts of create(reject) whose runs are all held until the last answer."""
    for burst in thread.bursts():
        idle = thread.idle_fact(burst)
        if any(r.strategy != "reject" for r in burst) or idle is None:
            continue
        decided = [r for r in burst if r.accepted or r.met_active_run]
        accepted = [r for r in burst if r.accepted]
        last = max(r.create.until for r in burst)
        if any(r.cannot_end_before < last for r in accepted) or any(r.displacements for r in accepted):
            continue
        if len(accepted) > 1:
            yield Violation(
                expected=f"exactly one of {len(burst)} accepted",
                observed=f"{len(accepted)} were accepted: {', '.join(r.tag for r in accepted)}",
                proof=_both_won(*accepted[:2]),
            )
        elif broken := [r for r in burst if r.refused and (r.create.status or 0) >= 500]:
            yield Violation(
                expected=f"one of {len(burst)} accepted, the others refused with a 4xx",
                observed=f"{broken[0].tag}'s create was answered {shown(broken[0].create)}",
                proof=(broken[0].answered_fact(),),
            )
        elif len(decided) == len(burst) and not accepted:
            yield Violation(
                expected=f"exactly one of {len(burst)} accepted",
                observed="all were refused on an idle thread",
                proof=(*(r.answered_fact() for r in burst), idle),
            )
        elif len(accepted) == 1 and len(decided) == len(burst):
            yield Exercised()


def _both_won(x: Run, y: Run) -> tuple[Fact, ...]:
    """Whichever was accepted first was inflight when the other was accepted."""
    last = max(x.create.until, y.create.until)
    facts = (x.answered_fact(), y.answered_fact(), gated_fact((x, y)), x.unended_fact(last), y.unended_fact(last))
    return tuple(f for f in facts if f is not None)


@requirement(
    "reject.reopens",
    MUST,
    "A create(reject) sent after every earlier run was read as ended by itself is accepted.",
    source='S0 "client must retry"',
    exercised_by=("reject-running", "reject-finished", "reject-failed"),
    breaks="the thread's busy mark outlives the run: a stale copy, or a failure that never clears it",
    advice="clear the mark in the same transaction that ends the run, whatever the outcome",
)
def reopens(thread: Thread) -> Iterator[Judgement]:
    """Judges every create(reject) on a thread whose earlier runs had all been read as ended."""
    for run in thread.creates("reject"):
        if run.create.group is not None or run.unknown or run.create.status in (429, 503):
            continue
        earlier = [r for r in thread.runs.values() if r is not run and r.create.sent < run.create.until]
        if any(not r.refused and (r.displacements or not _ended_by_itself(r, run)) for r in earlier):
            continue
        ended, idle = [r for r in earlier if r.accepted], thread.idle_fact((run,))
        if not run.accepted and idle is not None:
            yield Violation(
                expected="accepted: no run is inflight any more",
                observed=f"{run.tag}'s create was answered {shown(run.create)}",
                proof=(idle, *(r.undisturbed_fact() for r in ended), run.answered_fact()),
            )
        elif run.accepted and ended:
            yield Exercised(overlap=False)


def _ended_by_itself(run: Run, before: Run) -> bool:
    ended = run.ended_at
    if ended is None or not run.accepted or ended.call.until > before.create.sent:
        return False
    return ended.status in ("success", "error")
