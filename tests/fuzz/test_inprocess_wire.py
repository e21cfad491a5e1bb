"""What stands for the wire in-process: answers are read while they are written, and who leaves is missed."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import asyncio, json, random, time
import httpx
from conformance.fuzz.inprocess.sources import Clock, Entropy
clock, entropy = Clock(), Entropy()
entropy.install()
clock.install()
from conformance.fuzz.inprocess.asgi import AppWire, lifespan
from conformance.fuzz.inprocess.loop import VirtualLoop
from conformance.fuzz.inprocess.network import Network
from tests.fuzz import apps

loop = VirtualLoop(clock, random.Random(1))
loop.network = Network(loop, random.Random(1))

async def work():
    async with lifespan(apps.streams) as state:
        client = httpx.AsyncClient(transport=AppWire(apps.streams, loop, state), base_url="http://localhost")
        begun, lines = loop.time(), []
        async with client.stream("GET", "/stream") as answer:
            async for line in answer.aiter_lines():
                lines.append(loop.time() - begun)
                if len(lines) == 3:
                    break
        await asyncio.sleep(5)
        failed = await client.get("/fails")
        late = None
        try:
            await client.get("/late", timeout=3)
        except httpx.ReadTimeout:
            late = "ReadTimeout"
        left = apps.left[0] - begun
        faults = {}
        for fault in ("dropped", "lost", "late"):
            begun = loop.time()
            try:
                answer = await client.get("/stream", extensions={"fault": fault}, timeout=0.5)
            except Exception as e:
                await asyncio.sleep(0.01)
                faults[fault] = [type(e).__name__, loop.time() - begun, len(apps.left)]
        seen = {"lines": lines, "left": left, "failed": failed.status_code, "late": late, "faults": faults}
        return {**seen, "day": time.strftime("%F")}

print(json.dumps(loop.run_until_complete(work())))
"""


def test_streams_departures_failures_and_timeouts() -> None:
    done = [
        subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True).stdout
        for _ in range(2)
    ]
    assert done[0] == done[1]
    seen = json.loads(done[0])
    assert [round(at) for at in seen["lines"]] == [0, 1, 2]
    assert 2 < seen["left"] < 3.5
    assert seen["failed"] == 500
    assert seen["late"] == "ReadTimeout"
    faults = seen["faults"]
    assert [faults[name][0] for name in ("dropped", "lost", "late")] == ["Dropped", "Dropped", "ReadTimeout"]
    assert [faults[name][2] for name in ("dropped", "lost", "late")] == [
        2,
        3,
        4,
    ]  # each request arrives, each departure is missed
    assert faults["dropped"][1] < 0.1
    assert faults["late"][1] > 0.6  # taken late, and then the second line does not come in time
    assert seen["day"] == "2026-01-01"
