"""create.unknown-thread: a create on a thread that does not exist is an internal error.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why (@langchain/langgraph-api 1.5.1): where no thread has the id and `if_not_exists` is not `create`, the storage
inserts no run and the route, which then expects one, throws "Unreachable state when creating run".
"""

import asyncio
import sys
import uuid

import httpx
from langgraph_sdk import get_client


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     a run is created on a thread that does not exist, with each strategy")
    print("expected: 404")
    shown = 0
    for strategy in ("reject", "enqueue", "interrupt", "rollback"):
        body = {"script": {"name": "A", "steps": 1, "ms": 10}, "at": 0}
        try:
            await client.runs.create(str(uuid.uuid4()), "steps", input=body, multitask_strategy=strategy)
            said = "2xx"
        except httpx.HTTPStatusError as e:
            said = f"{e.response.status_code}"
        print(f"observed: {strategy}: {said}")
        shown += not said.startswith("4")
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
