"""The deliberate defects: each is declared properly, can be seen from outside, and one tells its story."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.graph import END, START, StateGraph
from reference_gated import Gate, script
from reference_serving import Bench, bench, running

import reference_impl
from reference_impl import defects
from reference_impl.app import create_app
from reference_impl.defects import Defect, registry

pytestmark = pytest.mark.anyio

SECTIONS = {
    "reject",
    "enqueue",
    "interrupt",
    "rollback",
    "displaced",
    "thread",
    "run",
    "checkpoint",
    "history",
    "create",
    "cancel",
    "state",
    "endpoint",
    "delete",
    "bad-input",
    "webhook",
}
EVERY = defects.all_defects()
ELSEWHERE = ("delete.", "webhook.", "state.", "thread.not-starved")
"""What the scenarios here do not do, nor what shows the defects of ``ALONE``; the kill matrix does, for all."""
ALONE = {
    "late-clients-are-held",
    "late-readers-read-backwards",
    "rollback-to-the-creation",
    "queue-is-read-by-the-page",
    "refusal-of-a-stream-without-reason",
    "reject-looks-at-the-newest",
    "reject-meets-one-or-two",
    "scheduled-runs-are-forgotten",
    "stateless-share-a-thread",
    "scheduled-runs-cannot-be-cancelled",
    "scheduled-runs-do-not-wait",
    "subgraphs-are-not-stopped",
    "subgraphs-state-is-the-threads",
    "waits-for-a-run-that-never-starts",
}
HERE = [d for d in EVERY if d.name not in ALONE and not any(id.startswith(ELSEWHERE) for id in d.must_fail)]


# --- declared properly ----------------------------------------------------------------------------------


def test_there_are_enough_of_them_and_each_says_what_it_is() -> None:
    assert len(EVERY) >= 25
    assert len(HERE) >= 90
    assert len({defect.name for defect in EVERY}) == len(EVERY)
    for defect in EVERY:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", defect.name)
        assert re.fullmatch(r"[A-Z][^\n]*\.", defect.description), defect.name
        assert defect.must_fail, defect.name
        assert not set(defect.must_fail) & set(defect.may_fail), defect.name
        assert {name.split(".")[0] for name in defect.must_fail + defect.may_fail} <= SECTIONS
        assert defects.find(defect.name) is defect


def test_a_variant_says_what_it_is_and_breaks_nothing() -> None:
    assert defects.all_variants()
    for variant in defects.all_variants():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", variant.name)
        assert re.fullmatch(r"[A-Z][^\n]*\.", variant.description), variant.name
        assert variant.must_fail == variant.may_fail == ()
        assert variant not in EVERY
        assert defects.find(variant.name) is variant


def test_what_breaks_nothing_is_not_declared_as_a_defect() -> None:
    with pytest.raises(ValueError, match="is a variant"):
        registry.defect(must_fail=[])


def test_the_list_is_read_without_the_server_being_installed() -> None:
    code = """
import sys
for name in ("langgraph", "langchain_core", "fastapi", "pydantic", "orjson", "uvicorn"):
    sys.modules[name] = None  # an import of it fails
