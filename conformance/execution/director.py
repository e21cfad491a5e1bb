"""The director: executes one program against the target and returns its history."""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time
import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.abc

from conformance.execution import burst
from conformance.execution.answers import run_of, understand
from conformance.execution.attending import Got, attend
from conformance.execution.client import asked, cancel_asked, cancel_query, create_path, op_of
from conformance.execution.scene import CLEANUP_S, NotReached
from conformance.execution.settling import Settling
from conformance.execution.tasks import background
from conformance.history import WITHOUT_PROBE, Call, History, Remark
from conformance.programs import (
    CRACK,
    NOBODY,
    Cancel,
    CancelMany,
    Crack,
    Create,
    Delete,
    Join,
    Move,
    Open,
    Program,
    Read,
    Renew,
    Stateless,
    Together,
    Until,
    Update,
)

MOST_QUIET = 4.0  # times the quiet window


class Execution(Settling):
    """One program, on fresh threads of the target."""

    async def run(self, slot: anyio.abc.AsyncResource | Any) -> History:
        """Execute the program and the epilogue; ``slot`` is held until the threads have settled.

        Raises:
            TargetLost: no thread could be created, or nothing is answered any more.
        """
        async with slot, background() as tasks:
            tasks.start_soon(self.room.listen)
            tasks.start_soon(self.recorder.pulse.beat)
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

    async def _do(self, move: Move, tasks: anyio.abc.TaskGroup) -> None:
        match move:
            case Create():
                self._created.add(move.tag)
                # In the background always: a server may answer only after the run's end.
                stays = move.endpoint != "runs" and move.missing != "refuse"
                self._spawn(tasks, self._create, move, tasks, stays=stays)
                if move.waits:
                    await self.recorder.until(lambda: move.tag in self._answered, self.session.bounds.stop)
            case Together(creates, cancels):
                await self._burst(creates, cancels, tasks)
            case Cancel():
                if move.tag != NOBODY:
                    await self._run_id(move.tag)
                self._spawn(tasks, self._cancel, move)
                if move.waits:
                    await self.recorder.until(lambda: move.tag in self._cancelled, self.session.bounds.reach)
            case CancelMany(tags):
                ids = [await self._run_id(tag) for tag in tags]
                thread = self._thread_of[tags[0]]
                await self.client.cancel_many(self.recorder, move, thread, self.threads[thread], ids)
            case Delete(tag):
                run_id, thread = await self._run_id(tag), self._thread_of[tag]
                await self.client.delete_run(self.recorder, move, thread, self.threads[thread], run_id)
            case Renew(thread, again):
                await self._renew(thread, again)
            case Update(thread=thread):
                await self.client.update_state(self.recorder, move, self.threads[thread])
            case Stateless():
                self._spawn(tasks, self._stateless, move)
            case Join():
                run_id = await self._run_id(move.tag)
                self._spawn(tasks, self._join, move, run_id, stays=True)
            case Until():
                await self._until(move)
            case Open(key):
                await self.room.open(key)
            case Crack():
                await self._crack(move, tasks)
            case Read(thread, deep):
                await self._read(thread, deep)

    def _spawn(self, tasks: anyio.abc.TaskGroup, work: Any, *args: Any, stays: bool = False) -> None:
        counter = "_attending" if stays else "_background"

        async def body() -> None:
            try:
                await work(*args)
            finally:
                setattr(self, counter, getattr(self, counter) - 1)

        setattr(self, counter, getattr(self, counter) + 1)
        tasks.start_soon(body)

    def _scripted(self, create: Create) -> Create:
        """The create as it is sent: where no gate works, gates hold for a while instead, and nobody can call back.
        A graph that is no probe has no script at all."""
        create = replace(create, webhook=create.webhook and self.session.transport == "callback")
        if self.session.transport == WITHOUT_PROBE:
            return replace(create, steps=())
        if self.session.transport != "stream":
            return create
        timed = self.session.bounds.timed
        # What a subgraph says on the run's stream does not reach every client: its steps are plain ones here.
        plain = ({k: v for k, v in s.items() if k != "nested"} for s in create.steps)
        steps = tuple({**s, "bound": timed} if "gate" in s or "swallow" in s else s for s in plain)
        return replace(create, steps=steps)

    async def _create(self, create: Create, tasks: anyio.abc.TaskGroup) -> None:
        if create.endpoint != "runs" and create.missing != "refuse":
            await self._create_and_stay(create, tasks)
            return
        call = await self.client.create_run(
            self.recorder,
            self._scripted(create),
            self.threads[create.thread],
            self.room.via,
        )
        self._learn(create, call, tasks)

    async def _create_and_stay(self, create: Create, tasks: anyio.abc.TaskGroup) -> None:
        """By ``/runs/wait`` or ``/runs/stream``: some targets name the run at once, some only at its end."""
        thread_id, scripted = self.threads[create.thread], self._scripted(create)

        def opened(got: Got) -> None:
            if got.location is not None:
                self.runs[create.tag] = got.location
                self.room.follow(tasks, thread_id, got.location)
            if create.endpoint == "stream" or got.location is not None:
                self._hear(create.tag)

        call = await attend(
            self.client,
            self.recorder,
            "create",
            f"/threads/{thread_id}{create_path(create)}",
            thread=create.thread,
            tag=create.tag,
            how=create.endpoint,
            name=f"create {create.tag}",
            body=self.client.create_body(scripted, create.tag + self.instance, self.room.via),
            request=asked(scripted),
            fault=create.fault,
            opened=opened,
        )
        if call.status is None:
            self._lost.add(create.tag)
        self._hear(create.tag)

    def _hear(self, tag: str) -> None:
        self._answered.add(tag)
        self.recorder.add(Remark, at=self.recorder.now(), kind="answered", detail={"tag": tag})

    async def _stateless(self, move: Stateless) -> None:
        create = self._scripted(Create(move.tag, move.strategy, move.steps, "", endpoint=move.endpoint))
        await self.client.create_stateless(self.recorder, create, self.room.via)
        self._hear(move.tag)

    def _learn(self, create: Create, call: Call, tasks: anyio.abc.TaskGroup) -> None:
        if call.ok and not call.error:
            self.runs[create.tag] = self.recorder.redactor.original(call.answer["run_id"])
            self.room.follow(tasks, self.threads[create.thread], self.runs[create.tag])
        elif call.status is None:
            self._lost.add(create.tag)
        self._hear(create.tag)

    async def _burst(
        self, creates: tuple[Create, ...], cancels: tuple[Cancel, ...], tasks: anyio.abc.TaskGroup
    ) -> None:
        client, via = self.client, self.room.via
        shots = [
            burst.Shot(
                "POST",
                f"/threads/{self.threads[c.thread]}{create_path(c)}",
                client.create_body(self._scripted(c), f"{c.tag}{self.instance}", via),
            )
            for c in creates
        ]
        shots += [burst.Shot("POST", await self._cancel_path(c), {}) for c in cancels]
        offset = time.monotonic() - self.recorder.now()
        try:
            volley = await self.session.fire(client.address, shots)
        except OSError as e:
            raise NotReached(f"the connections of the burst could not be opened: {e}") from e
        calls: list[Create | Cancel] = [*creates, *cancels]
        group = f"burst {calls[0].tag}"
        for move, hit in zip(calls, volley.hits, strict=True):
            answer, error = None, hit.error
            made, tag = isinstance(move, Create), move.tag
            if hit.status is not None:
                read = run_of if made else _nothing
                answer, error = understand(hit.status, self.recorder.local(hit.text), read)
            call = self.recorder.add(
                Call,
                client=f"{'create' if made else 'cancel'} {tag}",
                op=op_of(move) if isinstance(move, Create) else "cancel",
                thread=self._thread_of[tag],
                tag=tag,
                sent=round(hit.sent - offset, 6),
                received=round(hit.received - offset, 6),
                request=asked(self._scripted(move)) if isinstance(move, Create) else cancel_asked(move),
                status=hit.status,
                answer=self.recorder.redactor.kept(answer),
                error=self.recorder.redactor.text(error) if error else None,
                group=group,
            )
            if isinstance(move, Create):
                self._learn(move, call, tasks)
        sent = [hit.sent for hit in volley.hits]
        detail = {"group": group, "calls": len(sent), "spread_ms": round((max(sent) - min(sent)) * 1000, 3)}
        if volley.stopped is not None:
            detail["stopped_ms"] = round(volley.stopped * 1000, 3)
        self.recorder.add(Remark, at=self.recorder.now(), kind="burst", detail=detail)

    async def _cancel(self, move: Cancel) -> None:
        run_id = str(uuid.uuid4()) if move.tag == NOBODY else await self._run_id(move.tag)
        thread = self._thread_of[move.tag]
        await self.client.cancel(self.recorder, move, thread, self.threads[thread], run_id)
        self._cancelled.add(move.tag)
        self.recorder.add(Remark, at=self.recorder.now(), kind="returned", detail={"tag": move.tag})

    async def _cancel_path(self, move: Cancel) -> str:
        run_id, thread_id = await self._run_id(move.tag), self.threads[self._thread_of[move.tag]]
        return f"/threads/{thread_id}/runs/{run_id}/cancel?{urlencode(cancel_query(move))}"

    async def _renew(self, thread: str, again: bool) -> None:
        thread_id = self.threads[thread]
        with anyio.CancelScope(shield=True):  # as in _create_threads
            gone = await self.client.remove_thread(self.recorder, thread, thread_id)
            if not gone.ok:
                raise NotReached(f"thread {thread} was not deleted: answered {gone.status}")
            if again:
                await self.client.create_thread(self.recorder, thread, thread_id)
            else:
                self.session.threads.discard(self.threads.pop(thread))

    async def _join(self, move: Join, run_id: str) -> None:
        thread = self._thread_of[move.tag]
        await attend(
            self.client,
            self.recorder,
            move.how,
            f"/threads/{self.threads[thread]}/runs/{run_id}/{move.how}?cancel_on_disconnect=0",
            thread=thread,
            tag=move.tag,
            how=move.how,
            name=f"{move.how} {move.tag}",
        )

    async def _crack(self, move: Crack, tasks: anyio.abc.TaskGroup) -> None:
        if isinstance(move.call, Cancel):
            await self._run_id(move.call.tag)
        aim, kind = self.session.aim, "superstep" if move.gate is None else "gate"
        offset_ms = aim.sharpened(kind, move.offset_ms) if self.program.family.endswith(CRACK) else move.offset_ms
        offset, lead, gate_at = offset_ms / 1000, aim.lead, 0.0
        if move.gate is None or self.session.transport == "stream":
            now = self.recorder.now()
            call_at = max(0.0, self._due(move.of, now + lead - offset) + offset - lead - now)
        else:
            call_at = offset - lead + self.session.bounds.release
            gate_at, call_at = max(0.0, -call_at), max(0.0, call_at)

        async def release() -> None:
            await anyio.sleep(gate_at)
            if move.gate is not None:
                await self.room.open(move.gate)

        begun = self.recorder.now() + call_at
        async with anyio.create_task_group() as pair:
            pair.start_soon(release)
            await anyio.sleep(call_at)
            if isinstance(move.call, Cancel):
                await self._cancel(move.call)
            else:
                await self._create(move.call, tasks)
        calls = (r for r in reversed(self.recorder.records) if isinstance(r, Call) and r.op in ("create", "cancel"))
        if (sent := next((c.sent for c in calls if c.tag == move.call.tag), None)) is not None:
            aim.sent(sent - begun)
        self.recorder.add(Remark, at=self.recorder.now(), kind="aimed", detail={"at": kind, "offset_ms": offset_ms})

    def _due(self, tag: str, earliest: float) -> float:
        """When a superstep of the run is due to end, the first one that is not due before ``earliest``: each is taken
        to be as long after its entry as those before it."""
        told = self.recorder.told.get(tag, [])
        if told and told[-1].kind == "enter" and told[-1].detail.get("gate") and self.session.transport == "stream":
            due = told[-1].t + self.session.bounds.timed + min(r.at - r.t for r in told)
            return max(due, earliest)
        entered = [r.t for r in told if r.kind == "enter"]
        if len(entered) < 2:
            return earliest
        pace = max(0.001, statistics.median(b - a for a, b in itertools.pairwise(entered)))
        # The probe's clock on ours, by its fastest announcement: good enough to aim by.
        due = entered[-1] + pace + min(r.at - r.t for r in told)
        return due if due >= earliest else due + pace * math.ceil((earliest - due) / pace)


def _nothing(_: Any) -> None:
    """All that is kept of an answer that says nothing."""


def shuffled(programs: list[Program], seed: int) -> list[Program]:
    """The programs in a seeded order, so that no kind is always tried first."""
    order = list(programs)
    random.Random(seed).shuffle(order)
    return order
