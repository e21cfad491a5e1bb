"""Defects of endpoints: code paths of their own, and clients that are held or told nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator

from reference_impl.errors import Conflict
from reference_impl.multitask import Attending, Endpoint, Failure
from reference_impl.storage import Run, RunSpec, RunStatus, Strategy, Thread
from reference_impl.streams import Event, EventLog

from .across_threads import COLLATERAL
from .registry import Defective, defect

WHOLE = frozenset({RunStatus.SUCCESS, RunStatus.ERROR})


BESIDE = [  # what a run that was stopped from elsewhere breaks
    "reject.reopens",
    "reject.one-winner",
    "enqueue.first-completes",
    "enqueue.conserves-input",
    "enqueue.fifo",
    "thread.busy-iff-inflight",
    "endpoint.same.wait",
    "endpoint.same.stream",
    "cancel.interrupt",
    "cancel.rollback-reverts",
    "cancel.codes",
    "cancel.bulk",
    "cancel.twice",
]


class _IgnoresTheStrategy(Defective):
    endpoint: Endpoint

    async def accept(self, thread: Thread, spec: RunSpec, endpoint: Endpoint) -> Run:
        if endpoint == self.endpoint:
            spec = dataclasses.replace(spec, strategy=Strategy.ENQUEUE)
        return await super().accept(thread, spec, endpoint)


SAME = [
    "reject.conflict",
    "reject.no-effect",
    "interrupt.status",
    "rollback.deleted",
    "rollback.reverts",
    "rollback.lineage",
    "rollback.no-orphans",
    "displaced.stops",
    "create.if-not-exists",
]


@defect(must_fail=["endpoint.same.wait", "history.explainable"], may_fail=SAME)
class WaitIgnoresTheStrategy(_IgnoresTheStrategy):
    """A run that is created by ``/runs/wait`` is always enqueued."""

    endpoint: Endpoint = "wait"


@defect(must_fail=["endpoint.same.stream", "history.explainable"], may_fail=SAME)
class StreamIgnoresTheStrategy(_IgnoresTheStrategy):
    """A run that is created by ``/runs/stream`` is always enqueued."""

    endpoint: Endpoint = "stream"


@defect(must_fail=["reject.code"])
class RefusalOfAStreamWithoutReason(Defective):
    """Who asks for a stream and is refused gets an empty body, as if it were a stream without events."""

    async def accept(self, thread: Thread, spec: RunSpec, endpoint: Endpoint) -> Run:
        try:
            return await super().accept(thread, spec, endpoint)
        except Conflict as e:
            raise Conflict(str(e), empty=endpoint == "stream") from e


class _Held(EventLog):
    """A run's events for a client that nobody lets go when the run is stopped by others."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    async def wait_closed(self) -> None:
        await self._run.events.wait_closed()
        if self._run.status not in WHOLE:
            await asyncio.Event().wait()

    async def read(self, after: int = 0, *, heartbeat: float | None = None) -> AsyncIterator[Event | None]:
        async for event in self._run.events.read(after, heartbeat=heartbeat):
            if event is None or event.name != "error" or self._run.status in WHOLE:
                yield event
        await self.wait_closed()


class _HeldWhileBusy(_Held):
    """A run's events for a client that is let go when nothing is inflight on the whole thread."""

    async def wait_closed(self) -> None:
        await self._run.events.wait_closed()
        while inflight := self._run.thread.inflight():
            await inflight[0].events.wait_closed()

    async def read(self, after: int = 0, *, heartbeat: float | None = None) -> AsyncIterator[Event | None]:
        async for event in self._run.events.read(after, heartbeat=heartbeat):
            yield event
        await self.wait_closed()


class _HoldsItsClients(Defective):
    held: tuple[Attending, ...]
    by: type[_Held] = _Held

    def events_of(self, run: Run, how: Attending) -> EventLog:
        return self.by(run) if how in self.held else super().events_of(run, how)


@defect(must_fail=["endpoint.bounded.wait"])
class WaitIsNeverReleased(_HoldsItsClients):
    """Who waits for a run that it created is held for ever when others stop the run."""

    held: tuple[Attending, ...] = ("wait",)


@defect(must_fail=["endpoint.bounded.join"])
class JoinIsNeverReleased(_HoldsItsClients):
    """Who joins a run is held for ever when others stop the run."""

    held: tuple[Attending, ...] = ("join",)


