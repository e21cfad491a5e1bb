"""What teams do today, to be held against the fuzzer: each says what is wrong with a server, and after how long.

``gather``: ten creates with random strategies by ``asyncio.gather``, and checks of the state that they end in.
``stateful``: schemathesis's state machine of the target's own description; what it also says of the correct server
says nothing. It works in a process of its own (``python -m tests.benchmarks.baselines URL SEED SECONDS``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

import httpx

CALLS = 10
STRATEGIES = ("reject", "enqueue", "interrupt", "rollback")
STEPS = [{"op": "add", "sleep": 5}] * 4
OVER = ("success", "error", "interrupted", "timeout")
SETTLE_S = 8.0
Found = tuple[float, str] | None
"""After how many seconds, and what."""


def gather(url: str, seed: int, seconds: float) -> Found:
    """Rounds of ten calls at once, until a check fails or the time is up."""
    return asyncio.run(_rounds(url, random.Random(seed), seconds))


async def _rounds(url: str, dice: random.Random, seconds: float) -> Found:
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        while time.monotonic() - began < seconds:
            try:
                wrong = await _round(client, [dice.choice(STRATEGIES) for _ in range(CALLS)])
            except httpx.TimeoutException:
                wrong = "a call was not answered"
            except httpx.TransportError:
                continue  # a connection that was closed meanwhile says nothing
            if wrong is not None:
                return time.monotonic() - began, wrong
    return None


async def _round(client: httpx.AsyncClient, strategies: list[str]) -> str | None:
    """Ten creates on a fresh thread; the first thing that is wrong with their end."""
    thread = (await client.post("/threads", json={})).json()["thread_id"]

    async def create(i: int, strategy: str) -> httpx.Response:
        program = {"tag": f"r{i}", "steps": STEPS, "via": {}}
        message = {"role": "user", "content": f"r{i}", "id": f"in-r{i}"}
        body = {
            "assistant_id": "doubletext",
            "input": {"program": program, "pc": 0, "messages": [message]},
            "multitask_strategy": strategy,
        }
        return await client.post(f"/threads/{thread}/runs", json=body)

    answers = await asyncio.gather(*(create(i, s) for i, s in enumerate(strategies)))
    try:
        for strategy, answer in zip(strategies, answers, strict=True):
            if answer.status_code != 200 and (strategy, answer.status_code) != ("reject", 409):
                return f"{strategy} was answered {answer.status_code}"
        runs = {f"r{i}": a.json()["run_id"] for i, a in enumerate(answers) if a.status_code == 200}
        return await _ended(client, thread, runs, strategies)
    finally:
        await client.delete(f"/threads/{thread}")


async def _ended(
    client: httpx.AsyncClient, thread: str, runs: Mapping[str, str], strategies: Collection[str]
) -> str | None:
    end = time.monotonic() + SETTLE_S
    while True:
        rows = (await client.get(f"/threads/{thread}/runs", params={"limit": 100})).json()
        status = (await client.get(f"/threads/{thread}")).json()["status"]
        if status != "busy" and all(r["status"] in OVER for r in rows):
            break
        if time.monotonic() > end:
            return "it never settled"
        await asyncio.sleep(0.02)
    values = (await client.get(f"/threads/{thread}/state")).json()["values"] or {}
    log = [(e["tag"], e["step"]) for e in values.get("log") or []]
    statuses = {r["run_id"]: r["status"] for r in rows}
    if set(statuses) - set(runs.values()):
        return "a run that was refused is listed"
    return _wrong_state(log, values.get("counter") or 0, {t: statuses.get(i) for t, i in runs.items()}, strategies)


def _wrong_state(
    log: list[tuple[str, int]], counter: int, fates: Mapping[str, str | None], strategies: Collection[str]
) -> str | None:
    """What contradicts itself: statuses, segments of the log, and the counter."""
    order = [tag for i, (tag, _) in enumerate(log) if i == 0 or log[i - 1][0] != tag]
    if len(order) != len(set(order)):
        return "segments are interleaved"
    if counter != len(log):
        return f"the counter is {counter}, the log has {len(log)} entries"
    for tag, fate in fates.items():
        steps = [step for t, step in log if t == tag]
        if steps != list(range(len(steps))):
            return "a segment has a hole"
        if fate == "success" and len(steps) != len(STEPS):
            return "a successful run is not whole in the state"
        if fate is None and (steps or "rollback" not in strategies):
            return "a run is gone, and its work is not, or nobody rolled it back"
        if fate == "interrupted" and "interrupt" not in strategies:
            return "a run was interrupted by nobody"
        if fate in ("error", "timeout"):
            return f"a run ended {fate}"
    return None if "success" in fates.values() else "no run came to its end"


# --- schemathesis ------------------------------------------------------------------------------------


def stateful(url: str, seed: int, seconds: float, known: Collection[str]) -> Found:
    """The first thing that schemathesis says and that is not ``known``."""
    said = said_by_schemathesis(url, seed, seconds)
    new = [(at, what) for what, at in said.items() if what not in known]
    return min(new, default=None)


def said_by_schemathesis(url: str, seed: int, seconds: float) -> dict[str, float]:
    """All that it says of a server, and when it said so first."""
    command = [sys.executable, "-m", "tests.benchmarks.baselines", url, str(seed), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
    try:
        said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"schemathesis gave no answer: {done.stderr[-500:]}") from None
    return said


def _machine(url: str, seed: int, seconds: float) -> None:
    """Run the state machine again and again until the time is up; print what it said."""
    import hypothesis
    import hypothesis.core
    import schemathesis

    schema = schemathesis.openapi.from_dict(_without_webhooks(httpx.get(f"{url}/openapi.json").json()))
    schema.config.update(base_url=url)
    began, said = time.monotonic(), dict[str, float]()

    def end() -> None:
        print(json.dumps(said), flush=True)
        os._exit(0)

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            try:
                super().validate_response(response, case, **more)
            except (Exception, BaseExceptionGroup) as e:  # whatever it is that it does not like
                for one in getattr(e, "exceptions", [e]):
                    if type(one).__name__ == "UndefinedStatusCode":
                        continue  # that is about the description
                    what = f"{case.method} {case.path}: {type(one).__name__} {response.status_code}"
                    said.setdefault(what, round(time.monotonic() - began, 3))
            if time.monotonic() - began > seconds:
                end()

    settings = hypothesis.settings(
        max_examples=200,
        stateful_step_count=12,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    while time.monotonic() - began < seconds:
        hypothesis.core.global_force_seed = seed
        seed += 1000
        with contextlib.suppress(Exception, BaseExceptionGroup):  # a request that it cannot even send
            Machine.run(settings=settings)
    end()


def _without_webhooks(value: Any) -> Any:
    """A description in which nobody is asked to call anybody: nothing may leave this machine."""
    if isinstance(value, dict):
        return {k: _without_webhooks(v) for k, v in value.items() if k != "webhook"}
    return [_without_webhooks(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    _machine(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
