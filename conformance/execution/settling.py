"""The epilogue of an execution: all gates are opened, everything settles, and the last reads are made (rule 5)."""

from __future__ import annotations

import anyio

from conformance.execution.scene import INFLIGHT, MOST_PAUSE_S
from conformance.execution.waiting import Waiting
from conformance.history import Call, Epilogue, Told
from conformance.programs import Open

CALLS_A_RUN = 20  # a run is allowed so many times what a request takes, beyond the deadline
MOST_SETTLE = 3.0  # times the settle deadline, with signs of life all the time; a long queue has once for each run


class Settling(Waiting):
    """A scene that comes to its end."""

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
