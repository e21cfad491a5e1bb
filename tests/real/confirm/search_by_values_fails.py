"""A search of threads by their values is answered 500 as soon as there is a thread without values.

bad-input.types.

Needs the graph `steps` (steps_graph.py) on the server.   usage: python THIS_FILE URL

Why (langgraph-runtime-inmem 0.36.7): `Threads.search` in ops.py asks `is_jsonb_contained(thread["values"], values)`; of
a thread on which nothing was ever run, `values` is None, and `key not in None` raises TypeError.
"""

import asyncio
import sys

import httpx
from langgraph_sdk import get_client


async def main(url: str) -> int:
    client = get_client(url=url)
    print("does:     creates a thread, and searches for threads with values = {'a': 1}")
    print("expected: 200, and a list without it")
    thread = (await client.threads.create())["thread_id"]
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/threads/search", json={"values": {"a": 1}})
        print(f"observed: {answer.status_code} {answer.text[:200]}")
    await client.threads.delete(thread)
    return 1 if answer.status_code >= 500 else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