from reference_impl.defects import all_defects
print(len(all_defects()))
"""
    root = Path(reference_impl.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert int(done.stdout) == len(EVERY)


# --- the story of no strategy ------------------------------------------------------------------------------


class Trip(TypedDict, total=False):
    asked: str
    booking: str
    bookings: int


async def test_without_a_strategy_the_last_write_wins() -> None:
    """The sequence of "Double Texting & Concurrency", step by step.

    Two concurrent runs that both read checkpoint C₀ and then write back produce a last-write-wins
    conflict. One update is silently overwritten.
    """
    thinking = {"Book a flight to NYC": Gate(), "Actually, make that Boston": Gate()}

    async def book(state: Trip) -> Trip:
        gate = thinking[state["asked"]]
        gate.entered.set()
        await gate.opened.wait()
        return {"booking": state["asked"].split()[-1], "bookings": state.get("bookings", 0) + 1}

    graph = StateGraph(Trip).add_node(book).add_edge(START, "book").add_edge("book", END).compile()
    app = create_app({"agent": graph}, multitask=defects.find("no-strategy").multitask())
    async with running(app) as url, httpx.AsyncClient(base_url=url) as client:
        thread = (await client.post("/threads", json={})).json()["thread_id"]

        async def send(text: str) -> str:
            body = {"assistant_id": "agent", "input": {"asked": text}}
            run = (await client.post(f"/threads/{thread}/runs", json=body)).json()["run_id"]
            await thinking[text].entered.wait()
            return str(run)

        # (1) User sends 'Book a flight to NYC': run 1 starts and reads checkpoint C₀.
        nyc = await send("Book a flight to NYC")
        # (2) Before run 1 completes, user sends 'Actually, make that Boston':
        #     run 2 starts and also reads C₀.
        boston = await send("Actually, make that Boston")
        # (3) Run 1 writes C₁ with NYC booking state.
        thinking["Book a flight to NYC"].open()
        await client.get(f"/threads/{thread}/runs/{nyc}/join")
        state = (await client.get(f"/threads/{thread}/state")).json()
        assert (state["values"]["booking"], state["values"]["bookings"]) == ("NYC", 1)
        # (4) Run 2 writes C₁ with Boston intent, overwriting run 1's update.
        thinking["Actually, make that Boston"].open()
        await client.get(f"/threads/{thread}/runs/{boston}/join")
        state = (await client.get(f"/threads/{thread}/state")).json()
        assert (state["values"]["booking"], state["values"]["bookings"]) == ("Boston", 1)
        # State is corrupted with no error, no log, and no indication to the user.
        runs = (await client.get(f"/threads/{thread}/runs")).json()
        assert [run["status"] for run in runs] == ["success", "success"]
        history = (await client.get(f"/threads/{thread}/history", params={"limit": 100})).json()
        bookings = {state["checkpoint_id"]: state["values"].get("booking") for state in history}
        parents = {state["checkpoint_id"]: state["parent_checkpoint_id"] for state in history}
        assert "NYC" in bookings.values()  # it was written …
        ancestor = history[0]["checkpoint_id"]
        while ancestor:  # … and is no part of what led to the present state
            assert bookings[ancestor] != "NYC"
            ancestor = parents[ancestor]


# --- each can be seen ------------------------------------------------------------------------------------


class Witness:
    """One thread of a server, and what a client sees of it, without ids and times."""

    def __init__(self, server: Bench, thread: str, name: str) -> None:
        self.server, self.thread, self.name = server, thread, name
        self.runs: dict[str, str] = {}
        self.seen: list[Any] = []

    def gate(self, name: str) -> Gate:
        return self.server.gates[f"{self.name}-{name}"]

    async def create(self, tag: str, *steps: str, strategy: str = "enqueue") -> None:
        """Create a run and note the answer; steps that name a gate get the thread's own."""
        body = {
            "assistant_id": "gated",
            "input": script(tag, *(step.replace(" ", f" {self.name}-") for step in steps)),
            "metadata": {"tag": tag},
            "multitask_strategy": strategy,
        }
        posting = later(self.server.http.post(f"/threads/{self.thread}/runs", json=body))
        done, _ = await asyncio.wait([posting], timeout=2)
        if not done:
            self.seen.append(f"{tag}: no answer")
            posting.add_done_callback(lambda late: late.cancelled() or late.exception())
        else:
            answer = posting.result()
            self.seen.append((tag, answer.status_code, [*answer.json()] if answer.content else None))
            if answer.is_success:
                self.runs[tag] = answer.json()["run_id"]

    async def entered(self, name: str) -> None:
        """Return when a run waits at this gate; a broken server may never get there."""
        try:
            await asyncio.wait_for(self.gate(name).entered.wait(), 2)
        except TimeoutError:
            self.seen.append(f"{name}: not entered")

    async def look(self) -> None:
        """Note all that can be read about the thread now."""
        sdk, tags = self.server.sdk, {run: tag for tag, run in self.runs.items()}
        thread = await sdk.threads.get(self.thread)
        listed = await sdk.runs.list(self.thread, limit=100)
        history = await self.server.history(self.thread)
        index = {state["checkpoint_id"]: n for n, state in enumerate(reversed(history))}
        values = thread["values"] or {}
        assert isinstance(values, dict)
        self.seen += [
            (thread["status"], sorted(thread["metadata"] or {})),
            [(tags.get(run["run_id"], "?"), run["status"]) for run in listed],
            {tag: await self.server.status(self.thread, run) for tag, run in self.runs.items()},
            {name: values.get(name) for name in ("log", "counter", "note")},
            [message["content"] for message in values.get("messages", [])],
            [
                (tags.get(state["metadata"].get("run_id")), index.get(state["parent_checkpoint_id"], "none"))
                for state in history
            ],
        ]

    async def settle(self) -> None:
        """Open all gates, wait for the end of all runs (no longer than a broken server deserves), look."""
        for name, gate in self.server.gates.items():
            if name.startswith(f"{self.name}-"):
                gate.open()
        for _ in range(200):
            runs = await self.server.sdk.runs.list(self.thread, limit=100)
            if not any(run["status"] in ("pending", "running") for run in runs):
                break
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.15)  # late deeds
        await self.look()


