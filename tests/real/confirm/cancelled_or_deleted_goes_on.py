"""delete.stops-writes, cancel.bulk: a run that was deleted, or cancelled in bulk by status, is
not stopped at all and executes to its end.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL
Cancels ALL running runs of the server.

Why (langgraph-runtime-inmem 0.36.7): `Runs.delete` in ops.py removes row and checkpoints and tells the worker
nothing. `Runs.cancel` by status sends its message with the call's thread id, which is None there, so that
`StreamManager.put` (inmem_stream.py) files it under "no-thread", where no worker listens; the status is set
to `interrupted` all the same, and to `success` when the run has ended by itself.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError


async def trial(client: LangGraphClient, how: str) -> tuple[str, str, list[str]]:
    """A's status right after, A's status at the end, and the log at the end."""
    thread = (await client.threads.create())["thread_id"]
    a = {"script": {"name": "A", "steps": 4, "ms": 500}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=a))["run_id"]
    while not await client.threads.get_history(thread, limit=10):
        await asyncio.sleep(0.02)

    async def status() -> str:
        try:
            return (await client.runs.get(thread, run))["status"]
        except NotFoundError:
            return "404"

    if how == "delete":
        await client.runs.delete(thread, run)
    else:
        await client.runs.cancel_many(status="running", action=how)
    early = await status()
    await asyncio.sleep(4)
    return early, await status(), (await client.threads.get_state(thread))["values"].get("log", [])


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A executes four supersteps of 500 ms; in the first: delete A, or cancel all running runs")
    print("expected: A stops at once, and its status is final")
    shown = 0
    for how in ("delete", "interrupt", "rollback"):
        early, late, log = await trial(client, how)
        what = how if how == "delete" else f"bulk cancel by status, {how}"
        print(f"observed: {what}: A reads {early}, later {late}; log {log}")
        shown += early != late or len(log) > 1
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
