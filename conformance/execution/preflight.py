"""Before the check: is the target there, is the probe on it, which gate works, how fast is it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx

from conformance.dialects import Dialect
from conformance.displacing import Displaces, by_each
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution
from conformance.execution.hello import Heard, Hello
from conformance.execution.listener import Listener
from conformance.execution.scene import TargetLost, asked_again, clean_up
from conformance.execution.session import Bounds, Session
from conformance.history import Call, GateOpened, History, Told
from conformance.programs import Action, Program, emit, gate, program

SAMPLES = 3
SLOW_S = 0.5  # where a request takes longer, one calibration must do, and slots are not counted
MOST_SLOTS = 24
FEW_SLOTS = 8


SERVERS = {"langgraph_py_version": "langgraph-api", "langgraph_js_version": "@langchain/langgraph-api"}  # by /info


class TargetUnusable(Exception):
    """The target cannot be checked; the text says what was seen and what to do."""


@dataclass(frozen=True)
class Surveyed:
    """What preflight learned: the session to check with, and how many runs execute at once.

    ``latency``, in seconds: of a ``call``, from a create to its run's ``start``, and from opening a gate to the
    ``release``.
    """

    session: Session
    slots: int
    latency: Mapping[str, float] = field(default_factory=dict)


Learned = Callable[[str, Any], None]
"""Told what the survey has found out so far: ``reachable``, ``server``, ``assistant``, ``gate``."""


async def survey(
    client: Client,
    listener: Listener | None,
    dialect: Dialect,
    settle: float | None,
    learned: Learned = lambda _what, _value: None,
    brief: bool = False,
) -> Surveyed:
    """Look at the target before the check; ``brief``: whose verdicts nobody waits for.

    Raises:
        TargetUnusable: it cannot be reached, is no Agent Server, refuses the key, or has no probe graph.
    """
    made: set[str] = set()
    try:
        return await _survey(client, listener, dialect, settle, made, learned, brief)
    except TargetLost as e:
        raise TargetUnusable(f"{client.address.shown} could not be surveyed to the end: {e}") from e
    finally:
        await clean_up(Session(client, "stream", Bounds(), dialect, threads=made))


async def _survey(
    client: Client,
    listener: Listener | None,
    dialect: Dialect,
    settle: float | None,
    made: set[str],
    learned: Learned,
    brief: bool,
) -> Surveyed:
    target = await identify(client, made, learned)
    learned("server", target)
    session = Session(client, "stream", Bounds(), dialect, listener, target=target, threads=made)
    heard = await _find_probe(session, settle, learned)
    session.bounds = Bounds(
        reach=6.0 + 10 * heard.start + 20 * heard.call,
        settle=min(8.0 + 10 * heard.start + 20 * heard.call, settle or 60.0),
        quiet=0.0,  # nothing that is done here is judged: nothing has to be waited for after its end
    )
    session, sample = await _confirm(session, heard)
    learned("gate", session.transport)
    call = statistics.median(
        c.received - c.sent for c in sample.of(Call) if c.received is not None and c.op != "create"
    )
    samples = [sample]
    for i in range(1, SAMPLES if call < SLOW_S else 1):
        samples.append(await Execution(session, _calibration(i)).run(anyio.CapacityLimiter(1)))
    start = max(heard.start, *(_start_latency(s) for s in samples))
    release = statistics.median(_release_latency(s) for s in samples)
    bounds = Bounds.stretched(call, start, release, settle)
    session.bounds = replace(bounds, quiet=0.0)
    counted = session.transport != "stream" and call < SLOW_S
    slots = await count_slots(session, 0.3 + 2 * start) if counted else FEW_SLOTS
    if not brief:
        session.displaces = await _learn_displaced(session)
    session.bounds = bounds
    if session.transport == "store":
        slots = min(slots, FEW_SLOTS)  # every waiting execution polls
    session.threads = set()  # from here on they are the check's to remove
    return Surveyed(session, slots, {"call": call, "start": start, "release": release})


async def _get(client: Client, path: str) -> httpx.Response:
    try:
        return await client.http.get(path)
    except httpx.ConnectError as e:
        raise TargetUnusable(f"{client.address.shown} cannot be reached ({_why(client, e)}). {_advice(e)}") from e
    except httpx.TimeoutException as e:
        raise TargetUnusable(
            f"{client.address.shown} accepted the connection but did not answer GET {path} within "
            f"{client.address.request_timeout:g} s. Is it hung? --request-timeout allows a slow server more time."
        ) from e
    except httpx.HTTPError as e:
        raise TargetUnusable(
            f"{client.address.shown} broke off while answering GET {path} ({_why(client, e)}). "
            "Is this an HTTP server, or does it want https://?"
        ) from e


def _advice(e: httpx.ConnectError) -> str:
    """What to do about a connection that did not come about."""
    text = str(e)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "Its certificate is not trusted: SSL_CERT_FILE=FILE.pem names the certificate of whoever signed it."
    if "SSL" in text:
        return "It does not speak TLS there: http:// instead of https://, or another port?"
    advice = "Is the server running, and is the port right?"
    proxies = [name for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") if os.environ.get(name)]
    proxies += [name.lower() for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") if os.environ.get(name.lower())]
    return f"{advice} Proxies ({', '.join(proxies)}) are not used." if proxies else advice


def _check_not_moved(client: Client, response: httpx.Response) -> None:
    """Raises TargetUnusable for a redirect: every call would take two, and a POST may become a GET on the way."""
    if not response.has_redirect_location:
        return
    path = response.request.url.path.removeprefix(urlsplit(client.address.url).path.rstrip("/"))
    location = client.address.redactor().text(str(response.request.url.join(response.headers["location"])))
    parts = urlsplit(location)
    host = parts.netloc.rpartition("@")[2]
    raise TargetUnusable(
        f"{client.address.shown} answers {response.status_code} and redirects to "
        f"{urlunsplit((parts.scheme, host, parts.path, '', ''))}. If that is the Agent Server, check it there: "
        f"`doubletext check {urlunsplit((parts.scheme, host, parts.path.removesuffix(path), '', ''))}`; "
        "if it is a login page, -H or --api-key are missing."
    )


def _why(client: Client, e: Exception) -> str:
    return client.address.redactor().text(str(e)) or type(e).__name__


def check_allowed(client: Client, response: httpx.Response) -> None:
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


async def _posted(client: Client, path: str, body: Any) -> httpx.Response:
    return await asked_again(lambda: client.http.post(path, json=body), lambda answer: answer.status_code)


async def new_thread(client: Client, made: set[str]) -> httpx.Response:
    """Create a thread; not to be broken off, since one whose id is not learned could not be removed."""
    with anyio.CancelScope(shield=True):
        answer = await _posted(client, "/threads", {"metadata": {"doubletext": True}})
        thread = _json(answer)
        if answer.is_success and isinstance(thread, dict) and "thread_id" in thread:
            made.add(str(thread["thread_id"]))
    return answer


async def identify(client: Client, made: set[str], learned: Learned) -> Mapping[str, Any]:
    """Name and version of the server, from ``/info``; that it is an Agent Server, from its threads."""
    info = await _get(client, "/info")
    _check_not_moved(client, info)
    learned("reachable", info.status_code)
    body = _json(info) if info.is_success else None
    body = body if isinstance(body, dict) else {}
    try:
        answer = await new_thread(client, made)
    except httpx.HTTPError as e:
        raise TargetUnusable(
            f"{client.address.shown} broke off while answering POST /threads ({_why(client, e)}). Look at its log."
        ) from e
    check_allowed(client, answer)
    _check_not_moved(client, answer)
    thread = _json(answer)
    if not answer.is_success or not isinstance(thread, dict) or "thread_id" not in thread:
        if answer.status_code >= 500 and answer.status_code != 501:  # that is: no such method
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
    named = body.get("server") or body.get("name")
    server = named or next((name for key, name in SERVERS.items() if key in body), None)
    known: dict[str, Any] = client.address.redactor().value({"server": server, "version": body.get("version")})
    return known


async def _remove(client: Client, thread_id: str, made: set[str]) -> None:
    made.add(thread_id)
    if await client.delete_thread(thread_id):
        made.discard(thread_id)


async def _find_probe(session: Session, settle: float | None, learned: Learned) -> Heard:
    """That a run of the assistant is accepted, and heard; raises TargetUnusable where it is not the probe's."""
    client, made, hello = session.client, session.threads, Hello(session)
    name = client.address.assistant
    try:
        created = await new_thread(client, made)
        if not created.is_success:
            shown = client.address.redactor().text(created.text)[:200]
            raise TargetLost(f"POST /threads: answered {created.status_code}: {shown}")
        thread = created.json()["thread_id"]
        answer = await _posted(client, f"/threads/{thread}/runs", hello.body())
        text = answer.text
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as e:
        raise TargetUnusable(
            f"{client.address.shown} broke off while a run was created ({_why(client, e)}). Look at its log."
        ) from e
    check_allowed(client, answer)
    # The thread is removed after the survey, not here: there are servers that lose a worker for good when a
    # thread is deleted while its run executes.
    if answer.is_success:
        run = _json(answer)
        learned("assistant", client.address.assistant)
        run_id = str(run["run_id"]) if isinstance(run, dict) and run.get("run_id") else None
        heard = await hello.hear(thread, run_id, created.elapsed.total_seconds(), settle)
        if heard.status == "lost":
            raise TargetUnusable(f"{client.address.shown} broke off while a run was executed. Look at its log.")
        if not heard.by:
            raise TargetUnusable(_no_probe(client.address, heard, f"answered {answer.status_code}"))
        return heard
    await _remove(client, thread, made)
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


