"""An interrupt that arrives while the run is just ending: its status goes from `interrupted` to something else.

run.terminal-is-final, run.status-legal; the interrupted run is put back into the queue and started again.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL
Now and then; loops and prints the rate.

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py stores `interrupted` at once. (a) The
cancellation meets the graph's loop while that is closing: `wait_if_not_done` (langgraph_api/asyncio.py) awaits the
closing task, which was itself cancelled, so that a bare `CancelledError` comes out in place of `UserInterrupt`.
worker.py counts that among the errors to be retried and sets the run to `pending`: it is started again, before its
successor, and interrupted a second time. Seen: 5 of 162. (b) The graph has ended already, the worker has not: it
stores `success` over `interrupted` (`Threads.set_joint_status` does not look at what is there). Follows from the
source; the window is short, it was not seen.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import random
import sys
import time
from collections import Counter

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

SECONDS, AT_ONCE, STEPS, MS = 40, 3, 6, 30
TERMINAL = ("success", "error", "interrupted", "timeout")


async def trial(client: LangGraphClient) -> str:
    """The statuses of A after B was accepted, in order."""
    thread = (await client.threads.create())["thread_id"]
    a = {"script": {"name": "A", "steps": STEPS, "ms": MS}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=a))["run_id"]
    while f"A{STEPS - 2}" not in ((await client.threads.get_state(thread))["values"] or {}).get("log", []):
        await asyncio.sleep(0.004)
    await asyncio.sleep(MS / 1000 + random.uniform(-0.015, 0.03))  # around the end of A's last superstep
    b = {"script": {"name": "B", "steps": 1, "ms": 5}, "at": 0}
    new = await client.runs.create(thread, "steps", input=b, multitask_strategy="interrupt")
    seen: list[str] = []
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        status = (await client.runs.get(thread, run))["status"]
        if not seen or seen[-1] != status:
            seen.append(status)
        await asyncio.sleep(0.003)
    await client.runs.join(thread, new["run_id"])
    await client.threads.delete(thread)
    return " → ".join(seen)


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run B is created with multitask_strategy=interrupt around the instant at which run A ends; then")
    print("          A's status is polled")
    print("expected: interrupted, or success, and never anything after that")
    end, seen = time.monotonic() + SECONDS, Counter()

    async def work() -> None:
        while time.monotonic() < end:
            seen[await trial(client)] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    for statuses, n in seen.most_common():
        print(f"observed: {n:3} × {statuses}")
    # A was running, and `interrupted` was stored when B was accepted: `pending` after that is a flip already.
    flips = sum(n for s, n in seen.items() if s not in TERMINAL)
    print(f"flips: {flips} of {seen.total()}")
    return 1 if flips else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
