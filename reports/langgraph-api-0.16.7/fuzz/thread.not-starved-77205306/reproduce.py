#!/usr/bin/env python3
"""thread.not-starved (SHOULD): A busy thread's queue does not delay an idle thread's run, while the target has room to execute it.
expected: L starts beside A
observed: L had entered no superstep at t=51295.0 ms, when the harness had waited 17.4 s for that
because:
  1. A was held at its gate in superstep 0 from t=32803.2 ms until t=51295.1 ms [#5, #38]
  2. B was held at its gate in superstep 2 from t=33808.8 ms until t=33809.5 ms [#13, #14]
  3. B was read as success by a read from t=33822.5 ms to t=33825.4 ms [#16]
  4. no run of thread u but L can have been inflight at t=33859.2 ms [#35]
  5. L had entered no superstep at t=51295.0 ms, when the harness had waited 17.4 s for that [#37]
seen in 3 of 616 histories; not tried again

The server needs the probe graph (`doubletext probe PROJECT` writes it) and this script `pip install langgraph-sdk`.

    python reproduce.py http://127.0.0.1:2024 [TIMES]     # DOUBLETEXT_API_KEY=... where it wants one

Exit code 1: seen again; 0: not seen; 2: it could not be played.
"""

# What each run does: one instruction of the probe graph is one superstep.
SCRIPTS = {'A': [{'op': 'add', 'gate': 'gA'}],
 'B': [{'op': 'add'}, {'op': 'add'}, {'op': 'emit', 'gate': 'gB'}],
 'C': [{'op': 'add'}],
 'D': [{'op': 'note', 'value': 'D'}, {'op': 'note', 'value': 'D'}],
 'E': [{'op': 'emit'}, {'op': 'note', 'value': 'E'}],
 'F': [{'op': 'add'}, {'op': 'emit'}],
 'G': [{'op': 'emit'}, {'op': 'note', 'value': 'G'}],
 'H': [{'op': 'note', 'value': 'H'}, {'op': 'add'}],
 'I': [{'op': 'add'}, {'op': 'add'}],
 'J': [{'op': 'add'}, {'op': 'note', 'value': 'J'}],
 'K': [{'op': 'emit'}, {'op': 'add'}],
 'L': [{'op': 'effect', 'name': 'pay-L-0'}, {'op': 'add'}]}


def scene(s: "Stage") -> None:
    """What is done, in this order."""
    s.create('A', 'enqueue', wait=False)
    s.inside('A', 'gA')
    s.create('B', 'enqueue', 'w', wait=False)
    s.entered('B', 0)
    s.inside('B', 'gB')
    s.open('gB')
    s.ended('B')
    s.create('C', 'enqueue', wait=False)
    s.create('D', 'enqueue', wait=False)
    s.create('E', 'enqueue', wait=False)
    s.create('F', 'enqueue', wait=False)
    s.create('G', 'enqueue', wait=False)
    s.create('H', 'enqueue', wait=False)
    s.create('I', 'enqueue', wait=False)
    s.create('J', 'enqueue', wait=False)
    s.create('K', 'enqueue', wait=False)
    s.answered('K')
    s.create('L', 'enqueue', 'u', wait=False)
    s.entered('L', 0)
    s.open('gA')


