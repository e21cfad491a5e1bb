"""The driver owns the loops: every program, again where it did not achieve its overlap, and the end."""

from __future__ import annotations

import datetime
import statistics
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio

from conformance import events
from conformance.config import Plan
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution, TargetLost, clean_up, shuffled
from conformance.execution.listener import listening
from conformance.execution.preflight import survey
from conformance.execution.session import Session
from conformance.history import History, Remark
from conformance.programs import Program
from conformance.requirements import REGISTRY
from conformance.scenarios import all_programs
from conformance.verdicts import Tally, decide, judge

LOST_IN_A_ROW = 3  # so many programs in a row cannot even create a thread: does the target answer at all?
MOST_LOST = 12  # so many: it is gone, whatever it answers


class Check:
    """One check of one target. ``outcome`` holds what is known, also when the check was broken off."""

    def __init__(self, plan: Plan, listeners: Sequence[events.Listener] = ()) -> None:
        self.plan = plan
        self._listeners = listeners
        self._ids = plan.options.selected(REGISTRY)
        self.tally = Tally({i: REGISTRY[i] for i in self._ids})
        self.address = _address(plan)
        self.redactor = self.address.redactor()
        self.target: dict[str, Any] = {"url": self.address.shown}
        self._started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._start = time.monotonic()
        self._spreads: list[float] = []
        self._lost: str | None = None
        self._lost_in_a_row = 0
        self._running: anyio.CancelScope | None = None
        self._done = 0
        self._planned = 0
        self._leaked = 0
        self._finished = False

    def _tell(self, event: events.Event) -> None:
        for listener in self._listeners:
            listener(event)

    def programs(self) -> list[Program]:
        """The programs that exercise the selected requirements, repeated as asked, in a seeded order."""
        families = {e.family for i in self._ids for e in REGISTRY[i].exercised_by}
        chosen = [p for p in all_programs(self.plan.seed, self.plan.cracks) if self._wanted(p, families)]
        return shuffled(chosen, self.plan.seed) * self.plan.options.repeat

    def _wanted(self, program: Program, families: set[str]) -> bool:
        return program.family in families or len(self._ids) == len(REGISTRY)

    async def run(self) -> None:
        """Check the target.

        Raises:
            TargetUnusable: the target cannot be checked at all.
        """
        options, address = self.plan.options, self.address
        async with listening() as listener:
            client = Client(address)
            try:
                surveyed = await survey(
                    client, listener if address.loopback else None, self.plan.dialect, options.settle_timeout
                )
                session = surveyed.session
                session.target = {**session.target, "url": address.shown, "assistant": options.assistant}
                self.target = {
                    **session.target,
                    "gate": session.transport,
                    "dialect": self.plan.dialect.to_json(),
                }
                await self._all(session, options.parallel or surveyed.slots)
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                    await client.close()
        self._finished = True

    async def _all(self, session: Session, parallel: int) -> None:
        programs = self.programs()
        self._planned = len(programs)
        self._tell(events.Surveyed(self.target, session.transport, parallel, len(programs)))
        slot = anyio.CapacityLimiter(parallel)
        try:
            await self._round(session, programs, slot)
            for _ in range(self.plan.rounds):
                again = self._inconclusive(programs)
                if not again or self._lost:
                    break
                self._planned += len(again)
                await self._round(session, again, slot)
        finally:
            self._leaked = await clean_up(session)

    def _inconclusive(self, programs: Sequence[Program]) -> list[Program]:
        """The programs of families that have not yet exercised what they must."""
        open_families = {
            e.family
            for i in self._ids
            if REGISTRY[i].level in ("MUST", "SHOULD") and not self.tally.failed(i) and self.tally.missing(i)
            for e in REGISTRY[i].exercised_by
            if self.tally.misses(i, e)
        }
        return [p for p in programs if p.family in open_families]

    async def _round(self, session: Session, programs: Sequence[Program], slot: anyio.CapacityLimiter) -> None:
        async with anyio.create_task_group() as tasks:
            self._running = tasks.cancel_scope
            for program in programs:
                tasks.start_soon(self._one, session, program, slot)

    async def _one(self, session: Session, program: Program, slot: anyio.CapacityLimiter) -> None:
        try:
            history = await Execution(session, program).run(slot)
        except TargetLost as e:
            await self._could_not_run(session, program, str(e))
            return
        self._lost_in_a_row = 0
        self.take(history)

    async def _could_not_run(self, session: Session, program: Program, why: str) -> None:
        self.tally.could_not_run.setdefault(program.family, why)
        self._lost_in_a_row += 1
        if self._lost_in_a_row < LOST_IN_A_ROW or self._lost:
            return
        if self._lost_in_a_row < MOST_LOST and await session.client.is_there():
            return
        if not self._lost:
            self._lost = why
            self._tell(events.Lost(why))
            if self._running is not None:
                self._running.cancel()  # what is under way cannot end well any more

    def take(self, history: History) -> None:
        """Judge a history, count what was said of it, and keep it."""
        judged = judge(history, self._ids)
        self.tally.add(history, judged)
        if self.plan.histories is not None:
            history.dump(self.plan.histories / history_file(history.instance))
        self._spreads += [r.detail["spread_ms"] for r in history.of(Remark) if r.kind == "burst"]
        self._done += 1
        violated = tuple(i for i, said in judged.items() if said.violations)
        reached = not any(r.kind == "not-reached" for r in history.of(Remark))
        self._tell(events.Executed(history.name, self._done, self._planned, violated, reached))

    def outcome(self, exit_code: int | None = None) -> events.Outcome:
        """What is known so far, told to the listeners; ``exit_code`` where the verdicts do not decide it."""
        if not self._finished or self._lost:
            why = self._lost or "the check was broken off"
            for family in {p.family for p in self.programs()} - set(self.tally.trials):
                self.tally.could_not_run.setdefault(family, why)
        results = tuple(self.tally.conclude())
        decided = decide(results, self.plan.options.strict, self._lost is not None)
        outcome = events.Outcome(
            target=self.target,
            results=results,
            exit_code=decided if exit_code is None else exit_code,
            started=self._started,
            duration_s=round(time.monotonic() - self._start, 3),
            seed=self.plan.seed,
            spread_ms=round(statistics.median(self._spreads), 3) if self._spreads else None,
            cracks={f: (self.tally.cracked[f], n) for f, n in self.tally.trials.items() if f.endswith("-crack")},
            interrupted=not self._finished and self._lost is None,
            lost=self._lost,
            leaked=self._leaked,
        )
        self._tell(outcome)
        return outcome


def _address(plan: Plan) -> Address:
    """Where to check. User name and password in the URL are sent as a header, by every kind of call."""
    headers, parts = plan.options.headers(), urlsplit(plan.url)
    if parts.username and "authorization" not in {name.lower() for name in headers}:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return Address(plan.url, plan.options.assistant, headers, plan.options.request_timeout)


def history_file(instance: str) -> str:
    """The name of a history's file beside the result."""
    return f"{instance.strip('~')}.jsonl"
