"""A create with a negative after_seconds is accepted; one with an input nested 100,000 arrays deep is answered 500.

bad-input.negative-delay, bad-input.oversize.

Needs the graph `steps` (../steps_graph.ts) on the server.   usage: python THIS_FILE URL

Why (@langchain/langgraph-api 1.5.1): schemas.mjs says `after_seconds: z.number().optional()`, without a minimum, and
storage/ops.mjs adds it to the time of creation. What is stored is written by `fast-safe-stringify` of
@langchain/langgraph-checkpoint, whose `decirc` calls itself for every level: "RangeError: Maximum call stack size
exceeded", which nobody expects.
"""

import asyncio
import json
import sys

import httpx
from langgraph_sdk import get_client

SCRIPT = {"script": {"name": "A", "steps": 1, "ms": 1}, "at": 0}
DEPTH = 100_000


async def main(url: str) -> int:
    client = get_client(url=url)
    print(f"does:     creates a run with after_seconds = -1, and one with an input nested {DEPTH} arrays deep")
    print("expected: a 4xx each")
    late = json.dumps({"assistant_id": "steps", "input": SCRIPT, "after_seconds": -1})
    deep = json.dumps({"assistant_id": "steps", "input": {**SCRIPT, "x": "DEEP"}})
    deep = deep.replace('"DEEP"', "[" * DEPTH + "]" * DEPTH)
    wrong = 0
    async with httpx.AsyncClient(base_url=url, headers={"content-type": "application/json"}) as http:
        for what, body in (("a negative delay", late), ("deep input", deep)):
            thread = (await client.threads.create())["thread_id"]
            answer = await http.post(f"/threads/{thread}/runs", content=body)
            print(f"observed: {what}: {answer.status_code}")
            wrong += not 400 <= answer.status_code < 500
            await client.threads.delete(thread)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