def seen(s: "Stage") -> bool:
    """Whether it ended as it did when it was found, which is wrong."""
    return (
        s.codes['A'] < 300
        and s.codes['B'] < 300
        and s.codes['C'] < 300
        and s.codes['D'] < 300
        and s.codes['E'] < 300
        and s.codes['F'] < 300
        and s.codes['G'] < 300
        and s.codes['H'] < 300
        and s.codes['I'] < 300
        and s.codes['J'] < 300
        and s.codes['K'] < 300
        and s.codes['L'] < 300
        and s.state['t']['log'] == ["A:0", "C:0", "D:0", "D:1", "E:0", "E:1", "F:0", "F:1", "G:0", "G:1", "H:0", "H:1", "I:0", "I:1", "J:0", "J:1", "K:0", "K:1"]
        and s.state['t']['counter'] == 8
        and s.final.get('A') == 'success'
        and s.final.get('C') == 'success'
        and s.final.get('D') == 'success'
        and s.final.get('E') == 'success'
        and s.final.get('F') == 'success'
        and s.final.get('G') == 'success'
        and s.final.get('H') == 'success'
        and s.final.get('I') == 'success'
        and s.final.get('J') == 'success'
        and s.final.get('K') == 'success'
        and s.state['w']['log'] == ["B:0", "B:1", "B:2"]
        and s.state['w']['counter'] == 2
        and s.final.get('B') == 'success'
        and s.state['u']['log'] == ["L:0", "L:1"]
        and s.state['u']['counter'] == 1
        and s.final.get('L') == 'success'
    )


# --- the stage: how the scene above is played -------------------------------------------------------
# Gates: the probe graph waits inside a superstep until its gate is opened, and announces what it enters and leaves:
# by HTTP to this script, or through the server's own store.
import http.server
import itertools
import json
import math
import os
import socket
import ssl
import statistics
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from langgraph_sdk import get_sync_client
from langgraph_sdk.errors import APIStatusError

OVER = ("success", "error", "interrupted", "timeout")
WAIT_S, QUIET_S, SETTLE_S = 5.0, 2.0, 30.0
NOBODY = "00000000-0000-0000-0000-000000000000"  # the run id of what was refused: no server knows it


