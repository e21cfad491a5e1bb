"""Double texting: what a new run does to the runs that are inflight on its thread.

:func:`admit` is the whole idea, as a pure function. :class:`Multitask` carries it out; each of its
methods is one decision, small enough to be changed alone (``reference_impl/defects`` does just that).

What makes it right is three rules:

*Admission is atomic.* Between looking at the inflight runs and the effect of the decision nothing is
awaited, and there is one event loop: no other request can come in between.

*The fence comes first.* A run may write checkpoints only while it is entitled to. Displacing a run
revokes this before anything else happens, so it does not matter how long its code takes to stop.

*One executes.* A run starts when no other executes on its thread, in the order of acceptance. A
displaced run counts until its code has stopped, or did not in the time it was given.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Literal

from .errors import ApiError, Conflict, NotFound
from .storage import Run, RunSpec, RunStatus, Storage, Strategy, Thread, ThreadStatus

if TYPE_CHECKING:  # the registry of defects is read where langgraph is not installed
    from fastapi import FastAPI

    from .checkpoints import CheckpointStore
    from .streams import EventLog
    from .worker import Worker


Endpoint = Literal["runs", "wait", "stream"]
Attending = Literal["wait", "join", "stream", "join-stream"]


@dataclass(frozen=True, slots=True)
class Refused:
    """The new run is not accepted; ``because`` is the inflight run that is in its way."""

    because: Run


@dataclass(frozen=True, slots=True)
class Accepted:
    """The new run is accepted; ``displaced`` are stopped first, with or without what they wrote."""

    displaced: Sequence[Run] = ()
    keep_progress: bool = True


Admission = Refused | Accepted


def admit(strategy: Strategy, inflight: Sequence[Run]) -> Admission:
    """Decide about a new run, given the pending and running runs of its thread, oldest first.

    ============= ====================================================================================
    ``reject``    "Raises 409 Conflict if a run is already active"
    ``enqueue``   "Incoming requests are queued and executed sequentially once prior runs complete"
    ``interrupt`` "halts the current execution and preserves the progress made", then the new run
    ``rollback``  "halts the current execution and reverts all progress—including the initial run
                  input—before processing the new user input"
    ============= ====================================================================================

    The documentation does not say what becomes of runs that wait in the queue. As the Agent Server
    does, interrupt and rollback displace every inflight run: the newest input speaks for the user.
    """
    match strategy:
        case Strategy.REJECT if inflight:
            return Refused(because=inflight[0])
        case Strategy.REJECT | Strategy.ENQUEUE:
            return Accepted()
        case Strategy.INTERRUPT:
            return Accepted(displaced=inflight, keep_progress=True)
        case Strategy.ROLLBACK:
            return Accepted(displaced=inflight, keep_progress=False)


class Ending(Enum):
    """How an execution that nobody displaced came to its end."""

    COMPLETED = auto()
    WAITING = auto()
    """At a human-in-the-loop ``interrupt()``: a question to the user is open."""
    FAILED = auto()


STATUS_AFTER: Final = {
    Ending.COMPLETED: (RunStatus.SUCCESS, ThreadStatus.IDLE),
    Ending.WAITING: (RunStatus.SUCCESS, ThreadStatus.INTERRUPTED),
    Ending.FAILED: (RunStatus.ERROR, ThreadStatus.ERROR),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not reach its end, as told to those who wait for it or read its stream."""

    error: str
    message: str

    def encode(self, *, wrapped: bool) -> bytes:
        """JSON of the ``error`` event, or (wrapped) of the answer of ``wait`` and ``join``."""
        body = {"error": self.error, "message": self.message}
        return json.dumps({"__error__": body} if wrapped else body).encode()


CANCEL_WAIT: Final = 30.0
"""Seconds after which ``cancel?wait=true`` answers even if the run's code still executes."""

INTERRUPTED: Final = Failure("RunInterrupted", "The run was stopped before its end; what it saved is kept.")
ROLLED_BACK: Final = Failure("RunRolledBack", "The run was stopped and deleted; what it wrote is undone.")
DELETED: Final = Failure("RunDeleted", "The run was deleted before its end.")


