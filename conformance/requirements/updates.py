"""Updates of the state by clients, while runs are inflight."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.facts import HARMLESS, NOT_THE_RUN, Fact, Thread
from conformance.history import Call
from conformance.requirements.base import (
    MUST,
    NO_SUCH_CALL,
    POLICY,
    Exercised,
    Inapplicable,
    Judgement,
    Observed,
    Violation,
    requirement,
)

BUSY = ("update-running", "update-queued")


@requirement(
    "state.update-not-lost",
    MUST,
    "An update of the state that is accepted while a run is inflight is in the settled state.",
    source="the API reference: update the state of a thread; measured: some answer 200 and lose it",
    exercised_by=BUSY,
    breaks="the update is written on the head beside the executing run, whose next superstep has its own parent",
    advice="refuse the update while a run is inflight, or let the next superstep build on it",
)
def update_not_lost(thread: Thread) -> Iterator[Judgement]:
    """Judges accepted updates over which a run was certainly inflight, where nothing takes anything back later."""
    for update, call in thread.updates.items():
        if _refused(call):
            yield Inapplicable(f"the target refuses updates of the state while a run is inflight ({call.status})")
            continue
        if not call.ok or call.error or not thread.settled or thread.head is None:
            continue
        if any(c.until > call.sent and _takes_back(c) for c in thread.calls):
            continue
        inflight = next((p for r in thread.runs.values() if (p := r.inflight_during(call)) is not None), None)
        if inflight is None:
            continue
        if any(tag == update for tag, _ in thread.log):
            yield Exercised()
            continue
        proof = (inflight, thread.updated_fact(call), thread.settled_fact(), thread.log_fact())
        yield Violation(f"{update} is in the settled state", f"nothing of {update} is in it", proof)


def _refused(call: Call) -> bool:
    """By a code that can be about the active run, or since there is no such call."""
    return call.status is not None and (400 <= call.status < 500 or call.status == 501) and call.status != 429


def _takes_back(call: Call) -> bool:
    """Whether it may take something off the state: a rollback, a deletion, who knows what."""
    if call.op == "create":
        return call.request.get("strategy") not in ("reject", "enqueue", "interrupt")
    if call.op == "cancel":
        return str(call.request["action"]) != "interrupt"
    return call.op not in HARMLESS | {"update_state"}


@requirement(
    "state.update-busy",
    POLICY,
    "Whether an update of the state is refused or accepted while a run is inflight.",
    source="the sources are silent; measured: 409, or accepted",
    exercised_by=BUSY,
    breaks="clients that expect one of the two lose their update, or its refusal",
    advice="update the state of a thread that is not busy; or send the change as a run of its own",
)
def update_busy(thread: Thread) -> Iterator[Judgement]:
    """Classifies the answer to updates over which a run was certainly inflight."""
    for update, call in thread.updates.items():
        if not any(r.held_over(call) and r.held_at(call.sent) for r in thread.runs.values()):
            continue
        answer = Fact(f"the update {update} was answered {call.status}", (call.n,))
        if call.ok and not call.error:
            yield Observed("accepted", (answer,))
        elif call.status in NO_SUCH_CALL:
            yield Inapplicable(f"the target has no such call: update of the state answers {call.status}")
        elif _refused(call) and call.status not in NOT_THE_RUN:
            yield Observed("refused", (answer,))
