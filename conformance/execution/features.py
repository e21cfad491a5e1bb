"""Which parts of the API a target has: each is asked for once, and nothing is judged.

Nothing is asked that is known to harm servers for good: neither a run nor its thread is deleted while it executes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from conformance.execution.client import Client
from conformance.programs import Create, Step, emit

BUSY_MS = 1500  # how long a run lasts beside which calls on a busy thread are tried
INFLIGHT = ("pending", "running")
IDS = re.compile(r"(?<=/)[0-9a-f-]{32,}(?=/|$)")


@dataclass(frozen=True)
class Feature:
    """``ok``: the target has it, as far as one call can tell; ``text``: what was answered."""

    ok: bool
    text: str
    status: int | None = None


class Features:
    """Asks for everything. ``found`` and ``policies`` hold what is known, also when it is broken off."""

    def __init__(self, client: Client, made: set[str]) -> None:
        self._client = client
        self._made = made
        self.found: dict[str, Feature] = {}
        self.policies: dict[str, Any] = {}  # switches of a dialect that one call can tell

    async def look(self) -> None:
        """Ask, concurrently."""
        async with anyio.create_task_group() as tasks:
            for part in (self._idle, self._busy, self._stateless, self._store, self._document):
                tasks.start_soon(part)

    async def _ask(self, name: str | None, method: str, path: str, body: Any = None, **params: str) -> Any:
        """One call; its JSON value where it succeeded, True where it had none, else None."""
        try:
            answer = await self._client.http.request(method, path, json=body, params=params or None)
        except (httpx.HTTPError, ValueError) as e:
            if name is not None:
                self.found[name] = Feature(False, f"no answer ({type(e).__name__})")
            return None
        if name is not None:
            kind = answer.headers.get("content-type", "")
            streams = "stream" not in name or kind.startswith("text/event-stream")
            text = f"{method} {IDS.sub('…', path)} answers {answer.status_code}"
            self.found[name] = Feature(
                answer.is_success and streams,
                text if streams else f"{text}, and no event stream",
                answer.status_code,
            )
        if not answer.is_success:
            return None
        try:
            return answer.json()
        except ValueError:
            return True

    async def _thread(self) -> str | None:
        with anyio.CancelScope(shield=True):  # one whose id is not learned could not be removed
            thread = await self._ask(None, "POST", "/threads", {"metadata": {"doubletext": True}})
            if not isinstance(thread, Mapping) or "thread_id" not in thread:
                return None
            self._made.add(str(thread["thread_id"]))
        return str(thread["thread_id"])

    def _run(self, *steps: Step) -> dict[str, Any]:
        return self._client.create_body(Create("doctor", "enqueue", steps), f"doctor-{uuid.uuid4().hex[:8]}", {})

    async def _idle(self) -> None:
        """What works on a thread on which nothing executes."""
        thread = await self._thread()
        if thread is None:
            return
        at = f"/threads/{thread}"
        await self._ask("/runs/wait", "POST", f"{at}/runs/wait", self._run(emit()))
        await self._ask("/runs/stream", "POST", f"{at}/runs/stream", self._run(emit()))
        runs = await self._ask("list of runs", "GET", f"{at}/runs", limit="10")
        if isinstance(runs, list) and runs and isinstance(runs[0], Mapping):
            run = f"{at}/runs/{runs[0].get('run_id')}"
            await self._ask("join", "GET", f"{run}/join")
            await self._ask("join-stream", "GET", f"{run}/stream")
        await self._ask("state", "GET", f"{at}/state")
        history = await self._ask("history (POST)", "POST", f"{at}/history", {"limit": 10})
        by_get = await self._ask("history (GET)", "GET", f"{at}/history", limit="10")
        checkpoints = history if isinstance(history, list) else by_get
        if isinstance(checkpoints, list) and checkpoints:
            named = all(isinstance(c, Mapping) and (c.get("metadata") or {}).get("run_id") for c in checkpoints)
            self.policies["history_names_run"] = "yes" if named else "no"
        await self._ask("update-state", "POST", f"{at}/state", {"values": {"note": "doctor"}, "as_node": "step"})

    async def _busy(self) -> None:
        """What works beside a run that is inflight."""
        thread = await self._thread()
        run = await self._begin(thread)
        if thread is None or run is None:
            return
        at = f"/threads/{thread}"
        await self._ask("update-state while busy", "POST", f"{at}/state", {"values": {"note": "x"}, "as_node": "step"})
        update = self.found.get("update-state while busy")
        if update is not None and update.status is not None and await self._inflight(at, run):
            self.policies["update_state_busy"] = "accepted" if update.ok else "refused"
        await self._ask("cancel", "POST", f"{at}/runs/{run}/cancel", action="interrupt")
        if self.found["cancel"].ok:
            self.policies["cancel_code"] = self.found["cancel"].status
        if (other := await self._begin(thread)) is not None:
            body = {"thread_id": thread, "run_ids": [other]}
            await self._ask("bulk cancel", "POST", "/runs/cancel", body, action="interrupt")
            await self._ask(None, "POST", f"{at}/runs/{other}/cancel", action="interrupt")
            with anyio.move_on_after(2 * BUSY_MS / 1000):  # its thread is deleted afterwards
                while await self._inflight(at, other):  # noqa: ASYNC110 - what is polled is on the target
                    await anyio.sleep(0.05)

    async def _begin(self, thread: str | None) -> str | None:
        run = await self._ask(None, "POST", f"/threads/{thread}/runs", self._run(emit(sleep=BUSY_MS)))
        return str(run["run_id"]) if isinstance(run, Mapping) and "run_id" in run else None

    async def _inflight(self, at: str, run: str) -> bool:
        read = await self._ask(None, "GET", f"{at}/runs/{run}")
        return isinstance(read, Mapping) and read.get("status") in INFLIGHT

    async def _stateless(self) -> None:
        await self._ask("stateless runs", "POST", "/runs/wait", self._run(emit()))

    async def _store(self) -> None:
        namespace, key = ["doubletext", "doctor", uuid.uuid4().hex[:8]], "k"
        put = {"namespace": namespace, "key": key, "value": {"v": 1}}
        await self._ask("Store API", "PUT", "/store/items", put)
        if self.found["Store API"].ok:
            await self._ask("Store API search", "POST", "/store/items/search", {"namespace_prefix": namespace})
            await self._ask(None, "DELETE", "/store/items", {"namespace": namespace, "key": key})

    async def _document(self) -> None:
        await self._ask("openapi.json", "GET", "/openapi.json")
