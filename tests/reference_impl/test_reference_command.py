"""``python -m reference_impl``, as its own process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

import reference_impl

ROOT = Path(reference_impl.__file__).parents[1]

GRAPH = """
import asyncio
from typing import TypedDict
from langgraph.graph import START, StateGraph
from langgraph.config import get_store

class State(TypedDict, total=False):
    seen: str

async def node(state: State) -> State:
    item = await get_store().aget(("gate",), "g")
    while item is None:
        await asyncio.sleep(0.01)
        item = await get_store().aget(("gate",), "g")
    return {"seen": item.value["word"]}

builder = StateGraph(State).add_node(node).add_edge(START, "node")
"""


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "reference_impl", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    line = process.stdout.readline()
    found = re.fullmatch(r"doubletext-reference listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert found, (line, process.stderr and process.stderr.read())
    try:
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def test_serve_hold_release_and_stop(tmp_path: Path) -> None:
    path = tmp_path / "graph.py"
    path.write_text(GRAPH)
    with command("--graph", f"mine={path}:builder") as (process, url), httpx.Client(base_url=url) as http:
        run = {"assistant_id": "mine", "input": {}, "if_not_exists": "create"}
        thread = "00000000-0000-4000-8000-000000000000"
        created = http.post(f"/threads/{thread}/runs", json=run).json()
        http.put("/store/items", json={"namespace": ["gate"], "key": "g", "value": {"word": "hello"}})
        joined = http.get(f"/threads/{thread}/runs/{created['run_id']}/join")
        assert joined.json() == {"seen": "hello"}
        http.request("DELETE", "/store/items", json={"namespace": ["gate"], "key": "g"})
        http.post(f"/threads/{thread}/runs", json=run)
        with http.stream("POST", f"/threads/{thread}/runs/stream", json=run) as held:
            assert held.status_code == 200
            process.send_signal(signal.SIGTERM)
            process.wait(10)  # it waits for nobody: the stream is held for ever
        assert process.stderr
        assert process.stderr.read() == ""


def test_wrong_arguments() -> None:
    for arguments in ([], ["--graph", "x"], ["--graph", "x=nowhere:graph"], ["--graph", "x=json:dumps"]):
        process = subprocess.run(
            [sys.executable, "-m", "reference_impl", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert process.returncode == 2
        assert "Traceback" not in process.stderr
    process = subprocess.run(
        [sys.executable, "-m", "reference_impl", "--graph", "x=json:dumps", "--defect", "none-such"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert process.returncode == 2
    assert "no-strategy" in process.stderr
