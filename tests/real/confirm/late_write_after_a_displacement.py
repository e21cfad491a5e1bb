"""run.terminal-is-final, run.final-when-read, checkpoint.one-chain, rollback.no-orphans: a displaced run whose
node swallows its cancellation writes a checkpoint although its successor executes; also a deleted run.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py stores `interrupted` (or deletes the row) at once,
and only sends a message to the worker. `Runs.next` starts the successor as soon as no row of the thread is
`running`, whether the worker has stopped or not. The worker cancels the graph's task (`wait_if_not_done` in
langgraph_api/asyncio.py); a node that swallows that ends its superstep as if nothing had happened, and the
loop stores its checkpoint. `InMemorySaver.put` (checkpoint.py) takes whatever comes: it asks neither whether the
run is still inflight, nor whether the parent is still the head. After interrupt two checkpoints then have the
same parent; after rollback a checkpoint of a run is left that does not exist.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

TRIALS = 3


async def status(client: LangGraphClient, thread: str, run: str) -> str:
    try:
        return (await client.runs.get(thread, run))["status"]
    except NotFoundError:
        return "404"


async def trial(client: LangGraphClient, strategy: str) -> tuple[bool, bool]:
    """Whether A wrote after B had begun, and whether the history has a fork."""
    thread = (await client.threads.create())["thread_id"]
    stubborn = {"script": {"name": "A", "steps": 1, "ms": 3000, "stubborn": True}, "at": 0}
    a = (await client.runs.create(thread, "steps", input=stubborn))["run_id"]
    while not await client.threads.get_history(thread, limit=10):  # its input is stored: it executes
        await asyncio.sleep(0.02)
    slow = {"script": {"name": "B", "steps": 1, "ms": 4000}, "at": 0}
    b = (await client.runs.create(thread, "steps", input=slow, multitask_strategy=strategy))["run_id"]
    while not any(s["metadata"]["run_id"] == b for s in await client.threads.get_history(thread, limit=10)):
        await asyncio.sleep(0.02)
    ended = await status(client, thread, a)
    before = {s["checkpoint"]["checkpoint_id"] for s in await client.threads.get_history(thread, limit=10)}
    assert ended == ("404" if strategy == "rollback" else "interrupted"), ended
    await client.runs.join(thread, b)
    history = await client.threads.get_history(thread, limit=10)
    late = [s for s in history if s["metadata"]["run_id"] == a and s["checkpoint"]["checkpoint_id"] not in before]
    parents = [s["parent_checkpoint"]["checkpoint_id"] for s in history if s["parent_checkpoint"]]
    return bool(late), len(parents) != len(set(parents))


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A is in a node that sleeps for 3 s and swallows its cancellation; run B displaces A; B has")
    print("          written its first checkpoint and executes, A reads as ended (interrupted, or 404); A's node ends")
    print("expected: A writes no further checkpoint; no two checkpoints have the same parent")
    shown = 0
    for strategy in ("interrupt", "rollback"):
        results = await asyncio.gather(*(trial(client, strategy) for _ in range(TRIALS)))
        late, forks = sum(w for w, _ in results), sum(f for _, f in results)
        print(f"observed: {strategy}: A wrote late in {late} of {TRIALS}; a fork in the history in {forks} of {TRIALS}")
        shown += late + forks
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
