"""The driver owns the loops: every program, again where it did not achieve its overlap, and the end."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from conformance import events
from conformance.any_graph import without_probe
from conformance.bad_input import GENERATED
from conformance.config import Options, Plan
from conformance.court import court
from conformance.dialects import under
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution, shuffled
from conformance.execution.generated import CannotGenerate, generated_programs
from conformance.execution.graph_survey import survey_graph
from conformance.execution.listener import listening
from conformance.execution.preflight import FEW_SLOTS, survey
from conformance.execution.requests import Requests
from conformance.execution.scene import TargetLost, clean_up
from conformance.execution.session import Session
from conformance.history import History, Remark, history_file
from conformance.offline import Kept, middle
from conformance.programs import CRACK, Program
from conformance.requirements import REGISTRY
from conformance.scenarios import all_programs
from conformance.scenarios_graph import graph_programs
from conformance.verdicts import Judged, Tally, decide, hit_the_crack

LOST_IN_A_ROW = 3  # so many programs in a row cannot even create a thread: does the target answer at all?
DRAIN_S = 10.0  # so long the verdicts on what was executed are waited for when a check is broken off
MOST_LOST = 12  # so many: it is gone, whatever it answers


class Check:
    """One check of one target. ``outcome`` holds what is known, also when the check was broken off."""

    def __init__(self, plan: Plan, listeners: Sequence[events.Listener] = ()) -> None:
        self.plan = plan
        self._listeners = listeners
        self._ids = plan.options.selected(REGISTRY)
        self.address = address_of(plan.url, plan.options, plan.options.given_input())
        self._requirements = under(plan.dialect)
        if self.address.input is not None:
            self._requirements = without_probe(self._requirements)
        self.tally = Tally({i: self._requirements[i] for i in self._ids})
        self.redactor = self.address.redactor()
        self.target: dict[str, Any] = {"url": self.address.shown}
        self._started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._start = time.monotonic()
        self._spreads: list[float] = []
        self._lost: str | None = None
        self._lost_in_a_row = 0
        self._running: anyio.CancelScope | None = None
        self._files: list[str] = []  # of histories, in the order in which they were judged
        self._slots: int | None = None
        self._capacity = FEW_SLOTS  # how many runs the target executes at once
        self._done = 0
        self._under_way: list[str] = []
        self._planned = 0
        self._leaked = 0
        self._finished = False

    def _tell(self, event: events.Event) -> None:
        for listener in self._listeners:
            listener(event)

    def programs(self) -> list[Program]:
        """The programs that exercise the selected requirements, repeated as asked, in a seeded order; those of
        later stages in their own."""
        families = {e.family for i in self._ids for e in self._requirements[i].exercised_by}
        if self.address.input is not None:
            every = graph_programs()
        else:
            every = all_programs(self.plan.seed, self.plan.cracks, self._capacity)
        chosen = [p for p in every if self._wanted(p, families)]
        first, later = [p for p in chosen if not p.stage], [p for p in chosen if p.stage]
        return (shuffled(first, self.plan.seed) + later) * self.plan.options.repeat

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
                reached = listener if address.loopback else None
                if address.input is not None:
                    surveyed = await survey_graph(client, self.plan.dialect, options.settle_timeout)
                else:
                    surveyed = await survey(client, reached, self.plan.dialect, options.settle_timeout)
                session, self._capacity = surveyed.session, surveyed.slots
                session.target = {**session.target, "url": address.shown, "assistant": options.assistant}
                self.target = {
                    **session.target,
                    "gate": session.transport,
                    "dialect": self.plan.dialect.to_json(),
                }
                await self._all(session, options.parallel or surveyed.slots, surveyed.latency.get("call", 0.0))
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                    await client.close()
        self._finished = True

    async def _all(self, session: Session, parallel: int, call: float = 0.0) -> None:
        programs = [*self.programs(), *await self._generated(session)]
        self._planned, self._slots = len(programs), parallel
        self._tell(events.Surveyed(self.target, session.transport, parallel, len(programs), call))
        try:
            for stage, beside in ((0, parallel), (1, parallel), (2, 1)):
                own = [p for p in programs if p.stage == stage]
                await self._stage(session, own, anyio.CapacityLimiter(beside))
        finally:
            self._leaked = await clean_up(session)

    async def _stage(self, session: Session, programs: Sequence[Program], slot: anyio.CapacityLimiter) -> None:
        await self._round(session, programs, slot)
        for _ in range(self.plan.rounds):
            again = self._inconclusive(programs)
            if not again or self._lost:
                break
            self._planned += len(again)
            await self._round(session, again, slot)

    async def _generated(self, session: Session) -> list[Program]:
        """Requests made of the target's own description, where they are asked for."""
        asked_for = any(e.family == GENERATED for i in self._ids for e in self._requirements[i].exercised_by)
        if not self.plan.generated or not asked_for or self.address.input is not None:
            return []
        try:
            return await generated_programs(session.client, self.plan.seed)
        except CannotGenerate as e:
            self.tally.could_not_run[GENERATED] = str(e)
            return []

    def _inconclusive(self, programs: Sequence[Program]) -> list[Program]:
        """The programs of families that have not yet exercised what they must, and those that were not decided."""
        weighing = [i for i in self._ids if self._requirements[i].level in ("MUST", "SHOULD")]
        unfailed = [i for i in weighing if not self.tally.failed(i)]
        families = {
            e.family
            for i in unfailed
            if self.tally.missing(i)
            for e in self._requirements[i].exercised_by
            if self.tally.misses(i, e)
        }
        names = {name for i in unfailed for name in self.tally.undecided(i)}
        return [p for p in programs if p.family in families or p.name in names]

    async def _round(self, session: Session, programs: Sequence[Program], slot: anyio.CapacityLimiter) -> None:
        async with anyio.create_task_group() as tasks:
            self._running = tasks.cancel_scope
            for program in programs:
                tasks.start_soon(self._one, session, program, slot)

    async def _one(self, session: Session, program: Program, slot: anyio.CapacityLimiter) -> None:
        try:
            history = await executed_by(program)(session, program).run(self._slot_of(program, slot))
        except TargetLost as e:
            await self._could_not_run(session, program, str(e))
            return
        self._lost_in_a_row = 0
        if program.family.endswith(CRACK):
            for aimed in (r.detail for r in history.of(Remark) if r.kind == "aimed"):
                session.aim.tried(aimed["at"], aimed["offset_ms"], hit_the_crack(history))
        await self.take(history)

    @asynccontextmanager
    async def _slot_of(self, program: Program, slot: anyio.CapacityLimiter) -> AsyncIterator[None]:
        """The slot, during which the program is said to be under way."""
        async with slot:
            self._under_way.append(program.name)
            self._tell(events.Trying(tuple(self._under_way)))
            try:
                yield
            finally:
                self._under_way.remove(program.name)
                self._tell(events.Trying(tuple(self._under_way)))

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

    async def take(self, history: History) -> None:
        """Have a history judged, count what was said of it, and keep it."""
        text = history.to_text()  # what is judged is what is saved
        verdict = asyncio.wrap_future(court().judge(text, history.name, self._ids))
        try:
            judged = await asyncio.shield(verdict)
        except asyncio.CancelledError:
            # Broken off: what is known so far is to be reported, within a bound.
            with anyio.CancelScope(shield=True), anyio.move_on_after(DRAIN_S):
                self._count(history, text, await verdict)
            raise
        self._count(history, text, judged)

    def _count(self, history: History, text: str, judged: dict[str, Judged]) -> None:
        self.tally.add(history, judged)
        self.noted(history, judged)
        if self.plan.histories is not None:
            self._files.append(history_file(history.instance))
            (self.plan.histories / self._files[-1]).write_text(text)
        self._spreads += [r.detail["spread_ms"] for r in history.of(Remark) if r.kind == "burst"]
        self._done += 1
        violated = tuple(i for i, said in judged.items() if said.violations)
        reached = not any(r.kind == "not-reached" for r in history.of(Remark))
        self._tell(events.Executed(history.name, self._done, self._planned, violated, reached))

    def noted(self, history: History, judged: dict[str, Judged]) -> None:
        """A history was judged: for checks that want to know more of it."""

    def outcome(self, exit_code: int | None = None) -> events.Outcome:
        """What is known so far, told to the listeners; ``exit_code`` where the verdicts do not decide it."""
        if not self._finished or self._lost:
            why = self._lost or "the check was broken off"
            for family in {p.family for p in self.programs()} - set(self.tally.trials):
                self.tally.could_not_run.setdefault(family, why)
        results = tuple(self.tally.conclude())
        if self.plan.baseline is not None:
            results = self.plan.baseline.applied(results)
        decided = decide(results, self.plan.options.strict, self._lost is not None)
        outcome = events.Outcome(
            target=self.target,
            results=results,
            exit_code=decided if exit_code is None else exit_code,
            started=self._started,
            duration_s=round(time.monotonic() - self._start, 3),
            seed=self.plan.seed,
            spread_ms=middle(self._spreads),
            cracks=self.tally.crack_trials(),
            overlaps=self.tally.overlaps(),
            interrupted=not self._finished and self._lost is None,
            lost=self._lost,
            leaked=self._leaked,
            again=self.plan.again(self.address.shown),
        )
        self._keep(outcome, exit_code)
        self._tell(outcome)
        return outcome

    def _keep(self, outcome: events.Outcome, exit_code: int | None) -> None:
        """Put beside the histories what they do not say, so that they can be judged again."""
        if self.plan.histories is not None:
            known = self.plan.options.baseline
            plan: dict[str, Any] = {"cracks": self.plan.cracks, "rounds": self.plan.rounds, "slots": self._slots}
            plan |= {"baseline": None if known is None else str(Path(known).resolve())}
            Kept.of(
                outcome,
                requirements=tuple(self._ids),
                strict=self.plan.options.strict,
                files=tuple(self._files),
                could_not_run=dict(self.tally.could_not_run),
                exit_code=exit_code,
                plan={**plan, "repeat": self.plan.options.repeat, "planned": self._planned},
            ).save(self.plan.histories)


def executed_by(program: Program) -> type[Requests | Execution]:
    """What executes it: requests that are sent as they stand need no gates, and leave nothing to settle."""
    return Requests if program.sends() else Execution


def address_of(url: str, options: Options, input: Any = None) -> Address:
    """Where to check; ``input`` is that of the user's graph, where the assistant is no probe."""
    return Address.of(url, options.assistant, options.headers(), options.request_timeout, input)
