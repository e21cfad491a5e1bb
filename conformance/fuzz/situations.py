"""Situations that need several calls in one order: what the grammar's waves would hit too rarely.

Each continues a program on one of its threads. Who meets whom, by which call, is drawn; what a situation is about is
only in which order the kinds of calls come, and that they are answered before the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.facts.clients import RELEASE_S
from conformance.fuzz.choosing import chance, pick, weighted
from conformance.fuzz.scripts import Shape, script, swallow_gate
from conformance.fuzz.writing import ACTIONS, STAYING, STRATEGIES, Line, Writer
from conformance.programs import (
    NOBODY,
    Cancel,
    CancelMany,
    Create,
    Delete,
    Endpoint,
    Fault,
    Join,
    Open,
    Read,
    Renew,
    Stateless,
    Strategy,
    Together,
    Until,
    Update,
    add,
    ask,
    emit,
)
from conformance.scenarios_calls import SOON_S

Situation = Callable[[Writer, Line], None]
ENDPOINTS: tuple[Endpoint, ...] = ("runs", "wait", "stream")
KNOWN: tuple[Strategy, ...] = ("enqueue", "reject", "interrupt", "rollback")
FORMS: tuple[tuple[int, tuple[str | None, bool]], ...] = (
    (4, (None, False)),
    (3, ("", False)),
    (2, ("false", False)),
    (2, (None, True)),
    (2, ("true", True)),
)
"""How a cancel says whether it waits, and what that means."""
QUEUED: tuple[tuple[int, Shape], ...] = ((2, "held"), (1, "short"))
ENDING: tuple[tuple[int, Shape], ...] = ((2, "failing"), (1, "short"))
TWICE: tuple[tuple[int, Fault | None], ...] = ((1, None), (2, "lost"), (1, "dropped"))
OVERDUE_MS = 1500  # after so long a run that was to start in a second is due
QUEUE = 9  # runs that wait
CROWD = 12  # more than a page of some lists


# --- cancels -------------------------------------------------------------------------------------------


def _cancel(w: Writer, tag: str) -> Cancel:
    form, wait = weighted(w.chooser, FORMS)
    return Cancel(tag, pick(w.chooser, ACTIONS), wait, form, waits=not wait)


def cancelled(w: Writer, line: Line) -> None:
    """The run that executes, or one that waits behind it, is cancelled in some form: perhaps twice, or by two at once;
    or one that has ended, or that nobody knows."""
    holder = w.hold(line, "held")
    if holder is None:
        return
    before, queued = list(line.inflight), None
    if chance(w.chooser, 60) and not w.full():
        create = w.new(line, "enqueue", "held")
        queued = create.tag
        w.add(create)
    tag = pick(w.chooser, [holder, *([queued] if queued is not None else [])])
    match weighted(w.chooser, ((4, "once"), (4, "twice"), (3, "together"), (4, "over"))):
        case "once":
            w.moves += [_cancel(w, tag), Read(line.name)]
            line.end(tag)
        case "twice":
            first = _cancel(w, tag)
            w.moves += [first, _cancel(w, tag) if chance(w.chooser, 40) else first]
            line.end(tag)
        case "together":
            order = pick(w.chooser, (ACTIONS, ACTIONS[::-1]))
            w.moves.append(Together((), tuple(Cancel(tag, action, form="") for action in order)))
            line.end(tag)
        case "over":
            for open_still in list(line.inflight):
                w.open(open_still)
                line.end(open_still)
            w.until("ended", tag)
            w.moves.append(_cancel(w, tag))
            if line.name == "t" and chance(w.chooser, 50):
                w.moves.append(_cancel(w, NOBODY))
    w.release(line, before)


def cancel_waited_for(w: Writer, line: Line) -> None:
    """A client waits for the end of work that swallows its cancellation for a while."""
    if w.full() or line.inflight:
        return
    tag = w.hold(line, "swallows")
    if tag is None:
        return
    w.moves.append(Cancel(tag, pick(w.chooser, ACTIONS), wait=True, waits=False))
    w.until("stopped", tag)
    w.moves += [Until("returned", tag, SOON_S, needed=False), Open(swallow_gate(tag))]
    w.opens(swallow_gate(tag))
    w.open(tag)
    step = next(i for i, s in enumerate(w.scripts[tag]) if "swallow" in s)
    w.until("left", tag, step)
    w.moves.append(Until("returned", tag, 1.0, needed=False))
    line.end(tag)


def cancelled_many(w: Writer, line: Line) -> None:
    """Some runs of a queue are cancelled by one call."""
    holder = w.hold(line, "held")
    if holder is None or w.full(2):
        return
    for _ in range(1 + w.chooser.below(2)):
        w.add(w.new(line, "enqueue", "held"))
    before = list(line.inflight)
    tags = [tag for tag in before if tag == before[0] or chance(w.chooser, 50)][w.chooser.below(2) :] or before[:1]
    w.moves.append(CancelMany(tuple(tags), pick(w.chooser, ACTIONS)))
    for tag in tags:
        line.end(tag)
    w.release(line, before)


# --- endpoints and clients -----------------------------------------------------------------------------


def same(w: Writer, line: Line) -> None:
    """The same on two threads, on one of them by another endpoint: the first run, or the second."""
    other = Line("x")
    if w.full(4) or line.inflight or other.name in {home.name for home in w.home.values()}:
        return
    strategy, endpoint = pick(w.chooser, KNOWN), pick(w.chooser, STAYING)
    plain: Endpoint = "runs"
    first_by, second_by = (plain, endpoint) if chance(w.chooser, 60) else (endpoint, plain)
    held = [w.hold(line, "held"), None]
    create = w.new(other, "enqueue", "held", waits=False)
    w.moves.append(replace(create, endpoint=first_by))
    w.sent(create)
    w.inside(create.tag)
    held[1] = create.tag
    for at, by in ((line, plain), (other, second_by)):
        create = w.new(at, strategy, "held", waits=by == "runs" or strategy == "reject")
        w.moves.append(replace(create, endpoint=by))
        w.sent(create)
        if by != "runs" and strategy != "reject":
            w.until("listed", create.tag)
    for at, tag in ((line, held[0]), (other, held[1])):
        w.release(at, [str(tag)])


def clients(w: Writer, line: Line) -> None:
    """Clients that stay with a run which others stop, or which ends by itself, and with the run that comes then."""
    holder = w.hold(line, "held")
    if holder is None or w.full(2):
        return
    before = list(line.inflight)
    tag = holder
    if chance(w.chooser, 45):
        queued = w.new(line, "enqueue", "held", waits=False)
        w.moves.append(replace(queued, endpoint=pick(w.chooser, ENDPOINTS)))
        w.sent(queued)
        w.until("listed", queued.tag)
        tag, before = queued.tag, list(line.inflight)
    joins = [Join(tag, weighted(w.chooser, ((3, "stream"), (2, "join")))) for _ in range(1 + w.chooser.below(3))]
    late = chance(w.chooser, 15)
    w.moves += [] if late else joins
    match weighted(w.chooser, ((3, "itself"), (4, "displaced"), (3, "cancelled"))):
        case "displaced":
            w.add(w.new(line, pick(w.chooser, ACTIONS), weighted(w.chooser, QUEUED)))
        case "cancelled":
            w.moves.append(Cancel(tag, pick(w.chooser, ACTIONS)))
            line.end(tag)
        case "itself":
            w.release(line, before)
            return
    if late or chance(w.chooser, 85):
        w.until("ended", tag)
    w.moves += joins if late else []
    if chance(w.chooser, 80):
        w.until("released", tag, RELEASE_S)  # while the thread goes on
    w.release(line, before)


def webhooks(w: Writer, line: Line) -> None:
    """Runs with webhooks, that others end, or that end by themselves."""
    if w.full(2) or line.inflight:
        return
    if chance(w.chooser, 50):
        create = w.new(line, "enqueue", weighted(w.chooser, ENDING))
        w.moves.append(replace(create, webhook=True))
        w.until("ended", create.tag)
        w.until("hooked", create.tag)
        return
    create = w.new(line, "enqueue", "held", waits=False)
    w.moves.append(replace(create, webhook=True))
    w.sent(create)
    w.inside(create.tag)
    before = list(line.inflight)
    if chance(w.chooser, 60):
        w.add(replace(w.new(line, pick(w.chooser, ACTIONS), "short"), webhook=True))
    else:
        w.moves.append(Cancel(create.tag, pick(w.chooser, ACTIONS)))
        line.end(create.tag)
    w.release(line, before)


def stateless(w: Writer, line: Line) -> None:
    """Runs without a thread beside one that is held; now and then the first of them is held, too."""
    if w.hold(line, "held") is None or w.full(3):
        return
    before, held = list(line.inflight), None
    if chance(w.chooser, 50):
        held = w.tag()
        w.scripts[held] = script(w.chooser, held, "held")
        w.moves.append(Stateless(held, pick(w.chooser, KNOWN), w.scripts[held]))
        w.inside(held)
    for _ in range(1 + w.chooser.below(2)):
        tag = w.tag()
        w.scripts[tag] = (emit(),)
        endpoint = pick(w.chooser, ENDPOINTS) if held is None else "runs"  # who waits may wait for the one that is held
        w.moves.append(Stateless(tag, pick(w.chooser, KNOWN), w.scripts[tag], endpoint))
        w.until("answered", tag)
    if held is not None:
        w.open(held)
    w.release(line, before)


def refused(w: Writer, line: Line) -> None:
    """A reject meets a held run, and the same call comes again when that has ended."""
    holder = w.hold(line, "held")
    if holder is None or w.full(2):
        return
    by = pick(w.chooser, ENDPOINTS) if chance(w.chooser, 40) else "runs"
    if chance(w.chooser, 45) and not w.full(3):  # the newest run has ended, and an older one has not
        newest = w.new(line, "enqueue", "short")
        w.moves += [newest, Cancel(newest.tag, pick(w.chooser, ACTIONS))]
        w.until("ended", newest.tag)
    w.moves.append(Read(line.name))
    w.add(replace(w.new(line, "reject", "short"), endpoint=by))
    w.moves.append(Read(line.name))
    for tag in list(line.inflight):
        w.open(tag)
        w.until("ended", tag)
        line.end(tag)
    last = replace(w.new(line, "reject", "short"), endpoint=by)
    w.add(last)
    w.until("ended", last.tag)
    line.end(last.tag)


def updated(w: Writer, line: Line) -> None:
    """A client updates the state while a run is held, or before that, and another one follows."""
    if chance(w.chooser, 50) and not line.inflight and line.made:
        w.moves.append(Update(w.tag(), line.name))
    if w.hold(line, "held") is None or w.full():
        return
    before = list(line.inflight)
    if chance(w.chooser, 40):
        w.add(w.new(line, "enqueue", "short"))
    if chance(w.chooser, 50) and not w.full():
        w.add(w.new(line, pick(w.chooser, ACTIONS), "short"))
    else:
        w.moves.append(Update(w.tag(), line.name))
    w.moves.append(Read(line.name, deep=True))
    w.release(line, before)


# --- threads that do not exist -------------------------------------------------------------------------


def missing(w: Writer, _line: Line) -> None:
    """Creates that ask for their thread, at once or one after the other."""
    line = Line("n", made=False)
    size = 2 + w.chooser.below(3)
    if w.full(size + 1) or line.name in {home.name for home in w.home.values()}:
        return
    strategy = pick(w.chooser, KNOWN)
    if chance(w.chooser, 75):
        creates = tuple(w.new(line, strategy, "held", waits=False) for _ in range(size))
        w.moves.append(Together(creates))
        w.sent(*creates)
    else:
        for _ in range(size):
            create = w.new(line, strategy, "held", waits=False)
            w.moves.append(create)
            w.sent(create)
    before = list(line.inflight)
    if chance(w.chooser, 40):
        w.until("answered", before[0])
        w.single(line)
    w.release(line, before)


def strayed(w: Writer, _line: Line) -> None:
    """Creates on threads that do not exist, which nobody asks for."""
    for _ in range(1 + w.chooser.below(2)):
        if w.full():
            return
        tag = w.tag()
        w.scripts[tag] = (emit(),)
        name, endpoint = f"n-{tag.lower()}", pick(w.chooser, ENDPOINTS)
        strategy = weighted(w.chooser, STRATEGIES)
        w.moves += [Create(tag, strategy, w.scripts[tag], name, endpoint=endpoint, missing="refuse"), Read(name)]


# --- what no strategy is defined for -------------------------------------------------------------------


def special(w: Writer, line: Line) -> None:
    """A run that is scheduled, or that asks, on a thread of its own, which another run meets; others go on beside."""
    own = Line("s")
    if w.full(3) or own.name in {home.name for home in w.home.values()}:
        return
    w.hold(line)
    strategy = pick(w.chooser, KNOWN)
    if chance(w.chooser, 50):
        scheduled = w.new(own, strategy, "short")
        w.moves.append(replace(scheduled, after=1))
        w.add(w.new(own, pick(w.chooser, KNOWN), "short"))
        if chance(w.chooser, 50):
            w.until("ended", scheduled.tag)
        return
    asking = w.new(own, "enqueue", "short", steps=(emit(), ask(), emit()))
    w.moves.append(asking)
    w.until("ended", asking.tag)
    if chance(w.chooser, 40):
        then = replace(w.new(own, "enqueue", "short", steps=()), answers="yes")
    else:
        then = w.new(own, strategy, "short")
    w.moves.append(then)
    w.until("ended", then.tag)


def unscheduled(w: Writer, line: Line) -> None:
    """A scheduled run is due on a thread that another run holds for longer, or is cancelled before that."""
    own, beside = Line("c"), Line("d")
    if w.full(3) or {own.name, beside.name} & {home.name for home in w.home.values()}:
        return
    w.hold(line)
    holder = w.hold(own, "held")
    scheduled = w.new(own, "enqueue", "held")
    slow = w.new(beside, "enqueue", "short", steps=(add(sleep=OVERDUE_MS),))
    w.moves.append(replace(scheduled, after=1))
    if chance(w.chooser, 60):
        w.moves.append(Cancel(scheduled.tag, pick(w.chooser, ACTIONS)))
    w.moves.append(slow)
    w.until("ended", slow.tag)
    for tag in filter(None, (holder, scheduled.tag)):
        w.open(tag)
        w.until("ended", tag)


def sent_twice(w: Writer, line: Line) -> None:
    """A create is sent two times, one after the other or at once, as a client does that has got no answer."""
    if w.full(3):
        return
    if chance(w.chooser, 75):
        w.hold(line)
    before = list(line.inflight)
    create = w.new(line, weighted(w.chooser, STRATEGIES), weighted(w.chooser, QUEUED))
    fault = weighted(w.chooser, TWICE)
    create = replace(create, waits=fault is not None, fault=fault)
    w.moves.append(create)
    w.sent(create)
    w.again(create)
    w.release(line, before)


def crowd(w: Writer, line: Line) -> None:
    """More runs wait than fit on a page of some list, or some of all endpoints."""
    mixed = chance(w.chooser, 50)
    size = 4 if mixed else CROWD
    if line.inflight or w.full(1 + size):
        return
    w.hold(line, "held")
    before = list(line.inflight)
    for _ in range(size):
        by = pick(w.chooser, ENDPOINTS) if mixed else "runs"
        create = w.new(line, "enqueue", "short", waits=by == "runs", steps=(add(),))
        w.moves.append(replace(create, endpoint=by))
        w.sent(create)
        if by != "runs":
            w.until("listed", create.tag)
    w.release(line, before)


def long_queue(w: Writer) -> None:
    """A run on an idle thread beside a held one with a long queue; another one shows before that two can execute at
    once. With the target for itself."""
    busy, other, idle = Line("t"), Line("w"), Line("u")
    holder = w.new(busy, "enqueue", "held", waits=False)
    w.moves.append(holder)
    w.inside(holder.tag)
    beside = w.new(other, "enqueue", "held", waits=False)
    w.moves.append(beside)
    w.until("begun", beside.tag)
    w.inside(beside.tag)
    w.open(beside.tag)
    w.until("ended", beside.tag)
    queued = [w.new(busy, "enqueue", "short", waits=False) for _ in range(QUEUE + w.chooser.below(2))]
    w.moves += queued
    w.until("answered", queued[-1].tag)
    late = w.new(idle, pick(w.chooser, KNOWN[:2]), "short", waits=False)
    w.moves.append(late)
    w.until("begun", late.tag)
    w.open(holder.tag)


SITUATIONS: tuple[Situation, ...] = (
    refused,
    refused,
    cancelled,
    cancelled,
    clients,
    same,
    missing,
    sent_twice,
    cancel_waited_for,
    cancelled_many,
    webhooks,
    stateless,
    strayed,
    updated,
    clients,
    special,
    unscheduled,
    crowd,
)


# --- deletions -----------------------------------------------------------------------------------------


def deleted_queue(w: Writer, line: Line) -> None:
    """Of a queue the executing run, or one that waits, is deleted: the others go on."""
    holder = w.hold(line, "held")
    if holder is None or w.full(2):
        return
    for _ in range(1 + w.chooser.below(2)):
        w.add(w.new(line, "enqueue", weighted(w.chooser, QUEUED)))
    before = list(line.inflight)
    tag = pick(w.chooser, before)
    w.moves += [Delete(tag), Read(line.name)]
    line.end(tag)
    w.release(line, before)


def deleted_ended(w: Writer, line: Line) -> None:
    """A run that has ended, by itself or not, is deleted, and the thread goes on."""
    if w.full(2) or line.inflight:
        return
    create = w.new(line, "enqueue", weighted(w.chooser, ENDING))
    w.add(create)
    if chance(w.chooser, 30):
        w.moves.append(_cancel(w, create.tag))
    w.until("ended", create.tag)
    line.end(create.tag)
    w.moves += [Delete(create.tag), Read(line.name, deep=True)]
    if chance(w.chooser, 60):
        w.single(line)
        w.release(line, list(line.inflight))


def deleted_running(w: Writer, line: Line) -> None:
    """A run is deleted while a gate holds it, which is opened when it was told, or the settle deadline has passed."""
    holder = w.hold(line, "held")
    if holder is None:
        return
    before = list(line.inflight)
    w.moves += [Delete(holder), Read(line.name)]
    line.end(holder)
    w.until("halted", holder)
    w.single(line)
    w.release(line, before)


def renewed(w: Writer, line: Line) -> None:
    """A thread is deleted, with a run that is held or with runs that have ended, and made again under its id."""
    if line.name != "t" or any(isinstance(m, Renew) for m in w.moves):
        return
    holder = w.hold(line, "held") if chance(w.chooser, 50) else None
    if holder is None:
        if w.full():
            return
        for tag in list(line.inflight):
            w.open(tag)
            line.end(tag)
        create = w.new(line, "enqueue", "short")
        w.moves.append(create)
        w.until("ended", create.tag)
    before = list(line.inflight)
    w.moves += [Renew(line.name), Read(line.name, deep=True)]
    line.inflight = []
    if holder is not None and chance(w.chooser, 60):
        w.until("halted", holder)
    w.single(line)
    w.release(line, before)


def deleted_wave(w: Writer) -> None:
    """Several runs are deleted while they execute; then some new ones are created. With the target for itself."""
    runs = [w.new(Line(f"d{i}"), "enqueue", "held", waits=False) for i in range(4 + w.chooser.below(3))]
    w.moves += runs
    for run in runs:
        w.inside(run.tag)
    w.moves += [Delete(run.tag) for run in runs]
    for run in runs:
        w.open(run.tag)
    after = [w.new(Line(f"e{i}"), "enqueue", "short", waits=False) for i in range(1 + w.chooser.below(3))]
    w.moves += after
    for run in after:
        w.until("begun", run.tag)


HARMING: tuple[Situation, ...] = (deleted_queue, deleted_running, deleted_ended, renewed)
