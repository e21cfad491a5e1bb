"""One execution in a world of its own: the server, the harness, and a schedule."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
import httpx

from conformance.dialects import Dialect
from conformance.execution.burst import Hit, Shot, Volley
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution
from conformance.execution.listener import Listener
from conformance.execution.preflight import Surveyed, survey
from conformance.execution.scene import clean_up
from conformance.fuzz.inprocess.asgi import App, AppWire, Exchange, lifespan
from conformance.fuzz.inprocess.loop import VirtualLoop
from conformance.fuzz.inprocess.network import Network
from conformance.fuzz.inprocess.sources import Clock, Entropy
from conformance.fuzz.lab import Known
from conformance.history import History
from conformance.programs import Program

HARNESS_PORT = 1  # where the harness listens: no server is there
URL = "http://localhost"
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """What is tested, and how it is spoken to."""

    app: App
    address: Address
    dialect: Dialect


class World:
    """A server in memory. One schedule each; made in a process that ends with it."""

    def __init__(self, target: Target, clock: Clock, entropy: Entropy, schedule: str) -> None:
        entropy.seed(schedule)
        self._target = target
        self._loop = VirtualLoop(clock, random.Random(f"turns/{schedule}"))
        self._loop.network = Network(self._loop, random.Random(f"network/{schedule}"))

    @property
    def refusals(self) -> list[str]:
        """What the server wanted of a network that there is not."""
        return list(self._loop.network.refusals)

    def execute(self, program: Program, known: Known) -> History:
        """Execute a program.

        Raises:
            TargetLost: no thread could be created.
            DidNotStart, NotDeterministic, Stalled, Stuck: the server cannot be driven in this way.
        """

        async def work(client: Client, wire: AppWire, listener: Listener) -> History:
            session = known.session(client, self._target.dialect, listener)
            session.fire = _fire(wire)
            try:
                return await Execution(session, program).run(anyio.CapacityLimiter(1))
            finally:
                await clean_up(session)

        return self._run(work)

    def survey(self, settle: float | None) -> Surveyed:
        """Look at the server before the campaign.

        Raises:
            TargetUnusable: it cannot be tested at all.
            DidNotStart, NotDeterministic, Stalled, Stuck: as ``execute``.
        """

        async def work(client: Client, _wire: AppWire, listener: Listener) -> Surveyed:
            return await survey(client, listener, self._target.dialect, settle)

        return self._run(work)

    def _run(self, work: Callable[[Client, AppWire, Listener], Coroutine[Any, Any, T]]) -> T:
        async def whole() -> T:
            async with self._started() as (client, wire, listener):
                return await work(client, wire, listener)

        return self._loop.run_until_complete(whole())

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[tuple[Client, AppWire, Listener]]:
        listener = Listener(HARNESS_PORT)
        self._loop.network.listen(HARNESS_PORT, listener.serve)
        async with lifespan(self._target.app) as state:
            wire = AppWire(self._target.app, self._loop, state)
            client = Client(replace(self._target.address, url=URL), wire=wire)
            yield client, wire, listener


def _fire(wire: AppWire) -> Callable[[Address, Sequence[Shot]], Coroutine[Any, Any, Volley]]:
    """How simultaneous calls are sent: all of them at one instant, to arrive in any order."""

    async def fire(address: Address, shots: Sequence[Shot]) -> Volley:
        hits: dict[int, Hit] = {}

        async def one(i: int, sent: float, request: httpx.Request, exchange: Exchange) -> None:
            status, text, error = None, "", None
            try:
                answer = await wire.answer(request, exchange)
                await answer.aread()
                status, text = answer.status_code, answer.text
            except httpx.HTTPError as e:
                error = f"{type(e).__name__}: {e}"
            hits[i] = Hit(sent, time.monotonic(), status, text, error)

        async with anyio.create_task_group() as tasks:
            for i, shot in enumerate(shots):
                request = httpx.Request(
                    shot.method,
                    address.url.rstrip("/") + shot.path,
                    json=shot.body,
                    headers={"accept": "application/json", **address.headers},
                    extensions={"timeout": httpx.Timeout(address.request_timeout).as_dict()},
                )
                sent = time.monotonic()
                tasks.start_soon(one, i, sent, request, wire.send(request, wire.loop.network.delay()))
        return Volley([hits[i] for i in range(len(shots))])

    return fire
