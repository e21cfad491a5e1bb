"""Clients that stay: they wait for a run's end, or read its stream, until the target lets them go.

Each leaves one record. What they got is kept in short: how it ended (``answered``, ``broken``: the connection, or
``held``: the harness gave up), whether it tells that the run did not finish, and the events of a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from conformance.execution.answers import Keep
from conformance.execution.client import Client
from conformance.execution.recorder import Recorder
from conformance.execution.sse import EventStream
from conformance.history import Call
from conformance.programs import Fault

NOT_RELEASED = "NotReleased"
MOST_EVENTS = 300
RUN_ID = re.compile(r"/runs/([^/?#]+)")
Event = list[Any]  # name, tag of the run whose input the state holds, entries in the log; or name and run id


class Got:
    """What a client has got so far."""

    def __init__(self, recorder: Recorder, streams: bool, keep: Keep) -> None:
        self._recorder, self._streams, self._keep = recorder, streams, keep
        self.status: int | None = None
        self.location: str | None = None
        self.connected: float | None = None
        self.broken: str | None = None
        self.events: list[Event] = []
        self._errors = False
        self._rest = b""
        self._stream = EventStream()

    def head(self, response: httpx.Response) -> None:
        """The answer begins."""
        self.status, self.connected = response.status_code, self._recorder.now()
        found = RUN_ID.search(response.headers.get("content-location") or response.headers.get("location") or "")
        accepted = 200 <= self.status < 300
        self.location = found[1] if found and accepted else None
        self._streams = self._streams and accepted  # a refusal is no stream of events

    def take(self, data: bytes) -> None:
        """More of the body."""
        if not self._streams:
            self._rest += data
            return
        for name, text in self._stream.take(data):
            self._event(name, text)

    def _event(self, name: str, data: str) -> None:
        self._errors = self._errors or name == "error"
        if len(self.events) >= MOST_EVENTS:
            return
        value = _json(self._recorder.local(data))
        if name == "values" and isinstance(value, dict):
            found = self._keep(value)
            self.events.append([name, found["tag"], len(found["log"])])
        elif name == "metadata" and isinstance(value, dict):
            self.events.append([name, value.get("run_id")])
        else:
            self.events.append([f"unreadable {name}" if name in ("values", "metadata") else name])

    @property
    def tells(self) -> bool:
        """Whether it shows that the run did not finish."""
        if self.status is None or not 200 <= self.status < 300 or self.broken is not None:
            return True
        if self._streams:
            return self._errors
        value = _json(self._rest.decode("utf-8", "replace"))
        return not isinstance(value, dict) or not value or "__error__" in value

    def kept(self, end: str) -> dict[str, Any]:
        """In short."""
        for name, data in self._stream.end():
            self._event(name, data)
        return {"end": end, "tells": self.tells, "connected": self.connected, "events": self.events}

    @property
    def answer(self) -> Any:
        """Of a refusal: what it says."""
        text = self._rest.decode("utf-8", "replace")
        return text if (value := _json(text)) is None else value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


async def attend(
    client: Client,
    recorder: Recorder,
    op: str,
    path: str,
    *,
    thread: str,
    tag: str,
    how: str,
    name: str,
    body: Any = None,
    request: Mapping[str, Any] | None = None,
    fault: Fault | None = None,
    opened: Callable[[Got], None] = lambda _: None,
) -> Call:
    """Send a request (a POST where it has a body) and stay until it is answered; cancelled, it records that, too.

    ``opened`` is called when the answer begins.
    """
    got, sent = Got(recorder, how == "stream", client.channels), recorder.now()
    end = "held"
    try:
        response = await client.begin("POST" if body is not None else "GET", path, body, None, fault=fault)
        got.head(response)
        opened(got)
        async for data in response.aiter_bytes():
            got.take(data)
        end = "answered"
    except (httpx.HTTPError, ValueError) as e:
        end, got.broken = "broken", f"{type(e).__name__}: {e}"
    finally:
        said = {**(request or {}), **({"fault": fault} if fault is not None else {})}
        call = _recorded(recorder, got, end, op, thread, tag, name, sent, said)
    return call


def _recorded(
    recorder: Recorder, got: Got, end: str, op: str, thread: str, tag: str, name: str, sent: float, request: Any
) -> Call:
    answer: Any = None
    if got.status is not None and 200 <= got.status < 300:
        answer = {"got": got.kept(end)}
        if op == "create":
            row = {"run_id": got.location or _named_in(got.events), "status": None, "tag": tag}
            answer = {**row, "created_at": None, "strategy": None, **answer}
    elif got.status is not None:
        answer = got.answer
    error = None if got.status is not None else NOT_RELEASED if end == "held" else got.broken
    return recorder.add(
        Call,
        client=name,
        op=op,
        thread=thread,
        tag=tag,
        sent=sent,
        received=recorder.now(),
        request=request,
        status=got.status,
        answer=recorder.redactor.kept(answer),
        error=recorder.redactor.text(error) if error else None,
    )


def _named_in(events: list[Event]) -> str | None:
    return next((str(e[1]) for e in events if e[0] == "metadata" and e[1]), None)
