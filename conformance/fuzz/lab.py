"""Trials: one program executed once and judged; within bounds that campaign, shrinking and replay share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import anyio

from conformance.config import Options
from conformance.court import court
from conformance.dialects import Dialect, under
from conformance.displacing import Displaces
from conformance.execution.burst import Fire, volley
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution
from conformance.execution.listener import Listener, listening
from conformance.execution.preflight import survey
from conformance.execution.scene import TargetLost, clean_up
from conformance.execution.session import Bounds, Session, Transport
from conformance.fuzz.coverage import Cell, cells
from conformance.fuzz.findings import Finding, Sighting, sightings
from conformance.fuzz.grammar import alone
from conformance.history import Call, History, Remark
from conformance.programs import Program
from conformance.requirements import REGISTRY
from conformance.requirements.base import Exercised, Level, Undecided
from conformance.verdicts import EXPLAINABLE, Judged

LIVING = 2  # times the slots: so many executions are under way, most of them only waiting out their quiet window
LEAST_SETTLE_S = 2.0
LOST_IN_A_ROW = 3
MOST_LOST = 12


class Gone(Exception):
    """The target does not answer any more; the text says what was tried."""


@dataclass(frozen=True)
class Trial:
    """One execution of a program, and what was said of it."""

    program: Program
    history: History
    judged: dict[str, Judged]
    sightings: tuple[Sighting, ...]
    cells: frozenset[Cell]

    @property
    def overlap(self) -> bool:
        """Whether two runs certainly met."""
        return any(isinstance(j, Exercised) and j.overlap for said in self.judged.values() for j in said.judgements)

    @property
    def calls(self) -> int:
        """How many requests it sent."""
        return sum(1 for _ in self.history.of(Call))

    @property
    def errors(self) -> list[str]:
        """Faults of the harness's own."""
        return [said.error for said in self.judged.values() if said.error is not None]

    @property
    def undecided(self) -> list[str]:
        """What could not be judged, and why."""
        return [j.why for said in self.judged.values() for j in said.judgements if isinstance(j, Undecided)]

    @property
    def spreads(self) -> list[float]:
        """Over how many milliseconds its simultaneous calls were sent."""
        return [float(r.detail["spread_ms"]) for r in self.history.of(Remark) if r.kind == "burst"]


@dataclass
class Pace:
    """At most ``rate`` requests a second, on the average: what a program has sent is paid for before the next."""

    rate: float | None
    _free_at: float = field(default_factory=time.monotonic)

    def spent(self, calls: int) -> None:
        """Note what was sent."""
        if self.rate is not None:
            self._free_at = max(self._free_at, time.monotonic() - 1) + calls / self.rate

    async def wait(self) -> None:
        """Wait until the next program may begin."""
        await anyio.sleep(max(0.0, self._free_at - time.monotonic()))


class _All:
    """All slots at once, as a resource: whoever has it executes while nobody else does."""

    def __init__(self, slots: anyio.CapacityLimiter) -> None:
        self._slots = slots
        self._places = [object() for _ in range(int(slots.total_tokens))]
        self._one = anyio.Lock()

    async def __aenter__(self) -> None:
        await self._one.acquire()
        try:
            async with anyio.create_task_group() as tasks:  # together, so that nobody comes in between
                for place in self._places:
                    tasks.start_soon(self._slots.acquire_on_behalf_of, place)
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        for place in self._places:
            with suppress(RuntimeError):  # it was not acquired yet
                self._slots.release_on_behalf_of(place)
        self._one.release()