@defect(must_fail=["endpoint.bounded.stream"])
class StreamIsNeverReleased(_HoldsItsClients):
    """Streams of a run that others stop never end."""

    held: tuple[Attending, ...] = ("stream", "join-stream")


@defect(must_fail=["endpoint.bounded.wait", "endpoint.bounded.join", "endpoint.bounded.stream"])
class ClientsWaitForTheThread(_HoldsItsClients):
    """Who stays with a run is let go when the whole thread is idle: what displaced the run goes first."""

    held: tuple[Attending, ...] = ("wait", "join", "stream", "join-stream")
    by: type[_Held] = _HeldWhileBusy


@defect(must_fail=["endpoint.bounded.join", "endpoint.bounded.stream"])
class LateClientsAreHeld(Defective):
    """Who joins a run, or its stream, when it is over waits for an end that has been."""

    def events_of(self, run: Run, how: Attending) -> EventLog:
        return EventLog() if how in ("join", "join-stream") and not run.inflight else super().events_of(run, how)


@defect(must_fail=["endpoint.tells"])
class StoppedLooksFinished(Defective):
    """Clients of a run that was stopped get values and no error, as if it had come to its end."""

    def end(self, run: Run, status: RunStatus, failure: Failure | None) -> None:
        if status is RunStatus.INTERRUPTED:
            run.output, failure = json.dumps({"counter": 0, "note": ""}).encode(), None
        super().end(run, status, failure)


class _Mixed(EventLog):
    """The events of all runs of the thread that are known already, and then the run's own."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    async def read(self, after: int = 0, *, heartbeat: float | None = None) -> AsyncIterator[Event | None]:
        for other in self._run.thread.runs:
            if other is not self._run and other.events.closed:
                async for event in other.events.read():
                    yield event
        async for event in self._run.events.read(after, heartbeat=heartbeat):
            yield event


@defect(must_fail=["endpoint.own-events"])
class StreamsAreMixed(Defective):
    """A stream begins with what other runs of its thread have told."""

    def events_of(self, run: Run, how: Attending) -> EventLog:
        return _Mixed(run) if how == "join-stream" else super().events_of(run, how)


class _Shared(EventLog):
    """The events of which another reader takes every second one."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    async def read(self, after: int = 0, *, heartbeat: float | None = None) -> AsyncIterator[Event | None]:
        async for event in self._run.events.read(after, heartbeat=heartbeat):
            if event is None or event.id % 2 or event.name == "error":
                yield event


@defect(must_fail=["endpoint.own-events"])
class ReadersShareTheEvents(Defective):
    """Who joins a stream gets only some of its events: those that no other reader took."""

    def events_of(self, run: Run, how: Attending) -> EventLog:
        return _Shared(run) if how == "join-stream" else super().events_of(run, how)


class _Backwards(EventLog):
    """The events of a run that is over, the newest first."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    async def read(self, after: int = 0, *, heartbeat: float | None = None) -> AsyncIterator[Event | None]:
        kept = [event async for event in self._run.events.read(after, heartbeat=heartbeat)]
        for event in reversed(kept):
            yield event


@defect(must_fail=["endpoint.own-events"])
class LateReadersReadBackwards(Defective):
    """Who joins the stream of a run that is over gets its events in the wrong order."""

    def events_of(self, run: Run, how: Attending) -> EventLog:
        return _Backwards(run) if how == "join-stream" and run.events.closed else super().events_of(run, how)


@defect(
    must_fail=["endpoint.stateless", "history.explainable"],
    may_fail=[*COLLATERAL, *SAME, *BESIDE, "thread.independent"],
)
class StatelessStopsOthers(Defective):
    """A run without a thread stops what executes elsewhere."""

    def temporary_thread(self, *, kept: bool) -> Thread:
        for thread in [*self.storage.threads.values()]:
            for run in thread.inflight():
                if run.status is RunStatus.RUNNING:
                    self.displace(run, keep_progress=True)
                    self.worker.wake(thread)
        return super().temporary_thread(kept=kept)


@defect(must_fail=["endpoint.stateless"])
class StatelessShareAThread(Defective):
    """Runs without a thread share one, as long as any of them is inflight: they refuse and stop one another."""

    def temporary_thread(self, *, kept: bool) -> Thread:
        for thread in self.storage.threads.values():
            if thread.temporary and thread.inflight():
                return thread
        return super().temporary_thread(kept=kept)
