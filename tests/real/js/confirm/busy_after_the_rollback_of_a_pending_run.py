"""After cancel(rollback) of a thread's only run, a pending one, no run is left, and the thread stays `busy` until
another run is created and ends.

thread.settles.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why (@langchain/langgraph-api 1.5.1): `Runs.cancel` in storage/ops.mjs deletes a pending run by `Runs.delete`, which
does not touch the thread; only a worker would set the thread's status, and a pending run has none.
"""

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

TRIALS = 3


async def trial(client: LangGraphClient) -> str:
    """The thread's status four seconds after its only run was cancelled."""
    thread = (await client.threads.create())["thread_id"]
    slow = {"script": {"name": "A", "steps": 1, "ms": 10}, "at": 0}
    a = (await client.runs.create(thread, "steps", input=slow, after_seconds=30))["run_id"]
    await client.runs.cancel(thread, a, action="rollback")
    await asyncio.sleep(4)
    assert await client.runs.list(thread) == []
    return (await client.threads.get(thread))["status"]


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A is pending and the only one of its thread; cancel(rollback); 4 s later no run is listed")
    print("expected: the thread is idle")
    statuses = await asyncio.gather(*(trial(client) for _ in range(TRIALS)))
    print(f"observed: thread busy in {statuses.count('busy')} of {TRIALS}")
    return 1 if "busy" in statuses else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