def later(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A call that goes on beside the scenario. Where that ends early nobody asks what became of it: the server goes."""
    task = asyncio.ensure_future(call)
    task.add_done_callback(lambda t: t.cancelled() or t.exception())
    return task


async def rejecting(w: Witness) -> None:
    await w.create("A", "say", "gate g", "say")
    await w.entered("g")
    await w.create("B", "say", strategy="reject")
    await w.look()
    await w.settle()
    await w.create("C", "say", strategy="reject")
    await w.settle()


async def rejecting_at_once(w: Witness) -> None:
    await asyncio.gather(*(w.create("A", "gate g", strategy="reject") for _ in range(4)))
    w.seen.sort(key=str)
    w.runs.clear()  # who won is chance


async def rejecting_behind_a_waiting_run(w: Witness) -> None:
    await w.create("A", "gate g")
    await w.create("B", "say", strategy="reject")


async def enqueueing(w: Witness) -> None:
    await w.create("A", "say", "gate g", "add", "fail")
    await w.entered("g")
    for tag in "BCD":
        await w.create(tag, "add")
    await w.look()
    await w.settle()


def displacing(strategy: str, *, earlier: bool, waiting: bool) -> Callable[[Witness], Awaitable[None]]:
    async def scenario(w: Witness) -> None:
        if earlier:
            await w.create("O", "add", "note old")
            await w.settle()
        await w.create("A", "add", "note new", "gate g", "say", "gate i")
        await w.entered("g")
        if waiting:
            await w.create("W", "say")
        displaced = [*w.runs]
        await w.create("B", "add", "gate h", strategy=strategy)
        w.seen.append([await w.server.status(w.thread, w.runs[tag]) for tag in displaced])
        w.gate("g").open()
        await w.entered("h")
        await w.look()
        await w.settle()

    return scenario


async def neighbours(w: Witness) -> None:
    """Two threads, made one after the other, of which the first is left alone."""
    other = Witness(w.server, await w.server.thread(), f"{w.name}-other")
    await w.create("A", "gate g", "say")
    await w.entered("g")
    await other.create("A", "gate g", "say")
    await other.entered("g")
    await other.create("B", "say")
    other.gate("g").open()
    if "B" in other.runs:
        await asyncio.wait_for(w.server.over(other.thread, other.runs["B"]), 5)
    await other.create("C", "gate h")
    await other.entered("h")
    await other.create("D", "say", strategy="interrupt")
    await other.settle()
    await w.look()
    await w.settle()
    w.seen += other.seen


async def calling(w: Witness) -> None:
    """Cancels in every form, and creates on threads that do not exist: their codes, and what they leave."""
    http, path = w.server.http, f"/threads/{w.thread}/runs"

    async def cancel(tag: str, action: str, **params: str) -> None:
        answer = await http.post(f"{path}/{w.runs[tag]}/cancel", params={"action": action, **params})
        w.seen.append((tag, answer.status_code))

    await w.create("A", "add", "swallow g", "add")
    await w.entered("g")
    for tag in "QRS":
        await w.create(tag, "add")
    for action in ("interrupt", "interrupt", "rollback"):
        await cancel("Q", action)
    await cancel("R", "rollback")
    waiting = later(cancel("A", "rollback", wait="true"))
    await asyncio.wait([waiting], timeout=0.7)  # a busy machine needs longer for the answer that comes at once
    w.seen.append(waiting.done())
    w.gate("g").open()
    await waiting
    await w.settle()
    await cancel("S", "interrupt")
    await w.create("B", "gate h", "add")
    await w.entered("h")
    await w.create("C", "add")
    body = {"thread_id": w.thread, "run_ids": [w.runs["B"], w.runs["C"]]}
    w.seen.append((await http.post("/runs/cancel", json=body)).status_code)
    await w.settle()
    create = {"assistant_id": "gated", "input": script("N", "say")}
    unknown = str(uuid.uuid4())
    w.seen.append((await http.post(f"/threads/{unknown}/runs", json=create)).status_code)
    w.seen.append((await http.get(f"/threads/{unknown}")).status_code)
    made, asking = str(uuid.uuid4()), {**create, "if_not_exists": "create"}
    answers = await asyncio.gather(*(http.post(f"/threads/{made}/runs", json=asking) for _ in range(3)))
    w.seen.append(sorted(a.status_code for a in answers))
    w.seen.append(len((await http.get(f"/threads/{made}/runs")).json()))


async def malformed(w: Witness) -> None:
    """Creates that are wrong, one after the other, and then one that is to make its thread."""
    right = {"assistant_id": "gated", "input": script("A", "say"), "metadata": {}}
    changes: list[dict[str, Any]] = [
        {"multitask_strategy": "merge"},
        {"metadata": "text"},
        {"command": 7},
        {"after_seconds": -1},
        {"assistant_id": "nobody"},
    ]
    bodies = [json.dumps({**right, **change}) for change in changes]
    deep = json.dumps({**right, "input": "DEEP"}).replace('"DEEP"', "[" * 100_000 + "]" * 100_000)
    for body in (*bodies, bodies[0][:-1], json.dumps(right)[:-1], "{", deep):
        answer = await w.server.http.post(f"/threads/{w.thread}/runs", content=body, headers=JSON)
        w.seen.append(answer.status_code)
    w.seen.append(len(await w.server.sdk.runs.list(w.thread, limit=100)))
    unknown = f"/threads/{uuid.uuid4()}"
    body = json.dumps({**right, "assistant_id": "nobody", "if_not_exists": "create"})
    await w.server.http.post(f"{unknown}/runs", content=body, headers=JSON)
    w.seen.append((await w.server.http.get(unknown)).status_code)


async def rolling_back_behind_an_update(w: Witness) -> None:
    """A run that found what a client had written into the state is rolled back."""
    await w.create("P", "add")
    await w.settle()
    values = {"messages": [{"role": "user", "content": "U"}]}
    w.seen.append((await w.server.http.post(f"/threads/{w.thread}/state", json={"values": values})).status_code)
    await w.create("A", "add", "gate g")
    await w.entered("g")
    await w.create("B", "add", strategy="rollback")
    w.gate("g").open()
    await w.settle()


async def ending(w: Witness) -> None:
    """Runs that fail, that a client waits for behind another, and that are deleted when they have ended."""
    path = f"/threads/{w.thread}/runs"
    await w.create("F", "add", "fail")
    await w.settle()
    await w.create("A", "gate g")
    await w.entered("g")
    await w.create("R", "add")
    body = {"assistant_id": "gated", "input": script("W", "add"), "multitask_strategy": "enqueue"}
    waiting = later(w.server.http.post(f"{path}/wait", json=body))
    for _ in range(100):  # a broken server may never list it
        if len((await w.server.http.get(path)).json()) == 4:
            break
        await asyncio.sleep(0.02)
    w.gate("g").open()
    w.seen.append((await asyncio.wait_for(waiting, 5)).status_code)
    await w.settle()
    w.seen.append((await w.server.http.delete(f"{path}/{w.runs['R']}")).status_code)
    w.seen.append((await w.server.http.get(f"{path}/{w.runs['R']}")).status_code)


JSON = {"content-type": "application/json"}


async def following(w: Witness) -> None:
    """Runs by the other endpoints, and clients that stay with runs that are stopped, or not."""
    http, path = w.server.http, f"/threads/{w.thread}/runs"

    def body(tag: str, step: str, strategy: str) -> dict[str, Any]:
        return {"assistant_id": "gated", "input": script(tag, step), "multitask_strategy": strategy}

    async def got(*calls: asyncio.Future[httpx.Response]) -> None:
        """Note what clients got; they are not waited for for ever."""
        done, held = await asyncio.wait(calls, timeout=3)
        for call in held:
            call.cancel()
        said = [(c in done, c.result().text if c in done else "") for c in calls]
        w.seen.append([(ok, text.count("event: values"), "rror" in text) for ok, text in said])

    for endpoint in ("wait", "stream"):
        await w.create(endpoint, f"gate {endpoint}", "say")
        await w.entered(endpoint)
        run = w.runs[endpoint]
        clients = [later(http.get(f"{path}/{run}/{how}")) for how in ("join", "stream")]
        await asyncio.sleep(0.1)
        over = f"over-{endpoint}"
        step = f"gate {w.name}-{over}"
        posting = later(http.post(f"{path}/{endpoint}", json=body("B", step, "interrupt")))
        await w.entered(over)
        w.seen.append(await w.server.status(w.thread, run))
        w.gate(endpoint).open()
        await got(*clients)
        listed = (await http.get(path)).json()
        await http.post(f"{path}/{listed[0]['run_id']}/cancel")
        await got(posting)
        w.gate(over).open()
        await w.settle()
    await w.create("C", "gate c", "say", "say")
    await w.entered("c")
    readers = [later(http.get(f"{path}/{w.runs['C']}/stream")) for _ in range(2)]
    await asyncio.sleep(0.1)
    w.seen.append((await http.post("/runs", json=body("S", "say", "enqueue"))).status_code)
    w.seen.append(await w.server.status(w.thread, w.runs["C"]))
    w.gate("c").open()
    await got(*readers)
    await w.settle()


SCENARIOS: dict[str, Callable[[Witness], Awaitable[None]]] = {
    "rejecting": rejecting,
    "at-once": rejecting_at_once,
    "behind": rejecting_behind_a_waiting_run,
    "enqueueing": enqueueing,
    "interrupt": displacing("interrupt", earlier=True, waiting=True),
    "interrupt-first": displacing("interrupt", earlier=False, waiting=False),
    "rollback": displacing("rollback", earlier=True, waiting=True),
    "rollback-first": displacing("rollback", earlier=False, waiting=False),
    "rollback-update": rolling_back_behind_an_update,
    "ending": ending,
    "neighbours": neighbours,
    "calling": calling,
    "following": following,
    "malformed": malformed,
}


async def observe(multitask: Any = None) -> dict[str, Any]:
    """All that the scenarios see on a server."""
    async with bench(multitask=multitask) as server:
        witnesses = []
        for name in SCENARIOS:  # one after the other: whose thread is older must not be chance
            witnesses.append(Witness(server, await server.thread(), name))
        # A run that was refused is missing later: then the scenario ends there, and that was seen, too.
        ends = await asyncio.gather(*(SCENARIOS[w.name](w) for w in witnesses), return_exceptions=True)
        return {w.name: (w.seen, repr(end) if end else None) for w, end in zip(witnesses, ends, strict=True)}


SOUND: dict[str, Any] = {}


@pytest.fixture
async def sound() -> dict[str, Any]:
    """What the scenarios see on the server as it should be."""
    if not SOUND:
        SOUND.update(await observe())
    assert {end for _, end in SOUND.values()} == {None}
    return SOUND


async def test_the_sound_server_looks_the_same_every_time(sound: dict[str, Any]) -> None:
    for _ in range(3):
        seen = await observe()
        for name in SCENARIOS:
            assert seen[name] == sound[name]


@pytest.mark.parametrize("defect", HERE, ids=lambda defect: defect.name)
async def test_each_defect_can_be_seen(defect: Defect, sound: dict[str, Any]) -> None:
    multitask: Any = defect.multitask(seed=1)
    multitask.window_s = 0.2  # so that calls meet in it on a busy machine, too
    if defect.name == "late-checkpoint-in-the-cracks":
        multitask.dice.random = lambda: 0.0
        multitask.patience = 5.0  # a gate opens later than that
    seen = await observe(multitask)
    assert any(seen[name] != sound[name] for name in SCENARIOS)
