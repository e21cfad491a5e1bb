"""checkpoint.lineage: after cancel(rollback) a checkpoint of the cancelled run is left, and its parent is gone.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL
Now and then, as rollback_as_a_superstep_ends.py; loops and prints the rate.

Why (langgraph-runtime-inmem 0.36.7): as there. `Runs.cancel` in ops.py deletes the executing run's checkpoints
before its worker has stopped; the checkpoint of the superstep that is just ending is stored afterwards, with a
parent that was deleted a moment before. Nobody deletes it: the worker finds the run's row gone and ignores that.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import random
import sys
import time

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

SECONDS, AT_MOST, AT_ONCE = 20, 55, 6


def script(name: str, steps: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": steps, "ms": 5}, "at": 0}


async def trial(client: LangGraphClient) -> tuple[bool, bool]:
    """Whether the head's lineage has a hole, and whether B, created afterwards, found work of A."""
    thread = (await client.threads.create())["thread_id"]
    a = await client.runs.create(thread, "steps", input=script("A", 1000), config={"recursion_limit": 2000})
    while (await client.runs.get(thread, a["run_id"]))["status"] != "running":
        await asyncio.sleep(0.02)
    await asyncio.sleep(random.uniform(0.1, 0.3))
    await client.runs.cancel(thread, a["run_id"], action="rollback")
    try:
        await client.runs.get(thread, a["run_id"])
        raise SystemExit("A is still there")
    except NotFoundError:
        pass
    await client.runs.wait(thread, "steps", input=script("B", 2))
    history = await client.threads.get_history(thread, limit=100)
    known = {s["checkpoint"]["checkpoint_id"]: s for s in history}
    at = history[0]
    while at is not None and at["parent_checkpoint"] is not None:
        parent = at["parent_checkpoint"]["checkpoint_id"]
        if parent not in known:
            break
        at = known[parent]
    await client.threads.delete(thread)
    return at["parent_checkpoint"] is not None, history[0]["values"]["log"] != ["B0", "B1"]


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A executes supersteps of 5 ms; cancel(rollback) at a random instant; A answers 404; run B is")
    print("          created and ends; walk from the newest checkpoint to its ancestors")
    print("expected: every parent is in the history; the log holds B0 B1 and nothing else")
    start, results = time.monotonic(), []

    def go_on() -> bool:  # for 20 seconds, and for longer while none has shown anything
        passed = time.monotonic() - start
        return passed < SECONDS or (passed < AT_MOST and not any(hole for hole, _ in results))

    async def work() -> None:
        while go_on():
            results.append(await trial(client))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    holes, found = sum(h for h, _ in results), sum(f for _, f in results)
    print(f"observed: a parent is missing in {holes} of {len(results)}; B found work of A in {found} of {len(results)}")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
