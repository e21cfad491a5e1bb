"""Typed calls to the target over httpx. Each call leaves exactly one record, and never raises for
what the target did: a lost connection is an observation, not an accident.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

import anyio
import httpx

from conformance.execution.answers import (
    RUN_TAG,
    channels,
    history_of,
    nothing,
    run_of,
    runs_of,
    state_of,
    thread_of,
    understand,
)
from conformance.execution.recorder import Recorder
from conformance.execution.redaction import Redactor, secrets_of
from conformance.execution.wire import Wire
from conformance.history import Call
from conformance.programs import Cancel, CancelMany, Create, Delete, Fault, Update

RECURSION_LIMIT = 500
MOST_LANES = 24
MANY = 100  # the largest page that every known server accepts


@dataclass(frozen=True)
class Address:
    """Where the target is, and what every request carries."""

    url: str
    assistant: str = "doubletext"
    headers: Mapping[str, str] = field(default_factory=dict)
    request_timeout: float = 10.0
    input: Any = None  # of every run, where the assistant is no probe; None: it is one, and is told what to do

    @classmethod
    def of(
        cls, url: str, assistant: str, headers: Mapping[str, str], request_timeout: float, input: Any = None
    ) -> Address:
        """The address of a URL; user name and password in it are sent as a header, by every kind of call."""
        parts, sent = urlsplit(url), dict(headers)
        if parts.username and "authorization" not in {name.lower() for name in sent}:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            sent["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return cls(url, assistant, sent, request_timeout, input)

    @property
    def shown(self) -> str:
        """The URL without user name and password."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))

    @property
    def loopback(self) -> bool:
        """Whether a node on the target can certainly reach a port of this machine."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    def redactor(self, own: Iterable[str] = ()) -> Redactor:
        """Knows every value that must not be shown; ``own`` are strings that are no secret, whoever uses them."""
        return Redactor(secrets_of(self.headers, self.url), own)


_url = lru_cache(1024)(httpx.URL)  # parsing is a good part of what a request costs, and reads come again


class Client:
    """Calls on one target.

    An execution takes a ``lane``: the cost of a pooled request grows with the connections of its pool, so
    many small pools serve concurrent executions better than one large one.
    """

    def __init__(
        self, address: Address, _verify: ssl.SSLContext | None = None, wire: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """``wire``: another way to the target than sockets, the same for all lanes."""
        self.address = address
        self._verify = _verify
        self._lanes: list[Client] = []
        self._next = 0
        self._history_by_get = False
        self._own = wire
        if wire is None:
            self._verify = _verify or ssl.create_default_context()
            wire = Wire(self._verify)
        self._wire = wire
        self.http = httpx.AsyncClient(
            base_url=address.url.rstrip("/"),
            headers=dict(address.headers),
            timeout=httpx.Timeout(address.request_timeout),
            follow_redirects=False,
            trust_env=False,
            transport=wire,
        )
        self._base = address.url.rstrip("/")
        self.channels = channels if address.input is None else nothing
        self._headers = self.http.headers.raw

    def lane(self) -> Client:
        """One of a bounded number of clients of the same target, in turn."""
        if len(self._lanes) < MOST_LANES:
            self._lanes.append(Client(self.address, self._verify, self._own))
        self._next += 1
        return self._lanes[self._next % len(self._lanes)]

    async def close(self) -> None:
        """Close all connections."""
        for lane in self._lanes:
            await lane.close()
        await self.http.aclose()

    async def send(
        self,
        recorder: Recorder,
        op: str,
        method: str,
        path: str,
        *,
        thread: str = "",
        tag: str | None = None,
        client: str = "harness",
        body: Any = None,
        params: Mapping[str, str] | None = None,
        request: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        read: Callable[[Any], Any] = lambda value: value,
        phase: str = "body",
        fault: Fault | None = None,
    ) -> Call:
        """Send one request and record it, answered or not; ``request`` is what the record says was asked."""
        sent = recorder.now()

        def record(status: int | None, answer: Any, error: str | None) -> Call:
            return recorder.add(
                Call,
                client=client,
                op=op,
                thread=thread,
                tag=tag,
                sent=sent,
                received=recorder.now(),
                request={**(request or {}), **({"fault": fault} if fault is not None else {})},
                status=status,
                answer=recorder.redactor.kept(answer),
                error=recorder.redactor.text(error) if error else None,
                phase=phase,
            )

        status, answer, error = None, None, None
        try:
            status, text = await self._exchange(
                method, path, body, params, timeout or self.address.request_timeout, fault
            )
            answer, error = understand(status, recorder.local(text), read)
        except httpx.HTTPError as e:
            error = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
        except (ValueError, UnicodeError) as e:  # an answer that httpx itself cannot decode
            error = f"undecodable answer: {type(e).__name__}"
        except anyio.get_cancelled_exc_class():  # what has no record was not sent: nobody would know what it did
            record(None, None, "not answered before the harness stopped waiting")
            raise
        return record(status, answer, error)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Any,
        params: Mapping[str, str] | None,
        timeout: float,
        fault: Fault | None,
    ) -> tuple[int, str]:
        response = await self.begin(method, path, body, params, timeout, fault)
        await response.aread()
        return response.status_code, response.text

    async def begin(
        self,
        method: str,
        path: str,
        body: Any,
        params: Mapping[str, str] | None,
        timeout: float | None = None,
        fault: Fault | None = None,
    ) -> httpx.Response:
        """What ``self.http.request`` does, without what no call here needs: redirects, authentication, hooks.

        The answer's body is yet to be read, each part within ``timeout`` seconds. ``fault``: of the connection.
        """
        request = httpx.Request(
            method,
            _url(f"{self._base}{path}?{urlencode(params)}" if params else self._base + path),
            json=body,
            headers=self._headers,
            extensions={"timeout": httpx.Timeout(timeout).as_dict(), "fault": fault},
        )
        if self.http.cookies:  # a balancer's, that keeps a client on one server
            self.http.cookies.set_cookie_header(request)
        response = await self._wire.handle_async_request(request)
        response.request = request
        if "set-cookie" in response.headers:
            self.http.cookies.extract_cookies(response)
        return response

    # --- one method an operation ------------------------------------------------------------------

    async def create_thread(self, recorder: Recorder, name: str, thread_id: str | None = None) -> Call:
        """Create an empty thread, under this id if one is given."""
        body: dict[str, Any] = {"metadata": {"doubletext": True}}
        if thread_id is not None:
            body |= {"thread_id": thread_id, "if_exists": "raise"}
        read = partial(thread_of, keep=self.channels)
        return await self.send(recorder, "create_thread", "POST", "/threads", thread=name, body=body, read=read)

    def create_body(self, create: Create, tag: str, via: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a create: the script as input, the tag in input and metadata."""
        body: dict[str, Any] = {
            "assistant_id": self.address.assistant,
            "input": {
                "program": {"tag": tag, "steps": list(create.steps), "via": dict(via)},
                "pc": 0,
                "messages": [{"role": "user", "content": tag, "id": f"in-{tag}"}],
            },
            "config": {"recursion_limit": RECURSION_LIMIT},
            "metadata": {RUN_TAG: tag},
            "stream_mode": ["values", "custom"] if via.get("stream") else ["values"],
        }
        if self.address.input is not None:
            body["input"] = self.address.input
            del body["config"]
        if via.get("stream"):
            body["stream_resumable"] = True
        if create.after is not None:
            body["after_seconds"] = create.after
        if create.webhook:
            body["webhook"] = f"{via['callback']}/webhook.{create.tag}"
        if create.answers is not None:
            del body["input"]
            body["command"] = {"resume": create.answers}
        if create.strategy is not None:
            body["multitask_strategy"] = create.strategy
        if create.endpoint != "runs":
            body["on_disconnect"] = "continue"  # the harness leaves on purpose where it is not let go
        if create.missing == "create":
            body["if_not_exists"] = "create"
        return body

    async def create_run(self, recorder: Recorder, create: Create, thread_id: str, via: Mapping[str, Any]) -> Call:
        """``POST /threads/{id}/runs``."""
        return await self.send(
            recorder,
            op_of(create),
            "POST",
            f"/threads/{thread_id}{create_path(create)}",
            thread=create.thread,
            tag=create.tag,
            client=f"create {create.tag}",
            body=self.create_body(create, create.tag + recorder.suffix, via),
            request=asked(create),
            read=run_of,
            fault=create.fault,
        )

    async def create_stateless(self, recorder: Recorder, create: Create, via: Mapping[str, Any]) -> Call:
        """``POST /runs``, ``/runs/wait`` or ``/runs/stream``: no thread."""
        return await self.send(
            recorder,
            "stateless",
            "POST",
            create_path(create),
            tag=create.tag,
            client=f"stateless {create.tag}",
            body=self.create_body(create, create.tag + recorder.suffix, via),
            request=asked(create),
            read=lambda _: None,
        )

    async def cancel(self, recorder: Recorder, move: Cancel, thread: str, thread_id: str, run_id: str) -> Call:
        """``POST …/cancel``."""
        return await self.send(
            recorder,
            "cancel",
            "POST",
            f"/threads/{thread_id}/runs/{run_id}/cancel",
            thread=thread,
            tag=move.tag,
            client=f"cancel {move.tag}",
            params=cancel_query(move),
            request=cancel_asked(move),
            read=lambda _: None,
            fault=move.fault,
        )

    async def cancel_many(
        self, recorder: Recorder, move: CancelMany, thread: str, thread_id: str, run_ids: list[str]
    ) -> Call:
        """``POST /runs/cancel``: several runs of one thread."""
        return await self.send(
            recorder,
            "cancel_many",
            "POST",
            "/runs/cancel",
            thread=thread,
            client="cancel many",
            params={"action": move.action},
            body={"thread_id": thread_id, "run_ids": run_ids},
            request={"action": move.action, "tags": list(move.tags)},
            read=lambda _: None,
        )

    async def delete_run(self, recorder: Recorder, move: Delete, thread: str, thread_id: str, run_id: str) -> Call:
        """``DELETE …/runs/{id}``."""
        path, client = f"/threads/{thread_id}/runs/{run_id}", f"delete {move.tag}"
        return await self.send(
            recorder, "delete", "DELETE", path, thread=thread, tag=move.tag, client=client, fault=move.fault
        )

    async def update_state(self, recorder: Recorder, move: Update, thread_id: str) -> Call:
        """``POST …/state``: one more entry of the log and one more message, as a step of the graph writes them."""
        tag = move.tag
        name = tag + recorder.suffix
        message = {"role": "user", "content": name, "id": f"in-{name}"}
        values = {"log": [{"tag": name, "step": 0, "op": "emit", "run": None}], "messages": [message]}
        return await self.send(
            recorder,
            "update_state",
            "POST",
            f"/threads/{thread_id}/state",
            thread=move.thread,
            tag=tag,
            client=f"update {tag}",
            body={"values": values, "as_node": "step"},
            read=lambda _: None,
            fault=move.fault,
        )

    async def remove_thread(self, recorder: Recorder, thread: str, thread_id: str) -> Call:
        """``DELETE /threads/{id}``, as a part of a program."""
        return await self.send(recorder, "delete_thread", "DELETE", f"/threads/{thread_id}", thread=thread)

    async def get_run(
        self, recorder: Recorder, thread: str, thread_id: str, tag: str, run_id: str, phase: str = "body"
    ) -> Call:
        """``GET …/runs/{id}``."""
        path = f"/threads/{thread_id}/runs/{run_id}"
        return await self.send(recorder, "get_run", "GET", path, thread=thread, tag=tag, read=run_of, phase=phase)

    async def list_runs(self, recorder: Recorder, thread: str, thread_id: str, phase: str = "body") -> Call:
        """``GET …/runs``, as many as a page holds."""
        path, params = f"/threads/{thread_id}/runs", {"limit": str(MANY)}
        return await self.send(
            recorder, "list_runs", "GET", path, thread=thread, params=params, read=runs_of, phase=phase
        )

    async def get_thread(self, recorder: Recorder, thread: str, thread_id: str, phase: str = "body") -> Call:
        """``GET /threads/{id}``."""
        path = f"/threads/{thread_id}"
        read = partial(thread_of, keep=self.channels)
        return await self.send(recorder, "get_thread", "GET", path, thread=thread, read=read, phase=phase)

    async def get_state(self, recorder: Recorder, thread: str, thread_id: str, phase: str = "body") -> Call:
        """``GET …/state``: the head."""
        path = f"/threads/{thread_id}/state"
        read = partial(state_of, keep=self.channels)
        return await self.send(recorder, "get_state", "GET", path, thread=thread, read=read, phase=phase)

    async def get_history(
        self,
        recorder: Recorder,
        thread: str,
        thread_id: str,
        phase: str = "body",
        read: Callable[[Any], Any] | None = None,
        before: str | None = None,
    ) -> Call:
        """``POST …/history`` (``GET`` where there is none): checkpoints, the newest first, as many as a page holds.

        ``read`` says what is kept of them, where it is not the probe's channels in short. ``before``: only those that
        are older than this one.
        """
        path, limit = f"/threads/{thread_id}/history", {"limit": HISTORY_PAGE}
        older = {} if before is None else {"before": before}
        read = read or partial(history_of, keep=self.channels)
        call: Call | None = None
        if not self._history_by_get:
            call = await self.send(
                recorder,
                "get_history",
                "POST",
                path,
                thread=thread,
                body={**limit, **older},
                request=limit,
                read=read,
                phase=phase,
            )
            self._history_by_get = call.status in (404, 405)
        if call is None or self._history_by_get:
            params = {name: str(value) for name, value in {**limit, **older}.items()}
            call = await self.send(
                recorder,
                "get_history",
                "GET",
                path,
                thread=thread,
                params=params,
                request=limit,
                read=read,
                phase=phase,
            )
        return call

    async def is_there(self) -> bool:
        """Whether the target answers at all, whatever it says."""
        try:
            await self.http.get("/info")
        except httpx.HTTPError:
            return False
        return True

    async def delete_thread(self, thread_id: str) -> bool:
        """Remove a thread that this check created; says whether it is gone."""
        try:
            response = await self.http.delete(f"/threads/{thread_id}")
        except httpx.HTTPError:
            return False
        return response.status_code in (200, 202, 204, 404)


