"""Typed calls to the target over httpx. Each call leaves exactly one record, and never raises for
what the target did: a lost connection is an observation, not an accident.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from conformance.execution.recorder import Recorder, Redactor
from conformance.history import Call
from conformance.programs import Action, Create

RUN_TAG = "doubletext_tag"  # names the run in its metadata, so that a lost answer can be attributed
RECURSION_LIMIT = 500
MOST_LANES = 24
MANY = 100  # the largest page that every known server accepts
SECRET_HEADERS = {"authorization", "x-api-key", "cookie", "proxy-authorization"}


@dataclass(frozen=True)
class Address:
    """Where the target is, and what every request carries."""

    url: str
    assistant: str = "doubletext"
    headers: Mapping[str, str] = field(default_factory=dict)
    request_timeout: float = 10.0

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

    def redactor(self) -> Redactor:
        """Knows every value that must not be shown: header values, tokens in them, URL passwords."""
        secrets: list[str] = []
        for name, value in self.headers.items():
            if name.lower() in SECRET_HEADERS or not name.lower().startswith(("accept", "content-", "user-")):
                secrets += [value, *(part for part in value.split() if len(part) >= 6)]
        secrets += [s for s in (urlsplit(self.url).password,) if s]
        return Redactor(secrets)


class Garbled(Exception):
    """The answer is not what this call answers with."""


class Client:
    """Calls on one target.

    An execution takes a ``lane``: the cost of a pooled request grows with the connections of its pool, so
    many small pools serve concurrent executions better than one large one.
    """

    def __init__(self, address: Address, _verify: ssl.SSLContext | None = None) -> None:
        self.address = address
        self._verify = _verify or ssl.create_default_context()
        self._lanes: list[Client] = []
        self._next = 0
        self._history_by_get = False
        self.http = httpx.AsyncClient(
            base_url=address.url.rstrip("/"),
            headers=dict(address.headers),
            timeout=httpx.Timeout(address.request_timeout),
            # Idle connections are dropped before servers do it (5 s is common), so that no request meets a closed one.
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=2.0),
            follow_redirects=False,
            trust_env=False,
            verify=self._verify,
        )

    def lane(self) -> Client:
        """One of a bounded number of clients of the same target, in turn."""
        if len(self._lanes) < MOST_LANES:
            self._lanes.append(Client(self.address, self._verify))
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
    ) -> Call:
        """Send one request and record it; ``request`` is what the record says was asked."""
        sent = recorder.now()
        status, answer, error = None, None, None
        try:
            response = await self.http.request(
                method, path, json=body, params=params, timeout=timeout or self.address.request_timeout
            )
            status = response.status_code
            answer, error = understand(status, recorder.local(response.text), read)
        except httpx.HTTPError as e:
            error = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
        except (ValueError, UnicodeError) as e:  # an answer that httpx itself cannot decode
            error = f"undecodable answer: {type(e).__name__}"
        return recorder.add(
            Call,
            client=client,
            op=op,
            thread=thread,
            tag=tag,
            sent=sent,
            received=recorder.now(),
            request=dict(request or {}),
            status=status,
            answer=recorder.redactor.value(answer),
            error=recorder.redactor.text(error) if error else None,
            phase=phase,
        )

    # --- one method an operation ------------------------------------------------------------------

    async def create_thread(self, recorder: Recorder, name: str) -> Call:
        """Create an empty thread."""
        body = {"metadata": {"doubletext": True}}
        return await self.send(recorder, "create_thread", "POST", "/threads", thread=name, body=body, read=_thread)

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
        if via.get("stream"):
            body["stream_resumable"] = True
        if create.strategy is not None:
            body["multitask_strategy"] = create.strategy
        return body

    async def create_run(self, recorder: Recorder, create: Create, thread_id: str, via: Mapping[str, Any]) -> Call:
        """``POST /threads/{id}/runs``."""
        return await self.send(
            recorder,
            "create",
            "POST",
            f"/threads/{thread_id}/runs",
            thread=create.thread,
            tag=create.tag,
            client=f"create {create.tag}",
            body=self.create_body(create, create.tag + recorder.suffix, via),
            request=asked(create),
            read=run_of,
        )

    async def cancel(
        self,
        recorder: Recorder,
        thread: str,
        thread_id: str,
        tag: str,
        run_id: str,
        action: Action,
        wait: bool,
    ) -> Call:
        """``POST …/cancel``."""
        return await self.send(
            recorder,
            "cancel",
            "POST",
            f"/threads/{thread_id}/runs/{run_id}/cancel",
            thread=thread,
            tag=tag,
            client=f"cancel {tag}",
            params={"wait": "1" if wait else "0", "action": action},
            request={"action": action, "wait": wait},
        )

    async def join(
        self, recorder: Recorder, thread: str, thread_id: str, tag: str, run_id: str, how: str, timeout: float
    ) -> Call:
        """``GET …/join`` or ``GET …/stream``: returns when the target lets the client go."""
        return await self.send(
            recorder,
            how,
            "GET",
            f"/threads/{thread_id}/runs/{run_id}/{how}",
            thread=thread,
            tag=tag,
            client=f"{how} {tag}",
            timeout=timeout,
            read=lambda _: None,
        )

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
            recorder, "list_runs", "GET", path, thread=thread, params=params, read=_runs, phase=phase
        )

    async def get_thread(self, recorder: Recorder, thread: str, thread_id: str, phase: str = "body") -> Call:
        """``GET /threads/{id}``."""
        path = f"/threads/{thread_id}"
        return await self.send(recorder, "get_thread", "GET", path, thread=thread, read=_thread, phase=phase)

    async def get_state(self, recorder: Recorder, thread: str, thread_id: str, phase: str = "body") -> Call:
        """``GET …/state``: the head."""
        path = f"/threads/{thread_id}/state"
        return await self.send(recorder, "get_state", "GET", path, thread=thread, read=_state, phase=phase)

    async def get_history(self, recorder: Recorder, thread: str, thread_id: str, phase: str = "body") -> Call:
        """``POST …/history`` (``GET`` where there is none): checkpoints, the newest first, as many as a page holds."""
        path, limit = f"/threads/{thread_id}/history", {"limit": HISTORY_PAGE}
        call: Call | None = None
        if not self._history_by_get:
            call = await self.send(
                recorder,
                "get_history",
                "POST",
                path,
                thread=thread,
                body=limit,
                request=limit,
                read=_history,
                phase=phase,
            )
            self._history_by_get = call.status in (404, 405)
        if call is None or self._history_by_get:
            params = {"limit": str(HISTORY_PAGE)}
            call = await self.send(
                recorder,
                "get_history",
                "GET",
                path,
                thread=thread,
                params=params,
                request=limit,
                read=_history,
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
    return {"strategy": create.strategy, "steps": list(create.steps)}


def understand(status: int, text: str, read: Callable[[Any], Any]) -> tuple[Any, str | None]:
    """The answer's value and, where a success is not what it should be, what is wrong with it."""
    try:
        value = json.loads(text) if text.strip() else None
    except ValueError:
        value = text[:500]
        if 200 <= status < 300 and not text.lstrip().startswith(("event:", "id:", ":", "data:", "retry:")):
            return value, "garbled answer: not JSON"
    if not 200 <= status < 300:
        return value, None
    try:
        return read(value), None
    except (Garbled, KeyError, TypeError, AttributeError, IndexError) as e:
        return value if len(text) < 500 else text[:500], f"garbled answer: {e!r}"


