"""Requests a second: of a campaign, judging included, of a bare client that sends the same calls, and of many workers.

    python -m tests.benchmarks.throughput bare [--seconds 30] [--rounds 2]
    python -m tests.benchmarks.throughput scaling [--workers 1,2,4] [--each 4] [--latency-ms 50] [--seconds 60]

The bare client sends the recorded calls thread by thread, as many threads at once as the campaign has programs under
way; it waits for nothing but answers, and keeps nothing. It is httpx, over its own transport as people use it, and over
the campaign's, which needs a quarter of the CPU. All its gates are open: a listener answers whatever a node says, so no
run waits. Each has a fresh reference server.
"""

from __future__ import annotations

import asyncio
import re
import resource
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import click
import httpx

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Client
from conformance.execution.listener import Gates, listening
from conformance.execution.loop import run
from conformance.execution.wire import Wire
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.distribution import DistributedCampaign
from conformance.fuzz.lab import LIVING

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
CREATES = re.compile(r"/threads/[^/]+/runs(/wait|/stream)?$")


@dataclass
class Recorded:
    """The requests of a campaign, by the thread that they name, in the order in which they were sent."""

    threads: dict[str, list[tuple[str, str, Any, str | None]]] = field(default_factory=dict)  # and the run they name
    count: int = 0


def campaign(url: str, seed: int, seconds: float) -> tuple[float, Recorded, int]:
    """Requests a second, the requests, and how many programs were under way at once."""
    recorded, begin = Recorded(), Client.begin

    async def recording(self: Client, method: str, path: str, body: Any, params: Any, *more: Any, **named: Any) -> Any:
        recorded.count += 1
        whole = f"{path}?{httpx.QueryParams(params)}" if params else path
        ids = UUID.findall(path) or UUID.findall(str(body.get("thread_id")) if isinstance(body, dict) else "")
        if ids:
            recorded.threads.setdefault(ids[0], []).append((method, whole, body, ids[1] if len(ids) > 1 else None))
        return await begin(self, method, path, body, params, *more, **named)

    Client.begin = recording  # type: ignore[method-assign]
    try:
        search = Campaign(FuzzPlan(url, Options(), Dialect(), seed, seconds, harming=False), lambda e: events.append(e))
        events: list[Any] = []
        run(search.run)
    finally:
        Client.begin = begin  # type: ignore[method-assign]
    slots = next(e.slots for e in events if hasattr(e, "slots"))
    assert not search.findings
    return recorded.count / search.stats.seconds, recorded, LIVING * int(slots)


async def bare(url: str, recorded: Recorded, at_once: int, transport: httpx.AsyncBaseTransport) -> tuple[float, int]:
    """Requests a second of the same calls, and how many they were."""
    slots, sent = asyncio.Semaphore(at_once), 0

    async def one(client: httpx.AsyncClient, old: str, calls: list[tuple[str, str, Any, str | None]]) -> None:
        nonlocal sent
        async with slots:
            new, runs = (await client.post("/threads", json={})).json()["thread_id"], list[str]()
            known: dict[str, str] = {old: new}
            for method, path, body, run_id in calls:
                if run_id is not None and run_id not in known and runs:
                    known[run_id] = runs[min(len(known) - 1, len(runs) - 1)]
                path = UUID.sub(lambda m: known.get(m[0], m[0]), path)
                answer = await client.request(method, path, json=_to(gates, body, known))
                sent += 1
                place = answer.headers.get("content-location") if CREATES.search(path) else None
                runs += [place.rpartition("/")[2]] if place else []
            await client.delete(f"/threads/{new}")
            sent += 2

    async with listening() as listener, httpx.AsyncClient(base_url=url, timeout=60, transport=transport) as client:
        token, gates, _ = listener.admit(lambda _told: None)
        listener._rooms[token] = (lambda _told: None, lambda _tag, _value: None, _Open())
        began = time.monotonic()
        await asyncio.gather(*(one(client, thread, calls) for thread, calls in recorded.threads.items()))
        return sent / (time.monotonic() - began), sent


