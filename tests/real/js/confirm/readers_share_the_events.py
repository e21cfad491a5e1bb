"""endpoint.own-events: of two clients that read a run's stream each gets some of its events, and neither all.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why (@langchain/langgraph-api 1.5.1): a run has one queue of events, and whoever reads takes an event out of it.
"""

# ruff: noqa: ASYNC110 - what is polled is on the server

import asyncio
import sys

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient


async def main(url: str) -> int:
    client = get_client(url=url)
    thread = (await client.threads.create())["thread_id"]
    body = {"script": {"name": "A", "steps": 6, "ms": 300}, "at": 0}
    run = (await client.runs.create(thread, "steps", input=body, stream_mode="values"))["run_id"]
    async with asyncio.timeout(10):
        while (await client.runs.get(thread, run))["status"] != "running":
            await asyncio.sleep(0.02)
    seen = await asyncio.gather(*(read(client, thread, run) for _ in range(2)))
    print("does:     two clients join the stream of a run of six supersteps, at its beginning")
    print("expected: both get the same events (the first may have been before they came)")
    print(f"observed: lengths of the log that each was shown: {seen}")
    return 0 if [n for n in seen[0] if n > 3] == [n for n in seen[1] if n > 3] else 1


async def read(client: LangGraphClient, thread: str, run: str) -> list[int]:
    """The lengths of the log that a reader is shown."""
    lengths = []
    async for part in client.runs.join_stream(thread, run):
        if part.event == "values":
            lengths.append(len(part.data.get("log") or []))
    return lengths


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
