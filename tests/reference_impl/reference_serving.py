"""Servers for tests: in this process, over real HTTP, on a port of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from reference_gated import Gates, build, script

from reference_impl.app import create_app
from reference_impl.house import House
from reference_impl.serve import Server


@asynccontextmanager
async def running(app: Any, port: int = 0) -> AsyncIterator[str]:
    """Serve an application until the block is left; yields the base URL."""
    server = Server(app, "127.0.0.1", port)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.001)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Bench:
    """A server with the gated graph as assistant ``gated``, and clients for it."""

    url: str
    http: httpx.AsyncClient
    sdk: LangGraphClient
    gates: Gates
    house: House

    async def thread(self) -> str:
        return str((await self.sdk.threads.create())["thread_id"])

    async def start(self, thread: str, tag: str, *steps: str, **options: Any) -> str:
        """Create a run; answers with its id."""
        run = await self.sdk.runs.create(thread, "gated", input=script(tag, *steps), **options)
        return str(run["run_id"])

    async def hold(self, thread: str, tag: str, *steps: str, gate: str = "g", **options: Any) -> str:
        """Create a run and return when it waits at its gate."""
        run = await self.start(thread, tag, *steps, **options)
        await asyncio.wait_for(self.gates[gate].entered.wait(), 5)
        return run

    async def over(self, thread: str, run: str) -> Any:
        """Wait for the end of a run; its final values."""
        return await self.sdk.runs.join(thread, run)

    async def readers(self, thread: str, run: str, count: int) -> None:
        """Return when so many clients wait for the run or read its stream."""
        log = self.house.storage.run(thread, run).events
        while len(log._waiting) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def log(self, thread: str) -> list[str]:
        values = (await self.sdk.threads.get_state(thread))["values"]
        return list(values.get("log", []))  # type: ignore[union-attr]

    async def status(self, thread: str, run: str) -> Any:
        """The run's status; 404 when it is gone."""
        answer = await self.http.get(f"/threads/{thread}/runs/{run}")
        return answer.json()["status"] if answer.status_code == 200 else answer.status_code

    async def history(self, thread: str) -> list[Any]:
        return list(await self.sdk.threads.get_history(thread, limit=1000))


@asynccontextmanager
async def bench(**options: Any) -> AsyncIterator[Bench]:
    """A bench; the options are those of ``create_app``."""
    gates = Gates()
    app = create_app({"gated": build(gates)}, **options)
    async with running(app) as url:
        headers = {"x-api-key": options["api_key"]} if "api_key" in options else {}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
            sdk = get_client(url=url, api_key=options.get("api_key"))
            try:
                yield Bench(url, http, sdk, gates, app.state.house)
            finally:
                gates.open_all()
                await sdk.aclose()
