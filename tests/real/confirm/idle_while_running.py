"""thread.busy-iff-inflight: the thread reads `idle` although a run executes or waits.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py sets the thread to `idle` whenever it ends a pending
run, without looking at the thread's other runs; that includes the run that has just been created and displaces.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

TRIALS = 5


def script(name: str, ms: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": 1, "ms": ms}, "at": 0}


async def cancelled(client: LangGraphClient) -> bool:
    """A runs, Q waits and is cancelled."""
    thread = (await client.threads.create())["thread_id"]
    a = await client.runs.create(thread, "steps", input=script("A", 3000))
    while (await client.runs.get(thread, a["run_id"]))["status"] != "running":
        await asyncio.sleep(0.02)
    q = await client.runs.create(thread, "steps", input=script("Q", 10), multitask_strategy="enqueue")
    await client.runs.cancel(thread, q["run_id"])
    status = (await client.threads.get(thread))["status"]
    return status != "busy" and (await client.runs.get(thread, a["run_id"]))["status"] == "running"


async def displaced(client: LangGraphClient) -> bool:
    """A waits and is displaced by B, which then waits."""
    thread = (await client.threads.create())["thread_id"]
    await client.runs.create(thread, "steps", input=script("A", 10))
    b = await client.runs.create(thread, "steps", input=script("B", 2000), multitask_strategy="interrupt")
    status = (await client.threads.get(thread))["status"]
    return status != "busy" and (await client.runs.get(thread, b["run_id"]))["status"] in (
        "pending",
        "running",
    )


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     a pending run is cancelled beside a running one, or displaced by a new one; GET thread")
    print("expected: busy")
    shown = 0
    for what in (cancelled, displaced):
        results = await asyncio.gather(*(what(client) for _ in range(TRIALS)))
        print(f"observed: {what.__doc__} Idle in {sum(results)} of {TRIALS}")
        shown += sum(results)
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