# --- what is kept of an answer --------------------------------------------------------------------


def run_of(value: Any) -> dict[str, Any]:
    """Id, status and tag of a run."""
    if not isinstance(value, dict) or "run_id" not in value:
        raise Garbled("no run_id in the answer")
    return {
        "run_id": str(value["run_id"]),
        "status": value.get("status"),
        "tag": (value.get("metadata") or {}).get(RUN_TAG),
        "created_at": value.get("created_at"),
        "strategy": value.get("multitask_strategy"),
    }


def _runs(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("the list of runs is not a list")
    return [run_of(v) for v in value]


def _thread(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "thread_id" not in value:
        raise Garbled("no thread_id in the answer")
    values = value.get("values")
    return {
        "thread_id": str(value["thread_id"]),
        "status": value.get("status"),
        "metadata": value.get("metadata"),
        "values": channels(values) if isinstance(values, dict) and values else None,
    }


def channels(values: Any) -> dict[str, Any]:
    """What the probe's channels hold, in short."""
    values = values if isinstance(values, dict) else {}
    program = values.get("program") or {}
    return {
        "tag": program.get("tag"),
        "log": [f"{e['tag']}:{e['step']}" for e in values.get("log") or []],
        "counter": values.get("counter") or 0,
        "note": values.get("note") or "",
        "messages": [
            [
                m.get("type") or m.get("role"),
                m.get("id"),
                m.get("content") if isinstance(m.get("content"), str) else "",
            ]
            for m in values.get("messages") or []
        ],
    }


def _checkpoint(value: Any) -> dict[str, Any]:
    metadata = value.get("metadata") or {}
    own = value.get("checkpoint") or {}
    parent = value.get("parent_checkpoint") or {}
    return {
        "id": own.get("checkpoint_id") or value.get("checkpoint_id"),
        "parent": parent.get("checkpoint_id") or value.get("parent_checkpoint_id"),
        "run": metadata.get("run_id"),
        "source": metadata.get("source"),
        **channels(value.get("values")),
    }


def _state(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "values" not in value:
        raise Garbled("no values in the state")
    entries = (value["values"] or {}).get("log") or [] if isinstance(value["values"], dict) else []
    unfinished = list((value["values"] or {}).get("messages") or []) if entries else []
    return {
        **_checkpoint(value),
        "entries": [{k: e.get(k) for k in ("tag", "step", "run", "found") if e.get(k) is not None} for e in entries],
        "tool_calls": sorted({c["id"] for m in unfinished for c in m.get("tool_calls") or []}),
        "tool_results": sorted({m["tool_call_id"] for m in unfinished if m.get("tool_call_id")}),
    }


def _history(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("the history is not a list")
    return [_checkpoint(v) for v in value]
