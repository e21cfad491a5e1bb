"""Threads: one run at a time, no lost update, independence, and that everything ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.facts import GONE, OWN_ENDS, STOPPED, Entry, Fact, Run, Thread, fact, show_log, shown
from conformance.requirements.base import MUST, Exercise, Exercised, Judgement, Violation, requirement


@requirement(
    "thread.one-at-a-time",
    MUST,
    "Two runs of one thread never execute at once, unless the earlier is displaced, cancelled, deleted or terminal.",
    source='S2 "two concurrent runs racing on the same checkpoint"',
    exercised_by=("enqueue-running", "burst-enqueue-idle", "queue", Exercise("scheduled-busy", 0)),
    breaks="no serialisation by thread, or one that two workers do not share",
    advice="claim a run only where no other run of its thread executes, in the transaction that claims it",
    scheduled=True,
)
def one_at_a_time(thread: Thread) -> Iterator[Judgement]:
    """By cause: Y entered a superstep while a gate held X in one. By intervals: on one clock."""
    runs = [r for r in thread.runs.values() if r.enters]
    for x in runs:
        for y in runs:
            if x is y:
                continue
            overlap = _by_cause(x, y) or _by_clock(x, y)
            unexcused = _unexcused(x, y, overlap) if overlap is not None else None
            if overlap is None or unexcused is None:
                continue
            yield Violation(f"{y.tag} waits for {x.tag}", overlap.text, (*overlap.facts, *unexcused))
            return
    if len(runs) > 1:
        yield Exercised()


@dataclass(frozen=True)
class Overlap:
    """X was executing from ``since``, and still was when Y entered a superstep, which was known ``by``."""

    since: float
    by: float
    text: str
    facts: tuple[Fact, ...]


def _unexcused(x: Run, y: Run, overlap: Overlap) -> tuple[Fact, ...] | None:
    """Proof that neither can legally have been displaced, cancelled or terminal meanwhile; None if one can."""
    if x.final is not None and y.final is not None and x.final.status == y.final.status == "success":
        return x.final_fact(), y.final_fact()  # neither was displaced, whatever was called
    if not x.displacements and x.final is not None and x.final.status in (GONE, "interrupted"):
        return None  # it was displaced without a call that allows it: others say so
    first, second = x.unended_fact(overlap.by), y.unended_fact(overlap.since)
    return (first, second) if first is not None and second is not None else None


def _by_cause(x: Run, y: Run) -> Overlap | None:
    start = y.enters.get(0)
    for step, entered in x.enters.items():
        held, opened = x.held_fact(step), x.release(step)
        again = sum(r.kind == "enter" and r.step == step for r in x.told) > 1
        if held is None or opened is None or start is None or again:
            continue
        if entered.at <= y.create.sent and start.at < opened.at:
            started = y.told_fact(start)
            text = f"{started.text}, while {held.text}"
            return Overlap(entered.at, start.at, text, (y.sent_fact(), held, started))
    return None


def _by_clock(x: Run, y: Run) -> Overlap | None:
    """Y entered a superstep after X's first entry and before X's last leaving, on the same clock."""
    first = x.enters.get(0)
    last = max((r for r in x.leaves.values()), key=lambda r: r.t, default=None)
    if first is None or last is None or first.clock != last.clock:
        return None
    if sum(r.kind == "enter" and r.step == 0 for r in x.told) > 1 or first.attempt != last.attempt:
        return None  # it may have been put back into the queue between two attempts
    for other in y.enters.values():
        if other.clock == first.clock and first.t < other.t < last.t:
            proof = fact(
                "overlap",
                (first.n, other.n, last.n),
                run=x.tag,
                other=y.tag,
                step=other.step,
                last=last.step,
                since=first.at,
                by=other.at,
                begun=(other.t - first.t) * 1000,
                left=(last.t - other.t) * 1000,
            )
            return Overlap(first.at, other.at, proof.text, (proof,))
    return None


@requirement(
    "thread.no-lost-update",
    MUST,
    "No completed superstep is overwritten: the counter equals the surviving increments, the log is a "
    "concatenation of whole or legally cut segments.",
    source='S2 "last-write-wins conflict. One update is silently overwritten"',
    exercised_by=("enqueue-running", "interrupt-running", "rollback-earlier", "burst-enqueue-idle", "enqueue-failed"),
    breaks="two runs read the same checkpoint and both write; the last write wins",
    advice="serialise runs by thread, and refuse a checkpoint whose parent is not the head",
    scheduled=True,
)
def no_lost_update(thread: Thread) -> Iterator[Judgement]:
    """Judges the settled log, the counter, and what each run in the log had found."""
    if thread.head is None or not thread.settled:
        return
    log = thread.log
    written = [entry for entry in log if entry[0] not in thread.updates]  # a client's may come between any two
    problem = (
        _interleaved(thread, written) or _overwritten(thread, log) or _counter(thread, log) or _foundations(thread, log)
    )
    if problem is not None:
        yield Violation(*problem)
    elif len({t for t, _ in log}) > 1:
        yield Exercised()


Problem = tuple[str, str, tuple[Fact, ...]]


def _interleaved(thread: Thread, log: list[Entry]) -> Problem | None:
    blocks: list[str] = []
    for i, (tag, step) in enumerate(log):
        fresh = i == 0 or log[i - 1][0] != tag
        if fresh:
            if tag in blocks:
                return f"{tag}'s segment in one piece", f"the log reads {show_log(log)}", (thread.log_fact(),)
            blocks.append(tag)
        wanted = 0 if fresh else log[i - 1][1] + 1
        if step != wanted:
            return (
                f"superstep {wanted} of {tag} at place {i}",
                f"superstep {step}: {show_log(log)}",
                (thread.log_fact(),),
            )
    return None


def _overwritten(thread: Thread, log: list[Entry]) -> Problem | None:
    present = {t for t, _ in log}
    for run in thread.runs.values():
        if not run.accepted or run.final is None or thread.took_away(run) or run.tag in present or not run.length:
            continue
        # Success and error are ends of its own, whatever displaced the run too late: nothing takes its segment away.
        match run.final.status:
            case "success":
                completed = run.leaves.get(len(run.script) - 1)
            case "error":
                completed = next((entered for step, entered in run.enters.items() if step > 0), None)
            case _:
                continue
        if completed is not None:
            facts = (run.final_fact(), run.told_fact(completed), thread.settled_fact(), thread.log_fact())
            return f"{run.tag}'s completed supersteps are in the state", f"{run.tag} was overwritten", facts
    return None


def _counter(thread: Thread, log: list[Entry]) -> Problem | None:
    assert thread.head is not None
    counted, _ = thread.replayed(log)
    value = thread.head.answer["counter"]
    if value != counted and all(tag in thread.runs for tag, _ in log):
        counter = fact("counter", (thread.head.n,), thread=thread.name, value=value)
        expected = f"a counter of {counted}, the increments in the log"
        return expected, f"the final counter is {value}", (thread.log_fact(), counter)
    return None


def _foundations(thread: Thread, log: list[Entry]) -> Problem | None:
    for run in thread.runs.values():
        start, found = thread.position(run.tag), run.found
        if start is None or found is None:
            continue
        if found["log_hash"] != thread.hash_of(log[:start]):
            before = show_log(log[:start])
            expected = f"{run.tag} started from what stands before it ({before})"
            observed = f"{run.tag} found a log of {found['log']} entries when it started, not that"
            return expected, observed, (thread.log_fact(), run.found_fact())
    return None


@requirement(
    "thread.independent",
    MUST,
    "Runs on different threads do not affect one another's status, content or order.",
    source='S0 "Only relevant for same-thread concurrent runs; different threads are independent"',
    exercised_by=("two-threads",),
    breaks="the lock, the queue or the displacement is not keyed by thread",
    advice="key every look-up of active runs by thread id",
)
def independent(thread: Thread) -> Iterator[Judgement]:
    """Looks for foreign runs in the thread, and for runs that ended although only another thread was touched."""
    foreign = _foreign(thread)
    if foreign is not None:
        yield Violation("nothing of another thread", foreign.text, (foreign,))
        return
    if len(thread.facts.threads) < 2:
        return
    for run in thread.runs.values():
        # Only the first run of a thread tells: a later one may be refused for what happened on its own thread.
        first = all(r is run or r.create.sent > run.create.until for r in thread.runs.values())
        busy_elsewhere = [
            r
            for other in thread.facts.threads.values()
            if other is not thread
            for r in other.runs.values()
            if r.accepted and r.create.sent <= run.create.until and not r.ended_before(run.create.sent)
        ]
        if not busy_elsewhere:
            continue
        if run.refused and first:
            idle = thread.idle_fact((run,))
            if idle is None:
                continue
            observed = f"{run.tag}'s create was answered {shown(run.create)}"
            proof = (idle, busy_elsewhere[0].answered_fact(), run.answered_fact())
            yield Violation(f"accepted: thread {thread.name} was idle", observed, proof)
    yield from stopped_from_elsewhere(thread)


def stopped_from_elsewhere(thread: Thread) -> Iterator[Judgement]:
    """Judges runs on whose thread nothing else was called, while a create displaced what another thread had."""
    for run in thread.runs.values():
        by, final = _displacing_elsewhere(run), run.final
        if by is None or final is None or not run.undisturbed or not run.untouched:
            continue
        if final.status in STOPPED:
            seen = "is gone (404)" if final.status == GONE else f"ended {final.status}"
            proof = (by.answered_fact(), run.undisturbed_fact(), run.final_fact())
            observed = f"{run.tag} {seen}, and nothing else was called on its thread"
            yield Violation(f"{run.tag} comes to its own end", observed, proof)
        elif final.status in OWN_ENDS:
            yield Exercised()


def _displacing_elsewhere(run: Run) -> Run | None:
    for other in (r for t in run.thread.facts.threads.values() if t is not run.thread for r in t.runs.values()):
        call = other.create
        meets = call.until >= run.create.sent and not run.ended_before(call.sent)
        if meets and other.accepted and other.strategy in ("interrupt", "rollback"):
            return other
    return None


def _foreign(thread: Thread) -> Fact | None:
    own = set(thread.runs)

    def strange(tag: str | None) -> bool:
        return bool(tag) and tag not in own and (tag in _all_tags(thread) or "~" in str(tag))

    for call in thread.lists:
        for row in call.answer:
            if strange(row["tag"]):
                return fact("foreign", (call.n,), thread=thread.name, run=row["tag"], where="list of runs")
    if thread.head is not None:
        tags = [("log", tag) for tag, _ in thread.log] + [("messages", m[2]) for m in thread.head.answer["messages"]]
        for where, tag in tags:
            if strange(tag):
                return fact("foreign", (thread.head.n,), thread=thread.name, run=tag, where=where)
    return None


def _all_tags(thread: Thread) -> set[str]:
    return {tag for other in thread.facts.threads.values() for tag in other.runs}


@requirement(
    "thread.settles",
    MUST,
    "Every accepted run reaches a terminal status and the thread leaves `busy`, within the settle deadline.",
    source="S0, S1, S2, S3 imply it for every strategy",
    exercised_by=(
        "enqueue-running",
        "interrupt-running",
        "rollback-running",
        "queue",
        "burst-mixed-busy",
        "cancelled-last",
        "failed-last",
        "queue-behind-failure",
    ),
    breaks="a run is lost between two states, or the thread's status is not recomputed after a displacement",
    advice="derive the thread's status from its runs; look for runs that nobody executes any more",
    special=True,
)
def settles(thread: Thread) -> Iterator[Judgement]:
    """Judges the epilogue: all gates open, and then the settle deadline."""
    end = thread.epilogue
    if end is None:
        return
    accepted = [r for r in thread.runs.values() if r.accepted]
    if end.settled:
        if accepted:
            yield Exercised(overlap=len(accepted) > 1)
        return
    # Where it was not waited for in full, the verdict stands already.
    if accepted and (stuck := thread.unsettled_fact()) is not None:
        yield Violation("every run terminal and the thread not busy", stuck.text, (stuck,))
