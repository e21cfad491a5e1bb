"""Facts that reads alone prove: of runs whose graph is no probe, and of which nothing but statuses is known.

A run is inflight from its creation on until it ends, and never again after that. So one read that is sent when another
call has been answered, and that shows it inflight still, proves that it was inflight while that call took effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts.claims import Fact, fact
from conformance.facts.runs import Reading, Run
from conformance.facts.words import INFLIGHT, STOPPED, TERMINAL, named
from conformance.history import Call

STARTED = TERMINAL | {"running"}


def later_reading(run: Run, instant: float) -> Reading | None:
    """The first read sent at that instant or later that shows it inflight; None where one before it says otherwise."""
    for reading in run.readings:
        if reading.call.sent >= instant and reading.status in INFLIGHT:
            return None if run.ended_before(reading.call.sent) else reading
    return None


def still_fact(run: Run, call: Call, until: float = 0.0) -> Fact | None:
    """That the run was inflight while the call took effect, and until that instant; None where no read shows it."""
    if not run.accepted or run.effect_by > call.sent or call.status is None:
        return None
    reading = later_reading(run, max(call.until, until))
    if reading is None:
        return None
    cites = (run.create.n, run.effect.n, call.n, reading.call.n)
    over = call.thread if call.tag is None else named(call)
    times = {"sent": call.sent, "since": run.effect_by, "at": reading.call.sent}
    return fact("still", cites, run=run.tag, op=call.op, over=over, status=reading.status, **times)


def met_fact(run: Run, call: Call) -> Fact | None:
    """The same of a create: by one list that shows both runs, or else by a read of this one."""
    return run.inflight_during(call) or still_fact(run, call)


def stopped_by_nobody(run: Run, over: Call) -> tuple[Fact, Fact, Fact] | None:
    """That it was read as inflight before a call was sent, and has an end that others give, though nobody did; None
    where that is not so. The first fact is that read."""
    final = run.final
    reads = [r for r in run.readings if r.call.until <= over.sent]
    if final is None or final.status not in STOPPED or not run.accepted or run.displacements:
        return None
    if not reads or reads[-1].status not in INFLIGHT:
        return None
    return run.read_fact(reads[-1]), run.final_fact(), run.undisturbed_fact()


def stopped(run: Run) -> bool:
    """Whether it was certainly inflight when others stopped it: it has an end that it does not come to by itself."""
    final = run.final
    return final is not None and final.status in STOPPED and bool(run.displacements) and run.accepted


def _both(x: Run, y: Run) -> Iterator[tuple[Call, str, str]]:
    """The lists that show both runs, with their statuses."""
    for call in x.thread.lists:
        rows = {row["tag"]: str(row["status"]) for row in call.answer}
        if x.tag in rows and y.tag in rows:
            yield call, rows[x.tag], rows[y.tag]


def at_once_fact(x: Run, y: Run) -> Fact | None:
    """That one list shows both runs inflight."""
    for call, a, b in _both(x, y):
        if a in INFLIGHT and b in INFLIGHT:
            return fact("at_once", (call.n,), runs=(x.tag, y.tag), at=call.sent)
    return None


def together_fact(x: Run, y: Run) -> Fact | None:
    """That both runs were running between two lists, each of which shows them so."""
    running = [call for call, a, b in _both(x, y) if a == b == "running"]
    for first in running:
        for second in running:
            if second.sent >= first.until:
                times = {"since": first.until, "by": second.sent}
                return fact("together", (first.n, second.n), runs=(x.tag, y.tag), **times)
    return None


def overtaken_fact(run: Run, other: Run) -> Fact | None:
    """That one list shows the other run started while this one is still pending."""
    for call, own, status in _both(run, other):
        if own == "pending" and status in STARTED:
            return fact("overtaken", (call.n,), run=run.tag, other=other.tag, status=status, at=call.sent)
    return None


def waited_for(x: Run, y: Run) -> bool:
    """Whether Y was seen to wait while X, which had waited as well, had started."""
    seen = [(a, b) for _, a, b in _both(x, y)]
    return ("pending", "pending") in seen and any(a in STARTED and b == "pending" for a, b in seen)


def waited_beside(x: Run, y: Run) -> bool:
    """Whether Y was seen to wait while X was running."""
    return any((a, b) == ("running", "pending") for _, a, b in _both(x, y))


def outlasted_fact(run: Run) -> Fact | None:
    """That its create was answered only when it was over, by what the answer says, and long after it was inflight."""
    create = run.create
    said = create.answer.get("status") if create.ok and isinstance(create.answer, dict) else None
    early = next((r for r in run.readings if r.status in INFLIGHT and r.call.until <= create.until), None)
    if said not in TERMINAL or early is None:
        return None
    times = {"sent": create.sent, "seen": early.call.until, "at": create.until}
    return fact("outlasted", (create.n, early.call.n), run=run.tag, status=early.status, said=said, **times)
