"""Defects of what is made of requests that are wrong: each misreads a body before, or instead of, checking it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from reference_impl.storage import RunSpec, Strategy

from .registry import Defective, defect

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reference_impl.house import House

CREATE = re.compile(r"/threads/([0-9a-f-]{36})/runs(/wait|/stream)?")


class Misreads(Defective):
    """Has its own way with the bodies of creates."""

    house: House

    def read(self, path: str, body: bytes) -> bytes | None:
        """What the rest of the server gets to see instead of the body; None: it fails."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return body
        if isinstance(value, dict) and (create := CREATE.fullmatch(path)):
            changed = self.create_read(create[1], value)
            return None if changed is None else json.dumps(changed).encode()
        return body

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """The same for a create's body, once it is understood."""
        return body

    def furnish(self, app: FastAPI) -> None:
        self.house = app.state.house
        app.add_middleware(Misreading, defect=self)


class Misreading:
    """Puts what the defect reads in the place of each POST's body."""

    def __init__(self, app: ASGIApp, defect: Misreads) -> None:
        self._app, self._defect = app, defect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        whole, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            whole += message.get("body", b"")
            more = message.get("more_body", False)
        body = self._defect.read(scope["path"], whole)
        if body is None:
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]})
            return await send({"type": "http.response.body", "body": b"Internal Server Error"})
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        length = (b"content-length", str(len(body)).encode())
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        return await self._app({**scope, "headers": [*headers, length]}, again, send)


@defect(must_fail=["bad-input.strategy"])
class UnknownStrategyIsTheDefault(Misreads):
    """A strategy that it does not know is taken for the default: a misspelt rollback waits in the queue."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        strategy = body.get("multitask_strategy")
        if isinstance(strategy, str) and strategy not in set(Strategy):
            del body["multitask_strategy"]
        return body


@defect(must_fail=["bad-input.json"])
class ParserFails(Misreads):
    """A body that is no JSON is the parser's exception, and nobody's: 500."""

    def read(self, path: str, body: bytes) -> bytes | None:  # noqa: ARG002
        try:
            json.loads(body or b"{}")
        except json.JSONDecodeError:
            return None
        except (ValueError, RecursionError):
            pass
        return body


@defect(must_fail=["bad-input.json"])
class HalfAnObjectWillDo(Misreads):
    """What is missing at the end of a body is made up."""

    def read(self, path: str, body: bytes) -> bytes | None:  # noqa: ARG002
        for end in (b"}", b"}}", b": null}}"):
            try:
                json.loads(body + end)
            except (ValueError, RecursionError):
                continue
            return body + end
        return body


@defect(must_fail=["bad-input.types"])
class MetadataIsNotChecked(Misreads):
    """Metadata is used as an object before it is known to be one: 500."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        return body if isinstance(body.get("metadata"), dict | None) else None


@defect(must_fail=["bad-input.types"])
class StoredBeforeChecked(Misreads):
    """The run is stored, and only then its command looked at: refused, it stays in the list."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:
        thread = self.storage.threads.get(thread_id)
        if thread is not None and not isinstance(body.get("command"), dict | None):
            self.append(thread, RunSpec(assistant_id="", graph_id=next(iter(self.house.graphs))))
        return body


@defect(must_fail=["bad-input.unknown-assistant"])
class UnknownAssistantIsTheFirst(Misreads):
    """An assistant that it does not know is taken for the first that it has."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        asked = body.get("assistant_id")
        if isinstance(asked, str) and 0 < len(asked) < 100 and asked not in self.house.graphs:
            body["assistant_id"] = next(iter(self.house.graphs))
        return body


@defect(must_fail=["bad-input.unknown-assistant"])
class ThreadBeforeAssistant(Misreads):
    """With if_not_exists the thread is made before the assistant is looked up: refused, the thread stays."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:
        asked, wanted = body.get("assistant_id"), body.get("if_not_exists") == "create"
        sound = not {"after_seconds", "multitask_strategy"} & body.keys() and isinstance(body.get("metadata"), dict)
        if wanted and sound and asked not in self.house.graphs and thread_id not in self.storage.threads:
            self.storage.create_thread(thread_id)
        return body


@defect(must_fail=["bad-input.negative-delay"])
class NegativeDelayIsNone(Misreads):
    """A negative delay is taken for none."""

    def create_read(self, thread_id: str, body: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        delay = body.get("after_seconds")
        if isinstance(delay, int | float) and delay < 0:
            del body["after_seconds"]
        return body


@defect(must_fail=["bad-input.oversize"])
class RecursionWithoutBound(Misreads):
    """Input is walked through by recursion, as deep as it goes: 500."""

    def read(self, path: str, body: bytes) -> bytes | None:  # noqa: ARG002
        return None if b"[" * 300 in body else body