HISTORY_PAGE = 200


def asked(create: Create) -> dict[str, Any]:
    """What a record says of a create."""
    said: dict[str, Any] = {"strategy": create.strategy, "steps": list(create.steps)}
    if create.endpoint != "runs":
        said["endpoint"] = create.endpoint
    if create.missing == "create":
        said["if_not_exists"] = "create"
    more = {"after": create.after, "answers": create.answers, "webhook": create.webhook or None}
    return said | {name: value for name, value in more.items() if value is not None}


def op_of(create: Create) -> str:
    """What a record calls it: on a thread that does not exist no run can be created."""
    return "stray" if create.missing == "refuse" else "create"


def create_path(create: Create) -> str:
    """Where it is sent, below its thread."""
    return "/runs" if create.endpoint == "runs" else f"/runs/{create.endpoint}"


def cancel_query(cancel: Cancel) -> dict[str, str]:
    """The query of a cancel."""
    form = ("1" if cancel.wait else "0") if cancel.form is None else cancel.form
    return {**({"wait": form} if form else {}), "action": cancel.action}


def cancel_asked(cancel: Cancel) -> dict[str, Any]:
    """What a record says of a cancel."""
    said = {"action": cancel.action, "wait": cancel.wait}
    return said if cancel.form is None else {**said, "form": cancel.form}
