"""The first run of a survey: is the assistant the probe, and by which transport is it heard?

The probe announces by every transport that it is told of, so one run without a gate tells of all of them.
A run that ended and was heard by none is not the probe's; one that is still pending or running may be.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from conformance.execution.recorder import Recorder
from conformance.execution.session import Session, Transport
from conformance.execution.tasks import background
from conformance.execution.transport import Room, enter
from conformance.history import Told
from conformance.programs import Create, emit

TRANSPORTS: tuple[Transport, ...] = ("callback", "store", "stream")  # the best first
INFLIGHT = ("pending", "running")
HELLO = Create("H", None, (emit(),))
START_S = 20.0  # so long a run may be pending or running, on a target that answers at once
LOST_IN_A_ROW = 8  # so many reads that find nobody, over a second: the target is gone
GRACE_S = 2.0  # so long after its end an announcement may still be under way


@dataclass(frozen=True)
class Heard:
    """What became of the run: ``by`` the transports it was heard by, the best first; ``status`` as read last.

    ``start``: seconds from its creation to the first announcement, or to the end of waiting · ``call``: what a
    request takes.
    """

    by: tuple[Transport, ...]
    status: str
    start: float
    call: float

    @property
    def ended(self) -> bool:
        """It is not under way any more."""
        return self.status not in (*INFLIGHT, "unknown", "lost")


class Hello:
    """One run on a fresh thread, and all rooms at once to hear it in."""

    def __init__(self, session: Session) -> None:
        self._client, self._instance = session.client, session.next_instance()
        names = [t for t in TRANSPORTS if t != "callback" or session.listener is not None]
        self._recorders = {t: Recorder(session.client.address.redactor(), suffix=self._instance) for t in names}
        self._rooms: dict[Transport, Room] = {
            t: enter(session.by(t), recorder, self._instance) for t, recorder in self._recorders.items()
        }

        self._sent = 0.0

    def body(self) -> dict[str, Any]:
        """The body of the create, which is sent now."""
        self._sent = max(recorder.now() for recorder in self._recorders.values())
        via = {name: value for room in self._rooms.values() for name, value in room.via.items()}
        return self._client.create_body(HELLO, HELLO.tag + self._instance, via)

    async def hear(self, thread_id: str, run_id: str | None, call: float, patience: float | None) -> Heard:
        """Listen until the run has ended, at most ``patience`` seconds (default: a while, stretched to ``call``)."""
        began = time.monotonic()
        end = began + (START_S if patience is None else patience) + 20 * call
        status, pause, lost = "unknown", 0.02, 0
        async with background() as tasks:
            if run_id is not None:
                self._rooms["stream"].follow(tasks, thread_id, run_id)
            while True:
                status = await self._status(thread_id, run_id)
                lost = lost + 1 if status == "lost" else 0
                if lost >= LOST_IN_A_ROW:
                    break
                if status not in (*INFLIGHT, "unknown", "lost") or time.monotonic() + pause > end:
                    break
                await anyio.sleep(pause)
                pause = min(pause * 1.4, 0.25)
            if "store" in self._rooms:
                await self._rooms["store"].drain()
            if not self._by() and not lost:
                await self._recorders["stream"].until(lambda: bool(self._by()), GRACE_S + 4 * call)
        for room in self._rooms.values():
            await room.close()
        first = [r.at for recorder in self._recorders.values() for r in recorder.records if isinstance(r, Told)]
        return Heard(self._by(), status, max(0.0, min(first) - self._sent) if first else time.monotonic() - began, call)

    def _by(self) -> tuple[Transport, ...]:
        return tuple(t for t, recorder in self._recorders.items() if any(isinstance(r, Told) for r in recorder.records))

    async def _status(self, thread_id: str, run_id: str | None) -> str:
        """The run's status; or ``gone``, ``unknown`` (the target does not say), ``lost`` (nobody answers),
        ``unreadable`` (it is none).
        """
        path = f"/threads/{thread_id}/runs" + (f"/{run_id}" if run_id is not None else "")
        try:
            answer = await self._client.http.get(path)
        except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
            return "lost"
        except httpx.HTTPError:
            return "unknown"
        if answer.status_code == 404:
            return "gone"
        if not answer.is_success:
            return "unknown"
        try:
            value = answer.json()
        except ValueError:
            return "unreadable"
        run = value[0] if isinstance(value, list) and value else value
        status = run.get("status") if isinstance(run, Mapping) else None
        return self._client.address.redactor().value(status) if isinstance(status, str) else "unreadable"
