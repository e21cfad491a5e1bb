"""The scene of one execution: the target's threads and runs that it knows, its room of gates, and what it records."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from conformance.execution.recorder import Recorder
from conformance.execution.session import Session
from conformance.execution.transport import Room, enter
from conformance.history import OLDER, Call, History
from conformance.programs import NOBODY, Program

Answer = TypeVar("Answer")
TERMINAL = frozenset({"success", "error", "interrupted", "timeout"})
INFLIGHT = frozenset({"pending", "running"})
CLEANUP_S = 5.0
MOST_PAUSE_S = 0.25  # between two reads of one thing
UNANSWERED = 3  # calls in a row, after which it is asked whether the target is there at all
COMES_BACK = frozenset({429, 503})  # a thread that is refused so, which is no subject here, is asked for again
LATER_S = (0.1, 0.4, 1.5)


class NotReached(Exception):
    """A wait ended without what the program needs: the rest of it would prove nothing."""


class TargetLost(Exception):
    """The target does not answer any more; the text says what was tried."""


async def asked_again(ask: Callable[[], Awaitable[Answer]], status: Callable[[Answer], int | None]) -> Answer:
    """The answer to a call that is made again for a while where it is refused for now."""
    answer = await ask()
    for pause in LATER_S:
        if status(answer) not in COMES_BACK:
            break
        await anyio.sleep(pause)
        answer = await ask()
    return answer


class Scene:
    """One program, and fresh threads of the target on which it is executed."""

    def __init__(self, session: Session, program: Program) -> None:
        self.session = session
        self.client = session.client.lane()
        self.program = program
        self.instance = session.next_instance()
        self.recorder = Recorder(session.client.address.redactor(program.words()), suffix=self.instance)
        self.room: Room = enter(session, self.recorder, self.instance)
        self.threads: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self._thread_of = {NOBODY: "t", **{c.tag: c.thread for c in program.creates()}}
        self._created: set[str] = set()  # whose creates were sent
        self._answered: set[str] = set()
        self._cancelled: set[str] = set()  # whose cancels were answered
        self._lost: set[str] = set()  # whose creates were not answered
        self._background = 0
        self._attending = 0  # clients that stay until the target lets them go

    def history(self) -> History:
        """What was recorded so far."""
        seen = self.session.displaces
        return History(
            self.program.to_json(),
            tuple(self.recorder.records),
            self.session.transport,
            self.session.dialect.to_json(),
            self.instance,
            self.session.target if seen == "any" else {**self.session.target, "displaces": seen},
        )

    async def _create_threads(self) -> None:
        missing = self.program.missing()
        for name in self.program.threads():
            if name in missing:
                self.threads[name] = str(uuid.uuid4())
                self.session.threads.add(self.threads[name])
                continue
            # Not to be broken off: a thread whose id is not learned could not be removed.
            with anyio.CancelScope(shield=True):
                call = await asked_again(partial(self.client.create_thread, self.recorder, name), lambda c: c.status)
                if call.ok and not call.error:
                    self.threads[name] = self.recorder.redactor.original(call.answer["thread_id"])
                    self.session.threads.add(self.threads[name])
            if not call.ok or call.error:
                raise TargetLost(f"POST /threads: {call.error or f'answered {call.status}: {str(call.answer)[:200]}'}")

    async def _read(self, thread: str, deep: bool, phase: str = "body") -> None:
        client, thread_id = self.client, self.threads[thread]
        await client.list_runs(self.recorder, thread, thread_id, phase)
        await client.get_thread(self.recorder, thread, thread_id, phase)
        if deep:
            await client.get_state(self.recorder, thread, thread_id, phase)
            history = await client.get_history(self.recorder, thread, thread_id, phase)
            if phase == "final" and (oldest := _cut_off_at(history)) is not None:
                before = self.recorder.redactor.original(oldest)
                await client.get_history(self.recorder, thread, thread_id, OLDER, before=before)

    async def _run_id(self, tag: str) -> str:
        """The run's id from its create's answer, from its announcements, or from the list of runs."""
        if tag in self.runs:
            return self.runs[tag]
        thread = self._thread_of[tag]
        call = await self.client.list_runs(self.recorder, thread, self.threads[thread])
        if call.ok and not call.error:
            for run in call.answer:
                if run["tag"] == tag:
                    self.runs[tag] = self.recorder.redactor.original(run["run_id"])
        for record in self.recorder.told.get(tag, ()):
            if record.run:
                self.runs.setdefault(tag, self.recorder.redactor.original(record.run))
        if tag not in self.runs:
            raise NotReached(f"{tag} has no run id: its create was not accepted, or not answered")
        return self.runs[tag]

    async def _give_up_if_lost(self) -> None:
        """Of a target that has died or hangs every read of every thread would be waited for, one after the other.

        Raises:
            TargetLost: the last reads were not answered, and nothing else is.
        """
        last = [r for r in self.recorder.records if isinstance(r, Call)][-UNANSWERED:]
        if all(call.status is None for call in last) and not await self.client.is_there():
            raise TargetLost(f"{last[-1].op}: {last[-1].error}")

    async def _clean_up(self) -> None:
        await self.room.close()
        for thread_id in self.threads.values():
            if await self.client.delete_thread(thread_id):
                self.session.threads.discard(thread_id)
            elif not await self.client.is_there():
                return  # it stays among those that are removed after all executions


def _cut_off_at(history: Call) -> str | None:
    """The oldest checkpoint of a page, if it has a parent, which the page does not hold."""
    chain = history.answer if history.ok and not history.error else []
    missing = bool(chain) and chain[-1]["parent"] is not None and all(c["id"] != chain[-1]["parent"] for c in chain)
    return str(chain[-1]["id"]) if missing and chain[-1]["id"] is not None else None


async def clean_up(session: Session) -> int:
    """Remove the threads that are left, within a bound; returns how many could not be removed."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(CLEANUP_S):
        async with anyio.create_task_group() as tasks:

            async def remove(thread_id: str) -> None:
                if await session.client.delete_thread(thread_id):
                    session.threads.discard(thread_id)

            for thread_id in list(session.threads):
                tasks.start_soon(remove, thread_id)
    return len(session.threads)
