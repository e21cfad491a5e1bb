"""create: on threads that do not exist."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import GONE, NO_EFFECT, PERHAPS, Fact, Run, Thread, fact, no_such_endpoint, shown
from conformance.history import Call
from conformance.requirements.base import MUST, Exercise, Exercised, Judgement, Violation, requirement

NO_ANSWER = NO_EFFECT | PERHAPS


def unmade_fact(call: Call) -> Fact:
    """A create on a thread that nobody has made, and its answer."""
    said = {"strategy": call.request.get("strategy"), "endpoint": call.request.get("endpoint", "runs")}
    missing = str(call.request.get("if_not_exists", "reject"))
    times = {"sent": call.sent, "at": call.until}
    return fact(
        "unmade", (call.n,), thread=call.thread, run=call.tag, missing=missing, answer=shown(call), **said, **times
    )


def _exists_fact(read: Call) -> Fact:
    return fact("exists", (read.n,), thread=read.thread, op=read.op, sent=read.sent, status=read.status)


@requirement(
    "create.if-not-exists",
    MUST,
    "Of simultaneous creates on an unknown thread with if_not_exists=create one makes the thread, and all meet on it: "
    "their strategies apply.",
    source="the API reference: if_not_exists, create the thread if it does not exist",
    exercised_by=(Exercise("create-missing", 4),),
    breaks="look and make are two steps: the second create finds the thread taken, or replaces it, runs and all",
    advice="make the thread by one upsert",
)
def if_not_exists(thread: Thread) -> Iterator[Judgement]:
    """Judges every create that asks for its thread: by its answer, and by what became of thread and run."""
    for run in thread.runs.values():
        call = run.create
        if call.request.get("if_not_exists") != "create" or call.status is None or call.status in NO_ANSWER:
            continue
        if not _first(thread, call):
            continue  # its thread may be there: it is a create like any other
        if _not_made(run):
            yield Violation("accepted", f"{run.tag}'s create was answered {shown(call)}", (unmade_fact(call),))
        elif run.accepted and (gone := _read(thread, call, 404)) is not None:
            observed = f"thread {thread.name} does not exist"
            yield Violation(f"thread {thread.name} exists", observed, (unmade_fact(call), _exists_fact(gone)))
        elif run.undisturbed and run.final is not None and run.final.status == GONE:
            proof = (unmade_fact(call), run.undisturbed_fact(), run.final_fact())
            yield Violation(f"{run.tag} is on the thread", f"{run.tag} is gone (404)", proof)
        else:
            yield Exercised()


def _first(thread: Thread, call: Call) -> bool:
    """Whether no create was sent before it, but those of its own burst."""
    others = (c for c in thread.calls if c.op in ("create", "stray") and c.sent < call.sent)
    return all(c.group is not None and c.group == call.group for c in others)


def _not_made(run: Run) -> bool:
    """Refused, and not as one that met an active run."""
    return run.refused and not (run.strategy == "reject" and run.met_active_run)


def _read(thread: Thread, after: Call, status: int) -> Call | None:
    reads = (c for c in thread.calls if c.op == "get_thread" and c.status == status and c.sent >= after.until)
    return next(reads, None)


@requirement(
    "create.unknown-thread",
    MUST,
    "A create on a thread that does not exist is refused with a 4xx, whatever its strategy and endpoint, and makes "
    "nothing.",
    source="the API reference: 404; if_not_exists defaults to reject",
    exercised_by=("create-unknown",),
    breaks="the thread is made silently, so that a mistyped id becomes an empty conversation; or a look-up fails with "
    "an internal error",
    advice="look the thread up first, and answer 404",
)
def unknown_thread(thread: Thread) -> Iterator[Judgement]:
    """Judges every create on an unknown thread that does not ask for it, and the reads of the thread after it."""
    strays = [c for c in thread.calls if c.op == "stray"]
    for call in strays[:1]:  # after that it may exist
        if call.status is None or call.status in NO_ANSWER or no_such_endpoint(call, thread.calls):
            continue
        made = _read(thread, call, 200)
        if not 400 <= call.status < 500:
            yield Violation("404", f"{call.tag}'s create was answered {shown(call)}", (unmade_fact(call),))
        elif made is not None:
            observed = f"{call.tag}'s create was answered {call.status}, and thread {thread.name} exists"
            yield Violation("nothing is made", observed, (unmade_fact(call), _exists_fact(made)))
        else:
            yield Exercised(overlap=False)
