"""enqueue.fifo: a run that was enqueued later executes first, where runs of other threads were created in between.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL [WORKERS]

Why (@langchain/langgraph-api 1.5.1): `Runs.next` in ops.mjs lists the pending runs once, oldest first, and passes those
whose thread has a running run. It is a generator: while its worker executes one of the list, it stands still, and then
goes on down that old list. It passed B because A was running; A has ended since, so it takes C, before B.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys
import time

from langgraph_sdk import get_client

TRIES = 10
FIRST_MS = 3000
LATER_MS = 50  # so much later than A the others end, at the earliest


def script(name: str, ms: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": 1, "ms": ms}, "at": 0}


async def main(url: str, workers: int) -> int:
    client = get_client(url=url)
    print(f"does:     A runs; B is enqueued, then {workers - 1} runs on other threads are created, then C is enqueued")
    print("expected: B executes before C")
    for _ in range(TRIES):
        thread = (await client.threads.create())["thread_id"]
        others = [(await client.threads.create())["thread_id"] for _ in range(workers - 1)]
        first = (await client.runs.create(thread, "steps", input=script("A", FIRST_MS)))["run_id"]
        async with asyncio.timeout(20):
            while (await client.runs.get(thread, first))["status"] != "running":
                await asyncio.sleep(0.02)
        begun = time.monotonic()
        await client.runs.create(thread, "steps", input=script("B", 10), multitask_strategy="enqueue")
        # Together: a worker that sleeps (up to a second) finds all of them in one list, and C with them.
        left = FIRST_MS - round((time.monotonic() - begun) * 1000)
        creates = [client.runs.create(other, "steps", input=script("Z", left + LATER_MS)) for other in others]
        await asyncio.gather(*creates)
        last = await client.runs.create(thread, "steps", input=script("C", 10), multitask_strategy="enqueue")
        async with asyncio.timeout(60):
            while any(r["status"] in ("pending", "running") for r in await client.runs.list(thread)):
                await asyncio.sleep(0.1)
        state: dict[str, list[str]] = dict((await client.threads.get_state(thread))["values"])
        print(f"observed: {' '.join(state['log'])}   (C was created as {last['run_id']})")
        if state["log"].index("C0") < state["log"].index("B0"):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)))
