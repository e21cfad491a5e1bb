"""Trials in worlds of their own: what campaigns, shrinking and replay see of the in-process mode.

A trial is a program and a *schedule*: the name of the program, and how often this very program was tried before. Both
stand in the history, under ``target``, so that it can be made again.

What is *identical*: the histories, but for ``target``, are the same, byte for byte, after the ids in them were numbered
in the order in which they occur (an application may draw ids from where no seed reaches). Times are virtual, and count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.execution.client import Address, Client
from conformance.execution.preflight import TargetUnusable
from conformance.execution.redaction import Redactor
from conformance.execution.scene import TargetLost
from conformance.execution.session import Session
from conformance.fuzz.findings import Finding, Key
from conformance.fuzz.inprocess.worlds import WorldEnded, Worlds
from conformance.fuzz.lab import LOST_IN_A_ROW, Gone, Known, Lab, Trial
from conformance.history import History
from conformance.programs import Program
from conformance.requirements import REGISTRY

NOWHERE = "http://localhost"
SURVEY = "survey"  # its schedule
PASSING = ("TargetLost", "ended", "harness")  # what one execution may fail by, and the next not
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def fingerprint(history: History) -> str:
    """Equal for identical histories, and for no others."""
    seen: dict[str, str] = {}
    text = replace(history, target={}).to_text()
    return hashlib.sha256(UUID.sub(lambda m: seen.setdefault(m[0], f"id {len(seen)}"), text).encode()).hexdigest()


class AppLab(Lab):
    """A lab whose target is an application in this machine's memory."""

    def __init__(
        self,
        session: Session,
        ids: Sequence[str],
        worlds: Sequence[Worlds],
        asked: Mapping[str, Any],
        redactor: Redactor,
        first: str | None,
    ) -> None:
        super().__init__(session, len(worlds), ids, None)
        self.living = anyio.CapacityLimiter(len(worlds))  # nobody waits for anything: time is virtual
        self.first = first  # the schedule of the first trial, where a finding is replayed
        self._free = list(worlds)
        self._asked = asked
        self._redactor = redactor
        self._tried: Counter[str] = Counter()
        self._checked: set[Key] = set()
        self._lost_so_far = 0
        self._refused: dict[str, None] = {}

    def notes(self) -> list[str]:
        return [
            f"the application asked for {what}, and was refused: in-process there is no network"
            for what in self._refused
        ]

    async def execute(self, program: Program) -> History:
        """Execute a program by its next schedule."""
        return await self.by(self._schedule(program), program)

    async def by(self, schedule: str, program: Program) -> History:
        """Execute a program by this schedule.

        Raises:
            TargetLost: it could not be executed this time.
            Gone: the application cannot be driven in this way, or its process ended.
        """
        world = self._free.pop()
        try:
            answer = await world.ask({**self._asked, "schedule": schedule, "program": program.to_json()})
        except WorldEnded as e:
            raise Gone(self._redactor.text(str(e))) from e
        finally:
            self._free.append(world)
        if "error" in answer:
            why = self._redactor.text(answer["error"])
            raise (TargetLost(why) if answer["kind"] in PASSING else Gone(why))
        self._refused |= dict.fromkeys(answer["refusals"])
        history = History.from_text(answer["history"])
        return replace(history, target={**self.session.target, "schedule": schedule})

    async def trial(self, program: Program, whole: bool = False, only: str | None = None) -> Trial | None:
        """As any lab's. What shows a bug that was not seen before is executed twice, by the same schedule."""
        trial = await super().trial(program, whole, only)
        if trial is None:
            return None
        self._lost_so_far = 0
        new = {s.key for s in trial.sightings} - self._checked
        if not new:
            return trial
        self._checked |= new
        async with self.living:
            return replace(trial, history=await self._again(program, trial.history))

    async def confirmed(self, finding: Finding) -> Finding:
        """The finding, and whether its history was made again."""
        if "exact" in finding.history.target:
            return finding
        return replace(finding, history=await self._again(finding.program, finding.history))

    async def _again(self, program: Program, history: History) -> History:
        """The history, and under ``exact`` whether its schedule makes it again."""
        try:
            again = await self.by(str(history.target["schedule"]), program)
        except TargetLost:
            return history
        return replace(history, target={**history.target, "exact": fingerprint(again) == fingerprint(history)})

    def _schedule(self, program: Program) -> str:
        if self.first is not None:
            first, self.first = self.first, None
            return first
        moves = json.dumps(program.to_json(), sort_keys=True)
        digest = hashlib.sha256(moves.encode()).hexdigest()
        self._tried[digest] += 1
        return f"{program.name}#{self._tried[digest] - 1}"

    async def _lost(self, why: str) -> None:
        self._lost_so_far += 1
        if self._lost_so_far >= LOST_IN_A_ROW:
            raise Gone(why)


@asynccontextmanager
async def in_process(
    app: str,
    options: Options,
    dialect: Dialect,
    most: int | None = None,
    known: Known | None = None,
    first: str | None = None,
) -> AsyncIterator[AppLab]:
    """A lab at the ASGI application ``module:attribute``, ``most`` (one) executions at once. One after the other they
    are the same each time, whatever is found on the way; each for itself is, in any case.

    Raises:
        TargetUnusable: it cannot be tested in this way.
    """
    address = Address(NOWHERE, options.assistant, options.headers(), options.request_timeout)
    redactor = address.redactor()
    asked = {
        "assistant": options.assistant,
        "headers": dict(address.headers),
        "request_timeout": options.request_timeout,
        "dialect": dialect.to_json(),
        "settle": options.settle_timeout,
        "schedule": SURVEY,
    }
    worlds = [Worlds(app) for _ in range(most or options.parallel or 1)]
    client = Client(address)
    try:
        if known is None:
            known = await _survey(app, worlds[0], asked, redactor)
        session = known.session(client, dialect, None)
        session.target = {**known.target, "url": app, "app": app, "assistant": options.assistant}
        asked = {**asked, "known": known.to_json()}
        yield AppLab(session, options.selected(REGISTRY), worlds, asked, redactor, first)
    finally:
        for world in worlds:
            world.close()
        await client.close()


async def _survey(app: str, world: Worlds, asked: Mapping[str, Any], redactor: Redactor) -> Known:
    try:
        answer = await world.ask(asked)
    except WorldEnded as e:
        raise TargetUnusable(redactor.text(str(e))) from e
    if "error" in answer:
        why = answer["error"].replace(NOWHERE, app)
        refused = ", ".join(answer["refusals"])
        wanted = f" It asked for {refused}, and in-process there is no network." if refused else ""
        raise TargetUnusable(redactor.text(f"{why}{wanted}"))
    return Known.from_json(answer["known"])
