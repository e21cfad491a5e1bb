"""A create with a negative after_seconds is accepted, one with a delay beyond every date is answered 500.

bad-input.negative-delay, bad-input.oversize.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): the schema of requests says integer, and no minimum; `Runs.put` in ops.py stores
`created_at=datetime.now(UTC) + timedelta(seconds=after_seconds)`. Of the past this makes a run that is older than those
that wait before it; beyond what a timedelta or a date can hold it raises OverflowError, which nobody expects.
"""

import asyncio
import sys

import httpx
from langgraph_sdk import get_client

SCRIPT = {"script": {"name": "A", "steps": 1, "ms": 1}, "at": 0}


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     creates runs with after_seconds = -1, -1e12 and 1e300, each on a thread of its own")
    print("expected: a 4xx each")
    wrong = 0
    async with httpx.AsyncClient(base_url=url) as http:
        for delay in (-1, -1e12, 1e300):
            thread = (await client.threads.create())["thread_id"]
            body = {"assistant_id": "steps", "input": SCRIPT, "after_seconds": delay}
            answer = await http.post(f"/threads/{thread}/runs", json=body)
            print(f"observed: after_seconds = {delay:g}: {answer.status_code}")
            wrong += not 400 <= answer.status_code < 500
            await client.threads.delete(thread)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
