"""cancel.wait: a cancel with wait=true is answered while the run's work goes on.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py sets the run's status, and the answer is the end of
`Runs.Stream.join`, which every 500 ms without an event looks at that status, and does not ask whether the worker has
left the run's code.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys
import time

from langgraph_sdk import get_client

STEP_MS = 5000


async def main(url: str) -> int:
    client = get_client(url=url)
    print(f"does:     a step of {STEP_MS} ms that does not hear that it is to stop; cancel with wait=true")
    print("expected: the answer comes when the step is over")
    thread = (await client.threads.create())["thread_id"]
    stubborn = {"script": {"name": "A", "steps": 1, "ms": STEP_MS, "stubborn": True}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=stubborn))["run_id"]
    async with asyncio.timeout(20):
        while (await client.runs.get(thread, run))["status"] != "running":
            await asyncio.sleep(0.02)
    sent = time.monotonic()
    await client.runs.cancel(thread, run, wait=True)
    took = time.monotonic() - sent
    print(f"observed: answered after {took * 1000:.0f} ms")
    return int(took < STEP_MS / 2000)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
