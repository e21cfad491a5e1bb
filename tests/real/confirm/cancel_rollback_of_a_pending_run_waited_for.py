"""cancel.rollback-reverts: a pending run that is cancelled with action=rollback and wait=true is not deleted; it stays
`interrupted`.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): a cancel that waits joins the run's stream before it cancels, and `Runs.cancel`
in ops.py deletes a run only where its stream has no subscriber; else it leaves that to the worker that executes the
run, and a pending run has none. (As rollback_of_a_streamed_pending_run.py.)
"""

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

TRIALS = 5


def script(name: str, ms: int) -> dict[str, object]:
    return {"script": {"name": name, "steps": 1, "ms": ms}, "at": 0}


async def trial(client: LangGraphClient, wait: bool) -> str:
    """The fate of Q, which waits behind A and is cancelled."""
    thread = (await client.threads.create())["thread_id"]
    a = await client.runs.create(thread, "steps", input=script("A", 2000))
    q = await client.runs.create(thread, "steps", input=script("Q", 10), multitask_strategy="enqueue")
    await client.runs.cancel(thread, q["run_id"], action="rollback", wait=wait)
    await client.runs.join(thread, a["run_id"])
    await asyncio.sleep(1)  # time enough for whoever might still delete Q
    try:
        return (await client.runs.get(thread, q["run_id"]))["status"]
    except NotFoundError:
        return "404"


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     A runs, Q waits; Q is cancelled with action=rollback; A ends; GET Q")
    print("expected: Q was deleted: 404, whether the cancel waits or not")
    shown = 0
    for wait in (False, True):
        fates = await asyncio.gather(*(trial(client, wait) for _ in range(TRIALS)))
        left = [f for f in fates if f != "404"]
        print(f"observed: wait={wait}: Q is still there in {len(left)} of {len(fates)} {sorted(set(left)) or ''}")
        shown += len(left)
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
