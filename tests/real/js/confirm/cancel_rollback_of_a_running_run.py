"""cancel.rollback-reverts: a running run that is cancelled with action=rollback ends `error` and is not deleted.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why: as rollback_of_a_running_run.py. The worker takes the abort of a rollback for a failure of the graph.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

TRIALS = 4


async def trial(client: LangGraphClient) -> str:
    """The fate of A."""
    thread = (await client.threads.create())["thread_id"]
    body = {"script": {"name": "A", "steps": 3, "ms": 700}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=body))["run_id"]
    async with asyncio.timeout(10):
        while (await client.runs.get(thread, run))["status"] != "running":
            await asyncio.sleep(0.02)
    await client.runs.cancel(thread, run, action="rollback")
    await asyncio.sleep(4)
    try:
        return (await client.runs.get(thread, run))["status"]
    except NotFoundError:
        return "404"


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     a running run is cancelled with action=rollback; GET it 4 s later")
    print("expected: it was deleted: 404")
    fates = await asyncio.gather(*(trial(client) for _ in range(TRIALS)))
    print(f"observed: {sorted(fates)}")
    return 1 if any(f != "404" for f in fates) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
