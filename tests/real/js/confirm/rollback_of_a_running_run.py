"""A running run that create(rollback) displaces is neither deleted nor rolled back: it ends `error`, its input and
its finished supersteps stay, and the new run builds on them.

rollback.deleted, rollback.reverts, rollback.lineage, rollback.no-orphans.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why (@langchain/langgraph-api 1.5.1): `Runs.cancel` in storage/ops.mjs only aborts a running run; it deletes pending
ones. The worker in queue.mjs knows one reason of an abort, "interrupt": for "rollback" the run counts as failed, and
nobody deletes it, or a checkpoint of it.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

TRIALS = 3


def script(name: str, steps: int, ms: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": steps, "ms": ms}, "at": 0}


async def trial(client: LangGraphClient) -> tuple[str, list[str]]:
    """What became of A, and the log at the end."""
    thread = (await client.threads.create())["thread_id"]
    a = (await client.runs.create(thread, "steps", input=script("A", 20, 300)))["run_id"]
    while len((await client.threads.get_state(thread))["values"].get("log", [])) < 2:  # type: ignore[union-attr]
        await asyncio.sleep(0.05)
    b = await client.runs.create(thread, "steps", input=script("B", 1, 10), multitask_strategy="rollback")
    await client.runs.join(thread, b["run_id"])
    await asyncio.sleep(1)
    runs = {r["run_id"]: r["status"] for r in await client.runs.list(thread)}
    state = await client.threads.get_state(thread)
    return runs.get(a, "deleted"), state["values"]["log"]  # type: ignore[call-overload]


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A has finished two supersteps; B is created with rollback and ends; A and the state are read")
    print("expected: A is deleted, the log is ['B0']")
    shown = 0
    for _ in range(TRIALS):
        fate, log = await trial(client)
        print(f"observed: A {fate}, the log is {log}")
        shown += fate != "deleted" or log != ["B0"]
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
