"""How announcements reach the harness and how gates are opened: three rooms with one front.

``callback`` needs a target that can reach this machine's loopback, ``store`` needs the target's Store
API, ``stream`` needs neither: announcements travel as custom stream events and gates are timed.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
import httpx

from conformance.execution.listener import Listener
from conformance.execution.recorder import Recorder
from conformance.execution.session import Session
from conformance.execution.sse import events
from conformance.history import GateOpened, Remark, Told, well_formed

POLL_S = 0.015
DRAIN_PAGE = 500


class Room(ABC):
    """One execution's channel to the probe."""

    def __init__(self, session: Session, recorder: Recorder) -> None:
        self.session = session
        self.recorder = recorder
        self._seen: set[tuple[str, int]] = set()
        self._opened: set[str] = set()

    @property
    @abstractmethod
    def via(self) -> dict[str, Any]:
        """What the probe is told about the transport."""

    async def open(self, key: str) -> None:
        """Open a gate, once, and record it."""
        if key not in self._opened:
            self._opened.add(key)
            await self._open(key)

    @abstractmethod
    async def _open(self, key: str) -> None: ...

    async def listen(self) -> None:  # noqa: B027 - a callback needs no listening
        """Run beside the program, where announcements must be fetched."""

    def follow(self, tasks: anyio.abc.TaskGroup, thread_id: str, run_id: str) -> None:  # noqa: B027
        """A run was created: listen to it, where announcements come run by run."""

    async def drain(self) -> None:  # noqa: B027
        """Fetch what is left of the announcements."""

    async def close(self) -> None:  # noqa: B027
        """Leave nothing behind on the target."""

    def told(self, value: dict[str, Any]) -> None:
        """Record an announcement, once.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        known = ("kind", "tag", "step", "op", "run", "clock", "t", "seq", "attempt", "thread")
        key = (str(value["clock"]), int(value["seq"]))
        if key in self._seen:
            return
        self._seen.add(key)
        value = self.recorder.redactor.value(json.loads(self.recorder.local(json.dumps(value))))
        announced: dict[str, Any] = {
            "at": self.recorder.now(),
            **{k: value.get(k) for k in known if k != "thread"},
            "detail": {k: v for k, v in value.items() if k not in known},
        }
        if (problem := well_formed(Told(n=0, **announced))) is not None:
            raise ValueError(f"not an announcement: {problem}")
        self.recorder.add(Told, **announced)


class CallbackRoom(Room):
    """Nodes post to the harness and wait there."""

    def __init__(self, session: Session, recorder: Recorder, listener: Listener) -> None:
        super().__init__(session, recorder)
        self._listener = listener
        self._token, self._url, self._gates = listener.admit(self.told, self._hooked)

    @property
    def via(self) -> dict[str, Any]:
        return {"callback": self._url}

    async def _open(self, key: str) -> None:
        sent = self.recorder.now()
        self._gates.open(key)
        self.recorder.add(GateOpened, key=key, sent=sent, done=self.recorder.now())

    def _hooked(self, tag: str, value: Any) -> None:
        status = value.get("status") if isinstance(value, dict) else None
        detail = self.recorder.redactor.value({"tag": tag, "status": status if isinstance(status, str) else None})
        self.recorder.add(Remark, at=self.recorder.now(), kind="webhook", detail=detail)

    async def close(self) -> None:
        self._listener.dismiss(self._token)


class StoreRoom(Room):
    """Records and gates are items of the target's store."""

    def __init__(self, session: Session, recorder: Recorder, instance: str) -> None:
        super().__init__(session, recorder)
        self._namespace = [*session.store_prefix, "doubletext", instance.strip("~")]
        self._keys: set[str] = set()

    @property
    def via(self) -> dict[str, Any]:
        return {"store": self._namespace}

    async def _open(self, key: str) -> None:
        sent = self.recorder.now()
        item = {"namespace": [*self._namespace, "gates"], "key": key, "value": {"open": True}}
        for _ in range(3):
            try:
                if (await self.session.client.http.put("/store/items", json=item)).is_success:
                    break
            except httpx.HTTPError:
                await anyio.sleep(POLL_S)
        self._keys.add(f"gates/{key}")
        self.recorder.add(GateOpened, key=key, sent=sent, done=self.recorder.now())

    async def listen(self) -> None:
        while True:
            began = self.recorder.now()
            if self.recorder.waiting:
                await self.drain()
            # At most a quarter of the time is spent asking: a slow store is not slowed further.
            await anyio.sleep(max(POLL_S, 3 * (self.recorder.now() - began)))

    async def drain(self) -> None:
        query: dict[str, Any] = {"namespace_prefix": [*self._namespace, "records"], "limit": DRAIN_PAGE, "offset": 0}
        while True:
            try:
                response = await self.session.client.http.post("/store/items/search", json=query)
                items = response.json()["items"] if response.is_success else []
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                return
            for item in sorted(items, key=lambda i: i["key"]):
                self._keys.add(f"records/{item['key']}")
                with suppress(KeyError, TypeError, ValueError):  # not the probe's
                    self.told(item["value"])
            if len(items) < DRAIN_PAGE:
                return
            query["offset"] += DRAIN_PAGE

    async def close(self) -> None:
        for path in self._keys:
            folder, _, key = path.partition("/")
            item = {"namespace": [*self._namespace, folder], "key": key}
            try:
                await self.session.client.http.request("DELETE", "/store/items", json=item)
            except httpx.HTTPError:
                return


class StreamRoom(Room):
    """Announcements are custom stream events of each run; gates are timed and cannot be opened."""

    @property
    def via(self) -> dict[str, Any]:
        return {"stream": True}

    async def _open(self, key: str) -> None:
        """Nothing: the gate opens by itself when its bound has passed."""

    def follow(self, tasks: anyio.abc.TaskGroup, thread_id: str, run_id: str) -> None:
        tasks.start_soon(self._follow, thread_id, run_id)

    async def _follow(self, thread_id: str, run_id: str) -> None:
        path = f"/threads/{thread_id}/runs/{run_id}/stream"
        params = {"stream_mode": "custom", "cancel_on_disconnect": "0"}
        headers = {"last-event-id": "-1"}  # from the beginning, where the target keeps events
        timeout = httpx.Timeout(self.session.bounds.settle)
        try:
            async with self.session.client.http.stream(
                "GET", path, params=params, headers=headers, timeout=timeout
            ) as response:
                async for _, data in events(response.aiter_bytes()):
                    if '"doubletext"' in data:
                        self.told(json.loads(data)["doubletext"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return


class EmptyRoom(Room):
    """Nobody announces anything, and there are no gates: the runs are of the user's own graph."""

    @property
    def via(self) -> dict[str, Any]:
        return {}

    async def _open(self, key: str) -> None:
        """Nothing: no run waits for it."""


def enter(session: Session, recorder: Recorder, instance: str) -> Room:
    """The room of the session's transport."""
    if session.transport == "callback" and session.listener is not None:
        return CallbackRoom(session, recorder, session.listener)
    if session.transport == "store":
        return StoreRoom(session, recorder, instance)
    if session.transport == "none":
        return EmptyRoom(session, recorder)
    return StreamRoom(session, recorder)
