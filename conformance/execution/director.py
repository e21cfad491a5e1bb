"""The director: executes one program against the target and returns its history."""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread

from conformance.execution import burst
from conformance.execution.client import asked, run_of, understand
from conformance.execution.recorder import Recorder
from conformance.execution.session import Session
from conformance.execution.tasks import background
from conformance.execution.transport import Room, enter
from conformance.history import Call, Epilogue, History, Remark, Told
from conformance.programs import Cancel, Crack, Create, Join, Move, Open, Program, Read, Together, Until

TERMINAL = frozenset({"success", "error", "interrupted", "timeout"})
INFLIGHT = frozenset({"pending", "running"})
CLEANUP_S = 5.0
PATIENCE_S = 0.3
MOST_SETTLE = 3.0  # times the settle deadline, with signs of life all the time
MOST_QUIET = 4.0  # times the quiet window


class NotReached(Exception):
    """A wait ended without what the program needs: the rest of it would prove nothing."""


class TargetLost(Exception):
    """The target does not answer any more; the text says what was tried."""


class Execution:
    """One program, on fresh threads of the target."""

    def __init__(self, session: Session, program: Program) -> None:
        self.session = session
        self.client = session.client.lane()
        self.program = program
        self.instance = session.next_instance()
        self.recorder = Recorder(session.client.address.redactor(), suffix=self.instance)
        self.room: Room = enter(session, self.recorder, self.instance)
        self.threads: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self._thread_of = {c.tag: c.thread for c in program.creates()}
        self._answered: set[str] = set()
        self._background = 0

    # --- the whole ---------------------------------------------------------------------------------

    async def run(self, slot: anyio.abc.AsyncResource | Any) -> History:
        """Execute the program and the epilogue; ``slot`` is held until the threads have settled.

        Raises:
            TargetLost: no thread could be created.
        """
        async with slot, background() as tasks:
            tasks.start_soon(self.room.listen)
            try:
                await self._create_threads()
                for move in self.program.moves:
                    await self._do(move, tasks)
            except NotReached as e:
                self.recorder.add(Remark, at=self.recorder.now(), kind="not-reached", detail={"why": str(e)})
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(CLEANUP_S):
                    await self._open_all()
            await self._settle()
        # Not always the same: what writes late may be later than any one window. No slot is held meanwhile.
        await anyio.sleep(self.session.bounds.quiet * random.Random(self.instance).uniform(1, MOST_QUIET))
        await self._final_reads()
        await self.room.drain()
        await self._clean_up()
        return self.history()

    def history(self) -> History:
        """What was recorded so far."""
        return History(
            self.program.to_json(),
            tuple(self.recorder.records),
            self.session.transport,
            self.session.dialect.to_json(),
            self.instance,
            self.session.target,
        )

    async def _create_threads(self) -> None:
        for name in self.program.threads():
            # Not to be broken off: a thread whose id is not learned could not be removed.
            with anyio.CancelScope(shield=True):
                call = await self.client.create_thread(self.recorder, name)
                if call.ok and not call.error:
                    self.threads[name] = call.answer["thread_id"]
                    self.session.threads.add(self.threads[name])
            if not call.ok or call.error:
                raise TargetLost(f"POST /threads: {call.error or f'answered {call.status}: {str(call.answer)[:200]}'}")

    # --- moves -------------------------------------------------------------------------------------

    async def _do(self, move: Move, tasks: anyio.abc.TaskGroup) -> None:
        match move:
            case Create():
                # In the background always: a server may answer only after the run's end.
                self._spawn(tasks, self._create, move, tasks)
                if move.waits:
                    await self.recorder.until(lambda: move.tag in self._answered, self.session.bounds.stop)
            case Together(creates):
                await self._burst(creates, tasks)
            case Cancel():
                await self._cancel(move)
            case Join():
                run_id = await self._run_id(move.tag)
                self._spawn(tasks, self._join, move, run_id)
            case Until():
                await self._until(move)
            case Open(key):
                await self.room.open(key)
            case Crack():
                await self._crack(move, tasks)
            case Read(thread, deep):
                await self._read(thread, deep)

    def _spawn(self, tasks: anyio.abc.TaskGroup, work: Any, *args: Any) -> None:
        async def body() -> None:
            try:
                await work(*args)
            finally:
                self._background -= 1

        self._background += 1
        tasks.start_soon(body)

    def _scripted(self, create: Create) -> Create:
        """The create as it is sent: where no gate works, gates hold for a while instead."""
        if self.session.transport != "stream":
            return create
        timed = self.session.bounds.timed
        steps = tuple({**s, "bound": timed} if "gate" in s or "swallow" in s else s for s in create.steps)
        return Create(create.tag, create.strategy, steps, create.thread, create.waits)

    async def _create(self, create: Create, tasks: anyio.abc.TaskGroup) -> None:
        call = await self.client.create_run(
            self.recorder,
            self._scripted(create),
            self.threads[create.thread],
            self.room.via,
        )
        self._learn(create, call, tasks)

    def _learn(self, create: Create, call: Call, tasks: anyio.abc.TaskGroup) -> None:
        self._answered.add(create.tag)
        if call.ok and not call.error:
            self.runs[create.tag] = call.answer["run_id"]
            self.room.follow(tasks, self.threads[create.thread], call.answer["run_id"])
        self.recorder.add(Remark, at=self.recorder.now(), kind="answered", detail={"tag": create.tag})

    async def _burst(self, creates: tuple[Create, ...], tasks: anyio.abc.TaskGroup) -> None:
        client, via = self.client, self.room.via
        shots = [
            burst.Shot(
                "POST",
                f"/threads/{self.threads[c.thread]}/runs",
                client.create_body(self._scripted(c), f"{c.tag}{self.instance}", via),
            )
            for c in creates
        ]
        offset = time.monotonic() - self.recorder.now()
        try:
            hits = await anyio.to_thread.run_sync(burst.fire, client.address, shots)
        except OSError as e:
            raise NotReached(f"the connections of the burst could not be opened: {e}") from e
        group = f"burst {creates[0].tag}"
        for create, hit in zip(creates, hits, strict=True):
            answer, error = None, hit.error
            if hit.status is not None:
                answer, error = understand(hit.status, self.recorder.local(hit.text), run_of)
            call = self.recorder.add(
                Call,
                client=f"create {create.tag}",
                op="create",
                thread=create.thread,
                tag=create.tag,
                sent=round(hit.sent - offset, 6),
                received=round(hit.received - offset, 6),
                request=asked(self._scripted(create)),
                status=hit.status,
                answer=self.recorder.redactor.value(answer),
                error=self.recorder.redactor.text(error) if error else None,
                group=group,
            )
            self._learn(create, call, tasks)
        spread = (max(h.sent for h in hits) - min(h.sent for h in hits)) * 1000
        detail = {"group": group, "calls": len(hits), "spread_ms": round(spread, 3)}
        self.recorder.add(Remark, at=self.recorder.now(), kind="burst", detail=detail)

    async def _cancel(self, move: Cancel) -> None:
        run_id = await self._run_id(move.tag)
        thread = self._thread_of[move.tag]
        await self.client.cancel(self.recorder, thread, self.threads[thread], move.tag, run_id, move.action, move.wait)

    async def _join(self, move: Join, run_id: str) -> None:
        thread = self._thread_of[move.tag]
        await self.client.join(
            self.recorder,
            thread,
            self.threads[thread],
            move.tag,
            run_id,
            move.how,
            self.session.bounds.settle,
        )

    async def _crack(self, move: Crack, tasks: anyio.abc.TaskGroup) -> None:
        if isinstance(move.call, Cancel):
            await self._run_id(move.call.tag)
        call_at, gate_at = move.offset_ms / 1000, 0.0
        if move.gate is None or self.session.transport == "stream":
            call_at = max(0.0, call_at + self._due(move.of) - self.recorder.now())
        else:
            call_at += self.session.bounds.release
            gate_at, call_at = max(0.0, -call_at), max(0.0, call_at)

        async def release() -> None:
            await anyio.sleep(gate_at)
            if move.gate is not None:
                await self.room.open(move.gate)

        async with anyio.create_task_group() as pair:
            pair.start_soon(release)
            await anyio.sleep(call_at)
            if isinstance(move.call, Cancel):
                await self._cancel(move.call)
            else:
                await self._create(move.call, tasks)

    def _due(self, tag: str) -> float:
        """When the superstep that the run is in is due to end: as long after its entry as those before it."""
        told = [r for r in self.recorder.records if isinstance(r, Told) and r.tag == tag]
        if told and told[-1].kind == "enter" and told[-1].detail.get("gate") and self.session.transport == "stream":
            return told[-1].t + self.session.bounds.timed + min(r.at - r.t for r in told)
        entered = [r.t for r in told if r.kind == "enter"]
        now = self.recorder.now()
        if len(entered) < 2:
            return now
        pace = max(0.001, statistics.median(b - a for a, b in itertools.pairwise(entered)))
        # The probe's clock on ours, by its fastest announcement: good enough to aim by.
        due = entered[-1] + pace + min(r.at - r.t for r in told)
        return due if due > now else due + pace * math.ceil((now - due) / pace)

    async def _read(self, thread: str, deep: bool, phase: str = "body") -> None:
        client, thread_id = self.client, self.threads[thread]
        await client.list_runs(self.recorder, thread, thread_id, phase)
        await client.get_thread(self.recorder, thread, thread_id, phase)
        if deep:
            await client.get_state(self.recorder, thread, thread_id, phase)
            await client.get_history(self.recorder, thread, thread_id, phase)

    # --- waits -------------------------------------------------------------------------------------

    def _told(self, tag: str, kind: str, **detail: Any) -> bool:
        return any(
            isinstance(r, Told)
            and r.tag == tag
            and r.kind == kind
            and all((r.step if k == "step" else r.detail.get(k)) == v for k, v in detail.items())
            for r in self.recorder.records
        )

    def _more_started(self) -> Callable[[], bool]:
        def started() -> int:
            return sum(1 for r in self.recorder.records if isinstance(r, Told) and r.kind == "enter")

        before = started()
        return lambda: started() > before

    async def _until(self, move: Until) -> None:
        tag, bounds, reached = move.tag, self.session.bounds, True
        deadline = bounds.reach if move.needed else bounds.stop
        match move.what:
            case "inside":
                reached = await self.recorder.until(lambda: self._told(tag, "enter", gate=move.value), deadline)
            case "entered":
                reached = await self.recorder.until(lambda: self._told(tag, "enter", step=move.value), deadline)
            case "left":
                reached = await self.recorder.until(lambda: self._told(tag, "leave", step=move.value), deadline)
            case "answered":
                await self.recorder.until(lambda: tag in self._answered, bounds.stop)
            case "stopped":
                await self._until_stopped(tag, str(move.value))
            case "steady":
                while await self.recorder.until(self._more_started(), float(move.value or 0)):
                    pass
            case "ended":
                # Its last announcement saves most of the polls; a run that announces none is polled all the same.
                await self.recorder.until(lambda: self._last_told(tag), min(deadline, PATIENCE_S))
                reached = await self._poll(tag, lambda s: s is None or s in TERMINAL, deadline)
            case "status":
                reached = await self._poll(tag, lambda s: s == move.value, deadline)
        if not reached and move.needed:
            raise NotReached(f"{tag} {move.what} {move.value or ''}".strip())

    def _last_told(self, tag: str) -> bool:
        last = len(self.program.scripts()[tag]) - 1
        return self._told(tag, "leave", step=last) or self._told(tag, "raise") or self._told(tag, "cancelled")

    async def _until_stopped(self, tag: str, successor: str) -> None:
        def stopped() -> bool:
            if self._told(tag, "cancelled") or self._told(tag, "swallowed"):
                return True
            return self._told(successor, "enter") and not self._told(tag, "enter")

        since, deadline = self.recorder.now(), self.session.bounds.stop
        told = await self.recorder.until(stopped, deadline)
        waited = round(self.recorder.now() - since, 6)
        detail = {"tag": tag, "waited": waited, "deadline": deadline, "told": told}
        self.recorder.add(Remark, at=self.recorder.now(), kind="stop-waited", detail=detail)

    async def _poll(self, tag: str, good: Any, deadline: float) -> bool:
        run_id, thread = await self._run_id(tag), self._thread_of[tag]
        end, pause = self.recorder.now() + deadline, 0.01
        while True:
            call = await self.client.get_run(self.recorder, thread, self.threads[thread], tag, run_id)
            if call.status == 404 and good(None):
                return True
            if call.ok and not call.error and good(call.answer["status"]):
                return True
            if self.recorder.now() + pause > end:
                return False
            await anyio.sleep(pause)
            pause = min(pause * 1.4, 0.25)

    async def _run_id(self, tag: str) -> str:
        """The run's id from its create's answer, from its announcements, or from the list of runs."""
        if tag in self.runs:
            return self.runs[tag]
        thread = self._thread_of[tag]
        call = await self.client.list_runs(self.recorder, thread, self.threads[thread])
        if call.ok and not call.error:
            for run in call.answer:
                if run["tag"] == tag:
                    self.runs[tag] = run["run_id"]
        for record in self.recorder.records:
            if isinstance(record, Told) and record.tag == tag and record.run:
                self.runs.setdefault(tag, record.run)
        if tag not in self.runs:
            raise NotReached(f"{tag} has no run id: its create was not accepted, or not answered")
        return self.runs[tag]

    # --- the epilogue ------------------------------------------------------------------------------

    async def _open_all(self) -> None:
        opened = {m.gate for m in self.program.moves if isinstance(m, Open)}
        for create in self.program.creates():
            for step in create.steps:
                opened |= {step[k] for k in ("gate", "swallow") if k in step}
        for key in sorted(opened):
            await self.room.open(key)

    async def _settle(self) -> None:
        await self.recorder.until(lambda: self._background == 0, self.session.bounds.reach)
        deadline = self.session.settle_deadline()
        for name in self.threads:
            await self._settle_thread(name, deadline)

    async def _settle_thread(self, name: str, deadline: float) -> None:
        client, thread_id = self.client, self.threads[name]
        # The deadline counts from the last sign of life: a target that is slow but at work is not stuck.
        begun, pause, seen = self.recorder.now(), 0.015, None
        since = begun
        while True:
            runs = await client.list_runs(self.recorder, name, thread_id, "settle")
            inflight = [r for r in runs.answer if r["status"] in INFLIGHT] if runs.ok and not runs.error else None
            status = None
            if inflight == []:
                thread = await client.get_thread(self.recorder, name, thread_id, "settle")
                status = thread.answer["status"] if thread.ok and not thread.error else None
                if status != "busy" and thread.status is not None:
                    break
            now = self.recorder.now()
            told = sum(isinstance(r, Told) for r in self.recorder.records)
            life = (told, [r["status"] for r in runs.answer] if inflight is not None else None)
            if life != seen and now - begun < MOST_SETTLE * deadline:
                since, seen = now, life
            left = since + deadline - now
            if left <= 0:
                break
            await anyio.sleep(min(pause, left + 0.001))
            pause = min(pause * 1.4, 0.25)
        settled = inflight == [] and status != "busy"
        full = deadline >= self.session.bounds.settle
        if not settled and full:
            self.session.stuck += 1
        self.recorder.add(
            Epilogue,
            at=self.recorder.now(),
            thread=name,
            settled=settled,
            waited=round(self.recorder.now() - since, 3),
            deadline=self.session.bounds.settle,
            unsettled=tuple(str(r["tag"] or r["run_id"]) for r in inflight or ()),
            thread_status=status,
        )
        await client.get_history(self.recorder, name, thread_id, "settled")

    async def _final_reads(self) -> None:
        for name, thread_id in self.threads.items():
            await self._read(name, deep=True, phase="final")
            for tag, run_id in self.runs.items():
                if self._thread_of[tag] == name:
                    await self.client.get_run(self.recorder, name, thread_id, tag, run_id, "final")

    async def _clean_up(self) -> None:
        await self.room.close()
        for thread_id in self.threads.values():
            if await self.client.delete_thread(thread_id):
                self.session.threads.discard(thread_id)


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


def shuffled(programs: list[Program], seed: int) -> list[Program]:
    """The programs in a seeded order, so that no kind is always tried first."""
    order = list(programs)
    random.Random(seed).shuffle(order)
    return order