class Multitask:
    """All decisions about runs. Attached to one server's storage, checkpoints and worker.

    Everything that is not ``async`` happens at one instant, as seen from outside.
    """

    storage: Storage
    checkpoints: CheckpointStore
    worker: Worker

    def attach(self, storage: Storage, checkpoints: CheckpointStore, worker: Worker) -> None:
        self.storage, self.checkpoints, self.worker = storage, checkpoints, worker

    def furnish(self, app: FastAPI) -> None:
        """Add to the application what these decisions need there: nothing (a defect adds a layer)."""

    # --- a run is created --------------------------------------------------------------------------

    async def thread(self, thread_id: str, *, make: bool) -> Thread:
        """The thread that a new run is for; ``make``: it is made if there is none. Must not wait either.

        Raises:
            NotFound: there is none.
        """
        if make and thread_id not in self.storage.threads:
            return self.storage.create_thread(thread_id)
        return self.storage.thread(thread_id)

    def temporary_thread(self, *, kept: bool) -> Thread:
        """The thread of a run that is created without one; it is deleted with the run unless it is to be ``kept``."""
        return self.storage.create_thread(temporary=not kept)

    async def accept(self, thread: Thread, spec: RunSpec, endpoint: Endpoint) -> Run:  # noqa: ARG002
        """Accept a run, by whichever endpoint it comes: for defects that look at it."""
        return await self.create(thread, spec)

    async def create(self, thread: Thread, spec: RunSpec) -> Run:
        """Accept a run. A coroutine for those that have to wait here; this one must not, and does not.

        Raises:
            Conflict: refused; nothing has changed.
        """
        return self.carry_out(self.admit(spec.strategy, self.inflight(thread)), thread, spec)

    def inflight(self, thread: Thread) -> Sequence[Run]:
        """The runs that a new one meets, oldest first."""
        return thread.inflight()

    def admit(self, strategy: Strategy, inflight: Sequence[Run]) -> Admission:
        return admit(strategy, inflight)

    def carry_out(self, admission: Admission, thread: Thread, spec: RunSpec) -> Run:
        """Turn the decision into its effect: refuse, or displace and append."""
        if isinstance(admission, Refused):
            raise self.refusal(admission.because)
        for run in admission.displaced:
            self.displace(run, keep_progress=admission.keep_progress)
        run = self.append(thread, spec)
        if spec.after_seconds > 0:
            run.scheduled = True
            self.worker.call_later(spec.after_seconds, lambda: self.come_due(run))
        else:
            self.worker.wake(thread)
        return run

    def refusal(self, because: Run) -> ApiError:
        return Conflict(f"Thread is busy: run {because.run_id} is {because.status}. Try again when it is over.")

    def append(self, thread: Thread, spec: RunSpec) -> Run:
        return self.storage.append_run(thread, spec, self.new_run_id(thread))

    def new_run_id(self, thread: Thread) -> str:  # noqa: ARG002  (a defect looks at it)
        return str(uuid.uuid4())

    def admit_update(self, thread: Thread) -> None:
        """Accept a client's update of the state: while a run is inflight it would race with its checkpoints.

        Raises:
            Conflict: refused because of an inflight run.
        """
        if inflight := thread.inflight():
            raise Conflict(f"Thread is busy: run {inflight[0].run_id} is {inflight[0].status}.")

    # --- a run is displaced, cancelled or deleted ---------------------------------------------------

    def displace(self, run: Run, *, keep_progress: bool) -> None:
        """Take an inflight run out of the way. On return it is terminal or gone, and cannot write."""
        self.stop(run)
        if keep_progress:
            self.retire(run)
        else:
            self.undo(run)

    def cancel(self, run: Run, *, keep_progress: bool) -> None:
        """Displace one run on a client's demand; the queue behind it goes on.

        Raises:
            NotFound: the run is over, so there is nothing to cancel.
        """
        if not run.inflight:
            raise NotFound(f"Run {run.run_id} is not active: it is {run.status}.")
        self.displace(run, keep_progress=keep_progress)
        self.worker.wake(run.thread)

    def cancel_many(self, runs: Sequence[Run], *, keep_progress: bool) -> None:
        """Cancel several runs, in the order of their creation; those that are over are left alone."""
        for run in runs:
            if run.inflight:
                self.cancel(run, keep_progress=keep_progress)

    async def stopped(self, run: Run, timeout: float) -> None:
        """Return when none of the run's code executes any more, or after ``timeout`` seconds."""
        await self.worker.wait_stopped(run, timeout)

    async def cancelled(self, run: Run, *, wait: bool) -> None:
        """A cancel was carried out: return when it is to be answered."""
        if wait:
            await self.stopped(run, CANCEL_WAIT)

    def delete(self, run: Run) -> None:
        """Forget a run; its checkpoints stay, since later ones build on them."""
        if run.inflight:
            self.stop(run)
        self.forget(run, DELETED)
        self.worker.wake(run.thread)

    def delete_thread(self, thread: Thread) -> None:
        """Forget a thread with all it has. Its id may be used again, and then starts empty."""
        for run in tuple(thread.runs):
            self.delete(run)
        self.checkpoints.delete_thread(thread.thread_id)
        self.storage.remove_thread(thread)

    def stop(self, run: Run) -> None:
        """Revoke the right to write, then tell the executing code (if any) to stop."""
        self.checkpoints.revoke(run.run_id)
        self.checkpoints.drop_unfinished(run.thread.thread_id, run.run_id)
        self.worker.cancel(run)

    def retire(self, run: Run) -> None:
        """Interrupt: the run is over, and readable; the checkpoints that it wrote stay."""
        if run.status is RunStatus.RUNNING:
            run.thread.resting = ThreadStatus.INTERRUPTED
        self.end(run, RunStatus.INTERRUPTED, INTERRUPTED)
        self.notify(run)

    def undo(self, run: Run) -> None:
        """Roll back: the thread returns to what it was when the run started, and the run is deleted."""
        if run.status is RunStatus.RUNNING:
            self.revert(run)
        self.forget(run, ROLLED_BACK)

    def revert(self, run: Run) -> None:
        """Take the run's segment off the thread: every checkpoint, the input's included."""
        self.checkpoints.delete_run(run.thread.thread_id, run.run_id)
        run.thread.resting = run.found

    def forget(self, run: Run, reason: Failure) -> None:
        """Delete the run from the records; whoever waits for it is told the reason."""
        if run.inflight:
            self.end(run, RunStatus.INTERRUPTED, reason)
        self.storage.remove_run(run)

    # --- the queue ---------------------------------------------------------------------------------

    def next_run(self, thread: Thread) -> Run | None:
        """The run that starts now on this thread, if any: the first in the queue, when nothing executes."""
        if thread.updating.locked() or self.executing(thread):
            return None
        return next(iter(self.queue(thread)), None)

    def executing(self, thread: Thread) -> Sequence[Run]:
        """The runs of this thread whose code executes, as far as it has not been given up."""
        return self.worker.executing(thread)

    def queue(self, thread: Thread) -> Sequence[Run]:
        """The runs that wait on this thread and are due, in the order in which they start."""
        return [run for run in thread.runs if run.status is RunStatus.PENDING and not run.scheduled]

    def come_due(self, run: Run) -> None:
        """Put a scheduled run in the queue, at the place of its acceptance."""
        run.scheduled = False
        self.worker.wake(run.thread)

    def begin(self, run: Run) -> None:
        """Entitle a run to write; it executes from now on."""
        self.checkpoints.entitle(run.run_id)
        run.found = run.thread.resting
        self.storage.set_status(run, RunStatus.RUNNING)

    def writes_as(self, run: Run) -> Run:
        """The run in whose name (run id, thread) the execution of ``run`` reads and writes: itself."""
        return run

    # --- a run comes to its end ---------------------------------------------------------------------

    def finish(self, run: Run, ending: Ending, output: bytes, failure: Failure | None) -> None:
        """Record the end of an execution that nobody displaced. ``output``: JSON of the final values."""
        self.checkpoints.revoke(run.run_id)
        status, run.thread.resting = self.outcome(ending)
        run.output = output
        self.end(run, status, failure)
        self.notify(run)

    def notify(self, run: Run) -> None:
        """Call the run's webhook, if it has one. A run that is deleted is not spoken of any more."""
        if run.spec.webhook is not None:
            self.worker.call_webhook(run)

    def outcome(self, ending: Ending) -> tuple[RunStatus, ThreadStatus]:
        """What the run, and its thread, are called afterwards."""
        return STATUS_AFTER[ending]

    def end(self, run: Run, status: RunStatus, failure: Failure | None) -> None:
        """Make a run terminal and release everybody who waits for it, telling why if it failed."""
        self.storage.set_status(run, status)
        if failure is not None:
            run.output = failure.encode(wrapped=True)
            run.events.publish("error", failure.encode(wrapped=False))
        run.events.close()

    def events_of(self, run: Run, how: Attending) -> EventLog:  # noqa: ARG002
        """What a client of the run follows until it is closed; ``how``: by what it does. For defects."""
        return run.events

    # --- what clients are told ------------------------------------------------------------------------

    def told_status(self, run: Run) -> RunStatus:
        return run.status

    def told_thread_status(self, thread: Thread) -> ThreadStatus:
        """Busy while a run is inflight, and only then."""
        return ThreadStatus.BUSY if thread.inflight() else thread.resting
