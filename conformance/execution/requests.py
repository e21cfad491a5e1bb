"""Sends malformed requests as they stand, looks at what they left, and removes it."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from typing import Any

import anyio
import httpx

from conformance.bad_input import CREATES, INPUT, STUFFING
from conformance.execution.answers import RUN_TAG, understand
from conformance.execution.curl import curl_of, filled
from conformance.execution.redaction import MOST_KEPT
from conformance.execution.scene import CLEANUP_S, INFLIGHT, MOST_PAUSE_S, Scene
from conformance.execution.session import Session
from conformance.facts import DELAYED
from conformance.history import Call, History
from conformance.programs import Program, Send

LARGE = 1 << 20  # characters of a success that are not looked through any more
OPEN_END = ("wait-run", "stream-run")  # answered when the run is over, if it is accepted


class Requests(Scene):
    """One program whose moves are requests: each on a thread of its own, or on none."""

    def __init__(self, session: Session, program: Program) -> None:
        super().__init__(session, program)
        self._fresh: dict[str, str] = {}  # ids of threads that do not exist, by the request that names them

    async def run(self, slot: Any) -> History:
        """Send them all, wait until the control has ended, look at every thread, and remove them.

        Raises:
            TargetLost: no thread could be created.
        """
        async with slot:
            try:
                await self._create_threads()
                for send in self.program.sends():
                    await self._send(send)
                await self._until_ended([s for s in self.program.sends() if not s.wrong and s.what != DELAYED])
                await anyio.sleep(self.session.bounds.quiet)
                for send in self.program.sends():
                    await self._look(send)
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(CLEANUP_S):
                    await self._remove()
        return self.history()

    async def _send(self, send: Send) -> None:
        fresh = str(uuid.uuid4())
        if _names_fresh(send):  # nobody else's: whatever is there afterwards is to be removed
            self.threads[send.tag] = self._fresh[send.tag] = fresh
            self.session.threads.add(fresh)
            await self.client.get_thread(self.recorder, send.tag, fresh)  # there are servers where every thread exists
        fill = {
            "THREAD_ID": self.threads.get(send.thread, ""),
            "RUN_ID": str(uuid.uuid4()),
            "FRESH_ID": fresh,
            "ASSISTANT_ID": json.dumps(self.client.address.assistant)[1:-1],
            "TAG": send.tag + self.instance,
        }
        path, body = filled(send.path, fill), None if send.body is None else filled(self._with_input(send.body), fill)
        said = {k: v for k, v in fill.items() if k != "THREAD_ID"}
        request = {
            "wrong": send.wrong,
            "what": send.what,
            "owed": send.owed,
            "operation": send.operation,
            "origin": "schemathesis" if send.curl is not None else "hand-written",
            "curl": filled(send.curl or curl_of(send, self.client.address.shown), said),
        }
        content = None if body is None else _stuffed(body, send).encode(send.encoding)
        sent = self.recorder.now()
        status, answer, error = await self._exchange(send, path, content)
        call = self.recorder.add(
            Call,
            client="client",
            op="request",
            thread=send.thread or send.tag,
            tag=send.tag,
            sent=sent,
            received=self.recorder.now(),
            request=self.recorder.redactor.value(json.loads(self.recorder.local(json.dumps(request)))),
            status=status,
            answer=self.recorder.redactor.kept(answer),
            error=self.recorder.redactor.text(error) if error else None,
        )
        self._learn_made(send, call)

    def _with_input(self, body: str) -> str:
        """The body with the input of the user's graph in place of the probe's."""
        own = self.client.address.input
        return body if own is None else body.replace(json.dumps(INPUT), json.dumps(own))

    def _learn_made(self, send: Send, call: Call) -> None:
        """A thread that was made is to be looked at and removed."""
        if send.operation == "create-thread" and call.ok and isinstance(call.answer, dict):
            made = call.answer.get("thread_id")
            if isinstance(made, str):
                self.threads[send.tag] = self.recorder.redactor.original(made)
                self.session.threads.add(self.threads[send.tag])

    async def _exchange(self, send: Send, path: str, content: bytes | None) -> tuple[int | None, Any, str | None]:
        """Status and answer, or why there is none; what is streamed is read no longer than a run needs."""
        address, http = self.client.address, self.client.http
        # On a connection of its own: a server that fails may close it, and the next request is not to suffer from that.
        headers = {"connection": "close"}
        if content is not None and send.content_type:
            headers["content-type"] = send.content_type
        patience = self.session.bounds.stop if send.operation in OPEN_END else address.request_timeout
        try:
            with anyio.fail_after(patience + address.request_timeout):
                answer = await http.request(
                    send.method, address.url.rstrip("/") + path, content=content, headers=headers, timeout=patience
                )
        except (httpx.HTTPError, TimeoutError) as e:
            return None, None, f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
        except (httpx.InvalidURL, ValueError, UnicodeError) as e:
            return None, None, f"cannot be sent, or its answer not be read: {type(e).__name__}"
        return answer.status_code, *understand(answer.status_code, self.recorder.local(_short(answer)), _kept)

    async def _until_ended(self, controls: list[Send]) -> None:
        """Wait until the runs of the controls have ended, boundedly."""
        end, pause = self.recorder.now() + self.session.bounds.reach, 0.02
        for send in controls:
            while self.recorder.now() + pause < end:
                call = await self.client.list_runs(self.recorder, send.thread, self.threads[send.thread])
                if not call.ok or not any(r["status"] in INFLIGHT for r in call.answer if isinstance(r, dict)):
                    break
                await anyio.sleep(pause)
                pause = min(pause * 1.4, MOST_PAUSE_S)

    async def _look(self, send: Send) -> None:
        """What is on its thread now; which threads carry its name."""
        thread = send.thread or send.tag
        if _names_fresh(send) and self.threads[send.tag] == self._fresh[send.tag]:  # also where it has another one
            await self.client.get_thread(self.recorder, send.tag, self.threads[send.tag], "final")
        elif send.operation in CREATES and thread in self.threads:
            await self.client.list_runs(self.recorder, thread, self.threads[thread], "final")
            await self.client.get_thread(self.recorder, thread, self.threads[thread], "final")
        elif send.operation == "create-thread" and "TAG" in (send.body or ""):
            query = {"metadata": {RUN_TAG: send.tag + self.instance}, "limit": 10}
            call = await self.client.send(
                self.recorder, "search_threads", "POST", "/threads/search", thread=thread, tag=send.tag, body=query,
                read=_threads, phase="final",
            )  # fmt: skip
            for row in call.answer if call.ok and not call.error else ():
                if row["tag"] == send.tag:
                    self.session.threads.add(self.recorder.redactor.original(row["thread_id"]))

    async def _remove(self) -> None:
        """Cancel what is inflight, then remove every thread: a run of a removed thread may go on, and hold a worker."""
        async with anyio.create_task_group() as tasks:
            for thread_id in {*self.threads.values()}:
                tasks.start_soon(self._remove_thread, thread_id)

    async def _remove_thread(self, thread_id: str) -> None:
        http, path = self.client.http, f"/threads/{thread_id}/runs"
        with suppress(httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
            rows = [r["run_id"] for r in (await http.get(path)).json() if r["status"] in INFLIGHT]
            for run_id in rows:
                await http.post(f"{path}/{run_id}/cancel", params={"wait": "0", "action": "interrupt"})
            with anyio.move_on_after(self.session.bounds.stop if rows else 0):
                while any(r["status"] in INFLIGHT for r in (await http.get(path)).json()):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        if await self.session.client.delete_thread(thread_id):
            self.session.threads.discard(thread_id)


def _names_fresh(send: Send) -> bool:
    """Whether it says which thread is to be made, if any is."""
    return "FRESH_ID" in send.path or (send.operation == "create-thread" and "FRESH_ID" in (send.body or ""))


def _stuffed(text: str, send: Send) -> str:
    if send.stuffing is None:
        return text
    opening, closing, times = send.stuffing
    return text.replace(STUFFING, opening * times + closing * times)


def _short(answer: httpx.Response) -> str:
    """An answer's text: of a long refusal the beginning, which is no JSON then."""
    text = answer.text
    if answer.is_error:
        return text if len(text) <= 4 * MOST_KEPT else text[:MOST_KEPT]
    return text if len(text) <= LARGE else "{}"


def _kept(value: Any) -> Any:
    """Of a success: what it made."""
    made = {k: value[k] for k in ("run_id", "thread_id") if k in value} if isinstance(value, dict) else {}
    return {k: str(v) for k, v in made.items()} or None


def _threads(value: Any) -> list[dict[str, Any]]:
    return [
        {"thread_id": str(t["thread_id"]), "status": t.get("status"), "tag": (t.get("metadata") or {}).get(RUN_TAG)}
        for t in value
    ]
