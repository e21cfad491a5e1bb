"""Threads and runs, in memory: what exists, and in which order it came. No decisions, no I/O."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from .errors import Conflict, NotFound
from .streams import EventLog


class Strategy(StrEnum):
    """``multitask_strategy``: what a new run does to the runs that are inflight on its thread."""

    REJECT = "reject"
    ENQUEUE = "enqueue"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


class RunStatus(StrEnum):
    """The statuses of the API's ``Run``; *inflight* is pending or running, everything else is terminal."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"


class ThreadStatus(StrEnum):
    """The statuses of the API's ``Thread``."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


INFLIGHT = frozenset({RunStatus.PENDING, RunStatus.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What a client asked for when it created a run; field names as in the API."""

    assistant_id: str
    graph_id: str
    strategy: Strategy = Strategy.ENQUEUE
    input: Any = None
    command: Mapping[str, Any] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    stream_mode: tuple[str, ...] = ("values",)
    stream_subgraphs: bool = False
    interrupt_before: str | tuple[str, ...] | None = None
    interrupt_after: str | tuple[str, ...] | None = None
    checkpoint_id: str | None = None
    after_seconds: float = 0.0
    webhook: str | None = None
    """Called, with the run, when it is over."""


@dataclass(slots=True, eq=False, kw_only=True)
class Run:
    """One execution of an assistant on a thread, from its acceptance on."""

    run_id: str
    thread: Thread
    spec: RunSpec
    created_at: datetime
    updated_at: datetime
    status: RunStatus = RunStatus.PENDING
    scheduled: bool = False
    """Whether the run must not start yet, because its ``after_seconds`` have not passed."""
    found: ThreadStatus = ThreadStatus.IDLE
    """The thread's resting status when this run started: what a rollback returns it to."""
    output: bytes = b"null"
    """JSON that ``wait`` and ``join`` answer with, once the run is over."""
    events: EventLog = field(default_factory=EventLog)

    @property
    def inflight(self) -> bool:
        return self.status in INFLIGHT


@dataclass(slots=True, eq=False, kw_only=True)
class Thread:
    """A conversation: its runs in the order of their acceptance, and what it rests in between them."""

    thread_id: str
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any] = field(default_factory=dict)
    graph_id: str | None = None
    """The graph of the last accepted run: needed to read the state. None before the first."""
    resting: ThreadStatus = ThreadStatus.IDLE
    """The status while no run is inflight."""
    runs: list[Run] = field(default_factory=list)
    temporary: bool = False
    """Made for one stateless run; not listed, deleted with it."""
    updating: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a client's state update is written, so that no run starts from half of it."""

    def inflight(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.inflight)


class Storage:
    """All threads and runs. Single-threaded: used from the event loop only."""

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}
        self._last = datetime.now(UTC)

    def now(self) -> datetime:
        """The wall clock (UTC), made strictly increasing, so that ``created_at`` never ties."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    def create_thread(
        self,
        thread_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        temporary: bool = False,
    ) -> Thread:
        """Make an empty thread.

        Raises:
            Conflict: the id is taken.
        """
        if thread_id in self.threads:
            raise Conflict(f"Thread {thread_id} already exists.")
        now = self.now()
        thread = Thread(
            thread_id=thread_id or str(uuid.uuid4()),
            created_at=now,
            updated_at=now,
            metadata=dict(metadata or {}),
            temporary=temporary,
        )
        self.threads[thread.thread_id] = thread
        return thread

    def thread(self, thread_id: str) -> Thread:
        """Look a thread up.

        Raises:
            NotFound: there is none with this id.
        """
        try:
            return self.threads[thread_id]
        except KeyError:
            raise NotFound(f"Thread {thread_id} not found.") from None

    def append_run(self, thread: Thread, spec: RunSpec, run_id: str) -> Run:
        """Add a pending run behind all others of the thread."""
        now = self.now()
        run = Run(run_id=run_id, thread=thread, spec=spec, created_at=now, updated_at=now)
        thread.runs.append(run)
        thread.graph_id = spec.graph_id
        thread.metadata |= {"graph_id": spec.graph_id, "assistant_id": spec.assistant_id}
        thread.updated_at = now
        return run

    def run(self, thread_id: str, run_id: str) -> Run:
        """Look a run up.

        Raises:
            NotFound: the thread does not exist, or has no such run.
        """
        for run in reversed(self.thread(thread_id).runs):
            if run.run_id == run_id:
                return run
        raise NotFound(f"Run {run_id} not found.")

    def set_status(self, run: Run, status: RunStatus) -> None:
        run.status = status
        run.updated_at = run.thread.updated_at = self.now()

    def remove_run(self, run: Run) -> None:
        """Forget a run; harmless when it is gone already."""
        if run in run.thread.runs:
            run.thread.runs.remove(run)
            run.thread.updated_at = self.now()

    def remove_thread(self, thread: Thread) -> None:
        """Forget a thread with its runs; harmless when it is gone already."""
        if self.threads.get(thread.thread_id) is thread:
            del self.threads[thread.thread_id]

    def listed_threads(self) -> Iterator[Thread]:
        """The threads that clients see, oldest first."""
        return (thread for thread in self.threads.values() if not thread.temporary)
