"""reject: "This is the simplest option, this just rejects any follow-up runs" (S1)."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import INFLIGHT, Fact, Run, Thread, ms, show_log, shown
from conformance.requirements.base import MUST, Exercised, Judgement, Violation, nothing_else, requirement

# A 4xx that is about something else than the active run (authorisation, routing, the request's form).
NOT_THE_RUN = frozenset({401, 402, 403, 404, 405, 406, 408, 411, 413, 414, 415, 431})

BUSY = ("reject-running", "reject-pending", "burst-reject-busy")


def is_refusal(run: Run) -> bool:
    """A 4xx that can be about the active run."""
    status = run.create.status or 0
    return run.refused and 400 <= status < 500 and status not in NOT_THE_RUN


def _control(thread: Thread) -> Run | None:
    """A create(reject) of the same history that was accepted: the target does not refuse everything."""
    return next((r for r in thread.creates("reject") if r.accepted), None)


@requirement(
    "reject.conflict",
    MUST,
    "While a run is inflight on the thread, create(reject) is refused.",
    source='S0 "Raises 409 Conflict if a run is already active", S1, S2, S3',
    exercised_by=BUSY,
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
        if not is_refusal(run):
            yield Violation(
                expected=f"a refusal, because {blocker.tag} was inflight",
                observed=f"{run.tag}'s create was answered {shown(run.create)}",
                proof=(inflight, run.accepted_fact()),
            )
        elif _control(thread) is not None:
            yield Exercised()


@requirement(
    "reject.code",
    MUST,
    "The refusal is 409 Conflict (or the dialect's code), with a body that says why.",
    source='S0 "Raises 409 Conflict if a run is already active", S2; measured: some servers answer 422',
    exercised_by=BUSY,
    breaks="another status, or an empty body, so that clients cannot tell a conflict from a mistake of theirs",
    advice="answer 409 with a JSON body whose detail names the active run; if 422 is on purpose, say so with --dialect",
)
def refusal_says_why(thread: Thread) -> Iterator[Judgement]:
    """Judges the form of every refusal whose reason is certainly the active run."""
    code = int(thread.facts.history.dialect.get("refusal_code", 409))
    for run in thread.creates("reject"):
        met = thread.inflight_during(run)
        if met is None or not run.refused or _control(thread) is None:
            continue
        if run.create.status != code:
            yield Violation(
                f"status {code}",
                f"{run.tag} was refused with {shown(run.create)}",
                (met[1], run.accepted_fact()),
            )
        elif not _says_something(run.create.answer):
            observed = f"{run.tag} was refused with {run.create.status} and the body {run.create.answer!r}"
            yield Violation("a body that says why", observed, (met[1], run.accepted_fact()))
        else:
            yield Exercised()


def _says_something(body: object) -> bool:
    match body:
        case str():
            return any(c.isalpha() for c in body)
        case dict():
            return any(_says_something(v) for v in body.values())
        case list():
            return any(_says_something(v) for v in body)
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
        if not is_refusal(run):
            continue
        met = thread.inflight_during(run)
        traces = [*_traces_of(thread, run), *_changes_of_thread(thread, run, met)]
        for observed, fact in traces:
            yield Violation("no effect at all", observed, nothing_else(run.accepted_fact(), fact))
        if met is not None and not traces:
            blocker = met[0]
            if _ended_otherwise(blocker) and not _met_accepted(thread, blocker):
                observed = f"{blocker.tag}, which nobody displaced, did not end by itself"
                proof = (met[1], run.accepted_fact(), blocker.final_fact())
                yield Violation(f"{blocker.tag} ends by itself, untouched", observed, proof)
            else:
                yield Exercised()


def _met_accepted(thread: Thread, run: Run) -> bool:
    """An accepted create was made beside it too, which may just as well be what ended it."""
    return any(o is not run and o.accepted and not run.ended_before(o.create.sent) for o in _later(thread, run))


def _later(thread: Thread, run: Run) -> list[Run]:
    return [o for o in thread.runs.values() if o.create.until > run.create.sent]


def _ended_otherwise(run: Run) -> bool:
    """Nobody displaced it, its script does not fail, and yet it did not end with success."""
    final = run.final
    if run.displacements or run.fails or final is None or final.status in INFLIGHT:
        return False
    return final.status != "success"


def _traces_of(thread: Thread, run: Run) -> Iterator[tuple[str, Fact]]:
    for call in thread.lists:
        if call.sent >= run.create.sent and any(row["tag"] == run.tag for row in call.answer):
            yield (
                f"{run.tag} was refused and yet is listed as a run",
                Fact(f"a list of runs names {run.tag}", (call.n,)),
            )
            break
    if run.told:
        r = run.told[0]
        yield (
            f"{run.tag} was refused and yet executed",
            Fact(f"{run.tag} announced {r.kind} {r.step}", (r.n,)),
        )
    if thread.head is not None and (
        thread.entries_of(run.tag) or any(m[2] == run.tag for m in thread.head.answer["messages"])
    ):
        fact = Fact(f"the final state holds {run.tag}: {show_log(thread.log)}", (thread.head.n,))
        yield f"{run.tag} was refused and yet its input is in the state", fact


def _changes_of_thread(thread: Thread, run: Run, met: tuple[Run, Fact] | None) -> Iterator[tuple[str, Fact]]:
    """Thread as read before and after the refusal, both while the other run was held inside a superstep."""
    if met is None:
        return
    blocker = met[0]
    reads = [c for c in thread.calls if c.op == "get_thread" and c.ok and not c.error and c.received is not None]
    inside = [r.at for r in blocker.enters.values() if r.detail.get("gate") and r.at <= run.create.sent]
    if not inside:
        return
    before = [c for c in reads if c.sent >= inside[-1] and c.until <= run.create.sent]
    after = [c for c in reads if c.sent >= run.create.until and c.until <= blocker.cannot_end_before]
    if not before or not after:
        return
    # Another create between the reads would leave it open which of them changed the thread.
    others = [r.create for r in thread.runs.values() if r is not run and r is not blocker]
    if any(c.sent < after[0].until and c.until > before[-1].sent for c in others):
        return
    old, new = before[-1].answer, after[0].answer
    cites = (before[-1].n, after[0].n)
    if old["metadata"] != new["metadata"]:
        fact = Fact(f"metadata before: {old['metadata']}; after: {new['metadata']}", cites)
        yield "the refusal changed the thread's metadata", fact
    if old["status"] == "busy" != new["status"]:
        fact = Fact(f"status before: busy; after: {new['status']}, with {blocker.tag} still held", cites)
        yield f"the refusal changed the thread's status to {new['status']}", fact


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
    bursts: dict[str, list[Run]] = {}
    for run in thread.runs.values():
        if run.create.group is not None:
            bursts.setdefault(run.create.group, []).append(run)
    for burst in bursts.values():
        if any(r.strategy != "reject" for r in burst) or _anything_before(thread, burst):
            continue
        decided = [r for r in burst if r.accepted or is_refusal(r)]
        accepted = [r for r in burst if r.accepted]
        last = max(r.create.until for r in burst)
        if any(r.cannot_end_before < last for r in accepted) or any(r.displacements for r in accepted):
            continue
        names = ", ".join(r.tag for r in accepted)
        held = [
            Fact(
                f"{r.tag}'s gate stayed closed until {ms(r.cannot_end_before)}, after the last answer",
                (r.create.n,),
            )
            for r in accepted
        ]
        if len(accepted) > 1:
            yield Violation(
                expected=f"exactly one of {len(burst)} accepted",
                observed=f"{len(accepted)} were accepted: {names}",
                proof=(*(r.accepted_fact() for r in accepted), *held),
            )
        elif broken := [r for r in burst if r.refused and (r.create.status or 0) >= 500]:
            yield Violation(
                expected=f"one of {len(burst)} accepted, the others refused with a 4xx",
                observed=f"{broken[0].tag}'s create was answered {shown(broken[0].create)}",
                proof=tuple(r.accepted_fact() for r in (*accepted, broken[0])),
            )
        elif len(decided) == len(burst) and not accepted:
            yield Violation(
                expected=f"exactly one of {len(burst)} accepted",
                observed="all were refused on an idle thread",
                proof=tuple(r.accepted_fact() for r in burst),
            )
        elif len(accepted) == 1 and len(decided) == len(burst):
            yield Exercised()


def _anything_before(thread: Thread, burst: list[Run]) -> bool:
    """Whether any other run can have been inflight when the burst was fired."""
    first = min(r.create.sent for r in burst)
    last = max(r.create.until for r in burst)
    return any(
        r not in burst and not r.refused and r.create.sent < last and not r.ended_before(first)
        for r in thread.runs.values()
    )


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
        open_still = [r for r in earlier if not r.refused and (r.displacements or not _ended_by_itself(r, run))]
        if open_still:
            continue
        ended = [r for r in earlier if r.accepted]
        if not run.accepted:
            facts = [_ended_fact(r) for r in ended]
            yield Violation(
                expected="accepted: no run is inflight any more",
                observed=f"{run.tag}'s create was answered {shown(run.create)}",
                proof=(*facts, run.accepted_fact()),
            )
        elif ended:
            yield Exercised(overlap=False)


def _ended_by_itself(run: Run, before: Run) -> bool:
    ended = run.ended_at
    return ended is not None and ended.status in ("success", "error") and ended.call.until <= before.create.sent


def _ended_fact(run: Run) -> Fact:
    ended = run.ended_at
    assert ended is not None
    return Fact(f"{run.tag} was read as {ended.status} by {ms(ended.call.until)}", (ended.call.n,))
