"""Two runs of anybody's graph on one thread: the first, and the one that comes while it is inflight.

The director's programs know what a run does, because the probe does what they say. Here nothing is known of the
graph: the moment for the second run is taken from the first one's status or from its stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import httpx

from conformance.execution import burst
from conformance.execution.answers import RUN_TAG, Garbled, run_of, understand
from conformance.execution.client import MANY, Client
from conformance.execution.moments import DoubleTextError, DoubleTexting, MomentMissed, NotSettled, TargetFailed
from conformance.execution.recorder import Recorder
from conformance.execution.sse import events
from conformance.execution.supersteps import Supersteps
from conformance.execution.tasks import background
from conformance.history import Call, History, Remark
from conformance.programs import Cancel, Strategy

INFLIGHT = frozenset({"pending", "running"})
THREAD = "t"
CLEANUP_S = 5.0
LOST_IN_A_ROW = 3  # so many reads without an answer: the target is gone


class Performance:
    """One try on a fresh thread, which is removed at the end however it ends."""

    def __init__(self, client: Client, plan: DoubleTexting) -> None:
        self.client = client
        self.plan = plan
        self.recorder = Recorder(client.address.redactor())
        self.thread_id: str | None = None
        self.leaked = False
        self._runs: dict[str, str] = {}
        self._over: set[str] = set()
        self._where = client.address.shown

    async def run(self) -> History:
        """Try it.

        Raises:
            TargetFailed, MomentMissed, NotSettled: with ``history``.
        """
        plan = self.plan
        address = self.client.address
        longest = (len(plan.before) + 3) * plan.settle_timeout + 10 * address.request_timeout
        try:
            with anyio.move_on_after(longest) as bound:
                async with background() as tasks:
                    await self._play(tasks)
            if bound.cancelled_caught:
                raise TargetFailed(f"{self._where} did not come to an end within {longest:g} s. Look at its log.")
        except DoubleTextError as e:
            e.history = self.history()
            raise
        finally:
            await self._clean_up()
        return self.history()

    def history(self) -> History:
        """What was recorded so far."""
        program = self.recorder.redactor.value(self.plan.to_json())
        target = {"url": self._where, "assistant": self.client.address.assistant}
        return History(program, tuple(self.recorder.records), "stream", {"name": "agent-server"}, "", target)

    async def _play(self, tasks: anyio.abc.TaskGroup) -> None:
        await self._create_thread()
        await self._prepare()
        if self.plan.when.kind == "simultaneously":
            await self._both_at_once()
        else:
            await self._first()
            await self._await_moment(tasks)
            await self._create("second", self.plan.second, self.plan.strategy)
        await self._list()
        await self._settle([tag for tag in ("ahead", "first", "second") if tag in self._runs])
        await self._final_reads()

    # --- the moves -----------------------------------------------------------------------------------

    async def _create_thread(self) -> None:
        def read(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict) or "thread_id" not in value:
                raise Garbled("no thread_id in the answer")
            self.thread_id = str(value["thread_id"])
            return {"thread_id": self.thread_id}

        body = {"metadata": {"doubletext": True}}
        # Not to be broken off: a thread whose id is not learned could not be removed.
        with anyio.CancelScope(shield=True):
            call = await self.client.send(
                self.recorder, "create_thread", "POST", "/threads", thread=THREAD, body=body, read=read
            )
        if call.status is None:
            raise TargetFailed(
                f"{self._where} cannot be reached (POST /threads: {call.error}). Is the server running, and is the "
                "URL right?"
            )
        self._check_allowed(call)
        if self.thread_id is None:
            raise TargetFailed(
                f"{self._where} does not look like an Agent Server, or is failing: POST /threads answers {call.status} "
                f"{_short(call)} without a thread_id. Is the URL right?"
            )

    def _check_allowed(self, call: Call) -> None:
        if call.status in (401, 403):
            given = "what was given is not taken" if self.client.address.headers else "none was given"
            raise TargetFailed(
                f"{self._where} answers {call.status}: it wants an API key, and {given}. Say api_key=… or headers=…; "
                "in pytest --doubletext-api-key, DOUBLETEXT_API_KEY or --doubletext-header 'Name: value'."
            )

    def _body(self, tag: str, input: Any, strategy: Strategy) -> dict[str, Any]:
        """A create's body. ``stream_resumable``: the stream can be joined from its beginning."""
        fields = dict(self.plan.fields)
        metadata = {**(fields.pop("metadata", None) or {}), RUN_TAG: tag}
        return {
            "stream_mode": ["values", "updates"],
            "stream_resumable": True,
            **fields,
            "assistant_id": self.client.address.assistant,
            "input": input,
            "metadata": metadata,
            "multitask_strategy": strategy,
        }

    def _learn(self, tag: str) -> Callable[[Any], Any]:
        def read(value: Any) -> dict[str, Any]:
            run = run_of(value)
            self._runs[tag] = run["run_id"]
            return run

        return read

    async def _create(self, tag: str, input: Any, strategy: Strategy) -> Call:
        return await self.client.send(
            self.recorder,
            "create",
            "POST",
            f"/threads/{self.thread_id}/runs",
            thread=THREAD,
            tag=tag,
            client=f"create {tag}",
            body=self._body(tag, input, strategy),
            request={"strategy": strategy, "steps": []},
            read=self._learn(tag),
        )

    async def _create_accepted(self, tag: str, input: Any, strategy: Strategy) -> None:
        """Create a run that nothing stands in the way of."""
        call = await self._create(tag, input, strategy)
        if tag in self._runs:
            return
        name = self.client.address.assistant
        self._check_allowed(call)
        if call.status is None:
            raise TargetFailed(
                f"the answer to the {tag} run's create was lost ({call.error}). Is {self._where} still up? "
                f"A slow server is given more time by request_timeout ({self.client.address.request_timeout:g} s), in "
                "pytest --doubletext-request-timeout."
            )
        if call.status >= 500:
            raise TargetFailed(
                f"{self._where} answers the {tag} run's create with {call.status}: {_short(call)}. Look at its log."
            )
        raise TargetFailed(
            f"{self._where} refuses the {tag} run of assistant {name!r} ({call.status}: {_short(call)}). Is the "
            "assistant called so, and is this an input that it takes? assistant=… names it, in pytest "
            "--doubletext-assistant."
        )

    async def _prepare(self) -> None:
        for i, input in enumerate(self.plan.before, 1):
            tag = f"before-{i}"
            await self._create_accepted(tag, input, "enqueue")
            await self._settle([tag])
            status = await self._status(tag, "before")
            if status != "success":
                raise TargetFailed(
                    f"the run that prepares the thread (before[{i - 1}]) ended as {status!r}: nothing can be tried on "
                    "this thread. Does the graph take this input?"
                )
        if self.plan.before:
            await self._read_state("before")

    async def _first(self) -> None:
        plan = self.plan
        if plan.when.behind is None:
            await self._create_accepted("first", plan.first, plan.strategy)
            return
        await self._create_accepted("ahead", plan.when.behind, "enqueue")
        await self._until_running("ahead")
        await self._create_accepted("first", plan.first, "enqueue")

    async def _both_at_once(self) -> None:
        plan, address = self.plan, self.client.address
        inputs = {"first": plan.first, "second": plan.second}
        path = f"/threads/{self.thread_id}/runs"
        shots = [burst.Shot("POST", path, self._body(tag, inputs[tag], plan.strategy)) for tag in inputs]
        offset = time.monotonic() - self.recorder.now()
        try:
            hits = await anyio.to_thread.run_sync(burst.fire, address, shots)
        except OSError as e:
            raise TargetFailed(f"{self._where} cannot be reached any more ({e}). Is it still up?") from e
        for tag, hit in zip(inputs, hits, strict=True):
            answer, error = None, hit.error
            if hit.status is not None:
                answer, error = understand(hit.status, hit.text, self._learn(tag))
            self.recorder.add(
                Call,
                client=f"create {tag}",
                op="create",
                thread=THREAD,
                tag=tag,
                sent=round(hit.sent - offset, 6),
                received=round(hit.received - offset, 6),
                request={"strategy": plan.strategy, "steps": []},
                status=hit.status,
                answer=self.recorder.redactor.value(answer),
                error=self.recorder.redactor.text(error) if error else None,
                group="burst",
            )
            self._check_allowed(self.recorder.records[-1])  # type: ignore[arg-type]
        if not self._runs:
            said = ", ".join(
                f"{tag} {hit.status or hit.error}: {hit.text[:200]}" for tag, hit in zip(inputs, hits, strict=True)
            )
            raise TargetFailed(
                f"{self._where} accepted neither of two simultaneous runs of assistant {address.assistant!r} "
                f"({self.recorder.redactor.text(said)}). Is the assistant called so, and does it take these inputs?"
            )

    # --- the moment ----------------------------------------------------------------------------------

    async def _await_moment(self, tasks: anyio.abc.TaskGroup) -> None:
        match self.plan.when.kind:
            case "pending":
                await self._check_pending()
            case "running":
                await self._until_running("first")
            case "supersteps":
                await self._until_supersteps(tasks, self.plan.when.supersteps)

    async def _check_pending(self) -> None:
        status = await self._status("first")
        if status == "pending":
            return
        if self.plan.when.behind is not None:
            why = f"it is {status!r}: the run before it is over already. Put a longer one there"
        else:
            why = (
                f"it was {status!r} when it was looked at right after its create: this server starts runs at once. "
                "when=pending_behind(INPUT) lets it wait behind another run, and when='running' takes it as it is"
            )
        raise MomentMissed(f"the first run was to be pending when the second is created, but {why}.")

    async def _until_running(self, tag: str) -> None:
        end, pause = self.recorder.now() + self.plan.settle_timeout, 0.01
        while (status := await self._status(tag)) == "pending":
            if self.recorder.now() > end:
                raise MomentMissed(
                    f"the {tag} run was still pending after {self.plan.settle_timeout:g} s: are all workers of the "
                    "server busy? settle_timeout (in pytest --doubletext-settle-timeout) allows more time."
                )
            await anyio.sleep(pause)
            pause = min(pause * 1.4, 0.1)
        if status not in INFLIGHT:
            raise MomentMissed(
                f"the {tag} run was over ({status!r}) before it was seen to run: it is too short to come in between. "
                "Make it last, with a fake model or a tool that takes half a second; or use when='simultaneously'."
            )

    async def _until_supersteps(self, tasks: anyio.abc.TaskGroup, wanted: int) -> None:
        watch = Watch()
        tasks.start_soon(self._follow, watch)
        deadline = self.plan.settle_timeout
        await self.recorder.until(lambda: watch.seen.count >= wanted or watch.ended is not None, deadline)
        if watch.seen.count >= wanted and watch.ended is None:
            return
        had = f"{watch.seen.count} superstep{'s' if watch.seen.count != 1 else ''}"
        if watch.refused:
            raise MomentMissed(
                f"supersteps cannot be counted: {watch.ended}. Use when='running' on this server, if it has no streams."
            )
        if watch.ended is None:
            raise MomentMissed(
                f"the first run had {had} within {deadline:g} s, and {wanted} were waited for. settle_timeout (in "
                "pytest --doubletext-settle-timeout) allows more time."
            )
        status = await self._status("first")
        raise MomentMissed(
            f"the first run ended (status {status!r}; {watch.ended}) after {had}, and the second was to come after "
            f"{wanted} of them, while it goes on. Ask for fewer supersteps, or give it more to do."
        )

    async def _follow(self, watch: Watch) -> None:
        """Count the supersteps of the first run in its stream, until it ends."""
        path = f"/threads/{self.thread_id}/runs/{self._runs['first']}/stream"
        # From the beginning, where the target keeps events; leaving it must not end the run.
        ask: dict[str, Any] = {"params": {"cancel_on_disconnect": "0"}, "headers": {"last-event-id": "-1"}}
        timeout = httpx.Timeout(self.client.address.request_timeout, read=self.plan.settle_timeout)
        try:
            async with self.client.http.stream("GET", path, timeout=timeout, **ask) as response:
                if not response.is_success:
                    watch.refused = True
                    self._stream_ended(watch, f"GET …/stream answers {response.status_code}")
                    return
                async for name, data in events(response.aiter_bytes()):
                    if watch.seen.see(name, data):
                        self._remark("superstep", tag="first", count=watch.seen.count)
            self._stream_ended(watch, "its stream ended")
        except httpx.HTTPError as e:
            said = self.recorder.redactor.text(f"{type(e).__name__} {e}".strip())
            self._stream_ended(watch, f"its stream broke off: {said}")

    def _stream_ended(self, watch: Watch, why: str) -> None:
        watch.ended = why
        self._remark("stream-ended", tag="first", count=watch.seen.count, why=why)

    def _remark(self, kind: str, **detail: Any) -> None:
        self.recorder.add(Remark, at=self.recorder.now(), kind=kind, detail=detail)

    # --- reads ---------------------------------------------------------------------------------------

    async def _status(self, tag: str, phase: str = "body") -> str:
        """The run's status, ``gone`` for a 404.

        Raises:
            TargetFailed: it could not be read.
        """
        call: Call | None = None
        for _ in range(LOST_IN_A_ROW):
            call = await self.client.get_run(self.recorder, THREAD, str(self.thread_id), tag, self._runs[tag], phase)
            if call.status == 404:
                return "gone"
            if call.ok and not call.error:
                return str(call.answer["status"])
            await anyio.sleep(0.05)
        assert call is not None
        said = call.error or f"{call.status}: {_short(call)}"
        raise TargetFailed(f"{self._where} does not say how the {tag} run is ({said}). Is it still up? See its log.")

    async def _list(self) -> None:
        """One list shows both runs, and the second's id where the answer to its create was lost."""

        def read(value: Any) -> list[dict[str, Any]]:
            runs = [run_of(v) for v in value]
            for run in runs:
                if run["tag"] == "second":
                    self._runs.setdefault("second", run["run_id"])
            return runs

        await self.client.send(
            self.recorder,
            "list_runs",
            "GET",
            f"/threads/{self.thread_id}/runs",
            thread=THREAD,
            params={"limit": str(MANY)},
            read=read,
        )

    async def _settle(self, tags: list[str]) -> None:
        """Wait until these runs are over and the thread is not busy any more."""
        end, pause = self.recorder.now() + self.plan.settle_timeout, 0.015
        statuses: dict[str, str] = {}
        while True:
            for tag in tags:
                if tag not in self._over:
                    statuses[tag] = await self._status(tag, "settle")
                    if statuses[tag] not in INFLIGHT:
                        self._over.add(tag)
            busy = all(tag in self._over for tag in tags) and await self._thread_status() == "busy"
            if not busy and all(tag in self._over for tag in tags):
                return
            if self.recorder.now() > end:
                break
            await anyio.sleep(pause)
            pause = min(pause * 1.4, 0.25)
        still = [f"the {tag} run is still {s!r}" for tag, s in statuses.items() if tag not in self._over]
        said = " and ".join(still) or "all runs are over, yet the thread is busy"
        raise NotSettled(
            f"after {self.plan.settle_timeout:g} s {said}. Is the graph that slow? settle_timeout (in pytest "
            "--doubletext-settle-timeout) allows more time. If not, the server lost the run: `doubletext check` tells "
            "more."
        )

    async def _thread_status(self) -> str | None:
        call = await self.client.get_thread(self.recorder, THREAD, str(self.thread_id), "settle")
        return call.answer["status"] if call.ok and not call.error else None

    async def _read_state(self, phase: str) -> Call:
        path = f"/threads/{self.thread_id}/state"
        return await self.client.send(
            self.recorder, "get_state", "GET", path, thread=THREAD, read=checkpoint_of, phase=phase
        )

    async def _final_reads(self) -> None:
        for tag in ("ahead", "first", "second"):
            if tag in self._runs:
                await self._status(tag, "final")
        state = await self._read_state("final")
        checkpoints = await self.client.get_history(
            self.recorder, THREAD, str(self.thread_id), "final", read=_checkpoints
        )
        for call, what in ((state, "state"), (checkpoints, "history")):
            if not call.ok or call.error:
                raise TargetFailed(
                    f"{self._where} does not show the thread's {what} ({call.error or call.status}: {_short(call)})."
                )

    async def _clean_up(self) -> None:
        """Remove the thread. What still executes on it is stopped first: some servers keep it going otherwise."""
        if self.thread_id is None:
            return
        gone = False
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLEANUP_S):
            for tag, run_id in self._runs.items():
                if tag not in self._over:
                    await self.client.cancel(self.recorder, Cancel(tag, "interrupt"), THREAD, self.thread_id, run_id)
            gone = await self.client.delete_thread(self.thread_id)
        if not gone:
            self.leaked = True
            self._remark("not-removed", thread=self.thread_id)


@dataclass
class Watch:
    """What the stream of a run has shown so far."""

    seen: Supersteps = field(default_factory=Supersteps)
    ended: str | None = None
    refused: bool = False


def _short(call: Call) -> str:
    return str(call.answer)[:300]


def checkpoint_of(value: Any) -> dict[str, Any]:
    """A checkpoint with all its channels, as the state and the history of a thread show it."""
    if not isinstance(value, dict) or "values" not in value:
        raise Garbled("no values in the state")
    metadata = value.get("metadata") or {}
    own, parent = value.get("checkpoint") or {}, value.get("parent_checkpoint") or {}
    return {
        "id": own.get("checkpoint_id") or value.get("checkpoint_id"),
        "parent": parent.get("checkpoint_id") or value.get("parent_checkpoint_id"),
        "run": metadata.get("run_id"),
        "source": metadata.get("source"),
        "step": metadata.get("step"),
        "created_at": value.get("created_at"),
        "values": value["values"] if isinstance(value["values"], dict) else {},
        "next": list(value.get("next") or ()),
        "asks": any(task.get("interrupts") for task in value.get("tasks") or ()),
    }


def _checkpoints(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("the history is not a list")
    return [checkpoint_of(v) for v in value]
