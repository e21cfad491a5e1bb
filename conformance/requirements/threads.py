"""Threads: one run at a time, no lost update, independence, and that everything ends."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, INFLIGHT, Entry, Fact, Run, Thread, ms, show_log, shown
from conformance.requirements.base import MUST, Exercised, Judgement, Violation, requirement


@requirement(
    "thread.one-at-a-time",
    MUST,
    "Two runs of one thread never execute at once, unless the earlier is displaced, cancelled, deleted or terminal.",
    source='S2 "two concurrent runs racing on the same checkpoint"',
    exercised_by=("enqueue-running", "burst-enqueue-idle", "queue"),
    breaks="no serialisation by thread, or one that two workers do not share",
    advice="claim a run only where no other run of its thread executes, in the transaction that claims it",
)
def one_at_a_time(thread: Thread) -> Iterator[Judgement]:
    """By cause: Y entered a superstep while a gate held X in one. By intervals: on one clock."""
    runs = [r for r in thread.runs.values() if r.enters]
    for x in runs:
        for y in runs:
            if x is y:
                continue
            overlap = _by_cause(x, y) or _by_clock(x, y)
            if overlap is None or _excused(x, y):
                continue
            yield Violation(f"{y.tag} waits for {x.tag}", overlap.text, (x.accepted_fact(), y.accepted_fact(), overlap))
            return
    if len(runs) > 1:
        yield Exercised()


def _excused(x: Run, y: Run) -> bool:
    """X may legally have been displaced, cancelled or terminal when Y entered, or the other way round."""
    if x.ended_itself and y.ended_itself:
        return False  # neither was displaced, whatever was called
    if not x.displacements and x.final is not None and x.final.status in (GONE, "interrupted"):
        return True  # it was displaced without a call that allows it: others say so
    entered = y.enters[0].at
    if any(d.call.sent <= entered for d in x.displacements) or any(
        d.call.sent <= x.enters[0].at for d in y.displacements
    ):
        return True
    return x.ended_before(entered)


def _by_cause(x: Run, y: Run) -> Fact | None:
    for step, entered in x.enters.items():
        opened = x.release(step)
        if opened is None:
            continue
        for other in y.enters.values():
            if entered.at <= y.create.sent and other.at < opened.at:
                text = (
                    f"{y.tag} entered superstep {other.step} by {ms(other.at)}, while {x.tag} was held at its gate "
                    f"in superstep {step} from {ms(entered.at)} until {ms(opened.at)}"
                )
                return Fact(text, (entered.n, other.n, opened.n))
    return None


def _by_clock(x: Run, y: Run) -> Fact | None:
    """Y entered a superstep after X's first entry and before X's last leaving, on the same clock."""
    first = x.enters.get(0)
    last = max((r for r in x.leaves.values()), key=lambda r: r.t, default=None)
    if first is None or last is None or first.clock != last.clock:
        return None
    for other in y.enters.values():
        if other.clock == first.clock and first.t < other.t < last.t:
            text = (
                f"on one clock, {y.tag} entered superstep {other.step} {(other.t - first.t) * 1000:.1f} ms after "
                f"{x.tag} began and {(last.t - other.t) * 1000:.1f} ms before {x.tag} left its superstep {last.step}"
            )
            return Fact(text, (first.n, other.n, last.n))
    return None


@requirement(
    "thread.no-lost-update",
    MUST,
    "No completed superstep is overwritten: the counter equals the surviving increments, the log is a "
    "concatenation of whole or legally cut segments.",
    source='S2 "last-write-wins conflict. One update is silently overwritten"',
    exercised_by=("enqueue-running", "interrupt-running", "rollback-earlier", "burst-enqueue-idle"),
    breaks="two runs read the same checkpoint and both write; the last write wins",
    advice="serialise runs by thread, and refuse a checkpoint whose parent is not the head",
)
def no_lost_update(thread: Thread) -> Iterator[Judgement]:
    """Judges the settled log, the counter, and what each run in the log had found."""
    if thread.head is None or not thread.settled:
        return
    log = thread.log
    problem = _interleaved(log) or _overwritten(thread, log) or _counter(thread, log) or _foundations(thread, log)
    if problem is not None:
        expected, observed, facts = problem
        yield Violation(expected, observed, (*facts, thread.log_fact()))
    elif len({t for t, _ in log}) > 1:
        yield Exercised()


Problem = tuple[str, str, tuple[Fact, ...]]


def _interleaved(log: list[Entry]) -> Problem | None:
    blocks: list[str] = []
    for i, (tag, step) in enumerate(log):
        fresh = i == 0 or log[i - 1][0] != tag
        if fresh:
            if tag in blocks:
                return f"{tag}'s segment in one piece", f"the log reads {show_log(log)}", ()
            blocks.append(tag)
        wanted = 0 if fresh else log[i - 1][1] + 1
        if step != wanted:
            return f"superstep {wanted} of {tag} at place {i}", f"superstep {step}: {show_log(log)}", ()
    return None


def _overwritten(thread: Thread, log: list[Entry]) -> Problem | None:
    present = {t for t, _ in log}
    for run in thread.runs.values():
        final = run.final
        # Success is an end of its own, whatever displaced the run too late: nothing takes its segment away.
        ended = run.accepted and final is not None and final.status == "success"
        ran = run.enters.get(0)
        if ended and run.reached_end and ran is not None and run.tag not in present:
            executed = Fact(f"{run.tag} executed from {ms(ran.at)} to its end", (ran.n,))
            facts = (run.accepted_fact(), run.final_fact(), executed)
            return f"{run.tag}'s completed supersteps are in the state", f"{run.tag} was overwritten", facts
    return None


def _counter(thread: Thread, log: list[Entry]) -> Problem | None:
    assert thread.head is not None
    counted, _ = thread.replayed(log)
    if thread.head.answer["counter"] != counted:
        fact = Fact(f"the final counter is {thread.head.answer['counter']}", (thread.head.n,))
        return f"a counter of {counted}, the increments in the log", fact.text, (fact,)
    return None


def _foundations(thread: Thread, log: list[Entry]) -> Problem | None:
    for run in thread.runs.values():
        start, found = thread.position(run.tag), run.found
        if start is None or found is None:
            continue
        if found["log_hash"] != thread.hash_of(log[:start]):
            before = show_log(log[:start])
            fact = Fact(f"{run.tag} found a log of {found['log']} entries when it started", (run.enters[0].n,))
            return (
                f"{run.tag} started from what stands before it ({before})",
                f"{fact.text}, not that",
                (fact,),
            )
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
            elsewhere = busy_elsewhere[0].accepted_fact()
            observed = f"{run.tag}'s create was answered {shown(run.create)}"
            yield Violation(f"accepted: thread {thread.name} was idle", observed, (elsewhere, run.accepted_fact()))
        elif run.undisturbed and run.final is not None and run.final.status not in INFLIGHT:
            wanted = "error" if run.fails else "success"
            if run.final.status != wanted:
                seen = "is gone (404)" if run.final.status == GONE else f"ended {run.final.status}"
                proof = (run.accepted_fact(), *(r.accepted_fact() for r in busy_elsewhere), run.final_fact())
                yield Violation(f"{run.tag} ends {wanted}: nothing on its thread ended it", f"{run.tag} {seen}", proof)
            else:
                yield Exercised()


def _foreign(thread: Thread) -> Fact | None:
    own = set(thread.runs)

    def strange(tag: str | None) -> bool:
        return bool(tag) and tag not in own and (tag in _all_tags(thread) or "~" in str(tag))

    for call in thread.lists:
        for row in call.answer:
            if strange(row["tag"]):
                return Fact(f"thread {thread.name} lists {row['tag']}, a run of another thread", (call.n,))
    if thread.head is not None:
        for tag, _ in thread.log:
            if strange(tag):
                return Fact(f"thread {thread.name}'s state holds {tag}, a run of another thread", (thread.head.n,))
        for message in thread.head.answer["messages"]:
            if strange(message[2]):
                text = f"thread {thread.name}'s messages hold the input of {message[2]}, a run of another thread"
                return Fact(text, (thread.head.n,))
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
    ),
    breaks="a run is lost between two states, or the thread's status is not recomputed after a displacement",
    advice="derive the thread's status from its runs; look for runs that nobody executes any more",
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
    if not end.in_full or not accepted:
        return  # not waited for in full, because the verdict stood already
    lists = [c for c in thread.lists if c.phase == "settle"]
    if not lists or not (end.unsettled or end.thread_status == "busy"):
        return  # it could not be read how it ended
    what = f"runs {', '.join(end.unsettled)} not terminal" if end.unsettled else f"thread status {end.thread_status}"
    fact = Fact(f"{end.waited:.1f} s after all gates were open: {what}", (end.n, lists[-1].n))
    proof = (*(r.accepted_fact() for r in accepted), fact)
    yield Violation("every run terminal and the thread not busy", fact.text, proof)
