"""rollback.reverts, rollback.lineage, rollback.no-orphans: the new run finds the work of the run rolled back.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL
Now and then: it needs a rollback that arrives while a checkpoint is on its way; loops and prints the rate.

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py tells the worker to stop and, in the same call,
deletes the run's row and the checkpoints that are stored by then (`Runs.delete`,
`_delete_checkpoints_for_thread`), although the run is executing. A superstep that is just ending still stores
its checkpoint: saves are background tasks of the graph's loop, which it awaits when it is cancelled. When the
worker has stopped it would delete once more (`Threads.set_joint_status`), but finds the row gone, and worker.py
logs "Ignoring rollback error for missing run". So the late checkpoint stays, is the newest of the thread, and
holds the whole state of the run that was rolled back. The new run starts from it. (Where a client streams the
run, the eager deletion is left out, and the rollback is right: the second line of the output.)
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import random
import sys
import time

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

SECONDS, AT_MOST, CONTROL, AT_ONCE = 20, 55, 10, 6


def script(name: str, steps: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": steps, "ms": 5}, "at": 0}


async def trial(client: LangGraphClient, streamed: bool) -> tuple[bool, bool]:
    """Whether B found work of A, and whether a checkpoint names the deleted run."""
    thread = (await client.threads.create())["thread_id"]
    config = {"recursion_limit": 2000}
    a = await client.runs.create(thread, "steps", input=script("A", 1000), config=config)  # 5 s at the least

    async def read() -> None:
        async for _ in client.runs.join_stream(thread, a["run_id"]):
            pass

    reader = asyncio.create_task(read()) if streamed else None
    while (await client.runs.get(thread, a["run_id"]))["status"] != "running":
        await asyncio.sleep(0.02)
    await asyncio.sleep(random.uniform(0.1, 0.3))
    b = await client.runs.create(thread, "steps", input=script("B", 2), multitask_strategy="rollback")
    await client.runs.join(thread, b["run_id"])
    if reader is not None:
        await reader
    log = (await client.threads.get_state(thread))["values"]["log"]
    history = await client.threads.get_history(thread, limit=100)
    orphan = any(s["metadata"].get("run_id") == a["run_id"] for s in history)
    await client.threads.delete(thread)
    return log != ["B0", "B1"], orphan


async def trials(client: LangGraphClient, streamed: bool) -> list[tuple[bool, bool]]:
    """Trials for 20 seconds, and for longer while none has shown anything; the control for 10."""
    start, results = time.monotonic(), []

    def go_on() -> bool:
        passed = time.monotonic() - start
        if streamed:
            return passed < CONTROL
        return passed < SECONDS or (passed < AT_MOST and not any(any(r) for r in results))

    async def work() -> None:
        while go_on():
            results.append(await trial(client, streamed))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return results


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A executes supersteps of 5 ms; run B is created with multitask_strategy=rollback at a random")
    print("          instant; B ends; GET state")
    print("expected: the log holds B0 B1 and nothing else, and no checkpoint of the history names A")
    found_any = 0
    for streamed in (False, True):
        results = await trials(client, streamed)
        found, orphans = sum(f for f, _ in results), sum(o for _, o in results)
        who = "a client streams A" if streamed else "nobody streams A"
        print(f"observed: {who}: B found work of A in {found} of {len(results)}, checkpoints of A left in {orphans}")
        found_any += found + orphans
    return 1 if found_any else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
