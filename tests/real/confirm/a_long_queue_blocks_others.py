"""thread.not-starved: while a busy thread has a long queue, no run starts on any other thread.

Needs the graph `steps` (steps_graph.py) on the server, with ten workers.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Runs.next` in ops.py goes through the oldest pending runs, at most as many as
there are free workers, and passes over those whose thread has a running one. Where so many wait on a busy thread,
it never comes to those behind them.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

QUEUED, WAITED_S = 14, 8


def script(name: str, ms: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": 1, "ms": ms}, "at": 0}


async def status_beside(client: LangGraphClient, queued: int) -> str:
    """What a run on an idle thread is called some seconds after its creation, beside a busy one with a queue."""
    busy = (await client.threads.create())["thread_id"]
    a = await client.runs.create(busy, "steps", input=script("A", 20_000))
    while (await client.runs.get(busy, a["run_id"]))["status"] != "running":
        await asyncio.sleep(0.02)
    for _ in range(queued):
        await client.runs.create(busy, "steps", input=script("B", 1), multitask_strategy="enqueue")
    idle = (await client.threads.create())["thread_id"]
    x = await client.runs.create(idle, "steps", input=script("X", 1))
    await asyncio.sleep(WAITED_S)
    status = (await client.runs.get(idle, x["run_id"]))["status"]
    await client.threads.delete(busy)
    return status


async def main(url: str) -> int:
    client = get_client(url=url)
    print(
        "does:     thread 1 executes a run of 20 s, with n runs in its queue; a run of 1 ms is created on thread 2 and"
    )
    print(f"          read after {WAITED_S} s")
    print("expected: success, whatever n is")
    few, many = await status_beside(client, 1), await status_beside(client, QUEUED)
    print(f"observed: n = 1: {few}; n = {QUEUED}: {many}")
    return 1 if many != "success" else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