class Stage:
    """One execution of the scene: fresh threads, what the probe announced, what was answered, and how it ended."""

    def __init__(self, url: str, assistant: str, scripts: dict[str, list[dict[str, Any]]], by: str) -> None:
        self.url, self.assistant, self.scripts, self.by = url.rstrip("/"), assistant, scripts, by
        self.key = os.environ.get("DOUBLETEXT_API_KEY")
        self.client = get_sync_client(url=url, api_key=self.key, timeout=30)
        self.http, self.headers = self.client.http.client, {"x-api-key": self.key} if self.key else {}
        self.threads: dict[str, str] = {}
        self.home: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self.codes: dict[str, int] = {}  # of the creates
        self.told: list[dict[str, Any]] = []  # in order of arrival
        self.final: dict[str, str] = {}  # status of each run at the end; "gone": 404
        self.state: dict[str, dict[str, Any]] = {}  # of each thread: log, counter
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.settled: dict[str, bool] = {}
        self._gates: dict[str, threading.Event] = {}
        self._jobs: list[threading.Thread] = []
        self._returned: dict[str, float] = {}  # when the cancel of each run was answered
        self._opened: dict[str, float] = {}  # when each gate was
        self._start = time.monotonic()
        if by == "callback":
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._listener())
            self._server.daemon_threads = True
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
            self.via: dict[str, Any] = {"callback": f"http://127.0.0.1:{self._server.server_port}"}
        else:
            self.namespace = ["doubletext", f"reproduce-{uuid.uuid4().hex}"]
            self.via = {"store": self.namespace} if by == "store" else {}

    def say(self, text: str) -> None:
        """One line of what happens."""
        print(f"{(time.monotonic() - self._start) * 1000:9.1f} ms  {text}", flush=True)

    # --- calls ---

    def create(
        self,
        tag: str,
        strategy: str | None,
        thread: str = "t",
        wait: bool = True,
        by: str = "runs",
        fault: str | None = None,
        **fields: Any,
    ) -> None:
        """POST /threads/{id}/runs (or /runs/wait, /runs/stream), in the background; wait: until it was answered.

        fault: the connection is closed when the request is sent (dropped), or when the answer begins to come (lost).
        """
        self.home[tag] = thread
        path = f"/threads/{self._thread(thread)}{'/runs' if by == 'runs' else f'/runs/{by}'}"
        body = {**self._body(tag, strategy), **fields, **({"on_disconnect": "continue"} if by != "runs" else {})}
        if "command" in fields:
            del body["input"]

        def send() -> None:
            if fault in ("dropped", "lost"):
                self._leave("POST", path, body, fault)
                self._answered(tag, 0, fault)
                return
            with self.http.stream("POST", path, json=body, headers=self.headers, timeout=SETTLE_S) as answer:
                place = answer.headers.get("content-location") or answer.headers.get("location") or ""
                if by != "runs" and answer.is_success:
                    self._answered(tag, answer.status_code, {"run_id": place.rpartition("/runs/")[2] or None})
                text = answer.read()
                if by == "runs" or not answer.is_success:
                    self._answered(tag, answer.status_code, json.loads(text) if answer.is_success else text)

        self._background(send)
        if wait:
            self._until(lambda: tag in self.codes)

    def stateless(self, tag: str, strategy: str, by: str = "runs") -> None:
        """POST /runs (or /runs/wait, /runs/stream), in the background: a run without a thread."""
        path, body = f"/runs{'' if by == 'runs' else f'/{by}'}", self._body(tag, strategy)
        self._background(lambda: self._stateless(tag, path, body))

    def _stateless(self, tag: str, path: str, body: Any) -> None:
        self.codes[tag] = self._send(f"stateless {tag}", "POST", path, body)

    def together(
        self, *creates: tuple[str, str | None, str], cancels: Sequence[tuple[str, str]] = (), **fields: Any
    ) -> None:
        """Create runs (tag, strategy, thread), and cancel some (tag, action), at once: connections opened beforehand,
        then the last bytes sent."""
        flights = []
        for tag, strategy, thread in creates:
            self.home[tag] = thread
            body = {**self._body(tag, strategy), **fields}
            flights.append((tag, "create", *self._loaded("POST", f"/threads/{self._thread(thread)}/runs", body)))
        for tag, action in cancels:
            path = f"/threads/{self._thread(self.home[tag])}/runs/{self._run(tag)}/cancel?action={action}"
            flights.append((tag, f"cancel ({action})", *self._loaded("POST", path, {})))
        self.http.get("/info", headers=self.headers)  # when that is answered the server has seen the connections
        for *_, line, last in flights:
            line.sendall(last)
        for tag, what, line, _ in flights:
            answer = b"".join(iter(lambda line=line: line.recv(65536), b""))  # type: ignore[misc]
            line.close()
            head_, _, body_ = answer.partition(b"\r\n\r\n")
            code = int(head_.split(b" ")[1])
            if what != "create":
                self.say(f"{what} {tag}: answered {code}")
                continue
            begin, end = body_.find(b"{"), body_.rfind(b"}")  # whatever the framing: the answer is one JSON object
            self._answered(tag, code, json.loads(body_[begin : end + 1]) if begin >= 0 else {})

    def cancel(self, tag: str, action: str, wait: str = "0", fault: str | None = None, goes_on: bool = False) -> None:
        """POST /threads/{id}/runs/{id}/cancel; wait: as in the query; goes_on: without its answer."""
        run_id = NOBODY if tag == "nobody" else self._run(tag)
        query = f"?action={action}" + (f"&wait={wait}" if wait else "")
        path = f"/threads/{self._thread(self.home.get(tag, 't'))}/runs/{run_id}/cancel{query}"

        def send() -> None:
            if fault in ("dropped", "lost"):
                self._leave("POST", path, None, fault)
            else:
                self._send(f"cancel {tag} ({action})", "POST", path, None)
            self._returned.setdefault(tag, time.monotonic())

        self._background(send)
        if not goes_on:
            self._until(lambda: tag in self._returned)

    def cancel_many(self, action: str, *tags: str) -> None:
        """POST /runs/cancel: several runs of one thread."""
        body = {"thread_id": self._thread(self.home[tags[0]]), "run_ids": [self._run(tag) for tag in tags]}
        self._send(f"cancel {', '.join(tags)} ({action})", "POST", f"/runs/cancel?action={action}", body)

    def delete(self, tag: str, fault: str | None = None) -> None:
        """DELETE /threads/{id}/runs/{id}."""
        path = f"/threads/{self._thread(self.home[tag])}/runs/{self._run(tag)}"
        self._send(f"delete {tag}", "DELETE", path, None, fault)

    def renew(self, thread: str, again: bool) -> None:
        """Delete a thread and, again, create one with the same id."""
        thread_id = self._thread(thread)
        self._send(f"delete thread {thread}", "DELETE", f"/threads/{thread_id}", None)
        if again:
            body = {"thread_id": thread_id, "if_exists": "raise"}
            self._send(f"create thread {thread} again", "POST", "/threads", body)
        else:
            del self.threads[thread]

    def unmade(self, thread: str) -> None:
        """A thread that is not made beforehand."""
        self.threads[thread] = str(uuid.uuid4())

    def update(self, tag: str, thread: str, fault: str | None = None) -> None:
        """POST /threads/{id}/state: an entry of the log and a message."""
        message = {"role": "user", "content": tag, "id": f"in-{tag}"}
        values = {"log": [{"tag": tag, "step": 0, "op": "emit", "run": None}], "messages": [message]}
        body = {"values": values, "as_node": "step"}
        self._send(f"update {tag}", "POST", f"/threads/{self._thread(thread)}/state", body, fault)

    def _send(self, what: str, method: str, path: str, body: Any, fault: str | None = None) -> int:
        if fault in ("dropped", "lost"):
            self.say(f"{what}: {fault}")
            self._leave(method, path, body, fault)
            return 0
        answer = self.http.request(method, path, json=body, headers=self.headers, timeout=SETTLE_S)
        self.say(f"{what}: {'accepted' if answer.is_success else f'answered {answer.status_code}'}")
        return answer.status_code

    def _loaded(self, method: str, path: str, body: Any) -> tuple[socket.socket, bytes]:
        """A connection on which everything but the last byte of a request is sent; and that byte."""
        parts, data = urlsplit(self.url), b"" if body is None else json.dumps(body).encode()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        line: socket.socket = socket.create_connection((parts.hostname or "localhost", port), timeout=30)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            line = ssl.create_default_context().wrap_socket(line, server_hostname=parts.hostname)
        head = f"{method} {parts.path}{path} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"
        head += f"x-api-key: {self.key}\r\n" if self.key else ""
        head += f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
        whole = head.encode() + data
        line.sendall(whole[:-1])
        return line, whole[-1:]

    def _leave(self, method: str, path: str, body: Any, fault: str) -> None:
        """Send a request and close the connection: at once (dropped), or when the answer begins to come (lost)."""
        line, last = self._loaded(method, path, body)
        line.sendall(last)
        if fault == "lost":
            line.recv(1)
        line.close()

    def join(self, tag: str, how: str) -> None:
        """A client joins the run, or its stream, from here on."""
        path = f"/threads/{self._thread(self.home[tag])}/runs/{self._run(tag)}/{how}"
        self._background(lambda: self.http.get(path, headers=self.headers, timeout=SETTLE_S))

    def crack(self, call: Callable[[], None], offset_ms: float, gate: str | None, of: str) -> None:
        """Make the call around the instant at which a superstep of the run ends."""
        if gate is not None:
            self._background(lambda: (time.sleep(max(0.0, -offset_ms / 1000)), self.open(gate)))  # type: ignore[func-returns-value]
            time.sleep(max(0.0, offset_ms / 1000))
        else:
            entered = [t["arrived"] for t in self.told if t["tag"] == of and t["kind"] == "enter"]
            pace = statistics.median([b - a for a, b in itertools.pairwise(entered)] or [0.01])
            due = (entered[-1] if entered else time.monotonic()) + pace + offset_ms / 1000
            while due < time.monotonic():
                due += max(pace, 0.001)
            time.sleep(due - time.monotonic())
        call()

    def read(self, thread: str = "t") -> None:
        """What the server says of the thread just now."""
        thread_id = self._thread(thread)
        if self.http.get(f"/threads/{thread_id}", headers=self.headers).status_code == 404:
            self.say(f"thread {thread}: 404")
            return
        rows = self.client.runs.list(thread_id, limit=100)
        shown = ", ".join(f"{(r.get('metadata') or {}).get('doubletext_tag')} {r['status']}" for r in rows)
        self.say(f"thread {thread}: {self.client.threads.get(thread_id)['status']}; runs: {shown or 'none'}")

    # --- gates and waits ---

    def open(self, gate: str) -> None:
        """Open a gate, for good."""
        if self._gate(gate).is_set():
            return
        self._opened[gate] = time.monotonic()
        if self.by == "store":
            self.client.store.put_item([*self.namespace, "gates"], gate, {"open": True})
        self._gate(gate).set()
        self.say(f"open gate {gate}")

    def inside(self, tag: str, gate: str) -> None:
        """Wait until the run is held at the gate."""
        self._until(lambda: self._said(tag, "enter", gate=gate), f"{tag} waits at gate {gate}")

    def entered(self, tag: str, step: int) -> None:
        """Wait until the run has entered the superstep."""
        self._until(lambda: self._said(tag, "enter", step=step), f"{tag} is in superstep {step}")

    def left(self, tag: str, step: int) -> None:
        """Wait until the run has left the superstep."""
        self._until(lambda: self._said(tag, "leave", step=step), f"{tag} has left superstep {step}")

    def answered(self, tag: str) -> None:
        """Wait until the create was answered."""
        self._until(lambda: tag in self.codes)

    def stopped(self, tag: str, successor: str | None) -> None:
        """Wait until the run was told of its cancellation (or its successor has started)."""
        self._until(
            lambda: self._said(tag, "cancelled") or self._said(tag, "swallowed") or self._said(str(successor), "enter"),
            f"{tag} was told to stop",
        )

    def halted(self, tag: str) -> None:
        """Wait until the run was told of its cancellation, as long as for everything to be over."""
        told = f"{tag} was told to stop"
        self._until(lambda: self._said(tag, "cancelled") or self._said(tag, "swallowed"), told, SETTLE_S)

    def ended(self, tag: str) -> None:
        """Wait until the run reads as ended, or is gone."""
        self._until(lambda: self._status(tag) in (*OVER, "gone"), f"{tag} has ended")

    def listed(self, tag: str) -> None:
        """Wait until a list of runs names the run, or it was answered."""
        self._until(lambda: tag in self.codes or self._find(tag) is not None)

    def returned(self, tag: str, seconds: float) -> None:
        """Wait until the run's cancel was answered, for so many seconds at most."""
        end = time.monotonic() + seconds
        while tag not in self._returned and time.monotonic() < end:
            time.sleep(0.002)

    # --- the end ---

    def settle(self) -> None:
        """Open all gates, wait until everything is over, and read how it ended."""
        for steps in self.scripts.values():
            for gate in [s[k] for s in steps for k in ("swallow", "gate") if k in s]:
                self.open(gate)
        for job in self._jobs:
            job.join(WAIT_S)
        for name in [
            n for n, i in self.threads.items() if self.http.get(f"/threads/{i}", headers=self.headers).is_error
        ]:
            del self.threads[name]  # nobody made it
        for name, thread_id in self.threads.items():
            end, busy = time.monotonic() + SETTLE_S, True
            while busy and time.monotonic() < end:
                rows = self.client.runs.list(thread_id, limit=100)
                busy = any(r["status"] not in OVER for r in rows) or (
                    self.client.threads.get(thread_id)["status"] == "busy"
                )
                time.sleep(0.05)
            self.settled[name] = not busy
        time.sleep(QUIET_S)
        self._announcements()
        for tag, name in self.home.items():
            if name in self.threads and (tag in self.runs or self._find(tag) is not None):
                self.final[tag] = self._status(tag)
        for name, thread_id in self.threads.items():
            values: Any = self.client.threads.get_state(thread_id)["values"] or {}
            log = [f"{e['tag']}:{e['step']}" for e in values.get("log") or []]
            inputs = [m["content"] for m in values.get("messages") or [] if m["type"] == "human"]
            self.state[name] = {"log": log, "counter": values.get("counter") or 0, "inputs": inputs}
            self.history[name] = [dict(c) for c in self.client.threads.get_history(thread_id, limit=200)]
            self.say(f"thread {name}: settled {self.settled[name]}, log {log}, counter {self.state[name]['counter']}")
            self.client.threads.delete(thread_id)
        self.say(f"runs: {', '.join(f'{tag} {status}' for tag, status in sorted(self.final.items()))}")

    def carries(self, thread: str, tag: str) -> bool:
        """Whether any checkpoint of the history still holds something of the run."""
        values = [c.get("values") or {} for c in self.history[thread]]
        logged = any(e["tag"] == tag for v in values for e in v.get("log") or [])
        return logged or any(m.get("content") == tag for v in values for m in v.get("messages") or [])

    def wrote(self, tag: str, step: int) -> bool:
        """Whether any checkpoint of any history holds this superstep of the run."""
        entries = [e for h in self.history.values() for c in h for e in (c.get("values") or {}).get("log") or []]
        return any(e["tag"] == tag and e["step"] == step for e in entries)

    def found(self, tag: str) -> dict[str, Any]:
        """The state that the run found when it started, without what it was given; nothing if it never started."""
        starts = [t["found"] for t in self.told if t["tag"] == tag and t["kind"] == "enter" and t["step"] == 0]
        return {**starts[0], "last_input": None} if starts else {"log": None, "counter": None}

    def answered_at_work(self, tag: str, step: int) -> bool:
        """Whether the run's cancel was answered while a gate held it in a superstep that it left only later."""
        gates = [self.scripts[tag][step][k] for k in ("gate", "swallow") if k in self.scripts[tag][step]]
        opened = min(self._opened.get(gate, 0.0) for gate in gates)
        return self._said(tag, "leave", step=step) and self._returned.get(tag, math.inf) < opened

    def broken(self, thread: str) -> bool:
        """Whether two checkpoints of the history have one parent, or a parent is missing."""
        ids = {c["checkpoint"]["checkpoint_id"] for c in self.history[thread]}
        parents = [(c.get("parent_checkpoint") or {}).get("checkpoint_id") for c in self.history[thread]]
        parents = [p for p in parents if p is not None]
        return len(parents) != len(set(parents)) or not ids.issuperset(parents)

    def concurrent(self, one: str, other: str) -> bool:
        """Whether a run entered a superstep while the other, which went on afterwards, was inside of one."""
        order = [t["tag"] for t in sorted(self.told, key=lambda t: t["seq"]) if t["tag"] in (one, other)]
        changes = sum(a != b for a, b in itertools.pairwise(order))
        return bool(changes > 1)

    # --- behind it ---

    def _thread(self, name: str) -> str:
        if name not in self.threads:
            self.threads[name] = self.client.threads.create()["thread_id"]
        return self.threads[name]

    def _body(self, tag: str, strategy: str | None) -> dict[str, Any]:
        program = {"tag": tag, "steps": self.scripts[tag], "via": self.via}
        message = {"role": "user", "content": tag, "id": f"in-{tag}"}
        body: dict[str, Any] = {
            "assistant_id": self.assistant,
            "input": {"program": program, "pc": 0, "messages": [message]},
            "metadata": {"doubletext_tag": tag},
            "config": {"recursion_limit": 500},
        }
        return body if strategy is None else {**body, "multitask_strategy": strategy}

    def _answered(self, tag: str, code: int, answer: Any) -> None:
        if 0 < code < 300 and answer["run_id"]:
            self.runs[tag] = answer["run_id"]
        self.codes[tag] = code
        self.say(f"create {tag}: {'accepted' if 0 < code < 300 else f'answered {code or None} {str(answer)[:100]}'}")

    def _find(self, tag: str) -> str | None:
        """The run's id from the list of runs."""
        rows = self.client.runs.list(self._thread(self.home[tag]), limit=100)
        own = [str(r["run_id"]) for r in rows if (r.get("metadata") or {}).get("doubletext_tag") == tag]
        if own:
            self.runs[tag] = own[0]
        return own[0] if own else None

    def _run(self, tag: str) -> str:
        self._until(lambda: tag in self.codes or self._find(tag) is not None)
        if self.codes.get(tag, 0) >= 400:
            return NOBODY
        return self.runs.get(tag) or self._find(tag) or NOBODY

    def _status(self, tag: str) -> str:
        try:
            return str(self.client.runs.get(self._thread(self.home[tag]), self._run(tag))["status"])
        except APIStatusError as e:
            return "gone" if e.status_code == 404 else f"answered {e.status_code}"

    def _background(self, work: Callable[[], Any]) -> None:
        self._jobs.append(threading.Thread(target=work, daemon=True))
        self._jobs[-1].start()

    def _gate(self, key: str) -> threading.Event:
        return self._gates.setdefault(key, threading.Event())

    def _until(self, seen: Callable[[], bool], what: str | None = None, seconds: float = WAIT_S) -> None:
        end = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > end:
                self.say(f"waited in vain until {what or 'it was answered'}")
                return
            time.sleep(0.002)
            self._announcements()
        if what:
            self.say(what)

    def _said(self, tag: str, kind: str, **detail: Any) -> bool:
        return any(
            t["tag"] == tag and t["kind"] == kind and all(t.get(k) == v for k, v in detail.items()) for t in self.told
        )

    def _announcements(self) -> None:
        if self.by == "store":
            found = self.client.store.search_items([*self.namespace, "records"], limit=500)["items"]
            known = {t["seq"] for t in self.told}
            new = [{**i["value"], "arrived": time.monotonic()} for i in found if i["value"]["seq"] not in known]
            self.told += sorted(new, key=lambda t: t["seq"])

    def _listener(self) -> type[http.server.BaseHTTPRequestHandler]:
        stage = self

        class Listener(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                value = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path.endswith("/announce"):
                    arrived = time.monotonic()
                    self._answer({})  # first: who is told may cancel the node, which still waits for the receipt
                    stage.told.append({**value, "arrived": arrived})
                else:
                    self._answer({"open": stage._gate(value["key"]).wait(float(value["for"]))})

            def _answer(self, value: dict[str, Any]) -> None:
                data = json.dumps(value).encode()
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data)

            def log_message(self, *_args: Any) -> None:
                """Nothing."""

        return Listener


def main(
    scene: Callable[[Stage], None],
    seen: Callable[[Stage], bool] | None,
    assistant: str,
    scripts: dict[str, list[dict[str, Any]]],
    by: str,
) -> int:
    """Play the scene once, or as often as is said.

    Exit code 1: the bug was seen; 0: it was not; 2: the scene could not be played; 3: a person must look.
    """
    if len(sys.argv) < 2:
        print(f"usage: {sys.argv[0]} URL [TIMES]", file=sys.stderr)
        return 2
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    failed = 0
    for _ in range(times):
        stage = Stage(sys.argv[1], assistant, scripts, by)
        try:
            scene(stage)
            stage.settle()
        except Exception:
            traceback.print_exc()
            print("this could not be played", file=sys.stderr)
            return 2
        again = seen is not None and seen(stage)
        failed += again
        print("the bug was seen\n" if again else "not seen\n" if seen is not None else "look yourself\n", flush=True)
    print(f"seen {failed} of {times} times")
    return 3 if seen is None else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(scene, seen, 'doubletext', SCRIPTS, 'callback'))