async def _confirm(session: Session, heard: Heard) -> tuple[Session, History]:
    """The best transport that the probe was heard by and on which a gate holds a run and lets it go."""
    for transport in heard.by:
        tried = session.by(transport)
        history = await Execution(tried, _calibration(0)).run(anyio.CapacityLimiter(1))
        if {r.kind for r in history.of(Told) if r.tag == "A"} >= {"enter", "leave"}:
            return tried, history
    raise TargetUnusable(
        f"the probe on {session.client.address.shown} was heard by {' and '.join(heard.by)}, but a run that waited at "
        "a gate was not seen to go on. Is the server overloaded? Its log may say more."
    )


def _no_probe(address: Address, heard: Heard, answered: str) -> str:
    if not heard.ended:
        return (
            f"a run of assistant {address.assistant!r} on {address.shown} ({answered}) did not come to its end in "
            f"{heard.start:.0f} s (status {heard.status}), and announced nothing. Does the server execute runs at "
            "all: are its workers busy, or stopped? Look at its log; --settle-timeout gives it more time."
        )
    failed = " It may also be the probe and fail before its first step." if heard.status == "error" else ""
    return (
        f"assistant {address.assistant!r} on {address.shown} does not behave like the probe graph: its run "
        f"({answered}; status {heard.status}) announced nothing by callback, store or stream.{failed} Deploy the probe "
        "with `doubletext probe DIR`, name it with --assistant, and see the server's log if it is there already. Where "
        "it cannot be deployed, --input FILE (an input of this assistant) checks what statuses, codes and order show."
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


async def _learn_displaced(session: Session) -> Displaces:
    """Whether a displacing create displaces runs that only wait, too (displaced.pending). Where it displaces only what
    executes, nothing is owed to a run that is first in the queue, and has not started yet."""
    if session.transport == "stream":
        return "any"  # no gate holds a run until it is displaced
    seen: dict[str, bool] = {}
    actions: tuple[Action, ...] = ("interrupt", "rollback")
    for action in actions:
        history = await Execution(session, _displacing(action)).run(anyio.CapacityLimiter(1))
        reads = [c for c in history.of(Call) if c.op == "get_run" and c.phase == "final"]
        ends = {c.tag: c.answer["status"] for c in reads if c.ok and not c.error}
        ends |= {c.tag: "gone" for c in reads if c.status == 404}
        if ends.get("A") in ("interrupted", "gone"):
            seen[action] = ends.get("Q") != "success"
    return by_each(seen)


def _displacing(action: Action) -> Program:
    begun = program(f"displacing {action}").create("A", "enqueue", gate("g"), emit(), waits=False)
    begun = begun.until_inside("A", "g").create("Q", "enqueue", emit()).create("B", action, emit())
    return begun.until_stopped("A", "B").open("g").until_ended("B", needed=False)


async def count_slots(session: Session, steady: float, most: int = MOST_SLOTS) -> int:
    """How many runs the target executes at once, ``most`` at the most: as many held runs as are seen to start, until
    ``steady`` seconds pass without another.

    Raises:
        TargetLost: no thread could be created.
    """
    wanted = program("worker slots")
    for i in range(most):
        wanted = wanted.create(f"S{i}", "enqueue", gate("g"), thread=f"t{i}", waits=False)
    wanted = wanted.until_steady(steady).open("g")
    history = await Execution(session, wanted).run(anyio.CapacityLimiter(1))
    opened = min((g.n for g in history.of(GateOpened)), default=0)
    return max(1, len({r.tag for r in history.of(Told) if r.kind == "enter" and r.n < opened}))
