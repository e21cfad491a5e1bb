"""After cancel(rollback) without wait the run is gone, but the thread stays `busy` until another run is created and
ends.

thread.settles, thread.busy-iff-inflight.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py deletes the row eagerly and does not touch the
thread. The worker would compute the thread's status (`Threads.set_joint_status`), but that raises 404 for the
missing run first, and worker.py ignores it. A pending run has no worker at all. The same for DELETE of a run.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

TRIALS = 3


async def trial(client: LangGraphClient, how: str, pending: bool) -> str:
    """The thread's status four seconds after its only run was ended."""
    thread = (await client.threads.create())["thread_id"]
    slow = {"script": {"name": "A", "steps": 1, "ms": 20_000}, "at": 0}
    a = (await client.runs.create(thread, "steps", input=slow, after_seconds=30 if pending else None))["run_id"]
    while not pending and not await client.threads.get_history(thread, limit=10):
        await asyncio.sleep(0.02)
    if how == "delete":
        await client.runs.delete(thread, a)
    else:
        await client.runs.cancel(thread, a, action="rollback", wait=how == "cancel, wait=true")
    await asyncio.sleep(4)
    assert await client.runs.list(thread) == []
    return (await client.threads.get(thread))["status"]


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A is the only one of its thread; cancel(rollback) or delete A; 4 s later no run is listed")
    print("expected: the thread is idle")
    stuck = 0
    for how in ("cancel", "cancel, wait=true", "delete"):
        for pending in (False, True):
            if pending and how == "cancel, wait=true":
                continue
            statuses = await asyncio.gather(*(trial(client, how, pending) for _ in range(TRIALS)))
            busy = statuses.count("busy")
            print(f"observed: {how}, A {'pending' if pending else 'running'}: thread busy in {busy} of {TRIALS}")
            stuck += busy
    return 1 if stuck else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
