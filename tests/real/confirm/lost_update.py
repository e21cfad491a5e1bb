"""The worst of the late writes: the successor ends first, then the displaced run's late checkpoint is the thread's
head. The successor's answer is lost; after a rollback the state is that of a run that was rolled back.

thread.no-lost-update, interrupt.builds-on, rollback.reverts, run.terminal-is-final.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): see late_write_after_a_displacement.py. The head of a thread is the
checkpoint with the greatest id, and ids grow with time: who writes last is the head, whatever its parent.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

TRIALS = 3


async def trial(client: LangGraphClient, strategy: str) -> tuple[list[str], list[str]]:
    """The log when B has just ended, and when A's node has ended too."""
    thread = (await client.threads.create())["thread_id"]
    stubborn = {"script": {"name": "A", "steps": 1, "ms": 3000, "stubborn": True}, "at": 0}
    await client.runs.create(thread, "steps", input=stubborn)
    while not await client.threads.get_history(thread, limit=10):  # its input is stored: it executes
        await asyncio.sleep(0.02)
    quick = {"script": {"name": "B", "steps": 2, "ms": 20}, "at": 0}
    b = await client.runs.create(thread, "steps", input=quick, multitask_strategy=strategy)
    await client.runs.join(thread, b["run_id"])
    early = (await client.threads.get_state(thread))["values"]["log"]
    await asyncio.sleep(4)
    return early, (await client.threads.get_state(thread))["values"]["log"]


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A is in a node that sleeps for 3 s and swallows its cancellation; run B displaces A and ends")
    print("          successfully; A's node ends; GET state")
    print("expected: the log is B0 B1, before and after")
    shown = 0
    for strategy in ("interrupt", "rollback"):
        results = await asyncio.gather(*(trial(client, strategy) for _ in range(TRIALS)))
        lost = [late for early, late in results if early == ["B0", "B1"] and late != early]
        print(f"observed: {strategy}: B's log was replaced in {len(lost)} of {TRIALS}: {lost[:1]}")
        shown += len(lost)
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
