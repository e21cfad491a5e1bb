"""delete.stops-writes: a run that is deleted while it executes goes on to its end, and writes.

Needs the graph `steps` (../steps_graph.ts) on the server, which it harms.   usage: python THIS_FILE URL
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

TRIALS = 3


async def trial(client: LangGraphClient) -> list[str]:
    """The log of the thread, 4 s after its run was deleted."""
    thread = (await client.threads.create())["thread_id"]
    script = {"script": {"name": "A", "steps": 4, "ms": 500}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=script))["run_id"]
    async with asyncio.timeout(10):
        while (await client.runs.get(thread, run))["status"] != "running":
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    await client.runs.delete(thread, run)
    await asyncio.sleep(4)
    history = await client.threads.get_history(thread, limit=10)
    return list(history[0]["values"].get("log", [])) if history else []


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A executes four supersteps of 500 ms; in the first or second it is deleted; the log after 4 s")
    print("expected: it has not more than two entries")
    logs = [await trial(client) for _ in range(TRIALS)]
    print(f"observed: the log reads {', '.join(map(str, logs))}")
    return 1 if any(len(log) > 2 for log in logs) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
