"""Waits: until something is known of a run, by what it announces or by reads, and never for longer than a bound."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio

from conformance.execution.scene import MOST_PAUSE_S, TERMINAL, NotReached, Scene
from conformance.history import Call, Remark, Told
from conformance.programs import Join, Until

READS = frozenset({"list_runs", "get_run", "get_thread", "get_state"})
PATIENCE_S = 0.3  # between the reads of a run that has not announced its end
FIRST_PAUSE_S = 0.01  # between the reads of one that has, growing
CALLS_A_STOP = 10  # a displaced run is allowed so many times what a request takes, beyond the deadline


class Waiting(Scene):
    """A scene in which the program's waits are waited."""

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
