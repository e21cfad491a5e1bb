"""endpoint.tells: who joins or streams a run that is stopped cannot tell from what it gets that the run did not finish.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why (@langchain/langgraph-api 1.5.1): a run that is interrupted closes its stream without an event that says so, and
`join` answers with the state's values.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys
from typing import Any

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient


async def trial(client: LangGraphClient) -> tuple[Any, list[str], str]:
    """What a joiner got, the names of the events of a stream, and the run's status."""
    thread = (await client.threads.create())["thread_id"]
    body = {"script": {"name": "A", "steps": 4, "ms": 500}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=body))["run_id"]
    while not await client.threads.get_history(thread, limit=10):
        await asyncio.sleep(0.02)
    events: list[str] = []

    async def read() -> None:
        async for part in client.runs.join_stream(thread, run):
            events.append(part.event)

    joining, reading = asyncio.create_task(client.runs.join(thread, run)), asyncio.create_task(read())
    await asyncio.sleep(0.3)
    await client.runs.cancel(thread, run)
    got = await joining
    await asyncio.wait_for(reading, 20)
    return got, events, (await client.runs.get(thread, run))["status"]


async def main(url: str) -> int:
    got, events, status = await trial(get_client(url=url))
    print("does:     a run is joined, and its stream is read, while it is cancelled")
    print("expected: an error in the answer, and one among the events")
    print(f"observed: the run is {status}; join answered {got}; the events were {events}")
    said = "__error__" in (got or {"__error__": None})
    return 0 if said and "error" in events else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