class Lab:
    """Where trials are made: a surveyed target with its bounds."""

    def __init__(self, session: Session, slots: int, ids: Sequence[str], rate: float | None) -> None:
        self.session = session
        self.slots = slots
        self._requirements = under(session.dialect)
        # The model is asked where no named MUST fails: where one does it fails too, and takes seconds to say why.
        self._named = tuple(id for id in ids if id != EXPLAINABLE)
        self._by_model = EXPLAINABLE in ids
        self.pace = Pace(rate)
        self.leaked = 0
        self._slot = anyio.CapacityLimiter(slots)
        # Where the rate is bounded, what is under way must be few: they have not paid yet.
        self.living = anyio.CapacityLimiter(slots if rate is not None else LIVING * slots)
        self._all = _All(self._slot)
        self._lost_in_a_row = 0
        self._one_by_one = False

    @property
    def at_once(self) -> int:
        """How many trials can be under way at once."""
        return int(self.living.total_tokens)

    def known(self, slots: int) -> Known:
        """What others need to make trials at the same target, ``slots`` at once."""
        return Known.of(self.session, slots)

    async def trial(self, program: Program, whole: bool = False, only: str | None = None) -> Trial | None:
        """Execute a program and judge it; None where it could not run this time. ``whole``: by the model in any case;
        ``only``: by this requirement alone.

        Raises:
            Gone: the target has stopped answering.
            CourtFailed: the process that judges ended.
        """
        async with self.living:
            await self.pace.wait()
            try:
                history = await self.execute(program)
            except TargetLost as e:
                await self._lost(str(e))
                return None
            self._lost_in_a_row = 0
            self.pace.spent(sum(1 for _ in history.of(Call)))
            judged = await self.judged(history, whole, only)
            return Trial(program, history, judged, tuple(sightings(judged, history.dialect)), cells(history))

    async def execute(self, program: Program) -> History:
        """Execute a program once.

        Raises:
            TargetLost: no thread could be created.
            Gone: nothing can be executed there any more.
        """
        by_itself = self._one_by_one or alone(program)
        return await Execution(self.session, program).run(self._all if by_itself else self._slot)

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Nothing is executed meanwhile while something else is."""
        self._one_by_one = True
        try:
            yield
        finally:
            self._one_by_one = False

    @contextmanager
    def patient(self, share: float = 1.0) -> Iterator[None]:
        """Threads that do not settle are all waited for meanwhile, for this share of the deadline: what shows that
        something never ends is to be seen again and again."""
        session, bounds = self.session, self.session.bounds
        session.bounds = replace(bounds, settle=min(bounds.settle, max(LEAST_SETTLE_S, share * bounds.settle)))
        session.patient = True
        try:
            yield
        finally:
            session.bounds, session.patient = bounds, False

    def notes(self) -> list[str]:
        """What the user should know of the trials that were made."""
        return []

    async def confirmed(self, finding: Finding) -> Finding:
        """The finding as it is to be kept."""
        return finding

    async def judged(self, history: History, whole: bool = False, only: str | None = None) -> dict[str, Judged]:
        """What the oracles say of a history, or the ``only`` one that is asked; the model only where no named MUST
        fails, or for the ``whole``.

        Raises:
            CourtFailed: the process that judges ended.
        """
        text = history.to_text()
        if only is not None:
            return await self._judge(text, history, (only,))
        judged = await self._judge(text, history, self._named)
        if self._by_model and (whole or not any(self._is_must(said) for said in judged.values())):
            judged |= await self._judge(text, history, (EXPLAINABLE,))
        return judged

    async def _judge(self, text: str, history: History, ids: tuple[str, ...]) -> dict[str, Judged]:
        return await asyncio.wrap_future(court().judge(text, history.name, ids))

    def _is_must(self, said: Judged) -> bool:
        return bool(said.violations) and self._requirements[said.requirement].level is Level.MUST

    async def _lost(self, why: str) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row < LOST_IN_A_ROW:
            return
        if self._lost_in_a_row >= MOST_LOST or not await self.session.client.is_there():
            raise Gone(why)


@dataclass(frozen=True)
class Known:
    """What a survey found out about the target: enough to do without another one elsewhere."""

    transport: Transport
    bounds: Bounds
    store_prefix: tuple[str, ...]
    target: Mapping[str, Any]
    displaces: Displaces
    slots: int

    @staticmethod
    def of(session: Session, slots: int) -> Known:
        """What this session knows."""
        told = (session.transport, session.bounds, session.store_prefix, dict(session.target), session.displaces)
        return Known(*told, slots)

    def session(self, client: Client, dialect: Dialect, listener: Listener | None) -> Session:
        """A session that knows it."""
        session = Session(client, self.transport, self.bounds, dialect, listener, self.store_prefix, self.target)
        session.displaces = self.displaces
        return session

    def to_json(self) -> dict[str, Any]:
        """As one JSON value."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Known:
        """What ``to_json`` gave."""
        more = {"bounds": Bounds(**value["bounds"]), "store_prefix": tuple(value["store_prefix"])}
        return Known(**{**value, **more})


@asynccontextmanager
async def laboratory(
    address: Address,
    options: Options,
    dialect: Dialect,
    rate: float | None = None,
    most: int | None = None,
    left: Callable[[int], None] = lambda _leaked: None,
    known: Known | None = None,
    fire: Fire = volley,
) -> AsyncIterator[Lab]:
    """A lab at the target; what it made there is removed at the end, and ``left`` told how many threads could not be.
    Without what is ``known`` of it, the target is surveyed. ``fire``: how simultaneous calls are sent.

    Raises:
        TargetUnusable: there is no testing it at all.
    """
    async with listening() as listener:
        client = Client(address)
        try:
            near = listener if address.loopback else None
            if known is None:
                surveyed = await survey(client, near, dialect, options.settle_timeout)
                session, slots = surveyed.session, options.parallel or surveyed.slots
                session.target = {**session.target, "url": address.shown, "assistant": options.assistant}
            else:
                session, slots = known.session(client, dialect, near), known.slots
            session.fire = fire
            try:
                yield Lab(session, min(slots, most or slots), options.selected(REGISTRY), rate)
            finally:
                left(await clean_up(session))
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                await client.close()
