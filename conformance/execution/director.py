"""The director: executes one program against the target and returns its history."""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.abc

from conformance.execution import burst
from conformance.execution.answers import run_of, understand
from conformance.execution.attending import Got, attend
from conformance.execution.client import asked, cancel_asked, cancel_query, create_path, op_of
from conformance.execution.recorder import Recorder
from conformance.execution.session import Session
from conformance.execution.tasks import background
from conformance.execution.transport import Room, enter
from conformance.history import OLDER, WITHOUT_PROBE, Call, Epilogue, History, Remark, Told
from conformance.programs import (
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

TERMINAL = frozenset({"success", "error", "interrupted", "timeout"})
INFLIGHT = frozenset({"pending", "running"})
READS = frozenset({"list_runs", "get_run", "get_thread", "get_state"})
CLEANUP_S = 5.0
UNANSWERED = 3  # calls in a row, after which it is asked whether the target is there at all
COMES_BACK = frozenset({429, 503})  # a thread that is refused so, which is no subject here, is asked for again
LATER_S = (0.1, 0.4, 1.5)
PATIENCE_S = 0.3  # between the reads of a run that has not announced its end
FIRST_PAUSE_S = 0.01  # between the reads of one that has, growing
MOST_PAUSE_S = 0.25
CALLS_A_STOP = 10  # a displaced run is allowed so many times what a request takes, beyond the deadline
CALLS_A_RUN = 20  # a run is allowed so many times what a request takes, beyond the deadline
MOST_SETTLE = 3.0  # times the settle deadline, with signs of life all the time; a long queue has once for each run
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

    # --- the whole ---------------------------------------------------------------------------------

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
                call = await self.client.create_thread(self.recorder, name)
                for pause in LATER_S:
                    if call.status not in COMES_BACK:
                        break
                    await anyio.sleep(pause)
                    call = await self.client.create_thread(self.recorder, name)
                if call.ok and not call.error:
                    self.threads[name] = self.recorder.redactor.original(call.answer["thread_id"])
                    self.session.threads.add(self.threads[name])
            if not call.ok or call.error:
                raise TargetLost(f"POST /threads: {call.error or f'answered {call.status}: {str(call.answer)[:200]}'}")

    # --- moves -------------------------------------------------------------------------------------

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
        told = self.recorder.told.get(tag, [])
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
            history = await client.get_history(self.recorder, thread, thread_id, phase)
            if phase == "final" and (oldest := _cut_off_at(history)) is not None:
                before = self.recorder.redactor.original(oldest)
                await client.get_history(self.recorder, thread, thread_id, OLDER, before=before)

    # --- waits -------------------------------------------------------------------------------------

    def _told(self, tag: str, kind: str, **detail: Any) -> bool:
        return any(
            r.kind == kind and all((r.step if k == "step" else r.detail.get(k)) == v for k, v in detail.items())
            for r in self.recorder.told.get(tag, ())
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
            case "returned":
                await self.recorder.until(lambda: tag in self._cancelled, float(move.value or 0))
            case "released":
                patience = float(move.value or 0) + CALLS_A_STOP * self._call()
                await self._remarked("release-waited", tag, lambda: self._was_released(tag), patience)
            case "listed":
                await self._until_listed(tag, deadline)
            case "answered":
                await self.recorder.until(lambda: tag in self._answered, bounds.stop)
            case "stopped":
                await self._until_stopped(tag, str(move.value))
            case "halted":
                await self._remarked("halt-waited", tag, lambda: self._was_stopped(tag), bounds.settle)
            case "begun":
                await self._remarked("begin-waited", tag, lambda: self._told(tag, "enter"), bounds.reach)
            case "hooked" if self.session.transport == "callback":
                await self._remarked("hook-waited", tag, lambda: self._was_hooked(tag), bounds.reach)
            case "steady":
                # A busy target needs its time for the first of them: that is not yet steadiness.
                await self.recorder.until(lambda: any(isinstance(r, Told) for r in self.recorder.records), deadline)
                while await self.recorder.until(self._more_started(), float(move.value or 0)):
                    pass
            case "ended":
                reached = await self._poll(
                    tag, lambda s: s is None or s in TERMINAL, deadline, lambda: self._last_told(tag)
                )
            case "started":
                reached = await self._poll(tag, lambda s: s != "pending", bounds.reach)
            case "status":
                reached = await self._poll(tag, lambda s: s == move.value, deadline)
        if not reached and move.needed:
            raise NotReached(f"{tag} {move.what} {move.value or ''}".strip())

    async def _until_listed(self, tag: str, deadline: float) -> None:
        end, pause = self.recorder.now() + deadline, FIRST_PAUSE_S
        while tag not in self.runs and not self.recorder.told.get(tag) and self.recorder.now() < end:
            with suppress(NotReached):
                await self._run_id(tag)
            await anyio.sleep(pause)
            pause *= 1.4

    def _last_told(self, tag: str) -> bool:
        last = len(self.program.scripts()[tag]) - 1
        return self._told(tag, "leave", step=last) or self._told(tag, "raise") or self._told(tag, "cancelled")

    async def _until_stopped(self, tag: str, successor: str) -> None:
        def stopped() -> bool:
            return self._was_stopped(tag) or (self._told(successor, "enter") and not self._told(tag, "enter"))

        # What was measured before the check may not hold any more: a machine that has become slow is given time.
        deadline = round(self.session.bounds.stop + CALLS_A_STOP * self._call(), 3)
        await self._remarked("stop-waited", tag, stopped, deadline)

    def _was_released(self, tag: str) -> bool:
        staying = sum(isinstance(m, Join) and m.tag == tag for m in self.program.moves)
        staying += sum(c.tag == tag and c.endpoint != "runs" for c in self.program.creates())
        ops = ("join", "stream", "create")
        gone = [r for r in self.recorder.records if isinstance(r, Call) and r.tag == tag and r.op in ops]
        return sum(r.op != "create" or "endpoint" in r.request for r in gone) >= staying

    def _was_hooked(self, tag: str) -> bool:
        hooks = (r for r in self.recorder.records if isinstance(r, Remark) and r.kind == "webhook")
        return any(r.detail["tag"] == tag for r in hooks)

    def _was_stopped(self, tag: str) -> bool:
        return self._told(tag, "cancelled") or self._told(tag, "swallowed")

    async def _remarked(self, kind: str, tag: str, reached: Callable[[], bool], deadline: float) -> None:
        """Wait, and leave a record of how long, and whether it came about."""
        since = self.recorder.pulse.now()
        told = await self.recorder.until(reached, deadline)
        waited = round(self.recorder.pulse.now() - since, 6)
        detail = {"tag": tag, "waited": waited, "deadline": deadline, "told": told}
        self.recorder.add(Remark, at=self.recorder.now(), kind=kind, detail=detail)

    def _call(self) -> float:
        """What the slowest read so far took."""
        calls = (r for r in self.recorder.records if isinstance(r, Call) and r.op in READS)
        return max((c.received - c.sent for c in calls if c.received is not None), default=0.0)

    async def _poll(self, tag: str, good: Any, deadline: float, near: Callable[[], bool] = lambda: True) -> bool:
        """Read a run until its status is ``good``: at short intervals once it is ``near``, else now and then."""
        awake = self.recorder.pulse.now
        end, pause = awake() + deadline, FIRST_PAUSE_S
        if not near() and await self.recorder.until(near, min(deadline, PATIENCE_S)):
            await anyio.sleep(min(deadline, pause))  # it announces its end, and then ends
        run_id, thread = await self._run_id(tag), self._thread_of[tag]
        while True:
            call = await self.client.get_run(self.recorder, thread, self.threads[thread], tag, run_id)
            if call.status == 404 and good(None):
                return True
            if call.ok and not call.error and good(call.answer["status"]):
                return True
            left, took = end - awake(), self.recorder.now() - call.sent
            if left < pause:
                return False
            if near():
                # Asking takes no more than a third of the time: a target that is slow is not slowed further.
                await anyio.sleep(min(max(pause, 2 * took), MOST_PAUSE_S, left))
                pause *= 1.4
            else:
                await self.recorder.until(near, min(PATIENCE_S, left))

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

    # --- the epilogue ------------------------------------------------------------------------------

    async def _open_all(self) -> None:
        opened = {m.gate for m in self.program.moves if isinstance(m, Open)}
        for create in self.program.creates():
            for step in create.steps:
                opened |= {step[k] for k in ("gate", "swallow") if k in step}
        for key in sorted(opened):
            await self.room.open(key)

    async def _settle(self) -> None:
        await self.recorder.until(lambda: self._background == 0 and self._all_heard(), self.session.bounds.reach)
        deadline = self.session.settle_deadline()
        for name in self._existing():
            await self._settle_thread(name, deadline)
        await self.recorder.until(lambda: self._attending == 0, self.session.bounds.reach)

    def _all_heard(self) -> bool:
        """Of creates that may be answered only at the end: they have certainly arrived."""
        staying = {c.tag for c in self.program.creates() if c.endpoint != "runs"} & self._created
        return all(tag in self._answered or tag in self.runs or tag in self.recorder.told for tag in staying)

    def _existing(self) -> list[str]:
        """The threads that there should be."""
        missing = self.program.missing()
        return [name for name in self.threads if missing.get(name) != "refuse"]

    async def _settle_thread(self, name: str, deadline: float) -> None:
        client, thread_id = self.client, self.threads[name]
        # The deadline counts from the last sign of life: a target that is slow but at work is not stuck.
        awake = self.recorder.pulse.now
        most = deadline * max(MOST_SETTLE, sum(t == name for t in self._thread_of.values()))
        begun, pause, seen, slowest = awake(), 0.015, None, 0.0
        since = begun
        while True:
            asked = awake()
            runs = await client.list_runs(self.recorder, name, thread_id, "settle")
            await self._give_up_if_lost()
            self._learn_lost(runs)
            inflight = [r for r in runs.answer if r["status"] in INFLIGHT] if runs.ok and not runs.error else None
            status = None
            if inflight == []:
                thread = await client.get_thread(self.recorder, name, thread_id, "settle")
                status = thread.answer["status"] if thread.ok and not thread.error else None
                if status != "busy" and thread.status is not None:
                    break
            now = awake()
            slowest = max(slowest, now - asked)
            told = sum(isinstance(r, Told) for r in self.recorder.records)
            life = (told, [r["status"] for r in runs.answer] if inflight is not None else None)
            if life != seen and now - begun < most:
                since, seen = now, life
            # What was measured before the check may not hold any more: a machine that has become slow is given time.
            left = since + deadline + CALLS_A_RUN * slowest - now
            if left <= 0:
                break
            await anyio.sleep(min(max(pause, 2 * (now - asked)), MOST_PAUSE_S, left + 0.001))
            pause *= 1.4
        settled = inflight == [] and status != "busy"
        full = deadline >= self.session.bounds.settle
        if not settled and full:
            self.session.stuck += 1
        self.recorder.add(
            Epilogue,
            at=self.recorder.now(),
            thread=name,
            settled=settled,
            waited=round(awake() - since, 3),
            deadline=self.session.bounds.settle,
            unsettled=tuple(str(r["tag"] or r["run_id"]) for r in inflight or ()),
            thread_status=status,
        )
        await client.get_history(self.recorder, name, thread_id, "settled")

    def _learn_lost(self, listing: Call) -> None:
        """The ids of runs whose creates were not answered, and took effect all the same."""
        for run in listing.answer if self._lost and listing.ok and not listing.error else ():
            if run["tag"] in self._lost:
                self.runs.setdefault(run["tag"], self.recorder.redactor.original(run["run_id"]))

    async def _final_reads(self) -> None:
        for name in self._existing():
            thread_id = self.threads[name]
            await self._read(name, deep=True, phase="final")
            for tag, run_id in self.runs.items():
                if self._thread_of[tag] == name:
                    await self.client.get_run(self.recorder, name, thread_id, tag, run_id, "final")
            await self._give_up_if_lost()

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


def _nothing(_: Any) -> None:
    """All that is kept of an answer that says nothing."""


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
