"""delete.frees-worker, delete.thread-settles: each delete of a running run costs a worker for
good. After as many as there are workers the server accepts runs and starts none.

Needs the graph `steps` (../steps_graph.ts) on the server, which it harms.   usage: python THIS_FILE URL [WORKERS]

Why (@langchain/langgraph-api 1.5.1): the worker stores the run's end by `Runs.setStatus`, which throws for a deleted
run; it does so again while handling that, and its loop in queue.mjs ends with the exception.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client


def script(ms: int) -> dict[str, object]:
    return {"script": {"name": "A", "steps": 1, "ms": ms}, "at": 0}


async def main(url: str, workers: int) -> int:
    client = get_client(url=url)
    print(f"does:     {workers} running runs are deleted; a new run is created, and read after 10 s")
    print("expected: it is success")
    for _ in range(workers):
        thread = (await client.threads.create())["thread_id"]
        run = (await client.runs.create(thread, "steps", input=script(1500)))["run_id"]
        async with asyncio.timeout(10):
            while (await client.runs.get(thread, run))["status"] != "running":
                await asyncio.sleep(0.05)
        await client.runs.delete(thread, run)
    await asyncio.sleep(3)
    deleted = (await client.threads.get(thread))["status"]
    thread = (await client.threads.create())["thread_id"]
    run = (await client.runs.create(thread, "steps", input=script(10)))["run_id"]
    await asyncio.sleep(10)
    status = (await client.runs.get(thread, run))["status"]
    print(f"observed: it is {status}; the thread of the last deleted run is {deleted}")
    return 0 if status == "success" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)))