def _to(gates: str, body: Any, known: Mapping[str, str]) -> Any:
    """The body with other ids, and with nodes that announce to a listener where all gates are open."""
    if not isinstance(body, dict):
        return body
    if "run_ids" in body:
        return {"thread_id": known.get(body["thread_id"]), "run_ids": [known.get(i, i) for i in body["run_ids"]]}
    given = body.get("input")
    if not isinstance(given, dict):
        return body
    program = {**given["program"], "via": {"callback": gates}}
    return {k: v for k, v in body.items() if k not in ("webhook", "after_seconds")} | {
        "input": {**given, "program": program}
    }


class _Open(Gates):
    """Gates that are all open."""

    def event(self, key: str) -> anyio.Event:
        event = super().event(key)
        event.set()
        return event


@dataclass
class Cpu:
    """CPU milliseconds a request, of this process and of the server: hardly blurred by what else the machine does."""

    own: float = field(default_factory=time.process_time)
    server: float = field(default_factory=lambda: _children())

    def shown(self, requests: int) -> str:
        """Since it was made; the server must have ended."""
        own, server = (time.process_time() - self.own, _children() - self.server)
        return f"CPU a request: client {own / requests * 1000:.2f} ms, server {server / requests * 1000:.2f} ms"


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@click.group()
def main() -> None:
    """The fuzzer's speed."""


@main.command("bare")
@click.option("--seconds", default=30.0, show_default=True)
@click.option("--rounds", default=2, show_default=True)
def beside_bare(seconds: float, rounds: int) -> None:
    """A campaign and a bare client, one after the other."""
    for seed in range(1, rounds + 1):
        cpu = Cpu()
        with reference_server() as url:
            ours, recorded, at_once = campaign(url, seed, seconds)
        click.echo(
            f"round {seed}: campaign {ours:.0f} requests/s, judging included ({recorded.count} requests); "
            f"{cpu.shown(recorded.count)} (without the process that judges)"
        )
        limits = httpx.Limits(max_connections=None)
        for name, transport in (
            ("httpx", httpx.AsyncHTTPTransport(limits=limits)),
            ("httpx over the campaign's transport", Wire(ssl.create_default_context())),
        ):
            cpu = Cpu()
            with reference_server() as url:
                theirs, sent = asyncio.run(bare(url, recorded, at_once, transport))
            click.echo(
                f"round {seed}: {name} {theirs:.0f} requests/s; {cpu.shown(sent)}; the campaign: {ours / theirs:.0%}"
            )


@main.command()
@click.option("--workers", default="1,2,4", show_default=True)
@click.option("--each", default=4, show_default=True, help="Programs at once of each worker, before they only wait.")
@click.option("--latency-ms", default=50.0, show_default=True, help="Of every answer, on the average: 0 to twice that.")
@click.option("--seconds", default=60.0, show_default=True)
def scaling(workers: str, each: int, latency_ms: float, seconds: float) -> None:
    """One worker and several, at a slow target with slots for all of them; judging included."""
    first: float | None = None
    for n in map(int, workers.split(",")):
        with reference_server("--workers", "200", "--jitter-ms", str(2 * latency_ms)) as url:
            plan = FuzzPlan(url, Options(), Dialect(), 1, seconds, max_inflight=each * n, harming=False)
            search = DistributedCampaign(plan, workers=n, cluster=None)
            run(search.run)
        assert not search.findings
        assert search.stats.searched is not None
        programs, requests = (k / search.stats.searched for k in (search.stats.programs, search.stats.calls))
        first = requests if first is None else first
        click.echo(
            f"{n} workers: {programs:.1f} programs/s, {requests:.0f} requests/s, {requests / first:.2f} × the first"
        )


if __name__ == "__main__":
    main()
