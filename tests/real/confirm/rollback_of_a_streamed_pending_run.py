"""rollback.deleted: a pending run that a client streams is not deleted by a rollback; it stays `interrupted`.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Runs.cancel` in ops.py deletes the displaced run only where its stream
has no subscriber. Where it has one, it stores `interrupted` and sends a control message, and leaves the
deleting to the worker that executes the run (`worker.py`, the branch of `UserRollback`). A pending run has no
worker, and `Runs.next` takes only runs that are `pending`: nobody ever takes the message, nobody deletes the run.
"""

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

TRIALS = 6


def script(name: str) -> dict[str, object]:
    return {"script": {"name": name, "steps": 2, "ms": 300}, "at": 0}


async def trial(client: LangGraphClient, streamed: bool) -> str | None:
    """The fate of A, or None where it was not pending any more when the trial began."""
    thread = (await client.threads.create())["thread_id"]
    created = asyncio.get_running_loop().create_future()

    async def read() -> None:
        async for _ in client.runs.stream(thread, "steps", input=script("A"), on_run_created=created.set_result):
            pass

    if streamed:
        reader = asyncio.create_task(read())
        a = (await created)["run_id"]
    else:
        a = (await client.runs.create(thread, "steps", input=script("A")))["run_id"]
    before = (await client.runs.get(thread, a))["status"]
    b = await client.runs.create(thread, "steps", input=script("B"), multitask_strategy="rollback")
    await client.runs.join(thread, b["run_id"])
    await asyncio.sleep(1)  # B is over: time enough for whoever might still delete A
    if streamed:
        await reader
    if before != "pending":
        return None
    try:
        return (await client.runs.get(thread, a))["status"]
    except NotFoundError:
        return "404"


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     run A is created and pending; run B is created with multitask_strategy=rollback; B ends; GET A")
    print("expected: A was deleted: 404, whether a client streams A or not")
    shown = 0
    for streamed in (False, True):
        fates = [f for f in await asyncio.gather(*(trial(client, streamed) for _ in range(TRIALS))) if f]
        left = [f for f in fates if f != "404"]
        who = "a client streams A" if streamed else "nobody streams A"
        print(f"observed: {who}: A is still there in {len(left)} of {len(fates)} {sorted(set(left)) or ''}")
        shown += len(left)
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
