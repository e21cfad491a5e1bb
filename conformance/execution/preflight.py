"""Before the check: is the target there, is the probe on it, which gate works, how fast is it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from conformance.dialects import Dialect
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution, TargetLost, clean_up
from conformance.execution.listener import Listener
from conformance.execution.session import Bounds, Session, Transport
from conformance.history import Call, GateOpened, History, Told
from conformance.programs import Program, emit, gate, program

TRANSPORTS: tuple[Transport, ...] = ("callback", "store", "stream")  # the best first
SAMPLES = 3
MOST_SLOTS = 24
FEW_SLOTS = 8


class TargetUnusable(Exception):
    """The target cannot be checked; the text says what was seen and what to do."""


@dataclass(frozen=True)
class Surveyed:
    """What preflight learned: the session to check with, and how many runs execute at once."""

    session: Session
    slots: int


async def survey(client: Client, listener: Listener | None, dialect: Dialect, settle: float | None) -> Surveyed:
    """Look at the target before the check.

    Raises:
        TargetUnusable: it cannot be reached, is no Agent Server, refuses the key, or has no probe graph.
    """
    made: set[str] = set()
    try:
        return await _survey(client, listener, dialect, settle, made)
    except TargetLost as e:
        raise TargetUnusable(f"{client.address.shown} stopped answering during the survey: {e}") from e
    finally:
        await clean_up(Session(client, "stream", Bounds(), dialect, threads=made))


async def _survey(
    client: Client, listener: Listener | None, dialect: Dialect, settle: float | None, made: set[str]
) -> Surveyed:
    target = await _identify(client, made)
    await _find_assistant(client, made)
    reach = Bounds(reach=6.0, settle=min(8.0, settle or 8.0), quiet=0.2)
    transport, sample = await _choose_transport(client, listener, dialect, reach, made)
    call = statistics.median(
        c.received - c.sent for c in sample.of(Call) if c.received is not None and c.op != "create"
    )
    session = Session(client, transport, Bounds(), dialect, listener, target=target, threads=made)
    samples = [sample]
    for i in range(SAMPLES - 1):
        samples.append(await Execution(session, _calibration(i)).run(anyio.CapacityLimiter(1)))
    start = max(_start_latency(s) for s in samples)
    release = statistics.median(_release_latency(s) for s in samples)
    session.bounds = Bounds.stretched(call, start, release, settle)
    slots = await _count_slots(session, start) if transport != "stream" else FEW_SLOTS
    if transport == "store":
        slots = min(slots, FEW_SLOTS)  # every waiting execution polls
    session.threads = set()  # from here on they are the check's to remove
    return Surveyed(session, slots)


async def _get(client: Client, path: str) -> httpx.Response:
    try:
        return await client.http.get(path)
    except httpx.ConnectError as e:
        raise TargetUnusable(
            f"{client.address.shown} cannot be reached ({_why(client, e)}). "
            "Is the server running, and is the port right?"
        ) from e
    except httpx.TimeoutException as e:
        raise TargetUnusable(
            f"{client.address.shown} accepted the connection but did not answer GET {path} within "
            f"{client.address.request_timeout:g} s. Is it hung? --request-timeout allows a slow server more time."
        ) from e
    except httpx.HTTPError as e:
        raise TargetUnusable(
            f"{client.address.shown} broke off while answering GET {path} ({_why(client, e)}). Is this an HTTP server?"
        ) from e


def _why(client: Client, e: Exception) -> str:
    return client.address.redactor().text(str(e)) or type(e).__name__


def _check_allowed(client: Client, response: httpx.Response) -> None:
    if response.status_code in (401, 403):
        given = "was given" if client.address.headers else "was not given"
        raise TargetUnusable(
            f"{client.address.shown} answers {response.status_code}: it wants an API key, and one {given}. "
            "Use --api-key, DOUBLETEXT_API_KEY, or -H 'Authorization: …'."
        )


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


async def _new_thread(client: Client, made: set[str]) -> httpx.Response:
    """Create a thread; not to be broken off, since one whose id is not learned could not be removed."""
    with anyio.CancelScope(shield=True):
        answer = await client.http.post("/threads", json={"metadata": {"doubletext": True}})
        thread = _json(answer)
        if answer.is_success and isinstance(thread, dict) and "thread_id" in thread:
            made.add(str(thread["thread_id"]))
    return answer


async def _identify(client: Client, made: set[str]) -> Mapping[str, Any]:
    """Name and version of the server, from ``/info``; that it is an Agent Server, from its threads."""
    info = await _get(client, "/info")
    body = _json(info) if info.is_success else None
    body = body if isinstance(body, dict) else {}
    try:
        answer = await _new_thread(client, made)
    except httpx.HTTPError as e:
        raise TargetUnusable(
            f"{client.address.shown} broke off while answering POST /threads ({_why(client, e)}). Look at its log."
        ) from e
    _check_allowed(client, answer)
    thread = _json(answer)
    if not answer.is_success or not isinstance(thread, dict) or "thread_id" not in thread:
        if answer.status_code >= 500:
            raise TargetUnusable(
                f"{client.address.shown} answers POST /threads with {answer.status_code}: the server is failing. "
                "Look at its log."
            )
        raise TargetUnusable(
            f"{client.address.shown} does not look like an Agent Server: POST /threads answers {answer.status_code} "
            f"({client.address.redactor().text(answer.headers.get('content-type', 'no content type'))}) "
            "without a thread_id. Is the URL right?"
        )
    await _remove(client, str(thread["thread_id"]), made)
    server = body.get("server") or ("langgraph-api" if "langgraph_py_version" in body else None)
    known: dict[str, Any] = client.address.redactor().value({"server": server, "version": body.get("version")})
    return known


async def _remove(client: Client, thread_id: str, made: set[str]) -> None:
    made.add(thread_id)
    if await client.delete_thread(thread_id):
        made.discard(thread_id)


async def _find_assistant(client: Client, made: set[str]) -> None:
    """That a run of the assistant is accepted at all."""
    name = client.address.assistant
    body = {"assistant_id": name, "input": {}, "metadata": {}}
    try:
        thread = (await _new_thread(client, made)).json()["thread_id"]
        answer = await client.http.post(f"/threads/{thread}/runs", json=body)
        text = answer.text
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as e:
        raise TargetUnusable(
            f"{client.address.shown} broke off while a run was created ({_why(client, e)}). Look at its log."
        ) from e
    _check_allowed(client, answer)
    await _remove(client, thread, made)
    if answer.is_success:
        return
    shown = client.address.redactor().text(text)[:300]
    if answer.status_code >= 500:
        raise TargetUnusable(
            f"{client.address.shown} answers a run of assistant {name!r} with {answer.status_code}: {shown}"
        )
    raise TargetUnusable(
        f"{client.address.shown} refuses a run of assistant {name!r} ({answer.status_code}: {shown}). "
        f"Is the probe graph deployed? `doubletext probe DIR` writes it into a LangGraph project; "
        f"--assistant names it if it is not called {name!r}."
    )


def _calibration(i: int) -> Program:
    return (
        program(f"calibration {i}")
        .create("A", "enqueue", emit(), gate("g"), emit())
        .until_inside("A", "g")
        .open("g")
        .until_ended("A", needed=False)
    )


async def _choose_transport(
    client: Client, listener: Listener | None, dialect: Dialect, reach: Bounds, made: set[str]
) -> tuple[Transport, History]:
    """The first transport on which a run announces itself and a gate releases it."""
    seen = None
    for transport in TRANSPORTS if listener is not None else TRANSPORTS[1:]:
        session = Session(client, transport, reach, dialect, listener, threads=made)
        history = await Execution(session, _calibration(0)).run(anyio.CapacityLimiter(1))
        seen = history
        if {r.kind for r in history.of(Told) if r.tag == "A"} >= {"enter", "leave"}:
            return transport, history
    raise TargetUnusable(_no_probe(client.address, seen))


def _no_probe(address: Address, history: History | None) -> str:
    fates = (
        [f"answered {c.status}" if c.error is None else c.error for c in history.of(Call) if c.op == "create"]
        if history
        else []
    )
    statuses = (
        [c.answer["status"] for c in history.of(Call) if c.op == "get_run" and c.ok and not c.error] if history else []
    )
    return (
        f"assistant {address.assistant!r} on {address.shown} does not behave like the probe graph: its run "
        f"({', '.join(fates) or 'not created'}; status {statuses[-1] if statuses else 'unknown'}) announced "
        "nothing by callback, store or stream. Deploy the probe with `doubletext probe DIR`, and see the "
        "server's log if it is there already."
    )


def _start_latency(history: History) -> float:
    sent = min((c.sent for c in history.of(Call) if c.op == "create"), default=0.0)
    return float(min((r.at for r in history.of(Told) if r.kind == "enter"), default=sent + 1) - sent)


def _release_latency(history: History) -> float:
    opened = min((g.sent for g in history.of(GateOpened)), default=0.0)
    return float(
        max(
            0.001,
            min((r.at for r in history.of(Told) if r.kind == "leave" and r.step == 1), default=opened + 0.01) - opened,
        )
    )


async def _count_slots(session: Session, start: float) -> int:
    """How many runs the target executes at once: as many held runs as are seen to start."""
    wanted = program("worker slots")
    for i in range(MOST_SLOTS):
        wanted = wanted.create(f"S{i}", "enqueue", gate("g"), thread=f"t{i}", waits=False)
    wanted = wanted.until_steady(0.3 + 2 * start).open("g")
    history = await Execution(session, wanted).run(anyio.CapacityLimiter(1))
    opened = min((g.n for g in history.of(GateOpened)), default=0)
    return max(1, len({r.tag for r in history.of(Told) if r.kind == "enter" and r.n < opened}))
